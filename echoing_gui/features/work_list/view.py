"""The view of the work list: buttons, filter, table and plots; built when first looked at."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLocale, Qt, Signal
from PySide6.QtGui import QDoubleValidator, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_work_list import WorkList
from echoing_gui.view_models.cohort import EmbeddingMap
from echoing_gui.view_models.results import full_caveat
from echoing_gui.view_models.work_list import (
    STATE_TEXTS,
    Filter,
    can_export,
    columns_of,
    covered_text,
    numeric,
    progress_text,
    shown_rows,
    why_text,
)
from echoing_gui.view_models.wrapping import breakable

# While results come in
_DRAWN_EVERY_S = 1.0


class WorkListView(QWidget):
    """Shows the work list and asks through signals; shows nothing before it is looked at."""

    folderRequested = Signal()
    tableRequested = Signal()
    pauseRequested = Signal()
    closeRequested = Signal()
    exportRequested = Signal()
    aboutRequested = Signal()
    rowOpened = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._state = AppState()
        self._is_built = False
        self._map: tuple[NDArray[np.intp], EmbeddingMap | None] = (np.empty(0, np.intp), None)
        self._columns = columns_of(None)
        self._drawn_s = 0.0

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the work list of a state."""
        self._state = new
        if not self._is_built or not self.isVisible():
            return
        if old.options.read_first is not new.options.read_first:
            self._show(None, new.work_list)
        elif old.work_list is not new.work_list or old.package is not new.package:
            self._show(old.work_list, new.work_list)
        if old.options.theme is not new.options.theme:
            self._show_colours()

    def set_map(self, indices: NDArray[np.intp], found: EmbeddingMap | None) -> None:
        """Show another map of embeddings, of these rows; None while there are too few."""
        self._map = (indices, found)
        if self._is_built:
            self.map.set_map(indices, found)

    def showEvent(self, event: QShowEvent) -> None:
        """Build it with the first look, and show what happened meanwhile."""
        super().showEvent(event)
        if not self._is_built:
            self._build()
            self._is_built = True
        self._show_colours()
        self._show(None, self._state.work_list)
        self.table.setFocus()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the colours of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._is_built:
            self._show_colours()

    def filter(self) -> Filter:
        """Say what the user wants to see."""
        return Filter(
            text=self.text.text(),
            state=self.state.currentData(),
            column=self.column.currentData() or "",
            low=_number(self.low.text()),
            high=_number(self.high.text()),
        )

    def _build(self) -> None:
        from echoing_gui.features.work_list.plots import (
            HistogramPlot,
            MapPlot,
            RiskPlot,
            ScatterPlot,
        )
        from echoing_gui.features.work_list.table import WorkListTable

        self.table = WorkListTable()
        self.scatter, self.histogram = ScatterPlot(), HistogramPlot()
        self.map, self.risk = MapPlot(), RiskPlot()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(tr("Plots of the work list"))
        for plot, title in (
            (self.scatter, tr("Sca&tter")),
            (self.histogram, tr("Hi&stogram")),
            (self.map, tr("Embedding &map")),
            (self.risk, tr("&Risk")),
        ):
            self.tabs.addTab(plot, title)
            plot.chosen.connect(self.table.choose)
            plot.opened.connect(self.rowOpened)
        self.table.chosen.connect(self._mark)
        self.table.opened.connect(self.rowOpened)
        self.tabs.currentChanged.connect(lambda _index: self._draw_plots())
        splitter = QSplitter()
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        # The column of reasons is the last one, often out of sight.
        self.why = QLabel(wordWrap=True)
        self.why.setTextFormat(Qt.TextFormat.PlainText)
        self.why.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.table, 1)
        column.addWidget(self.why)
        splitter.addWidget(left)
        splitter.addWidget(self.tabs)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([940, 600])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.addLayout(self._make_head())
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName(tr("Progress of the work list"))
        layout.addWidget(self.progress)
        self.banner = QLabel(wordWrap=True)
        self.banner.setObjectName("banner")
        layout.addWidget(self.banner)
        layout.addLayout(self._make_filter())
        layout.addWidget(splitter, 1)

    def _make_head(self) -> QHBoxLayout:
        self.headline = QLabel()
        self.headline.setObjectName("headline")
        self.said = QLabel(wordWrap=True)
        self.said.setObjectName("muted")
        texts = QVBoxLayout()
        texts.addWidget(self.headline)
        texts.addWidget(self.said)
        row = QHBoxLayout()
        row.addLayout(texts, 1)
        self.pause = QPushButton()
        self.export = QPushButton(tr("&Export…"))
        self.about = QPushButton(tr("Abo&ut these results…"))
        self.leave = QPushButton(tr("C&lose list"))
        for button, signal in (
            (QPushButton(tr("Open &folder…")), self.folderRequested),
            (QPushButton(tr("Open ta&ble…")), self.tableRequested),
            (self.pause, self.pauseRequested),
            (self.export, self.exportRequested),
            (self.about, self.aboutRequested),
            (self.leave, self.closeRequested),
        ):
            button.clicked.connect(signal)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _make_filter(self) -> QHBoxLayout:
        self.text = QLineEdit()
        self.text.setPlaceholderText(tr("File name or reason"))
        self.text.setAccessibleName(tr("Show files whose name or reason holds this"))
        self.text.setClearButtonEnabled(True)
        self.state = QComboBox()
        self.state.setAccessibleName(tr("Show results of this kind"))
        self.state.addItem(tr("All results"), None)
        for state, text in STATE_TEXTS.items():
            self.state.addItem(tr(text), state)
        self.column = QComboBox()
        self.column.setAccessibleName(tr("Show rows where this lies within the limits"))
        self.low, self.high = QLineEdit(), QLineEdit()
        row = QHBoxLayout()
        row.addWidget(QLabel(tr("Show")))
        row.addWidget(self.text, 2)
        row.addWidget(self.state)
        row.addWidget(self.column)
        limits = ((self.low, tr("from"), tr("From")), (self.high, tr("to"), tr("To")))
        for field, label, name in limits:
            validator = QDoubleValidator(field)
            validator.setLocale(QLocale.c())
            field.setValidator(validator)
            field.setAccessibleName(name)
            field.setFixedWidth(self.fontMetrics().averageCharWidth() * 12)
            row.addWidget(QLabel(label))
            row.addWidget(field)
            field.textChanged.connect(self._filter_changed)
        self.count = QLabel()
        self.count.setObjectName("muted")
        row.addWidget(self.count)
        self.text.textChanged.connect(self._filter_changed)
        self.state.currentIndexChanged.connect(self._filter_changed)
        self.column.currentIndexChanged.connect(self._filter_changed)
        return row

    def _show(self, old: WorkList | None, new: WorkList | None) -> None:
        self.headline.setText(new.source.name or str(new.source) if new else tr("Work list"))
        said = progress_text(new)
        covered = covered_text(self._state)
        if covered:
            said += " " + covered
        self.said.setText(said)
        self.progress.setRange(0, 0 if new and new.listing else max(1, len(new.rows) if new else 1))
        self.progress.setValue(new.n_done if new else 0)
        self.progress.setVisible(new is not None and (new.listing or new.running))
        package = self._state.package
        named = ""
        if package is not None:
            named = f" {package.name} {package.version}, SHA-256 {package.package_id[:12]}…"
        self.banner.setText(f"{full_caveat(package)}{named}")
        busy = new is not None and (new.listing or new.running)
        left = new is not None and (busy or new.n_done < len(new.rows))
        self.pause.setText(tr("&Pause") if busy else tr("Co&ntinue"))
        self.pause.setEnabled(left)
        self.export.setEnabled(can_export(self._state))
        self.export.setToolTip(covered)
        self.about.setEnabled(self._state.facts is not None)
        self.leave.setEnabled(new is not None)
        same = (
            old is not None
            and new is not None
            and old.source == new.source
            and len(old.rows) == len(new.rows)
        )
        if same and new is not None and new.running:
            if time.monotonic() - self._drawn_s > _DRAWN_EVERY_S:
                self._columns = columns_of(new, covered=self._state.options.read_first)
                self._draw_plots()
            if old is None or old.rows is not new.rows:
                self.table.rows.update_rows(new.rows, self._columns)
            self._say_why()
        else:
            self._columns = columns_of(new, covered=self._state.options.read_first)
            self._offer_columns()
            self._apply_filter()
            self._draw_plots()
            self._say_why()

    def _offer_columns(self) -> None:
        keys = [each.key for each in numeric(self._columns)]
        if [self.column.itemData(index) for index in range(self.column.count())] != keys:
            self.column.blockSignals(True)
            self.column.clear()
            for each in numeric(self._columns):
                self.column.addItem(tr(each.axis), each.key)
            self.column.blockSignals(False)
        for index, each in enumerate(numeric(self._columns)):
            self.column.setItemText(index, tr(each.axis))

    def _filter_changed(self) -> None:
        self._apply_filter()

    def _apply_filter(self) -> None:
        work = self._state.work_list
        rows = work.rows if work else ()
        shown = shown_rows(rows, self._columns, self.filter())
        self.table.rows.set_rows(rows, self._columns, shown)
        all_of_them = len(shown) == len(rows)
        self.count.setText(
            "" if all_of_them else tr("{n:,} of {all:,}", n=len(shown), all=len(rows))
        )

    def _draw_plots(self) -> None:
        """Draw the plot that is looked at; the others when they are."""
        self._drawn_s = time.monotonic()
        work = self._state.work_list
        plots = (self.scatter, self.histogram, self.map, self.risk)
        plots[self.tabs.currentIndex()].set_rows(work.rows if work else (), self._columns)

    def _say_why(self) -> None:
        """Say below the table what there is to know of the row chosen."""
        work, chosen = self._state.work_list, self.table.selectionModel().selectedRows()
        text = ""
        if work is not None and len(chosen) == 1:
            row = work.rows[self.table.rows.row_at(chosen[0].row())]
            why = why_text(row)
            text = f"{row.name}: {why}" if why else ""
        self.why.setText(breakable(text))
        self.why.setVisible(bool(text))

    def _mark(self, indices: NDArray[np.intp]) -> None:
        self._say_why()
        for plot in (self.scatter, self.histogram, self.map):
            plot.mark(indices)

    def _show_colours(self) -> None:
        colours = theme.colours_for(self._state.options.theme)
        for plot in (self.scatter, self.histogram, self.map, self.risk):
            plot.set_colours(colours)
            plot.draw()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
