"""Sentences for the user that another language can be put to later, where they are shown."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from typing import Self

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


class Sentence(str):
    """A text in English that remembers what it was made of.

    It is that text for everything that compares, logs, writes or prints it. Whoever shows it
    may look its template up in another language. Joining or cutting it gives an ordinary text;
    `joined` and `listed` keep what it was made of.

    Attributes
    ----------
    template
        English, with named placeholders as `str.format` has them.
    values
        For the placeholders; those that are sentences themselves can be translated, too.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Self:
        """Fill in the template."""
        made = super().__new__(cls, template.format_map(values) if values else template)
        made.template, made.values = template, values
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str, Mapping[str, object]]]:
        """Keep all of it on the way to another process."""
        return type(self), (self.template, self.values)


def say(template: str, **values: object) -> Sentence:
    """Word something for the user.

    Parameters
    ----------
    template
        English, a literal, so that it can be found for translation.
    values
        For the placeholders; what comes from files goes in here and is never translated.

    Examples
    --------
    >>> sentence = say("Lead {lead} is {state}.", lead="V1", state=say("flat"))
    >>> sentence, sentence.template
    ('Lead V1 is flat.', 'Lead {lead} is {state}.')
    """
    return Sentence(template, values)


def plain(text: object, limit: int = 500) -> str:
    r"""Text of a file, or its name, on one line, without control and direction characters.

    Examples
    --------
    >>> plain("two\nlines \u202egnp.dcm")
    'two lines gnp.dcm'
    """
    return " ".join(_CONTROL.sub(" ", str(text)).split())[:limit]


def joined(parts: Sequence[str], between: str = " ") -> str:
    """Put texts after one another, those that are not empty; each can still be translated.

    Examples
    --------
    >>> joined([say("Lead V1 is flat."), say("Lead V2 is noisy.")])
    'Lead V1 is flat. Lead V2 is noisy.'
    """
    values = {f"part_{number}": part for number, part in enumerate(parts) if part}
    # A template without words is in no catalogue, and needs none.
    return Sentence(between.join(f"{{{name}}}" for name in values), values)


def replaced(text: str, old: str, new: str) -> str:
    """Replace a part of what a text was filled in with, or of a text that is no sentence.

    Examples
    --------
    >>> replaced(say("{file} is empty.", file="Doe.hea"), "Doe", "…")
    '….hea is empty.'
    """
    if not isinstance(text, Sentence):
        return text.replace(old, new)
    values = {
        name: replaced(value, old, new) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    return Sentence(text.template, values)


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    Examples
    --------
    >>> listed(["V1"]), listed(["V1", "V2", "V3"])
    ('V1', 'V1, V2 and V3')
    """
    if len(names) == 1:
        return names[0]
    return say("{names} and {last}", names=joined(names[:-1], ", "), last=names[-1])


def system_words(error: OSError) -> str:
    """Give what the system holds against reading or writing, as a phrase without a full stop.

    Examples
    --------
    >>> system_words(OSError(errno.ENOSPC, "whatever the system's language makes of it"))
    'No space left on device'
    """
    return _SYSTEM_WORDS.get(error.errno or 0) or error.strerror or say("unknown fault")


# As POSIX systems say it in English; rarer ones stay in the system's own language.
_SYSTEM_WORDS = {
    errno.ENOSPC: say("No space left on device"),
    errno.EDQUOT: say("Disk quota exceeded"),
    errno.EROFS: say("Read-only file system"),
    errno.EACCES: say("Permission denied"),
    errno.EPERM: say("Operation not permitted"),
    errno.ENOENT: say("No such file or directory"),
    errno.EISDIR: say("Is a directory"),
    errno.ENAMETOOLONG: say("File name too long"),
    errno.EBUSY: say("Device or resource busy"),
    errno.EIO: say("Input/output error"),
}
