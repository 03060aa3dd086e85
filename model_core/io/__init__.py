"""Reading ECG files: one reader a format, one entry for the rest of the program."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from model_core.errors import ReadError
from model_core.io import wfdb_reader
from model_core.types import Recording

__all__ = ["READERS", "Reader", "read_recording"]


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

    def recognises(self, path: Path) -> bool:
        """Whether this reader is the one for the file."""
        ...

    def read(self, path: Path) -> Recording:
        """Read the file; raises `ReadError` with a sentence if that is not possible."""
        ...


READERS: tuple[Reader, ...] = (wfdb_reader,)


def read_recording(path: Path) -> Recording:
    """Read an ECG file from the local disk.

    Parameters
    ----------
    path
        The file, or for WFDB also the record's name without ending. Never taken for an address
        on a network.

    Returns
    -------
    Recording
        The file's content, in mV, as recorded.

    Raises
    ------
    ReadError
        If no reader knows the file, or the file is damaged, incomplete or ambiguous.
    """
    path = Path(path)
    try:
        for reader in READERS:
            if path.name and reader.recognises(path):
                return reader.read(path)
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
    raise ReadError(
        f"{path.name} is not an ECG file of a kind that this program reads.",
        hint=f"It reads: {supported}.",
        code="unknown_format",
    )
