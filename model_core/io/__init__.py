"""Reading ECG files: one reader a format, one entry for the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

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
from model_core.io._in_file import InFile, lead_reader, outline, part
from model_core.io._table_layout import DELIMITERS, UNITS, layout_from_dict, layout_to_dict
from model_core.io._unread import unread_content, unread_format
from model_core.io.table_reader import TableLayout, TableProposal, propose_layout, read_table
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording, Overview, survey
from model_core.types import FloatArray, Recording
from model_core.wording import joined, say, system_words

__all__ = [
    "DELIMITERS",
    "READERS",
    "UNITS",
    "Reader",
    "TableLayout",
    "TableProposal",
    "find_reader",
    "layout_from_dict",
    "layout_to_dict",
    "open_lead",
    "open_recording",
    "propose_layout",
    "read_part",
    "read_recording",
    "read_table",
    "survey_recording",
]

# A MUSE file begins with a few lines of text, an aECG may begin with a page of comments.
HEAD_BYTES = 65_536
# Longer recordings stay in their file where the format allows it.
WHOLE_AT_MOST_S = 60.0

_Result = TypeVar("_Result")


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
        """Whether this reader is the one for the file, by its first bytes; WFDB has but names."""
        ...

    def read(self, path: Path) -> Recording:
        """Read the file; raises `ReadError` with a sentence if that is not possible."""
        ...


@runtime_checkable
class PartReader(Protocol):
    """What the reader of a format offers besides, where parts of a file can be read."""

    def open_file(self, path: Path) -> InFile | None:
        """Read what the file says of its samples; raises `ReadError` as `Reader.read`.

        None if this file can only be read as a whole.
        """
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

# Asked for what nobody knows by its content: damaged files, and numbers in lines.
_BY_NAME: tuple[Reader, ...] = (dicom_reader, edf_reader, scp_reader, mfer_reader, table_reader)


def find_reader(path: Path) -> Reader | None:
    """Say who would read a file, by its content; None if nobody knows it.

    Raises
    ------
    ReadError
        If the file cannot be looked at.
    """
    try:
        return _reader_of(path)
    except ReadError as error:
        if error.code in {"empty_file", "unknown_format", "unsupported_format"}:
            return None
        raise


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
    reader = _reader_of(path)
    return _guarded(reader, path, lambda: _whole(reader, path, layout))


def open_recording(path: Path, layout: TableLayout | None = None) -> Recording | LongRecording:
    """Read an ECG file, or, beyond a minute, only say what it holds where its format allows that.

    Parameters
    ----------
    path, layout
        As for `read_recording`.

    Returns
    -------
    Recording or LongRecording
        Parts of the latter are read by `read_part`.

    Raises
    ------
    ReadError
        As `read_recording`.
    """
    reader = _reader_of(path)

    def read() -> Recording | LongRecording:
        if isinstance(reader, PartReader):
            in_file = reader.open_file(path)
            if in_file and in_file.seekable and in_file.duration_s > WHOLE_AT_MOST_S:
                return outline(in_file, path)
        return _whole(reader, path, layout)

    return _guarded(reader, path, read)


def read_part(of: LongRecording, start_s: float, duration_s: float) -> Recording:
    """Read a part of a long recording.

    Parameters
    ----------
    of
        From `open_recording`.
    start_s, duration_s
        First second and length, s; the part ends with the recording if that ends before.

    Returns
    -------
    Recording
        With `start_s` where it begins, on a sample.

    Raises
    ------
    ReadError
        If the file is gone, damaged, or no longer the one that was opened.
    """
    found = _in_file(of.path, lambda in_file: part(in_file, start_s, duration_s))
    if found.recording_id != of.recording_id:
        raise ReadError(
            say("{file} has changed since it was opened.", file=of.source_name),
            hint=say("Open it again."),
            code="changed",
        )
    return found


def open_lead(of: LongRecording, lead: str) -> Callable[[int, int], FloatArray]:
    """Get a function that reads one stored lead of a long recording between two samples, mV.

    Raises
    ------
    ReadError
        As `read_part`, or if the lead is not stored.
    """
    return _in_file(of.path, lambda in_file: lead_reader(in_file, lead))


def survey_recording(of: Recording | LongRecording) -> Iterator[Overview]:
    """Go through lead II, or another one, and give the overview so far; raises as `read_part`."""
    report = of.metadata.report
    stored = report.leads_present if report else of.lead_names
    lead = next((name for name in ("II", *STANDARD_LEADS) if name in stored), stored[0])
    if isinstance(of, LongRecording):
        yield from survey(open_lead(of, lead), of.n_samples, of.fs, lead)
    else:
        row = of.signal_mv[of.lead_names.index(lead)]
        yield from survey(lambda first, last: row[first:last], of.n_samples, of.fs, lead)


def _whole(reader: Reader, path: Path, layout: TableLayout | None) -> Recording:
    if reader is table_reader and layout is not None:
        return read_table(path, layout)
    return reader.read(path)


def _in_file(path: Path, use: Callable[[InFile], _Result]) -> _Result:
    reader = _reader_of(path)

    def read() -> _Result:
        in_file = reader.open_file(path) if isinstance(reader, PartReader) else None
        if in_file is None:
            raise ReadError(
                say("{file} is not the file that was opened.", file=path.name), code="changed"
            )
        return use(in_file)

    return _guarded(reader, path, read)


def _reader_of(path: Path) -> Reader:
    """Find who reads the file; raises `ReadError` if nobody does."""
    try:
        _check_file(path)
        head = _head(path)
        # A picture stays one under any name; DICOM may begin with any 128 bytes.
        named = None if head[128:132] == b"DICM" else unread_content(path, head)
        for reader in READERS if named is None else ():
            if path.name and reader.recognises(path, head):
                return reader
        for reader in _BY_NAME if named is None and head else ():
            if path.suffix.lower() in reader.SUFFIXES:
                return reader
        exists = path.exists()
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeError as error:  # half of a character, which no file system takes
        raise _not_found(path) from error
    if not exists:
        raise _not_found(path)
    supported = joined(
        [joined([reader.FORMAT_NAME, f"({' '.join(reader.SUFFIXES)})"]) for reader in READERS], ", "
    )
    named = named or unread_format(path, head)
    if named:
        raise ReadError(
            say(
                "{file} cannot be read: {format} is not supported.",
                file=path.name,
                format=named.name,
            ),
            hint=say(
                "{advice} This program reads: {supported}.",
                advice=named.advice,
                supported=supported,
            ),
            code="unsupported_format",
        )
    raise ReadError(
        say("{file} is not an ECG file of a kind that this program reads.", file=path.name),
        hint=say("It reads: {supported}.", supported=supported),
        code="unknown_format",
    )


def _check_file(path: Path) -> None:
    """Refuse what is there and cannot be a recording, before anybody waits for its bytes."""
    if path.is_file():
        if path.stat().st_size == 0:
            raise ReadError(
                say("{file} is empty.", file=path.name),
                hint=say("Copy it again."),
                code="empty_file",
            )
    elif path.is_dir():
        # A WFDB record may have the name of a folder beside its header.
        if not path.name or not wfdb_reader.header_of(path).is_file():
            raise ReadError(
                say("{file} is a folder.", file=path.resolve().name),
                hint=say("Open a file in it; the work list takes a whole folder."),
                code="folder",
            )
    elif path.exists():
        raise ReadError(
            say("{file} is a device or a pipe and no file.", file=path.name),
            hint=say("Copy the recording to a disk and open it there."),
            code="not_readable",
        )


def _not_found(path: Path) -> ReadError:
    return ReadError(
        say("The file {file} was not found.", file=path.name),
        hint=say("Check the name and that the drive is connected."),
        code="not_found",
    )


def _unreadable(path: Path, error: OSError) -> ReadError:
    return ReadError(
        say(
            "The file {file} cannot be opened: {why}.",
            file=path.name,
            why=system_words(error),
        ),
        hint=say("Check that the drive is connected and that you may read the file."),
        code="not_readable",
    )


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _state_of(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change; None for a record's name without ending."""
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _guarded(reader: Reader, path: Path, read: Callable[[], _Result]) -> _Result:
    """Let only `EchoingError` out, and nothing that was read while the file changed."""
    try:
        before = _state_of(path)
        found = read()
        changed = _state_of(path) != before
    except EchoingError:
        raise
    except MemoryError:
        raise ReadError(
            say("{file} needs more memory to be read than there is.", file=path.name),
            hint=say("The file is damaged, or too long. Export it again, or a shorter part of it."),
            code="too_large",
        ) from None
    except Exception as error:  # decoders leak every kind of exception on damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise _unreadable(path, error) from error
        raise ReadError(
            say(
                "{file} is damaged, or not a {format} file.",
                file=path.name,
                format=reader.FORMAT_NAME,
            ),
            hint=say("Export or copy it again."),
            code="damaged",
        ) from error
    if changed:
        raise ReadError(
            say("{file} changed while it was read.", file=path.name),
            hint=say("Wait until it is written or copied, then open it again."),
            code="changed",
        )
    return found
