"""Patient bootstrap of many figures at once: a resample is a row of weights, a figure a function.

A statistic is a function of weights, (R, rows), that gives (R,) values or (R, k) tables. Every
statistic is given the same resamples, so that differences between two of them are paired.

Masses: a row's weight in a figure. A row with several drawn outcomes can hold 0.25 of a positive
and 0.75 of a negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Array], Array]

# Weights handled at a time: they stay in a processor's cache.
CHUNK = 400_000


@dataclass(frozen=True)
class Resamples:
    """Resamples of patients; the first is the sample itself.

    Attributes
    ----------
    counts
        (R + 1, patients), how often each patient was drawn.
    patient
        (rows,), each row's column in `counts`.
    """

    counts: NDArray[np.uint16]
    patient: NDArray[np.intp]

    def replicate(self, statistic: Statistic, rows: NDArray[np.intp]) -> Array:
        """Value of a statistic of some rows in each resample, (R + 1, ...); the first is it."""
        return self.replicate_all({"": statistic}, rows)[""]

    def replicate_all(
        self, statistics: Mapping[str, Statistic], rows: NDArray[np.intp]
    ) -> dict[str, Array]:
        """Values of several statistics of the same rows, faster than one after the other."""
        columns = self.patient[rows]
        step = max(1, CHUNK // max(1, len(rows)))
        parts: dict[str, list[Array]] = {name: [] for name in statistics}
        with np.errstate(invalid="ignore", divide="ignore"):
            for start in range(0, len(self.counts), step):
                w = self.counts[start : start + step][:, columns].astype(np.float64)
                for name, statistic in statistics.items():
                    parts[name].append(statistic(w))
        return {name: np.concatenate(found) for name, found in parts.items()}


def resample(patient: NDArray[Any], n_resamples: int, seed: int) -> Resamples:
    """Draw patients with replacement (Efron and Tibshirani, 1993), all rows of one together.

    Parameters
    ----------
    patient
        (rows,), whose row it is.
    n_resamples
        R.
    seed
        Of the draws.
    """
    _, column = np.unique(patient, return_inverse=True)
    n = int(column.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    counts = np.ones((n_resamples + 1, n), np.uint16)
    for row in counts[1:]:
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    return Resamples(counts, column)


def interval(replicates: Array) -> tuple[float, float]:
    """95 % percentile interval of a figure; NaN where it is undefined in most resamples."""
    known = replicates[1:][np.isfinite(replicates[1:])]
    if 2 * len(known) <= len(replicates) - 1:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def two_sided_p(difference: Array) -> float:
    """Two-sided p of "no difference", from the share of resamples on either side of zero.

    Davison and Hinkley, "Bootstrap methods and their application", 1997, with one added to
    numerator and denominator: never zero.
    """
    known = difference[1:][np.isfinite(difference[1:])]
    below, above = int((known <= 0).sum()), int((known >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(known) + 1))


def ratio(top: Array, bottom: Array) -> Statistic:
    """Weighted sum of one over that of the other: every mean, share and rate.

    Two tables, (rows, k), give (R, k) values.
    """
    return lambda w: (w @ top) / (w @ bottom)


def balanced_accuracy(called: NDArray[np.bool_], positive: Array, negative: Array) -> Statistic:
    """Mean of sensitivity and specificity."""
    sensitivity = ratio(positive * called, positive)
    specificity = ratio(negative * ~called, negative)
    return lambda w: (sensitivity(w) + specificity(w)) / 2


def _sorted_groups(
    score: Array, *, descending: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order of the scores, and where each run of equal ones starts."""
    order = np.argsort(-score if descending else score, kind="stable")
    values = score[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else order
    return order, starts


def _grouped(table: Array, starts: NDArray[np.intp]) -> Array:
    return table if len(starts) == table.shape[1] else np.add.reduceat(table, starts, axis=1)


def auroc(score: Array, positive: Array, negative: Array) -> Statistic:
    """Area under the ROC curve by the rank sum; ties count half.

    Hanley and McNeil, Radiology 1982;143:29.
    """
    order, starts = _sorted_groups(score)

    def statistic(w: Array) -> Array:
        w = w[:, order]
        ups = _grouped(w * positive[order], starts)
        downs = _grouped(w * negative[order], starts)
        won = ups * (np.cumsum(downs, axis=1) - downs / 2)
        return won.sum(1) / (ups.sum(1) * downs.sum(1))

    return statistic


def average_precision(score: Array, positive: Array, negative: Array) -> Statistic:
    """Area under the precision-recall curve by steps, without interpolation.

    Davis and Goadrich, ICML 2006, on why not to interpolate.
    """
    order, starts = _sorted_groups(score, descending=True)

    def statistic(w: Array) -> Array:
        w = w[:, order]
        ups = _grouped(w * positive[order], starts)
        downs = _grouped(w * negative[order], starts)
        called = np.cumsum(ups, axis=1)
        everyone = called + np.cumsum(downs, axis=1)
        precision = np.divide(called, everyone, out=np.zeros_like(called), where=everyone > 0)
        return (ups * precision).sum(1) / ups.sum(1)

    return statistic


def selective_risk(uncertainty: Array, loss: Array, mass: Array) -> Statistic:
    """AURC: mean over coverages of the mean loss of the most certain part.

    Geifman, Uziel, El-Yaniv, ICLR 2019 (arXiv 1805.08206). Rows of equal uncertainty are accepted
    together.

    Parameters
    ----------
    uncertainty
        (rows,), larger is less certain.
    loss
        (rows,), loss times mass.
    mass
        (rows,).
    """
    order, starts = _sorted_groups(uncertainty)

    def statistic(w: Array) -> Array:
        w = w[:, order]
        masses = _grouped(w * mass[order], starts)
        losses = np.cumsum(_grouped(w * loss[order], starts), axis=1)
        accepted = np.cumsum(masses, axis=1)
        risk = np.divide(losses, accepted, out=np.zeros_like(losses), where=accepted > 0)
        return (masses * risk).sum(1) / masses.sum(1)

    return statistic


def generalised_risk(uncertainty: Array, loss: Array, mass: Array) -> Statistic:
    """AUGRC: as AURC, but the losses of the accepted part are divided by everyone's mass.

    Traub et al., NeurIPS 2024 (arXiv 2407.01032).
    """
    order, starts = _sorted_groups(uncertainty)

    def statistic(w: Array) -> Array:
        w = w[:, order]
        masses = _grouped(w * mass[order], starts)
        losses = np.cumsum(_grouped(w * loss[order], starts), axis=1)
        return (masses * losses).sum(1) / masses.sum(1) ** 2

    return statistic


def spearman(a: Array, b: Array, mass: Array) -> Statistic:
    """Rank correlation; equal values share their mean rank."""

    def ranks(w: Array, order: NDArray[np.intp], starts: NDArray[np.intp]) -> Array:
        grouped = _grouped(w[:, order], starts)
        middle = np.cumsum(grouped, axis=1) - grouped / 2
        sizes = np.diff(np.r_[starts, len(order)])
        found = np.empty_like(w)
        found[:, order] = np.repeat(middle, sizes, axis=1)
        return found

    order_a, order_b = _sorted_groups(a), _sorted_groups(b)

    def statistic(w: Array) -> Array:
        w = w * mass
        w = w / w.sum(1, keepdims=True)
        x, y = ranks(w, *order_a), ranks(w, *order_b)
        x -= (w * x).sum(1, keepdims=True)
        y -= (w * y).sum(1, keepdims=True)
        return (w * x * y).sum(1) / np.sqrt((w * x**2).sum(1) * (w * y**2).sum(1))

    return statistic


def trend(table: Array) -> Array:
    """Pearson correlation of a figure of each bin with the bin's number, (R,) of (R, bins).

    Chun, PCME++, ICLR 2024 (arXiv 2305.18171), over ten bins of uncertainty.
    """
    x = np.arange(table.shape[1]) - (table.shape[1] - 1) / 2
    y = table - table.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (y @ x) / np.sqrt((x**2).sum() * (y**2).sum(1))
