"""The three trainings: teacher, distillation, heads.

Shapes: B items, F frames, D embedding, M measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model_core.losses import MatchingLoss, cosine_loss, info_nce, pinball_loss
from model_core.measures import FINDINGS, MEASURES
from model_core.nn import LeadTokenStudent, MeasureHeads, Student
from model_core.nn.lead_token import Patches
from model_core.teachers import ImageTextTeacher
from training.augment import augment
from training.cohort import MEASURE_FIELDS, Cohort, Source, Split
from training.config import AugmentConfig, DistillConfig
from training.fit import Task
from training.progress import Progress

FloatArray = NDArray[np.float32]

LOG_SPACE = {"lvef": False, "lvedv": True, "lvesv": True}
# Squared error of a patch's features, relative to their variance, that counts as clean.
CLEAN_ERROR = 0.02


@dataclass(frozen=True)
class Standardiser:
    """Per lead mean and scale, mV, (12,)."""

    mean_mv: FloatArray
    scale_mv: FloatArray

    def __call__(self, ecg_mv: NDArray[np.floating]) -> Tensor:
        """Standardised float32 tensor of (B, 12, samples) in mV, as `prepare` would give."""
        standard = (ecg_mv - self.mean_mv[:, None]) / self.scale_mv[:, None]
        return torch.from_numpy(np.ascontiguousarray(standard, dtype=np.float32))


def fit_standardiser(cohort: Cohort) -> Standardiser:
    """Mean and standard deviation of each lead over PTB-XL's training folds."""
    ecg = cohort.ecg_mv[cohort.records(Split.TRAIN, Source.PTBXL)].astype(np.float64)
    return Standardiser(ecg.mean((0, 2)).astype(np.float32), ecg.std((0, 2)).astype(np.float32))


class TeacherTask(Task):
    """Contrast of clips with sentences of their own report.

    A step sees one snippet of each clip, as EchoCLIP sees one frame, and one or two sentences of
    the report, because prompts are single sentences.
    """

    def __init__(self, teacher: ImageTextTeacher, cohort: Cohort) -> None:
        super().__init__()
        self.teacher = teacher
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))
        self._cohort = cohort
        patient_of_study = np.repeat(np.arange(len(cohort.n_studies)), cohort.n_studies)
        held_out = cohort.patient[cohort.records(Split.HELD_OUT)]
        may_train = (cohort.clip_row >= 0) & ~np.isin(patient_of_study, held_out)
        self._clips = cohort.clip_row[may_train]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Symmetric InfoNCE of one snippet a study and texts; equal texts are no negatives."""
        del done
        rows = np.sort(rng.choice(self._clips, batch, replace=False))
        texts = [_some_sentences(self._cohort.sentences[row], rng) for row in rows]
        clips = _jitter(self._cohort.clips[rows], rng)
        snippet_bd = self.teacher.encode_snippet(clips, int(rng.integers(clips.shape[1])))
        text_bd = self.teacher.encode_text(texts)
        same = np.array(texts)[:, None] == np.array(texts)[None, :]
        matched = torch.from_numpy(same.astype(np.float32))
        loss = info_nce(snippet_bd, text_bd, self.log_scale, matched)
        return loss, {"inverse_temperature": float(self.log_scale.detach().exp())}


def _some_sentences(sentences: list[str], rng: np.random.Generator) -> str:
    n = min(1 if rng.random() < 0.7 else 2, len(sentences))
    return " ".join(sentences[i] for i in rng.permutation(len(sentences))[:n])


def _jitter(clips: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Gain and offset of each clip, and a shift of the picture by up to 2 pixels."""
    values = clips.astype(np.float32)
    values *= rng.normal(1.0, 0.08, (len(clips), 1, 1, 1)).astype(np.float32)
    values += rng.normal(0.0, 4.0, (len(clips), 1, 1, 1)).astype(np.float32)
    down, right = rng.integers(-2, 3, size=2)
    values = np.roll(values, (down, right), axis=(2, 3))
    return torch.from_numpy(values)


class PairedBatches:
    """Draws ECGs with one of their patient's studies, from both sources by share."""

    def __init__(
        self, cohort: Cohort, standardiser: Standardiser, config: AugmentConfig, ptbxl_share: float
    ) -> None:
        self.cohort = cohort
        self.standardise = standardiser
        self._config = config
        self._share = ptbxl_share
        self._real = cohort.records(Split.TRAIN, Source.PTBXL)
        self._virtual = cohort.records(Split.TRAIN, Source.VIRTUAL)

    def rows(
        self, rng: np.random.Generator, batch: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Draw records and studies, (B,) each."""
        n_real = min(round(batch * self._share), len(self._real))
        records = np.concatenate(
            [
                rng.choice(self._real, n_real, replace=False),
                rng.choice(self._virtual, batch - n_real, replace=False),
            ]
        )
        patients = self.cohort.patient[records]
        offset = (rng.random(batch) * self.cohort.n_studies[patients]).astype(int)
        return records, self.cohort.first_study[patients] + offset

    def ecgs(
        self, records: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clean and noisy standardised ECGs (B, 12, 1000), and the leads that are there."""
        ecg_mv = self.cohort.ecg_mv[records].astype(np.float32)
        made = augment(ecg_mv, self.cohort.noise_mv, self._config, rng)
        return (
            self.standardise(made.clean_mv),
            self.standardise(made.noisy_mv),
            torch.from_numpy(made.keep),
        )


class DistillTask(Task):
    """The frozen teacher's Gaussians become the target of the student's.

    First the mean alone (cosine and InfoNCE), because PCME++ from scratch stalls: nearly every
    pair counts as a pseudo-positive. Then PCME++ with the variational information bottleneck,
    at last with pseudo-positives.

    The gate of `lead_token` has a loss of its own beside: it predicts the squared error that known
    added noise makes in a patch's features, as a Gaussian negative log-likelihood with variance
    ``CLEAN_ERROR * exp(gate)``. Its gradient reaches gate and stem, never through the error.

    Parameters
    ----------
    student
        What is trained.
    batches
        Source of ECGs.
    teacher_mean, teacher_log_var
        (studies, D), of the frozen teacher; rows of studies without clip are never asked for.
    config
        Weights and phases.
    """

    def __init__(
        self,
        student: Student,
        batches: PairedBatches,
        teacher_mean: Tensor,
        teacher_log_var: Tensor,
        config: DistillConfig,
    ) -> None:
        super().__init__()
        self.student = student
        self.matching = MatchingLoss(bottleneck_weight=config.bottleneck_weight)
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))
        self._batches = batches
        self._teacher = (teacher_mean, teacher_log_var)
        self._config = config

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of the phase that `done` falls into."""
        config = self._config
        records, studies = self._batches.rows(rng, batch)
        clean, noisy, keep = self._batches.ecgs(records, rng)
        target_mean = self._teacher[0][studies]
        target_log_var = self._teacher[1][studies]
        matched = torch.from_numpy((studies[:, None] == studies[None, :]).astype(np.float32))
        if isinstance(self.student, LeadTokenStudent):
            patches = self.student.patches(noisy)
            out = self.student.pool(*self.student.mix(patches, keep))
            gate = self._gate_loss(self.student, patches, clean, keep)
        else:
            out, gate = self.student(noisy, keep), torch.zeros(())
        towards_mean = cosine_loss(out.mean_bd, target_mean)
        towards_mean = towards_mean + info_nce(out.mean_bd, target_mean, self.log_scale, matched)
        warm = done < config.warm_share
        self.matching.pseudo_weight = config.pseudo_weight if done >= config.pseudo_from else 0.0
        matching, figures = self.matching(
            out.mean_bd, out.log_var_bd, target_mean, target_log_var, matched
        )
        loss = towards_mean if warm else matching + config.mean_weight * towards_mean
        return loss + config.gate_weight * gate, {
            "mean_loss": float(towards_mean.detach()),
            "matching_loss": float(matching.detach()),
            "gate_loss": float(gate.detach()),
            "summed_variance": float(out.log_var_bd.detach().exp().sum(1).mean()),
            "shift": float(self.matching.shift.detach()),
            "negative_scale": float(self.matching.negative_scale.detach()),
            **figures,
        }

    def _gate_loss(
        self, student: LeadTokenStudent, patches: Patches, clean: Tensor, keep: Tensor
    ) -> Tensor:
        with torch.no_grad():
            error_blt = (patches.features_bltw - student.stem(clean)).square().mean(3)
        nll_blt = 0.5 * (patches.gate_blt + error_blt / (CLEAN_ERROR * patches.gate_blt.exp()))
        return (nll_blt * keep[:, :, None]).sum() / (keep.sum() * nll_blt.shape[2])

    @torch.no_grad()
    def watch(self) -> dict[str, float]:
        """Cosine to the teacher on held-out patients, without augmentation."""
        cohort = self._batches.cohort
        records = cohort.records(Split.HELD_OUT)[:512]
        studies = cohort.first_study[cohort.patient[records]]
        mean_bd, log_var_bd = embed(self.student, self._batches.standardise, cohort, records)
        target = self._teacher[0][studies]
        baseline = functional.normalize(target.mean(0, keepdim=True), dim=1)
        return {
            "held_out_cosine": float((mean_bd * target).sum(1).mean()),
            "held_out_cosine_of_mean": float((baseline * target).sum(1).mean()),
            "held_out_summed_variance": float(log_var_bd.exp().sum(1).mean()),
        }


@torch.no_grad()
def embed_for_training(
    student: Student, batches: PairedBatches, n_augmented: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Mean and log variance, each (versions, records, D), of the training records.

    Version 0 is unchanged; the others are augmented once. Rows of other splits stay zero.
    """
    records = batches.cohort.records(Split.TRAIN)
    shape = (1 + n_augmented, len(batches.cohort.patient), student.embedding_dim)
    mean, log_var = torch.zeros(shape), torch.zeros(shape)
    progress = Progress("embeddings", shape[0] * len(records))
    for version in range(shape[0]):
        rng = np.random.default_rng([seed, version])
        for start in range(0, len(records), 256):
            rows = records[start : start + 256]
            if version == 0:
                ecg_mv = batches.cohort.ecg_mv[rows].astype(np.float32)
                out = student(batches.standardise(ecg_mv))
            else:
                _, noisy, keep = batches.ecgs(rows, rng)
                out = student(noisy, keep)
            mean[version, rows], log_var[version, rows] = out.mean_bd, out.log_var_bd
            progress.step(len(rows))
    return mean, log_var


@torch.no_grad()
def embed(
    student: Student, standardise: Standardiser, cohort: Cohort, records: NDArray[np.intp]
) -> tuple[Tensor, Tensor]:
    """Mean and log variance, (records, D), of unchanged ECGs."""
    parts = [
        student(standardise(cohort.ecg_mv[records[start : start + 256]].astype(np.float32)))
        for start in range(0, len(records), 256)
    ]
    return torch.cat([p.mean_bd for p in parts]), torch.cat([p.log_var_bd for p in parts])


def target_values(cohort: Cohort, studies: NDArray[np.intp]) -> FloatArray:
    """Measures in the heads' output space, (studies, M), in the order of `MEASURES`."""
    columns = []
    for key in MEASURES:
        values = np.asarray(getattr(cohort.echo, MEASURE_FIELDS[key]))[studies]
        columns.append(np.log(values) if LOG_SPACE[key] else values)
    return np.stack(columns, axis=1).astype(np.float32)


def create_heads(cohort: Cohort, embedding_dim: int, hidden: int) -> MeasureHeads:
    """Heads centred on the measures of the training patients."""
    patients = cohort.patient[cohort.records(Split.TRAIN)]
    values = target_values(cohort, cohort.first_study[patients])
    centres = np.median(values, axis=0)
    scales = values.std(axis=0)
    return MeasureHeads(
        embedding_dim, centres.tolist(), scales.tolist(), len(FINDINGS), hidden=hidden
    )


class HeadsTask(Task):
    """Pinball loss for the quantiles, cross-entropy for the findings; the student is frozen.

    Parameters
    ----------
    heads
        What is trained.
    batches
        Source of records and studies.
    embeddings
        Mean and log variance, each (versions, records, D): unchanged and augmented ECGs.
    level
        Coverage that the two outer quantiles span.
    """

    def __init__(
        self,
        heads: MeasureHeads,
        batches: PairedBatches,
        embeddings: tuple[Tensor, Tensor],
        level: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        tail = (1 - level) / 2
        self._levels = (tail, 0.5, 1 - tail)
        self._batches = batches
        self._embeddings = embeddings

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Both losses; measures weigh equally by their spread."""
        del done
        records, studies = self._batches.rows(rng, batch)
        version = rng.integers(len(self._embeddings[0]), size=batch)
        mean_bd, log_var_bd = (values[version, records] for values in self._embeddings)
        values = target_values(self._batches.cohort, studies)
        target = torch.from_numpy(values)
        out = self.heads(mean_bd, log_var_bd)
        scaled = out.quantiles_bm3 / self.heads.scale_m[:, None]
        pinball = pinball_loss(scaled, target / self.heads.scale_m, self._levels)
        keys = list(MEASURES)
        labels = np.stack(
            [values[:, keys.index(f.measure_key)] < f.below for f in FINDINGS.values()], axis=1
        )
        bce = functional.binary_cross_entropy_with_logits(
            out.finding_logits_bf, torch.from_numpy(labels.astype(np.float32))
        )
        figures = {"pinball": float(pinball.detach()), "cross_entropy": float(bce.detach())}
        return 3.0 * pinball + bce, figures
