"""The tab of notes: a list, and a form for the one chosen."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.features.measuring.caliper_list import fill, plain_table
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_marks import Note
from echoing_gui.view_models.texts import key_of
from model_core.leads import canonical_lead_name
from model_core.wording import say

_COLUMNS = (say("Lead"), say("From (s)"), say("To (s)"), say("Note"))
_MOST_LETTERS = 500


def cells(note: Note) -> tuple[str, ...]:
    """Write a note as cells of the table."""
    return note.lead or tr("all"), f"{note.start_s:.2f}", f"{note.end_s:.2f}", note.text


class NotesPanel(QWidget):
    """Notes on stretches of the recording; changed only while editing is on."""

    editingChosen = Signal(bool)
    newRequested = Signal()
    changed = Signal(int, object)
    deleteRequested = Signal(int)
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._notes: tuple[Note, ...] = ()
        self._recording_id = ""
        self._recovered = QLabel(
            tr(
                "Recovered: the program ended unexpectedly. These notes and calipers are those "
                "saved last; the estimate was computed anew."
            ),
            wordWrap=True,
        )
        self._recovered.setObjectName("caution")
        self._editing = QCheckBox(tr("Editing"))
        self._hint = QLabel(wordWrap=True)
        self._hint.setObjectName("muted")
        self._table = plain_table(_COLUMNS, tr("Notes"))
        sizes = self._table.horizontalHeader()
        for column in range(3):
            sizes.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._new = QPushButton(tr("New note"))
        self._delete = QPushButton(tr("Delete"))
        self._delete.setAccessibleName(tr("Delete note"))
        buttons = QHBoxLayout()
        buttons.addWidget(self._new)
        buttons.addWidget(self._delete)
        buttons.addStretch()
        self._form = QWidget()
        self._text = QLineEdit(maxLength=_MOST_LETTERS)
        self._text.setPlaceholderText(tr("What you see"))
        self._lead = QComboBox()
        self._from, self._to = _seconds(), _seconds()
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        for label, field in (
            (tr("Note"), self._text),
            (tr("Lead"), self._lead),
            (tr("From"), self._from),
            (tr("To"), self._to),
        ):
            field.setAccessibleName(label)
            form.addRow(label, field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._recovered, self._editing, self._hint, self._table):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self._form)
        self._editing.toggled.connect(self.editingChosen)
        self._new.clicked.connect(self.newRequested)
        self._delete.clicked.connect(lambda: self.deleteRequested.emit(self._row()))
        self._table.itemSelectionChanged.connect(self._on_selected)
        self._text.textEdited.connect(self._on_edited)
        self._lead.activated.connect(self._on_edited)
        for field in (self._from, self._to):
            field.valueChanged.connect(self._on_edited)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the notes of a state."""
        now, recording = new.measuring, new.recording
        self._recovered.setVisible(now.recovered)
        with QSignalBlocker(self._editing):
            self._editing.setChecked(now.editing)
        self._editing.setEnabled(recording is not None)
        self._new.setEnabled(recording is not None and now.editing)
        self._hint.setText(
            tr("Drag on the ECG to note something there; hold Shift for all leads.")
            if now.editing
            else tr(
                "Switch editing on{key} to make or change notes.", key=key_of(new, "note_editing")
            )
        )
        if recording is not None and recording is not old.recording:
            names = [canonical_lead_name(name) for name in recording.lead_names]
            self._lead.clear()
            self._lead.addItem(tr("all"), "")
            for name in names:
                self._lead.addItem(name, name)
        if now.marks.notes != self._notes:
            self._notes = now.marks.notes
            fill(self._table, [cells(note) for note in self._notes])
        self._table.setVisible(bool(self._notes))
        self._show_form(editing=now.editing)

    def edit(self, index: int) -> None:
        """Choose a note and let the user write."""
        self._table.selectRow(index)
        self._text.setFocus()

    def _row(self) -> int:
        rows = self._table.selectionModel().selectedRows()
        return rows[0].row() if rows else -1

    def _show_form(self, *, editing: bool) -> None:
        row = self._row()
        has_note = 0 <= row < len(self._notes)
        self._form.setVisible(has_note)
        self._form.setEnabled(editing)
        self._delete.setEnabled(has_note and editing)
        if not has_note:
            return
        note = self._notes[row]
        if self._text.text() != note.text:
            self._text.setText(note.text)
        self._lead.setCurrentIndex(max(self._lead.findData(note.lead), 0))
        for field, value in ((self._from, note.start_s), (self._to, note.end_s)):
            with QSignalBlocker(field):
                field.setValue(value)

    def _on_selected(self) -> None:
        row = self._row()
        self._show_form(editing=self._editing.isChecked())
        if 0 <= row < len(self._notes):
            self.chosen.emit(self._notes[row])

    def _on_edited(self) -> None:
        row = self._row()
        if not 0 <= row < len(self._notes):
            return
        start_s, end_s = sorted((self._from.value(), self._to.value()))
        note = replace(self._notes[row], lead=self._lead.currentData(), text=self._text.text())
        # Seconds shown are rounded: only those that were changed are taken.
        if round(note.start_s, 3) != start_s or round(note.end_s, 3) != end_s:
            note = replace(note, start_s=start_s, end_s=end_s)
        self.changed.emit(row, note)


def _seconds() -> QDoubleSpinBox:
    field = QDoubleSpinBox(decimals=3, singleStep=0.01, maximum=1e6, suffix=" s")
    field.setKeyboardTracking(False)
    field.setAlignment(Qt.AlignmentFlag.AlignRight)
    return field
