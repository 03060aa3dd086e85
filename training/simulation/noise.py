"""Recording noise, made at the electrodes, so that the limb leads stay consistent.

Four kinds (Friesen et al., IEEE Trans Biomed Eng 1990;37:85): baseline wander from respiration
and skin potentials (0.05-0.7 Hz), electrode motion in transients (0.5-10 Hz), muscle noise
(20-120 Hz, in part as bursts) and mains interference (50 or 60 Hz). Each electrode has its own
strength; the leads are differences of electrode potentials, hence lead II = lead I + lead III
and the augmented leads hold for the noise exactly as they do for the heart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")


def _lead_matrix() -> FloatArray:
    ra, la, ll = np.eye(9)[:3]
    terminal = (ra + la + ll) / 3  # Wilson's central terminal
    limb = [la - ra, ll - ra, ll - la]
    augmented = [ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
    chest = [np.eye(9)[3 + i] - terminal for i in range(6)]
    return np.array(limb + augmented + chest, np.float32)


LEADS_FROM_ELECTRODES = _lead_matrix()
"""(12, 9): leads I II III aVR aVL aVF V1-V6 from the potentials of ELECTRODES."""

# RMS at level 1, mV: a recording that is hardly readable. Level 0.3 is a fair bedside tracing.
WANDER_RMS_MV = 0.30
MUSCLE_RMS_MV = 0.07
MAINS_AMPLITUDE_MV = 0.06
MOTION_PEAK_MV = 0.9


def add_noise(
    signal_mv: FloatArray,
    rng: np.random.Generator,
    level: float | NDArray[np.floating],
    fs: float = 250.0,
) -> FloatArray:
    """Return the recordings with noise added; the input is not changed.

    Parameters
    ----------
    signal_mv
        (n, 12, samples) or (12, samples), mV, leads I II III aVR aVL aVF V1-V6. NaN stays NaN.
    rng
        Source of randomness.
    level
        Strength from 0 (nothing is added) to 1 (hardly readable), one number or one a recording.
    fs
        Sampling rate, Hz.

    Raises
    ------
    ValueError
        If the shape is not that of 12-lead recordings or a level lies outside 0-1.
    """
    if signal_mv.ndim not in (2, 3) or signal_mv.shape[-2] != 12:
        raise ValueError("signal_mv must have the shape (n, 12, samples) or (12, samples).")
    batch = signal_mv[None] if signal_mv.ndim == 2 else signal_mv
    levels = np.broadcast_to(np.asarray(level, np.float32), (len(batch),))
    if np.any((levels < 0) | (levels > 1)):
        raise ValueError("level must lie in 0-1.")
    noise = electrode_noise(rng, levels, batch.shape[-1], fs)
    noisy = batch.astype(np.float32) + LEADS_FROM_ELECTRODES @ noise
    return noisy.reshape(signal_mv.shape).astype(np.float32, copy=False)


def electrode_noise(
    rng: np.random.Generator, levels: NDArray[np.floating], samples: int, fs: float
) -> FloatArray:
    """Return noise potentials of the 9 electrodes, (n, 9, samples) float32, mV."""
    n = len(levels)
    level = levels.astype(np.float32)[:, None]
    # Strengths differ between recordings, kinds and electrodes; one electrode may be far worse.
    spread = rng.lognormal(0.0, 0.5, (3, n, 9)).astype(np.float32)
    worse = (rng.random((n, 9)) < 0.06) * rng.uniform(1.0, 3.0, (n, 9))
    spread *= (1 + worse).astype(np.float32)
    stationary = _shaped(rng, n, samples, fs, spread * level)
    noise = stationary + _mains(rng, level * spread[2], samples, fs)
    _add_motion(noise, rng, level * spread[0], fs)
    return noise


def device_filtered(electrodes_mv: FloatArray, rng: np.random.Generator, fs: float) -> FloatArray:
    """Return the potentials as electrocardiographs store them, half of them with filters of theirs.

    A one-pole high-pass of 0.05-0.5 Hz and a low-pass of 35-150 Hz, one of each a recording.
    """
    samples = electrodes_mv.shape[-1]
    which = np.flatnonzero(rng.random(len(electrodes_mv)) < 0.5)
    f = np.fft.rfftfreq(samples, 1 / fs).astype(np.float32)
    low_hz = rng.choice(np.array([0.05, 0.15, 0.3, 0.5], np.float32), (len(which), 1))
    high_hz = rng.choice(np.array([35, 40, 100, 150], np.float32), (len(which), 1))
    gain = f / (f - 1j * low_hz) / np.sqrt(1 + (f / high_hz) ** 6)
    spectrum = np.fft.rfft(electrodes_mv[which], axis=-1)
    spectrum *= gain.astype(np.complex64)[:, None]
    out = electrodes_mv.copy()
    out[which] = np.fft.irfft(spectrum, samples, axis=-1)
    return out


def _shaped(
    rng: np.random.Generator, n: int, samples: int, fs: float, strength: FloatArray
) -> FloatArray:
    """Baseline wander and muscle noise: white spectra given the power law of each kind."""
    f = np.fft.rfftfreq(samples, 1 / fs)
    shapes = []
    wander = np.where((f >= 0.05) & (f <= 0.7), 1 / np.maximum(f, 0.05), 0)
    muscle = np.where(f <= 0.45 * fs, 1 / (1 + (25 / np.maximum(f, 0.1)) ** 4) ** 0.5, 0)
    muscle /= (1 + (f / 120) ** 4) ** 0.5
    for shape, rms in ((wander, WANDER_RMS_MV), (muscle, MUSCLE_RMS_MV)):
        power = np.sqrt(2 * np.sum(shape**2))
        shapes.append(shape * (rms * samples / max(power, 1e-9) / np.sqrt(2)))
    real = rng.standard_normal((n, 9, len(f), 2), np.float32)
    white = real.view(np.complex64)[..., 0]
    gain = strength[0][..., None] * shapes[0].astype(np.float32)
    gain += strength[1][..., None] * shapes[1].astype(np.float32)
    return np.fft.irfft(white * gain, samples, axis=-1).astype(np.float32)


def _mains(rng: np.random.Generator, strength: FloatArray, samples: int, fs: float) -> FloatArray:
    n = len(strength)
    frequency = np.where(rng.random(n) < 0.5, 50.0, 60.0)
    present = rng.random(n) < 0.4
    amplitude = MAINS_AMPLITUDE_MV * strength * present[:, None] * rng.random((n, 9))
    phase = rng.uniform(0, 2 * np.pi, (n, 1)) + rng.uniform(-0.6, 0.6, (n, 9))
    angle = 2 * np.pi * frequency[:, None] * np.arange(samples) / fs
    wave = np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
    weights = np.stack([amplitude * np.cos(phase), amplitude * np.sin(phase)], axis=2)
    return weights.astype(np.float32) @ wave


def _add_motion(
    noise: FloatArray, rng: np.random.Generator, strength: FloatArray, fs: float
) -> None:
    """Add transients of single electrodes: a step that decays, with a wobble, or a burst."""
    samples = noise.shape[-1]
    seconds = samples / fs
    counts = rng.poisson(0.12 * seconds * np.minimum(2 * strength.mean(1), 1.0))
    for record in np.flatnonzero(counts):
        for _ in range(counts[record]):
            electrode = rng.integers(9)
            start = int(rng.integers(samples))
            t = np.arange(min(samples - start, int(2.5 * fs)), dtype=np.float32) / fs
            peak = MOTION_PEAK_MV * strength[record, electrode] * rng.normal()
            if rng.random() < 0.6:
                rise = 1 - np.exp(-t / rng.uniform(0.02, 0.15))
                wave = rise * np.exp(-t / rng.uniform(0.2, 0.8))
                wave *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 6) * t)
            else:
                envelope = np.exp(-(((t - 0.8) / 0.4) ** 2))
                wave = 0.3 * envelope * rng.standard_normal(len(t))
            noise[record, electrode, start : start + len(t)] += (peak * wave).astype(np.float32)
