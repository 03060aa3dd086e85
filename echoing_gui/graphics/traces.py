"""Traces as polylines in device pixels, thinned to what the pixels can show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from shiboken6 import VoidPtr

from echoing_gui.view_models.sheet import Sheet, TracePiece
from model_core.dsp import finite_runs
from model_core.types import FloatArray

CHUNK_SAMPLES = 8192
_THIN_ABOVE = 4.0  # samples a pixel column

Cache = dict[tuple[int, int], list[QPolygonF]]


def thin(values: FloatArray, group: int) -> NDArray[np.intp]:
    """Find the lowest and highest sample of each group, in order of time.

    No peak is lost and none moves: each point kept is a sample of the recording.

    Parameters
    ----------
    values
        Samples of one lead, finite.
    group
        Samples in a group.

    Returns
    -------
    ndarray
        Rising indices into `values`; the first and the last sample are always among them.
    """
    n_whole = values.size // group
    blocks = values[: n_whole * group].reshape(n_whole, group)
    starts = np.arange(n_whole) * group
    pairs = np.stack([starts + blocks.argmin(axis=1), starts + blocks.argmax(axis=1)], axis=1)
    rest = np.arange(n_whole * group, values.size)
    ends = np.asarray([0, values.size - 1])
    return np.unique(np.concatenate([pairs.ravel(), rest, ends]))


def polyline(x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> QPolygonF:
    """Make a Qt polyline from coordinates, without a Python object for each point."""
    line = QPolygonF()
    line.resize(x_px.size)
    memory: Any = VoidPtr(line.data(), x_px.size * 16, True)  # type: ignore[call-arg]
    points = np.frombuffer(memory, dtype=np.float64).reshape(-1, 2)
    points[:, 0] = x_px
    points[:, 1] = y_px
    return line


def piece_polylines(
    piece: TracePiece, sheet: Sheet, px_per_mm: float, chunk: int
) -> list[QPolygonF]:
    """One chunk of a trace, in device pixels from the place of its first second at 0 mV."""
    first = chunk * CHUNK_SAMPLES
    # One sample more: chunks join without a gap.
    values = piece.values_mv[first : first + CHUNK_SAMPLES + 1]
    per_second = sheet.speed_mm_s * px_per_mm
    group = math.floor(piece.fs / per_second)
    start_px = (round(piece.start_s * piece.fs) / piece.fs - piece.start_s) * per_second
    lines: list[QPolygonF] = []
    for low, high in finite_runs(values):
        run = values[low:high]
        kept = thin(run, group) if group >= _THIN_ABOVE / 2 else np.arange(run.size)
        x_px = start_px + (first + low + kept) / piece.fs * per_second
        y_px = run[kept] * (-piece.gain_mm_mv * px_per_mm)
        if kept.size == 1:  # a lone sample between gaps still leaves a dot
            x_px, y_px = x_px[0] + np.asarray([0.0, 1.0]), np.repeat(y_px, 2)
        lines.append(polyline(x_px, y_px.astype(np.float64)))
    return lines


def trace_pen(colour: str) -> QPen:
    """Pen one device pixel wide: any wider antialiased pen is some fifty times slower."""
    pen = QPen(QColor(colour), 1.0)
    pen.setCosmetic(True)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    pen.setJoinStyle(Qt.PenJoinStyle.BevelJoin)
    return pen


def stroke_offsets(pixel_ratio: float) -> list[float]:
    """Shifts, in device pixels, at which each line is drawn again to look thicker than one pixel.

    Examples
    --------
    >>> stroke_offsets(1.0), stroke_offsets(2.0)
    ([-0.25, 0.25], [-0.5, 0.0, 0.5])
    """
    n_strokes = 1 + round(pixel_ratio)
    return [0.5 * (k - (n_strokes - 1) / 2) for k in range(n_strokes)]


def paint_lines(
    painter: QPainter, lines: list[QPolygonF], x_px: float, y_px: float, pixel_ratio: float
) -> None:
    """Draw polylines from an origin in device pixels, thicker on denser screens."""
    for shift in stroke_offsets(pixel_ratio):
        painter.translate(QPointF(x_px + shift, y_px + shift))
        for line in lines:
            painter.drawPolyline(line)
        painter.translate(QPointF(-x_px - shift, -y_px - shift))
