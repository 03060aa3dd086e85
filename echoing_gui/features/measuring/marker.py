"""The one who changes what is measured and noted, each change one that can be taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from echoing_gui.controller import Controller
from echoing_gui.features.measuring.calipers import reading_text
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_marks import Caliper, Marks, Measuring, Note
from model_core.types import Recording


@dataclass(frozen=True, slots=True)
class _Step:
    """What undo goes back to: the marks, and which caliper is chosen."""

    marks: Marks
    chosen: int | None
    end: int


class _Change(QUndoCommand):
    """One change of the marks; those of the same kind that follow each other are one."""

    def __init__(self, marker: Marker, before: _Step, after: _Step, text: str, kind: str) -> None:
        super().__init__(text)
        self._marker, self._before = marker, before
        self.after, self.kind = after, kind

    def id(self) -> int:
        return 1 if self.kind else -1

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, _Change) or other.kind != self.kind:
            return False
        self.after = other.after
        return True

    def undo(self) -> None:
        self._marker.show(self._before)

    def redo(self) -> None:
        self._marker.show(self.after)


class Marker(QObject):
    """Changes calipers and notes.

    `spoken` carries what to say of a change; `noted` the number of a new note.
    """

    spoken = Signal(str)
    noted = Signal(int)

    def __init__(self, controller: Controller, parent: QObject) -> None:
        super().__init__(parent)
        self._controller = controller
        self._stack = QUndoStack(self)
        self._stack.canUndoChanged.connect(self._on_stack)
        self._stack.canRedoChanged.connect(self._on_stack)
        controller.state_changed.connect(self._on_state)

    @property
    def now(self) -> Measuring:
        """The state of measuring."""
        return self._controller.state.measuring

    @property
    def recording(self) -> Recording | None:
        """The recording as it is drawn, so that calipers keep to the trace that is seen."""
        return self._controller.state.drawn

    def change(self, **changes: object) -> None:
        """Replace fields of the state of measuring that are no marks."""
        self._controller.change(measuring=replace(self.now, **changes))  # type: ignore[arg-type]

    def show(self, step: _Step) -> None:
        """Put marks into the state."""
        self.change(marks=step.marks, chosen=step.chosen, end=step.end)

    def undo(self) -> None:
        """Take the last change back."""
        self._say_of(tr("Taken back: {what}", what=self._stack.undoText()))
        self._stack.undo()

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._say_of(tr("Made again: {what}", what=self._stack.redoText()))
        self._stack.redo()

    def add_caliper(self, caliper: Caliper, end: int = 1) -> None:
        """Put a caliper on the recording and choose one of its ends."""
        calipers = (*self.now.marks.calipers, caliper)
        marks = replace(self.now.marks, calipers=calipers)
        self._push(marks, tr("new caliper"), chosen=len(calipers) - 1, end=end)
        self.say_reading()

    def replace_caliper(
        self, index: int, caliper: Caliper, end: int, text: str, kind: str = ""
    ) -> None:
        """Change a caliper; changes of one `kind` that follow each other are undone as one."""
        calipers = list(self.now.marks.calipers)
        if calipers[index] != caliper:
            calipers[index] = caliper
            marks = replace(self.now.marks, calipers=tuple(calipers))
            self._push(marks, text, chosen=index, end=end, kind=kind)
        self.say_reading()

    def delete_caliper(self) -> None:
        """Take the chosen caliper away, and choose the one before it."""
        chosen = self.now.chosen
        if chosen is None:
            return
        calipers = self.now.marks.calipers
        left = calipers[:chosen] + calipers[chosen + 1 :]
        marks = replace(self.now.marks, calipers=left)
        self._push(marks, tr("delete caliper"), chosen=max(chosen - 1, 0) if left else None)
        self._say_of(tr("Caliper deleted. {n} left.", n=len(left)))

    def clear_calipers(self) -> None:
        """Take all calipers away."""
        if self.now.marks.calipers:
            marks = replace(self.now.marks, calipers=())
            self._push(marks, tr("delete all calipers"), chosen=None)
            self._say_of(tr("All calipers deleted."))

    def choose(self, chosen: int | None, end: int = 1) -> None:
        """Choose what keys move."""
        self.change(chosen=chosen, end=end)
        self.say_reading()

    def choose_next(self, step: int) -> bool:
        """Choose the next end of a caliper (`step` 1) or the one before (-1), if there is one."""
        ends = [(n, end) for n in range(len(self.now.marks.calipers)) for end in (0, 1)]
        at = -1 if step > 0 else len(ends)
        if self.now.chosen is not None:
            at = ends.index((self.now.chosen, self.now.end))
        if not 0 <= at + step < len(ends):
            self.change(chosen=None)
            return False
        self.choose(*ends[at + step])
        return True

    def add_note(self, note: Note) -> None:
        """Put a note on the recording."""
        notes = self.now.marks.notes
        self._set_notes((*notes, note), tr("new note"))
        self.noted.emit(len(notes))

    def replace_note(self, index: int, note: Note) -> None:
        """Change a note; changes of one note that follow each other are undone as one."""
        notes = list(self.now.marks.notes)
        if notes[index] != note:
            notes[index] = note
            self._set_notes(tuple(notes), tr("change note"), f"note {index}")

    def delete_note(self, index: int) -> None:
        """Take a note away."""
        notes = self.now.marks.notes
        self._set_notes(notes[:index] + notes[index + 1 :], tr("delete note"))
        self._say_of(tr("Note deleted."))

    def restore(self, marks: Marks, *, recovered: bool) -> None:
        """Put marks of an earlier time on the recording, with nothing to undo."""
        self._stack.clear()
        self.change(marks=marks, chosen=None, recovered=recovered)

    def say_reading(self) -> None:
        """Say what the chosen caliper reads."""
        caliper = self.now.caliper
        if caliper is not None and self.now.chosen is not None:
            self._say_of(
                tr(
                    "Caliper {number}, lead {lead}, end {end}: {reading}",
                    number=self.now.chosen + 1,
                    lead=caliper.lead,
                    end=self.now.end + 1,
                    reading=reading_text(caliper),
                )
            )

    def _set_notes(self, notes: tuple[Note, ...], text: str, kind: str = "") -> None:
        now = self.now
        marks = replace(now.marks, notes=notes)
        self._push(marks, text, chosen=now.chosen, end=now.end, kind=kind)

    def _push(
        self, marks: Marks, text: str, *, chosen: int | None, end: int = 1, kind: str = ""
    ) -> None:
        now = self.now
        before = _Step(now.marks, now.chosen, now.end)
        self._stack.push(_Change(self, before, _Step(marks, chosen, end), text, kind))

    def _say_of(self, text: str) -> None:
        self.spoken.emit(text)

    def _on_stack(self) -> None:
        can_undo, can_redo = self._stack.canUndo(), self._stack.canRedo()
        if (can_undo, can_redo) != (self.now.can_undo, self.now.can_redo):
            self.change(can_undo=can_undo, can_redo=can_redo)

    def _on_state(self, old: AppState, new: AppState) -> None:
        if old.measuring.recording_id != new.measuring.recording_id:
            self._stack.clear()
        elif new.confirmed != old.confirmed and _says_microvolts(new.confirmed - old.confirmed):
            # After all others have heard of this state.
            QTimer.singleShot(0, self, self._to_millivolts)

    def _to_millivolts(self) -> None:
        """Follow a recording whose numbers the user said are microvolts."""
        self._stack.clear()
        rescaled = tuple(
            replace(each, values_mv=(each.values_mv[0] / 1000, each.values_mv[1] / 1000))
            for each in self.now.marks.calipers
        )
        self.change(marks=replace(self.now.marks, calipers=rescaled))


def _says_microvolts(confirmed: frozenset[str]) -> bool:
    from model_core.quality import MICROVOLTS

    return MICROVOLTS in confirmed
