"""What is done to prepared ECGs in training, and the noise injected in evaluation.

Shapes: B items, L leads, S samples. Signals are mV, filtered and resampled, not standardised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS
from training.config import AugmentConfig
from training.dower import INDEPENDENT_LEADS, LEAD_VECTORS

FloatArray = NDArray[np.float32]
FS = 100.0
_OWN_ROWS = [STANDARD_LEADS.index(lead) for lead in INDEPENDENT_LEADS]


@dataclass(frozen=True)
class Augmented:
    """A batch before and after noise.

    Attributes
    ----------
    clean_mv, noisy_mv
        (B, L, S), mV; leads declared missing are zero in the noisy one.
    keep
        (B, L), False where a lead is declared missing.
    """

    clean_mv: FloatArray
    noisy_mv: FloatArray
    keep: NDArray[np.bool_]


def augment(
    ecg_mv: FloatArray, noise_mv: FloatArray, config: AugmentConfig, rng: np.random.Generator
) -> Augmented:
    """Turn, shift, stretch, scale, add noise and take leads away.

    Parameters
    ----------
    ecg_mv
        (B, L, S).
    noise_mv
        (recordings, L, S), pure noise at level 1.
    config
        How often and how much.
    rng
        Source of randomness.
    """
    n_items, n_leads, n_samples = ecg_mv.shape
    clean = _turn(ecg_mv, config.turn_deg, rng) if config.turn_deg > 0 else ecg_mv
    clean = _move_in_time(clean, config, rng)
    gain = np.exp(config.gain_jitter * rng.standard_normal((n_items, 1, 1)))
    clean = (clean * gain).astype(np.float32)

    # From hardly visible to hardly readable.
    level = np.exp(rng.uniform(np.log(0.05), np.log(1.0), n_items))
    level *= rng.random(n_items) < config.noise_share
    noisy = clean + level[:, None, None].astype(np.float32) * _some_noise(noise_mv, n_items, rng)
    for item in np.flatnonzero(rng.random(n_items) < config.burst_share):
        for _ in range(rng.integers(1, 5)):
            lead, first = rng.integers(n_leads), rng.integers(n_samples - 25)
            last = first + round(FS * rng.uniform(0.25, 3.0))
            noisy[item, lead, first:last] += _burst(noise_mv, last - first, rng)[
                : n_samples - first
            ]

    keep = np.ones((n_items, n_leads), dtype=bool)
    for item in np.flatnonzero(rng.random(n_items) < config.drop_share):
        keep[item, rng.permutation(n_leads)[: rng.integers(1, n_leads // 2 + 1)]] = False
    noisy *= keep[:, :, None]
    return Augmented(clean, noisy, keep)


@dataclass(frozen=True)
class Mixing:
    """How items of a batch were mixed with one another.

    Attributes
    ----------
    partner
        (B,), the other item of each.
    share
        (B,), what the item itself holds of the mixture; 1 where nothing was mixed.
    span
        (B, 2), the samples taken from the partner (cutmix); (0, 0) where all are blended (mixup).
    """

    partner: NDArray[np.intp]
    share: FloatArray
    span: NDArray[np.intp]


def draw_mixing(n_items: int, n_samples: int, mix_share: float, rng: np.random.Generator) -> Mixing:
    """Draw PCME++'s mixed sample augmentation: mixup or cutmix in time, for a share of the items.

    Item i meets item B - 1 - i; weights from Beta(2, 2); either kind half of the time (Chun, ICLR
    2024; Zhang et al., ICLR 2018; Yun et al., ICCV 2019).
    """
    share = rng.beta(2.0, 2.0, n_items)
    share[rng.random(n_items) >= mix_share] = 1.0
    length = np.round((1 - share) * n_samples).astype(int)
    first = np.floor(rng.random(n_items) * (n_samples - length + 1)).astype(int)
    cut = rng.random(n_items) < 0.5
    share = np.where(cut, 1 - length / n_samples, share)
    span = np.stack([first, first + length], axis=1) * (cut & (length > 0))[:, None]
    return Mixing(np.arange(n_items)[::-1].copy(), share.astype(np.float32), span)


def mix_signals(ecg: FloatArray, mixing: Mixing) -> FloatArray:
    """Apply a mixing to signals, (B, L, S)."""
    mixed = ecg.copy()
    for item in np.flatnonzero(mixing.share < 1):
        other, (first, last) = ecg[mixing.partner[item]], mixing.span[item]
        if last > first:
            mixed[item, :, first:last] = other[:, first:last]
        else:
            mixed[item] = mixing.share[item] * ecg[item] + (1 - mixing.share[item]) * other
    return mixed


def mix_rows(values: FloatArray, mixing: Mixing) -> FloatArray:
    """Apply a mixing to targets, one row an item, (B, ...)."""
    share = mixing.share.reshape(-1, *[1] * (values.ndim - 1))
    return (share * values + (1 - share) * values[mixing.partner]).astype(np.float32)


def _turn(ecg_mv: FloatArray, turn_deg: float, rng: np.random.Generator) -> FloatArray:
    """Turn the heart in the chest: the part of the leads that a dipole explains, by Dower.

    Each item turns by its own small angles about the three axes, normal with SD `turn_deg`.
    """
    x, y, z = np.deg2rad(turn_deg) * rng.standard_normal((3, len(ecg_mv)))
    nothing = np.zeros_like(x)
    # First order in the angles, which is exact enough below some 20 degrees.
    change = np.stack(
        [
            np.stack([nothing, -z, y], 1),
            np.stack([z, nothing, -x], 1),
            np.stack([-y, x, nothing], 1),
        ],
        axis=1,
    )
    lead_change = LEAD_VECTORS @ change @ np.linalg.pinv(LEAD_VECTORS)  # (B, 8, 8)
    own = ecg_mv[:, _OWN_ROWS]
    own = own + np.matmul(lead_change.astype(np.float32), own)
    lead_i, lead_ii = own[:, 0], own[:, 1]
    limbs = [
        lead_i,
        lead_ii,
        lead_ii - lead_i,
        -(lead_i + lead_ii) / 2,
        lead_i - lead_ii / 2,
        lead_ii - lead_i / 2,
    ]
    return np.concatenate([np.stack(limbs, axis=1), own[:, 2:]], axis=1)


def _move_in_time(
    ecg_mv: FloatArray, config: AugmentConfig, rng: np.random.Generator
) -> FloatArray:
    """Shift, and stretch or squeeze time; what leaves at one end comes in at the other."""
    n_items, _, n_samples = ecg_mv.shape
    shift = rng.integers(-1, 2, n_items) * rng.integers(
        0, round(config.max_shift_s * FS) + 1, n_items
    )
    pace = np.exp(config.pace_jitter * rng.standard_normal(n_items))
    if config.pace_jitter == 0:
        index = (np.arange(n_samples) - shift[:, None]) % n_samples
        return np.take_along_axis(ecg_mv, index[:, None, :], axis=2)
    place = (np.arange(n_samples) * pace[:, None] - shift[:, None]) % n_samples
    before = place.astype(int) % n_samples
    weight = (place - before).astype(np.float32)[:, None, :]
    after = (before + 1) % n_samples
    first = np.take_along_axis(ecg_mv, before[:, None, :], axis=2)
    second = np.take_along_axis(ecg_mv, after[:, None, :], axis=2)
    return first + weight * (second - first)


def _some_noise(noise_mv: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Sum of two shifted noise recordings, so that few recordings make many noises."""
    total = np.zeros((n, *noise_mv.shape[1:]), np.float32)
    for _ in range(2):
        rows = rng.integers(len(noise_mv), size=n)
        shift = int(rng.integers(noise_mv.shape[2]))
        total += np.roll(noise_mv[rows], shift, axis=2) * np.float32(np.sqrt(0.5))
    return total


def _burst(noise_mv: FloatArray, n_samples: int, rng: np.random.Generator) -> FloatArray:
    """Noise of one lead during a short time: recorded kinds, or a steady tremor or a square."""
    size_mv = np.exp(rng.uniform(np.log(0.1), np.log(1.5)))
    kind = rng.integers(3)
    time_s = np.arange(n_samples) / FS
    if kind == 0:
        row, lead = rng.integers(len(noise_mv)), rng.integers(noise_mv.shape[1])
        wave = np.roll(noise_mv[row, lead], rng.integers(noise_mv.shape[2]))[:n_samples]
        wave = wave / (wave.std() + 1e-3)
    elif kind == 1:
        wave = np.sin(2 * np.pi * rng.uniform(4, 35) * time_s) * np.sqrt(2)
    else:
        wave = np.sign(np.sin(2 * np.pi * rng.uniform(0.3, 6) * time_s + rng.uniform(0, 6)))
    return (size_mv * wave).astype(np.float32)


def inject_burst(
    ecg_mv: FloatArray, rng: np.random.Generator, *, rms_mv: float = 0.3, duration_s: float = 1.0
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
    """Add white noise up to 40 Hz to one lead for a while: a kind that training never uses.

    Parameters
    ----------
    ecg_mv
        (B, L, S).
    rng
        Source of randomness.
    rms_mv, duration_s
        Size of the burst.

    Returns
    -------
    noisy_mv, lead, first_sample
        The signals, and where the burst of each item is.
    """
    n_items, n_leads, n_samples = ecg_mv.shape
    n_burst = round(duration_s * FS)
    noisy = ecg_mv.copy()
    lead = rng.integers(n_leads, size=n_items)
    first = rng.integers(n_samples - n_burst + 1, size=n_items)
    spectrum = np.fft.rfft(rng.standard_normal((n_items, n_burst)), axis=1)
    spectrum[:, np.fft.rfftfreq(n_burst, 1 / FS) > 40.0] = 0
    burst = np.fft.irfft(spectrum, n_burst, axis=1)
    burst *= rms_mv / burst.std(axis=1, keepdims=True)
    for item in range(n_items):
        noisy[item, lead[item], first[item] : first[item] + n_burst] += burst[item]
    return noisy, lead, first
