"""The table of a work list: rows are made when they are looked at, so that many stay fluid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from echoing_gui.i18n import tr
from echoing_gui.state_work_list import ListRow
from echoing_gui.view_models.work_list import Column, order_of, why_text

_Index = QModelIndex | QPersistentModelIndex
_ALIGN_NUMBER = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ALIGN_TEXT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_MOST_SELECTED = 5000
# A number at the right end of its column must not run into the text of the next one.
_PAD_PX = 8


class WorkListModel(QAbstractTableModel):
    """Rows of a work list in the order chosen; holds indices, never copies of cells."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[ListRow] = ()
        self._columns: tuple[Column, ...] = ()
        self._shown: NDArray[np.intp] = np.empty(0, np.intp)
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self._sorted_by: tuple[int, Qt.SortOrder] = (0, Qt.SortOrder.AscendingOrder)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the table."""
        return self._columns

    def set_rows(
        self, rows: Sequence[ListRow], columns: tuple[Column, ...], shown: NDArray[np.intp]
    ) -> None:
        """Show other rows, or the same ones with other results; sorts anew.

        Parameters
        ----------
        rows
            All rows of the list.
        columns
            What to show of them.
        shown
            Indices of the rows that the filter lets through.
        """
        if [each.key for each in columns] != [each.key for each in self._columns]:
            self.beginResetModel()
            self._columns, self._rows, self._shown = columns, rows, shown
            self._order = self._sorted()
            self.endResetModel()
            return
        self._columns, self._rows, self._shown = columns, rows, shown
        self._reorder()

    def update_rows(self, rows: Sequence[ListRow], columns: tuple[Column, ...]) -> None:
        """Show new results of the same rows, each where it is: nothing jumps while it is read.

        Parameters
        ----------
        rows
            All rows of the list.
        columns
            The same columns as before; their titles may differ.
        """
        self._rows, self._columns = rows, columns
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(columns) - 1)
        if len(self._order):
            last = self.index(len(self._order) - 1, len(self._columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    def row_at(self, place: int) -> int:
        """Index in the list of what is shown at a place of the table."""
        return int(self._order[place])

    def places_of(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Places in the table of rows of the list; of those that are shown."""
        return np.flatnonzero(np.isin(self._order, indices))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Count the rows."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Count the columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Give the text of a cell, and where it stands."""
        if role == Qt.ItemDataRole.DisplayRole:
            column = self._columns[index.column()]
            return column.text(self._rows[self._order[index.row()]])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(self._columns[index.column()])
        if role == Qt.ItemDataRole.ToolTipRole:
            row = self._rows[self._order[index.row()]]
            # Beside an empty cell too: why it is empty.
            return row.name if self._columns[index.column()].key == "name" else why_text(row)
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:  # noqa: ANN401
        """Give the title of a column and what it means."""
        if orientation is Qt.Orientation.Horizontal and section < len(self._columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return tr(self._columns[section].title)
            if role == Qt.ItemDataRole.ToolTipRole:
                return tr(self._columns[section].tip)
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(self._columns[section])
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows into another order; those without a value come last."""
        self._sorted_by = (column, order)
        self._reorder()

    def _sorted(self) -> NDArray[np.intp]:
        number, order = self._sorted_by
        if not 0 <= number < len(self._columns):
            return self._shown
        falling = order is Qt.SortOrder.DescendingOrder
        return order_of(self._rows, self._shown, self._columns[number], falling=falling)

    def _reorder(self) -> None:
        """Take the new order; what is selected or current stays so."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        old = self._order
        self._order = self._sorted()
        place_of = {int(index): place for place, index in enumerate(self._order)} if before else {}
        after: list[QModelIndex] = []
        for index in before:
            place = place_of.get(int(old[index.row()])) if index.row() < len(old) else None
            after.append(QModelIndex() if place is None else self.index(place, index.column()))
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()


def _alignment(column: Column) -> Qt.AlignmentFlag:
    """Numbers under one another; words, and what is counted in words, from the left."""
    return _ALIGN_NUMBER if column.axis and column.key != "quality" else _ALIGN_TEXT


class WorkListTable(QTableView):
    """Sorts by its headers; Enter or a double click opens an ECG."""

    opened = Signal(int)
    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("Work list"))
        self.rows = WorkListModel()
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setStyleSheet(
            f"QTableView::item, QHeaderView::section {{ padding: 1px {_PAD_PX}px; }}"
        )
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().setVisible(False)
        # Heights are never asked of cells.
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setSectionsMovable(True)
        header.setDefaultAlignment(_ALIGN_TEXT)
        header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.activated.connect(lambda index: self.opened.emit(self.rows.row_at(index.row())))
        self.selectionModel().selectionChanged.connect(self._tell_chosen)
        self.rows.modelReset.connect(self._fit_columns)

    def choose(self, indices: NDArray[np.intp]) -> None:
        """Select rows of the list and bring the first one into sight."""
        places = self.rows.places_of(indices)[:_MOST_SELECTED]
        selection = QItemSelection()
        last_column = self.rows.columnCount() - 1
        breaks = np.flatnonzero(np.diff(places) != 1)
        starts, ends = np.append(0, breaks + 1), np.append(breaks, len(places) - 1)
        if len(places):
            for start, end in zip(places[starts], places[ends], strict=True):
                selection.select(
                    self.rows.index(int(start), 0), self.rows.index(int(end), last_column)
                )
        self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if len(places):
            self.scrollTo(self.rows.index(int(places[0]), 0))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open by Enter too, where the system leaves that to F2."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.rows.row_at(self.currentIndex().row()))
            return
        super().keyPressEvent(event)

    def _tell_chosen(self) -> None:
        places = sorted(index.row() for index in self.selectionModel().selectedRows())
        self.chosen.emit(np.array([self.rows.row_at(place) for place in places], np.intp))

    def _fit_columns(self) -> None:
        """Fit columns to their widest text, which is known without asking all rows."""
        metrics = self.fontMetrics()
        for number, column in enumerate(self.rows.columns):
            wide = max(
                metrics.horizontalAdvance(column.sample),
                metrics.horizontalAdvance(tr(column.title)) + 18,
            )
            self.setColumnWidth(number, wide + 2 * _PAD_PX + 14)
