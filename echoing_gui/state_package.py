"""What the window can tell of the model package in use, as data."""

from __future__ import annotations

from dataclasses import dataclass

from model_core.prompts import Pair, Sweep
from model_core.validation import Validation


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure from the evaluation of the package, with its 95 % confidence interval."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    dataset: str


@dataclass(frozen=True, slots=True)
class SentenceSide:
    """What can be asked of a text side of the package.

    Attributes
    ----------
    key, label, knows
        Of its manifest.
    has_match
        Whether it gives match probabilities.
    sweeps, pairs
        Its ready sentences, by key.
    words
        The words that it knows, numbers apart; empty where it knows pieces of words.
    numbers
        Smallest and largest whole number that it knows; None where there is none, or as above.
    max_tokens
        The longest sentence, in words or pieces.
    """

    key: str
    label: str
    knows: str
    has_match: bool
    sweeps: dict[str, Sweep]
    pairs: dict[str, Pair]
    words: tuple[str, ...]
    numbers: tuple[int, int] | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What stands in a model package beside its network.

    Attributes
    ----------
    card
        The model card, Markdown.
    intended_use, limits
        In whole sentences.
    figures
        From its evaluation, subgroups included.
    versions
        Labelled: version, origin, hashes.
    preparation
        Labelled: what is done with an ECG before the network sees it.
    validation
        Of each measure, where the package says.
    sentences
        What sentences can be asked of; none in many packages.
    """

    card: str
    intended_use: str
    limits: tuple[str, ...]
    figures: tuple[Figure, ...]
    versions: tuple[tuple[str, str], ...]
    preparation: tuple[tuple[str, str], ...]
    validation: tuple[Validation, ...]
    sentences: tuple[SentenceSide, ...] = ()

    def sentence_side(self, key: str) -> SentenceSide | None:
        """Look up a text side."""
        return next((each for each in self.sentences if each.key == key), None)

    def validation_of(self, key: str) -> Validation | None:
        """Look up what was found of a measure."""
        return next((each for each in self.validation if each.key == key), None)
