"""GE CardioSoft and CASE XML (CardiologyXML): strips of resting and exercise ECGs."""

from __future__ import annotations

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
from model_core.io._kit import age_of
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


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is a CardioSoft export."""
    return root_name(head) == "cardiologyxml"


def read(path: Path) -> Recording:
    """Read a CardioSoft export; see `model_core.io.read_recording`."""
    root = parse_xml(path)
    strip, whole = root.find(".//StripData"), root.find(".//FullDisclosure")
    repairs: list[str] = []
    if strip is not None and strip.find("WaveformData") is not None:
        block = strip
        names, counts = _strip(path, strip)
        if len(root.findall(".//StripData")) > 1:
            repairs.append(say("The file holds several strips: the first one is shown."))
    elif whole is not None:
        block = whole
        names, counts = _full_disclosure(path, whole)
    else:
        _refuse(path, say("it holds no strip of ECG"), "no_signal")
    uv_per_count = number_of(text_of(block, "Resolution"))
    unit = _attribute(block, "Resolution", "units").lower().removesuffix("perlsb") or "uv"
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
                gain_source=say("as stated in the file"),
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
    values = ((key, number_of(text_of(measured, tag)), unit) for tag, key, unit in _MEASUREMENTS)
    return RecordingMetadata(
        acquired_at=_time(root.find("ObservationDateTime")),
        age=None if age is None else age_of(text_of(age), age.get("units", "")),
        sex={"female": "female", "male": "male"}.get(text_of(person, "Gender").lower(), ""),
        patient=labelled(
            (
                (
                    "Name",
                    f"{text_of(person, 'Name/FamilyName')} {text_of(person, 'Name/GivenName')}",
                ),
                (say("Identifier"), text_of(person, "PID")),
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
            Statement(plain(line.text))
            for line in root.iterfind("Interpretation//Statement")
            if (line.text or "").strip()
        ),
    )


def _time(stated: Element | None) -> str:
    parts = [
        number_of(text_of(stated, tag))
        for tag in ("Year", "Month", "Day", "Hour", "Minute", "Second")
    ]
    if any(part is None for part in parts):
        return ""
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
