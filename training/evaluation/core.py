"""Every figure of some estimators on the same subjects, from arrays alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation import resampling as rs
from training.evaluation.arrays import (
    Array,
    Estimates,
    Finding,
    Subjects,
    band_label,
    check,
    in_order,
    known_findings,
    label_of,
    unit_of,
)
from training.evaluation.curves import calibration_curve, risk_coverage, roc, uncertainty_bins
from training.evaluation.report_data import (
    EVERYONE,
    HIGH_HALF,
    LOW_HALF,
    Curve,
    Difference,
    Figure,
    Report,
)

N_BINS = 10
# Fewer cases, or fewer others, give no rank figure of a group.
LEAST_CASES = 10
COMPARED = ("auroc", "auprc", "balanced_accuracy", "brier", "mae")


@dataclass(frozen=True)
class Part:
    """Some subjects and the share of each row's outcomes that counts.

    Attributes
    ----------
    group
        Label; empty for everyone.
    rows
        Rows with any mass.
    mass
        (rows, draws); a row's draws sum to its share in the part.
    """

    group: str
    rows: NDArray[np.intp]
    mass: Array

    @property
    def total(self) -> Array:
        """(rows,), mass of each row."""
        return self.mass.sum(1)


def parts_of(subjects: Subjects, measure: str) -> Iterator[Part]:
    """Everyone in whom a measure is known, then each group and each band."""
    outcome = subjects.outcomes[measure]
    known = ~np.isnan(outcome)
    mass = known / np.maximum(known.sum(1, keepdims=True), 1)

    def part(group: str, mask: NDArray[np.bool_]) -> Part:
        chosen = mass * mask
        rows = np.flatnonzero(chosen.sum(1) > 0)
        return Part(group, rows, chosen[rows])

    yield part(EVERYONE, np.ones_like(known))
    for name, labels in subjects.groups.items():
        for label in sorted(set(map(str, labels)) - {""}, key=in_order):
            yield part(f"{name}: {label}", (labels.astype(str) == label)[:, None])
    for name, (key, edges) in subjects.bands.items():
        values = subjects.outcomes[key]
        if key != measure and values.shape != outcome.shape:
            continue  # other studies: a draw's band is not known
        place = np.where(np.isnan(values), -1, np.digitize(values, edges))
        for number in range(len(edges) + 1):
            yield part(f"{name}: {band_label(edges, number, unit_of(key))}", place == number)


def evaluate(
    subjects: Subjects,
    estimates: Sequence[Estimates],
    *,
    findings: Sequence[Finding] | None = None,
    title: str = "Evaluation",
    dataset: str = "",
    n_bootstrap: int = 1000,
    seed: int = 0,
    least: int = 30,
) -> Report:
    """Measure estimators on the same subjects with the same resamples of patients.

    Parameters
    ----------
    subjects
        Who is tested.
    estimates
        The model first; each further one is compared with it.
    findings
        Yes / no statements; `known_findings` by default. Those whose measure has no outcome, or of
        which everyone has the same, are left out with a note.
    title, dataset
        For the reader of the report.
    n_bootstrap, seed
        Of the patient bootstrap.
    least
        A group of fewer rows gets no figures: only its size is shown.

    Raises
    ------
    EchoingError
        If arrays do not fit one another.
    """
    check(subjects, list(estimates))
    measures = [k for k, v in subjects.outcomes.items() if not np.isnan(v).all()]
    asked = known_findings() if findings is None else tuple(findings)
    maker = _Maker(rs.resample(subjects.patient, n_bootstrap, seed), least)
    kept, notes = [], []
    for finding in asked:
        if finding.measure not in measures:
            continue
        if _one_class(subjects, finding):
            notes.append(f"{finding.label}: all subjects have the same outcome.")
            continue
        kept.append(finding)
    parts = {key: list(parts_of(subjects, key)) for key in measures}
    for finding in kept:
        own = {name for name, (key, _) in subjects.bands.items() if key == finding.measure}
        # Within a band of its own measure a finding is nearly always or never there.
        chosen = [p for p in parts[finding.measure] if p.group.partition(":")[0] not in own]
        _evaluate_finding(maker, subjects, estimates, finding, chosen)
    for key in measures:
        _evaluate_measure(maker, subjects, estimates, key, parts[key])
    labels = {f.key: f.label for f in kept} | {key: label_of(key) for key in measures}
    levels = [e.level for e in estimates if e.intervals]
    return Report(
        title=title,
        dataset=dataset,
        estimators=[e.name for e in estimates],
        labels=labels,
        findings=[f.key for f in kept],
        measures=measures,
        n_rows=subjects.n,
        n_patients=len(np.unique(subjects.patient)),
        n_draws=max((v.shape[1] for v in subjects.outcomes.values()), default=1),
        n_bootstrap=n_bootstrap,
        seed=seed,
        level=levels[0] if levels else 0.9,
        least=least,
        figures=maker.figures,
        differences=maker.differences,
        curves=maker.curves,
        notes=notes,
    )


def _one_class(subjects: Subjects, finding: Finding) -> bool:
    outcome = subjects.outcomes[finding.measure]
    known = outcome[~np.isnan(outcome)]
    return len(np.unique(known < finding.below)) < 2


class _Maker:
    """Computes figures, and keeps their replicates until they have been compared."""

    def __init__(self, resamples: rs.Resamples, least: int) -> None:
        self.resamples = resamples
        self.least = least
        self.figures: list[Figure] = []
        self.differences: list[Difference] = []
        self.curves: list[Curve] = []

    def add(
        self,
        who: tuple[str, str],
        part: Part,
        statistics: Mapping[str, rs.Statistic],
        *,
        cases: float | None = None,
        units: Mapping[str, str] | None = None,
        enough: bool = True,
    ) -> dict[str, Array]:
        """Store figures of an estimator and target, by quantity; return their replicates."""
        n = len(part.rows)
        if not enough or (part.group and n < self.least):
            nothing = np.full(len(self.resamples.counts), np.nan)
            replicates = dict.fromkeys(statistics, nothing)
        else:
            replicates = self.resamples.replicate_all(statistics, part.rows)
        for quantity, found in replicates.items():
            self._store(who, part, quantity, found, cases, (units or {}).get(quantity, ""))
        return replicates

    def _store(
        self,
        who: tuple[str, str],
        part: Part,
        quantity: str,
        found: Array,
        cases: float | None,
        unit: str,
    ) -> None:
        low, high = rs.interval(found)
        figure = Figure(
            *who, quantity, part.group, float(found[0]), low, high, len(part.rows), cases, unit
        )
        self.figures.append(figure)

    def add_trend(self, who: tuple[str, str], part: Part, quantity: str, bins: Array) -> None:
        """Store the ten-bin correlation and its curve, from replicates of the bins, (R, bins)."""
        self._store(who, part, quantity, rs.trend(bins), None, "")
        self.curves.append(uncertainty_bins(*who, bins))

    def compare(
        self,
        names: tuple[str, str],
        target: str,
        quantity: str,
        replicates: tuple[Array, Array],
        unit: str = "",
    ) -> None:
        """Store the difference, first minus second."""
        difference = replicates[0] - replicates[1]
        if not np.isfinite(difference[0]):
            return
        low, high = rs.interval(difference)
        p = rs.two_sided_p(difference)
        self.differences.append(
            Difference(*names, target, quantity, float(difference[0]), low, high, p, unit)
        )


# --- findings ---


def _evaluate_finding(
    maker: _Maker,
    subjects: Subjects,
    estimates: Sequence[Estimates],
    finding: Finding,
    parts: list[Part],
) -> None:
    labels = subjects.outcomes[finding.measure] < finding.below
    for part in parts:
        positive = (part.mass * labels[part.rows]).sum(1)
        maker.add(
            ("", finding.key),
            part,
            {"prevalence": rs.ratio(positive, part.total)},
            cases=float(positive.sum()),
        )
    replicates: dict[str, dict[str, Array]] = {}
    for e in estimates:
        if finding.key not in e.probabilities:
            continue
        # Groups of the model alone: those of its baselines would fill the report.
        chosen = parts if e is estimates[0] else parts[:1]
        for part in chosen:
            found = _finding_part(maker, e, finding, labels, part)
            if part.group == EVERYONE:
                replicates[e.name] = found
        everyone = parts[0]
        positive = (everyone.mass * labels[everyone.rows]).sum(1)
        negative = everyone.total - positive
        score = e.probabilities[finding.key][everyone.rows]
        maker.curves.append(roc(e.name, finding.key, score, positive, negative))
        if _is_probability(score):
            maker.curves.append(
                calibration_curve(
                    maker.resamples, e.name, finding.key, everyone.rows, score, positive, negative
                )
            )
        if e.uncertainty is not None:
            _finding_uncertainty(maker, e, finding, labels, everyone)
    _compare_all(maker, estimates, finding.key, replicates)


def _compare_all(
    maker: _Maker,
    estimates: Sequence[Estimates],
    target: str,
    replicates: dict[str, dict[str, Array]],
    unit: str = "",
) -> None:
    first = estimates[0].name
    for e in estimates[1:]:
        for quantity in COMPARED:
            if all(quantity in replicates.get(name, {}) for name in (first, e.name)):
                pair = (replicates[first][quantity], replicates[e.name][quantity])
                maker.compare((first, e.name), target, quantity, pair, unit)


def _is_probability(score: Array) -> bool:
    return len(score) > 0 and bool(score.min() >= 0 and score.max() <= 1)


def _finding_statistics(
    e: Estimates, finding: Finding, labels: NDArray[np.bool_], part: Part
) -> tuple[dict[str, rs.Statistic], float]:
    positive = (part.mass * labels[part.rows]).sum(1)
    negative = part.total - positive
    score = e.probabilities[finding.key][part.rows]
    found = {
        "auroc": rs.auroc(score, positive, negative),
        "auprc": rs.average_precision(score, positive, negative),
    }
    if finding.key in e.thresholds:
        called = score >= e.thresholds[finding.key]
        found["balanced_accuracy"] = rs.balanced_accuracy(called, positive, negative)
        found["sensitivity"] = rs.ratio(positive * called, positive)
        found["specificity"] = rs.ratio(negative * ~called, negative)
    if _is_probability(score):
        found["brier"] = rs.ratio(positive * (1 - score) ** 2 + negative * score**2, part.total)
        found["mean_probability"] = rs.ratio(part.total * score, part.total)
    return found, float(positive.sum())


def _finding_part(
    maker: _Maker, e: Estimates, finding: Finding, labels: NDArray[np.bool_], part: Part
) -> dict[str, Array]:
    statistics, cases = _finding_statistics(e, finding, labels, part)
    others = float(part.total.sum()) - cases
    enough = part.group == EVERYONE or min(cases, others) >= LEAST_CASES
    return maker.add((e.name, finding.key), part, statistics, cases=cases, enough=enough)


def _halves(uncertainty: Array, part: Part) -> tuple[Part, Part] | None:
    """Split at the median into the certain and the uncertain half; None if all are alike."""
    values = uncertainty[part.rows]
    low = values <= np.median(values)
    if low.all():
        return None
    return (
        Part(LOW_HALF, part.rows[low], part.mass[low]),
        Part(HIGH_HALF, part.rows[~low], part.mass[~low]),
    )


def _bins(uncertainty: Array, part: Part) -> NDArray[np.bool_]:
    """Membership, (rows, bins), in ten bins of equal size by rising uncertainty."""
    member = np.zeros((len(part.rows), N_BINS), bool)
    order = np.argsort(uncertainty[part.rows], kind="stable")
    for number, chosen in enumerate(np.array_split(order, N_BINS)):
        member[chosen, number] = True
    return member


def _finding_uncertainty(
    maker: _Maker, e: Estimates, finding: Finding, labels: NDArray[np.bool_], part: Part
) -> None:
    uncertainty = e.uncertainty
    halves = None if uncertainty is None else _halves(uncertainty, part)
    if uncertainty is None or halves is None:
        return
    found = [_finding_part(maker, e, finding, labels, half) for half in halves]
    names = (f"{e.name}, low uncertainty", f"{e.name}, high uncertainty")
    for quantity in ("auroc", "balanced_accuracy"):
        if quantity in found[0]:
            maker.compare(names, finding.key, quantity, (found[0][quantity], found[1][quantity]))
    if finding.key not in e.thresholds:
        return
    positive = (part.mass * labels[part.rows]).sum(1)
    negative = part.total - positive
    called = e.probabilities[finding.key][part.rows] >= e.thresholds[finding.key]
    wrong = positive * ~called + negative * called
    member = _bins(uncertainty, part)
    bins = maker.resamples.replicate(
        rs.ratio((part.total - wrong)[:, None] * member, part.total[:, None] * member), part.rows
    )
    maker.add_trend((e.name, finding.key), part, "accuracy_trend", bins)
    _selection(maker, (e.name, finding.key), part, uncertainty, wrong, "")


def _selection(
    maker: _Maker, who: tuple[str, str], part: Part, uncertainty: Array, loss: Array, unit: str
) -> None:
    """Add risk over coverage and rank correlation; loss is times mass."""
    u, mass = uncertainty[part.rows], part.total
    aurc = rs.selective_risk(u, loss, mass)
    ideal = rs.selective_risk(loss / mass, loss, mass)
    statistics = {
        "aurc": aurc,
        "excess_aurc": lambda w: aurc(w) - ideal(w),
        "augrc": rs.generalised_risk(u, loss, mass),
        "rank_correlation": rs.spearman(u, loss / mass, mass),
    }
    maker.add(who, part, statistics, units=dict.fromkeys(("aurc", "excess_aurc", "augrc"), unit))
    maker.curves.append(risk_coverage(maker.resamples, *who, part.rows, u, loss, mass))


# --- measures ---


def _measure_statistics(
    e: Estimates, key: str, outcome: Array, part: Part
) -> dict[str, tuple[rs.Statistic, str]]:
    observed, mass, unit = np.nan_to_num(outcome[part.rows]), part.mass, unit_of(key)
    total = part.total
    found: dict[str, tuple[rs.Statistic, str]] = {}
    if key in e.values:
        error = e.values[key][part.rows, None] - observed
        found["mae"] = rs.ratio((mass * np.abs(error)).sum(1), total), unit
        found["bias"] = rs.ratio((mass * error).sum(1), total), unit
    if key in e.intervals:
        low, high = e.intervals[key][part.rows, :, None].transpose(1, 0, 2)
        inside = (observed >= low) & (observed <= high)
        # Gneiting and Raftery, JASA 2007;102:359, eq. 43.
        outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
        score = (high - low) + 2 / (1 - e.level) * outside
        found["coverage"] = rs.ratio((mass * inside).sum(1), total), ""
        found["width"] = rs.ratio((mass * (high - low)).sum(1), total), unit
        found["interval_score"] = rs.ratio((mass * score).sum(1), total), unit
    return found


def _measure_part(
    maker: _Maker, e: Estimates, key: str, outcome: Array, part: Part
) -> dict[str, Array]:
    found = _measure_statistics(e, key, outcome, part)
    statistics = {quantity: statistic for quantity, (statistic, _) in found.items()}
    units = {quantity: unit for quantity, (_, unit) in found.items()}
    return maker.add((e.name, key), part, statistics, units=units)


def _evaluate_measure(
    maker: _Maker,
    subjects: Subjects,
    estimates: Sequence[Estimates],
    key: str,
    parts: list[Part],
) -> None:
    outcome, unit = subjects.outcomes[key], unit_of(key)
    for part in parts:
        observed = (part.mass * np.nan_to_num(outcome[part.rows])).sum(1)
        mean = {"mean": rs.ratio(observed, part.total)}
        maker.add(("", key), part, mean, units={"mean": unit})
    replicates = {}
    for e in estimates:
        chosen = parts if e is estimates[0] else parts[:1]
        for part in chosen:
            found = _measure_part(maker, e, key, outcome, part)
            if part.group == EVERYONE:
                replicates[e.name] = found
        if e.uncertainty is not None and key in e.values:
            _measure_uncertainty(maker, e, key, outcome, parts[0])
    _compare_all(maker, estimates, key, replicates, unit)


def _measure_uncertainty(maker: _Maker, e: Estimates, key: str, outcome: Array, part: Part) -> None:
    uncertainty = e.uncertainty
    halves = None if uncertainty is None else _halves(uncertainty, part)
    if uncertainty is None or halves is None:
        return
    found = [_measure_part(maker, e, key, outcome, half) for half in halves]
    names = (f"{e.name}, low uncertainty", f"{e.name}, high uncertainty")
    unit = unit_of(key)
    maker.compare(names, key, "mae", (found[0]["mae"], found[1]["mae"]), unit)
    error = np.abs(e.values[key][part.rows, None] - np.nan_to_num(outcome[part.rows]))
    loss = (part.mass * error).sum(1)
    member = _bins(uncertainty, part)
    bins = maker.resamples.replicate(
        rs.ratio(loss[:, None] * member, part.total[:, None] * member), part.rows
    )
    maker.add_trend((e.name, key), part, "error_trend", bins)
    _selection(maker, (e.name, key), part, uncertainty, loss, unit)
