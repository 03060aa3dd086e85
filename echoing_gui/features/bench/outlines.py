"""Outlines of chosen and hidden segments above the traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen

from echoing_gui import theme
from echoing_gui.features.bench.view import bench_of, map_of, pieces_of
from echoing_gui.graphics.paper import Camera
from echoing_gui.state import AppState
from echoing_gui.state_bench import Cell
from echoing_gui.view_models.sheet import Sheet


def cell_rects(
    sheet: Sheet, camera: Camera, cell: Cell, edges_s: NDArray[np.float64]
) -> list[QRectF]:
    """Places of a segment on the device, in its pixels."""
    rects: list[QRectF] = []
    low_s, high_s = edges_s[cell.segment : cell.segment + 2].tolist()
    for piece in pieces_of(sheet, cell, edges_s):
        left, right = (
            camera.x(piece.x_mm + (second - piece.start_s) * sheet.speed_mm_s)
            for second in (max(low_s, piece.start_s), min(high_s, piece.end_s))
        )
        top, bottom = camera.y(piece.top_mm), camera.y(piece.bottom_mm)
        rects.append(QRectF(left, top, right - left, bottom - top))
    return rects


def outline_painter(
    state: Callable[[], AppState],
) -> Callable[[QPainter, Sheet, Camera], None]:
    """Make the overlay; it asks for the state whenever it paints."""

    def paint(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
        now = state()
        cells, bench = map_of(now), bench_of(now)
        if cells is None:
            return
        width = max(1.0, round(camera.pixel_ratio))

        def draw(which: Iterable[Cell], pen: QPen, brush: QBrush) -> None:
            painter.setPen(pen)
            painter.setBrush(brush)
            for cell in which:
                for rect in cell_rects(sheet, camera, cell, cells.edges_s):
                    if rect.intersects(camera.area):
                        painter.drawRect(rect)

        hatch = QColor(theme.HATCH)
        hatch.setAlpha(150)
        draw(bench.hidden, QPen(Qt.PenStyle.NoPen), QBrush(hatch, Qt.BrushStyle.BDiagPattern))
        blue = QColor(theme.BLUE_TAG)
        others = bench.chosen - {bench.current}
        none = QBrush(Qt.BrushStyle.NoBrush)
        draw(sorted(others), QPen(blue, width, Qt.PenStyle.DashLine), none)
        if bench.current is not None:
            draw([bench.current], QPen(blue, 2 * width), none)

    return paint
