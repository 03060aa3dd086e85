"""What a table suggests about rate, unit, orientation and leads, each with its reason."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.io import _table_values as table_values
from model_core.io._complete import FS_RANGE_HZ, checked_size, mv_per_unit, plain
from model_core.io._mat import read_mat
from model_core.leads import STANDARD_LEADS, canonical_lead_name, is_known_lead
from model_core.wording import say

MAX_ABOVE = 5_000  # of the text above the numbers, searched for rate and unit
MAX_LINES = 1_000  # in which the numbers begin
PREVIEW_ROWS = 20

# In order; true where numbers may have a decimal comma
_DELIMITERS = (
    *((";", True), ("\t", True), ("|", True), (",", False), (";", False), ("\t", False)),
    ("|", False),
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?|nan", re.IGNORECASE)
_RATE = re.compile(
    r"(?<!\d)(?<!\d[.,])(\d+(?:[.,]\d+)?)\s*(?:hz|hertz|sps|samples/s)\b", re.IGNORECASE
)
# Lines that tell a filter in Hz, or a range of them
_FILTER = re.compile(
    r"filter|pass|notch|mains|bandwidth|cut-?off|\d\s*(?:hz)?\s*(?:[-–]|\bto\b)\s*\d",
    re.IGNORECASE,
)
_UNIT = re.compile(
    # Not a gain, as in 10 mm/mV
    r"[\[(]\s*([nuµμm]?v)\s*[\])]|(?<![^\W_])(?<!/)([nuµμm]v|(?:micro|milli)volts?)(?![^\W_])",
    re.IGNORECASE,
)
_UNITS = {1e-6: "nV", 1e-3: "uV", 1.0: "mV", 1e3: "V"}
_TIME = re.compile(
    r"(time|timestamp|date|t|index|samples?|#|seconds?|ms|zeit|datum|temps|tiempo|tempo)\b",
    re.IGNORECASE,
)
_TIME_UNIT = re.compile(r"[\[(]\s*(s|sec|seconds|ms)\s*[\])]", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RATE_VARIABLE = re.compile(r"fs|.*(rate|freq).*|hz", re.IGNORECASE)


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
    kind
        ``text table``, ``NPY`` or ``MAT``.
    variables
        Matrices of a MAT file by name, the largest first.
    fingerprint
        Same for files of the same make: a hash over the titles of the columns, or over the shape
        where there are none, and over rate and unit that the file itself states. Holds nothing of
        the content.
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
    kind: str
    fingerprint: str
    variables: tuple[str, ...] = ()
    skip_rows: int = 0
    delimiter: str = ","
    decimal_comma: bool = False
    variable: str = ""


def propose_layout(path: Path) -> TableProposal:
    """Say what a table suggests about rate, unit, orientation and leads; see `TableProposal`.

    Raises
    ------
    ReadError
        If the file is no table.
    """
    path = Path(path)
    try:
        checked_size(path, table_values.MAX_BYTES)
        return (
            _propose_text(path) if table_values.kind(path) == "text table" else _propose_array(path)
        )
    except EchoingError:
        raise
    except Exception as error:
        raise table_values.unreadable(path, error) from error


def _propose_text(path: Path) -> TableProposal:
    lines = table_values.lines(path)
    first, delimiter, comma = _first_numbers(lines)
    if first is None:
        table_values.refuse(path, say("it holds no lines of numbers"), "damaged")
    body = [line for line in lines[first:] if line.strip()]
    split = None if delimiter == " " else delimiter
    width = len(body[0].split(split))
    above = "\n".join(lines[:first])[:MAX_ABOVE]
    titles = _titles(lines[:first], split, width)
    in_rows = width > len(body) and not titles
    if in_rows:
        titles = table_values.row_labels(body, split)
    names, reason = _names(titles, len(body) if in_rows else width)
    if not in_rows and not any(names):
        names, reason = _names_without_titles(body[:200], split, above)
    fs, fs_reason = _rate_in_words(above)
    if fs is None and titles and not in_rows and _TIME.match(titles[0]):
        cells = [line.split(split)[0] for line in body[:200]]
        fs, fs_reason = _rate_of_times(titles[0], [c.replace(",", ".") for c in cells])
    n_samples = width - bool(titles) if in_rows else len(body)
    found = _UNIT.search(above)
    unit = _UNITS[mv_per_unit(found[1] or found[2]) or 1.0] if found else None
    # One export program may write files of several rates and units under the same titles.
    make = (*(titles or (width, len(body))), fs and round(fs), unit)
    if fs is None:
        fs, fs_reason = _rate_by_length(n_samples)
    part = (line.replace(",", ".") if comma else line for line in body[:2000])
    # Times and numbers of samples say nothing of the unit.
    voltages = [n for n, name in enumerate(names) if is_known_lead(name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lines with other numbers of cells
        sample = np.genfromtxt(
            io.StringIO("\n".join(part).replace('"', "")),
            delimiter=split,
            invalid_raise=False,
            usecols=voltages if voltages and not in_rows else None,
        )
    return TableProposal(
        fs=fs,
        fs_reason=fs_reason,
        unit=unit or _unit_by_size(sample)[0],
        unit_reason=say("written in the file") if unit else _unit_by_size(sample)[1],
        lead_names=names,
        leads_reason=reason,
        leads_in="rows" if in_rows else "columns",
        n_leads=len(body) if in_rows else width,
        n_samples=n_samples,
        preview=tuple(_UNPRINTABLE.sub("", line[:400]) for line in lines[:PREVIEW_ROWS]),
        kind=say("text table"),
        fingerprint=_fingerprint(delimiter, comma, *make),
        skip_rows=first,
        delimiter=delimiter,
        decimal_comma=comma,
    )


def _titles(above: Sequence[str], delimiter: str | None, width: int) -> list[str]:
    """Cells of the line above the numbers that names leads, else of the nearest as wide as they."""
    rows = [
        [cell.strip().strip('"') for cell in line.lstrip("#% ").split(delimiter)]
        for line in reversed(above)
    ]
    rows = [cells for cells in rows if len(cells) == width]
    naming = (cells for cells in rows if any(name in STANDARD_LEADS for name in _spelt(cells)))
    return next(naming, rows[0] if rows else [])


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _first_numbers(lines: Sequence[str]) -> tuple[int | None, str, bool]:
    """First of three lines of numbers with equally many cells, the delimiter, decimal comma."""
    for several in (True, False):
        for delimiter, comma in _DELIMITERS:
            found = _run_of_numbers(lines, delimiter, comma, several)
            if found is None:
                continue
            # Numbers may begin whole; a comma among them tells.
            body = lines[found:MAX_LINES] if comma else ()
            if not comma or any("," in cell for line in body for cell in line.split(delimiter)):
                return found, delimiter, comma
        found = _run_of_numbers(lines, None, False, several)
        if found is not None:
            return found, " ", False
    return None, " ", False


def _run_of_numbers(
    lines: Sequence[str], delimiter: str | None, comma: bool, several: bool
) -> int | None:
    """First of three lines of numbers, blank ones aside; of several in a line, or of one."""
    pattern = _COMMA_NUMBER if comma else _NUMBER
    first, previous, run = 0, 0, 0
    for number, line in enumerate(lines[:MAX_LINES]):
        if not line.strip():
            continue
        raw = [cell.strip() for cell in line.split(delimiter)]
        cells = [cell.strip('"') for cell in raw]
        matching = sum(bool(pattern.fullmatch(cell)) for cell in cells)
        fits = (
            (matching >= max(2, len(cells) / 2) if several else matching == len(cells) == 1)
            and len(cells) == (previous or len(cells))
            and not any(cell.count('"') % 2 for cell in raw)  # a delimiter within quotes is none
        )
        run = run + 1 if fits else 0
        first = number if run == 1 else first
        previous = len(cells) if fits else 0
        if run == 3:
            return first
    return None


def _names(titles: Sequence[str], n_leads: int) -> tuple[tuple[str, ...], str]:
    named = _spelt(titles)
    if any(name in STANDARD_LEADS for name in named):
        kept = tuple(
            "" if _TIME.match(title) else name for title, name in zip(titles, named, strict=True)
        )
        return kept, say("written in the file")
    if n_leads == len(STANDARD_LEADS):
        return STANDARD_LEADS, say("twelve leads, in the usual order: check it")
    return ("",) * n_leads, ""


def _names_without_titles(
    body: Sequence[str], delimiter: str | None, above: str
) -> tuple[tuple[str, ...], str]:
    """Names of columns: the usual twelve, where as many hold something, or one named above."""
    rows = [line.split(delimiter) for line in body]
    filled = [any(cell.strip() for cell in column) for column in zip(*rows, strict=False)]
    names, reason = _names((), sum(filled))
    if len(filled) == 1:
        cells = [cell for line in above.splitlines() for cell in re.split("[,;:\t]", line)]
        named = [name for name in _spelt(cells) if name in STANDARD_LEADS]
        names, reason = ((named[-1],), say("written in the file")) if named else (names, reason)
    kept = iter(names)
    return tuple(next(kept) if has else "" for has in filled), reason


def _spelt(titles: Sequence[str]) -> list[str]:
    """Spell titles of columns as leads, without the units behind them."""
    return [canonical_lead_name(re.sub(r"[\[(].*", "", title)) for title in titles]


def _rate_in_words(text: str) -> tuple[float | None, str]:
    """Take the only rate that is written; nothing where there are several."""
    lines = [line for line in text.splitlines() if not _FILTER.search(line)]
    stated = (match[1].replace(",", ".") for line in lines for match in _RATE.finditer(line))
    found = {fs for fs in map(float, stated) if FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]}
    return (found.pop(), say("written in the file")) if len(found) == 1 else (None, "")


def _rate_of_times(title: str, cells: Sequence[str]) -> tuple[float | None, str]:
    unit = _TIME_UNIT.search(title)
    cells = [cell for cell in cells if _NUMBER.fullmatch(cell.strip())]
    times = [float(cell) for cell in cells]
    steps = [after - before for before, after in pairwise(times)]
    step = float(np.median(steps)) if steps else 0.0
    column = say("from the column '{title}'", title=plain(title, 30))
    if step > 0 and unit:
        per_second = 1000.0 if unit[1].lower() == "ms" else 1.0
        return round(per_second / step, 3), column
    if 0 < step < 0.02 and title.lower().startswith("t"):
        return round(1.0 / step, 3), say("{column}, taken for seconds: check it", column=column)
    return None, ""


def _rate_by_length(n_samples: int) -> tuple[float | None, str]:
    for fs in (500.0, 1000.0, 250.0, 100.0):
        if n_samples == 10 * fs:
            return fs, say("ten seconds, by the number of samples: check it")
    return None, ""


def _unit_by_size(values: NDArray[Any]) -> tuple[str | None, str]:
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    if finite.size == 0:
        return None, ""
    large = float(np.percentile(finite, 99.0))
    if 0.1 <= large <= 10.0:
        return "mV", say("by the size of the numbers: check it")
    if 100.0 <= large <= 10_000.0:
        return "uV", say("by the size of the numbers: check it")
    return None, ""


def _propose_array(path: Path) -> TableProposal:
    kind, variable = table_values.kind(path), ""
    fs, fs_reason = None, ""
    variables: list[str] = []
    if kind == "MAT":
        matrices = read_mat(path)
        for name, value in matrices.items():
            last = name.rpartition(".")[2]
            if value.size == 1 and _RATE_VARIABLE.fullmatch(last):
                fs, fs_reason = (
                    float(value.ravel()[0]),
                    say("from the variable '{name}'", name=name),
                )
        tables = {name: value for name, value in matrices.items() if value.size > 1}
        variables = sorted(tables, key=lambda name: tables[name].size, reverse=True)
        variable = variables[0] if variables else ""
    table = table_values.array(path, kind, variable)
    in_rows = table.shape[0] < table.shape[1]
    n_leads, n_samples = table.shape if in_rows else table.shape[::-1]
    make = (kind, table.dtype.str, variable, *table.shape, fs)
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
            " ".join(f"{value:.4g}" for value in row[:12]) for row in table[:PREVIEW_ROWS]
        ),
        kind=kind,
        fingerprint=_fingerprint(*make),
        variables=tuple(variables),
        delimiter=" ",
        variable=variable,
    )
