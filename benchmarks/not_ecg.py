"""Twelve rows of numbers that are no ECG, of many kinds, for tuning the input gate.

Those that it is measured on stand in `benchmarks.not_ecg_unseen`: other makers, other kinds,
other patients. Every kind comes as twelve independent rows and, harder, as eight rows from which
the other limb leads follow as they do in an ECG; at several rates. Sizes are those of ECGs, so
that size gives nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

FS = 500.0
N = 5000
# Rates that signals come at, Hz.
RATES_HZ = (500.0, 500.0, 250.0, 100.0, 1000.0)
FloatArray = NDArray[np.float64]
Random = np.random.Generator
# One row of numbers at `FS`, or all twelve at once.
Maker = Callable[[Random], FloatArray]


def colour(rng: Random, exponent: float) -> FloatArray:
    """Noise whose power falls with the frequency to this exponent."""
    spectrum = np.fft.rfft(rng.normal(size=N))
    f = np.fft.rfftfreq(N, 1 / FS)
    f[0] = f[1]
    return np.fft.irfft(spectrum * f ** (-exponent / 2), N)


def band(rng: Random, low: float, high: float) -> FloatArray:
    """Noise between two frequencies, Hz."""
    spectrum = np.fft.rfft(rng.normal(size=N))
    f = np.fft.rfftfreq(N, 1 / FS)
    spectrum[(f < low) | (f > high)] = 0
    return np.fft.irfft(spectrum, N)


def either(rng: Random) -> bool:
    """Toss a coin."""
    return bool(rng.uniform() < 0.5)


def cycles(rng: Random, shortest_s: float, longest_s: float, spread: float) -> FloatArray:
    """Phase, 0 to 1, of what returns after times that differ by `spread` from one another."""
    period_s = rng.uniform(shortest_s, longest_s)
    lengths = period_s * np.clip(1 + spread * rng.normal(size=int(12 / period_s) + 20), 0.4, 2.0)
    starts = np.cumsum(lengths) - rng.uniform(1, 2) * period_s
    t = np.arange(N) / FS
    at = np.searchsorted(starts, t, side="right")
    return (t - starts[at - 1]) / (starts[at] - starts[at - 1])


def white(rng: Random) -> FloatArray:
    """Independent numbers: normal, or of heavy tails."""
    return rng.normal(size=N) if either(rng) else rng.standard_t(4, size=N)


def pink(rng: Random) -> FloatArray:
    """Noise with a falling spectrum."""
    return colour(rng, rng.uniform(0.8, 2.2))


def eeg(rng: Random) -> FloatArray:
    """Brain waves: a falling spectrum with alpha spindles, or slow delta waves."""
    background = colour(rng, 1.0)
    low = rng.uniform(8, 11) if either(rng) else rng.uniform(1.0, 5.0)
    waves = band(rng, low, low + 2.0)
    envelope = np.abs(band(rng, 0.1, 0.8))
    return background / background.std() + 2 * waves * envelope / (waves * envelope).std()


def emg(rng: Random) -> FloatArray:
    """Muscle: bursts of fast noise."""
    bursts = np.abs(band(rng, 0.2, rng.uniform(1.0, 2.0))) ** 2
    return band(rng, rng.uniform(10.0, 20.0), 150.0) * bursts


def ppg(rng: Random) -> FloatArray:
    """Pulse wave of a finger: a fast rise, a slow fall, a dicrotic wave."""
    phase = cycles(rng, 0.5, 1.4, rng.choice([0.0, 0.05]))
    width = rng.uniform((0.07, 0.14), (0.09, 0.18))
    wave = np.exp(-0.5 * ((phase - 0.2) / width[0]) ** 2)
    wave += rng.uniform(0.3, 0.6) * np.exp(-0.5 * ((phase - 0.5) / width[1]) ** 2)
    return wave + 0.02 * rng.normal(size=N)


def audio(rng: Random) -> FloatArray:
    """Speech or music: tones with overtones in syllables."""
    t = np.arange(N) / FS
    base = rng.uniform(60, 110) if either(rng) else rng.uniform(15, 50)
    pitch = base * np.cumsum(1 + 0.05 * band(rng, 0.5, 3.0)) / FS
    tones = sum(np.sin(2 * np.pi * k * pitch + rng.uniform(0, 6)) / k for k in range(1, 4))
    syllables = np.abs(band(rng, 0.5, rng.uniform(3.0, 4.0)))
    return tones * syllables + 0.01 * np.sin(2 * np.pi * t)


def stocks(rng: Random) -> FloatArray:
    """Prices: a random walk with jumps, given for each sample or held for some."""
    held = 1 if either(rng) else int(rng.integers(2, 12))
    steps = rng.standard_t(3, size=N // held + 1)
    return np.repeat(np.cumsum(steps), held)[:N]


def steps(rng: Random) -> FloatArray:
    """Make a constant with steps and a little noise."""
    n = int(rng.integers(4, 40))
    borders = np.sort(rng.integers(0, N, n))
    level = rng.normal(size=n + 1)[np.searchsorted(borders, np.arange(N))]
    return level + 0.02 * rng.normal(size=N)


def tones(rng: Random) -> FloatArray:
    """Make a few sine waves, or a sawtooth or square wave of a signal generator."""
    t = np.arange(N) / FS
    f = rng.uniform(0.7, 3.0)
    if either(rng):
        parts = [np.sin(2 * np.pi * f * k * t + rng.uniform(0, 6)) for k in (1, 2.3, 4.1)]
        return np.sum(parts, axis=0)
    cycle = (f * t + rng.uniform()) % 1
    wave = cycle if either(rng) else (cycle < rng.uniform(0.1, 0.9)).astype(float)
    return wave + 0.02 * rng.normal(size=N)


def movement(rng: Random) -> FloatArray:
    """Make the record of an accelerometer: gait, or breathing."""
    t = np.arange(N) / FS
    f = rng.uniform(1.5, 2.5) if either(rng) else rng.uniform(0.2, 0.4)
    swing = sum(np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6)) / k for k in range(1, 5))
    return swing + 0.3 * colour(rng, 1.0) / colour(rng, 1.0).std()


def returning(rng: Random) -> FloatArray:
    """Make a wave of any shape that returns: some overtones, smooth or with edges."""
    phase = cycles(rng, 0.3, 1.5, rng.choice([0.0, 0.02, 0.1]))
    n = int(rng.integers(2, 40))
    size = np.arange(1, n + 1) ** -rng.uniform(0.0, 1.5)
    turn = rng.uniform(0, 2 * np.pi, n)
    wave = np.sum(size * np.cos(2 * np.pi * np.outer(phase, np.arange(1, n + 1)) + turn), axis=1)
    return wave / wave.std() + rng.uniform(0, 0.1) * rng.normal(size=N)


def humps(rng: Random) -> FloatArray:
    """Make a few humps that return, of widths and heights unlike those of a heart's waves."""
    phase = cycles(rng, 0.4, 1.4, rng.choice([0.0, 0.05, 0.15]))
    wave = np.zeros(N)
    for _ in range(int(rng.integers(1, 6))):
        away = (phase - rng.uniform() + 0.5) % 1 - 0.5
        wave += rng.normal() * np.exp(-0.5 * (away / rng.uniform(0.02, 0.2)) ** 2)
    return wave + 0.02 * rng.normal(size=N)


def ballisto(rng: Random) -> FloatArray:
    """Make what a scale shows of each heartbeat: a damped swing."""
    phase = cycles(rng, 0.6, 1.2, 0.04)
    swing = np.sin(2 * np.pi * rng.uniform(3, 7) * phase + rng.uniform(0, 6))
    return swing * np.exp(-rng.uniform(2, 6) * phase) + 0.1 * colour(rng, 1.0)


def blinks(rng: Random) -> FloatArray:
    """Eyes: blinks, and looking from side to side."""
    t = np.arange(N) / FS
    wave = np.zeros(N)
    for at in np.cumsum(rng.exponential(rng.uniform(0.5, 2.0), 40)):
        wave += rng.uniform(0.5, 1) * np.exp(-0.5 * ((t - at) / rng.uniform(0.04, 0.12)) ** 2)
    return wave + rng.uniform(0, 1) * steps(rng) + 0.05 * colour(rng, 1.0)


def spikes(rng: Random) -> FloatArray:
    """Make spikes of one shape at any time, as nerves and switches do."""
    at = rng.uniform(size=N) < rng.uniform(0.5, 5.0) / FS
    n = int(rng.integers(5, 60))
    shape = rng.normal(size=n) if either(rng) else np.diff(np.exp(-np.linspace(0, 6, n + 1)))
    return np.convolve(at * rng.uniform(0.5, 1.5, N), shape, mode="same") + 0.02 * rng.normal(
        size=N
    )


ROWS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        *(white, pink, eeg, emg, ppg, audio, stocks, steps, tones, movement),
        *(returning, humps, ballisto, blinks, spikes),
    )
}


def image(rng: Random) -> FloatArray:
    """Rows of a smooth picture with edges, laid end to end: (12, samples)."""
    high, wide = (int(size) for size in rng.integers(120, 400, 2))
    y, x = np.mgrid[0:high, 0:wide] / max(high, wide)
    picture = np.zeros((high, wide))
    round_ones = either(rng)
    for _ in range(int(rng.integers(4, 30))):
        a, b, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.03, 0.3)
        inside = ((x - a) ** 2 + (y - b) ** 2 < r**2) if round_ones else (abs(x - a) < r)
        picture += rng.normal() * (inside & (abs(y - b) < 2 * r))
    picture += rng.uniform(0, 0.5) * np.cos(
        2 * np.pi * (rng.uniform(1, 5) * x + rng.uniform(1, 5) * y)
    )
    picture += rng.uniform(0, 0.05) * rng.normal(size=picture.shape)
    return laid_out(picture)


def laid_out(picture: FloatArray) -> FloatArray:
    """Rows of a picture end to end, in twelve parts of `N` samples."""
    parts = picture.ravel()[: picture.size // 12 * 12].reshape(12, -1)
    at = np.linspace(0, parts.shape[1] - 1, N)
    return np.stack([np.interp(at, np.arange(parts.shape[1]), row) for row in parts])


def with_limb_algebra(rows: FloatArray) -> FloatArray:
    """I, II and V1 to V6 from eight rows, the other limb leads as they follow."""
    one, two = rows[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.concatenate([np.stack(limb), rows[2:8]])


def twelve(maker: Maker, rng: Random, *, algebra: bool, one_source: bool = False) -> FloatArray:
    """Twelve rows of a kind at `FS`, mV: alike in part, as the leads of one body are.

    Parameters
    ----------
    maker
        Makes one row, or all twelve.
    rng
        Random numbers.
    algebra
        Whether the limb leads follow from I and II.
    one_source
        Whether all leads see one source in any case; else in half of the cases.
    """
    rows = maker(rng)
    if rows.ndim == 1:
        rows = np.stack([rows, *(maker(rng) for _ in range(11))])
        if one_source or either(rng):
            shared = maker(rng)
            share = rng.uniform(0.3, 0.98)
            own = (1 - share) * rows / (rows.std(axis=1, keepdims=True) + 1e-12)
            rows = share * rng.normal(size=(12, 1)) * shared / (shared.std() + 1e-12) + own
    rows = rows - np.median(rows, axis=1, keepdims=True)
    rows = rows / (np.quantile(np.abs(rows), 0.999, axis=1, keepdims=True) + 1e-12)
    rows = rows * rng.uniform(0.4, 2.0, (12, 1))
    return with_limb_algebra(rows) if algebra else rows


def at_rate(rows: FloatArray, fs: float) -> FloatArray:
    """Bring rows at `FS` to another rate."""
    if fs < FS:
        n = round(FS / fs)
        return rows.reshape(len(rows), -1, n).mean(axis=2)
    at = np.arange(0, N, FS / fs)
    return np.stack([np.interp(at, np.arange(N), row) for row in rows])


def made(kind: str, rng: Random, *, algebra: bool) -> tuple[FloatArray, float]:
    """One of `KINDS`, (12, samples) in mV, and its rate, Hz."""
    maker = image if kind == "image" else ROWS[kind]
    one_source = kind in ("ppg", "ballisto")
    fs = float(rng.choice(RATES_HZ))
    return at_rate(twelve(maker, rng, algebra=algebra, one_source=one_source), fs), fs


def shuffled_leads(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Rows under other names."""
    while True:
        order = rng.permutation(12)
        if (order[:6] != np.arange(6)).any():
            return ecg_mv[order]


def shuffled_time(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Put the samples in random order, the same for all leads."""
    return ecg_mv[:, rng.permutation(ecg_mv.shape[1])]


def surrogate(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Make the same spectrum and correlations, with random phases."""
    spectrum = np.fft.rfft(ecg_mv, axis=1)
    turn = np.exp(2j * np.pi * rng.uniform(size=spectrum.shape[1]))
    return np.fft.irfft(spectrum * turn, ecg_mv.shape[1], axis=1)


def joined(pieces: Sequence[FloatArray], *, level: bool) -> FloatArray:
    """Pieces end to end; with `level` each begins where the one before ended."""
    if not level:
        return np.concatenate(pieces, axis=1)
    end = pieces[0][:, -1:]
    found = [pieces[0]]
    for piece in pieces[1:]:
        found.append(piece - piece[:, :1] + end)
        end = found[-1][:, -1:]
    rows = np.concatenate(found, axis=1)
    n = rows.shape[1]
    # Else the levels of the pieces add up to a walk of any size.
    t = np.linspace(0, 1, n)
    return rows - np.stack([np.polyval(np.polyfit(t, row, 9), t) for row in rows])


def shuffled_pieces(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Pieces of 20 to 200 ms, all of one length, in random order."""
    n = ecg_mv.shape[1]
    size = max(round(n * rng.uniform(0.002, 0.02)), 2)
    pieces = np.split(ecg_mv[:, : n // size * size], n // size, axis=1)
    order = rng.permutation(len(pieces))
    rest = ecg_mv[:, n // size * size :]
    return joined(
        [*(pieces[k] for k in order), rest] if rest.size else [pieces[k] for k in order],
        level=either(rng),
    )


def late_leads(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Chest leads each at another time."""
    rows = ecg_mv.copy()
    for k in range(6, 12):
        rows[k] = np.roll(rows[k], rng.integers(rows.shape[1]))
    return rows


Spoiler = Callable[[FloatArray, Random], FloatArray]
# Exchanged limb leads contradict one another, so the scores never see them.
FROM_ECG: dict[str, Spoiler] = {
    spoiler.__name__: spoiler for spoiler in (shuffled_time, shuffled_pieces, surrogate, late_leads)
}
KINDS: Sequence[str] = (*ROWS, "image")
