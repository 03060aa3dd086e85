"""The result: intervals before points, the caveat always, no digit where there is no result."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, Signal, SignalInstance
from PySide6.QtGui import QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.graphics import interval
from echoing_gui.graphics.buttons import TextButton, come_after
from echoing_gui.graphics.flow import FlowLayout
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.view_models.doubt import Chip
from echoing_gui.view_models.results import FindingRow, MeasureRow, result_view
from echoing_gui.view_models.texts import key_of
from echoing_gui.view_models.wrapping import breakable, unbroken
from model_core.measures import FINDINGS, MEASURES


class IntervalBar(QWidget):
    """Everything about one estimate on the measure's fixed axis."""

    def __init__(self) -> None:
        super().__init__()
        self._row: MeasureRow | None = None
        self._colours = theme.LIGHT
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_row(self, row: MeasureRow | None, colours: theme.Colours) -> None:
        """Draw a row, or nothing."""
        self._row, self._colours = row, colours
        self.setAccessibleName(row.spoken if row else "")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Height by the font and by what there is to draw."""
        return QSize(200, interval.estimate_height(self._row, self._tick_font()))

    def changeEvent(self, event: QEvent) -> None:
        """Ask for another height with another font."""
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        super().changeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint from top to bottom: histogram, dots, interval with its mark."""
        row = self._row
        if row is None:
            return
        area = QRectF(self.rect())
        interval.paint_estimate(QPainter(self), area, row, self._colours, self._tick_font())

    def _tick_font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font


class ProbabilityBar(QWidget):
    """A probability as the filled share of a bar."""

    def __init__(self) -> None:
        super().__init__()
        self._row: FindingRow | None = None
        self._colours = theme.LIGHT
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_row(self, row: FindingRow | None, colours: theme.Colours) -> None:
        """Draw a row, or nothing."""
        self._row, self._colours = row, colours
        self.setAccessibleName(row.spoken if row else "")
        self.update()

    def sizeHint(self) -> QSize:
        """Height by the font."""
        return QSize(100, round(self.fontMetrics().height() * 0.7))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the bar."""
        if self._row is not None:
            interval.paint_probability(
                QPainter(self), QRectF(self.rect()), self._row.probability, self._colours
            )


class MeasureWidget(QWidget):
    """One measure: name, interval, value, bar, and what they are to be held against."""

    aboutRequested = Signal()

    def __init__(self, key: str) -> None:
        super().__init__()
        measure = MEASURES[key]
        name = QLabel(measure.label)
        name.setObjectName("panelTitle")
        name.setToolTip(tr(measure.name))
        title = QHBoxLayout()
        title.addWidget(name, 1)
        self.about = _about_button(self.aboutRequested)
        title.addWidget(self.about)
        self._notes = _label("muted")
        self._interval = QLabel()
        self._value = QLabel()
        self._value.setObjectName("value")
        self._bar = IntervalBar()
        numbers = QHBoxLayout()
        numbers.addWidget(self._value)
        numbers.addWidget(self._interval, 1, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(2)
        layout.addLayout(title)
        layout.addWidget(self._bar)
        layout.addLayout(numbers)
        layout.addWidget(self._notes)

    def show_row(self, row: MeasureRow | None, colours: theme.Colours) -> None:
        """Show a row, or hide with nothing left behind."""
        self._value.setText(row.value_text if row else "")
        self._interval.setText(row.interval_text if row else "")
        self._notes.setText(unbroken("\n".join(row.notes)) if row else "")
        self._notes.setToolTip(row.held if row else "")
        self._bar.show_row(row, colours)
        self.setVisible(row is not None)


class FindingWidget(QWidget):
    """One finding: its probability as text and bar."""

    aboutRequested = Signal()

    def __init__(self, key: str) -> None:
        super().__init__()
        # Its name may hold digits, so it goes with the result too.
        self._title = tr("Probability of {finding}", finding=FINDINGS[key].label)
        self._name = QLabel(wordWrap=True)
        self._name.setObjectName("panelTitle")
        self._text = QLabel()
        self._text.setObjectName("value")
        self._bar = ProbabilityBar()
        row_layout = QHBoxLayout()
        row_layout.addWidget(self._text)
        row_layout.addWidget(self._bar, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(2)
        title = QHBoxLayout()
        title.addWidget(self._name, 1)
        self.about = _about_button(self.aboutRequested)
        title.addWidget(self.about)
        layout.addLayout(title)
        layout.addLayout(row_layout)

    def show_row(self, row: FindingRow | None, colours: theme.Colours) -> None:
        """Show a row, or hide with nothing left behind."""
        self._name.setText(self._title if row else "")
        self._text.setText(row.text if row else "")
        self._bar.show_row(row, colours)
        self.setVisible(row is not None)


class ChipsRow(QWidget):
    """Reasons for doubt in short; the one under the mouse or with the focus is told in full."""

    def __init__(self) -> None:
        super().__init__()
        self._chips: tuple[Chip, ...] = ()
        flow = QWidget()
        self._flow = FlowLayout(flow)
        self._sentence = _label("muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(flow)
        layout.addWidget(self._sentence)
        self.hide()

    def show_chips(self, chips: tuple[Chip, ...]) -> None:
        """Show other reasons, or none."""
        self.setVisible(bool(chips))
        if chips == self._chips:
            return
        self._chips = chips
        while (item := self._flow.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.deleteLater()
        before: QWidget = self
        for chip in chips:
            button = QToolButton()
            button.setText(chip.text)
            button.setObjectName("chip")
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setToolTip(chip.sentence)
            button.setAccessibleName(f"{chip.text}: {chip.sentence}")
            button.installEventFilter(self)
            button.clicked.connect(partial(self._sentence.setText, chip.sentence))
            self._flow.addWidget(button)
            # They are made later than what stands below them.
            come_after(before, button)
            before = button
        self._sentence.setText("")
        self._sentence.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell the sentence of the chip that the keyboard or the mouse is at."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.Enter) and isinstance(
            watched, QToolButton
        ):
            self._sentence.setText(unbroken(watched.toolTip()))
            self._sentence.show()
        return super().eventFilter(watched, event)


class MeasuresPanel(QWidget):
    """Everything the model says about the recording on screen.

    Attributes
    ----------
    header
        Caveat, state and recording: placed by the window where no scrolling hides it.
    """

    confirmRequested = Signal(str)
    previewHeld = Signal(bool)
    revealRequested = Signal()
    aboutRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = _label("muted")
        self._source.setAccessibleName(tr("Recording of this result"))
        self._window = _label("stretch")
        self._window.setAccessibleName(tr("Part of the recording that the result is of"))
        self._headline = _label("headline")
        self._detail = _label("muted")
        self._caution = _label("caution")
        self._chips = ChipsRow()
        self._sources = _label("muted")
        self._refusal = _label("refusal")
        self._confirm = TextButton()
        self._confirm.clicked.connect(lambda: self.confirmRequested.emit(self._question))
        self._preview = QPushButton()
        self._preview.pressed.connect(lambda: self.previewHeld.emit(True))
        self._preview.released.connect(lambda: self.previewHeld.emit(False))
        self._question = ""
        self._reveal = QPushButton(tr("&Reveal the estimate"))
        self._reveal.clicked.connect(self.revealRequested)
        self._variance = _label("muted")
        self._package = _label("muted")
        self._banner = _label("banner")
        self._measures = {key: MeasureWidget(key) for key in MEASURES}
        self._findings = {key: FindingWidget(key) for key in FINDINGS}
        self.header = QWidget()
        top = QVBoxLayout(self.header)
        for label in (self._banner, self._headline, self._source, self._window):
            top.addWidget(label)
        layout = QVBoxLayout(self)
        rows = (*self._measures.values(), *self._findings.values())
        for row in rows:
            row.aboutRequested.connect(self.aboutRequested)
        below = (self._sources, self._variance, self._package)
        asked = (self._preview, self._confirm, self._reveal)
        for widget in (
            self._detail,
            self._refusal,
            self._caution,
            self._chips,
            *asked,
            *rows,
            *below,
        ):
            layout.addWidget(widget)
        for column in (top, layout):
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(6)

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Show the result of a state and nothing of any other."""
        view = result_view(new)
        colours = theme.colours_for(new.options.theme)
        mark = "• " if len(view.reasons) > 1 else ""
        reasons = "\n".join(f"{mark}{reason}" for reason in view.reasons)
        for label, text in (
            (self._source, breakable(view.source)),
            (self._window, view.window),
            (self._headline, view.headline),
            (self._detail, view.detail),
            (self._refusal, reasons if view.refused else ""),
            # Chips say it where there are any: beside a result.
            (self._caution, "" if view.refused or view.chips else reasons),
            (self._sources, view.sources),
            (self._variance, view.variance_line),
            (self._package, view.package_line),
            (self._banner, view.caveat),
        ):
            label.setText(text)
            label.setVisible(bool(text))
        self._chips.show_chips(view.chips)
        self._question, statement = view.question or ("", "")
        self._confirm.setText(statement)
        self._confirm.setVisible(view.question is not None)
        self._preview.setText(view.preview)
        self._preview.setVisible(bool(view.preview))
        self._reveal.setVisible(view.covered)
        self._reveal.setToolTip(
            tr("Show the estimate and the strips{key}", key=key_of(new, "reveal"))
        )
        about = tr(
            "About this result: model, limits, figures{key}", key=key_of(new, "about_result")
        )
        for widget in (*self._measures.values(), *self._findings.values()):
            widget.about.setToolTip(about)
        measures = {row.key: row for row in view.measures}
        for key, widget in self._measures.items():
            widget.show_row(measures.get(key), colours)
        findings = {row.key: row for row in view.findings}
        for key, widget in self._findings.items():
            widget.show_row(findings.get(key), colours)


def _about_button(asked: SignalInstance) -> QToolButton:
    button = QToolButton()
    button.setText("?")
    button.setObjectName("fold")
    button.setAccessibleName(tr("About this result"))
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.clicked.connect(asked)
    return button


def _label(name: str) -> QLabel:
    label = QLabel(wordWrap=True)
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
