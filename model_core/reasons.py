"""Why a result is doubtful or withheld, and how well each lead can be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How a reason bears on the result: stands beside it, or in its place, for good or for now."""

    CAUTION = "caution"
    CONFIRM = "confirm"
    REFUSE = "refuse"

    @property
    def withholds(self) -> bool:
        """Whether no result may be shown."""
        return self is not Severity.CAUTION


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a result is doubtful or withheld.

    Attributes
    ----------
    code
        Stable identifier, lower case with underscores.
    severity
        Whether the result is shown with this reason, once the user confirms, or not at all.
    message
        One sentence for the reader.
    lead
        The lead it is about, or None.
    """

    code: str
    severity: Severity
    message: str
    lead: str | None = None


class LeadGrade(Enum):
    """How well a lead can be read."""

    GOOD = "good"
    NOISY = "noisy"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class LeadQuality:
    """Signal quality of one lead within the window; `message` says what is wrong, or is empty."""

    lead: str
    grade: LeadGrade
    message: str = ""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What the input gate found.

    Attributes
    ----------
    reasons
        Against the recording.
    leads
        Quality of each lead that was looked at; empty where nothing could be.
    paced
        Beats follow the spikes of a pacemaker.

    Examples
    --------
    >>> QualityReport((Reason("flat_lead", Severity.REFUSE, "Lead V2 is flat.", "V2"),)).usable
    False
    """

    reasons: tuple[Reason, ...] = ()
    leads: tuple[LeadQuality, ...] = ()
    paced: bool = False

    @property
    def usable(self) -> bool:
        """Whether a result may be shown."""
        return not any(reason.severity.withholds for reason in self.reasons)
