"""Any folder of ECG files with a table that says which file is whose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from model_core.errors import EchoingError
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, build_listing, cap_age
from training.ingest.splits import SPLITS
from training.ingest.tables import Fault, bad_cell, is_blank, numbers, read_table, times
from training.ingest.waveform import Waveform, read_waveform

NAME: str = "folder"
MAX_FS: float = 500.0

_TEXTS = {"study_id": "study", "report": "report"}


def list_records(config: IngestConfig) -> Listing:
    """List every row of the table."""
    named = config.columns
    if named is None:
        raise EchoingError("The source 'folder' needs the columns of its table.", code="bad_config")
    path = config.root / named.table
    used = [named.study, named.time, named.split, named.age, named.sex, named.report]
    table = read_table(
        path,
        (named.path, named.patient, *filter(None, used), *named.labels),
        delimiter=named.delimiter,
        encoding=named.encoding,
    )
    faults = list(table.faults)
    columns: dict[str, Any] = {
        "record_id": table.columns[named.path],
        "patient_id": table.columns[named.patient],
        "path": table.columns[named.path],
    }
    for key, field in _TEXTS.items():
        if name := getattr(named, field):
            columns[key] = table.columns[name]
    if named.time:
        columns["recorded_at"], bad = times(table, named.time)
        faults += [Fault(f.row, "recorded_at", f.code, f.message) for f in bad]
    for name, key in ((named.age, "age_y"), *((label, f"label_{label}") for label in named.labels)):
        if name:
            columns[key], bad = numbers(table, name, label=key, decimal_comma=named.decimal_comma)
            faults += bad
    if named.age:
        columns["age_y"] = cap_age(columns["age_y"])
    if named.sex:
        columns["sex"], bad = _words(table, named.sex, ("female", "male"), "sex")
        faults += bad
    if named.split:
        columns["split"], bad = _words(table, named.split, SPLITS, "")
        faults += bad
    return build_listing(columns, faults, (path,), config.split_seed)


def load(config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
    """Read one file."""
    return read_waveform(config.root / row["path"], config.lead_names, 0.0, config.duration_s)


def _words(
    table: Any,  # noqa: ANN401
    column: str,
    known: tuple[str, ...],
    label: str,
) -> tuple[pa.Array, list[Fault]]:
    """Words of a column; others are faults: of the record if `label` is empty."""
    texts = table.columns[column].to_pylist()
    values = np.array([text.lower() if text.lower() in known else None for text in texts], object)
    why = f"is not one of {', '.join(known)}"
    faults = [
        Fault(row, label, "bad_cell", bad_cell(table, row, column, why).message)
        for row, text in enumerate(texts)
        if values[row] is None and not (label and is_blank(text))
    ]
    return pa.array(values, pa.string()), faults
