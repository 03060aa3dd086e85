"""Tables of samples: CSV, TXT, NPY and MAT. They say too little by themselves, so it is asked.

No rate, unit, orientation or lead name is ever guessed in reading: `read_table` takes them as a
`TableLayout`. `propose_layout` says what a file suggests, and why, for a person to confirm.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError, ReadError
from model_core.io._complete import (
    NO_CHECKSUM,
    Stored,
    check_shape,
    checked_size,
    complete,
    mv_per_unit,
    plain,
)
from model_core.io._mat import read_mat
from model_core.leads import STANDARD_LEADS, canonical_lead_name
from model_core.types import ImportReport, Recording

FORMAT_NAME: str = "Table"
SUFFIXES: tuple[str, ...] = (".csv", ".tsv", ".txt", ".npy", ".mat")

MAX_BYTES = 128_000_000
MAX_LINE = 2_000_000
MAX_ABOVE = 5_000  # of the text above the numbers, searched for rate and unit
PREVIEW_ROWS = 20

_NPY = b"\x93NUMPY"
_MATLAB = b"MATLAB "
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:hz|sps|samples/s)\b", re.IGNORECASE)
_UNIT = re.compile(r"[\[(]\s*([nuµμm]?v)\s*[\])]", re.IGNORECASE)
_TIME = re.compile(r"(time|t|index|sample|#|seconds?|ms)\b", re.IGNORECASE)
_TIME_UNIT = re.compile(r"[\[(]\s*(s|sec|seconds|ms)\s*[\])]", re.IGNORECASE)
_RATE_VARIABLE = re.compile(r"fs|.*(rate|freq).*|hz", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What a table does not say by itself.

    Attributes
    ----------
    fs
        Sampling frequency, Hz.
    unit
        Unit of the numbers: ``nV``, ``uV``, ``mV`` or ``V``.
    lead_names
        One for each column (or row, see `leads_in`); empty for one to leave out.
    leads_in
        Whether a lead is a column or a row.
    skip_rows
        Lines of text before the numbers.
    delimiter
        Between the cells of a line; a blank stands for any run of blanks.
    decimal_comma
        Whether numbers are written as 0,5.
    variable
        Name of the matrix in a MAT file.
    """

    fs: float
    unit: str
    lead_names: tuple[str, ...]
    leads_in: Literal["columns", "rows"] = "columns"
    skip_rows: int = 0
    delimiter: str = ","
    decimal_comma: bool = False
    variable: str = ""


@dataclass(frozen=True, slots=True)
class TableProposal:
    """What a table suggests. None or an empty name where it suggests nothing.

    Attributes
    ----------
    fs, unit, lead_names, leads_in, skip_rows, delimiter, decimal_comma, variable
        As in `TableLayout`.
    fs_reason, unit_reason, leads_reason
        Where the proposal comes from, in words; empty if there is none.
    n_leads, n_samples
        Size of the table in the proposed orientation.
    preview
        First lines of the file (or rows of the matrix), as text.
    """

    fs: float | None
    fs_reason: str
    unit: str | None
    unit_reason: str
    lead_names: tuple[str, ...]
    leads_reason: str
    leads_in: Literal["columns", "rows"]
    n_leads: int
    n_samples: int
    preview: tuple[str, ...]
    skip_rows: int = 0
    delimiter: str = ","
    decimal_comma: bool = False
    variable: str = ""


def recognises(path: Path, head: bytes) -> bool:
    """Whether the file is an array, or named as a table."""
    return head.startswith((_NPY, _MATLAB)) or (path.suffix.lower() in SUFFIXES and bool(head))


def read(path: Path) -> Recording:
    """Refuse: a table needs a `TableLayout`; see `read_table`."""
    raise ReadError(
        f"{path.name} is a table of numbers; it does not say for certain which rate, unit and "
        "leads they have.",
        hint="State rate, unit, orientation and lead names, or export the ECG in another format.",
        code="layout_needed",
    )


def read_table(path: Path, layout: TableLayout) -> Recording:
    """Read a table as its layout says.

    Parameters
    ----------
    path
        A CSV, TXT, NPY or MAT file.
    layout
        Rate, unit, orientation and lead names; nothing of it is guessed.

    Raises
    ------
    ReadError
        If the file is no table, or does not fit the layout.
    """
    path = Path(path)
    factor = mv_per_unit(layout.unit)
    if factor is None:
        _refuse(path, f"'{plain(layout.unit, 10)}' is not a unit of voltage", "unknown_unit")
    kept = [number for number, name in enumerate(layout.lead_names) if name.strip()]
    try:
        values = _values(path, layout, kept)
    except EchoingError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error
    check_shape(path, values.shape[0], values.shape[1], layout.fs)
    return complete(
        Stored(
            signal_mv=(values.astype(np.float64) * factor).astype(np.float32),
            fs=layout.fs,
            lead_names=[layout.lead_names[number] for number in kept],
            report=ImportReport(
                format_name=_kind(path),
                rate_source="as stated by the user",
                gain=f"numbers are {layout.unit}",
                gain_source="as stated by the user",
                unit=layout.unit,
                integrity=NO_CHECKSUM,
            ),
        ),
        [path],
        path,
    )


def propose_layout(path: Path) -> TableProposal:
    """Say what a table suggests about rate, unit, orientation and leads; see `TableProposal`.

    Raises
    ------
    ReadError
        If the file is no table.
    """
    path = Path(path)
    try:
        checked_size(path, MAX_BYTES)
        return _propose_text(path) if _kind(path) == "text table" else _propose_array(path)
    except EchoingError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ReadError:
    """Tell in words what numpy or the disk has to say; numpy leaks many kinds."""
    if isinstance(error, OSError) and error.strerror:
        return ReadError(
            f"The file {path.name} cannot be opened: {error.strerror}.",
            hint="Check that the drive is connected and that you may read the file.",
            code="not_readable",
        )
    why = plain(error, 200).rstrip(".") or "it is damaged"
    return ReadError(
        f"{path.name} cannot be read as a table: {why}.",
        hint="Check what was stated about the table.",
        code="damaged",
    )


def _refuse(path: Path, why: str, code: str) -> NoReturn:
    raise ReadError(
        f"{path.name} cannot be read as a table: {why}.",
        hint="Check what was stated about the table.",
        code=code,
    )


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_NPY):
        return "NPY"
    if head.startswith(_MATLAB) or path.suffix.lower() == ".mat":
        return "MAT"
    return "text table"


def _values(path: Path, layout: TableLayout, kept: Sequence[int]) -> NDArray[Any]:
    """Kept leads x samples, in the unit of the table."""
    checked_size(path, MAX_BYTES)
    kind = _kind(path)
    if kind != "text table":
        table = _array(path, kind, layout.variable)
    else:
        table = _text_table(path, layout, kept)
    by_lead = table.T if layout.leads_in == "columns" else table
    if len(by_lead) != len(layout.lead_names):
        _refuse(
            path,
            f"it has {len(by_lead)} {layout.leads_in}, and {len(layout.lead_names)} are named",
            "size_mismatch",
        )
    return by_lead[list(kept)]


def _array(path: Path, kind: str, variable: str) -> NDArray[Any]:
    if kind == "NPY":
        table: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    else:
        matrices = read_mat(path)
        if variable not in matrices:
            _refuse(path, f"it holds no matrix '{plain(variable, 40)}'", "no_signal")
        table = matrices[variable]
    if table.dtype.kind not in "fiu" or table.ndim != 2:
        _refuse(path, "it is not a table of numbers with rows and columns", "no_signal")
    return table


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _lines(path: Path) -> list[str]:
    lines = _text(path).splitlines()
    if max(map(len, lines), default=0) > MAX_LINE:
        raise ValueError("it has a line that is too long for a table of an ECG")
    return lines


def _text_table(path: Path, layout: TableLayout, kept: Sequence[int]) -> NDArray[np.float64]:
    lines = [line for line in _lines(path)[layout.skip_rows :] if line.strip()]
    if layout.decimal_comma:
        if layout.delimiter == ",":
            _refuse(path, "a comma cannot both divide cells and mark decimals", "bad_layout")
        lines = [line.replace(",", ".") for line in lines]
    delimiter = None if layout.delimiter == " " else layout.delimiter
    widths = {len(line.split(delimiter)) for line in lines}
    if len(widths) != 1:
        _refuse(path, "its lines differ in the number of cells", "size_mismatch")
    width = widths.pop()
    columns = range(width)
    if layout.leads_in == "columns":
        # Columns left out may hold times, words or nothing.
        columns = [number for number in kept if number < width]
    numbers = np.loadtxt(
        lines, delimiter=delimiter, ndmin=2, quotechar='"', comments=None, usecols=columns
    )
    if layout.leads_in == "rows":
        return numbers
    table = np.full((len(lines), width), np.nan)
    table[:, columns] = numbers
    return table


def _propose_text(path: Path) -> TableProposal:
    lines = _lines(path)
    first, delimiter, comma = _first_numbers(lines)
    if first is None:
        raise ValueError("it holds no lines of numbers")
    body = [line for line in lines[first:] if line.strip()]
    split = None if delimiter == " " else delimiter
    width = len(body[0].split(split))
    above = "\n".join(lines[:first])[:MAX_ABOVE]
    titles: list[str] = []
    for line in reversed(lines[:first]):
        cells = [cell.strip().strip('"') for cell in line.lstrip("#% ").split(split)]
        if len(cells) == width:
            titles = cells
            break
    in_rows = width > len(body) and not titles
    names, reason = _names(titles, len(body) if in_rows else width)
    fs, fs_reason = _rate_in_words(above)
    if fs is None and titles and _TIME.match(titles[0]):
        fs, fs_reason = _rate_of_times(titles[0], [line.split(split)[0] for line in body[:200]])
    n_samples = width if in_rows else len(body)
    if fs is None:
        fs, fs_reason = _rate_by_length(n_samples)
    unit = _UNIT.search(above)
    sample = np.genfromtxt(
        io.StringIO("\n".join(line.replace(",", ".") if comma else line for line in body[:2000])),
        delimiter=split,
        invalid_raise=False,
    )
    return TableProposal(
        fs=fs,
        fs_reason=fs_reason,
        unit=unit[1] if unit else _unit_by_size(sample)[0],
        unit_reason="written in the file" if unit else _unit_by_size(sample)[1],
        lead_names=names,
        leads_reason=reason,
        leads_in="rows" if in_rows else "columns",
        n_leads=len(body) if in_rows else width,
        n_samples=n_samples,
        preview=tuple(plain(line, 200) for line in lines[:PREVIEW_ROWS]),
        skip_rows=first,
        delimiter=delimiter,
        decimal_comma=comma,
    )


def _first_numbers(lines: Sequence[str]) -> tuple[int | None, str, bool]:
    """First of three lines of numbers with equally many cells, the delimiter, decimal comma."""
    for delimiter, comma in ((";", True), ("\t", True), (",", False), (";", False), ("\t", False)):
        found = _run_of_numbers(lines, delimiter, comma)
        if found is not None:
            return found, delimiter, comma
    return _run_of_numbers(lines, None, False), " ", False


def _run_of_numbers(lines: Sequence[str], delimiter: str | None, comma: bool) -> int | None:
    pattern = _DECIMAL_COMMA if comma else _NUMBER
    previous, run = 0, 0
    for number, line in enumerate(lines[:1000]):
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        matching = sum(bool(pattern.fullmatch(cell)) for cell in cells)
        fits = (
            matching >= 2 and matching >= len(cells) / 2 and len(cells) == (previous or len(cells))
        )
        run = run + 1 if fits else 0
        previous = len(cells) if fits else 0
        if run == 3:
            return number - 2
    return None


def _names(titles: Sequence[str], n_leads: int) -> tuple[tuple[str, ...], str]:
    named = [canonical_lead_name(re.sub(r"[\[(].*", "", title)) for title in titles]
    if any(name in STANDARD_LEADS for name in named):
        kept = tuple(
            "" if _TIME.match(title) else name for title, name in zip(titles, named, strict=True)
        )
        return kept, "written in the file"
    if n_leads == len(STANDARD_LEADS):
        return STANDARD_LEADS, "twelve leads, in the usual order: check it"
    return ("",) * n_leads, ""


def _rate_in_words(text: str) -> tuple[float | None, str]:
    match = _RATE.search(text)
    return (float(match[1]), "written in the file") if match else (None, "")


def _rate_of_times(title: str, cells: Sequence[str]) -> tuple[float | None, str]:
    unit = _TIME_UNIT.search(title)
    times = [float(cell) for cell in cells if _NUMBER.fullmatch(cell.strip())]
    steps = [after - before for before, after in pairwise(times)]
    step = float(np.median(steps)) if steps else 0.0
    if not unit or not step > 0:
        return None, ""
    per_second = 1000.0 if unit[1].lower() == "ms" else 1.0
    return round(per_second / step, 3), f"from the column '{plain(title, 30)}'"


def _rate_by_length(n_samples: int) -> tuple[float | None, str]:
    for fs in (500.0, 1000.0, 250.0, 100.0):
        if n_samples == 10 * fs:
            return fs, "ten seconds, by the number of samples: check it"
    return None, ""


def _unit_by_size(values: NDArray[Any]) -> tuple[str | None, str]:
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    if finite.size == 0:
        return None, ""
    large = float(np.percentile(finite, 99.0))
    if 0.1 <= large <= 10.0:
        return "mV", "by the size of the numbers: check it"
    if 100.0 <= large <= 10_000.0:
        return "uV", "by the size of the numbers: check it"
    return None, ""


def _propose_array(path: Path) -> TableProposal:
    kind, variable = _kind(path), ""
    fs, fs_reason = None, ""
    if kind == "MAT":
        matrices = read_mat(path)
        for name, value in matrices.items():
            if value.size == 1 and _RATE_VARIABLE.fullmatch(name):
                fs, fs_reason = float(value.ravel()[0]), f"from the variable '{name}'"
        tables = {name: value for name, value in matrices.items() if value.ndim == 2}
        variable = max(tables, key=lambda name: tables[name].size, default="")
    table = _array(path, kind, variable)
    in_rows = table.shape[0] < table.shape[1]
    n_leads, n_samples = table.shape if in_rows else table.shape[::-1]
    if fs is None:
        fs, fs_reason = _rate_by_length(n_samples)
    names, reason = _names((), n_leads)
    unit, unit_reason = _unit_by_size(table[:2000, :2000])
    return TableProposal(
        fs=fs,
        fs_reason=fs_reason,
        unit=unit,
        unit_reason=unit_reason,
        lead_names=names,
        leads_reason=reason,
        leads_in="rows" if in_rows else "columns",
        n_leads=n_leads,
        n_samples=n_samples,
        preview=tuple(
            "  ".join(f"{value:.4g}" for value in row[:12]) for row in table[:PREVIEW_ROWS]
        ),
        variable=variable,
    )
