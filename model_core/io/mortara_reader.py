"""Mortara ELI XML (ELI 250, ELI 280), decoded by `ecgdatakit`."""

from __future__ import annotations

from pathlib import Path

from model_core.errors import ReadError
from model_core.io._complete import complete
from model_core.io._kit import age_between, age_of, decode, stored_of
from model_core.io._xml import MAX_BYTES, in_plain_encoding, number_of, parse_xml, root_name
from model_core.types import Recording
from model_core.wording import say

FORMAT_NAME: str = "Mortara ELI XML"
SUFFIXES: tuple[str, ...] = (".xml",)


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is an ELI export."""
    return root_name(head) == "ecg"


def read(path: Path) -> Recording:
    """Read the rhythm of an ELI export; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.mortara_el250 import MortaraEL250Parser

    root = parse_xml(path)
    with in_plain_encoding(path) as plain_path:
        record, warned = decode(plain_path, FORMAT_NAME, MAX_BYTES, MortaraEL250Parser().parse)
    rates = {number_of(channel.get("SAMPLE_FREQ", "")) for channel in root.findall("CHANNEL")}
    if len(rates) != 1:
        raise ReadError(
            say("{file} holds leads at several sampling rates.", file=path.name),
            hint=say("Export it with one rate."),
            code="several_rates",
        )
    stated, cycle = root.get("AGE", "").strip(), root.find("TYPICAL_CYCLE")
    years: int | None = record.patient.age
    age = age_of(stated, root.get("AGE_UNITS", "")) if stated else None
    age = age or age_between(record.patient.birth_date, record.recording.date)
    stored = stored_of(
        path,
        record,
        warned,
        format_name=FORMAT_NAME,
        fs=rates.pop() or 0.0,
        rate_source=say("as stated for each lead"),
        age=age or (age_of(years, "years") if years else None),
        measurements={
            key: number_of("" if cycle is None else cycle.get(name, ""))
            for key, name in (("p_duration", "P_DURATION"), ("qtc", "QTC"))
        },
        repairs=(say("The reader of this format was never checked on a file from a device."),),
    )
    return complete(stored, [path], path)
