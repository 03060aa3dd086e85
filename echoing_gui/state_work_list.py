"""The work list, as data: many files, what is known of each, and how far the work is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class RowState(Enum):
    """What a row of the work list is: not yet done, one of the three result states, or failed."""

    WAITING = "waiting"
    REPORTED = "reported"
    CAUTION = "reported_with_caution"
    NOT_REPORTABLE = "not_reportable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ListRow:
    """One file of the work list.

    Attributes
    ----------
    number
        Place in the list, from 1.
    path, name
        The file, and its name relative to the folder or table.
    labels
        What the table says of the patient's echo, by measure, in its unit.
    patient, split
        As the table names them.
    state
        What it came to.
    recording_id
        Of the recording; empty while it is not read.
    values, lows, highs
        Estimate and ends of its interval by measure, in its unit; empty unless reported.
    levels
        Level of each interval by measure, 0 to 1; the model package states it.
    probabilities
        By finding, 0 to 1.
    variance
        Embedding variance, dimensionless; None if the model did not run.
    n_noisy, n_unusable
        Leads of that quality; None where it was not looked at.
    window_s
        First and last second of the recording that were looked at; None while it is not read.
    duration_s
        Length of the recording, s; None while it is not read.
    codes, sentences
        Of reasons or of the error: for scripts and for people.
    same_as
        Number of the row that holds the same recording before this one; 0 without.
    """

    number: int
    path: Path
    name: str
    labels: Mapping[str, float] = field(default_factory=dict[str, float])
    patient: str = ""
    split: str = ""
    state: RowState = RowState.WAITING
    recording_id: str = ""
    values: Mapping[str, float] = field(default_factory=dict[str, float])
    lows: Mapping[str, float] = field(default_factory=dict[str, float])
    highs: Mapping[str, float] = field(default_factory=dict[str, float])
    levels: Mapping[str, float] = field(default_factory=dict[str, float])
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    variance: float | None = None
    n_noisy: int | None = None
    n_unusable: int | None = None
    window_s: tuple[float, float] | None = None
    duration_s: float | None = None
    codes: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    same_as: int = 0


@dataclass(frozen=True, slots=True)
class WorkList:
    """Many files and what is known of them.

    Attributes
    ----------
    source
        The folder or table.
    rows
        In the order of the list.
    package_id
        SHA-256 of the model package that the results come from.
    listing, running
        Whether files are being looked for, or estimated from.
    n_done
        Rows that are not waiting.
    n_skipped
        Files that are no ECGs.
    ends_in_s
        How long the rest will take, s; None while that is not known.
    """

    source: Path
    rows: tuple[ListRow, ...] = ()
    package_id: str = ""
    listing: bool = False
    running: bool = False
    n_done: int = 0
    n_skipped: int = 0
    ends_in_s: float | None = None
