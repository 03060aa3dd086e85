"""What a model says of an ECG when parts of it are hidden: for looking into it, never a result.

Shapes: L leads, T segments, R rows of the segment variance map (L, or 1 for all leads together).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from model_core.types import FindingProbability, FloatArray, MeasureEstimate

BoolArray = NDArray[np.bool_]
EMBEDDING = "embedding"


class Masking(Enum):
    """How a part is hidden from the network.

    `MISSING`: declared missing; its tokens have infinite variance and nothing is built on them.
    `FLAT`: replaced by a flat line at the mean of the training ECGs, about 0 mV after the filter.
    A network that cannot be told what is missing may take that for a clean signal.
    """

    MISSING = "missing"
    FLAT = "flat"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network says of one input; checks that make it a result were not made.

    Attributes
    ----------
    estimates, findings
        As in a prediction; empty where `fault` says why.
    embedding_variance
        Mean variance over embedding dimensions, dimensionless.
    segment_variance
        (R, T), dimensionless; NaN where hidden.
    fault
        Why the numbers cannot be true, as a sentence; empty if they can.
    """

    estimates: tuple[MeasureEstimate, ...]
    findings: tuple[FindingProbability, ...]
    embedding_variance: float
    segment_variance: FloatArray
    fault: str = ""

    def value_of(self, quantity: str) -> float:
        """Value of a measure by its key, or the variance of the `EMBEDDING`; NaN without one."""
        if quantity == EMBEDDING:
            return self.embedding_variance
        return next((each.value for each in self.estimates if each.key == quantity), float("nan"))


@dataclass(frozen=True, slots=True, eq=False)
class OcclusionMap:
    """What the model says with one cell after the other hidden.

    Attributes
    ----------
    lead_names, edges_s
        Rows, and borders of the cells in seconds of the recording; one cell a lead where the
        package does not tell leads apart.
    whole
        The answer with nothing hidden.
    values
        By quantity (`EMBEDDING` or the key of a measure), (L, cells); NaN where not asked yet.
    masking
        How cells were hidden.
    """

    lead_names: tuple[str, ...]
    edges_s: NDArray[np.float64]
    whole: Answer
    values: dict[str, NDArray[np.float64]]
    masking: Masking

    @property
    def share_done(self) -> float:
        """Share of the cells that were asked about."""
        return float(np.isfinite(self.values[EMBEDDING]).mean())

    def change(self, quantity: str) -> NDArray[np.float64]:
        """How a quantity changes when each cell is hidden.

        Of a measure, the difference in its unit; of the `EMBEDDING`, the change of its variance in
        per cent of the whole.
        """
        whole = self.whole.value_of(quantity)
        difference = self.values[quantity] - whole
        return 100 * difference / whole if quantity == EMBEDDING else difference


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Rank correlation of two maps, over the cells that both have.

    Parameters
    ----------
    first, second
        Of one shape; NaN where there is no number.

    Returns
    -------
    float
        -1 to 1; NaN with fewer than three cells, or where one map is the same everywhere.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 9.0, np.nan]), np.array([3.0, 2.0, 1.0, 0.0]))
    -1.0
    """
    both = np.isfinite(first) & np.isfinite(second)
    ranks = [_ranks(np.asarray(values[both], dtype=np.float64)) for values in (first, second)]
    if both.sum() < 3 or any(np.ptp(each) == 0 for each in ranks):
        return float("nan")
    x, y = (each - each.mean() for each in ranks)
    return round(float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())), 12)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return (last - (counts - 1) / 2)[inverse]
