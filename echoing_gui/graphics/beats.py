"""Median beats of several recordings, one above the other, on one paper in one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from echoing_gui import theme
from echoing_gui.graphics.paper import Camera, paint_grid
from echoing_gui.graphics.traces import finite_runs, paint_lines, polyline, trace_pen
from echoing_gui.view_models.sheet import PULSE_MV, PULSE_S

_MARGIN_MM = 5.0
_GAP_MM = 5.0
_LABEL_MM = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class MedianBeats:
    """The median beat of a recording.

    Attributes
    ----------
    colour
        Of its lines.
    values_mv
        Samples by lead, mV; all recordings' R peaks lie at the same time.
    fs
        Sampling frequency, Hz.
    """

    colour: str
    values_mv: dict[str, NDArray[np.float64]]
    fs: float


@dataclass(frozen=True, slots=True, eq=False)
class BeatsSheet:
    """Where each lead's beats lie, mm.

    Attributes
    ----------
    width_mm, height_mm
        Size of the paper.
    speed_mm_s, gain_mm_mv
        The same for all beats.
    beats
        The last one is painted on top.
    places
        Lead, left end, 0 mV and upper end of the room of each.
    pulses
        Left end and 0 mV of the calibration pulse of each row.
    """

    width_mm: float
    height_mm: float
    speed_mm_s: float
    gain_mm_mv: float
    beats: tuple[MedianBeats, ...]
    places: tuple[tuple[str, float, float, float], ...]
    pulses: tuple[tuple[float, float], ...]


def lay_out_beats(
    leads: tuple[str, ...],
    beats: tuple[MedianBeats, ...],
    speed_mm_s: float,
    gain_mm_mv: float,
    room_mm: float,
) -> BeatsSheet:
    """Arrange leads in as many columns as the room has, every row as high as its beats.

    Parameters
    ----------
    leads
        In order.
    beats
        Of each recording.
    speed_mm_s, gain_mm_mv
        Scale of all.
    room_mm
        Width to fill.
    """
    longest_s = max(
        (values.size / each.fs for each in beats for values in each.values_mv.values()), default=0.0
    )
    width = _up(longest_s * speed_mm_s + _GAP_MM)
    start = _up(2 * _MARGIN_MM + PULSE_S * speed_mm_s)
    n_columns = min(max(2, int((room_mm - start) // width)), 6, max(len(leads), 1))
    places: list[tuple[str, float, float, float]] = []
    pulses: list[tuple[float, float]] = []
    top = _MARGIN_MM
    for first in range(0, len(leads), n_columns):
        row = leads[first : first + n_columns]
        drawn = [each.values_mv[lead] for each in beats for lead in row if lead in each.values_mv]
        up = max([PULSE_MV, *(float(np.nanmax(v, initial=0.0)) for v in drawn)]) * gain_mm_mv
        down = max([0.3, *(float(-np.nanmin(v, initial=0.0)) for v in drawn)]) * gain_mm_mv
        baseline = _up(top + _LABEL_MM + up)
        pulses.append((_MARGIN_MM, baseline))
        places += [(lead, start + n * width, baseline, top) for n, lead in enumerate(row)]
        top = _up(baseline + down + 2.0)
    return BeatsSheet(
        width_mm=start + n_columns * width,
        height_mm=top + _MARGIN_MM,
        speed_mm_s=speed_mm_s,
        gain_mm_mv=gain_mm_mv,
        beats=beats,
        places=tuple(places),
        pulses=tuple(pulses),
    )


def paint_beats(painter: QPainter, sheet: BeatsSheet, camera: Camera) -> None:
    """Paint paper, pulses and beats.

    Parameters
    ----------
    painter
        In device pixels.
    sheet
        What to paint.
    camera
        Where.
    """
    painter.save()
    painter.setClipRect(camera.area)
    paint_grid(painter, camera)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(trace_pen(theme.TRACE))
    tail_mm, width_mm = 2.0, PULSE_S * sheet.speed_mm_s
    for left_mm, baseline_mm in sheet.pulses:
        x_mm = np.asarray([-tail_mm, 0, 0, width_mm, width_mm, width_mm + tail_mm])
        y_mv = np.asarray([0, 0, PULSE_MV, PULSE_MV, 0, 0])
        line = polyline(x_mm * camera.px_per_mm, -y_mv * sheet.gain_mm_mv * camera.px_per_mm)
        paint_lines(painter, [line], camera.x(left_mm), camera.y(baseline_mm), camera.pixel_ratio)
    for each in sheet.beats:
        painter.setPen(trace_pen(each.colour))
        step_px = sheet.speed_mm_s * camera.px_per_mm / each.fs
        for lead, left_mm, baseline_mm, _ in sheet.places:
            values = each.values_mv.get(lead)
            if values is None:
                continue
            y_px = values * (-sheet.gain_mm_mv * camera.px_per_mm)
            lines = [
                polyline(np.arange(low, high, dtype=np.float64) * step_px, y_px[low:high])
                for low, high in finite_runs(values.astype(np.float32))
            ]
            paint_lines(
                painter, lines, camera.x(left_mm), camera.y(baseline_mm), camera.pixel_ratio
            )
    size = max(3.2 * camera.px_per_mm, 11.0 * camera.pixel_ratio)
    painter.setFont(theme.text_font(size, bold=True))
    painter.setPen(QColor(theme.PAPER_TEXT))
    for lead, left_mm, _, top_mm in sheet.places:
        room = QRectF(camera.x(left_mm), camera.y(top_mm), 20 * size, 2 * size)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, lead)
    painter.restore()


def _up(value_mm: float) -> float:
    """Bring a length up to the next heavy line."""
    return math.ceil(value_mm / 5.0 - 1e-9) * 5.0
