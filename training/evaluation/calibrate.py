"""Raw outputs of any estimator made into estimates, with the help of calibration subjects alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from model_core.calibration import apply_platt, apply_widening, fit_platt, fit_widening
from model_core.errors import EchoingError
from training.evaluation.arrays import Array, Estimates, Finding, Subjects

# Below this many subjects a line would follow chance.
LEAST_FOR_A_LINE = 40
SLOPES = (0.5, 2.0)


def best_threshold(score: Array, outcome: Array, below: float) -> float:
    """Threshold with the highest balanced accuracy on calibration subjects.

    Parameters
    ----------
    score
        (n,), larger means that the finding is more likely.
    outcome
        (n, draws), NaN for unknown.
    below
        The finding holds below this.

    Raises
    ------
    EchoingError
        If only one of the two outcomes occurs.
    """
    known = ~np.isnan(outcome)
    mass = known / np.maximum(known.sum(1, keepdims=True), 1)
    positive = (mass * (outcome < below)).sum(1)
    negative = mass.sum(1) - positive
    if positive.sum() == 0 or negative.sum() == 0:
        raise EchoingError(
            "A threshold cannot be chosen: every calibration patient has the same outcome.",
            code="one_outcome_only",
        )
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.r_[score[order][1:] != score[order][:-1], True])
    sensitivity = np.cumsum(positive[order])[last] / positive.sum()
    specificity = 1 - np.cumsum(negative[order])[last] / negative.sum()
    best = int(np.argmax(sensitivity + specificity))
    value = score[order][last]
    # Half way to the next lower score: equally good here, and less dependent on one patient.
    return float((value[best] + value[min(best + 1, len(value) - 1)]) / 2)


def probability_below(
    low: Array, value: Array, high: Array, limit: float, level: float
) -> NDArray[np.float64]:
    """Probability that a measure is below a limit, from median and interval.

    Half a normal distribution on either side of the median, each as wide as its end of the
    interval says.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    side = np.where(limit < value, value - low, high - value) / z
    ratio = (limit - value) / np.maximum(side, 1e-9) / math.sqrt(2)
    return np.array([0.5 * math.erfc(-r) for r in ratio])


def fit_line(median: Array, outcome: Array) -> tuple[float, float]:
    """Offset and slope of the line that brings medians nearest the outcomes.

    Least absolute deviations. A network that has seen few patients pulls its medians towards the
    middle; the line stretches them again.

    Parameters
    ----------
    median
        (n,), in the space that the estimator works in.
    outcome
        (n, draws), in the same space; NaN for unknown.

    Returns
    -------
    (0, 1), which changes nothing, for fewer than `LEAST_FOR_A_LINE` subjects or equal medians.
    """
    known = ~np.isnan(outcome).all(1)
    if known.sum() < LEAST_FOR_A_LINE or np.ptp(median[known]) == 0:
        return 0.0, 1.0
    from scipy.optimize import minimize

    x, y = median[known], outcome[known]
    centre = float(np.mean(x))

    def distance(line: Array) -> float:
        return float(np.nanmean(np.abs(y - (centre + line[0] + line[1] * (x - centre))[:, None])))

    shift, slope = minimize(distance, [0.0, 1.0], method="Nelder-Mead").x
    slope = float(np.clip(slope, *SLOPES))
    return float(centre + shift - slope * centre), slope


def calibrated_estimates(
    name: str,
    calibration: Subjects,
    quantiles: Mapping[str, tuple[Array, ...]],
    logits: Mapping[str, tuple[Array, ...]],
    findings: Sequence[Finding],
    *,
    log_space: Collection[str],
    straighten: Collection[str] = (),
    level: float = 0.9,
    uncertainty: Array | None = None,
) -> Estimates:
    """Conformal intervals, Platt-scaled probabilities and thresholds.

    Parameters
    ----------
    name
        Of the estimator.
    calibration
        Who it is calibrated on.
    quantiles
        By measure, of the calibration and of the test subjects: (n, 3) lower end, median and upper
        end; three times the same for an estimator of values alone.
    logits
        By finding, (n,) of both. A finding without logits gets its probability from the quantiles
        of its measure.
    findings
        What is to be told.
    log_space
        Measures of which the quantiles are logarithms.
    straighten
        Measures whose medians are first moved along the line of `fit_line`, intervals with them.
    level
        Of the intervals.
    uncertainty
        Of the test subjects.
    """
    values, intervals, probabilities, thresholds = {}, {}, {}, {}
    ends: dict[str, list[tuple[Array, Array, Array]]] = {}
    for key, pair in quantiles.items():
        observed = _complete(calibration.outcomes[key])
        observed = np.log(observed) if key in log_space else observed
        line = fit_line(pair[0][:, 1], observed) if key in straighten else (0.0, 1.0)
        of_calibration, of_test = (q + line[0] + (line[1] - 1) * q[:, 1:2] for q in pair)
        known = ~np.isnan(observed).any(1)
        low, _, high = of_calibration[known].T
        widening = fit_widening(low, high, observed[known], level)
        ends[key] = [apply_widening(q, widening) for q in (of_calibration, of_test)]
        low, value, high = ends[key][1]
        shown = [np.exp(v) if key in log_space else v for v in (low, value, high)]
        values[key], intervals[key] = shown[1], np.stack([shown[0], shown[2]], axis=1)
    for finding in findings:
        if finding.key in logits:
            pair = logits[finding.key]
        elif finding.measure in ends:
            limit = math.log(finding.below) if finding.measure in log_space else finding.below
            chances = [probability_below(*e, limit, level) for e in ends[finding.measure]]
            pair = tuple(_logit(p) for p in chances)
        else:
            continue
        outcome = _complete(calibration.outcomes[finding.measure])
        known = ~np.isnan(outcome).any(1)
        try:
            slope, offset = fit_platt(pair[0][known], outcome[known] < finding.below)
            scaled = [apply_platt(z, slope, offset) for z in pair]
            limit = best_threshold(scaled[0][known], outcome[known], finding.below)
        except EchoingError:  # nobody to calibrate on: ranks can still be told
            probabilities[finding.key] = apply_platt(pair[1], 1.0, 0.0)
            continue
        probabilities[finding.key], thresholds[finding.key] = scaled[1], limit
    return Estimates(name, values, intervals, probabilities, thresholds, uncertainty, level)


def _complete(outcome: Array) -> Array:
    """All draws if every known row has all of them, else each row's first known outcome."""
    known = ~np.isnan(outcome)
    if (known.all(1) == known.any(1)).all():
        return outcome
    return outcome[np.arange(len(outcome)), known.argmax(1)][:, None]


def _logit(p: Array) -> Array:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))
