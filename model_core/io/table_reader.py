"""Tables of samples: CSV, TXT, NPY and MAT. They say too little by themselves, so it is asked.

No rate, unit, orientation or lead name is ever guessed in reading: `read_table` takes them as a
`TableLayout`. `propose_layout` says what a file suggests, and why, for a person to confirm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError, ReadError
from model_core.io import _table_values as table_values
from model_core.io._complete import (
    NO_CHECKSUM,
    Stored,
    check_shape,
    checked_size,
    complete,
    mv_per_unit,
    plain,
)
from model_core.io._table_layout import TableLayout
from model_core.io._table_proposal import TableProposal, propose_layout
from model_core.io._table_values import refuse
from model_core.leads import canonical_lead_names
from model_core.types import ImportReport, Recording
from model_core.wording import say

__all__ = [
    "FORMAT_NAME",
    "SUFFIXES",
    "TableLayout",
    "TableProposal",
    "propose_layout",
    "read",
    "read_table",
    "recognises",
]

FORMAT_NAME: str = say("Table")
SUFFIXES: tuple[str, ...] = (".csv", ".tsv", ".txt", ".npy", ".mat")


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file is an array; a text is known by its name."""
    return head.startswith(table_values.MARKS)


def read(path: Path) -> Recording:
    """Refuse: a table needs a `TableLayout`; see `read_table`."""
    raise ReadError(
        say(
            "{file} is a table of numbers; it does not say for certain which rate, unit and "
            "leads they have.",
            file=path.name,
        ),
        hint=say(
            "State rate, unit, orientation and lead names, or export the ECG in another format."
        ),
        code="layout_needed",
    )


def read_table(path: Path, layout: TableLayout, first_s: float | None = None) -> Recording:
    """Read a table as its layout says.

    Parameters
    ----------
    path
        A CSV, TXT, NPY or MAT file.
    layout
        Rate, unit, orientation and lead names; nothing of it is guessed.
    first_s
        Only so many seconds from the start, for a preview; None for all.

    Raises
    ------
    ReadError
        If the file is no table, or does not fit the layout.
    """
    path = Path(path)
    factor = mv_per_unit(layout.unit)
    if factor is None:
        refuse(
            path,
            say("'{unit}' is not a unit of voltage", unit=plain(layout.unit, 10)),
            "unknown_unit",
        )
    kept = [number for number, name in enumerate(layout.lead_names) if name.strip()]
    names = canonical_lead_names([layout.lead_names[number] for number in kept])
    for name in names:
        if names.count(name) > 1:
            refuse(path, say("two leads are named {lead}", lead=plain(name, 20)), "ambiguous_leads")
    at_most = round(first_s * layout.fs) if first_s and np.isfinite(layout.fs) else None
    try:
        values = _values(path, layout, kept, at_most)
    except EchoingError:
        raise
    except Exception as error:
        raise table_values.unreadable(path, error) from error
    check_shape(path, values.shape[0], values.shape[1], layout.fs)
    return complete(
        Stored(
            signal_mv=(values.astype(np.float64) * factor).astype(np.float32),
            fs=layout.fs,
            lead_names=names,
            report=ImportReport(
                format_name=table_values.kind(path),
                rate_source=say("as stated by the user"),
                gain=say("numbers are {unit}", unit=layout.unit),
                gain_source=say("as stated by the user"),
                unit=layout.unit,
                integrity=NO_CHECKSUM,
            ),
        ),
        [path],
        path,
    )


def _values(
    path: Path, layout: TableLayout, kept: Sequence[int], at_most: int | None
) -> NDArray[Any]:
    """Kept leads x samples, in the unit of the table."""
    checked_size(path, table_values.MAX_BYTES)
    kind = table_values.kind(path)
    if kind != "text table":
        table = table_values.array(path, kind, layout.variable)
    else:
        table = _text_table(path, layout, kept, at_most)
    by_lead = table.T if layout.leads_in == "columns" else table
    n_named = len(layout.lead_names)
    if len(by_lead) != n_named:
        refuse(
            path,
            say("it has {n} columns, and {named} are named", n=len(by_lead), named=n_named)
            if layout.leads_in == "columns"
            else say("it has {n} rows, and {named} are named", n=len(by_lead), named=n_named),
            "size_mismatch",
        )
    return by_lead[list(kept), :at_most]


def _text_table(
    path: Path, layout: TableLayout, kept: Sequence[int], at_most: int | None
) -> NDArray[np.float64]:
    lines = [line for line in table_values.lines(path)[layout.skip_rows :] if line.strip()]
    if layout.leads_in == "columns":
        lines = lines[:at_most]
    if layout.decimal_comma:
        if layout.delimiter == ",":
            refuse(path, say("a comma cannot both divide cells and mark decimals"), "bad_layout")
        lines = [line.replace(",", ".") for line in lines]
    delimiter = None if layout.delimiter == " " else layout.delimiter
    widths = {len(line.split(delimiter)) for line in lines}
    if not widths:
        refuse(path, say("no line of numbers is left"), "no_signal")
    if len(widths) != 1:
        refuse(path, say("its lines differ in the number of cells"), "size_mismatch")
    width = widths.pop()
    columns = range(width)
    if layout.leads_in == "rows":
        columns = columns[bool(table_values.row_labels(lines, delimiter)) :]
    else:
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
