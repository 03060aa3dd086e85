"""The ECG sheet in millimetres: where each lead, pulse, label and variance strip lies.

One millimetre of the sheet is one millimetre of paper: 25 mm/s and 10 mm/mV unless the user asks
for another speed or gain. x grows to the right, y downwards, both from the sheet's upper left
corner; heavy lines run at multiples of 5 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from echoing_gui.i18n import tr
from echoing_gui.state import PAGE_S, AppState, DisplayOptions, Layout
from echoing_gui.view_models.layouts import (
    ARRANGEMENTS,
    gain_of,
    lead_of,
    lead_rows,
    sign_of,
)
from model_core.display_filters import RAW
from model_core.leads import STANDARD_LEADS, canonical_lead_name
from model_core.reasons import LeadGrade
from model_core.types import FloatArray, LeadQuality, Recording, SegmentVariance

PULSE_MV = 1.0
PULSE_S = 0.2
MARGIN_MM = 5.0
STRIP_MM = 2.0
LABEL_HEIGHT_MM = 4.5
LABEL_WIDTH_MM = 12.0
PULSE_TAIL_MM = 2.5
WHOLE_ROW = "all"

_LEAST_UP_MM = 5.0
_LEAST_DOWN_MM = 3.0
# Beyond this an artefact would push the other leads out of sight; there traces may overlap.
_MOST_EXTENT_MV = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class TracePiece:
    """One lead over one stretch of time, at its place on the sheet.

    Attributes
    ----------
    lead
        Name of the lead in the recording.
    name
        Name on the paper: `lead`, or -aVR, which is drawn upside down.
    values_mv
        What is drawn: samples less the lead's median (each lead stands on its own row), mV, with
        the sign of `name`; empty where the recording lacks the lead. NaN at gaps.
    median_mv
        What was subtracted, mV, with the sign of `name`.
    gain_mm_mv
        Display gain, mm/mV.
    fs
        Sampling frequency, Hz.
    start_s, end_s
        Seconds of the recording that the piece has room for.
    x_mm, baseline_mm
        Where `start_s` and 0 mV of `values_mv` lie.
    top_mm, bottom_mm
        The row's band, for finding a piece under the pointer.
    label_bottom_mm
        Lower edge of the lead's name: above everything drawn under the name.
    quality
        Signal quality of the lead where the model looked; None where it did not.
    """

    lead: str
    name: str
    values_mv: FloatArray
    median_mv: float
    gain_mm_mv: float
    fs: float
    start_s: float
    end_s: float
    x_mm: float
    baseline_mm: float
    top_mm: float
    bottom_mm: float
    label_bottom_mm: float
    quality: LeadQuality | None = None

    @property
    def sign(self) -> float:
        """-1 for a lead drawn upside down, else 1: what turns `values_mv` into those recorded."""
        return sign_of(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class StripPiece:
    """Segment variance of one lead over one stretch of time.

    Attributes
    ----------
    lead
        Name; ``all`` where the model does not tell leads apart.
    edges_s
        Cell borders, seconds of the recording.
    variance
        One value a cell, dimensionless; NaN where not computed.
    x_mm, y_mm
        Upper left corner; the height is `STRIP_MM`.
    tint_top_mm
        From where down to the strip the paper is tinted; None where it is not.
    """

    lead: str
    edges_s: NDArray[np.float64]
    variance: FloatArray
    x_mm: float
    y_mm: float
    tint_top_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Calibration pulse of 1 mV for 0.2 s.

    Attributes
    ----------
    x_mm, baseline_mm
        Where it begins, and its foot.
    gain_mm_mv
        Display gain of the traces that it stands for, mm/mV.
    text
        Which traces these are; empty where all have one gain.
    """

    x_mm: float
    baseline_mm: float
    gain_mm_mv: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Everything drawn on the paper, in millimetres.

    Attributes
    ----------
    width_mm, height_mm
        Size.
    layout
        The arrangement in fact used.
    speed_mm_s
        Paper speed, mm/s.
    pieces, strips
        Traces and variance strips.
    pulses
        For each gain in a row.
    separators
        x and baseline of each column border.
    scale
        Ends of the colour scale of `strips`; None without strips.
    window_s
        Seconds of the recording on the sheet.
    note
        What this layout leaves out, as a sentence; may be empty.
    filtered
        The traces are drawn through a display filter.
    """

    width_mm: float
    height_mm: float
    layout: Layout
    speed_mm_s: float
    pieces: tuple[TracePiece, ...]
    strips: tuple[StripPiece, ...]
    pulses: tuple[Pulse, ...]
    separators: tuple[tuple[float, float], ...]
    scale: tuple[float, float] | None
    window_s: tuple[float, float]
    note: str
    filtered: bool = False


def build_sheet(state: AppState) -> Sheet | None:
    """Sheet for the recording on screen, or None without one."""
    drawn = state.drawn
    if drawn is None:
        return None
    prediction = state.prediction
    show = state.options.show_variance and not state.variance_held
    sheet = lay_out(
        drawn,
        state.options,
        window_start_s=state.page_start_s,
        variance=prediction.segment_variance if prediction and show else None,
        quality=prediction.lead_quality if prediction and _is_looked_at(state) else (),
    )
    return replace(sheet, filtered=state.applied_filter != RAW)


def _is_looked_at(state: AppState) -> bool:
    """Whether what the input gate looked at is on the sheet: on other seconds it says nothing."""
    whole = state.long is None and state.options.layout is Layout.ROWS
    return whole or state.page_is_seen


def lay_out(
    recording: Recording,
    options: DisplayOptions,
    window_start_s: float = 0.0,
    variance: SegmentVariance | None = None,
    quality: tuple[LeadQuality, ...] = (),
) -> Sheet:
    """Arrange a recording on paper.

    Parameters
    ----------
    recording
        What to draw.
    options
        Layout, lead order, speed and gains; the zoom is not the sheet's business.
    window_start_s
        First second of the ten that the layouts in columns show, of the recording.
    variance
        Segment variance to draw under the leads.
    quality
        Signal quality of the leads.

    Returns
    -------
    Sheet
        Sizes in mm. The space of the strips is kept free when there are none, so nothing moves
        when they come or go.
    """
    recorded = tuple(canonical_lead_name(name) for name in recording.lead_names)
    if not set(recorded) & set(STANDARD_LEADS):
        options = replace(options, layout=Layout.ROWS)
    arrangement = ARRANGEMENTS[options.layout]
    in_columns = arrangement.n_columns > 1
    window_s = _window(recording, window_start_s) if in_columns else _whole(recording)
    rows = [_parts(names, window_s, options) for names in lead_rows(options, recorded)]

    speed = options.speed_mm_s
    pulse_mm = PULSE_S * speed + 2 * PULSE_TAIL_MM
    n_pulses = max(len({part.gain for part in row}) for row in rows)
    x_start = _up_to(MARGIN_MM + n_pulses * pulse_mm - PULSE_TAIL_MM, 5.0)
    centred, medians = _centre(recording)
    by_lead = {each.lead: each for each in quality}
    pieces: list[TracePiece] = []
    strips: list[StripPiece] = []
    pulses: list[Pulse] = []
    separators: list[tuple[float, float]] = []
    baseline, below = 0.0, 0.0
    for n_row, row in enumerate(rows):
        cut = [_cut(recording, recorded, centred, part) for part in row]
        labels = [
            _label_bottom(values, recording.fs, speed, part.gain) if in_columns else 0.0
            for values, part in zip(cut, row, strict=True)
        ]
        up = max(_LEAST_UP_MM, *(_extent(v, p.gain) for v, p in zip(cut, row, strict=True)))
        if in_columns:
            up = max(up, max(labels) + LABEL_HEIGHT_MM)
        down = max(_LEAST_DOWN_MM, *(_extent(-v, p.gain) for v, p in zip(cut, row, strict=True)))
        gains = sorted({part.gain for part in row}, reverse=True)
        if n_row == 0:
            baseline = _up_to(max(up, PULSE_MV * gains[0]) + MARGIN_MM, 5.0)
            top = 0.0
        else:
            spacing = _up_to(below + up, arrangement.spacing_step_mm)
            top = baseline + below
            baseline += max(spacing, arrangement.least_spacing_mm)
        below = down + 1.0 + STRIP_MM
        for k, gain in enumerate(gains):
            text = pulse_text(gain, options) if in_columns else ""
            pulses.append(Pulse(MARGIN_MM + k * pulse_mm, baseline, gain, text))
        for k, (part, values, label) in enumerate(zip(row, cut, labels, strict=True)):
            x_mm = x_start + (part.start_s - window_s[0]) * speed
            median = medians[recorded.index(part.lead)] if part.lead in recorded else 0.0
            pieces.append(
                TracePiece(
                    lead=part.lead,
                    name=part.name,
                    values_mv=values,
                    median_mv=median * sign_of(part.name),
                    gain_mm_mv=part.gain,
                    fs=recording.fs,
                    start_s=part.start_s,
                    end_s=part.end_s,
                    x_mm=x_mm,
                    baseline_mm=baseline,
                    top_mm=top,
                    bottom_mm=baseline + below,
                    label_bottom_mm=baseline - label,
                    quality=by_lead.get(part.lead),
                )
            )
            if k:
                separators.append((x_mm, baseline))
            if variance is not None and part.lead in variance.lead_names and values.size:
                tint_top = top if options.variance_underlay else None
                strips.append(_strip(variance, part, x_mm, baseline + down + 1.0, tint_top))
    height = _up_to(baseline + below + MARGIN_MM, 5.0)
    if variance is not None and WHOLE_ROW in variance.lead_names:
        everywhere = _Part(WHOLE_ROW, WHOLE_ROW, 0.0, *window_s)
        tint_top = 0.0 if options.variance_underlay else None
        strips.append(_strip(variance, everywhere, x_start, height - MARGIN_MM, tint_top))
        height += MARGIN_MM
    left_out = [name for name in recorded if all(name != piece.lead for piece in pieces)]
    return Sheet(
        width_mm=x_start + math.ceil((window_s[1] - window_s[0]) * speed) + MARGIN_MM,
        height_mm=height,
        layout=options.layout,
        speed_mm_s=speed,
        pieces=tuple(pieces),
        strips=tuple(strips),
        pulses=tuple(pulses),
        separators=tuple(separators),
        scale=variance.scale if variance is not None else None,
        window_s=window_s,
        note=tr("Not in this layout: {leads}.", leads=", ".join(left_out)) if left_out else "",
    )


def piece_at(sheet: Sheet, x_mm: float, y_mm: float) -> TracePiece | None:
    """Find the trace whose place on the sheet holds a point."""
    for piece in sheet.pieces:
        x_end = piece.x_mm + (piece.end_s - piece.start_s) * sheet.speed_mm_s
        if piece.x_mm <= x_mm < x_end and piece.top_mm <= y_mm < piece.bottom_mm:
            return piece
    return None


def grade_text(grade: LeadGrade) -> str:
    """Say how well a lead can be read, in a word."""
    return {
        LeadGrade.GOOD: tr("good"),
        LeadGrade.NOISY: tr("noisy"),
        LeadGrade.UNUSABLE: tr("unusable"),
    }[grade]


def number_text(value: float) -> str:
    """Write a variance with two significant digits, without exponent where it can be read so."""
    if 0.0001 <= abs(value) < 1000:
        digits = max(0, 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.1e}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One lead between two times, under a name, at a gain."""

    name: str
    lead: str
    gain: float
    start_s: float
    end_s: float


def _parts(names: list[str], window_s: tuple[float, float], options: DisplayOptions) -> list[_Part]:
    """Give each lead of a row an equal, consecutive part of the time."""
    parts_s = pairwise(np.linspace(*window_s, len(names) + 1).tolist())
    return [
        _Part(name, lead_of(name), gain_of(lead_of(name), options), start_s, end_s)
        for name, (start_s, end_s) in zip(names, parts_s, strict=True)
    ]


def _whole(recording: Recording) -> tuple[float, float]:
    return recording.start_s, recording.start_s + recording.duration_s


def _window(recording: Recording, start_s: float) -> tuple[float, float]:
    """Ten seconds of the recording, as far as it holds so many."""
    first_s, end_s = _whole(recording)
    start_s = max(first_s, min(start_s, end_s - PAGE_S))
    return start_s, min(end_s, start_s + PAGE_S)


def _up_to(value_mm: float, step_mm: float) -> float:
    return math.ceil(value_mm / step_mm - 1e-9) * step_mm


def _centre(recording: Recording) -> tuple[FloatArray, list[float]]:
    """Signal less each lead's median over the whole recording, and the medians; mV."""
    medians = [
        float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else 0.0
        for row in recording.signal_mv
    ]
    return recording.signal_mv - np.asarray(medians, dtype=np.float32)[:, np.newaxis], medians


def _cut(
    recording: Recording, recorded: tuple[str, ...], centred: FloatArray, part: _Part
) -> FloatArray:
    """Take the samples of one lead between two times; empty if the recording lacks the lead."""
    if part.lead not in recorded:
        return centred[0, :0]
    first, last = (
        round((second - recording.start_s) * recording.fs) for second in (part.start_s, part.end_s)
    )
    values = centred[recorded.index(part.lead), first:last]
    return values if sign_of(part.name) > 0 else -values


def _extent(values_mv: FloatArray, gain: float) -> float:
    """Height above the baseline, mm."""
    finite = values_mv[np.isfinite(values_mv)]
    if not finite.size:
        return 0.0
    return min(max(float(finite.max()), 0.0), _MOST_EXTENT_MV) * gain


def _label_bottom(values_mv: FloatArray, fs: float, speed: float, gain: float) -> float:
    """How far above the baseline a lead's name must stand so as not to cover its trace, mm."""
    under = values_mv[: math.ceil(LABEL_WIDTH_MM / speed * fs)]
    return max(_extent(under, gain) + 1.0, 4.0)


def pulse_text(gain: float, options: DisplayOptions) -> str:
    """Say which leads a pulse stands for, where the gains differ."""
    if not options.half_precordials:
        return ""
    return tr("limb") if gain == options.gain_mm_mv else "V"


def _strip(
    variance: SegmentVariance,
    part: _Part,
    x_mm: float,
    y_mm: float,
    tint_top_mm: float | None,
) -> StripPiece:
    """Cells between two times; where the model did not look, one cell of NaN."""
    start_s, end_s = part.start_s, part.end_s
    row = variance.variance[variance.lead_names.index(part.lead)]
    edges: list[float] = [start_s]
    values: list[float] = []
    known = variance.edges_s
    inner = [float(edge) for edge in known if start_s + 1e-6 < edge < end_s - 1e-6]
    for low, high in zip([start_s, *inner], [*inner, end_s], strict=True):
        cell = int(np.searchsorted(known, (low + high) / 2, side="right")) - 1
        values.append(float(row[cell]) if 0 <= cell < row.size else math.nan)
        edges.append(high)
    return StripPiece(
        lead=part.lead,
        edges_s=np.asarray(edges, dtype=np.float64),
        variance=np.asarray(values, dtype=np.float32),
        x_mm=x_mm,
        y_mm=y_mm,
        tint_top_mm=tint_top_mm,
    )
