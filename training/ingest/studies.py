"""Echo studies of a data set's ECGs: from its own labels, or paired with them by time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.ingest.pairing import nearest_echo

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

# Windows that the number of pairs is counted for, days.
WINDOWS_DAYS = (1, 3, 7, 14, 30, 90, 365)
# Names of measures in cohorts; others keep the name of their column.
_MEASURES = {
    "label_lvef_pct": "lvef",
    "label_lvedv_ml": "lvedv",
    "label_lvesv_ml": "lvesv",
    "label_la_volume_ml": "la_volume",
}


@dataclass(eq=False)
class Studies:
    """Echo studies of one data set.

    Attributes
    ----------
    of_record
        Study of each of its ECGs, -1 for none.
    ids
        Name of each study.
    measures
        By the cohort's name of the measure, (studies,); NaN where it was not measured.
    pairs
        ECGs with an echo no further than so many days; empty where echoes were not paired.
    """

    of_record: IntArray
    ids: list[str]
    measures: dict[str, FloatArray]
    pairs: dict[str, int]


def study_key(study: str) -> str:
    """Take the s off that MIMIC-IV-ECHO's folders put before the number of a study."""
    return study[1:] if study[:1] == "s" and study[1:].isdigit() else study


def own_studies(index: pa.Table, embedded: Collection[str]) -> Studies:
    """Studies whose results stand in the ECGs' own table: one for each record that has any."""
    labels = _labels(index)
    names = zip(index["study_id"].to_pylist(), index["record_id"].to_pylist(), strict=True)
    ids = [study or record for study, record in names]
    there = np.array([study_key(name) in embedded for name in ids], bool)
    for values in labels.values():
        there |= ~np.isnan(values)
    rows = np.flatnonzero(there)
    of_record = np.full(len(index), -1)
    of_record[rows] = np.arange(len(rows))
    return Studies(
        of_record,
        [ids[row] for row in rows],
        {name: values[rows] for name, values in labels.items()},
        {},
    )


def paired_studies(
    index: pa.Table, name: str, folder: Path, embedded: Collection[str], window_days: float
) -> Studies:
    """Nearest echo in time of each record, among those with a result or an embedding."""
    if _labels(index):
        raise EchoingError(
            f"The ECGs of {name} have labels of their own; echoes cannot be paired with them too.",
            code="clash",
        )
    path = folder / "echo.parquet"
    if not path.is_file():
        raise EchoingError(
            f"There is no echo.parquet in {folder}.",
            hint="Make it by: echoing-train ingest-echo.",
            code="not_found",
        )
    echo = pyarrow.parquet.read_table(path)
    labels = _labels(echo)
    useful = np.array([study_key(study) in embedded for study in echo["echo_id"].to_pylist()], bool)
    for values in labels.values():
        useful |= ~np.isnan(values)
    candidates = np.flatnonzero(useful)
    chosen = echo.take(pa.array(candidates))
    arguments = (
        index["patient_id"].combine_chunks(),
        index["recorded_at"].combine_chunks(),
        chosen["patient_id"].combine_chunks(),
        chosen["measured_at"].combine_chunks(),
    )
    pairs: dict[str, int] = {}
    for days in sorted({*WINDOWS_DAYS, window_days}):
        pairs[f"{days:g}"] = int((nearest_echo(*arguments, days)[0] >= 0).sum())
    nearest, _ = nearest_echo(*arguments, window_days)
    used, position = np.unique(nearest[nearest >= 0], return_inverse=True)
    of_record = np.full(len(index), -1)
    of_record[nearest >= 0] = position
    ids = chosen["echo_id"].to_pylist()
    return Studies(
        of_record,
        [ids[row] for row in used],
        {name: values[candidates[used]] for name, values in labels.items()},
        pairs,
    )


def _labels(table: pa.Table) -> dict[str, FloatArray]:
    """Measures of a table by the cohort's names; both volumes NaN where they contradict."""
    found: dict[str, FloatArray] = {}
    for column in map(str, table.column_names):
        if column.startswith("label_") and table[column].null_count < len(table):
            name = _MEASURES.get(column, column.removeprefix("label_"))
            found[name] = table[column].to_numpy().astype(np.float32)
    if "lvedv" in found and "lvesv" in found:
        wrong = found["lvesv"] >= found["lvedv"]
        for name in ("lvedv", "lvesv"):
            found[name] = np.where(wrong, np.float32(np.nan), found[name])
    return found
