"""ISHNE Holter (Badilini 1998): header judged here, samples read where they are asked for."""

from __future__ import annotations

import binascii
import functools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from model_core.errors import ReadError
from model_core.io._complete import check_kind, checked_size, labelled, plain
from model_core.io._in_file import InFile, Samples, whole
from model_core.io._kit import age_between
from model_core.io._marks_beside import ishne_marks
from model_core.types import ImportReport, Recording, RecordingMetadata
from model_core.wording import joined, say

FORMAT_NAME: str = "ISHNE Holter"
SUFFIXES: tuple[str, ...] = (".ecg",)

MAX_BYTES = 16_000_000_000

_MAGIC = b"ISHNE1.0"
_HEADER_BYTES = 522
_CHECKED_FROM = 10
_FAULT = -32768  # a sample that the recorder could not take
_LEADS = dict(
    enumerate(
        (
            *("unknown", "bipolar", "X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF"),
            *("V1", "V2", "V3", "V4", "V5", "V6", "ES", "AS", "AI"),
        )
    )
)

# Of a type that is not known, of one chamber or two, with one pole or two
_PACEMAKERS = range(1, 6)


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file begins as an ISHNE recording."""
    return head[:8] == _MAGIC


def read(path: Path) -> Recording:
    """Read an ISHNE recording; see `model_core.io.read_recording`."""
    return whole(open_file(path))


def open_file(path: Path) -> InFile:
    """Read what an ISHNE file says of its samples."""
    size = checked_size(path, MAX_BYTES)
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            raise _damaged(path, say("it ends within its header"))

        def number(position: int) -> int:
            return int.from_bytes(header[position : position + 2], "little", signed=True)

        comment_bytes = int.from_bytes(header[10:14], "little", signed=True)
        data_start = _HEADER_BYTES + comment_bytes
        if not 0 <= comment_bytes <= 1_000_000 or data_start >= size:
            raise _damaged(path, say("its header gives a wrong place for the samples"))
        comment = file.read(comment_bytes)
    n_leads, fs = number(156), float(number(272))
    declared = int.from_bytes(header[14:18], "little", signed=True)
    stated_start = int.from_bytes(header[22:26], "little", signed=True)
    # Some writers state the place of the samples wrongly, some leave a space before them.
    fits = size - data_start in (2 * declared, 2 * declared * n_leads)
    if not fits and data_start < stated_start < size:
        data_start = stated_start
    n_values, odd = divmod(size - data_start, 2)
    if not 1 <= n_leads <= 12 or odd or n_values % n_leads:
        raise _damaged(path, say("its samples do not divide among its leads"), "size_mismatch")
    n_samples = n_values // n_leads
    check_kind(path, n_leads, n_samples, fs)
    resolutions = np.array([number(206 + 2 * row) for row in range(n_leads)], dtype=np.float64)
    if (resolutions <= 0).any():
        raise _damaged(path, say("it does not state the gain of every lead"), "gain_missing")
    integrity = _integrity(path, header[_CHECKED_FROM:] + comment, header[8:10])
    # Writers count samples of a lead or of all leads, and some leave a round number.
    incomplete = declared not in (n_samples, n_values)
    if incomplete:
        integrity = say(
            "The header states {declared} samples and the file holds {n_samples} of each lead: it "
            "may be incomplete.",
            declared=declared,
            n_samples=n_samples,
        )

    beside = functools.cache(lambda: ishne_marks(path, fs))

    def read_samples(first: int, last: int, rows: Sequence[int]) -> Samples:
        counts = np.fromfile(
            path, "<i2", (last - first) * n_leads, offset=data_start + 2 * first * n_leads
        ).reshape(-1, n_leads)
        chosen = np.ascontiguousarray(counts[:, list(rows)].T)
        signal_mv = (chosen * (resolutions[list(rows), None] * 1e-6)).astype(np.float32)
        faults = chosen == _FAULT
        signal_mv[faults] = np.nan
        n_faults = int(np.count_nonzero(faults))
        told = say("{n} samples are marked as faults of a lead: shown as gaps.", n=n_faults)
        marks, of_marks = beside() if len(rows) == n_leads else ((), ())
        return Samples(
            signal_mv,
            repairs=((told,) if n_faults else ()) + of_marks,
            annotations=tuple(m for m in marks if first <= m.time_s * fs < last),
            integrity=integrity,
        )

    born, started = _date(header, 132), _date(header, 138, 150)
    return InFile(
        read=read_samples,
        n_samples=n_samples,
        fs=fs,
        lead_names=tuple(_names(header, n_leads)),
        report=ImportReport(
            format_name=FORMAT_NAME,
            format_version=str(number(26)),
            rate_source=say("as stated in the header"),
            gain=joined(
                [say("{gain:g} nV a count", gain=gain) for gain in sorted(set(resolutions))], ", "
            ),
            gain_source=say("as stated in the header"),
            unit="nV",
            incomplete=incomplete,
        ),
        metadata=RecordingMetadata(
            acquired_at=started.isoformat() if started else "",
            age=age_between(born, started),
            sex={1: "male", 2: "female"}.get(number(128), ""),
            comments=tuple(line for text in [_text(comment)] for line in [plain(text)] if line),
            patient=labelled(
                (
                    (say("Name"), f"{_text(header[68:108])} {_text(header[28:68])}"),
                    (say("Identifier"), _text(header[108:128])),
                    (say("Date of birth"), born.date().isoformat() if born else ""),
                    (say("Pacemaker"), say("yes") if number(230) in _PACEMAKERS else ""),
                )
            ),
            acquisition=labelled([(say("Recorder"), _text(header[232:272]))]),
        ),
        paths=(path,),
        source=path,
    )


def _damaged(path: Path, why: str, code: str = "bad_header") -> ReadError:
    return ReadError(
        say("{file} cannot be read: {why}.", file=path.name, why=why),
        hint=say("Copy it again from the recorder."),
        code=code,
    )


def _integrity(path: Path, checked: bytes, stored: bytes) -> str:
    """Compare the header's CRC-CCITT; the standard leaves the order of its bytes open."""
    if stored == b"\0\0":
        return say("The file holds no checksum: damage would not be noticed.")
    computed = binascii.crc_hqx(checked, 0xFFFF).to_bytes(2, "little")
    if stored not in (computed, computed[::-1]):
        raise _damaged(path, say("its header does not match its checksum"), "checksum_mismatch")
    return say("The header matches its checksum; the samples have none.")


def _names(header: bytes, n_leads: int) -> list[str]:
    codes = [
        int.from_bytes(header[158 + 2 * row : 160 + 2 * row], "little", signed=True)
        for row in range(n_leads)
    ]
    return [
        _LEADS[code] if code in range(2, 20) else f"Lead {row + 1}"
        for row, code in enumerate(codes)
    ]


def _date(header: bytes, date_at: int, time_at: int | None = None) -> datetime | None:
    def triple(position: int) -> tuple[int, int, int]:
        values = np.frombuffer(header, "<i2", 3, position)
        return int(values[0]), int(values[1]), int(values[2])

    day, month, year = triple(date_at)
    clock = (0, 0, 0) if time_at is None else triple(time_at)
    try:
        return datetime(year, month, day, *clock)  # noqa: DTZ001 - no zone is stated
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("latin-1").strip()
