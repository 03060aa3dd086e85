"""Words on the screen in the user's language: English in the code, catalogues beside the program.

The catalogue of a language is every file `assets/languages/CODE/*.json`, taken together: English
text to translated text, placeholders kept. What a catalogue lacks stays English, so that nothing is
ever blank. Numbers keep the decimal point in every language: they are read beside exports, files
and the English literature, where a comma would be taken for something else. Where a translation is
in use, a thin space and no comma parts the thousands of a count, which could be read as decimals.
"""

from __future__ import annotations

import json
from typing import Any, cast

from echoing_gui.resources import asset
from model_core.wording import Sentence

ENGLISH = "en"
# To be replaced by the language of the user's system before it is used.
SYSTEM = "system"
_catalogue: dict[str, str] = {}


def languages() -> tuple[str, ...]:
    """Codes of the languages there are (ISO 639-1), English first."""
    found = sorted(path.name for path in asset("languages").glob("*") if path.is_dir())
    return (ENGLISH, *found)


def use_language(code: str) -> None:
    """Take a language for all texts made from now on, in any thread; an unknown one is English."""
    _catalogue.clear()
    if code in languages()[1:]:
        for path in sorted(asset("languages", code).glob("*.json")):
            read: Any = json.loads(path.read_text(encoding="utf-8"))
            _catalogue.update(cast("dict[str, str]", read))


def tr(text: str, **values: object) -> str:
    """Give a text in the language in use.

    Parameters
    ----------
    text
        English: a literal, with named placeholders as `str.format` has them; or a `Sentence` that
        was made elsewhere; any other text comes back as it is.
    values
        For the placeholders of a literal. Sentences among them are translated too; texts of files
        never are.

    Examples
    --------
    >>> tr("Reading {name}", name="a.dcm")
    'Reading a.dcm'
    """
    template = text
    if isinstance(text, Sentence):
        template, values = text.template, dict(text.values)
    translated = _catalogue.get(template, template)
    if not values:
        return translated
    return translated.format(**{name: _shown(value) for name, value in values.items()})


class _Count(int):
    """A whole number whose thousands are parted by a thin space."""

    def __format__(self, form: str) -> str:
        return super().__format__(form).replace(",", "\u202f")


def _shown(value: object) -> object:
    """Give what stands for a placeholder in the language in use."""
    if isinstance(value, Sentence):
        return tr(value)
    return _Count(value) if _catalogue and type(value) is int else value
