"""SCP-ECG (EN 1064), decoded by `ecgdatakit`; only with checksums that agree."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_core.errors import ReadError
from model_core.io._complete import checked_size, complete
from model_core.io._kit import CHECKSUM_AGREES, age_between, decode, stored_of
from model_core.types import Age, Recording
from model_core.wording import say

FORMAT_NAME: str = "SCP-ECG"
SUFFIXES: tuple[str, ...] = (".scp",)

MAX_BYTES = 8_000_000

_HEADER_BYTES = 16
# Bazett, 1, is known to the decoder
_QTC_FORMULAS = {2: "qtc_hodges", 3: "qtc_fridericia", 4: "qtc_framingham"}
_AGE_UNITS = {1: "years", 2: "months", 3: "weeks", 4: "days", 5: "hours"}


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file begins with an SCP-ECG pointer section."""
    return head[8:10] == b"\0\0" and head[22:24] == b"\0\0" and head[28:32] == b"\7\0\0\0"


def read(path: Path) -> Recording:
    """Read the rhythm of an SCP-ECG record; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser

    checked_size(path, MAX_BYTES)
    data = path.read_bytes()
    # Before decoding: the decoder can take minutes over a damaged record.
    size = int.from_bytes(data[2:6], "little")
    if size > len(data) or binascii.crc_hqx(data[2:size], 0xFFFF) != int.from_bytes(
        data[:2], "little"
    ):
        raise ReadError(
            say(
                "The checksum of {file} does not match its content: the file was altered or "
                "damaged.",
                file=path.name,
            ),
            hint=say("Copy or export it again."),
            code="checksum_mismatch",
        )
    record, warned = decode(path, FORMAT_NAME, MAX_BYTES, SCPECGParser().parse)
    age = _stated_age(data)
    stored = stored_of(
        path,
        record,
        warned,
        format_name=FORMAT_NAME,
        fs=1e6 / float(record.raw_metadata["rhythm_sample_interval_us"]),
        rate_source=say("from the sample interval in the file"),
        age=age or age_between(record.patient.birth_date, record.recording.date),
        integrity=CHECKSUM_AGREES,
        measurements=_intervals(record.annotations) | _corrected(record.raw_metadata),
    )
    return complete(stored, [path], path)


def _intervals(stated: Mapping[str, str]) -> dict[str, float | None]:
    """P, PR, QRS and QT, ms, between the borders of waves that section 7 states for all leads."""

    def between(first: str, last: str) -> float | None:
        ends = [stated.get(f"median_{name}_ms") for name in (first, last)]
        if None in ends:
            return None
        length = float(ends[1] or 0) - float(ends[0] or 0)
        return length if length > 0 else None

    return {
        "p_duration": between("p_onset", "p_offset"),
        "pr_interval": between("p_onset", "qrs_onset"),
        "qrs_duration": between("qrs_onset", "qrs_offset"),
        "qt_interval": between("qrs_onset", "t_offset"),
    }


def _corrected(raw: Mapping[str, Any]) -> dict[str, float | None]:
    """QTc by a formula that section 7 names and the decoder does not, ms."""
    key = _QTC_FORMULAS.get(raw.get("qtc_formula_code", 0))
    return {key: float(raw["qtc_ms"]), "qtc": None} if key else {}


def _stated_age(data: bytes) -> Age | None:
    """Age with its unit: tag 4 of section 1 (the decoder rounds it to years)."""
    for tag, value in _patient_tags(data):
        if tag == 4 and len(value) >= 3 and value[2] in _AGE_UNITS:
            number = int.from_bytes(value[:2], "little")
            try:
                return Age(number, _AGE_UNITS[value[2]]) if number else None
            except ValueError:
                return None
    return None


def _patient_tags(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and values of section 1."""
    table_end = 6 + int.from_bytes(data[10:14], "little")
    for pointer in range(6 + _HEADER_BYTES, min(table_end, len(data)) - 9, 10):
        if data[pointer : pointer + 2] != b"\1\0":
            continue
        length = int.from_bytes(data[pointer + 2 : pointer + 6], "little")
        start = int.from_bytes(data[pointer + 6 : pointer + 10], "little") - 1
        section = data[start : start + length]
        position = _HEADER_BYTES
        while position + 3 <= len(section) and section[position] != 255:
            size = int.from_bytes(section[position + 1 : position + 3], "little")
            yield section[position], section[position + 3 : position + 3 + size]
            position += 3 + size
        return
