"""Measures and findings read off a shared space by prompts.

Shapes: n studies, F frames of a study, D dimensions, T sentences of one meaning, V values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_core.prompts import Pair, Prompts, Sweep
from model_core.zero_shot import (
    cosine_similarity,
    nearest_value,
    pair_difference,
    prompt_score,
    sampled_distance,
    soft_sweep_value,
    sweep_value,
)
from training.simulation.reports import GRADES, VALUE_TEMPLATES

Array = NDArray[np.floating]
EncodeText = Callable[[list[str]], Array]

# As in the distribution of a study over its frames.
_VARIANCE_FLOOR = 1e-8
RANK, SOFT, DISTANCE = "rank", "soft", "distance"

# Field of the simulated reports, unit, and the range that nearly all of its training reports hold.
_OWN_SWEEPS = {
    "lvef": ("lvef_pct", "%", 10, 80, 1),
    "lvedv": ("lvedv_ml", "ml", 50, 300, 5),
    "lvesv": ("lvesv_ml", "ml", 10, 220, 5),
}
# Field, and the grades that speak for the finding.
_OWN_PAIRS = {
    "lvef_below_30": ("lvef_pct", (0,)),
    "lvef_below_40": ("lvef_pct", (0, 1)),
    "lvef_below_50": ("lvef_pct", (0, 1, 2)),
    "lv_dilated": ("lvedv_ml", (1, 2, 3)),
    "la_dilated": ("la_volume_ml", (1, 2, 3)),
    "lvh": ("wall_mm", (1, 2, 3)),
}


def own_prompts() -> Prompts:
    """Prompts in the sentences that our own teacher was trained on; it knows no others."""
    sweeps = {
        key: Sweep(
            key,
            unit,
            low,
            high,
            step,
            tuple(text.replace("{}", "{value}") for text in VALUE_TEMPLATES[field]),
            "own",
        )
        for key, (field, unit, low, high, step) in _OWN_SWEEPS.items()
    }
    pairs: dict[str, Pair] = {}
    for key, (field, grades) in _OWN_PAIRS.items():
        sentences = GRADES[field][1]
        chosen = tuple(sentences[grade] for grade in grades)
        rest = tuple(text for text in sentences if text not in chosen)
        pairs[key] = Pair(key, chosen, rest, "own")
    return Prompts(sweeps, pairs)


@dataclass(frozen=True, eq=False)
class EmbeddedSweep:
    """The prompts of a measure.

    Attributes
    ----------
    values
        (V,), in the measure's unit.
    embeddings
        (T, V, D) unit vectors.
    """

    values: Array
    embeddings: Array


@dataclass(frozen=True, eq=False)
class EmbeddedPair:
    """Prompts for and against a finding, (T, D) unit vectors each."""

    positive: Array
    negative: Array


@dataclass(frozen=True, eq=False)
class EmbeddedPrompts:
    """A table of prompts in the shared space, by key."""

    sweeps: dict[str, EmbeddedSweep]
    pairs: dict[str, EmbeddedPair]

    @property
    def dim(self) -> int:
        """D."""
        parts = [s.embeddings for s in self.sweeps.values()]
        parts += [p.positive for p in self.pairs.values()]
        return parts[0].shape[-1]


def embed_prompts(prompts: Prompts, encode_text: EncodeText) -> EmbeddedPrompts:
    """Embed a table of prompts; `encode_text` gives unit vectors, (B, D)."""
    sweeps: dict[str, EmbeddedSweep] = {}
    for key, sweep in prompts.sweeps.items():
        values = np.array(sweep.range_values)
        embedded = encode_text(list(sweep.texts))
        sweeps[key] = EmbeddedSweep(values, embedded.reshape(-1, len(values), embedded.shape[1]))
    pairs = {
        key: EmbeddedPair(encode_text(list(pair.positive)), encode_text(list(pair.negative)))
        for key, pair in prompts.pairs.items()
    }
    return EmbeddedPrompts(sweeps, pairs)


def prompt_gaussians(embeddings: Array) -> tuple[Array, Array]:
    """Gaussian of each meaning over the sentences that say it, as of a study over its frames.

    Parameters
    ----------
    embeddings
        (T, ..., D) unit vectors.

    Returns
    -------
    mean, log_var
        (..., D): unit vectors; logarithm of the population variance plus 1e-8.
    """
    mean = embeddings.mean(0)
    mean = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    return mean, np.log(embeddings.var(0) + _VARIANCE_FLOOR)


def read_sweep(
    sweep: EmbeddedSweep, frames: Sequence[Array], inverse_temperature: float
) -> dict[str, Array]:
    """Read a measure from unit vectors of frames.

    Parameters
    ----------
    sweep
        The measure's prompts.
    frames
        Of each study (F, D); an ECG is a study of one frame.
    inverse_temperature
        What similarities were multiplied by when the teacher was trained.

    Returns
    -------
    dict
        (n,) each in the measure's unit: ``rank``, EchoCLIP's median of the nearest fifth, and
        ``soft``, the mean weighted by softmax.
    """
    values = np.tile(sweep.values, len(sweep.embeddings))
    flat = sweep.embeddings.reshape(len(values), -1)
    rank, soft = np.empty(len(frames)), np.empty(len(frames))
    for row, study in enumerate(frames):
        similarity = cosine_similarity(study, flat)
        rank[row] = sweep_value(similarity, values)
        soft[row] = soft_sweep_value(similarity, values, inverse_temperature)
    return {RANK: rank, SOFT: soft}


def read_sweep_distance(sweep: EmbeddedSweep, mean: Array, log_var: Array) -> Array:
    """Read a measure from Gaussians, (n, D) each: the median of the nearest fifth by CSD, (n,)."""
    prompt_mean, prompt_log_var = prompt_gaussians(sweep.embeddings)
    rows = zip(mean, log_var, strict=True)
    return np.array(
        [
            nearest_value(sampled_distance(m, s, prompt_mean, prompt_log_var), sweep.values)
            for m, s in rows
        ]
    )


def read_pair(
    pair: EmbeddedPair, frames: Sequence[Array], mean: Array, log_var: Array
) -> dict[str, Array]:
    """Score a finding; higher speaks for it, and none is a probability.

    Returns
    -------
    dict
        (n,) each: ``for``, EchoCLIP's mean cosine with the sentences for the finding; ``margin``,
        that less the mean cosine with those against it; ``distance``, how much nearer by CSD the
        Gaussian is to the sentences for it.
    """
    positive = np.array([prompt_score(cosine_similarity(study, pair.positive)) for study in frames])
    negative = np.array([prompt_score(cosine_similarity(study, pair.negative)) for study in frames])
    nearer = np.empty(len(mean))
    for row, gaussian in enumerate(zip(mean, log_var, strict=True)):
        sides = [
            sampled_distance(*gaussian, *(part[None] for part in prompt_gaussians(side)))
            for side in (pair.positive, pair.negative)
        ]
        nearer[row] = pair_difference(*sides)
    return {"for": positive, "margin": positive - negative, DISTANCE: nearer}


def read_all(
    prompts: EmbeddedPrompts,
    frames: Sequence[Array],
    mean: Array,
    log_var: Array,
    inverse_temperature: float,
) -> dict[str, dict[str, Array]]:
    """Every reading of every measure and finding of a table, by key and reading, (n,) each."""
    found: dict[str, dict[str, Array]] = {}
    for key, sweep in prompts.sweeps.items():
        found[key] = read_sweep(sweep, frames, inverse_temperature)
        found[key][DISTANCE] = read_sweep_distance(sweep, mean, log_var)
    for key, pair in prompts.pairs.items():
        found[key] = read_pair(pair, frames, mean, log_var)
    return found
