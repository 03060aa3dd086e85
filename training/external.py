"""ECGs of other sources with their diagnoses, to rank the sick below the healthy.

Two public sets as folders of ``ecg500.npz`` (``x``: records, samples, leads; int16 microvolts at
500 Hz, leads I to V6) and tables: records of the PhysioNet challenges (Perez Alday et al., Physiol
Meas 2020;41:124003; Reyna et al., CinC 2021) in ``index.csv``, LUDB (Kalyakulina et al., IEEE
Access 2020;8:186181) in ``ludb.csv``. None of them states an LVEF. Complete left bundle branch
block and infarction go with a lower LVEF than a normal ECG does: the ranks can be tested.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.preprocess import PreprocessSpec, filter_and_resample
from training.evaluation import resampling as rs

FS = 500.0
N_LEADS = 12
NORMAL, LBBB, INFARCTION = "normal ECG", "left bundle branch block", "infarction"
DIAGNOSES = (NORMAL, LBBB, INFARCTION)
# Codes of SNOMED CT, and CPSC's abbreviations.
_SNOMED_NORMAL = frozenset({"426783006", "Normal"})
_SNOMED_LBBB = frozenset({"164909002", "733534002", "LBBB"})
_SNOMED_INFARCTION = frozenset({"164865005", "164867002", "57054005", "54329005"})
# Trained on, so not external.
_OWN_SOURCE = "PTB-XL"


@dataclass(frozen=True)
class ExternalSet:
    """ECGs of another source.

    Attributes
    ----------
    name
        Of the set.
    ids
        (n,) record names.
    ecg_mv
        (n, 12, samples) at `FS`.
    diagnoses
        By name of `DIAGNOSES`, (n,) whether it is stated.
    """

    name: str
    ids: NDArray[np.str_]
    ecg_mv: NDArray[np.float32]
    diagnoses: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Ranking:
    """Whether one group's estimates lie below another's.

    Attributes
    ----------
    n_cases, n_normal
        Sizes of the groups.
    auroc
        Chance that a random case is estimated lower than a random normal ECG; ties count half.
    low, high
        95 % bootstrap interval.
    """

    n_cases: int
    n_normal: int
    auroc: float
    low: float
    high: float


def read_challenge(folder: Path) -> ExternalSet:
    """Read records of the challenges, those of PTB-XL left out.

    Raises
    ------
    EchoingError
        If a file is missing, or table and signals differ in length.
    """
    rows, signals = _read(folder, "index.csv", ("id", "source", "dx_snomed"))
    kept = np.array([row["source"] != _OWN_SOURCE for row in rows], bool)
    codes = [set(row["dx_snomed"].split(",")) for row in rows]
    found = {
        NORMAL: [code <= _SNOMED_NORMAL for code in codes],
        LBBB: [bool(code & _SNOMED_LBBB) for code in codes],
        INFARCTION: [bool(code & _SNOMED_INFARCTION) for code in codes],
    }
    ids = np.array([row["id"] for row in rows])
    diagnoses = {name: np.array(flags, bool)[kept] for name, flags in found.items()}
    return ExternalSet("PhysioNet challenges 2020 and 2021", ids[kept], signals[kept], diagnoses)


def read_ludb(folder: Path) -> ExternalSet:
    """Read LUDB; normal is sinus rhythm, and nothing else stated.

    Raises
    ------
    EchoingError
        As `read_challenge`.
    """
    abnormal = (
        "Conduction abnormalities",
        "Extrasystolies",
        "Hypertrophies",
        "Cardiac pacing",
        "Ischemia",
        "Non-specific repolarization abnormalities",
    )
    rows, signals = _read(folder, "ludb.csv", ("ID", "Rhythms", *abnormal))
    normal = [
        _lines(row["Rhythms"]) <= {"sinus rhythm"} and not any(_lines(row[c]) for c in abnormal)
        for row in rows
    ]
    block = [
        "complete left bundle branch block" in _lines(row["Conduction abnormalities"])
        for row in rows
    ]
    infarction = [
        any(line.startswith(("stemi", "scar formation")) for line in _lines(row["Ischemia"]))
        for row in rows
    ]
    found = {NORMAL: normal, LBBB: block, INFARCTION: infarction}
    diagnoses = {name: np.array(flags, bool) for name, flags in found.items()}
    return ExternalSet("LUDB", np.array([row["ID"] for row in rows]), signals, diagnoses)


def prepared(external: ExternalSet, spec: PreprocessSpec | None = None) -> NDArray[np.float32]:
    """Signals filtered and resampled as a cohort's are, (n, 12, 1000) mV, not standardised."""
    signals = external.ecg_mv.astype(np.float64)
    return filter_and_resample(signals, FS, spec or PreprocessSpec()).astype(np.float32)


def rank_below(
    values: NDArray[np.floating],
    cases: NDArray[np.bool_],
    normal: NDArray[np.bool_],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Ranking | None:
    """Compare estimates of cases with those of normal ECGs; None if either group is empty.

    Parameters
    ----------
    values
        (n,), for instance predicted LVEF.
    cases, normal
        (n,), the two groups; who is in both counts as a case.
    n_bootstrap, seed
        Of the bootstrap, within each group.
    """
    below, above = values[cases], values[normal & ~cases]
    if not len(below) or not len(above):
        return None
    score = -np.concatenate([below, above]).astype(np.float64)
    case = np.repeat([1.0, 0.0], [len(below), len(above)])
    rng = np.random.default_rng(seed)
    weights = np.ones((n_bootstrap + 1, len(score)))
    for row in weights[1:]:
        for start, n in ((0, len(below)), (len(below), len(above))):
            row[start : start + n] = np.bincount(rng.integers(n, size=n), minlength=n)
    found = rs.auroc(score, case, 1 - case)(weights)
    low, high = rs.interval(found)
    return Ranking(len(below), len(above), float(found[0]), low, high)


def _read(
    folder: Path, table: str, columns: Iterable[str]
) -> tuple[list[dict[str, str]], NDArray[np.float32]]:
    for name in (table, "ecg500.npz"):
        if not (folder / name).is_file():
            raise EchoingError(f"There is no {name} in {folder}.", code="missing_data")
    with (folder / table).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [c for c in columns if rows and c not in rows[0]]
    if missing:
        raise EchoingError(f"{table} has no column {missing[0]}.", code="missing_column")
    with np.load(folder / "ecg500.npz") as file:
        counts = file["x"]
    if len(counts) != len(rows) or counts.ndim != 3 or counts.shape[2] != N_LEADS:
        raise EchoingError(
            f"{table} lists {len(rows)} records; ecg500.npz holds an array of shape "
            f"{counts.shape}.",
            code="bad_data",
        )
    return rows, counts.transpose(0, 2, 1).astype(np.float32) / 1000


def _lines(cell: str) -> set[str]:
    return {line.strip().lower() for line in cell.splitlines() if line.strip()}
