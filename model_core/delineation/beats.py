"""Beats found, and grouped by their shape."""

from __future__ import annotations

import numpy as np

from model_core.delineation.marks import BoolArray, FloatArray, IntArray
from model_core.delineation.signals import MS, moving_mean, windows

# No two beats are closer.
_APART = round(120 * MS)


def activity_of(slope: FloatArray, gap: BoolArray) -> tuple[FloatArray, FloatArray]:
    """How much each lead says about the beats, and how fast the leads change together."""
    size = np.abs(slope)
    size[gap] = 0.0
    n_blocks = max(size.shape[1] // round(1500 * MS), 1)
    blocks = size[:, : size.shape[1] // n_blocks * n_blocks].reshape(len(size), n_blocks, -1)
    highest = np.median(blocks.max(axis=2), axis=1) + 1e-9
    usual = np.median(size, axis=1) + 1e-9
    clarity = np.clip((highest / usual - 3) / 12, 0.02, 1.0)
    share = np.minimum(size / highest[:, np.newaxis], 2.0)
    combined = np.average(share, axis=0, weights=clarity)
    return clarity, moving_mean(combined, round(80 * MS))


def find_beats(activity: FloatArray) -> IntArray:
    """Peaks of the activity that stand out as QRS complexes do."""
    rising = (activity[1:-1] > activity[:-2]) & (activity[1:-1] >= activity[2:])
    at: IntArray = np.flatnonzero(rising) + 1
    if not len(at):
        return at
    n_blocks = max(len(activity) // round(2000 * MS), 1)
    highest = [block.max() for block in np.array_split(activity, n_blocks)]
    at = at[activity[at] > 0.25 * np.median(highest)]
    kept: list[int] = []
    blocked = np.zeros(len(activity), dtype=np.bool_)
    reach = round(220 * MS)
    for peak in at[np.argsort(-activity[at], kind="stable")].tolist():
        if not blocked[peak]:
            kept.append(peak)
            blocked[max(peak - reach, 0) : peak + reach + 1] = True
    peaks = np.sort(np.array(kept, dtype=np.int64))
    height = activity[peaks]
    # A steep T wave follows its QRS closely, a steep P wave precedes it; both are less steep.
    other = np.zeros(len(peaks), dtype=np.bool_)
    other[1:] |= (np.diff(peaks) < 400 * MS) & (height[1:] < 0.45 * height[:-1])
    other[:-1] |= (np.diff(peaks) < 320 * MS) & (height[:-1] < 0.4 * height[1:])
    return peaks[~other]


def refine_peaks(x: FloatArray, peaks: IntArray) -> IntArray:
    """Move each beat to the largest deflection of all leads together."""
    reach = round(80 * MS)
    near = windows(x, peaks, reach, reach)
    near = near - np.median(near, axis=2, keepdims=True)
    offset = (near**2).sum(axis=0).argmax(axis=1) - reach
    moved = np.clip(peaks + offset, 0, x.shape[1] - 1)
    return np.unique(moved)


def group_beats(x: FloatArray, peaks: IntArray) -> tuple[IntArray, IntArray]:
    """Group beats by QRS shape and align them; group numbers and positions, in order of time.

    Group 0 holds the most beats.
    """
    reach = round(70 * MS)
    group = np.full(len(peaks), -1, dtype=np.int64)
    peaks = peaks.copy()
    number = 0
    while (group < 0).any():
        left = np.flatnonzero(group < 0)
        shape = windows(x, peaks[left], reach, reach).transpose(1, 0, 2)
        shape = shape - shape.mean(axis=2, keepdims=True)
        flat = shape.reshape(len(left), -1)
        alike = _correlation(flat, flat) > 0.8
        seed = int(alike.sum(axis=1).argmax())
        centre = np.median(shape[alike[seed]], axis=0)
        score, lag = best_lag(x, peaks[left], centre, reach, round(40 * MS))
        member = score > 0.85
        member[seed] = True
        group[left[member]] = number
        peaks[left[member]] += lag[member]
        number += 1
    sizes = np.bincount(group)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    group, peaks = rank[group], np.clip(peaks, 0, x.shape[1] - 1)
    order = np.argsort(peaks, kind="stable")
    # Aligned, two places in noise may turn out to be one.
    order = order[np.diff(peaks[order], prepend=-_APART) >= _APART]
    return group[order], peaks[order]


def _correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of the rows of `a` with those of `b`, as they stand around zero."""
    a = a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-12)
    b = b / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-12)
    return a @ b.T


def best_lag(
    x: FloatArray, centres: IntArray, shape: FloatArray, reach: int, most: int
) -> tuple[FloatArray, IntArray]:
    """Correlation of a template with each place, at the lag (within `most`) where it is best.

    `shape` is leads x (2 reach + 1).
    """
    wide = windows(x, centres, reach + most, reach + most)
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
