"""The stages of a run, in order; each stores its result and is skipped when that is there."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from model_core.calibration import fit_platt, fit_widening
from model_core.domain import TrainingDomain, domain_features, fit_domain
from model_core.errors import EchoingError
from model_core.export import write_package
from model_core.nn import LeadTokenStudent, Student
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.manifest import (
    SCHEMA_VERSION,
    Manifest,
    Metric,
    Provenance,
    SegmentOutput,
)
from model_core.teachers import build_vocabulary
from model_core.types import Recording
from training import card, engine
from training.alignment import Alignment, TeacherGaussians
from training.assess import evaluate
from training.batches import (
    LOG_SPACE,
    Batches,
    Standardiser,
    finding_keys,
    fit_standardiser,
    measure_keys,
    run_model,
)
from training.checkpoint import load_json, load_tensors, save_json, save_tensors, write_atomic
from training.cohort import Cohort, IntArray, Split, assert_disjoint
from training.config import DistillConfig, FinetuneConfig, FitConfig, config_hash, config_json
from training.estimates import tabular_features
from training.evaluation.calibrate import fit_line
from training.fit import fit
from training.run import (
    STAGES,
    Run,
    calibrated_model,
    is_done,
    load_calibration,
    load_model,
    load_standardiser,
    load_student,
    new_student,
    new_teacher,
    new_text_encoder,
    stage_keys,
    teacher_gaussians,
    the_cohort,
)
from training.simulated_cohort import build_cohort
from training.simulation import sample_patients, simulate_ecg
from training.tasks import CourseTask, DistillTask, FinetuneTask, TeacherTask, create_heads
from training.text_sides import text_sides
from training.validation import validate

PACKAGE_NAME = "EchoingECG demonstration"
# Of the package; rises with the weights.
PACKAGE_VERSION = "0.4.0"
GOLDEN_FS = 500.0
# From how many ECGs of each source the training domain is learned.
LEAST_DOMAIN_ECGS, MOST_DOMAIN_ECGS = 20, 10_000
# Stages that every process takes part in; the others are the main process's.
_TRAINING = ("teacher", "distill", "finetune", "baselines")


def run_stage(run: Run, name: str) -> bool:
    """Run one stage unless its result for these settings is there already.

    Returns
    -------
    bool
        Whether there was anything to do.

    Raises
    ------
    EchoingError
        If the stage before it has not been run with these settings.
    """
    if not engine.on_main(lambda: _begin(run, name)):
        return False
    torch.set_num_threads(run.config.threads)
    torch.use_deterministic_algorithms(mode=True)
    if name in _TRAINING:
        _WORK[name](run, run.folder / name)
    else:
        engine.on_main(lambda: _WORK[name](run, run.folder / name))
    engine.on_main(lambda: save_json(run.folder / name / "done.json", stage_keys(run)[name]))
    return True


def _begin(run: Run, name: str) -> bool:
    """Make ready for a stage, or find that there is nothing to do."""
    folder = run.folder / name
    # Embeddings of other models are no setting: whoever gives them wants them compared.
    asked_again = name == "export" or (name == "evaluate" and run.embeddings)
    if is_done(run, name) and not asked_again:
        return False
    key = stage_keys(run)[name]
    position = STAGES.index(name)
    if position and not is_done(run, STAGES[position - 1]):
        raise EchoingError(
            f"The stage {name!r} needs the result of {STAGES[position - 1]!r} first.",
            hint=f"Run: echoing-train {STAGES[position - 1]}.",
            code="missing_stage",
        )
    started = folder / "started.json"
    if started.exists() and load_json(started) != key:
        shutil.rmtree(folder)  # checkpoints of other settings
    save_json(started, key)
    return True


def reproduce(run: Run) -> None:
    """All stages, in order."""
    if engine.is_main():
        save_json(run.folder / "recipe.json", run.config.recipe)
        text = config_json(run.config).encode()
        write_atomic(run.folder / "config.json", lambda file: file.write(text))
    for name in STAGES:
        run_stage(run, name)


def _store(folder: Path, tensors: dict[str, dict[str, Any]], values: dict[str, Any]) -> None:
    """Write files of a stage once; no process goes on before they are there."""

    def write() -> None:
        for name, state in tensors.items():
            save_tensors(folder / name, state)
        for name, value in values.items():
            save_json(folder / name, value)

    engine.on_main(write)


# --- the stages' work ---


def _cohort(run: Run, folder: Path) -> None:
    build_cohort(run.data, folder, run.config.cohort, run.config.seed, run.workers)


def _teacher(run: Run, folder: Path) -> None:
    cohort = the_cohort(run)
    if cohort.clips is None:
        return  # its echoes were embedded elsewhere
    texts = (sentence for sentences in cohort.sentences for sentence in sentences)
    vocabulary = list(build_vocabulary(texts, range(451)))
    torch.manual_seed(run.config.seed)
    task = TeacherTask(new_teacher(run, vocabulary), cohort)
    history = fit(
        task,
        run.config.teacher.fit,
        name="teacher",
        seed=run.config.seed + 1,
        checkpoint=folder / "checkpoint.pt",
    )
    tensors = {"weights.pt": task.teacher.state_dict()}
    _store(folder, tensors, {"vocabulary.json": vocabulary, "history.json": history})


def _distill(run: Run, folder: Path) -> None:
    cohort = the_cohort(run)
    standardise = fit_standardiser(cohort, cohort.source_names[0])
    values = {"mean_mv": standardise.mean_mv.tolist(), "scale_mv": standardise.scale_mv.tolist()}
    _store(folder, {}, {"standardiser.json": values})
    teacher = teacher_gaussians(run, cohort)
    _store(folder, {}, {"embedding_dim.json": teacher.mean.shape[1]})
    course_fit = run.config.distill.course_fit
    if course_fit is not None and _states_and_measures(cohort):
        _fit_course(run, cohort, course_fit, folder)
    _fit_distillation(run, cohort, teacher, run.config.distill, folder)


def _states_and_measures(cohort: Cohort) -> bool:
    """Whether a cohort holds what the convolutions learn from alone; archives often do not."""
    return bool(cohort.ecg_labels) and bool(cohort.ecg_values)


def _fit_course(run: Run, cohort: Cohort, config: FitConfig, folder: Path) -> None:
    student = new_student(run, load_json(folder / "embedding_dim.json"))
    assert isinstance(student, LeadTokenStudent)  # noqa: S101 - the settings were checked
    shares = run.config.distill.shares
    batches = Batches(cohort, load_standardiser(run), run.config.augment, shares)
    task = CourseTask(student, batches)
    history = fit(
        task,
        config,
        name=f"convolutions ({folder.name})",
        seed=run.config.seed + 7,
        checkpoint=folder / "course_checkpoint.pt",
    )
    _store(folder, {"course.pt": task.course.state_dict()}, {"course_history.json": history})


def _fit_distillation(
    run: Run, cohort: Cohort, teacher: TeacherGaussians, config: DistillConfig, folder: Path
) -> None:
    dim = teacher.mean.shape[1]
    student = new_student(run, dim)
    is_taught = config.course_fit is not None and _states_and_measures(cohort)
    if isinstance(student, LeadTokenStudent) and is_taught:
        student.course.load_state_dict(load_tensors(run.folder / "distill/course.pt"))
    alignment = Alignment(cohort, teacher, new_text_encoder(run, cohort, dim), config)
    batches = Batches(cohort, load_standardiser(run), run.config.augment, config.shares)
    task = DistillTask(student, batches, alignment, teacher, config)
    history = fit(
        task,
        config.fit,
        name=f"student ({folder.name})",
        seed=run.config.seed + 3,
        checkpoint=folder / "checkpoint.pt",
    )
    tensors = {"weights.pt": task.student.state_dict(), "alignment.pt": alignment.state_dict()}
    _store(folder, tensors, {"history.json": history})


def _finetune(run: Run, folder: Path) -> None:
    cohort = the_cohort(run)
    teacher = teacher_gaussians(run, cohort)
    dim = teacher.mean.shape[1]
    alignment = Alignment(cohort, teacher, new_text_encoder(run, cohort, dim), run.config.distill)
    alignment.load_state_dict(load_tensors(run.folder / "distill/alignment.pt"))
    _fit_measures(run, cohort, load_student(run), alignment, run.config.finetune, folder)


def _fit_measures(
    run: Run,
    cohort: Cohort,
    student: Student,
    alignment: Alignment | None,
    config: FinetuneConfig,
    folder: Path,
) -> None:
    torch.manual_seed(run.config.seed + 4)
    heads = create_heads(cohort, student.embedding_dim, config.hidden)
    batches = Batches(cohort, load_standardiser(run), run.config.augment, config.shares)
    level = run.config.evaluate.level
    task = FinetuneTask(student, heads, batches, alignment, config, level)
    history = fit(
        task,
        config.fit,
        name=f"measures ({folder.name})",
        seed=run.config.seed + 5,
        checkpoint=folder / "checkpoint.pt",
    )
    tensors = {
        "student.pt": task.averaged.student.state_dict(),
        "heads.pt": task.averaged.heads.state_dict(),
    }
    if alignment is not None:
        tensors["alignment.pt"] = alignment.state_dict()
    _store(folder, tensors, {"history.json": history})


def _calibrate(run: Run, folder: Path) -> None:
    """Lines of the medians, conformal widening, Platt scaling, colour scale; calibration split."""
    cohort = the_cohort(run)
    records = cohort.one_record_per_patient(Split.CALIBRATION)
    if not len(records):
        raise EchoingError("The cohort has no patient to calibrate on.", code="too_few_patients")
    outputs = run_model(load_model(run, cohort), load_standardiser(run), cohort.ecg_mv, records)
    n, level = len(records), run.config.evaluate.level
    measures, lines = [], []
    for column, key in enumerate(measure_keys(cohort)):
        observed = cohort.outcomes(key, records)
        if LOG_SPACE[key]:
            observed = np.log(observed)
        medians = outputs.quantiles[:, column, 1].astype(np.float64)
        lines.append(fit_line(medians, observed.astype(np.float64)))
        offset, slope = lines[-1]
        moved = offset + (slope - 1) * outputs.quantiles[:, column, 1]
        low, high = (outputs.quantiles[:, column, end] + moved for end in (0, 2))
        known = ~np.isnan(observed).any(axis=1)
        widening = fit_widening(low[known], high[known], observed[known], level)
        measures.append([key, level, widening, LOG_SPACE[key], int(known.sum())])
    findings = []
    for column, finding in enumerate(finding_keys(cohort).values()):
        observed = cohort.outcomes(finding.measure_key, records)
        known = ~np.isnan(observed).any(axis=1)
        logits = outputs.finding_logits[known, column]
        fitted = fit_platt(logits, observed[known] < finding.below)
        findings.append([finding.key, *fitted, int(known.sum())])
    scale_low, scale_high = np.exp(np.percentile(outputs.segment_log_var, [5, 99]))
    scale = [float(scale_low), float(max(scale_high, 1.01 * scale_low))]
    values = {"measures": measures, "lines": lines, "findings": findings, "scale": scale}
    save_json(folder / "calibration.json", {**values, "n_patients": n})


def _baselines(run: Run, folder: Path) -> None:
    """Networks to compare with, on the same splits and with the same number of steps.

    ``infonce``: distilled by deterministic InfoNCE on the means. ``supervised``: from scratch, on
    the measures alone, for as many steps as distillation and fine-tuning together. ``tabular``:
    features that are measured, for linear probes.
    """
    cohort = the_cohort(run)
    config = run.config
    infonce = dataclasses.replace(config.distill, deterministic=True)
    _fit_distillation(run, cohort, teacher_gaussians(run, cohort), infonce, folder / "infonce")
    both = config.distill.fit.steps + config.finetune.fit.steps
    supervised = dataclasses.replace(
        config.finetune,
        fit=dataclasses.replace(config.finetune.fit, steps=both),
        label_weight=0.0,
        value_weight=0.0,
        keep_weight=0.0,
        variance_weight=0.0,
        self_weight=0.0,
    )
    student = new_student(run, load_json(run.folder / "distill/embedding_dim.json"))
    _fit_measures(run, cohort, student, None, supervised, folder / "supervised")
    if engine.is_main():
        table = tabular_features(run, cohort)
        write_atomic(
            folder / "tabular.npz",
            lambda file: np.savez(file, train=table[0], calibration=table[1], test=table[2]),
        )


def _evaluate(run: Run, folder: Path) -> None:
    assert_disjoint(the_cohort(run))
    # numpy's threads only wait for one another in the many small fits of an evaluation.
    with threadpool_limits(1, user_api="blas"):
        evaluate(run, folder)


def _export(run: Run, _: Path) -> None:
    """Model package and page of figures."""
    cohort = the_cohort(run)
    standardise, model = load_standardiser(run), calibrated_model(run, cohort)
    calibration = load_calibration(run)
    metrics = load_json(run.folder / "evaluate/summary.json")["metrics"]
    figures = (run.folder / "evaluate/report.md").read_text(encoding="utf-8")
    spec = PreprocessSpec(
        mean_mv=tuple(float(v) for v in standardise.mean_mv),
        scale_mv=tuple(float(v) for v in standardise.scale_mv),
    )
    student = model.student
    words = card.words(cohort)
    measures, validation = validate(run, cohort, model, calibration.measures)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=PACKAGE_NAME if cohort.simulated_outcomes else run.config.recipe,
        version=PACKAGE_VERSION,
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        architecture=run.config.distill.student,
        demonstration=cohort.simulated_outcomes,
        caveat=words.caveat,
        input=spec,
        measures=measures,
        findings=calibration.findings,
        segments=SegmentOutput(
            student.row_names, student.n_segments, calibration.scale, student.edges_s
        ),
        cohort=words.cohort,
        metrics=tuple(Metric(*row) for row in metrics),
        intended_use=words.intended_use,
        limits=words.limits,
        licence=words.licence,
        provenance=Provenance(
            recipe=run.config.recipe,
            config_sha256=config_hash(run.config),
            code_version=_code_version(),
            data_sha256=cohort.data_sha256,
            seed=run.config.seed,
        ),
        files={},
        validation=validation,
    )
    golden = _golden_recording(run.config.seed)
    # Of every source alike.
    rows = np.concatenate(
        [cohort.records(Split.TRAIN, name)[:64] for name in cohort.source_names]
        + [np.arange(cohort.n_records)[::-1]]
    )[:128]
    write_package(
        run.out,
        model,
        manifest,
        model_card=card.model_card(manifest, figures),
        golden_signal_mv=golden.signal_mv,
        golden_fs=golden.fs,
        golden_input_bls=prepare(golden, spec),
        parity_inputs_bls=standardise(cohort.ecg_mv[rows].astype(np.float32)).numpy(),
        domain=_training_domain(cohort, standardise, spec.fs),
        texts=text_sides(run, cohort),
    )
    if run.page:
        parameters = sum(p.numel() for p in model.parameters())
        text = card.report_page(manifest, figures, parameters)
        write_atomic(run.page, lambda file: file.write(text.encode()))


def _training_domain(cohort: Cohort, standardise: Standardiser, fs: float) -> TrainingDomain | None:
    """Features of the training ECGs of each source; threshold from the calibration split.

    Sources with too few ECGs to say what is usual are left out; None if there is no other.
    """

    def features(rows: IntArray) -> NDArray[np.float64]:
        rows = rows[:: -(-len(rows) // MOST_DOMAIN_ECGS) or 1]
        inputs = standardise(cohort.ecg_mv[rows].astype(np.float32)).numpy()
        return np.stack([domain_features(ecg, fs) for ecg in inputs])

    every = [cohort.records(Split.TRAIN, name) for name in cohort.source_names]
    sources = [features(rows) for rows in every if len(rows) >= LEAST_DOMAIN_ECGS]
    validation = cohort.records(Split.CALIBRATION)
    if not sources or len(validation) < LEAST_DOMAIN_ECGS:
        return None
    return fit_domain(sources, features(validation))


def _golden_recording(seed: int) -> Recording:
    rng = np.random.default_rng([seed, 20])
    signal_mv = simulate_ecg(sample_patients(1, rng), rng, fs=GOLDEN_FS)[0]
    return Recording("golden", signal_mv, GOLDEN_FS, PreprocessSpec().lead_names, "golden")


def _code_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("echoing-ecg")
    except PackageNotFoundError:
        return "unknown"


_WORK: dict[str, Callable[[Run, Path], None]] = {
    "cohort": _cohort,
    "teacher": _teacher,
    "distill": _distill,
    "finetune": _finetune,
    "calibrate": _calibrate,
    "baselines": _baselines,
    "evaluate": _evaluate,
    "export": _export,
}
