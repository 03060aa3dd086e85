"""The stages of a run, in order; each stores its result and is skipped when that is there."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_core.calibration import fit_platt, fit_widening
from model_core.errors import EchoingError
from model_core.export import PackageModel, write_package
from model_core.measures import FINDINGS, MEASURES
from model_core.nn import MeasureHeads, Student, create_student
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.manifest import (
    SCHEMA_VERSION,
    FindingOutput,
    Manifest,
    MeasureOutput,
    Metric,
    Provenance,
    SegmentOutput,
)
from model_core.teachers import (
    FrozenTeacher,
    ImageTextTeacher,
    build_vocabulary,
    study_distribution,
)
from model_core.types import Recording
from training import evaluation
from training.card import CAVEAT, COHORT, INTENDED_USE, LICENCE, LIMITS, model_card, report_page
from training.checkpoint import load_json, load_tensors, save_json, save_tensors, write_atomic
from training.cohort import Cohort, Source, Split, build_cohort, load_cohort
from training.config import RunConfig, config_hash, config_json
from training.fit import fit
from training.simulation import sample_patients, simulate_ecg
from training.tasks import (
    LOG_SPACE,
    DistillTask,
    HeadsTask,
    PairedBatches,
    Standardiser,
    TeacherTask,
    create_heads,
    embed_for_training,
    fit_standardiser,
)

STAGES: tuple[str, ...] = (
    "cohort",
    "teacher",
    "distill",
    "finetune",
    "calibrate",
    "evaluate",
    "export",
)
PACKAGE_NAME = "EchoingECG demonstration"
# Of the package; rises with the weights.
PACKAGE_VERSION = "0.1.0"
GOLDEN_FS = 500.0


@dataclass(frozen=True)
class Run:
    """One run: its settings and where things are.

    Attributes
    ----------
    config
        Settings.
    data
        Folder with the data sets.
    folder
        Of the run's own files.
    out
        Where the model package goes.
    page
        Markdown page with the figures, written by `export`; None for none.
    workers
        Processes for reading and simulating.
    """

    config: RunConfig
    data: Path
    folder: Path
    out: Path
    page: Path | None
    workers: int = 2


def _settings(run: Run) -> list[str]:
    """Hash of everything that decides each stage's result, in order of the stages."""
    c = run.config
    base = hashlib.sha256(f"{c.seed} {c.threads}".encode()).hexdigest()
    own = (
        [c.cohort],
        [c.teacher],
        [c.augment, c.distill],
        [c.heads, c.evaluate],
        [c.evaluate],
        [c.evaluate],
        [c.evaluate],
    )
    keys: list[str] = []
    for configs in own:
        base = hashlib.sha256((base + config_hash(*configs)).encode()).hexdigest()
        keys.append(base)
    return keys


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
    keys = dict(zip(STAGES, _settings(run), strict=True))
    folder = run.folder / name
    if _is_done(folder, keys[name]) and name != "export":
        return False
    position = STAGES.index(name)
    if position and not _is_done(run.folder / STAGES[position - 1], keys[STAGES[position - 1]]):
        raise EchoingError(
            f"The stage {name!r} needs the result of {STAGES[position - 1]!r} first.",
            hint=f"Run: echoing-train {STAGES[position - 1]}.",
            code="missing_stage",
        )
    started = folder / "started.json"
    if started.exists() and load_json(started) != keys[name]:
        shutil.rmtree(folder)  # checkpoints of other settings
    save_json(started, keys[name])
    torch.set_num_threads(run.config.threads)
    torch.use_deterministic_algorithms(mode=True)
    _WORK[name](run, folder)
    save_json(folder / "done.json", keys[name])
    return True


def reproduce(run: Run) -> None:
    """All stages, in order."""
    save_json(run.folder / "recipe.json", run.config.recipe)
    write_atomic(
        run.folder / "config.json", lambda file: file.write(config_json(run.config).encode())
    )
    for name in STAGES:
        run_stage(run, name)


def _is_done(folder: Path, key: str) -> bool:
    marker = folder / "done.json"
    return marker.exists() and load_json(marker) == key


# --- the stages' work ---


def _cohort(run: Run, folder: Path) -> None:
    build_cohort(run.data, folder, run.config.cohort, run.config.seed, run.workers)


def _new_teacher(run: Run, vocabulary: list[str]) -> ImageTextTeacher:
    config = run.config.teacher
    return ImageTextTeacher(
        vocabulary,
        frame_size=run.config.cohort.frame_size,
        channels=config.channels,
        text_width=config.text_width,
        text_blocks=config.text_blocks,
    )


def _teacher(run: Run, folder: Path) -> None:
    cohort = load_cohort(run.folder / "cohort")
    texts = (sentence for sentences in cohort.sentences for sentence in sentences)
    vocabulary = list(build_vocabulary(texts, range(451)))
    torch.manual_seed(run.config.seed)
    task = TeacherTask(_new_teacher(run, vocabulary), cohort)
    history = fit(
        task,
        run.config.teacher.fit,
        name="teacher",
        seed=run.config.seed + 1,
        checkpoint=folder / "checkpoint.pt",
    )
    save_tensors(folder / "weights.pt", task.teacher.state_dict())
    save_json(folder / "vocabulary.json", vocabulary)
    save_json(folder / "history.json", history)


def load_teacher(run: Run) -> FrozenTeacher:
    """Read the trained teacher and freeze it."""
    teacher = _new_teacher(run, load_json(run.folder / "teacher/vocabulary.json"))
    teacher.load_state_dict(load_tensors(run.folder / "teacher/weights.pt"))
    return FrozenTeacher(teacher)


def _new_student(run: Run) -> Student:
    torch.manual_seed(run.config.seed + 2)
    return create_student(run.config.distill.student, **run.config.distill.settings)


def _distill(run: Run, folder: Path) -> None:
    cohort = load_cohort(run.folder / "cohort")
    teacher = load_teacher(run)
    studies = np.flatnonzero(cohort.clip_row >= 0)
    frames = torch.from_numpy(evaluation.embed_frames(teacher, cohort, studies))
    shape = (len(cohort.clip_row), frames.shape[2])
    teacher_mean, teacher_log_var = torch.zeros(shape), torch.zeros(shape)
    teacher_mean[studies], teacher_log_var[studies] = study_distribution(frames)
    config = run.config.distill
    standardise = fit_standardiser(cohort)
    batches = PairedBatches(cohort, standardise, run.config.augment, config.ptbxl_share)
    task = DistillTask(_new_student(run), batches, teacher_mean, teacher_log_var, config)
    history = fit(
        task,
        config.fit,
        name="student",
        seed=run.config.seed + 3,
        checkpoint=folder / "checkpoint.pt",
    )
    save_tensors(folder / "weights.pt", task.student.state_dict())
    save_json(folder / "history.json", history)
    save_json(
        folder / "standardiser.json",
        {"mean_mv": standardise.mean_mv.tolist(), "scale_mv": standardise.scale_mv.tolist()},
    )


def load_standardiser(run: Run) -> Standardiser:
    """Constants that the student was trained with."""
    values = load_json(run.folder / "distill/standardiser.json")
    return Standardiser(*(np.array(values[k], np.float32) for k in ("mean_mv", "scale_mv")))


def load_student(run: Run) -> Student:
    """Read the distilled student."""
    student = _new_student(run)
    student.load_state_dict(load_tensors(run.folder / "distill/weights.pt"))
    return student.eval()


def _finetune(run: Run, folder: Path) -> None:
    """Heads on the distilled student, and the same on an untrained one, to compare."""
    cohort = load_cohort(run.folder / "cohort")
    config = run.config.heads
    batches = PairedBatches(cohort, load_standardiser(run), run.config.augment, config.ptbxl_share)
    for name, student in (("distilled", load_student(run)), ("random", _new_student(run).eval())):
        torch.manual_seed(run.config.seed + 4)
        heads = create_heads(cohort, student.embedding_dim, config.hidden)
        seed = run.config.seed + 5
        embeddings = embed_for_training(student, batches, config.n_augmented, seed)
        task = HeadsTask(heads, batches, embeddings, run.config.evaluate.level)
        history = fit(
            task,
            config.fit,
            name=f"heads on the {name} encoder",
            seed=seed,
            checkpoint=folder / f"{name}_checkpoint.pt",
        )
        save_tensors(folder / f"{name}_heads.pt", heads.state_dict())
        save_json(folder / f"{name}_history.json", history)


def load_model(run: Run, name: str = "distilled") -> PackageModel:
    """Student (or the untrained one, ``random``) with its heads."""
    student = load_student(run) if name == "distilled" else _new_student(run)
    state = load_tensors(run.folder / f"finetune/{name}_heads.pt")
    n_measures = len(MEASURES)
    heads = MeasureHeads(
        student.embedding_dim,
        [0.0] * n_measures,
        [1.0] * n_measures,
        len(FINDINGS),
        hidden=run.config.heads.hidden,
    )
    heads.load_state_dict(state)
    return PackageModel(student, heads).eval()


def _calibrate(run: Run, folder: Path) -> None:
    """Conformal widening, Platt scaling and the colour scale, on PTB-XL fold 9."""
    cohort = load_cohort(run.folder / "cohort")
    records = cohort.one_record_per_patient(Split.CALIBRATION, Source.PTBXL)
    outputs = evaluation.run(load_model(run), load_standardiser(run), cohort.ecg_mv[records])
    n, level = len(records), run.config.evaluate.level
    measures = []
    for column, key in enumerate(MEASURES):
        observed = cohort.measure(key, records)
        if LOG_SPACE[key]:
            observed = np.log(observed)
        low, high = outputs.quantiles[:, column, 0], outputs.quantiles[:, column, 2]
        widening = fit_widening(low, high, observed, level)
        measures.append([key, level, widening, LOG_SPACE[key], n])
    findings = []
    for column, finding in enumerate(FINDINGS.values()):
        labels = cohort.measure(finding.measure_key, records) < finding.below
        findings.append([finding.key, *fit_platt(outputs.finding_logits[:, column], labels), n])
    scale_low, scale_high = np.exp(np.percentile(outputs.segment_log_var, [5, 99]))
    scale = [float(scale_low), float(max(scale_high, 1.01 * scale_low))]
    save_json(
        folder / "calibration.json", {"measures": measures, "findings": findings, "scale": scale}
    )


@dataclass(frozen=True)
class _Calibration:
    measures: tuple[MeasureOutput, ...]
    findings: tuple[FindingOutput, ...]
    scale: tuple[float, float]


def _load_calibration(run: Run) -> _Calibration:
    values = load_json(run.folder / "calibrate/calibration.json")
    return _Calibration(
        tuple(MeasureOutput(*row) for row in values["measures"]),
        tuple(FindingOutput(*row) for row in values["findings"]),
        (values["scale"][0], values["scale"][1]),
    )


def _evaluate(run: Run, folder: Path) -> None:
    """All figures on PTB-XL fold 10, one ECG a patient."""
    cohort = load_cohort(run.folder / "cohort")
    standardise, model, seed = load_standardiser(run), load_model(run), run.config.seed
    _assert_disjoint(cohort)
    test = evaluation.test_set(cohort)
    n_bootstrap = run.config.evaluate.n_bootstrap
    outputs = evaluation.run(model, standardise, test.ecg_mv)
    untrained = evaluation.run(load_model(run, "random"), standardise, test.ecg_mv)
    training = cohort.patient[cohort.records(Split.TRAIN, Source.PTBXL)]
    studies = cohort.first_study[training]
    constants = {
        key: float(np.median(getattr(cohort.echo, field)[studies]))
        for key, field in evaluation.MEASURE_FIELDS.items()
    }
    comparisons = evaluation.compare(test, outputs, untrained, constants, n_bootstrap, seed)
    calibration = _load_calibration(run)
    noise = evaluation.fresh_noise(test.n_patients, seed)
    metrics = [
        *evaluation.comparison_metrics(comparisons),
        *evaluation.interval_metrics(test, outputs, calibration.measures, n_bootstrap, seed),
        *evaluation.finding_metrics(test, outputs, calibration.findings, n_bootstrap, seed),
        *evaluation.uncertainty_metrics(test, model, standardise, noise, n_bootstrap, seed),
        *evaluation.zero_shot_metrics(cohort, load_teacher(run), test, outputs, n_bootstrap, seed),
    ]
    n_draws = next(iter(test.outcomes.values())).shape[1]
    save_json(
        folder / "report.json",
        {
            "n_patients": test.n_patients,
            "n_draws": n_draws,
            "metrics": [[m.name, m.value, m.low, m.high, m.unit, m.dataset] for m in metrics],
        },
    )


def _assert_disjoint(cohort: Cohort) -> None:
    """No patient may be in two splits; the cohort was built so, the figures rest on it."""
    for split in Split:
        others = cohort.patient[cohort.split != split]
        if np.isin(cohort.patient[cohort.split == split], others).any():
            raise EchoingError("A patient is in two splits.", code="patients_overlap")


def _export(run: Run, folder: Path) -> None:
    """Model package and page of figures."""
    cohort = load_cohort(run.folder / "cohort")
    standardise, model = load_standardiser(run), load_model(run)
    calibration = _load_calibration(run)
    report = load_json(run.folder / "evaluate/report.json")
    metrics = tuple(Metric(*row) for row in report["metrics"])
    spec = PreprocessSpec(
        mean_mv=tuple(float(v) for v in standardise.mean_mv),
        scale_mv=tuple(float(v) for v in standardise.scale_mv),
    )
    student = model.student
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=PACKAGE_NAME,
        version=PACKAGE_VERSION,
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        architecture=run.config.distill.student,
        demonstration=True,
        caveat=CAVEAT,
        input=spec,
        measures=calibration.measures,
        findings=calibration.findings,
        segments=SegmentOutput(student.row_names, student.n_segments, calibration.scale),
        cohort=COHORT.format(
            n_train=len(np.unique(cohort.patient[cohort.records(Split.TRAIN, Source.PTBXL)])),
            n_virtual=len(cohort.records(Split.TRAIN, Source.VIRTUAL)),
            n_calibration=calibration.measures[0].n_calibration,
            n_test=report["n_patients"],
        ),
        metrics=metrics,
        intended_use=INTENDED_USE,
        limits=LIMITS,
        licence=LICENCE,
        provenance=Provenance(
            recipe=run.config.recipe,
            config_sha256=config_hash(run.config),
            code_version=_code_version(),
            data_sha256={"PTB-XL": cohort.data_sha256},
            seed=run.config.seed,
        ),
        files={},
    )
    golden = _golden_recording(run.config.seed)
    # Real and simulated ECGs alike.
    real, any_ecg = cohort.records(Split.TRAIN, Source.PTBXL), np.arange(len(cohort.patient))
    parity = np.concatenate([real[:64], any_ecg[::-1]])[:128]
    write_package(
        run.out,
        model,
        manifest,
        model_card=model_card(manifest, report["n_draws"]),
        golden_signal_mv=golden.signal_mv,
        golden_fs=golden.fs,
        golden_input_bls=prepare(golden, spec),
        parity_inputs_bls=standardise(cohort.ecg_mv[parity].astype(np.float32)).numpy(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    if run.page:
        parameters = sum(p.numel() for p in model.parameters())
        text = report_page(manifest, report["n_patients"], report["n_draws"], parameters)
        write_atomic(run.page, lambda file: file.write(text.encode()))


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
    "evaluate": _evaluate,
    "export": _export,
}
