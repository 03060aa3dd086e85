"""Medical records and paper: the report as PDF, the ECG as DICOM, estimates as FHIR."""

from __future__ import annotations

import json

from echoing_gui.exports import Kind
from echoing_gui.graphics import pages
from echoing_gui.i18n import tr
from echoing_gui.resources import TITLE, program_version
from echoing_gui.state import AppState
from echoing_gui.view_models.report import Paper, report_state, report_view
from model_core.records import dicom_ecg, dicom_report, fhir_bundle
from model_core.wording import say

REPORT_TITLE = say("ECG report")

REPORT_PDF = Kind("report_pdf", say("Report: ECG to scale and result (PDF)"), ".pdf")
REPORT_DICOM = Kind("report_dicom", say("Report within DICOM (Encapsulated PDF)"), ".dcm")
ECG_DICOM = Kind("ecg_dicom", say("ECG without result (DICOM waveform)"), ".dcm")
ESTIMATES_FHIR = Kind("estimates_fhir", say("Estimates (FHIR R4 Observations, JSON)"), ".json")
RECORDS = (REPORT_PDF, REPORT_DICOM, ECG_DICOM, ESTIMATES_FHIR)
ON_PAPER = (REPORT_PDF, REPORT_DICOM)


def program_line() -> str:
    """Name and version of the program."""
    return f"{TITLE} {program_version()}"


def record_bytes(state: AppState, kind: Kind, paper: Paper, pseudonym: str) -> bytes:
    """Write a recording in one of the forms.

    Parameters
    ----------
    state
        With a recording.
    kind, paper
        The form.
    pseudonym
        Name of a de-identified export; empty to keep who the ECG is of.

    Raises
    ------
    ExportError
        If this form has no place for such a recording.
    """
    shown = report_state(state, pseudonym)
    recording = shown.recording
    if recording is None:
        raise ValueError("there is no recording")
    named = pseudonym or recording.recording_id[:16]
    if kind is ECG_DICOM:
        return dicom_ecg(recording, is_deidentified=bool(pseudonym), study_id=named)
    if kind is ESTIMATES_FHIR:
        if shown.prediction is None:
            raise ValueError("there is no prediction")
        bundle = fhir_bundle(recording, shown.prediction, program_line(), named)
        return json.dumps(bundle, ensure_ascii=False, indent=1).encode()
    pdf = pages.pdf_bytes(report_view(shown, paper, program_line()), paper, tr(REPORT_TITLE))
    if kind is REPORT_PDF:
        return pdf
    return dicom_report(
        pdf, recording, title=REPORT_TITLE, study_id=named, is_deidentified=bool(pseudonym)
    )
