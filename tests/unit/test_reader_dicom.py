"""DICOM: which groups are rhythm, where they lie in time, and what the values mean."""

from __future__ import annotations

import time
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HemodynamicWaveformStorage,
    ImplicitVRLittleEndian,
    TwelveLeadECGWaveformStorage,
    generate_uid,
)

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from tests.reading import refusal, report_of

CODES: dict[str, str] = dict(
    zip(STANDARD_LEADS, ("1", "2", "61", "62", "63", "64", *"345678"), strict=True)
)


def counts(n_leads: int, n_samples: int = 1250, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-900, 900, (n_leads, n_samples)).astype(np.int16)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def channel(name: str, unit: str = "uV", sensitivity: float | None = 5.0, **more: Any) -> Dataset:
    item = Dataset()
    item.ChannelSourceSequence = Sequence(
        [code(f"2:{CODES.get(name, '0')}", "MDC", f"Lead {name}")]
    )
    if sensitivity is not None:
        item.ChannelSensitivity = sensitivity
        item.ChannelSensitivityUnitsSequence = Sequence([code(unit, "UCUM", unit)])
        item.ChannelSensitivityCorrectionFactor = 1.0
        item.ChannelBaseline = 0.0
    item.WaveformBitsStored = 16
    for key, value in more.items():
        setattr(item, key, value)
    return item


def group(
    values: NDArray[np.int16], channels: list[Dataset], offset_ms: float = 0.0, **more: Any
) -> Dataset:
    item = Dataset()
    item.MultiplexGroupTimeOffset = offset_ms
    item.WaveformOriginality = "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = values.shape
    item.SamplingFrequency = 500.0
    item.WaveformBitsAllocated = 16
    item.WaveformSampleInterpretation = "SS"
    item.WaveformData = np.ascontiguousarray(values.T).astype("<i2").tobytes()
    item.ChannelDefinitionSequence = Sequence(channels)
    for key, value in more.items():
        setattr(item, key, value)
    return item


def write(
    path: Path, groups: list[Dataset], syntax: str = ExplicitVRLittleEndian, **more: Any
) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(syntax)
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = TwelveLeadECGWaveformStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "ECG"
    dataset.WaveformSequence = Sequence(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some values are meant to be wrong
        for key, value in more.items():
            setattr(dataset, key, value)
        dataset.save_as(path, enforce_file_format=True)
    return path


def twelve(values: NDArray[np.int16], **more: Any) -> Dataset:
    return group(values, [channel(name) for name in STANDARD_LEADS], **more)


def test_samples_gain_and_order(tmp_path: Path) -> None:
    values = counts(12)
    channels = [channel(name) for name in STANDARD_LEADS[::-1]]
    recording = read_recording(write(tmp_path / "a.dcm", [group(values[::-1], channels)]))
    assert recording.lead_names == STANDARD_LEADS
    np.testing.assert_allclose(recording.signal_mv, values * 0.005, rtol=1e-6)
    assert (recording.fs, report_of(recording).gain) == (500.0, "5 uV a count")


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-3), ("mV", 1.0), ("V", 1e3), ("nV", 1e-6)])
def test_unit_correction_and_baseline(tmp_path: Path, unit: str, factor: float) -> None:
    values = counts(1)
    more = {"ChannelSensitivityCorrectionFactor": 2.0, "ChannelBaseline": 7.0}
    made = channel("I", unit, 3.0, **more)
    recording = read_recording(write(tmp_path / "a.dcm", [group(values, [made])]))
    # PS3.3 C.10.9.1.4.2: value = count x sensitivity x correction factor + baseline
    np.testing.assert_allclose(recording.signal_mv, (values * 6.0 + 7.0) * factor, rtol=1e-6)


@pytest.mark.parametrize("n_groups", [4, 3])
def test_groups_one_after_another_are_put_in_time(tmp_path: Path, n_groups: int) -> None:
    per_group, parts = 12 // n_groups, []
    for number in range(n_groups):
        names = STANDARD_LEADS[number * per_group : (number + 1) * per_group]
        made = [channel(name) for name in names]
        parts.append(group(counts(per_group, seed=number), made, offset_ms=2500.0 * number))
    recording = read_recording(write(tmp_path / "a.dcm", parts))
    assert recording.lead_names == STANDARD_LEADS
    assert recording.n_samples == 1250 * n_groups
    for number in range(n_groups):
        rows = recording.signal_mv[number * per_group : (number + 1) * per_group]
        there = rows[:, 1250 * number : 1250 * (number + 1)]
        np.testing.assert_allclose(there, counts(per_group, seed=number) * 0.005, rtol=1e-6)
        assert np.isnan(np.delete(rows, np.s_[1250 * number : 1250 * (number + 1)], axis=1)).all()


def test_groups_at_the_same_time_lie_side_by_side(tmp_path: Path) -> None:
    values = counts(12)
    parts = [
        group(values[i : i + 4], [channel(name) for name in STANDARD_LEADS[i : i + 4]])
        for i in (0, 4, 8)
    ]
    recording = read_recording(write(tmp_path / "a.dcm", parts))
    np.testing.assert_allclose(recording.signal_mv, values * 0.005, rtol=1e-6)
    assert report_of(recording).n_gaps == 0


def test_the_longer_strip_of_a_lead_counts(tmp_path: Path) -> None:
    short, long = counts(1, 1250, 1), counts(1, 5000, 2)
    parts = [group(long, [channel("II")]), group(short, [channel("II")])]
    recording = read_recording(write(tmp_path / "a.dcm", parts))
    np.testing.assert_allclose(recording.signal_mv, long * 0.005, rtol=1e-6)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "mark", [{"WaveformOriginality": "DERIVED"}, {"MultiplexGroupLabel": "MEDIAN BEAT"}]
)
def test_median_beats_are_never_rhythm(tmp_path: Path, first: bool, mark: dict[str, str]) -> None:
    rhythm, median = counts(12, 5000), twelve(counts(12, 600, 1), **mark)
    parts = [median, twelve(rhythm)] if first else [twelve(rhythm), median]
    recording = read_recording(write(tmp_path / "a.dcm", parts))
    np.testing.assert_allclose(recording.signal_mv, rhythm * 0.005, rtol=1e-6)
    assert any("median" in text for text in report_of(recording).repairs)


def test_only_median_beats_is_refused(tmp_path: Path) -> None:
    median = twelve(counts(12, 600), WaveformOriginality="DERIVED")
    assert refusal(write(tmp_path / "a.dcm", [median])).code == "no_rhythm"


def test_zero_as_padding_is_a_sample(tmp_path: Path) -> None:
    values = counts(12)
    values[:, 100:200] = 0
    made = twelve(values, WaveformPaddingValue=b"\0\0")
    recording = read_recording(write(tmp_path / "a.dcm", [made]))
    np.testing.assert_allclose(recording.signal_mv, values * 0.005, rtol=1e-6)
    assert any("zeros are taken for samples" in text for text in report_of(recording).repairs)


def test_padding_is_a_gap(tmp_path: Path) -> None:
    values = counts(12)
    values[2, 100:200] = -32768
    made = twelve(values, WaveformPaddingValue=np.array(-32768, "<i2").tobytes())
    recording = read_recording(write(tmp_path / "a.dcm", [made]))
    assert np.isnan(recording.signal_mv[2, 100:200]).all()
    assert np.isnan(recording.signal_mv).sum() == 100
    gap = report_of(recording).gaps[0]
    assert (gap.lead, gap.start_s, gap.end_s) == ("III", 0.2, 0.4)


def test_any_class_and_no_preamble(tmp_path: Path) -> None:
    values = counts(12)
    path = write(tmp_path / "a.dcm", [twelve(values)], SOPClassUID=HemodynamicWaveformStorage)
    np.testing.assert_allclose(read_recording(path).signal_mv, values * 0.005, rtol=1e-6)
    bare = tmp_path / "bare.bin"
    bare.write_bytes(path.read_bytes()[132:])
    recording = read_recording(bare)
    np.testing.assert_allclose(recording.signal_mv, values * 0.005, rtol=1e-6)
    assert any("preamble" in text for text in report_of(recording).repairs)


def test_implicit_elements_without_preamble(tmp_path: Path) -> None:
    values = counts(12)
    path = write(tmp_path / "a.dcm", [twelve(values)], ImplicitVRLittleEndian)
    data = path.read_bytes()
    bare = tmp_path / "bare"
    bare.write_bytes(data[144 + int.from_bytes(data[140:144], "little") :])
    np.testing.assert_allclose(read_recording(bare).signal_mv, values * 0.005, rtol=1e-6)


@pytest.mark.parametrize("first", [(2, 0), (8, 5), (8, 18), (8, 22), (8, 8), (8, 0)])
def test_samples_are_not_taken_for_elements(tmp_path: Path, first: tuple[int, int]) -> None:
    values = counts(2, 1000)
    values[:, 0] = first
    (tmp_path / "rec.dat").write_bytes(np.ascontiguousarray(values.T).astype("<i2").tobytes())
    lines = [
        f"rec.dat 16 200/mV 16 0 {row[0]} {row.sum(dtype=np.int64) % 65536} 0 {name}\n"
        for name, row in zip(("I", "V1"), values, strict=True)
    ]
    (tmp_path / "rec.hea").write_text("rec 2 500 1000\n" + "".join(lines))
    assert read_recording(tmp_path / "rec.dat").metadata.format_name == "WFDB"


def test_content_counts_before_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "wrong.hea", [twelve(counts(12))])
    assert read_recording(path).metadata.format_name == "DICOM"


def test_other_quantities_are_left_out_and_named(tmp_path: Path) -> None:
    made = [channel("I"), channel("ABP", "mm[Hg]", 0.1)]
    recording = read_recording(write(tmp_path / "a.dcm", [group(counts(2), made)]))
    assert recording.lead_names == ("I",)
    assert any("mm[Hg]" in text for text in report_of(recording).repairs)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"NumberOfWaveformSamples": 1251}, "size_mismatch"),
        ({"NumberOfWaveformChannels": 11}, "size_mismatch"),
        ({"SamplingFrequency": 0.0}, "bad_rate"),
        ({"SamplingFrequency": 12.8}, "bad_rate"),
        ({"WaveformSampleInterpretation": "MB"}, "unsupported_samples"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    assert refusal(write(tmp_path / "a.dcm", [twelve(counts(12), **change)])).code == reason


def test_no_gain_and_contradicting_names_are_refused(tmp_path: Path) -> None:
    bare = group(counts(1), [channel("I", sensitivity=None)])
    assert refusal(write(tmp_path / "a.dcm", [bare])).code == "gain_missing"
    wrong = channel("I")
    wrong.ChannelSourceSequence[0].CodeMeaning = "Lead II"
    made = group(counts(1), [wrong])
    assert refusal(write(tmp_path / "b.dcm", [made])).code == "ambiguous_leads"


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"ChannelTimeSkew": 0.0005}, True),
        ({"ChannelSampleSkew": 0.25}, True),
        ({"ChannelTimeSkew": 0.2}, False),
        ({"ChannelSampleSkew": 100.0}, False),
    ],
)
def test_channels_sampled_later_by_a_sample_or_more_are_refused(
    tmp_path: Path, stated: dict[str, Any], told: bool
) -> None:
    channels = [channel("I"), channel("II", **stated)]
    path = write(tmp_path / "a.dcm", [group(counts(2), channels)])
    if told:
        repairs = report_of(read_recording(path)).repairs
        assert any("one after another" in text for text in repairs)
    else:
        assert refusal(path).code == "skewed"


@pytest.mark.parametrize(
    ("kind", "dtype", "zero"),
    [
        *(("SB", "i1", 0), ("UB", "u1", 128), ("SS", "<i2", 0), ("US", "<u2", 32768)),
        *(("SL", "<i4", 0), ("UL", "<u4", 40000), ("SV", "<i8", 0), ("UV", "<u8", 40000)),
    ],
)
def test_samples_of_every_size(tmp_path: Path, kind: str, dtype: str, zero: int) -> None:
    values = counts(2) // (8 if dtype[-1] == "1" else 1)
    stored = np.ascontiguousarray(values.T.astype(np.int64) + zero).astype(dtype)
    channels = [channel(name, ChannelBaseline=-5.0 * zero) for name in ("V1", "V2")]
    made = group(
        values,
        channels,
        WaveformBitsAllocated=8 * stored.itemsize,
        WaveformSampleInterpretation=kind,
        WaveformData=stored.tobytes(),
    )
    recording = read_recording(write(tmp_path / "a.dcm", [made]))
    np.testing.assert_allclose(recording.signal_mv, values * 0.005, rtol=0, atol=2e-5)


def test_companded_samples_and_channels_without_a_name(tmp_path: Path) -> None:
    made = twelve(counts(12), WaveformSampleInterpretation="MB", WaveformBitsAllocated=8)
    assert refusal(write(tmp_path / "a.dcm", [made])).code == "unsupported_samples"
    nameless = channel("I")
    del nameless.ChannelSourceSequence
    recording = read_recording(write(tmp_path / "b.dcm", [group(counts(1), [nameless])]))
    assert recording.lead_names == ("Lead 1",)


def test_broken_rates_stay_broken(tmp_path: Path) -> None:
    made = twelve(counts(12), SamplingFrequency=976.5625)
    assert read_recording(write(tmp_path / "a.dcm", [made])).fs == 976.5625


@pytest.mark.parametrize(
    ("stated", "age"),
    [("003M", "3 months"), ("005D", "5 days"), ("45y", "45 years"), ("45", "None"), ("", "None")],
)
def test_age_with_its_unit(tmp_path: Path, stated: str, age: str) -> None:
    path = write(tmp_path / "a.dcm", [twelve(counts(12))], PatientAge=stated)
    assert str(read_recording(path).metadata.age) == age


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"AcquisitionDateTime": "20200102030405.123+0100"}, "2020-01-02T03:04:05"),
        ({"AcquisitionDateTime": "202001020304"}, "2020-01-02T03:04:00"),
        ({"AcquisitionDateTime": "20200102"}, "2020-01-02"),
        ({"AcquisitionDateTime": "20201341999999", "StudyDate": "20200102"}, "2020-01-02"),
        ({"AcquisitionDate": "20200102", "AcquisitionTime": "030405.5"}, "2020-01-02T03:04:05"),
        ({"ContentDate": "20200102", "ContentTime": "0304"}, "2020-01-02T03:04:00"),
        ({"StudyTime": "030405"}, ""),
        ({}, ""),
    ],
)
def test_odd_and_missing_dates(tmp_path: Path, stated: dict[str, str], told: str) -> None:
    path = write(tmp_path / "a.dcm", [twelve(counts(12))], PatientBirthDate="19600102", **stated)
    metadata = read_recording(path).metadata
    assert metadata.acquired_at == told
    assert str(metadata.age) == ("60 years" if told else "None")


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [
        ("MDC_ECG_LEAD_{upper}", "MDC", "Derivación {name}"),
        ("2:{number}", "MDC", "Derivazione {name}"),
        ("5.6.3-9-{number}", "SCPECG", "Lead {name} (Einthoven)"),
        ("X", "99HOME", "{upper}"),
        ("X", "99HOME", "Ableitung {name}"),
    ],
)
def test_leads_by_code_or_by_name(tmp_path: Path, value: str, scheme: str, meaning: str) -> None:
    channels = [channel(name) for name in STANDARD_LEADS]
    for name, item in zip(STANDARD_LEADS, channels, strict=True):
        words = {"name": name, "upper": name.upper(), "number": CODES[name]}
        item.ChannelSourceSequence = Sequence(
            [code(value.format(**words), scheme, meaning.format(**words))]
        )
    path = write(
        tmp_path / "a.dcm", [group(counts(12), channels)], SpecificCharacterSet="ISO_IR 192"
    )
    recording = read_recording(path)
    assert report_of(recording).leads_present == STANDARD_LEADS
    np.testing.assert_allclose(recording.signal_mv, counts(12) * 0.005, rtol=1e-6)


def test_deflated_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = counts(12)
    path = write(tmp_path / "a.dcm", [twelve(values)], DeflatedExplicitVRLittleEndian)
    np.testing.assert_allclose(read_recording(path).signal_mv, values * 0.005, rtol=1e-6)
    data = path.read_bytes()
    end_of_meta = 144 + int.from_bytes(data[140:144], "little")
    packer, packed = zlib.compressobj(9, zlib.DEFLATED, -15), BytesIO()
    for _ in range(300):
        packed.write(packer.compress(bytes(1_000_000)))
    packed.write(packer.flush())
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(data[:end_of_meta] + packed.getvalue())
    monkeypatch.setattr(zlib, "decompress", lambda *_, **__: pytest.fail("was unpacked"))
    assert bomb.stat().st_size < 1_000_000
    assert refusal(bomb).code == "too_large"


def test_a_tail_of_zeros_is_damage_and_costs_no_time(tmp_path: Path) -> None:
    data = write(tmp_path / "a.dcm", [twelve(counts(12))]).read_bytes()
    (tmp_path / "zeros.dcm").write_bytes(data[: data.index(b"Lead") - 200] + bytes(2_000_000))
    started = time.perf_counter()
    assert refusal(tmp_path / "zeros.dcm").code == "damaged"
    assert time.perf_counter() - started < 2.0


def note(value: str, scheme: str, meaning: str, number: float, unit: str = "ms") -> Dataset:
    item = Dataset()
    item.ReferencedWaveformChannels = [1, 0]
    item.MeasurementUnitsCodeSequence = Sequence([code(unit, "UCUM", unit)])
    item.ConceptNameCodeSequence = Sequence([code(value, scheme, meaning)])
    item.NumericValue = number
    return item


def test_measurements_are_known_by_code_in_any_language(tmp_path: Path) -> None:
    notes = [
        note("2:16016", "MDC", "Frequenza ventricolare", 61, "/min"),
        note("2:15872", "MDC", "Intervallo PQ", 0.15, "s"),
        note("5.13.5-9", "SCPECG", "Durata QRS", 92),
        note("x", "99HOME", "QT interval", 380),
        note("2:15876", "MDC", "QT interval", 410),  # the code counts
        note("2:16020", "MDC", "Atrial Heart Rate", 300, "/min"),
        note("x", "99HOME", "QTc global using Bazett formula", 411),
        note("x", "99HOME", "QTc interval Fridericia", 412),
        note("x", "99HOME", "QTc Hodges", 413),
        note("x", "99HOME", "QTc per lead using Framingham formula", 414),
    ]
    path = write(
        tmp_path / "a.dcm", [twelve(counts(12))], WaveformAnnotationSequence=Sequence(notes)
    )
    measured = {m.key: (m.value, m.unit) for m in read_recording(path).metadata.measurements}
    assert measured == {
        "heart_rate": (61.0, "/min"),
        "pr_interval": (150.0, "ms"),
        "qrs_duration": (92.0, "ms"),
        "qt_interval": (380.0, "ms"),
        "qtc": (410.0, "ms"),
        "qtc_bazett": (411.0, "ms"),
        "qtc_fridericia": (412.0, "ms"),
        "qtc_hodges": (413.0, "ms"),
        "atrial_rate": (300.0, "/min"),
    }
