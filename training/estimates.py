"""What the model and its rivals estimate, as arrays for `training.evaluation`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_core.errors import EchoingError
from model_core.export import PackageModel
from model_core.measures import MEASURES
from model_core.nn import Student
from training.augment import FS
from training.batches import (
    LOG_SPACE,
    Outputs,
    Standardiser,
    embed,
    finding_keys,
    measure_keys,
    run_model,
)
from training.checkpoint import load_json
from training.cohort import Cohort, IntArray, Split
from training.evaluation.arrays import (
    Array,
    Estimates,
    Finding,
    Subjects,
    known_findings,
)
from training.evaluation.calibrate import calibrated_estimates
from training.evaluation.embeddings import read_embeddings_parquet
from training.evaluation.probes import constant, few_shot, linear_probe
from training.evaluation.report_data import Curve
from training.run import (
    Run,
    embed_frames,
    load_model,
    load_standardiser,
    load_student,
    load_teacher,
    new_student,
    the_cohort,
)
from training.simulated_cohort import VIRTUAL
from training.zeroshot import EmbeddedSweep, embed_prompts, own_prompts, read_sweep

MODEL = "This model (fine-tuned)"
ORACLE = "Best possible (knows the simulation)"
SCRATCH = "Supervised from scratch"
PROBE = "Linear probe on the distilled student"
PROBE_MEAN = "Linear probe, means only"
PROBE_INFONCE = "Linear probe, InfoNCE"
PROBE_RANDOM = "Linear probe, untrained student"
TABULAR = "Tabular ECG features"
CONSTANT = "Median of the training patients"
ZERO_SHOT = "Zero-shot"

TRUE_BAND, ESTIMATED_BAND = "true LVEF", "estimated LVEF"
BANDS_PCT = (40.0, 50.0)
# Records that probes and tabular features are fitted on.
MOST_TRAINING_RECORDS = 6000


def subjects_of(cohort: Cohort, records: IntArray) -> Subjects:
    """Who some records belong to, and every measure that is known of them."""
    # Flags of 0 and 1 are no measures to regress.
    keys = [key for key in cohort.measures if not key.endswith("_flag")]
    outcomes = {key: cohort.outcomes(key, records).astype(float) for key in keys}
    outcomes = {key: values for key, values in outcomes.items() if not np.isnan(values).all()}
    groups = {name: np.array(labels)[records] for name, labels in cohort.groups.items()}
    bands = {TRUE_BAND: ("lvef", BANDS_PCT)} if "lvef" in outcomes else {}
    return Subjects(cohort.patient[records], outcomes, groups, bands)


@dataclass(frozen=True)
class Parts:
    """Records and subjects of the three splits."""

    cohort: Cohort
    standardise: Standardiser
    train: IntArray
    calibration: IntArray
    test: IntArray

    def subjects(self) -> tuple[Subjects, Subjects, Subjects]:
        """Who they belong to."""
        return tuple(subjects_of(self.cohort, rows) for rows in self.rows)  # pyright: ignore[reportReturnType]

    @property
    def rows(self) -> tuple[IntArray, IntArray, IntArray]:
        """Records for training, calibration and test."""
        return self.train, self.calibration, self.test


def parts_of(run: Run, cohort: Cohort) -> Parts:
    """Choose the records that a run is evaluated with, one a patient."""
    train = cohort.one_record_per_patient(Split.TRAIN)
    if VIRTUAL in cohort.source_names:
        # Sources in order of their number: the real ones come before the virtual patients.
        train = train[:MOST_TRAINING_RECORDS]
    elif len(train) > MOST_TRAINING_RECORDS:
        # From all archives alike.
        train = train[np.linspace(0, len(train) - 1, MOST_TRAINING_RECORDS).astype(int)]
    return Parts(
        cohort,
        load_standardiser(run),
        train,
        cohort.one_record_per_patient(Split.CALIBRATION),
        cohort.one_record_per_patient(Split.TEST),
    )


def all_estimates(
    run: Run,
    parts: Parts,
    model: PackageModel,
    findings: list[Finding],
    subjects: tuple[Subjects, Subjects, Subjects],
) -> tuple[list[Estimates], list[Curve]]:
    """Ask the model, the best possible estimator and every baseline; few-shot curves beside.

    Parameters
    ----------
    run, parts, model
        Of which run; its records; its fine-tuned network.
    findings
        What is to be told.
    subjects
        For training, calibration and test.
    """
    cohort, level = parts.cohort, run.config.evaluate.level
    train, calibration, test = subjects
    found = [_of_model(MODEL, parts, model, calibration, findings, level)]
    if cohort.reference:
        found.append(_reference(parts, calibration, findings, level))
    scratch = load_model(run, cohort, "baselines/supervised")
    found.append(_of_model(SCRATCH, parts, scratch, calibration, findings, level))
    distilled = load_student(run)
    students = {
        PROBE: distilled,
        PROBE_INFONCE: load_student(run, "baselines/infonce/weights.pt"),
        PROBE_RANDOM: new_student(run, distilled.embedding_dim).eval(),
    }
    curves: list[Curve] = []
    for name, student in students.items():
        mean, log_var = _embeddings(student, parts)
        features = {name: [np.hstack(pair) for pair in zip(mean, log_var, strict=True)]}
        uncertainty = np.exp(log_var[2]).sum(1) if name == PROBE else None
        if name == PROBE:
            features[PROBE_MEAN] = mean
            if cohort.clips is not None:
                zero_shot = _zero_shot(run, mean, calibration, findings, level)
                found.append(dataclasses.replace(zero_shot, uncertainty=uncertainty))
        elif name == PROBE_INFONCE:
            features = {name: mean}
        for title, values in features.items():
            arrays = (values[0], values[1], values[2])
            probe = linear_probe(title, arrays, train, calibration, findings, level)
            # The embedding's own variance; one who has means only does not know it.
            known = uncertainty if title == PROBE else None
            found.append(dataclasses.replace(probe, uncertainty=known))
        for finding in findings:
            curves += few_shot(name, (mean[0], mean[2]), train, test, finding)
    tabular = np.load(run.folder / "baselines/tabular.npz")
    names = ("train", "calibration", "test")
    arrays = (tabular[names[0]], tabular[names[1]], tabular[names[2]])
    found.append(linear_probe(TABULAR, arrays, train, calibration, findings, level))
    for title, path in run.embeddings.items():
        foreign, few = _foreign(title, path, parts, test, findings, level)
        found.append(foreign)
        curves += few
    found.append(constant(CONSTANT, train, calibration, test.n, findings, level))
    return found, curves


def _of_model(
    name: str,
    parts: Parts,
    model: PackageModel,
    calibration: Subjects,
    findings: list[Finding],
    level: float,
) -> Estimates:
    outputs = [_run(model, parts, rows) for rows in (parts.calibration, parts.test)]
    keys = measure_keys(parts.cohort)
    quantiles = {
        key: tuple(out.quantiles[:, column].astype(float) for out in outputs)
        for column, key in enumerate(keys)
    }
    logits = {
        key: tuple(out.finding_logits[:, column].astype(float) for out in outputs)
        for column, key in enumerate(finding_keys(parts.cohort))
    }
    return calibrated_estimates(
        name,
        calibration,
        quantiles,
        logits,
        findings,
        log_space={key for key in keys if LOG_SPACE[key]},
        straighten=set(keys),
        level=level,
        uncertainty=np.exp(outputs[1].log_var).sum(1).astype(float),
    )


def _reference(
    parts: Parts, calibration: Subjects, findings: list[Finding], level: float
) -> Estimates:
    """Estimates of one who knows the distributions that the outcomes were drawn from."""
    reference = parts.cohort.reference
    pairs = {
        key: tuple(values[rows].astype(float) for rows in (parts.calibration, parts.test))
        for key, values in reference.items()
    }
    quantiles = {
        key: tuple(np.repeat(values[:, None], 3, axis=1) for values in pair)
        for key, pair in pairs.items()
        if key in calibration.outcomes
    }
    logits = {f.key: tuple(_logit(p) for p in pairs[f.key]) for f in findings if f.key in pairs}
    return calibrated_estimates(
        ORACLE, calibration, quantiles, logits, findings, log_space=(), level=level
    )


@dataclass(frozen=True)
class _Reader:
    """Prompts in the space that student and teacher share."""

    sweeps: Mapping[str, EmbeddedSweep]
    inverse_temperature: float

    def values(self, key: str, frames_nfd: Array) -> Array:
        """One measure read off unit vectors, (n, F, D)."""
        found = read_sweep(self.sweeps[key], list(frames_nfd), self.inverse_temperature)
        return found["soft"].astype(float)


def _reader(run: Run) -> _Reader:
    teacher = load_teacher(run)
    prompts = embed_prompts(own_prompts(), lambda texts: teacher.text(texts).numpy())
    history = load_json(run.folder / "teacher/history.json")
    return _Reader(prompts.sweeps, history[-1]["inverse_temperature"])


def _zero_shot(
    run: Run,
    mean: list[Array],
    calibration: Subjects,
    findings: list[Finding],
    level: float,
) -> Estimates:
    """Measures read off the space that student and teacher share."""
    reader = _reader(run)
    quantiles = {}
    for key in reader.sweeps:
        if key in calibration.outcomes:
            read = [reader.values(key, values[:, None, :]) for values in mean[1:]]
            quantiles[key] = tuple(np.repeat(values[:, None], 3, axis=1) for values in read)
    logits = {
        f.key: tuple(-values[:, 1] for values in quantiles[f.measure])
        for f in findings
        if f.measure in quantiles
    }
    return calibrated_estimates(
        ZERO_SHOT, calibration, quantiles, logits, findings, log_space=(), level=level
    )


def teacher_notes(run: Run, cohort: Cohort) -> list[str]:
    """Say how well the teacher itself reads clips that it was not trained on."""
    records = cohort.records(Split.HELD_OUT)
    studies = cohort.first_study[records]
    if cohort.clips is None or not len(studies):
        return []
    frames = embed_frames(load_teacher(run), cohort, studies).numpy().astype(float)
    reader = _reader(run)
    parts = []
    for key in (k for k in measure_keys(cohort) if k in reader.sweeps):
        observed = cohort.measures[key][studies]
        error = np.abs(reader.values(key, frames) - observed).mean()
        floor = np.abs(np.median(observed) - observed).mean()
        measure = MEASURES[key]
        parts.append(f"{measure.label} {error:.1f} {measure.unit} ({floor:.1f} for their median)")
    return [
        f"The teacher itself, zero-shot on {len(studies):,} unseen simulated clips, errs by "
        f"{', '.join(parts)}."
    ]


def _foreign(
    title: str, path: Path, parts: Parts, test: Subjects, findings: list[Finding], level: float
) -> tuple[Estimates, list[Curve]]:
    """Linear probe and few shots on another model's embeddings, which virtual patients lack."""
    cohort, train = parts.cohort, parts.train
    if not cohort.record_ids:
        raise EchoingError(
            "The cohort does not name its records, so that no embeddings can be joined to them.",
            hint="Make it again: echoing-train cohort-from-archives.",
            code="missing_data",
        )
    if VIRTUAL in cohort.source_names:
        train = train[cohort.source[train] != cohort.source_names.index(VIRTUAL)]
    rows = (train, parts.calibration, parts.test)
    ids = [[cohort.record_ids[row] for row in some] for some in rows]
    features = [read_embeddings_parquet(path, some) for some in ids]
    known, calibration = (subjects_of(cohort, some) for some in rows[:2])
    arrays = (features[0], features[1], features[2])
    curves = [
        curve
        for finding in findings
        for curve in few_shot(title, (features[0], features[2]), known, test, finding)
    ]
    return linear_probe(title, arrays, known, calibration, findings, level), curves


def tabular_features(run: Run, cohort: Cohort) -> tuple[Array, Array, Array]:
    """Measure features of the ECGs that `evaluate` uses, (n, d): train, calibration, test."""
    from training.tabular import feature_table

    parts = parts_of(run, cohort)
    ecg = np.concatenate([cohort.ecg_mv[rows].astype(np.float32) for rows in parts.rows])
    _, table = feature_table(ecg, FS, run.workers)
    ends = np.cumsum([len(rows) for rows in parts.rows])
    train, calibration, test = np.split(table, ends[:-1])
    return train, calibration, test


def _embeddings(student: Student, parts: Parts) -> tuple[list[Array], list[Array]]:
    pairs = [embed(student, parts.standardise, parts.cohort, rows) for rows in parts.rows]
    return (
        [mean.numpy().astype(float) for mean, _ in pairs],
        [log_var.numpy().astype(float) for _, log_var in pairs],
    )


def _run(model: PackageModel, parts: Parts, rows: IntArray) -> Outputs:
    return run_model(model, parts.standardise, parts.cohort.ecg_mv, rows)


def _logit(p: Array) -> Array:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def few_shot_curves(run: Run, shots: Sequence[int], n_draws: int) -> list[Curve]:
    """Figures over the number of labelled ECGs, on the distilled student's means."""
    parts = parts_of(run, the_cohort(run))
    train, _, test = parts.subjects()
    mean, _ = _embeddings(load_student(run), parts)
    seed = run.config.seed
    return [
        curve
        for finding in known_findings()
        if finding.measure in test.outcomes
        for curve in few_shot(
            PROBE, (mean[0], mean[2]), train, test, finding, shots=shots, n_draws=n_draws, seed=seed
        )
    ]
