"""What the user measures and notes on a recording, as data: in its own seconds and millivolts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_core.delineation import Delineation
    from model_core.measurements import Measurements

FORMULAS = ("bazett", "fridericia", "framingham", "hodges")


class CaliperKind(Enum):
    """What a caliper measures."""

    TIME = "time"
    AMPLITUDE = "amplitude"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Caliper:
    """Two ends on one lead.

    Attributes
    ----------
    kind
        What it measures.
    lead
        Name of the lead.
    times_s, values_mv
        Of the two ends: seconds of the recording, on its samples, and mV as recorded.
    marching
        The interval is repeated before and after it.
    """

    kind: CaliperKind
    lead: str
    times_s: tuple[float, float]
    values_mv: tuple[float, float]
    marching: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a stretch of the recording.

    Attributes
    ----------
    lead
        Name of the lead; empty for all leads.
    start_s, end_s
        Seconds of the recording.
    text
        What the user wrote; may be empty.
    """

    lead: str
    start_s: float
    end_s: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """Everything that the user put on one recording: what undo goes back to."""

    calipers: tuple[Caliper, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the program measured on the seconds on screen.

    Attributes
    ----------
    start_s
        First second measured, of the recording.
    delineation, measurements
        Beats with their marks, in samples from `start_s`, and what follows from them.
    """

    start_s: float
    delineation: Delineation
    measurements: Measurements


@dataclass(frozen=True, slots=True)
class Measuring:
    """State of measuring.

    Attributes
    ----------
    recording_id
        Recording that `marks` lie on.
    marks
        Calipers and notes.
    chosen, end
        The caliper that keys move, and which of its ends (0 or 1); None without one.
    snap
        Ends of calipers go to the nearest corner or steepest place of the trace.
    show_waves
        Draw the marks of the waves above the traces.
    editing
        Dragging on the ECG makes notes, and notes can be changed.
    formula
        Correction of the QT interval for the heart rate, one of `FORMULAS`.
    measured
        None until it is worked out, or if it could not be.
    recovered
        The marks come from a program that ended unexpectedly.
    can_undo, can_redo
        Whether there is a change of `marks` to take back, or to make again.
    """

    recording_id: str = ""
    marks: Marks = field(default_factory=Marks)
    chosen: int | None = None
    end: int = 1
    snap: bool = True
    show_waves: bool = False
    editing: bool = False
    formula: str = "fridericia"
    measured: Measured | None = None
    recovered: bool = False
    can_undo: bool = False
    can_redo: bool = False

    @property
    def caliper(self) -> Caliper | None:
        """The caliper that keys move."""
        return self.marks.calipers[self.chosen] if self.chosen is not None else None

    def on(self, recording_id: str) -> Measuring:
        """Begin on another recording, with the user's choices kept."""
        if recording_id == self.recording_id:
            return self
        return replace(
            self,
            recording_id=recording_id,
            marks=Marks(),
            chosen=None,
            editing=False,
            measured=None,
            recovered=False,
            can_undo=False,
            can_redo=False,
        )
