"""Calipers, notes and wave marks above the traces, in device pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from echoing_gui import theme
from echoing_gui.features.measuring.calipers import march_times_s, reading_text
from echoing_gui.graphics.paper import Camera
from echoing_gui.graphics.pointer import to_px
from echoing_gui.i18n import tr
from echoing_gui.state_marks import Caliper, CaliperKind, Measured, Note
from echoing_gui.view_models.sheet import Sheet, TracePiece
from model_core.types import Annotation

HANDLE_PX = 4.0
_REACH_PX = 9.0
_BAR_MM = 2.5
_NOTE_MM = 1.2
_CALIPER = QColor(theme.BLUE_TAG)
_NOTE = QColor("#6a3d8f")
_WAVES = QColor("#2f6f4f")
_FROM_FILE = QColor("#8a5a00")
_WAVE_NAMES = (("P", "p_onset", "p_end"), ("QRS", "qrs_onset", "qrs_end"), ("T", "t_end"))
_NAMED_LEAD = "II"
# The trace stays visible under text.
_PATCH_ALPHA = 160
_TICK_MM = 2.0
# Between a trace and the name of its wave.
_CLEAR_MM = 0.5


@dataclass(frozen=True, slots=True)
class Placed:
    """A caliper on one trace.

    Attributes
    ----------
    piece
        The trace.
    ends
        Device pixels of both ends; they may lie beyond the trace.
    seen
        Which ends lie on it.
    """

    piece: TracePiece
    ends: tuple[QPointF, QPointF]
    seen: tuple[bool, bool]


def placed(caliper: Caliper, number: int, sheet: Sheet, camera: Camera) -> list[Placed]:
    """Find where a caliper is drawn: on each trace of its lead that shows one of its ends.

    An interval holds for all leads at once: where the layout does not show the lead at that time,
    a trace that shows both ends takes it.
    """
    on_lead = [p for p in sheet.pieces if p.lead == caliper.lead and any(_seen(p, caliper))]
    if not on_lead and caliper.kind is CaliperKind.TIME:
        on_lead = [p for p in sheet.pieces if all(_seen(p, caliper))][-1:]
    found: list[Placed] = []
    for piece in on_lead:
        ends = [
            to_px(sheet, camera, piece, time_s, value_mv)
            for time_s, value_mv in zip(caliper.times_s, caliper.values_mv, strict=True)
        ]
        if caliper.kind is CaliperKind.TIME:
            # Neighbours stand at different heights, so that their readings can be told apart.
            bar_mm = piece.top_mm + _BAR_MM * (1 + number % 3 * 1.6)
            ends = [QPointF(end.x(), camera.y(bar_mm)) for end in ends]
        found.append(Placed(piece, (ends[0], ends[1]), _seen(piece, caliper)))
    return found


def end_at(place: Placed, x_px: float, y_px: float, ratio: float) -> int | None:
    """Find which end of a caliper lies under the pointer, if one does."""
    gaps = [
        math.hypot(end.x() - x_px, end.y() - y_px) if seen else math.inf
        for end, seen in zip(place.ends, place.seen, strict=True)
    ]
    nearest = gaps.index(min(gaps))
    return nearest if gaps[nearest] <= _REACH_PX * ratio else None


def is_on_bar(place: Placed, x_px: float, y_px: float, ratio: float) -> bool:
    """Whether the line between the ends lies under the pointer."""
    (a, b), at = place.ends, QPointF(x_px, y_px)
    along = b - a
    length = math.hypot(along.x(), along.y())
    if length < 1:
        return False
    from_a = at - a
    share = (from_a.x() * along.x() + from_a.y() * along.y()) / length**2
    off = abs(from_a.x() * along.y() - from_a.y() * along.x()) / length
    return 0 <= share <= 1 and off <= _REACH_PX / 2 * ratio


def paint_caliper(
    painter: QPainter,
    caliper: Caliper,
    number: int,
    chosen_end: int | None,
    sheet: Sheet,
    camera: Camera,
) -> None:
    """Draw a caliper with its reading; `chosen_end` is the one that keys move, if any."""
    places = placed(caliper, number, sheet, camera)
    for place in places:
        painter.save()
        piece, (first, last) = place.piece, place.ends
        left = camera.x(piece.x_mm)
        right = left + (piece.end_s - piece.start_s) * sheet.speed_mm_s * camera.px_per_mm
        painter.setClipRect(
            QRectF(left - 2 * HANDLE_PX * camera.pixel_ratio, camera.area.top(),
                   right - left + 4 * HANDLE_PX * camera.pixel_ratio, camera.area.height()),
            Qt.ClipOperation.IntersectClip,
        )  # fmt: skip
        painter.setPen(_pen(_CALIPER, camera, thick=chosen_end is not None))
        if caliper.kind is CaliperKind.TIME:
            _paint_interval(painter, caliper, place, sheet, camera)
        else:
            _paint_height(painter, caliper, place, camera)
        painter.drawLine(QLineF(first, last))
        for end, point in enumerate(place.ends):
            if place.seen[end]:
                _paint_handle(painter, point, camera, chosen=end == chosen_end)
        painter.restore()
    if places and caliper.kind is CaliperKind.TIME and chosen_end is not None:
        _paint_across(painter, caliper, sheet, camera)
    for place in places:
        _paint_reading(painter, caliper, place, sheet, camera)


def paint_note(painter: QPainter, note: Note, sheet: Sheet, camera: Camera) -> None:
    """Draw a bracket under the stretch that a note is about, with the note's first words."""
    pieces = [
        piece
        for piece in sheet.pieces
        if note.lead in ("", piece.lead) and piece.start_s < note.end_s > note.start_s
        and note.start_s < piece.end_s
    ]  # fmt: skip
    for piece in pieces:
        left = to_px(sheet, camera, piece, max(note.start_s, piece.start_s), 0).x()
        right = to_px(sheet, camera, piece, min(note.end_s, piece.end_s), 0).x()
        foot = camera.y(piece.bottom_mm - _NOTE_MM)
        rise = _NOTE_MM * camera.px_per_mm
        painter.setPen(_pen(_NOTE, camera, thick=True))
        painter.drawLines(
            [
                QLineF(left, foot, right, foot),
                QLineF(left, foot, left, foot - rise),
                QLineF(right, foot, right, foot - rise),
            ]
        )
    for piece in pieces if note.lead else pieces[:1]:
        if piece.start_s <= note.start_s:
            left = to_px(sheet, camera, piece, note.start_s, 0).x()
            text = note.text if len(note.text) <= 40 else f"{note.text[:39]}…"
            at = QPointF(left, camera.y(piece.bottom_mm - 2 * _NOTE_MM))
            _paint_text(painter, text, at, _NOTE, camera)


def paint_waves(painter: QPainter, measured: Measured, sheet: Sheet, camera: Camera) -> None:
    """Draw where waves begin and end, as the program found them: the same in all leads.

    Ticks on every trace; the waves' names on one lead only. The T wave has no sharp onset: its
    end alone is marked.
    """
    found = measured.delineation
    drawn = [piece for piece in sheet.pieces if piece.values_mv.size]
    named = _NAMED_LEAD if any(p.lead == _NAMED_LEAD for p in drawn) else drawn[0].lead
    painter.setFont(theme.text_font(10.0 * camera.pixel_ratio))
    for piece in drawn:
        top, bottom = camera.y(piece.baseline_mm - _TICK_MM), camera.y(piece.baseline_mm + _TICK_MM)
        ticks: list[QLineF] = []
        for name, *marks in _WAVE_NAMES:
            times_s = (
                measured.start_s + np.stack([getattr(found, mark) for mark in marks]) / found.fs
            )
            for beat in times_s.T:
                seen = [float(t) for t in beat if piece.start_s <= t < piece.end_s]
                xs = [round(to_px(sheet, camera, piece, t, 0).x()) + 0.5 for t in seen]
                ticks += [QLineF(x, top, x, bottom) for x in xs]
                if xs and piece.lead == named:
                    box = _beside_trace(painter, name, sum(xs) / len(xs), piece, sheet, camera)
                    if name == "QRS":
                        # It may stand on a strip that is as dark as it is.
                        painter.fillRect(box, theme.PAPER)
                    painter.setPen(_WAVES)
                    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
        painter.setPen(_pen(_WAVES, camera))
        painter.drawLines(ticks)


def _beside_trace(
    painter: QPainter, name: str, x_px: float, piece: TracePiece, sheet: Sheet, camera: Camera
) -> QRectF:
    """Find room for a wave's name: beyond its ticks, and beyond the trace where it is.

    P and T above, QRS on the side where it reaches less far: at 25 mm/s they stand close.
    """
    metrics = painter.fontMetrics()
    width, height = metrics.horizontalAdvance(name) + 2.0, float(metrics.height())
    per_second = sheet.speed_mm_s * camera.px_per_mm
    middle_s = (x_px - camera.x(piece.x_mm)) / per_second
    reach_s = width / 2 / per_second
    first = max(0, math.floor((middle_s - reach_s) * piece.fs))
    under = piece.values_mv[first : math.ceil((middle_s + reach_s) * piece.fs) + 1]
    under = under[np.isfinite(under)] * piece.gain_mm_mv
    up_mm = max(_TICK_MM, float(under.max()) + _CLEAR_MM) if under.size else _TICK_MM
    down_mm = max(_TICK_MM, _CLEAR_MM - float(under.min())) if under.size else _TICK_MM
    if name == "QRS" and down_mm <= up_mm:
        top = camera.y(piece.baseline_mm + down_mm)
    else:
        top = camera.y(piece.baseline_mm - up_mm) - height
    return QRectF(x_px - width / 2, top, width, height)


def paint_file_marks(
    painter: QPainter, annotations: tuple[Annotation, ...], sheet: Sheet, camera: Camera
) -> None:
    """Draw the marks that the file holds, above the first trace that shows each."""
    for mark in annotations:
        piece = next((p for p in sheet.pieces if p.start_s <= mark.time_s < p.end_s), None)
        if piece is None:
            continue
        x = round(to_px(sheet, camera, piece, mark.time_s, 0).x()) + 0.5
        if not camera.area.left() <= x <= camera.area.right():
            continue
        top, bottom = camera.y(piece.top_mm + 1), camera.y(piece.baseline_mm)
        painter.setPen(_pen(_FROM_FILE, camera, dotted=True))
        painter.drawLine(QLineF(x, top, x, bottom))
        _paint_text(painter, mark.text[:20], QPointF(x + 2, top + 3), _FROM_FILE, camera)


def paint_sources(painter: QPainter, camera: Camera, *, computed: bool, from_file: bool) -> None:
    """Say in a corner where the wave marks come from."""
    lines = [(tr("Wave marks: computed, common to all leads"), _WAVES)] if computed else []
    if from_file:
        lines.append((tr("Marks above: from the file"), _FROM_FILE))
    if not lines:
        lines = [(tr("Wave marks: none found yet"), _WAVES)]
    bottom = camera.area.bottom() - 6 * camera.pixel_ratio
    for text, colour in reversed(lines):
        box = _paint_text(painter, text, QPointF(camera.area.right(), bottom), colour, camera)
        bottom -= box.height() + 2 * camera.pixel_ratio


def _seen(piece: TracePiece, caliper: Caliper) -> tuple[bool, bool]:
    first, last = (piece.start_s <= time_s <= piece.end_s for time_s in caliper.times_s)
    return first, last


def _pen(colour: QColor, camera: Camera, *, thick: bool = False, dotted: bool = False) -> QPen:
    pen = QPen(colour, max(1.0, round(camera.pixel_ratio * (2 if thick else 1))))
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if dotted:
        pen.setStyle(Qt.PenStyle.DotLine)
    return pen


def _paint_interval(
    painter: QPainter, caliper: Caliper, place: Placed, sheet: Sheet, camera: Camera
) -> None:
    piece = place.piece
    top, bottom = camera.y(piece.top_mm + 1), camera.y(piece.bottom_mm - 1)
    lines = [
        QLineF(end.x(), top, end.x(), bottom)
        for end, seen in zip(place.ends, place.seen, strict=True)
        if seen
    ]
    painter.drawLines(lines)
    marched = [
        to_px(sheet, camera, piece, time_s, 0).x()
        for time_s in march_times_s(caliper, piece.start_s, piece.end_s)
    ]
    painter.save()
    pen = _pen(_CALIPER, camera)
    pen.setStyle(Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.drawLines([QLineF(x, top, x, bottom) for x in marched])
    painter.restore()


def _paint_height(painter: QPainter, caliper: Caliper, place: Placed, camera: Camera) -> None:
    """Level lines at both ends; for both, upright ones too, which close a box."""
    (first, last), reach = place.ends, 4 * camera.px_per_mm
    low, high = sorted((first.x(), last.x()))
    if caliper.kind is CaliperKind.AMPLITUDE:
        low, high = low - reach, high + reach
    painter.drawLines([QLineF(low, end.y(), high, end.y()) for end in place.ends])
    if caliper.kind is CaliperKind.BOTH:
        top, bottom = sorted((first.y(), last.y()))
        painter.drawLines([QLineF(end.x(), top, end.x(), bottom) for end in place.ends])


def _paint_handle(painter: QPainter, at: QPointF, camera: Camera, *, chosen: bool) -> None:
    reach = HANDLE_PX * camera.pixel_ratio
    box = QRectF(at.x() - reach, at.y() - reach, 2 * reach, 2 * reach)
    painter.fillRect(box, _CALIPER if chosen else QColor(theme.PAPER))
    painter.drawRect(box)


def _paint_across(painter: QPainter, caliper: Caliper, sheet: Sheet, camera: Camera) -> None:
    """Dotted lines at the same times in all other traces."""
    painter.setPen(_pen(_CALIPER, camera, dotted=True))
    painter.drawLines(
        [
            QLineF(x, camera.y(piece.top_mm), x, camera.y(piece.bottom_mm))
            for piece in sheet.pieces
            if piece.lead != caliper.lead
            for time_s in caliper.times_s
            if piece.start_s <= time_s < piece.end_s
            for x in [to_px(sheet, camera, piece, time_s, 0).x()]
        ]
    )


def _paint_reading(
    painter: QPainter, caliper: Caliper, place: Placed, sheet: Sheet, camera: Camera
) -> None:
    first, last = place.ends
    text = reading_text(caliper)
    if place.piece.lead != caliper.lead:
        text = f"{caliper.lead}: {text}"
    if caliper.kind is CaliperKind.TIME:
        starts = to_px(sheet, camera, place.piece, place.piece.start_s, 0).x()
        ends = to_px(sheet, camera, place.piece, place.piece.end_s, 0).x()
        left = min(max(min(first.x(), last.x()), starts), ends)
        at = QPointF(left + 5 * camera.pixel_ratio, first.y() - 2 * camera.pixel_ratio)
    else:
        right = max(first.x(), last.x()) + 6 * camera.pixel_ratio
        at = QPointF(right, (first.y() + last.y()) / 2)
    _paint_text(painter, text, at, _CALIPER, camera)


def _paint_text(
    painter: QPainter, text: str, at: QPointF, colour: QColor, camera: Camera
) -> QRectF:
    """Write on a patch of paper above a point, kept in sight; returns the patch."""
    if not text:
        return QRectF()
    painter.setFont(theme.text_font(11.0 * camera.pixel_ratio, bold=True))
    metrics, pad = painter.fontMetrics(), 2 * camera.pixel_ratio
    width, height = metrics.horizontalAdvance(text) + 2 * pad, metrics.height()
    left = min(max(at.x(), camera.area.left()), camera.area.right() - width)
    top = min(max(at.y() - height, camera.area.top()), camera.area.bottom() - height)
    box = QRectF(round(left), round(top), width, height)
    patch = QColor(theme.PAPER)
    patch.setAlpha(_PATCH_ALPHA)
    painter.fillRect(box, patch)
    painter.setPen(colour)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    return box
