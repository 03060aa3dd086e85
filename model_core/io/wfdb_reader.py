"""WFDB records (PhysioNet): a header and its data files, decoded by the `wfdb` package.

The package does the decoding; this module decides what may be decoded. `wfdb` itself takes a
missing gain for 200 per mV, never compares the checksums and opens whatever `fsspec` takes a
name for, so the header is checked here first and the samples afterwards.
Format: header(5) and signal(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import FS_RANGE_HZ, Stored, complete
from model_core.leads import canonical_lead_name
from model_core.types import (
    DAYS_PER_AGE_UNIT,
    Age,
    FloatArray,
    ImportReport,
    Recording,
    RecordingMetadata,
)

FORMAT_NAME: str = "WFDB"
SUFFIXES: tuple[str, ...] = (".hea", ".dat")

MAX_HEADER_BYTES = 1_000_000
MAX_DATA_BYTES = 500_000_000
MAX_SIGNALS = 64
MAX_SEGMENTS = 1000

_RECORD_NAME = re.compile(r"[-\w]+")
_DATA_FILE_NAME = re.compile(r"[-\w]+(\.\w+)?")
# Gain, baseline and unit, for instance 1000.0(0)/mV
_GAIN = re.compile(r"(\d+\.?\d*(?:[eE][-+]?\d+)?)(?:\(-?\d+\))?(?:/(\S+))?")
_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
# The formats of resting ECGs. Left out: tape formats (8, 310, 311), FLAC (another library) and 61
# (wfdb 4.3.1 fails on its byte order).
# Format: bytes a sample, and the value that stands for "no sample"
_FORMATS: dict[str, tuple[float, int]] = {
    "16": (2.0, -(2**15)),
    "24": (3.0, -(2**23)),
    "32": (4.0, -(2**31)),
    "80": (1.0, -(2**7)),
    "160": (2.0, -(2**15)),
    "212": (1.5, -(2**11)),
}
# Format, samples a frame, skew and byte offset, for instance 16x1+24
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_STANDARD_UNIT = "mV"
_GAIN_HINT = "Have the source of the file state gain and unit, for instance 1000/mV."
_AGE = re.compile(
    r"(?<![a-z])age>?\s*:\s*(\d{1,3}(?:\.\d+)?)(?![\d.])(?:\s*(years?|months?|weeks?|days?|[ymwd])\b)?",
    re.IGNORECASE,
)
_SEX = re.compile(r"(?<![a-z])(?:sex|gender)>?\s*:\s*(f|m)(?:emale|ale)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Signal:
    """What a signal line says, as far as it decides whether the samples may be read."""

    file_name: str
    fmt: str
    samples_per_frame: int
    byte_offset: int
    gain: float
    unit: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One record without segments: signals in mV, and what was found on the way."""

    signal_mv: FloatArray
    fs: float
    lead_names: tuple[str, ...]
    paths: tuple[Path, ...]
    gains: frozenset[str]
    units: frozenset[str]
    n_invalid: int
    verified: bool
    acquired_at: str


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - a data file has no mark
    """Whether `path` is a WFDB header, a data file that one names, or a record's name."""
    if path.suffix.lower() in SUFFIXES:
        return True
    header = path.with_suffix(".hea")
    if not header.is_file():
        return False
    return not path.suffix or path.name in header.read_text(encoding="latin-1")


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
    header = path.with_suffix(".hea")
    if not header.is_file():
        raise ReadError(
            f"The header {header.name} is not there.",
            hint="A WFDB record is a header and its data files in one folder: copy all of them.",
            code="header_missing",
        )
    header = header.resolve()
    if "::" in str(header):
        # fsspec, with which wfdb opens files, takes such a name for a chain of addresses.
        raise ReadError(
            "A WFDB record cannot be read from a path that contains '::'.",
            hint="Rename the folder, or copy the record elsewhere.",
            code="bad_path",
        )
    lines, comments = _header_lines(header)
    part = (
        _read_segments(header, lines) if "/" in lines[0].split()[0] else _read_part(header, lines)
    )
    if path.suffix and path.resolve() not in part.paths:
        raise ReadError(
            f"The header {header.name} does not name {path.name} as its data file.",
            hint="Open the header of the record that you want to see.",
            code="not_in_record",
        )
    return complete(
        Stored(
            signal_mv=part.signal_mv,
            fs=part.fs,
            lead_names=part.lead_names,
            report=ImportReport(
                format_name=FORMAT_NAME,
                rate_source="as stated in the header",
                gain=", ".join(sorted(part.gains)),
                gain_source="as stated in the file",
                unit=", ".join(sorted(part.units)),
                integrity=_integrity(part),
                repairs=_repairs(part),
            ),
            metadata=RecordingMetadata(
                acquired_at=part.acquired_at,
                age=_age(comments),
                sex=_sex(comments),
                comments=comments,
                simulated=any("simulated ecg" in line.lower() for line in comments),
            ),
        ),
        part.paths,
        header,
    )


def _bad_header(
    header: Path,
    why: str,
    code: str = "bad_header",
    hint: str = "Export or copy the record again.",
) -> ReadError:
    return ReadError(f"The header {header.name} cannot be used: {why}.", hint=hint, code=code)


def _header_lines(header: Path) -> tuple[list[str], tuple[str, ...]]:
    """Record, signal and segment lines of a header, and its comments without their mark."""
    with header.open("rb") as file:
        content = file.read(MAX_HEADER_BYTES + 1)
    if len(content) > MAX_HEADER_BYTES:
        raise _bad_header(header, "it is larger than 1 MB", code="too_large")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    comments = tuple(line.lstrip("# \t") for line in lines if line.startswith("#"))
    lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        raise _bad_header(header, "it holds no record line")
    if len(lines) > 1 + MAX_SEGMENTS:
        raise _bad_header(header, "it has too many lines", code="too_large")
    return lines, comments


def _record_line(header: Path, line: str) -> tuple[int, float, int]:
    """Get number of signals, frame rate in Hz and number of frames."""
    match = re.fullmatch(r"[-\w]+(?:/\d+)?\s+(\d+)\s+(\d+\.?\d*)(?:/\S*)?\s+(\d+)(?:\s.*)?", line)
    if not match or int(match[3]) == 0:
        raise _bad_header(
            header, "its first line must state the number of signals, the rate and the length"
        )
    n_signals = int(match[1])
    if not 1 <= n_signals <= MAX_SIGNALS:
        raise _bad_header(
            header, f"it states {n_signals} signals; 1 to {MAX_SIGNALS} can be read", "too_large"
        )
    return n_signals, float(match[2]), int(match[3])


def _signal_line(header: Path, line: str) -> _Signal:
    fields = [*line.split(), "", ""]
    name, layout, gain = fields[0], _FORMAT.fullmatch(fields[1]), _GAIN.fullmatch(fields[2])
    if not _DATA_FILE_NAME.fullmatch(name):
        raise _bad_header(header, "a data file is not named as a plain file name", "bad_file_name")
    if not layout or layout[1] not in _FORMATS:
        raise _bad_header(header, "the sample format is not supported", code="unknown_format")
    if int(layout[3] or 0):
        raise _bad_header(header, "its signals are shifted in time (skew)", code="skewed")
    if not gain or not 0 < float(gain[1]) < math.inf:
        raise _bad_header(
            header, "it does not state the gain of every signal", "gain_missing", _GAIN_HINT
        )
    # header(5): a signal without a unit is in millivolts. The import notes say so.
    if (gain[2] or _STANDARD_UNIT).lower() not in _MV_PER_UNIT:
        raise _bad_header(header, f"the unit '{gain[2][:10]}' is not a voltage", "unknown_unit")
    return _Signal(
        file_name=name,
        fmt=layout[1],
        samples_per_frame=int(layout[2] or 1),
        byte_offset=int(layout[4] or 0),
        gain=float(gain[1]),
        unit=gain[2] or "",
    )


def _data_paths(header: Path, signals: list[_Signal], n_frames: int) -> tuple[Path, ...]:
    """Paths of the data files, each inside the record's folder and of exactly the size stated."""
    groups = [list(g) for _, g in itertools.groupby(signals, key=lambda signal: signal.file_name)]
    if len(groups) != len({signal.file_name for signal in signals}):
        raise _bad_header(header, "the signals of one data file are not listed together")
    paths: list[Path] = []
    total = 0
    for group in groups:
        first = group[0]
        path = (header.parent / first.file_name).resolve()
        if path.parent != header.parent:
            raise _bad_header(header, "a data file lies outside the folder", code="outside_folder")
        if not path.is_file():
            raise ReadError(
                f"The data file {first.file_name} is not there.",
                hint="A WFDB record is a header and its data files in one folder: copy all.",
                code="data_missing",
            )
        if len({(signal.fmt, signal.byte_offset) for signal in group}) != 1:
            raise _bad_header(header, "one data file has two sample formats")
        n_values = n_frames * sum(signal.samples_per_frame for signal in group)
        expected = first.byte_offset + math.ceil(n_values * _FORMATS[first.fmt][0] - 1e-6)
        size = path.stat().st_size
        total += expected
        if size != expected:
            raise ReadError(
                f"The data file {first.file_name} holds {size} bytes, but the header describes "
                f"{expected}: it is incomplete or belongs to another header.",
                hint="Copy the record again.",
                code="size_mismatch",
            )
        paths.append(path)
    if total > MAX_DATA_BYTES:
        raise _bad_header(header, "the record is larger than 500 MB", code="too_large")
    return tuple(paths)


def _read_part(header: Path, lines: list[str]) -> _Part:
    """Read a record without segments."""
    n_signals, frame_rate, n_frames = _record_line(header, lines[0])
    if len(lines) - 1 != n_signals:
        raise _bad_header(header, f"it states {n_signals} signals and lists {len(lines) - 1}")
    signals = [_signal_line(header, line) for line in lines[1:]]
    if len({signal.samples_per_frame for signal in signals}) != 1:
        raise _bad_header(header, "its leads have different sampling rates", code="mixed_rates")
    fs = frame_rate * signals[0].samples_per_frame
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise _bad_header(
            header,
            f"a sampling rate of {fs:g} Hz is outside {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g} Hz",
            code="bad_rate",
        )
    data_paths = _data_paths(header, signals, n_frames)
    record = _decode(header)
    if record.fs != frame_rate or list(record.adc_gain) != [signal.gain for signal in signals]:
        raise _bad_header(header, "its numbers can be understood in two ways")

    digital: list[NDArray[np.int64]] = record.e_d_signal
    has_checksums = [value is not None for value in record.checksum]
    signal_mv = np.empty((n_signals, len(digital[0])), dtype=np.float32)
    n_invalid = 0
    for row, (signal, values) in enumerate(zip(signals, digital, strict=True)):
        checksum, first = record.checksum[row], record.init_value[row]
        if (checksum is not None and (int(values.sum(dtype=np.int64)) - checksum) % 65536) or (
            first is not None and values[0] != first
        ):
            raise ReadError(
                f"The samples of lead {record.sig_name[row]} do not match the check numbers in "
                f"the header {header.name}: the record was altered or damaged.",
                hint="Copy the record again from its source.",
                code="checksum_mismatch",
            )
        mv_per_count = _MV_PER_UNIT[(signal.unit or _STANDARD_UNIT).lower()] / signal.gain
        signal_mv[row] = (values - float(record.baseline[row])) * mv_per_count
        invalid = values == _FORMATS[signal.fmt][1]
        signal_mv[row, invalid] = np.nan
        n_invalid += int(np.count_nonzero(invalid))
    return _Part(
        signal_mv=signal_mv,
        fs=fs,
        lead_names=tuple(canonical_lead_name(name or "") for name in record.sig_name),
        paths=(header, *data_paths),
        gains=frozenset(
            f"{signal.gain:g} per {signal.unit}"
            if signal.unit
            else f"{signal.gain:g} per mV (no unit stated: by the format's rule, mV)"
            for signal in signals
        ),
        units=frozenset(signal.unit or _STANDARD_UNIT for signal in signals),
        n_invalid=n_invalid,
        verified=all(has_checksums),
        acquired_at=record.base_datetime.isoformat() if record.base_datetime else "",
    )


def _decode(header: Path) -> Any:  # noqa: ANN401 - wfdb has no types
    """Digital samples and header fields, by the `wfdb` package."""
    import wfdb  # pyright: ignore[reportMissingTypeStubs]

    untyped = cast("Any", wfdb)

    try:
        # An absolute path never looks like an address to wfdb; see also the check in `read`.
        return untyped.rdrecord(
            str(header.with_suffix("")), physical=False, smooth_frames=False, return_res=32
        )
    except Exception as error:  # wfdb leaks at least seven kinds on damaged files
        raise ReadError(
            f"The record {header.name} is damaged or not a WFDB record.",
            hint="Export or copy it again.",
            code="damaged",
        ) from error


def _read_segments(header: Path, lines: list[str]) -> _Part:
    """Read a record in segments and join them in time; a lead absent from a segment is NaN."""
    n_signals, fs, n_samples = _record_line(header, lines[0])
    segments: list[tuple[str, int]] = []
    for line in lines[1:]:
        match = re.fullmatch(r"(~|[-\w]+)\s+(\d+)", line)
        if not match:
            raise _bad_header(header, "a segment is not named as a plain record name")
        if int(match[2]):  # a first segment of length 0 only describes the layout
            segments.append((match[1], int(match[2])))
    if sum(length for _, length in segments) != n_samples:
        raise _bad_header(header, "the lengths of its segments do not add up")
    if n_samples * n_signals * 2 > MAX_DATA_BYTES:
        raise _bad_header(header, "the record is larger than 500 MB", code="too_large")

    parts: list[tuple[int, _Part]] = []
    start = 0
    for name, length in segments:
        if name != "~":
            parts.append((start, _read_segment(header, name, length, fs)))
        start += length
    names = tuple(dict.fromkeys(name for _, part in parts for name in part.lead_names))
    if not 1 <= len(names) <= n_signals:
        raise _bad_header(header, "its segments hold other signals than it states")
    signal_mv = np.full((len(names), n_samples), np.nan, dtype=np.float32)
    for start, part in parts:
        rows = [names.index(name) for name in part.lead_names]
        signal_mv[rows, start : start + part.signal_mv.shape[1]] = part.signal_mv
    return _Part(
        signal_mv=signal_mv,
        fs=fs,
        lead_names=names,
        paths=(header, *dict.fromkeys(path for _, part in parts for path in part.paths)),
        gains=frozenset[str]().union(*(part.gains for _, part in parts)),
        units=frozenset[str]().union(*(part.units for _, part in parts)),
        n_invalid=sum(part.n_invalid for _, part in parts),
        verified=all(part.verified for _, part in parts),
        acquired_at=parts[0][1].acquired_at,
    )


def _read_segment(header: Path, name: str, length: int, fs: float) -> _Part:
    path = (header.parent / f"{name}.hea").resolve()
    if path.parent != header.parent:
        raise _bad_header(header, "a segment lies outside the folder", code="outside_folder")
    if not path.is_file():
        raise ReadError(
            f"The segment {name}.hea of {header.name} is not there.",
            hint="Copy the whole record, with all of its segments.",
            code="header_missing",
        )
    lines, _ = _header_lines(path)
    if "/" in lines[0].split()[0]:
        raise _bad_header(header, "a segment is itself made of segments", code="nested_segments")
    part = _read_part(path, lines)
    if part.fs != fs or part.signal_mv.shape[1] != length:
        raise _bad_header(header, f"its segment {name} has another rate or length than stated")
    if len(set(part.lead_names)) != len(part.lead_names):
        raise _bad_header(header, f"its segment {name} names a lead twice")
    return part


def _integrity(part: _Part) -> str:
    if part.verified:
        return "The samples match the checksums in the file."
    return "The file holds no checksum for some leads: damage would not be noticed."


def _repairs(part: _Part) -> tuple[str, ...]:
    if not part.n_invalid:
        return ()
    return (f"{part.n_invalid} samples are marked as invalid in the file: shown as gaps.",)


def _age(comments: tuple[str, ...]) -> Age | None:
    for match in filter(None, map(_AGE.search, comments)):
        age, unit = float(match[1]), (match[2] or "years").lower()
        unit = next(name for name in DAYS_PER_AGE_UNIT if name.startswith(unit[0]))
        return Age(age, unit) if age * DAYS_PER_AGE_UNIT[unit] <= 120 * 365.25 else None
    return None


def _sex(comments: tuple[str, ...]) -> str:
    found = [match[1].lower() for match in map(_SEX.search, comments) if match]
    return {"f": "female", "m": "male"}[found[0]] if found else ""
