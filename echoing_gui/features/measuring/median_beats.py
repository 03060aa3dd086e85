"""The median beat of each lead on paper, true to scale."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent, QTransform
from PySide6.QtWidgets import QSizePolicy, QWidget

from echoing_gui import theme
from echoing_gui.features.measuring.measured import measured_on
from echoing_gui.graphics.paper import Camera, paint_sheet
from echoing_gui.graphics.traces import Cache
from echoing_gui.i18n import tr
from echoing_gui.state import AppState, DisplayOptions
from echoing_gui.state_marks import Measured
from echoing_gui.view_models.beats import Beats, beat_sheets, beat_width_mm
from echoing_gui.view_models.sheet import Sheet
from model_core.types import FloatArray

_LEAST_MM_S = 6.25
_MARKS = ("p_onset", "p_end", "qrs_onset", "qrs_end", "t_end")


def median_sheet(measured: Measured, options: DisplayOptions, width_mm: float) -> Sheet:
    """Lay out the median beats.

    Parameters
    ----------
    measured
        What was measured.
    options
        Paper speed and display gain; the speed is halved until a beat fits.
    width_mm
        Room from left to right, mm.
    """
    fs, values = measured.delineation.fs, _one_beat(measured)
    beats = Beats(dict(zip(measured.measurements.lead_names, values, strict=True)), fs)
    while beat_width_mm(beats.length_s, options) > width_mm and options.speed_mm_s > _LEAST_MM_S:
        options = replace(options, speed_mm_s=options.speed_mm_s / 2)
    return beat_sheets((beats,), options, width_mm)[0]


def _one_beat(measured: Measured) -> FloatArray:
    """Cut the median beats before the next beat's P wave would begin, at a fast rate."""
    found, fs = measured.measurements, measured.delineation.fs
    marks = found.median_beat_marks
    first = marks["p_onset"] if math.isfinite(marks["p_onset"]) else marks["qrs_onset"]
    end = found.median_beat_mv.shape[1]
    if math.isfinite(first) and math.isfinite(found.rr_ms):
        end = min(end, round(first + found.rr_ms / 1000 * fs))
    if math.isfinite(marks["t_end"]):
        end = min(max(end, round(marks["t_end"]) + 1), found.median_beat_mv.shape[1])
    return found.median_beat_mv[:, :end].astype(np.float32)


class MedianBeats(QWidget):
    """Draws the median beats with a calibration pulse, their waves' borders dotted."""

    def __init__(self) -> None:
        super().__init__()
        self._state = AppState()
        self._sheet: Sheet | None = None
        self._cache: Cache = {}
        self._cached_px_per_mm = 0.0
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)
        self.setAccessibleName(tr("Median beat of each lead"))

    @property
    def sheet(self) -> Sheet | None:
        """What is drawn, in millimetres."""
        return self._sheet

    def show_state(self, old: AppState, new: AppState) -> None:
        """Draw the median beats of a state."""
        self._state = new
        before = measured_on(old.measuring, old.recording)
        if (
            before is not self._measured()
            or old.options is not new.options
            or old.screen is not new.screen
        ):
            self._lay_out()

    def sizeHint(self) -> QSize:
        """As high as the paper."""
        height = self._sheet.height_mm * self._px_per_mm() if self._sheet else 0.0
        return QSize(200, math.ceil(height / self.devicePixelRatioF()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out anew for another width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._lay_out()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        """Paint in device pixels, as the ECG itself."""
        if self._sheet is None:
            return
        painter, ratio = QPainter(self), self.devicePixelRatioF()
        painter.setWorldTransform(QTransform.fromScale(1 / ratio, 1 / ratio))
        area = QRectF(0, 0, self.width() * ratio, self.height() * ratio)
        camera = Camera(self._px_per_mm(), 0, 0, area, ratio)
        if camera.px_per_mm != self._cached_px_per_mm:
            self._cache.clear()
            self._cached_px_per_mm = camera.px_per_mm
        paint_sheet(painter, self._sheet, camera, self._cache)
        self._paint_marks(painter, self._sheet, camera)
        painter.end()

    def _paint_marks(self, painter: QPainter, sheet: Sheet, camera: Camera) -> None:
        measured = self._measured()
        if measured is None:
            return
        marks = measured.measurements.median_beat_marks
        pen = QPen(QColor(theme.PAPER_MUTED), max(1.0, round(camera.pixel_ratio)))
        pen.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(pen)
        per_sample = sheet.speed_mm_s / measured.delineation.fs * camera.px_per_mm
        for piece in sheet.pieces:
            xs = [
                round(camera.x(piece.x_mm) + marks[name] * per_sample) + 0.5
                for name in _MARKS
                if math.isfinite(marks[name])
            ]
            top, bottom = camera.y(piece.label_bottom_mm), camera.y(piece.bottom_mm - 0.5)
            painter.drawLines([QLineF(x, top, x, bottom) for x in xs])

    def _lay_out(self) -> None:
        measured = self._measured()
        self._sheet = None
        self._cache.clear()
        if measured is not None and measured.measurements.n_beats:
            width_mm = self.width() * self.devicePixelRatioF() / self._px_per_mm()
            self._sheet = median_sheet(measured, self._state.options, width_mm)
        self.setVisible(self._sheet is not None)
        self.updateGeometry()
        self.update()

    def _measured(self) -> Measured | None:
        return measured_on(self._state.measuring, self._state.recording)

    def _px_per_mm(self) -> float:
        return self._state.screen.device_px_per_mm
