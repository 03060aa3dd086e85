"""What a DICOM ECG says beside its samples: patient, device, measurements, statements, marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model_core.io._complete import labelled, plain
from model_core.io._kit import age_between
from model_core.types import Age, Annotation, MachineMeasurement, RecordingMetadata, Statement
from model_core.wording import say

MAX_ANNOTATIONS = 20_000

_AGE = re.compile(r"(\d{1,3})([DWMY])", re.IGNORECASE)
_AGE_UNITS = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}

_MEASUREMENTS = (
    (r"(ventricular )?heart rate|ventricular rate", "heart_rate", "/min"),
    (r"atrial (heart )?rate", "atrial_rate", "/min"),
    (r"rr interval", "rr_interval", "ms"),
    (r"p (wave )?duration", "p_duration", "ms"),
    (r"pr interval", "pr_interval", "ms"),
    (r"qrs duration", "qrs_duration", "ms"),
    (r"qt interval", "qt_interval", "ms"),
    (r"qtc interval", "qtc", "ms"),
    (r"qtc (interval )?(global )?(using )?bazett.*", "qtc_bazett", "ms"),
    (r"qtc (interval )?(global )?(using )?fr[ei]d[ei]ricia.*", "qtc_fridericia", "ms"),
    (r"qtc (interval )?(global )?(using )?framingham.*", "qtc_framingham", "ms"),
    (r"qtc (interval )?(global )?(using )?hodges.*", "qtc_hodges", "ms"),
    (r"p axis", "p_axis", "degrees"),
    (r"qrs axis", "qrs_axis", "degrees"),
    (r"t axis", "t_axis", "degrees"),
)
# The same by code: ISO/IEEE 11073-10102, and sections of SCP-ECG (PS3.16, CID 3228 to 3230)
_MEASUREMENT_CODES = {
    **{"2:16016": "heart_rate", "2:15872": "pr_interval", "2:16156": "qrs_duration"},
    **{"2:16160": "qt_interval", "2:15876": "qtc", "2:16128": "p_axis"},
    **{"2:16132": "qrs_axis", "2:16136": "t_axis"},
    **{"5.10.2.1-3": "rr_interval", "5.10.2.5-1": "heart_rate", "5.10.2.5-5": "qtc"},
    **{"5.13.5-7": "pr_interval", "5.13.5-9": "qrs_duration", "5.13.5-11": "qt_interval"},
    **{"5.10.3-11": "p_axis", "5.10.3-13": "qrs_axis", "5.10.3-15": "t_axis"},
}


@dataclass(frozen=True, slots=True)
class Group:
    """A multiplex group: leads recorded together, from `start_s` on.

    `read` gives samples from the first to the one before the last, in mV, of the leads with these
    numbers.
    """

    number: int
    fs: float
    start_s: float
    n_samples: int
    lead_names: tuple[str, ...]
    read: Callable[[int, int, Sequence[int]], NDArray[np.float32]]


def _noted(
    dataset: Any,  # noqa: ANN401 - a data set has the elements it has
    groups: Sequence[Group],
) -> tuple[tuple[MachineMeasurement, ...], tuple[Statement, ...], tuple[Annotation, ...]]:
    """Global measurements, interpretation lines, and marks on the rhythm (not on median beats)."""
    origin_s = min(group.start_s for group in groups)
    by_number = {group.number + 1: group for group in groups}
    measured: dict[str, MachineMeasurement] = {}
    statements: list[Statement] = []
    marks: list[Annotation] = []
    for item in list(dataset.get("WaveformAnnotationSequence") or [])[:MAX_ANNOTATIONS]:
        text = plain(item.get("UnformattedTextValue") or "")
        if text:
            statements.append(Statement(text))
        concept = item.get("ConceptNameCodeSequence")
        name = plain(concept[0].get("CodeMeaning", "")) if concept else ""
        value = item.get("NumericValue")
        by_code = _MEASUREMENT_CODES.get(str(concept[0].get("CodeValue", ""))) if concept else None
        for pattern, key, unit in _MEASUREMENTS:
            by_name = re.match(rf"({pattern})( global)?$", name, re.IGNORECASE)
            if value is not None and (by_code == key or (by_code is None and by_name)):
                units = item.get("MeasurementUnitsCodeSequence")
                in_seconds = unit == "ms" and units and units[0].get("CodeValue") == "s"
                number = float(_first(value)) * (1000.0 if in_seconds else 1.0)
                measured.setdefault(key, MachineMeasurement(key, number, unit))
        channels = item.get("ReferencedWaveformChannels") or [0]
        positions = item.get("ReferencedSamplePositions")
        group = by_number.get(int(channels[0]))
        if group and name and positions is not None and item.get("TemporalRangeType") == "POINT":
            position = int(_first(positions))
            if 1 <= position <= group.n_samples:
                time_s = group.start_s - origin_s + (position - 1) / group.fs
                marks.append(Annotation(time_s, name))
    if measured.get("rr_interval", MachineMeasurement("", 1, "")).value == 0:
        del measured["rr_interval"]
    return tuple(measured.values()), tuple(statements), tuple(marks)


def _first(value: Any) -> Any:  # noqa: ANN401 - see metadata_of
    """Take the first of an element's values."""
    return cast("Any", value[0]) if isinstance(value, list) else value


def metadata_of(
    dataset: Any,  # noqa: ANN401 - a data set has the elements it has
    groups: Sequence[Group],
) -> RecordingMetadata:
    """All that the file says beside its samples."""
    measurements, statements, marks = _noted(dataset, groups)
    acquired_at = _time(dataset)
    began = datetime.fromisoformat(acquired_at) if acquired_at else None
    software = dataset.get("SoftwareVersions") or ""
    return RecordingMetadata(
        acquired_at=acquired_at,
        age=_age(str(dataset.get("PatientAge") or "")) or age_between(_born(dataset), began),
        sex={"F": "female", "M": "male"}.get(str(dataset.get("PatientSex") or ""), ""),
        patient=labelled(
            (
                (say("Name"), str(dataset.get("PatientName") or "").replace("^", " ")),
                (say("Identifier"), dataset.get("PatientID")),
                (say("Date of birth"), dataset.get("PatientBirthDate")),
            )
        ),
        acquisition=labelled(
            (
                (say("Manufacturer"), dataset.get("Manufacturer")),
                (say("Model"), dataset.get("ManufacturerModelName")),
                (say("Serial number"), dataset.get("DeviceSerialNumber")),
                (say("Software"), software if isinstance(software, str) else ", ".join(software)),
                (say("Institution"), dataset.get("InstitutionName")),
            )
        ),
        measurements=measurements,
        statements=statements,
        annotations=marks,
    )


def _time(dataset: Any) -> str:  # noqa: ANN401 - see metadata_of
    """Start of the recording, ISO 8601; only the day where no time is stated."""
    kinds = ("Acquisition", "Content", "Study")
    stated = [
        str(dataset.get("AcquisitionDateTime") or ""),
        *(
            f"{dataset.get(f'{kind}Date') or ''}{dataset.get(f'{kind}Time') or ''}"
            for kind in kinds
        ),
    ]
    for text in stated:
        match = re.match(r"(\d{8})(?:(\d\d)(\d\d)(\d\d)?)?", text)
        if match:
            day, hour, minute, second = match.groups(default="00")
            try:
                when = datetime.strptime(f"{day}{hour}{minute}{second}", "%Y%m%d%H%M%S")  # noqa: DTZ007
            except ValueError:
                continue
            return when.isoformat() if match[2] else when.date().isoformat()
    return ""


def _born(dataset: Any) -> datetime | None:  # noqa: ANN401 - see metadata_of
    try:
        return datetime.strptime(str(dataset.get("PatientBirthDate") or ""), "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return None


def _age(stated: str) -> Age | None:
    match = _AGE.fullmatch(stated)
    try:
        return Age(float(match[1]), _AGE_UNITS[match[2].upper()]) if match else None
    except ValueError:
        return None
