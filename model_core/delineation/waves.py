"""Waves marked on average beats, and the marks brought back to each beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_core.delineation.beats import best_lag, group_beats
from model_core.delineation.marks import MARKS, BeatClass, BoolArray, FloatArray, IntArray
from model_core.delineation.signals import MS, moving_mean, windows

# An average beat reaches this far before and after its R peak.
_BEFORE = round(450 * MS)
_AFTER = round(750 * MS)


@dataclass(frozen=True, slots=True)
class _Span:
    """How a kind of wave is looked for, in work samples.

    `half_width` of the bulge it makes; `margin` kept from the ends of the stretch; how `close` to
    the end of the stretch it is less likely to peak; how far its bounds may lie `before` and
    `after` its peak; how far it may `shift` from beat to beat, and how `alike` (correlation) it is
    then.
    """

    half_width: int
    margin: int
    close: int
    before: int
    after: int
    shift: int
    alike: float


_P_SPAN = _Span(
    half_width=round(60 * MS),
    margin=round(24 * MS),
    close=round(80 * MS),
    before=round(130 * MS),
    after=round(126 * MS),
    shift=round(30 * MS),
    alike=0.4,
)
_T_SPAN = _Span(
    half_width=round(90 * MS),
    margin=round(30 * MS),
    close=round(30 * MS),
    before=round(160 * MS),
    after=round(220 * MS),
    shift=round(40 * MS),
    alike=0.5,
)
_SMOOTH = round(16 * MS)
_NEAR = round(40 * MS)
# Speed, of the highest, below which the QRS complex has not begun or is over; and how much earlier
# than that cardiologists see its onset and end.
_QRS_LIMIT = 0.04
_ONSET_EARLIER = round(2 * MS)
_END_EARLIER = round(4 * MS)
# Root mean square over leads of a P wave's height, and how alike it is from beat to beat.
_P_AT_LEAST_MV = 0.015
_P_ALIKE = 0.55


def mark_beats(x: FloatArray, weights: FloatArray, peaks: IntArray) -> FloatArray:
    """Beats x (R peak, marks, class), in work samples."""
    x = x * np.sqrt(weights / weights.max())[:, np.newaxis]
    group, peaks = group_beats(x, peaks)
    rr_before = np.diff(peaks, prepend=peaks[0] - 2 * _BEFORE)
    rr_after = np.diff(peaks, append=peaks[-1] + 2 * _AFTER)
    table = np.full((len(peaks), len(MARKS) + 2), np.nan)
    table[:, 0] = peaks
    table[:, -1] = np.where(group == 0, BeatClass.NORMAL, BeatClass.ECTOPIC)
    for number in np.unique(group).tolist():
        members = np.flatnonzero(group == number)
        average, marks = _mark_average(
            windows(x, peaks[members], _BEFORE, _AFTER),
            int(np.median(rr_before[members])),
            int(np.median(rr_after[members])),
        )
        placed = peaks[members, np.newaxis] - _BEFORE + marks
        if len(members) > 1:
            lag, found = _lags(x, average, peaks[members], marks[0], marks[2], _P_SPAN)
            placed[:, :3] += np.where(found, lag, np.nan)[:, np.newaxis]
            lag, found = _lags(x, average, peaks[members], marks[5], marks[6], _T_SPAN)
            placed[:, 5:] += np.where(found, lag, 0)[:, np.newaxis]
        table[members, 1:-1] = placed
    return table


def _lags(
    x: FloatArray,
    average: FloatArray,
    peaks: IntArray,
    first: float,
    last: float,
    span: _Span,
) -> tuple[IntArray, BoolArray]:
    """Where each beat's wave lies against the average's, and in which beats it was found."""
    if not np.isfinite(first):
        return np.zeros(len(peaks), dtype=np.int64), np.zeros(len(peaks), dtype=np.bool_)
    middle = int(first + last) // 2
    reach = min(int(last - first) // 2 + _NEAR, middle, average.shape[1] - 1 - middle)
    shape = average[:, middle - reach : middle + reach + 1]
    score, lag = best_lag(x, peaks + middle - _BEFORE, shape, reach, span.shift)
    return lag, score > span.alike


def _mark_average(
    beats: FloatArray, room_before: int, room_after: int
) -> tuple[FloatArray, FloatArray]:
    """Average beats (leads x beats x samples); return the average and its marks."""
    average = np.median(beats, axis=1)
    marks = np.full(len(MARKS), np.nan)
    qrs_on, qrs_end = _qrs_bounds(average)
    marks[3:5] = qrs_on, qrs_end
    t_from = qrs_end + round(40 * MS)
    t_until = _BEFORE + room_after - round(160 * MS)
    t_until = min(t_until, qrs_on + round(600 * MS), _BEFORE + round(0.75 * room_after))
    t_until = min(t_until, average.shape[1] - 1)
    p_from = qrs_on - round(320 * MS)
    if t_until - t_from > 100 * MS:
        marks[5:] = _t_bounds(average, t_from, t_until)
        p_from = max(p_from, int(marks[6]) - room_before + round(20 * MS))
    p_from, p_until = max(p_from, 0), qrs_on - round(4 * MS)
    if p_until - p_from > 90 * MS:
        bounds = _p_bounds(average, p_from, p_until)
        if _is_p_wave(beats[:, :, bounds[0] : p_until + 1], bounds[2] - bounds[0]):
            marks[:3] = bounds
    return average, marks


def _qrs_bounds(average: FloatArray) -> tuple[int, int]:
    """Where the leads together begin and cease to change fast around the R peak."""
    speed = _speed(average, round(6 * MS))
    r = _BEFORE
    reach = round(60 * MS)
    highest = float(speed[r - reach : r + reach].max())
    fast = np.flatnonzero(speed[r - reach : r + reach] > 0.3 * highest) + r - reach
    # Between the waves the speed is that of the noise.
    before = float(np.quantile(speed[r - round(200 * MS) : r - round(50 * MS)], 0.15))
    after = float(np.quantile(speed[r + round(60 * MS) : r + round(250 * MS)], 0.15))
    back = speed[fast[0] : fast[0] - round(120 * MS) : -1]
    ahead = speed[fast[-1] : fast[-1] + round(150 * MS)]
    onset = fast[0] - _first_quiet(back, before + _QRS_LIMIT * (highest - before))
    end = fast[-1] + _first_quiet(ahead, after + _QRS_LIMIT * (highest - after))
    return int(onset) - _ONSET_EARLIER, int(end) - _END_EARLIER


def _speed(x: FloatArray, half: int) -> FloatArray:
    """Root mean square over leads of the change from `half` samples before to `half` after."""
    change = np.zeros_like(x)
    change[:, half:-half] = x[:, 2 * half :] - x[:, : -2 * half]
    return np.sqrt((change**2).mean(axis=0))


def _first_quiet(speed: FloatArray, limit: float) -> int:
    """First index from which the speed stays below a limit for 12 ms; else where it is lowest."""
    width = round(12 * MS)
    run = np.convolve(speed < limit, np.ones(width), mode="valid")
    full = np.flatnonzero(run == width)
    return int(full[0]) if len(full) else int(speed.argmin())


def _bulge(x: FloatArray, half_width: int) -> FloatArray:
    """Height over the line between the samples `half_width` before and after; last axis.

    Blind to a sloping baseline. At the ends of `x` the line starts or ends there.
    """
    n = x.shape[-1]
    at: IntArray = np.arange(n, dtype=np.int64)
    left, right = np.maximum(at - half_width, 0), np.minimum(at + half_width, n - 1)
    share = (right - at) / np.maximum(right - left, 1)
    return x - (x[..., left] * share + x[..., right] * (1 - share))


def _t_bounds(average: FloatArray, start: int, stop: int) -> tuple[int, int]:
    """Peak and end of the T wave within a stretch."""
    part = average[:, start : stop + 1]
    peak, wave = _main_wave(part, _T_SPAN)
    end = peak + _knee(wave[peak : peak + _T_SPAN.after + 1])
    return start + peak, start + end


def _p_bounds(average: FloatArray, start: int, stop: int) -> tuple[int, int, int]:
    """Onset, peak and end of the P wave within a stretch.

    A P wave may have two humps or two signs, and knees between them. The way that all leads have
    gone together bends at the wave's bounds only.
    """
    part = average[:, start : stop + 1]
    peak, _ = _main_wave(part, _P_SPAN)
    way = np.cumsum(_speed(moving_mean(part, round(24 * MS)), round(8 * MS)))
    onset = peak - _knee(way[max(peak - _P_SPAN.before, 0) : peak + 1][::-1])
    end = peak + _knee(-way[peak : peak + _P_SPAN.after + 1])
    return start + onset, start + peak, start + end


def _main_wave(part: FloatArray, span: _Span) -> tuple[int, FloatArray]:
    """Peak of the largest wave of a stretch, and that combination of leads which shows it best."""
    n = part.shape[1]
    size = moving_mean(np.sqrt((_bulge(part, span.half_width) ** 2).mean(axis=0)), _SMOOTH)
    # What lies close before the next wave may be the beginning of that.
    size *= np.minimum(np.arange(n, 0, -1, dtype=np.float64) / span.close, 1)
    inside = np.arange(span.margin, n - span.margin, dtype=np.int64)
    # The flank of another wave rises to the end of the stretch: it has no peak inside.
    peaks = inside[(size[inside] > size[inside - 1]) & (size[inside] >= size[inside + 1])]
    candidates = peaks if len(peaks) else inside
    peak = int(candidates[size[candidates].argmax()])
    first = max(peak - span.before - _NEAR, 0)
    around = part[:, first : min(peak + span.after + _NEAR, n - 1) + 1]
    line = np.linspace(0, 1, around.shape[1])
    around = around - around[:, :1] - line * (around[:, -1:] - around[:, :1])
    # First principal component.
    wave = moving_mean(np.linalg.eigh(around @ around.T)[1][:, -1] @ part, _SMOOTH)
    wave *= np.sign(_bulge(wave, span.half_width)[peak])
    lowest = max(peak - _NEAR, 0)
    return lowest + int(wave[lowest : peak + _NEAR + 1].argmax()), wave


def _knee(falling: FloatArray) -> int:
    """Index of the point farthest below the straight line from the first to the last."""
    chord: FloatArray = np.linspace(float(falling[0]), float(falling[-1]), len(falling))
    return int(np.argmax(chord - falling))


def _is_p_wave(beats: FloatArray, width: int) -> bool:
    """Whether a wave is high enough and is the same in every beat, as fibrillation is not."""
    if beats.shape[1] < 2:
        return False
    shape = _bulge(beats, _P_SPAN.half_width)[:, :, : width + 1]
    height = np.sqrt((np.median(shape, axis=1) ** 2).mean(axis=0)).max()
    flat = shape.transpose(1, 0, 2).reshape(shape.shape[1], -1)
    others = flat.sum(axis=0) - flat
    alike = (flat * others).sum(axis=1)
    alike /= np.linalg.norm(flat, axis=1) * np.linalg.norm(others, axis=1) + 1e-12
    return bool(height >= _P_AT_LEAST_MV and np.median(alike) >= _P_ALIKE)
