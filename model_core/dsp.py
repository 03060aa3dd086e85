"""Zero-phase band-pass and resampling of signals, on numpy alone.

Same results as ``scipy.signal.butter``, ``sosfiltfilt`` and ``resample_poly``. The desktop program
does without scipy, whose import takes about a second and 90 MB of memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FloatArray = NDArray[np.float64]
_ComplexArray = NDArray[np.complex128]
_IndexArray = NDArray[np.int64]

# Half length of the anti-aliasing filter, in periods of the slower rate; and its Kaiser shape.
_HALF_PERIODS = 10
_KAISER_BETA = 5.0


def bandpass_zero_phase(
    signal: NDArray[Any], fs: float, band_hz: tuple[float, float], order: int
) -> _FloatArray:
    """Butterworth band-pass, run forwards and backwards.

    Parameters
    ----------
    signal
        (..., samples), finite, any unit.
    fs
        Sampling frequency, Hz.
    band_hz
        Corner frequencies, Hz, rising, within (0, fs / 2).
    order
        Order of the low-pass prototype; the band-pass has twice as many poles.

    Returns
    -------
    ndarray
        Shape and unit of `signal`.

    Raises
    ------
    ValueError
        If the corner frequencies are out of order or range, or the signal is shorter than the
        padding at its ends (three filter lengths).
    """
    x = np.asarray(signal, dtype=np.float64)
    if not 0 < band_hz[0] < band_hz[1] < fs / 2:
        raise ValueError(f"corner frequencies {band_hz} do not fit a rate of {fs} Hz")
    n_pad = 3 * (2 * order + 1)
    if x.shape[-1] <= n_pad:
        raise ValueError(f"more than {n_pad} samples are needed, not {x.shape[-1]}")
    head = 2 * x[..., :1] - x[..., n_pad:0:-1]
    tail = 2 * x[..., -1:] - x[..., -2 : -n_pad - 2 : -1]
    padded = np.concatenate((head, x, tail), axis=-1)
    response = _bandpass_response(padded.shape[-1], fs, band_hz, order)
    forwards = filter_from_rest(padded, response)
    return filter_from_rest(forwards[..., ::-1], response)[..., ::-1][..., n_pad:-n_pad]


def resample(signal: NDArray[Any], ratio: Fraction) -> _FloatArray:
    """Change the sampling rate by a fraction, with an anti-aliasing filter (Kaiser-windowed sinc).

    The signal's median stands in for what lies beyond its ends.

    Parameters
    ----------
    signal
        (..., samples), finite, any unit.
    ratio
        New rate divided by the old one.

    Returns
    -------
    ndarray
        (..., ceil(samples * ratio)), unit of `signal`.
    """
    x = np.asarray(signal, dtype=np.float64)
    up, down = ratio.numerator, ratio.denominator
    median = np.median(x, axis=-1, keepdims=True)
    # Times on the grid of the common multiple of both rates: outputs lie `down`, inputs `up` apart.
    half = _HALF_PERIODS * max(up, down)
    n_resampled: int = -(-x.shape[-1] * up // down)
    at: _IndexArray = np.arange(n_resampled, dtype=np.int64) * down
    first: _IndexArray = -((half - at) // up)
    inputs: _IndexArray = first[:, np.newaxis] + np.arange(2 * half // up + 1)
    lag: _IndexArray = at[:, np.newaxis] - inputs * up
    used = (np.abs(lag) <= half) & (inputs >= 0) & (inputs < x.shape[-1])
    weights = np.where(used, _sinc_filter(up, down)[np.clip(lag + half, 0, 2 * half)], 0.0)
    inputs = np.clip(inputs, 0, x.shape[-1] - 1)
    rows = (x - median).reshape(-1, x.shape[-1])
    resampled = np.stack([np.einsum("ok,ok->o", weights, row[inputs]) for row in rows])
    return resampled.reshape(*x.shape[:-1], -1) + median


def filter_from_rest(x: _FloatArray, response: _FloatArray, at_rest: float = 0.0) -> _FloatArray:
    """Filter as if the first sample had been there for ever.

    Parameters
    ----------
    x
        (..., samples), finite, any unit.
    response
        Impulse response, as long as `x`.
    at_rest
        The filter's gain for a constant; 0 for a band-pass.

    Returns
    -------
    ndarray
        Shape and unit of `x`.
    """
    n = x.shape[-1]
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x - x[..., :1], size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[..., :n] + at_rest * x[..., :1]


def impulse_response(
    n_samples: int, poles: _ComplexArray, numerator: _ComplexArray, gain: float
) -> _FloatArray:
    """First samples of the impulse response of a digital filter with as many zeros as poles.

    A sum over the poles: partial fractions of H(z) / z, whose pole at 0 contributes to the first
    sample only.

    Parameters
    ----------
    n_samples
        How many.
    poles
        All different, none at 0.
    numerator
        Product of (pole - zero) over the zeros, for each pole.
    gain
        H(z) for z towards infinity.
    """
    others = poles[:, np.newaxis] - poles
    np.fill_diagonal(others, 1.0)
    residues = gain * numerator / others.prod(axis=1) / poles
    response = (residues[:, np.newaxis] * poles[:, np.newaxis] ** np.arange(n_samples)).sum(axis=0)
    response[0] = gain
    return np.ascontiguousarray(response.real)


def finite_runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """First and last-plus-one index of each stretch without gaps; `values` has one dimension."""
    finite = np.isfinite(values)
    if finite.all():
        if values.size:
            yield 0, values.size
        return
    borders = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    for first, last in borders.reshape(-1, 2):
        yield int(first), int(last)


@functools.lru_cache(maxsize=8)
def _bandpass_response(
    n_samples: int, fs: float, band_hz: tuple[float, float], order: int
) -> _FloatArray:
    """First samples of the band-pass's impulse response; its zeros are at 1 and -1."""
    poles, gain = _butterworth_bandpass(fs, band_hz, order)
    return impulse_response(n_samples, poles, (poles**2 - 1) ** order, gain)


def _butterworth_bandpass(
    fs: float, band_hz: tuple[float, float], order: int
) -> tuple[_ComplexArray, float]:
    """Poles and gain of the digital filter, by the bilinear transform with pre-warped corners.

    Oppenheim and Schafer, Discrete-Time Signal Processing, 3rd ed., 7.2 and appendix B.
    """
    low, high = 2 * fs * np.tan(np.pi * np.asarray(band_hz) / fs)
    width, centre_squared = high - low, low * high
    prototype: _ComplexArray = -np.exp(1j * np.pi * np.arange(1 - order, order, 2) / (2 * order))
    half: _ComplexArray = prototype * width / 2
    root: _ComplexArray = np.sqrt(half**2 - centre_squared)
    analog = np.concatenate((half + root, half - root))
    poles: _ComplexArray = (2 * fs + analog) / (2 * fs - analog)
    gain = (2 * fs * width) ** order / np.prod(2 * fs - analog)
    return poles, float(gain.real)


@functools.lru_cache(maxsize=8)
def _sinc_filter(up: int, down: int) -> _FloatArray:
    """Low-pass at half the slower rate, on the common grid, with a gain of `up`."""
    slower = max(up, down)
    half = _HALF_PERIODS * slower
    taps = np.sinc(np.arange(-half, half + 1) / slower) * np.kaiser(2 * half + 1, _KAISER_BETA)
    return up * taps / taps.sum()
