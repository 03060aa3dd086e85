"""Curves of a report: ROC, calibration, risk over coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluation import resampling as rs
from training.evaluation.report_data import Curve

Array = NDArray[np.float64]
N_BINS = 10
MOST_POINTS = 200
COVERAGES = np.linspace(0.05, 1.0, 20)


def roc(estimator: str, target: str, score: Array, positive: Array, negative: Array) -> Curve:
    """Draw true over false positive rate, thinned for drawing."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.r_[score[order][1:] != score[order][:-1], True])
    up = np.r_[0.0, np.cumsum(positive[order])[last] / positive.sum()]
    across = np.r_[0.0, np.cumsum(negative[order])[last] / negative.sum()]
    thin = np.unique(np.linspace(0, len(up) - 1, MOST_POINTS).round().astype(int))
    return Curve(estimator, target, "roc", across[thin].tolist(), up[thin].tolist())


def calibration_curve(
    resamples: rs.Resamples,
    estimator: str,
    target: str,
    rows: NDArray[np.intp],
    probability: Array,
    positive: Array,
    negative: Array,
) -> Curve:
    """Observed share over mean probability, in bins of equal size; equal values share a bin."""
    order = np.argsort(probability, kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    _, same = np.unique(probability, return_inverse=True)
    middle = np.bincount(same, ranks) / np.bincount(same)
    place = np.minimum((middle[same] / len(rows) * N_BINS).astype(int), N_BINS - 1)
    total = positive + negative
    member = place[:, None] == np.unique(place)
    found = resamples.replicate(rs.ratio(positive[:, None] * member, total[:, None] * member), rows)
    expected = (probability * total) @ member / (total @ member)
    return _curve(estimator, target, "calibration", expected, found)


def risk_coverage(
    resamples: rs.Resamples,
    estimator: str,
    target: str,
    rows: NDArray[np.intp],
    uncertainty: Array,
    loss: Array,
    mass: Array,
) -> Curve:
    """Mean loss of the most certain part over that part's share; loss is times mass."""
    order = np.argsort(uncertainty, kind="stable")
    share = np.cumsum(mass[order]) / mass.sum()
    last = np.searchsorted(share, COVERAGES - 1e-12)
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    accepted = place[:, None] <= last
    found = resamples.replicate(rs.ratio(loss[:, None] * accepted, mass[:, None] * accepted), rows)
    return _curve(estimator, target, "risk_coverage", COVERAGES, found)


def uncertainty_bins(estimator: str, target: str, found: Array) -> Curve:
    """Mean loss or accuracy in bins of rising uncertainty, from replicates, (R, bins)."""
    numbers = np.arange(1.0, found.shape[1] + 1)
    return _curve(estimator, target, "uncertainty_bins", numbers, found)


def _curve(estimator: str, target: str, kind: str, x: Array, replicates: Array) -> Curve:
    low, high = zip(*(rs.interval(column) for column in replicates.T), strict=True)
    return Curve(estimator, target, kind, x.tolist(), replicates[0].tolist(), list(low), list(high))
