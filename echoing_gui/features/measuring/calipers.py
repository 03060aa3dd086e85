"""Calipers on the samples of a recording: where their ends go and what they read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from echoing_gui.state_marks import Caliper, CaliperKind
from model_core.leads import canonical_lead_name
from model_core.types import FloatArray, Recording

SNAP_REACH_S = 0.02
NUDGE_MV = 0.01
# A corner or peak stands off the line between the ends of the reach by this much: a third of a
# millimetre at 10 mm/mV. Less is noise.
_CORNER_MV = 0.03
_EDGE_MV = 0.05
# Intervals read as a rate too, ms: 20 to 400 a minute.
_RATE_FROM_MS, _RATE_TO_MS = 150.0, 3000.0


@dataclass(frozen=True, slots=True)
class Readings:
    """What a caliper reads; None for what its kind does not measure.

    Attributes
    ----------
    ms
        Interval, ms.
    per_minute
        The interval as a rate; None where none would make sense.
    mv
        Amplitude, mV, never negative.
    """

    ms: float | None = None
    per_minute: float | None = None
    mv: float | None = None


def read(caliper: Caliper) -> Readings:
    """Read a caliper.

    Examples
    --------
    >>> read(Caliper(CaliperKind.BOTH, "II", (1.0, 1.8), (-0.25, 1.0)))
    Readings(ms=800.0, per_minute=75.0, mv=1.25)
    """
    ms = per_minute = mv = None
    if caliper.kind is not CaliperKind.AMPLITUDE:
        # Whole microseconds: sample times are no more exact in floating point.
        ms = round(abs(caliper.times_s[1] - caliper.times_s[0]) * 1000, 3)
        if _RATE_FROM_MS <= ms <= _RATE_TO_MS:
            per_minute = 60_000 / ms
    if caliper.kind is not CaliperKind.TIME:
        mv = abs(caliper.values_mv[1] - caliper.values_mv[0])
    return Readings(ms, per_minute, mv)


def lead_row(recording: Recording, lead: str) -> FloatArray | None:
    """Get the samples of a lead, mV; None if the recording lacks it."""
    names = [canonical_lead_name(name) for name in recording.lead_names]
    return recording.signal_mv[names.index(lead)] if lead in names else None


def sample_at(recording: Recording, time_s: float) -> int:
    """Index of the sample nearest to a time, in the recording's own seconds."""
    index = round((time_s - recording.start_s) * recording.fs)
    return min(max(index, 0), recording.n_samples - 1)


def time_of(recording: Recording, index: int) -> float:
    """Time of a sample, seconds of the recording."""
    return recording.start_s + min(max(index, 0), recording.n_samples - 1) / recording.fs


def value_at(recording: Recording, lead: str, time_s: float) -> float:
    """Value of the sample nearest to a time, mV; NaN where there is none."""
    row = lead_row(recording, lead)
    return math.nan if row is None else float(row[sample_at(recording, time_s)])


def snapped(recording: Recording, lead: str, time_s: float) -> float:
    """Find the sample that a person pointing at `time_s` probably means.

    Parameters
    ----------
    recording, lead
        Whose trace.
    time_s
        Where the pointer is.

    Returns
    -------
    float
        Time of the peak or corner of the trace within `SNAP_REACH_S`; else of its steepest place;
        on a flat stretch, or beside a gap, of the nearest sample.
    """
    row, middle = lead_row(recording, lead), sample_at(recording, time_s)
    if row is None:
        return time_of(recording, middle)
    reach = max(2, round(SNAP_REACH_S * recording.fs))
    first = max(middle - reach, 0)
    near = row[first : middle + reach + 1].astype(np.float64)
    if near.size < 3 or not np.isfinite(near).all():
        return time_of(recording, middle)
    off = np.abs(near - np.linspace(near[0], near[-1], near.size))
    if off.max() >= _CORNER_MV:
        return time_of(recording, first + int(off.argmax()))
    if np.ptp(near) >= _EDGE_MV:
        return time_of(recording, first + int(np.abs(np.gradient(near)).argmax()))
    return time_of(recording, middle)


def with_end(
    caliper: Caliper,
    end: int,
    recording: Recording,
    time_s: float,
    value_mv: float,
    *,
    snap: bool,
) -> Caliper:
    """Move one end of a caliper to a place.

    Parameters
    ----------
    caliper, end
        Which caliper, and which end of it (0 or 1).
    recording
        Whose samples the end is put on.
    time_s, value_mv
        Where to: seconds of the recording, mV.
    snap
        Go to the trace: its peak, corner or steepest place nearby, with the value recorded there.
    """
    if snap:
        time_s = snapped(recording, caliper.lead, time_s)
        recorded = value_at(recording, caliper.lead, time_s)
        value_mv = recorded if math.isfinite(recorded) else value_mv
    else:
        time_s = time_of(recording, sample_at(recording, time_s))
    times, values = list(caliper.times_s), list(caliper.values_mv)
    times[end], values[end] = time_s, value_mv
    return replace(caliper, times_s=(times[0], times[1]), values_mv=(values[0], values[1]))


def nudged(
    caliper: Caliper, end: int, recording: Recording, samples: int, steps: int, *, snap: bool
) -> Caliper:
    """Move one end by whole samples, and by `steps` of `NUDGE_MV` up.

    With `snap`, an end that goes along the recording keeps to the trace; up and down it is free.
    """
    time_s = time_of(recording, sample_at(recording, caliper.times_s[end]) + samples)
    value_mv = caliper.values_mv[end] + steps * NUDGE_MV
    if snap and samples:
        recorded = value_at(recording, caliper.lead, time_s)
        value_mv = recorded if math.isfinite(recorded) else value_mv
    return with_end(caliper, end, recording, time_s, value_mv, snap=False)


def shifted(caliper: Caliper, recording: Recording, by_s: float, by_mv: float) -> Caliper:
    """Move a whole caliper, by whole samples; its readings stay as they are."""
    first, last = (sample_at(recording, time_s) for time_s in caliper.times_s)
    by = round(by_s * recording.fs)
    by = min(max(by, -min(first, last)), recording.n_samples - 1 - max(first, last))
    low, high = caliper.values_mv
    return replace(
        caliper,
        times_s=(time_of(recording, first + by), time_of(recording, last + by)),
        values_mv=(low + by_mv, high + by_mv),
    )


def on_lead(caliper: Caliper, recording: Recording, lead: str, *, snap: bool) -> Caliper:
    """Move a caliper to another lead, at the same times; with `snap`, onto its trace."""
    moved = replace(caliper, lead=lead)
    if not snap:
        return moved
    recorded = [value_at(recording, lead, time_s) for time_s in caliper.times_s]
    if not all(math.isfinite(value) for value in recorded):
        return moved
    return replace(moved, values_mv=(recorded[0], recorded[1]))


def march_times_s(caliper: Caliper, low_s: float, high_s: float) -> list[float]:
    """Where the interval falls when it is repeated between two times, without its own ends."""
    start_s, step_s = min(caliper.times_s), abs(caliper.times_s[1] - caliper.times_s[0])
    if not caliper.marching or caliper.kind is CaliperKind.AMPLITUDE or step_s < 0.02:
        return []
    first, last = math.ceil((low_s - start_s) / step_s), math.floor((high_s - start_s) / step_s)
    return [start_s + n * step_s for n in range(first, last + 1) if n not in (0, 1)]


def reading_text(caliper: Caliper) -> str:
    """Write what a caliper reads.

    Examples
    --------
    >>> reading_text(Caliper(CaliperKind.BOTH, "II", (1.0, 1.8), (-0.25, 1.0)))
    '800 ms  75/min  1.25 mV'
    """
    found = read(caliper)
    parts: list[str] = []
    if found.ms is not None:
        parts.append(f"{found.ms:.0f} ms")
    if found.per_minute is not None:
        parts.append(f"{found.per_minute:.0f}/min")
    if found.mv is not None:
        parts.append(f"{found.mv:.2f} mV")
    return "  ".join(parts)
