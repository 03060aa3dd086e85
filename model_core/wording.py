"""Sentences for the user that another language can be put to later, where they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self


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


def joined(parts: Sequence[str], between: str = " ") -> str:
    """Put texts after one another, each of which can still be translated.

    Examples
    --------
    >>> joined([say("Lead V1 is flat."), say("Lead V2 is noisy.")])
    'Lead V1 is flat. Lead V2 is noisy.'
    """
    # A template without words is in no catalogue, and needs none.
    names = [f"part_{number}" for number in range(len(parts))]
    template = between.join(f"{{{name}}}" for name in names)
    return Sentence(template, dict(zip(names, parts, strict=True)))


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
