"""What lies under the pointer on the ECG sheet, in words."""

from __future__ import annotations

import math

import numpy as np

from echoing_gui.i18n import tr
from echoing_gui.view_models.sheet import (
    STRIP_MM,
    WHOLE_ROW,
    Sheet,
    StripPiece,
    grade_text,
    number_text,
    piece_at,
)


def hover_text(sheet: Sheet, x_mm: float, y_mm: float) -> str:
    """Say what lies under the pointer: lead, time, value as drawn, segment variance."""
    for strip in sheet.strips:
        if strip.lead == WHOLE_ROW and strip.y_mm <= y_mm < strip.y_mm + STRIP_MM:
            time_s = float(strip.edges_s[0]) + (x_mm - strip.x_mm) / sheet.speed_mm_s
            if x_mm < strip.x_mm:
                return ""
            return tr("All leads: {segment}", segment=_cell_text(strip, time_s))
    piece = piece_at(sheet, x_mm, y_mm)
    if piece is None or not piece.values_mv.size:
        return ""
    time_s = piece.start_s + (x_mm - piece.x_mm) / sheet.speed_mm_s
    index = min(int((time_s - piece.start_s) * piece.fs), piece.values_mv.size - 1)
    value = float(piece.values_mv[index]) + piece.median_mv
    at = {"lead": piece.name, "time": time_s, "value": value}
    if not math.isfinite(value):
        text = tr("Lead {lead}, {time:.2f} s: no sample in the file", **at)
    elif sheet.filtered:
        text = tr("Lead {lead}, {time:.2f} s: {value:.2f} mV (filtered)", **at)
    else:
        text = tr("Lead {lead}, {time:.2f} s: {value:.2f} mV", **at)
    if piece.quality is not None and piece.quality.message:
        text += (
            f"; {grade_text(piece.quality.grade)}: {tr(piece.quality.message).removesuffix('.')}"
        )
    for strip in sheet.strips:
        if strip.lead == piece.lead and strip.edges_s[0] <= time_s < strip.edges_s[-1]:
            return f"{text}; {_cell_text(strip, time_s)}"
    return text


def _cell_text(strip: StripPiece, time_s: float) -> str:
    cell = int(np.searchsorted(strip.edges_s, time_s, side="right")) - 1
    if not 0 <= cell < strip.variance.size:
        return ""
    start_s, end_s = strip.edges_s[cell], strip.edges_s[cell + 1]
    value = float(strip.variance[cell])
    if not math.isfinite(value):
        return tr(
            "segment {start:.2f}–{end:.2f} s, variance not computed", start=start_s, end=end_s
        )
    return tr(
        "segment {start:.2f}–{end:.2f} s, variance {value}",
        start=start_s,
        end=end_s,
        value=number_text(value),
    )
