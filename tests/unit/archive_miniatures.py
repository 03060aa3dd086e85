"""Miniature archives of patients with echoes, written by the tests that make cohorts of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.ingest_miniatures import MIMIC_LEADS, counts_of, ecg_mv, write_csv, write_wfdb

STUDY_HEADER = (
    *("subject_id", "study_id", "study_datetime", "note_id", "note_seq", "note_charttime"),
    *("measurement_id", "measurement_datetime"),
)
LONG_HEADER = (
    *("subject_id", "measurement_id", "measurement_datetime", "test_type", "measurement"),
    *("measurement_description", "result", "unit"),
)
MACHINE_HEADER = [
    *("subject_id", "study_id", "cart_id", "ecg_time"),
    *(f"report_{i}" for i in range(18)),
    *("bandwidth", "filtering", "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end"),
    *("t_end", "p_axis", "qrs_axis", "t_axis"),
]


def write_mimic(ecg: Path, echo: Path, n_patients: int, fs: float = 500.0) -> None:
    """Write MIMIC-IV-ECG and MIMIC-IV-ECHO.

    Patient i has two ECGs, on days 10 and 100 of a year, with the numbers ``4000 + 2 i`` and
    ``4001 + 2 i``, and one echo, ``9000 + i``, on day 12, with an LVEF of ``20 + i % 50`` %.
    """
    listed: list[tuple[object, ...]] = []
    machine: list[tuple[object, ...]] = []
    studies: list[tuple[object, ...]] = []
    results: list[tuple[object, ...]] = []
    for i in range(n_patients):
        patient = 10_000_000 + i
        for k, day in enumerate(("2150-01-10", "2150-04-10")):
            study = 4000 + 2 * i + k
            path = f"files/p{str(patient)[:4]}/p{patient}/s{study}/{study}"
            signal = ecg_mv(study, round(10 * fs), fs)
            # In the order of that archive: aVF before aVL.
            signal = signal[[0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]]
            write_wfdb(ecg / path, counts_of(signal, 200.0), MIMIC_LEADS, fs=fs, gain=200.0)
            listed.append((patient, study, study, f"{day} 08:00:00", path))
            texts = ["Sinus rhythm", "Left bundle branch block" if i % 2 else "", *[""] * 16]
            numbers = ("0.005-150 Hz", "60 Hz notch", 659, 40, 128, 170, 258, 518, 29999, -44, 9)
            machine.append((patient, study, "6", f"{day} 08:00:00", *texts, *numbers))
        studies.append((patient, 9000 + i, "2150-01-12 08:00:00", "", "", "", i, ""))
        when = "2150-01-12 08:00:00"
        results.append((patient, i, when, "tte", "lvef", "", f"{20 + i % 50} %", "%"))
    header = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_csv(ecg / "record_list.csv", header, listed)
    write_csv(ecg / "machine_measurements.csv", MACHINE_HEADER, machine)
    write_csv(echo / "echo-study-list.csv", STUDY_HEADER, studies)
    write_csv(echo / "structured-measurement.csv", LONG_HEADER, results)


def write_embeddings(
    folder: Path, studies: Sequence[str], dim: int = 8, seed: int = 0
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Write a store of echo embeddings; gives mean and log variance by study."""
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((len(studies), 4, dim)).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=2, keepdims=True)
    mean = frames.mean(1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    log_var = np.log(frames.var(1) + 1e-8)
    (folder / "shards").mkdir(parents=True)
    arrays = {"mean": mean, "log_var": log_var, "frames": frames.reshape(-1, dim)}
    for kind, values in arrays.items():
        np.save(folder / f"shards/00000.{kind}.npy", values)
    entries = [{"study": study, "n_frames": 4, "files": []} for study in studies]
    (folder / "shards/00000.json").write_text(json.dumps(entries))
    return {study: (mean[i], log_var[i]) for i, study in enumerate(studies)}


# As EchoNext's publishers standardised: counts of 4.88 uV, a mean and a spread for each lead.
ECHONEXT_COUNT_MV = 0.00488
ECHONEXT_MEAN = np.linspace(-6.0, 6.0, 12)
ECHONEXT_SPREAD = np.linspace(20.0, 60.0, 12)
_ECHONEXT_VALUES = (
    *("lvef_value", "ivs_measurement", "lvpw_measurement", "pasp_value", "tr_max_velocity_value"),
    *("rv_systolic_function_value", "pericardial_effusion_value"),
    *(
        f"{valve}_value"
        for valve in (
            *("aortic_stenosis", "aortic_regurgitation", "mitral_regurgitation"),
            *("tricuspid_regurgitation", "pulmonary_regurgitation"),
        )
    ),
)
_ECHONEXT_FLAGS = (
    *("lvef_lte_45_flag", "lvwt_gte_13_flag", "pasp_gte_45_flag", "tr_max_gte_32_flag"),
    "rv_systolic_dysfunction_moderate_or_greater_flag",
    "pericardial_effusion_moderate_large_flag",
    *(f"{value.removesuffix('_value')}_moderate_or_greater_flag" for value in _ECHONEXT_VALUES[7:]),
)


def write_echonext(root: Path, sizes: dict[str, int]) -> dict[str, NDArray[np.float64]]:
    """Write EchoNext with so many ECGs in each split; gives their true mV, (n, 12, 2500).

    ECG i has an LVEF of ``20 + i % 50`` %.
    """
    header = ["ecg_key", "patient_key", "split", "sex", "age_at_ecg"]
    header += [*_ECHONEXT_VALUES, *_ECHONEXT_FLAGS]
    rows: list[list[object]] = []
    true_mv: dict[str, NDArray[np.float64]] = {}
    for split, n in sizes.items():
        signals = []
        for _ in range(n):
            i = len(rows)
            values = [20 + i % 50, *[""] * (len(_ECHONEXT_VALUES) - 1)]
            flags = [int(20 + i % 50 <= 45), *[0] * (len(_ECHONEXT_FLAGS) - 1)]
            rows.append([f"e{i}", f"p{i}", split, i % 2, 60, *values, *flags])
            signals.append(ecg_mv(70_000 + i, 2500, 250.0))
        true_mv[split] = np.stack(signals)
        counts = true_mv[split] / ECHONEXT_COUNT_MV
        standard = (counts - ECHONEXT_MEAN[:, None]) / ECHONEXT_SPREAD[:, None]
        np.save(root / f"EchoNext_{split}_waveforms.npy", standard.transpose(0, 2, 1)[:, None])
    write_csv(root / "echonext_metadata_100k.csv", header, rows)
    return true_mv
