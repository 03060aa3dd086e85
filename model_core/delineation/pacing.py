"""Spikes of a pacemaker."""

from __future__ import annotations

import numpy as np

from model_core.delineation.marks import BeatClass, BoolArray, FloatArray, IntArray
from model_core.delineation.signals import fill_gaps, windows

# Second difference of a pacing spike (sum over leads / root of their number), and how many times
# that of the QRS complex; in QRS complexes of LUDB at most 0.8 mV, or 6 times their surroundings.
_SPIKE_AT_LEAST_MV = 0.85
_SPIKE_STEEPER = 3.5
# Samples among the surroundings that do not count: another spike's, since two ventricles, or atrium
# and ventricle, may be paced one after the other.
_OTHER_SPIKE = 3
# A paced QRS complex begins no sooner after its spike.
_ONSET_AFTER_SPIKE_S = 0.014


def spikes_of(signal: FloatArray, fs: float) -> BoolArray:
    """Find pacing spikes: samples where the leads jump far faster than in the QRS complexes about.

    Rates below 400 Hz do not show them.
    """
    n: int = signal.shape[1]
    spikes: BoolArray = np.zeros(n, dtype=np.bool_)
    if fs < 400 or n < round(0.4 * fs):
        return spikes
    jump: FloatArray = np.zeros((1, n))
    jump[0, 1:-1] = np.abs(signal[:, 2:] - 2 * signal[:, 1:-1] + signal[:, :-2]).sum(axis=0)
    jump /= np.sqrt(len(signal))
    near, far = round(0.016 * fs), round(0.15 * fs)
    least = max(_SPIKE_AT_LEAST_MV / 2, float(np.quantile(jump, 0.9)))
    high: IntArray = np.flatnonzero(jump[0] > least)
    before = _highest_but_a_spike(windows(jump, high, far, -near)[0])
    after = _highest_but_a_spike(windows(jump, high, -near, far)[0])
    steeper: FloatArray = jump[0, high] / (np.maximum(before, after) + 1e-9)
    sure = (jump[0, high] > _SPIKE_AT_LEAST_MV) & (steeper > _SPIKE_STEEPER)
    # Where some are sure, weaker ones are spikes too.
    spikes[high[steeper > _SPIKE_STEEPER / 2 if sure.sum() > 3 else sure]] = True
    return spikes


def _highest_but_a_spike(surroundings: FloatArray) -> FloatArray:
    """Highest jump in each row, leaving out as many samples as another spike may have."""
    return np.partition(surroundings, -1 - _OTHER_SPIKE, axis=1)[:, -1 - _OTHER_SPIKE]


def bridge(signal: FloatArray, spikes: BoolArray, fs: float) -> FloatArray:
    """Replace spikes, from 6 ms before to 14 ms after them, by straight lines."""
    before, after = round(0.006 * fs), round(0.014 * fs)
    gone = np.convolve(spikes, np.ones(before + after + 1))[before : before + len(spikes)] > 0
    return fill_gaps(np.where(gone, np.nan, signal))[0]


def pace(table: FloatArray, spikes: IntArray, fs: float) -> None:
    """Call beats paced that follow a spike, and begin them after it."""
    if not len(spikes):
        return
    onset = table[:, 4]
    last = spikes[np.maximum(np.searchsorted(spikes, onset + 0.03 * fs) - 1, 0)]
    paced = np.abs(last - onset + 0.035 * fs) <= 0.065 * fs
    if paced.sum() < 2:
        return  # a single spike is more often a disturbance
    table[paced, -1] = BeatClass.PACED
    onset[paced] = np.maximum(onset[paced], last[paced] + _ONSET_AFTER_SPIKE_S * fs)
