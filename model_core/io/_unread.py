"""Formats that this program does not read, so that it can name them."""

from __future__ import annotations

from pathlib import Path

_BY_CONTENT: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "PDF, a picture of an ECG and not its samples,"),
    (b"\x89PNG\r\n", "PNG, a picture of an ECG and not its samples,"),
    (b"\xff\xd8\xff", "JPEG, a picture of an ECG and not its samples,"),
    (b"II*\x00", "TIFF, a picture of an ECG and not its samples,"),
    (b"MM\x00*", "TIFF, a picture of an ECG and not its samples,"),
    (b"PK\x03\x04", "a ZIP archive (unpack it first)"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
)
_BY_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"<EliEcg", "Mortara ELI Link XML (EliEcg)"),
    (b"<BTL", "BTL XML"),
    (b"recordedAt", "AliveCor Kardia JSON"),
)
_BY_SUFFIX = {
    ".ecg": "Contec .ECG",
    ".rdt": "Norav .rdt",
    ".xle": "XLE",
    ".arc": "EDAN .arc",
    ".mac": "GE MAC",
    ".btl": "BTL",
    ".dat": "a .dat file without a WFDB header (Viatom and others)",
    ".gdf": "GDF",
    ".acq": "BIOPAC .acq",
    ".xlsx": "Excel",
    ".xls": "Excel",
}


def unread_format(path: Path, head: bytes) -> str:
    """Name the format if it is a known one that is not read; else an empty text."""
    for start, name in _BY_CONTENT:
        if head.startswith(start):
            return name
    text = head.replace(b"\x00", b"")
    for part, name in _BY_TEXT:
        if part in text:
            return name
    return _BY_SUFFIX.get(path.suffix.lower(), "") if head else ""
