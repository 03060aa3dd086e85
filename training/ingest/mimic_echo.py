"""MIMIC-IV-ECHO (PhysioNet, credentialed): which echoes there are, and what was measured in them.

``echo-study-list.csv`` and ``echo-record-list.csv`` of all versions; ``structured-measurement``,
one row a measurement with its result as text, since version 1.0; and the volumes traced by experts
in MIMIC-IV-Echo-Ext-LVVOL-A4C (``FileList.csv``).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.ingest.listing import LABEL_RANGES
from training.ingest.shards import file_sha256, json_text, write_table, write_text
from training.ingest.tables import (
    Fault,
    TextTable,
    compute,
    is_blank,
    iter_table,
    numbers,
    read_table,
    times,
)

ECHO_FIELDS: dict[str, pa.DataType] = {
    "echo_id": pa.string(),
    "patient_id": pa.string(),
    "measured_at": pa.timestamp("ms"),
}
_REJECTED = ("echo_id", "column", "code", "message")
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_UNIT = r"([%a-zA-Z][%a-zA-Z0-9/.]*)?"
_SINGLE = re.compile(rf"(<=|>=|[<>≤≥])?\s*(-?{_NUMBER})\s*{_UNIT}", re.ASCII)
_RANGE = re.compile(rf"({_NUMBER})\s*{_UNIT}\s*(?:-|–|to)\s*({_NUMBER})\s*{_UNIT}", re.ASCII)
_SIGNS = {None: "", "≤": "<=", "≥": ">="}
_MEASUREMENTS = ("structured-measurement.csv.gz", "structured-measurement.csv")
_VOLUMES = {"label_lvedv_ml": "LVEDV", "label_lvesv_ml": "LVESV", "label_lvef_pct": "LVEF"}


@dataclass(frozen=True, slots=True)
class EchoMeasure:
    """A measurement to take over.

    Attributes
    ----------
    name
        In the column ``measurement``.
    key
        Column to write, with prefix ``label_`` and unit.
    unit
        A row in another unit is rejected; a row without unit is taken to be in this one.
    """

    name: str
    key: str
    unit: str


# Names seen in descriptions of version 1.0. Those of the LV volumes were not: `measurement_names`
# shows what a copy of the data holds, and `ingest_echo` takes further measures.
MEASURES = (
    EchoMeasure("lvef", "label_lvef_pct", "%"),
    EchoMeasure("lvedd", "label_lvedd_cm", "cm"),
    EchoMeasure("septal_thickness", "label_septal_thickness_cm", "cm"),
    EchoMeasure("inf_lat_thickness", "label_inferolateral_thickness_cm", "cm"),
    EchoMeasure("la_vol", "label_la_volume_ml", "ml"),
    EchoMeasure("tr_velocity", "label_tr_velocity_m_s", "m/s"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A result that was written as text.

    Attributes
    ----------
    value
        The number; the middle of a range; the bound of an open one.
    qualifier
        Empty, ``<``, ``<=``, ``>``, ``>=`` or ``range``.
    low, high
        What the true value lies between, as far as the text says.
    unit
        As in the text, often empty.
    """

    value: float
    qualifier: str
    low: float
    high: float
    unit: str = ""


def parse_result(text: str) -> Result | None:
    """Find the number in a result; None if it holds none.

    Examples
    --------
    >>> parse_result("72 %")
    Result(value=72.0, qualifier='', low=72.0, high=72.0, unit='%')
    >>> parse_result(">2.8").qualifier, parse_result("1.5-2.0").value, parse_result("Trivial")
    ('>', 1.75, None)
    """
    text = text.strip()
    if match := _SINGLE.fullmatch(text):
        value, sign = float(match[2]), _SIGNS.get(match[1], match[1] or "")
        low = -math.inf if sign.startswith("<") else value
        high = math.inf if sign.startswith(">") else value
        return Result(value, sign, low, high, match[3] or "")
    if match := _RANGE.fullmatch(text):
        low, high = float(match[1]), float(match[3])
        if low <= high and (not match[2] or match[2] == match[4]):
            return Result((low + high) / 2, "range", low, high, match[4] or "")
    return None


def ingest_echo(
    root: Path,
    out: Path,
    *,
    measures: Sequence[EchoMeasure] = MEASURES,
    test_types: Sequence[str] = ("tte",),
    volumes: Path | None = None,
) -> pa.Table:
    """Write ``echo.parquet``, a row for each echo, to be paired with ECGs.

    Parameters
    ----------
    root
        Folder of MIMIC-IV-ECHO.
    out
        Folder for ``echo.parquet``, ``echo_rejected.parquet`` and ``echo.json``.
    measures
        Taken from ``structured-measurement``, where that is there.
    test_types
        Of these kinds only: at rest through the chest, unless told otherwise.
    volumes
        Folder of MIMIC-IV-Echo-Ext-LVVOL-A4C; its values replace those of the same echo.

    Returns
    -------
    pa.Table
        `ECHO_FIELDS`; for each measure its value, and its ``qualifier_``, ``low_`` and ``high_``.

    Raises
    ------
    EchoingError
        If a table is missing or lacks a column.
    """
    faults: list[tuple[str, Fault]] = []
    tables = [root / "echo-study-list.csv"]
    studies = read_table(
        tables[0], ("subject_id", "study_id", "study_datetime"), ("measurement_id",)
    )
    faults += [("", fault) for fault in studies.faults]
    study_ids = studies.columns["study_id"].to_pylist()
    when, bad = times(studies, "study_datetime")
    faults += [(study_ids[fault.row], fault) for fault in bad]
    rows = _Rows()
    for study, patient, time in zip(
        study_ids, studies.columns["subject_id"].to_pylist(), when.to_pylist(), strict=True
    ):
        rows.add(study, patient, time)
    study_of = (
        dict(zip(studies.columns["measurement_id"].to_pylist(), study_ids, strict=True))
        if "measurement_id" in studies.columns
        else {}
    )
    for name in _MEASUREMENTS:
        if (root / name).is_file():
            tables.append(root / name)
            faults += _add_measurements(root / name, rows, study_of, measures, test_types)
            break
    if volumes is not None:
        tables.append(volumes / "FileList.csv")
        faults += _add_volumes(tables[-1], rows)
    table, implausible = rows.table()
    faults += implausible
    write_table(out / "echo.parquet", table)
    write_table(out / "echo_rejected.parquet", _rejected(faults))
    hashes = {path.name: file_sha256(path) for path in tables}
    write_text(out / "echo.json", json_text({"tables": hashes, "n_echoes": len(table)}))
    return table


def measurement_names(root: Path) -> Counter[str]:
    """How often each measurement occurs: to find the names in a copy of the data."""
    counts: Counter[str] = Counter()
    for name in _MEASUREMENTS:
        if (root / name).is_file():
            for part in iter_table(root / name, ("measurement",)):
                counts.update(part.columns["measurement"].to_pylist())
            return counts
    raise EchoingError(f"There is no {_MEASUREMENTS[0]} in {root}.", code="not_found")


def list_clips(root: Path) -> pa.Table:
    """List the DICOM files: ``echo_id``, ``patient_id``, ``measured_at``, ``path``."""
    table = read_table(
        root / "echo-record-list.csv",
        ("subject_id", "study_id", "acquisition_datetime", "dicom_filepath"),
    )
    when, _ = times(table, "acquisition_datetime")
    return pa.table(
        {
            "echo_id": table.columns["study_id"],
            "patient_id": table.columns["subject_id"],
            "measured_at": when,
            "path": table.columns["dicom_filepath"],
        }
    )


class _Rows:
    """Echoes by identifier, each with the results found so far."""

    def __init__(self) -> None:
        self._echoes: dict[str, tuple[str, Any]] = {}
        self._results: dict[str, dict[str, Result]] = {}

    def add(self, echo: str, patient: str, time: Any) -> None:  # noqa: ANN401 - datetime or None
        """Add an echo unless it is there."""
        self._echoes.setdefault(echo, (patient, time))

    def patient(self, echo: str) -> str | None:
        """Patient of an echo."""
        return self._echoes[echo][0] if echo in self._echoes else None

    def put(self, echo: str, key: str, result: Result, *, replace: bool = False) -> bool:
        """Keep a result; False if another one stands there already."""
        of_key = self._results.setdefault(key, {})
        if not replace and of_key.get(echo, result) != result:
            return False
        of_key[echo] = result
        return True

    def table(self) -> tuple[pa.Table, list[tuple[str, Fault]]]:
        """All echoes, sorted by patient, time and identifier."""
        order = sorted(
            self._echoes, key=lambda echo: (self._echoes[echo][0], str(self._echoes[echo][1]), echo)
        )
        patients, when = (
            zip(*(self._echoes[echo] for echo in order), strict=True) if order else ((), ())
        )
        columns: dict[str, Any] = {
            "echo_id": pa.array(order, ECHO_FIELDS["echo_id"]),
            "patient_id": pa.array(patients, ECHO_FIELDS["patient_id"]),
            "measured_at": pa.array(when, ECHO_FIELDS["measured_at"]),
        }
        faults: list[tuple[str, Fault]] = []
        for key, results in sorted(self._results.items()):
            low, high = LABEL_RANGES.get(key, (0.0, math.inf))
            kept: list[Result | None] = []
            for echo in order:
                result = results.get(echo)
                if result is not None and not low <= result.value <= high:
                    message = f"Echo {echo}: {key} is {result.value:g}, which cannot be."
                    faults.append((echo, Fault(-1, key, "implausible_label", message)))
                    result = None
                kept.append(result)
            name = key.removeprefix("label_")
            columns[key] = pa.array([r and r.value for r in kept], pa.float64())
            columns[f"qualifier_{name}"] = pa.array([r and r.qualifier for r in kept], pa.string())
            columns[f"low_{name}"] = pa.array([r and r.low for r in kept], pa.float64())
            columns[f"high_{name}"] = pa.array([r and r.high for r in kept], pa.float64())
        return pa.table(columns), faults


def _add_measurements(
    path: Path,
    rows: _Rows,
    study_of: dict[str, str],
    measures: Sequence[EchoMeasure],
    test_types: Sequence[str],
) -> list[tuple[str, Fault]]:
    """Read the long table part by part; it has some ten million rows."""
    faults: list[tuple[str, Fault]] = []
    by_name = {measure.name: measure for measure in measures}
    wanted, kinds = pa.array(list(by_name)), pa.array([kind.lower() for kind in test_types])
    columns = ("subject_id", "measurement_id", "measurement_datetime", "test_type", "measurement")
    for part in iter_table(path, (*columns, "result", "unit")):
        faults += [("", fault) for fault in part.faults]
        chosen = compute.and_(
            compute.is_in(part.columns["measurement"], value_set=wanted),
            compute.is_in(compute.utf8_lower(part.columns["test_type"]), value_set=kinds),
        )
        part = _filtered(part, np.asarray(chosen))
        when, bad = times(part, "measurement_datetime")
        text = {name: column.to_pylist() for name, column in part.columns.items()}
        faults += [(text["measurement_id"][fault.row], fault) for fault in bad]
        for row, (measurement, time) in enumerate(
            zip(text["measurement_id"], when.to_pylist(), strict=True)
        ):
            echo = study_of.get(measurement, f"m{measurement}")
            rows.add(echo, text["subject_id"][row], time)
            measure = by_name[text["measurement"][row]]
            why = _take(
                rows, echo, measure, text["subject_id"][row], text["result"][row], text["unit"][row]
            )
            if why:
                what = f"{measure.name} '{text['result'][row][:40]}'"
                message = f"{part.where(row, 'result')}: {what} {why}."
                faults.append((echo, Fault(row, measure.key, "bad_result", message)))
    return faults


def _take(rows: _Rows, echo: str, measure: EchoMeasure, patient: str, text: str, unit: str) -> str:
    """Keep one result, or say why not; blank ones and those not above zero are not measured."""
    if is_blank(text):
        return ""
    result = parse_result(text)
    if result is None:
        return "is not a number"
    if result.value <= 0:
        return ""
    for stated in (unit, result.unit):
        if stated and stated.lower() != measure.unit.lower():
            return f"is in {stated}, not {measure.unit}"
    if rows.patient(echo) != patient:
        return f"is of patient {patient}, the echo of {rows.patient(echo)}"
    if not rows.put(echo, measure.key, result):
        return "contradicts an earlier result of the same echo"
    return ""


def _add_volumes(path: Path, rows: _Rows) -> list[tuple[str, Fault]]:
    """Take expert volumes: of both planes where traced, else of the four-chamber view."""
    views = ("BP", "A4C")
    columns = [f"{name}_{view}" for name in _VOLUMES.values() for view in views]
    table = read_table(path, ("study_id", "patient_id"), columns)
    faults = [("", fault) for fault in table.faults]
    echoes, patients = (table.columns[name].to_pylist() for name in ("study_id", "patient_id"))
    for key, name in _VOLUMES.items():
        chosen: NDArray[np.float64] = np.full(table.n_rows, np.nan)
        for view in views:
            if f"{name}_{view}" in table.columns:
                values, bad = numbers(table, f"{name}_{view}", label=key)
                faults += [(echoes[fault.row], fault) for fault in bad]
                chosen = np.where(np.isnan(chosen), values, chosen)
        for row in np.flatnonzero(~np.isnan(chosen)):
            value = float(chosen[row])
            rows.add(echoes[row], patients[row], None)
            rows.put(echoes[row], key, Result(value, "", value, value), replace=True)
    return faults


def _filtered(part: TextTable, keep: NDArray[np.bool_]) -> TextTable:
    mask = pa.array(keep)
    return TextTable(
        name=part.name,
        columns={name: column.filter(mask) for name, column in part.columns.items()},
        row_numbers=part.row_numbers[keep],
    )


def _rejected(faults: Sequence[tuple[str, Fault]]) -> pa.Table:
    columns: dict[str, list[str]] = {
        "echo_id": [echo for echo, _ in faults],
        **{name: [getattr(fault, name) for _, fault in faults] for name in _REJECTED[1:]},
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
