"""Filters for looking at an ECG: named, without phase shift, never for what a model sees."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_core.dsp import filter_from_rest, finite_runs, impulse_response

HIGH_PASS_HZ = (0.0, 0.05, 0.5)
LOW_PASS_HZ = (0.0, 150.0, 100.0, 40.0)
MAINS_HZ = (50.0, 60.0)
NOTCH_QUALITY = 30.0
# Of the sampling frequency: above, a filter has no room to fall.
_HIGHEST_SHARE = 0.45
# A second-order Butterworth filter run both ways is at -3 dB where one run is at -1.5 dB, which
# is this factor from its corner (fourth root of the square root of 2, less 1).
_TWICE = (math.sqrt(2) - 1) ** 0.25

_Complex = NDArray[np.complex128]
_Kind = Literal["high-pass", "low-pass", "notch"]


@dataclass(frozen=True, slots=True)
class DisplayFilter:
    """What is taken out of the traces; 0 leaves it in.

    Attributes
    ----------
    high_pass_hz, low_pass_hz
        Where the filter, run both ways, is at -3 dB; Hz.
    notch_hz
        Mains frequency, Hz.

    Raises
    ------
    ValueError
        If a frequency is negative or not finite.
    """

    high_pass_hz: float = 0.0
    low_pass_hz: float = 0.0
    notch_hz: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.high_pass_hz, self.low_pass_hz, self.notch_hz):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a frequency must be zero or positive, got {value}")

    def at(self, fs: float) -> DisplayFilter:
        """Keep what can be applied at a sampling frequency, Hz.

        Examples
        --------
        >>> DisplayFilter(0.5, 150.0, 50.0).at(250.0)
        DisplayFilter(high_pass_hz=0.5, low_pass_hz=0.0, notch_hz=50.0)
        """
        highest = _HIGHEST_SHARE * fs
        kept = [
            hz if hz < highest else 0.0
            for hz in (self.high_pass_hz, self.low_pass_hz, self.notch_hz)
        ]
        return DisplayFilter(*kept)


RAW = DisplayFilter()


def filter_for_display(
    signal_mv: NDArray[Any], fs: float, chosen: DisplayFilter
) -> NDArray[np.float32]:
    """Filter every lead forwards and backwards, each stretch between gaps by itself.

    Second-order Butterworth high-pass and low-pass and a second-order notch, as far as the
    sampling frequency allows. Beyond the ends of a stretch the high-pass sees it mirrored, so that
    a beat at the very edge does not tilt the baseline; the others see it turned about its end.

    Parameters
    ----------
    signal_mv
        (leads, samples), mV; NaN at gaps. It is not changed.
    fs
        Sampling frequency, Hz.
    chosen
        The filters.

    Returns
    -------
    ndarray
        A new array of the same shape, mV, NaN where `signal_mv` is.
    """
    filtered = np.array(signal_mv, dtype=np.float32)
    steps = _steps(chosen.at(fs))
    for lead in filtered:
        for first, last in finite_runs(lead):
            run = lead[first:last].astype(np.float64)
            for kind, hz in steps:
                run = _both_ways(run, fs, kind, hz)
            lead[first:last] = run
    return filtered


def _steps(chosen: DisplayFilter) -> list[tuple[_Kind, float]]:
    steps: list[tuple[_Kind, float]] = [
        ("high-pass", chosen.high_pass_hz),
        ("notch", chosen.notch_hz),
        ("low-pass", chosen.low_pass_hz),
    ]
    return [step for step in steps if step[1]]


def _both_ways(run: NDArray[np.float64], fs: float, kind: _Kind, hz: float) -> NDArray[np.float64]:
    """Filter one stretch without phase shift."""
    reach_s = {"high-pass": 1.5 / hz, "notch": 1.0, "low-pass": 0.3}[kind]
    n_pad = min(run.size - 1, math.ceil(reach_s * fs))
    turned = "even" if kind == "high-pass" else "odd"
    padded = np.pad(run, n_pad, mode="reflect", reflect_type=turned)
    response = _response(padded.size, fs, kind, hz)
    at_rest = 0.0 if kind == "high-pass" else 1.0
    forwards = filter_from_rest(padded, response, at_rest)
    both = filter_from_rest(forwards[::-1], response, at_rest)[::-1]
    return both[n_pad : n_pad + run.size]


@functools.lru_cache(maxsize=8)
def _response(n_samples: int, fs: float, kind: _Kind, hz: float) -> NDArray[np.float64]:
    """Impulse response of one run.

    Bilinear transform with pre-warped corner (Oppenheim and Schafer, Discrete-Time Signal
    Processing, 3rd ed., 7.2); the notch has zeros on the unit circle and poles just inside.
    """
    if kind == "notch":
        gain = 1 / (1 + math.tan(math.pi * hz / fs / NOTCH_QUALITY))
        cosine = math.cos(2 * math.pi * hz / fs)
        poles: _Complex = np.roots([1.0, -2 * gain * cosine, 2 * gain - 1]).astype(np.complex128)
        return impulse_response(n_samples, poles, poles**2 - 2 * cosine * poles + 1, gain)
    zero = 1.0 if kind == "high-pass" else -1.0
    warped = math.tan(math.pi * hz / fs) * (_TWICE if kind == "high-pass" else 1 / _TWICE)
    analog = warped * np.exp(0.75j * np.pi * np.asarray([1.0, -1.0]))
    poles = (1 + analog) / (1 - analog)
    gain = float(np.prod(1 + zero * poles).real) / 4
    return impulse_response(n_samples, poles, (poles - zero) ** 2, gain)
