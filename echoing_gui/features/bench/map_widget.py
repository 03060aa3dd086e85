"""A map of leads and segments as coloured cells, on a fixed scale with a legend."""

from __future__ import annotations

import bisect
import itertools
import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from echoing_gui import theme
from echoing_gui.features.bench.view import cell_text
from echoing_gui.i18n import tr
from echoing_gui.state_bench import Cell
from echoing_gui.view_models.sheet import number_text

_STEPS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip
_ROW_LINES, _LEGEND_LINES = 0.95, 1.5


class MapWidget(QWidget):
    """Cells in the colours of the strips; arrow keys and clicks choose one.

    `chosen` carries the segment.
    """

    chosen = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._values: NDArray[np.floating] = np.zeros((0, 0))
        self._leads: tuple[str, ...] = ()
        self._edges_s: NDArray[np.float64] = np.zeros(1)
        self._scale = (0.1, 1.0)
        self._unit = ""
        self._current: Cell | None = None
        self._told: tuple[object, ...] = ()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def show_map(
        self,
        values: NDArray[np.floating],
        leads: tuple[str, ...],
        edges_s: NDArray[np.float64],
        scale: tuple[float, float],
        unit: str,
        current: Cell | None,
    ) -> None:
        """Show a map.

        Parameters
        ----------
        values
            (leads, cells); NaN where not computed. The size counts, whatever the sign.
        leads, edges_s
            Names of the rows, and borders of the cells in seconds of the recording.
        scale
            Fixed ends of the logarithmic colour scale.
        unit
            Of the values, for the legend.
        current
            The cell that is outlined.
        """
        same = np.array_equal(values, self._values, equal_nan=True)
        if same and (leads, scale, unit, current) == self._told:
            return
        self._told = leads, scale, unit, current
        self._values, self._leads, self._edges_s = values, leads, edges_s
        self._scale, self._unit, self._current = scale, unit, current
        known = int(np.isfinite(values).sum())
        described = tr(
            "{name}: {known} of {all} cells computed, {low} to {high} {unit} on the scale.",
            name=self._name, known=known, all=values.size,
            low=number_text(scale[0]), high=number_text(scale[1]), unit=unit,
        )  # fmt: skip
        if current is not None and self._value(current) is not None:
            described += " " + self._text(current)
        self.setAccessibleName(self._name)
        self.setAccessibleDescription(described)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Height by the font and the number of rows."""
        line = self.fontMetrics().height()
        rows = max(len(self._leads), 1)
        return QSize(200, round(line * (max(rows, 2) * _ROW_LINES + _LEGEND_LINES)))

    def paintEvent(self, _event: object) -> None:
        """Paint names, cells and legend."""
        if not self._values.size:
            return
        painter = QPainter(self)
        area = self._area()
        painter.fillRect(area, QColor(theme.PAPER))
        hatch = QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern)
        small = self.font()
        small.setPointSizeF(self.font().pointSizeF() * 0.8)
        painter.setFont(small)
        painter.setPen(self.palette().windowText().color())
        columns, rows = self._borders(area)
        for row, (top, bottom) in enumerate(itertools.pairwise(rows)):
            name = QRectF(0, top, area.left() - 4, bottom - top)
            painter.drawText(
                name, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._leads[row]
            )
            cells = zip(itertools.pairwise(columns), self._values[row].tolist(), strict=True)
            for (left, right), value in cells:
                cell = QRectF(left, top, right - left - 1, bottom - top - 1)
                if math.isfinite(value):
                    size = max(abs(value), 1e-12)
                    painter.fillRect(cell, QColor(*theme.variance_rgb(size, self._scale)))
                else:
                    painter.fillRect(cell, hatch)
        if self._current is not None and self._value(self._current) is not None:
            row, column = self._leads.index(self._current.lead), self._column(self._current)
            left, right = columns[column : column + 2]
            top, bottom = rows[row : row + 2]
            place = QRectF(left, top, right - left - 1, bottom - top - 1)
            painter.setPen(QPen(QColor(theme.PAPER_TEXT), 3))
            painter.drawRect(place)
            painter.setPen(QPen(QColor("#ffffff"), 1))
            painter.drawRect(place)
        self._paint_legend(painter, area)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose a neighbouring cell."""
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None or not self._values.size:
            super().keyPressEvent(event)
            return
        row, column = 0, 0
        if self._current is not None and self._value(self._current) is not None:
            row = self._leads.index(self._current.lead) + step[0]
            column = self._column(self._current) + step[1]
        n_rows, n_columns = self._values.shape
        self._choose(min(max(row, 0), n_rows - 1), min(max(column, 0), n_columns - 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the cell under the pointer."""
        place = self._at(event)
        if place is not None:
            self._choose(*place)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the pointer."""
        place = self._at(event)
        if place is None:
            QToolTip.hideText()
            return
        text = self._text(Cell(self._leads[place[0]], place[1]))
        QToolTip.showText(event.globalPosition().toPoint(), text, self)

    def _choose(self, row: int, column: int) -> None:
        if self._values.shape[1] > 1:
            self.chosen.emit(Cell(self._leads[row], column))

    def _column(self, cell: Cell) -> int:
        return min(cell.segment, self._values.shape[1] - 1)

    def _value(self, cell: Cell) -> float | None:
        if cell.lead not in self._leads or not self._values.size:
            return None
        return float(self._values[self._leads.index(cell.lead), self._column(cell)])

    def _text(self, cell: Cell) -> str:
        value = self._value(cell)
        where = cell_text(Cell(cell.lead, self._column(cell)), self._edges_s)
        if value is None or not math.isfinite(value):
            return tr("{where}: not computed", where=where)
        sign = "−" if value < 0 else ""
        return f"{where}: {sign}{number_text(abs(value)) if value else '0'} {self._unit}".strip()

    def _area(self) -> QRectF:
        small = QFontMetricsF(self.font())
        left = small.horizontalAdvance("aVR") + 6
        bottom = small.height() * _LEGEND_LINES
        return QRectF(left, 2, self.width() - left - 3, self.height() - bottom - 2)

    def _borders(self, area: QRectF) -> tuple[list[int], list[int]]:
        """Where columns and rows begin and end, pixels."""
        spans = (self._edges_s - self._edges_s[0]) / (self._edges_s[-1] - self._edges_s[0])
        shares = np.linspace(0, 1, self._values.shape[0] + 1)
        columns = [round(area.left() + area.width() * share) for share in spans.tolist()]
        return columns, [round(area.top() + area.height() * share) for share in shares.tolist()]

    def _at(self, event: QMouseEvent) -> tuple[int, int] | None:
        area = self._area()
        if not self._values.size or not area.contains(event.position()):
            return None
        columns, rows = self._borders(area)
        row = bisect.bisect_right(rows, event.position().y()) - 1
        column = bisect.bisect_right(columns, event.position().x()) - 1
        return min(row, len(rows) - 2), min(column, len(columns) - 2)

    def _paint_legend(self, painter: QPainter, area: QRectF) -> None:
        line = QFontMetricsF(painter.font())
        top = area.bottom() + 4
        x = area.left()
        painter.setPen(self.palette().windowText().color())

        def put(text: str) -> None:
            nonlocal x
            width = line.horizontalAdvance(text)
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(x, top, width + 1, line.height()), flags, text)
            x += width + 5

        put(number_text(self._scale[0]))
        low, high = math.log(self._scale[0]), math.log(self._scale[1])
        for step in range(20):
            value = math.exp(low + (high - low) * (step + 0.5) / 20)
            bar = QRectF(x + 3 * step, top + 2, 3, line.height() - 4)
            painter.fillRect(bar, QColor(*theme.variance_rgb(value, self._scale)))
        x += 65
        put(f"{number_text(self._scale[1])} {self._unit}".strip())
        painter.fillRect(
            QRectF(x, top + 2, 12, line.height() - 4),
            QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern),
        )
        x += 16
        put(tr("not computed"))
