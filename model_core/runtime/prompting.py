"""What sentences say of one ECG, zero-shot: distances, and what follows from them uncalibrated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_core.errors import CancelToken
from model_core.prompts import Sweep
from model_core.runtime.text import TextEncoder
from model_core.zero_shot import (
    SentenceAnswer,
    SweepAnswer,
    match_probability,
    nearest_value,
    sampled_distance,
)

# Mean and log variance of an ECG, (dim,) each.
Embedding = tuple[NDArray[np.float64], NDArray[np.float64]]


def ask_sentences(
    encoder: TextEncoder,
    embedding: Embedding,
    texts: Sequence[str],
    cancel: CancelToken | None = None,
) -> tuple[SentenceAnswer, ...]:
    """Compare sentences with an ECG, each by itself.

    Raises
    ------
    Cancelled, InferenceError
        As `TextEncoder.encode`.
    """
    side = encoder.part.side
    split = [encoder.tokens(text) for text in texts]
    sound = [
        text
        for text, tokens in zip(texts, split, strict=True)
        if not tokens.unknown and len(tokens.numbers) <= side.max_tokens
    ]
    distance_of: dict[str, float] = {}
    if sound:
        distances = sampled_distance(*embedding, *encoder.encode(sound, cancel))
        distance_of = dict(zip(sound, distances.tolist(), strict=True))

    def match(distance: float | None) -> float | None:
        if distance is None or side.negative_scale == 0:
            return None
        return float(match_probability(np.array(distance), side.negative_scale, side.shift))

    return tuple(
        SentenceAnswer(text, found, match(found), tokens.unknown, len(tokens.numbers))
        for text, tokens in zip(texts, split, strict=True)
        for found in (distance_of.get(text),)
    )


def read_sweep(
    encoder: TextEncoder, embedding: Embedding, sweep: Sweep, cancel: CancelToken | None = None
) -> SweepAnswer:
    """Read a measure by the nearest fifth of a sweep's sentences.

    Raises
    ------
    ValueError
        If there are fewer than five sentences.
    Cancelled, InferenceError
        As `TextEncoder.encode`.
    """
    values = np.array(sweep.values)
    distance = sampled_distance(*embedding, *encoder.encode(sweep.texts, cancel))
    value = float(nearest_value(distance, values))
    nearest = values[np.argsort(distance, kind="stable")[: len(values) // 5]]
    return SweepAnswer(
        sweep.key,
        sweep.unit,
        value,
        float(nearest.min()),
        float(nearest.max()),
        float(values.min()),
        float(values.max()),
        len(values),
    )
