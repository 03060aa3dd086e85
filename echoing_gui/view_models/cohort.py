"""What a work list says of itself and of its labels: a map of embeddings, errors, risk-coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Mean error of the most certain share of recordings, for each share.

    Attributes
    ----------
    coverage, risk
        Share of recordings kept, 0 to 1, rising, and their mean absolute error.
    aurc
        Area under the curve: the mean of `risk` over all shares, in the measure's unit.
    mae
        Mean absolute error of all of them.
    n
        Recordings with both an estimate and a label.
    """

    coverage: Array
    risk: Array
    aurc: float
    mae: float
    n: int


def risk_coverage(error: Array, uncertainty: Array) -> RiskCoverage:
    """Make the risk-coverage curve; recordings of equal uncertainty are kept or left together.

    Parameters
    ----------
    error
        Absolute error of each recording, (n,), n at least 1.
    uncertainty
        Of each, (n,): the lower, the earlier kept.

    Examples
    --------
    >>> curve = risk_coverage(np.array([1.0, 3.0]), np.array([0.1, 0.2]))
    >>> curve.risk.tolist(), curve.aurc, curve.mae
    ([1.0, 2.0], 1.5, 2.0)
    """
    order = np.argsort(uncertainty, kind="stable")
    ranked = uncertainty[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    n_kept = last + 1
    risk = np.cumsum(error[order])[last] / n_kept
    aurc = float((risk * np.diff(n_kept, prepend=0)).sum() / len(error))
    return RiskCoverage(
        coverage=n_kept / len(error),
        risk=risk,
        aurc=aurc,
        mae=float(error.mean()),
        n=len(error),
    )


def auroc(score: Array, positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve; equal scores count half. None where all are of one kind.

    Examples
    --------
    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    _, same, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    ranks = middle[same]
    wins = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingMap:
    """Embeddings on the two axes along which they vary most.

    Attributes
    ----------
    places
        (n, 2), in the units of the embedding.
    shares
        Of the variance, that lies along each axis.
    """

    places: Array
    shares: tuple[float, float]


def embedding_map(vectors: Array) -> EmbeddingMap:
    """Project embeddings on their first two principal components.

    Parameters
    ----------
    vectors
        (n, dimensions), n at least 3.
    """
    centred = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    # The sign is arbitrary; this one is the same each time.
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    power = sizes**2
    shares = power[:2] / power.sum() if power.sum() else np.zeros(2)
    return EmbeddingMap(
        centred @ (axes[:2] * signs[:, None]).T, (float(shares[0]), float(shares[1]))
    )
