"""Twelve rows of numbers that are no ECG, for measuring the input gate: none of it was tuned on.

Made in other ways than the signals of `benchmarks.not_ecg`, and of kinds that it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from benchmarks.not_ecg import (
    FS,
    FloatArray,
    Maker,
    N,
    Random,
    Spoiler,
    at_rate,
    either,
    joined,
    laid_out,
    shuffled_leads,
    shuffled_time,
    surrogate,
    twelve,
)

RATES_HZ = (500.0, 500.0, 250.0, 100.0, 125.0)
_T = np.arange(N) / FS


def _train(rng: Random, period_s: float, spread: float, shape: FloatArray) -> FloatArray:
    """Lay a shape down again and again; `spread` is that of the times between."""
    at = np.cumsum(period_s * (1 + spread * rng.normal(size=int(14 / period_s))))
    at = np.rint((at - rng.uniform(0, 1) * period_s) * FS).astype(int)
    hits = np.zeros(N)
    hits[at[(at >= 0) & (at < N)]] = 1
    return np.convolve(hits, shape)[:N]


def _resonance(rng: Random, f: float, damping: float) -> FloatArray:
    """White noise through a resonance: autoregressive of second order."""
    r = np.exp(-damping / FS)
    a, b = 2 * r * np.cos(2 * np.pi * f / FS), -r * r
    x = lfilter([1.0], [1.0, -a, -b], rng.normal(size=N))
    return x / x.std()


def white(rng: Random) -> FloatArray:
    """Uniform, two-sided exponential, or few large numbers among small ones."""
    which = rng.integers(3)
    if which == 0:
        return rng.uniform(-1, 1, N)
    if which == 1:
        return rng.laplace(size=N)
    return rng.normal(size=N) * np.where(rng.uniform(size=N) < 0.02, 10.0, 1.0)


def pink(rng: Random) -> FloatArray:
    """Make sums of random walks that forget at many speeds, and mains hum."""
    rows = sum(_resonance(rng, 0.0, 10.0**rate) for rate in rng.uniform(-1, 2, 4))
    return rows + rng.uniform(0, 0.5) * np.sin(2 * np.pi * 50 * _T)


def eeg(rng: Random) -> FloatArray:
    """Resonances at the rhythms of the brain; in a third, the spike and wave of a seizure."""
    rows = _resonance(rng, rng.uniform(0.5, 3), 5.0) + _resonance(rng, rng.uniform(6, 13), 8.0)
    if rng.uniform() < 0.33:
        length = rng.uniform(0.28, 0.4)
        t = np.arange(0, length, 1 / FS)
        wave = 4 * np.exp(-0.5 * ((t - 0.05) / 0.015) ** 2) - 2 * np.sin(np.pi * t / length) ** 2
        rows = 0.5 * rows + _train(rng, length, 0.02, wave)
    return rows + 0.2 * rng.normal(size=N)


def emg(rng: Random) -> FloatArray:
    """Trains of action potentials of some motor units."""
    rows = 0.05 * rng.normal(size=N)
    for _ in range(int(rng.integers(1, 12))):
        t = np.arange(-0.01, 0.01, 1 / FS) / rng.uniform(0.002, 0.004)
        rows += _train(rng, 1 / rng.uniform(5, 20), 0.15, rng.normal() * t * np.exp(-0.5 * t**2))
    return rows


def ppg(rng: Random) -> FloatArray:
    """Pressure in an artery: a gamma curve with a notch, moved by breathing."""
    period_s = rng.uniform(0.5, 1.3)
    t = np.arange(0, 2.0, 1 / FS)
    rise_s = rng.uniform(0.04, 0.12)
    shape = (t / rise_s) * np.exp(1 - t / rise_s) + rng.uniform(0.2, 0.5) * np.exp(
        -0.5 * ((t - rng.uniform(0.3, 0.4)) / 0.05) ** 2
    )
    breath = np.sin(2 * np.pi * rng.uniform(0.15, 0.35) * _T)
    rows = _train(rng, period_s, rng.uniform(0, 0.06), shape) * (1 + 0.15 * breath)
    return rows + rng.uniform(0, 0.3) * breath + 0.01 * rng.normal(size=N)


def audio(rng: Random) -> FloatArray:
    """Chirps, or a drum: noise that dies away."""
    if either(rng):
        f = rng.uniform(5, 40) + rng.uniform(5, 60) * (_T * rng.uniform(0.5, 3) % 1)
        return np.sin(2 * np.pi * np.cumsum(f) / FS) * (1 + np.sin(2 * np.pi * 1.5 * _T))
    t = np.arange(0, 0.4, 1 / FS)
    drum = np.sin(2 * np.pi * rng.uniform(20, 90) * t) + 0.3 * rng.normal(size=len(t))
    drum *= np.exp(-t * rng.uniform(10, 40))
    return _train(rng, rng.uniform(0.25, 0.8), rng.uniform(0, 0.02), drum)


def stocks(rng: Random) -> FloatArray:
    """Prices whose liveliness comes and goes, with a pull to the mean."""
    lively = np.exp(0.5 * _resonance(rng, 0.0, rng.uniform(0.2, 2.0)))
    moves = lively * rng.normal(size=N)
    rows = lfilter([1.0], [1.0, -0.999], moves)
    return np.exp(rows / rows.std() * rng.uniform(0.1, 0.5))


def steps(rng: Random) -> FloatArray:
    """Make a switch between two or three levels, or a staircase, with overshoot."""
    lengths = rng.exponential(rng.uniform(0.2, 1.5), 80)
    borders = np.cumsum(lengths)
    k = np.searchsorted(borders, _T)
    level = k % rng.integers(2, 4) if either(rng) else np.cumsum(rng.choice([-1, 1], 81))[k]
    ring = np.exp(-np.arange(40) / rng.uniform(2, 10))
    return np.convolve(level.astype(float), ring / ring.sum())[:N] + 0.01 * rng.normal(size=N)


def tones(rng: Random) -> FloatArray:
    """Triangles, clipped sines, loading curves, and tones whose pitch or size is modulated."""
    f = rng.uniform(0.6, 4.0)
    cycle = (f * _T + rng.uniform()) % 1
    which = rng.integers(4)
    if which == 0:
        corner = rng.uniform(0.05, 0.95)
        wave = np.where(cycle < corner, cycle / corner, (1 - cycle) / (1 - corner))
    elif which == 1:
        wave = np.clip(np.sin(2 * np.pi * cycle), -rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9))
    elif which == 2:
        wave = np.where(cycle < 0.5, 1 - np.exp(-12 * cycle), np.exp(-12 * (cycle - 0.5)))
    else:
        swing = np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * _T)
        wave = (1 + 0.7 * swing) * np.sin(2 * np.pi * f * _T + 3 * swing)
    return wave + rng.uniform(0, 0.03) * rng.normal(size=N)


def movement(rng: Random) -> FloatArray:
    """Make the steps of walking: a heel strike that rings, on the swing of the body."""
    period_s = rng.uniform(0.45, 0.8)
    t = np.arange(0, 0.4, 1 / FS)
    strike = np.exp(-t * rng.uniform(10, 30)) * np.sin(2 * np.pi * rng.uniform(6, 20) * t)
    swing = np.sin(2 * np.pi * _T / period_s + rng.uniform(0, 6))
    rows = _train(rng, period_s, 0.03, strike) + rng.uniform(0.1, 0.8) * swing
    return rows + 0.05 * _resonance(rng, 1.0, 10.0)


def heart_sounds(rng: Random) -> FloatArray:
    """Two short noises a beat, or their envelope."""
    t = np.arange(0, 0.12, 1 / FS)
    burst = np.hanning(len(t)) * np.sin(2 * np.pi * rng.uniform(30, 70) * t + rng.uniform(0, 6))
    gap = np.zeros(int(rng.uniform(0.2, 0.3) * FS))
    both = np.concatenate([burst, gap, rng.uniform(0.4, 0.9) * burst])
    rows = _train(rng, rng.uniform(0.6, 1.1), 0.03, both)
    return (np.abs(rows) if either(rng) else rows) + 0.03 * rng.normal(size=N)


def respiration(rng: Random) -> FloatArray:
    """Make what a belt around the chest shows: slow, with the heart's small pulses on it."""
    breath = np.sin(2 * np.pi * rng.uniform(0.15, 0.5) * _T + rng.uniform(0, 6))
    pulse = np.hanning(int(rng.uniform(0.2, 0.5) * FS))
    return np.tanh(2 * breath) + 0.2 * _train(rng, rng.uniform(0.6, 1.1), 0.03, pulse)


def seismogram(rng: Random) -> FloatArray:
    """Quiet, then two arrivals that die away."""
    rows = 0.05 * _resonance(rng, rng.uniform(0.5, 3), 3.0)
    for arrival_s in rng.uniform(1, 8, int(rng.integers(1, 4))):
        late = np.clip(_T - arrival_s, 0, None)
        rows += (late > 0) * np.exp(-late) * _resonance(rng, rng.uniform(2, 12), 10.0)
    return rows


def pulses(rng: Random) -> FloatArray:
    """Test pulses of a generator: narrow, rounded or square, now and then missing."""
    n = int(rng.uniform(0.02, 0.2) * FS)
    shape = np.ones(n) if either(rng) else np.hanning(n)
    rows = _train(rng, rng.uniform(0.4, 1.5), rng.choice([0.0, 0.01]), shape)
    return rows + rng.uniform(0, 0.02) * rng.normal(size=N)


ROWS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        *(white, pink, eeg, emg, ppg, audio, stocks, steps, tones, movement),
        *(heart_sounds, respiration, seismogram, pulses),
    )
}
_BODY = ("ppg", "heart_sounds", "respiration")


def drawing(rng: Random) -> FloatArray:
    """Make a page of print, or clouds, as a picture, row by row: (12, samples)."""
    high, wide = (int(size) for size in rng.integers(100, 500, 2))
    if either(rng):
        page = np.ones((high, wide))
        for line in range(5, high - 12, int(rng.integers(12, 24))):
            for left in range(5, wide - 10, int(rng.integers(7, 14))):
                if rng.uniform() < 0.85:
                    glyph = rng.uniform(size=(7, 5)) < 0.5
                    page[line : line + 7, left : left + 5] -= glyph[:, : wide - left]
        return laid_out(page + 0.02 * rng.normal(size=page.shape))
    fy, fx = np.meshgrid(np.fft.fftfreq(high), np.fft.fftfreq(wide), indexing="ij")
    spectrum = np.fft.fft2(rng.normal(size=(high, wide)))
    fall = (np.hypot(fy, fx) + 1 / max(high, wide)) ** -rng.uniform(1.0, 2.0)
    return laid_out(np.fft.ifft2(spectrum * fall).real)


class Pictures:
    """Parts of real pictures, row by row.

    Parameters
    ----------
    files
        Pictures that Qt reads, and DICOM files of one.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.pages = [_pixels(path) for path in files]

    def __call__(self, rng: Random) -> FloatArray:
        """Lay a part of 100 to 400 pixels in either direction end to end: (12, samples)."""
        page = self.pages[rng.integers(len(self.pages))]
        while True:
            high, wide = (int(min(rng.integers(100, 400), size)) for size in page.shape)
            top = int(rng.integers(page.shape[0] - high + 1))
            left = int(rng.integers(page.shape[1] - wide + 1))
            part = page[top : top + high, left : left + wide]
            rows = laid_out(part if either(rng) else part.T)
            if (rows.std(axis=1) > 0.02 * page.std()).all():
                return rows


def _pixels(path: Path) -> FloatArray:
    """Brightness of a picture."""
    if path.suffix == ".dcm":
        import pydicom

        frames = pydicom.dcmread(path).pixel_array
        first = frames[0] if frames.ndim > 2 and frames.shape[0] < 200 else frames
        return first.reshape(*first.shape[:2], -1).mean(axis=2).astype(np.float64)
    from PySide6.QtGui import QImage

    picture = QImage(str(path)).convertToFormat(QImage.Format.Format_Grayscale8)
    flat = np.frombuffer(picture.constBits(), dtype=np.uint8)
    return flat.reshape(picture.height(), picture.bytesPerLine())[:, : picture.width()].astype(
        float
    )


def made(
    kind: str, rng: Random, pictures: Pictures | None, *, algebra: bool
) -> tuple[FloatArray, float]:
    """One of `KINDS`, (12, samples) in mV, and its rate, Hz."""
    whole = {"drawing": drawing, "picture": pictures}
    maker = ROWS.get(kind) or whole[kind]
    assert maker is not None, "no pictures given"
    fs = float(rng.choice(RATES_HZ))
    return at_rate(twelve(maker, rng, algebra=algebra, one_source=kind in _BODY), fs), fs


def shuffled_pieces(ecg_mv: FloatArray, rng: Random) -> FloatArray:
    """Cut at any points, 30 to 250 ms apart on average, and put together in random order."""
    n = ecg_mv.shape[1]
    cuts = np.unique(rng.integers(1, n, round(10 / rng.uniform(0.03, 0.25))))
    pieces = np.split(ecg_mv, cuts, axis=1)
    return joined([pieces[k] for k in rng.permutation(len(pieces))], level=either(rng))


FROM_ECG: dict[str, Spoiler] = {
    spoiler.__name__: spoiler
    for spoiler in (shuffled_leads, shuffled_time, shuffled_pieces, surrogate)
}
KINDS: Sequence[str] = (*ROWS, "drawing", "picture")
