"""The cohort behind the default model: PTB-XL with simulated outcomes, and virtual patients."""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import delineate
from model_core.errors import EchoingError
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.measurements import measure
from model_core.preprocess import PreprocessSpec, filter_and_resample, prepare
from model_core.types import Recording
from training.checkpoint import require_space
from training.cohort import Cohort, FloatArray, Split, assert_disjoint, save_cohort
from training.config import CohortConfig
from training.progress import Progress
from training.simulation import (
    MEASURED,
    EcgFindings,
    EchoMeasures,
    add_noise,
    concatenate,
    draw_outcomes,
    ecg_sentence,
    findings_from_ptbxl,
    findings_of_patients,
    oracle,
    render_clips,
    report_sentences,
    sample_patients,
    simulate_ecg,
)
from training.tabular import feature_table

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

PTBXL, VIRTUAL, UNREAD = "PTB-XL", "virtual patients", "PTB-XL without statements"
SIMULATED_FS = 250.0
MEASURE_FIELDS = {
    "lvef": "lvef_pct",
    "lvedv": "lvedv_ml",
    "lvesv": "lvesv_ml",
    "wall": "wall_mm",
    "la_volume": "la_volume_ml",
}
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr")
# The network's input before standardisation.
NEUTRAL_SPEC = PreprocessSpec()


def read_ptbxl_table(folder: Path) -> list[dict[str, str]]:
    """Rows of PTB-XL's table, in its order; outside the training folds only with statements.

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
        rows = [row for row in reader if row["scp_codes"].strip() or _is_training(row)]
    folds = {int(float(row["strat_fold"])) for row in rows if row["scp_codes"].strip()}
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


def _is_training(row: Mapping[str, str]) -> bool:
    return split_of_fold(int(float(row["strat_fold"]))) == Split.TRAIN


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

    PTB-XL's patients get several draws of a simulated outcome each, from the findings of their
    first record; clips are rendered for the first `CohortConfig.train_clips` of them.

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
    table = read_ptbxl_table(data / "ptbxl")
    # Those without statements come last: they have no outcome, and train what needs none.
    table.sort(key=lambda row: not row["scp_codes"].strip())
    n_virtual = config.n_virtual + config.n_held_out
    require_space(folder, _least_bytes(config, len(table), n_virtual), "the cohort")
    real_ecg, measured, data_sha256 = _read_signals(data / "ptbxl", table, workers)
    rows = [row for row in table if row["scp_codes"].strip()]
    n_unread = len(table) - len(rows)
    names, patient = np.unique([row["patient_id"] for row in table], return_inverse=True)
    split = np.array([split_of_fold(int(float(row["strat_fold"]))) for row in table])
    real = findings_from_ptbxl(rows, {k: v[: len(rows)] for k, v in measured.items()})
    _, first_record, of_stated = np.unique(
        patient[: len(rows)], return_index=True, return_inverse=True
    )
    wanted = {
        Split.TRAIN: (config.train_draws, config.train_clips),
        Split.CALIBRATION: (config.calibration_draws, 0),
        Split.TEST: (config.test_draws, 0),
    }
    draws, clips_wanted = np.array([wanted[Split(s)] for s in split[first_record]]).T
    echo = draw_outcomes(
        real.take(np.repeat(first_record, draws)), np.random.default_rng([seed, 1])
    )
    first_study = np.cumsum(draws) - draws
    has_clip = np.arange(len(echo)) - np.repeat(first_study, draws) < np.repeat(clips_wanted, draws)

    virtual_ecg, virtual_echo, virtual = _simulate(n_virtual, config.chunk, seed, workers)
    studies = concatenate([echo, virtual_echo])
    has_clip = np.concatenate([has_clip, np.ones(n_virtual, bool)])
    clip_row = np.where(has_clip, np.cumsum(has_clip) - 1, -1)
    clips, sentences = _render(studies.take(np.flatnonzero(has_clip)), config, seed, workers)
    held_out = np.arange(n_virtual) >= config.n_virtual
    findings = concatenate_findings([real, virtual])
    order = Layout(len(rows), n_unread, n_virtual)
    ecg_mv = np.concatenate([real_ecg, virtual_ecg])
    unread = _age_and_sex(table[len(rows) :])
    labels, values = _labels(findings), _values(ecg_mv, workers)
    cohort = Cohort(
        ecg_mv=ecg_mv,
        patient=np.concatenate([patient, len(names) + np.arange(n_virtual)]),
        split=np.concatenate([split, np.where(held_out, Split.HELD_OUT, Split.TRAIN)]),
        source=np.repeat([0, 1, 2], [len(rows), n_unread, n_virtual]),
        source_names=[PTBXL, UNREAD, VIRTUAL],
        record_ids=[row["ecg_id"] for row in table] + [f"virtual {i}" for i in range(n_virtual)],
        first_study=order.spread(first_study[of_stated], len(echo) + np.arange(n_virtual), 0),
        n_studies=order.spread(draws[of_stated], np.ones(n_virtual, int), 0),
        measures={key: getattr(studies, field) for key, field in MEASURE_FIELDS.items()},
        clip_row=clip_row,
        clips=clips,
        sentences=sentences,
        ecg_text=order.texts(ecg_sentence(findings), ""),
        ecg_labels={k: order.records(v, unread.get(k, np.nan)) for k, v in labels.items()},
        ecg_values=values | {"age_y": order.records(findings.age_y, unread["age_y"])},
        groups={k: order.texts(v, "unknown") for k, v in _groups(findings).items()},
        reference={
            k: order.spread(v, np.full(n_virtual, np.nan, np.float32), np.nan)
            for k, v in _reference(real, seed).items()
        },
        noise_mv=noise_bank(config.n_noise, np.random.default_rng([seed, 4])),
        simulated_outcomes=True,
        data_sha256={PTBXL: data_sha256},
    )
    assert_disjoint(cohort)
    save_cohort(folder, cohort)


def _least_bytes(config: CohortConfig, n_real: int, n_virtual: int) -> int:
    """Room that the ECGs and the virtual patients' clips take; real patients' clips come on top."""
    spec = PreprocessSpec()
    n_samples = round(spec.fs * spec.duration_s)
    ecg = len(STANDARD_LEADS) * n_samples * np.dtype(np.float16).itemsize
    clip = config.n_frames * config.frame_size**2
    return (n_real + n_virtual) * ecg + n_virtual * clip


@dataclass(frozen=True)
class Layout:
    """Order of the records: PTB-XL with statements, without, virtual patients."""

    n_stated: int
    n_unread: int
    n_virtual: int

    def spread(
        self, stated: NDArray[Any], virtual: NDArray[Any], unread: float | FloatArray
    ) -> NDArray[Any]:
        """Put values in the order of the records."""
        return np.concatenate([stated, np.full(self.n_unread, unread, stated.dtype), virtual])

    def records(self, values: NDArray[Any], unread: float | FloatArray) -> NDArray[Any]:
        """Put values of all but the unread ECGs in the order of the records."""
        return self.spread(values[: self.n_stated], values[self.n_stated :], unread)

    def texts(self, values: list[str], unread: str) -> list[str]:
        """Put texts of all but the unread ECGs in the order of the records."""
        return [*values[: self.n_stated], *[unread] * self.n_unread, *values[self.n_stated :]]


def concatenate_findings(parts: Sequence[EcgFindings]) -> EcgFindings:
    """Join the findings of several groups of ECGs in the order given."""
    return EcgFindings(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(EcgFindings)}
    )


def _labels(findings: EcgFindings) -> dict[str, FloatArray]:
    """Statements that occur, sex, and age above 65 years, as 1 and 0."""
    flags = findings.flags()
    flags["older_than_65"] = findings.age_y > 65
    return {name: values.astype(np.float32) for name, values in flags.items() if values.any()}


def _age_and_sex(rows: Sequence[Mapping[str, str]]) -> dict[str, FloatArray]:
    """Age in years, and the labels that follow from age and sex, of ECGs without statements."""
    age = np.array([float(row["age"]) for row in rows], np.float32)
    return {
        "age_y": np.where(age > 89, np.float32(92), age),  # 300 stands for more than 89
        "male": np.array([float(row["sex"]) == 0 for row in rows], np.float32),
        "older_than_65": (age > 65).astype(np.float32),
    }


def _values(ecg_mv: NDArray[np.float16], workers: int) -> dict[str, FloatArray]:
    """Rates, intervals, axes and amplitudes that delineation finds, by name, (records,) each."""
    names, table = feature_table(ecg_mv, NEUTRAL_SPEC.fs, workers)
    return dict(zip(names, table.T.astype(np.float32), strict=True))


def _groups(findings: EcgFindings) -> dict[str, list[str]]:
    f = findings
    ages = np.array(["below 50", "50 to 64", "65 to 79", "80 and more"])
    return {
        "sex": np.where(f.male, "men", "women").tolist(),
        "age": ages[np.searchsorted([50, 65, 80], f.age_y, side="right")].tolist(),
        "rhythm": np.select(
            [f.paced, f.af], ["paced", "atrial fibrillation"], "sinus or other"
        ).tolist(),
        "block": np.select(
            [f.lbbb, f.rbbb, f.ivcd, f.lafb],
            [
                "left bundle branch block",
                "right bundle branch block",
                "other delay",
                "left anterior",
            ],
            "none",
        ).tolist(),
    }


def _reference(findings: EcgFindings, seed: int) -> dict[str, FloatArray]:
    """Best possible estimates: a median under each measure's key, and probabilities."""
    best = oracle(findings, seed)
    names = {field: key for key, field in MEASURE_FIELDS.items()}
    return {names.get(name, name): values for name, values in best.items()}


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


def _read_signal(path: Path) -> tuple[NDArray[np.float16], tuple[float, ...], bytes]:
    recording = read_recording(path)
    ecg = prepare(recording, NEUTRAL_SPEC)[0].astype(np.float16)
    return ecg, measured_on(recording), recording.recording_id.encode()


def measured_on(recording: Recording) -> tuple[float, float, float]:
    """Measure heart rate (bpm), QRS and QTc (ms), in the order of MEASURED; NaN if not possible."""
    signal = recording.signal_mv
    found = measure(delineate(signal, recording.fs, recording.lead_names), signal)
    return found.heart_rate_bpm, found.qrs_ms, found.qtc_bazett_ms


def _read_signals(
    folder: Path, rows: Sequence[Mapping[str, str]], workers: int
) -> tuple[NDArray[np.float16], dict[str, NDArray[np.float64]], str]:
    """Read prepared signals, what was measured on each (by name), and a digest of all."""
    paths = [folder / (row["filename_lr"] + ".hea") for row in rows]
    ecg, measured, identities = zip(
        *_map(_read_signal, paths, workers, "PTB-XL records"), strict=True
    )
    digest = hashlib.sha256((folder / "ptbxl_database.csv").read_bytes())
    for identity in identities:
        digest.update(identity)
    columns: dict[str, NDArray[np.float64]] = {}
    columns.update(zip(MEASURED, np.array(measured).T, strict=True))
    return np.stack(ecg), columns, digest.hexdigest()


def _simulate_chunk(
    job: tuple[int, int, int],
) -> tuple[NDArray[np.float16], EchoMeasures, EcgFindings]:
    seed, number, n = job
    rng = np.random.default_rng([seed, 2, number])
    patients = sample_patients(n, rng)
    signal_mv = simulate_ecg(patients, rng, fs=SIMULATED_FS)
    ecg = filter_and_resample(signal_mv, SIMULATED_FS, NEUTRAL_SPEC)
    ecg = ecg[..., : NEUTRAL_SPEC.n_samples].astype(np.float16)
    findings = findings_of_patients(patients)
    return ecg, draw_outcomes(findings, rng), findings


def _chunks(total: int, size: int) -> list[tuple[int, int]]:
    """First item and number of items of each chunk."""
    return [(start, min(size, total - start)) for start in range(0, total, size)]


def _simulate(
    n: int, chunk: int, seed: int, workers: int
) -> tuple[NDArray[np.float16], EchoMeasures, EcgFindings]:
    jobs = [(seed, start, size) for start, size in _chunks(n, chunk)]
    parts = _map(_simulate_chunk, jobs, workers, "virtual patients, chunks")
    ecg, echo, findings = zip(*parts, strict=True)
    return np.concatenate(ecg), concatenate(echo), concatenate_findings(findings)


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
