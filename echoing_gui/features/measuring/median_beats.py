"""The median beat of each lead on paper, true to scale."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent, QTransform
from PySide6.QtWidgets import QSizePolicy, QWidget

from echoing_gui import theme
from echoing_gui.features.measuring.measured import measured_on
from echoing_gui.graphics.paper import Camera, paint_sheet
from echoing_gui.graphics.traces import Cache
from echoing_gui.i18n import tr
from echoing_gui.state import AppState, DisplayOptions, Layout
from echoing_gui.state_marks import Measured
from echoing_gui.view_models.sheet import Pulse, Sheet, TracePiece
from model_core.leads import STANDARD_LEADS
from model_core.types import FloatArray

_LEFT_MM = 10.0
_GAP_MM = 3.0
_PULSE_X_MM = 2.5
_LABEL_MM = 5.0
_LEAST_MM = 5.0
# Beyond this an artefact would take all the room.
_MOST_MV = 3.0
_MARKS = ("p_onset", "p_end", "qrs_onset", "qrs_end", "t_end")


def median_sheet(measured: Measured, options: DisplayOptions, width_mm: float) -> Sheet:
    """Lay out the median beats, as many beside each other as there is room for.

    Parameters
    ----------
    measured
        What was measured.
    options
        Paper speed and display gain; the speed is halved until a beat fits.
    width_mm
        Room from left to right, mm.
    """
    found = measured.measurements
    fs, beats = measured.delineation.fs, _one_beat(measured)
    length_s = beats.shape[1] / fs
    speed = options.speed_mm_s
    while _LEFT_MM + length_s * speed > width_mm and speed > 6.25:
        speed /= 2
    step_mm = math.ceil(length_s * speed) + _GAP_MM
    n_columns = 1 if width_mm < _LEFT_MM + 2 * step_mm - _GAP_MM else 2
    rows = _rows(found.lead_names, n_columns)
    pieces: list[TracePiece] = []
    pulses: list[Pulse] = []
    gain, top = options.gain_mm_mv, 0.0
    for row in rows:
        drawn = [beats[found.lead_names.index(lead)] for lead in row]
        up = max(_extent(values, gain) for values in drawn) + _LABEL_MM
        down = max(_extent(-values, gain) for values in drawn)
        baseline = math.ceil(top + max(up, gain + 1.0))
        pulses.append(Pulse(_PULSE_X_MM, baseline, gain, ""))
        bottom = baseline + down + 1.0
        for n_column, (lead, values) in enumerate(zip(row, drawn, strict=True)):
            pieces.append(
                TracePiece(
                    lead=lead, name=lead, values_mv=values, median_mv=0.0, gain_mm_mv=gain, fs=fs,
                    start_s=0.0, end_s=length_s, x_mm=_LEFT_MM + n_column * step_mm,
                    baseline_mm=baseline, top_mm=top, bottom_mm=bottom,
                    label_bottom_mm=baseline - up + _LABEL_MM,
                )
            )  # fmt: skip
        top = bottom
    return Sheet(
        width_mm=width_mm, height_mm=math.ceil(top + 1.0), layout=Layout.GRID, speed_mm_s=speed,
        pieces=tuple(pieces), strips=(), pulses=tuple(pulses), separators=(), scale=None,
        window_s=(0.0, length_s), note="",
    )  # fmt: skip


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


def _rows(names: tuple[str, ...], n_columns: int) -> list[list[str]]:
    """Limb leads in the left column and the others in the right, as far as there are two."""
    in_order = [name for name in STANDARD_LEADS if name in names]
    in_order += [name for name in names if name not in STANDARD_LEADS]
    n_rows = math.ceil(len(in_order) / n_columns)
    return [in_order[n::n_rows] for n in range(n_rows)]


def _extent(values_mv: FloatArray, gain: float) -> float:
    finite = values_mv[np.isfinite(values_mv)]
    highest = min(max(float(finite.max()), 0.0), _MOST_MV) if finite.size else 0.0
    return max(highest * gain, _LEAST_MM)


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
