"""The 12-lead view: one sheet of ECG paper under a window that pans over it."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPaintDevice,
    QPainter,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractSlider,
    QApplication,
    QFrame,
    QGridLayout,
    QScrollBar,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.graphics import bands, paper
from echoing_gui.graphics.canvas import Canvas, PaintOverlay
from echoing_gui.graphics.pointer import Pointed, pointed
from echoing_gui.i18n import tr
from echoing_gui.state import AppState, Layout
from echoing_gui.view_models import texts
from echoing_gui.view_models.hover import hover_text
from echoing_gui.view_models.sheet import Sheet, build_sheet

_ARROW_MM = 10.0
_FOCUS_LINE_PX = 3
_Move = QAbstractSlider.SliderAction
# Which scroll bar a key moves (0 horizontal, 1 vertical), and how.
_KEYS = {
    Qt.Key.Key_Left: (0, _Move.SliderSingleStepSub),
    Qt.Key.Key_Right: (0, _Move.SliderSingleStepAdd),
    Qt.Key.Key_Home: (0, _Move.SliderToMinimum),
    Qt.Key.Key_End: (0, _Move.SliderToMaximum),
    Qt.Key.Key_Up: (1, _Move.SliderSingleStepSub),
    Qt.Key.Key_Down: (1, _Move.SliderSingleStepAdd),
    Qt.Key.Key_PageUp: (1, _Move.SliderPageStepSub),
    Qt.Key.Key_PageDown: (1, _Move.SliderPageStepAdd),
}


class Tool(Protocol):
    """What the mouse and the keys do on the ECG instead of moving it.

    Each answer says whether the tool took the event; what it leaves moves the ECG as usual.
    """

    def press(self, at: Pointed) -> bool:
        """Answer the left mouse button going down."""
        ...

    def move(self, at: Pointed, *, held: bool) -> bool:
        """Answer the pointer moving; `held` if the tool took the press and is asked alone."""
        ...

    def release(self, at: Pointed) -> None:
        """Answer the left mouse button coming up, if the tool took the press."""
        ...

    def key(self, event: QKeyEvent) -> bool:
        """Answer a key; Tab and Shift+Tab among them."""
        ...


class EcgView(QWidget):
    """Shows the sheet to scale; drag, wheel, scroll bars and arrow keys move it.

    `clicked` carries lead and second of the recording of a press and release without a drag that
    no tool took.
    """

    hovered = Signal(str)
    clicked = Signal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ecgView")
        self.setAccessibleName(tr("12-lead ECG"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._canvas = Canvas(self)
        self._canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._canvas.resized.connect(self._place)
        # The canvas fills the view, so its focus is shown by a line upon it.
        self._focus_line = QFrame(self)
        self._focus_line.setObjectName("focusLine")
        self._focus_line.hide()
        self._bars = (QScrollBar(Qt.Orientation.Horizontal), QScrollBar(Qt.Orientation.Vertical))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self._canvas, 0, 0)
        grid.addWidget(self._bars[0], 1, 0)
        grid.addWidget(self._bars[1], 0, 1)
        for bar in self._bars:
            bar.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            bar.valueChanged.connect(self._place)
        self._state = AppState()
        self._sheet: Sheet | None = None
        self._drag_from: QPoint | None = None
        self._pressed_at: QPoint | None = None
        self._tool: Tool | None = None
        self._standing_tools: list[Tool] = []
        self._held_by: Tool | None = None

    def add_overlay(self, paint: PaintOverlay) -> None:
        """Draw something above the traces, whenever they are drawn.

        Parameters
        ----------
        paint
            Called with a painter in device pixels, the sheet and the camera; it changes nothing
            but what it draws. Places are found by `graphics.pointer.to_px`.
        """
        self._canvas.overlay.add(paint)

    def refresh_overlays(self) -> None:
        """Draw the overlays anew; the traces are not."""
        self._canvas.overlay.update()

    def set_tool(self, tool: Tool | None) -> None:
        """Let a tool answer mouse and keys before all others; None for no such tool."""
        self._tool, self._held_by = tool, None
        self.viewport().unsetCursor()

    def add_tool(self, tool: Tool) -> None:
        """Let a tool answer from now on, after the one of `set_tool` and those added before."""
        self._standing_tools.append(tool)

    def show_time(self, time_s: float, lead: str | None = None) -> bool:
        """Scroll a moment into sight.

        Parameters
        ----------
        time_s
            Seconds of the recording.
        lead
            In the row of this lead, where the layout shows it then.

        Returns
        -------
        bool
            Whether the moment is on the sheet at all.
        """
        sheet = self._sheet
        if sheet is None or not sheet.window_s[0] <= time_s <= sheet.window_s[1]:
            return False
        shown = [piece for piece in sheet.pieces if piece.start_s <= time_s <= piece.end_s]
        piece = next((piece for piece in shown if piece.lead == lead), shown[-1])
        ratio = self.viewport().devicePixelRatioF()
        camera = self.camera(ratio)
        x_mm = piece.x_mm + (time_s - piece.start_s) * sheet.speed_mm_s
        middle = ((camera.x(x_mm),) * 2, (camera.y(piece.top_mm), camera.y(piece.bottom_mm)))
        area = camera.area.adjusted(self._gutter(ratio), 0, 0, 0)
        seen = ((area.left(), area.right()), (area.top(), area.bottom()))
        for bar, (low, high), (first, last) in zip(self._bars, middle, seen, strict=True):
            if low < first or high > last:
                bar.setValue(bar.value() + round(((low + high) - (first + last)) / 2 / ratio))
        return True

    def viewport(self) -> QWidget:
        """Get the widget that the picture is painted on."""
        return self._canvas.viewport()

    def horizontalScrollBar(self) -> QScrollBar:
        """Get the one that moves along the recording."""
        return self._bars[0]

    def verticalScrollBar(self) -> QScrollBar:
        """Get the one that moves over the rows."""
        return self._bars[1]

    @property
    def sheet(self) -> Sheet | None:
        """What is drawn, in millimetres."""
        return self._sheet

    def show_state(self, old: AppState, new: AppState) -> None:
        """Draw what a state asks for; a new recording starts at its beginning."""
        self._state = new
        drawn = (
            "recording", "preview", "filtered", "page_start_s", "prediction", "options",
            "variance_held", "screen",
        )  # fmt: skip
        if any(getattr(old, name) is not getattr(new, name) for name in drawn):
            self.show_sheet(build_sheet(new))
            if _other_file(old, new):
                for bar in self._bars:
                    bar.setValue(0)
            elif old.page_start_s != new.page_start_s and self._shows_whole():
                self._bars[0].setValue(self._place_of(new.page_start_s))
        summary = texts.picture_summary(new)
        if summary != self.accessibleDescription():
            self.setAccessibleDescription(summary)
            changed = QAccessibleEvent(self, QAccessible.Event.DescriptionChanged)
            QAccessible.updateAccessibility(changed)

    def show_sheet(self, sheet: Sheet | None) -> None:
        """Draw a sheet: that of the state, or the same with its rows elsewhere."""
        self._sheet = sheet
        self._canvas.set_sheet(sheet)
        self._canvas.set_texts(self.band_texts())
        self._update_range()

    def camera(self, ratio: float) -> paper.Camera:
        """Place the sheet on a device of the viewport's size, in its pixels.

        Parameters
        ----------
        ratio
            Device pixels to one pixel of the user interface.
        """
        header, footer = bands.header_height(ratio), bands.footer_height(ratio)
        width = self.viewport().width() * ratio
        height = self.viewport().height() * ratio
        return paper.Camera(
            px_per_mm=self._state.screen.device_px_per_mm * self._state.options.zoom,
            x_px=round(self._gutter(ratio) - self.horizontalScrollBar().value() * ratio),
            y_px=round(header - self.verticalScrollBar().value() * ratio),
            area=QRectF(0, header, width, max(0.0, height - header - footer)),
            pixel_ratio=ratio,
        )

    def band_texts(self) -> bands.BandTexts:
        """Texts above and below the paper."""
        recording, sheet = self._state.recording, self._sheet
        window = ""
        if recording is not None and sheet is not None:
            parts = (texts.window_text(sheet, self._state), sheet.note)
            window = "   ".join(part for part in parts if part)
            if parts[0] and self._state.long is None:
                window += f"   {tr('Layout 12x1 shows the whole recording.')}"
        legend, legend_short = texts.legend_texts(sheet)
        saw, saw_short = texts.model_saw(self._state)
        return bands.BandTexts(
            source=texts.source_line(recording) if recording else "",
            window=window,
            simulated=texts.simulated_tag(recording) if recording else "",
            not_to_scale=texts.not_to_scale(self._state),
            caption=texts.scale_caption(self._state.options),
            filter=texts.filter_text(self._state),
            filter_short=texts.filter_band_short(self._state),
            marked=texts.filter_stands_out(self._state),
            model_saw=saw,
            model_saw_short=saw_short,
            scale=sheet.scale if sheet else None,
            legend=legend,
            legend_short=legend_short,
        )

    def paint(self, device: QPaintDevice) -> None:
        """Paint what the viewport shows, in the pixels of a device of the same size."""
        self._canvas.place(self.camera(device.devicePixelRatioF()))
        painter = QPainter(device)
        rect = self.viewport().rect()
        self._canvas.render(painter, QRectF(rect), rect)
        painter.end()
        self._place()

    def event(self, event: QEvent) -> bool:
        """Fit the scroll bars to another density or layout; offer Tab to the tool first."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab)
            and any(tool.key(event) for tool in self._tools())
        ):
            return True
        handled = super().event(event)
        if event.type() in (QEvent.Type.DevicePixelRatioChange, QEvent.Type.LayoutRequest):
            self._update_range()
        return handled

    def _tools(self) -> list[Tool]:
        """Get the tools in the order in which they are asked."""
        return [*([self._tool] if self._tool else []), *self._standing_tools]

    def _place(self) -> None:
        """Move the paper to where the scroll bars stand."""
        self._canvas.place(self.camera(self.viewport().devicePixelRatioF()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the scroll bars; not from within the canvas, which would miss its own next size."""
        super().resizeEvent(event)
        self._focus_line.setGeometry(0, 0, _FOCUS_LINE_PX, self.height())
        self._update_range()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show that keys move the ECG."""
        super().focusInEvent(event)
        self._focus_line.raise_()
        self._focus_line.show()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Show that they do no more."""
        super().focusOutEvent(event)
        self._focus_line.hide()

    def sizeHint(self) -> QSize:
        """Room for ten seconds at the usual size of a screen's pixels."""
        return QSize(1080, 720)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let the tool answer; else move by arrows and pages, to the start or to the end."""
        if any(tool.key(event) for tool in self._tools()):
            return
        move = _KEYS.get(Qt.Key(event.key()))
        if move is None:
            super().keyPressEvent(event)
        else:
            self._bars[move[0]].triggerAction(move[1])

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll; along the recording when there is nothing above or below to move to."""
        delta = event.angleDelta()
        across, down = delta.x(), delta.y()
        if self._bars[1].maximum() == 0 and not across:
            across, down = down, 0
        for bar, by in zip(self._bars, (across, down), strict=True):
            bar.setValue(bar.value() - by)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Let the tool answer; else take hold of the paper."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = self.pointed_at(event)
        if at is not None:
            self._held_by = next((tool for tool in self._tools() if tool.press(at)), None)
        if self._held_by is not None:
            return
        self._drag_from = self._pressed_at = event.position().toPoint()
        self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go of what is held."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = self.pointed_at(event)
        holder, self._held_by = self._held_by, None
        if holder is not None:
            if at is not None:
                holder.release(at)
            return
        pressed_at, self._drag_from, self._pressed_at = self._pressed_at, None, None
        self.viewport().unsetCursor()
        if pressed_at is None or at is None or at.piece is None:
            return
        moved = event.position().toPoint() - pressed_at
        if moved.manhattanLength() < QApplication.startDragDistance():
            self.clicked.emit(at.piece.lead, at.time_s)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move what is held, or say what is under the pointer."""
        if self._drag_from is not None:
            moved = event.position().toPoint() - self._drag_from
            self._drag_from = event.position().toPoint()
            for bar, by in zip(self._bars, (moved.x(), moved.y()), strict=True):
                bar.setValue(bar.value() - by)
            return
        at = self.pointed_at(event)
        if at is not None and self._held_by is not None:
            self._held_by.move(at, held=True)
            return
        if at is not None and any(tool.move(at, held=False) for tool in self._tools()):
            return
        text = self.text_at(event.position())
        self.hovered.emit(text)
        if text:
            QToolTip.showText(event.globalPosition().toPoint(), text, self.viewport())
        else:
            QToolTip.hideText()

    def leaveEvent(self, event: QEvent) -> None:
        """Say nothing once the pointer is gone."""
        self.hovered.emit("")
        super().leaveEvent(event)

    def pointed_at(self, event: QMouseEvent) -> Pointed | None:
        """Say what an event of the mouse points at; None without a recording."""
        if self._sheet is None:
            return None
        ratio = self.viewport().devicePixelRatioF()
        place = event.position() * ratio
        return pointed(self._sheet, self.camera(ratio), place.x(), place.y(), event.modifiers())

    def text_at(self, position: QPointF) -> str:
        """Say what lies at a place of the viewport, in its own pixels."""
        if self._sheet is None:
            return ""
        camera = self.camera(self.viewport().devicePixelRatioF())
        x_px, y_px = position.x() * camera.pixel_ratio, position.y() * camera.pixel_ratio
        if not camera.area.contains(x_px, y_px):
            return ""
        return hover_text(
            self._sheet,
            (x_px - camera.x_px) / camera.px_per_mm,
            (y_px - camera.y_px) / camera.px_per_mm,
        )

    def _shows_whole(self) -> bool:
        """Whether the sheet is of all of the recording, not of the ten seconds chosen."""
        sheet = self._sheet
        return sheet is not None and sheet.layout is Layout.ROWS and self._state.long is None

    def _place_of(self, second: float) -> int:
        """Where the horizontal scroll bar has to stand to show a moment at the left."""
        if self._sheet is None:
            return 0
        ratio = self.viewport().devicePixelRatioF()
        px_per_mm = self._state.screen.device_px_per_mm * self._state.options.zoom / ratio
        return round((second - self._sheet.window_s[0]) * self._sheet.speed_mm_s * px_per_mm)

    def _gutter(self, ratio: float) -> int:
        """Room for the lead names that stay in sight in rows, device pixels."""
        if self._sheet is None:
            return 0
        px_per_mm = self._state.screen.device_px_per_mm * self._state.options.zoom
        return paper.gutter_px(self._sheet.layout, px_per_mm, ratio)

    def _update_range(self) -> None:
        """Show the scroll bars that are needed, with the range that is needed."""
        ratio = self.viewport().devicePixelRatioF()
        px_per_mm = self._state.screen.device_px_per_mm * self._state.options.zoom / ratio
        width = height = 0.0
        if self._sheet is not None:
            width = self._sheet.width_mm * px_per_mm + self._gutter(ratio) / ratio
            height = self._sheet.height_mm * px_per_mm
        bands_height = (bands.header_height(ratio) + bands.footer_height(ratio)) / ratio
        page = [self.width(), self.height() - bands_height]
        shown = [False, False]
        for _ in range(2):  # one bar takes room that may make the other one necessary
            for axis, size in enumerate((width, height)):
                if not shown[axis] and round(size - page[axis]) > 0:
                    shown[axis] = True
                    other = self._bars[axis].sizeHint()
                    page[1 - axis] -= other.height() if axis == 0 else other.width()
        for axis, (bar, size) in enumerate(zip(self._bars, (width, height), strict=True)):
            bar.setVisible(shown[axis])
            bar.setRange(0, max(0, round(size - page[axis])))
            bar.setPageStep(max(1, round(page[axis])))
            bar.setSingleStep(round(_ARROW_MM * px_per_mm))
        self._place()


def _other_file(old: AppState, new: AppState) -> bool:
    """Whether another file was opened, or the same one anew: a page is of the same file."""
    if old.recording is None or new.recording is None or new.long is None:
        return old.recording is not new.recording
    return old.long is not new.long


class TracesPanel(QWidget):
    """The ECG view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = EcgView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setFocusProxy(self.view)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the recording; the arrow keys move it at once."""
        self.view.show_state(old, new)
        if new.recording is not None and _other_file(old, new):
            self.view.setFocus()
