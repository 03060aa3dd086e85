"""How a measure's estimates fared in patients whom the network was not trained on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from model_core.measures import MEASURES


@dataclass(frozen=True, slots=True)
class Validation:
    """What one measure looked like in patients whom the network was not trained on.

    Attributes
    ----------
    key
        Measure.
    edges, counts
        Histogram of the estimates of the calibration patients, edges in the measure's unit; the
        first and the last bin hold what lies beyond them, too.
    n_test
        Test patients whose outcome is known.
    held, core_held
        Share of them whose outcome lay in the interval, and in its core: value and 95 %
        confidence interval, 0 to 1; all 0 where there is no core.
    """

    key: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    n_test: int
    held: tuple[float, float, float]
    core_held: tuple[float, float, float]

    def __post_init__(self) -> None:
        if (
            self.key not in MEASURES
            or len(self.edges) != len(self.counts) + 1
            or min(self.counts, default=-1) < 0
            or any(late <= early for early, late in itertools.pairwise(self.edges))
            or self.n_test < 0
            or not all(0 <= share <= 1 for share in (*self.held, *self.core_held))
        ):
            raise ValueError(f"not what validation can have found: {self.key!r}")

    @property
    def n_calibration(self) -> int:
        """Calibration patients in the histogram."""
        return sum(self.counts)

    def share_below(self, value: float) -> float:
        """Share of the calibration patients whose estimate was lower, 0 to 1.

        Within a bin the estimates are taken to lie evenly.

        Examples
        --------
        >>> found = Validation("lvef", (10.0, 40.0, 80.0), (1, 3), 0, (0, 0, 0), (0, 0, 0))
        >>> found.share_below(60.0)
        0.625
        """
        below = 0.0
        for start, end, count in zip(self.edges, self.edges[1:], self.counts, strict=False):
            below += count * min(max((value - start) / (end - start), 0.0), 1.0)
        return below / max(self.n_calibration, 1)
