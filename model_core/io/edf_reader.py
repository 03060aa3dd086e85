"""EDF, EDF+ and BDF (Kemp 1992, 2003; BioSemi): the header is judged, then samples are read.

Decoded here and not by a library: the samples are plain integers, and the C library would be the
only native parser of foreign files in the program.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import (
    MAX_LEADS,
    NO_CHECKSUM,
    check_kind,
    checked_size,
    ecg_rate,
    labelled,
    mv_per_unit,
    plain,
)
from model_core.io._in_file import InFile, Samples, whole
from model_core.io._kit import age_between
from model_core.types import Annotation, ImportReport, Recording, RecordingMetadata
from model_core.wording import listed, say

FORMAT_NAME: str = "EDF"
SUFFIXES: tuple[str, ...] = (".edf", ".bdf", ".rec")

MAX_BYTES = 16_000_000_000
MAX_ANNOTATIONS = 20_000
MAX_RECORDS = 1_000_000  # eleven days in records of one second
MAX_RECORDS_ASKED = 4096

_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
# Kinds of signal that the EDF+ specification names and that are no ECG
_OTHER_KINDS = re.compile(
    r"^(EEG|EOG|EMG|ERG|NC|MEG|MCG|EP|TEMP|RESP|SAO2|SPO2|LIGHT|SOUND|EVENT|STATUS|TRIGGER)\b",
    re.IGNORECASE,
)
# Sites of the 10-20 system, alone or against another, and eyes, chin and legs of a sleep study
_EEG = re.compile(
    r"^(?:Fpz|Fp\d|[FCPO]z|F\d{1,2}|[TPO]\d{1,2}|C\d{1,2}\s*[-:]\s*[AM]\d|E[12]|ROC|LOC|CHIN|"
    r"[LR]AT|[LR]LEG|PLETH|SNORE|FLOW)\d?(?:\s*[-:].*)?$",
    re.IGNORECASE,
)
_ECG = re.compile(r"^(ECG|EKG)", re.IGNORECASE)
_PATIENT = re.compile(r"(\S+) ([FMX]) (\d\d-[A-Z]{3}-\d{4}|X)(?: (\S+))?.*", re.IGNORECASE)
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15\d+(?:\.\d*)?)?\x14")


@dataclass(frozen=True, slots=True)
class _Signal:
    """One signal as the header describes it; `start` is its first byte in a data record."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    prefilter: str
    n_samples: int
    start: int

    @property
    def is_annotation(self) -> bool:
        return self.label in ("EDF Annotations", "BDF Annotations")

    @property
    def units_per_count(self) -> float:
        return (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0])


@dataclass(frozen=True, slots=True)
class _Header:
    sample_bytes: int
    kind: str
    patient: str
    recording: str
    started: datetime | None
    n_records: int
    record_s: float
    signals: tuple[_Signal, ...]

    @property
    def n_bytes(self) -> int:
        return 256 * (len(self.signals) + 1)

    @property
    def record_bytes(self) -> int:
        return self.sample_bytes * sum(signal.n_samples for signal in self.signals)


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file begins as EDF or BDF does."""
    return head[:8] in (_EDF, _BDF) and len(head) >= 256


def read(path: Path) -> Recording:
    """Read the ECG leads of an EDF, EDF+ or BDF file; see `model_core.io.read_recording`."""
    return whole(open_file(path))


def open_file(path: Path) -> InFile:
    """Read what an EDF, EDF+ or BDF file says of its samples."""
    size = checked_size(path, MAX_BYTES)
    repairs: list[str] = []
    header = _read_header(path, size, repairs)
    chosen = _ecg_signals(path, header, repairs)
    n_per_record = chosen[0].n_samples
    fs = n_per_record / header.record_s
    check_kind(path, len(chosen), header.n_records * n_per_record, fs)
    if header.kind.endswith("D"):
        repairs.append(say("The recording was interrupted: the breaks are shown as gaps."))
    starts = _record_starts(path, header, fs)
    n_samples = int(starts[-1]) + n_per_record
    origin_s = _onset(path, header, 0) or 0.0

    def read_samples(first: int, last: int, rows: Sequence[int]) -> Samples:
        begin = max(int(np.searchsorted(starts, first, side="right")) - 1, 0)
        end = int(np.searchsorted(starts, last))
        records = _records(path, header, begin, end)
        signal_mv = np.full((len(rows), last - first), np.nan, dtype=np.float32)
        where = (starts[begin:end, None] + np.arange(n_per_record)).ravel() - first
        inside = (where >= 0) & (where < last - first)
        for row, signal in zip(signal_mv, (chosen[number] for number in rows), strict=True):
            factor = mv_per_unit(signal.unit) or 0.0
            counts = _counts(records, signal, header.sample_bytes)
            values = (counts - signal.digital[1]) * signal.units_per_count + signal.physical[1]
            row[where[inside]] = (values * factor).ravel()[inside]
        notes = _annotations(header, records)
        marks = tuple(Annotation(onset - origin_s, text) for onset, text in notes if text)
        if last - first < n_samples:  # records reach beyond the part
            marks = tuple(mark for mark in marks if first <= mark.time_s * fs < last)
        return Samples(
            signal_mv,
            annotations=marks,
            integrity=NO_CHECKSUM,
        )

    return InFile(
        read=read_samples,
        n_samples=n_samples,
        fs=fs,
        lead_names=tuple(signal.label for signal in chosen),
        report=ImportReport(
            format_name=header.kind[:4] or ("BDF" if header.sample_bytes == 3 else "EDF"),
            rate_source=say("from samples and duration of a data record"),
            gain=_gain(chosen),
            gain_source=say("from the physical and digital limits in the file"),
            unit=", ".join(sorted({signal.unit for signal in chosen})),
            device_filters=tuple(sorted({plain(s.prefilter, 80) for s in chosen if s.prefilter})),
            repairs=tuple(repairs),
        ),
        metadata=_metadata(header),
        paths=(path,),
        source=path,
    )


def _refuse(path: Path, why: str, code: str = "bad_header") -> NoReturn:
    raise ReadError(
        say("{file} cannot be read: {why}.", file=path.name, why=why),
        hint=say("Export or copy it again."),
        code=code,
    )


def _number(path: Path, text: str, what: str) -> float:
    match = _NUMBER.fullmatch(text.replace(",", "."))
    if not match or not math.isfinite(float(match[0])):
        _refuse(path, say("its header does not state {what}", what=what))
    return float(match[0])


def _field(field: bytes) -> str:
    """Text of the header: ASCII by the standard, and what writers take for it."""
    try:
        return field.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return field.decode("latin-1").strip(" \0")


def _read_header(path: Path, size: int, repairs: list[str]) -> _Header:
    with path.open("rb") as file:
        fixed = file.read(256)
        n_signals_text = _field(fixed[252:256])
        if fixed[:8] not in (_EDF, _BDF) or not re.fullmatch(r"\d{1,4}", n_signals_text):
            _refuse(path, say("it is no EDF file, or its header is damaged"))
        n_signals = int(n_signals_text)
        if not 1 <= n_signals <= MAX_LEADS * 4:
            _refuse(path, say("it states {n} signals", n=n_signals), "too_large")
        block = file.read(256 * n_signals)
    if len(block) < 256 * n_signals:
        _refuse(path, say("it ends within its header"), "size_mismatch")

    def text(first: int, last: int) -> str:
        return _field(fixed[first:last])

    if _number(path, text(184, 192), say("its own length")) != 256 * (n_signals + 1):
        _refuse(path, say("the length of its header is wrong"))
    record_s = _number(path, text(244, 252), say("how long a data record lasts"))
    declared = _number(path, text(236, 244), say("how many data records it holds"))
    sample_bytes = 3 if fixed[:8] == _BDF else 2
    signals = _signals(path, block, n_signals, sample_bytes)
    if not 0 < record_s < 1e6 and not all(signal.is_annotation for signal in signals):
        _refuse(path, say("its data records have no duration"))
    kind = text(192, 236)[:5]
    header = _Header(
        sample_bytes=sample_bytes,
        kind=kind if re.fullmatch(r"(EDF|BDF)\+[CD]", kind) else "",
        patient=text(8, 88),
        recording=text(88, 168),
        started=_started(text(168, 176), text(176, 184)),
        n_records=int(declared),
        record_s=record_s,
        signals=signals,
    )
    data_bytes = size - header.n_bytes
    present = data_bytes // header.record_bytes
    if declared == -1 and present:
        repairs.append(
            say("The recorder did not close the file: the number of records was counted.")
        )
        header = replace(header, n_records=present)
    elif declared != present or data_bytes != present * header.record_bytes or not present:
        _refuse(
            path,
            say(
                "it holds {held} bytes of samples, but its header describes {described}",
                held=data_bytes,
                described=int(declared) * header.record_bytes,
            ),
            "size_mismatch",
        )
    if header.n_records > MAX_RECORDS:
        _refuse(path, say("it holds {n} data records", n=header.n_records), "too_large")
    return header


def _signals(path: Path, block: bytes, n: int, sample_bytes: int) -> tuple[_Signal, ...]:
    """Signal headers: each field for all signals, then the next field."""
    columns: list[list[str]] = []
    position = 0
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8):
        fields = (block[position + width * i : position + width * (i + 1)] for i in range(n))
        columns.append([_field(field) for field in fields])
        position += width * n
    signals: list[_Signal] = []
    start = 0
    for label, _, unit, p_min, p_max, d_min, d_max, prefilter, count in zip(*columns, strict=True):
        if not re.fullmatch(r"\d{1,7}", count) or int(count) == 0:
            _refuse(
                path, say("signal {signal} has no samples in a record", signal=plain(label, 16))
            )
        low, high = (
            _number(path, p_min, say("physical limits")),
            _number(path, p_max, say("physical limits")),
        )
        digital = (
            _number(path, d_min, say("digital limits")),
            _number(path, d_max, say("digital limits")),
        )
        if digital[0] >= digital[1]:
            _refuse(
                path,
                say(
                    "the digital limits of signal {signal} are not in order",
                    signal=plain(label, 16),
                ),
            )
        signal = _Signal(plain(label, 16), unit, (low, high), digital, prefilter, int(count), start)
        if low == high and not signal.is_annotation:
            _refuse(path, say("signal {signal} has no gain", signal=signal.label), "gain_missing")
        signals.append(signal)
        start += int(count) * sample_bytes
    return tuple(signals)


def _ecg_signals(path: Path, header: _Header, repairs: list[str]) -> list[_Signal]:
    """Voltages that are not said to be something else, at the rate of the leads known by name."""
    signals = [signal for signal in header.signals if not signal.is_annotation]
    no_others = [s for s in signals if not (_OTHER_KINDS.match(s.label) or _EEG.match(s.label))]
    candidates = [signal for signal in no_others if mv_per_unit(signal.unit) is not None]
    if not candidates and any(not signal.unit for signal in no_others):
        _refuse(path, say("it does not state the unit of its signals"), "gain_missing")
    if not candidates:
        _refuse(path, say("it holds no signal that is an ECG in volts"), "no_signal")
    # What is named a lead says which rate is the ECG's; an EEG may well have more signals.
    named = ["I" if _ECG.match(signal.label) else signal.label for signal in candidates]
    rate = ecg_rate(named, [signal.n_samples for signal in candidates])
    chosen = [signal for signal in candidates if signal.n_samples == rate]
    left_out = [signal.label for signal in signals if signal not in chosen]
    if left_out:
        repairs.append(
            say("Left out as other signals or rates: {names}.", names=", ".join(left_out))
        )
    return chosen


def _gain(signals: list[_Signal]) -> str:
    units = sorted({signal.unit for signal in signals})
    steps = sorted(signal.units_per_count for signal in signals)
    low, high = f"{steps[0]:.4g}", f"{steps[-1]:.4g}"
    if len(units) > 1:
        return say("of each lead, in {units}", units=listed(units))
    if low == high:
        return say("{gain} {unit} a count", gain=low, unit=units[0])
    return say("{low} to {high} {unit} a count", low=low, high=high, unit=units[0])


def _counts(records: NDArray[np.uint8], signal: _Signal, sample_bytes: int) -> NDArray[np.float64]:
    """Take the digital values of a signal, records x samples."""
    end = signal.start + signal.n_samples * sample_bytes
    raw = np.ascontiguousarray(records[:, signal.start : end])
    if sample_bytes == 2:
        return raw.view("<i2").astype(np.float64)
    low, middle, high = (raw[:, byte::3].astype(np.int32) for byte in range(3))
    return (low | middle << 8 | high.astype(np.int8).astype(np.int32) << 16).astype(np.float64)


def _records(path: Path, header: _Header, begin: int, end: int) -> NDArray[np.uint8]:
    """Read whole data records, records x bytes."""
    size = header.record_bytes
    raw = np.fromfile(path, np.uint8, (end - begin) * size, offset=header.n_bytes + begin * size)
    return raw.reshape(end - begin, size)


def _annotations(header: _Header, records: NDArray[np.uint8]) -> list[tuple[float, str]]:
    """Onset in seconds since the start, and text; empty texts are time stamps."""
    found: list[tuple[float, str]] = []
    for signal in header.signals:
        if not (header.kind and signal.is_annotation):
            continue
        end = signal.start + signal.n_samples * header.sample_bytes
        for record in records:
            for entry in record[signal.start : end].tobytes().split(b"\0"):
                match = _ONSET.match(entry)
                if match and len(found) < MAX_ANNOTATIONS + len(records):
                    texts = entry[match.end() :].split(b"\x14")[:-1] or [b""]
                    onset = float(match[1])
                    found += [(onset, plain(t.decode("utf-8", "replace"))) for t in texts]
    return found


def _onset(path: Path, header: _Header, number: int) -> float | None:
    """When a data record begins, seconds; None if it does not say."""
    for signal in header.signals:
        if header.kind and signal.is_annotation:
            place = header.n_bytes + number * header.record_bytes + signal.start
            with path.open("rb") as file:
                file.seek(place)
                match = _ONSET.match(file.read(signal.n_samples * header.sample_bytes))
            if match:
                return float(match[1])
    return None


def _record_starts(path: Path, header: _Header, fs: float) -> NDArray[np.int64]:
    """First sample of each data record; records follow one another unless marked as EDF+D.

    Of a long recording not every record is asked: a stretch of records that lasts no longer than
    its samples has no break in it.
    """
    length = round(header.record_s * fs)
    starts = np.arange(header.n_records, dtype=np.int64) * length
    if not header.kind.endswith("D"):
        return starts
    onsets: dict[int, float] = {}

    def begins(number: int) -> int:
        if number not in onsets:
            onset = _onset(path, header, number)
            if onset is None:
                _refuse(path, say("it does not say when each of its records begins"))
            onsets[number] = onset
        return round((onsets[number] - onsets[0]) * fs)

    begins(0)
    last = header.n_records - 1
    step = 1 if last < MAX_RECORDS_ASKED else last
    open_stretches = [(low, min(low + step, last)) for low in range(0, last, step)]
    while open_stretches:
        low, high = open_stretches.pop()
        missing = begins(high) - begins(low) - (high - low) * length
        if missing < 0:
            _refuse(path, say("its records overlap in time"))
        if missing == 0 or high - low <= 1:
            starts[low : high + 1] = begins(low) + np.arange(high - low + 1) * length
            starts[high] = begins(high)
        else:
            middle = (low + high) // 2
            open_stretches += [(low, middle), (middle, high)]
    return starts


def _started(date: str, time: str) -> datetime | None:
    parts = re.fullmatch(r"(\d\d)\.(\d\d)\.(\d\d) (\d\d)\.(\d\d)\.(\d\d)", f"{date} {time}")
    if not parts:
        return None
    day, month, year, hour, minute, second = (int(part) for part in parts.groups())
    try:
        # Two digits of the year: 85 to 99 are 1985 to 1999 (EDF+, 2.1.3.2)
        return datetime(  # noqa: DTZ001 - local time of the recorder, no zone is stated
            year + (1900 if year >= 85 else 2000), month, day, hour, minute, second
        )
    except ValueError:
        return None


def _metadata(header: _Header) -> RecordingMetadata:
    person = _PATIENT.fullmatch(header.patient) if header.kind else None
    born: datetime | None = None
    facts: list[tuple[str, Any]] = [(say("Patient field"), "" if person else header.patient)]
    if person:
        code, _, birth, name = (part if part != "X" else "" for part in person.groups(default=""))
        facts += [
            (say("Identifier"), code),
            (say("Name"), name.replace("_", " ")),
            (say("Date of birth"), birth),
        ]
        try:
            born = datetime.strptime(birth.title(), "%d-%b-%Y") if birth else None  # noqa: DTZ007
        except ValueError:
            born = None
    return RecordingMetadata(
        acquired_at=header.started.isoformat() if header.started else "",
        age=age_between(born, header.started),
        sex={"F": "female", "M": "male"}.get(person[2].upper(), "") if person else "",
        patient=labelled(facts),
        acquisition=labelled([(say("Recording field"), header.recording)]),
    )
