"""What leaves the program as a medical record: de-identified recordings, DICOM, FHIR."""

from __future__ import annotations

from model_core.records.deidentify import deidentified, new_study_id
from model_core.records.dicom import dicom_ecg, dicom_report
from model_core.records.fhir import fhir_bundle

__all__ = ["deidentified", "dicom_ecg", "dicom_report", "fhir_bundle", "new_study_id"]
