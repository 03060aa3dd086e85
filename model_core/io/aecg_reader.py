"""HL7 annotated ECG (HL7 v3 XML), decoded by `ecgdatakit`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import ReadError
from model_core.io._complete import complete, mv_per_unit, plain
from model_core.io._kit import age_between, age_of, decode, stored_of
from model_core.io._xml import MAX_BYTES, in_plain_encoding, number_of, parse_xml, root_name
from model_core.types import Age, Annotation, Recording
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT_NAME: str = "HL7 aECG"
SUFFIXES: tuple[str, ...] = (".xml",)

MAX_ANNOTATIONS = 20_000

# Of LOINC, and as writers that use other codes name it
_AGE_CODES = ("21612-7", "30525-0")
_AGE_NAMES = ("reported age", "age")


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is an annotated ECG."""
    return root_name(head) == "annotatedecg"


def read(path: Path) -> Recording:
    """Read the rhythm of an annotated ECG; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.hl7_aecg import HL7aECGParser

    root = parse_xml(path)
    _check_amplitudes(path, root)
    with in_plain_encoding(path) as plain_path:
        record, warned = decode(plain_path, FORMAT_NAME, MAX_BYTES, HL7aECGParser().parse)
    stored = stored_of(
        path,
        record,
        [text for text in warned if "rounded to" not in text],  # the true rate is taken
        format_name=FORMAT_NAME,
        fs=float(record.raw_metadata["rhythm_time"]["sampling_rate_exact"]),
        rate_source=say("from the time between samples in the file"),
        age=_age(root) or age_between(record.patient.birth_date, record.recording.date),
        annotations=_marks(root),
    )
    return complete(stored, [path], path)


def _attribute(element: Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "").strip()


def _check_amplitudes(path: Path, root: Element) -> None:
    """Refuse scales and zeros that cannot be understood: the decoder takes them for 1 and 0."""
    for sequence in root.iter("sequence"):
        scale, origin = sequence.find("value/scale"), sequence.find("value/origin")
        zero = number_of(_attribute(origin, "value") or "0")
        if (scale is not None and number_of(_attribute(scale, "value")) is None) or (
            zero != 0 and (zero is None or mv_per_unit(_attribute(origin, "unit")) is None)
        ):
            raise ReadError(
                say(
                    "{file} does not state the gain of lead {lead} in volts.",
                    file=path.name,
                    lead=plain(
                        _attribute(sequence.find("code"), "code").rpartition("_LEAD_")[2], 40
                    ),
                ),
                hint=say("Have the source of the file state gain and unit."),
                code="gain_missing",
            )


def _age(root: Element) -> Age | None:
    for observed in root.findall("controlVariable/relatedObservation"):
        code, value = observed.find("code"), observed.find("value")
        named = _attribute(code, "displayName").lower() in _AGE_NAMES
        if named or _attribute(code, "code") in _AGE_CODES:
            return age_of(_attribute(value, "value"), _attribute(value, "unit"))
    return None


def _marks(root: Element) -> list[Annotation]:
    """Waves marked on the rhythm, in order of time; lead-wise marks name their lead."""
    every = root.findall("component/series")
    beat = "REPRESENTATIVE_BEAT"
    series = next((s for s in every if _attribute(s.find("code"), "code").upper() != beat), None)
    head = None if series is None else series.find(".//head")
    origin = None if head is None else _seconds(head)
    found: list[Annotation] = []
    if series is None or origin is None:
        return found
    for group in series.findall("subjectOf/annotationSet"):
        for mark in group.iter("annotation"):
            value = mark.find("value")
            name = "" if value is None else value.get("code", "")
            if name and len(found) < MAX_ANNOTATIONS:
                found += _ends(mark, name.removeprefix("MDC_ECG_").removeprefix("WAVC_"), origin)
    return sorted((mark for mark in found if mark.time_s >= 0), key=lambda mark: mark.time_s)


def _ends(mark: Element, name: str, origin: float) -> Iterator[Annotation]:
    """Beginning and end of a marked wave, or its one point, in seconds of the recording."""
    times: list[tuple[str, float]] = []
    for boundary in mark.findall("support/supportingROI/component/boundary"):
        code, value = boundary.find("code"), boundary.find("value")
        stated = "" if code is None else code.get("code", "")
        if stated.startswith("MDC_ECG_LEAD_"):
            name = f"{name} {stated.removeprefix('MDC_ECG_LEAD_')}"
        elif stated.startswith("TIME_") and value is not None:
            ends = (("", value), (" onset", value.find("low")), (" offset", value.find("high")))
            for word, end in ends:
                time_s = None if end is None else _seconds(end)
                if time_s is not None:
                    times.append((word, time_s - origin))
    for word, time_s in times:
        yield Annotation(time_s, plain(f"{name}{word}", 80))


def _seconds(end: Element) -> float | None:
    """Seconds of a quantity with its unit, or of a date and time."""
    stated, unit = end.get("value", ""), end.get("unit", "")
    if unit:
        number, factor = number_of(stated), {"s": 1.0, "ms": 1e-3, "us": 1e-6}.get(unit)
        return number * factor if number is not None and factor else None
    match = re.match(r"(\d{14})(\.\d{1,9})?", stated)
    try:
        whole = datetime.strptime(match[1], "%Y%m%d%H%M%S") if match else None  # noqa: DTZ007
    except ValueError:
        return None
    if match is None or whole is None:
        return None
    return (whole - datetime(1, 1, 1)).total_seconds() + float(match[2] or 0)  # noqa: DTZ001
