"""ECGs drawn from raised cosines, whose waves begin and end at known times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# How large each wave is in the twelve leads, per mV: for an axis of 60 degrees.
LIMB = np.array([0.5, 1.0, 0.5, -0.75, 0.0, 0.75])
CHEST = np.array([-0.6, -0.3, 0.4, 0.9, 1.0, 0.8])
SHARE = np.concatenate((LIMB, CHEST))


@dataclass(frozen=True)
class DrawnBeat:
    """Height, middle (seconds after the R peak) and half width of each wave."""

    p_mv: float = 0.15
    p_s: float = -0.16
    p_half_s: float = 0.05
    r_mv: float = 1.2
    qrs_half_s: float = 0.045
    t_mv: float = 0.35
    t_s: float = 0.27
    t_half_s: float = 0.09
    turned: bool = False


def _hump(seconds, middle_s, half_s):
    inside = np.abs(seconds - middle_s) < half_s
    return np.where(inside, (1 + np.cos(np.pi * (seconds - middle_s) / half_s)) / 2, 0)


def draw_ecg(times_s, duration_s, fs, beat=DrawnBeat()):
    """Leads x samples, mV: one beat with its R peak at each of `times_s`."""
    seconds = np.arange(round(duration_s * fs)) / fs
    wave = np.zeros(len(seconds))
    for time_s in times_s:
        after = seconds - time_s
        wave += beat.p_mv * _hump(after, beat.p_s, beat.p_half_s)
        qrs = _hump(after, 0, beat.qrs_half_s / 2)
        # Flanks with corners: the complex begins and ends at its half width.
        inside = np.abs(after) < beat.qrs_half_s
        qrs = qrs - np.where(inside, 0.25 * np.sin(2 * np.pi * np.abs(after) / beat.qrs_half_s), 0)
        wave += beat.r_mv * qrs
        wave += beat.t_mv * _hump(after, beat.t_s, beat.t_half_s)
    share = np.roll(SHARE, 3) if beat.turned else SHARE
    return share[:, np.newaxis] * wave
