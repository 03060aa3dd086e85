"""A recording too long to hold: what it is, while its samples stay in the file; its overview."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_core.delineation import beat_times_s
from model_core.types import FloatArray, RecordingMetadata

OVERVIEW_COLUMNS = 1440  # a minute each, in a day
_LEAST_STRETCH_S = 10.0
_MOST_MISSING = 0.5


@dataclass(frozen=True, slots=True)
class LongRecording:
    """What a recording of minutes or days is; parts of it are read as `Recording`.

    Attributes
    ----------
    recording_id
        SHA-256 over the size, the first and the last 4,096 bytes of each of its files: hashing a
        day of ECG would take longer than anybody waits. Its parts have the same.
    path
        Where to read parts from.
    fs
        Sampling frequency, Hz.
    n_samples
        Of each lead.
    lead_names
        As in every part read, standard leads in the field's spelling.
    source_name
        File name without its folder, as shown to the user.
    metadata
        What else the file says; nothing that only its samples tell.
    """

    recording_id: str
    path: Path
    fs: float
    n_samples: int
    lead_names: tuple[str, ...]
    source_name: str
    metadata: RecordingMetadata

    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""
        return self.n_samples / self.fs


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A whole recording in few columns of equal duration; NaN where not yet or not known.

    Attributes
    ----------
    lead
        The lead looked at.
    low_mv, high_mv
        Lowest and highest sample of each column, from the median of some ten seconds around, mV.
    rate_per_min
        Heart rate around each column, from the median distance of its beats.
    complete
        Whether the recording has been looked at to its end.
    """

    lead: str
    low_mv: FloatArray
    high_mv: FloatArray
    rate_per_min: FloatArray
    complete: bool


def survey(
    read: Callable[[int, int], FloatArray], n_samples: int, fs: float, lead: str
) -> Iterator[Overview]:
    """Go through a lead and give the overview so far after every stretch of ten seconds or more.

    Parameters
    ----------
    read
        Gives the samples of the lead from the first to the one before the last, mV.
    n_samples
        Of the lead.
    fs
        Sampling frequency, Hz.
    lead
        Its name.

    Yields
    ------
    Overview
        The last one is complete.
    """
    n_columns = min(OVERVIEW_COLUMNS, n_samples)
    edges = np.linspace(0, n_samples, n_columns + 1).round().astype(np.int64)
    low, high, rate = (np.full(n_columns, np.nan, dtype=np.float32) for _ in range(3))
    step = max(1, round(_LEAST_STRETCH_S * fs / (n_samples / n_columns)))
    for first in range(0, n_columns, step):
        last = min(first + step, n_columns)
        values = read(int(edges[first]), int(edges[last]))
        finite = np.isfinite(values)
        if finite.any():
            values = values - np.median(values[finite])
            starts = edges[first:last] - edges[first]
            # fmin and fmax pass over gaps; a column of nothing else stays NaN.
            low[first:last] = np.fmin.reduceat(values, starts)
            high[first:last] = np.fmax.reduceat(values, starts)
            rate[first:last] = _rate_per_min(values, fs)
        yield Overview(lead, low.copy(), high.copy(), rate.copy(), last == n_columns)


def _rate_per_min(values: FloatArray, fs: float) -> float:
    if np.isnan(values).mean() > _MOST_MISSING:
        return np.nan
    distances_s = np.diff(beat_times_s(values[np.newaxis], fs))
    return float(60 / np.median(distances_s)) if distances_s.size >= 3 else np.nan
