"""Zero-shot scores of embeddings against prompts; prompts and their values are data.

Sweep and binary prompts follow EchoCLIP (Christensen et al., Nat Med 2024;30:1481-1488), the
distance between distributions PCME++ (Chun, ICLR 2024). An ECG is a study of one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOP_PART = 0.2


@dataclass(frozen=True, slots=True)
class SentenceAnswer:
    """What one sentence says of an ECG.

    Attributes
    ----------
    text
        The sentence.
    distance
        Closed-form sampled distance to the ECG, 0 or more; None where the sentence cannot be
        encoded as a whole, for it would say something else without what is not known of it.
    match
        Probability that it belongs to the ECG, as learnt and not calibrated, 0 to 1; None where
        there is no distance, or the package does not know scale and shift.
    unknown
        What of the sentence the vocabulary lacks.
    n_tokens
        Its length in words or pieces; it may be above what the encoder takes.
    """

    text: str
    distance: float | None
    match: float | None
    unknown: tuple[str, ...]
    n_tokens: int


@dataclass(frozen=True, slots=True)
class SweepAnswer:
    """A measure read by sentences that each state one value.

    Attributes
    ----------
    key, unit
        Of the sweep.
    value
        Median of the values of the nearest fifth of the sentences.
    low, high
        Smallest and largest value among those.
    range_low, range_high
        Smallest and largest value that any sentence states.
    n_sentences
        How many there are.
    """

    key: str
    unit: str
    value: float
    low: float
    high: float
    range_low: float
    range_high: float
    n_sentences: int


def cosine_similarity(
    embeddings: NDArray[np.floating], prompts: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Cosine of the angle between each embedding and each prompt.

    Parameters
    ----------
    embeddings
        (..., dim), of any length but 0.
    prompts
        (prompts, dim), of any length but 0.

    Returns
    -------
    NDArray
        (..., prompts), -1 to 1.

    Examples
    --------
    >>> cosine_similarity(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    array([[1., 0.]])
    """
    return _unit(embeddings) @ _unit(prompts).T


def sampled_distance(
    mean: NDArray[np.floating],
    log_var: NDArray[np.floating],
    prompt_mean: NDArray[np.floating],
    prompt_log_var: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Closed-form sampled distance (CSD) between diagonal Gaussians: E ||Z1 - Z2||^2.

    ||mean1 - mean2||^2 + sum(var1 + var2), PCME++ equation 2; its negative is the similarity that
    `sweep_value` and `prompt_score` take.

    Parameters
    ----------
    mean, log_var
        (..., dim); natural logarithm of the variance.
    prompt_mean, prompt_log_var
        (prompts, dim).

    Returns
    -------
    NDArray
        (..., prompts), 0 or more.

    Examples
    --------
    >>> one = np.zeros((1, 2))
    >>> sampled_distance(one + 1, one, one, one)
    array([[6.]])
    """
    # The difference itself, not |a|^2 - 2ab + |b|^2, which cancels for near embeddings.
    between = np.square(mean[..., None, :] - prompt_mean).sum(-1)
    own = np.exp(log_var).sum(-1)
    return between + own[..., None] + np.exp(prompt_log_var).sum(-1)


def sweep_value(
    similarity: NDArray[np.floating], values: NDArray[np.floating] | NDArray[np.integer]
) -> NDArray[np.floating]:
    """Value told by prompts that sweep a measure's range (EchoCLIP's zero-shot regression).

    In each frame the prompts' values are put in order of falling similarity; these lists are
    averaged over the frames, and the median of their first fifth is the answer: the lower of the
    two middle values where their number is even, as in EchoCLIP's figures.

    Parameters
    ----------
    similarity
        (..., frames, prompts); higher is nearer.
    values
        (prompts,), the value that each prompt states, in the measure's unit.

    Returns
    -------
    NDArray
        (...), in the unit of `values`.

    Raises
    ------
    ValueError
        If there are fewer than five prompts, or `values` does not fit them.

    Examples
    --------
    >>> similarity = np.array([[0.1, 0.9, 0.2, 0.3, 0.4]])
    >>> float(sweep_value(similarity, np.array([10, 20, 30, 40, 50])))
    20.0
    """
    n_top = int(_TOP_PART * len(values))
    if n_top < 1 or similarity.shape[-1:] != values.shape:
        raise ValueError(f"{values.shape} values do not fit similarities {similarity.shape}")
    order = np.argsort(-similarity, axis=-1, kind="stable")[..., :n_top]
    nearest = np.sort(values[order].mean(-2), axis=-1)
    return nearest[..., (n_top - 1) // 2]


def soft_sweep_value(
    similarity: NDArray[np.floating],
    values: NDArray[np.floating] | NDArray[np.integer],
    inverse_temperature: float,
) -> NDArray[np.floating]:
    """Value told by a sweep as the mean of the prompts' values, weighted by their softmax.

    The weights are the probabilities that contrastive training gave its sentences, so that near
    misses count and the far half of a sweep does not pull the answer to the sweep's middle, as
    it does in `sweep_value` where a fifth of the sweep is wider than what the picture tells.

    Parameters
    ----------
    similarity
        (..., frames, prompts); higher is nearer.
    values
        (prompts,), the value that each prompt states, in the measure's unit.
    inverse_temperature
        What the similarities were multiplied by in training; positive.

    Returns
    -------
    NDArray
        (...), in the unit of `values`: the mean over the frames.

    Raises
    ------
    ValueError
        If `values` does not fit the similarities.

    Examples
    --------
    >>> similarity = np.array([[0.0, np.log(3.0)]])
    >>> round(float(soft_sweep_value(similarity, np.array([10, 50]), 1.0)), 6)
    40.0
    """
    if similarity.shape[-1:] != values.shape:
        raise ValueError(f"{values.shape} values do not fit similarities {similarity.shape}")
    logits = inverse_temperature * similarity
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return ((weights @ values) / weights.sum(-1)).mean(-1)


def prompt_score(similarity: NDArray[np.floating]) -> NDArray[np.floating]:
    """Agreement with a set of prompts that say the same: the mean over frames and prompts.

    Not a probability; a threshold has to be found on data.

    Parameters
    ----------
    similarity
        (..., frames, prompts); higher is nearer.

    Returns
    -------
    NDArray
        (...), in the unit of `similarity`.
    """
    return similarity.mean((-2, -1))


def nearest_value(
    distance: NDArray[np.floating], values: NDArray[np.floating] | NDArray[np.integer]
) -> NDArray[np.floating]:
    """Value told by a sweep of prompt distributions: `sweep_value` by falling distance.

    Parameters
    ----------
    distance
        (..., prompts), from `sampled_distance`.
    values
        (prompts,), the value that each prompt states, in the measure's unit.

    Returns
    -------
    NDArray
        (...), in the unit of `values`.

    Raises
    ------
    ValueError
        If there are fewer than five prompts, or `values` does not fit them.
    """
    return sweep_value(-distance[..., None, :], values)


def match_probability(
    distance: NDArray[np.floating], scale: float, shift: float
) -> NDArray[np.floating]:
    """Probability that two distributions belong together: sigmoid(-scale * distance + shift).

    PCME++ equation 3; scale and shift are learnt in training (both start at 5).

    Parameters
    ----------
    distance
        (...), from `sampled_distance`.
    scale, shift
        Of the trained loss.

    Returns
    -------
    NDArray
        (...), 0 to 1.

    Examples
    --------
    >>> match_probability(np.array([1.0]), 5.0, 5.0)
    array([0.5])
    """
    return np.exp(-np.logaddexp(0.0, scale * distance - shift))


def pair_difference(
    positive: NDArray[np.floating], negative: NDArray[np.floating]
) -> NDArray[np.floating]:
    """How much nearer the prompts for a finding are than those against it.

    Times the trained scale it is the logit of the finding where exactly one of both sets matches:
    with prompts of one sentence each, sigmoid(scale * difference) is the share of exp(-scale *
    distance) that falls to the sentence for it. The shift cancels.

    Parameters
    ----------
    positive, negative
        (..., prompts), from `sampled_distance`; the numbers of prompts may differ.

    Returns
    -------
    NDArray
        (...); positive speaks for the finding.

    Examples
    --------
    >>> pair_difference(np.array([[1.0, 2.0]]), np.array([[4.0]]))
    array([2.5])
    """
    return negative.mean(-1) - positive.mean(-1)


def probability_for(
    positive: Sequence[SentenceAnswer], negative: Sequence[SentenceAnswer], negative_scale: float
) -> float | None:
    """Probability that the sentences for something hold rather than those against it.

    sigmoid(scale * difference of the mean distances), if exactly one of both sets matches; not
    calibrated. None where a side has no sentence, a sentence no distance, or the scale is not
    known.

    Examples
    --------
    >>> near, far = (SentenceAnswer("", d, None, (), 1) for d in (1.0, 1.2))
    >>> round(probability_for([near], [far], 5.0), 3)
    0.731
    """
    sides = [[each.distance for each in side] for side in (positive, negative)]
    known = [np.array([d for d in side if d is not None]) for side in sides]
    if negative_scale == 0 or any(
        not len(side) or len(side) != len(found) for side, found in zip(sides, known, strict=True)
    ):
        return None
    logit = negative_scale * float(pair_difference(known[0], known[1]))
    return float(np.exp(-np.logaddexp(0.0, -logit)))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
