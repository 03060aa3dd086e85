"""The published EchoingECG student: ECG encoder, probabilistic head, pooling over ranks.

Gao, Kim, McIntosh: EchoingECG, MICCAI 2025 (arXiv 2509.25791). Written from the description of
the network; parameter names are ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_core.errors import EchoingError
from model_core.nn.gaussian import segment_log_variance
from model_core.nn.registry import register_student
from model_core.nn.student import Student, StudentOutput

_Module = TypeVar("_Module", bound=nn.Module)

_STAGE_STRIDES = (1, 2, 2, 2)
NORM_FLOOR = 1e-8
_SOFTMAX_TEMPERATURE = 0.1


class GaussianEmbedding(NamedTuple):
    """A diagonal Gaussian of each input, and the tokens that its variance was pooled from.

    Attributes
    ----------
    mean
        (batch, embedding), unit length.
    log_var
        (batch, embedding), natural logarithm of the variance.
    token_log_var
        (batch, tokens, embedding), before pooling. A token of the ECG encoder sees nearly the
        whole recording (995 of 1000 samples), not only its own 16 samples.
    """

    mean: Tensor
    log_var: Tensor
    token_log_var: Tensor


@dataclass(frozen=True, slots=True)
class HeadGeometry:
    """Widths of a probabilistic head.

    Attributes
    ----------
    token_dim, embed_dim
        Width of the tokens that come in, and of the embedding.
    rank_dim, rank_hidden
        Width of the rank encoding, and of the recurrent layer that reads it.
    """

    token_dim: int
    embed_dim: int = 512
    rank_dim: int = 32
    rank_hidden: int = 32


@dataclass(frozen=True, slots=True)
class EcgGeometry:
    """Widths and depths of the ECG encoder; the defaults are those of the released weights.

    Attributes
    ----------
    n_leads
        Leads of the input.
    stem_width
        Channels after the first convolution.
    stage_widths, stage_blocks
        Channels and residual blocks of each of the four stages.
    head
        Of the probabilistic head on the last stage's tokens.
    """

    n_leads: int = 12
    stem_width: int = 96
    stage_widths: tuple[int, ...] = (192, 384, 768, 1536)
    stage_blocks: tuple[int, ...] = (3, 4, 23, 3)
    head: HeadGeometry = HeadGeometry(1536)


RELEASED_ECG = EcgGeometry()
TOKEN_SAMPLES = 2 * math.prod(_STAGE_STRIDES)


def rank_encoding(length: int, dim: int) -> Tensor:
    """Encode the ranks 0 to `length` - 1 by sines (even columns) and cosines (odd columns).

    The formula of Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.5.

    Parameters
    ----------
    length
        Number of ranks.
    dim
        Width of the code, even.

    Returns
    -------
    Tensor
        (length, dim), float32, within -1 and 1.
    """
    ranks = torch.arange(length, dtype=torch.float32)
    rates = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(1e4) / dim))
    angles = ranks[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class RankPooling(nn.Module):
    """Generalized pooling: a learnt weighting of each channel's values sorted in descending order.

    Chen et al., Learning the Best Pooling Strategy for Visual Semantic Embedding, CVPR 2021. The
    weights belong to ranks, not to tokens, and depend on nothing but the number of tokens.
    """

    def __init__(self, rank_dim: int, rank_hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(rank_dim, rank_hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(rank_hidden, 1, bias=False)

    def rank_weights(self, length: int) -> Tensor:
        """Return the weight of each of `length` ranks: (length,), positive, summing to 1."""
        ranks = rank_encoding(length, self.gru.input_size).to(self.score.weight)
        both_directions, _ = self.gru(ranks[None])
        hidden = both_directions.unflatten(-1, (2, -1)).mean(-2)
        scores: Tensor = self.score(hidden)[0, :, 0]
        return (scores / _SOFTMAX_TEMPERATURE).softmax(0)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool (batch, tokens, dim) to (batch, dim).

        `mask`, (batch, tokens), is true for the tokens that count; every row needs at least one.
        """
        channels = tokens.transpose(1, 2)
        if mask is None:
            weights = self.rank_weights(tokens.shape[1])[:, None]
        else:
            lowest = torch.finfo(tokens.dtype).min  # sorts last, and times its weight 0 is 0
            channels = channels.masked_fill(~mask[:, None], lowest)
            weights = self._padded_weights(mask)[:, :, None]
        return (channels.sort(dim=-1, descending=True).values @ weights)[..., 0]

    def _padded_weights(self, mask: Tensor) -> Tensor:
        lengths = [int(length) for length in mask.sum(1)]
        by_length = {
            length: functional.pad(self.rank_weights(length), (0, mask.shape[1] - length))
            for length in set(lengths)
        }
        return torch.stack([by_length[length] for length in lengths])


class _Branch(nn.Module):
    def __init__(self, geometry: HeadGeometry) -> None:
        super().__init__()
        self.project = nn.Linear(geometry.token_dim, geometry.embed_dim)
        self.pool = RankPooling(geometry.rank_dim, geometry.rank_hidden)


class GaussianHead(nn.Module):
    """Two like branches on the same tokens: one for the mean, one for the log variance."""

    def __init__(self, geometry: HeadGeometry) -> None:
        super().__init__()
        self.mean = _Branch(geometry)
        self.log_var = _Branch(geometry)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> GaussianEmbedding:
        """Turn tokens (batch, tokens, token_dim) into one Gaussian a row."""
        mean = self.mean.pool(self.mean.project(tokens), mask)
        token_log_var: Tensor = self.log_var.project(tokens)
        return GaussianEmbedding(
            functional.normalize(mean, dim=-1, eps=NORM_FLOOR),
            self.log_var.pool(token_log_var, mask),
            token_log_var,
        )


class _ResidualBlock(nn.Module):
    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(width_out)
        self.conv2 = nn.Conv1d(width_out, width_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm1d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv1d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm1d(width_out)
            )

    def forward(self, signal: Tensor) -> Tensor:
        hidden = self.norm1(self.conv1(signal)).relu()
        return (self.norm2(self.conv2(hidden)) + self.shortcut(signal)).relu()


class PublishedEcgEncoder(nn.Module):
    """ECG to Gaussian: a 1-D residual network, then the probabilistic head.

    One token for every 16 samples: 63 tokens of 160 ms for 1000 samples at 100 Hz.

    Parameters
    ----------
    geometry
        Widths and depths.
    """

    def __init__(self, geometry: EcgGeometry) -> None:
        super().__init__()
        stem = geometry.stem_width
        self.stem_conv = nn.Conv1d(geometry.n_leads, stem, 7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm1d(stem)
        stages: list[nn.Module] = []
        width_in = stem
        for width, n_blocks, stride in zip(
            geometry.stage_widths, geometry.stage_blocks, _STAGE_STRIDES, strict=True
        ):
            rest = (_ResidualBlock(width, width, 1) for _ in range(n_blocks - 1))
            stages.append(nn.Sequential(_ResidualBlock(width_in, width, stride), *rest))
            width_in = width
        self.stages = nn.Sequential(*stages)
        self.head = GaussianHead(geometry.head)

    def forward(self, ecg: Tensor) -> GaussianEmbedding:
        """Encode standardised ECG (batch, leads, samples), 100 Hz, each lead (mV - mean) / scale.

        Returns
        -------
        GaussianEmbedding
            One Gaussian a recording.
        """
        tokens = self.stages(self.stem_norm(self.stem_conv(ecg)).relu())
        return self.head(tokens.transpose(1, 2))


class PublishedStudent(Student):
    """The published ECG encoder as a student: its map has one row, for it tells no leads apart.

    Parameters
    ----------
    encoder
        With the weights to use.
    n_samples
        Length of the input.
    """

    def __init__(self, encoder: PublishedEcgEncoder, n_samples: int = 1000) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding_dim = encoder.head.mean.project.out_features
        self.row_names = ("all",)
        self.n_segments = math.ceil(n_samples / TOKEN_SAMPLES)
        self.edges_s = token_edges_s(n_samples)

    def forward(self, ecg_bls: Tensor, keep: Tensor | None = None) -> StudentOutput:
        """Embed standardised ECGs; a missing lead is given its mean, for the network knows none."""
        if keep is not None:
            ecg_bls = ecg_bls * keep[:, :, None]
        embedding: GaussianEmbedding = self.encoder(ecg_bls)
        segments = segment_log_variance(embedding.token_log_var)
        return StudentOutput(embedding.mean, embedding.log_var, segments[:, None])


def token_edges_s(n_samples: int = 1000, fs: float = 100.0) -> tuple[float, ...]:
    """Where in time the cells of the map lie, one a token.

    Every convolution is padded alike on both sides, so token k is centred on sample 16 k, and its
    cell reaches half a token to either side: the first is half as long as the others, and the last
    ends with the input.

    Parameters
    ----------
    n_samples, fs
        Length of the input, and its sampling frequency in Hz.

    Returns
    -------
    tuple of float
        One more than there are tokens, s.

    Examples
    --------
    >>> edges_s = token_edges_s()
    >>> edges_s[:3], edges_s[-2:], len(edges_s)
    ((0.0, 0.08, 0.24), (9.84, 10.0), 64)
    """
    n_tokens = math.ceil(n_samples / TOKEN_SAMPLES)
    inner = (TOKEN_SAMPLES * token - TOKEN_SAMPLES // 2 for token in range(1, n_tokens))
    return (0.0, *(sample / fs for sample in inner), n_samples / fs)


# Log variance per dimension at the start of a training. With 512 dimensions of -7.5 the summed
# variance is 0.28: below 1, above which PCME++'s first shift and scale let no pair match.
FIRST_LOG_VAR = -7.5


@register_student
def published(
    *, embedding_dim: int = 512, width: int = 96, third_stage_blocks: int = 23
) -> PublishedStudent:
    """Build the published student with fresh weights, to be trained.

    Parameters
    ----------
    embedding_dim
        D.
    width
        Channels after the first convolution; the stages have 2, 4, 8 and 16 times as many.
    third_stage_blocks
        Residual blocks of the deepest stage.
    """
    widths = (2 * width, 4 * width, 8 * width, 16 * width)
    head = HeadGeometry(widths[-1], embedding_dim)
    blocks = (3, 4, third_stage_blocks, 3)
    encoder = PublishedEcgEncoder(
        EcgGeometry(stem_width=width, stage_widths=widths, stage_blocks=blocks, head=head)
    )
    nn.init.constant_(encoder.head.log_var.project.bias, FIRST_LOG_VAR)
    return PublishedStudent(encoder)


def head_geometry(state: Mapping[str, Tensor]) -> HeadGeometry:
    """Read a head's widths off the shapes of its parameters, ``head.*`` in `state`.

    Raises
    ------
    EchoingError
        If a parameter that tells them is missing.
    """
    embed_dim, token_dim = shape_of(state, "head.mean.project.weight", 2)
    gates, rank_dim = shape_of(state, "head.mean.pool.gru.weight_ih_l0", 2)
    return HeadGeometry(token_dim, embed_dim, rank_dim, gates // 3)


def ecg_geometry(state: Mapping[str, Tensor]) -> EcgGeometry:
    """Read the ECG encoder's widths and depths off the shapes of its parameters.

    Parameters
    ----------
    state
        Parameters of a `PublishedEcgEncoder` by name.

    Raises
    ------
    EchoingError
        If a parameter that tells them is missing.
    """
    stem_width, n_leads, _ = shape_of(state, "stem_conv.weight", 3)
    matches = (re.match(r"stages\.(\d+)\.(\d+)\.conv1\.weight$", name) for name in state)
    places = [(int(match[1]), int(match[2])) for match in matches if match]
    stages = range(len(_STAGE_STRIDES))
    return EcgGeometry(
        n_leads,
        stem_width,
        tuple(shape_of(state, f"stages.{stage}.0.conv1.weight", 3)[0] for stage in stages),
        tuple(sum(place[0] == stage for place in places) for stage in stages),
        head_geometry(state),
    )


def published_ecg_encoder(state: Mapping[str, Tensor]) -> PublishedEcgEncoder:
    """Build the ECG encoder that `state` holds the parameters of, in evaluation mode.

    Parameters
    ----------
    state
        Parameters by our names.

    Raises
    ------
    EchoingError
        If names or shapes are not those of this network.
    """
    geometry = ecg_geometry(state)
    return build_from(lambda: PublishedEcgEncoder(geometry), state)


def shape_of(state: Mapping[str, Tensor], name: str, n_dims: int) -> tuple[int, ...]:
    """Return the shape of the parameter `name`.

    Raises
    ------
    EchoingError
        If it is missing or has not `n_dims` dimensions.
    """
    if name not in state or state[name].ndim != n_dims:
        raise _not_published(f"they lack {name}")
    return tuple(state[name].shape)


def build_from(build: Callable[[], _Module], state: Mapping[str, Tensor]) -> _Module:
    """Build a network and put `state` into it, whole and exact, in evaluation mode.

    Nothing is allocated before names and shapes are known to fit: a small file could otherwise ask
    for any amount of memory.

    Raises
    ------
    EchoingError
        If a parameter is missing, left over, of another shape or not finite.
    """
    try:
        with torch.device("meta"):
            expected = {name: values.shape for name, values in build().state_dict().items()}
    except (ValueError, RuntimeError) as error:  # widths that no network can have
        raise _not_published("their shapes contradict one another") from error
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise _not_published(f"they lack {name}")
        if name not in expected:
            raise _not_published(f"it has no {name}")
        if state[name].shape != expected[name]:
            raise _not_published(
                f"{name} has shape {tuple(state[name].shape)}, not {tuple(expected[name])}"
            )
        if not torch.isfinite(state[name]).all():
            raise EchoingError(
                f"The weights hold values that are not numbers, first in {name}.",
                code="not_finite_weights",
            )
    module = build()
    module.load_state_dict(state)
    return module.eval()


def _not_published(why: str) -> EchoingError:
    return EchoingError(
        f"The weights are not the published network's: {why}.", code="not_published_weights"
    )
