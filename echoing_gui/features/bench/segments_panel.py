"""The table of segments: one row a lead and segment, sortable, linked with the trace."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.exports import csv_text
from echoing_gui.features.bench.view import (
    SegmentRow,
    bench_of,
    export_rows,
    map_of,
    percentile_text,
    segment_rows,
)
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_bench import Cell
from echoing_gui.view_models.sheet import WHOLE_ROW, number_text
from model_core.types import PackageIdentity
from model_core.wording import say

_Index = QModelIndex | QPersistentModelIndex
_COLUMNS = (
    say("Lead"), say("From"), say("To"), say("Var."), say("%ile"), say("Quality"), say("Covers"),
)  # fmt: skip
_TIPS = {
    1: say("Start, seconds of the recording."),
    2: say("End, seconds of the recording."),
    3: say("Segment variance, dimensionless: the higher, the less the estimate can build on it."),
    4: say(
        "Percentile, approximate: about where the variance lies among the segments of the ECGs "
        "that the model package was calibrated on. The package tells its 5th and 99th percentile; "
        "the rest is interpolated."
    ),
    5: say("Signal quality of the whole lead."),
    6: say("Waves that the program's own delineation marks there, and artefacts."),
}
# Room for cells of all columns but the last, in digits.
_DIGITS = (4.8, 3.6, 4.6, 5.4, 3.2, 6.3)
_BESIDE_PX = 6
_SORT_ROLE = Qt.ItemDataRole.UserRole


class SegmentModel(QAbstractTableModel):
    """The rows as Qt asks for them: only those in sight are ever made into texts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[SegmentRow, ...] = ()
        self._places: dict[str, int] = {}

    def show_rows(self, rows: tuple[SegmentRow, ...]) -> None:
        """Take other rows; if only what is said of them changed, the selection stays."""
        if [row.cell for row in rows] == [row.cell for row in self.rows]:
            self.rows = rows
            if rows:
                last = self.index(len(rows) - 1, len(_COLUMNS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.rows = rows
        self._places = {lead: n for n, lead in enumerate(dict.fromkeys(r.cell.lead for r in rows))}
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Return the number of segments."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Give one cell: its text, its place in order, or how it stands."""
        row, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._text(row, column)
        if role == _SORT_ROLE:
            return self._order(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and 1 <= column <= 4:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:  # noqa: ANN401
        """Name the columns and say what they hold."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return tr(_COLUMNS[section])
        if role == Qt.ItemDataRole.ToolTipRole and section in _TIPS:
            return tr(_TIPS[section])
        return None

    def _text(self, row: SegmentRow, column: int) -> str:
        return (
            tr("all") if row.cell.lead == WHOLE_ROW else row.cell.lead,
            _second(row.start_s),
            _second(row.end_s),
            number_text(row.variance) if math.isfinite(row.variance) else tr("not computed"),
            percentile_text(row.percentile),
            tr(row.quality),
            "; ".join(tr(part) for part in row.covers),
        )[column]

    def _order(self, row: SegmentRow, column: int) -> float | str:
        unknown = -1.0
        return (
            self._places[row.cell.lead] * 10_000 + row.cell.segment,
            row.start_s,
            row.end_s,
            row.variance if math.isfinite(row.variance) else unknown,
            row.percentile if math.isfinite(row.percentile) else unknown,
            row.quality,
            "; ".join(row.covers),
        )[column]


class _Table(QTableView):
    """A table whose copy is CSV."""

    copyRequested = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the selected rows, all columns; zoom to them by Enter."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copyRequested.emit()
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            # Some systems leave that to F2.
            self.activated.emit(self.currentIndex())
            return
        super().keyPressEvent(event)


class SegmentsPanel(QWidget):
    """The table, what it lacks, and a button that copies it.

    `chosen` carries the selected segments and the one that the keyboard is on, or None.
    """

    chosen = Signal(object, object)
    copied = Signal(str, int)
    seen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._model = SegmentModel()
        self._sorted = QSortFilterProxyModel()
        self._sorted.setSourceModel(self._model)
        self._sorted.setSortRole(_SORT_ROLE)
        self._note = QLabel(wordWrap=True)
        self._note.setObjectName("muted")
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.table = _Table()
        self.table.setAccessibleName(tr("Segments"))
        self.table.setModel(self._sorted)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setAlternatingRowColors(True)
        self.table.setTabKeyNavigation(False)
        self.table.setWordWrap(False)
        self.table.setStyleSheet("QTableView::item, QHeaderView::section { padding: 1px; }")
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        small = self.font()
        small.setPointSizeF(0.9 * small.pointSizeF())
        self.table.setFont(small)
        header.setFont(small)
        header.setHighlightSections(False)
        for column, width in enumerate(_widths(small)):
            header.resizeSection(column, width)
        header.setSectionResizeMode(len(_COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
        height = self.table.fontMetrics().height()
        self.table.verticalHeader().setDefaultSectionSize(round(1.5 * height))
        self.table.setMinimumHeight(14 * height)
        self._copy = QPushButton(tr("Cop&y rows as CSV"))
        self._copy.setToolTip(tr("Copy the selected rows; all of them if none is selected."))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._note)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._copy)
        policy = self.sizePolicy()
        policy.setVerticalPolicy(QSizePolicy.Policy.Expanding)
        policy.setVerticalStretch(1)
        self.setSizePolicy(policy)
        self._showing = False
        self._package: PackageIdentity | None = None
        self.table.selectionModel().selectionChanged.connect(self._on_selection)
        self.table.selectionModel().currentChanged.connect(self._on_selection)
        self.table.copyRequested.connect(self.copy)
        self._copy.clicked.connect(self.copy)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the segments of the result on screen, and which are selected."""
        told = old.prediction is not new.prediction or old.bench.covered is not new.bench.covered
        self._showing = True
        self._package = new.prediction.package if new.prediction is not None else None
        if told or not self._model.rows:
            self._model.show_rows(segment_rows(new))
        bench = bench_of(new)
        if told or old.bench.chosen != new.bench.chosen or old.bench.current != new.bench.current:
            self._select(bench.chosen, bench.current)
        self._showing = False
        there = bool(self._model.rows)
        self._note.setText(_note(new))
        self._note.setVisible(bool(self._note.text()))
        self.table.setVisible(there)
        self._copy.setVisible(there)
        if told and self.isVisible():
            self.seen.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what is only worked out when somebody looks."""
        super().showEvent(event)
        self.seen.emit()

    def copy(self) -> None:
        """Put the selected rows on the clipboard as CSV; all of them if none is selected."""
        picked = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        shown = picked or range(self._sorted.rowCount())
        rows = [self._row(self._sorted.index(row, 0)) for row in shown]
        if self._package is not None:
            self.copied.emit(csv_text(export_rows(rows, self._package)), len(rows))

    def _row(self, shown: QModelIndex) -> SegmentRow:
        return self._model.rows[self._sorted.mapToSource(shown).row()]

    def _select(self, chosen: frozenset[Cell], current: Cell | None) -> None:
        selection = QItemSelection()
        last = len(_COLUMNS) - 1
        for number, row in enumerate(self._model.rows):
            if row.cell in chosen:
                place = self._sorted.mapFromSource(self._model.index(number, 0))
                selection.select(place, place.siblingAtColumn(last))
            if row.cell == current:
                place = self._sorted.mapFromSource(self._model.index(number, 0))
                self.table.selectionModel().setCurrentIndex(
                    place, QItemSelectionModel.SelectionFlag.NoUpdate
                )
                self.table.scrollTo(place)
        self.table.selectionModel().select(
            selection, QItemSelectionModel.SelectionFlag.ClearAndSelect
        )

    def _on_selection(self) -> None:
        if self._showing:
            return
        selected = [self._row(each).cell for each in self.table.selectionModel().selectedRows()]
        at = self.table.currentIndex()
        current = self._row(at).cell if at.isValid() else None
        if current not in selected:
            current = selected[0] if selected else None
        self.chosen.emit(frozenset(selected), current)


def _widths(font: QFont) -> list[int]:
    """Widths of all columns but the last, which takes what remains, px."""
    metrics = QFontMetrics(font)
    digit = metrics.horizontalAdvance("0")
    return [
        max(metrics.horizontalAdvance(tr(title)), round(n_digits * digit)) + _BESIDE_PX
        for title, n_digits in zip(_COLUMNS, _DIGITS, strict=False)
    ]


def _second(value: float) -> str:
    """Write a time to 10 ms; a column of times has one look.

    Examples
    --------
    >>> _second(9.5), _second(10.0)
    ('9.50', '10.00')
    """
    return f"{value:.2f}"


def _note(state: AppState) -> str:
    if map_of(state) is not None:
        return ""
    if state.recording is None:
        return tr("Open an ECG to see its segments.")
    return tr("There is no result for this recording, so no segment has a variance.")
