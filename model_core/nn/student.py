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
    """

    embedding_dim: int
    row_names: tuple[str, ...]
    n_segments: int
    edges_s: tuple[float, ...] = ()

    @abc.abstractmethod
    def forward(self, ecg_bls: Tensor, keep_bl: Tensor | None = None) -> StudentOutput:
        """Embed standardised ECGs.

        Parameters
        ----------
        ecg_bls
            As `model_core.preprocess.prepare` gives it.
        keep_bl
            False where a lead is missing; all present by default.
        """
