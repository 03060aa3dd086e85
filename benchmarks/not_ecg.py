"""Twelve rows of numbers that are no ECG, of many kinds, for tuning and measuring the input gate.

Every kind comes as twelve independent rows and, harder, as eight rows from which the other limb
leads follow as they do in an ECG. Sizes are those of ECGs, so that size gives nothing away. The
two variants draw from different ranges of parameters: the gate is tuned on one, measured on the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

FS = 500.0
N = 5000
FloatArray = NDArray[np.float64]
# One row of numbers from (random numbers, variant).
Maker = Callable[[np.random.Generator, int], FloatArray]


def _colour(rng: np.random.Generator, exponent: float) -> FloatArray:
    spectrum = np.fft.rfft(rng.normal(size=N))
    f = np.fft.rfftfreq(N, 1 / FS)
    f[0] = f[1]
    return np.fft.irfft(spectrum * f ** (-exponent / 2), N)


def _band(rng: np.random.Generator, low: float, high: float) -> FloatArray:
    spectrum = np.fft.rfft(rng.normal(size=N))
    f = np.fft.rfftfreq(N, 1 / FS)
    spectrum[(f < low) | (f > high)] = 0
    return np.fft.irfft(spectrum, N)


def white(rng: np.random.Generator, variant: int) -> FloatArray:
    """Independent numbers: normal, or of heavy tails."""
    return rng.normal(size=N) if variant == 0 else rng.standard_t(4, size=N)


def pink(rng: np.random.Generator, variant: int) -> FloatArray:
    """Noise with a falling spectrum."""
    return _colour(rng, rng.uniform(0.8, 1.4) if variant == 0 else rng.uniform(1.4, 2.2))


def eeg(rng: np.random.Generator, variant: int) -> FloatArray:
    """Brain waves: a falling spectrum with alpha spindles, or slow delta waves."""
    background = _colour(rng, 1.0)
    low = rng.uniform(8, 11) if variant == 0 else rng.uniform(1.0, 5.0)
    waves = _band(rng, low, low + 2.0)
    envelope = np.abs(_band(rng, 0.1, 0.8))
    return background / background.std() + 2 * waves * envelope / (waves * envelope).std()


def emg(rng: np.random.Generator, variant: int) -> FloatArray:
    """Muscle: bursts of fast noise."""
    low = 20.0 if variant == 0 else 10.0
    bursts = np.abs(_band(rng, 0.2, 1.0 if variant == 0 else 2.0)) ** 2
    return _band(rng, low, 150.0) * bursts


def ppg(rng: np.random.Generator, variant: int) -> FloatArray:
    """Pulse wave of a finger: a fast rise, a slow fall, a dicrotic wave."""
    period = rng.uniform(0.6, 1.1) if variant == 0 else rng.uniform(0.5, 1.4)
    phase = (np.arange(N) / FS / period + rng.uniform()) % 1
    width = (0.09, 0.14) if variant == 0 else (0.07, 0.18)
    wave = np.exp(-0.5 * ((phase - 0.2) / width[0]) ** 2)
    wave += rng.uniform(0.3, 0.6) * np.exp(-0.5 * ((phase - 0.5) / width[1]) ** 2)
    return wave + 0.02 * rng.normal(size=N)


def audio(rng: np.random.Generator, variant: int) -> FloatArray:
    """Speech or music: tones with overtones in syllables."""
    t = np.arange(N) / FS
    base = rng.uniform(60, 110) if variant == 0 else rng.uniform(15, 50)
    pitch = base * np.cumsum(1 + 0.05 * _band(rng, 0.5, 3.0)) / FS
    tones = sum(np.sin(2 * np.pi * k * pitch + rng.uniform(0, 6)) / k for k in range(1, 4))
    syllables = np.abs(_band(rng, 0.5, 3.0 + variant))
    return tones * syllables + 0.01 * np.sin(2 * np.pi * t)


def stocks(rng: np.random.Generator, variant: int) -> FloatArray:
    """Prices: a random walk with jumps, given for each sample or held for some."""
    held = 1 if variant == 0 else int(rng.integers(2, 12))
    steps = rng.standard_t(3, size=N // held + 1)
    return np.repeat(np.cumsum(steps), held)[:N]


def steps(rng: np.random.Generator, variant: int) -> FloatArray:
    """Make a constant with steps and a little noise."""
    n = int(rng.integers(4, 15)) if variant == 0 else int(rng.integers(15, 40))
    borders = np.sort(rng.integers(0, N, n))
    level = rng.normal(size=n + 1)[np.searchsorted(borders, np.arange(N))]
    return level + 0.02 * rng.normal(size=N)


def tones(rng: np.random.Generator, variant: int) -> FloatArray:
    """Make a few sine waves, or a sawtooth or square wave of a signal generator."""
    t = np.arange(N) / FS
    f = rng.uniform(0.7, 3.0)
    if variant == 0:
        parts = [np.sin(2 * np.pi * f * k * t + rng.uniform(0, 6)) for k in (1, 2.3, 4.1)]
        return np.sum(parts, axis=0)
    cycle = (f * t + rng.uniform()) % 1
    wave = cycle if rng.uniform() < 0.5 else (cycle < rng.uniform(0.2, 0.8)).astype(float)
    return wave + 0.02 * rng.normal(size=N)


def movement(rng: np.random.Generator, variant: int) -> FloatArray:
    """Make the record of an accelerometer: gait, or breathing."""
    t = np.arange(N) / FS
    f = rng.uniform(1.5, 2.5) if variant == 0 else rng.uniform(0.2, 0.4)
    swing = sum(np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6)) / k for k in range(1, 5))
    return swing + 0.3 * _colour(rng, 1.0) / _colour(rng, 1.0).std()


ROWS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (white, pink, eeg, emg, ppg, audio, stocks, steps, tones, movement)
}


def image(rng: np.random.Generator, variant: int) -> FloatArray:
    """Rows of a smooth picture with edges, laid end to end: (12, samples)."""
    side = 240
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.zeros((side, side))
    for _ in range(8 if variant == 0 else 25):
        a, b, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.3)
        inside = ((x - a) ** 2 + (y - b) ** 2 < r**2) if variant == 0 else (abs(x - a) < r)
        picture += rng.normal() * (inside & (abs(y - b) < 2 * r))
    picture += 0.3 * np.cos(2 * np.pi * (rng.uniform(1, 5) * x + rng.uniform(1, 5) * y))
    picture += 0.02 * rng.normal(size=picture.shape)
    flat = picture.ravel()[: 12 * (side * side // 12)].reshape(12, -1)
    at = np.linspace(0, flat.shape[1] - 1, N)
    return np.stack([np.interp(at, np.arange(flat.shape[1]), row) for row in flat])


def with_limb_algebra(rows: FloatArray) -> FloatArray:
    """I, II and V1 to V6 from eight rows, the other limb leads as they follow."""
    one, two = rows[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.concatenate([np.stack(limb), rows[2:8]])


def made(kind: str, rng: np.random.Generator, variant: int, *, algebra: bool) -> FloatArray:
    """Twelve rows of a kind, mV: alike in part, as the leads of one body are.

    Parameters
    ----------
    kind
        A key of `ROWS`, or ``image``.
    rng, variant
        Random numbers; 0 for tuning, 1 for measuring.
    algebra
        Whether the limb leads follow from I and II.
    """
    if kind == "image":
        rows = image(rng, variant)
    else:
        maker = ROWS[kind]
        sources = np.stack([maker(rng, variant) for _ in range(12)])
        if kind == "ppg" or rng.uniform() < 0.5:  # one source seen by all leads, and own parts
            shared = maker(rng, variant)
            share = rng.uniform(0.3, 0.98)
            gains = rng.normal(size=(12, 1))
            sources = share * gains * shared / shared.std() + (1 - share) * sources / (
                sources.std(axis=1, keepdims=True) + 1e-12
            )
        rows = sources
    rows = rows - np.median(rows, axis=1, keepdims=True)
    rows = rows / (np.quantile(np.abs(rows), 0.999, axis=1, keepdims=True) + 1e-12)
    rows = rows * rng.uniform(0.4, 2.0, (12, 1))
    return with_limb_algebra(rows) if algebra else rows


def from_ecg(kind: str, ecg_mv: FloatArray, rng: np.random.Generator, variant: int) -> FloatArray:
    """Spoil a real ECG (12, samples) until it is none.

    ``shuffled_leads``: rows under other names. ``shuffled_time``: samples in random order, the
    same for all leads. ``shuffled_pieces``: pieces of some milliseconds in random order.
    ``surrogate``: the same spectrum and correlations, random phases.
    """
    n = ecg_mv.shape[1]
    if kind == "shuffled_leads":
        while True:
            order = rng.permutation(12)
            if (order[:6] != np.arange(6)).any():
                return ecg_mv[order]
    if kind == "shuffled_time":
        return ecg_mv[:, rng.permutation(n)]
    if kind == "shuffled_pieces":
        size = round(n * (rng.uniform(0.004, 0.012) if variant == 0 else rng.uniform(0.002, 0.02)))
        pieces = rng.permutation(n // size)
        order = (pieces[:, None] * size + np.arange(size)).ravel()
        return ecg_mv[:, np.r_[order, len(order) : n]]
    if kind == "surrogate":
        spectrum = np.fft.rfft(ecg_mv, axis=1)
        turn = np.exp(2j * np.pi * rng.uniform(size=spectrum.shape[1]))
        return np.fft.irfft(spectrum * turn, n, axis=1)
    raise ValueError(kind)


FROM_ECG: Sequence[str] = ("shuffled_leads", "shuffled_time", "shuffled_pieces", "surrogate")
KINDS: Sequence[str] = (*ROWS, "image")
