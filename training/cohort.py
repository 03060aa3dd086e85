"""Who is trained, calibrated and tested on: PTB-XL with simulated outcomes, virtual patients."""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.io import read_recording
from model_core.preprocess import PreprocessSpec, filter_and_resample, prepare
from training.checkpoint import load_json, save_json, write_atomic
from training.config import CohortConfig
from training.progress import Progress
from training.simulation import (
    EchoMeasures,
    add_noise,
    concatenate,
    draw_outcomes,
    findings_from_ptbxl,
    render_clips,
    report_sentences,
    sample_patients,
    simulate_ecg,
)

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

SIMULATED_FS = 250.0
MEASURE_FIELDS = {"lvef": "lvef_pct", "lvedv": "lvedv_ml", "lvesv": "lvesv_ml"}
_ECHO_FIELDS = ("lvef_pct", "lvedv_ml", "lvesv_ml", "wall_mm", "la_volume_ml")
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr")
# The network's input before standardisation.
NEUTRAL_SPEC = PreprocessSpec()


class Split(IntEnum):
    """What a patient is for. PTB-XL folds 1-8 train, 9 calibrates, 10 tests."""

    TRAIN = 0
    HELD_OUT = 1
    CALIBRATION = 2
    TEST = 3


class Source(IntEnum):
    """Where an ECG comes from."""

    PTBXL = 0
    VIRTUAL = 1


@dataclass(frozen=True)
class Cohort:
    """ECGs and studies of all patients.

    A study is one simulated echo of one patient. Studies of a patient follow one another.

    Attributes
    ----------
    ecg_mv
        (records, 12, 1000) float16, mV: filtered and resampled, not standardised.
    patient, split, source
        (records,), the patient's number, `Split`, `Source`.
    ptbxl_row
        (records,), row in the table of findings, -1 for virtual patients.
    first_study, n_studies
        (patients,), where a patient's studies start, and how many there are.
    echo
        All studies' measures.
    clip_row
        (studies,), row in `clips` and `sentences`; -1 where none was rendered.
    clips
        (clips, frames, size, size) uint8.
    sentences
        One list of sentences a clip.
    noise_mv
        (noise recordings, 12, 1000) float32, mV: nothing but noise at level 1.
    findings_rows
        The rows of the PTB-XL table, for `findings_from_ptbxl`.
    data_sha256
        Hash over what was read.
    """

    ecg_mv: NDArray[np.float16]
    patient: IntArray
    split: IntArray
    source: IntArray
    ptbxl_row: IntArray
    first_study: IntArray
    n_studies: IntArray
    echo: EchoMeasures
    clip_row: IntArray
    clips: NDArray[np.uint8]
    sentences: list[list[str]]
    noise_mv: FloatArray
    findings_rows: list[dict[str, str]]
    data_sha256: str

    def records(self, split: Split, source: Source | None = None) -> IntArray:
        """Rows of the records of a split, and of one source if given."""
        chosen = self.split == split
        if source is not None:
            chosen &= self.source == source
        return np.flatnonzero(chosen)

    def one_record_per_patient(self, split: Split, source: Source) -> IntArray:
        """Rows of the first record of each patient of a split."""
        rows = self.records(split, source)
        _, first = np.unique(self.patient[rows], return_index=True)
        return rows[np.sort(first)]

    def measure(self, key: str, rows: IntArray) -> FloatArray:
        """One measure in all studies of the patients of some records, (records, draws).

        Parameters
        ----------
        key
            ``lvef``, ``lvedv`` or ``lvesv``.
        rows
            Records; their patients must have equally many studies.
        """
        n_draws = int(self.n_studies[self.patient[rows[0]]])
        studies = self.first_study[self.patient[rows]][:, None] + np.arange(n_draws)
        return np.asarray(getattr(self.echo, MEASURE_FIELDS[key]))[studies]


def read_ptbxl_table(folder: Path) -> list[dict[str, str]]:
    """Rows of PTB-XL's table, in its order, without those that state nothing about the ECG.

    Raises
    ------
    EchoingError
        If the folder, the table, a column, a split or a signal file is missing.
    """
    table = folder / "ptbxl_database.csv"
    if not table.is_file():
        raise EchoingError(
            f"PTB-XL is not in {folder}: there is no ptbxl_database.csv.",
            hint="Give the folder that holds the data sets, with PTB-XL in its subfolder ptbxl.",
            code="missing_data",
        )
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise EchoingError(
                f"The table {table.name} lacks the column {', '.join(missing)}.",
                code="missing_column",
            )
        rows = [row for row in reader if row["scp_codes"].strip()]
    folds = {int(float(row["strat_fold"])) for row in rows}
    if not ({9, 10} <= folds and folds & set(range(1, 9))):
        raise EchoingError("PTB-XL needs patients in folds 1 to 8, 9 and 10.", code="missing_fold")
    absent = [
        row["filename_lr"]
        for row in rows
        if not all((folder / (row["filename_lr"] + end)).is_file() for end in (".hea", ".dat"))
    ]
    if absent:
        raise EchoingError(
            f"{len(absent)} of the {len(rows)} records in {table.name} are not in the folder, "
            f"the first is {absent[0]}.",
            code="missing_data",
        )
    return rows


def split_of_fold(fold: int) -> Split:
    """Use of a PTB-XL fold.

    Examples
    --------
    >>> [split_of_fold(fold).name for fold in (1, 8, 9, 10)]
    ['TRAIN', 'TRAIN', 'CALIBRATION', 'TEST']
    """
    return {9: Split.CALIBRATION, 10: Split.TEST}.get(fold, Split.TRAIN)


def build_cohort(data: Path, folder: Path, config: CohortConfig, seed: int, workers: int) -> None:
    """Read, simulate, prepare and store the cohort.

    Parameters
    ----------
    data
        Folder with PTB-XL in its subfolder ``ptbxl``.
    folder
        Where the cohort goes; read it with `load_cohort`.
    config
        Sizes.
    seed
        Of the whole run.
    workers
        Processes; their number does not change the result.

    Raises
    ------
    EchoingError
        If data are missing, or a patient is in two splits.
    """
    rows = read_ptbxl_table(data / "ptbxl")
    folder.mkdir(parents=True, exist_ok=True)
    real_ecg, data_sha256 = _read_signals(data / "ptbxl", rows, workers)
    names, real_patient = np.unique([row["patient_id"] for row in rows], return_inverse=True)
    n_real = len(names)
    real_split = np.array([split_of_fold(int(float(row["strat_fold"]))) for row in rows])
    split_of_patient = np.full(n_real, -1)
    split_of_patient[real_patient] = real_split
    if (split_of_patient[real_patient] != real_split).any():
        raise EchoingError("A PTB-XL patient is in two splits.", code="patients_overlap")

    echo, draws = _draw_studies(rows, real_patient, split_of_patient, config, seed)
    n_virtual = config.n_virtual + config.n_held_out
    virtual_ecg, virtual_echo = _simulate(n_virtual, config.chunk, seed, workers)
    echo = concatenate([echo, virtual_echo])
    n_studies = np.concatenate([draws, np.ones(n_virtual, int)])
    first_study = np.cumsum(n_studies) - n_studies
    virtual_split = np.where(np.arange(n_virtual) < config.n_virtual, Split.TRAIN, Split.HELD_OUT)

    patient = np.concatenate([real_patient, n_real + np.arange(n_virtual)])
    split = np.concatenate([real_split, virtual_split])
    patient_of_study = np.repeat(np.arange(n_real + n_virtual), n_studies)
    patient_split = np.concatenate([split_of_patient, virtual_split])
    seen = np.isin(patient_split[patient_of_study], (Split.TRAIN, Split.HELD_OUT))
    clip_row = np.full(len(seen), -1)
    clip_row[seen] = np.arange(seen.sum())
    clips, sentences = _render(echo.take(np.flatnonzero(seen)), config, seed, workers)

    arrays = {
        "ecg_mv": np.concatenate([real_ecg, virtual_ecg]),
        "clips": clips,
        "noise_mv": noise_bank(config.n_noise, np.random.default_rng([seed, 4])),
    }
    for name, values in arrays.items():
        write_atomic(folder / f"{name}.npy", lambda file, v=values: np.save(file, v))
    table = {
        "patient": patient,
        "split": split,
        "source": np.repeat([Source.PTBXL, Source.VIRTUAL], [len(rows), n_virtual]),
        "ptbxl_row": np.concatenate([np.arange(len(rows)), np.full(n_virtual, -1)]),
        "first_study": first_study,
        "n_studies": n_studies,
        "clip_row": clip_row,
        **{name: getattr(echo, name) for name in _ECHO_FIELDS},
    }
    write_atomic(folder / "table.npz", lambda file: np.savez(file, **table))
    save_json(
        folder / "texts.json",
        {"sentences": sentences, "findings_rows": rows, "data_sha256": data_sha256},
    )


def load_cohort(folder: Path) -> Cohort:
    """Open a stored cohort; the large arrays stay on disk until they are used."""
    with np.load(folder / "table.npz") as file:
        table: dict[str, Any] = dict(file)
    echo = EchoMeasures(**{name: table.pop(name) for name in _ECHO_FIELDS})
    return Cohort(
        ecg_mv=np.load(folder / "ecg_mv.npy", mmap_mode="r"),
        clips=np.load(folder / "clips.npy", mmap_mode="r"),
        noise_mv=np.load(folder / "noise_mv.npy"),
        echo=echo,
        **table,
        **load_json(folder / "texts.json"),
    )


def _map(
    work: Callable[[_Item], _Result], items: Sequence[_Item], workers: int, what: str
) -> list[_Result]:
    """Results in order; each item brings its own seed, so the number of processes is no matter."""
    progress = Progress(what, len(items))

    def collect(results: Iterable[_Result]) -> list[_Result]:
        found: list[_Result] = []
        for result in results:
            found.append(result)
            progress.step()
        return found

    if workers == 1:
        return collect(map(work, items))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return collect(pool.map(work, items))


def _read_signal(path: Path) -> tuple[NDArray[np.float16], bytes]:
    recording = read_recording(path)
    ecg = prepare(recording, NEUTRAL_SPEC)[0].astype(np.float16)
    return ecg, recording.recording_id.encode()


def _read_signals(
    folder: Path, rows: Sequence[Mapping[str, str]], workers: int
) -> tuple[NDArray[np.float16], str]:
    paths = [folder / (row["filename_lr"] + ".hea") for row in rows]
    found = _map(_read_signal, paths, workers, "PTB-XL records")
    digest = hashlib.sha256((folder / "ptbxl_database.csv").read_bytes())
    for _, identity in found:
        digest.update(identity)
    return np.stack([ecg for ecg, _ in found]), digest.hexdigest()


def _draw_studies(
    rows: Sequence[Mapping[str, str]],
    patient: IntArray,
    split_of_patient: NDArray[Any],
    config: CohortConfig,
    seed: int,
) -> tuple[EchoMeasures, IntArray]:
    """Outcomes of the PTB-XL patients, from the findings of each patient's first record."""
    _, first = np.unique(patient, return_index=True)
    findings = findings_from_ptbxl([rows[row] for row in first])
    wanted = {
        Split.TRAIN: config.train_draws,
        Split.CALIBRATION: config.calibration_draws,
        Split.TEST: config.test_draws,
    }
    draws = np.array([wanted[Split(split)] for split in split_of_patient])
    rng = np.random.default_rng([seed, 1])
    return draw_outcomes(findings.take(np.repeat(np.arange(len(draws)), draws)), rng), draws


def _simulate_chunk(job: tuple[int, int, int]) -> tuple[NDArray[np.float16], EchoMeasures]:
    seed, number, n = job
    rng = np.random.default_rng([seed, 2, number])
    patients = sample_patients(n, rng)
    signal_mv = simulate_ecg(patients, rng, fs=SIMULATED_FS)
    ecg = filter_and_resample(signal_mv, SIMULATED_FS, NEUTRAL_SPEC)
    return ecg[..., : NEUTRAL_SPEC.n_samples].astype(np.float16), patients.echo


def _chunks(total: int, size: int) -> list[tuple[int, int]]:
    """First item and number of items of each chunk."""
    return [(start, min(size, total - start)) for start in range(0, total, size)]


def _simulate(
    n: int, chunk: int, seed: int, workers: int
) -> tuple[NDArray[np.float16], EchoMeasures]:
    jobs = [(seed, start, size) for start, size in _chunks(n, chunk)]
    parts = _map(_simulate_chunk, jobs, workers, "virtual patients, chunks")
    return np.concatenate([ecg for ecg, _ in parts]), concatenate([echo for _, echo in parts])


def _render_chunk(
    job: tuple[int, int, EchoMeasures, int, int],
) -> tuple[NDArray[np.uint8], list[list[str]]]:
    seed, number, echo, n_frames, size = job
    rng = np.random.default_rng([seed, 3, number])
    return render_clips(echo, rng, n_frames=n_frames, size=size), report_sentences(echo, rng)


def _render(
    echo: EchoMeasures, config: CohortConfig, seed: int, workers: int
) -> tuple[NDArray[np.uint8], list[list[str]]]:
    jobs = [
        (seed, start, echo.take(slice(start, start + size)), config.n_frames, config.frame_size)
        for start, size in _chunks(len(echo), config.chunk)
    ]
    parts = _map(_render_chunk, jobs, workers, "echo clips, chunks")
    sentences = [texts for _, chunk in parts for texts in chunk]
    return np.concatenate([clips for clips, _ in parts]), sentences


def noise_bank(n: int, rng: np.random.Generator) -> FloatArray:
    """Make prepared noise; the filter is linear, so adding it later is adding it before."""
    silence = np.zeros((n, 12, round(SIMULATED_FS * NEUTRAL_SPEC.duration_s)), np.float32)
    noise = add_noise(silence, rng, 1.0, fs=SIMULATED_FS)
    prepared = filter_and_resample(noise, SIMULATED_FS, NEUTRAL_SPEC)
    return prepared[..., : NEUTRAL_SPEC.n_samples].astype(np.float32)
