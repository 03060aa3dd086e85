"""The numbers of CSV, TXT, NPY and MAT files, before anybody says what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import plain
from model_core.io._mat import read_mat
from model_core.wording import say, system_words

MAX_BYTES = 128_000_000
MAX_LINE = 2_000_000

_NPY = b"\x93NUMPY"
_MATLAB = b"MATLAB "
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|nan", re.IGNORECASE)
MARKS = (_NPY, _MATLAB)


def unreadable(path: Path, error: Exception) -> ReadError:
    """Tell in words what numpy or the disk has to say; numpy leaks many kinds."""
    if isinstance(error, OSError) and error.strerror:
        return ReadError(
            say(
                "The file {file} cannot be opened: {why}.", file=path.name, why=system_words(error)
            ),
            hint=say("Check that the drive is connected and that you may read the file."),
            code="not_readable",
        )
    why = plain(error, 200).rstrip(".") or say("it is damaged")
    return ReadError(
        say("{file} cannot be read as a table: {why}.", file=path.name, why=why),
        hint=say("Check what was stated about the table."),
        code="damaged",
    )


def refuse(path: Path, why: str, code: str) -> NoReturn:
    """Say why a file is not read as stated."""
    raise ReadError(
        say("{file} cannot be read as a table: {why}.", file=path.name, why=why),
        hint=say("Check what was stated about the table."),
        code=code,
    )


def kind(path: Path) -> str:
    """``text table``, ``NPY`` or ``MAT``."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_NPY):
        return "NPY"
    if head.startswith(_MATLAB) or path.suffix.lower() == ".mat":
        return "MAT"
    return say("text table")


def array(path: Path, of_kind: str, variable: str) -> NDArray[Any]:
    """Matrix of an NPY file, or the one of that name in a MAT file."""
    if of_kind == "NPY":
        table: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    else:
        matrices = read_mat(path)
        if not matrices:
            refuse(path, say("it holds no matrix of numbers"), "no_signal")
        if variable not in matrices:
            refuse(path, say("it holds no matrix '{name}'", name=plain(variable, 40)), "no_signal")
        table = matrices[variable]
    if table.ndim > 2:  # a batch of one is still one recording
        table = np.squeeze(table)
    if table.ndim == 1:
        table = table[np.newaxis]
    if table.dtype.kind not in "fiu" or table.ndim != 2:
        refuse(path, say("it is not a table of numbers with rows and columns"), "no_signal")
    return table


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines(path: Path) -> list[str]:
    """Lines of a text table."""
    found = _text(path).splitlines()
    if max(map(len, found), default=0) > MAX_LINE:
        refuse(path, say("it has a line that is too long for a table of an ECG"), "damaged")
    return found


def row_labels(body: Sequence[str], delimiter: str | None) -> list[str]:
    """First cell of each line if none of them is a number: names of leads in rows; else nothing."""
    labels = [line.split(delimiter, 1)[0].strip().strip('"') for line in body]
    return [] if any(_NUMBER.fullmatch(label) for label in labels) else labels
