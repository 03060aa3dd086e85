"""Compare what is read with what others read: ``python benchmarks/formats.py SAMPLES``.

For every recording below SAMPLES: reader, leads, rate, duration, and the largest difference from a
second way to the same samples, which shares no decoder with ours. Prints the page
docs/formats-compared.md.
"""

from __future__ import annotations

import argparse
import base64
import importlib.metadata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io import read_recording
from model_core.io.table_reader import TableLayout
from model_core.leads import STANDARD_LEADS
from model_core.types import Recording

ByLead = dict[str, NDArray[Any]]
TWINS = {
    "scp/ecgtoolkit_Example.scp": "aecg/ecgtoolkit_Example.xml",
    "mortara_xml/mortara_12lead.xml": "wfdb/00001_hr.hea",
    "edge_cases/dcm_4groups_of_3.dcm": "wfdb/00001_hr.hea",
}
TABLES = {
    "tables/csv_header_mV.csv": TableLayout(500.0, "mV", STANDARD_LEADS, skip_rows=1),
    "tables/npy_5000x12_mV.npy": TableLayout(500.0, "mV", STANDARD_LEADS),
}
HEAD = """\
# What is read, beside what others read

Written by `python benchmarks/formats.py SAMPLES`; not edited by hand. Each row is a file of a
device or archive, or made from one. The largest difference is over all samples of the leads
that both hold, in microvolts. Second readers: {versions} (for ISHNE, decoded here); the
XML text taken apart in the script; or the same recording in another container (a twin).

| file | reader | leads stored + computed | Hz | s | largest difference, µV | from |
|---|---|---|---|---|---|---|
"""


def by_wfdb(path: Path, _: Recording) -> ByLead:
    import wfdb

    record = cast("Any", wfdb).rdrecord(str(path.with_suffix("")), smooth_frames=False)
    return dict(zip(record.sig_name, record.e_p_signal, strict=True))


def by_pydicom(path: Path, _: Recording) -> ByLead:
    import pydicom

    dataset = cast("Any", pydicom).dcmread(path)
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    meanings = [c.ChannelSourceSequence[0].CodeMeaning for c in channels]
    names = [meaning.replace("Lead ", "").partition(",")[0].split(" ")[0] for meaning in meanings]
    return dict(zip(names, dataset.waveform_array(0).T / 1000, strict=True))


def by_pyedflib(path: Path, _: Recording) -> ByLead:
    import pyedflib

    with pyedflib.EdfReader(str(path)) as edf:
        factor = {"uV": 1e-3, "mV": 1.0}[edf.getPhysicalDimension(0)]
        labels = [label.replace("ECG ", "") for label in edf.getSignalLabels()]
        return {label: edf.readSignal(n) * factor for n, label in enumerate(labels)}


def by_ecgdatakit(path: Path, _: Recording) -> ByLead:
    from ecgdatakit.parsing.parsers.ishne_holter import ISHNEHolterParser

    leads = ISHNEHolterParser().parse(path).leads
    return {lead.label: lead.samples * lead.resolution / 1000 for lead in leads}  # from uV


def by_muse_text(path: Path, _: Recording) -> ByLead:
    waves = ET.parse(path).getroot().findall("Waveform")  # noqa: S314 - files of our own choice
    (rhythm,) = (wave for wave in waves if wave.findtext("WaveformType") == "Rhythm")
    found: ByLead = {}
    for lead in rhythm.findall("LeadData"):
        data = base64.b64decode(lead.findtext("WaveFormData") or "")
        step = float(lead.findtext("LeadAmplitudeUnitsPerBit") or 0)
        found[lead.findtext("LeadID") or ""] = np.frombuffer(data, "<i2") * step / 1000
    return found


def by_aecg_text(path: Path, _: Recording) -> ByLead:
    space = "{urn:hl7-org:v3}"
    rhythm = "component/series/component/sequenceSet/component/sequence"  # beats lie elsewhere
    place = "/".join(f"{space}{tag}" for tag in rhythm.split("/"))
    found: ByLead = {}
    for sequence in ET.parse(path).getroot().findall(place):  # noqa: S314
        digits, scale = sequence.find(f".//{space}digits"), sequence.find(f".//{space}scale")
        code = sequence.find(f"{space}code")
        if digits is not None and scale is not None and code is not None:
            name = code.get("code", "").removeprefix("MDC_ECG_LEAD_")
            step = float(scale.get("value", "")) / 1000  # uV in both files
            found[name] = np.array((digits.text or "").split(), float) * step
    return found


def by_numpy(path: Path, _: Recording) -> ByLead:
    table = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", skiprows=1)
    return dict(zip(STANDARD_LEADS, table.T, strict=True))


SECOND: dict[str, tuple[str, Callable[[Path, Recording], ByLead]]] = {
    "WFDB": ("wfdb", by_wfdb),
    "DICOM": ("pydicom", by_pydicom),
    "EDF": ("pyEDFlib", by_pyedflib),
    "ISHNE Holter": ("ecgdatakit", by_ecgdatakit),
    "GE MUSE XML": ("the XML text", by_muse_text),
    "HL7 aECG": ("the XML text", by_aecg_text),
    "NPY": ("numpy", by_numpy),
    "text table": ("numpy", by_numpy),
}


def compared(samples: Path, name: str, read: Recording) -> tuple[str, str]:
    """Largest difference in microvolts, and from what."""
    known = {lead.lower(): lead for lead in read.lead_names}
    known |= {f"v{axis.lower()}": axis for axis in "XYZ"}
    if name in TWINS:
        twin = read_recording(samples / TWINS[name])
        other: ByLead = dict(zip(twin.lead_names, twin.signal_mv, strict=True))
        source = f"its twin {TWINS[name]}"
    else:
        kind = read.metadata.format_name.removesuffix("+").partition(" (")[0]
        key = next((key for key in SECOND if kind.startswith(key)), "")
        if not key:
            return "not compared here", "no second reader at hand"
        source, reader = SECOND[key]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = reader(samples / name, read)
    largest = 0.0
    for lead, values in other.items():
        row = read.signal_mv[read.lead_names.index(known[lead.lower()])]
        both = np.isfinite(row) & np.isfinite(values)
        largest = max(largest, float(np.abs(row[both] - values[both]).max()))
    return ("0" if largest < 1e-6 else f"{largest * 1000:.2g}"), source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path)
    samples: Path = parser.parse_args().samples
    packages = ("wfdb", "pydicom", "pyedflib", "ecgdatakit")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    rows: list[str] = []
    for path in sorted(samples.rglob("*")):
        name = path.relative_to(samples).as_posix()
        # Data files of WFDB records are named by their headers; annotations belong to a recording.
        is_data = path.suffix != ".hea" and path.with_suffix(".hea").is_file()
        if not path.is_file() or is_data or path.suffix in (".md", ".ann"):
            continue
        try:
            read = read_recording(path, TABLES.get(name))
        except ReadError as error:
            rows.append(f"| {name} | refused | | | | | {error} |")
            continue
        report = read.metadata.report
        assert report is not None
        largest, source = compared(samples, name, read)
        leads = f"{len(report.leads_present)} + {len(report.leads_derived)}"
        version = f"{report.format_name} {report.format_version}".strip()
        rows.append(
            f"| {name} | {version} | {leads} | {read.fs:g} | {read.duration_s:.4g} | {largest} | "
            f"{source} |"
        )
    print(HEAD.format(versions=versions) + "\n".join(rows))


if __name__ == "__main__":
    main()
