"""Calipers and notes as a table of the user's, and a question before unsaved notes are lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from echoing_gui.export_dialog import ExportDialog
from echoing_gui.exports import Kind, write_csv
from echoing_gui.features.measuring.calipers import read
from echoing_gui.features.measuring.session import SessionKeeper
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.i18n import tr
from echoing_gui.identity import Identity
from echoing_gui.state_marks import Marks
from echoing_gui.view_models.results import RESEARCH_ONLY
from model_core.wording import say

TABLE = Kind("marks_csv", say("Calipers and notes"), ".csv")


def rows(
    marks: Marks, recording_id: str, pseudonym: str
) -> list[dict[str, str | int | float | None]]:
    """Calipers, then notes, as rows of one table; times in s of the recording.

    With a pseudonym, nothing but the user's own words tells whose ECG it is.
    """
    named = {"pseudonym": pseudonym} if pseudonym else {"recording_id": recording_id}
    found: list[dict[str, str | int | float | None]] = []
    for caliper in marks.calipers:
        reading = read(caliper)
        found.append(
            {
                **named, "what": f"{caliper.kind.value} caliper",
                "lead": caliper.lead, "start_s": min(caliper.times_s),
                "end_s": max(caliper.times_s), "interval_ms": reading.ms,
                "rate_per_min": reading.per_minute, "amplitude_mv": reading.mv, "text": "",
            }
        )  # fmt: skip
    found += [
        {
            **named, "what": "note", "lead": note.lead or "all",
            "start_s": note.start_s, "end_s": note.end_s, "interval_ms": None,
            "rate_per_min": None, "amplitude_mv": None, "text": note.text,
        }
        for note in marks.notes
    ]  # fmt: skip
    return [row | {"research_use": RESEARCH_ONLY} for row in found]


def ask_how(window: QWidget, then: Callable[[Identity], object]) -> None:
    """Ask whether the table may tell whose ECG it is."""
    note = tr("Your own words in notes are saved as they are; make sure that they name nobody.")
    dialog = ExportDialog((TABLE,), (), tr("&Save…"), window, note)
    dialog.chosen.connect(lambda _kind, _paper, identity: then(identity))
    dialog.open()


def ask_where(window: QWidget, then: Callable[[Path], object]) -> None:
    """Ask for a file to save calipers and notes to."""
    dialog = file_dialog(window, tr("Save calipers and notes"))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(".csv")
    dialog.setNameFilter(tr("Tables (*.csv)"))
    dialog.selectFile("notes.csv")
    dialog.fileSelected.connect(lambda name: then(Path(name)))
    dialog.open()


def save(keeper: SessionKeeper, path: Path, pseudonym: str) -> str:
    """Save the calipers and notes on screen, under a pseudonym if it is not empty; say so.

    Raises
    ------
    EchoingError
        If it cannot be written.
    """
    path = path.with_suffix(".csv")
    now = keeper.now
    write_csv(path, rows(now.marks, now.recording_id, pseudonym))
    keeper.notes_saved()
    return tr("Calipers and notes saved as {name}.", name=path.name)


class CloseGuard:
    """Asks before the window closes with notes that are in no file of the user's."""

    def __init__(self, keeper: SessionKeeper, window: QWidget, save: Callable[[], None]) -> None:
        self._keeper, self._window, self._save = keeper, window, save
        self._leaves = False

    def may_close(self) -> bool:
        """Say whether nothing would be lost; else ask, and close later if that is the answer."""
        n_notes = self._keeper.n_unsaved_notes()
        if self._leaves or not n_notes:
            return True
        self._ask(n_notes)
        return False

    def _ask(self, n_notes: int) -> None:
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(tr("Notes are not saved"))
        box.setText(
            tr("Closing the program removes a note that you have not saved.")
            if n_notes == 1
            else tr("Closing the program removes {n} notes that you have not saved.", n=n_notes)
        )
        box.setInformativeText(tr("Notes are saved as a table, for the ECG on screen."))
        save = box.addButton(tr("&Save…"), QMessageBox.ButtonRole.AcceptRole)
        leave = box.addButton(tr("&Close without saving"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(tr("&Back"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(save)
        save.clicked.connect(self._save)
        leave.clicked.connect(self._leave)
        box.open()

    def _leave(self) -> None:
        self._leaves = True
        self._window.close()
