"""What the window can tell of the model package in use, as data."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    card: str
    intended_use: str
    limits: tuple[str, ...]
    figures: tuple[Figure, ...]
    versions: tuple[tuple[str, str], ...]
    preparation: tuple[tuple[str, str], ...]
    validation: tuple[Validation, ...]

    def validation_of(self, key: str) -> Validation | None:
        """Look up what was found of a measure."""
        return next((each for each in self.validation if each.key == key), None)
