"""WFDB records: every sample, name and rate as the format says, and as the library reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.types import Recording
from tests.package_factory import synthetic_ecg
from tests.reading import refusal, report_of

MIMIC_LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")


def counts(n_leads: int = 12, n_samples: int = 1000) -> NDArray[np.int16]:
    """Leads x samples, every lead different, seeded."""
    rng = np.random.default_rng(n_leads)
    return rng.integers(-2000, 2000, (n_leads, n_samples)).astype(np.int16)


def write_record(
    folder: Path,
    digital: NDArray[np.int16],
    names: Sequence[str] = STANDARD_LEADS,
    *,
    name: str = "rec",
    record_line: str = "",
    gain: str = "1000.0(0)/mV",
    fmt: str = "16",
    data_name: str = "",
    checks: bool = True,
    comments: str = "",
) -> Path:
    """Write a record in format 16 by hand, without the library under test."""
    n_leads, n_samples = digital.shape
    data_name = data_name or f"{name}.dat"
    lines = [record_line or f"{name} {n_leads} 100 {n_samples}"]
    for lead, row in zip(names, digital.astype(int), strict=True):
        check = f" 16 0 {row[0]} {row.sum() % 65536} 0 {lead}" if checks else f" {lead}"
        lines.append(f"{data_name} {fmt} {gain}{check}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / data_name).write_bytes(np.ascontiguousarray(digital.T).astype("<i2").tobytes())
    header = folder / f"{name}.hea"
    header.write_text("\n".join(lines) + "\n" + comments, encoding="utf-8")
    return header


def as_stored(recording: Recording) -> NDArray[np.float32]:
    """The leads of the file, without those computed from I and II."""
    report = recording.metadata.report
    assert report is not None
    rows = [recording.lead_names.index(name) for name in report.leads_present]
    return recording.signal_mv[rows]


# What is read -----------------------------------------------------------------------------------


def test_samples_rate_names_and_identity(tmp_path: Path) -> None:
    digital = counts()
    header = write_record(tmp_path, digital)
    recording = read_recording(header)
    np.testing.assert_array_equal(recording.signal_mv, (digital / 1000.0).astype(np.float32))
    assert recording.fs == 100.0
    assert recording.lead_names == STANDARD_LEADS
    assert recording.source_name == "rec.hea"
    both = header.read_bytes() + (tmp_path / "rec.dat").read_bytes()
    assert recording.recording_id == hashlib.sha256(both).hexdigest()
    assert recording.metadata.format_name == "WFDB"
    assert any("1000 per mV" in note for note in recording.metadata.notes)
    assert any("match the checksums" in note for note in recording.metadata.notes)


@pytest.mark.parametrize("name", ["rec.hea", "rec.dat", "rec"])
def test_header_data_file_or_record_name(tmp_path: Path, name: str) -> None:
    write_record(tmp_path, counts())
    assert read_recording(tmp_path / name).source_name == "rec.hea"


def test_record_names_with_dots(tmp_path: Path) -> None:
    digital = counts()
    write_record(tmp_path, digital, name="rec.1")
    # Neither of them is the record asked for.
    write_record(tmp_path, counts(2), ["I", "II"], name="rec")
    write_record(tmp_path, counts(2), ["I", "II"], name="rec.2")
    for name in ("rec.1.hea", "rec.1.dat", "rec.1"):
        recording = read_recording(tmp_path / name)
        assert recording.source_name == "rec.1.hea"
        np.testing.assert_allclose(as_stored(recording), digital / 1000.0, rtol=1e-6)


def test_names_with_dots_in_every_place(tmp_path: Path) -> None:
    """A folder beside the header, segments, data files and marks."""
    digital = counts(2, 300)
    write_record(tmp_path, digital, ["I", "II"], name="p.7.a", data_name="p.7.a.samples.dat")
    (tmp_path / "p.7.hea").write_text("p.7/1 2 100 300\np.7.a 300\n")
    (tmp_path / "p.7").mkdir()
    sample, symbol = np.array([100]), ["N"]
    wfdb.wrann("beats", "atr", sample, symbol, fs=100, write_dir=str(tmp_path))
    (tmp_path / "beats.atr").rename(tmp_path / "p.7.atr")
    recording = read_recording(tmp_path / "p.7")
    np.testing.assert_allclose(as_stored(recording), digital / 1000.0, rtol=1e-6)
    assert [mark.time_s for mark in recording.metadata.annotations] == [1.0]


def test_what_is_no_record_name_with_dots(tmp_path: Path) -> None:
    write_record(tmp_path, counts(), name="rec.1")
    assert refusal(tmp_path / "rec.3").code == "not_found"
    assert refusal(tmp_path / "rec.3.hea").code == "header_missing"
    header = write_record(tmp_path, counts(), name="bad", record_line="../bad 12 100 1000")
    assert refusal(header).code == "bad_header"


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_record(tmp_path / "inner", counts())
    monkeypatch.chdir(tmp_path)
    assert read_recording(Path("inner/rec.hea")).n_leads == 12


@pytest.mark.parametrize(
    ("gain", "mv_per_count"),
    [
        ("1000/mV", 1e-3),
        ("200(0)/MV", 5e-3),
        ("1/uV", 1e-3),
        ("0.5/UV", 2e-3),
        ("1/µV", 1e-3),
        ("1/μV", 1e-3),
        ("1e6/V", 1e-3),
        ("1000.5/mV", 1 / 1000.5),
    ],
)
def test_gain_and_unit(tmp_path: Path, gain: str, mv_per_count: float) -> None:
    digital = counts()
    recording = read_recording(write_record(tmp_path, digital, gain=gain))
    np.testing.assert_allclose(recording.signal_mv, digital * mv_per_count, rtol=1e-6)


def test_baseline_is_taken_off(tmp_path: Path) -> None:
    digital = counts()
    recording = read_recording(write_record(tmp_path, digital, gain="500(-300)/mV"))
    np.testing.assert_allclose(recording.signal_mv, (digital + 300.0) / 500, rtol=1e-6)


def test_mimic_lead_order_is_read_by_name(tmp_path: Path) -> None:
    ecg = synthetic_ecg(lead_names=MIMIC_LEADS)
    digital = np.round(ecg.signal_mv * 1000).astype(np.int16)
    line = f"rec 12 500 {ecg.n_samples}"
    recording = read_recording(write_record(tmp_path, digital, MIMIC_LEADS, record_line=line))
    assert recording.lead_names == STANDARD_LEADS
    by_name = dict(zip(recording.lead_names, recording.signal_mv, strict=True))
    np.testing.assert_allclose(by_name["aVF"], by_name["II"] - by_name["I"] / 2, atol=2e-3)
    np.testing.assert_allclose(by_name["aVL"], by_name["I"] - by_name["II"] / 2, atol=2e-3)


def test_lead_names_in_the_spelling_of_the_field(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts(4), ["avr", "AVL", "v1", "my lead"])
    assert read_recording(header).lead_names == ("aVR", "aVL", "V1", "my lead")


def test_leads_stored_upside_down_are_turned_and_told(tmp_path: Path) -> None:
    recording = read_recording(write_record(tmp_path, counts(2), ["-aVR", "V1"]))
    assert recording.lead_names == ("aVR", "V1")
    expected = counts(2) / 1000.0 * [[-1.0], [1.0]]
    np.testing.assert_allclose(recording.signal_mv, expected, rtol=1e-6)
    assert any("aVR is stored upside down" in note for note in recording.metadata.notes)


def test_broken_rate_stays_broken(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts(), record_line="rec 12 976.5625/1000(5) 1000")
    assert read_recording(header).fs == 976.5625


def test_invalid_samples_are_gaps(tmp_path: Path) -> None:
    digital = counts()
    digital[3, 10:15] = -(2**15)
    recording = read_recording(write_record(tmp_path, digital))
    assert np.isnan(recording.signal_mv[3, 10:15]).all()
    assert np.isnan(recording.signal_mv).sum() == 5
    assert any("5 samples are marked as invalid" in note for note in recording.metadata.notes)


def test_several_samples_a_frame(tmp_path: Path) -> None:
    # Two samples a frame and lead: I0 I1 II0 II1 ...; 100 frames a second are 200 Hz.
    samples = counts(2, 1000)
    framed = samples.reshape(2, 500, 2).transpose(1, 0, 2).reshape(-1)
    (tmp_path / "rec.dat").write_bytes(framed.astype("<i2").tobytes())
    (tmp_path / "rec.hea").write_text(
        "rec 2 100 500\nrec.dat 16x2 1000/mV 16 0 1 1 0 I\nrec.dat 16x2 1000/mV 16 0 1 1 0 II\n"
    )
    assert refusal(tmp_path / "rec.hea").code == "checksum_mismatch"
    (tmp_path / "rec.hea").write_text("rec 2 100 500\nrec.dat 16x2 1000/mV\nrec.dat 16x2 1000/mV\n")
    recording = read_recording(tmp_path / "rec.hea")
    assert recording.fs == 200.0
    np.testing.assert_allclose(recording.signal_mv, samples / 1000.0, rtol=1e-6)


def test_leads_that_lie_later_in_the_file_are_moved_back(tmp_path: Path) -> None:
    true = counts(3)
    late = true.copy()
    late[1, 7:] = true[1, :-7]
    header = write_record(tmp_path, late, ("I", "II", "V1"))
    lines = header.read_text().splitlines()
    header.write_text("\n".join([*lines[:2], lines[2].replace(" 16 ", " 16:7 ", 1), lines[3]]))
    recording = read_recording(header)
    stored = as_stored(recording)
    np.testing.assert_allclose(stored[[0, 2]], true[[0, 2]] / 1000, rtol=1e-6)
    np.testing.assert_allclose(stored[1, :-7], true[1, :-7] / 1000, rtol=1e-6)
    assert np.isnan(stored[1, -7:]).all()
    library = cast("Any", wfdb).rdrecord(str(header.with_suffix("")))
    np.testing.assert_allclose(stored, library.p_signal.T, rtol=1e-6)
    assert any("moved back" in text for text in report_of(recording).repairs)
    data = bytearray(header.with_suffix(".dat").read_bytes())
    data[600] ^= 1
    header.with_suffix(".dat").write_bytes(data)
    assert refusal(header).code == "checksum_mismatch"


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212", "508", "516", "524"])
def test_formats_as_the_library_writes_them(tmp_path: Path, fmt: str) -> None:
    limit = {"80": 120, "508": 120, "212": 2000}.get(fmt, 20000)
    digital = np.random.default_rng(1).integers(-limit, limit, (501, 3))
    wfdb.wrsamp(
        "rec",
        fs=250,
        units=["mV"] * 3,
        sig_name=["I", "II", "III"],
        d_signal=digital,
        fmt=[fmt] * 3,
        adc_gain=[100.0] * 3,
        baseline=[5] * 3,
        write_dir=str(tmp_path),
    )
    recording = read_recording(tmp_path / "rec.hea")
    np.testing.assert_allclose(as_stored(recording), (digital.T - 5) / 100, rtol=1e-6)


def test_big_endian(tmp_path: Path) -> None:
    digital = counts(3)
    header = write_record(tmp_path, digital, STANDARD_LEADS[:3], fmt="61")
    (tmp_path / "rec.dat").write_bytes(np.ascontiguousarray(digital.T).astype(">i2").tobytes())
    np.testing.assert_allclose(as_stored(read_recording(header)), digital / 1000.0, rtol=1e-6)
    (tmp_path / "rec.dat").write_bytes(digital.T.astype("<i2").tobytes())
    assert refusal(header).code == "checksum_mismatch"


def test_differences(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(-100, 100, (2, 1000))
    digital = np.cumsum(steps, axis=1).astype(np.int16)
    header = write_record(tmp_path, digital, ["I", "V1"], fmt="8")
    # The first difference is taken from the initial value, here the first sample itself.
    stored = np.concatenate([np.zeros((2, 1), int), steps[:, 1:]], axis=1)
    (tmp_path / "rec.dat").write_bytes(np.ascontiguousarray(stored.T).astype("i1").tobytes())
    np.testing.assert_allclose(as_stored(read_recording(header)), digital / 1000.0, rtol=1e-6)


@pytest.mark.parametrize("fmt", ["310", "311"])
@pytest.mark.parametrize("n_samples", [999, 1000])
def test_three_samples_in_four_bytes(tmp_path: Path, fmt: str, n_samples: int) -> None:
    digital = np.random.default_rng(0).integers(-500, 500, (2, n_samples)).astype(np.int16)
    header = write_record(tmp_path, digital, ["I", "V1"], fmt=fmt)
    flat = digital.T.ravel()
    a, b, c = np.pad(flat, (0, -len(flat) % 3)).reshape(-1, 3).T.astype(int) & 1023
    if fmt == "310":  # two words of 16 bits: 5 bits of the third sample, 10 of another, a spare bit
        words = (c & 31) << 11 | a << 1 | ((c >> 5) << 11 | b << 1) << 16
    else:
        words = a | b << 10 | c << 20
    (tmp_path / "rec.dat").write_bytes(words.astype("<u4").tobytes())
    np.testing.assert_allclose(as_stored(read_recording(header)), digital / 1000.0, rtol=1e-6)


def test_flac_of_another_length_is_refused(tmp_path: Path) -> None:
    digital = np.random.default_rng(1).integers(-100, 100, (500, 2))
    wfdb.wrsamp(
        "rec",
        fs=250,
        units=["mV"] * 2,
        sig_name=["I", "V1"],
        d_signal=digital,
        fmt=["516"] * 2,
        adc_gain=[100.0] * 2,
        baseline=[0] * 2,
        write_dir=str(tmp_path),
    )
    header = tmp_path / "rec.hea"
    for told in ("499", "501"):
        header.write_text(header.read_text().replace(header.read_text().split()[3], told, 1))
        assert refusal(header).code == "size_mismatch"


def test_signals_of_a_monitor_that_are_no_ecg_are_left_out(tmp_path: Path) -> None:
    ecg, other = counts(2, 2000), counts(3, 500)
    # As monitors write them: four samples of each lead in a frame, then one of each other signal
    frames = np.concatenate([ecg.reshape(2, 500, 4).transpose(1, 0, 2).reshape(500, 8), other.T], 1)
    (tmp_path / "rec.dat").write_bytes(frames.astype("<i2").tobytes())
    lines = ["rec 5 62.5 500"]
    for name, layout, unit, row in (
        ("II", "16x4", "mV", ecg[0]),
        ("V", "16x4", "mV", ecg[1]),
        ("Pleth", "16", "NU", other[0]),
        ("Resp", "16", "mV", other[1]),
        ("ABP", "16", "mmHg", other[2]),
    ):
        check = f"{row[0]} {row.astype(int).sum() % 65536}"
        lines.append(f"rec.dat {layout} 200(10)/{unit} 16 0 {check} 0 {name}")
    (tmp_path / "rec.hea").write_text("\n".join(lines))
    recording = read_recording(tmp_path / "rec.hea")
    assert (recording.fs, recording.lead_names) == (250.0, ("II", "V"))
    np.testing.assert_allclose(recording.signal_mv, (ecg - 10) / 200.0, rtol=1e-6)
    assert any("Pleth, Resp, ABP" in note for note in recording.metadata.notes)
    (tmp_path / "all.hea").write_text("all/2 5 62.5 600\nrec 500\n~ 100\n")
    joined = read_recording(tmp_path / "all.hea")
    assert (joined.fs, joined.n_samples) == (250.0, 2400)
    np.testing.assert_array_equal(joined.signal_mv[:, :2000], recording.signal_mv)


def test_check_numbers_of_zero_stand_for_none(tmp_path: Path) -> None:
    lines = write_record(tmp_path, counts()).read_text().splitlines()
    zero = [" ".join([*f[:5], "0", "0", *f[7:]]) for f in (line.split() for line in lines[1:])]
    (tmp_path / "rec.hea").write_text("\n".join([lines[0], *zero]))
    recording = read_recording(tmp_path / "rec.hea")
    np.testing.assert_allclose(recording.signal_mv, counts() / 1000.0, rtol=1e-6)
    assert any("no checksum" in note for note in recording.metadata.notes)
    # One number that is stated makes the others count.
    (tmp_path / "rec.hea").write_text("\n".join([*lines[:2], *zero[1:]]))
    assert refusal(tmp_path / "rec.hea").code == "checksum_mismatch"


def test_offset_binary(tmp_path: Path) -> None:
    digital = counts().astype(int)
    header = write_record(tmp_path, counts(), fmt="160")
    (tmp_path / "rec.dat").write_bytes((digital.T + 2**15).astype("<u2").tobytes())
    recording = read_recording(header)
    np.testing.assert_allclose(recording.signal_mv, digital / 1000.0, rtol=1e-6)


def test_comments_tell_age_sex_and_simulation(tmp_path: Path) -> None:
    comments = "# Age: 74\n# Sex: Female\n# Simulated ECG, not a patient's\n# Müller\n"
    metadata = read_recording(write_record(tmp_path, counts(), comments=comments)).metadata
    assert (metadata.age_y, metadata.sex, metadata.simulated) == (74.0, "female", True)
    assert metadata.comments[-1] == "Müller"


@pytest.mark.parametrize(
    ("comment", "age_y", "sex"),
    [
        ("# <age>: 69 <sex>: F", 69.0, "female"),
        ("# age: 81", 81.0, ""),
        ("# Sex: M", None, "male"),
        ("# Sex: male", None, "male"),
        ("# Age: NaN", None, ""),
        ("# Age: 300", None, ""),
        ("# Age: 3 months", 0.25, ""),
        ("# Dosage: 30 mg", None, ""),
        ("# Sex: Unknown", None, ""),
        ("# 69 M 1085 1629 x1", 69.0, "male"),
        ("# -1 F 0 0 x1", None, ""),
        ("# 30 mg", None, ""),
    ],
)
def test_age_and_sex(tmp_path: Path, comment: str, age_y: float | None, sex: str) -> None:
    metadata = read_recording(write_record(tmp_path, counts(), comments=comment)).metadata
    assert (metadata.age_y, metadata.sex) == (age_y, sex)
    assert metadata.simulated is False


def test_time_of_acquisition(tmp_path: Path) -> None:
    line = "rec 12 100 1000 13:05:59 24/12/2019"
    recording = read_recording(write_record(tmp_path, counts(), record_line=line))
    assert recording.metadata.acquired_at == "2019-12-24T13:05:59"


def test_no_checksum_is_said(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts(), checks=False)
    assert any("no checksum" in note for note in read_recording(header).metadata.notes)


def test_data_in_two_files(tmp_path: Path) -> None:
    digital = counts(2)
    write_record(tmp_path, digital[:1], ["I"], name="a")
    write_record(tmp_path, digital[1:], ["II"], name="b")
    lines = [(tmp_path / f"{n}.hea").read_text().splitlines()[1] for n in "ab"]
    (tmp_path / "rec.hea").write_text("\n".join(["rec 2 100 1000", *lines]))
    recording = read_recording(tmp_path / "rec.hea")
    np.testing.assert_allclose(as_stored(recording), digital / 1000.0, rtol=1e-6)


# Segments ---------------------------------------------------------------------------------------


def write_segments(folder: Path, master: str) -> Path:
    write_record(folder, counts(2, 300), ["I", "II"], name="one")
    write_record(folder, counts(1, 200), ["II"], name="two")
    (folder / "rec.hea").write_text(master)
    return folder / "rec.hea"


@pytest.mark.parametrize("layout", ["", "layout 0\n"])
def test_segments_are_joined_by_name(tmp_path: Path, layout: str) -> None:
    n_segments = 4 if layout else 3
    master = f"rec/{n_segments} 2 100 600\n{layout}one 300\n~ 100\ntwo 200\n# age: 50\n"
    recording = read_recording(write_segments(tmp_path, master))
    expected = np.full((2, 600), np.nan)
    expected[:, :300] = counts(2, 300) / 1000.0
    expected[1, 400:] = counts(1, 200)[0] / 1000.0
    np.testing.assert_allclose(as_stored(recording), expected, rtol=1e-6)
    assert recording.lead_names == ("I", "II", "III", "aVR", "aVL", "aVF")
    assert recording.metadata.age_y == 50


@pytest.mark.parametrize(
    ("master", "code"),
    [
        ("rec/1 2 100 300\nrec 300\n", "nested_segments"),
        ("rec/2 2 100 600\none 300\ntwo 200\n", "bad_header"),
        ("rec/1 2 100 200\n../two 200\n", "bad_header"),
        ("rec/1 2 100 200\nabsent 200\n", "header_missing"),
        ("rec/1 2 100 200\none 200\n", "bad_header"),
        ("rec/1 2 200 300\none 300\n", "bad_header"),
        ("rec/1 1 100 300\none 300\n", "bad_header"),
        ("rec/1 2 100 0\n", "bad_header"),
        ("rec/1 2 100 300\n~ 300\n", "bad_header"),
        ("rec/1 60 100 999999999\n~ 999999999\n", "too_long"),
    ],
)
def test_segments_that_cannot_be_trusted(tmp_path: Path, master: str, code: str) -> None:
    assert refusal(write_segments(tmp_path, master)).code == code


# Real records -----------------------------------------------------------------------------------


def compare_with_library(header: Path) -> None:
    recording = read_recording(header)
    record = cast("Any", wfdb).rdrecord(str(header.with_suffix("")), smooth_frames=False)
    assert recording.fs == record.fs
    for row, expected in zip(as_stored(recording), record.e_p_signal, strict=True):
        np.testing.assert_array_equal(row, expected.astype(np.float32))


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "wfdb/00001_hr",
        "challenge_mat/A0001",
        "challenge_mat/E07500",
        "challenge_mat/HR06000",
        "challenge_mat/JS20000",
        "edge_cases/wf_8lead",
    ],
)
def test_real_records_equal_the_library(shared: Path, name: str) -> None:
    compare_with_library(shared / "samples" / f"{name}.hea")


@pytest.mark.needs_shared
def test_ptbxl_equals_its_bytes(shared: Path) -> None:
    for rate in (100, 500):
        headers = sorted((shared / f"data/ptbxl/records{rate}").rglob("*.hea"))
        for header in headers[::50]:
            raw = np.fromfile(header.with_suffix(".dat"), dtype="<i2").reshape(-1, 12)
            recording = read_recording(header)
            np.testing.assert_array_equal(
                recording.signal_mv, (raw.T.astype(np.float64) / 1000).astype(np.float32)
            )
            assert recording.lead_names == STANDARD_LEADS
            assert (recording.fs, recording.duration_s) == (rate, 10.0)


@pytest.mark.needs_shared
@pytest.mark.parametrize(("name", "gain"), [("s0010_re", "2000"), ("100", "200")])
def test_records_without_a_unit_are_in_millivolts_and_say_so(
    shared: Path, name: str, gain: str
) -> None:
    header = shared / f"samples/wfdb/{name}.hea"
    compare_with_library(header)
    assert f"{gain} per mV (no unit stated" in read_recording(header).metadata.notes[0]


@pytest.mark.needs_shared
def test_truncated_sample(shared: Path) -> None:
    error = refusal(shared / "samples/edge_cases/wf_truncated.hea")
    assert error.code == "size_mismatch"
