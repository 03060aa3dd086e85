"""What every student network takes and gives.

Shapes: B items, L leads, S samples, T time segments, R rows of the variance map, D embedding.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

from torch import Tensor, nn


class StudentOutput(NamedTuple):
    """A Gaussian embedding and the variance map of the segments it was pooled from.

    Attributes
    ----------
    mean_bd
        Unit vectors.
    log_var_bd
        Natural logarithm of the variance per dimension.
    segment_log_var_brt
        Natural logarithm of the mean variance over dimensions of each row and segment.
    """

    mean_bd: Tensor
    log_var_bd: Tensor
    segment_log_var_brt: Tensor


class Student(nn.Module, abc.ABC):
    """ECG network with a Gaussian embedding.

    Attributes
    ----------
    embedding_dim
        D.
    row_names
        Names of the R rows of the variance map.
    n_segments
        T.
    edges_s
        Where the segments begin and end, T + 1 times in s; empty where they are all alike.
    takes_segments
        Single segments can be declared missing, not only leads.
    """

    embedding_dim: int
    row_names: tuple[str, ...]
    n_segments: int
    edges_s: tuple[float, ...] = ()
    takes_segments: bool = False

    @abc.abstractmethod
    def forward(self, ecg_bls: Tensor, keep: Tensor | None = None) -> StudentOutput:
        """Embed standardised ECGs.

        Parameters
        ----------
        ecg_bls
            As `model_core.preprocess.prepare` gives it.
        keep
            (B, L), false where a lead is missing, or (B, L, T), false where a segment is, for a
            student that `takes_segments`; all present by default. Something must be present.
        """
