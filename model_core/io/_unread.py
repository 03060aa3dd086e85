"""Formats that this program does not read: named, with what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_core.wording import say

_PICTURE = say("It shows an ECG but does not hold its samples: export the recording as data.")
_UNPACK = say("Unpack it and open the files in it.")
_DEVICE = say("Export the ECG from the maker's software, best as DICOM, SCP-ECG, HL7 aECG or EDF.")
_CONVERT = say("Convert it, best to EDF or WFDB.")
_ARRAY = say("Save the ECG in it as NPY, CSV or WFDB.")
_TABLE = say("Save the sheet as CSV.")


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """A format by name, and what its owner can do."""

    name: str
    advice: str


def _several(advice: str, *entries: tuple[str, str]) -> dict[str, UnreadFormat]:
    return {key: UnreadFormat(name, advice) for key, name in entries}


_BY_START: tuple[tuple[bytes, UnreadFormat], ...] = (
    (b"%PDF-", UnreadFormat("PDF", _PICTURE)),
    (b"\x89PNG\r\n", UnreadFormat(say("PNG, a picture,"), _PICTURE)),
    (b"\xff\xd8\xff", UnreadFormat(say("JPEG, a picture,"), _PICTURE)),
    (b"II*\x00", UnreadFormat(say("TIFF, a picture,"), _PICTURE)),
    (b"MM\x00*", UnreadFormat(say("TIFF, a picture,"), _PICTURE)),
    (b"GIF8", UnreadFormat(say("GIF, a picture,"), _PICTURE)),
    (b"%!PS", UnreadFormat("PostScript", _PICTURE)),
    (b"PK\x03\x04", UnreadFormat(say("a ZIP archive"), _UNPACK)),
    (b"\x1f\x8b", UnreadFormat(say("a gzip archive"), _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", UnreadFormat(say("a 7z archive"), _UNPACK)),
    (b"Rar!", UnreadFormat(say("a RAR archive"), _UNPACK)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", UnreadFormat(say("an old Office document"), _TABLE)),
    (b"\x89HDF\r\n", UnreadFormat("HDF5", _ARRAY)),
    (b"GDF ", UnreadFormat("BioSig GDF", _CONVERT)),
    (b"RIFF", UnreadFormat("RIFF (WAV or CNT)", _CONVERT)),
    (b"[FileInfo]", UnreadFormat("Persyst .lay", _CONVERT)),
    (b"Brain Vision Data Exchange", UnreadFormat("BrainVision", _CONVERT)),
    (
        b"ANN  1.0",
        UnreadFormat(say("an ISHNE annotation file"), say("Open the .ecg file beside it.")),
    ),
)
# Names of elements or entries near the beginning of a text file
_BY_TEXT: tuple[tuple[bytes, UnreadFormat], ...] = (
    (b"<EliEcg", UnreadFormat("Mortara ELI Link XML (EliEcg)", _DEVICE)),
    (b"<BTL", UnreadFormat("BTL XML", _DEVICE)),
    (b"<svg", UnreadFormat(say("SVG, a picture,"), _PICTURE)),
    (b"<html", UnreadFormat(say("a web page"), _PICTURE)),
    (b"<Sapphire", UnreadFormat("GE Sapphire XML", _DEVICE)),
    (b"<ZollWaveform", UnreadFormat("Zoll XML", _DEVICE)),
    (b"<LifenetRecord", UnreadFormat("LIFENET XML", _DEVICE)),
    (b'"resourceType"', UnreadFormat("HL7 FHIR JSON", _DEVICE)),
    (b'"recordedAt"', UnreadFormat("AliveCor Kardia JSON", _DEVICE)),
)
_BY_SUFFIX: dict[str, UnreadFormat] = {
    **_several(
        _DEVICE,
        (".ecg", "Contec .ECG"),
        (".rdt", "Norav .rdt"),
        (".xle", "XLE"),
        (".arc", "EDAN .arc"),
        (".mac", "GE MAC"),
        (".sap", "GE MAC .SAP"),
        (".btl", "BTL"),
        (".ecx", "Welch Allyn CardioPerfect"),
        (".eck", "Schiller .eck"),
        (".hol", "Holter .hol"),
        (".nat", "Del Mar Reynolds .nat"),
        (".dcg", "Holter .dcg"),
        (".esp", "ESAOTE .esp"),
        (".upk", "Philips PageWriter .upk"),
        (".pcx", "Philips PageWriter .pcx"),
        (".trc", "Micromed .trc"),
        (".nk", "Nihon Kohden"),
        (".m00", "Nihon Kohden"),
        (".eeg", say("Nihon Kohden or BrainVision .eeg")),
    ),
    **_several(
        _CONVERT,
        (".gdf", "BioSig GDF"),
        (".acq", "BIOPAC .acq"),
        (".adicht", "LabChart .adicht"),
        (".smr", "CED Spike2 .smr"),
        (".smrx", "CED Spike2 .smrx"),
        (".lay", "Persyst .lay"),
        (".vhdr", "BrainVision"),
        (".cnt", say("a .cnt file")),
    ),
    **_several(
        _ARRAY,
        (".h5", "HDF5"),
        (".hdf5", "HDF5"),
        (".parquet", "Parquet"),
        (".pkl", say("a Python pickle")),
        (".npz", "NumPy .npz"),
    ),
    **_several(_TABLE, (".xlsx", "Excel"), (".xls", "Excel"), (".ods", "OpenDocument")),
    **_several(_PICTURE, (".bmp", say("BMP, a picture,")), (".svg", say("SVG, a picture,"))),
    **_several(
        say("Open the header or the recording that it belongs to."),
        (".atr", say("a WFDB annotation file")),
        (".qrs", say("a WFDB annotation file")),
        (".ann", say("an annotation file")),
    ),
}


def unread_content(path: Path, head: bytes) -> UnreadFormat | None:
    """Name the format of a file that begins as no reader's does, whatever the file is called."""
    for start, found in _BY_START:
        if head.startswith(start):
            # An archive by its content may be a known kind by its name (Excel, .npz).
            return _BY_SUFFIX.get(path.suffix.lower(), found) if start == b"PK\x03\x04" else found
    return None


def unread_format(path: Path, head: bytes) -> UnreadFormat | None:
    """Name the format if it is a known one that is not read, by its content before its name."""
    text = head.replace(b"\x00", b"")
    for part, found in _BY_TEXT:
        if part in text:
            return found
    return _BY_SUFFIX.get(path.suffix.lower()) if head else None
