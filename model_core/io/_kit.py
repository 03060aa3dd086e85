"""Decoding by `ecgdatakit`, behind our own rules: size first, mV, true rate, every doubt told.

The package decodes well and checks a lot, but rounds rates and ages to whole numbers, leaves
samples without a unit as counts, and tells most findings as Python warnings only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from model_core.errors import ReadError
from model_core.io._complete import (
    FS_RANGE_HZ,
    NO_CHECKSUM,
    Stored,
    check_shape,
    checked_size,
    high_pass,
    labelled,
    low_pass,
    mv_per_unit,
    notch,
    plain,
)
from model_core.types import (
    DAYS_PER_AGE_UNIT,
    Age,
    Annotation,
    ImportReport,
    MachineMeasurement,
    RecordingMetadata,
    Statement,
)
from model_core.wording import joined, say

_MEASUREMENTS = {
    "heart_rate": ("heart_rate", "/min"),
    "rr_interval": ("rr_interval", "ms"),
    "pr_interval": ("pr_interval", "ms"),
    "qrs_duration": ("qrs_duration", "ms"),
    "qt_interval": ("qt_interval", "ms"),
    "qtc_bazett": ("qtc_bazett", "ms"),
    "qtc_fridericia": ("qtc_fridericia", "ms"),
    "p_axis": ("p_axis", "degrees"),
    "qrs_axis": ("qrs_axis", "degrees"),
    "t_axis": ("t_axis", "degrees"),
}
# As the standards abbreviate them
_NEHB = {"D": "Nehb D", "A": "Nehb A", "J": "Nehb J"}
# Findings of the decoder that mean: the samples may not be what was recorded
_MISMATCH = re.compile(r"checksum|crc|mismatch", re.IGNORECASE)
# Findings that may quote the patient; notes go to output files
_PERSONAL = re.compile(r"birth|patient|physician|name", re.IGNORECASE)
CHECKSUM_AGREES = say("The samples match the checksum in the file.")


def decode(
    path: Path, format_name: str, limit_bytes: int, parser: Callable[[Path], Any]
) -> tuple[Any, tuple[str, ...]]:
    """Decode a file; gives ecgdatakit's record and what it warned of.

    Raises
    ------
    ReadError
        If the file is too large, damaged, or of a kind that the decoder refuses.
    """
    from ecgdatakit.exceptions import ECGDataKitError

    checked_size(path, limit_bytes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            record = parser(path)
        except OSError:
            raise
        except ECGDataKitError as error:
            raise ReadError(
                say(
                    "{file} cannot be read as {format}: {why}.",
                    file=path.name,
                    format=format_name,
                    why=_detail(path, error),
                ),
                hint=say("Export or copy it again."),
                code="damaged",
            ) from error
    return record, tuple(_detail(path, warning.message) for warning in caught)


def stored_of(
    path: Path,
    record: Any,  # noqa: ANN401 - the package's types are its own
    warned: Sequence[str],
    *,
    format_name: str,
    fs: float,
    rate_source: str,
    age: Age | None,
    integrity: str = NO_CHECKSUM,
    repairs: Sequence[str] = (),
    measurements: Mapping[str, float | None] | None = None,
    annotations: Sequence[Annotation] = (),
    cut_s: float | None = None,
) -> Stored:
    """Take leads, report and metadata from a decoded file.

    Parameters
    ----------
    path, record, warned
        The file, and what `decode` gave.
    format_name, fs, rate_source, age, integrity, repairs, annotations
        For the report and metadata; `fs` is the true rate, Hz.
    measurements
        Values that replace the decoder's; None removes one.
    cut_s
        End of the recording, where the file goes on with something else.
    """
    leads: list[Any] = list(record.leads)
    rate = max((lead.sampling_rate for lead in leads), default=0)
    if any(lead.sampling_rate != rate for lead in leads):
        raise ReadError(
            say("{file} holds leads at several sampling rates.", file=path.name),
            hint=say("Export it with one rate."),
            code="several_rates",
        )
    # Leads recorded one after another state where they begin, counted from 1.
    starts = [int(lead.annotations.get("start_sample", 1)) - 1 for lead in leads]
    ends = [start + len(lead.samples) for start, lead in zip(starts, leads, strict=True)]
    n_samples = max(ends, default=0)
    check_shape(path, max(1, len(leads)), max(2, n_samples), max(fs, FS_RANGE_HZ[0]))
    told = [text for text in warned if not (_MISMATCH.search(text) or _PERSONAL.search(text))]
    notes = [say("The decoder says: {text}.", text=text) for text in told]
    others = [lead for lead in leads if _unit(lead) and mv_per_unit(_unit(lead)) is None]
    for lead in others:
        notes.append(
            say(
                "{lead} is in {unit}, no ECG: left out.",
                lead=plain(lead.label, 20),
                unit=plain(_unit(lead), 20),
            )
        )
        del starts[leads.index(lead)]
        leads.remove(lead)
    failed = any(_MISMATCH.search(text) for text in warned)
    if failed:
        integrity = say(
            "A checksum in the file does not match its content: the ECG may be damaged."
        )
    signal = np.full((len(leads), n_samples), np.nan, dtype=np.float32)
    for row, (start, lead) in enumerate(zip(starts, leads, strict=True)):
        signal[row, start : start + len(lead.samples)] = _mv(path, lead)
        if len(lead.samples) < n_samples:
            notes.append(
                say(
                    "Lead {lead} is shorter than the others: has a gap.", lead=plain(lead.label, 20)
                )
            )
    if cut_s is not None:
        signal = signal[:, : round(cut_s * fs)]
    version = plain(record.file_format.version, 40)
    gains = sorted(
        {
            say("{gain:g} {unit} a count", gain=lead.resolution, unit=lead.resolution_unit)
            for lead in leads
        }
    )
    return Stored(
        signal_mv=signal,
        fs=fs,
        lead_names=[_NEHB.get(str(lead.label), str(lead.label)) for lead in leads],
        report=ImportReport(
            format_name=format_name,
            format_version=version,
            rate_source=rate_source,
            gain=joined(gains, ", "),
            gain_source=say("as stated in the file"),
            unit=", ".join(sorted({str(lead.resolution_unit) for lead in leads})),
            device_filters=_filters(record.recording.acquisition.filters),
            integrity=integrity,
            checksum_failed=failed,
            repairs=(*repairs, *notes),
        ),
        metadata=_metadata(record, age, measurements or {}, annotations),
    )


def age_of(value: object, unit: str) -> Age | None:
    """Age from number and unit as written; None unless both are understood."""
    names = {
        **dict.fromkeys(("", "y", "a", "yr", "year", "years"), "years"),
        **dict.fromkeys(("m", "mo", "mon", "month", "months"), "months"),
        **dict.fromkeys(("w", "wk", "week", "weeks"), "weeks"),
        **dict.fromkeys(("d", "day", "days"), "days"),
        **dict.fromkeys(("h", "hr", "hour", "hours"), "hours"),
    }
    name = names.get(unit.strip().lower())
    try:
        return Age(float(str(value)), name) if name else None
    except ValueError:
        return None


def age_between(born: datetime | None, acquired: datetime | None) -> Age | None:
    """Age from two dates: in days below two months, in months below two years, else in years."""
    days = (acquired.date() - born.date()).days if born and acquired else -1
    if days < 0:
        return None
    if days < 61:
        return Age(days, "days")
    years = int(days / DAYS_PER_AGE_UNIT["years"])
    if years < 2:
        return Age(int(days / DAYS_PER_AGE_UNIT["months"]), "months")
    return Age(years) if years <= 120 else None


def _detail(path: Path, finding: object) -> str:
    text = str(finding).replace(str(path), path.name)
    return plain(re.sub(r"\(?see raw_metadata\[[^\]]*\](\[[^\]]*\])*\)?", "", text), 200).rstrip(
        "."
    )


def _unit(lead: Any) -> str:  # noqa: ANN401 - see stored_of
    return str(lead.resolution_unit if lead.is_raw else lead.units)


def _mv(path: Path, lead: Any) -> Any:  # noqa: ANN401 - see stored_of
    factor = mv_per_unit(_unit(lead))
    if factor is None or (lead.is_raw and not lead.resolution):
        raise ReadError(
            say(
                "{file} does not state the gain of lead {lead} in volts.",
                file=path.name,
                lead=plain(lead.label, 20),
            ),
            hint=say("Have the source of the file state gain and unit."),
            code="gain_missing",
        )
    if not lead.is_raw:
        return lead.samples * factor
    return (lead.samples * lead.resolution + lead.offset) * factor


def _others(annotations: Mapping[str, str]) -> dict[str, float | None]:
    """Get what the decoder has no field for; QTc by a formula that the file does not name.

    Times are in ms, rates in beats a minute.
    """

    def number(unit: str, *keys: str) -> float | None:
        stated = next((annotations[key] for key in keys if annotations.get(key)), "")
        match = re.match(rf"(\d+(?:\.\d+)?){unit}", str(stated))
        return (float(match[1]) or None) if match else None

    return {
        "atrial_rate": number("$", "AtrialRate"),
        "p_duration": number(r" ms\b", "MDC_ECG_TIME_PD_P"),
        "qtc": number(r" ms\b", "qtc", "MDC_ECG_TIME_PD_QTc"),
    }


def _filters(filters: Any) -> tuple[str, ...]:  # noqa: ANN401 - see stored_of
    named = (
        (high_pass, filters.highpass),
        (low_pass, filters.lowpass),
        (notch, None if filters.notch_active is False else filters.notch),
    )
    return tuple(text(value) for text, value in named if value)


def _metadata(
    record: Any,  # noqa: ANN401 - see stored_of
    age: Age | None,
    replaced: Mapping[str, float | None],
    annotations: Sequence[Annotation],
) -> RecordingMetadata:
    patient, recording, device = record.patient, record.recording, record.recording.device
    values: dict[str, Any] = {
        key: getattr(record.measurements, field) for field, (key, _) in _MEASUREMENTS.items()
    }
    values |= _others(record.annotations) | dict(replaced)
    units = {**dict(_MEASUREMENTS.values()), "atrial_rate": "/min"}
    statements = [
        Statement(plain(f"{left} {right}"), plain(record.interpretation.source, 20))
        for left, right in record.interpretation.statements
    ]
    statements += [
        Statement(plain(record.annotations[key]))
        for key in ("rhythm",)
        if record.annotations.get(key)
    ]
    machine = str(record.annotations.get("machine_interpretation", "")).splitlines()
    if record.interpretation.source != "machine":
        statements += [Statement(plain(line), "machine") for line in machine]
    comments = [patient.clinical_history]
    comments += [
        record.annotations.get(key, "") for key in ("comment", "comments", "reason_for_test")
    ]
    return RecordingMetadata(
        acquired_at=recording.date.isoformat() if recording.date else "",
        age=age,
        sex={"M": "male", "F": "female"}.get(patient.sex, ""),
        comments=tuple(plain(line) for text in comments for line in str(text).splitlines()),
        patient=labelled(
            (
                (say("Name"), f"{patient.last_name} {patient.first_name}"),
                (say("Identifier"), patient.patient_id),
                (
                    say("Date of birth"),
                    patient.birth_date.date().isoformat() if patient.birth_date else "",
                ),
                (
                    say("Pacemaker"),
                    {True: say("yes"), False: say("no")}.get(patient.has_pacemaker, ""),
                ),
                (say("Medication"), ", ".join(patient.medications)),
            )
        ),
        acquisition=labelled(
            (
                (say("Manufacturer"), device.manufacturer),
                (say("Model"), device.model),
                (say("Serial number"), device.serial_number),
                (say("Software"), device.software_version),
                (say("Institution"), device.institution),
                (say("Department"), device.department),
                (say("Location"), recording.location),
                (say("Technician"), recording.technician),
            )
        ),
        measurements=tuple(
            MachineMeasurement(key, float(value), units.get(key, "ms"))
            for key, value in values.items()
            if value is not None
        ),
        statements=tuple(statement for statement in statements if statement.text),
        annotations=tuple(annotations),
    )
