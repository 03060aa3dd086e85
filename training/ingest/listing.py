"""What an adapter makes of a data set's tables: one row for each recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.ingest.splits import split_by_patient
from training.ingest.tables import Fault, compute

# Columns of every listing; `ecg_...` (numbers that the recorder measured) and `label_...` (numbers
# to learn, NaN in the adapter and null here where not measured) follow.
FIELDS: dict[str, pa.DataType] = {
    "record_id": pa.string(),
    "patient_id": pa.string(),
    "study_id": pa.string(),
    "recorded_at": pa.timestamp("ms"),
    "path": pa.string(),
    "array_row": pa.int64(),
    "start_s": pa.float64(),
    "split": pa.string(),
    "age_y": pa.float64(),
    "sex": pa.string(),
    "report": pa.string(),
    "statements": pa.list_(pa.string()),
}
REJECTED_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("record_id", "patient_id", "path", "column", "code", "message")
    ]
)
# Beyond these a label is a slip of the pen: physically possible, not merely plausible.
LABEL_RANGES = {
    "label_lvef_pct": (1.0, 99.0),
    "label_lvedv_ml": (5.0, 1500.0),
    "label_lvesv_ml": (1.0, 1400.0),
}
# Ages of 90 and more are not published as such; 90 stands for all of them.
AGE_CAP_Y = 90.0


@dataclass(frozen=True, slots=True)
class Listing:
    """Recordings of a data set.

    Attributes
    ----------
    records
        `FIELDS`, then ``ecg_...`` and ``label_...``.
    rejected
        `REJECTED_SCHEMA`; an empty `column` means that the whole record was left out.
    tables
        The files that it was made from.
    """

    records: pa.Table
    rejected: pa.Table
    tables: tuple[Path, ...]


def build_listing(
    columns: Mapping[str, Any],
    faults: Sequence[Fault],
    tables: Sequence[Path],
    split_seed: int,
) -> Listing:
    """Check what an adapter found, leave out what cannot be used, and say why.

    Parameters
    ----------
    columns
        By name, all of one length; ``record_id``, ``patient_id`` and ``path`` are needed. Without
        ``split`` the split is by patient.
    faults
        Found while reading the tables; rows as in `columns`.
    tables
        Files read.
    split_seed
        Of the split by patient.
    """
    n = len(columns["record_id"])
    names = [*FIELDS, *sorted(name for name in columns if name.startswith(("ecg_", "label_")))]
    data: dict[str, pa.Array] = {}
    for name in names:
        kind = FIELDS.get(name, pa.float64())
        values = columns.get(name)
        if values is None:
            data[name] = pa.nulls(n, kind)
        elif isinstance(values, np.ndarray):
            data[name] = pa.array(values, kind, from_pandas=True)
        else:
            data[name] = values.cast(kind)
    faults = [*faults, *_nameless(data), *_listed_twice(data["record_id"])]
    implausible = _label_faults(data)
    faults += implausible
    for name in {fault.column for fault in implausible}:
        mask = np.zeros(n, bool)
        mask[[fault.row for fault in implausible if fault.column == name]] = True
        data[name] = compute.if_else(pa.array(mask), pa.scalar(None, pa.float64()), data[name])

    if columns.get("split") is None:
        data["split"] = split_by_patient(data["patient_id"].fill_null(""), split_seed)
    records = pa.table(data)
    keep = np.ones(n, bool)
    keep[[fault.row for fault in faults if not fault.column and fault.row >= 0]] = False
    return Listing(
        records=records.filter(pa.array(keep)).combine_chunks(),
        rejected=rejected_table(records, faults),
        tables=tuple(tables),
    )


def rejected_table(records: pa.Table, faults: Sequence[Fault]) -> pa.Table:
    """Faults with the identifiers of the records that they belong to."""
    rows = pa.array([fault.row if fault.row >= 0 else None for fault in faults], pa.int64())
    named = {name: records[name].take(rows) for name in ("record_id", "patient_id", "path")}
    said = {
        name: pa.array([getattr(fault, name) for fault in faults], pa.string())
        for name in ("column", "code", "message")
    }
    return pa.table({**named, **said}, schema=REJECTED_SCHEMA)


def cap_age(age_y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ages with 90 for everything above; the data sets use 300, 91 or >89 for that."""
    return np.minimum(age_y, AGE_CAP_Y)


def sexes(values: NDArray[np.float64], female: float, male: float) -> pa.Array:
    """Words for codes; null for any other."""
    named = np.full(len(values), None, object)
    named[values == female], named[values == male] = "female", "male"
    return pa.array(named, pa.string())


def _nameless(data: Mapping[str, pa.Array]) -> list[Fault]:
    return [
        Fault(int(row), "", "missing_name", f"Record {int(row) + 1} of the list has no {what}.")
        for name, what in (("record_id", "name"), ("patient_id", "patient"), ("path", "file"))
        for row in np.flatnonzero(np.asarray(compute.equal(data[name].fill_null(""), "")))
    ]


def _listed_twice(record_ids: pa.Array) -> list[Fault]:
    codes = np.asarray(record_ids.fill_null("").dictionary_encode().indices)
    again = np.ones(len(codes), bool)
    again[np.unique(codes, return_index=True)[1]] = False
    return [
        Fault(int(row), "", "listed_twice", f"Record {record_ids[int(row)]} is listed before.")
        for row in np.flatnonzero(again)
        if record_ids[int(row)].as_py()
    ]


def _label_faults(data: Mapping[str, pa.Array]) -> list[Fault]:
    """Labels that cannot be true: out of range, or an end-systolic volume above the diastolic."""
    faults: list[Fault] = []
    for name, (low, high) in LABEL_RANGES.items():
        if name in data:
            values = data[name].to_numpy(zero_copy_only=False)
            for row in np.flatnonzero((values < low) | (values > high)):
                message = f"Label {name} is {values[row]:g}, outside {low:g} to {high:g}."
                faults.append(Fault(int(row), name, "implausible_label", message))
    volumes = ("label_lvedv_ml", "label_lvesv_ml")
    if all(name in data for name in volumes):
        edv, esv = (data[name].to_numpy(zero_copy_only=False) for name in volumes)
        for row in np.flatnonzero(esv >= edv):
            message = f"LVESV is {esv[row]:g} ml, not below the LVEDV of {edv[row]:g} ml."
            faults += [Fault(int(row), name, "implausible_label", message) for name in volumes]
    return faults
