"""MIMIC-IV-ECG 1.0 (PhysioNet): ``record_list.csv``, ``machine_measurements.csv``, ``files/``.

Sex and age are not in it; they are taken from ``patients.csv`` of MIMIC-IV's module ``hosp``, where
a copy of that lies in the folder or in its subfolder ``hosp``.

Its records name aVF before aVL, hold counts of 1/200 mV, and in 1.5 % of cases gaps or flat leads
(Gow et al., doi:10.13026/4nqg-sb35): leads are taken by name, gaps stay gaps, the quality column
tells. Dates are shifted by patient; only differences within a patient mean anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, build_listing, cap_age
from training.ingest.tables import Fault, TextTable, compute, numbers, read_table, times
from training.ingest.waveform import Waveform, read_waveform

NAME: str = "mimic-iv-ecg"
MAX_FS: float = 500.0

_REPORT_COLUMNS = tuple(f"report_{i}" for i in range(18))
_MEASURED = {
    "rr_interval": "ecg_rr_ms",
    "p_onset": "ecg_p_onset_ms",
    "p_end": "ecg_p_end_ms",
    "qrs_onset": "ecg_qrs_onset_ms",
    "qrs_end": "ecg_qrs_end_ms",
    "t_end": "ecg_t_end_ms",
    "p_axis": "ecg_p_axis_deg",
    "qrs_axis": "ecg_qrs_axis_deg",
    "t_axis": "ecg_t_axis_deg",
}
# What the cart writes where it could not measure.
_SENTINELS = (29999.0, 32767.0, -32768.0, 65535.0)
SEPARATOR = "; "
_SEXES = {"F": "female", "M": "male"}
_PATIENTS = ("patients.csv.gz", "patients.csv", "hosp/patients.csv.gz", "hosp/patients.csv")


def list_records(config: IngestConfig) -> Listing:
    """List every ECG, with the cart's report and measurements where that table is there."""
    path = config.root / "record_list.csv"
    table = read_table(path, ("subject_id", "study_id", "ecg_time", "path"))
    recorded_at, time_faults = times(table, "ecg_time")
    columns: dict[str, Any] = {
        "record_id": table.columns["study_id"],
        "study_id": table.columns["study_id"],
        "patient_id": table.columns["subject_id"],
        "recorded_at": recorded_at,
        "path": table.columns["path"],
    }
    faults = [
        *table.faults,
        *(Fault(fault.row, "recorded_at", fault.code, fault.message) for fault in time_faults),
    ]
    tables = [path]
    machine_path = config.root / "machine_measurements.csv"
    if machine_path.is_file():
        tables.append(machine_path)
        machine = read_table(machine_path, ("study_id", *_MEASURED), _REPORT_COLUMNS)
        faults += machine.faults
        row_of = _rows_by_study(machine, table.columns["study_id"])
        columns["report"] = _reports(machine).take(row_of)
        record_of = _first_positions(row_of, machine.n_rows)
        for name, key in _MEASURED.items():
            values, bad = numbers(machine, name, label=key, missing=_SENTINELS)
            columns[key] = pa.array(values, from_pandas=True).take(row_of)
            faults += [
                Fault(int(record_of[fault.row]), fault.column, fault.code, fault.message)
                for fault in bad
            ]
    for name in _PATIENTS:
        if (config.root / name).is_file():
            tables.append(config.root / name)
            found, bad = _sex_and_age(tables[-1], columns["patient_id"], recorded_at)
            columns |= found
            faults += bad
            break
    return build_listing(columns, faults, tables, config.split_seed)


def load(config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
    """Read one record."""
    return read_waveform(config.root / row["path"], STANDARD_LEADS, 0.0, config.duration_s)


def _reports(machine: TextTable) -> pa.Array:
    """Lines of the report in one text; a line may follow blank ones."""
    present = [machine.columns[name] for name in _REPORT_COLUMNS if name in machine.columns]
    if not present:
        return pa.array([""] * machine.n_rows, pa.string())
    lines = [
        compute.if_else(compute.equal(text, ""), pa.scalar(None, pa.string()), text)
        for text in present
    ]
    return compute.binary_join_element_wise(*lines, SEPARATOR, null_handling="skip")


def _rows_by_study(machine: TextTable, studies: pa.Array) -> pa.Array:
    """Row of the measurements for each study, null where there is none."""
    return compute.index_in(studies, value_set=machine.columns["study_id"])


def _first_positions(row_of: pa.Array, n_rows: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Record of each row of the measurements, -1 where there is none."""
    record_of = np.full(n_rows, -1, np.int64)
    rows = row_of.fill_null(-1).to_numpy(zero_copy_only=False)
    records = np.flatnonzero(rows >= 0)
    record_of[rows[records]] = records
    return record_of


def _sex_and_age(
    path: Path, patients: pa.Array, recorded_at: pa.Array
) -> tuple[dict[str, Any], list[Fault]]:
    """Sex, and age in the year of the ECG: MIMIC-IV states it for one year of each patient."""
    table = read_table(path, ("subject_id", "gender", "anchor_age", "anchor_year"))
    row_of = compute.index_in(patients, value_set=table.columns["subject_id"])
    faults = list(table.faults)

    def of_records(column: str) -> NDArray[np.float64]:
        values, bad = numbers(table, column, label="age_y")
        faults.extend(Fault(-1, fault.column, fault.code, fault.message) for fault in bad)
        return pa.array(values, from_pandas=True).take(row_of).to_numpy(zero_copy_only=False)

    year = compute.year(recorded_at).to_numpy(zero_copy_only=False)
    age_y = cap_age(of_records("anchor_age") + year - of_records("anchor_year"))
    letters = np.array([_SEXES.get(text) for text in table.columns["gender"].to_pylist()], object)
    sex = pa.array(letters, pa.string()).take(row_of)
    return {"age_y": np.where(age_y < 0, np.nan, age_y), "sex": sex}, faults
