"""Reading ECG files: one reader a format, one entry for the rest of the program."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from model_core.errors import EchoingError, ReadError
from model_core.io import (
    aecg_reader,
    cardiosoft_reader,
    dicom_reader,
    edf_reader,
    ishne_reader,
    mfer_reader,
    mortara_reader,
    muse_reader,
    schiller_reader,
    scp_reader,
    sierra_reader,
    table_reader,
    wfdb_reader,
)
from model_core.io._table_layout import DELIMITERS, UNITS, layout_from_dict, layout_to_dict
from model_core.io._unread import unread_format
from model_core.io.table_reader import TableLayout, TableProposal, propose_layout, read_table
from model_core.types import Recording

__all__ = [
    "DELIMITERS",
    "READERS",
    "UNITS",
    "Reader",
    "TableLayout",
    "TableProposal",
    "layout_from_dict",
    "layout_to_dict",
    "propose_layout",
    "read_recording",
    "read_table",
]

# A MUSE file begins with a few lines of text, an aECG may begin with a page of comments.
HEAD_BYTES = 65_536


class Reader(Protocol):
    """What a reader module offers.

    Attributes
    ----------
    FORMAT_NAME
        As shown to the user.
    SUFFIXES
        File name endings of the format, with dot, lower case: for file dialogs.
    """

    FORMAT_NAME: str
    SUFFIXES: tuple[str, ...]

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether this reader is the one for the file, by its first bytes before its name."""
        ...

    def read(self, path: Path) -> Recording:
        """Read the file; raises `ReadError` with a sentence if that is not possible."""
        ...


# Asked in this order: formats known by their content come before those known by a name.
READERS: tuple[Reader, ...] = (
    dicom_reader,
    aecg_reader,
    muse_reader,
    sierra_reader,
    cardiosoft_reader,
    mortara_reader,
    schiller_reader,
    edf_reader,
    ishne_reader,
    scp_reader,
    mfer_reader,
    wfdb_reader,
    table_reader,
)


def read_recording(path: Path, layout: TableLayout | None = None) -> Recording:
    """Read an ECG file from the local disk.

    Parameters
    ----------
    path
        The file, or for WFDB also the record's name without ending. Never taken for an address
        on a network.
    layout
        What is stated about the file if it is a table (CSV, TXT, NPY, MAT); others do not need it.

    Returns
    -------
    Recording
        The file's content, in mV, as recorded; III, aVR, aVL and aVF computed where only I and II
        are stored. Its metadata hold the import report.

    Raises
    ------
    ReadError
        If no reader knows the file, or the file is damaged, incomplete or ambiguous.
    """
    path = Path(path)
    try:
        head = _head(path)
        for reader in READERS:
            if path.name and reader.recognises(path, head):
                return _read(reader, path, layout)
        exists = path.exists()
    except OSError as error:
        raise ReadError(
            f"The file {path.name} cannot be opened: {error.strerror or 'unknown fault'}.",
            hint="Check that the drive is connected and that you may read the file.",
            code="not_readable",
        ) from error
    if not exists:
        raise ReadError(
            f"The file {path.name} was not found.",
            hint="Check the name and that the drive is connected.",
            code="not_found",
        )
    supported = ", ".join(
        f"{reader.FORMAT_NAME} ({' '.join(reader.SUFFIXES)})" for reader in READERS
    )
    named = unread_format(path, head)
    if named:
        raise ReadError(
            f"{path.name} cannot be read: {named} is not supported.",
            hint=f"Export it in another format. This program reads: {supported}.",
            code="unsupported_format",
        )
    raise ReadError(
        f"{path.name} is not an ECG file of a kind that this program reads.",
        hint=f"It reads: {supported}.",
        code="unknown_format",
    )


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _read(reader: Reader, path: Path, layout: TableLayout | None) -> Recording:
    try:
        if reader is table_reader and layout is not None:
            return read_table(path, layout)
        return reader.read(path)
    except EchoingError:
        raise
    except Exception as error:  # decoders leak every kind of exception on damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ReadError(
            f"{path.name} is damaged, or not a {reader.FORMAT_NAME} file.",
            hint="Export or copy it again.",
            code="damaged",
        ) from error
