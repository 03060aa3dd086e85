"""What a delineation holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MARKS = ("p_onset", "p_peak", "p_end", "qrs_onset", "qrs_end", "t_peak", "t_end")


class BeatClass(IntEnum):
    """What a beat's shape says about where it came from."""

    NORMAL = 0
    ECTOPIC = 1
    PACED = 2


@dataclass(frozen=True, slots=True)
class LeadStep:
    """A step in the time of one lead against the other leads.

    Attributes
    ----------
    lead
        Its name.
    at_s
        Second of the recording, halfway between the beats before and after the step.
    by_ms
        By how much the lead is later after the step than before; negative for earlier.
    """

    lead: str
    at_s: float
    by_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Delineation:
    """The beats of a recording and their marks, common to all leads.

    All marks are sample positions of the recording (fractions included, the first sample is 0), one
    a beat, float64; NaN means that the wave was not found or lies outside the recording.

    Attributes
    ----------
    fs
        Sampling frequency of the recording, Hz.
    lead_names
        One name a row of the signal.
    r_peak
        Where the beat's deflection is largest over all leads; never NaN, rising.
    p_onset, p_peak, p_end, qrs_onset, qrs_end, t_peak, t_end
        The marks of each beat.
    beat_class
        A `BeatClass` value a beat, int8.
    steps
        Leads that lose their place in time against the others; the marks leave them out.
    """

    fs: float
    lead_names: tuple[str, ...]
    r_peak: FloatArray
    p_onset: FloatArray
    p_peak: FloatArray
    p_end: FloatArray
    qrs_onset: FloatArray
    qrs_end: FloatArray
    t_peak: FloatArray
    t_end: FloatArray
    beat_class: NDArray[np.int8]
    steps: tuple[LeadStep, ...] = ()

    @property
    def n_beats(self) -> int:
        """Number of beats."""
        return len(self.r_peak)
