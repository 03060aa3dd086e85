"""The `lead_token` student: a Gaussian token for each lead and time segment.

Shapes: B items, L leads, S samples, T segments, N = L T tokens, W width, H heads, D embedding.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_core.leads import STANDARD_LEADS
from model_core.nn.gaussian import product_of_experts, segment_log_variance
from model_core.nn.registry import register_student
from model_core.nn.student import Student, StudentOutput

# A clean patch's gate is 0; from here on, more noise makes no difference.
GATE_MAX = 8.0
# 0.5 s at 100 Hz, and what a patch sees of its neighbours on each side.
SEGMENT_SAMPLES = 50
OVERLAP_SAMPLES = 10
# Of what is absent: weighs nothing beside the rest, and is still a number where all is absent.
_NO_LOG_PRECISION = -1e4


class Patches(NamedTuple):
    """What is known of the patches before the transformer.

    Attributes
    ----------
    shape_bltw
        From the patch alone: no other lead or distant segment enters; its size is taken away.
    features_bltw
        The same with its size.
    gate_blt
        Added to the token's log variance; 0 (clean) to `GATE_MAX`.
    course_btw
        Of all leads together, segment by segment.
    """

    shape_bltw: Tensor
    features_bltw: Tensor
    gate_blt: Tensor
    course_btw: Tensor


def _cut(ecg_bls: Tensor, n_segments: int) -> Tensor:
    """Cut into segments: (B, L, T, samples)."""
    return ecg_bls.reshape(ecg_bls.shape[0], ecg_bls.shape[1], n_segments, SEGMENT_SAMPLES)


def _per_cell(keep: Tensor, n_segments: int) -> Tensor:
    """Say for each segment what is said of leads, or of segments already: (B, L, T)."""
    return keep if keep.ndim == 3 else keep[:, :, None].expand(-1, -1, n_segments)


class _PatchStem(nn.Module):
    """A patch of one lead, with a little of its neighbours, becomes one token; one for all leads.

    Matrix products on purpose: strided convolutions over 12 leads took 60 % of the training time.
    """

    def __init__(self, width: int, n_segments: int) -> None:
        super().__init__()
        self.n_segments = n_segments
        self.whole = nn.Linear(SEGMENT_SAMPLES + 2 * OVERLAP_SAMPLES, 2 * width)
        self.project = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, ecg_bls: Tensor) -> Tensor:
        patches = _cut(ecg_bls, self.n_segments)
        before = functional.pad(patches[:, :, :-1, -OVERLAP_SAMPLES:], (0, 0, 1, 0))
        after = functional.pad(patches[:, :, 1:, :OVERLAP_SAMPLES], (0, 0, 0, 1))
        wide = torch.cat([before, patches, after], dim=3)
        return self.norm(self.project(functional.gelu(self.whole(wide))))


class _Size(nn.Module):
    """The largest and smallest value of a patch, which layer normalisation takes away."""

    def __init__(self, width: int, n_segments: int) -> None:
        super().__init__()
        self.n_segments = n_segments
        self.extremes = nn.Linear(2, width)

    def forward(self, ecg_bls: Tensor) -> Tensor:
        patches = _cut(ecg_bls, self.n_segments)
        return self.extremes(torch.asinh(torch.stack([patches.amax(3), patches.amin(3)], dim=3)))


class _Convolution(nn.Module):
    """Convolution over time, normalised and rectified."""

    def __init__(self, inputs: int, outputs: int, size: int, step: int = 1) -> None:
        super().__init__()
        self.convolve = nn.Conv1d(inputs, outputs, size, stride=step, padding=size // 2)
        self.norm = nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.convolve(x)))


class _Course(nn.Module):
    """Convolutions over all leads together: rhythm, intervals, what one wave is in another lead.

    A patch of half a second cannot tell these, wherever its waves lie. Steps of 20, then 100 ms,
    then a segment, of which the mean and the largest value of each feature are kept.
    """

    def __init__(self, n_leads: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            _Convolution(n_leads, 48, 9, 2), _Convolution(48, 64, 5), _Convolution(64, 64, 5)
        )
        self.coarse = nn.ModuleList(_Convolution(64 * k, 128, 5) for k in (1, 2, 2))
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(256, outputs)

    def forward(self, ecg_bls: Tensor) -> Tensor:
        x: Tensor = self.fine(ecg_bls)
        x = x.reshape(x.shape[0], x.shape[1], -1, 5).amax(3)
        first, *others = self.coarse
        x = first(x)
        for layer in others:
            x = x + layer(x)
        parts = x.reshape(x.shape[0], x.shape[1], -1, SEGMENT_SAMPLES // 10)
        kept = torch.cat([parts.mean(3), parts.amax(3)], dim=1)
        return self.project(self.drop(kept.transpose(1, 2)))


class _Gate(nn.Module):
    """Quality of a patch from its shape and its amplitude statistics."""

    def __init__(self, width: int, n_segments: int) -> None:
        super().__init__()
        self.n_segments = n_segments
        first, last = nn.Linear(width + 2, 64), nn.Linear(64, 1)
        nn.init.constant_(last.bias, -1.0)  # near the clean end
        self.layers = nn.Sequential(first, nn.GELU(), last)

    def forward(self, ecg_bls: Tensor, shape_bltw: Tensor) -> Tensor:
        # Layer normalisation took the amplitude away: give size and roughness back.
        patches = _cut(ecg_bls, self.n_segments)
        size = patches.square().mean(3)
        rough = (patches[..., 1:] - patches[..., :-1]).square().mean(3)
        statistics = 0.5 * torch.log(torch.stack([size, rough], dim=3) + 1e-4)
        gate = self.layers(torch.cat([shape_bltw, statistics], dim=3)).squeeze(3)
        return functional.softplus(gate).clamp(max=GATE_MAX)


class _Block(nn.Module):
    """Pre-norm transformer block; keys are weighed by the precision of their patch."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens_bnw: Tensor, key_bias_b11n: Tensor) -> Tensor:
        qkv = self.qkv(self.norm_1(tokens_bnw)).unflatten(2, (3, self.n_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        # Written out: the fused operator does not export, and this is small.
        scores_bhnn = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + key_bias_b11n
        mixed = torch.softmax(scores_bhnn, dim=3) @ value
        tokens_bnw = tokens_bnw + self.project(mixed.transpose(1, 2).flatten(2))
        return tokens_bnw + self.mlp(self.norm_2(tokens_bnw))


class LeadTokenStudent(Student):
    """Patches become tokens, tokens learn what the others know, each names its own Gaussian.

    Leads are mixed per segment, by lead-specific projections weighed by the patches' precision;
    to that comes what convolutions over all leads see there; a transformer then exchanges the
    segments; the context goes back to every patch, and each lead-and-segment token states mean
    and variance. (Attention among all 240 tokens cost four times the time.) The gate is found
    from the raw patch before the mixing and is added to the token's log variance after it, so
    that mixing cannot wash a patch's own quality out. Tokens are pooled as a product of experts.
    A missing lead, or segment of a lead, has infinite variance and enters nothing.

    Parameters
    ----------
    n_leads, n_segments
        Geometry of the input; a segment is `SEGMENT_SAMPLES` samples.
    patch_width, width, n_blocks, n_heads
        Of the patches, and of the transformer over segments.
    embedding_dim
        D.
    pooled_log_var
        Log variance of the embedding of a clean ECG at the start. -5.5 at D = 128 keeps the
        summed variance near 0.5, where PCME++'s logits (shift and scale 5) are neither saturated
        nor all negative.
    course_dropout
        Share of what the convolutions saw that a training step leaves out. With any, several
        processes draw it differently than one, and no longer give its very loss.
    """

    takes_segments = True

    def __init__(
        self,
        *,
        n_leads: int = 12,
        n_segments: int = 20,
        patch_width: int = 64,
        width: int = 128,
        n_blocks: int = 3,
        n_heads: int = 4,
        embedding_dim: int = 128,
        pooled_log_var: float = -5.5,
        course_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.row_names = STANDARD_LEADS[:n_leads]
        self.n_segments = n_segments
        self.stem = _PatchStem(patch_width, n_segments)
        self.size = _Size(patch_width, n_segments)
        self.gate = _Gate(patch_width, n_segments)
        self.lead_projection = nn.Parameter(
            torch.randn(n_leads, patch_width, width) / math.sqrt(patch_width)
        )
        self.course = _Course(n_leads, width, course_dropout)
        self.time_position = nn.Parameter(0.02 * torch.randn(n_segments, width))
        self.blocks = nn.ModuleList(_Block(width, n_heads) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(width)
        self.context = nn.Linear(width, patch_width)
        self.lead_position = nn.Parameter(0.02 * torch.randn(n_leads, 1, patch_width))
        self.token_norm = nn.LayerNorm(patch_width)
        self.token = nn.Sequential(nn.Linear(patch_width, patch_width), nn.GELU())
        self.mean = nn.Linear(patch_width, embedding_dim)
        self.log_var = nn.Linear(patch_width, embedding_dim)
        nn.init.normal_(self.log_var.weight, std=0.01)
        # The product of n equal experts has 1 / n of their variance.
        nn.init.constant_(self.log_var.bias, pooled_log_var + math.log(n_leads * n_segments))

    def patches(self, ecg_bls: Tensor, keep: Tensor | None) -> Patches:
        """Local features and gate, and the course of the leads that are there."""
        shape = self.stem(ecg_bls)
        there_bls = ecg_bls
        if keep is not None:
            cells = _cut(ecg_bls, self.n_segments) * _per_cell(keep, self.n_segments)[..., None]
            there_bls = cells.flatten(2)
        gate, features = self.gate(ecg_bls, shape), shape + self.size(ecg_bls)
        return Patches(shape, features, gate, self.course(there_bls))

    def mix(self, patches: Patches, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens' means and log variances, (B, N, D); absent ones with infinite variance."""
        features_bltw, log_precision_blt = patches.features_bltw, -patches.gate_blt
        keep_blt = None if keep is None else _per_cell(keep, self.n_segments)
        if keep_blt is not None:
            log_precision_blt = log_precision_blt.masked_fill(~keep_blt, _NO_LOG_PRECISION)
        weight_blt = torch.softmax(log_precision_blt, dim=1)
        weighed_btx = (weight_blt[..., None] * features_bltw).transpose(1, 2).flatten(2)
        segments_btw = weighed_btx @ self.lead_projection.flatten(0, 1) + self.time_position
        segments_btw = segments_btw + patches.course_btw
        key_bias_bt = torch.logsumexp(log_precision_blt, dim=1)
        for block in self.blocks:
            segments_btw = block(segments_btw, key_bias_bt[:, None, None, :])
        context_b1tw = self.context(self.norm(segments_btw)).unsqueeze(1)
        tokens = self.token_norm(features_bltw + context_b1tw + self.lead_position)
        tokens_bnw = self.token(tokens.flatten(1, 2))
        # The lowest precision (log variance 12) is far below any that training meets.
        log_var_bnd = self.log_var(tokens_bnw) + patches.gate_blt.flatten(1)[:, :, None]
        log_var_bnd = log_var_bnd.clamp(-12.0, 12.0)
        if keep_blt is not None:
            log_var_bnd = log_var_bnd.masked_fill(~keep_blt.flatten(1)[:, :, None], torch.inf)
        return self.mean(tokens_bnw), log_var_bnd

    def pool(self, mean_bnd: Tensor, log_var_bnd: Tensor) -> StudentOutput:
        """Product of experts over all tokens, the mean brought to unit length."""
        mean_bd, log_var_bd = product_of_experts(mean_bnd, log_var_bnd)
        segments_bn = segment_log_variance(log_var_bnd)
        return StudentOutput(
            functional.normalize(mean_bd, dim=1),
            log_var_bd,
            segments_bn.unflatten(1, (len(self.row_names), self.n_segments)),
        )

    def forward(self, ecg_bls: Tensor, keep: Tensor | None = None) -> StudentOutput:
        """Embed standardised ECGs; see `Student.forward`."""
        return self.pool(*self.mix(self.patches(ecg_bls, keep), keep))


@register_student
def lead_token(**settings: int | float) -> LeadTokenStudent:
    """Build the default student; settings as in `LeadTokenStudent`."""
    return LeadTokenStudent(**settings)  # pyright: ignore[reportArgumentType]
