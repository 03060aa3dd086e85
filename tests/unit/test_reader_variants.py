"""The same recording as other writers would have put it: encodings, units, missing parts, marks."""

from __future__ import annotations

import base64
import binascii
import re
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from echoing_gui.view_models.import_report import import_report_view
from model_core.io import read_recording
from model_core.quality import assess
from model_core.types import Recording, Severity
from tests.reading import refusal, report_of

pytestmark = pytest.mark.needs_shared

MUSE = "muse_xml/guangxi_teaching_sinus_rhythm.xml"
AECG = "aecg/ecgtoolkit_Example.xml"
SCP = "scp/ecgtoolkit_Example.scp"
SIERRA_103 = "philips_sierra_xml/129DYPRG.XML"
SIERRA_104 = "philips_sierra_xml/3191723_ZZDEMOPTONLY_1-04_orig.xml"
MORTARA = "mortara_xml/mortara_12lead.xml"


@pytest.fixture
def samples(shared: Path) -> Path:
    return shared / "samples"


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return data.decode("utf-16" if data[:2] == b"\xff\xfe" else "utf-8-sig")


def without_declaration(text: str) -> str:
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)


def same_samples(one: Recording, other: Recording) -> None:
    assert one.fs == other.fs
    assert one.lead_names == other.lead_names
    np.testing.assert_allclose(one.signal_mv, other.signal_mv, rtol=0, atol=1e-6)


def measured(recording: Recording) -> dict[str, float]:
    return {item.key: item.value for item in recording.metadata.measurements}


@pytest.mark.parametrize("name", [MUSE, AECG, SIERRA_103, SIERRA_104, MORTARA])
@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-le"),  # without the mark that tells the order of its bytes
        ("utf-16", "utf-8"),  # what programs write that keep texts in UTF-16
        ("GB18030", "gb18030"),
        ("", "utf-8"),
    ],
)
def test_encodings_of_xml(
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    declared: str,
    written: str,
) -> None:
    truth = read_recording(samples / name)
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    text = head + without_declaration(text_of(samples / name)).lstrip()
    (tmp_path / "a.xml").write_bytes(text.encode(written))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    read = read_recording(tmp_path / "a.xml")
    same_samples(read, truth)
    assert read.metadata.statements == truth.metadata.statements
    assert read.metadata.patient == truth.metadata.patient
    assert read.source_name == "a.xml"
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    ("scale", "unit"), [("0.0025", "mV"), ("2500", "nV"), ("0.0000025", "V"), ("2.5", "uV")]
)
@pytest.mark.parametrize(("step", "step_unit"), [("0.002", "s"), ("2", "ms"), ("2000", "us")])
def test_units_of_aecg(
    samples: Path, tmp_path: Path, scale: str, unit: str, step: str, step_unit: str
) -> None:
    text = text_of(samples / AECG)
    text = text.replace('value="2.5" unit="uV"', f'value="{scale}" unit="{unit}"')
    text = text.replace('value="0.002" unit="s"', f'value="{step}" unit="{step_unit}"')
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    same_samples(read_recording(tmp_path / "a.xml"), read_recording(samples / AECG))


def test_origin_of_aecg_is_added_and_a_missing_unit_refused(samples: Path, tmp_path: Path) -> None:
    text = text_of(samples / AECG)
    shifted = text.replace('<origin value="0" unit="uV"/>', '<origin value="100" unit="uV"/>')
    assert shifted != text
    (tmp_path / "a.xml").write_text(shifted, encoding="utf-8")
    difference = (
        read_recording(tmp_path / "a.xml").signal_mv - read_recording(samples / AECG).signal_mv
    )
    np.testing.assert_allclose(difference, 0.1, atol=1e-6)
    (tmp_path / "b.xml").write_text(text.replace('"2.5" unit="uV"', '"2.5"'), encoding="utf-8")
    assert refusal(tmp_path / "b.xml").code == "gain_missing"


def test_marks_of_aecg_lie_where_the_file_says(samples: Path) -> None:
    recording = read_recording(samples / AECG)
    marks = recording.metadata.annotations
    assert marks[:2] == tuple(sorted(marks[:2], key=lambda mark: mark.time_s))
    by_text = [(round(mark.time_s, 3), mark.text) for mark in marks]
    # low 20021122091000.122 and high .224 of the first P wave; the recording begins at .000
    assert (0.122, "PWAVE onset") in by_text
    assert (0.224, "PWAVE offset") in by_text
    assert all(0 <= mark.time_s <= recording.duration_s for mark in marks)


def test_scp_states_the_intervals_that_its_twin_states(samples: Path) -> None:
    scp, aecg = (measured(read_recording(samples / name)) for name in (SCP, AECG))
    for key in ("pr_interval", "qrs_duration", "qt_interval", "qtc", "p_axis", "qrs_axis"):
        assert scp[key] == aecg[key]


def test_a_checksum_that_fails_is_a_caution_of_the_result(samples: Path, tmp_path: Path) -> None:
    data = bytearray((samples / SCP).read_bytes())
    # The checksum of section 1 (patient data), wrong, under a right one of the whole record.
    pointer = next(p for p in range(22, 22 + 120, 10) if struct.unpack_from("<H", data, p)[0] == 1)
    start = struct.unpack_from("<I", data, pointer + 6)[0] - 1
    data[start] ^= 0xFF
    struct.pack_into("<H", data, 0, binascii.crc_hqx(bytes(data[2:]), 0xFFFF))
    (tmp_path / "a.scp").write_bytes(data)
    for path, failed in ((samples / SCP, False), (tmp_path / "a.scp", True)):
        recording = read_recording(path)
        assert report_of(recording).checksum_failed is failed
        found = [r for r in assess(recording).reasons if r.code == "checksum_failed"]
        assert [reason.severity for reason in found] == [Severity.CAUTION] * failed
        assert ("a checksum does not agree" in import_report_view(recording).summary) is failed
        np.testing.assert_array_equal(recording.signal_mv, read_recording(samples / SCP).signal_mv)


def test_scp_leads_that_begin_later_lie_later(samples: Path, tmp_path: Path) -> None:
    """Move one lead by a second in section 3, and put both checksums right."""
    data = bytearray((samples / SCP).read_bytes())
    pointer = next(p for p in range(22, 22 + 120, 10) if struct.unpack_from("<H", data, p)[0] == 3)
    length, index = struct.unpack_from("<II", data, pointer + 2)
    start = index - 1
    lead = start + 16 + 2 + 9 * 3  # the fourth lead: first sample, last sample, code
    first, last = struct.unpack_from("<II", data, lead)
    struct.pack_into("<II", data, lead, first + 500, last + 500)
    section = bytes(data[start + 2 : start + length])
    struct.pack_into("<H", data, start, binascii.crc_hqx(section, 0xFFFF))
    struct.pack_into("<H", data, 0, binascii.crc_hqx(bytes(data[2:]), 0xFFFF))
    (tmp_path / "a.scp").write_bytes(data)
    truth, moved = read_recording(samples / SCP), read_recording(tmp_path / "a.scp")
    name = report_of(truth).leads_present[3]
    row = moved.lead_names.index(name)
    assert moved.n_samples == truth.n_samples + 500
    assert np.isnan(moved.signal_mv[row, :500]).all()
    np.testing.assert_array_equal(moved.signal_mv[row, 500:], truth.signal_mv[row])
    others = [r for r in range(12) if r != row]
    np.testing.assert_array_equal(moved.signal_mv[others, : truth.n_samples],
                                  truth.signal_mv[others])  # fmt: skip


def uncompressed(text: str, name: str, samples: Path, *, as_text: bool) -> str:
    """The waveforms of a Sierra file as plain 16-bit samples."""
    from ecgdatakit.parsing.parsers.sierra_xml import SierraXMLParser

    leads = SierraXMLParser().parse(samples / name).leads
    counts = np.stack([lead.samples for lead in leads]).astype("<i2")
    tag = re.search(r"<parsedwaveforms([^>]*)>.*?</parsedwaveforms>", text, re.DOTALL)
    assert tag is not None
    attributes = re.sub(r' compressmethod="[^"]*"', "", tag[1])
    attributes = attributes.replace('compressflag="True"', 'compressflag="False"')
    attributes = attributes.replace('compression="XLI"', 'compression="None"')
    assert attributes != tag[1]
    content = base64.b64encode(counts.tobytes()).decode()
    if as_text:
        attributes = attributes.replace('dataencoding="Base64"', 'dataencoding="Plain"')
        content = " ".join(map(str, counts.ravel()))
    return text.replace(tag[0], f"<parsedwaveforms{attributes}>{content}</parsedwaveforms>")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("name", [SIERRA_103, SIERRA_104])
def test_sierra_compressed_or_not(samples: Path, tmp_path: Path, name: str, as_text: bool) -> None:
    text = without_declaration(text_of(samples / name))
    (tmp_path / "a.xml").write_text(
        uncompressed(text, name, samples, as_text=as_text), encoding="utf-8"
    )
    same_samples(read_recording(tmp_path / "a.xml"), read_recording(samples / name))


@pytest.mark.parametrize(("unit", "told"), [("months", "5 months"), ("days", "5 days")])
def test_sierra_ages_keep_their_unit(samples: Path, tmp_path: Path, unit: str, told: str) -> None:
    text = text_of(samples / SIERRA_103)
    assert "<years>50</years>" in text
    (tmp_path / "a.xml").write_text(text.replace("<years>50</years>", f"<{unit}>5</{unit}>"))
    assert str(read_recording(tmp_path / "a.xml").metadata.age) == told


def removed(tag: str) -> Callable[[str], str]:
    def remove(text: str) -> str:
        without = re.sub(rf"<{tag}[ >].*?</{tag}>", "", text, flags=re.DOTALL)
        assert without != text
        return without

    return remove


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (MUSE, removed("RestingECGMeasurements")),
        (MUSE, removed("PatientDemographics")),
        (MUSE, removed("TestDemographics")),
        (MUSE, removed("QRSTimesTypes")),
        (MUSE, removed("Diagnosis")),
        (MUSE, removed("AcquisitionDate")),
        (MUSE, lambda text: text.replace("<RestingECG>", '<RestingECG xmlns="urn:ge">', 1)),
        (SIERRA_103, removed("interpretations")),
        (SIERRA_104, removed("internalmeasurements")),
        (SIERRA_103, removed("patient")),
        (AECG, lambda text: re.sub("<birthTime[^>]*>", "", text)),
        (AECG, lambda text: re.sub(r"<(/?)(\w)", r"<\1h:\2", text).replace("xmlns=", "xmlns:h=")),
    ],
)
def test_what_a_writer_leaves_out_does_not_matter(
    samples: Path, tmp_path: Path, name: str, change: Callable[[str], str]
) -> None:
    text = change(without_declaration(text_of(samples / name)))
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    same_samples(read_recording(tmp_path / "a.xml"), read_recording(samples / name))


def test_muse_medians_are_never_rhythm(samples: Path, tmp_path: Path) -> None:
    text = without_declaration(text_of(samples / MUSE))
    blocks = re.findall(r"<Waveform>.*?</Waveform>", text, re.DOTALL)
    (rhythm,) = (block for block in blocks if "<WaveformType>Rhythm" in block)
    (median,) = (block for block in blocks if "<WaveformType>Median" in block)
    (tmp_path / "a.xml").write_text(
        text.replace(median, "").replace(rhythm, rhythm + median), encoding="utf-8"
    )
    same_samples(read_recording(tmp_path / "a.xml"), read_recording(samples / MUSE))
    (tmp_path / "b.xml").write_text(text.replace(rhythm, ""), encoding="utf-8")
    assert "rhythm" in str(refusal(tmp_path / "b.xml"))
