"""From what a reader took out of a file to a recording: leads named, ordered, derived, reported."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.leads import (
    LIMB_FROM_I_AND_II,
    STANDARD_LEADS,
    canonical_lead_names,
    is_known_lead,
)
from model_core.types import FloatArray, Gap, ImportReport, Recording, RecordingMetadata
from model_core.wording import Sentence, joined, plain, say

FS_RANGE_HZ = (50.0, 4000.0)
# Values of a recording opened as a whole: 24 h of three leads at 200 Hz are 52 million
MAX_VALUES = 60_000_000
MAX_LEADS = 64
MAX_DAYS = 31
MAX_GAPS_LISTED = 100
NO_CHECKSUM = say("The format holds no checksum: damage to the samples would not be noticed.")

_MV_PER_UNIT = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3}
_UNIT = re.compile("(n|nano|u|µ|μ|micro|m|milli|)v(?:olts?)?")
_PREFIXES = {"nano": "n", "µ": "u", "μ": "u", "micro": "u", "milli": "m"}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file holds, before leads are put in order.

    Attributes
    ----------
    signal_mv
        Leads x samples, mV; NaN where the file has no sample.
    fs
        Sampling frequency, Hz.
    lead_names
        As in the file, one a row.
    report
        What the format tells; leads and gaps are filled in by `complete`.
    metadata
        All else; its report and notes are filled in by `complete`.
    """

    signal_mv: NDArray[Any]
    fs: float
    lead_names: Sequence[str]
    report: ImportReport
    metadata: RecordingMetadata = field(default_factory=RecordingMetadata)


def mv_per_unit(unit: str) -> float | None:
    """How many mV one `unit` is; None if it is not a voltage."""
    match = _UNIT.fullmatch(unit.strip().lower())
    return _MV_PER_UNIT[_PREFIXES.get(match[1], match[1]) + "v"] if match else None


def labelled(facts: Iterable[tuple[str, object]]) -> tuple[tuple[str, str], ...]:
    """Only the facts that say something, as text."""
    texts = (
        (label, value if isinstance(value, Sentence) else plain(value))
        for label, value in facts
        if value is not None
    )
    return tuple((label, text) for label, text in texts if text)


def checked_size(path: Path, limit: int) -> int:
    """Size of the file in bytes, refused before anything is read if beyond `limit`."""
    size = path.stat().st_size
    if size > limit:
        raise ReadError(
            say(
                "{file} holds {size_mb:.0f} MB; files of this kind are read up to {limit_mb:.0f} "
                "MB.",
                file=path.name,
                size_mb=size / 1e6,
                limit_mb=limit / 1e6,
            ),
            hint=say("Export a shorter part of the recording."),
            code="too_large",
        )
    if size == 0:
        raise ReadError(
            say("{file} is empty.", file=path.name), hint=say("Copy it again."), code="empty_file"
        )
    return size


def high_pass(hz: float) -> str:
    """Name a filter of the device."""
    return say("high-pass {hz:g} Hz", hz=hz)


def low_pass(hz: float) -> str:
    """Name a filter of the device."""
    return say("low-pass {hz:g} Hz", hz=hz)


def notch(hz: float) -> str:
    """Name a filter of the device."""
    return say("notch {hz:g} Hz", hz=hz)


def ecg_rate(names: Sequence[str], rates: Sequence[float]) -> Any:  # noqa: ANN401 - one of `rates`
    """Rate of the leads known by name, else of most signals; of equally many, the higher one."""
    of_leads = [rate for name, rate in zip(names, rates, strict=True) if is_known_lead(name)]
    counted = Counter(of_leads or rates)
    return max(counted, key=lambda rate: (counted[rate], rate))


def check_kind(path: Path, n_leads: int, n_samples: int, fs: float) -> None:
    """Refuse what is no recording."""
    if n_leads < 1 or n_samples < 2:
        raise ReadError(
            say("{file} holds no ECG signal.", file=path.name),
            hint=say("Export the recording with its waveforms."),
            code="no_signal",
        )
    if n_leads > MAX_LEADS:
        raise ReadError(
            say(
                "{file} holds {n} signals; up to {most} can be read.",
                file=path.name,
                n=n_leads,
                most=MAX_LEADS,
            ),
            hint=say("Check that it is an ECG."),
            code="too_large",
        )
    if not (math.isfinite(fs) and FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]):
        raise ReadError(
            say(
                "{file} states a sampling rate of {fs:g} Hz; an ECG has {low:g} to {high:g} Hz.",
                file=path.name,
                fs=fs,
                low=FS_RANGE_HZ[0],
                high=FS_RANGE_HZ[1],
            ),
            hint=say("Check the export settings of the device."),
            code="bad_rate",
        )
    if n_samples / fs > MAX_DAYS * 86_400:
        raise ReadError(
            say(
                "{file} states a length of {days:.0f} days; recordings of up to {most} days can "
                "be read.",
                file=path.name,
                days=n_samples / fs / 86_400,
                most=MAX_DAYS,
            ),
            hint=say("Export a part of the recording."),
            code="too_long",
        )


def check_shape(path: Path, n_leads: int, n_samples: int, fs: float) -> None:
    """Refuse what is no recording, or too long to hold, before memory is taken for it."""
    check_kind(path, n_leads, n_samples, fs)
    if n_leads * n_samples > MAX_VALUES:
        raise ReadError(
            say(
                "{file} lasts {hours:.1f} h with {n} leads: too long to be opened as a whole.",
                file=path.name,
                hours=n_samples / fs / 3600,
                n=n_leads,
            ),
            hint=say("Export a part of the recording."),
            code="too_long",
        )


def complete(
    stored: Stored,
    paths: Sequence[Path],
    source: Path,
    *,
    start_s: float = 0.0,
    recording_id: str = "",
    whole_s: float | None = None,
) -> Recording:
    """Make the recording: leads by their known names and in our order, limb leads derived.

    Parameters
    ----------
    stored
        What the reader found.
    paths
        Every file read, for the recording's identity.
    source
        The file whose name is shown.
    start_s, recording_id, whole_s
        Of a part: where it begins in the recording, s, and which recording it is a part of, and how
        long that is, s.

    Raises
    ------
    ReadError
        If there is no signal, or rate or length are beyond what is read.
    """
    if stored.signal_mv.ndim != 2:
        raise ReadError(say("{file} holds no ECG signal.", file=source.name), code="no_signal")
    check_shape(source, stored.signal_mv.shape[0], stored.signal_mv.shape[1], stored.fs)
    repairs = list(stored.report.repairs)
    signal, names, n_stored = _arrange(stored, repairs)
    if np.isinf(signal).any():
        raise ReadError(
            say("{file} holds numbers that are no voltages.", file=source.name),
            hint=say("Export the recording again."),
            code="not_finite",
        )
    gaps, n_gaps = _gaps(signal[:n_stored], names, stored.fs, start_s)
    report = replace(
        stored.report,
        leads_present=tuple(names[:n_stored]),
        leads_derived=tuple(names[n_stored:]),
        leads_missing=tuple(name for name in STANDARD_LEADS if name not in names),
        gaps=gaps,
        n_gaps=n_gaps,
        repairs=tuple(repairs),
    )
    order = sorted(range(len(names)), key=lambda row: (_rank(names[row]), row))
    return Recording(
        recording_id=recording_id or _identity(paths),
        # Without a copy where the order is right: a day of ECG is hundreds of megabytes.
        signal_mv=signal if order == sorted(order) else signal[order],
        fs=stored.fs,
        lead_names=tuple(names[row] for row in order),
        source_name=plain(source.name),
        metadata=replace(
            stored.metadata,
            format_name=joined([report.format_name, report.format_version]),
            age_y=stored.metadata.age.years if stored.metadata.age else stored.metadata.age_y,
            notes=(*stored.metadata.notes, *import_notes(report)),
            report=report,
        ),
        start_s=start_s,
        whole_s=whole_s,
    )


def import_notes(report: ImportReport) -> tuple[str, ...]:
    """Tell the report as sentences, for a list beside the trace."""
    notes = [
        say("Gain {source}: {gain}.", source=report.gain_source, gain=report.gain)
        if report.gain
        else ""
    ]
    if report.rate_source:
        notes.append(say("Sampling rate {source}.", source=report.rate_source))
    notes.append(report.integrity)
    if report.leads_derived:
        notes.append(say("Computed from I and II: {leads}.", leads=", ".join(report.leads_derived)))
    if report.device_filters:
        filters = joined(report.device_filters, ", ")
        notes.append(say("Filters of the device: {filters}.", filters=filters))
    return tuple(note for note in (*notes, *report.repairs) if note)


def _rank(name: str) -> int:
    return STANDARD_LEADS.index(name) if name in STANDARD_LEADS else len(STANDARD_LEADS)


def _arrange(stored: Stored, repairs: list[str]) -> tuple[FloatArray, list[str], int]:
    """Signals with derived limb leads below the stored ones, names, and how many were stored."""
    written = [plain(name, 40) or f"Lead {row + 1}" for row, name in enumerate(stored.lead_names)]
    names = list(canonical_lead_names(written))
    signal = np.asarray(stored.signal_mv, dtype=np.float32)
    for row, name in enumerate(names):
        upright = name.removeprefix("-")
        if upright != name and upright in STANDARD_LEADS and upright not in names:
            signal = np.concatenate([signal[:row], -signal[row : row + 1], signal[row + 1 :]])
            names[row] = upright
            repairs.append(
                say(
                    "Lead {upright} is stored upside down, as {name}: turned.",
                    upright=upright,
                    name=name,
                )
            )
    n_stored = len(names)
    if names.count("I") == 1 and names.count("II") == 1:
        lead_i, lead_ii = (signal[names.index(name)].astype(np.float64) for name in ("I", "II"))
        missing = [name for name in LIMB_FROM_I_AND_II if name not in names]
        derived = [
            LIMB_FROM_I_AND_II[name][0] * lead_i + LIMB_FROM_I_AND_II[name][1] * lead_ii
            for name in missing
        ]
        if derived:
            signal = np.concatenate([signal, np.array(derived, dtype=np.float32)])
        names += missing
    return signal, names, n_stored


def _gaps(
    signal: FloatArray, names: Sequence[str], fs: float, start_s: float
) -> tuple[tuple[Gap, ...], int]:
    """Find the runs of NaN in the stored leads."""
    found: list[Gap] = []
    n_found = 0
    for name, row in zip(names, signal, strict=False):
        missing = np.isnan(row)
        if not missing.any():
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
        n_found += len(edges) // 2
        for start, end in edges.reshape(-1, 2)[: MAX_GAPS_LISTED - len(found)]:
            found.append(Gap(name, start_s + float(start / fs), start_s + float(end / fs)))
    return tuple(found), n_found


def _identity(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
