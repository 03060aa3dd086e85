"""A miniature PTB-XL in its official layout, with simulated ECGs, for tests of training."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import wfdb

from training.simulation import findings_of_patients, sample_patients, simulate_ecg

LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
FOLDS = [1] * 14 + [8] * 14 + [9] * 20 + [10] * 16
_CODES = {"normal": "NORM", "lbbb": "CLBBB", "mi_anterior": "ASMI", "af": "AFIB", "lvh": "LVH"}


def write_miniature(folder: Path) -> Path:
    """Write table and 100 Hz records of 64 patients, the first with two; returns `folder`."""
    rng = np.random.default_rng(3)
    patients = sample_patients(len(FOLDS), rng)
    signals = simulate_ecg(patients, rng, fs=100.0)
    findings = findings_of_patients(patients)
    records = folder / "records100/00000"
    records.mkdir(parents=True)
    rows = []
    for number, fold in enumerate(FOLDS):
        name = f"{number + 1:05d}_lr"
        wfdb.wrsamp(
            name,
            fs=100,
            units=["mV"] * 12,
            sig_name=LEADS,
            p_signal=signals[number].T.astype(np.float64),
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(records),
        )
        codes = {code: 100.0 for key, code in _CODES.items() if getattr(findings, key)[number]}
        rows.append(
            {
                "ecg_id": number + 1,
                # The first patient has two records.
                "patient_id": f"{max(number, 1)}.0",
                "age": float(findings.age_y[number]),
                "sex": int(not findings.male[number]),
                "scp_codes": str(codes or {"SR": 0.0}),
                "strat_fold": fold,
                "filename_lr": f"records100/00000/{name}",
            }
        )
    # A record that states nothing is left out.
    rows.append({**rows[0], "ecg_id": 99, "scp_codes": ""})
    with (folder / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder
