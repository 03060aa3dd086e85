"""Words on the screen in the user's language: English in the code, catalogues beside the program.

A catalogue is `assets/languages/CODE.json`: English text to translated text, placeholders kept.
What a catalogue lacks stays English, so that nothing is ever blank.
"""

from __future__ import annotations

import json
from typing import Any, cast

from echoing_gui.resources import asset

_catalogue: dict[str, str] = {}


def languages() -> tuple[str, ...]:
    """Codes of the languages there are (ISO 639-1), English first."""
    found = sorted(path.stem for path in asset("languages").glob("*.json"))
    return ("en", *found)


def use_language(code: str) -> None:
    """Take a language for all texts made from now on; an unknown one means English."""
    _catalogue.clear()
    if code in languages()[1:]:
        read: Any = json.loads(asset("languages", f"{code}.json").read_text(encoding="utf-8"))
        _catalogue.update(cast("dict[str, str]", read))


def tr(text: str, **values: object) -> str:
    """Give a text in the language in use.

    Parameters
    ----------
    text
        English, a literal, with named placeholders as `str.format` has them.
    values
        For the placeholders; texts of files go in here and are never translated.

    Examples
    --------
    >>> tr("Reading {name}", name="a.dcm")
    'Reading a.dcm'
    """
    translated = _catalogue.get(text, text)
    return translated.format(**values) if values else translated
