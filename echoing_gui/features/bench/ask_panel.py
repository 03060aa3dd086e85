"""Ask the model: what it says with a segment, a lead or a beat hidden, beside what it said."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from echoing_gui.features.bench.view import (
    AskRow,
    ask_rows,
    bench_of,
    can_ask,
    cell_text,
    hidden_text,
    map_of,
    masking_text,
)
from echoing_gui.graphics.flow import FlowLayout
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.view_models.sheet import WHOLE_ROW


def label(name: str = "") -> QLabel:
    """Make a label that wraps, can be selected, and takes its text as it is."""
    made = QLabel(wordWrap=True)
    made.setObjectName(name)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def show_text(where: QLabel, text: str) -> None:
    """Show a text, or hide its label."""
    where.setText(text)
    where.setVisible(bool(text))


class TextGrid(QWidget):
    """Rows of texts under headings; the first column names the row.

    Parameters
    ----------
    first_stretch
        How much of the room the first column takes, where each other takes 1.
    """

    def __init__(self, first_stretch: int = 1) -> None:
        super().__init__()
        self._first_stretch = first_stretch
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._labels: list[QLabel] = []

    def show_texts(self, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Show other texts; labels are kept where there are as many."""
        texts = [text for row in ((*headings,), *rows) for text in row]
        if len(texts) != len(self._labels):
            for old in self._labels:
                self._grid.removeWidget(old)
                old.deleteLater()
            self._labels = [label() for _ in texts]
            for number, made in enumerate(self._labels):
                row, column = divmod(number, len(headings))
                made.setObjectName("panelTitle" if row == 0 or column == 0 else "")
                self._grid.addWidget(made, row, column)
                self._grid.setColumnStretch(column, self._first_stretch if column == 0 else 1)
        for made, text in zip(self._labels, texts, strict=True):
            made.setText(text)


class AskPanel(QWidget):
    """Buttons that hide parts from the model, and its answers with and without them."""

    segmentRequested = Signal()
    leadRequested = Signal()
    beatRequested = Signal()
    clearRequested = Signal()
    seen = Signal()

    def __init__(self) -> None:
        super().__init__()
        title = label("panelTitle")
        title.setText(tr("Ask the model: what if this were not there?"))
        self._banner = label("caution")
        self._chosen = label("muted")
        self._hidden = label("stretch")
        self._grid = TextGrid()
        self._masking = label("muted")
        self._trouble = label("refusal")
        self._buttons = (
            self._button(tr("Hide &segments"), tr("The selected ones"), self.segmentRequested),
            self._button(tr("Hide le&ads"), tr("Those of the selection"), self.leadRequested),
            self._button(tr("Hide bea&t"), tr("In all leads, at the outline"), self.beatRequested),
        )
        self._clear = self._button(tr("Show all aga&in"), tr("Hide nothing"), self.clearRequested)
        row = QWidget()
        flow = FlowLayout(row, gap=4)
        for button in self._buttons:
            flow.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(title)
        layout.addWidget(self._chosen)
        layout.addWidget(row)
        for widget in (self._trouble, self._hidden, self._banner, self._grid):
            layout.addWidget(widget)
        layout.addWidget(self._clear, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._masking)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show what is hidden and what the model says then."""
        bench, cells = bench_of(new), map_of(new)
        asked = can_ask(new) and cells is not None
        show_text(self._trouble, bench.trouble if asked else "")
        show_text(self._chosen, _chosen_text(new))
        for button in self._buttons:
            button.setEnabled(asked and bool(bench.chosen))
        self._buttons[2].setEnabled(asked and bench.current is not None)
        self._clear.setVisible(asked and bool(bench.hidden))
        hidden = ""
        if asked and cells is not None and bench.hidden:
            leads = cells.lead_names
            if leads == (WHOLE_ROW,):
                leads = tuple(dict.fromkeys(cell.lead for cell in sorted(bench.hidden)))
            where = hidden_text(bench.hidden, leads, cells.edges_s)
            hidden = tr("Hidden from the model: {where}", where=where)
        show_text(self._hidden, hidden)
        whole, what_if = bench.whole, bench.what_if
        banner = ""
        if what_if is not None:
            banner = tr("What-if, not a result. It is shown here only and never exported.")
            if what_if.fault:
                banner += " " + tr(
                    "The model's numbers cannot be true then: {fault}", fault=tr(what_if.fault)
                )
        show_text(self._banner, banner)
        self._grid.setVisible(asked and whole is not None)
        if asked and whole is not None:
            headings = ("", tr("All shown"), tr("What if"), tr("Change"))
            self._grid.show_texts(headings, [_texts(row) for row in ask_rows(whole, what_if)])
        masked = asked and bench.masking is not None and bool(bench.hidden)
        said = ""
        if masked and bench.masking:
            rounding = tr("Changes are taken before rounding.")
            said = f"{masking_text(bench.masking)} {rounding}"
        show_text(self._masking, said)
        if old.prediction is not new.prediction and self.isVisible():
            self.seen.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what is only worked out when somebody looks."""
        super().showEvent(event)
        self.seen.emit()

    def _button(self, text: str, tip: str, signal: object) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(signal)
        return button


def _texts(row: AskRow) -> tuple[str, ...]:
    return row.label, row.whole, row.what_if, row.change


def _chosen_text(state: AppState) -> str:
    cells, bench = map_of(state), bench_of(state)
    if state.covered:
        return tr("The estimate is covered. Reveal it to ask the model.")
    if cells is None or not can_ask(state):
        return tr("There is no result on screen, so there is nothing to ask about.")
    if not bench.chosen:
        return tr(
            "Click into the ECG, or select rows in the table of segments; then hide them from the "
            "model."
        )
    if bench.current is not None and len(bench.chosen) == 1:
        return tr("Selected: {where}", where=cell_text(bench.current, cells.edges_s))
    n = len(bench.chosen)
    return tr("1 segment is selected.") if n == 1 else tr("{n} segments are selected.", n=n)
