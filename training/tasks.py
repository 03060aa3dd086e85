"""The trainings: teacher, distillation, fine-tuning.

Shapes: B items, F frames, D embedding, M measures, K labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model_core.losses import (
    MatchingLoss,
    cosine_loss,
    info_nce,
    masked_bce,
    pinball_loss,
    smooth_matches,
)
from model_core.nn import LeadTokenStudent, MeasureHeads, Student, StudentOutput
from model_core.teachers import EcgTextEncoder, ImageTextTeacher
from training.augment import Mixing, draw_mixing, mix_rows
from training.batches import (
    Batches,
    EcgBatch,
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

# Squared error of a patch's features, relative to their variance, that counts as clean.
CLEAN_ERROR = 0.02
INVERSE_TEMPERATURE = 15.0


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
        loss = info_nce(snippet_bd, text_bd, self.log_scale, on_device(_same(texts)))
        return loss, {"inverse_temperature": float(self.log_scale.detach().exp())}


def _same(items: Sequence[object] | NDArray[np.generic]) -> Tensor:
    """Which items equal which, (B, B), as 1 and 0."""
    array = np.asarray(items)
    return torch.from_numpy((array[:, None] == array[None, :]).astype(np.float32))


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


@dataclass(frozen=True)
class TeacherGaussians:
    """The frozen teacher's study embeddings, (studies, D) each; NaN for studies without."""

    mean: Tensor
    log_var: Tensor

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which studies have one, (studies,)."""
        return ~self.mean[:, 0].isnan().numpy()


class _Embedded(NamedTuple):
    """What one pass of the student gives for each item of a batch."""

    mean_bd: Tensor
    log_var_bd: Tensor
    segment_log_var_brt: Tensor
    gate_b: Tensor


def forward_with_gate(student: Student, ecgs: EcgBatch) -> tuple[StudentOutput, Tensor]:
    """Embed the noisy ECGs; beside, the loss of the gate of `lead_token` (0 for others).

    The gate has a loss of its own: it predicts the squared error that known added noise makes in
    a patch's features, as a Gaussian negative log-likelihood with variance
    ``CLEAN_ERROR * exp(gate)``. Its gradient reaches gate and stem, never through the error.
    """

    def embed_part(noisy: Tensor, clean: Tensor, keep: Tensor) -> _Embedded:
        if not isinstance(student, LeadTokenStudent):
            out = student(noisy, keep)
            nothing = out.mean_bd.new_zeros(len(noisy))
            return _Embedded(out.mean_bd, out.log_var_bd, out.segment_log_var_brt, nothing)
        patches = student.patches(noisy)
        with torch.no_grad():
            error_blt = (patches.features_bltw - student.stem(clean)).square().mean(3)
        nll_blt = 0.5 * (patches.gate_blt + error_blt / (CLEAN_ERROR * patches.gate_blt.exp()))
        gate_b = (nll_blt.mean(2) * keep).sum(1) / keep.sum(1)
        out = student.pool(*student.mix(patches, keep))
        return _Embedded(out.mean_bd, out.log_var_bd, out.segment_log_var_brt, gate_b)

    whole = encode(embed_part, ecgs.noisy, ecgs.clean, ecgs.keep)
    return StudentOutput(*whole[:3]), whole.gate_b.mean()


class Alignment(nn.Module):
    """EchoingECG's losses: the ECG against the frozen echo, and against a statement in words.

    First the mean alone (cosine and InfoNCE), because PCME++ from scratch stalls: nearly every
    pair counts as a pseudo-positive. Then PCME++ with the variational information bottleneck,
    at last with pseudo-positives. Both terms share nothing but the student.

    Parameters
    ----------
    cohort
        Holds the texts.
    teacher
        Targets of the ECG-echo term.
    text_encoder
        Of the ECG-text term.
    config
        Weights and phases.
    """

    def __init__(
        self,
        cohort: Cohort,
        teacher: TeacherGaussians,
        text_encoder: EcgTextEncoder,
        config: DistillConfig,
    ) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.echo_matching = MatchingLoss(bottleneck_weight=config.bottleneck_weight)
        self.text_matching = MatchingLoss(bottleneck_weight=config.bottleneck_weight)
        self.echo_log_scale = nn.Parameter(torch.tensor(math.log(INVERSE_TEMPERATURE)))
        self.text_log_scale = nn.Parameter(torch.tensor(math.log(INVERSE_TEMPERATURE)))
        self._cohort = cohort
        self.teacher = teacher
        self._config = config

    def forward(
        self,
        out: StudentOutput,
        records: IntArray,
        studies: IntArray,
        mixing: Mixing | None,
        done: float,
    ) -> tuple[Tensor, dict[str, float]]:
        """Both terms over a batch, each over the items that have what it needs.

        Parameters
        ----------
        out
            Of the student.
        records, studies
            (B,); study -1 where there is none.
        mixing
            How the ECGs were mixed, or None.
        done
            Share of the training that is over, 0 to 1; decides the phase.
        """
        loss = on_device(torch.zeros(()))
        figures: dict[str, float] = {}
        has_echo = (studies >= 0) & self.teacher.known[studies]
        has_text = np.array([bool(self._cohort.ecg_text[row]) for row in records])
        if mixing is not None:  # a mixture needs both halves
            has_echo &= has_echo[mixing.partner] | (mixing.share == 1)
            has_text &= has_text[mixing.partner] | (mixing.share == 1)
        if self._config.echo_weight > 0 and has_echo.sum() > 1:
            targets = self.teacher.mean[studies], self.teacher.log_var[studies]
            part, seen = self._term(
                self.echo_matching,
                self.echo_log_scale,
                out,
                targets,
                _same(studies),
                has_echo,
                mixing,
                done,
            )
            loss = loss + self._config.echo_weight * part
            figures |= {f"echo_{key}": value for key, value in seen.items()}
        if self._config.text_weight > 0 and has_text.sum() > 1:
            texts = [self._cohort.ecg_text[row] for row in records]
            part, seen = self._term(
                self.text_matching,
                self.text_log_scale,
                out,
                self.text_encoder(texts),
                _same(texts),
                has_text,
                mixing,
                done,
            )
            loss = loss + self._config.text_weight * part
            figures |= {f"text_{key}": value for key, value in seen.items()}
        figures["summed_variance"] = float(out.log_var_bd.detach().exp().sum(1).mean())
        return loss, figures

    def _term(
        self,
        matching: MatchingLoss,
        log_scale: Tensor,
        out: StudentOutput,
        targets: tuple[Tensor, Tensor],
        matched: Tensor,
        chosen: NDArray[np.bool_],
        mixing: Mixing | None,
        done: float,
    ) -> tuple[Tensor, dict[str, float]]:
        config = self._config
        if mixing is not None:
            matched = torch.from_numpy(mix_rows(matched.numpy(), mixing))
        rows = torch.from_numpy(np.flatnonzero(chosen))
        matched = on_device(matched[rows][:, rows])
        mean_bd, log_var_bd = out.mean_bd[rows], out.log_var_bd[rows]
        target_mean, target_log_var = (on_device(target[rows]) for target in targets)
        if not config.deterministic:
            matching.pseudo_weight = config.pseudo_weight if done >= config.pseudo_from else 0.0
        pure = matched.diagonal() == 1.0
        towards_mean = info_nce(mean_bd, target_mean, log_scale, matched)
        if not config.deterministic and pure.any():
            towards_mean = towards_mean + cosine_loss(mean_bd[pure], target_mean[pure])
        figures = {"mean_loss": float(towards_mean.detach())}
        if config.deterministic or done < config.warm_share:
            return towards_mean, figures
        loss, seen = matching(
            mean_bd,
            log_var_bd,
            target_mean,
            target_log_var,
            smooth_matches(matched, config.label_smoothing),
        )
        figures |= {
            "matching_loss": float(loss.detach()),
            "shift": float(matching.shift.detach()),
            "negative_scale": float(matching.negative_scale.detach()),
            **seen,
        }
        return loss + config.mean_weight * towards_mean, figures


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

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of the phase that `done` falls into."""
        source = None
        if self._config.single_source:
            source = self._batches.sources[int(rng.integers(len(self._batches.sources)))]
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


class FinetuneTask(Task):
    """Student and heads together, on measures; what distillation taught is kept up beside.

    Terms: pinball loss of the quantiles; cross-entropy of the findings; cross-entropy of what is
    stated about the ECG, through a layer that is thrown away; the distillation's losses with a
    small weight; and two that make the total variance mean something. One follows the law of
    total variance: noise that moves the mean by d adds d squared to the variance that the clean
    ECG has. The other is the negative log-likelihood of the LVEF error under a Laplace
    distribution whose scale is a power of the total variance.

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
        self.student = student
        self.heads = heads
        self.alignment = alignment
        self._label_names = list(batches.cohort.ecg_labels) if config.label_weight > 0 else []
        self.labels = nn.Linear(student.embedding_dim, max(len(self._label_names), 1))
        self.error_offset = nn.Parameter(torch.tensor(0.0))
        self.error_power = nn.Parameter(torch.tensor(0.0))
        tail = (1 - level) / 2
        self._levels = (tail, 0.5, 1 - tail)
        self._batches = batches
        self._config = config
        cohort = batches.cohort
        measured = np.zeros(len(cohort.clip_row), bool)
        self._keys = measure_keys(cohort)
        for key in self._keys:
            measured |= ~np.isnan(cohort.measures[key])
        self._usable = embedded_studies(cohort, measured) > 0
        known = alignment.teacher.known if alignment else np.zeros_like(measured)
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
        records = self._batches.records(rng, batch, source=None, among=self._usable)
        studies = [self._batches.studies(records, rng) for _ in range(config.draws)]
        ecgs = self._batches.ecgs(records, rng)
        out, gate = forward_with_gate(self.student, ecgs)
        values_kbm = np.stack([target_values(self._batches.cohort, drawn) for drawn in studies])
        estimate = self.heads(out.mean_bd, out.log_var_bd)
        scale = self.heads.scale_m
        target_kbm = on_device(torch.from_numpy(values_kbm)) / scale
        quantiles_bm3 = estimate.quantiles_bm3 / scale[:, None]
        repeated = quantiles_bm3.expand(config.draws, *quantiles_bm3.shape)
        pinball = pinball_loss(repeated.flatten(0, 1), target_kbm.flatten(0, 1), self._levels)
        findings = masked_bce(
            estimate.finding_logits_bf, on_device(self._finding_labels(values_kbm))
        )
        loss = 3.0 * pinball + findings + config.gate_weight * gate
        figures = {
            "pinball": float(pinball.detach()),
            "cross_entropy": float(findings.detach()),
            "gate_loss": float(gate.detach()),
        }
        if self._label_names:
            known = [self._batches.cohort.ecg_labels[name][records] for name in self._label_names]
            scaled = out.mean_bd * math.sqrt(out.mean_bd.shape[1])
            labels = on_device(torch.from_numpy(np.stack(known, axis=1)))
            stated = masked_bce(self.labels(scaled), labels)
            loss = loss + config.label_weight * stated
            figures["label_loss"] = float(stated.detach())
        if config.variance_weight > 0:
            # The first measure is LVEF wherever it was measured.
            error_b = (quantiles_bm3[:, 0, 1] - target_kbm[:, :, 0]).detach().abs().nanmean(0)
            likelihood = self._error_likelihood(out, error_b)
            meaning = self._displacement(out, ecgs) + likelihood
            loss = loss + config.variance_weight * meaning
            figures["variance_loss"] = float(meaning.detach())
        if self.alignment is not None and config.keep_weight > 0:
            embedded = self._batches.studies(records, rng, self._embedded)
            kept, seen = self.alignment(out, records, embedded, None, 1.0)
            loss = loss + config.keep_weight * kept
            figures |= seen
        return loss, figures

    def _displacement(self, out: StudentOutput, ecgs: EcgBatch) -> Tensor:
        with torch.no_grad():
            clean = encode(self.student, ecgs.clean)
            moved_b = (out.mean_bd - clean.mean_bd).square().sum(1)
            wanted_b = torch.log(clean.log_var_bd.exp().sum(1) + moved_b)
        return (torch.logsumexp(out.log_var_bd, dim=1) - wanted_b).square().mean()

    def _error_likelihood(self, out: StudentOutput, error_b: Tensor) -> Tensor:
        """Laplace NLL of the error in one measure; the error itself is not learnt from here."""
        known = ~error_b.isnan()
        total_b = torch.logsumexp(out.log_var_bd, dim=1)[known]
        log_scale_b = self.error_offset + functional.softplus(self.error_power) * total_b
        return (log_scale_b + error_b[known] * torch.exp(-log_scale_b)).mean()

    def _finding_labels(self, values_kbm: FloatArray) -> Tensor:
        """Tell in which share of the draws each finding holds, (B, F); NaN where not measured."""
        columns = [
            np.where(np.isnan(measured := values_kbm[:, :, column]), np.nan, measured < below)
            for column, below in self._thresholds
        ]
        return torch.from_numpy(np.array(columns).mean(1).T.astype(np.float32))
