"""Where the beats of an ECG are, and where their waves begin and end.

Our own method, on all leads together. Beats are found where the leads agree that the voltage
changes fast. Beats of one shape are averaged, and the average is marked: there the noise is low,
and a wave that is not tied to the beat (fibrillation, a P wave of its own rate) averages out. The
marks then go back to each beat, where P and T may shift by what their own correlation says.
Accuracy on hand-marked ECGs: docs/measurements.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.delineation.beats import activity_of, find_beats, refine_peaks
from model_core.delineation.marks import (
    MARKS,
    BeatClass,
    BoolArray,
    Delineation,
    FloatArray,
    LeadStep,
)
from model_core.delineation.pacing import bridge, pace, spikes_of
from model_core.delineation.signals import fill_gaps, filtered, resample_mask
from model_core.delineation.steps import find_steps
from model_core.delineation.waves import mark_beats

__all__ = [
    "MARKS",
    "BeatClass",
    "Delineation",
    "LeadStep",
    "beat_times_s",
    "delineate",
    "fill_gaps",
]

_WINDOW_S = 60.0
_OVERLAP_S = 4.0
_SHORTEST_S = 1.0


def delineate(signal_mv: NDArray[Any], fs: float, lead_names: Sequence[str]) -> Delineation:
    """Find the beats of a recording and mark their waves.

    Parameters
    ----------
    signal_mv
        (leads, samples), mV; NaN where there is no sample. Any leads, any number of them.
    fs
        Sampling frequency, Hz; 100 or more.
    lead_names
        One name a row.

    Returns
    -------
    Delineation
        Without beats, if the signal is too short (under 1 s), flat or missing.

    Raises
    ------
    ValueError
        If shapes and names do not fit, or the rate is not a positive number.
    """
    signal = np.asarray(signal_mv, dtype=np.float64)
    if signal.ndim != 2 or len(signal) != len(lead_names):
        raise ValueError(f"{len(lead_names)} lead names for a signal of shape {signal.shape}")
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"sampling frequency must be positive, got {fs}")
    step, overlap = round((_WINDOW_S - _OVERLAP_S) * fs), round(_OVERLAP_S * fs)
    tables: list[FloatArray] = []
    steps: list[LeadStep] = []
    for start in range(0, max(signal.shape[1] - overlap, 1), step):
        window = signal[:, start : start + step + overlap]
        table, found = _delineate_window(window, fs)
        steps += [
            LeadStep(lead_names[row], (start + at) / fs, 1000 * by / fs) for row, at, by in found
        ]
        table[:, :-1] += start
        # Beats of the overlap are taken from the window that they lie deeper in.
        first = start + overlap / 2 if start else -np.inf
        last = start + step + overlap / 2 if start + step + overlap < signal.shape[1] else np.inf
        tables.append(table[(table[:, 0] >= first) & (table[:, 0] < last)])
    columns = np.concatenate(tables).T
    return Delineation(
        float(fs),
        tuple(lead_names),
        *columns[:-1],
        beat_class=columns[-1].astype(np.int8),
        steps=tuple(steps),
    )


def beat_times_s(signal_mv: NDArray[Any], fs: float) -> FloatArray:
    """Find where beats probably are, without marking their waves: for a trend of the heart rate.

    Parameters
    ----------
    signal_mv
        (leads, samples) of a minute or less, mV; NaN where there is no sample.
    fs
        Sampling frequency, Hz.

    Returns
    -------
    ndarray
        Seconds from the first sample; empty if the signal is under a second, flat or missing.
    """
    signal = np.asarray(signal_mv, dtype=np.float64)
    if signal.shape[1] < _SHORTEST_S * fs:
        return np.empty(0)
    filled, missing = fill_gaps(signal)
    alive = (missing.mean(axis=1) < 0.5) & (np.ptp(filled, axis=1) > 1e-3)
    if not alive.any():
        return np.empty(0)
    _, slope, rate = filtered(filled[alive], fs)
    _, activity = activity_of(slope, resample_mask(missing[alive], slope.shape[1]))
    return find_beats(activity) / rate


def _delineate_window(
    signal_mv: FloatArray, fs: float
) -> tuple[FloatArray, list[tuple[int, float, float]]]:
    """Beats x (R peak, marks, class), and steps of leads, in samples of the window."""
    nothing = np.empty((0, len(MARKS) + 2)), list[tuple[int, float, float]]()
    if signal_mv.shape[1] < _SHORTEST_S * fs:
        return nothing
    filled, missing = fill_gaps(signal_mv)
    alive = (missing.mean(axis=1) < 0.5) & (np.ptp(filled, axis=1) > 1e-3)
    if not alive.any():
        return nothing
    filled, missing = filled[alive], missing[alive]
    spikes = spikes_of(filled, fs)
    if spikes.any():
        filled = bridge(filled, spikes, fs)
    waves, slope, rate = filtered(filled, fs)
    gap = resample_mask(missing, waves.shape[1])
    weights, activity = activity_of(slope, gap)
    peaks = find_beats(activity)
    if not len(peaks):
        return nothing
    steps = find_steps(slope, peaks)
    stepped = [row for row, _, _ in steps]
    if len(stepped) < len(weights) / 2:
        weights = weights.copy()
        weights[stepped] = 0.0
    peaks = refine_peaks(waves * weights[:, np.newaxis], peaks)
    table = mark_beats(waves, weights, peaks)
    table[:, :8] *= fs / rate
    pace(table, np.flatnonzero(spikes), fs)
    marks = table[:, 1:8]
    marks[(marks < 0) | (marks > signal_mv.shape[1] - 1)] = np.nan
    at = np.rint(np.nan_to_num(table[:, :8])).astype(np.int64)
    nowhere: BoolArray = np.all(missing, axis=0)
    in_gap = nowhere[np.clip(at, 0, signal_mv.shape[1] - 1)]
    marks[in_gap[:, 1:]] = np.nan
    rows = np.flatnonzero(alive)
    scale = fs / rate
    return table[~in_gap[:, 0]], [(int(rows[r]), at * scale, by * scale) for r, at, by in steps]
