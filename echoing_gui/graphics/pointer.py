"""Between device pixels and the recording: exactly where the traces are drawn, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, Qt

from echoing_gui.graphics.paper import Camera
from echoing_gui.view_models.sheet import Sheet, TracePiece, piece_at


@dataclass(frozen=True, slots=True)
class Pointed:
    """What lies under the pointer.

    Attributes
    ----------
    sheet, camera
        What is drawn, and where on the device.
    x_px, y_px
        Device pixels.
    x_mm, y_mm
        Place on the sheet.
    piece
        The trace whose place this is; None beside the traces.
    time_s, value_mv
        There on the scale of `piece`, seconds of the recording and mV as recorded; NaN without one.
    modifiers
        Keys held.
    """

    sheet: Sheet
    camera: Camera
    x_px: float
    y_px: float
    x_mm: float
    y_mm: float
    piece: TracePiece | None
    time_s: float
    value_mv: float
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier


def to_px(
    sheet: Sheet, camera: Camera, piece: TracePiece, time_s: float, value_mv: float
) -> QPointF:
    """Find where a value at a time is drawn, in device pixels."""
    along = (time_s - piece.start_s) * sheet.speed_mm_s
    up = (value_mv * piece.sign - piece.median_mv) * piece.gain_mm_mv
    return QPointF(
        camera.x(piece.x_mm) + along * camera.px_per_mm,
        camera.y(piece.baseline_mm) - up * camera.px_per_mm,
    )


def from_px(
    sheet: Sheet, camera: Camera, piece: TracePiece, x_px: float, y_px: float
) -> tuple[float, float]:
    """Find seconds of the recording and mV of a place in device pixels: the reverse of `to_px`."""
    along = (x_px - camera.x(piece.x_mm)) / camera.px_per_mm
    up = (camera.y(piece.baseline_mm) - y_px) / camera.px_per_mm
    value_mv = (piece.median_mv + up / piece.gain_mm_mv) * piece.sign
    return piece.start_s + along / sheet.speed_mm_s, value_mv


def pointed(
    sheet: Sheet, camera: Camera, x_px: float, y_px: float, modifiers: Qt.KeyboardModifier
) -> Pointed:
    """Say what lies at a place of the device, in its pixels."""
    x_mm = (x_px - camera.x_px) / camera.px_per_mm
    y_mm = (y_px - camera.y_px) / camera.px_per_mm
    piece = piece_at(sheet, x_mm, y_mm)
    time_s = value_mv = math.nan
    if piece is not None:
        time_s, value_mv = from_px(sheet, camera, piece, x_px, y_px)
    return Pointed(
        sheet, camera, x_px, y_px, x_mm, y_mm, piece, time_s, value_mv, modifiers
    )  # fmt: skip
