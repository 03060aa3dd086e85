"""The trainings: teacher, distillation, fine-tuning.

Shapes: B items, F frames, D embedding, M measures, K labels.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model_core.losses import info_nce, masked_bce, pinball_loss
from model_core.nn import HeadOutput, LeadTokenStudent, MeasureHeads, Student, StudentOutput
from model_core.teachers import ImageTextTeacher
from training.alignment import (
    INVERSE_TEMPERATURE,
    Alignment,
    TeacherGaussians,
    equal_items,
    forward_with_gate,
)
from training.augment import draw_mixing
from training.batches import (
    Batches,
    embed,
    embedded_studies,
    finding_keys,
    measure_keys,
    target_values,
)
from training.cohort import Cohort, FloatArray, IntArray, Split
from training.config import DistillConfig, FinetuneConfig
from training.engine import encode, on_device
from training.fit import Task


class TeacherTask(Task):
    """Contrast of clips with sentences of their own report.

    A step sees one snippet of each clip, as EchoCLIP sees one frame, and one or two sentences of
    the report, because prompts are single sentences.
    """

    def __init__(self, teacher: ImageTextTeacher, cohort: Cohort) -> None:
        super().__init__()
        self.teacher = teacher
        self.log_scale = nn.Parameter(torch.tensor(math.log(INVERSE_TEMPERATURE)))
        self._all_clips = cohort.rendered()
        self._sentences = cohort.sentences
        rows = cohort.records(Split.TRAIN)
        studies = [
            cohort.first_study[row] + offset
            for row in rows
            for offset in range(cohort.n_studies[row])
        ]
        clips = np.unique(cohort.clip_row[studies])
        self._clips = clips[clips >= 0]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Symmetric InfoNCE of one snippet a study and texts; equal texts are no negatives."""
        del done
        rows = np.sort(rng.choice(self._clips, batch, replace=False))
        texts = [_some_sentences(self._sentences[row], rng) for row in rows]
        clips = _jitter(self._all_clips[rows], rng)
        start = int(rng.integers(clips.shape[1]))
        snippet_bd = encode(lambda part: self.teacher.encode_snippet(part, start), clips)
        text_bd = encode(self.teacher.encode_text, texts)
        loss = info_nce(snippet_bd, text_bd, self.log_scale, on_device(equal_items(texts)))
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


class CourseTask(Task):
    """The convolutions of `lead_token` alone learn what is stated about an ECG and measured on it.

    Far less work than the whole student, so that they see many more ECGs in the same time; no echo
    enters. They answer through layers that are thrown away.
    """

    def __init__(self, student: LeadTokenStudent, batches: Batches) -> None:
        super().__init__()
        cohort = batches.cohort
        self._batches = batches
        self._values = standard_values(cohort)
        self._labels = np.stack(list(cohort.ecg_labels.values()), axis=1)
        known = ~np.isnan(np.hstack([self._labels, self._values]))
        self._usable = known.sum(axis=1) > 0
        self.course = student.course
        width = student.course.project.out_features
        n = self._labels.shape[1] + self._values.shape[1]
        self.read = nn.Sequential(nn.Linear(2 * width, 256), nn.GELU(), nn.Linear(256, n))

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the statements and Huber loss of the values."""
        del done
        records = self._batches.records(rng, batch, source=None, among=self._usable)
        ecgs = self._batches.ecgs(records, rng)
        answers = encode(self._answers, ecgs.noisy, ecgs.keep)
        n_labels = self._labels.shape[1]
        labels = on_device(torch.from_numpy(self._labels[records]))
        label_loss = masked_bce(answers[:, :n_labels], labels)
        value_loss = error_of_values(answers[:, n_labels:], self._values[records])
        figures = {
            "label_loss": float(label_loss.detach()),
            "value_loss": float(value_loss.detach()),
        }
        return label_loss + value_loss, figures

    def _answers(self, ecg_bls: Tensor, keep_bl: Tensor) -> Tensor:
        course_btw = functional.gelu(self.course(ecg_bls * keep_bl[:, :, None]))
        return self.read(torch.cat([course_btw.mean(1), course_btw.amax(1)], dim=1))


class DistillTask(Task):
    """The frozen teacher's Gaussians, and statements in words, become the student's targets.

    Parameters
    ----------
    student
        What is trained.
    batches
        Source of ECGs.
    alignment
        The losses.
    teacher
        Targets of the ECG-echo term.
    config
        Weights, and how batches are drawn.
    """

    def __init__(
        self,
        student: Student,
        batches: Batches,
        alignment: Alignment,
        teacher: TeacherGaussians,
        config: DistillConfig,
    ) -> None:
        super().__init__()
        self.student = student
        self.alignment = alignment
        self._batches = batches
        self._teacher = teacher
        self._config = config
        cohort = batches.cohort
        self._embedded = embedded_studies(cohort, teacher.known)
        has_echo = (self._embedded > 0) & (config.echo_weight > 0)
        has_text = np.array([bool(text) for text in cohort.ecg_text]) & (config.text_weight > 0)
        self._usable = has_echo | has_text
        self._sources = [
            name
            for name in batches.sources
            if self._usable[cohort.records(Split.TRAIN, name)].any()
        ]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of the phase that `done` falls into."""
        source = None
        if self._config.single_source:
            source = self._sources[int(rng.integers(len(self._sources)))]
        records = self._batches.records(rng, batch, source=source, among=self._usable)
        studies = self._batches.studies(records, rng, self._embedded)
        mixing = None
        if self._config.mix_share > 0:
            n_samples = self._batches.cohort.ecg_mv.shape[2]
            mixing = draw_mixing(batch, n_samples, self._config.mix_share, rng)
        out, gate = forward_with_gate(self.student, self._batches.ecgs(records, rng, mixing))
        loss, figures = self.alignment(out, records, studies, mixing, done)
        figures["gate_loss"] = float(gate.detach())
        return loss + self._config.gate_weight * gate, figures

    @torch.no_grad()
    def watch(self) -> dict[str, float]:
        """Cosine to the teacher on held-out patients, without augmentation."""
        cohort = self._batches.cohort
        records = cohort.records(Split.HELD_OUT)
        records = records[self._embedded[records] > 0][:512]
        if not len(records):
            return {}
        studies = cohort.first_study[records]
        mean_bd, log_var_bd = embed(self.student, self._batches.standardise, cohort, records)
        target = self._teacher.mean[studies]
        baseline = functional.normalize(target.mean(0, keepdim=True), dim=1)
        return {
            "held_out_cosine": float((mean_bd * target).sum(1).mean()),
            "held_out_cosine_of_mean": float((baseline * target).sum(1).mean()),
            "held_out_summed_variance": float(log_var_bd.exp().sum(1).mean()),
        }


def create_heads(cohort: Cohort, embedding_dim: int, hidden: int) -> MeasureHeads:
    """Heads centred on the measures of the training patients."""
    records = cohort.records(Split.TRAIN)
    records = records[cohort.n_studies[records] > 0]
    values = target_values(cohort, cohort.first_study[records])
    centres, scales = np.nanmedian(values, axis=0), np.nanstd(values, axis=0)
    return MeasureHeads(
        embedding_dim, centres.tolist(), scales.tolist(), len(finding_keys(cohort)), hidden=hidden
    )


def standard_values(cohort: Cohort) -> FloatArray:
    """Centre, scale and clip what is measured on each ECG, (records, V); NaN for unknown.

    Centre and scale are median and half the range of the middle 68 % of the training ECGs.
    """
    values = np.stack(list(cohort.ecg_values.values()), axis=1)
    train = values[cohort.records(Split.TRAIN)]
    known = ~np.isnan(train).all(axis=0)
    values, train = values[:, known], train[:, known]
    low, centre, high = np.nanpercentile(train, [16, 50, 84], axis=0)
    scale = np.maximum((high - low) / 2, 1e-3)
    return np.clip((values - centre) / scale, -4, 4).astype(np.float32)


class FinetuneTask(Task):
    """Student and heads together, on measures; what distillation taught is kept up beside.

    Terms: pinball loss of the quantiles; cross-entropy of the findings; cross-entropy of what is
    stated about the ECG, and Huber loss of what is measured on it, through layers that are thrown
    away; the distillation's losses with a small weight; and two that make the total variance mean
    something. One follows the law of total variance: noise that moves the mean by d adds d squared
    to the variance that the clean ECG has. The other is the negative log-likelihood of the LVEF
    error under a Laplace distribution whose scale is a power of the total variance.

    A moving average of the weights is what comes out (`averaged`). It also sees every ECG before
    noise is added, and answers for what nobody measured or stated (mean teacher; Tarvainen and
    Valpola, NeurIPS 2017), so that ECGs without echo count.

    Parameters
    ----------
    student, heads
        What is trained.
    batches
        Source of ECGs.
    alignment
        The distillation's losses, or None.
    config
        Weights.
    level
        Coverage that the two outer quantiles span.
    """

    n_steps: Tensor

    def __init__(
        self,
        student: Student,
        heads: MeasureHeads,
        batches: Batches,
        alignment: Alignment | None,
        config: FinetuneConfig,
        level: float,
    ) -> None:
        super().__init__()
        cohort = batches.cohort
        self._label_names = list(cohort.ecg_labels) if config.label_weight > 0 else []
        has_values = bool(cohort.ecg_values) and config.value_weight > 0
        self._values = standard_values(cohort) if has_values else None
        n_values = 0 if self._values is None else self._values.shape[1]
        self.model = Estimator(student, heads, len(self._label_names), n_values)
        self.averaged = copy.deepcopy(self.model).requires_grad_(requires_grad=False)
        self.register_buffer("n_steps", torch.tensor(0))
        self.alignment = alignment
        self.error_offset = nn.Parameter(torch.tensor(0.0))
        self.error_power = nn.Parameter(torch.tensor(0.0))
        tail = (1 - level) / 2
        self._levels = (tail, 0.5, 1 - tail)
        self._batches = batches
        self._config = config
        measured = np.zeros(len(cohort.clip_row), bool)
        self._keys = measure_keys(cohort)
        for key in self._keys:
            measured |= ~np.isnan(cohort.measures[key])
        measured = embedded_studies(cohort, measured) > 0
        self._usable = measured | (config.self_weight > 0)
        known = alignment.teacher.known if alignment else np.zeros(len(cohort.clip_row), bool)
        self._embedded = embedded_studies(cohort, known)
        self._thresholds = [
            (self._keys.index(finding.measure_key), finding.below)
            for finding in finding_keys(cohort).values()
        ]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """All terms, each over the items that have what it needs."""
        del done
        config = self._config
        self._average()
        records = self._batches.records(rng, batch, source=None, among=self._usable)
        studies = [self._batches.studies(records, rng) for _ in range(config.draws)]
        ecgs = self._batches.ecgs(records, rng)
        out, gate = forward_with_gate(self.model.student, ecgs)
        estimate, stated_bk = self.model.read(out)
        clean, taught, taught_bk = out, estimate, stated_bk
        if config.self_weight > 0 or config.variance_weight > 0:
            with torch.no_grad():
                clean = encode(self.averaged.student, ecgs.clean)
                taught, taught_bk = self.averaged.read(clean)
        values_kbm = np.stack([target_values(self._batches.cohort, drawn) for drawn in studies])
        scale = self.model.heads.scale_m
        target_kbm = on_device(torch.from_numpy(values_kbm)) / scale
        quantiles_bm3 = estimate.quantiles_bm3 / scale[:, None]
        repeated = quantiles_bm3.expand(config.draws, *quantiles_bm3.shape)
        pinball = pinball_loss(repeated.flatten(0, 1), target_kbm.flatten(0, 1), self._levels)
        labels_bf = on_device(self._finding_labels(values_kbm))
        findings = masked_bce(estimate.finding_logits_bf, labels_bf)
        loss = config.measure_weight * pinball + findings + config.gate_weight * gate
        figures = {
            "pinball": float(pinball.detach()),
            "cross_entropy": float(findings.detach()),
            "gate_loss": float(gate.detach()),
        }
        stated = on_device(self._stated(records))
        if self._label_names:
            label_loss = masked_bce(stated_bk, stated)
            loss = loss + config.label_weight * label_loss
            figures["label_loss"] = float(label_loss.detach())
        if self._values is not None:
            value_loss = error_of_values(self.model.values(out), self._values[records])
            loss = loss + config.value_weight * value_loss
            figures["value_loss"] = float(value_loss.detach())
        if config.self_weight > 0:
            apart_bm = (quantiles_bm3 - taught.quantiles_bm3 / scale[:, None]).abs().mean(2)
            unknown_bm = target_kbm.isnan().all(0)
            own = 2.0 * (apart_bm * unknown_bm).sum() / unknown_bm.sum().clamp(min=1)
            own = own + masked_bce(
                estimate.finding_logits_bf,
                torch.where(labels_bf.isnan(), taught.finding_logits_bf.sigmoid(), torch.nan),
            )
            if self._label_names:
                guessed = torch.where(stated.isnan(), taught_bk.sigmoid(), torch.nan)
                own = own + config.label_weight * masked_bce(stated_bk, guessed)
            loss = loss + config.self_weight * own
            figures["self_loss"] = float(own.detach())
        if config.variance_weight > 0:
            # The first measure is LVEF wherever it was measured.
            error_b = (quantiles_bm3[:, 0, 1] - target_kbm[:, :, 0]).detach().abs().nanmean(0)
            meaning = displacement(out, clean) + self._error_likelihood(out, error_b)
            loss = loss + config.variance_weight * meaning
            figures["variance_loss"] = float(meaning.detach())
        if self.alignment is not None and config.keep_weight > 0:
            embedded = self._batches.studies(records, rng, self._embedded)
            kept, seen = self.alignment(out, records, embedded, None, 1.0)
            loss = loss + config.keep_weight * kept
            figures |= seen
        return loss, figures

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average towards the weights that the step before left."""
        n = int(self.n_steps)
        keep = min(self._config.average, n / (n + 10))
        for mean, now in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for mean, now in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)
        self.n_steps += 1
        self.averaged.eval()

    def _error_likelihood(self, out: StudentOutput, error_b: Tensor) -> Tensor:
        """Laplace NLL of the error in one measure; the error itself is not learnt from here."""
        known = ~error_b.isnan()
        total_b = torch.logsumexp(out.log_var_bd, dim=1)[known]
        log_scale_b = self.error_offset + functional.softplus(self.error_power) * total_b
        likelihood_b = log_scale_b + error_b[known] * torch.exp(-log_scale_b)
        return likelihood_b.sum() / known.sum().clamp(min=1)

    def _stated(self, records: IntArray) -> Tensor:
        """Collect what is stated about the ECGs, (B, K); NaN where nothing is."""
        labels = self._batches.cohort.ecg_labels
        known = [labels[name][records] for name in self._label_names]
        return torch.from_numpy(np.array(known, np.float32).reshape(-1, len(records)).T.copy())

    def _finding_labels(self, values_kbm: FloatArray) -> Tensor:
        """Tell in which share of the draws each finding holds, (B, F); NaN where not measured."""
        columns = [
            np.where(np.isnan(measured := values_kbm[:, :, column]), np.nan, measured < below)
            for column, below in self._thresholds
        ]
        return torch.from_numpy(np.array(columns).mean(1).T.astype(np.float32))


def error_of_values(found_bv: Tensor, known: FloatArray) -> Tensor:
    """Huber loss of standardised values, over those that are known."""
    wanted_bv = on_device(torch.from_numpy(known))
    known_bv = ~wanted_bv.isnan()
    apart_bv = functional.smooth_l1_loss(found_bv, wanted_bv.nan_to_num(), reduction="none")
    return (apart_bv * known_bv).sum() / known_bv.sum().clamp(min=1)


class Estimator(nn.Module):
    """A student with its heads, and layers for what is stated about the ECG and measured on it."""

    def __init__(self, student: Student, heads: MeasureHeads, n_labels: int, n_values: int) -> None:
        super().__init__()
        self.student = student
        self.heads = heads
        # torch warns of a layer that gives nothing.
        self.labels = nn.Linear(student.embedding_dim, max(n_labels, 1))
        self.measured = nn.Linear(student.embedding_dim, max(n_values, 1))

    def read(self, out: StudentOutput) -> tuple[HeadOutput, Tensor]:
        """Estimates, and logits of the statements, (B, K)."""
        scaled = out.mean_bd * math.sqrt(out.mean_bd.shape[1])
        return self.heads(out.mean_bd, out.log_var_bd), self.labels(scaled)

    def values(self, out: StudentOutput) -> Tensor:
        """Standardised values measured on the ECG, (B, V)."""
        return self.measured(out.mean_bd * math.sqrt(out.mean_bd.shape[1]))


def displacement(out: StudentOutput, clean: StudentOutput) -> Tensor:
    """Squared error of the log total variance against that of the law of total variance.

    Parameters
    ----------
    out
        Of noisy ECGs.
    clean
        Of the same ECGs without noise and with all leads; no gradient flows there.
    """
    moved_b = (out.mean_bd.detach() - clean.mean_bd).square().sum(1)
    wanted_b = torch.log(clean.log_var_bd.exp().sum(1) + moved_b)
    return (torch.logsumexp(out.log_var_bd, dim=1) - wanted_b).square().mean()
