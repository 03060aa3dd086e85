"""Philips Sierra XML 1.03, 1.04, 1.04.01 (PageWriter, TraceMaster), decoded by `ecgdatakit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import ReadError
from model_core.io._complete import complete
from model_core.io._kit import age_between, age_of, decode, stored_of
from model_core.io._xml import (
    MAX_BYTES,
    in_plain_encoding,
    number_of,
    parse_xml,
    root_name,
    text_of,
)
from model_core.leads import LIMB_FROM_I_AND_II, LIMB_LEADS, canonical_lead_names
from model_core.types import Recording
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT_NAME: str = "Philips Sierra XML"
SUFFIXES: tuple[str, ...] = (".xml",)

# A recording of 11 s is ten seconds of ECG and a second with a pulse of 1 mV in every lead,
# unconnected ones too, which breaks the relations of the limb leads.
ECG_S = 10.0
WITH_CALIBRATION_S = (10.5, 11.5)


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the root element tells
    """Whether the file is a Sierra export."""
    return root_name(head) == "restingecgdata"


def read(path: Path) -> Recording:
    """Read the rhythm of a Sierra export; see `model_core.io.read_recording`."""
    from ecgdatakit.parsing.parsers.sierra_xml import SierraXMLParser

    root = parse_xml(path)
    _check_order(path, root)
    with in_plain_encoding(path) as plain_path:
        record, warned = decode(plain_path, FORMAT_NAME, MAX_BYTES, SierraXMLParser().parse)
    fs = float(record.leads[0].sampling_rate) if record.leads else 0.0
    duration_s = len(record.leads[0].samples) / fs if fs else 0.0
    calibrated = WITH_CALIBRATION_S[0] <= duration_s <= WITH_CALIBRATION_S[1]
    stated = root.find(".//generalpatientdata/age")
    parts = [] if stated is None else [(part.text or "", part.tag) for part in stated]
    age = next((found for value, unit in parts if (found := age_of(value.strip(), unit))), None)
    stored = stored_of(
        path,
        record,
        warned,
        format_name=FORMAT_NAME,
        fs=fs,
        rate_source=say("as stated in the file"),
        age=age or age_between(record.patient.birth_date, record.recording.date),
        measurements={"atrial_rate": number_of(text_of(root, ".//globalmeasurements/atrialrate"))},
        cut_s=ECG_S if calibrated else None,
        repairs=(
            say("After {end_s:g} s follows the device's calibration pulse: cut off.", end_s=ECG_S),
        )
        if calibrated
        else (),
    )
    return complete(stored, [path], path)


def _check_order(path: Path, root: Element) -> None:
    """Refuse packed limb leads in another order: they are stored as differences by their places."""
    waveforms = root.find(".//parsedwaveforms")
    stated = "" if waveforms is None else waveforms.get("leadlabels", "")
    packed = waveforms is not None and "XLI" in (
        waveforms.get("compression", ""),
        waveforms.get("compressmethod", ""),
    )
    names = canonical_lead_names(stated.split())
    if packed and names[:6] != LIMB_LEADS and set(names) & set(LIMB_FROM_I_AND_II):
        raise ReadError(
            say("{file} holds packed limb leads in an order that is not known.", file=path.name),
            hint=say("Export it without compression."),
            code="unsupported",
        )
