"""What is measured on a window of a recording for the checks that were learned from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import BeatClass, Delineation, delineate
from model_core.delineation.signals import filtered, moving_mean, windows
from model_core.quality.form import measure_form

_FloatArray = NDArray[np.float64]

# Beats are compared from this long before the R peak to this long after it.
BEAT_BEFORE_S, BEAT_AFTER_S = 0.25, 0.45
QRS_REACH_S = 0.06
_BLOCK_S = 0.5
_FAST_HZ = 22.0
BANDS_HZ = (0.5, 2.0, 5.0, 10.0, 15.0, 22.0, 40.0)
_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Measured on one window.

    Attributes
    ----------
    lead
        By name, (leads,).
    whole
        By name, numbers of all leads together.
    form
        Of `model_core.quality.form`.
    beat_mv
        (leads, samples) the median of the beats of the most frequent shape, 0.5 to 40 Hz, mV, from
        `BEAT_BEFORE_S` before the R peak to `BEAT_AFTER_S` after it; zeros without a beat.
    beat_rate
        Samples of `beat_mv` a second.
    delineation
        The beats.
    """

    lead: dict[str, _FloatArray]
    whole: dict[str, float]
    form: _FloatArray
    beat_mv: _FloatArray
    beat_rate: float
    delineation: Delineation


def measure_features(signal_mv: NDArray[Any], fs: float, lead_names: tuple[str, ...]) -> Features:
    """Measure a window of 10 s or about.

    Parameters
    ----------
    signal_mv
        (leads, samples), mV, finite.
    fs
        Sampling frequency, Hz.
    lead_names
        One name a row.
    """
    x = np.asarray(signal_mv, dtype=np.float64)
    delineation = delineate(x, fs, lead_names)
    waves, slope, rate = filtered(x, fs)
    before, after = round(BEAT_BEFORE_S * rate), round(BEAT_AFTER_S * rate)
    peaks = np.rint(delineation.r_peak * rate / fs).astype(np.int64)
    counts = np.bincount(delineation.beat_class, minlength=len(BeatClass))
    usual = delineation.beat_class == int(counts.argmax())
    at = peaks[usual]
    whole_beats = at[(at >= before) & (at + after < waves.shape[1])]
    chosen = whole_beats if len(whole_beats) else at
    if len(chosen):
        beats = windows(waves, chosen, before, after)
        beats = beats - np.median(beats, axis=2, keepdims=True)
        beat = np.median(beats, axis=1)
    else:
        beats = np.zeros((len(x), 1, before + after + 1))
        beat = beats[:, 0]
    residual = np.sqrt(((beats - beat[:, np.newaxis]) ** 2).mean(axis=2))
    lead = _slow(x, fs) | _beats(beat, beats, residual, before, round(QRS_REACH_S * rate))
    fast = _fast_part(waves, rate)
    lead["fast"] = np.log(np.median(moving_mean(np.abs(fast), round(0.1 * rate)), axis=1) + 1e-4)
    steep = np.quantile(np.abs(slope), 0.995, axis=1)
    lead["steep"] = np.log(steep + _TINY)
    lead["clear"] = np.log((steep + _TINY) / (np.median(np.abs(slope), axis=1) + _TINY))
    whole = _rhythm(delineation, usual) | _shape(waves, slope, rate)
    form = measure_form(x, waves, beats, before, rate, lead_names)
    return Features(lead, whole, form, beat, rate, delineation)


def _slow(x: _FloatArray, fs: float) -> dict[str, _FloatArray]:
    """Size, baseline, and how long the line stands still."""
    centred = x - np.median(x, axis=1, keepdims=True)
    n = max(round(_BLOCK_S * fs), 2)
    blocks = centred[:, : x.shape[1] // n * n].reshape(len(x), -1, n)
    level = np.median(blocks, axis=2)
    still = (np.ptp(blocks, axis=2) < 0.02).mean(axis=1)
    return {
        "size": np.log(np.quantile(np.abs(centred), 0.999, axis=1) + 1e-3),
        "wander": np.log(np.ptp(level, axis=1) + 1e-2),
        "jump": np.log(np.abs(np.diff(level, axis=1)).max(axis=1) + 1e-2),
        "still": still,
        "loudest": np.log(np.ptp(blocks, axis=2).max(axis=1) + 1e-2)
        - np.log(np.median(np.ptp(blocks, axis=2), axis=1) + 1e-2),
    }


def _beats(
    beat: _FloatArray, beats: _FloatArray, residual: _FloatArray, r: int, reach: int
) -> dict[str, _FloatArray]:
    """How alike the beats of a lead are."""
    product = np.einsum("lbs,ls->lb", beats, beat)
    norm = np.linalg.norm(beats, axis=2) * np.linalg.norm(beat, axis=1)[:, np.newaxis]
    alike = product / (norm + _TINY)
    return {
        "alike": np.median(alike, axis=1),
        "least_alike": np.quantile(alike, 0.15, axis=1),
        "residual": np.log(np.median(residual, axis=1) + 1e-3),
        "worst_residual": np.log(residual.max(axis=1) + 1e-3),
        "qrs": np.log(np.ptp(beat[:, r - reach : r + reach + 1], axis=1) + 1e-2),
    }


def _fast_part(waves: _FloatArray, rate: float) -> _FloatArray:
    spectrum = np.fft.rfft(waves, axis=1)
    spectrum[:, np.fft.rfftfreq(waves.shape[1], 1 / rate) < _FAST_HZ] = 0
    return np.fft.irfft(spectrum, waves.shape[1], axis=1)


def _rhythm(d: Delineation, usual: NDArray[np.bool_]) -> dict[str, float]:
    rr_s = np.diff(d.r_peak) / d.fs
    qrs_s = (d.qrs_end - d.qrs_onset)[usual] / d.fs
    qrs_s = qrs_s[np.isfinite(qrs_s)]
    qt_s = (d.t_end - d.qrs_onset)[usual] / d.fs
    qt_s = qt_s[np.isfinite(qt_s)]
    rr = float(np.median(rr_s)) if len(rr_s) else 10.0
    return {
        "n_beats": float(d.n_beats),
        "rr": np.log(rr),
        "rr_spread": float(np.median(np.abs(rr_s - rr)) / rr) if len(rr_s) else 1.0,
        "usual_share": float(usual.mean()) if len(usual) else 0.0,
        "qrs_s": float(np.median(qrs_s)) if len(qrs_s) else 0.0,
        "qt_s": float(np.median(qt_s)) if len(qt_s) else 0.0,
        "t_share": float(np.isfinite(d.t_end[usual]).mean()) if usual.any() else 0.0,
        "p_share": float(np.isfinite(d.p_peak[usual]).mean()) if usual.any() else 0.0,
    }


def _shape(waves: _FloatArray, slope: _FloatArray, rate: float) -> dict[str, float]:
    """Spectrum, peakedness and dimension of all leads together."""
    z = waves / (waves.std(axis=1, keepdims=True) + _TINY)
    power = (np.abs(np.fft.rfft(z, axis=1)) ** 2).mean(axis=0)
    f = np.fft.rfftfreq(z.shape[1], 1 / rate)
    edges = np.searchsorted(f, BANDS_HZ)
    total = power[edges[0] : edges[-1]].sum() + _TINY
    found = {
        f"band_{low:g}": float(np.log(power[first:last].sum() / total + 1e-4))
        for low, first, last in zip(BANDS_HZ, edges, edges[1:], strict=False)
    }
    spread = np.sort(np.linalg.eigvalsh(z @ z.T / z.shape[1]))[::-1] / len(z)
    found |= {f"direction_{k}": float(np.log(spread[k] + 1e-3)) for k in range(min(3, len(z)))}
    found["peaked"] = float(np.log(np.median((z**4).mean(axis=1)) + _TINY))
    activity = moving_mean(np.abs(slope / (slope.std(axis=1, keepdims=True) + _TINY)), 40).mean(
        axis=0
    )
    found["bursts"] = float(
        np.log(np.quantile(activity, 0.98) / (np.quantile(activity, 0.3) + _TINY) + _TINY)
    )
    return found
