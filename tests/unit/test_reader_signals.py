"""EDF, BDF and ISHNE: files made by hand, every count placed where the format says."""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import Any

import numpy as np
import pyedflib
import pytest
from numpy.typing import NDArray

from echoing_gui.view_models.import_report import import_report_view
from model_core.io import read_recording
from model_core.quality import assess
from model_core.reasons import Severity
from tests.reading import refusal, report_of


def counts(n_leads: int, n_samples: int = 2500) -> NDArray[np.int16]:
    rng = np.random.default_rng(n_leads)
    return rng.integers(-3000, 3000, (n_leads, n_samples)).astype(np.int16)


# EDF --------------------------------------------------------------------------------------------


def edf(
    path: Path,
    values: NDArray[Any],
    labels: tuple[str, ...],
    *,
    per_record: int = 500,
    record_s: str = "1",
    units: tuple[str, ...] = (),
    kind: str = "",
    marks: tuple[bytes, ...] = (),
    n_records: str = "",
    patient: str = "X X X X",
    limits: tuple[str, str, str, str] = ("-3276.8", "3276.7", "-32768", "32767"),
    bdf: bool = False,
) -> Path:
    """Write a file by the specification; `marks` holds one annotation block a record."""
    n, total = values.shape
    records = total // per_record
    width = 3 if bdf else 2
    mark_samples = -(-max(map(len, marks), default=0) // width)
    all_labels = (*labels, *(["EDF Annotations"] if marks else []))
    samples = [per_record] * n + ([mark_samples] if marks else [])

    def columns(size: int, texts: list[str]) -> bytes:
        return b"".join(text.encode("latin-1").ljust(size) for text in texts)

    m = len(all_labels)
    header = (b"\xffBIOSEMI" if bdf else b"0       ") + patient.encode().ljust(80) + b"".ljust(80)
    header += b"02.05.19" + b"12.34.56" + str(256 * (m + 1)).encode().ljust(8)
    header += kind.encode().ljust(44) + (n_records or str(records)).encode().ljust(8)
    header += record_s.encode().ljust(8) + str(m).encode().ljust(4)
    body_units = list(units or ["uV"] * n) + ([""] if marks else [])
    header += columns(16, list(all_labels)) + columns(80, [""] * m) + columns(8, body_units)
    for limit in limits:
        header += columns(8, [limit] * m)
    header += columns(80, ["HP:0.05Hz"] * m) + columns(8, [str(s) for s in samples])
    header += columns(32, [""] * m)
    data = b""
    for record in range(records):
        part = values[:, record * per_record : (record + 1) * per_record]
        if bdf:
            data += part.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
        else:
            data += part.astype("<i2").tobytes()
        if marks:
            data += marks[record].ljust(mark_samples * width, b"\0")
    path.write_bytes(header + data)
    return path


def test_edf_samples_rate_and_filters(tmp_path: Path) -> None:
    values = counts(3)
    path = edf(tmp_path / "a.edf", values, ("ECG I", "ECG II", "ECG V1"))
    recording = read_recording(path)
    assert recording.lead_names == ("I", "II", "III", "aVR", "aVL", "aVF", "V1")
    stored = recording.signal_mv[[0, 1, 6]]
    np.testing.assert_allclose(stored, values * 1e-4, rtol=1e-5, atol=1e-6)
    assert (recording.fs, recording.metadata.acquired_at) == (500.0, "2019-05-02T12:34:56")
    assert report_of(recording).device_filters == ("HP:0.05Hz",)
    with pyedflib.EdfReader(str(path)) as other:
        np.testing.assert_allclose(recording.signal_mv[0], other.readSignal(0) / 1000, atol=1e-6)


def test_broken_rates_stay_broken(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", counts(1), ("I",), per_record=500, record_s="3.90625")
    assert read_recording(path).fs == 128.0
    path = edf(tmp_path / "b.edf", counts(1), ("I",), per_record=125, record_s="1.953")
    assert read_recording(path).fs == pytest.approx(64.00409626)


def test_bdf(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-(2**23), 2**23, (2, 1000)).astype(np.int32)
    limits = ("-262144", "262143", "-8388608", "8388607")
    path = edf(tmp_path / "a.bdf", values, ("I", "V1"), kind="24BIT", limits=limits, bdf=True)
    recording = read_recording(path)
    gain = (262143 + 262144) / (2**24 - 1)
    expected = ((values + 2**23) * gain - 262144) * 1e-3
    np.testing.assert_allclose(recording.signal_mv, expected, rtol=1e-5, atol=1e-4)
    assert recording.metadata.format_name == "BDF"


def test_marks_and_breaks_of_edf_plus(tmp_path: Path) -> None:
    values = counts(1, 1500)
    marks = (
        b"+0\x14\x14\0+0.5\x14beat\x14\0",
        b"+1\x14\x14\0",
        b"+4\x14\x14\0+4.25\x150.5\x14noise\x14second\x14\0",
    )
    path = edf(tmp_path / "a.edf", values, ("I",), kind="EDF+D", marks=marks)
    recording = read_recording(path)
    assert recording.n_samples == 2500
    np.testing.assert_allclose(recording.signal_mv[0, :1000], values[0, :1000] * 1e-4, atol=1e-6)
    np.testing.assert_allclose(recording.signal_mv[0, 2000:], values[0, 1000:] * 1e-4, atol=1e-6)
    (gap,) = report_of(recording).gaps
    assert (gap.start_s, gap.end_s) == (2.0, 4.0)
    told = [(mark.time_s, mark.text) for mark in recording.metadata.annotations]
    assert told == [(0.5, "beat"), (4.25, "noise"), (4.25, "second")]


def test_patient_of_edf_plus(tmp_path: Path) -> None:
    who = "MCH-02 F 02-FEB-2019 Haagse_Harry"
    path = edf(
        tmp_path / "a.edf",
        counts(1),
        ("I",),
        kind="EDF+C",
        marks=(b"+0\x14\x14\0",) * 5,
        patient=who,
    )
    metadata = read_recording(path).metadata
    assert (metadata.sex, str(metadata.age)) == ("female", "2 months")
    assert ("Name", "Haagse Harry") in metadata.patient


def test_other_signals_are_left_out_by_name(tmp_path: Path) -> None:
    units = ("uV", "uV", "%")
    path = edf(tmp_path / "a.edf", counts(3), ("ECG II", "EEG C4-A1", "SaO2"), units=units)
    recording = read_recording(path)
    assert recording.lead_names == ("II",)
    assert any("EEG C4-A1, SaO2" in text for text in report_of(recording).repairs)


def test_the_ecg_of_a_sleep_study_is_found_among_more_of_the_brain(tmp_path: Path) -> None:
    labels = ("F3-M2", "C3-M2", "O1-M2", "E1", "CHIN", "EKG", "LAT")
    path = edf(tmp_path / "a.edf", counts(7), labels)
    recording = read_recording(path)
    assert recording.lead_names == ("EKG",)
    np.testing.assert_allclose(recording.signal_mv[0], counts(7)[5] * 1e-4, rtol=1e-5, atol=1e-6)
    # In a Holter, C4 is a chest lead; unknown names at the same rate are kept.
    holter = read_recording(edf(tmp_path / "b.edf", counts(3), ("II", "C4", "Channel 9")))
    assert holter.lead_names == ("II", "V4", "Channel 9")


def test_headers_filled_up_with_zeros(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", counts(1), ("I",))
    data = path.read_bytes()
    path.write_bytes(data[:8] + data[8:512].replace(b"  ", b"\0\0") + data[512:])
    assert read_recording(path).lead_names == ("I",)


@pytest.mark.parametrize(
    "unit",
    [
        *("uV", "\xb5V", "microV", "uVolt"),
        *(text.encode().decode("latin-1") for text in ("\xb5V", "\u03bcV")),
    ],
)
def test_microvolts_in_every_spelling(tmp_path: Path, unit: str) -> None:
    recording = read_recording(edf(tmp_path / "a.edf", counts(1), ("I",), units=(unit,)))
    np.testing.assert_allclose(recording.signal_mv[0], counts(1)[0] * 1e-4, rtol=1e-5, atol=1e-6)


def test_a_signal_without_a_unit_is_not_taken_for_microvolts(tmp_path: Path) -> None:
    assert refusal(edf(tmp_path / "a.edf", counts(1), ("I",), units=("",))).code == "gain_missing"


def test_open_recordings_are_counted(tmp_path: Path) -> None:
    recording = read_recording(edf(tmp_path / "a.edf", counts(1), ("I",), n_records="-1"))
    assert recording.duration_s == 5.0
    assert any("was counted" in text for text in report_of(recording).repairs)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": ("EEG C3", "EEG C4")}, "no_signal"),
        ({"units": ("mmHg", "%")}, "no_signal"),
        ({"n_records": "4"}, "size_mismatch"),
        ({"n_records": "99999999"}, "size_mismatch"),
        ({"n_records": "many"}, "bad_header"),
        ({"record_s": "0"}, "bad_header"),
        ({"record_s": "nan"}, "bad_header"),
        ({"record_s": "-1"}, "bad_header"),
        ({"record_s": "100"}, "bad_rate"),
        ({"limits": ("-1", "1", "5", "5")}, "bad_header"),
        ({"limits": ("1", "1", "-5", "5")}, "gain_missing"),
    ],
)
def test_bad_edf_headers(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    arguments: dict[str, Any] = {"labels": ("I", "II"), **change}
    assert refusal(edf(tmp_path / "a.edf", counts(2), **arguments)).code == reason


def test_annotations_alone_are_no_recording(tmp_path: Path) -> None:
    nothing = np.zeros((0, 2500), np.int16)
    path = edf(tmp_path / "a.edf", nothing, (), kind="EDF+C", marks=(b"+0\x14\x14\0",) * 5)
    assert refusal(path).code == "no_signal"


@pytest.mark.parametrize("cut", [1, 1000, 1500, 5000])
def test_cut_edf_is_refused(tmp_path: Path, cut: int) -> None:
    path = edf(tmp_path / "a.edf", counts(2), ("I", "II"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert refusal(path).code in ("size_mismatch", "bad_header")


# ISHNE ------------------------------------------------------------------------------------------


def ishne(
    path: Path,
    values: NDArray[np.int16],
    codes: tuple[int, ...],
    *,
    fs: int = 200,
    resolution_nv: int = 2500,
    declared: int | None = None,
    born: tuple[int, int, int] = (2, 3, 2000),
    checksum: bytes | None = None,
) -> Path:
    """Write a file by the ISHNE standard, 1998."""
    n, n_samples = values.shape

    def numbers(*items: int) -> bytes:
        return np.array(items, "<i2").tobytes()

    head = np.array([0, n_samples if declared is None else declared, 522, 522], "<i4").tobytes()
    head += numbers(1) + b"Ann".ljust(40) + b"Doe".ljust(40) + b"P1".ljust(20) + numbers(2, 0)
    head += numbers(*born) + numbers(5, 3, 2000) + numbers(5, 3, 2000) + numbers(8, 30, 0)
    head += numbers(n, *codes, *[-9] * (12 - n)) + numbers(*[1] * 12)
    head += numbers(*[resolution_nv] * 12) + numbers(0) + b"rec".ljust(40) + numbers(fs)
    head = head.ljust(522 - 10, b"\0")
    crc = checksum or binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little")
    path.write_bytes(b"ISHNE1.0" + crc + head + np.ascontiguousarray(values.T).tobytes())
    return path


def test_ishne_samples_and_patient(tmp_path: Path) -> None:
    values = counts(3)
    recording = read_recording(ishne(tmp_path / "a.ecg", values, (11, 5, 6)))
    assert recording.lead_names[:2] == ("I", "II")
    rows = [recording.lead_names.index(name) for name in ("V1", "I", "II")]
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.0025, rtol=1e-6)
    metadata = recording.metadata
    assert (metadata.sex, str(metadata.age)) == ("female", "3 days")
    assert metadata.acquired_at == "2000-03-05T08:30:00"
    assert "matches its checksum" in report_of(recording).integrity


def test_ishne_faults_are_gaps(tmp_path: Path) -> None:
    values = counts(2)
    values[1, 400:500] = -32768
    recording = read_recording(ishne(tmp_path / "a.ecg", values, (2, 3)))
    assert np.isnan(recording.signal_mv[1, 400:500]).all()
    assert np.isnan(recording.signal_mv).sum() == 100
    (gap,) = report_of(recording).gaps
    assert (gap.lead, gap.start_s, gap.end_s) == ("Y", 2.0, 2.5)


def test_ishne_cut_at_a_frame_is_told_and_elsewhere_refused(tmp_path: Path) -> None:
    path = ishne(tmp_path / "a.ecg", counts(2), (2, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-400])
    recording = read_recording(path)
    assert recording.n_samples == 2400
    report = report_of(recording)
    assert report.incomplete
    assert "2500" in report.integrity
    assert "2400" in report.integrity
    found = assess(recording, duration_s=4.0, lead_names=recording.lead_names).reasons
    assert ("incomplete", Severity.CAUTION) in [(r.code, r.severity) for r in found]
    assert "it may be incomplete" in import_report_view(recording).summary
    for cut in (1, 2):
        path.write_bytes(whole[:-cut])
        assert refusal(path).code == "size_mismatch"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fs": 0}, "bad_rate"),
        ({"resolution_nv": 0}, "gain_missing"),
        ({"checksum": b"\1\2"}, "checksum_mismatch"),
    ],
)
def test_bad_ishne_headers(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    assert refusal(ishne(tmp_path / "a.ecg", counts(2), (2, 3), **change)).code == reason


def test_ecg_files_of_another_kind_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.ecg").write_bytes(b"\x01\x02" * 1000)
    error = refusal(tmp_path / "a.ecg")
    assert error.code == "unsupported_format"
    assert "Contec .ECG is not supported" in str(error)
