"""GE MUSE XML, decoded by `ecgdatakit`; rates, ages and beat times as the file means them."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import ReadError
from model_core.io._complete import complete, plain
from model_core.io._kit import CHECKSUM_AGREES, age_between, age_of, decode, stored_of
from model_core.io._xml import (
    MAX_BYTES,
    in_plain_encoding,
    number_of,
    parse_xml,
    root_name,
    text_of,
)
from model_core.types import Annotation, Recording
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT_NAME: str = "GE MUSE XML"
SUFFIXES: tuple[str, ...] = (".xml",)

# A beat's time or RR is taken for ms or samples if it then fits the stated rate this well
_AGREEMENT = 0.15


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is a MUSE export."""
    return root_name(head) == "restingecg"


def read(path: Path) -> Recording:
    """Read the rhythm of a MUSE export; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.ge_muse_xml import GEMuseXMLParser

    root = parse_xml(path)
    with in_plain_encoding(path) as plain_path:
        record, warned = decode(plain_path, FORMAT_NAME, MAX_BYTES, GEMuseXMLParser().parse)
    # As the decoder does: what has no type is rhythm.
    kinds = ("rhythm", "")
    every = root.findall("Waveform")
    waveform = next((w for w in every if text_of(w, "WaveformType").lower() in kinds), None)
    exponent = number_of(text_of(waveform, "SampleExponent") or "0")
    base = number_of(text_of(waveform, "SampleBase")) or 0.0
    fs = 0.0 if exponent is None else base * 10.0**exponent
    leads = [] if waveform is None else waveform.findall("LeadData")
    _check_offsets(path, leads)
    repairs: list[str] = [
        say(
            "The device says that lead {lead} was not connected.",
            lead=plain(text_of(lead, "LeadID"), 20),
        )
        for lead in leads
        if text_of(lead, "LeadOff").upper() == "TRUE"
    ]
    stored = stored_of(
        path,
        record,
        [text for text in warned if "CRC32" not in text],
        format_name=FORMAT_NAME,
        fs=fs,
        rate_source=say("as stated for the rhythm"),
        age=age_of(text_of(root, ".//PatientAge"), text_of(root, ".//AgeUnits"))
        if text_of(root, ".//PatientAge")
        else age_between(record.patient.birth_date, record.recording.date),
        integrity=_integrity(path, leads, warned),
        measurements={
            "rr_interval": _rr_ms(root, record.measurements.heart_rate, repairs),
            "qtc": number_of(text_of(root, "RestingECGMeasurements/QTCorrected")),
        },
        annotations=_beats(root, record.measurements.heart_rate, fs, repairs),
        repairs=repairs,
    )
    return complete(stored, [path], path)


def _check_offsets(path: Path, leads: list[Element]) -> None:
    """Refuse leads that do not begin together; the decoder puts them side by side."""
    for lead in leads:
        offset_ms = number_of(text_of(lead, "LeadTimeOffset"))
        if offset_ms:
            raise ReadError(
                say(
                    "{file} states that lead {lead} begins {ms:g} ms beside the others, which is "
                    "not supported.",
                    file=path.name,
                    lead=plain(text_of(lead, "LeadID"), 20),
                    ms=offset_ms,
                ),
                hint=say("Export it with leads recorded at the same time."),
                code="skewed",
            )


def _integrity(path: Path, leads: list[Element], warned: tuple[str, ...]) -> str:
    checksums = {text_of(lead, "LeadDataCRC32") for lead in leads}
    if checksums & {"0", ""} or not checksums:  # 0: the writer did not compute it
        return say("The file holds no checksum for some leads: damage would not be noticed.")
    if any("CRC32" in text and "(rhythm)" in text for text in warned):
        raise ReadError(
            say(
                "The samples of {file} do not match the checksums in it: the file was altered or "
                "damaged.",
                file=path.name,
            ),
            hint=say("Export it again."),
            code="checksum_mismatch",
        )
    return CHECKSUM_AGREES


def _measurement_fs(root: Element) -> float:
    """Rate, Hz, that MUSE counted samples of measurements at."""
    place = "RestingECGMeasurements" if root.find("RestingECGMeasurements") is not None else "."
    base = number_of(text_of(root, f"{place}/ECGSampleBase")) or 0.0
    return base * 10.0 ** (number_of(text_of(root, f"{place}/ECGSampleExponent")) or 0.0)


def _rr_ms(root: Element, heart_rate: int | None, repairs: list[str]) -> float | None:
    """RR interval in ms. MUSE writes it in ms or, up to version 7, in samples."""
    stated = number_of(text_of(root, "QRSTimesTypes/GlobalRR"))
    if not stated or not heart_rate:
        return None
    as_ms = _ms_if_plausible(stated, heart_rate, _measurement_fs(root))
    if as_ms is None:
        repairs.append(say("The RR interval in the file fits the heart rate in no unit: left out."))
    elif as_ms != stated:
        repairs.append(
            say(
                "The RR interval is stored as {stated:g} samples: {as_ms:g} ms.",
                stated=stated,
                as_ms=as_ms,
            )
        )
    return as_ms


def _ms_if_plausible(stated: float, heart_rate: float, fs: float) -> float | None:
    expected = 60_000.0 / heart_rate
    candidates = (stated, stated * 1000.0 / fs if fs else 0.0)
    fitting = [ms for ms in candidates if abs(ms - expected) <= _AGREEMENT * expected]
    return min(fitting, key=lambda ms: abs(ms - expected)) if fitting else None


def _beats(
    root: Element, heart_rate: int | None, fs: float, repairs: list[str]
) -> list[Annotation]:
    """Beats that the device found, if the unit of their times fits the heart rate."""
    times = [number_of(text_of(beat, "Time")) for beat in root.findall("QRSTimesTypes/QRS")]
    known = sorted(time for time in times if time is not None)
    if len(known) < 3 or not heart_rate:
        return []
    step = statistics.median(b - a for a, b in itertools.pairwise(known))
    as_ms = _ms_if_plausible(step, heart_rate, _measurement_fs(root) or fs)
    if as_ms is None:
        repairs.append(
            say("The times of the beats in the file fit the heart rate in no unit: left out.")
        )
        return []
    return [Annotation(time / 1000.0 * as_ms / step, "QRS") for time in known]
