"""Where texts in narrow columns may break, and where not."""

from __future__ import annotations

import re

_LONG_WORD = re.compile(r"\S{25,}")
_NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=%|ml\b|mV\b|ms\b|Hz\b)")
_ZERO_WIDTH_SPACE = "\u200b"
_NO_BREAK_SPACE = "\u00a0"


def breakable(text: str) -> str:
    """Let long words, such as file names, break behind their signs: Qt breaks at spaces alone.

    Examples
    --------
    >>> breakable("File: an_ecg_with_a_long_name.xml, short.xml").split("\u200b")
    ['File: an_', 'ecg_', 'with_', 'a_', 'long_', 'name.', 'xml, short.xml']
    """
    return _LONG_WORD.sub(
        lambda word: re.sub(r"(?<=[_.\-/\\])(?=\w)", _ZERO_WIDTH_SPACE, word[0]), text
    )


def unbroken(text: str) -> str:
    """Keep a number and its unit on one line.

    Examples
    --------
    >>> unbroken("lower than 46 ml") == "lower than 46\u00a0ml"
    True
    """
    return _NUMBER_AND_UNIT.sub(_NO_BREAK_SPACE, text)
