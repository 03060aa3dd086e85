"""Plots of a work list, linked to its table: scatter, histogram, map of embeddings, risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from echoing_gui.i18n import tr
from echoing_gui.state_work_list import ListRow, RowState
from echoing_gui.theme import Colours, cividis_rgb
from echoing_gui.view_models.cohort import Array, EmbeddingMap, auroc, risk_coverage
from echoing_gui.view_models.work_list import STATE_TEXTS, Column, numeric, values_of
from model_core.measures import FINDINGS, MEASURES

# Okabe and Ito's colours, told apart by all; shapes say the same.
_BLUE = "#0072B2"
# In its place on a dark background.
_PALE_BLUE = "#56B4E9"
_DARK = 128
_STATE_MARKS = {
    RowState.REPORTED: ("o", _BLUE),
    RowState.CAUTION: ("t1", "#E69F00"),
    RowState.NOT_REPORTABLE: ("s", "#D55E00"),
}
_POINT_PX = 7
_ABOVE_POINTS = 1000
_CHOSEN_PX = 13
_MOST_BINS = 30
_LEAST_KEPT = 10
_NO_COLOUR = "state"
_COLOURS = 24
_NO_VALUE = "#8a9097"


def rows_drawn(rows: Sequence[ListRow]) -> NDArray[np.intp]:
    """Give the rows that plots are made of: each recording once."""
    return np.array([index for index, row in enumerate(rows) if not row.same_as], dtype=np.intp)


class Plot(QWidget):
    """A plot with choices above it and a sentence below; shows rows and what is chosen of them."""

    chosen = Signal(object)
    opened = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.form = QFormLayout()
        self.plot: Any = pg.PlotWidget(enableMenu=False)
        # Else it outlives the plot.
        self.plot.getPlotItem().ctrlMenu.setParent(self.plot, Qt.WindowType.Popup)
        self.plot.setAccessibleName(name)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.hideButtons()
        self.note = QLabel(wordWrap=True)
        self.note.setObjectName("muted")
        column = QVBoxLayout(self)
        column.addLayout(self.form)
        column.addWidget(self.plot, 1)
        column.addWidget(self.note)
        self.rows: Sequence[ListRow] = ()
        self.columns: tuple[Column, ...] = ()
        self.marked: NDArray[np.intp] = np.empty(0, np.intp)

    def set_rows(self, rows: Sequence[ListRow], columns: tuple[Column, ...]) -> None:
        """Draw other rows."""
        self.rows, self.columns = rows, numeric(columns)
        for box in self.findChildren(QComboBox):
            self._fill(box)
        self.draw()

    def mark(self, indices: NDArray[np.intp]) -> None:
        """Mark what is chosen in the table."""
        self.marked = indices

    def draw(self) -> None:
        """Draw all."""
        raise NotImplementedError

    def set_colours(self, colours: Colours) -> None:
        """Take the colours of the window."""
        self.plot.setBackground(colours.base)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(colours.line)
            axis.setTextPen(colours.text)
        self.marker = QColor(colours.text)

    def show_axes(self, *, shown: bool) -> None:
        """Draw nothing but the background where there is nothing to draw."""
        self.plot.getPlotItem().setVisible(shown)

    def add_choice(self, label: str, *, first: str, states: bool = False) -> QComboBox:
        """Offer the columns that are numbers.

        Parameters
        ----------
        label
            With the letter to press behind an ampersand.
        first
            Key of the one to begin with.
        states
            Offer the result states too.
        """
        box = QComboBox()
        box.setProperty("first", first)
        box.setProperty("states", states)
        box.setAccessibleName(label.replace("&", ""))
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.form.addRow(label, box)
        box.currentIndexChanged.connect(self.draw)
        return box

    def column_of(self, box: QComboBox) -> Column | None:
        """Give the column chosen; None for the states, or without one."""
        return next((each for each in self.columns if each.key == box.currentData()), None)

    def _fill(self, box: QComboBox) -> None:
        keys = [column.key for column in self.columns]
        texts = [tr(column.axis) for column in self.columns]
        if box.property("states"):
            keys.insert(0, _NO_COLOUR)
            texts.insert(0, tr("Result state"))
        if [box.itemData(index) for index in range(box.count())] == keys:
            for index, text in enumerate(texts):
                box.setItemText(index, text)
            return
        wanted = box.currentData() or box.property("first")
        box.blockSignals(True)
        box.clear()
        for key, text in zip(keys, texts, strict=True):
            box.addItem(text, key)
        box.setCurrentIndex(max(box.findData(wanted), 0))
        box.blockSignals(False)


class _Points(Plot):
    """Points that can be chosen by a click or a drag with Shift, and opened by a double click."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._items = {
            state: pg.ScatterPlotItem(
                size=_POINT_PX, symbol=symbol, pen=None, brush=colour, name=tr(STATE_TEXTS[state])
            )
            for state, (symbol, colour) in _STATE_MARKS.items()
        }
        self.legend = self.plot.addLegend(offset=(-8, 8))
        # Among many points its words are to be read all the same.
        self.legend.setZValue(_ABOVE_POINTS)
        for item in self._items.values():
            self.plot.addItem(item)
        # One item a colour: a brush for each point costs a hundred times as much.
        self._coloured = [
            pg.ScatterPlotItem(
                size=_POINT_PX,
                symbol="o",
                # Yellow on white has an edge.
                pen=pg.mkPen("#5a6169", width=1),
                brush=pg.mkBrush(_NO_VALUE if n is None else cividis_rgb(n / (_COLOURS - 1))),
            )
            for n in (None, *range(_COLOURS))
        ]
        for item in self._coloured:
            self.plot.addItem(item)
        self._marks = pg.ScatterPlotItem(size=_CHOSEN_PX, symbol="o", brush=None)
        self.plot.addItem(self._marks)
        self._places: Array = np.empty((0, 2))
        self._drawn: NDArray[np.intp] = np.empty(0, np.intp)
        self.plot.scene().sigMouseClicked.connect(self._on_click)

    def set_colours(self, colours: Colours) -> None:
        """Take the colours of the window."""
        super().set_colours(colours)
        is_dark = QColor(colours.base).lightness() < _DARK
        self._items[RowState.REPORTED].setBrush(_PALE_BLUE if is_dark else _BLUE)
        self.legend.setBrush(pg.mkBrush(colours.base))
        self.legend.setPen(pg.mkPen(colours.line))
        for _sample, label in self.legend.items:
            label.setText(label.text, color=colours.text)

    def show_points(self, drawn: NDArray[np.intp], places: Array, colour: Column | None) -> None:
        """Draw a point for each row that has a place.

        Parameters
        ----------
        drawn
            Indices of the rows.
        places
            (n, 2); NaN where a row has none.
        colour
            Column that colours the points, in cividis from the 5th to the 95th percentile; None
            for the result state.
        """
        there = np.isfinite(places).all(axis=1)
        self._drawn, self._places = drawn[there], places[there]
        if colour is None:
            states = [self.rows[index].state for index in self._drawn]
            members = [np.array([each is state for each in states], bool) for state in self._items]
        else:
            colours = _colour_of(values_of([self.rows[index] for index in self._drawn], colour))
            members = [colours == n for n in range(-1, _COLOURS)]
        nobody = np.zeros(len(self._drawn), dtype=bool)
        for items, is_used in ((self._items.values(), not colour), (self._coloured, colour)):
            for number, item in enumerate(items):
                item.setData(*self._places[members[number] if is_used else nobody].T)
        self.legend.setVisible(colour is None)
        self.show_axes(shown=len(self._places) > 0)
        self._show_marks()

    def mark(self, indices: NDArray[np.intp]) -> None:
        """Ring what is chosen in the table."""
        super().mark(indices)
        self._show_marks()

    def _show_marks(self) -> None:
        keep = np.isin(self._drawn, self.marked)
        self._marks.setData(*self._places[keep].T, pen=pg.mkPen(self.marker, width=2))

    def _on_click(self, event: Any) -> None:  # noqa: ANN401 - pyqtgraph's
        position: QPointF = event.scenePos()
        found = self.nearest(position)
        if found is None:
            return
        if event.double():
            self.opened.emit(found)
        else:
            self.chosen.emit(np.array([found], np.intp))

    def nearest(self, position: QPointF) -> int | None:
        """Give the row whose point lies at a place of the scene; None if there is none."""
        if not len(self._places):
            return None
        box = self.plot.getPlotItem().getViewBox()
        origin, one = box.mapViewToScene(QPointF(0, 0)), box.mapViewToScene(QPointF(1, 1))
        scale = np.array([one.x() - origin.x(), one.y() - origin.y()])
        at = self._places * scale + np.array([origin.x(), origin.y()])
        distance = np.hypot(*(at - np.array([position.x(), position.y()])).T)
        index = int(distance.argmin())
        return int(self._drawn[index]) if distance[index] <= _POINT_PX else None


class ScatterPlot(_Points):
    """One column over another."""

    def __init__(self) -> None:
        super().__init__(tr("Scatter plot"))
        self.across = self.add_choice(tr("&Across"), first="lvef")
        self.up = self.add_choice(tr("&Up"), first="variance")

    def draw(self) -> None:
        """Draw the points."""
        x, y = self.column_of(self.across), self.column_of(self.up)
        if x is None or y is None:
            return
        drawn = rows_drawn(self.rows)
        rows = [self.rows[index] for index in drawn]
        self.plot.setLabel("bottom", tr(x.axis))
        self.plot.setLabel("left", tr(y.axis))
        self.show_points(drawn, np.column_stack([values_of(rows, x), values_of(rows, y)]), None)
        n = len(self._places)
        how = tr("Click a point to find it in the table, double-click to open its ECG.")
        if n == 0:
            self.note.setText(tr("No recording has both."))
        elif n == 1:
            self.note.setText(f"{tr('1 recording has both.')} {how}")
        else:
            self.note.setText(f"{tr('{n:,} recordings have both.', n=n)} {how}")


class HistogramPlot(Plot):
    """How often values of a column are."""

    def __init__(self) -> None:
        super().__init__(tr("Histogram"))
        self.across = self.add_choice(tr("&Values of"), first="lvef")
        self._bars = pg.BarGraphItem(x0=[], x1=[], height=[], brush="#56B4E9", pen="#0072B2")
        self._marked_bars = pg.BarGraphItem(x0=[], x1=[], height=[], brush="#E69F00", pen=None)
        self.plot.addItem(self._bars)
        self.plot.addItem(self._marked_bars)

    def draw(self) -> None:
        """Draw the bars; those of the rows chosen in orange."""
        column = self.column_of(self.across)
        if column is None:
            return
        drawn = rows_drawn(self.rows)
        values = values_of([self.rows[index] for index in drawn], column)
        there = np.isfinite(values)
        chosen = values[there & np.isin(drawn, self.marked)]
        values = values[there]
        edges = _edges(values)
        for bars, counted in ((self._bars, values), (self._marked_bars, chosen)):
            counts = np.histogram(counted, edges)[0]
            bars.setOpts(x0=edges[:-1], x1=edges[1:], height=counts)
        self.plot.setLabel("bottom", tr(column.axis))
        self.plot.setLabel("left", tr("Recordings"))
        n = len(values)
        self.show_axes(shown=n > 0)
        text = tr("1 recording.") if n == 1 else tr("{n:,} recordings.", n=n)
        if len(values):
            middle = np.percentile(values, [25, 50, 75])
            text += " " + tr(
                "Median {median}, middle half {low} to {high}; orange: rows chosen in the table.",
                median=f"{middle[1]:.3g}", low=f"{middle[0]:.3g}", high=f"{middle[2]:.3g}",
            )  # fmt: skip
        self.note.setText(text)

    def mark(self, indices: NDArray[np.intp]) -> None:
        """Colour what is chosen in the table."""
        super().mark(indices)
        self.draw()


class MapPlot(_Points):
    """Embeddings on the two axes along which they vary most."""

    def __init__(self) -> None:
        super().__init__(tr("Map of embeddings"))
        self.colour = self.add_choice(tr("&Colour by"), first="lvef", states=True)
        self._numbers: NDArray[np.intp] = np.empty(0, np.intp)
        self._map: EmbeddingMap | None = None

    def set_map(self, indices: NDArray[np.intp], found: EmbeddingMap | None) -> None:
        """Draw another map; its rows, and None while there are too few."""
        self._numbers, self._map = indices, found
        self.draw()

    def draw(self) -> None:
        """Draw the points."""
        if self._map is None or not len(self.rows):
            self.show_points(np.empty(0, np.intp), np.empty((0, 2)), None)
            self.note.setText(tr("A map needs at least three recordings with an embedding."))
            return
        column = self.column_of(self.colour)
        across, up = (100 * share for share in self._map.shares)
        self.plot.setLabel(
            "bottom", tr("First component ({share} % of variance)", share=f"{across:.0f}")
        )
        self.plot.setLabel(
            "left", tr("Second component ({share} % of variance)", share=f"{up:.0f}")
        )
        self.show_points(self._numbers, self._map.places, column)
        text = tr(
            "{n:,} embeddings, principal components. Near points are ECGs that the model sees "
            "alike; the axes have no clinical meaning.", n=len(self._numbers),
        )  # fmt: skip
        if column is not None:
            text += " " + tr(
                "Colour: {name}, dark low, yellow high, from the 5th to the 95th percentile.",
                name=tr(column.axis),
            )
        self.note.setText(text)


class RiskPlot(Plot):
    """How wrong estimates are, over the share of ECGs kept, the most certain first."""

    def __init__(self) -> None:
        super().__init__(tr("Risk over coverage"))
        self.measure = QComboBox()
        self.measure.setAccessibleName(tr("Measure"))
        self.form.addRow(tr("Mea&sure"), self.measure)
        self.measure.currentIndexChanged.connect(self.draw)
        self.certainty = self.add_choice(tr("Most certain &by"), first="variance")
        self._curve = pg.PlotCurveItem(pen=pg.mkPen("#0072B2", width=2))
        self._whole = pg.InfiniteLine(angle=0, pen=pg.mkPen("#D55E00", style=Qt.PenStyle.DashLine))
        self.plot.addItem(self._curve)
        self.plot.addItem(self._whole)
        self.plot.setLabel("bottom", tr("Share of ECGs kept (%)"))

    def set_colours(self, colours: Colours) -> None:
        """Take the colours of the window."""
        super().set_colours(colours)
        self._curve.setPen(pg.mkPen(colours.accent, width=2))

    def set_rows(self, rows: Sequence[ListRow], columns: tuple[Column, ...]) -> None:
        """Draw other rows; offers the measures that the table has labels of."""
        keys = [key for key in MEASURES if any(each.key == f"label_{key}" for each in columns)]
        if [self.measure.itemData(index) for index in range(self.measure.count())] != keys:
            self.measure.blockSignals(True)
            self.measure.clear()
            for key in keys:
                self.measure.addItem(MEASURES[key].label, key)
            self.measure.blockSignals(False)
        self.rows, self.columns = rows, numeric(columns)
        self._fill(self.certainty)
        self.draw()

    def draw(self) -> None:
        """Draw the curve and say what it comes to."""
        key, column = self.measure.currentData(), self.column_of(self.certainty)
        rows = [self.rows[index] for index in rows_drawn(self.rows)]
        rows = [row for row in rows if key in row.labels and key in row.values]
        values = values_of(rows, column) if column is not None else np.empty(0)
        rows = [row for row, value in zip(rows, values, strict=False) if np.isfinite(value)]
        values = values[np.isfinite(values)]
        self.show_axes(shown=key is not None and len(rows) > 0)
        if key is None or not len(rows):
            self._curve.setData([], [])
            self._whole.hide()
            self.note.setText(
                tr("For this curve the list has to come from a table with a column of labels, such "
                   "as lvef, and rows with an estimate.")
            )  # fmt: skip
            return
        measure = MEASURES[key]
        error = np.abs([row.values[key] - row.labels[key] for row in rows])
        found = risk_coverage(error, values)
        # The mean of a few errors is noise.
        keep = found.coverage * found.n >= min(_LEAST_KEPT, found.n)
        self._curve.setData(100 * found.coverage[keep], found.risk[keep])
        self._whole.setValue(found.mae)
        self._whole.show()
        self.plot.setLabel("left", tr("Mean absolute error of {label} ({unit})",
                                      label=measure.label, unit=measure.unit))  # fmt: skip
        self.plot.setYRange(0, float(max(found.risk[keep].max(), found.mae)))
        self.plot.setXRange(0, 100)
        text = tr(
            "n = {n:,}; drawn from {least} ECGs on. Mean absolute error of all (dashed) {mae} "
            "{unit}; area under the curve (AURC) {aurc} {unit}.", n=found.n,
            mae=f"{found.mae:.2f}", least=_LEAST_KEPT,
            aurc=f"{found.aurc:.2f}", unit=measure.unit,
        )  # fmt: skip
        self.note.setText(f"{text} {_auroc_text(key, rows)} " + tr(
            "Withheld results and recordings without a label are not in it. A figure of this list "
            "only: it says nothing of other patients, and little if n is small."
        ))  # fmt: skip


def _auroc_text(key: str, rows: Sequence[ListRow]) -> str:
    """AUROC of each finding of a measure against the labels."""
    texts: list[str] = []
    for finding in FINDINGS.values():
        if finding.measure_key != key:
            continue
        judged = [row for row in rows if finding.key in row.probabilities]
        score = np.array([row.probabilities[finding.key] for row in judged])
        holds = np.array([row.labels[key] < finding.below for row in judged], dtype=bool)
        area = auroc(score, holds) if len(judged) else None
        shown = f"{area:.3f}" if area is not None else "-"
        texts.append(
            tr("AUROC of {label} {area} ({n:,} have it).",
               label=finding.label, area=shown, n=int(holds.sum()))
        )  # fmt: skip
    return " ".join(texts)


def _edges(values: Array) -> Array:
    """Edges of bins, from the smallest to the largest value."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    n = min(_MOST_BINS, max(1, round(np.sqrt(len(values)))))
    return np.linspace(low, high, n + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _colour_of(values: Array) -> NDArray[np.intp]:
    """Give the number of the colour of each value, from 0; -1 where there is none."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [5, 95]) if len(known) else (0.0, 1.0)
    shares = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return (
        np.where(np.isfinite(shares), np.nan_to_num(shares) * (_COLOURS - 1), -1)
        .round()
        .astype(np.intp)
    )
