"""Median beats on paper: of one recording, or of several over one another in one scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echoing_gui.state import Layout
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
# Leads go down the columns: with four of them the twelve stand as on an ECG.
_COLUMNS = (4, 2, 1)


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


def beat_width_mm(length_s: float, speed_mm_s: float) -> float:
    """Width that one column of beats takes with its pulse, mm."""
    return _LEFT_MM + length_s * speed_mm_s


def beat_sheets(
    beats: Sequence[Beats], speed_mm_s: float, gain_mm_mv: float, width_mm: float
) -> tuple[Sheet, ...]:
    """Lay out median beats in as many columns as there is room for.

    Parameters
    ----------
    beats
        Of each recording.
    speed_mm_s, gain_mm_mv
        Scale of all.
    width_mm
        Room from left to right, mm.

    Returns
    -------
    tuple of Sheet
        One for each recording, to be painted over one another: each lead has one place. A lead
        that only others have is there without a line.
    """
    length_s = max((each.length_s for each in beats), default=0.0)
    step_mm = math.ceil(length_s * speed_mm_s) + _GAP_MM
    fitting = max(1, int((width_mm - _LEFT_MM + _GAP_MM) // step_mm))
    n_columns = next(n for n in _COLUMNS if n <= fitting)
    pieces: list[list[TracePiece]] = [[] for _ in beats]
    pulses: list[Pulse] = []
    top = 0.0
    for row in _rows(beats, n_columns):
        drawn = [each.values_mv[lead] for each in beats for lead in row if lead in each.values_mv]
        up = max(_extent(values, gain_mm_mv) for values in drawn) + _LABEL_MM
        down = max(_extent(-values, gain_mm_mv) for values in drawn)
        baseline = math.ceil(top + max(up, gain_mm_mv + 1.0))
        bottom = baseline + down + 1.0
        pulses.append(Pulse(_PULSE_X_MM, baseline, gain_mm_mv, ""))
        for n_column, lead in enumerate(row):
            for each, placed in zip(beats, pieces, strict=True):
                placed.append(
                    TracePiece(
                        lead=lead, name=lead,
                        values_mv=each.values_mv.get(lead, np.full(1, np.nan, np.float32)),
                        median_mv=0.0, gain_mm_mv=gain_mm_mv, fs=each.fs, start_s=0.0,
                        end_s=length_s, x_mm=_LEFT_MM + n_column * step_mm, baseline_mm=baseline,
                        top_mm=top, bottom_mm=bottom, label_bottom_mm=baseline - up + _LABEL_MM,
                    )
                )  # fmt: skip
        top = bottom
    return tuple(
        Sheet(
            width_mm=width_mm, height_mm=math.ceil(top + 1.0), layout=Layout.GRID,
            speed_mm_s=speed_mm_s, pieces=tuple(placed), strips=(), pulses=tuple(pulses),
            separators=(), scale=None, window_s=(0.0, length_s), note="",
        )
        for placed in pieces
    )  # fmt: skip


def _rows(beats: Sequence[Beats], n_columns: int) -> list[list[str]]:
    """Leads of each row, the standard ones first."""
    names = list(dict.fromkeys(name for each in beats for name in each.values_mv))
    in_order = [name for name in STANDARD_LEADS if name in names]
    in_order += [name for name in names if name not in STANDARD_LEADS]
    n_rows = math.ceil(len(in_order) / n_columns)
    return [in_order[n::n_rows] for n in range(n_rows)]


def _extent(values_mv: FloatArray, gain: float) -> float:
    finite = values_mv[np.isfinite(values_mv)]
    highest = min(max(float(finite.max()), 0.0), _MOST_MV) if finite.size else 0.0
    return max(highest * gain, _LEAST_MM)
