"""What is stated about a table of samples, and how it is written down in JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast

from model_core.errors import ReadError
from model_core.io._complete import mv_per_unit, plain
from model_core.wording import joined, say

# Between the cells of a line, and what each is called
DELIMITERS = {
    ",": say("comma"),
    ";": say("semicolon"),
    "\t": say("tab"),
    " ": say("blanks"),
    "|": say("bar"),
}
UNITS = ("nV", "uV", "mV", "V")
MAX_SKIPPED = 100_000


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
        Between the cells of a line, a key of `DELIMITERS`; a blank stands for any run of blanks.
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


def layout_to_dict(layout: TableLayout) -> dict[str, Any]:
    """Write a layout as JSON holds it: the attributes, with ``fs`` as ``fs_hz``."""
    values = dataclasses.asdict(layout)
    return {"fs_hz": values.pop("fs"), **values, "lead_names": list(layout.lead_names)}


def layout_from_dict(values: Mapping[str, Any]) -> TableLayout:
    """Take a layout from what JSON holds.

    Parameters
    ----------
    values
        ``fs_hz``, ``unit`` and ``lead_names``, and whichever further attribute of `TableLayout`
        differs from its default.

    Raises
    ------
    ReadError
        If an entry is missing, unknown or not of its kind.

    Examples
    --------
    >>> layout_from_dict({"fs_hz": 500, "unit": "uV", "lead_names": ["I", "II"]}).leads_in
    'columns'
    """
    known = {"fs_hz", *(field.name for field in dataclasses.fields(TableLayout))} - {"fs"}
    for key in sorted(values):
        if key not in known:
            _bad(say("'{key}' is no part of it", key=plain(key, 30)))
    for key in ("fs_hz", "unit", "lead_names"):
        if key not in values:
            _bad(say("it does not state '{key}'", key=key))
    fs, names = values["fs_hz"], values["lead_names"]
    if isinstance(fs, bool) or not isinstance(fs, int | float) or not 0 < fs < math.inf:
        _bad(say("'fs_hz' is no sampling rate in Hz"))
    if not isinstance(names, list) or not all(isinstance(n, str) for n in cast("list[Any]", names)):
        _bad(say("'lead_names' is no list of names"))
    unit, leads_in = values["unit"], values.get("leads_in", "columns")
    if not isinstance(unit, str) or mv_per_unit(unit) is None:
        _bad(say("'unit' is none of {units}", units=", ".join(UNITS)))
    if leads_in not in ("columns", "rows"):
        _bad(say("'leads_in' is neither 'columns' nor 'rows'"))
    skip_rows, comma = values.get("skip_rows", 0), values.get("decimal_comma", False)
    if isinstance(skip_rows, bool) or not isinstance(skip_rows, int):
        _bad(say("'skip_rows' is no number of lines"))
    if not 0 <= skip_rows <= MAX_SKIPPED or not isinstance(comma, bool):
        _bad(say("'skip_rows' or 'decimal_comma' is out of range"))
    delimiter, variable = values.get("delimiter", ","), values.get("variable", "")
    if not isinstance(delimiter, str) or delimiter not in DELIMITERS:
        _bad(
            say(
                "'delimiter' is none of {delimiters}, as a character",
                delimiters=joined(list(DELIMITERS.values()), ", "),
            )
        )
    if not isinstance(variable, str):
        _bad(say("'variable' is no name"))
    return TableLayout(
        fs=float(fs),
        unit=unit,
        lead_names=tuple(cast("list[str]", names)),
        leads_in=leads_in,
        skip_rows=skip_rows,
        delimiter=delimiter,
        decimal_comma=comma,
        variable=variable,
    )


def _bad(why: str) -> NoReturn:
    raise ReadError(
        say("The layout of the table cannot be used: {why}.", why=why),
        hint=say("docs/formats.md lists what a layout holds."),
        code="bad_layout",
    )
