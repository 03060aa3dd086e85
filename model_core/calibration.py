"""Making intervals and probabilities honest on patients that were not trained on. numpy only."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError

_Ends = TypeVar("_Ends", float, NDArray[np.float64])

# Coverage of the narrow interval that is shown within the wide one.
CORE_LEVEL = 0.5


def conformal_quantile(scores: NDArray[Any], level: float) -> float:
    """Split-conformal threshold: the ``ceil((n + 1) level)``-th smallest of n scores.

    Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", 2005. With k scores a
    patient each weighs ``1 / k``, and n still counts patients: the threshold is the smallest score
    at which the weight reaches ``ceil((n + 1) level)``.

    Parameters
    ----------
    scores
        Nonconformity, (n,) or (patients, draws); larger is stranger.
    level
        Wanted coverage, between 0 and 1.

    Returns
    -------
    float
        Threshold in the unit of the scores.

    Raises
    ------
    EchoingError
        If there are too few patients for that level.
    """
    table = np.asarray(scores, dtype=np.float64)
    n_patients = len(table)
    rank = math.ceil((n_patients + 1) * level - 1e-9)
    if rank > n_patients:
        needed = math.ceil(level / (1.0 - level) - 1e-9)
        raise EchoingError(
            f"{n_patients} calibration patients are too few for {100 * level:g} % intervals.",
            hint=f"At least {needed} are needed.",
            code="too_few_calibration_patients",
        )
    # The rank-th patient's weight is complete with the last of its k scores.
    scores_per_patient = table.size // n_patients
    return float(np.sort(table, axis=None)[rank * scores_per_patient - 1])


def fit_widening(
    low: NDArray[Any], high: NDArray[Any], observed: NDArray[Any], level: float
) -> float:
    """Conformalised quantile regression: how much a raw interval must grow at both ends.

    Romano, Patterson, Candes, NeurIPS 2019 (arXiv 1905.03222), score ``max(low - y, y - high)``.
    May be negative: then the raw interval was too wide.

    Parameters
    ----------
    low, high
        Raw interval of each patient, (n,).
    observed
        What was measured, (n,) or (n, draws).
    level
        Wanted coverage.

    Returns
    -------
    float
        Widening, in the unit of the inputs.
    """
    table = np.asarray(observed, dtype=np.float64).reshape(len(low), -1)
    scores = np.maximum(np.asarray(low)[:, None] - table, table - np.asarray(high)[:, None])
    return conformal_quantile(scores, level)


def apply_widening(
    quantiles: NDArray[Any], widening: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Value and calibrated interval from raw quantiles.

    A negative widening never turns the interval inside out: the ends stop at the median.

    Parameters
    ----------
    quantiles
        (..., 3): lower end, median, upper end.
    widening
        From `fit_widening`.

    Returns
    -------
    low, value, high
        (...), in the unit of the input.
    """
    raw = np.asarray(quantiles, dtype=np.float64)
    value = raw[..., 1]
    low = np.minimum(raw[..., 0] - widening, value)
    high = np.maximum(raw[..., 2] + widening, value)
    return low, value, high


def fit_core(
    low: NDArray[Any],
    value: NDArray[Any],
    high: NDArray[Any],
    observed: NDArray[Any],
    level: float = CORE_LEVEL,
) -> float:
    """How far a narrower interval reaches from the value towards the ends of the calibrated one.

    Split-conformal on ``|y - value|`` as a share of the way to the end on that side, so the core
    holds the wanted share of patients without quantiles of its own.

    Parameters
    ----------
    low, value, high
        Calibrated interval of each patient, (n,).
    observed
        What was measured, (n,) or (n, draws).
    level
        Wanted coverage of the core.

    Returns
    -------
    float
        Share of the way, at most 1; dimensionless.

    Examples
    --------
    >>> zero, one = np.zeros(9), np.ones(9)
    >>> round(fit_core(-one, zero, one, np.arange(1, 10) / 10), 9)
    0.5
    """
    table = np.asarray(observed, dtype=np.float64).reshape(len(low), -1)
    middle = np.asarray(value, dtype=np.float64)[:, None]
    below = middle - np.asarray(low, dtype=np.float64)[:, None]
    above = np.asarray(high, dtype=np.float64)[:, None] - middle
    way = np.maximum(np.where(table < middle, below, above), 1e-12)
    return min(conformal_quantile(np.abs(table - middle) / way, level), 1.0)


def apply_core(low: _Ends, value: _Ends, high: _Ends, share: float) -> tuple[_Ends, _Ends]:
    """Give the ends of the core of an interval, see `fit_core`; numbers or arrays."""
    return value - share * (value - low), value + share * (high - value)


def fit_platt(
    logits: NDArray[Any], observed: NDArray[Any], n_steps: int = 100
) -> tuple[float, float]:
    """Platt scaling by Newton's method: ``probability = sigmoid(slope * logit + offset)``.

    Platt, "Probabilistic outputs for support vector machines", 1999, with his softened targets
    ``(N+ + 1) / (N+ + 2)`` and ``1 / (N- + 2)``; N counts patients when each has several draws.

    Parameters
    ----------
    logits
        (n,).
    observed
        0 or 1, (n,) or (n, draws).
    n_steps
        Upper limit of Newton steps.

    Returns
    -------
    slope, offset
        Dimensionless.

    Raises
    ------
    EchoingError
        If only one of the two outcomes occurs.
    """
    share = np.asarray(observed, dtype=np.float64).reshape(len(logits), -1).mean(axis=1)
    n_positive = share.sum()
    n_negative = len(share) - n_positive
    if n_positive == 0 or n_negative == 0:
        raise EchoingError(
            "A probability cannot be calibrated: every calibration patient has the same outcome.",
            code="one_outcome_only",
        )
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    target = share * high + (1 - share) * low
    values = np.asarray(logits, dtype=np.float64)
    # Standardised and from the prevalence: there the curvature is never lost.
    centre, spread = values.mean(), max(float(values.std()), 1e-12)
    columns = [(values - centre) / spread, np.ones(len(values))]
    design: NDArray[np.float64] = np.stack(columns, axis=1)
    prevalence = float(target.mean())
    weights: NDArray[np.float64] = np.array([0.0, math.log(prevalence / (1 - prevalence))])
    loss = _cross_entropy(design @ weights, target)
    for _ in range(n_steps):
        probability = _sigmoid(design @ weights)
        curvature = probability * (1 - probability)
        hessian = design.T @ (design * curvature[:, None]) + 1e-10 * np.eye(2)
        gradient = design.T @ (probability - target)
        step = cast("NDArray[np.float64]", np.linalg.solve(hessian, gradient))
        while np.abs(step).max() > 1e-10:
            tried = _cross_entropy(design @ (weights - step), target)
            if tried <= loss:
                break
            step = step / 2
        weights = weights - step
        loss = _cross_entropy(design @ weights, target)
        if np.abs(step).max() <= 1e-10:
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * float(centre)


def _cross_entropy(logits: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    return float((np.logaddexp(0.0, logits) - target * logits).sum())


def apply_platt(logits: NDArray[Any], slope: float, offset: float) -> NDArray[np.float64]:
    """Calibrated probabilities, 0 to 1."""
    return _sigmoid(slope * np.asarray(logits, dtype=np.float64) + offset)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -values))
