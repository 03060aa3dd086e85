"""Figures of merit, and their confidence intervals over patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimated:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def auroc(labels: NDArray[Any], scores: NDArray[Any]) -> float:
    """Area under the receiver operating characteristic; NaN if only one class occurs.

    By the rank sum (Hanley and McNeil, Radiology 1982;143:29); ties count half.

    Parameters
    ----------
    labels
        True or 1 for the class that should score high; any shape.
    scores
        Same shape.
    """
    positive = np.ravel(labels).astype(bool)
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    rank_sum = ranks(scores)[positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Rank correlation."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def bootstrap(
    figure: Callable[[NDArray[np.intp]], float],
    n_patients: int,
    n_resamples: int,
    rng: np.random.Generator,
) -> Estimated:
    """Percentile bootstrap over patients (Efron and Tibshirani, 1993).

    Parameters
    ----------
    figure
        Computes the figure from the numbers of the patients to use, repeats included.
    n_patients, n_resamples
        Patients, and how often they are resampled.
    rng
        Source of randomness.
    """
    value = figure(np.arange(n_patients))
    found = [figure(rng.integers(n_patients, size=n_patients)) for _ in range(n_resamples)]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Estimated(value, float(low), float(high))
