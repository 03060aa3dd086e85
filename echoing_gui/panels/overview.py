"""The overview of a recording of more than ten seconds: where its pages are chosen."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from echoing_gui import theme
from echoing_gui.graphics import overview as graphics
from echoing_gui.i18n import tr
from echoing_gui.state import AppState, Stage
from echoing_gui.view_models.overview import OverviewView, overview_view, start_at
from echoing_gui.view_models.texts import key_of

_HEIGHT_PX = 84
_ARROW_S = 1.0


class OverviewBar(QWidget):
    """The whole recording; a click or a drag chooses ten seconds, the arrow keys move by one."""

    placeChosen = Signal(float)
    stepped = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Overview of the recording"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._view: OverviewView | None = None
        self._colours = theme.LIGHT

    def show_view(self, view: OverviewView, colours: theme.Colours) -> None:
        """Draw another view."""
        self._view, self._colours = view, colours
        self.setAccessibleDescription(view.spoken)
        self.update()

    def sizeHint(self) -> QSize:
        """Height by the font."""
        return QSize(600, round(_HEIGHT_PX + graphics.axis_height(self._font())))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the bar, and a frame around it while the keys go to it."""
        if self._view is None:
            return
        painter = QPainter(self)
        graphics.paint_overview(
            painter, QRectF(self.rect()), self._view, self._colours, self._font()
        )
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(self._colours.accent)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the place under the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.placeChosen.emit(self._fraction(event))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer while the button is down."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.placeChosen.emit(self._fraction(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move by a second; pages, minutes and the ends are actions of the window."""
        step = {Qt.Key.Key_Left: -_ARROW_S, Qt.Key.Key_Right: _ARROW_S}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.stepped.emit(step)

    def _fraction(self, event: QMouseEvent) -> float:
        area = graphics.curve_area(QRectF(self.rect()), self._font())
        return (event.position().x() - area.left()) / max(area.width(), 1.0)

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font


class OverviewPanel(QWidget):
    """Overview bar, the ten seconds chosen in words, and the button that asks the model."""

    pageRequested = Signal(float)
    predictRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = AppState()
        self._title = QLabel()
        self._title.setObjectName("panelTitle")
        self._legend = QLabel(wordWrap=True)
        self._legend.setObjectName("muted")
        for label in (self._title, self._legend):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._button = QPushButton(tr("&Estimate from these 10 seconds"))
        self._button.clicked.connect(self.predictRequested)
        self.bar = OverviewBar()
        self.bar.placeChosen.connect(
            lambda place: self.pageRequested.emit(start_at(self._state, place))
        )
        self.bar.stepped.connect(
            lambda step: self.pageRequested.emit(self._state.page_start_s + step)
        )
        row = QHBoxLayout()
        row.addWidget(self._title)
        row.addSpacing(16)
        row.addWidget(self._legend, 1)
        row.addWidget(self._button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 6, 12, 4)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.bar)
        self.hide()

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Show the overview where there is a choice of ten seconds."""
        self._state = new
        view = overview_view(new)
        self.setVisible(view is not None)
        if view is None:
            return
        self._title.setText(view.title)
        self._legend.setText(view.legend)
        self._button.setEnabled(
            new.package is not None and new.page_is_read and new.job.stage is Stage.IDLE
        )
        key = key_of(new, "predict")
        self._button.setToolTip(
            tr("Run the model on the ten seconds marked in the overview{key}", key=key)
        )
        self.bar.show_view(view, theme.colours_for(new.options.theme))
