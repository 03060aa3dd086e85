"""Leads that lose their place in time: from some beat on, one lead is late or early by a step.

Seen in about one in fifty records of PTB-XL (by 20, 30 or 52 ms, in one chest lead): a fault of the
device or of the way to the file. A QRS complex common to all leads would come out too long by it.
"""

from __future__ import annotations

import numpy as np

from model_core.delineation.marks import FloatArray, IntArray
from model_core.delineation.signals import MS, windows

_REACH = round(80 * MS)
_MOST = round(100 * MS)
# How alike a lead's QRS is from beat to beat, where its place can be told, and in how many leads it
# must be, for the beat to count.
_ALIKE = 0.9
_LEADS_ALIKE = 2 / 3
# Sound leads wander by 4 ms or less; 12 to 18 ms are seen where the shape of the complex changes.
_STEP_AT_LEAST = 19 * MS
_SPREAD_AT_MOST = 6 * MS
_FEWEST_BEATS = 2
_FEWEST_LEADS = 4


def find_steps(slope: FloatArray, peaks: IntArray) -> list[tuple[int, float, float]]:
    """Find leads whose QRS complexes move against those of the other leads, once and for good.

    Each lead's complexes are laid over those of the beat most like all others; what the leads have
    in common is the beat's own place.

    Parameters
    ----------
    slope
        (leads, samples) of the work.
    peaks
        Beats, in samples of the work.

    Returns
    -------
    list of tuple
        Row, place and size of each step, in samples of the work; one a lead at most.
    """
    edge = _REACH + _MOST
    peaks = peaks[(peaks >= edge) & (peaks < slope.shape[1] - edge)]
    if len(slope) < _FEWEST_LEADS or len(peaks) < 2 * _FEWEST_BEATS:
        return []
    late = _lateness(slope, peaks)
    steps: list[tuple[int, float, float]] = []
    for row, values in enumerate(late):
        known = np.flatnonzero(np.isfinite(values))
        found = _largest_step(values[known])
        if found is not None:
            after, size = found
            steps.append((row, float(peaks[known[[after - 1, after]]].mean()), size))
    return steps


def _lateness(slope: FloatArray, peaks: IntArray) -> FloatArray:
    """(leads, beats) how late each complex is against the others; NaN where it cannot be told."""
    wide = windows(slope, peaks, _REACH + _MOST, _REACH + _MOST)
    core = wide[:, :, _MOST:-_MOST]
    unit = core / (np.linalg.norm(core, axis=2, keepdims=True) + 1e-12)
    most_like_others = int(np.einsum("lan,ln->a", unit, unit.sum(axis=1)).argmax())
    slices = np.lib.stride_tricks.sliding_window_view(wide, core.shape[2], axis=2)
    product = np.einsum("lbkn,ln->lbk", slices, unit[:, most_like_others])
    power = np.cumsum(np.pad(wide**2, ((0, 0), (0, 0), (1, 0))), axis=2)
    power = power[..., core.shape[2] :] - power[..., : -core.shape[2]]
    alike = product / np.sqrt(np.maximum(power, 1e-12))
    lag = alike.argmax(axis=2) - float(_MOST)
    found = alike.max(axis=2) >= _ALIKE
    found &= found.mean(axis=0) >= _LEADS_ALIKE
    late = np.full(lag.shape, np.nan)
    for beat in np.flatnonzero(found.any(axis=0)):
        here = found[:, beat]
        late[here, beat] = lag[here, beat] - np.median(lag[here, beat])
    return late


def _largest_step(late: FloatArray) -> tuple[int, float] | None:
    """First beat after the largest step, and its size; None if there is none."""
    best: tuple[int, float] | None = None
    jumps = 1 + np.flatnonzero(np.abs(np.diff(late)) > _STEP_AT_LEAST / 2)
    for at in jumps[(jumps >= _FEWEST_BEATS) & (jumps <= len(late) - _FEWEST_BEATS)]:
        before, after = late[:at], late[at:]
        size = float(np.median(after) - np.median(before))
        spread = max(float(np.median(np.abs(part - np.median(part)))) for part in (before, after))
        steady = spread <= _SPREAD_AT_MOST and abs(late[at] - late[at - 1]) > abs(size) / 2
        if steady and abs(size) >= max(_STEP_AT_LEAST, abs(best[1]) if best else 0.0):
            best = int(at), size
    return best
