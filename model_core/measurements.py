"""Intervals, axes and amplitudes of an ECG, measured on its marked beats.

Everything is measured on the beats of the dominant kind: intervals as medians over these beats,
amplitudes and axes on their median beat. NaN means: not measurable here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import BeatClass, Delineation, fill_gaps

_FloatArray = NDArray[np.float64]

# The median beat reaches this far before and after the R peak.
MEDIAN_BEAT_BEFORE_S = 0.45
MEDIAN_BEAT_AFTER_S = 0.75
# Of the beats, at least this share must have a P wave for the ECG to have one.
_P_SHARE = 0.5
# Successive RR intervals of a regular rhythm differ by less than this share (median).
_REGULAR_AT_MOST = 0.08
_BASELINE_HZ = 0.5
# The ST level is read at the J point and this long after it.
_ST_AFTER_J_S = 0.06

SCALARS = (
    "heart_rate_bpm",
    "rr_ms",
    "rr_sd_ms",
    "rr_rmssd_ms",
    "p_duration_ms",
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "qtc_bazett_ms",
    "qtc_fridericia_ms",
    "qtc_framingham_ms",
    "qtc_hodges_ms",
    "p_axis_deg",
    "qrs_axis_deg",
    "t_axis_deg",
    "ectopic_share",
    "paced_share",
    "p_share",
)
AMPLITUDES = ("p_mv", "q_mv", "r_mv", "s_mv", "j_mv", "st60_mv", "t_mv")


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What was measured; NaN where it could not be.

    Attributes
    ----------
    lead_names
        One name a row of the arrays.
    n_beats
        Beats found, of all kinds.
    heart_rate_bpm
        60 s over the mean RR interval of all beats.
    rr_ms, rr_sd_ms, rr_rmssd_ms
        Mean and standard deviation of the RR intervals; root mean square of their successive
        differences.
    p_duration_ms, pr_ms, qrs_ms, qt_ms
        P onset to P end, P onset to QRS onset, QRS onset to QRS end, QRS onset to T end.
    qtc_bazett_ms, qtc_fridericia_ms, qtc_framingham_ms, qtc_hodges_ms
        QT corrected for the heart rate by the formula named, see `corrected_qt_ms`.
    p_axis_deg, qrs_axis_deg, t_axis_deg
        Direction in the frontal plane, -180 to 180 degrees, 0 along lead I, 90 along aVF, from the
        area of the wave. NaN without two limb leads.
    ectopic_share, paced_share, p_share
        Shares of the beats, 0 to 1: of another shape than most; after a pacing spike; with a P
        wave among those of the dominant kind.
    regular
        Whether successive RR intervals differ little; None with fewer than three beats.
    p_present
        Whether most beats of the dominant kind have a P wave.
    median_beat_mv
        (leads, samples) at the recording's rate, from `MEDIAN_BEAT_BEFORE_S` before the R peak to
        `MEDIAN_BEAT_AFTER_S` after it, 0 mV before the QRS onset.
    median_beat_marks
        Marks of the median beat by name, as its sample positions.
    p_mv, q_mv, r_mv, s_mv, j_mv, st60_mv, t_mv
        (leads,) mV against the level before the QRS. P and T signed, at their largest; R the
        largest positive, Q and S (both <= 0) the lowest before and after it, 0 where there is none;
        ST at the end of the QRS (J point) and 60 ms later.
    """

    lead_names: tuple[str, ...]
    n_beats: int
    heart_rate_bpm: float
    rr_ms: float
    rr_sd_ms: float
    rr_rmssd_ms: float
    p_duration_ms: float
    pr_ms: float
    qrs_ms: float
    qt_ms: float
    qtc_bazett_ms: float
    qtc_fridericia_ms: float
    qtc_framingham_ms: float
    qtc_hodges_ms: float
    p_axis_deg: float
    qrs_axis_deg: float
    t_axis_deg: float
    ectopic_share: float
    paced_share: float
    p_share: float
    regular: bool | None
    p_present: bool
    median_beat_mv: _FloatArray
    median_beat_marks: dict[str, float]
    p_mv: _FloatArray
    q_mv: _FloatArray
    r_mv: _FloatArray
    s_mv: _FloatArray
    j_mv: _FloatArray
    st60_mv: _FloatArray
    t_mv: _FloatArray


def row(measurements: Measurements) -> dict[str, float]:
    """All numbers as one flat row: the `SCALARS`, then amplitudes as ``r_mv_V5``.

    Truth values come as 0 and 1, an unknown one as NaN.
    """
    values = {name: float(getattr(measurements, name)) for name in SCALARS}
    values["regular"] = np.nan if measurements.regular is None else float(measurements.regular)
    values["p_present"] = float(measurements.p_present)
    for name in AMPLITUDES:
        for lead, value in zip(measurements.lead_names, getattr(measurements, name), strict=True):
            values[f"{name}_{lead}"] = float(value)
    return values


def corrected_qt_ms(qt_ms: float, rr_ms: float) -> dict[str, float]:
    """QT at a rate of 60 a minute, by four formulas.

    Bazett: QT / RR^(1/2) (Heart 1920;7:353); Fridericia: QT / RR^(1/3) (Acta Med Scand
    1920;53:469); Framingham: QT + 154 (1 - RR) (Sagie et al., Am J Cardiol 1992;70:797); Hodges:
    QT + 1.75 (rate - 60) (J Am Coll Cardiol 1983;1:694). RR in s, QT in ms, rate a minute.

    Examples
    --------
    >>> {name: round(value) for name, value in corrected_qt_ms(360, 640).items()}
    {'bazett': 450, 'fridericia': 418, 'framingham': 415, 'hodges': 419}
    """
    rr_s = rr_ms / 1000
    return {
        "bazett": qt_ms / rr_s**0.5,
        "fridericia": qt_ms / rr_s ** (1 / 3),
        "framingham": qt_ms + 154 * (1 - rr_s),
        "hodges": qt_ms + 1.75 * (60 / rr_s - 60),
    }


def measure(delineation: Delineation, signal_mv: NDArray[Any]) -> Measurements:
    """Measure a delineated recording.

    Parameters
    ----------
    delineation
        Of the same signal.
    signal_mv
        (leads, samples), mV, NaN where there is no sample.

    Returns
    -------
    Measurements
        All NaN, if there is no beat.
    """
    d = delineation
    signal = np.asarray(signal_mv, dtype=np.float64)
    beat_class = _dominant_class(d)
    chosen = np.flatnonzero(d.beat_class == beat_class)
    to_ms = 1000 / d.fs
    rr_ms = np.diff(d.r_peak) * to_ms
    p_share = float(np.isfinite(d.p_peak[chosen]).mean()) if len(chosen) else np.nan
    p_present = p_share >= _P_SHARE

    def interval(start: _FloatArray, end: _FloatArray) -> float:
        return _median((end - start)[chosen]) * to_ms

    median_beat, used = _median_beat(signal, d, chosen)
    before = round(MEDIAN_BEAT_BEFORE_S * d.fs)
    marks = {
        name: before + _median((getattr(d, name) - d.r_peak)[chosen])
        for name in ("p_onset", "p_peak", "p_end", "qrs_onset", "qrs_end", "t_peak", "t_end")
    }
    if not p_present:
        marks |= dict.fromkeys(("p_onset", "p_peak", "p_end"), np.nan)
    median_beat = median_beat - _level_before_qrs(median_beat, marks, d.fs)[:, np.newaxis]
    median_beat[~used] = np.nan
    qt_ms = interval(d.qrs_onset, d.t_end)
    mean_rr_ms = float(rr_ms.mean()) if len(rr_ms) else np.nan
    corrected = corrected_qt_ms(qt_ms, mean_rr_ms)
    amplitudes = _amplitudes(median_beat, marks, d.fs)
    return Measurements(
        lead_names=d.lead_names,
        n_beats=d.n_beats,
        heart_rate_bpm=60_000 / mean_rr_ms,
        rr_ms=mean_rr_ms,
        rr_sd_ms=float(rr_ms.std()) if len(rr_ms) > 1 else np.nan,
        rr_rmssd_ms=float(np.sqrt((np.diff(rr_ms) ** 2).mean())) if len(rr_ms) > 1 else np.nan,
        p_duration_ms=interval(d.p_onset, d.p_end) if p_present else np.nan,
        pr_ms=interval(d.p_onset, d.qrs_onset) if p_present else np.nan,
        qrs_ms=interval(d.qrs_onset, d.qrs_end),
        qt_ms=qt_ms,
        qtc_bazett_ms=corrected["bazett"],
        qtc_fridericia_ms=corrected["fridericia"],
        qtc_framingham_ms=corrected["framingham"],
        qtc_hodges_ms=corrected["hodges"],
        p_axis_deg=_axis_deg(median_beat, d.lead_names, marks["p_onset"], marks["p_end"]),
        qrs_axis_deg=_axis_deg(median_beat, d.lead_names, marks["qrs_onset"], marks["qrs_end"]),
        t_axis_deg=_axis_deg(median_beat, d.lead_names, marks["qrs_end"], marks["t_end"]),
        ectopic_share=_share(d.beat_class == BeatClass.ECTOPIC),
        paced_share=_share(d.beat_class == BeatClass.PACED),
        p_share=p_share,
        regular=_regular(rr_ms),
        p_present=p_present,
        median_beat_mv=median_beat,
        median_beat_marks=marks,
        **amplitudes,
    )


def _dominant_class(d: Delineation) -> int:
    if not d.n_beats:
        return BeatClass.NORMAL
    counts = np.bincount(d.beat_class, minlength=len(BeatClass))
    # Ectopic beats are of many shapes: they are never measured as one.
    return (
        BeatClass.PACED if counts[BeatClass.PACED] > counts[BeatClass.NORMAL] else BeatClass.NORMAL
    )


def _median(values: _FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else np.nan


def _regular(rr_ms: _FloatArray) -> bool | None:
    if len(rr_ms) < 2:
        return None
    return bool(np.median(np.abs(np.diff(rr_ms))) < _REGULAR_AT_MOST * np.median(rr_ms))


def _median_beat(
    signal: _FloatArray, d: Delineation, chosen: NDArray[np.int64]
) -> tuple[_FloatArray, NDArray[np.bool_]]:
    """Median over the chosen beats that lie within the recording, and which leads have one."""
    before, after = round(MEDIAN_BEAT_BEFORE_S * d.fs), round(MEDIAN_BEAT_AFTER_S * d.fs)
    if not len(chosen):
        return np.full((len(signal), before + after + 1), np.nan), np.zeros(len(signal), dtype=bool)
    filled, missing = fill_gaps(signal)
    used = missing.mean(axis=1) < 0.5
    centres = np.rint(d.r_peak[chosen]).astype(np.int64)
    whole = (centres >= before) & (centres + after < signal.shape[1])
    centres = centres[whole] if whole.any() else centres
    at = centres[:, np.newaxis] + np.arange(-before, after + 1)
    level = _without_baseline(filled, d.fs)
    return np.median(level[:, np.clip(at, 0, signal.shape[1] - 1)], axis=1), used


def _without_baseline(signal: _FloatArray, fs: float) -> _FloatArray:
    """Take out what is slower than 0.5 Hz, with no shift of phase."""
    n = signal.shape[1]
    extended = np.concatenate((signal, signal[:, ::-1]), axis=1)
    f: _FloatArray = np.arange(n + 1, dtype=np.float64) * (fs / (2 * n))
    with np.errstate(divide="ignore"):
        slow = 1 - 1 / (1 + (_BASELINE_HZ / f) ** 4)
    few = int(np.searchsorted(f, 20 * _BASELINE_HZ))
    slow[few:] = 0
    return signal - np.fft.irfft(np.fft.rfft(extended, axis=1) * slow, 2 * n, axis=1)[:, :n]


def _level_before_qrs(beat: _FloatArray, marks: dict[str, float], fs: float) -> _FloatArray:
    """Median of each lead over the 16 ms that end at the QRS onset."""
    onset = marks["qrs_onset"]
    if not np.isfinite(onset):
        return np.zeros(len(beat))
    stop = max(round(onset), 1)
    start = max(stop - max(round(0.016 * fs), 1), 0)
    return np.median(beat[:, start:stop], axis=1)


def _part(beat: _FloatArray, start: float, stop: float) -> _FloatArray | None:
    """Cut the median beat from one mark to another; None if a mark is missing."""
    if not (np.isfinite(start) and np.isfinite(stop)):
        return None
    first, last = max(round(start), 0), min(round(stop), beat.shape[1] - 1)
    return beat[:, first : last + 1] if last > first else None


def _amplitudes(beat: _FloatArray, marks: dict[str, float], fs: float) -> dict[str, _FloatArray]:
    values = {name: np.full(len(beat), np.nan) for name in AMPLITUDES}
    qrs = _part(beat, marks["qrs_onset"], marks["qrs_end"])
    if qrs is not None:
        rows = np.arange(len(beat))
        at_r = qrs.argmax(axis=1)
        r = np.maximum(qrs[rows, at_r], 0)
        place: NDArray[np.int64] = np.arange(qrs.shape[1], dtype=np.int64)
        early = (place <= at_r[:, np.newaxis]) & (r > 0)[:, np.newaxis]
        values["r_mv"] = r + 0 * qrs[:, 0]
        values["q_mv"] = np.where(early, np.minimum(qrs, 0), 0).min(axis=1) + 0 * qrs[:, 0]
        values["s_mv"] = np.where(early, 0, np.minimum(qrs, 0)).min(axis=1) + 0 * qrs[:, 0]
        j = min(round(marks["qrs_end"]), beat.shape[1] - 1)
        values["j_mv"] = beat[:, j]
        values["st60_mv"] = beat[:, min(j + round(_ST_AFTER_J_S * fs), beat.shape[1] - 1)]
    for name, start, stop in (
        ("p_mv", marks["p_onset"], marks["p_end"]),
        ("t_mv", marks["qrs_end"] + 0.04 * fs, marks["t_end"]),
    ):
        wave = _part(beat, start, stop)
        if wave is not None:
            largest = np.abs(wave).argmax(axis=1, keepdims=True)
            values[name] = np.take_along_axis(wave, largest, axis=1)[:, 0]
    return values


def _axis_deg(beat: _FloatArray, lead_names: tuple[str, ...], start: float, stop: float) -> float:
    """Direction of a wave's area in the frontal plane, from two limb leads.

    aVF = II - I / 2 with Einthoven's and Goldberger's relations; lengthened by 2 / sqrt(3), for the
    augmented leads are shorter than the bipolar ones.
    """
    wave = _part(beat, start, stop)
    if wave is None:
        return np.nan
    area = dict(zip(lead_names, wave.sum(axis=1), strict=True))
    one, two, three = (area.get(name, np.nan) for name in ("I", "II", "III"))
    one = one if np.isfinite(one) else two - three
    two = two if np.isfinite(two) else one + three
    foot = (2 * two - one) / np.sqrt(3)
    if not np.isfinite(foot) or (one == 0 and foot == 0):
        return np.nan
    return float(np.degrees(np.arctan2(foot, one)))
