"""What is said of one file to scripts: the JSON of `echoing predict`, and what exports are made of.

Docs/json-output.md and assets/schema/prediction.schema.json describe it. No Qt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Collection
from typing import Any

from echoing_gui.resources import DISTRIBUTION, program_version
from echoing_gui.view_models.results import RESEARCH_ONLY
from model_core.errors import EchoingError
from model_core.long_recording import LongRecording
from model_core.measures import FINDINGS, MEASURES
from model_core.runtime.package import ModelPackage
from model_core.types import Prediction, PredictionInterval, Recording, SegmentVariance

SCHEMA_VERSION = 1

Report = dict[str, Any]


def blank_report(file: str | None, package: Report, confirmed: Collection[str] = ()) -> Report:
    """Everything that the report of a file has, before it was read.

    Parameters
    ----------
    file
        Its path or name; None where that is not to be told.
    package
        From `package_report`.
    confirmed
        Codes of the questions that were answered.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "program": {"name": DISTRIBUTION, "version": program_version()},
        "file": file,
        "sha256": None,
        "window_sha256": None,
        "recording": None,
        "state": "error",
        "error": None,
        "reasons": [],
        "window_s": None,
        "measures": [],
        "findings": [],
        "confirmed": sorted(confirmed),
        "lead_quality": [],
        "embedding_variance": None,
        "segment_variance": None,
        "package": package,
        "research_use": RESEARCH_ONLY,
    }


def error_report(error: EchoingError) -> Report:
    """Entries of a file that could not be read or worked on."""
    return {
        "state": "error",
        "error": {"code": error.code, "message": str(error), "hint": error.hint},
    }


def window_hash(part: Recording) -> str:
    """SHA-256 over the samples that were looked at of a recording that stays in its file."""
    return hashlib.sha256(part.signal_mv.tobytes()).hexdigest()


def package_report(package: ModelPackage) -> Report:
    """Say which model package it is, and what must be said beside its numbers."""
    return {
        "name": package.identity.name,
        "version": package.identity.version,
        "id": package.identity.package_id,
        "demonstration": package.manifest.demonstration,
        "caveat": package.identity.caveat,
        "licence": package.manifest.licence,
    }


def _import_report(recording: Recording | LongRecording) -> Report | None:
    report = recording.metadata.report
    if report is None:
        return None
    values = dataclasses.asdict(report)
    for gap in values["gaps"]:
        gap |= {key: _number(gap[key]) for key in ("start_s", "end_s")}
    return {**values, "leads_extra": report.leads_extra}


def recording_report(recording: Recording | LongRecording) -> Report:
    """Say what was read and how."""
    return {
        "format": recording.metadata.format_name,
        "fs_hz": _number(recording.fs),
        "duration_s": _number(recording.duration_s),
        "lead_names": list(recording.lead_names),
        "simulated": recording.metadata.simulated,
        "notes": list(recording.metadata.notes),
        "import": _import_report(recording),
        "machine_measurements": [
            dataclasses.asdict(measurement) for measurement in recording.metadata.measurements
        ],
    }


def prediction_report(prediction: Prediction) -> Report:
    """Entries of a prediction: numbers, or the reasons to withhold them."""
    return {
        "state": prediction.state.value,
        "reasons": [
            {
                "code": reason.code,
                "severity": reason.severity.value,
                "message": reason.message,
                "lead": reason.lead,
            }
            for reason in prediction.reasons
        ],
        "window_s": [_second(second) for second in prediction.window_s],
        "measures": [
            {
                "key": estimate.key,
                "label": MEASURES[estimate.key].label,
                "unit": MEASURES[estimate.key].unit,
                "value": _number(estimate.value),
                "interval": _interval_report(estimate.interval),
                "core": estimate.core and _interval_report(estimate.core),
            }
            for estimate in prediction.estimates
        ],
        "findings": [
            {
                "key": finding.key,
                "label": FINDINGS[finding.key].label,
                "probability": _number(finding.probability),
            }
            for finding in prediction.findings
        ],
        "lead_quality": [
            {"lead": each.lead, "grade": each.grade.value, "message": each.message}
            for each in prediction.lead_quality
        ],
        "embedding_variance": (
            None
            if prediction.embedding_variance is None
            else _number(prediction.embedding_variance)
        ),
        "segment_variance": _variance_report(prediction.segment_variance),
    }


def _interval_report(interval: PredictionInterval) -> Report:
    return {
        "low": _number(interval.low),
        "high": _number(interval.high),
        "level": interval.level,
    }


def _variance_report(cells: SegmentVariance | None) -> Report | None:
    if cells is None:
        return None
    return {
        "lead_names": list(cells.lead_names),
        "edges_s": [_second(edge) for edge in cells.edges_s],
        "variance": [[_number(value) for value in row] for row in cells.variance],
        "unit": "1",
    }


def _number(value: float) -> float | None:
    """Six digits, which is more than the network has; None for NaN, which JSON does not know."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _second(value: float) -> float:
    """To a tenth of a millisecond, late in a long recording too."""
    return round(float(value), 4)
