"""Median beats on paper: of one recording, or of several over one another in one scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echoing_gui.state import DisplayOptions, Layout
from echoing_gui.view_models.layouts import gain_of
from echoing_gui.view_models.sheet import (
    PULSE_S,
    PULSE_TAIL_MM,
    Pulse,
    Sheet,
    TracePiece,
    pulse_text,
)
from model_core.leads import STANDARD_LEADS
from model_core.types import FloatArray

_GAP_MM = 3.0
_PULSE_X_MM = 2.5
_LABEL_MM = 5.0
_LEAST_MM = 5.0
# Beyond this an artefact would take all the room.
_MOST_MV = 3.0
# Four columns stand as on an ECG; six have the limb leads above the chest leads.
_COLUMNS = (6, 4, 2, 1)
_BY_ROW = 6


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The median beat of a recording.

    Attributes
    ----------
    values_mv
        Samples by lead, mV, from the same time before the R peak on in every recording.
    fs
        Sampling frequency, Hz.
    """

    values_mv: Mapping[str, FloatArray]
    fs: float

    @property
    def length_s(self) -> float:
        """Of the longest lead, seconds."""
        return max((values.size for values in self.values_mv.values()), default=0) / self.fs


def beat_width_mm(length_s: float, options: DisplayOptions) -> float:
    """Width that one column of beats takes with the pulses before it, mm."""
    return _left_mm(options) + length_s * options.speed_mm_s


def _left_mm(options: DisplayOptions) -> float:
    """Where beats begin: room for a pulse, or for one of each gain, mm."""
    n_pulses = 2 if options.half_precordials else 1
    return _PULSE_X_MM + n_pulses * _pulse_step_mm(options) - PULSE_TAIL_MM


def _pulse_step_mm(options: DisplayOptions) -> float:
    return PULSE_S * options.speed_mm_s + 2 * PULSE_TAIL_MM


def beat_sheets(
    beats: Sequence[Beats], options: DisplayOptions, width_mm: float
) -> tuple[Sheet, ...]:
    """Lay out median beats in as many columns as there is room for.

    Parameters
    ----------
    beats
        Of each recording.
    options
        Paper speed and gains of all.
    width_mm
        Room from left to right, mm.

    Returns
    -------
    tuple of Sheet
        One for each recording, to be painted over one another: each lead has one place. A lead
        that only others have is there without a line.
    """
    length_s = max((each.length_s for each in beats), default=0.0)
    left_mm = _left_mm(options)
    step_mm = math.ceil(length_s * options.speed_mm_s) + _GAP_MM
    fitting = max(1, int((width_mm - left_mm + _GAP_MM) // step_mm))
    n_columns = next(n for n in _COLUMNS if n <= fitting)
    pieces: list[list[TracePiece]] = [[] for _ in beats]
    pulses: list[Pulse] = []
    top = 0.0
    for row in _rows(beats, n_columns):
        drawn = [
            (each.values_mv[lead], gain_of(lead, options))
            for each in beats
            for lead in row
            if lead in each.values_mv
        ]
        gains = sorted({gain for _, gain in drawn}, reverse=True)
        up = max(_extent(values, gain) for values, gain in drawn) + _LABEL_MM
        down = max(_extent(-values, gain) for values, gain in drawn)
        baseline = math.ceil(top + max(up, gains[0] + 1.0))
        bottom = baseline + down + 1.0
        for n_pulse, gain in enumerate(gains):
            x_mm = _PULSE_X_MM + n_pulse * _pulse_step_mm(options)
            pulses.append(Pulse(x_mm, baseline, gain, pulse_text(gain, options)))
        for n_column, lead in enumerate(row):
            for each, placed in zip(beats, pieces, strict=True):
                placed.append(
                    TracePiece(
                        lead=lead, name=lead,
                        values_mv=each.values_mv.get(lead, np.full(1, np.nan, np.float32)),
                        median_mv=0.0, gain_mm_mv=gain_of(lead, options), fs=each.fs, start_s=0.0,
                        end_s=length_s, x_mm=left_mm + n_column * step_mm, baseline_mm=baseline,
                        top_mm=top, bottom_mm=bottom, label_bottom_mm=baseline - up + _LABEL_MM,
                    )
                )  # fmt: skip
        top = bottom
    return tuple(
        Sheet(
            width_mm=width_mm, height_mm=math.ceil(top + 1.0), layout=Layout.GRID,
            speed_mm_s=options.speed_mm_s, pieces=tuple(placed), strips=(), pulses=tuple(pulses),
            separators=(), scale=None, window_s=(0.0, length_s), note="",
        )
        for placed in pieces
    )  # fmt: skip


def _rows(beats: Sequence[Beats], n_columns: int) -> list[list[str]]:
    """Leads of each row, the standard ones first."""
    names = list(dict.fromkeys(name for each in beats for name in each.values_mv))
    in_order = [name for name in STANDARD_LEADS if name in names]
    in_order += [name for name in names if name not in STANDARD_LEADS]
    if n_columns == _BY_ROW:
        return [in_order[n : n + n_columns] for n in range(0, len(in_order), n_columns)]
    n_rows = math.ceil(len(in_order) / n_columns)
    return [in_order[n::n_rows] for n in range(n_rows)]


def _extent(values_mv: FloatArray, gain: float) -> float:
    finite = values_mv[np.isfinite(values_mv)]
    highest = min(max(float(finite.max()), 0.0), _MOST_MV) if finite.size else 0.0
    return max(highest * gain, _LEAST_MM)
