"""Signals made ready: gaps bridged, filtered, at one rate; and windows of them."""

from __future__ import annotations

import numpy as np

from model_core.delineation.marks import BoolArray, FloatArray, IntArray

# The work is done at about this rate, whatever the recording's.
WORK_HZ = 500.0
# Samples of the work a millisecond.
MS = WORK_HZ / 1000


def fill_gaps(signal_mv: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Bridge missing samples by straight lines, and say where they were."""
    missing = ~np.isfinite(signal_mv)
    if not missing.any():
        return signal_mv, missing
    filled = np.where(missing, 0.0, signal_mv)
    at: IntArray = np.arange(signal_mv.shape[1], dtype=np.int64)
    for row, gone in zip(filled, missing, strict=True):
        if gone.any() and not gone.all():
            row[gone] = np.interp(at[gone], at[~gone], row[~gone])
    return filled, missing


def filtered(signal: FloatArray, fs: float) -> tuple[FloatArray, FloatArray, float]:
    """Signal of 0.5-40 Hz, slope of its 6-25 Hz part, and their rate; zero phase, by Fourier."""
    n = signal.shape[1]
    pad = min(round(1.0 * fs), n - 1)
    work_size = _fast_size(int(np.ceil((n + 2 * pad) / fs * WORK_HZ)))
    size = max(round(work_size / WORK_HZ * fs), n + 2 * pad)
    rate = fs * work_size / size
    extended = np.empty((len(signal), size))
    head = 2 * signal[:, :1] - signal[:, pad:0:-1]
    tail = 2 * signal[:, -1:] - signal[:, -2 : -pad - 2 : -1]
    body = np.concatenate((head, signal, tail), axis=1)
    extended[:, : body.shape[1]] = body
    # The rest leads back to the start, so that the Fourier transform sees no step.
    ramp = np.linspace(0, 1, size - body.shape[1] + 2)[1:-1]
    extended[:, body.shape[1] :] = body[:, -1:] + ramp * (body[:, :1] - body[:, -1:])
    spectrum = np.fft.rfft(extended, axis=1)
    n_bins = work_size // 2 + 1
    spectrum = spectrum[:, :n_bins] * (work_size / size)
    f: FloatArray = np.arange(spectrum.shape[1], dtype=np.float64) * (fs / size)
    with np.errstate(divide="ignore"):
        wide = 1 / ((1 + (0.5 / f) ** 4) * (1 + (f / 40) ** 8))
        steep = 2j * np.pi * f / ((1 + (6 / f) ** 4) * (1 + (f / 25) ** 6))
    first = round(pad * rate / fs)
    last = first + int((n - 1) * rate / fs) + 1
    waves = np.fft.irfft(spectrum * wide, work_size, axis=1)[:, first:last]
    slope = np.fft.irfft(spectrum * steep, work_size, axis=1)[:, first:last]
    return waves, slope, rate


def _fast_size(at_least: int) -> int:
    """Smallest number of factors 2, 3 and 5 that is not below `at_least`."""
    best = 1 << max(at_least - 1, 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            quotient = -(-at_least // three)
            best = min(best, three << max(quotient - 1, 0).bit_length())
            three *= 3
        five *= 5
    return best


def resample_mask(missing: BoolArray, n_work: int) -> BoolArray:
    """Bring a mask of samples to another number of samples."""
    at: IntArray = np.arange(n_work, dtype=np.int64) * missing.shape[1] // n_work
    return missing[:, at]


def moving_mean(x: FloatArray, width: int) -> FloatArray:
    """Centred moving mean along the last axis; beyond the ends the values stand still."""
    before = width // 2
    edges = [(0, 0)] * (x.ndim - 1) + [(before + 1, width - before - 1)]
    total = np.cumsum(np.pad(x, edges, mode="edge"), axis=-1)
    return (total[..., width:] - total[..., :-width]) / width


def windows(x: FloatArray, centres: IntArray, before: int, after: int) -> FloatArray:
    """Leads x centres x samples around each centre; the ends of the signal stand still."""
    at = centres[:, np.newaxis] + np.arange(-before, after + 1)
    return x[:, np.clip(at, 0, x.shape[1] - 1)]
