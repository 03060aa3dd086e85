"""The quality column: what the input gate says of the samples, faster on sound recordings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS
from model_core.quality import FS_RANGE_HZ, assess_samples
from model_core.quality import samples as limits
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
    """Codes of the reasons that the input gate's checks of the samples find.

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
    return [reason.code for reason in assess_samples(recording).reasons]


def clearly_sound(waveform: Waveform) -> bool:
    """Whether bounds that cost little prove that the gate finds nothing.

    Each bound implies one check of `model_core.quality.samples`; False means only that the gate
    itself must look.
    """
    counts, fs = waveform.counts, waveform.fs
    gain = waveform.gain.astype(np.float64)
    low = counts.min(axis=1)
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1] or low.min() == MISSING:
        return False
    # Counts above the lowest of each lead: the difference wraps, and as uint16 is right again.
    above = (counts - low[:, None]).view(np.uint16)
    top = above.max(axis=1)
    range_mv = top / gain
    largest = int(range_mv.argmax())
    return bool(
        # No sample is further from the median than the whole range.
        range_mv[largest] <= limits.ANY_LEAD_AT_MOST_MV
        and np.sort(range_mv)[len(range_mv) // 2] <= limits.MIDDLE_LEAD_AT_MOST_MV
        and _large_enough(above[largest], float(gain[largest]))
        and not _may_stand_still(counts, fs)
        and not _often(above == 0)
        and not _often(above == top[:, None])
        and _alive_and_consistent(above, gain)
    )


def _large_enough(above: NDArray[np.uint16], gain: float) -> bool:
    """Wherever the median lies, enough samples are further from it than the gate asks for."""
    needed = len(above) - int(0.999 * (len(above) - 1))
    few = above[::16]
    middle = int(few.sum()) // len(few)
    far = math.ceil(2 * limits.LARGEST_LEAD_AT_LEAST_MV / _MARGIN * gain)

    def enough(low: int, high: int) -> bool:
        """Whether both groups are large; the median cannot be near to both."""
        few = min(np.count_nonzero(above <= low), np.count_nonzero(above >= high))
        return bool(few >= needed)

    return enough(middle, middle + far) or enough(middle - far, middle)


def _may_stand_still(counts: NDArray[np.int16], fs: float) -> bool:
    """Look at points so close that a run longer than the limit covers four of them."""
    step = max(1, int(limits.CONSTANT_AT_MOST_S * fs / 4))
    points = counts[:, ::step]
    same = points[:, 1:] == points[:, :-1]
    return bool((same[:, :-2] & same[:, 1:-1] & same[:, 2:]).any())


def _often(at_rail: NDArray[np.bool_]) -> bool:
    most = limits.RAIL_FRACTION_AT_MOST * at_rail.shape[1] * _MARGIN
    return np.count_nonzero(at_rail) > most and bool((at_rail.sum(axis=1) > most).any())


def _alive_and_consistent(above: NDArray[np.uint16], gain: NDArray[np.float64]) -> bool:
    """Judge standard deviations and limb relations, by sums of products.

    By `vecdot` alone: larger products start threads of BLAS, which wait by burning time.
    """
    n_samples = above.shape[1]
    values = above.astype(np.float32)
    values -= np.vecdot(values, np.full(n_samples, 1 / n_samples, np.float32))[:, None]
    limb, chest = values[:6], values[6:]
    products = np.vecdot(limb[:, None], limb) / np.outer(gain[:6], gain[:6])
    squares = products.diagonal()
    smallest = min(squares.min(), (np.vecdot(chest, chest) / gain[6:] ** 2).min())
    if smallest < n_samples * (limits.FLAT_STD_MV / _MARGIN) ** 2:
        return False
    excess = np.vecdot(_LIMB_EXCESS @ products, _LIMB_EXCESS).max()
    return bool(excess <= (limits.LIMB_RESIDUAL_AT_MOST * _MARGIN) ** 2 * squares.mean())
