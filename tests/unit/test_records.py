"""What leaves as a medical record, read back by readers that know nothing of the writers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from fhir.resources.R4B.bundle import Bundle

from model_core.errors import ExportError
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.records import deidentified, dicom_ecg, dicom_report, fhir_bundle, new_study_id
from model_core.types import Age, Recording, RecordingMetadata, Statement
from tests.gui_factory import FLAT_LEAD, prediction

SECRETS = (
    "Roe",
    "Jane",
    "ID-4711",
    "Mount Hope",
    "1931-01-02",
    "19310102",
    "SN-88",
    "roe_jane.xml",
    "f00df00d",
)


def recording(fs: float = 500.0, leads: tuple[str, ...] = STANDARD_LEADS) -> Recording:
    rng = np.random.default_rng(3)
    signal = rng.normal(0, 0.4, (len(leads), round(10 * fs))).astype(np.float32)
    signal[1, 100:150] = np.nan
    return Recording(
        "f00d" * 16,
        signal,
        fs,
        leads,
        "roe_jane.xml",
        RecordingMetadata(
            format_name="MUSE XML",
            acquired_at="2021-03-04T10:11:12",
            age_y=93.4,
            age=Age(93.4),
            sex="female",
            comments=("Jane Roe, Mount Hope",),
            notes=("Recorder SN-88.",),
            patient=(
                ("Name", "Roe Jane"),
                ("Identifier", "ID-4711"),
                ("Date of birth", "1931-01-02"),
            ),
            acquisition=(("Device", "SN-88"), ("Place", "Mount Hope")),
            statements=(Statement("Jane has a left bundle branch block"),),
        ),
    )


def test_the_dicom_file_reads_as_the_same_ecg(tmp_path: Path) -> None:
    of = recording()
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_ecg(of, is_deidentified=False, study_id="ECG-1"))
    read = read_recording(path)
    assert read.lead_names == of.lead_names
    assert read.fs == of.fs
    assert np.array_equal(np.isnan(read.signal_mv), np.isnan(of.signal_mv))
    assert np.nanmax(np.abs(read.signal_mv - of.signal_mv)) <= 0.00051
    assert read.metadata.sex == "female"
    assert dict(read.metadata.patient)["Name"] == "Roe Jane"
    whole = pydicom.dcmread(path)
    assert whole.SOPClassUID.name == "12-lead ECG Waveform Storage"
    # A third reader: pydicom's own scaling of the stored samples.
    stored = whole.waveform_array(0) / 1000
    assert np.nanmax(np.abs(stored[:100].T - of.signal_mv[:, :100])) <= 0.00051


def test_other_leads_make_a_general_ecg() -> None:
    whole = pydicom.dcmread(
        io.BytesIO(dicom_ecg(recording(leads=("I", "II", "X")), is_deidentified=True, study_id="E"))
    )
    assert whole.SOPClassUID.name == "General ECG Waveform Storage"


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (recording(fs=100.0), "dicom_rate"),
        (recording(leads=("I", "Nehb D")), "dicom_leads"),
        (Recording("a", np.full((1, 5000), 33.0), 500.0, ("I",), "a"), "dicom_range"),
    ],
)
def test_what_dicom_cannot_hold_is_refused_in_words(of: Recording, code: str) -> None:
    with pytest.raises(ExportError) as refused:
        dicom_ecg(of, is_deidentified=True, study_id="E")
    assert refused.value.code == code
    assert refused.value.hint


def test_nothing_of_the_patient_is_left_in_de_identified_files() -> None:
    name = new_study_id()
    of = deidentified(recording(), name)
    assert of.metadata.age_y == 90
    pdf = b"%PDF-1.4 nothing"
    result = prediction(of)
    files = (
        dicom_ecg(of, is_deidentified=True, study_id=name),
        dicom_report(pdf, of, title="ECG report", study_id=name, is_deidentified=True),
        json.dumps(fhir_bundle(of, result, "EchoingECG 1", name)).encode(),
    )
    for content in files:
        assert name.encode() in content
        for secret in SECRETS:
            assert secret.encode() not in content
    whole = pydicom.dcmread(io.BytesIO(files[0]))
    assert whole.PatientIdentityRemoved == "YES"
    assert whole.PatientAge == "090Y"
    report = pydicom.dcmread(io.BytesIO(files[1]))
    assert report.EncapsulatedDocument[: report.EncapsulatedDocumentLength] == pdf


def checked(bundle: dict[str, Any]) -> list[Any]:
    """Observations of a bundle that a FHIR library accepts."""
    entries: Any = Bundle.model_validate(bundle).entry
    return [entry.resource for entry in entries]


def test_estimates_are_valid_fhir_with_interval_model_and_caveat() -> None:
    of = recording()
    result = prediction(of)
    observations = checked(fhir_bundle(of, result, "EchoingECG 1", "ECG-1"))
    lvef = next(each for each in observations if "ejection" in each.code.text)
    assert float(lvef.valueQuantity.value) == 54.6
    assert [float(part.valueQuantity.value) for part in lvef.component] == [43.2, 65.8]
    assert lvef.status == "preliminary"
    for each in observations:
        assert "simulated echo outcomes" in each.note[0].text
        assert each.contained[0].identifier[0].value == result.package.package_id


def test_withheld_results_have_no_number_in_fhir() -> None:
    of = recording()
    made = fhir_bundle(of, prediction(of, FLAT_LEAD), "EchoingECG 1", "ECG-1")
    assert "valueQuantity" not in json.dumps(made)
    for observation in checked(made):
        assert observation.dataAbsentReason.text == "Not reportable: flat_lead"
