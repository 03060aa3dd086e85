"""The calipers as a table: choose, copy, delete."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.features.measuring.calipers import read
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_marks import Caliper
from model_core.wording import say

_COLUMNS = (say("Lead"), say("From (s)"), "ms", say("per min"), "mV")


def cells(caliper: Caliper) -> tuple[str, ...]:
    """Write a caliper as cells of the table; empty for what it does not measure."""
    found = read(caliper)
    return (
        caliper.lead,
        f"{min(caliper.times_s):.3f}",
        "" if found.ms is None else f"{found.ms:.0f}",
        "" if found.per_minute is None else f"{found.per_minute:.0f}",
        "" if found.mv is None else f"{found.mv:.3f}",
    )


def as_text(calipers: tuple[Caliper, ...]) -> str:
    """Write calipers for the clipboard: tab-separated, with a line of column names."""
    rows = [_COLUMNS, *(cells(caliper) for caliper in calipers)]
    return "\n".join("\t".join(row) for row in rows)


def plain_table(columns: tuple[str, ...], name: str) -> QTableWidget:
    """Make a table that is as high as its rows, for a column that scrolls as a whole."""
    table = QTableWidget(0, len(columns))
    table.setHorizontalHeaderLabels([tr(column) for column in columns])
    table.setAccessibleName(name)
    table.verticalHeader().hide()
    table.setTabKeyNavigation(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.horizontalHeader().setHighlightSections(False)
    return table


def fill(table: QTableWidget, rows: list[tuple[str, ...]]) -> None:
    """Show rows of text, and be as high as they are."""
    table.blockSignals(True)
    table.setRowCount(len(rows))
    for n_row, row in enumerate(rows):
        for n_column, text in enumerate(row):
            item = table.item(n_row, n_column)
            if item is None:
                item = QTableWidgetItem()
                table.setItem(n_row, n_column, item)
            item.setText(text)
    table.resizeRowsToContents()
    table.blockSignals(False)
    height = table.horizontalHeader().sizeHint().height() + 2 * table.frameWidth()
    table.setFixedHeight(height + sum(table.rowHeight(n) for n in range(len(rows))))


def _hint(state: AppState) -> str:
    keys = [state.keys.get(f"caliper_{kind}") for kind in ("time", "amplitude", "both")]
    if not all(keys):
        return tr(
            "Choose a caliper in the menu Measure. Click to set the second end; drag ends to move "
            "them."
        )
    time, amplitude, both = keys
    return tr(
        "Press {time} over the ECG for an interval, {amplitude} for a height, {both} for both. "
        "Click to set the second end; drag ends to move them.",
        time=time,
        amplitude=amplitude,
        both=both,
    )


class CaliperList(QWidget):
    """What the calipers read; one row each, the chosen one selected."""

    chosen = Signal(int)
    copyRequested = Signal()
    deleteRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        title = QLabel(tr("Calipers"))
        title.setObjectName("panelTitle")
        self._hint = QLabel(wordWrap=True)
        self._hint.setObjectName("muted")
        self._table = plain_table(_COLUMNS, tr("Calipers"))
        self._copy = QPushButton(tr("Copy values"))
        self._delete = QPushButton(tr("Delete"))
        self._delete.setAccessibleName(tr("Delete caliper"))
        buttons = QHBoxLayout()
        for button in (self._copy, self._delete):
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (title, self._hint, self._table):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self._table.itemSelectionChanged.connect(self._on_selected)
        self._copy.clicked.connect(self.copyRequested)
        self._delete.clicked.connect(self.deleteRequested)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the calipers of a state."""
        now, before = new.measuring, old.measuring
        has_any = bool(now.marks.calipers)
        self._hint.setVisible(not has_any)
        self._hint.setText(_hint(new))
        for part in (self._table, self._copy, self._delete):
            part.setVisible(has_any)
        self._delete.setEnabled(now.chosen is not None)
        if now.marks.calipers != before.marks.calipers:
            fill(self._table, [cells(caliper) for caliper in now.marks.calipers])
        if now.chosen != before.chosen or now.marks.calipers != before.marks.calipers:
            self._table.blockSignals(True)
            self._table.clearSelection()
            if now.chosen is not None:
                self._table.selectRow(now.chosen)
            self._table.blockSignals(False)

    def _on_selected(self) -> None:
        rows = self._table.selectionModel().selectedRows()
        if rows:
            self.chosen.emit(rows[0].row())
