"""Whether the sampling rate that the file states can be true, by what the signal shows of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import LeadStep
from model_core.quality.features import Features
from model_core.quality.learned import learned_scores, pace_vector
from model_core.quality.reasons import refuse
from model_core.types import MachineMeasurement, Reason, Severity
from model_core.wording import joined, say

HEART_RATE_BPM = (20.0, 300.0)
QRS_MS = (40.0, 250.0)
# The device's rate may be a mean over more beats; seen in sound files: 10.5 % at most.
MACHINE_RATE_WITHIN = 0.15
# The device's numbers belong to a resting ECG, not to an hour of monitoring.
MACHINE_WINDOW_S = 30.0
MAINS_HZ = (50.0, 60.0)
_NEAR_HZ = 0.5
# Half of what makes a lead's slopes lies below this frequency in the slower quarter of the leads:
# 17 to 20 Hz in most ECGs, 28 Hz in 99 of 100. The rest are noisy, with a heart rate like any
# other; where the stated rate is too high, the heart too seems fast.
SLOPE_HZ_AT_MOST = 30.0
USUAL_BPM = (45.0, 100.0)
_SLOPE_BAND_HZ = (2.0, 100.0)
_AROUND_MAINS_HZ = 2.0
# By how much the rate of files is mistaken: true over stated. Larger factors show in the beats.
RATE_MISTAKES = (0.2, 0.25, 0.5, 2.0)
# Mains is a single line: so much higher (amplitude) than all within 2 Hz of it. The lines of a
# regular heart lie closer together.
MAINS_ABOVE = 5.0
_SEARCH_FROM_HZ = 22.0


def check_timing(
    features: Features,
    signal_mv: NDArray[np.float64],
    fs: float,
    duration_s: float,
    measurements: tuple[MachineMeasurement, ...],
) -> list[Reason]:
    """Compare the stated rate with the beats, the device's numbers and the mains.

    Parameters
    ----------
    features
        Of the window.
    signal_mv
        (leads, samples) of the window, mV.
    fs
        Stated sampling frequency, Hz.
    duration_s
        Of the whole recording, s.
    measurements
        What the device worked out.
    """
    bpm = 60 / float(np.exp(features.whole["rr"]))
    qrs_ms = 1000 * features.whole["qrs_s"]
    low, high = HEART_RATE_BPM
    if not low <= bpm <= high:
        return [
            _mistaken(
                say(
                    "the heart would beat {bpm:.0f} times a minute at {fs:g} samples a second",
                    bpm=bpm,
                    fs=fs,
                )
            )
        ]
    if not QRS_MS[0] <= qrs_ms <= QRS_MS[1]:
        return [
            _mistaken(
                say(
                    "the QRS complex would last {qrs_ms:.0f} ms at {fs:g} samples a second",
                    qrs_ms=qrs_ms,
                    fs=fs,
                )
            )
        ]
    slope_hz = slope_frequency_hz(signal_mv, fs)
    if slope_hz > SLOPE_HZ_AT_MOST and not USUAL_BPM[0] <= bpm <= USUAL_BPM[1]:
        return [
            _mistaken(
                say(
                    "its waves would be faster ({slope_hz:.0f} Hz) than a heart makes them at "
                    "{fs:g} samples a second",
                    slope_hz=slope_hz,
                    fs=fs,
                )
            )
        ]
    stated = _machine_bpm(measurements)
    beats_in_all = 60 * features.delineation.n_beats / (signal_mv.shape[1] / fs)
    if stated and duration_s <= MACHINE_WINDOW_S:
        off = min(abs(bpm / stated - 1), abs(beats_in_all / stated - 1))
        if off > MACHINE_RATE_WITHIN:
            return [
                _mistaken(
                    say(
                        "the device counted {stated:.0f} beats a minute, and the signal shows "
                        "{bpm:.0f}",
                        stated=stated,
                        bpm=bpm,
                    )
                )
            ]
    peak_hz = mains_peak_hz(signal_mv, fs)
    for factor in RATE_MISTAKES:
        if any(abs(peak_hz * factor - mains) <= _NEAR_HZ for mains in MAINS_HZ):
            return [
                _mistaken(
                    say(
                        "mains hum stands at {peak_hz:.0f} Hz, which would be {true_hz:.0f} Hz at "
                        "{true_fs:g} samples a second",
                        peak_hz=peak_hz,
                        true_hz=peak_hz * factor,
                        true_fs=fs * factor,
                    )
                )
            ]
    return []


def check_course(
    features: Features,
    fs: float,
    measurements: tuple[MachineMeasurement, ...],
    *,
    confirmed: bool = False,
) -> list[Reason]:
    """Ask about what looks like an ECG whose time is stretched or pressed by about two.

    Not where the device's own heart rate has been compared; only a caution once it is confirmed.
    """
    pace, scores = pace_vector(features), learned_scores()
    slow, fast = scores["slow"].exceeded(pace), scores["fast"].exceeded(pace)
    if _machine_bpm(measurements) or not (slow or fast):
        return []
    found = say(
        "At {fs:g} samples a second the heart would beat {bpm:.0f} times a minute with QRS "
        "complexes of {qrs_ms:.0f} ms, and all waves would be {as_slow}: it looks like an ECG of "
        "about {times} that rate.",
        fs=fs,
        bpm=60 / float(np.exp(features.whole["rr"])),
        qrs_ms=1000 * features.whole["qrs_s"],
        as_slow=say("as slow") if slow else say("as fast"),
        times=say("twice") if slow else say("half"),
    )
    if confirmed:
        severity = Severity.CAUTION
        then = say("You confirmed that the sampling rate is right.")
    else:
        severity = Severity.CONFIRM
        then = say("The result is withheld until you confirm that the sampling rate is right.")
    return [Reason("sampling_rate", severity, joined([found, then]))]


def _mistaken(what: str) -> Reason:
    message = say("The sampling rate that the file states cannot be true: {what}.", what=what)
    return refuse("rate_contradicted", message)


def _machine_bpm(measurements: tuple[MachineMeasurement, ...]) -> float:
    """Heart rate by the device, beats a minute; 0 where it gives none."""
    by_key = {each.key: each.value for each in measurements}
    if by_key.get("heart_rate", 0) > 0:
        return by_key["heart_rate"]
    rr_ms = by_key.get("rr_interval", 0)
    return 60_000 / rr_ms if rr_ms > 0 else 0.0


def slope_frequency_hz(signal_mv: NDArray[np.float64], fs: float) -> float:
    """Say how fast the waves of an ECG are, whatever its beats are taken for.

    Parameters
    ----------
    signal_mv
        (leads, samples), mV.
    fs
        Stated sampling frequency, Hz.

    Returns
    -------
    float
        Frequency, Hz, below which half of the power of the slope lies, from 2 to 100 Hz without
        mains; of the lead at the lower quarter, since noise makes leads faster and never slower.
        NaN where no lead has any.
    """
    slope = np.diff(np.nan_to_num(signal_mv), axis=1)
    power = np.abs(np.fft.rfft(slope * np.hanning(slope.shape[1]), axis=1)) ** 2
    f = np.fft.rfftfreq(slope.shape[1], 1 / fs)
    low, high = _SLOPE_BAND_HZ
    used = (f >= low) & (f <= min(0.4 * fs, high))
    for mains in MAINS_HZ:
        used &= np.abs(f - mains) > _AROUND_MAINS_HZ
    below = np.cumsum(power[:, used], axis=1)
    below = below[below[:, -1] > 0]
    if not len(below):
        return float("nan")
    middle = np.argmax(below >= below[:, -1:] / 2, axis=1)
    return float(np.percentile(f[used][middle], 25))


def mains_peak_hz(signal_mv: NDArray[np.float64], fs: float) -> float:
    """Where a single narrow line stands far out of the spectrum, Hz; 0 if none does, or at mains.

    The leads' spectra are added up, each as a share of its own size.
    """
    x = signal_mv - signal_mv.mean(axis=1, keepdims=True)
    x = x * np.hanning(x.shape[1])
    amplitude = np.abs(np.fft.rfft(x, axis=1))
    amplitude = np.median(amplitude / (amplitude.mean(axis=1, keepdims=True) + 1e-12), axis=0)
    f = np.fft.rfftfreq(x.shape[1], 1 / fs)
    first = int(np.searchsorted(f, _SEARCH_FROM_HZ))
    if first >= len(f) - 1:
        return 0.0
    at = first + int(amplitude[first:].argmax())
    width = max(round(2.0 / f[1]), 3)
    around = np.r_[amplitude[max(at - width, 0) : at - 3], amplitude[at + 4 : at + width]]
    if not len(around) or amplitude[at] < MAINS_ABOVE * around.max():
        return 0.0
    peak = float(f[at])
    return 0.0 if any(abs(peak - mains) <= _NEAR_HZ for mains in MAINS_HZ) else peak


def step_caution(step: LeadStep, start_s: float) -> Reason:
    """Say that a lead loses its place in time; the estimate may be given all the same.

    Parameters
    ----------
    step
        With seconds of the window.
    start_s
        Where the window starts, seconds of the recording.
    """
    message = say(
        "From {at_s:.1f} s on, lead {lead} is {by_ms:.0f} ms {later} against the other leads "
        "than before: the device or a conversion lost their common time. Intervals across "
        "leads are wrong there; the computed ones leave this lead out. Export or record the "
        "ECG again if you can.",
        at_s=start_s + step.at_s,
        lead=step.lead,
        by_ms=abs(step.by_ms),
        later=say("later") if step.by_ms > 0 else say("earlier"),
    )
    return Reason("lead_time_step", Severity.CAUTION, message, lead=step.lead)
