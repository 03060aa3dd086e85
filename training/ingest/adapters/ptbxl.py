"""PTB-XL 1.0.x (PhysioNet): ``ptbxl_database.csv``, ``records100/``, ``records500/``.

Wagner et al., Scientific Data 2020;7:154. The published folds, by patient: 1-8 train, 9 validation,
10 test.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from model_core.leads import STANDARD_LEADS
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, build_listing, cap_age, sexes
from training.ingest.tables import Fault, bad_cell, numbers, read_table, times
from training.ingest.waveform import Waveform, read_waveform

NAME: str = "ptbxl"
MAX_FS: float = 500.0

# Below this a statement is a doubt, not a finding.
MIN_LIKELIHOOD_PCT = 50.0

_REQUIRED = ("ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold")


def list_records(config: IngestConfig) -> Listing:
    """List every ECG; at 500 Hz, or at 100 Hz if the config takes no more than that."""
    path = config.root / "ptbxl_database.csv"
    file_column = "filename_hr" if (config.max_fs or MAX_FS) >= MAX_FS else "filename_lr"
    table = read_table(path, (*_REQUIRED, file_column), ("recording_date",))
    age_y, age_faults = numbers(table, "age", label="age_y")
    sex, sex_faults = numbers(table, "sex")
    patient, patient_faults = numbers(table, "patient_id", label="")
    fold, fold_faults = numbers(table, "strat_fold")
    faults = [*table.faults, *age_faults, *sex_faults]
    # A record that cannot be split by patient is no use.
    faults += [
        Fault(fault.row, "", fault.code, fault.message) for fault in (*patient_faults, *fold_faults)
    ]
    split = np.array([None, "train", "validation", "test"], object)[
        np.select([(fold >= 1) & (fold <= 8), fold == 9, fold == 10], [1, 2, 3], 0)
    ]
    faults += [
        Fault(
            int(row), "", "bad_cell", f"{table.where(int(row), 'strat_fold')}: it is not 1 to 10."
        )
        for row in np.flatnonzero((split == None) & ~np.isnan(fold))  # noqa: E711 - elementwise
    ]
    statements, statement_faults = _statements(table)
    faults += statement_faults
    columns: dict[str, Any] = {
        "record_id": table.columns["ecg_id"],
        # Written 15709.0 in the published table.
        "patient_id": pa.array([None if np.isnan(p) else f"{p:.0f}" for p in patient], pa.string()),
        "path": table.columns[file_column],
        "split": pa.array(split, pa.string()),
        "age_y": cap_age(age_y),
        "sex": sexes(sex, female=1, male=0),
        "report": table.columns["report"],
        "statements": statements,
    }
    if "recording_date" in table.columns:
        columns["recorded_at"], time_faults = times(table, "recording_date")
        faults += [Fault(f.row, "recorded_at", f.code, f.message) for f in time_faults]
    return build_listing(columns, faults, (path,), config.split_seed)


def load(config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
    """Read one record."""
    return read_waveform(config.root / row["path"], STANDARD_LEADS, 0.0, config.duration_s)


def _statements(table: Any) -> tuple[pa.Array, list[Fault]]:  # noqa: ANN401
    """SCP-ECG statements of likelihood 50 to 100 %, or 0: that means unknown, not absent."""
    codes: list[list[str] | None] = []
    faults: list[Fault] = []
    for row, text in enumerate(table.columns["scp_codes"].to_pylist()):
        try:
            parsed = ast.literal_eval(text) if text else {}
            codes.append(
                [
                    str(code)
                    for code, pct in dict(parsed).items()
                    if pct == 0 or pct >= MIN_LIKELIHOOD_PCT
                ]
            )
        except (ValueError, SyntaxError, TypeError):
            codes.append(None)
            why = "is not a list of statements"
            faults.append(bad_cell(table, row, "scp_codes", why, label="statements"))
    return pa.array(codes, pa.list_(pa.string())), faults
