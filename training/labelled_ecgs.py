"""Tables of ECGs whose patients had an echo: what a finished model is calibrated on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from model_core.errors import EchoingError
from model_core.measures import MEASURES


class LabelledEcgs(NamedTuple):
    """A table with columns ``path``, ``patient`` and measures; paths are below `root`."""

    table: Path
    root: Path


class LabelledRow(NamedTuple):
    """One row of the table; `values` holds the measures that are known, by key."""

    path: str
    patient: str
    values: dict[str, float]


def read_table(path: Path) -> list[LabelledRow]:
    """Read a table of labelled ECGs.

    Parameters
    ----------
    path
        CSV with a header: ``path``, ``patient`` and at least one of the measures.

    Raises
    ------
    EchoingError
        If it cannot be read, lacks a column, or holds a value that no heart has.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            rows = list(reader)
    except OSError as error:
        raise EchoingError(
            f"The table {path.name} cannot be read: {error.strerror or error}.",
            code="unreadable_table",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EchoingError(f"The table {path.name} is not CSV text.", code="bad_table") from error
    for needed in (("path",), ("patient",), tuple(MEASURES)):
        if not set(needed) & set(columns):
            raise EchoingError(
                f"The table {path.name} has no column {' or '.join(needed)}.", code="bad_table"
            )
    return [_labelled_row(row, number, path.name) for number, row in enumerate(rows, start=2)]


def _labelled_row(row: dict[str, str | None], number: int, table: str) -> LabelledRow:
    where = f"Line {number} of {table}"
    if not row["path"] or not row["patient"]:
        raise EchoingError(f"{where} names no path or no patient.", code="bad_table")
    values = {}
    for key, measure in MEASURES.items():
        text = (row.get(key) or "").strip()
        if not text:
            continue
        low, high = measure.plausible
        try:
            values[key] = float(text)
        except ValueError:
            raise EchoingError(
                f"{where}: {text!r} is no {measure.label}.", code="bad_table"
            ) from None
        if not low <= values[key] <= high:
            raise EchoingError(
                f"{where}: {measure.label} {text} is not between {low:g} and {high:g} "
                f"{measure.unit}.",
                code="bad_table",
            )
    return LabelledRow(row["path"], row["patient"], values)
