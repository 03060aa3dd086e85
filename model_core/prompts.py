"""The sentences that zero-shot reading compares embeddings with; they are data, in our words."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from model_core.errors import EchoingError
from model_core.wording import say, system_words

SCHEMA_VERSION = 1
PROMPTS_PATH = Path(__file__).with_name("prompts.json")
_PLACE = "{value}"
_BASES = ("literature", "own")
_MAX_VALUES = 1000
_MAX_TEXTS = 20_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sentences that state each value of a measure's range.

    Attributes
    ----------
    key
        The measure; not every one is known to `model_core.measures`.
    unit
        Of the values.
    low, high, step
        First and last value, and the distance between values, in `unit`.
    templates
        Sentences with ``{value}`` in them.
    basis
        ``literature``: zero-shot reading of this measure is described by Christensen et al.
        (Nat Med 2024;30:1481-1488), in other words; ``own``: nobody has shown that it works.
    """

    key: str
    unit: str
    low: float
    high: float
    step: float
    templates: tuple[str, ...]
    basis: str

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.step)
        if not all(math.isfinite(number) for number in numbers) or not (
            0 < self.step <= self.high - self.low <= _MAX_VALUES * self.step
        ):
            raise ValueError(f"the range of {self.key} is not one to sweep")
        if not self.templates or any(text.count(_PLACE) != 1 for text in self.templates):
            raise ValueError(f"every sentence of {self.key} needs {_PLACE} once")
        _check_basis(self.key, self.basis)

    @property
    def range_values(self) -> tuple[float, ...]:
        """Each value of the range, once.

        Examples
        --------
        >>> Sweep("x", "", 1, 2, 0.5, ("{value}",), "own").range_values
        (1.0, 1.5, 2.0)
        """
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(round(self.low + at * self.step, 6) for at in range(count))

    @property
    def values(self) -> tuple[float, ...]:
        """The value that each of `texts` states."""
        return self.range_values * len(self.templates)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every template with every value, template by template."""
        return tuple(
            template.replace(_PLACE, f"{value:g}")
            for template in self.templates
            for value in self.range_values
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """Sentences for and against a finding; `key` and `basis` as in `Sweep`."""

    key: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    basis: str

    def __post_init__(self) -> None:
        if not self.positive or not self.negative:
            raise ValueError(f"{self.key} needs sentences for and against")
        _check_basis(self.key, self.basis)


@dataclass(frozen=True, slots=True)
class Prompts:
    """All sweeps and pairs, each by its key."""

    sweeps: dict[str, Sweep]
    pairs: dict[str, Pair]

    def __post_init__(self) -> None:
        n_swept = sum(len(s.templates) * len(s.range_values) for s in self.sweeps.values())
        if n_swept > _MAX_TEXTS:
            raise ValueError(f"it makes more than {_MAX_TEXTS:,} sentences")

    @property
    def texts(self) -> tuple[str, ...]:
        """Every sentence, those of sweeps first."""
        swept = (text for sweep in self.sweeps.values() for text in sweep.texts)
        paired = (text for pair in self.pairs.values() for text in (*pair.positive, *pair.negative))
        return (*swept, *paired)


def load_prompts(path: Path | None = None) -> Prompts:
    """Read a table of prompts.

    Parameters
    ----------
    path
        JSON as in ``prompts.json`` beside this module, which is read by default.

    Raises
    ------
    EchoingError
        If the file cannot be read or is no such table.

    Examples
    --------
    >>> prompts = load_prompts()
    >>> prompts.sweeps["lvef"].texts[:1]
    ('The ejection fraction of the left ventricle is about 5%.',)
    >>> sorted(prompts.pairs)[-1]
    'rv_dilated'
    """
    path = path or PROMPTS_PATH
    try:
        return read_prompts(path.read_bytes(), path.name)
    except OSError as error:
        raise EchoingError(
            say(
                "The prompts {file} cannot be read: {why}.",
                file=path.name,
                why=system_words(error),
            ),
            code="unreadable_prompts",
        ) from error


def read_prompts(data: bytes, name: str) -> Prompts:
    """Read a table of prompts from the bytes of a file.

    Raises
    ------
    EchoingError
        If they are no such table; the sentence names the file by `name`.
    """
    try:
        return _prompts(json.loads(data.decode("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EchoingError(
            say("{file} is not a table of prompts: {why}.", file=name, why=str(error)),
            code="bad_prompts",
        ) from error


def prompts_json(prompts: Prompts) -> str:
    """Write a table of prompts so that `read_prompts` gives it again."""
    table = {
        "schema_version": SCHEMA_VERSION,
        "sweeps": [dataclasses.asdict(sweep) for sweep in prompts.sweeps.values()],
        "pairs": [dataclasses.asdict(pair) for pair in prompts.pairs.values()],
    }
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def _prompts(table: dict[str, Any]) -> Prompts:
    if table["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"its version is not {SCHEMA_VERSION}")
    sweeps = [Sweep(**_frozen(entry)) for entry in table["sweeps"]]
    pairs = [Pair(**_frozen(entry)) for entry in table["pairs"]]
    return Prompts(_by_key(sweeps), _by_key(pairs))


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    for name in ("templates", "positive", "negative"):
        texts: Any = entry.get(name, [])
        if not isinstance(texts, list) or not all(
            isinstance(text, str) for text in cast("list[Any]", texts)
        ):
            raise ValueError(f"{name} must be a list of sentences")
    return {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in entry.items()
    }


def _by_key(entries: list[Any]) -> dict[str, Any]:
    if len({entry.key for entry in entries}) != len(entries):
        raise ValueError("a key occurs twice")
    return {entry.key: entry for entry in entries}


def _check_basis(key: str, basis: str) -> None:
    if basis not in _BASES:
        raise ValueError(f"the basis of {key} must be one of {', '.join(_BASES)}")
