"""GE CardioSoft and CASE XML (CardiologyXML): strips of resting and exercise ECGs."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import (
    NO_CHECKSUM,
    Stored,
    complete,
    high_pass,
    labelled,
    low_pass,
    mv_per_unit,
    notch,
    plain,
)
from model_core.io._kit import age_between, age_of
from model_core.io._xml import integers_of, number_of, parse_xml, root_name, text_of
from model_core.types import (
    ImportReport,
    MachineMeasurement,
    Recording,
    RecordingMetadata,
    Statement,
)
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT_NAME: str = "GE CardioSoft XML"
SUFFIXES: tuple[str, ...] = (".xml",)

_MEASUREMENTS = (
    ("VentricularRate", "heart_rate", "/min"),
    ("AtrialRate", "atrial_rate", "/min"),
    ("PDuration", "p_duration", "ms"),
    ("RRInterval", "rr_interval", "ms"),
    ("PQInterval", "pr_interval", "ms"),
    ("QRSDuration", "qrs_duration", "ms"),
    ("QTInterval", "qt_interval", "ms"),
    ("QTCInterval", "qtc", "ms"),
    ("PAxis", "p_axis", "degrees"),
    ("RAxis", "qrs_axis", "degrees"),
    ("TAxis", "t_axis", "degrees"),
)

_STATEMENTS = ("Statement", "DiagnosisText", "ConclusionText")


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is a CardioSoft export."""
    return root_name(head) == "cardiologyxml"


def read(path: Path) -> Recording:
    """Read a CardioSoft export; see `model_core.io.read_recording`."""
    root = parse_xml(path)
    strips = [s for s in root.iter("StripData") if s.find("WaveformData") is not None]
    whole = root.find(".//FullDisclosure")
    repairs: list[str] = []
    if strips:
        block = strips[0]
        names, counts = _strip(path, block)
        if len(strips) > 1:
            repairs.append(say("The file holds several strips: the first one is shown."))
    elif whole is not None:
        block = whole
        names, counts = _full_disclosure(path, whole)
    else:
        _refuse(path, say("it holds no strip of ECG"), "no_signal")
    uv_per_count = number_of(text_of(block, "Resolution"))
    stated_unit = re.sub("perlsb$", "", _attribute(block, "Resolution", "units"), flags=re.I)
    unit = stated_unit or "uV"
    mv_per_count = (uv_per_count or 0.0) * (mv_per_unit(unit) or 0.0)
    if not mv_per_count > 0:
        _refuse(path, say("it does not state its resolution in volts"), "gain_missing")
    return complete(
        Stored(
            signal_mv=(counts * mv_per_count).astype(np.float32),
            fs=number_of(text_of(block, "SampleRate")) or 0.0,
            lead_names=names,
            report=ImportReport(
                format_name=FORMAT_NAME,
                rate_source=say("as stated for the strip"),
                gain=say("{gain:g} {unit} a count", gain=uv_per_count, unit=unit),
                gain_source=say("as stated in the file")
                if stated_unit
                else say("as stated in the file, its unit by the format's rule"),
                unit=unit,
                device_filters=_filters(root),
                integrity=NO_CHECKSUM,
                repairs=tuple(repairs),
            ),
            metadata=_metadata(root),
        ),
        [path],
        path,
    )


def _refuse(path: Path, why: str, code: str) -> NoReturn:
    raise ReadError(
        say("{file} cannot be read: {why}.", file=path.name, why=why),
        hint=say("Export it again."),
        code=code,
    )


def _attribute(block: Element, tag: str, name: str) -> str:
    found = block.find(tag)
    return "" if found is None else found.get(name, "")


def _strip(path: Path, strip: Element) -> tuple[list[str], NDArray[np.float64]]:
    """Leads of a strip, one element each."""
    names: list[str] = []
    rows: list[list[int]] = []
    for lead in strip.findall("WaveformData"):
        row = integers_of(lead.text or "")
        if row is None:
            _refuse(
                path,
                say("lead {lead} holds other than numbers", lead=plain(lead.get("lead", ""), 20)),
                "damaged",
            )
        names.append(lead.get("lead", ""))
        rows.append(row)
    stated = text_of(strip, "ChannelSampleCountTotal")
    if len({len(row) for row in rows}) != 1 or stated not in ("", str(len(rows[0]))):
        _refuse(path, say("its leads differ in length, or from what it states"), "size_mismatch")
    return names, np.array(rows, dtype=np.float64)


def _full_disclosure(path: Path, block: Element) -> tuple[list[str], NDArray[np.float64]]:
    """Leads of a whole recording, sample by sample interleaved."""
    names = [name.strip() for name in text_of(block, "LeadOrder").split(",") if name.strip()]
    values = integers_of(text_of(block, "FullDisclosureData"))
    if values is None:
        _refuse(path, say("its samples hold other than numbers"), "damaged")
    if not names or number_of(text_of(block, "NumberOfChannels")) != len(names):
        _refuse(path, say("it does not name each of its channels"), "ambiguous_leads")
    if len(values) % len(names):
        _refuse(path, say("its samples do not divide among its channels"), "size_mismatch")
    return names, np.array(values, dtype=np.float64).reshape(-1, len(names)).T


def _filters(root: Element) -> tuple[str, ...]:
    setting = root.find(".//FilterSetting")
    found = [
        text(value)
        for text, value in (
            (high_pass, number_of(text_of(setting, "HighPass"))),
            (low_pass, number_of(text_of(setting, "LowPass"))),
        )
        if value
    ]
    found += [notch(hz) for hz in (50, 60) if text_of(setting, f"Filter{hz}Hz") == "Yes"]
    return tuple(found)


def _metadata(root: Element) -> RecordingMetadata:
    person, measured = root.find(".//PatientInfo"), root.find(".//RestingECGMeasurements")
    age = None if person is None else person.find("Age")
    acquired_at = _time(root.find("ObservationDateTime"))
    born = None if person is None else _day(person.find("BirthDateTime"))
    acquired = datetime.fromisoformat(acquired_at) if acquired_at else None
    values = ((key, number_of(text_of(measured, tag)), unit) for tag, key, unit in _MEASUREMENTS)
    return RecordingMetadata(
        acquired_at=acquired_at,
        age=(None if age is None else age_of(text_of(age), age.get("units", "")))
        or age_between(born, acquired),
        sex={"female": "female", "male": "male"}.get(text_of(person, "Gender").lower(), ""),
        patient=labelled(
            (
                (
                    say("Name"),
                    f"{text_of(person, 'Name/FamilyName')} {text_of(person, 'Name/GivenName')}",
                ),
                (say("Identifier"), text_of(person, "PID")),
                (
                    say("Pacemaker"),
                    {"yes": say("yes"), "no": say("no")}.get(
                        text_of(person, "PaceMaker").lower(), ""
                    ),
                ),
            )
        ),
        acquisition=labelled(
            (
                (say("Device"), text_of(root, ".//DeviceInfo/Desc")),
                (say("Software"), text_of(root, ".//DeviceInfo/SoftwareVer")),
            )
        ),
        measurements=tuple(
            MachineMeasurement(key, value, unit) for key, value, unit in values if value is not None
        ),
        statements=tuple(
            dict.fromkeys(
                Statement(plain(line.text))
                for line in root.iterfind("Interpretation//*")
                if line.tag in _STATEMENTS and (line.text or "").strip()
            )
        ),
    )


def _time(stated: Element | None) -> str:
    """Day and time, ISO 8601; empty if they are not stated, or no time that there is."""
    clock = [number_of(text_of(stated, tag)) for tag in ("Hour", "Minute", "Second")]
    day = _day(stated)
    if day is None or None in clock:
        return ""
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        return day.replace(hour=hour, minute=minute, second=second).isoformat()
    except (ValueError, OverflowError):
        return ""


def _day(stated: Element | None) -> datetime | None:
    year, month, day = (int(number_of(text_of(stated, t)) or 0) for t in ("Year", "Month", "Day"))
    try:
        return datetime(year, month, day)  # noqa: DTZ001 - no zone is stated
    except (ValueError, OverflowError):
        return None
