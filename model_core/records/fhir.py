"""FHIR R4: the estimates of one recording as Observations in a Bundle."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from model_core.measures import FINDINGS, MEASURES
from model_core.types import MeasureEstimate, Prediction, Recording, ResultState

# LOINC names of the measures, where there is one for the measure itself; never one that names
# ultrasound as the method, since nothing was measured by ultrasound.
_LOINC = {
    "lvef": ("10230-1", "Left ventricular Ejection fraction"),
    "lvedv": ("75988-6", "Left ventricular End diastolic volume"),
    "lvesv": ("75989-4", "Left ventricular End systolic volume"),
}
_UCUM = {"%": "%", "ml": "mL"}
METHOD = "Estimated from a 12-lead ECG by a statistical model; not measured by imaging"


def fhir_bundle(
    recording: Recording, prediction: Prediction, program: str, subject_id: str
) -> dict[str, Any]:
    """Make a collection of Observations, one for each measure and finding.

    Parameters
    ----------
    recording, prediction
        What was read, and what the model says of it.
    program
        Name and version of this program.
    subject_id
        Identifier of the patient or, de-identified, of the export.

    Returns
    -------
    dict
        JSON-ready. Withheld results become Observations without value, with the reason. Every
        Observation names method, model package and caveat, and is ``preliminary``: nobody has
        confirmed it.
    """
    device = _device(prediction, program)
    shared = _shared(recording, prediction, subject_id)
    observations: list[dict[str, Any]]
    if prediction.state is ResultState.NOT_REPORTABLE:
        observations = [_withheld(key, prediction, shared) for key in MEASURES]
    else:
        observations = [_measure(each, shared) for each in prediction.estimates]
        observations += [
            {
                **shared,
                "code": {"text": f"Probability of {FINDINGS[each.key].label}"},
                "valueQuantity": _quantity(100 * each.probability, "%"),
            }
            for each in prediction.findings
        ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "entry": [
            {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": {**each, "contained": [device]}}
            for each in observations
        ],
    }


def _shared(recording: Recording, prediction: Prediction, subject_id: str) -> dict[str, Any]:
    notes = [prediction.package.caveat, *(reason.message for reason in prediction.reasons)]
    shared: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "procedure",
                    }
                ]
            }
        ],
        "subject": {"identifier": {"value": subject_id}},
        "device": {"reference": "#model"},
        "method": {"text": METHOD},
        "note": [{"text": text} for text in notes if text],
        "derivedFrom": [
            {"display": "12-lead ECG", "identifier": {"value": recording.recording_id}}
        ],
    }
    if recording.metadata.acquired_at:
        # The day alone: files seldom state the time zone that FHIR demands beside a time.
        shared["effectiveDateTime"] = recording.metadata.acquired_at[:10]
    return shared


def _device(prediction: Prediction, program: str) -> dict[str, Any]:
    package = prediction.package
    return {
        "resourceType": "Device",
        "id": "model",
        "identifier": [{"system": "urn:ietf:rfc:6234:sha-256", "value": package.package_id}],
        "deviceName": [{"name": package.name, "type": "model-name"}],
        "version": [
            {"type": {"text": "model package"}, "value": package.version},
            {"type": {"text": "program"}, "value": program},
        ],
        "note": [{"text": package.caveat}],
    }


def _measure(estimate: MeasureEstimate, shared: dict[str, Any]) -> dict[str, Any]:
    measure = MEASURES[estimate.key]
    level = f"{100 * estimate.interval.level:.0f} % prediction interval"
    ends = (("lower end", estimate.interval.low), ("upper end", estimate.interval.high))
    return {
        **shared,
        "code": _measure_code(estimate.key),
        "valueQuantity": _quantity(estimate.value, measure.unit),
        "component": [
            {"code": {"text": f"{level}, {end}"}, "valueQuantity": _quantity(value, measure.unit)}
            for end, value in ends
        ],
    }


def _withheld(key: str, prediction: Prediction, shared: dict[str, Any]) -> dict[str, Any]:
    codes = ", ".join(reason.code for reason in prediction.reasons if reason.severity.withholds)
    return {
        **shared,
        "status": "cancelled",
        "code": _measure_code(key),
        "dataAbsentReason": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                    "code": "unsupported",
                }
            ],
            "text": f"Not reportable: {codes}",
        },
    }


def _measure_code(key: str) -> dict[str, Any]:
    text = f"{MEASURES[key].name}, estimated from ECG"
    if key not in _LOINC:
        return {"text": text}
    code, display = _LOINC[key]
    return {
        "coding": [{"system": "http://loinc.org", "code": code, "display": display}],
        "text": text,
    }


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {
        "value": round(value, 1),
        "unit": unit,
        "system": "http://unitsofmeasure.org",
        "code": _UCUM[unit],
    }
