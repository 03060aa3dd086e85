"""Where the beats of an ECG are, and where their waves begin and end.

Our own method, on all leads together. Beats are found where the leads agree that the voltage
changes fast. Beats of one shape are averaged, and the average is marked: there the noise is low,
and a wave that is not tied to the beat (fibrillation, a P wave of its own rate) averages out. The
marks then go back to each beat, where P and T may shift by what their own correlation says.
Accuracy on hand-marked ECGs: docs/measurements.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FloatArray = NDArray[np.float64]
_IntArray = NDArray[np.int64]

# The work is done at about this rate, whatever the recording's.
_WORK_HZ = 500.0
_MS = _WORK_HZ / 1000
_WINDOW_S = 60.0
_OVERLAP_S = 4.0
_SHORTEST_S = 1.0

# An average beat reaches this far before and after its R peak.
_BEFORE = round(450 * _MS)
_AFTER = round(750 * _MS)


class BeatClass(IntEnum):
    """What a beat's shape says about where it came from."""

    NORMAL = 0
    ECTOPIC = 1
    PACED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Delineation:
    """The beats of a recording and their marks, common to all leads.

    All marks are sample positions of the recording (fractions included, the first sample is 0), one
    a beat, float64; NaN means that the wave was not found or lies outside the recording.

    Attributes
    ----------
    fs
        Sampling frequency of the recording, Hz.
    lead_names
        One name a row of the signal.
    r_peak
        Where the beat's deflection is largest over all leads; never NaN, rising.
    p_onset, p_peak, p_end, qrs_onset, qrs_end, t_peak, t_end
        The marks of each beat.
    beat_class
        A `BeatClass` value a beat, int8.
    """

    fs: float
    lead_names: tuple[str, ...]
    r_peak: _FloatArray
    p_onset: _FloatArray
    p_peak: _FloatArray
    p_end: _FloatArray
    qrs_onset: _FloatArray
    qrs_end: _FloatArray
    t_peak: _FloatArray
    t_end: _FloatArray
    beat_class: NDArray[np.int8]

    @property
    def n_beats(self) -> int:
        """Number of beats."""
        return len(self.r_peak)


MARKS = ("p_onset", "p_peak", "p_end", "qrs_onset", "qrs_end", "t_peak", "t_end")


def delineate(signal_mv: NDArray[Any], fs: float, lead_names: Sequence[str]) -> Delineation:
    """Find the beats of a recording and mark their waves.

    Parameters
    ----------
    signal_mv
        (leads, samples), mV; NaN where there is no sample. Any leads, any number of them.
    fs
        Sampling frequency, Hz; 100 or more.
    lead_names
        One name a row.

    Returns
    -------
    Delineation
        Without beats, if the signal is too short (under 1 s), flat or missing.

    Raises
    ------
    ValueError
        If shapes and names do not fit, or the rate is not a positive number.
    """
    signal = np.asarray(signal_mv, dtype=np.float64)
    if signal.ndim != 2 or len(signal) != len(lead_names):
        raise ValueError(f"{len(lead_names)} lead names for a signal of shape {signal.shape}")
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"sampling frequency must be positive, got {fs}")
    step, overlap = round((_WINDOW_S - _OVERLAP_S) * fs), round(_OVERLAP_S * fs)
    tables: list[_FloatArray] = []
    for start in range(0, max(signal.shape[1] - overlap, 1), step):
        window = signal[:, start : start + step + overlap]
        table = _delineate_window(window, fs)
        table[:, :-1] += start
        # Beats of the overlap are taken from the window that they lie deeper in.
        first = start + overlap / 2 if start else -np.inf
        last = start + step + overlap / 2 if start + step + overlap < signal.shape[1] else np.inf
        tables.append(table[(table[:, 0] >= first) & (table[:, 0] < last)])
    columns = np.concatenate(tables).T
    return Delineation(
        float(fs), tuple(lead_names), *columns[:-1], beat_class=columns[-1].astype(np.int8)
    )


def fill_gaps(signal_mv: _FloatArray) -> tuple[_FloatArray, NDArray[np.bool_]]:
    """Bridge missing samples by straight lines, and say where they were."""
    missing = ~np.isfinite(signal_mv)
    if not missing.any():
        return signal_mv, missing
    filled = np.where(missing, 0.0, signal_mv)
    at: _IntArray = np.arange(signal_mv.shape[1], dtype=np.int64)
    for row, gone in zip(filled, missing, strict=True):
        if gone.any() and not gone.all():
            row[gone] = np.interp(at[gone], at[~gone], row[~gone])
    return filled, missing


def _delineate_window(signal_mv: _FloatArray, fs: float) -> _FloatArray:
    """Beats x (R peak, marks, class) in samples of the window."""
    nothing = np.empty((0, len(MARKS) + 2))
    if signal_mv.shape[1] < _SHORTEST_S * fs:
        return nothing
    filled, missing = fill_gaps(signal_mv)
    alive = (missing.mean(axis=1) < 0.5) & (np.ptp(filled, axis=1) > 1e-3)
    if not alive.any():
        return nothing
    filled, missing = filled[alive], missing[alive]
    waves, activity_leads, rate = _filtered(filled, fs)
    gap = _resample_mask(missing, waves.shape[1])
    weights, activity = _activity(activity_leads, gap)
    peaks = _find_beats(activity)
    if not len(peaks):
        return nothing
    peaks = _refine_peaks(waves * weights[:, np.newaxis], peaks)
    table = _mark_beats(waves, weights, peaks)
    table[:, 8] = np.where(
        _paced(filled, fs, table[:, 4] * fs / rate), BeatClass.PACED, table[:, 8]
    )
    table[:, :8] *= fs / rate
    n_samples = signal_mv.shape[1]
    marks = table[:, 1:8]
    marks[(marks < 0) | (marks > n_samples - 1)] = np.nan
    return table


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


def _filtered(signal: _FloatArray, fs: float) -> tuple[_FloatArray, _FloatArray, float]:
    """Signal of 0.5-40 Hz, slope of its 6-25 Hz part, and their rate; zero phase, by Fourier."""
    n = signal.shape[1]
    pad = min(round(1.0 * fs), n - 1)
    work_size = _fast_size(int(np.ceil((n + 2 * pad) / fs * _WORK_HZ)))
    size = max(round(work_size / _WORK_HZ * fs), n + 2 * pad)
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
    f: _FloatArray = np.arange(spectrum.shape[1], dtype=np.float64) * (fs / size)
    with np.errstate(divide="ignore"):
        wide = 1 / ((1 + (0.5 / f) ** 4) * (1 + (f / 40) ** 8))
        steep = 2j * np.pi * f / ((1 + (6 / f) ** 4) * (1 + (f / 25) ** 6))
    first = round(pad * rate / fs)
    last = first + int((n - 1) * rate / fs) + 1
    waves = np.fft.irfft(spectrum * wide, work_size, axis=1)[:, first:last]
    slope = np.fft.irfft(spectrum * steep, work_size, axis=1)[:, first:last]
    return waves, slope, rate


def _resample_mask(missing: NDArray[np.bool_], n_work: int) -> NDArray[np.bool_]:
    at: _IntArray = np.arange(n_work, dtype=np.int64) * missing.shape[1] // n_work
    return missing[:, at]


def _moving_mean(x: _FloatArray, width: int) -> _FloatArray:
    """Centred moving mean along the last axis; beyond the ends the values stand still."""
    before = width // 2
    edges = [(0, 0)] * (x.ndim - 1) + [(before + 1, width - before - 1)]
    total = np.cumsum(np.pad(x, edges, mode="edge"), axis=-1)
    return (total[..., width:] - total[..., :-width]) / width


def _activity(slope: _FloatArray, gap: NDArray[np.bool_]) -> tuple[_FloatArray, _FloatArray]:
    """How much each lead says about the beats, and how fast the leads change together."""
    size = np.abs(slope)
    size[gap] = 0.0
    n_blocks = max(size.shape[1] // round(1500 * _MS), 1)
    blocks = size[:, : size.shape[1] // n_blocks * n_blocks].reshape(len(size), n_blocks, -1)
    highest = np.median(blocks.max(axis=2), axis=1) + 1e-9
    usual = np.median(size, axis=1) + 1e-9
    clarity = np.clip((highest / usual - 3) / 12, 0.02, 1.0)
    share = np.minimum(size / highest[:, np.newaxis], 2.0)
    combined = np.average(share, axis=0, weights=clarity)
    return clarity, _moving_mean(combined, round(80 * _MS))


def _find_beats(activity: _FloatArray) -> _IntArray:
    """Peaks of the activity that stand out as QRS complexes do."""
    rising = (activity[1:-1] > activity[:-2]) & (activity[1:-1] >= activity[2:])
    at: _IntArray = np.flatnonzero(rising) + 1
    if not len(at):
        return at
    n_blocks = max(len(activity) // round(2000 * _MS), 1)
    highest = [block.max() for block in np.array_split(activity, n_blocks)]
    at = at[activity[at] > 0.25 * np.median(highest)]
    kept: list[int] = []
    blocked = np.zeros(len(activity), dtype=bool)
    reach = round(220 * _MS)
    for peak in at[np.argsort(-activity[at], kind="stable")].tolist():
        if not blocked[peak]:
            kept.append(peak)
            blocked[max(peak - reach, 0) : peak + reach + 1] = True
    peaks = np.sort(np.array(kept, dtype=np.int64))
    height = activity[peaks]
    # A steep T wave follows its QRS closely and is less steep.
    late = np.zeros(len(peaks), dtype=bool)
    late[1:] = (np.diff(peaks) < 400 * _MS) & (height[1:] < 0.45 * height[:-1])
    return peaks[~late]


def _windows(x: _FloatArray, centres: _IntArray, before: int, after: int) -> _FloatArray:
    """Leads x centres x samples around each centre; the ends of the signal stand still."""
    at = centres[:, np.newaxis] + np.arange(-before, after + 1)
    return x[:, np.clip(at, 0, x.shape[1] - 1)]


def _refine_peaks(x: _FloatArray, peaks: _IntArray) -> _IntArray:
    """Move each beat to the largest deflection of all leads together."""
    reach = round(80 * _MS)
    near = _windows(x, peaks, reach, reach)
    near = near - np.median(near, axis=2, keepdims=True)
    offset = (near**2).sum(axis=0).argmax(axis=1) - reach
    moved = np.clip(peaks + offset, 0, x.shape[1] - 1)
    return np.unique(moved)


def _correlation(a: _FloatArray, b: _FloatArray) -> _FloatArray:
    """Correlation of the rows of `a` with those of `b`, as they stand around zero."""
    a = a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-12)
    b = b / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-12)
    return a @ b.T


def _group_beats(x: _FloatArray, peaks: _IntArray) -> tuple[_IntArray, _IntArray]:
    """Group beats by QRS shape and align them; returns group numbers and aligned positions.

    Group 0 holds the most beats.
    """
    reach = round(70 * _MS)
    group = np.full(len(peaks), -1, dtype=np.int64)
    peaks = peaks.copy()
    number = 0
    while (group < 0).any():
        left = np.flatnonzero(group < 0)
        shape = _windows(x, peaks[left], reach, reach).transpose(1, 0, 2)
        shape = shape - shape.mean(axis=2, keepdims=True)
        flat = shape.reshape(len(left), -1)
        alike = _correlation(flat, flat) > 0.8
        seed = int(alike.sum(axis=1).argmax())
        centre = np.median(shape[alike[seed]], axis=0)
        score, lag = _best_lag(x, peaks[left], centre, reach, round(40 * _MS))
        member = score > 0.85
        member[seed] = True
        group[left[member]] = number
        peaks[left[member]] += lag[member]
        number += 1
    sizes = np.bincount(group)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group], peaks


def _best_lag(
    x: _FloatArray, centres: _IntArray, shape: _FloatArray, reach: int, most: int
) -> tuple[_FloatArray, _IntArray]:
    """Correlation of a template with each place, at the lag (within `most`) where it is best.

    `shape` is leads x (2 reach + 1).
    """
    wide = _windows(x, centres, reach + most, reach + most)
    n = 2 * reach + 1
    slices = np.lib.stride_tricks.sliding_window_view(wide, n, axis=2)[:, :, ::2]
    shape = shape - shape.mean(axis=1, keepdims=True)
    product = np.einsum("lbkn,ln->bk", slices, shape)
    total = np.cumsum(np.pad(wide, ((0, 0), (0, 0), (1, 0))), axis=2)
    square = np.cumsum(np.pad(wide**2, ((0, 0), (0, 0), (1, 0))), axis=2)
    power = square[..., n:] - square[..., :-n] - (total[..., n:] - total[..., :-n]) ** 2 / n
    power = power.sum(axis=0)[:, ::2]
    score = product / np.sqrt(np.maximum(power, 1e-12) * (shape**2).sum() + 1e-12)
    best = score.argmax(axis=1)
    return score[np.arange(len(score)), best], best * 2 - most


def _mark_beats(x: _FloatArray, weights: _FloatArray, peaks: _IntArray) -> _FloatArray:
    """Beats x (R peak, marks, class), in work samples."""
    weighted = x * np.sqrt(weights / weights.max())[:, np.newaxis]
    group, aligned = _group_beats(weighted, peaks)
    order = np.argsort(aligned, kind="stable")
    group, aligned, peaks = group[order], aligned[order], peaks[order]
    table = np.full((len(aligned), len(MARKS) + 2), np.nan)
    table[:, 0] = aligned
    rr_before = np.diff(aligned, prepend=aligned[0] - 2 * _BEFORE)
    rr_after = np.diff(aligned, append=aligned[-1] + 2 * _AFTER)
    for number in range(int(group.max()) + 1):
        members = np.flatnonzero(group == number)
        beats = _windows(weighted, aligned[members], _BEFORE, _AFTER)
        average = np.median(beats, axis=1) if len(members) > 1 else beats[:, 0]
        room_before = int(np.median(rr_before[members]))
        room_after = int(np.median(rr_after[members]))
        marks, p_shape, t_shape = _mark_average(average, room_before, room_after)
        table[members, 1:8] = aligned[members][:, np.newaxis] + marks
        table[members, 8] = BeatClass.NORMAL if number == 0 else BeatClass.ECTOPIC
        _shift_waves(weighted, table, members, average, p_shape, t_shape)
    return table


def _speed(average: _FloatArray, width: int) -> _FloatArray:
    """Root mean square over leads of the slope over `width` samples, mV per sample."""
    half = width // 2
    slope = np.zeros_like(average)
    slope[:, half:-half] = (average[:, 2 * half :] - average[:, : -2 * half]) / (2 * half)
    return np.sqrt((slope**2).mean(axis=0))


def _first_quiet(values: _FloatArray, limit: float, width: int) -> int:
    """First index from which `values` stay below `limit` for `width` samples; else the lowest."""
    below = values < limit
    run = np.convolve(below, np.ones(width), mode="valid")
    full = np.flatnonzero(run == width)
    return int(full[0]) if len(full) else int(values.argmin())


def _mark_average(
    average: _FloatArray, room_before: int, room_after: int
) -> tuple[_FloatArray, tuple[int, int] | None, tuple[int, int] | None]:
    """Mark an average beat, relative to its R peak, and say where its P and T waves lie."""
    marks = np.full(len(MARKS), np.nan)
    r = _BEFORE
    speed = _speed(average, round(12 * _MS))
    qrs_on, qrs_end = _qrs_bounds(speed, r)
    marks[3], marks[4] = qrs_on - r, qrs_end - r
    t_from = qrs_end + round(40 * _MS)
    t_until = min(len(speed) - 1, r + room_after - round(180 * _MS), qrs_on + round(600 * _MS))
    t_shape = None
    if t_until - t_from > 100 * _MS:
        t_peak, t_end = _t_bounds(average, t_from, t_until)
        marks[5], marks[6] = t_peak - r, t_end - r
        t_shape = (t_peak - round(60 * _MS), min(t_end + round(40 * _MS), len(speed) - 1))
    p_from = max(0, r - room_before + round(330 * _MS), qrs_on - round(320 * _MS))
    p_shape = None
    found = _p_bounds(average, p_from, qrs_on) if qrs_on - p_from > 80 * _MS else None
    if found is not None:
        marks[:3] = np.array(found) - r
        p_shape = (found[0], found[2])
    return marks, p_shape, t_shape


def _qrs_bounds(speed: _FloatArray, r: int) -> tuple[int, int]:
    reach = round(60 * _MS)
    highest = float(speed[r - reach : r + reach].max())
    quiet_before = float(np.quantile(speed[r - round(200 * _MS) : r - round(50 * _MS)], 0.15))
    quiet_after = float(np.quantile(speed[r + round(60 * _MS) : r + round(250 * _MS)], 0.15))
    fast = np.flatnonzero(speed[r - reach : r + reach] > 0.3 * highest) + r - reach
    width = round(12 * _MS)
    back = speed[fast[0] : fast[0] - round(120 * _MS) : -1]
    onset = fast[0] - _first_quiet(back, quiet_before + 0.07 * (highest - quiet_before), width)
    ahead = speed[fast[-1] : fast[-1] + round(150 * _MS)]
    end = fast[-1] + _first_quiet(ahead, quiet_after + 0.07 * (highest - quiet_after), width)
    return int(onset), int(end)


def _main_component(part: _FloatArray) -> _FloatArray:
    """Combine the leads so that most of the wave is kept (first principal component)."""
    _, vectors = np.linalg.eigh(part @ part.T)
    return vectors[:, -1] @ part


def _t_bounds(average: _FloatArray, start: int, stop: int) -> tuple[int, int]:
    part = average[:, start : stop + 1]
    part = part - np.median(part[:, -round(40 * _MS) :], axis=1, keepdims=True)
    wave = _moving_mean(_main_component(part), round(20 * _MS))
    wave = wave * np.sign(wave[np.abs(wave).argmax()])
    peak = int(wave.argmax())
    # Trapezium method: the end is where the area between the wave and its chord is largest
    # (Vazquez-Seisdedos et al., BioMedical Engineering OnLine 2011;10:43).
    after = wave[peak:]
    fall = np.diff(after)
    if len(fall) < 4:
        return start + peak, start + len(wave) - 1
    steepest = int(fall.argmin())
    reference = len(after) - 1
    at = np.arange(steepest, reference + 1)
    area = (after[steepest] - after[at]) * (2 * reference - at - steepest)
    return start + peak, start + peak + steepest + int(area.argmax())


def _p_bounds(average: _FloatArray, start: int, stop: int) -> tuple[int, int, int] | None:
    part = average[:, start : stop + 1]
    line = np.linspace(0, 1, part.shape[1])
    edge = round(10 * _MS)
    first = part[:, :edge].mean(axis=1, keepdims=True)
    last = part[:, -edge:].mean(axis=1, keepdims=True)
    part = part - first - (last - first) * line
    size = _moving_mean(np.sqrt((part**2).mean(axis=0)), round(10 * _MS))
    peak = int(size[edge:-edge].argmax()) + edge
    height = size[peak]
    if height < 0.012:
        return None
    limit = 0.25 * height
    onset = peak - _first_quiet(size[peak::-1], limit, 3)
    end = peak + _first_quiet(size[peak:], limit, 3)
    return start + onset, start + peak, start + end


def _shift_waves(
    x: _FloatArray,
    table: _FloatArray,
    members: _IntArray,
    average: _FloatArray,
    p_shape: tuple[int, int] | None,
    t_shape: tuple[int, int] | None,
) -> None:
    """Let each beat's P and T waves lie where they correlate best with the average's."""
    for shape, columns, most, at_least in (
        (p_shape, slice(1, 4), round(30 * _MS), 0.4),
        (t_shape, slice(6, 8), round(40 * _MS), 0.5),
    ):
        if shape is None or len(members) < 2:
            continue
        reach = (shape[1] - shape[0]) // 2
        middle = shape[0] + reach
        if middle - reach < 0 or middle + reach >= average.shape[1]:
            continue
        template = average[:, middle - reach : middle + reach + 1]
        centres = table[members, 0].astype(np.int64) + middle - _BEFORE
        score, lag = _best_lag(x, centres, template, reach, most)
        good = score > at_least
        table[members, columns] += np.where(good, lag, 0)[:, np.newaxis]
        if columns.start == 1:
            table[members[score < at_least], columns] = np.nan


def _paced(signal_mv: _FloatArray, fs: float, qrs_onset: _FloatArray) -> NDArray[np.bool_]:
    """Which beats follow a pacing spike: far steeper than anything else, and shorter than 4 ms."""
    if fs < 400 or not len(qrs_onset):
        return np.zeros(len(qrs_onset), dtype=bool)
    jump = np.abs(signal_mv[:, 2:] - 2 * signal_mv[:, 1:-1] + signal_mv[:, :-2])
    jump = np.median(np.sort(jump, axis=0)[-4:], axis=0)
    centres = np.nan_to_num(qrs_onset).astype(np.int64)
    near = _windows(jump[np.newaxis], centres, round(0.08 * fs), round(0.03 * fs))[0].max(axis=1)
    inside = _windows(jump[np.newaxis], centres, -round(0.04 * fs), round(0.12 * fs))[0]
    return (near > 0.15) & (near > 4 * np.quantile(inside, 0.9, axis=1))
