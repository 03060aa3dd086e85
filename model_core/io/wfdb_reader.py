"""WFDB records (PhysioNet): a header and its data files, decoded by the `wfdb` package.

The package does the decoding; this module decides what may be decoded. `wfdb` itself takes a
missing gain for 200 per mV, never compares the checksums and opens whatever `fsspec` takes a
name for, so the header is checked here first and the samples afterwards.
Format: header(5) and signal(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_core.errors import ReadError
from model_core.io._complete import FS_RANGE_HZ, check_kind, ecg_rate, plain
from model_core.io._in_file import InFile, Samples, whole
from model_core.io._marks_beside import wfdb_marks
from model_core.io._wfdb_data import call_wfdb, counts, data_files
from model_core.io._wfdb_header import (
    FLAC_FORMATS,
    FORMATS,
    MAX_HEADER_BYTES,
    MAX_SIGNALS,
    PLAIN_NAME,
    bad_header,
    header_lines,
    header_of,
    record_line,
    signal_line,
)
from model_core.leads import canonical_lead_name, is_known_lead
from model_core.types import (
    DAYS_PER_AGE_UNIT,
    Age,
    FloatArray,
    ImportReport,
    Recording,
    RecordingMetadata,
)
from model_core.wording import joined, say

__all__ = [
    "FORMAT_NAME",
    "FS_RANGE_HZ",
    "MAX_HEADER_BYTES",
    "MAX_SIGNALS",
    "SUFFIXES",
    "open_file",
    "read",
    "recognises",
]

FORMAT_NAME: str = "WFDB"
SUFFIXES: tuple[str, ...] = (".hea", ".dat")

# Differences and FLAC: no sample is known without those before it
_FROM_THE_START = ("8", *FLAC_FORMATS)
_AGE = re.compile(
    r"(?<![a-z])age>?\s*:\s*(\d{1,3}(?:\.\d+)?)(?![\d.])(?:\s*(years?|months?|weeks?|days?|[ymwd])\b)?",
    re.IGNORECASE,
)
# As in the headers of the MIT-BIH databases: 69 M 1085 1629 x1
_AGE_AND_SEX = re.compile(r"(\d{1,3}) ([FM])\b")
_SEX = re.compile(r"(?<![a-z])(?:sex|gender)>?\s*:\s*(f|m)(?:emale|ale)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Read:
    """Samples of some leads in mV, leads x samples, and what was found in them."""

    signal_mv: FloatArray
    n_invalid: int
    verified: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """One record without segments: what its header says, and how to read samples of its leads."""

    read: Callable[[int, int, Sequence[int]], _Read]
    seekable: bool
    n_frames: int
    frame_rate: float
    per_frame: int
    lead_names: tuple[str, ...]
    left_out: tuple[str, ...]
    paths: tuple[Path, ...]
    gains: frozenset[str]
    units: frozenset[str]
    skewed: bool
    acquired_at: str

    @property
    def fs(self) -> float:
        return self.frame_rate * self.per_frame

    @property
    def n_samples(self) -> int:
        return self.n_frames * self.per_frame


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - a data file has no mark
    """Whether `path` is a WFDB header, a data file that one names, or a record's name."""
    if path.suffix.lower() in SUFFIXES:
        return True
    header = header_of(path)
    if not header.is_file():
        return False
    return header.stem == path.name or path.name in header.read_text(encoding="latin-1")


def read(path: Path) -> Recording:
    """Read a WFDB record.

    Parameters
    ----------
    path
        The header (``.hea``), its data file, or the record's name without ending.

    Returns
    -------
    Recording
        Every signal of the record, in mV. Samples marked invalid, and segments that a lead is
        absent from, are NaN.

    Raises
    ------
    ReadError
        If a file is missing, damaged, outside the record's folder or beyond the limits of this
        module, or if gain, unit, rate or length are not stated.
    """
    return whole(open_file(path))


def open_file(path: Path) -> InFile:
    """Read what a WFDB record says of its samples."""
    header = header_of(path)
    is_record_name = header.stem == path.name
    if not header.is_file():
        raise ReadError(
            say("The header {header} is not there.", header=header.name),
            hint=say(
                "A WFDB record is a header and its data files in one folder: copy all of them. "
                "Recordings of Viatom, called .dat too, are not supported."
            )
            if path.suffix.lower() == ".dat"
            else say(
                "A WFDB record is a header and its data files in one folder: copy all of them."
            ),
            code="header_missing",
        )
    header = header.resolve()
    if "::" in str(header):
        # fsspec, with which wfdb opens files, takes such a name for a chain of addresses.
        raise ReadError(
            say("A WFDB record cannot be read from a path that contains '::'."),
            hint=say("Rename the folder, or copy the record elsewhere."),
            code="bad_path",
        )
    lines, comments = header_lines(header)
    part = (
        _open_segments(header, lines) if "/" in lines[0].split()[0] else _open_part(header, lines)
    )
    if not is_record_name and path.resolve() not in part.paths:
        raise ReadError(
            say(
                "The header {header} does not name {file} as its data file.",
                header=header.name,
                file=path.name,
            ),
            hint=say("Open the header of the record that you want to see."),
            code="not_in_record",
        )
    beside = functools.cache(lambda: wfdb_marks(header, part.frame_rate))
    late = say("Leads that lie later in the file than they were recorded (skew) were moved back.")
    left_out = say("Left out as other signals or rates: {names}.", names=", ".join(part.left_out))

    def read_samples(first: int, last: int, rows: Sequence[int]) -> Samples:
        found = part.read(first, last, rows)
        invalid = say(
            "{n} samples are marked as invalid in the file: shown as gaps.", n=found.n_invalid
        )
        marks, told = beside() if len(rows) == len(part.lead_names) else ((), ())
        return Samples(
            found.signal_mv,
            repairs=((invalid,) if found.n_invalid else ()) + told,
            annotations=tuple(m for m in marks if first <= m.time_s * part.fs < last),
            integrity=_integrity(found) if last - first == part.n_samples else "",
        )

    return InFile(
        read=read_samples,
        seekable=part.seekable,
        n_samples=part.n_samples,
        fs=part.fs,
        lead_names=part.lead_names,
        report=ImportReport(
            format_name=FORMAT_NAME,
            rate_source=say("as stated in the header"),
            gain=joined(sorted(part.gains), ", "),
            gain_source=say("as stated in the file"),
            unit=", ".join(sorted(part.units)),
            repairs=((left_out,) if part.left_out else ()) + ((late,) if part.skewed else ()),
        ),
        metadata=RecordingMetadata(
            acquired_at=part.acquired_at,
            age=_age(comments),
            sex=_sex(comments),
            comments=comments,
            simulated=any("simulated ecg" in line.lower() for line in comments),
        ),
        paths=part.paths,
        source=header,
    )


def _open_part(header: Path, lines: list[str]) -> _Part:
    """Open a record without segments."""
    n_signals, frame_rate, n_frames = record_line(header, lines[0])
    if len(lines) - 1 != n_signals:
        raise bad_header(
            header,
            say("it states {n} signals and lists {listed}", n=n_signals, listed=len(lines) - 1),
        )
    signals = [signal_line(header, line) for line in lines[1:]]
    voltages = [signal for signal in signals if signal.mv_per_count is not None]
    # A lead among them in another unit is a doubt; pressures and the like are left out.
    strange = [s for s in signals if s not in voltages and (not voltages or is_known_lead(s.name))]
    if strange:
        unit = plain(strange[0].unit, 10)
        raise bad_header(
            header, say("the unit '{unit}' is not a voltage", unit=unit), "unknown_unit"
        )
    per_frame = ecg_rate([s.name for s in voltages], [s.samples_per_frame for s in voltages])
    if any(s.samples_per_frame != per_frame and is_known_lead(s.name) for s in voltages):
        raise bad_header(header, say("its leads have different sampling rates"), code="mixed_rates")
    chosen = [signal in voltages and signal.samples_per_frame == per_frame for signal in signals]
    fs = frame_rate * per_frame
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise bad_header(
            header,
            say(
                "a sampling rate of {fs:g} Hz is outside {low:g} to {high:g} Hz",
                fs=fs,
                low=FS_RANGE_HZ[0],
                high=FS_RANGE_HZ[1],
            ),
            code="bad_rate",
        )
    data_paths = data_files(header, signals, n_frames)
    record = call_wfdb(header, "rdheader")
    if record.fs != frame_rate or list(record.adc_gain) != [signal.gain for signal in signals]:
        raise bad_header(header, say("its numbers can be understood in two ways"))
    names = [
        canonical_lead_name(name or f"Signal {n + 1}") for n, name in enumerate(record.sig_name)
    ]
    kept = [number for number, is_chosen in enumerate(chosen) if is_chosen]
    # Zeros throughout: a writer that did not work them out.
    stated = any(record.checksum) or any(record.init_value)

    def read(first: int, last: int, rows: Sequence[int]) -> _Read:
        numbers = [kept[row] for row in rows]
        delay = max(signals[number].skew for number in numbers)
        frames = first // per_frame, min(-(-last // per_frame) + delay, n_frames)
        digital = counts(header, signals, data_paths, frames, numbers)
        is_whole = frames == (0, n_frames)
        signal_mv = np.empty((len(rows), last - first), dtype=np.float32)
        n_invalid = 0
        for row, (number, decoded) in enumerate(zip(numbers, digital, strict=True)):
            signal = signals[number]
            checksum = record.checksum[number] if is_whole else None
            initial = record.init_value[number] if first == 0 and signal.fmt != "8" else None
            if stated and (
                (checksum is not None and (int(decoded.sum(dtype=np.int64)) - checksum) % 65536)
                or (initial is not None and decoded[0] != initial)
            ):
                raise ReadError(
                    say(
                        "The samples of lead {lead} do not match the check numbers in the header "
                        "{header}: the record was altered or damaged.",
                        lead=names[number],
                        header=header.name,
                    ),
                    hint=say("Copy the record again from its source."),
                    code="checksum_mismatch",
                )
            at = first + (signal.skew - frames[0]) * per_frame
            values = decoded[at : at + last - first]
            invalid = values == FORMATS[signal.fmt][2]
            in_mv = (values - float(record.baseline[number])) * (signal.mv_per_count or 0.0)
            signal_mv[row, : len(values)] = np.where(invalid, np.nan, in_mv)
            signal_mv[row, len(values) :] = np.nan
            n_invalid += int(np.count_nonzero(invalid))
        verified = stated and all(record.checksum[number] is not None for number in numbers)
        return _Read(signal_mv, n_invalid, verified)

    return _Part(
        read=read,
        seekable=all(signal.fmt not in _FROM_THE_START for signal in signals),
        n_frames=n_frames,
        frame_rate=frame_rate,
        per_frame=per_frame,
        lead_names=tuple(names[number] for number in kept),
        left_out=tuple(plain(name, 20) for name, use in zip(names, chosen, strict=True) if not use),
        paths=(header, *data_paths),
        gains=frozenset(
            say("{gain:g} per {unit}", gain=signals[number].gain, unit=signals[number].unit)
            if signals[number].unit
            else say(
                "{gain:g} per mV (no unit stated: by the format's rule, mV)",
                gain=signals[number].gain,
            )
            for number in kept
        ),
        units=frozenset(signals[number].unit or "mV" for number in kept),
        skewed=any(signals[number].skew for number in kept),
        acquired_at=record.base_datetime.isoformat() if record.base_datetime else "",
    )


def _open_segments(header: Path, lines: list[str]) -> _Part:
    """Open a record in segments, joined in time; a lead absent from a segment is NaN."""
    n_signals, frame_rate, n_frames = record_line(header, lines[0])
    segments: list[tuple[str, int]] = []
    for line in lines[1:]:
        match = re.fullmatch(rf"(~|{PLAIN_NAME})\s+(\d+)", line)
        if not match:
            raise bad_header(header, say("a segment is not named as a plain record name"))
        if int(match[2]):  # a first segment of length 0 only describes the layout
            segments.append((match[1], int(match[2])))
    if sum(length for _, length in segments) != n_frames:
        raise bad_header(header, say("the lengths of its segments do not add up"))
    check_kind(header, n_signals, n_frames, frame_rate)

    parts: list[tuple[int, _Part]] = []
    start = 0
    for name, length in segments:
        if name != "~":
            parts.append((start, _open_segment(header, name, length, frame_rate)))
        start += length
    names = tuple(dict.fromkeys(name for _, part in parts for name in part.lead_names))
    if not 1 <= len(names) <= n_signals:
        raise bad_header(header, say("its segments hold other signals than it states"))
    per_frame = parts[0][1].per_frame
    if any(part.per_frame != per_frame for _, part in parts):
        raise bad_header(
            header, say("its segments have different sampling rates"), code="mixed_rates"
        )

    def read(first: int, last: int, rows: Sequence[int]) -> _Read:
        wanted = [names[row] for row in rows]
        signal_mv = np.full((len(rows), last - first), np.nan, dtype=np.float32)
        n_invalid, verified = 0, True
        for start, part in ((start * per_frame, part) for start, part in parts):
            low, high = max(first - start, 0), min(last - start, part.n_samples)
            shared = [name for name in wanted if name in part.lead_names]
            if low >= high or not shared:
                continue
            found = part.read(low, high, [part.lead_names.index(name) for name in shared])
            inside = slice(start + low - first, start + high - first)
            for name, row in zip(shared, found.signal_mv, strict=True):
                signal_mv[wanted.index(name), inside] = row
            n_invalid += found.n_invalid
            verified = verified and found.verified
        return _Read(signal_mv, n_invalid, verified)

    return _Part(
        read=read,
        seekable=all(part.seekable for _, part in parts),
        n_frames=n_frames,
        frame_rate=frame_rate,
        per_frame=per_frame,
        lead_names=names,
        left_out=tuple(dict.fromkeys(name for _, part in parts for name in part.left_out)),
        paths=(header, *dict.fromkeys(path for _, part in parts for path in part.paths)),
        gains=frozenset[str]().union(*(part.gains for _, part in parts)),
        units=frozenset[str]().union(*(part.units for _, part in parts)),
        skewed=any(part.skewed for _, part in parts),
        acquired_at=parts[0][1].acquired_at,
    )


def _open_segment(header: Path, name: str, length: int, frame_rate: float) -> _Part:
    path = (header.parent / f"{name}.hea").resolve()
    if path.parent != header.parent:
        raise bad_header(header, say("a segment lies outside the folder"), code="outside_folder")
    if not path.is_file():
        raise ReadError(
            say("The segment {name}.hea of {header} is not there.", name=name, header=header.name),
            hint=say("Copy the whole record, with all of its segments."),
            code="header_missing",
        )
    lines, _ = header_lines(path)
    if "/" in lines[0].split()[0]:
        raise bad_header(
            header, say("a segment is itself made of segments"), code="nested_segments"
        )
    part = _open_part(path, lines)
    if part.frame_rate != frame_rate or part.n_frames != length:
        raise bad_header(
            header, say("its segment {name} has another rate or length than stated", name=name)
        )
    if len(set(part.lead_names)) != len(part.lead_names):
        raise bad_header(header, say("its segment {name} names a lead twice", name=name))
    return part


def _integrity(found: _Read) -> str:
    if found.verified:
        return say("The samples match the checksums in the file.")
    return say("The file holds no checksum for some leads: damage would not be noticed.")


def _age(comments: tuple[str, ...]) -> Age | None:
    for match in filter(None, map(_AGE.search, comments)):
        age, unit = float(match[1]), (match[2] or "years").lower()
        unit = next(name for name in DAYS_PER_AGE_UNIT if name.startswith(unit[0]))
        return Age(age, unit) if age * DAYS_PER_AGE_UNIT[unit] <= 120 * 365.25 else None
    short = [int(match[1]) for match in map(_AGE_AND_SEX.match, comments) if match]
    return Age(short[0]) if short and short[0] <= 120 else None


def _sex(comments: tuple[str, ...]) -> str:
    found = [match[1].lower() for match in map(_SEX.search, comments) if match]
    found += [match[2].lower() for match in map(_AGE_AND_SEX.match, comments) if match]
    return {"f": "female", "m": "male"}[found[0]] if found else ""
