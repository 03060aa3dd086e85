"""Options of ``echoing predict`` that state what a table of samples does not say by itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from model_core.errors import ReadError
from model_core.io import DELIMITERS, TableLayout, layout_from_dict


def add_table_options(predict: argparse.ArgumentParser) -> None:
    """Add the options that say what a table does not."""
    table = predict.add_argument_group(
        "tables", "What CSV, TXT, NPY and MAT files do not say: rate, unit and leads are needed."
    )
    table.add_argument(
        "--layout", type=Path, metavar="FILE", help="JSON file that states it (docs/formats.md)"
    )
    table.add_argument("--rate", type=float, metavar="HZ", dest="fs_hz", help="sampling rate")
    table.add_argument("--unit", help="unit of the numbers: nV, uV, mV or V")
    table.add_argument(
        "--leads",
        type=lambda text: [name.strip().removesuffix("-") for name in text.split(",")],
        metavar="NAMES",
        dest="lead_names",
        help="lead of each column or row, by commas; '-' or nothing leaves one out",
    )
    table.add_argument("--leads-in", choices=("columns", "rows"), help="default columns")
    table.add_argument("--skip-rows", type=int, metavar="N", help="lines above the numbers")
    table.add_argument("--delimiter", type=_delimiter, help="comma, semicolon, tab, blanks or bar")
    table.add_argument("--decimal-comma", action="store_true", default=None, help="0,5 is a half")
    table.add_argument("--variable", metavar="NAME", help="matrix of a MAT file")


def _delimiter(text: str) -> str:
    named: dict[str, str] = {name: mark for mark, name in DELIMITERS.items()}
    if named.get(text, text) not in DELIMITERS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(named)}")
    return named.get(text, text)


def stated_layout(options: argparse.Namespace) -> TableLayout | None:
    """Take what is stated about tables: entries of the layout file, over them the options.

    Raises
    ------
    ReadError
        If the file is no JSON, or an entry is missing or makes no sense.
    """
    values: dict[str, Any] = {}
    if options.layout is not None:
        try:
            values = json.loads(options.layout.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ReadError(
                f"The layout {options.layout.name} is no JSON file that can be read.",
                hint="docs/formats.md shows one.",
                code="bad_layout",
            ) from error
        if not isinstance(values, dict):
            raise ReadError(
                f"The layout {options.layout.name} is no JSON object.", code="bad_layout"
            )
    keys = ("fs_hz", "unit", "lead_names", "leads_in", "skip_rows", "delimiter", "decimal_comma")
    given = {key: getattr(options, key) for key in (*keys, "variable")}
    values |= {key: value for key, value in given.items() if value is not None}
    return layout_from_dict(values) if values else None
