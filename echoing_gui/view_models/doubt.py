"""What stands beside an estimate so that it is not taken for more than it is: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from echoing_gui.i18n import tr
from model_core.measures import MEASURES, REFERENCE_SOURCE
from model_core.reasons import LeadGrade, Severity
from model_core.types import MeasureEstimate, Prediction
from model_core.validation import Validation

N_DOTS = 20


@dataclass(frozen=True, slots=True)
class Chip:
    """A reason for doubt: in short, and as the whole sentence."""

    text: str
    sentence: str


def chips(prediction: Prediction) -> tuple[Chip, ...]:
    """Reasons for doubt of a result that is shown: cautions, then leads that are hard to read."""
    found: list[Chip] = []
    for reason in prediction.reasons:
        if reason.severity is Severity.CAUTION:
            short = _short(reason.code)
            short = tr("{what} in {lead}", what=short, lead=reason.lead) if reason.lead else short
            found.append(Chip(short, tr(reason.message)))
    noisy = [
        Chip(tr("Noise in {lead}", lead=each.lead), tr(each.message))
        for each in prediction.lead_quality
        if each.grade is not LeadGrade.GOOD and each.message
    ]
    return (*found, *noisy)


def _short(code: str) -> str:
    return {
        "age_unknown": tr("Age unknown"),
        "age_not_studied": tr("Outside the ages studied"),
        "paced": tr("Paced"),
        "unlike_training_data": tr("Unlike training data"),
        "not_calibrated": tr("Not calibrated"),
        "long_recording": tr("Long recording"),
        "checksum_failed": tr("Checksum failed"),
        "incomplete": tr("May be incomplete"),
        "lead_time_step": tr("Shift in time"),
        "electrode_placement": tr("Electrodes confirmed"),
        "microvolts": tr("Unit confirmed"),
        "sampling_rate": tr("Rate confirmed"),
        "noisy_lead": tr("Noise"),
        "output_implausible": tr("Implausible"),
    }.get(code, tr("Caution"))


def reference_range(key: str, sex: str) -> tuple[float, float] | None:
    """Range of healthy adults of a sex, in the measure's unit; None if the sex is not known."""
    return MEASURES[key].reference.get(sex)


def reference_text(key: str, sex: str) -> str:
    """Write the reference range for the patient's sex, or both where it is not known.

    Examples
    --------
    >>> reference_text("lvef", "male"), reference_text("lvef", "")
    ('healthy men 52–72 %', 'healthy women 54–74 %, men 52–72 %')
    """
    measure = MEASURES[key]
    ranges = {name: f"{low:.0f}–{high:.0f}" for name, (low, high) in measure.reference.items()}
    known = {**ranges, "unit": measure.unit}
    if sex == "female":
        return tr("healthy women {female} {unit}", **known)
    if sex == "male":
        return tr("healthy men {male} {unit}", **known)
    return tr("healthy women {female} {unit}, men {male} {unit}", **known)


def core_text(estimate: MeasureEstimate) -> str:
    """Write the interval that holds half; empty if the model package gives none."""
    if estimate.core is None:
        return ""
    measure, core = MEASURES[estimate.key], estimate.core
    return tr(
        "{level:.0f} % interval {low}–{high} {unit}",
        level=core.level * 100,
        low=measure.text(core.low),
        high=measure.text(core.high),
        unit=measure.unit,
    )


def held_text(estimate: MeasureEstimate, found: Validation | None) -> str:
    """Set what intervals held of the test patients beside what they are meant to hold."""
    if found is None or not found.n_test:
        return ""
    return tr(
        "{level:.0f} % intervals held {value:.1f} % of {n} test patients",
        level=estimate.interval.level * 100,
        value=100 * found.held[0],
        n=found.n_test,
    )


def held_in_full(estimate: MeasureEstimate, found: Validation | None) -> str:
    """Give the same with its 95 % confidence interval, and that of the core."""
    if found is None or not found.n_test:
        return ""
    text = tr(
        "Held {value:.1f} % (95 % confidence interval {low:.1f} to {high:.1f} %), meant to hold "
        "{level:.0f} %.",
        level=estimate.interval.level * 100,
        value=100 * found.held[0],
        low=100 * found.held[1],
        high=100 * found.held[2],
    )
    if estimate.core is None:
        return text
    return f"{text} " + tr(
        "The narrower interval held {value:.1f} % ({low:.1f} to {high:.1f} %), meant to hold "
        "{level:.0f} %.",
        level=estimate.core.level * 100,
        value=100 * found.core_held[0],
        low=100 * found.core_held[1],
        high=100 * found.core_held[2],
    )


def standing_text(estimate: MeasureEstimate, found: Validation | None) -> str:
    """Say where the estimate stands among those of the validation patients."""
    if found is None or not found.n_calibration:
        return ""
    share = round(100 * found.share_below(estimate.value))
    return tr(
        "higher than about {share} % of {n} validation patients",
        share=share,
        n=found.n_calibration,
    )


def sources_text(*, has_histogram: bool) -> str:
    """Name the source of what is drawn beside the interval."""
    text = tr("Grey bar under the axis: healthy adults, {source}.", source=REFERENCE_SOURCE)
    if not has_histogram:
        return text
    return f"{text} " + tr("Histogram: the model's estimates of its validation patients.")


def quantile_dots(estimate: MeasureEstimate) -> tuple[float, ...]:
    """Twenty values that are equally likely by the estimate, in the measure's unit.

    The ends of the intervals are taken for quantiles (5 and 95 %, 25 and 75 % where there is a
    core) and the point estimate for the median. In between, and beyond the outer ones, values are
    interpolated evenly on the scale of a normal distribution; none leaves what is plausible.

    Examples
    --------
    >>> from model_core.types import PredictionInterval
    >>> dots = quantile_dots(MeasureEstimate("lvef", 50.0, PredictionInterval(40.0, 56.0, 0.9)))
    >>> len(dots), sum(dot < 40 for dot in dots), sum(dot < 50 for dot in dots)
    (20, 1, 10)
    """
    normal = NormalDist()
    known = [(0.0, estimate.value)]
    for interval in (estimate.core, estimate.interval):
        if interval is not None:
            z = normal.inv_cdf((1 + interval.level) / 2)
            known += [(-z, interval.low), (z, interval.high)]
    known.sort()
    lowest, highest = MEASURES[estimate.key].plausible
    dots: list[float] = []
    for number in range(N_DOTS):
        z = normal.inv_cdf((number + 0.5) / N_DOTS)
        # The pair around z; beyond the outer ones, the outermost pair.
        (z0, v0), (z1, v1) = next(
            (pair for pair in pairwise(known) if z <= pair[1][0]), (known[-2], known[-1])
        )
        value = v0 + (v1 - v0) * (z - z0) / (z1 - z0)
        dots.append(min(max(value, lowest), highest))
    return tuple(dots)


def dots_text(estimates: Sequence[MeasureEstimate]) -> str:
    """Say what the dots are and where their values come from."""
    levels = {each.level for e in estimates for each in (e.interval, e.core) if each is not None}
    points = sorted({0.5, *((1 - x) / 2 for x in levels), *((1 + x) / 2 for x in levels)})
    listed = ", ".join(f"{100 * point:.0f}" for point in points)
    return tr(
        "Each dot is one of {n} equally likely values. The model gives the points at {points} %; "
        "the dots are interpolated between them, and the outermost lie beyond them.",
        n=N_DOTS,
        points=listed,
    )
