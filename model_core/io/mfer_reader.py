"""MFER (ISO 22077, Nihon Kohden and others), decoded by `ecgdatakit`."""

from __future__ import annotations

from pathlib import Path

from model_core.errors import ReadError
from model_core.io._kit import age_between, age_of, decode, recording_of
from model_core.types import Recording

FORMAT_NAME: str = "MFER"
SUFFIXES: tuple[str, ...] = (".mwf", ".mfr", ".mfer")

MAX_BYTES = 64_000_000


def recognises(path: Path, head: bytes) -> bool:
    """Whether the file begins with an MFER preamble, or is named as one."""
    return (head[:1] == b"\x40" and head[2:6] == b"MFR ") or (
        path.suffix.lower() in SUFFIXES and bool(head)
    )


def read(path: Path) -> Recording:
    """Read the first waveform of an MFER file; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.mfer import MFERParser

    record, warned = decode(path, FORMAT_NAME, MAX_BYTES, MFERParser().parse)
    rates: list[float] = record.raw_metadata.get("sampling_rates") or []
    fs = float(rates[0]) if rates else float(record.leads[0].sampling_rate) if record.leads else 0.0
    if any(rate != fs for rate in rates):
        raise ReadError(
            f"{path.name} holds leads at several sampling rates.",
            hint="Export it with one rate.",
            code="several_rates",
        )
    stated = record.raw_metadata.get("sampling_rate_stated") is not False
    age = age_between(record.patient.birth_date, record.recording.date)
    return recording_of(
        path,
        record,
        warned,
        format_name=FORMAT_NAME,
        fs=fs,
        rate_source="as stated in the file" if stated else "by the format's rule, 1000 Hz",
        age=age or (age_of(record.patient.age, "years") if record.patient.age else None),
    )
