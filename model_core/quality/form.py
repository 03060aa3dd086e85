"""Whether what returns in a recording has the form of heartbeats, as twelve leads see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_core.leads import CHEST_LEADS

_FloatArray = NDArray[np.float64]

# Stretches of the beat, s from the R peak: QRS complex, the line before and after it, T wave.
_QRS_S, _BEFORE_S, _AFTER_S, _T_S = (-0.06, 0.062), (-0.11, -0.07), (0.08, 0.12), (0.12, 0.42)
# The size of the beat is followed in parts of this length.
_PART_S = 0.05
# Of the leads in order of size: the least, the third of twelve, the middle, the tenth, the largest.
_ORDER = (0.0, 0.2, 0.5, 0.85, 1.0)
_TINY = 1e-6
# Which of the vector, from its end, is measured between samples that follow one another.
JOINTS = -2


def measure_form(
    signal_mv: _FloatArray,
    waves_mv: _FloatArray,
    beats_mv: _FloatArray,
    r: int,
    rate: float,
    lead_names: tuple[str, ...],
) -> _FloatArray:
    """Measure what tells heartbeats from other things that return.

    Parameters
    ----------
    signal_mv
        (leads, samples), the window as it is in the file.
    waves_mv
        (leads, samples), filtered.
    beats_mv
        (leads, beats, samples), the usual beats cut from `waves_mv`.
    r
        Sample of the R peak in each beat.
    rate
        Samples a second of waves and beats.
    lead_names
        One name a row.

    Returns
    -------
    ndarray
        One vector: how far the line steps by a QRS complex, and how far it is from rest at all, for
        leads in order of size; the size of the beat from part to part; how alike the T waves are;
        how all leads jump at once; how alike neighbouring chest leads are.
    """
    beat = np.median(beats_mv, axis=1)
    return np.concatenate(
        [
            np.quantile(_steps(beat, r, rate), _ORDER, method="lower"),
            np.quantile(_rest(waves_mv), _ORDER, method="lower"),
            _course(beat, rate),
            _t_alike(beat, beats_mv, r, rate),
            [_joints(signal_mv), _chest_order(beat, lead_names)],
        ]
    )


def _between(x: _FloatArray, r: int, rate: float, bounds_s: tuple[float, float]) -> _FloatArray:
    first, last = (r + round(second * rate) for second in bounds_s)
    return x[..., first:last]


def _steps(beat: _FloatArray, r: int, rate: float) -> _FloatArray:
    """Level after the QRS complex less that before it, of its height; logarithm."""
    height = np.ptp(_between(beat, r, rate, _QRS_S), axis=1)
    before, after = (
        _between(beat, r, rate, bounds).mean(axis=1) for bounds in (_BEFORE_S, _AFTER_S)
    )
    return np.log(np.abs(after - before) / (height + _TINY) + 1e-2)


def _rest(waves: _FloatArray) -> _FloatArray:
    """Usual distance from the middle, of the largest; logarithm."""
    away = np.abs(waves - np.median(waves, axis=1, keepdims=True))
    return np.log(np.median(away, axis=1) / (np.quantile(away, 0.995, axis=1) + _TINY) + 1e-3)


def _course(beat: _FloatArray, rate: float) -> _FloatArray:
    """Size of the beat in each of its parts, all leads together, of the largest; logarithm."""
    n = round(_PART_S * rate)
    parts = beat[:, : beat.shape[1] // n * n].reshape(len(beat), -1, n)
    size = np.sqrt((parts**2).mean(axis=(0, 2)))
    return np.log(size / (size.max() + _TINY) + 1e-2)


def _t_alike(beat: _FloatArray, beats: _FloatArray, r: int, rate: float) -> _FloatArray:
    """Correlation of the T waves, over all leads, with the usual one: a middle and a low one."""
    waves, usual = (_between(x, r, rate, _T_S) for x in (beats, beat))
    waves = waves - waves.mean(axis=2, keepdims=True)
    usual = usual - usual.mean(axis=1, keepdims=True)
    norm = np.sqrt((waves**2).sum(axis=(0, 2))) * np.linalg.norm(usual)
    alike: _FloatArray = np.einsum("lbs,ls->b", waves, usual) / (norm + _TINY)
    return np.quantile(alike, (0.5, 0.15))


def _joints(signal: _FloatArray) -> float:
    """How far all leads jump between two samples where they move little before and after."""
    away = np.abs(signal - np.median(signal, axis=1, keepdims=True))
    scale = np.quantile(away, 0.99, axis=1, keepdims=True) + _TINY
    moved = (np.abs(np.diff(signal, axis=1)) / scale).mean(axis=0)
    around = np.maximum.reduce([moved[:-4], moved[1:-3], moved[3:-1], moved[4:]])
    return float(np.log(np.quantile(np.maximum(moved[2:-2] - around, 0), 0.995) + 1e-3))


def _chest_order(beat: _FloatArray, lead_names: tuple[str, ...]) -> float:
    """By how much neighbours among the chest leads are more alike than distant ones."""
    rows = [lead_names.index(name) for name in CHEST_LEADS if name in lead_names]
    if len(rows) < len(CHEST_LEADS):
        return 0.0
    unit = beat[rows] / (np.linalg.norm(beat[rows], axis=1, keepdims=True) + _TINY)
    alike = unit @ unit.T
    return float(np.diagonal(alike, 1).mean() - np.diagonal(alike, 3).mean())
