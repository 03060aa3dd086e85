"""The quality column: the verdict of the input gate, twenty times faster on sound recordings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_core import quality
from model_core.leads import STANDARD_LEADS
from model_core.types import Recording
from training.ingest.waveform import MISSING, Waveform

# What each limb lead differs by from what I and II make of it (Einthoven, Goldberger).
_LIMB_EXCESS = np.array(
    [
        [1.0, -1.0, 1.0, 0.0, 0.0, 0.0],
        [0.5, 0.5, 0.0, 1.0, 0.0, 0.0],
        [-1.0, 0.5, 0.0, 0.0, 1.0, 0.0],
        [0.5, -1.0, 0.0, 0.0, 0.0, 1.0],
    ]
)
# Single precision and the bounds below stay clear of the gate's own limits by this factor.
_MARGIN = 0.9


def quality_codes(waveform: Waveform) -> list[str] | None:
    """Codes of the reasons that the input gate finds against a recording.

    Parameters
    ----------
    waveform
        The whole part that is stored.

    Returns
    -------
    list of str or None
        Empty for a sound recording; None where the gate cannot judge: leads other than the
        standard twelve, or values that are not mV.
    """
    if waveform.lead_names != STANDARD_LEADS or waveform.unit != "mV":
        return None
    if clearly_sound(waveform):
        return []
    signal_mv = waveform.counts.astype(np.float32) / waveform.gain[:, None]
    signal_mv[waveform.counts == MISSING] = np.nan
    recording = Recording("", signal_mv, waveform.fs, STANDARD_LEADS, "")
    report = quality.assess(recording, duration_s=recording.duration_s)
    return [reason.code for reason in report.reasons]


def clearly_sound(waveform: Waveform) -> bool:
    """Whether bounds that cost little prove that the gate finds nothing.

    Each bound implies one check of `model_core.quality`; False means only that the gate itself
    must look.
    """
    counts, fs = waveform.counts, waveform.fs
    gain = waveform.gain.astype(np.float64)
    low, high = counts.min(axis=1), counts.max(axis=1)
    range_mv = (high.astype(np.float64) - low) / gain
    largest = int(range_mv.argmax())
    return (
        quality.FS_RANGE_HZ[0] <= fs <= quality.FS_RANGE_HZ[1]
        and int(low.min()) != MISSING
        # No sample is further from the median than the whole range.
        and float(range_mv.max()) <= quality.MIDDLE_LEAD_AT_MOST_MV
        and _large_enough(counts[largest], float(gain[largest]))
        and not _may_stand_still(counts, fs)
        and not _often_at(counts, low)
        and not _often_at(counts, high)
        and _alive_and_consistent(counts, gain)
    )


def _large_enough(counts: NDArray[np.int16], gain: float) -> bool:
    """Wherever the median lies, enough samples are further from it than the gate asks for."""
    needed = len(counts) - int(0.999 * (len(counts) - 1))
    mean = int(counts.sum(dtype=np.int64)) / len(counts)
    far = 2 * quality.LARGEST_LEAD_AT_LEAST_MV / _MARGIN * gain
    above, below = np.count_nonzero(counts >= mean), np.count_nonzero(counts <= mean)
    far_above = np.count_nonzero(counts >= mean + far)
    far_below = np.count_nonzero(counts <= mean - far)
    return bool(min(below, far_above) >= needed or min(above, far_below) >= needed)


def _may_stand_still(counts: NDArray[np.int16], fs: float) -> bool:
    """Look at points so close that a run longer than the limit covers four of them."""
    step = max(1, int(quality.CONSTANT_AT_MOST_S * fs / 4))
    points = counts[:, ::step]
    same = points[:, 1:] == points[:, :-1]
    return bool((same[:, :-2] & same[:, 1:-1] & same[:, 2:]).any())


def _often_at(counts: NDArray[np.int16], rail: NDArray[np.int16]) -> bool:
    most = quality.RAIL_FRACTION_AT_MOST * counts.shape[1] * _MARGIN
    return any(np.count_nonzero(row) > most for row in counts == rail[:, None])


def _alive_and_consistent(counts: NDArray[np.int16], gain: NDArray[np.float64]) -> bool:
    """Judge standard deviations and limb relations, by sums of products."""
    signal_mv = counts.astype(np.float32)
    mean = counts.sum(axis=1, dtype=np.int64, keepdims=True) / counts.shape[1]
    signal_mv -= mean.astype(np.float32)
    signal_mv *= (1.0 / gain).astype(np.float32)[:, None]
    squares = np.einsum("ij,ij->i", signal_mv, signal_mv)
    if np.sqrt(squares.min() / counts.shape[1]) < quality.FLAT_STD_MV / _MARGIN:
        return False
    products = (signal_mv[:6] @ signal_mv[:6].T).astype(np.float64)
    excess = np.einsum("ri,ij,rj->r", _LIMB_EXCESS, products, _LIMB_EXCESS).max()
    limit = quality.LIMB_RESIDUAL_AT_MOST * _MARGIN
    return bool(excess <= limit**2 * np.trace(products) / 6)
