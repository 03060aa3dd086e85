"""Heads on a Gaussian embedding: quantiles of measures, and logits of findings.

Shapes: B items, D embedding dimensions, M measures, F findings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class HeadOutput(NamedTuple):
    """Raw estimates.

    Attributes
    ----------
    quantiles_bm3
        Lower end, median and upper end, in each measure's output space (its unit or its natural
        logarithm); never crossing.
    finding_logits_bf
        Logits of the findings.
    """

    quantiles_bm3: Tensor
    finding_logits_bf: Tensor


class MeasureHeads(nn.Module):
    """One hidden layer on mean and log variance.

    Parameters
    ----------
    embedding_dim
        D.
    centres, scales
        Median and spread of each measure over the training labels, in its output space.
    n_findings
        F.
    hidden
        Width.
    dropout
        Share of hidden units dropped in training.
    typical_log_var
        About where the student's log variances start; only centres the input.
    """

    centre_m: Tensor
    scale_m: Tensor

    def __init__(
        self,
        embedding_dim: int,
        centres: Sequence[float],
        scales: Sequence[float],
        n_findings: int,
        *,
        hidden: int = 96,
        dropout: float = 0.2,
        typical_log_var: float = -5.5,
    ) -> None:
        super().__init__()
        self.n_measures = len(centres)
        self.typical_log_var = typical_log_var
        self.register_buffer("centre_m", torch.tensor(list(centres), dtype=torch.float32))
        self.register_buffer("scale_m", torch.tensor(list(scales), dtype=torch.float32))
        self.hidden = nn.Sequential(
            nn.Linear(2 * embedding_dim, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.out = nn.Linear(hidden, 3 * self.n_measures + n_findings)

    @torch.no_grad()
    def move_medians(self, offset_m: Tensor, slope_m: Tensor) -> None:
        """Move every median q to ``offset + slope q``, (M,) each; intervals keep their widths."""
        rows = slice(1, 3 * self.n_measures, 3)
        bias_m = (offset_m + (slope_m - 1) * self.centre_m) / self.scale_m
        self.out.weight[rows] = slope_m[:, None] * self.out.weight[rows]
        self.out.bias[rows] = slope_m * self.out.bias[rows] + bias_m

    def forward(self, mean_bd: Tensor, log_var_bd: Tensor) -> HeadOutput:
        """Estimates from Gaussian embeddings."""
        # Unit vectors have elements of about 1 / sqrt(D): brought to the scale of the rest.
        scaled_bd = mean_bd * math.sqrt(mean_bd.shape[1])
        features = torch.cat([scaled_bd, log_var_bd - self.typical_log_var], dim=1)
        out = self.out(self.hidden(features))
        raw_bm3 = out[:, : 3 * self.n_measures].unflatten(1, (self.n_measures, 3))
        median_bm = raw_bm3[..., 1]
        # Ends as positive distances from the median, so the three can never cross.
        low_bm = median_bm - functional.softplus(raw_bm3[..., 0] + 1.0)
        high_bm = median_bm + functional.softplus(raw_bm3[..., 2] + 1.0)
        standard_bm3 = torch.stack([low_bm, median_bm, high_bm], dim=2)
        quantiles_bm3 = self.centre_m[:, None] + self.scale_m[:, None] * standard_bm3
        return HeadOutput(quantiles_bm3, out[:, 3 * self.n_measures :])
