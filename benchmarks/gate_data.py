"""ECGs of four public sources, each patient in the tuning or in the held-out half by a hash."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS

TUNING, HELD_OUT = 0, 1
# In CinC 2011, aVF comes before aVL; found by the limb relations.
_CINC_LEADS = (*STANDARD_LEADS[:4], "aVF", "aVL", *STANDARD_LEADS[6:])
WINDOW_S = 10.0


@dataclass(frozen=True)
class Case:
    """One ECG.

    Attributes
    ----------
    source
        ``PTB-XL 100 Hz``, ``PTB-XL 500 Hz``, ``LUDB``, ``Challenge 2020/2021`` or ``CinC 2011``.
    patient
        Patient or record.
    signal_mv
        (12, samples), standard order, mV, 10 s.
    fs
        Hz.
    label
        Quality group of CinC 2011, fold of PTB-XL.
    """

    source: str
    patient: str
    signal_mv: NDArray[np.float32]
    fs: float
    label: str = ""

    @property
    def half(self) -> int:
        """`TUNING` or `HELD_OUT`."""
        return int(hashlib.sha256(f"{self.source[:3]} {self.patient}".encode()).hexdigest(), 16) % 2


def cases(data: Path) -> Iterator[Case]:
    """All ECGs that have a label where one is needed."""
    yield from _arrays(data / "ludb", "LUDB", "ludb.csv", "ID", 1e-3, STANDARD_LEADS)
    yield from _arrays(
        data / "challenge", "Challenge 2020/2021", "index.csv", "id", 1e-3, STANDARD_LEADS
    )
    yield from _arrays(data / "cinc2011", "CinC 2011", "index.csv", "id", 4.88e-3, _CINC_LEADS)
    with (data / "ptbxl/ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for column, source in (("filename_lr", "PTB-XL 100 Hz"), ("filename_hr", "PTB-XL 500 Hz")):
        for row in rows:
            path = data / "ptbxl" / f"{row[column]}.hea"
            if path.exists():
                ecg = read_recording(path)
                order = [ecg.lead_names.index(name) for name in STANDARD_LEADS]
                signal = ecg.signal_mv[order, : round(WINDOW_S * ecg.fs)]
                yield Case(source, row["patient_id"], signal, ecg.fs, row["strat_fold"])


def _arrays(
    folder: Path, source: str, table: str, column: str, mv: float, leads: tuple[str, ...]
) -> Iterator[Case]:
    with (folder / table).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = np.load(folder / "ecg500.npz")["x"]
    order = [leads.index(name) for name in STANDARD_LEADS]
    for row, samples in zip(rows, counts, strict=True):
        label = row.get("quality_group", "").removesuffix(".txt")
        if source == "CinC 2011" and not label:
            continue
        signal = (samples.T[order] * mv).astype(np.float32)
        yield Case(source, row[column].strip(), signal, 500.0, label)
