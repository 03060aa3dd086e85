"""EchoNext 1.x (PhysioNet, restricted): metadata and one array of waveforms for each split.

Traps of the layout: the waveforms were filtered, clipped and standardised lead by lead, so they are
not mV and cannot be made mV; rows of an array are the metadata's rows of that split, in order;
``no_split`` shares patients with validation and test; a flag is 0 also where nothing was measured.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.errors import EchoingError, ReadError
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, build_listing, cap_age, sexes
from training.ingest.tables import Fault, is_blank, numbers, read_table
from training.ingest.waveform import Waveform, quantise

NAME: str = "echonext"
MAX_FS: float = 250.0

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_RECORDER = {
    "ventricular_rate": "ecg_ventricular_rate_bpm",
    "atrial_rate": "ecg_atrial_rate_bpm",
    "pr_interval": "ecg_pr_ms",
    "qrs_duration": "ecg_qrs_ms",
    "qt_corrected": "ecg_qtc_ms",
}
_MEASURED = {
    "lvef_value": "label_lvef_pct",
    "ivs_measurement": "label_septal_thickness_cm",
    "lvpw_measurement": "label_posterior_wall_thickness_cm",
    "pasp_value": "label_pasp_mmhg",
    "tr_max_velocity_value": "label_tr_max_velocity",
}
# A flag of 0 counts only where all of these were measured.
_FLAGS = {
    "lvef_lte_45_flag": ("lvef_value",),
    "lvwt_gte_13_flag": ("ivs_measurement", "lvpw_measurement"),
    "pasp_gte_45_flag": ("pasp_value",),
    "tr_max_gte_32_flag": ("tr_max_velocity_value",),
    "rv_systolic_dysfunction_moderate_or_greater_flag": ("rv_systolic_function_value",),
    "pericardial_effusion_moderate_large_flag": ("pericardial_effusion_value",),
    **{
        f"{valve}_moderate_or_greater_flag": (f"{valve}_value",)
        for valve in (
            "aortic_stenosis",
            "aortic_regurgitation",
            "mitral_regurgitation",
            "tricuspid_regurgitation",
            "pulmonary_regurgitation",
        )
    },
}
# Made of the flags above by the publishers; kept as published.
_COMPOSITE = "shd_moderate_or_greater_flag"


def list_records(config: IngestConfig) -> Listing:
    """List the ECGs of train, validation and test."""
    path = _find(config.root, "echonext_metadata_100k.csv")
    measured = sorted({column for columns in _FLAGS.values() for column in columns})
    table = read_table(
        path,
        ("ecg_key", "patient_key", "split", "sex", "age_at_ecg", *measured, *_FLAGS),
        (*_RECORDER, _COMPOSITE),
    )
    faults = list(table.faults)
    if faults:
        # One row lost would shift every waveform after it to another patient.
        raise EchoingError(faults[0].message, code="bad_table")

    def read(column: str, key: str) -> NDArray[np.float64]:
        values, bad = numbers(table, column, label=key)
        faults.extend(bad)
        return values

    split = np.array(table.columns["split"].to_pylist(), object)
    columns: dict[str, Any] = {
        "record_id": table.columns["ecg_key"],
        "patient_id": table.columns["patient_key"],
        "split": pa.array([_SPLITS.get(name) for name in split], pa.string()),
        "age_y": cap_age(read("age_at_ecg", "age_y")),
        "sex": sexes(read("sex", "sex"), female=0, male=1),
    }
    columns["path"], columns["array_row"] = _places(config.root, split)
    for mapping in (_RECORDER, _MEASURED):
        for column, key in mapping.items():
            if column in table.columns:
                columns[key] = read(column, key)
    for flag, needed in _FLAGS.items():
        values = read(flag, f"label_{flag}")
        for column in needed:
            blank = np.array([is_blank(text) for text in table.columns[column].to_pylist()], bool)
            values[blank & (values == 0)] = np.nan
        columns[f"label_{flag}"] = values
    if _COMPOSITE in table.columns:
        columns[f"label_{_COMPOSITE}"] = read(_COMPOSITE, f"label_{_COMPOSITE}")
    faults += [
        Fault(
            int(row), "", "no_split", f"{table.where(int(row), 'split')}: '{split[row]}' is unused."
        )
        for row in np.flatnonzero([name not in _SPLITS for name in split])
    ]
    return build_listing(columns, faults, (path,), config.split_seed)


def load(config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
    """Read one row of an array."""
    stored = _array(config.root / row["path"])[row["array_row"], 0]
    n_samples = round(config.duration_s * MAX_FS)
    if n_samples > len(stored):
        raise ReadError(f"{row['path']} holds 10 s of each ECG.", code="too_short")
    counts, gain = quantise(np.asarray(stored[:n_samples], np.float64).T)
    return Waveform(counts, gain, fs=MAX_FS, unit="z")


def _places(root: Path, split: NDArray[Any]) -> tuple[pa.Array, NDArray[np.int64]]:
    """File and row of each waveform, after proof that arrays and metadata have as many rows."""
    paths = np.full(len(split), "unused", object)
    rows = np.full(len(split), -1, np.int64)
    for name in _SPLITS:
        of_split = np.flatnonzero(split == name)
        if not len(of_split):
            continue
        path = _find(root, f"echonext_{name}_waveforms.npy")
        shape = _array(path).shape
        if shape != (len(of_split), 1, 2500, 12):
            raise EchoingError(
                f"{path.name} has the shape {shape}; the metadata asks for "
                f"({len(of_split)}, 1, 2500, 12).",
                hint="Metadata and waveforms must be of the same release.",
                code="misaligned",
            )
        paths[of_split], rows[of_split] = path.name, np.arange(len(of_split))
    return pa.array(paths, pa.string()), rows


@functools.lru_cache(maxsize=8)
def _array(path: Path) -> NDArray[np.float64]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EchoingError(
            f"{path.name} is not an array of waveforms: {error}.", code="bad_array"
        ) from error


def _find(root: Path, name: str) -> Path:
    """File of that name in any letter case: the releases differ."""
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.name.lower() == name:
            return path
    raise EchoingError(
        f"There is no {name} in {root}.",
        hint="Give the folder that holds the data set in its official layout.",
        code="not_found",
    )
