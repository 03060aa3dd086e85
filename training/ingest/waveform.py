"""A recording on its way into a shard: 16-bit counts with a gain for each lead."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from training.ingest.wfdb_fast import MISSING, read_counts

__all__ = ["MISSING", "Waveform", "quantise", "read_mv", "read_waveform"]

_LARGEST = 2**15 - 1
# Counts per mV (or other unit) wherever the source is no 16-bit file: 1 uV, finer than any ECG
# recorder resolves.
COUNTS_PER_UNIT = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Part of a recording as stored.

    Attributes
    ----------
    counts
        Leads x samples, int16, 0 stands for 0; `MISSING` where there is no sample.
    gain
        Counts per `unit`, for each lead.
    fs
        Sampling frequency, Hz.
    lead_names
        Of the rows.
    unit
        ``mV``, or ``z`` for a data set that was standardised lead by lead.
    synthesised
        The leads were computed from others, not recorded.
    """

    counts: NDArray[np.int16]
    gain: NDArray[np.float32]
    fs: float
    lead_names: tuple[str, ...] = STANDARD_LEADS
    unit: str = "mV"
    synthesised: bool = False


def quantise(values: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Round values to counts: 1000 counts a unit, fewer for leads too large for that.

    Parameters
    ----------
    values
        Leads x samples; NaN where there is no sample.

    Returns
    -------
    counts, gain
        As in `Waveform`; off by half a count at most.

    Examples
    --------
    >>> counts, gain = quantise(np.array([[0.5, np.nan], [100.0, 0.0]]))
    >>> counts.tolist(), gain.tolist()
    ([[500, -32768], [32767, 0]], [1000.0, 327.6700134277344])
    """
    finite = np.isfinite(values)
    largest = np.where(finite, np.abs(values), 0.0).max(axis=1)
    gain = np.minimum(COUNTS_PER_UNIT, _LARGEST / np.maximum(largest, 1e-9)).astype(np.float32)
    scaled = np.rint(np.where(finite, values, 0.0) * gain[:, None]).clip(-_LARGEST, _LARGEST)
    return np.where(finite, scaled, MISSING).astype(np.int16), gain


def read_waveform(
    path: Path, lead_names: tuple[str, ...], start_s: float, duration_s: float
) -> Waveform:
    """Read the named leads of a file, in that order, as the file stores them where possible.

    Parameters
    ----------
    path
        Any file that `model_core.io` reads.
    lead_names
        Found by name: MIMIC-IV-ECG, for one, stores aVF before aVL.
    start_s, duration_s
        The part to read, s.

    Raises
    ------
    ReadError
        If the file cannot be read, lacks a lead or is too short.
    """
    stored = read_counts(path, start_s, duration_s)
    if stored is None:
        signal_mv, fs = read_mv(path, lead_names, start_s, duration_s)
        return Waveform(*quantise(signal_mv), fs=fs, lead_names=lead_names)
    rows = _rows(path, stored.lead_names, lead_names)
    values = stored.values
    if lead_names != stored.lead_names:
        values = values[rows]
    gain = np.array(stored.gain, np.float32)[rows]
    baseline = np.array(stored.baseline, np.int32)[rows]
    if baseline.any():
        missing = values == MISSING
        shifted = values.astype(np.int32) - baseline[:, None]
        shifted[missing] = 0
        if np.abs(shifted).max() > _LARGEST:
            signal_mv = np.where(missing, np.nan, shifted / gain[:, None])
            return Waveform(*quantise(signal_mv), fs=stored.fs, lead_names=lead_names)
        values = np.where(missing, MISSING, shifted).astype(np.int16)
    return Waveform(values, gain, fs=stored.fs, lead_names=lead_names)


def read_mv(
    path: Path, lead_names: tuple[str, ...], start_s: float, duration_s: float
) -> tuple[NDArray[np.float64], float]:
    """Read like `read_waveform`; gives mV (NaN where there is no sample) and Hz."""
    stored = read_counts(path, start_s, duration_s)
    if stored is not None:
        rows = _rows(path, stored.lead_names, lead_names)
        baseline, gain = (np.array(values)[rows, None] for values in (stored.baseline, stored.gain))
        counts = stored.values[rows]
        return np.where(counts == MISSING, np.nan, (counts - baseline) / gain), stored.fs
    recording = read_recording(path)
    rows = _rows(path, recording.lead_names, lead_names)
    first = round(start_s * recording.fs)
    last = first + round(duration_s * recording.fs)
    if last > recording.n_samples:
        raise ReadError(
            f"{path.name} lasts {recording.duration_s:g} s; {duration_s:g} s from second "
            f"{start_s:g} on are needed.",
            code="too_short",
        )
    return recording.signal_mv[rows, first:last].astype(np.float64), recording.fs


def _rows(path: Path, present: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Where each wanted lead stands among those that are there."""
    rows, bad = _places(present, wanted)
    if bad is not None:
        how = "lacks" if bad not in present else "holds more than one"
        raise ReadError(f"{path.name} {how} lead {bad}.", code="bad_leads")
    return rows


@functools.lru_cache(maxsize=256)
def _places(present: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[list[int], str | None]:
    """Rows of the wanted leads, or the first of them that is not there just once."""
    bad = next((name for name in wanted if present.count(name) != 1), None)
    return ([] if bad is not None else [present.index(name) for name in wanted]), bad
