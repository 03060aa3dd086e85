"""MUSIC 1.0.1 (PhysioNet): ``subject-info.csv``, ``High-resolution_ECG/``, ``Holter_ECG/``.

Only the orthogonal leads X, Y, Z were recorded: the twelve leads are computed from them. Each
recording begins with a calibration pattern, so reading starts at second 30.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.dower import LEAD_VECTORS
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, build_listing, cap_age, sexes
from training.ingest.tables import Fault, TextTable, bad_cell, numbers, parse_number, read_table
from training.ingest.waveform import Waveform, quantise, read_mv

NAME: str = "music"
MAX_FS: float = 1000.0
START_S = 30.0

_RECORD = re.compile(r"(Holter_ECG|High-resolution_ECG)/(P\d+)(?:_H)?")
_GENDER = "Gender (male=1)"
# The recorder's QRS duration and the like are of the high-resolution ECG. 999 stands for none.
_RECORDER = {
    "PR interval (ms)": "ecg_pr_ms",
    "QRS duration (ms)": "ecg_qrs_ms",
    "QT interval (ms)": "ecg_qt_ms",
}
_NOT_MEASURED = (999.0,)
_LABELS = {
    "LVEF (%)": "label_lvef_pct",
    "Left ventricle end-diastolic diameter (mm)": "label_lvedd_mm",
    "Left ventricle end-systolic diameter (mm)": "label_lvesd_mm",
    "Left atrial size (mm)": "label_la_size_mm",
    "Septal thickness (mm)": "label_septal_thickness_mm",
    "Left ventricular posterior wall thickness (mm)": "label_posterior_wall_thickness_mm",
    "Left ventricular hypertrophy (yes=1)": "label_lvh",
    "Mitral valve insufficiency": "label_mitral_insufficiency_grade",
}


def list_records(config: IngestConfig) -> Listing:
    """List every recording named in ``RECORDS``, with its patient's row of the table."""
    path = config.root / "subject-info.csv"
    table = read_table(
        path,
        ("Patient ID", "Age", _GENDER, "LVEF (%)"),
        (*_RECORDER, *_LABELS),
        delimiter=";",
        encoding="latin-1",
    )
    # A list with one column is a table whose header is its first record.
    records_path = config.root / "RECORDS"
    lines = records_path.read_text(encoding="utf-8").split() if records_path.is_file() else []
    found = [match for line in lines if (match := _RECORD.fullmatch(line))]
    row_of_patient = {
        patient: row for row, patient in enumerate(table.columns["Patient ID"].to_pylist())
    }
    rows = np.array([row_of_patient.get(match[2], -1) for match in found], np.int64)

    values: dict[str, NDArray[np.float64]] = {}
    table_faults: list[Fault] = []
    values["age_y"], bad = _ages(table)
    table_faults += bad
    values["sex"], bad = numbers(table, _GENDER, label="sex", decimal_comma=True)
    table_faults += bad
    for mapping, missing in ((_RECORDER, _NOT_MEASURED), (_LABELS, ())):
        for column, key in mapping.items():
            if column in table.columns:
                values[key], bad = numbers(
                    table, column, label=key, decimal_comma=True, missing=missing
                )
                table_faults += bad
    padded = {key: np.append(column, np.nan)[rows] for key, column in values.items()}
    columns: dict[str, Any] = {
        "record_id": pa.array([match[0] for match in found], pa.string()),
        "patient_id": pa.array([match[2] for match in found], pa.string()),
        "study_id": pa.array([match[1] for match in found], pa.string()),
        "path": pa.array([match[0] for match in found], pa.string()),
        "start_s": np.full(len(found), START_S),
        **padded,
        "sex": sexes(padded["sex"], female=0, male=1),
    }
    faults = [
        *table.faults,
        *(
            Fault(int(record), fault.column, fault.code, fault.message)
            for fault in table_faults
            for record in np.flatnonzero(rows == fault.row)
        ),
        *(
            Fault(int(record), "", "no_patient", f"{path.name} has no row for {found[record][2]}.")
            for record in np.flatnonzero(rows < 0)
        ),
    ]
    return build_listing(columns, faults, (path, records_path), config.split_seed)


def load(config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
    """Read X, Y, Z and compute the twelve leads."""
    xyz_mv, fs = read_mv(
        config.root / row["path"], ("X", "Y", "Z"), row["start_s"], config.duration_s
    )
    counts, gain = quantise(twelve_leads(xyz_mv))
    return Waveform(counts, gain, fs=fs, synthesised=True)


def twelve_leads(xyz_mv: NDArray[Any]) -> NDArray[np.float64]:
    """Twelve standard leads from the orthogonal leads (Dower 1980).

    Parameters
    ----------
    xyz_mv
        (3, samples): X to the left, Y to the feet, Z to the back, mV.

    Returns
    -------
    ndarray
        (12, samples), mV. III, aVR, aVL and aVF follow from I and II (Einthoven, Goldberger).
    """
    one, two, *chest = LEAD_VECTORS @ xyz_mv
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.stack(limb + chest)


def _ages(table: TextTable) -> tuple[NDArray[np.float64], list[Fault]]:
    """Ages; the oldest are written >89."""
    ages: list[float] = []
    faults: list[Fault] = []
    for row, text in enumerate(table.columns["Age"].to_pylist()):
        value = 90.0 if text == ">89" else parse_number(text, decimal_comma=True)
        ages.append(np.nan if value is None else value)
        if value is None:
            faults.append(bad_cell(table, row, "Age", "is not an age", label="age_y"))
    return cap_age(np.array(ages, np.float64)), faults
