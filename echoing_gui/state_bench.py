"""State of the researcher's bench, as data: what is chosen, hidden and asked; no Qt, no result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_core.types import PackageIdentity, Prediction
from model_core.what_if import EMBEDDING, Answer, Masking, OcclusionMap
from model_core.zero_shot import SentenceAnswer, SweepAnswer


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One segment of one lead; `lead` is ``all`` where the model does not tell leads apart."""

    lead: str
    segment: int


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """What the delineation marks within each segment.

    Attributes
    ----------
    waves
        For each segment, which of P, QRS and T reach into it, as text.
    faults
        For each lead and segment, why its samples say little; empty where nothing is wrong.
    beats_s
        Start and end of each beat, P to T, seconds of the recording, (n, 2).
    """

    waves: tuple[str, ...]
    faults: dict[Cell, str]
    beats_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OtherModel:
    """What another model package says of the recording on screen.

    Attributes
    ----------
    identity, prediction
        Of the other package.
    """

    identity: PackageIdentity
    prediction: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Shuffled:
    """Segment variance of the same network with shuffled weights, once a seed: (seeds, R, T)."""

    seeds: tuple[int, ...]
    variance: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prompted:
    """What sentences say of the ECG on screen; kept nowhere else.

    Attributes
    ----------
    side
        Key of the text side that was asked.
    positive, negative
        Answers of the sentences for something, and of those against it.
    probability
        That those for it hold rather than those against it; None where there is no telling.
    sweep
        A measure that was read by the package's own sentences, in place of the rest.
    """

    side: str
    positive: tuple[SentenceAnswer, ...] = ()
    negative: tuple[SentenceAnswer, ...] = ()
    probability: float | None = None
    sweep: SweepAnswer | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that the bench shows beside the prediction that it is about.

    Attributes
    ----------
    prediction
        What all below belongs to; None if there is nothing to ask about.
    current
        The segment that is outlined.
    chosen
        Segments that are selected in the table; `current` is among them if there is one.
    hidden
        Segments that are hidden from the model.
    masking
        How they are hidden; None before the model was asked.
    whole, what_if
        Answers with nothing hidden, and with `hidden`; None while they are not known.
    covered
        What lies in the segments; None before it was looked at.
    quantity
        Whose occlusion map is shown: `EMBEDDING`, or the key of a measure.
    occlusion, occluding
        The map as far as it is known, and whether it is being made.
    shuffled, shuffling
        Maps of shuffled weights, and whether they are being made.
    other, comparing
        Another model's prediction, and whether it is being made.
    prompted, prompting, prompt_trouble
        What sentences say, whether they are being asked, and why they could not be.
    trouble
        Why something else asked for could not be done, as a sentence.
    """

    prediction: Prediction | None = None
    current: Cell | None = None
    chosen: frozenset[Cell] = frozenset()
    hidden: frozenset[Cell] = frozenset()
    masking: Masking | None = None
    whole: Answer | None = None
    what_if: Answer | None = None
    covered: Covered | None = None
    quantity: str = EMBEDDING
    occlusion: OcclusionMap | None = None
    occluding: bool = False
    shuffled: Shuffled | None = None
    shuffling: bool = False
    other: OtherModel | None = None
    comparing: bool = False
    prompted: Prompted | None = None
    prompting: bool = False
    prompt_trouble: str = ""
    trouble: str = ""
