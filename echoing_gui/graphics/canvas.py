"""The pyqtgraph scene under the ECG view: a view box in millimetres between two lines of text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from pyqtgraph import GraphicsObject, GraphicsView, ViewBox
from PySide6.QtCore import QEvent, QRectF, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QResizeEvent, QTransform, QWheelEvent
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from echoing_gui import theme
from echoing_gui.graphics import bands, paper
from echoing_gui.graphics.traces import Cache
from echoing_gui.view_models.sheet import Sheet

_MOST_CHUNKS = 400
# Digits of a device pixel to which transforms are trusted: floating-point noise ends before.
_DIGITS = 6

_PaintBand = Callable[[QPainter, QRectF, bands.BandTexts, float], None]
PaintOverlay = Callable[[QPainter, Sheet, paper.Camera], None]


def _scaled(rect: QRectF, factor: float) -> QRectF:
    """Rectangle in device pixels."""
    left, top, width, height = (
        round(value * factor, _DIGITS)
        for value in (rect.x(), rect.y(), rect.width(), rect.height())
    )
    return QRectF(left, top, width, height)


def _to_device_pixels(painter: QPainter) -> float:
    """Let one unit of the painter be one device pixel; returns device pixels a pixel."""
    ratio = painter.device().devicePixelRatioF()
    painter.setWorldTransform(QTransform.fromScale(1 / ratio, 1 / ratio))
    return ratio


class _PaperItem(GraphicsObject):
    """Something on all of the paper in sight, drawn in device pixels.

    Grid lines and calibration pulse have to lie on whole pixels, which an item drawn in
    millimetres of the view box cannot promise.
    """

    def boundingRect(self) -> QRectF:
        """Return what the view box shows: paper has no end."""
        return self.viewRect() or QRectF()

    def viewTransformChanged(self) -> None:
        """Tell the scene that the visible part is another one."""
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,  # noqa: ARG002
        widget: QWidget | None = None,
    ) -> None:
        """Paint what is in sight."""
        world = painter.worldTransform()
        painter.save()
        ratio = _to_device_pixels(painter)
        shown = world.mapRect(self.boundingRect())
        camera = paper.Camera(
            px_per_mm=round(world.m11() * ratio, _DIGITS),
            x_px=round(world.dx() * ratio),
            y_px=round(world.dy() * ratio),
            area=_scaled(shown, ratio),
            pixel_ratio=ratio,
        )
        self.paint_pixels(painter, camera, on_screen=widget is not None)
        painter.restore()

    @abstractmethod
    def paint_pixels(self, painter: QPainter, camera: paper.Camera, *, on_screen: bool) -> None:
        """Paint in device pixels."""


class SheetItem(_PaperItem):
    """Paper and recording.

    On the screen, a picture that stays where it is is kept: what moves above it uncovers paper at
    the price of copying pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sheet: Sheet | None = None
        self._cache: Cache = {}
        self._cached_scale = 0.0
        self._shown_by: paper.Camera | None = None
        self._picture: QImage | None = None

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Draw another sheet; None for blank paper."""
        self._sheet = sheet
        self._cache.clear()
        self._shown_by = self._picture = None
        self.update()

    def paint_pixels(self, painter: QPainter, camera: paper.Camera, *, on_screen: bool) -> None:
        """Paint paper and recording, or copy them if they were just painted from this camera."""
        if camera.px_per_mm != self._cached_scale or len(self._cache) > _MOST_CHUNKS:
            self._cache.clear()
            self._cached_scale = camera.px_per_mm
        if not on_screen:
            paper.paint_sheet(painter, self._sheet, camera, self._cache)
            return
        if camera != self._shown_by:
            # Perhaps one of many that follow each other: keeping it would cost time for nothing.
            self._shown_by, self._picture = camera, None
            paper.paint_sheet(painter, self._sheet, camera, self._cache)
            return
        shown = camera.area.toAlignedRect()
        if self._picture is None:
            # As large as the device, with nothing shifted: lines that leave the picture are cut
            # at the same places, so that no pixel differs.
            height = shown.bottom() + 1 + bands.footer_height(camera.pixel_ratio)
            self._picture = QImage(shown.right() + 1, height, QImage.Format.Format_RGB32)
            inner = QPainter(self._picture)
            paper.paint_sheet(inner, self._sheet, camera, self._cache)
            inner.end()
        painter.drawImage(shown.topLeft(), self._picture, shown)


class OverlayItem(_PaperItem):
    """What others draw above the recording; it never touches the recording's own picture."""

    def __init__(self) -> None:
        super().__init__()
        self._sheet: Sheet | None = None
        self._paints: list[PaintOverlay] = []

    def add(self, paint: PaintOverlay) -> None:
        """Draw with another function, above those before."""
        self._paints.append(paint)
        self.update()

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Draw on another sheet."""
        self._sheet = sheet
        self.update()

    def paint_pixels(self, painter: QPainter, camera: paper.Camera, *, on_screen: bool) -> None:  # noqa: ARG002
        """Paint all overlays, each from a fresh painter's settings."""
        if self._sheet is None:
            return
        for paint in self._paints:
            painter.save()
            painter.setClipRect(camera.area)
            paint(painter, self._sheet, camera)
            painter.restore()


class BandItem(GraphicsObject):
    """The line of text above or below the paper."""

    def __init__(self, paint_band: _PaintBand) -> None:
        super().__init__()
        self._paint_band = paint_band
        self._rect = QRectF()
        self._texts: bands.BandTexts | None = None

    def set_rect(self, rect: QRectF) -> None:
        """Place it, in pixels of the view."""
        if rect != self._rect:
            self.prepareGeometryChange()
            self._rect = rect

    def set_texts(self, texts: bands.BandTexts) -> None:
        """Show other texts."""
        self._texts = texts
        self.update()

    def boundingRect(self) -> QRectF:
        """Return where it lies."""
        return self._rect

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,  # noqa: ARG002
        widget: QWidget | None = None,  # noqa: ARG002
    ) -> None:
        """Paint the texts."""
        if self._texts is None:
            return
        place = painter.worldTransform().mapRect(self._rect)
        painter.save()
        ratio = _to_device_pixels(painter)
        self._paint_band(painter, _scaled(place, ratio), self._texts, ratio)
        painter.restore()


class Canvas(GraphicsView):
    """Header, paper and footer; the mouse and the wheel are left to the widget around it."""

    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, useOpenGL=False, background=theme.PAPER)
        self.setAcceptDrops(False)
        self.viewport().setAcceptDrops(False)
        # Without limits, menu, mouse and automatic range: the scale is never a matter of fitting.
        self.box = ViewBox(invertY=True, enableMouse=False, enableMenu=False, defaultPadding=0.0)
        self.box.disableAutoRange()
        self.sheet_item = SheetItem()
        self.box.addItem(self.sheet_item, ignoreBounds=True)
        self.overlay = OverlayItem()
        self.box.addItem(self.overlay, ignoreBounds=True)
        self.header = BandItem(bands.paint_header)
        self.footer = BandItem(bands.paint_footer)
        for item in (self.box, self.header, self.footer):
            self.addItem(item)

    def place(self, camera: paper.Camera) -> None:
        """Put the paper where a camera says, and header and footer around it.

        Parameters
        ----------
        camera
            In device pixels of the device that is painted next.
        """
        ratio, area, scale = camera.pixel_ratio, camera.area, camera.px_per_mm
        width, top, bottom = area.width() / ratio, area.top() / ratio, area.bottom() / ratio
        self.header.set_rect(QRectF(0, 0, width, top))
        self.footer.set_rect(QRectF(0, bottom, width, (bands.footer_height(ratio) + 1) / ratio))
        self.box.setVisible(not area.isEmpty())
        if area.isEmpty():
            return
        self.box.setGeometry(QRectF(area.left() / ratio, top, width, bottom - top))
        visible = QRectF(
            (area.left() - camera.x_px) / scale,
            (area.top() - camera.y_px) / scale,
            area.width() / scale,
            area.height() / scale,
        )
        self.box.setRange(rect=visible, padding=0.0)

    def set_sheet(self, sheet: Sheet | None) -> None:
        """Draw another sheet; None for blank paper."""
        self.sheet_item.set_sheet(sheet)
        self.overlay.set_sheet(sheet)

    def set_texts(self, texts: bands.BandTexts) -> None:
        """Show other texts above and below the paper."""
        self.header.set_texts(texts)
        self.footer.set_texts(texts)

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        """Tell that there is another room to fill."""
        super().resizeEvent(ev)
        if ev is not None:  # not while it is being made
            self.resized.emit()

    def mousePressEvent(self, ev: QMouseEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()

    def mouseReleaseEvent(self, ev: QMouseEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()

    def mouseDoubleClickEvent(self, ev: QMouseEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()

    def wheelEvent(self, ev: QWheelEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()

    def leaveEvent(self, ev: QEvent) -> None:
        """Leave it to the widget around."""
        ev.ignore()
