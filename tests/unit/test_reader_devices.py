"""What carts and archives write beside the usual: made files, each with what it must come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_core.io import TableLayout, propose_layout, read_recording, read_table
from model_core.types import Recording
from tests.reading import refusal, report_of
from tests.unit.test_reader_dicom import channel, group, write
from tests.unit.test_reader_scp import plain, rhythm, scp
from tests.unit.test_reader_signals import counts as counts_of
from tests.unit.test_reader_signals import edf, ishne
from tests.unit.test_reader_xml import LEADS, cardiosoft, counts, muse, schiller, strip


def measured(recording: Recording) -> dict[str, float]:
    return {item.key: item.value for item in recording.metadata.measurements}


def change(path: Path, *pairs: tuple[str, str]) -> Path:
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


# HL7 aECG ---------------------------------------------------------------------------------------


def series(kind: str, scale: str = '<scale value="5" unit="uV"/>', mark_ms: int = 0) -> str:
    rows = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name}"/><value><origin value="0" '
        f'unit="uV"/>{scale}<digits>{" ".join(map(str, row))}</digits></value></sequence>'
        "</component>"
        for name, row in zip(LEADS, counts(), strict=True)
    )
    mark = (
        '<subjectOf><annotationSet><component><annotation><value code="MDC_ECG_WAVC_QRSWAVE"/>'
        '<support><supportingROI><component><boundary><code code="TIME_RELATIVE"/><value>'
        f'<low value="{mark_ms}" unit="ms"/></value></boundary></component></supportingROI>'
        "</support></annotation></component></annotationSet></subjectOf>"
    )
    return (
        f'<component><series><code code="{kind}"/><component><sequenceSet><component><sequence>'
        '<code code="TIME_RELATIVE"/><value><head value="0" unit="ms"/><increment value="2" '
        f'unit="ms"/></value></sequence></component>{rows}</sequenceSet></component>'
        f"{mark if mark_ms else ''}</series></component>"
    )


def aecg(path: Path, *parts: str) -> Path:
    path.write_text(f'<AnnotatedECG xmlns="urn:hl7-org:v3">{"".join(parts)}</AnnotatedECG>')
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('scale value="5"', 'scale value="2,5"'),
        ('scale value="5"', 'scale value=""'),
        ('origin value="0"', 'origin value="1,5"'),
        ('origin value="0" unit="uV"', 'origin value="1" unit="counts"'),
    ],
)
def test_amplitudes_of_aecg_that_cannot_be_understood_are_refused(
    tmp_path: Path, old: str, new: str
) -> None:
    path = change(aecg(tmp_path / "a.xml", series("RHYTHM")), (old, new))
    assert refusal(path).code == "gain_missing"


def test_a_scale_may_begin_with_its_point(tmp_path: Path) -> None:
    path = aecg(tmp_path / "a.xml", series("RHYTHM", '<scale value=".005" unit="mV"/>'))
    recording = read_recording(path)
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], counts() * 0.005, rtol=1e-6)


def test_marks_of_a_median_beat_are_not_those_of_the_rhythm(tmp_path: Path) -> None:
    beat, rhythm = series("REPRESENTATIVE_BEAT", mark_ms=200), series("RHYTHM", mark_ms=1200)
    for number, parts in enumerate([(beat, rhythm), (rhythm, beat)]):
        marks = read_recording(aecg(tmp_path / f"{number}.xml", *parts)).metadata.annotations
        assert [mark.time_s for mark in marks] == [1.2]


@pytest.mark.parametrize(
    ("code", "name", "value", "told"),
    [
        ("21612-7", "Age", 'value="61" unit="a"', "61 years"),
        ("21612-7", "", 'value="5" unit="mo"', "5 months"),
        ("30525-0", "Patient age", 'value="6" unit="wk"', "6 weeks"),
        ("X", "Reported Age", 'value="70" unit="a"', "70 years"),
        ("X", "Height", 'value="170" unit="cm"', "None"),
    ],
)
def test_age_of_aecg_by_code_or_name(
    tmp_path: Path, code: str, name: str, value: str, told: str
) -> None:
    observed = (
        f'<controlVariable><relatedObservation><code code="{code}" displayName="{name}"/>'
        f"<value {value}/></relatedObservation></controlVariable>"
    )
    path = aecg(tmp_path / "a.xml", series("RHYTHM"), observed)
    assert str(read_recording(path).metadata.age) == told


# GE ---------------------------------------------------------------------------------------------


def test_a_waveform_of_muse_without_a_type_has_its_own_rate(tmp_path: Path) -> None:
    path = muse(tmp_path / "a.xml", counts(), fs="500")
    text = path.read_text(encoding="utf-8")
    rhythm = text[text.index("<Waveform>") : text.index("</RestingECG>")]
    median = rhythm.replace(">Rhythm<", ">Median<").replace("<SampleBase>500", "<SampleBase>250")
    untyped = rhythm.replace("<WaveformType>Rhythm</WaveformType>", "")
    assert read_recording(change(path, (rhythm, median + untyped))).fs == 500.0


def test_muse_says_that_an_electrode_was_off_and_that_leads_are_not_simultaneous(
    tmp_path: Path,
) -> None:
    lead = "<LeadID>V2</LeadID>"
    path = change(muse(tmp_path / "a.xml", counts()), (lead, f"{lead}<LeadOff>TRUE</LeadOff>"))
    assert any("V2 was not connected" in text for text in report_of(read_recording(path)).repairs)
    offset = f"{lead}<LeadTimeOffset>2500</LeadTimeOffset>"
    error = refusal(change(muse(tmp_path / "b.xml", counts()), (lead, offset)))
    assert error.code == "skewed"
    assert "V2 begins 2500 ms" in str(error)


def test_an_exponent_of_muse_that_is_no_number_is_refused(tmp_path: Path) -> None:
    assert refusal(muse(tmp_path / "a.xml", counts(), exponent="x")).code == "bad_rate"


def test_the_first_strip_of_cardiosoft_with_samples_counts(tmp_path: Path) -> None:
    empty = "<StripData><SampleRate units='Hz'>250</SampleRate></StripData>"
    recording = read_recording(cardiosoft(tmp_path / "a.xml", empty + strip(counts())))
    assert recording.fs == 500.0
    assert report_of(recording).repairs == ()
    assert report_of(recording).unit == "uV"


def test_cardiosoft_without_a_unit_says_where_it_comes_from(tmp_path: Path) -> None:
    block = strip(counts(), "<Resolution>5</Resolution>")
    recording = read_recording(cardiosoft(tmp_path / "a.xml", block))
    assert "by the format's rule" in report_of(recording).gain_source


def test_cardiosoft_tells_birth_pacemaker_and_diagnoses(tmp_path: Path) -> None:
    path = cardiosoft(tmp_path / "a.xml", strip(counts()))
    text = path.read_text(encoding="latin-1")
    born = "<BirthDateTime><Day>4</Day><Month>2</Month><Year>1960</Year></BirthDateTime>"
    text = text.replace("<Age units='Months'>5</Age>", f"{born}<PaceMaker>Yes</PaceMaker>")
    lines = "<Diagnosis><DiagnosisText>Paced rhythm</DiagnosisText></Diagnosis>"
    lines += "<Conclusion><ConclusionText>Paced rhythm</ConclusionText></Conclusion>"
    text = text.replace("</PatientInfo>", f"</PatientInfo><Interpretation>{lines}</Interpretation>")
    path.write_text(text, encoding="latin-1")
    metadata = read_recording(path).metadata
    assert str(metadata.age) == "59 years"
    assert ("Pacemaker", "yes") in metadata.patient
    assert [statement.text for statement in metadata.statements] == ["Paced rhythm"]


@pytest.mark.parametrize("part", ["Hour>9<", "Month>2<", "Year>2020<"])
def test_cardiosoft_at_a_time_that_there_is_not(tmp_path: Path, part: str) -> None:
    path = cardiosoft(tmp_path / "a.xml", strip(counts()))
    text = path.read_text(encoding="latin-1")
    number = part[part.index(">") + 1 : -1]
    path.write_text(text.replace(part, part.replace(number, "9" * 17)), encoding="latin-1")
    assert read_recording(path).metadata.acquired_at == ""


# Others -----------------------------------------------------------------------------------------


def test_age_of_schiller_is_that_on_the_day(tmp_path: Path) -> None:
    path = schiller(tmp_path / "a.xml", counts())
    change(path, ("<gender>", "<birthdate>19600204</birthdate><gender>"))
    assert str(read_recording(path).metadata.age) == "59 years"


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("aVL I aVR II aVF III V1 V2 V3 V4 V5 V6", "unsupported"),
        ("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6", "damaged"),  # its samples are none
        ("I II V1 V2 V3 V4 V5 V6", "damaged"),
    ],
)
def test_packed_limb_leads_of_philips_are_known_by_their_places(
    tmp_path: Path, labels: str, code: str
) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<restingecgdata><documentinfo><documenttype>SierraECG</documenttype><documentversion>1.04"
        f'</documentversion></documentinfo><waveforms><parsedwaveforms compression="XLI" '
        f'leadlabels="{labels}" dataencoding="Base64" samplespersecond="500" resolution="5" '
        'durationperchannel="10000">AAAA</parsedwaveforms></waveforms></restingecgdata>'
    )
    assert refusal(path).code == code


def test_mortara_states_qtc_and_p(tmp_path: Path) -> None:
    data = "AAABAAIAAwA="
    path = tmp_path / "a.xml"
    path.write_text(
        f'<ECG><CHANNEL UNITS_PER_MV="400" SAMPLE_FREQ="1000" NAME="I" DATA="{data}"/>'
        '<TYPICAL_CYCLE P_DURATION="112" QTC="431" QTB="440"/></ECG>'
    )
    recording = read_recording(path)
    np.testing.assert_allclose(recording.signal_mv[0], np.arange(4) / 400, rtol=1e-6)
    assert measured(recording) == {"p_duration": 112.0, "qtc": 431.0, "qtc_bazett": 440.0}


@pytest.mark.parametrize(
    ("space", "stated"), [(0, 522), (0, 600), (502, 1024), (504, 1026), (0, 0)]
)
def test_samples_of_ishne_lie_where_the_header_says_or_at_once(
    tmp_path: Path, space: int, stated: int
) -> None:
    values = counts_of(3)
    path = ishne(tmp_path / "a.ecg", values, (5, 6, 11), checksum=b"\0\0")
    data = bytearray(path.read_bytes())
    data[22:26] = stated.to_bytes(4, "little")
    path.write_bytes(data[:522] + bytes(space) + data[522:])
    recording = read_recording(path)
    assert not report_of(recording).incomplete
    np.testing.assert_allclose(recording.signal_mv[0], values[0] * 0.0025, rtol=1e-6)


@pytest.mark.parametrize(("stated", "told"), [(0, False), (1, True), (5, True), (-9, False)])
def test_ishne_states_a_pacemaker(tmp_path: Path, stated: int, told: bool) -> None:
    path = ishne(tmp_path / "a.ecg", counts_of(3), (5, 6, 11), checksum=b"\0\0")
    data = bytearray(path.read_bytes())
    data[230:232] = stated.to_bytes(2, "little", signed=True)
    path.write_bytes(data)
    patient = read_recording(path).metadata.patient
    assert (("Pacemaker", "yes") in patient) is told


# Which reader --------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".dcm", ".edf", ".scp", ".mwf", ".csv", ".mat", ".xml", ""])
def test_content_counts_before_any_name(tmp_path: Path, ending: str) -> None:
    for number, made in enumerate(
        [
            edf(tmp_path / "a", counts_of(2), ("I", "II")),
            ishne(tmp_path / "b", counts_of(2), (5, 6)),
            muse(tmp_path / "c", counts()),
            scp(tmp_path / "d", *rhythm(8)[:1], 0, plain, None),
        ]
    ):
        path = made.rename(tmp_path / f"{number}{ending}")
        assert read_recording(path).n_leads > 2


def test_what_is_called_dicom_and_is_none_is_not_called_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("These are words, and not an ECG of any kind. " * 20)
    assert str(refusal(tmp_path / "a.dcm")) == "a.dcm is damaged, or not a DICOM file."


def test_ecg_may_be_written_at_once_before_the_lead(tmp_path: Path) -> None:
    labels = ("ECGI", "EKGII", "ECGaVR", "ekgv1", "ECG1")
    path = edf(tmp_path / "a.edf", counts_of(5), labels)
    assert report_of(read_recording(path)).leads_present == ("I", "II", "aVR", "V1", "ECG1")


def test_groups_of_dicom_that_do_not_say_when_they_begin(tmp_path: Path) -> None:
    groups = [
        group(counts_of(1), [channel(name)], WaveformOriginality="ORIGINAL") for name in ("I", "V1")
    ]
    told = "does not say when each group"
    path = write(tmp_path / "a.dcm", groups)
    assert not any(told in text for text in report_of(read_recording(path)).repairs)
    del groups[1].MultiplexGroupTimeOffset
    path = write(tmp_path / "b.dcm", groups)
    assert any(told in text for text in report_of(read_recording(path)).repairs)


def test_what_a_monitor_records_beside_the_ecg_is_left_out_of_mfer(tmp_path: Path) -> None:
    """Two leads, 500 a second; saturation, 125 a second, in per cent."""

    def field(tag: int, value: bytes) -> bytes:
        return bytes([tag, len(value)]) + value

    values = counts(2, 500)
    body = field(0x40, b"MFR ".ljust(32)) + field(0x01, b"\1") + field(0x08, b"\x14\0")
    body += field(0x0B, b"\0\0\xf4\1") + field(0x0C, b"\0\xfa\5\0")  # 500 Hz, 5 uV
    body += field(0x04, b"\xf4\1") + field(0x05, b"\3") + field(0x06, b"\1")
    for number, more in enumerate(
        [
            field(0x09, b"\1\0"),
            field(0x09, b"\2\0"),
            field(0x09, b"\xaf\0")
            + field(0x0B, b"\0\0\x7d\0")
            + field(0x0C, b"\7\0\1\0")
            + field(0x04, b"\x7d\0"),
        ]
    ):
        body += bytes([0x3F, number, len(more)]) + more
    data = values.astype("<i2").tobytes() + np.full(125, 97, "<i2").tobytes()
    path = tmp_path / "a.mwf"
    path.write_bytes(body + b"\x1e\x82" + len(data).to_bytes(2, "big") + data + b"\x80\0")
    recording = read_recording(path)
    assert (recording.fs, recording.lead_names[:2]) == (500.0, ("I", "II"))
    np.testing.assert_allclose(recording.signal_mv[:2], values * 0.005, rtol=1e-6)
    assert "SpO2 is in %, no ECG: left out." in report_of(recording).repairs


# Watches ---------------------------------------------------------------------------------------


WATCH = 'Name,Doe\nRate,{rate}\nDevice,"Watch6,1"\n\nLead,Lead I\nUnit,µV\n\n'


@pytest.mark.parametrize(
    ("rate", "fs", "number"),
    [
        ("512 hertz", 512.0, "{:.3f}"),
        ("513,311 Hertz", 513.311, '"{:.3f}"'),
        ("511.7 Hz", 511.7, "{:.3f}"),
    ],
)
def test_one_lead_in_one_column(tmp_path: Path, rate: str, fs: float, number: str) -> None:
    """As watches export it, in the user's language."""
    values = np.sin(np.arange(1500) / 30) * 400
    lines = [number.format(value) for value in values]
    if "," in rate:
        lines = [line.replace(".", ",") for line in lines]
    path = tmp_path / "a.csv"
    path.write_text(WATCH.format(rate=rate) + "\n".join(lines), encoding="utf-8")
    found = propose_layout(path)
    assert (found.fs, found.unit, found.lead_names) == (fs, "uV", ("I",))
    layout = TableLayout(
        fs=fs,
        unit="uV",
        lead_names=("I",),
        skip_rows=found.skip_rows,
        delimiter=found.delimiter,
        decimal_comma=found.decimal_comma,
    )
    np.testing.assert_allclose(read_table(path, layout).signal_mv[0], values / 1e3, atol=1e-6)
