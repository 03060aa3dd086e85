"""Reading the tables of data sets as text, and turning text into numbers and times strictly.

A table that cannot be used at all raises; a single bad cell becomes a `Fault` and costs only what
it stands for. Rows are counted from 1, the first row under the header.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
from numpy.typing import NDArray

from model_core.errors import EchoingError

# Its functions are made when it is imported: no type checker sees them.
compute = cast("Any", pyarrow.compute)

# Not "none": a valve without stenosis was looked at.
BLANK = frozenset({"", "na", "n/a", "nan", "null"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the data that cannot be used.

    Attributes
    ----------
    row
        Position in the listing that it belongs to, from 0; -1 if in none.
    column
        The column whose value is left out; empty if the whole record is.
    code
        Stable identifier.
    message
        One sentence that names file, row and column.
    """

    row: int
    column: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TextTable:
    """Columns of a table as text, blanks around the cells removed.

    Attributes
    ----------
    name
        File name, for messages.
    columns
        By name, each as long as the table.
    row_numbers
        Row in the file of each row here, from 1; rows with too many or few cells are absent.
    faults
        Those absent rows.
    """

    name: str
    columns: Mapping[str, pa.Array]
    row_numbers: NDArray[np.int64]
    faults: tuple[Fault, ...] = field(default=())

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.row_numbers)

    def where(self, row: int, column: str) -> str:
        """Place of a cell, as messages begin."""
        return f"{self.name}, row {self.row_numbers[row]}, column '{column}'"


def read_table(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> TextTable:
    """Read named columns of a delimited text file, plain or ``.gz``.

    Parameters
    ----------
    path
        The file.
    required, optional
        Column names; case matters, blanks around and doubled blanks do not. Of columns with the
        same name the first counts.
    delimiter, encoding
        Of the file.

    Raises
    ------
    EchoingError
        If the file is missing, not text in this encoding, or lacks a required column.
    """
    parts = list(iter_table(path, required, optional, delimiter=delimiter, encoding=encoding))
    return TextTable(
        name=path.name,
        columns={
            name: pa.concat_arrays([part.columns[name] for part in parts])
            for name in parts[0].columns
        },
        row_numbers=np.concatenate([part.row_numbers for part in parts]),
        faults=tuple(fault for part in parts for fault in part.faults),
    )


def iter_table(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Iterator[TextTable]:
    """Read like `read_table`, in parts of some thousand rows; at least one part."""
    header = _header(path, delimiter, encoding)
    present = {name: header.index(name) for name in (*required, *optional) if name in header}
    for name in required:
        if name not in present:
            raise EchoingError(
                f"{path.name} has no column '{name}'.",
                hint=f"Its columns are: {', '.join(filter(None, header))[:500]}.",
                code="missing_column",
            )
    skipped: list[tuple[int, int]] = []

    def skip(row: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        skipped.append((int(row.number) - 1, int(row.actual_columns)))
        return "skip"

    keys = [f"c{i}" for i in range(len(header))]
    options: dict[str, Any] = {
        "read_options": pyarrow.csv.ReadOptions(
            use_threads=False,  # only then the numbers of bad rows are known
            column_names=keys,
            skip_rows=1,
            encoding=encoding,
            block_size=1 << 24,
        ),
        "parse_options": pyarrow.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
        ),
        "convert_options": pyarrow.csv.ConvertOptions(
            include_columns=[keys[i] for i in present.values()],
            column_types=dict.fromkeys(keys, pa.string()),
            strings_can_be_null=False,
        ),
    }
    n_read, n_skipped = 0, 0
    empty = True
    try:
        with pyarrow.csv.open_csv(str(path), **options) as reader:
            for batch in reader:
                empty = False
                bad = skipped[n_skipped:]
                n_file_rows = batch.num_rows + len(bad)
                numbers = np.arange(n_read + 1, n_read + 1 + n_file_rows)
                numbers = numbers[~np.isin(numbers, [number for number, _ in bad])]
                yield TextTable(
                    name=path.name,
                    columns={
                        name: compute.utf8_trim_whitespace(batch.column(keys[i]))
                        for name, i in present.items()
                    },
                    row_numbers=numbers[: batch.num_rows],
                    faults=tuple(_ragged(path, *row, len(header)) for row in bad),
                )
                n_read += n_file_rows
                n_skipped += len(bad)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if "Empty CSV" not in str(error):
            raise EchoingError(
                f"{path.name} cannot be read as a table: {str(error).splitlines()[0]}.",
                hint=f"It must be text in {encoding} with '{delimiter}' between the cells.",
                code="bad_table",
            ) from error
    if empty:
        yield TextTable(
            name=path.name,
            columns={name: pa.array([], pa.string()) for name in present},
            row_numbers=np.empty(0, np.int64),
            faults=tuple(_ragged(path, *row, len(header)) for row in skipped),
        )


def _ragged(path: Path, number: int, n_cells: int, n_columns: int) -> Fault:
    message = f"{path.name}, row {number}: it has {n_cells} cells, the header has {n_columns}."
    return Fault(row=-1, column="", code="bad_row", message=message)


def _header(path: Path, delimiter: str, encoding: str) -> list[str]:
    """Column names, with blanks around them removed and doubled blanks made single."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with _open_text(path, encoding) as file:
            cells = next(csv.reader(file, delimiter=delimiter), [])
    except FileNotFoundError as error:
        raise EchoingError(
            f"The table {path.name} is not in {path.parent}.",
            hint="Give the folder that holds the data set in its official layout.",
            code="not_found",
        ) from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise EchoingError(
            f"The table {path.name} cannot be read: {error}.", code="bad_table"
        ) from error
    return [" ".join(cell.split()) for cell in cells]


def _open_text(path: Path, encoding: str) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def is_blank(text: str) -> bool:
    """Whether a cell says nothing."""
    return text.lower() in BLANK


def parse_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """Read the number in a cell: NaN for a blank one, None for text that is no finite number.

    Examples
    --------
    >>> parse_number("31,2", decimal_comma=True), parse_number("NA"), parse_number("1_000")
    (31.2, nan, None)
    """
    if is_blank(text):
        return math.nan
    if decimal_comma:
        text = text.replace(",", ".")
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def numbers(
    table: TextTable,
    column: str,
    *,
    label: str = "",
    decimal_comma: bool = False,
    missing: Collection[float] = (),
    missing_above: float = math.inf,
) -> tuple[NDArray[np.float64], list[Fault]]:
    """Column as numbers.

    Parameters
    ----------
    table, column
        What to read.
    label
        Name of the listing's column, for the faults; `column` if empty.
    decimal_comma
        Whether a comma divides whole from fraction.
    missing, missing_above
        Values that stand for "not measured".

    Returns
    -------
    values
        Float64; NaN where blank, not measured or bad.
    faults
        One for each bad cell; its row is the table's.
    """
    encoded = table.columns[column].dictionary_encode()
    parsed = [
        parse_number(text, decimal_comma=decimal_comma) for text in encoded.dictionary.to_pylist()
    ]
    unique = np.array([math.nan if value is None else value for value in parsed], np.float64)
    unique[np.isin(unique, list(missing)) | (unique > missing_above)] = np.nan
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    bad = np.array([value is None for value in parsed], bool)
    faults = [
        bad_cell(table, int(row), column, "is not a number", label=label)
        for row in np.flatnonzero(bad[codes] if len(parsed) else [])
    ]
    return (unique[codes] if len(parsed) else np.empty(0)), faults


def bad_cell(table: TextTable, row: int, column: str, why: str, *, label: str = "") -> Fault:
    """Fault of one cell, which quotes what stands there."""
    text = table.columns[column][row].as_py()
    return Fault(
        row=row,
        column=label or column,
        code="bad_cell",
        message=f"{table.where(row, column)}: '{text[:40]}' {why}.",
    )


def times(table: TextTable, column: str) -> tuple[pa.Array, list[Fault]]:
    """Column of dates and times (ISO 8601) as seconds; null where blank or bad."""
    text = table.columns[column]
    tidy = compute.replace_substring_regex(text, r"^(\d{4}-\d{2}-\d{2})T", r"\1 ")
    tidy = compute.replace_substring_regex(tidy, r"\.\d+$", "")
    tidy = compute.replace_substring_regex(tidy, r"^(\d{4}-\d{2}-\d{2})$", r"\1 00:00:00")
    parsed = compute.strptime(tidy, format=_TIME, unit="s", error_is_null=True)
    unread = np.flatnonzero(np.asarray(parsed.is_null()))
    faults = [
        bad_cell(table, int(row), column, "is not a date and time")
        for row in unread
        if not is_blank(text[int(row)].as_py())
    ]
    return parsed, faults
