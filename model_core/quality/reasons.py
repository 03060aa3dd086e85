"""Reasons against a recording, put in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from model_core.types import Reason, Severity
from model_core.wording import listed, say


def refuse(code: str, message: str, lead: str | None = None) -> Reason:
    """Make a reason that leaves no result."""
    return Reason(code=code, severity=Severity.REFUSE, message=message, lead=lead)


def refuse_leads(
    code: str, bad: NDArray[Any], lead_names: Sequence[str], sentence: Callable[[str], str]
) -> Reason:
    """One reason for all leads that a check failed in; `bad` has one truth value a lead.

    `sentence` is given where: "in lead V1", "in all leads".
    """
    names = [name for name, is_bad in zip(lead_names, bad, strict=True) if is_bad]
    if len(names) == 1:
        return refuse(code, sentence(say("in lead {lead}", lead=names[0])), lead=names[0])
    if len(names) == len(lead_names):
        return refuse(code, sentence(say("in all leads")))
    return refuse(code, sentence(say("in leads {leads}", leads=listed(names))))
