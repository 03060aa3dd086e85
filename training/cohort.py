"""Who is trained, calibrated and tested on, wherever the ECGs and the echoes come from.

A cohort is a folder; `training.simulated_cohort` and `training.real_cohort` make one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.checkpoint import load_json, save_json, write_atomic

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class Split(IntEnum):
    """What a patient is for: HELD_OUT watches training, CALIBRATION and TEST come after it."""

    TRAIN = 0
    HELD_OUT = 1
    CALIBRATION = 2
    TEST = 3


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """ECGs, and the echo studies that belong to them.

    Studies that belong to one record follow one another; those with a clip or an embedding come
    first. Records of one patient may share their studies.

    Attributes
    ----------
    ecg_mv
        (records, 12, 1000) float16, mV: filtered and resampled by the neutral `PreprocessSpec`,
        not standardised.
    patient, split, source
        (records,), the patient's number, `Split`, number of the source.
    source_names
        Names of the sources.
    first_study, n_studies
        (records,), where a record's studies start, and how many there are; 0 for an ECG that has
        text only.
    measures
        By name, (studies,) in the measure's unit; NaN where it was not measured.
    clip_row
        (studies,), row in `clips` and `sentences`; -1 where there is none.
    teacher_mean, teacher_log_var
        (studies, D), Gaussians of a teacher that embedded the echoes elsewhere; NaN for studies
        without. None where the run trains its own teacher on `clips`.
    ecg_text
        (records,), what is stated about the ECG; empty where nothing is.
    record_ids
        (records,), names in the source's own files, to join tables by; empty for none.
    ecg_labels
        By name, (records,), 1 or 0: what is stated about ECG and patient; NaN where unknown.
    ecg_values
        By name, (records,), numbers known of ECG and patient, such as what delineation measures;
        NaN where unknown.
    groups
        By name, (records,), the subgroup's label, for reports.
    reference
        By measure or finding, (records,): best possible estimates, where outcomes are simulated.
    clips
        (clips, frames, size, size) uint8, or None.
    sentences
        One list of report sentences a clip.
    noise_mv
        (noise recordings, 12, 1000) float32, mV: nothing but noise at level 1.
    simulated_outcomes
        Whether the measures were drawn from a simulation.
    data_sha256
        By source, hash over what was read.
    """

    ecg_mv: NDArray[np.float16]
    patient: IntArray
    split: IntArray
    source: IntArray
    source_names: list[str]
    first_study: IntArray
    n_studies: IntArray
    measures: dict[str, FloatArray]
    clip_row: IntArray
    ecg_text: list[str]
    noise_mv: FloatArray
    simulated_outcomes: bool
    data_sha256: dict[str, str]
    record_ids: list[str] = field(default_factory=list)
    ecg_labels: dict[str, FloatArray] = field(default_factory=dict)
    ecg_values: dict[str, FloatArray] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    reference: dict[str, FloatArray] = field(default_factory=dict)
    clips: NDArray[np.uint8] | None = None
    sentences: list[list[str]] = field(default_factory=list)
    teacher_mean: FloatArray | None = None
    teacher_log_var: FloatArray | None = None

    @property
    def n_records(self) -> int:
        """Number of ECGs."""
        return len(self.patient)

    def records(self, split: Split, source: str | None = None) -> IntArray:
        """Rows of the records of a split, and of one source if given."""
        chosen = self.split == split
        if source is not None:
            chosen &= self.source == self.source_names.index(source)
        return np.flatnonzero(chosen)

    def one_record_per_patient(self, split: Split, source: str | None = None) -> IntArray:
        """Rows of the first record with a study of each patient of a split."""
        rows = self.records(split, source)
        rows = rows[self.n_studies[rows] > 0]
        _, first = np.unique(self.patient[rows], return_index=True)
        return rows[np.sort(first)]

    def rendered(self) -> NDArray[np.uint8]:
        """Clips of the studies.

        Raises
        ------
        EchoingError
            If the cohort has none, because its echoes were embedded elsewhere.
        """
        if self.clips is None:
            raise EchoingError("The cohort holds no echo clips.", code="missing_data")
        return self.clips

    def outcomes(self, key: str, rows: IntArray) -> FloatArray:
        """One measure in all studies of some records, (records, most studies), NaN for none."""
        n_columns = int(self.n_studies[rows].max(initial=0))
        offset = np.arange(n_columns)
        studies = self.first_study[rows][:, None] + offset
        there = offset < self.n_studies[rows][:, None]
        return np.where(there, self.measures[key][np.where(there, studies, 0)], np.nan)


def names_of_records(by_source: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of all records, source after source, all different.

    Examples
    --------
    >>> names_of_records({"PTB-XL": ["1", "2"], "mine": ["a"]})
    ['1', '2', 'a']
    >>> names_of_records({"PTB-XL": ["1", "2"], "mine": ["1"]})
    ['PTB-XL/1', 'PTB-XL/2', 'mine/1']
    """
    names = [str(name) for some in by_source.values() for name in some]
    if len(set(names)) == len(names):
        return names
    return [f"{source}/{name}" for source, some in by_source.items() for name in some]


def assert_disjoint(cohort: Cohort) -> None:
    """Prove that no patient is in two splits.

    Raises
    ------
    EchoingError
        If one is.
    """
    pairs = np.unique(np.stack([cohort.patient, cohort.split]), axis=1)
    n_twice = pairs.shape[1] - len(np.unique(pairs[0]))
    if n_twice:
        raise EchoingError(f"{n_twice} patients are in two splits.", code="patients_overlap")


_ARRAYS = ("patient", "split", "source", "first_study", "n_studies", "clip_row")
_TABLES = ("measures", "ecg_labels", "ecg_values", "reference")
_TEXTS = (
    "source_names",
    "record_ids",
    "ecg_text",
    "groups",
    "sentences",
    "simulated_outcomes",
    "data_sha256",
)
_LARGE = ("ecg_mv", "noise_mv", "clips", "teacher_mean", "teacher_log_var")


def save_cohort(folder: Path, cohort: Cohort) -> None:
    """Write a cohort's folder; read it with `load_cohort`."""
    for name in _LARGE:
        values = getattr(cohort, name)
        target = folder / f"{name}.npy"
        if values is None:
            target.unlink(missing_ok=True)
        elif not (isinstance(values, np.memmap) and Path(str(values.filename)) == target.resolve()):
            write_atomic(target, lambda file, v=values: np.save(file, v))
    table = {name: getattr(cohort, name) for name in _ARRAYS}
    for part in _TABLES:
        table |= {f"{part}/{key}": values for key, values in getattr(cohort, part).items()}
    write_atomic(folder / "table.npz", lambda file: np.savez(file, **table))
    save_json(folder / "texts.json", {name: getattr(cohort, name) for name in _TEXTS})


def load_cohort(folder: Path) -> Cohort:
    """Open a cohort's folder; the large arrays stay on disk until they are used.

    Raises
    ------
    EchoingError
        If there is no cohort in the folder.
    """
    if not (folder / "texts.json").is_file():
        raise EchoingError(f"There is no cohort in {folder}.", code="missing_data")
    values: dict[str, Any] = {part: {} for part in _TABLES}
    with np.load(folder / "table.npz") as file:
        for name in file.files:
            part, _, key = name.partition("/")
            if key:
                values[part][key] = file[name]
            else:
                values[part] = file[name]
    for name in _LARGE:
        if (folder / f"{name}.npy").is_file():
            values[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return Cohort(**values, **load_json(folder / "texts.json"))
