"""HL7 annotated ECG (HL7 v3 XML), decoded by `ecgdatakit`."""

from __future__ import annotations

from pathlib import Path

from model_core.io._kit import age_between, age_of, decode, recording_of
from model_core.io._xml import MAX_BYTES, check_xml, root_name
from model_core.types import Recording

FORMAT_NAME: str = "HL7 aECG"
SUFFIXES: tuple[str, ...] = (".xml",)

_REPORTED_AGE = "reported age"


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is an annotated ECG."""
    return root_name(head) == "annotatedecg"


def read(path: Path) -> Recording:
    """Read the rhythm of an annotated ECG; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.hl7_aecg import HL7aECGParser

    check_xml(path)
    record, warned = decode(path, FORMAT_NAME, MAX_BYTES, HL7aECGParser().parse)
    observations: dict[str, str] = record.raw_metadata.get("related_observations", {})
    stated = next((v for key, v in observations.items() if key.lower() == _REPORTED_AGE), "")
    value, _, unit = stated.partition(" ")
    return recording_of(
        path,
        record,
        [text for text in warned if "rounded to" not in text],  # the true rate is taken
        format_name=FORMAT_NAME,
        fs=float(record.raw_metadata["rhythm_time"]["sampling_rate_exact"]),
        rate_source="from the time between samples in the file",
        age=age_of(value, unit) or age_between(record.patient.birth_date, record.recording.date),
    )
