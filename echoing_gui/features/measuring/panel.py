"""The tab of measurements: numbers of the program and of the file, and the median beats."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QHeaderView, QLabel, QVBoxLayout, QWidget

from echoing_gui.features.measuring.caliper_list import fill, plain_table
from echoing_gui.features.measuring.measured import (
    FORMULA_NAMES,
    MeasurementRow,
    measurement_rows,
    method_text,
)
from echoing_gui.features.measuring.median_beats import MedianBeats
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.view_models import texts
from model_core.wording import say

_COLUMNS = (say("Measurement"), say("Computed"), say("From file"))


def cells(row: MeasurementRow) -> tuple[str, ...]:
    """Write a row; a difference is marked by a sign, not by colour alone."""
    return row.name, row.computed, f"≠ {row.from_file}" if row.differs else row.from_file


class MeasurementsPanel(QWidget):
    """Intervals, axes and rate from both sources, then the median beat of each lead."""

    formulaChosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._table = plain_table(_COLUMNS, tr("Measurements"))
        sizes = self._table.horizontalHeader()
        sizes.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self._formula = QComboBox()
        for key, name in FORMULA_NAMES.items():
            self._formula.addItem(name, key)
        self._formula.setAccessibleName(tr("Formula that corrects QT for the heart rate"))
        self._formula.activated.connect(
            lambda index: self.formulaChosen.emit(self._formula.itemData(index))
        )
        choice = QHBoxLayout()
        choice.addWidget(QLabel(tr("QT corrected by")))
        choice.addWidget(self._formula)
        choice.addStretch()
        self._method = _muted()
        self._beats_title = QLabel(tr("Median beat, not rhythm"))
        self._beats_title.setObjectName("panelTitle")
        self._beats_text = _muted()
        self.beats = MedianBeats()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._table)
        layout.addLayout(choice)
        for widget in (self._method, self._beats_title, self._beats_text, self.beats):
            layout.addWidget(widget)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the measurements of a state."""
        self.setVisible(new.recording is not None)
        self.beats.show_state(old, new)
        self._formula.setCurrentIndex(self._formula.findData(new.measuring.formula))
        rows = measurement_rows(new)
        if rows != measurement_rows(old) or not self._table.rowCount():
            fill(self._table, [cells(row) for row in rows])
        self._method.setText(method_text(new))
        sheet = self.beats.sheet
        for part in (self._beats_title, self._beats_text):
            part.setVisible(sheet is not None)
        if sheet is not None:
            scale = f"{sheet.speed_mm_s:g} mm/s   {new.options.gain_mm_mv:g} mm/mV"
            warning = texts.not_to_scale(new)
            parts = [scale, warning, tr("dotted: where P, QRS and T begin and end")]
            self._beats_text.setText("   ".join(part for part in parts if part))


def _muted() -> QLabel:
    label = QLabel(wordWrap=True)
    label.setObjectName("muted")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
