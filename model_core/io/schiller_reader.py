"""Schiller SEMA XML (SchillerEDI): rhythm of a resting ECG, samples as text."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from model_core.errors import ReadError
from model_core.io._complete import NO_CHECKSUM, Stored, complete, labelled, mv_per_unit, plain
from model_core.io._kit import age_between
from model_core.io._xml import integers_of, number_of, parse_xml, root_name, text_of
from model_core.types import ImportReport, MachineMeasurement, Recording, RecordingMetadata
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT_NAME: str = "Schiller SEMA XML"
SUFFIXES: tuple[str, ...] = (".xml",)

_RHYTHM = ("ECG_RHYTHM", "ECG_RHYTHMS")
_DEFAULT_UNIT = "uV"
_MEASUREMENTS = (
    ("HR", "heart_rate", "/min"),
    ("RR", "rr_interval", "ms"),
    ("PR", "pr_interval", "ms"),
    ("PQ", "pr_interval", "ms"),
    ("QRS", "qrs_duration", "ms"),
    ("QT", "qt_interval", "ms"),
    ("QTC", "qtc", "ms"),
)


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is a SEMA export."""
    # As carts write it: com.xiriuz.sema.xml.schillerEDI.SchillerEDI
    return root_name(head).rpartition(".")[2] == "schilleredi"


def read(path: Path) -> Recording:
    """Read the rhythm of a SEMA export; see `model_core.io.read_recording`."""
    root = parse_xml(path)
    rhythms = [
        block
        for block in root.iter("wavedata")
        if text_of(block, "type").upper() in _RHYTHM and block.find("channel") is not None
    ]
    if not rhythms:
        _refuse(path, say("it holds no rhythm"), "no_rhythm")
    block = rhythms[0]
    names, rows = _channels(path, block)
    resolution = block.find("resolution")
    stated_unit = "" if resolution is None else _unit(resolution)
    unit = stated_unit or _DEFAULT_UNIT
    step = number_of(_value(resolution, "yres", "unitperbit")) or 0.0
    mv_per_count = step * (mv_per_unit(unit) or 0.0)
    if not mv_per_count > 0:
        _refuse(path, say("it does not state its resolution in volts"), "gain_missing")
    return complete(
        Stored(
            signal_mv=(np.array(rows, dtype=np.float64) * mv_per_count).astype(np.float32),
            fs=_rate(path, resolution),
            lead_names=names,
            report=ImportReport(
                format_name=FORMAT_NAME,
                rate_source=say("as stated for the rhythm"),
                gain=say("{gain:g} {unit} a count", gain=step, unit=unit),
                gain_source=say("as stated in the file")
                if stated_unit
                else say("as stated in the file, its unit by the format's rule"),
                unit=unit,
                integrity=NO_CHECKSUM,
                repairs=(say("The file holds several rhythms: the first one is shown."),)
                if len(rhythms) > 1
                else (),
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


def _value(resolution: Element | None, tag: str, part: str) -> str:
    """Text of an element, or of the part of it that carts put the value into."""
    return text_of(resolution, f"{tag}/{part}") or text_of(resolution, tag)


def _rate(path: Path, resolution: Element | None) -> float:
    """Rate in Hz; an exponent other than 1 was never seen, and could mean two things."""
    if text_of(resolution, "samplerate/exponent") not in ("", "0", "1"):
        _refuse(path, say("its sampling rate has an exponent"), "bad_rate")
    return number_of(_value(resolution, "samplerate", "value")) or 0.0


def _unit(resolution: Element) -> str:
    step = resolution.find("yres")
    attribute = "" if step is None else step.get("unit", step.get("units", ""))
    stated = attribute or text_of(resolution, "yres/units") or text_of(resolution, "yunit")
    return plain(stated, 20)


def _channels(path: Path, block: Element) -> tuple[list[str], list[list[int]]]:
    names: list[str] = []
    rows: list[list[int]] = []
    for channel in block.findall("channel"):
        name = plain(text_of(channel, "name"), 20)
        if text_of(channel, "datastype").upper() != "COMMASEPARATE":
            _refuse(
                path,
                say("lead {name} is stored in a way that is not supported", name=name),
                "unsupported",
            )
        row = integers_of(text_of(channel, "data"))
        if row is None:
            _refuse(path, say("lead {name} holds other than numbers", name=name), "damaged")
        if row:
            names.append(name)
            rows.append(row)
    if len({len(row) for row in rows}) != 1:
        _refuse(path, say("its leads differ in length"), "size_mismatch")
    return names, rows


def _metadata(root: Element) -> RecordingMetadata:
    person, device = root.find(".//patdata"), root.find(".//aquiringdevice")
    noted = root.find(".//annotation_global")
    keys = [] if noted is None else [(name.text or "").strip() for name in noted.findall("name")]
    values = [] if noted is None else [(v.text or "").strip() for v in noted.findall("value")]
    stated = {k.upper(): number_of(v) for k, v in zip(keys, values, strict=False)}
    start = root.find(".//startdatetime")
    when = re.match(
        r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)",
        f"{text_of(start, 'date')}T{text_of(start, 'time')}",
    )
    sex = text_of(person, "gender").lower()[:1]
    acquired_at = "{}-{}-{}T{}:{}:{}".format(*when.groups()) if when else ""
    return RecordingMetadata(
        acquired_at=acquired_at,
        age=age_between(_day(text_of(person, "birthdate")), _day(text_of(start, "date"))),
        sex={"f": "female", "m": "male"}.get(sex, ""),
        patient=labelled(
            (
                (say("Name"), f"{text_of(person, 'lastname')} {text_of(person, 'firstname')}"),
                (say("Identifier"), text_of(person, "id")),
                (say("Date of birth"), text_of(person, "birthdate")[:8]),
            )
        ),
        acquisition=labelled(
            (
                (say("Manufacturer"), text_of(device, "hardware/vendor")),
                (say("Model"), text_of(device, "hardware/model")),
                (say("Software"), text_of(device, "software/version")),
            )
        ),
        measurements=tuple(
            MachineMeasurement(key, value, unit)
            for name, key, unit in _MEASUREMENTS
            if (value := stated.get(name))
        ),
    )


def _day(stated: str) -> datetime | None:
    try:
        return datetime.strptime(stated[:8], "%Y%m%d")  # noqa: DTZ007 - no zone is stated
    except ValueError:
        return None
