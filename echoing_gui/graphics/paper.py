"""The ECG sheet on a paint device: paper, pulses, strips, traces and names share one transform."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QPainter, QPen, QPolygonF

from echoing_gui import theme
from echoing_gui.graphics.traces import (
    CHUNK_SAMPLES,
    Cache,
    paint_lines,
    piece_polylines,
    polyline,
    trace_pen,
)
from echoing_gui.i18n import tr
from echoing_gui.state import Layout
from echoing_gui.view_models.sheet import (
    LABEL_HEIGHT_MM,
    PULSE_MV,
    PULSE_S,
    PULSE_TAIL_MM,
    STRIP_MM,
    WHOLE_ROW,
    Sheet,
    StripPiece,
    TracePiece,
    grade_text,
)
from model_core.types import LeadGrade

_LEAST_FINE_PX = 2.5
# From the column border: beside its mark, II must not read as III.
_NAME_MM = 2.0
# Of a name in the margin beside rows
_MOST_LETTERS = 18
_ANYWHERE = Qt.TextFlag.TextWrapAnywhere


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the sheet lies on the paint device, in device pixels.

    Attributes
    ----------
    px_per_mm
        Device pixels to one millimetre of the sheet.
    x_px, y_px
        The sheet's upper left corner; whole numbers, so that panning never blurs a line.
    area
        The part of the device that shows paper.
    pixel_ratio
        Device pixels to one pixel of the user interface.
    """

    px_per_mm: float
    x_px: int
    y_px: int
    area: QRectF
    pixel_ratio: float

    def x(self, x_mm: float) -> float:
        """Centre of the pixel column that holds a place on the sheet."""
        return self.x_px + round(x_mm * self.px_per_mm) + 0.5

    def y(self, y_mm: float) -> float:
        """Centre of the pixel row that holds a place on the sheet."""
        return self.y_px + round(y_mm * self.px_per_mm) + 0.5


def paint_sheet(
    painter: QPainter,
    sheet: Sheet | None,
    camera: Camera,
    cache: Cache,
    colour: str = theme.TRACE,
) -> None:
    """Paint paper and, if there is one, the recording on it.

    Parameters
    ----------
    painter
        In device pixels.
    sheet
        What to draw; None for blank paper.
    camera
        Where.
    cache
        Polylines kept from one frame to the next; the caller empties it when `sheet` or
        `px_per_mm` changes.
    colour
        Of the traces.
    """
    painter.save()
    painter.setClipRect(camera.area)
    paint_grid(painter, camera, _tints(sheet, camera) if sheet is not None else ())
    if sheet is not None:
        _paint_strips(painter, sheet, camera)
        _paint_separators(painter, sheet, camera)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(trace_pen(theme.TRACE))
        _paint_pulses(painter, sheet, camera)
        paint_traces(painter, sheet, camera, cache, colour)
        _paint_names(painter, sheet, camera)
    painter.restore()


def paint_grid(
    painter: QPainter, camera: Camera, tints: Sequence[tuple[QRectF, QColor]] = ()
) -> None:
    """Paint paper, tinted where asked, with a line every millimetre and a heavy one every five."""
    area = camera.area
    painter.fillRect(area, QColor(theme.PAPER))
    for place, colour in tints:
        painter.fillRect(place, colour)
    columns = _millimetres(area.left(), area.right(), camera.x_px, camera.px_per_mm)
    rows = _millimetres(area.top(), area.bottom(), camera.y_px, camera.px_per_mm)
    for step, colour in ((1, theme.GRID_FINE), (5, theme.GRID_HEAVY)):
        if step == 1 and camera.px_per_mm < _LEAST_FINE_PX:
            continue
        lines = [
            QLineF(camera.x(k), area.top(), camera.x(k), area.bottom())
            for k in columns
            if k % step == 0 and (step == 5 or k % 5)
        ]
        lines += [
            QLineF(area.left(), camera.y(k), area.right(), camera.y(k))
            for k in rows
            if k % step == 0 and (step == 5 or k % 5)
        ]
        pen = QPen(QColor(colour), 1.0)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawLines(lines)


def _millimetres(low_px: float, high_px: float, origin_px: int, px_per_mm: float) -> range:
    first = math.floor((low_px - origin_px) / px_per_mm)
    return range(first, math.ceil((high_px - origin_px) / px_per_mm) + 1)


def _cells(
    strip: StripPiece, sheet: Sheet, camera: Camera, top_mm: float, bottom_mm: float
) -> Iterator[tuple[QRectF, float]]:
    """Places of the cells of a strip that are in sight, and their variances."""
    top, bottom = camera.y(top_mm) - 0.5, camera.y(bottom_mm) - 0.5
    start_s = float(strip.edges_s[0])
    edges = [
        camera.x(strip.x_mm + (float(edge) - start_s) * sheet.speed_mm_s) - 0.5
        for edge in strip.edges_s
    ]
    for left, right, value in zip(edges, edges[1:], strip.variance.tolist(), strict=False):
        if right >= camera.area.left() and left <= camera.area.right():
            yield QRectF(left, top, right - left, bottom - top), value


def _tints(sheet: Sheet, camera: Camera) -> list[tuple[QRectF, QColor]]:
    """Pale colours behind the traces; opaque, because blending large areas is slow."""
    if sheet.scale is None:
        return []
    return [
        (cell, QColor(*theme.tint_rgb(value, sheet.scale)))
        for strip in sheet.strips
        if strip.tint_top_mm is not None
        for cell, value in _cells(strip, sheet, camera, strip.tint_top_mm, strip.y_mm)
        if math.isfinite(value)
    ]


def _paint_strips(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
    if sheet.scale is None:
        return
    hatch = QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern)
    for strip in sheet.strips:
        for cell, value in _cells(strip, sheet, camera, strip.y_mm, strip.y_mm + STRIP_MM):
            if math.isfinite(value):
                painter.fillRect(cell, QColor(*theme.variance_rgb(value, sheet.scale)))
            else:
                painter.fillRect(cell, hatch)


def _paint_separators(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
    painter.setPen(QPen(QColor(theme.PAPER_MUTED), max(1.0, round(camera.pixel_ratio))))
    lines = [
        QLineF(camera.x(x_mm), camera.y(baseline + low), camera.x(x_mm), camera.y(baseline + high))
        for x_mm, baseline in sheet.separators
        for low, high in ((-6.0, -3.0), (3.0, 6.0))
    ]
    painter.drawLines(lines)


def _paint_pulses(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
    """1 mV for 0.2 s, at the start of each row, on the pixels of the grid."""
    width = PULSE_S * sheet.speed_mm_s
    tail = PULSE_TAIL_MM * camera.px_per_mm
    painter.setFont(theme.text_font(max(2.4 * camera.px_per_mm, 9.0 * camera.pixel_ratio)))
    for pulse in sheet.pulses:
        left, right = camera.x(pulse.x_mm), camera.x(pulse.x_mm + width)
        foot = camera.y(pulse.baseline_mm)
        head = foot - PULSE_MV * pulse.gain_mm_mv * camera.px_per_mm
        x_px = np.asarray([left - tail, left, left, right, right, right + tail])
        y_px = np.asarray([foot, foot, head, head, foot, foot])
        paint_lines(painter, [polyline(x_px, y_px)], 0.0, 0.0, camera.pixel_ratio)
        room = QRectF(left - tail, foot, right - left + 2 * tail, 4 * camera.px_per_mm)
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, pulse.text)


def paint_traces(
    painter: QPainter, sheet: Sheet, camera: Camera, cache: Cache, colour: str
) -> None:
    """Paint the traces alone, as over those of another sheet; see `paint_sheet`."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(trace_pen(colour))
    per_second = sheet.speed_mm_s * camera.px_per_mm
    for n_piece, piece in enumerate(sheet.pieces):
        left, baseline = camera.x(piece.x_mm), camera.y(piece.baseline_mm)
        chunk_px = CHUNK_SAMPLES / piece.fs * per_second
        for chunk in range(math.ceil(piece.values_mv.size / CHUNK_SAMPLES)):
            chunk_left = left + chunk * chunk_px
            if chunk_left > camera.area.right() or chunk_left + chunk_px < camera.area.left():
                continue
            lines = cache.get((n_piece, chunk))
            if lines is None:
                lines = piece_polylines(piece, sheet, camera.px_per_mm, chunk)
                cache[n_piece, chunk] = lines
            paint_lines(painter, lines, left, baseline, camera.pixel_ratio)


def _paint_names(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
    """Lead names: on the paper in columns; in a margin that stays in sight in rows."""
    size = max(3.2 * camera.px_per_mm, 11.0 * camera.pixel_ratio)
    painter.setFont(theme.text_font(size, bold=True))
    gutter = gutter_px(sheet.layout, camera.px_per_mm, camera.pixel_ratio)
    if gutter:
        box = QRectF(camera.area.left(), camera.area.top(), gutter, camera.area.height())
        painter.fillRect(box, QColor(theme.PAPER))
        painter.setPen(QColor(theme.GRID_HEAVY))
        painter.drawLine(QPointF(box.right(), box.top()), QPointF(box.right(), box.bottom()))
    painter.setPen(QColor(theme.PAPER_TEXT))
    # Where millimetres are small for the text, it reaches above its room rather than being cut.
    height = max(LABEL_HEIGHT_MM * camera.px_per_mm, 1.5 * size)
    for piece in sheet.pieces:
        if gutter:
            top = camera.y(piece.baseline_mm) - size
            place = QRectF(camera.area.left(), top, gutter, 2 * size)
            _paint_in_margin(painter, piece.name, place, size)
            _paint_mark(painter, piece, place.center().x(), top + 2.1 * size, 0.3 * size)
            continue
        bottom = camera.y(piece.label_bottom_mm)
        left, end = camera.x(piece.x_mm + _NAME_MM), camera.x(_end_mm(piece, sheet))
        place = QRectF(left, bottom - height, end - left, height)
        metrics = painter.fontMetrics()
        name = piece.name if piece.values_mv.size else _missing_text(piece.lead, metrics, place)
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, name)
        right, middle = (
            place.left() + metrics.horizontalAdvance(name) + 0.8 * size,
            bottom - 0.5 * size,
        )
        if _paint_mark(painter, piece, right, middle, 0.35 * size) and piece.quality is not None:
            painter.setFont(theme.text_font(0.8 * size))
            place.setLeft(right + 0.6 * size)
            grade = grade_text(piece.quality.grade)
            # In a narrow column the mark stands alone.
            if painter.fontMetrics().horizontalAdvance(grade) <= place.width():
                bottom_left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
                painter.drawText(place, bottom_left, grade)
            painter.setFont(theme.text_font(size, bold=True))
    for strip in sheet.strips:
        if strip.lead == WHOLE_ROW:
            painter.setPen(QColor(theme.PAPER_TEXT))
            painter.setFont(theme.text_font(10.0 * camera.pixel_ratio))
            place = QRectF(
                camera.x(strip.x_mm), camera.y(strip.y_mm - 4.5), 1000.0, 4 * camera.px_per_mm
            )
            painter.drawText(place, Qt.AlignmentFlag.AlignLeft, tr("all leads"))


def _end_mm(piece: TracePiece, sheet: Sheet) -> float:
    """Where the column of a piece ends: what belongs to the next one begins there."""
    rest = (
        each.x_mm
        for each in sheet.pieces
        if each.baseline_mm == piece.baseline_mm and each.x_mm > piece.x_mm
    )
    return min(rest, default=sheet.width_mm)


def _missing_text(lead: str, metrics: QFontMetrics, place: QRectF) -> str:
    """Say that a lead is missing as there is room for it: where there is none, by no trace only."""
    texts = (tr("{lead} is not in the file", lead=lead), tr("{lead}: missing", lead=lead))
    fitting = (text for text in texts if metrics.horizontalAdvance(text) <= place.width())
    return next(fitting, lead)


def _paint_in_margin(painter: QPainter, name: str, place: QRectF, size: float) -> None:
    """Paint a name, smaller and in lines where it is too long for the margin."""
    if len(name) > _MOST_LETTERS:
        name = f"{name[: _MOST_LETTERS // 2]}…{name[-_MOST_LETTERS // 2 :]}"
    centred = Qt.AlignmentFlag.AlignCenter
    place = place.adjusted(0.3 * size, 0, -0.3 * size, 0)
    for share, wrap in ((1.0, 0), (0.75, Qt.TextFlag.TextWordWrap), (0.75, _ANYWHERE)):
        painter.setFont(theme.text_font(share * size, bold=True))
        if painter.boundingRect(place, centred | wrap, name).width() <= place.width():
            break
    painter.drawText(place, centred | wrap | Qt.TextFlag.TextDontClip, name)
    painter.setFont(theme.text_font(size, bold=True))


def _paint_mark(
    painter: QPainter, piece: TracePiece, x_px: float, y_px: float, reach_px: float
) -> bool:
    """Mark a lead that is not good: a triangle for noisy, a cross for unusable."""
    if piece.quality is None or piece.quality.grade is LeadGrade.GOOD:
        return False
    left, right = x_px - reach_px, x_px + reach_px
    top, bottom = y_px - reach_px, y_px + reach_px
    painter.save()
    painter.setPen(QPen(QColor(theme.PAPER_TEXT), max(1.0, 0.3 * reach_px)))
    if piece.quality.grade is LeadGrade.NOISY:
        corners = [QPointF(x_px, top), QPointF(right, bottom), QPointF(left, bottom)]
        painter.drawPolygon(QPolygonF(corners))
    else:
        painter.drawLine(QPointF(left, top), QPointF(right, bottom))
        painter.drawLine(QPointF(left, bottom), QPointF(right, top))
    painter.restore()
    return True


def gutter_px(layout: Layout, px_per_mm: float, pixel_ratio: float) -> int:
    """Width of the margin that keeps the lead names of the rows in sight, device pixels."""
    return round(max(11.0 * px_per_mm, 40.0 * pixel_ratio)) if layout is Layout.ROWS else 0
