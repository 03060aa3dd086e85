"""Median beats of several recordings, one above the other, on one paper in one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from echoing_gui import theme
from echoing_gui.graphics.paper import Camera, paint_grid
from echoing_gui.graphics.traces import finite_runs, paint_lines, polyline, trace_pen

COLUMNS = 4
# Room for one lead, mm: a beat of 1.2 s at 25 mm/s, and as much above as below the baseline.
CELL_WIDTH_MM, CELL_HEIGHT_MM = 35.0, 40.0
BASELINE_MM = 20.0
_MARGIN_MM = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class MedianBeats:
    """The median beat of a recording.

    Attributes
    ----------
    colour
        Of its lines.
    values_mv
        Samples by lead, mV.
    fs
        Sampling frequency, Hz.
    before_s
        Where the R peak lies, s from the first sample: beats are laid on it.
    """

    colour: str
    values_mv: dict[str, NDArray[np.float64]]
    fs: float
    before_s: float


def size_mm(n_leads: int) -> tuple[float, float]:
    """Width and height of the paper, mm."""
    n_rows = -(-n_leads // COLUMNS)
    return COLUMNS * CELL_WIDTH_MM + 2 * _MARGIN_MM, n_rows * CELL_HEIGHT_MM + 2 * _MARGIN_MM


def paint_beats(
    painter: QPainter,
    leads: tuple[str, ...],
    beats: tuple[MedianBeats, ...],
    speed_mm_s: float,
    gain_mm_mv: float,
    camera: Camera,
) -> None:
    """Paint each lead in a cell of its own, its beats over one another.

    Parameters
    ----------
    painter
        In device pixels.
    leads
        In rows from left to right, `COLUMNS` in a row.
    beats
        The last one is painted on top.
    speed_mm_s, gain_mm_mv
        The same for all beats.
    camera
        Where.
    """
    painter.save()
    painter.setClipRect(camera.area)
    paint_grid(painter, camera)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    size = max(3.2 * camera.px_per_mm, 11.0 * camera.pixel_ratio)
    for n, lead in enumerate(leads):
        left_mm = _MARGIN_MM + n % COLUMNS * CELL_WIDTH_MM
        top_mm = _MARGIN_MM + n // COLUMNS * CELL_HEIGHT_MM
        corner = QPointF(camera.x(left_mm), camera.y(top_mm))
        width, height = CELL_WIDTH_MM * camera.px_per_mm, CELL_HEIGHT_MM * camera.px_per_mm
        painter.setClipRect(QRectF(corner.x(), corner.y(), width, height).intersected(camera.area))
        for each in beats:
            values = each.values_mv.get(lead)
            if values is None:
                continue
            painter.setPen(trace_pen(each.colour))
            step_px = speed_mm_s * camera.px_per_mm / each.fs
            lines = [
                polyline(
                    np.arange(low, high, dtype=np.float64) * step_px,
                    np.asarray(values[low:high], np.float64) * (-gain_mm_mv * camera.px_per_mm),
                )
                for low, high in finite_runs(values.astype(np.float32))
            ]
            baseline = camera.y(top_mm + BASELINE_MM)
            paint_lines(painter, lines, corner.x(), baseline, camera.pixel_ratio)
        painter.setFont(theme.text_font(size, bold=True))
        painter.setPen(QColor(theme.PAPER_TEXT))
        name = QRectF(corner.x() + 1.5 * camera.px_per_mm, corner.y(), width, 2 * size)
        painter.drawText(name, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, lead)
    painter.restore()
