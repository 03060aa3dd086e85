"""XML of carts and archives, and SCP: rates, ages, units and checksums as the files mean them."""

from __future__ import annotations

import base64
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io import read_recording
from model_core.types import Recording
from tests.reading import report_of

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def counts(n_leads: int = 8, n_samples: int = 2500) -> NDArray[np.int16]:
    rng = np.random.default_rng(n_leads)
    return rng.integers(-200, 200, (n_leads, n_samples)).astype(np.int16)


def measured(recording: Recording) -> dict[str, float]:
    return {item.key: item.value for item in recording.metadata.measurements}


def refusal(path: Path) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_recording(path)
    assert str(caught.value).endswith(".")
    assert str(path.parent) not in str(caught.value)
    return caught.value


# GE MUSE ----------------------------------------------------------------------------------------


def muse(
    path: Path,
    values: NDArray[np.int16],
    *,
    fs: str = "250",
    exponent: str = "0",
    age: tuple[str, str] = ("60", "YEARS"),
    unit: str = "MICROVOLTS",
    crc_change: int = 0,
    rate: int = 69,
    rr: str = "",
    beats: tuple[int, ...] = (),
    head: str = "",
) -> Path:
    parts = []
    for name, row in zip(LEADS, values, strict=True):
        data = row.astype("<i2").tobytes()
        parts.append(
            f"<LeadData><LeadID>{name}</LeadID><LeadByteCountTotal>{len(data)}</LeadByteCountTotal>"
            f"<LeadSampleCountTotal>{len(row)}</LeadSampleCountTotal><LeadSampleSize>2"
            f"</LeadSampleSize><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>"
            f"<LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits>"
            f"<LeadDataCRC32>{zlib.crc32(data) + crc_change}</LeadDataCRC32>"
            f"<WaveFormData>{base64.b64encode(data).decode()}</WaveFormData></LeadData>"
        )
    times = "".join(f"<QRS><Time>{beat}</Time></QRS>" for beat in beats)
    path.write_text(
        f"{head}<RestingECG><PatientDemographics><PatientAge>{age[0]}</PatientAge>"
        f"<AgeUnits>{age[1]}</AgeUnits></PatientDemographics><RestingECGMeasurements>"
        f"<VentricularRate>{rate}</VentricularRate><ECGSampleBase>{fs}</ECGSampleBase>"
        f"<ECGSampleExponent>{exponent}</ECGSampleExponent></RestingECGMeasurements>"
        f"<QRSTimesTypes>{times}<GlobalRR>{rr}</GlobalRR></QRSTimesTypes>"
        f"<Waveform><WaveformType>Rhythm</WaveformType><SampleBase>{fs}</SampleBase>"
        f"<SampleExponent>{exponent}</SampleExponent>{''.join(parts)}</Waveform></RestingECG>",
        encoding="utf-8",
    )
    return path


def test_muse_computes_the_leads_that_it_does_not_store(tmp_path: Path) -> None:
    values = counts()
    recording = read_recording(muse(tmp_path / "a.xml", values))
    report = report_of(recording)
    assert (report.leads_present, report.leads_derived) == (LEADS, ("III", "aVR", "aVL", "aVF"))
    i, ii = values[:2] * 0.00488
    rows = dict(zip(recording.lead_names, recording.signal_mv, strict=True))
    for name, expected in {
        "I": i,
        "III": ii - i,
        "aVR": -(i + ii) / 2,
        "aVL": i - ii / 2,
        "aVF": ii - i / 2,
    }.items():
        np.testing.assert_allclose(rows[name], expected, rtol=1e-5, atol=1e-6)
    assert "match the checksum" in report.integrity


def test_muse_rate_is_not_rounded(tmp_path: Path) -> None:
    assert read_recording(muse(tmp_path / "a.xml", counts(), fs="976.5625")).fs == 976.5625
    assert read_recording(muse(tmp_path / "b.xml", counts(), fs="5", exponent="2")).fs == 500.0


@pytest.mark.parametrize(
    ("rr", "expected"), [("864", 864.0), ("216", 864.0), ("500", None), ("", None)]
)
def test_rr_in_ms_or_samples_is_told_by_the_heart_rate(
    tmp_path: Path, rr: str, expected: float | None
) -> None:
    recording = read_recording(muse(tmp_path / "a.xml", counts(), rr=rr))
    assert measured(recording).get("rr_interval") == expected
    told = [text for text in report_of(recording).repairs if "RR interval" in text]
    assert bool(told) == (rr in ("216", "500"))


@pytest.mark.parametrize("unit", [1000, 250])
def test_beats_in_ms_or_samples(tmp_path: Path, unit: int) -> None:
    times_s = (0.4, 1.264, 2.128, 2.992)
    beats = tuple(round(time_s * unit) for time_s in times_s)
    recording = read_recording(muse(tmp_path / "a.xml", counts(), beats=beats))
    assert [mark.time_s for mark in recording.metadata.annotations] == pytest.approx(times_s)


@pytest.mark.parametrize(
    ("age", "told", "years"),
    [
        (("3", "MONTHS"), "3 months", 0.25),
        (("10", "DAYS"), "10 days", 10 / 365.25),
        (("60", "YEARS"), "60 years", 60.0),
        (("60", "FURLONGS"), "None", None),
        (("999", "YEARS"), "None", None),
    ],
)
def test_age_keeps_its_unit(
    tmp_path: Path, age: tuple[str, str], told: str, years: float | None
) -> None:
    metadata = read_recording(muse(tmp_path / "a.xml", counts(), age=age)).metadata
    assert str(metadata.age) == told
    assert metadata.age_y == (pytest.approx(years) if years is not None else None)


def test_muse_checksums_and_units(tmp_path: Path) -> None:
    assert refusal(muse(tmp_path / "a.xml", counts(), crc_change=1)).code == "checksum_mismatch"
    assert refusal(muse(tmp_path / "b.xml", counts(), unit="")).code == "gain_missing"
    text = muse(tmp_path / "c.xml", counts()).read_text()
    (tmp_path / "c.xml").write_text(text.replace("Total>2500<", "Total>2501<"))
    assert refusal(tmp_path / "c.xml").code == "damaged"


# Hostile XML ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]>',
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str) -> None:
    assert refusal(muse(tmp_path / "a.xml", counts(), head=head)).code == "bad_xml"


def test_the_document_type_of_muse_is_no_reason_to_refuse(tmp_path: Path) -> None:
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- an > ECG -->\n'
    head += '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n'
    assert read_recording(muse(tmp_path / "a.xml", counts(), head=head)).n_leads == 12


@pytest.mark.parametrize("root", ["RestingECG", "restingecgdata", "AnnotatedECG", "CardiologyXML"])
def test_deep_nesting_and_half_files_end_in_words(tmp_path: Path, root: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(f"<{root}>" + "<a>" * 200_000 + "</a>" * 200_000 + f"</{root}>")
    started = time.perf_counter()
    assert refusal(path).code == "bad_xml"
    assert time.perf_counter() - started < 2.0
    path.write_text(f"<{root}><a>")
    assert refusal(path).code == "bad_xml"
    path.write_text(f"<{root}/>")
    assert isinstance(refusal(path), ReadError)


def test_comments_without_end_cost_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<!--" * 20_000 + "<![" * 5_000)
    started = time.perf_counter()
    assert refusal(tmp_path / "a.xml").code == "unknown_format"
    assert time.perf_counter() - started < 1.0


def test_large_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.write(b"<RestingECG>")
        file.truncate(65_000_000)
    assert refusal(path).code == "too_large"


@pytest.mark.parametrize(
    ("name", "content", "told", "advice"),
    [
        ("a.xml", b"<?xml version='1.0'?><EliEcg></EliEcg>", "EliEcg", "DICOM"),
        ("a.xml", "<BTL_x/>".encode("utf-16"), "BTL", "DICOM"),
        ("a.json", b'{"recordedAt": "2020"}', "AliveCor", "DICOM"),
        ("a.json", b'{"resourceType": "Observation"}', "FHIR", "DICOM"),
        ("a.pdf", b"%PDF-1.4", "PDF", "export the recording as data"),
        ("scan", b"\x89PNG\r\n\x1a\n", "PNG", "export the recording as data"),
        # What a file is counts before what it is called.
        ("a.csv", b"%PDF-1.4", "PDF", "export the recording as data"),
        ("a.dcm", b"\xff\xd8\xff\xe0" + bytes(200), "JPEG", "export the recording as data"),
        ("a.edf", b"GDF 2.51" + bytes(300), "GDF", "EDF"),
        ("a.ecg", b"\1\2" * 400, "Contec .ECG", "DICOM"),
        ("a.rdt", b"\1\2\3\4", "Norav", "DICOM"),
        ("a.SAP", b"\1\2\3\4", "GE MAC .SAP", "DICOM"),
        ("a.acq", b"\1\2\3\4", "BIOPAC", "EDF"),
        ("a.lay", b"[FileInfo]\nFile=a.dat", "Persyst", "EDF"),
        ("a.m00", b"\1\2", "Nihon Kohden", "DICOM"),
        ("a.upk", b"\1\2", "Philips PageWriter", "DICOM"),
        ("a.ecx", b"\1\2", "Welch Allyn", "DICOM"),
        ("a.zip", b"PK\x03\x04", "ZIP", "Unpack"),
        ("a.xlsx", b"PK\x03\x04", "Excel", "CSV"),
        ("a.npz", b"PK\x03\x04", ".npz", "NPY"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5", "NPY"),
        ("a.atr", b"\1\2", "annotation", "header"),
        ("a.ann", b"ANN  1.0", "ISHNE annotation", ".ecg"),
    ],
)
def test_formats_that_are_not_read_are_named(
    tmp_path: Path, name: str, content: bytes, told: str, advice: str
) -> None:
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert error.code == "unsupported_format"
    assert told in str(error)
    assert str(error).endswith("is not supported.")
    assert advice in error.hint.partition("This program reads")[0]


def test_what_nobody_knows_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "b.xml").write_bytes(b"<letter></letter>")
    assert refusal(tmp_path / "b.xml").code == "unknown_format"


# GE CardioSoft and Schiller ---------------------------------------------------------------------


def cardiosoft(path: Path, block: str) -> Path:
    path.write_text(
        "<?xml version='1.0' encoding='ISO8859-1' ?><CardiologyXML><ObservationDateTime><Hour>9"
        "</Hour><Minute>5</Minute><Second>7</Second><Day>3</Day><Month>2</Month><Year>2020</Year>"
        "</ObservationDateTime><PatientInfo><PID>7</PID><Name><FamilyName>Müller</FamilyName>"
        "<GivenName>Ann</GivenName></Name><Age units='Months'>5</Age><Gender>FEMALE</Gender>"
        "</PatientInfo><FilterSetting><Filter50Hz>Yes</Filter50Hz><LowPass>150</LowPass>"
        "</FilterSetting><RestingECGMeasurements><VentricularRate>71</VentricularRate>"
        "<PQInterval>150</PQInterval><MedianSamples><SampleRate>500</SampleRate>"
        "<WaveformData lead='I'>1,2,3</WaveformData></MedianSamples></RestingECGMeasurements>"
        f"{block}</CardiologyXML>",
        encoding="latin-1",
    )
    return path


def strip(
    values: NDArray[np.int16], resolution: str = "<Resolution units='uVperLsb'>5</Resolution>"
) -> str:
    rows = "".join(
        f"<WaveformData lead='{name}'>\n\t{','.join(map(str, row))}</WaveformData>"
        for name, row in zip(LEADS, values, strict=True)
    )
    return f"<StripData><SampleRate units='Hz'>500</SampleRate>{resolution}{rows}</StripData>"


def test_cardiosoft_strip(tmp_path: Path) -> None:
    values = counts()
    recording = read_recording(cardiosoft(tmp_path / "a.xml", strip(values)))
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.005, rtol=1e-6)
    metadata = recording.metadata
    assert (str(metadata.age), metadata.sex) == ("5 months", "female")
    assert metadata.acquired_at == "2020-02-03T09:05:07"
    assert ("Name", "Müller Ann") in metadata.patient
    assert measured(recording) == {"heart_rate": 71.0, "pr_interval": 150.0}
    assert report_of(recording).device_filters == ("low-pass 150 Hz", "notch 50 Hz")


def test_cardiosoft_full_disclosure_is_interleaved(tmp_path: Path) -> None:
    values = counts()
    block = (
        "<FullDisclosure><NumberOfChannels>8</NumberOfChannels><SampleRate>100</SampleRate>"
        f"<Resolution>5</Resolution><LeadOrder>{','.join(LEADS)}</LeadOrder><FullDisclosureData>"
        f"{','.join(map(str, values.T.ravel()))},</FullDisclosureData></FullDisclosure>"
    )
    recording = read_recording(cardiosoft(tmp_path / "a.xml", block))
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.005, rtol=1e-6)
    assert recording.fs == 100.0


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("", "no_signal"),
        (strip(counts(), resolution=""), "gain_missing"),
        (strip(counts()).replace(">\n\t", ">1e3,"), "damaged"),
        (strip(counts()).replace(">\n\t", ">1,", 1), "size_mismatch"),
        (strip(counts()).replace(">500<", "><"), "bad_rate"),
        (
            strip(counts()).replace(
                "<Resolution", "<ChannelSampleCountTotal>5</ChannelSampleCountTotal><Resolution"
            ),
            "size_mismatch",
        ),
    ],
)
def test_bad_cardiosoft(tmp_path: Path, block: str, reason: str) -> None:
    assert refusal(cardiosoft(tmp_path / "a.xml", block)).code == reason


def schiller(path: Path, values: NDArray[np.int16], kind: str = "ECG_RHYTHMS") -> Path:
    channels = "".join(
        f"<channel><name>{name}</name><datastype>COMMASEPARATE</datastype>"
        f"<data>{','.join(map(str, row))},</data></channel>"
        for name, row in zip(LEADS, values, strict=True)
    )
    average = "<wavedata><type>ECG_AVERAGES</type><channel><name>I</name></channel></wavedata>"
    path.write_text(
        "<sema:schillerEDI xmlns:sema='x'><patdata><id>4</id><gender>Male</gender></patdata>"
        "<startdatetime><date>20200203</date><time>090507</time></startdatetime>"
        "<annotation_global><name>HR</name><value>66</value></annotation_global>"
        f"{average}<wavedata><type>{kind}</type><resolution><samplerate>500</samplerate>"
        f"<yres>2.5</yres></resolution>{channels}</wavedata></sema:schillerEDI>"
    )
    return path


def test_schiller_rhythm_behind_its_averages(tmp_path: Path) -> None:
    values = counts()
    recording = read_recording(schiller(tmp_path / "a.xml", values))
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.0025, rtol=1e-6)
    assert recording.metadata.acquired_at == "2020-02-03T09:05:07"
    assert recording.metadata.sex == "male"
    assert measured(recording) == {"heart_rate": 66.0}
    assert "by the format's rule" in report_of(recording).gain_source
    averages = schiller(tmp_path / "b.xml", values, kind="ECG_AVERAGES")
    assert refusal(averages).code == "no_rhythm"


def test_schiller_as_carts_nest_it(tmp_path: Path) -> None:
    values = counts()
    text = schiller(tmp_path / "a.xml", values).read_text()
    text = text.replace(
        "sema:schillerEDI xmlns:sema='x'", "com.xiriuz.sema.xml.schillerEDI.SchillerEDI"
    )
    text = text.replace("sema:schillerEDI", "com.xiriuz.sema.xml.schillerEDI.SchillerEDI")
    text = text.replace("<samplerate>500<", "<samplerate><exponent>1</exponent><value>250</value><")
    text = text.replace("<yres>2.5<", "<yres><unitperbit>0.005</unitperbit><units>MV</units><")
    (tmp_path / "a.xml").write_text(text)
    recording = read_recording(tmp_path / "a.xml")
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.005, rtol=1e-6)
    assert recording.fs == 250.0
    assert report_of(recording).gain_source == "as stated in the file"
    (tmp_path / "b.xml").write_text(text.replace("<exponent>1<", "<exponent>2<"))
    assert refusal(tmp_path / "b.xml").code == "bad_rate"


# MFER -------------------------------------------------------------------------------------------


def mfer(path: Path, values: NDArray[np.int16], interval: bytes) -> Path:
    """Little-endian file of ISO 22077: one sequence, a block for each lead."""

    def field(tag: int, value: bytes) -> bytes:
        return bytes([tag, len(value)]) + value

    n_leads, n_samples = values.shape
    data = np.ascontiguousarray(values).astype("<i2").tobytes()
    body = field(0x40, b"MFR ".ljust(32)) + field(0x01, b"\1") + field(0x08, b"\1\0")
    body += field(0x0B, interval) + field(0x0C, b"\0" + bytes([256 - 6]) + b"\5\0")  # 5 uV
    body += field(0x04, n_samples.to_bytes(4, "little")) + field(0x05, bytes([n_leads]))
    body += field(0x06, b"\1\0") + field(0x0A, b"\0")
    for channel, lead in enumerate((1, 2)):
        body += bytes([0x3F, channel, 3]) + field(0x09, bytes([lead]))
    path.write_bytes(body + b"\x1e\x84" + len(data).to_bytes(4, "big") + data + b"\x80\0")
    return path


def test_mfer_rate_is_not_rounded(tmp_path: Path) -> None:
    values = counts(2)
    hundred_hz = b"\0\0" + (100).to_bytes(2, "little")
    recording = read_recording(mfer(tmp_path / "a.mwf", values, hundred_hz))
    np.testing.assert_allclose(recording.signal_mv[:2], values * 0.005, rtol=1e-6)
    assert (recording.fs, recording.lead_names[:2]) == (100.0, ("I", "II"))
    assert recording.metadata.sex == ""
    broken = b"\1" + bytes([256 - 6]) + (1024).to_bytes(2, "little")  # 1024 us
    assert read_recording(mfer(tmp_path / "b.mwf", values, broken)).fs == pytest.approx(976.5625)


def test_mfer_with_half_a_million_channels_costs_no_time(tmp_path: Path) -> None:
    path = mfer(tmp_path / "a.mwf", counts(2), b"\0\0" + (100).to_bytes(2, "little"))
    # As a mutant of the fuzzing had it: three bytes that count the channels
    data = path.read_bytes() + bytes(1_000_000)
    path.write_bytes(data.replace(b"\5\1\2", b"\5\3\x40\1\x09", 1))
    started = time.perf_counter()
    assert refusal(path).code == "too_large"
    assert time.perf_counter() - started < 2.0


# Files made from real ones ----------------------------------------------------------------------


@pytest.mark.needs_shared
def test_rate_of_aecg_is_not_rounded(shared: Path, tmp_path: Path) -> None:
    text = (shared / "samples/aecg/ecgtoolkit_Example.xml").read_text(encoding="utf-8")
    assert 'value="0.002"' in text
    (tmp_path / "a.xml").write_text(text.replace('value="0.002"', 'value="0.001024"'))
    assert read_recording(tmp_path / "a.xml").fs == pytest.approx(976.5625)


@pytest.mark.needs_shared
def test_damaged_scp_is_refused_at_once(shared: Path, tmp_path: Path) -> None:
    original = (shared / "samples/scp/ecgtoolkit_Example.scp").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "a.scp"
    started = time.perf_counter()
    for _ in range(100):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        assert refusal(path).code == "checksum_mismatch"
    assert time.perf_counter() - started < 5.0
    path.write_bytes(original[:-100])
    assert refusal(path).code == "checksum_mismatch"


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("old", "new", "fs", "age"),
    [
        ('SAMPLE_FREQ="500"', 'SAMPLE_FREQ="976.5625"', 976.5625, "60 years"),
        ('VENT_RATE="', 'AGE="5" AGE_UNITS="MONTHS" VENT_RATE="', 500.0, "5 months"),
    ],
)
def test_rate_and_age_of_mortara(
    shared: Path, tmp_path: Path, old: str, new: str, fs: float, age: str
) -> None:
    text = (shared / "samples/mortara_xml/mortara_12lead.xml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "a.xml").write_text(text.replace(old, new), encoding="utf-8")
    recording = read_recording(tmp_path / "a.xml")
    assert (recording.fs, str(recording.metadata.age)) == (fs, age)
