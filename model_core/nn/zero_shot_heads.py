"""Heads without training: prompts as constants, so that zero-shot reading runs in the graph.

Shapes: B items, D embedding dimensions, P prompts of a measure, M measures, F findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from model_core.nn.heads import HeadOutput

_TOP_PART = 0.2


class PromptGaussians(NamedTuple):
    """Distributions of prompts: `mean_pd` and `log_var_pd`."""

    mean_pd: Tensor
    log_var_pd: Tensor


class SweepPrompts(NamedTuple):
    """Prompts that state `values_p`, in the measure's output space (its unit or its logarithm)."""

    prompts: PromptGaussians
    values_p: Tensor


class PairPrompts(NamedTuple):
    """Prompts for and against a finding."""

    positive: PromptGaussians
    negative: PromptGaussians


class _Nearness(nn.Module):
    """Order of the prompts by falling sampled distance (PCME++ equation 2), without cancellation.

    ||m - p||^2 + sum(var) differs between prompts by -2 m (p - p') + ||p||^2 - ||p'||^2 + var -
    var' only. What all prompts share is taken off in float64 beforehand, so that float32 keeps the
    small differences between sentences that hardly differ.
    """

    prompts_dp: Tensor
    offset_p: Tensor

    def __init__(self, prompts: PromptGaussians) -> None:
        super().__init__()
        mean_pd = prompts.mean_pd.double()
        offset_p = _offset(prompts)
        self.register_buffer("prompts_dp", (2 * (mean_pd - mean_pd.mean(0))).T.float())
        self.register_buffer("offset_p", (offset_p - offset_p.mean()).float())

    def forward(self, mean_bd: Tensor) -> Tensor:
        return mean_bd @ self.prompts_dp - self.offset_p


class _Sweep(nn.Module):
    """Median of the values of the nearest fifth, as `model_core.zero_shot.sweep_value`."""

    values_p: Tensor

    def __init__(self, sweep: SweepPrompts) -> None:
        super().__init__()
        self.nearness = _Nearness(sweep.prompts)
        self.register_buffer("values_p", sweep.values_p.float())
        self.n_top = int(_TOP_PART * len(sweep.values_p))
        if self.n_top < 1:
            raise ValueError("a sweep needs at least five prompts")

    def forward(self, mean_bd: Tensor) -> Tensor:
        nearest = self.nearness(mean_bd).topk(self.n_top, dim=1).indices
        return self.values_p[nearest].sort(dim=1).values[:, (self.n_top - 1) // 2]

    def margin(self, mean_bd: Tensor) -> Tensor:
        """Gap between the last prompt of the nearest fifth and the next, by the prompts' spread.

        (B,); near 0 rounding may decide which prompts are read.
        """
        nearness = self.nearness(mean_bd)
        ranked = nearness.sort(dim=1, descending=True).values
        gap = ranked[:, self.n_top - 1] - ranked[:, self.n_top]
        return gap / nearness.std(dim=1)


class ZeroShotHeads(nn.Module):
    """Estimates by distance to prompts; the same input and output as `MeasureHeads`.

    Prompts give one value and no spread: lower end, median and upper end are equal, and only
    calibration makes an interval of them. A finding's logit is the mean distance of the prompts
    against it less that of the prompts for it; it, too, is raw.

    Parameters
    ----------
    sweeps
        Of each measure, in the order of the manifest; at least one.
    pairs
        Of each finding, in the order of the manifest.
    """

    pair_df: Tensor
    pair_offset_f: Tensor

    def __init__(self, sweeps: Sequence[SweepPrompts], pairs: Sequence[PairPrompts]) -> None:
        super().__init__()
        self.sweeps = nn.ModuleList(_Sweep(sweep) for sweep in sweeps)
        dim = sweeps[0].prompts.mean_pd.shape[1]
        towards = [
            2 * (pair.positive.mean_pd.double().mean(0) - pair.negative.mean_pd.double().mean(0))
            for pair in pairs
        ]
        offsets = [_offset(pair.negative).mean() - _offset(pair.positive).mean() for pair in pairs]
        self.register_buffer(
            "pair_df", torch.stack(towards, dim=1).float() if pairs else torch.zeros(dim, 0)
        )
        self.register_buffer("pair_offset_f", torch.tensor([float(offset) for offset in offsets]))

    def forward(self, mean_bd: Tensor, log_var_bd: Tensor) -> HeadOutput:
        """Estimates from Gaussian embeddings.

        The ECG's own variance adds the same to the distance of every prompt: it changes neither
        order nor difference.
        """
        del log_var_bd
        values_bm = torch.stack([sweep(mean_bd) for sweep in self.sweeps], dim=1)
        logits_bf = mean_bd @ self.pair_df + self.pair_offset_f
        return HeadOutput(values_bm[:, :, None].expand(-1, -1, 3), logits_bf)

    def margin(self, mean_bd: Tensor) -> Tensor:
        """Smallest relative gap at the edge of the nearest fifth over the measures: (B,).

        Below some 1e-4 another computer's rounding may choose another prompt.
        """
        margins = [cast("_Sweep", sweep).margin(mean_bd) for sweep in self.sweeps]
        return torch.stack(margins, dim=1).amin(1)


def _offset(prompts: PromptGaussians) -> Tensor:
    mean_pd, log_var_pd = prompts.mean_pd.double(), prompts.log_var_pd.double()
    return mean_pd.square().sum(1) + log_var_pd.exp().sum(1)
