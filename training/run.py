"""One run: its settings, its folder, and what its stages leave there.

RUN/cohort/      who is trained on; by the stage, or given by `give_cohort`
RUN/teacher/     weights.pt, vocabulary.json
RUN/distill/     course.pt, weights.pt, alignment.pt, embedding_dim.json, standardiser.json
RUN/finetune/    student.pt, heads.pt
RUN/calibrate/   calibration.json
RUN/baselines/   the networks to compare with
RUN/evaluate/    report.json, report.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from model_core.errors import EchoingError
from model_core.export import PackageModel
from model_core.measures import FINDINGS
from model_core.nn import MeasureHeads, Student, create_student
from model_core.runtime.manifest import FindingOutput, MeasureOutput
from model_core.teachers import (
    EcgTextEncoder,
    FrozenTeacher,
    ImageTextTeacher,
    build_vocabulary,
    study_distribution,
)
from training.alignment import TeacherGaussians
from training.batches import Standardiser, measure_keys
from training.checkpoint import load_json, load_tensors, save_json
from training.cohort import Cohort, load_cohort, save_cohort
from training.config import RunConfig, config_hash

STAGES: tuple[str, ...] = (
    "cohort",
    "teacher",
    "distill",
    "finetune",
    "calibrate",
    "baselines",
    "evaluate",
    "export",
)


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
    embeddings
        Parquet files of other models' embeddings by name, for `evaluate` to compare with.
    """

    config: RunConfig
    data: Path
    folder: Path
    out: Path
    page: Path | None
    workers: int = 2
    embeddings: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """What the calibration split taught: widenings, probabilities, colour scale."""

    measures: tuple[MeasureOutput, ...]
    findings: tuple[FindingOutput, ...]
    scale: tuple[float, float]


def stage_keys(run: Run) -> dict[str, str]:
    """Hash of everything that decides each stage's result, in order of the stages."""
    c = run.config
    given = run.folder / "cohort/given.json"
    cohort = load_json(given) if given.exists() else config_hash(c.cohort)
    base = hashlib.sha256(f"{c.seed} {c.threads} {cohort}".encode()).hexdigest()
    keys = {"cohort": base}
    own = {
        "teacher": (c.teacher,),
        "distill": (c.augment, c.distill),
        "finetune": (c.finetune, c.evaluate),
    }
    for name in STAGES[1:]:
        settings = own.get(name, (c.evaluate,))
        base = hashlib.sha256((base + config_hash(*settings)).encode()).hexdigest()
        keys[name] = base
    return keys


def is_done(run: Run, name: str) -> bool:
    """Whether a stage's result for these settings is there."""
    marker = run.folder / name / "done.json"
    if name == "cohort" and (run.folder / "cohort/given.json").exists():
        return True
    return marker.exists() and load_json(marker) == stage_keys(run)[name]


def give_cohort(folder: Path, cohort: Cohort) -> None:
    """Store a cohort that was made elsewhere as the cohort of the run in a folder."""
    save_cohort(folder / "cohort", cohort)
    digest = hashlib.sha256((folder / "cohort/table.npz").read_bytes())
    digest.update((folder / "cohort/texts.json").read_bytes())
    save_json(folder / "cohort/given.json", digest.hexdigest())


def the_cohort(run: Run) -> Cohort:
    """Open the run's cohort."""
    return load_cohort(run.folder / "cohort")


def new_teacher(run: Run, vocabulary: list[str]) -> ImageTextTeacher:
    """Build the small image-text teacher, untrained."""
    config = run.config.teacher
    return ImageTextTeacher(
        vocabulary,
        frame_size=run.config.cohort.frame_size,
        channels=config.channels,
        text_width=config.text_width,
        text_blocks=config.text_blocks,
    )


def _load(network: torch.nn.Module, weights: Path) -> None:
    """Read weights into a network that was built from the settings.

    Raises
    ------
    EchoingError
        If they are those of another network.
    """
    state = load_tensors(weights)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise EchoingError(
            f"{weights} holds another network than these settings make: another recipe, or another "
            "version of the program, wrote it.",
            hint="Give the recipe that the run was made with, or start again in another folder.",
            code="other_settings",
        ) from error


def load_teacher(run: Run) -> FrozenTeacher:
    """Read the trained teacher and freeze it."""
    teacher = new_teacher(run, load_json(run.folder / "teacher/vocabulary.json"))
    _load(teacher, run.folder / "teacher/weights.pt")
    return FrozenTeacher(teacher)


def embed_frames(teacher: FrozenTeacher, cohort: Cohort, studies: np.ndarray) -> torch.Tensor:
    """Embed the clips of some studies as unit vectors, (studies, F, D)."""
    rows, clips = cohort.clip_row[studies], cohort.rendered()
    parts = [
        teacher.frames(torch.from_numpy(np.ascontiguousarray(clips[rows[start : start + 128]])))
        for start in range(0, len(rows), 128)
    ]
    return torch.cat(parts)


def teacher_gaussians(run: Run, cohort: Cohort) -> TeacherGaussians:
    """Targets of the ECG-echo loss: given with the cohort, or the run's teacher on its clips."""
    if cohort.teacher_mean is not None and cohort.teacher_log_var is not None:
        return TeacherGaussians(
            torch.tensor(np.asarray(cohort.teacher_mean)),
            torch.tensor(np.asarray(cohort.teacher_log_var)),
        )
    teacher = load_teacher(run)
    studies = np.flatnonzero(cohort.clip_row >= 0)
    shape = (len(cohort.clip_row), teacher.teacher.embedding_dim)
    mean, log_var = torch.full(shape, torch.nan), torch.full(shape, torch.nan)
    mean[studies], log_var[studies] = study_distribution(embed_frames(teacher, cohort, studies))
    return TeacherGaussians(mean, log_var)


def new_student(run: Run, embedding_dim: int, draw: int = 0) -> Student:
    """Build the student in the teacher's dimension, untrained, from the run's seed.

    Training starts from draw 0; others are other random weights.
    """
    torch.manual_seed(run.config.seed + 2 + 1000 * draw)
    config = run.config.distill
    return create_student(config.student, embedding_dim=embedding_dim, **config.settings)


def load_student(run: Run, weights: str = "distill/weights.pt") -> Student:
    """Read a student of the run."""
    student = new_student(run, load_json(run.folder / "distill/embedding_dim.json"))
    _load(student, run.folder / weights)
    return student.eval()


def new_text_encoder(run: Run, cohort: Cohort, embedding_dim: int) -> EcgTextEncoder:
    """Build the text side of the ECG-text loss, untrained, from the run's seed."""
    torch.manual_seed(run.config.seed + 6)
    vocabulary = build_vocabulary(set(cohort.ecg_text), range(0))
    return EcgTextEncoder(vocabulary, embedding_dim=embedding_dim)


def load_standardiser(run: Run) -> Standardiser:
    """Constants that the student was trained with."""
    values = load_json(run.folder / "distill/standardiser.json")
    return Standardiser(*(np.array(values[k], np.float32) for k in ("mean_mv", "scale_mv")))


def load_model(run: Run, cohort: Cohort, folder: str = "finetune") -> PackageModel:
    """Read a fine-tuned student with its heads."""
    return _with_heads(run, cohort, folder, lines=None)


def calibrated_model(run: Run, cohort: Cohort) -> PackageModel:
    """Read the fine-tuned model, its medians moved along the lines that `calibrate` found."""
    lines = load_json(run.folder / "calibrate/calibration.json")["lines"]
    return _with_heads(run, cohort, "finetune", lines)


def _with_heads(
    run: Run, cohort: Cohort, folder: str, lines: list[list[float]] | None
) -> PackageModel:
    student = load_student(run, f"{folder}/student.pt")
    n = len(measure_keys(cohort))
    n_findings = sum(f.measure_key in measure_keys(cohort) for f in FINDINGS.values())
    heads = MeasureHeads(
        student.embedding_dim, [0.0] * n, [1.0] * n, n_findings, hidden=run.config.finetune.hidden
    )
    _load(heads, run.folder / f"{folder}/heads.pt")
    if lines is not None:
        offset_m, slope_m = torch.tensor(lines).T
        heads.move_medians(offset_m, slope_m)
    return PackageModel(student, heads).eval()


def load_calibration(run: Run) -> Calibration:
    """Read what the stage `calibrate` found."""
    values = load_json(run.folder / "calibrate/calibration.json")
    return Calibration(
        tuple(MeasureOutput(*row) for row in values["measures"]),
        tuple(FindingOutput(*row) for row in values["findings"]),
        (values["scale"][0], values["scale"][1]),
    )
