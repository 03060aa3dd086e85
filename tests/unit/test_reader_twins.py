"""The same recording in two containers is the same recording; a second reader agrees."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pydicom
import pyedflib
import pytest
import wfdb

from model_core.errors import ReadError
from model_core.io import READERS, TableLayout, propose_layout, read_recording, read_table
from model_core.leads import STANDARD_LEADS
from model_core.types import ImportReport, Recording

pytestmark = pytest.mark.needs_shared


@pytest.fixture
def samples(shared: Path) -> Path:
    return shared / "samples"


def report_of(recording: Recording) -> ImportReport:
    report = recording.metadata.report
    assert report is not None
    return report


ALL = [
    "aecg/ecgtoolkit_Example.xml",
    "aecg/fda_minimum_aecg.xml",
    "challenge_mat/A0001.hea",
    "challenge_mat/A0001.mat",
    "dicom/guangxi_teaching_sinus_rhythm.dcm",
    "dicom/waveform_ecg.dcm",
    "edf/cpsc_A0001.edf",
    "edf/edf_12lead_uV.edf",
    "edge_cases/dcm_4groups_of_3.dcm",
    "edge_cases/muse_8lead_latin1.xml",
    "edge_cases/wf_8lead.hea",
    "ishne/ECG_P28.01.ecg",
    "mortara_xml/mortara_12lead.xml",
    "muse_xml/guangxi_teaching_sinus_rhythm.xml",
    "muse_xml/synthetic_muse.xml",
    "philips_sierra_xml/129DYPRG.XML",
    "philips_sierra_xml/3191723_ZZDEMOPTONLY_1-04_orig.xml",
    "scp/ecgtoolkit_Example.scp",
    "wfdb/00001_hr.hea",
    "wfdb/100.hea",
    "wfdb/s0010_re.hea",
]


@pytest.mark.parametrize("name", ALL)
def test_every_sample_reads_with_a_full_report(samples: Path, name: str) -> None:
    recording = read_recording(samples / name)
    report = report_of(recording)
    assert recording.metadata.format_name.startswith(report.format_name)
    assert report.format_name
    assert report.rate_source
    assert report.gain
    assert report.gain_source
    assert report.unit
    assert report.integrity.endswith(".")
    stored_and_derived = report.leads_present + report.leads_derived
    assert sorted(stored_and_derived) == sorted(recording.lead_names)
    assert set(report.leads_missing) == set(STANDARD_LEADS) - set(recording.lead_names)
    known = [name for name in recording.lead_names if name in STANDARD_LEADS]
    assert known == sorted(known, key=STANDARD_LEADS.index)
    assert recording.lead_names[: len(known)] == tuple(known)


@pytest.mark.parametrize(
    ("one", "other", "atol"),
    [
        # one ELI 250 recording, both in steps of 2.5 uV
        ("scp/ecgtoolkit_Example.scp", "aecg/ecgtoolkit_Example.xml", 1e-6),
        # the DICOM file stores the computed limb leads rounded to steps of 4.88 uV
        (
            "muse_xml/guangxi_teaching_sinus_rhythm.xml",
            "dicom/guangxi_teaching_sinus_rhythm.dcm",
            0.00245,
        ),
        # the EDF file has steps of 3.3e-5 mV, and limits cut to eight characters (1e-5 mV)
        ("challenge_mat/A0001.hea", "edf/cpsc_A0001.edf", 4.3e-5),
        ("wfdb/00001_hr.hea", "edf/edf_12lead_uV.edf", 1e-6),
        ("wfdb/00001_hr.hea", "mortara_xml/mortara_12lead.xml", 0.00126),
        ("wfdb/00001_hr.hea", "edge_cases/wf_8lead.hea", 0.0021),
    ],
)
def test_twins(samples: Path, one: str, other: str, atol: float) -> None:
    first, second = read_recording(samples / one), read_recording(samples / other)
    assert first.fs == second.fs
    assert first.lead_names[:12] == second.lead_names[:12] == STANDARD_LEADS
    np.testing.assert_allclose(first.signal_mv[:12], second.signal_mv[:12], rtol=0, atol=atol)


def test_stored_leads_of_muse_and_dicom_are_equal(samples: Path) -> None:
    muse = read_recording(samples / "muse_xml/guangxi_teaching_sinus_rhythm.xml")
    dicom = read_recording(samples / "dicom/guangxi_teaching_sinus_rhythm.dcm")
    assert report_of(muse).leads_derived == ("III", "aVR", "aVL", "aVF")
    rows = [muse.lead_names.index(name) for name in report_of(muse).leads_present]
    np.testing.assert_allclose(muse.signal_mv[rows], dicom.signal_mv[rows], rtol=0, atol=1e-6)
    by_key = [
        {m.key: m.value for m in recording.metadata.measurements} for recording in (muse, dicom)
    ]
    for key in ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qtc", "qrs_axis"):
        assert by_key[0][key] == by_key[1][key]


def test_mat_beside_its_header_is_the_record(samples: Path) -> None:
    by_header = read_recording(samples / "challenge_mat/A0001.hea")
    by_data = read_recording(samples / "challenge_mat/A0001.mat")
    assert by_header.recording_id == by_data.recording_id


@pytest.mark.parametrize("name", ["waveform_ecg.dcm", "guangxi_teaching_sinus_rhythm.dcm"])
def test_dicom_equals_pydicom(samples: Path, name: str) -> None:
    path = samples / "dicom" / name
    expected = cast("Any", pydicom).dcmread(path).waveform_array(0).T / 1000.0  # from uV
    read = read_recording(path)
    np.testing.assert_allclose(read.signal_mv, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cpsc_A0001.edf", "edf_12lead_uV.edf"])
def test_edf_equals_pyedflib(samples: Path, name: str) -> None:
    recording = read_recording(samples / "edf" / name)
    with pyedflib.EdfReader(str(samples / "edf" / name)) as edf:
        factor = {"uV": 1e-3, "mV": 1.0}[edf.getPhysicalDimension(0)]
        for row in range(recording.n_leads):
            assert edf.getSampleFrequency(row) == recording.fs
            expected = edf.readSignal(row) * factor
            np.testing.assert_allclose(recording.signal_mv[row], expected, rtol=1e-5, atol=1e-6)


def test_tables_equal_the_record_they_were_made_from(samples: Path) -> None:
    truth = read_recording(samples / "wfdb/00001_hr.hea")
    for name in ("csv_header_mV.csv", "npy_5000x12_mV.npy"):
        path = samples / "tables" / name
        proposal = propose_layout(path)
        assert (proposal.fs, proposal.unit, proposal.leads_in) == (500.0, "mV", "columns")
        layout = TableLayout(500.0, "mV", STANDARD_LEADS, skip_rows=proposal.skip_rows)
        np.testing.assert_allclose(read_table(path, layout).signal_mv, truth.signal_mv, atol=1e-4)


def test_mat_without_its_header_by_layout(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.mat").write_bytes((samples / "challenge_mat/A0001.mat").read_bytes())
    truth = cast("Any", wfdb).rdrecord(str(samples / "challenge_mat/A0001")).p_signal.T
    proposal = propose_layout(tmp_path / "alone.mat")
    assert (proposal.leads_in, proposal.variable, proposal.n_leads) == ("rows", "val", 12)
    layout = TableLayout(500.0, "uV", STANDARD_LEADS, leads_in="rows", variable="val")
    read = read_table(tmp_path / "alone.mat", layout)
    np.testing.assert_allclose(read.signal_mv, truth, atol=1e-6)


def test_philips_ends_before_the_calibration_pulse(samples: Path) -> None:
    for path in (samples / "philips_sierra_xml").iterdir():
        recording = read_recording(path)
        assert recording.duration_s == 10.0
        assert any("calibration" in text for text in report_of(recording).repairs)
        i, ii, iii = recording.signal_mv[:3].astype(np.float64)
        # Within the rounding of three leads to 5 uV each; the pulse breaks this by 1 mV
        assert np.abs(iii - (ii - i)).max() <= 0.011


def test_months_stay_months(samples: Path) -> None:
    metadata = read_recording(samples / "edge_cases/muse_8lead_latin1.xml").metadata
    assert str(metadata.age) == "3 months"
    assert metadata.age_y == 0.25
    assert ("Name", "Müller Zoë") in metadata.patient


def test_statements_and_marks_of_the_device_come_along(samples: Path) -> None:
    metadata = read_recording(samples / "dicom/waveform_ecg.dcm").metadata
    assert [statement.text for statement in metadata.statements] == [
        "RITMO SINUSALE",
        "ECG NORMALE",
    ]
    assert {m.key: m.value for m in metadata.measurements}["rr_interval"] == 982
    assert metadata.age is not None
    assert str(metadata.age) == "42 years"
    beats = read_recording(
        samples / "muse_xml/guangxi_teaching_sinus_rhythm.xml"
    ).metadata.annotations
    assert len(beats) == 16
    assert beats[0].time_s == pytest.approx(0.398)


def test_what_the_decoder_has_no_field_for_comes_along_too(samples: Path) -> None:
    muse = read_recording(samples / "muse_xml/guangxi_teaching_sinus_rhythm.xml").metadata
    assert {m.key: (m.value, m.unit) for m in muse.measurements}["atrial_rate"] == (97, "/min")
    assert any("开放性骨折" in comment for comment in muse.comments)  # why the ECG was asked for
    sierra = read_recording(samples / "philips_sierra_xml/129DYPRG.XML").metadata
    assert {m.key: m.value for m in sierra.measurements}["atrial_rate"] == 41
    for name in ("aecg/ecgtoolkit_Example.xml", "scp/ecgtoolkit_Example.scp"):
        found = read_recording(samples / name).metadata
        assert {m.key: m.value for m in found.measurements}["p_duration"] == 102


def test_marks_in_a_file_beside_lie_on_the_beats(samples: Path, tmp_path: Path) -> None:
    """By the library's own reading for WFDB; by the largest deflection near each for ISHNE."""
    record = read_recording(samples / "wfdb/100.hea")
    expected = cast("Any", wfdb).rdann(str(samples / "wfdb/100"), "atr")
    marks = record.metadata.annotations
    assert [round(mark.time_s * 360) for mark in marks] == list(expected.sample)
    assert marks[0].text == "+ (N"
    assert [mark.text for mark in marks[1:4]] == ["N", "N", "N"]

    holter = read_recording(samples / "ishne/ECG_P28.01.ecg")
    offsets: list[int] = []
    for mark in holter.metadata.annotations:
        n = round(mark.time_s * 1000)
        if mark.text == "N" and 200 <= n < holter.n_samples - 200:
            around = holter.signal_mv[1, n - 200 : n + 200]
            offsets.append(int(np.argmax(np.abs(around - np.median(around)))) - 200)
    assert len(offsets) > 80
    assert np.percentile(np.abs(offsets), 90) <= 5

    for name in ("100.hea", "100.dat"):
        (tmp_path / name).write_bytes((samples / "wfdb" / name).read_bytes())
    (tmp_path / "100.atr").write_bytes(b"\xff\xfc" * 9)
    damaged = read_recording(tmp_path / "100.hea")
    assert not damaged.metadata.annotations
    assert any("100.atr cannot be read" in text for text in report_of(damaged).repairs)


@pytest.mark.parametrize("name", [name for name in ALL if not name.endswith((".hea", ".mat"))])
def test_damaged_files_end_in_words(samples: Path, tmp_path: Path, name: str) -> None:
    original = (samples / name).read_bytes()[:300_000]
    rng = np.random.default_rng(0)
    path = tmp_path / Path(name).name
    for number in range(12):
        damaged = bytearray(original)
        start = int(rng.integers(len(damaged)))
        match number % 4:
            case 0:
                damaged[int(rng.integers(min(2000, len(damaged))))] = int(rng.integers(256))
            case 1:
                del damaged[start:]
            case 2:
                damaged[start:] = bytes(len(damaged) - start)
            case _:
                damaged[start : start + 4] = b"\xff" * 4
        path.write_bytes(damaged)
        try:
            recording = read_recording(path)
        except ReadError as error:
            told = str(error)
        else:
            told = report_of(recording).integrity
        assert told.endswith(".")
        assert str(tmp_path) not in told


def test_readers_do_not_import_their_decoders_at_start() -> None:
    import subprocess

    code = (
        "import sys, model_core.io; heavy = {'pydicom', 'ecgdatakit', 'wfdb', 'scipy', 'pandas'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert len(READERS) == 13
