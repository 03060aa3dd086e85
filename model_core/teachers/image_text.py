"""A small image-text teacher: echo frames and report sentences in one space of unit vectors.

Shapes: B studies, F frames, X and Y pixels, W words, D embedding dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_core.tokens import split_words

# EchoingECG's floor, so that identical frames give a finite log variance.
VARIANCE_FLOOR = 1e-8
# A single frame shows a volume but not how it changes: the tower sees four phases of the beat.
SNIPPET_FRAMES = 4
_PAD, _UNKNOWN = 0, 1
_N_WAVES = 10


def build_vocabulary(texts: Iterable[str], numbers: Iterable[int]) -> tuple[str, ...]:
    """Distinct words of some texts plus whole numbers, sorted, after padding and unknown."""
    words = {word for text in texts for word in split_words(text)}
    words.update(str(number) for number in numbers)
    return ("<pad>", "<unknown>", *sorted(words))


def word_numbers(texts: Sequence[str], known: Mapping[str, int], max_words: int) -> Tensor:
    """Numbers of the words of some texts, (B, longest), padded with 0; at least one word each."""
    rows = [[known.get(word, _UNKNOWN) for word in split_words(text)] for text in texts]
    rows = [row[:max_words] or [_UNKNOWN] for row in rows]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [_PAD] * (longest - len(row)) for row in rows])


def _number_features(vocabulary: Sequence[str]) -> Tensor:
    """Waves over the value of each number word; neighbours in value are neighbours here."""
    features = torch.zeros(len(vocabulary), 2 * _N_WAVES + 2)
    frequency = math.pi / 500.0 * 1.8 ** torch.arange(_N_WAVES, dtype=torch.float32)
    for row, word in enumerate(vocabulary):
        if word.isdigit():
            value = float(word)
            waves = value * frequency
            ends = torch.tensor([value / 250.0 - 1.0, 1.0])
            features[row] = torch.cat([waves.sin(), waves.cos(), ends])
    return features


class FrameTower(nn.Module):
    """Convolutional network from one snippet, a few frames of one beat, to a unit vector."""

    def __init__(self, embedding_dim: int, channels: Sequence[int], size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = SNIPPET_FRAMES
        for number, width in enumerate(channels):
            kernel, padding = (5, 2) if number == 0 else (3, 1)
            layers += [
                nn.Conv2d(previous, width, kernel, stride=2, padding=padding, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            previous = width
            size = (size + 1) // 2
        # No pooling over place: where the walls are is what tells the volume.
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.project = nn.Sequential(
            nn.Linear(previous * size * size, 256), nn.ReLU(), nn.Linear(256, embedding_dim)
        )

    def forward(self, snippets_ncyx: Tensor) -> Tensor:
        """Embed snippets, scaled to about -1 to 1, as unit vectors, (N, D)."""
        return functional.normalize(self.project(self.layers(snippets_ncyx)), dim=1)


class TextTower(nn.Module):
    """Transformer over words from a sentence to a unit vector."""

    def __init__(
        self, vocabulary: Sequence[str], embedding_dim: int, width: int, n_blocks: int
    ) -> None:
        super().__init__()
        self.max_words = 48
        self.register_buffer("number_features", _number_features(vocabulary), persistent=False)
        self.number = nn.Linear(2 * _N_WAVES + 2, width, bias=False)
        self.word = nn.Embedding(len(vocabulary), width, padding_idx=_PAD)
        self.position = nn.Parameter(0.02 * torch.randn(self.max_words, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, n_blocks, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, embedding_dim)

    number_features: Tensor

    def forward(self, words_bw: Tensor) -> Tensor:
        """Embed rows of word numbers, padded with 0, as unit vectors, (B, D)."""
        return functional.normalize(self.project(self.pooled(words_bw)), dim=1)

    def pooled(self, words_bw: Tensor) -> Tensor:
        """Mean over the words of what the transformer makes of them, (B, width)."""
        absent_bw = words_bw == _PAD
        hidden = self.word(words_bw) + self.number(self.number_features[words_bw])
        hidden = hidden + self.position[: words_bw.shape[1]]
        hidden = self.blocks(hidden, src_key_padding_mask=absent_bw)
        present_bw1 = (~absent_bw).unsqueeze(2).float()
        return (self.norm(hidden) * present_bw1).sum(1) / present_bw1.sum(1)


class GaussianText(nn.Module):
    """A text tower as the network of a model package's text side: numbers of words to a Gaussian.

    Parameters
    ----------
    tower
        Gives the mean.
    log_var
        Gives the log variance, from what the tower pools; without it a sentence is a point, with
        the floor of a study's variance.
    """

    def __init__(self, tower: TextTower, log_var: nn.Linear | None = None) -> None:
        super().__init__()
        self.tower = tower
        self.log_var = log_var

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Means of unit length and log variances, (B, D) each, of sentences of W words each."""
        pooled = self.tower.pooled(token_ids)
        mean = functional.normalize(self.tower.project(pooled), dim=1)
        if self.log_var is None:
            return mean, torch.full_like(mean, math.log(VARIANCE_FLOOR))
        return mean, self.log_var(pooled)


class ImageTextTeacher(nn.Module):
    """Both towers; a study is the distribution of its frames.

    Parameters
    ----------
    vocabulary
        From `build_vocabulary`.
    frame_size
        Pixels along each side of a frame.
    embedding_dim
        D.
    channels, text_width, text_blocks
        Sizes of the towers.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        frame_size: int,
        embedding_dim: int = 128,
        channels: Sequence[int] = (16, 32, 64, 96),
        text_width: int = 128,
        text_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self._number_of_word = {word: number for number, word in enumerate(self.vocabulary)}
        self.embedding_dim = embedding_dim
        self.image = FrameTower(embedding_dim, channels, frame_size)
        self.text = TextTower(vocabulary, embedding_dim, text_width, text_blocks)

    def encode_frames(self, clips_bfyx: Tensor) -> Tensor:
        """Embed clips of one beat as unit vectors, (B, F, D): a snippet from each frame on."""
        starts = range(clips_bfyx.shape[1])
        return torch.stack([self.encode_snippet(clips_bfyx, start) for start in starts], dim=1)

    def encode_snippet(self, clips_bfyx: Tensor, start: int) -> Tensor:
        """Embed the snippet that starts at one frame of each clip as unit vectors, (B, D)."""
        n_frames = clips_bfyx.shape[1]
        step = n_frames // SNIPPET_FRAMES
        chosen = [(start + step * i) % n_frames for i in range(SNIPPET_FRAMES)]
        return self.image(clips_bfyx[:, chosen].float() / 64.0 - 1.0)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences as unit vectors, (B, D)."""
        words = word_numbers(texts, self._number_of_word, self.text.max_words)
        return self.text(words.to(self.text.position.device))


def study_distribution(frames_bfd: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussian of a study over its frames, as EchoingECG makes its teacher.

    Parameters
    ----------
    frames_bfd
        Unit vectors of frames.

    Returns
    -------
    mean_bd, log_var_bd
        Mean brought to unit length; logarithm of the population variance plus 1e-8.
    """
    mean_bd = functional.normalize(frames_bfd.mean(1), dim=1, eps=1e-8)
    variance_bd = frames_bfd.var(1, unbiased=False)
    return mean_bd, torch.log(variance_bd + VARIANCE_FLOOR)


class FrozenTeacher(nn.Module):
    """A teacher that nothing changes any more: no gradients, always in evaluation mode."""

    def __init__(self, teacher: ImageTextTeacher) -> None:
        super().__init__()
        self.teacher = teacher.requires_grad_(requires_grad=False)
        self.train(mode=False)

    def train(self, mode: bool = True) -> FrozenTeacher:  # noqa: ARG002 - frozen stays frozen
        """Stay in evaluation mode, whatever is asked."""
        super().train(mode=False)
        return self

    @torch.no_grad()
    def frames(self, clips_bfyx: Tensor) -> Tensor:
        """Embed uint8 frames as unit vectors, (B, F, D)."""
        return self.teacher.encode_frames(clips_bfyx)

    @torch.no_grad()
    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences as unit vectors, (B, D)."""
        return self.teacher.encode_text(texts)
