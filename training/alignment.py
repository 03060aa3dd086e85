"""EchoingECG's losses: the ECG against the frozen echo, and against a statement in words.

Shapes: B items, L leads, T segments, D embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_core.losses import (
    MatchingLoss,
    cosine_loss,
    info_nce,
    sampled_distance,
    smooth_matches,
    wasserstein_distance,
)
from model_core.nn import LeadTokenStudent, Student, StudentOutput
from model_core.teachers import EcgTextEncoder
from training.augment import Mixing, mix_rows
from training.batches import EcgBatch
from training.cohort import Cohort, IntArray
from training.config import DistillConfig
from training.engine import encode, on_device

# Squared error of a patch's normalised features, relative to their variance, that counts as clean.
CLEAN_ERROR = 0.02
INVERSE_TEMPERATURE = 15.0
DISTANCES = {"sampled": sampled_distance, "wasserstein": wasserstein_distance}


def equal_items(items: Sequence[object] | NDArray[np.generic]) -> Tensor:
    """Which items equal which, (B, B), as 1 and 0."""
    array = np.asarray(items)
    return torch.from_numpy((array[:, None] == array[None, :]).astype(np.float32))


@dataclass(frozen=True)
class TeacherGaussians:
    """The frozen teacher's study embeddings, (studies, D) each; NaN for studies without."""

    mean: Tensor
    log_var: Tensor

    @cached_property
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
    the shape of a patch (not in its size, in which a wave's own height counts), as a Gaussian
    negative log-likelihood with variance ``CLEAN_ERROR * exp(gate)``. Its gradient reaches gate and
    stem, never through the error.
    """

    def embed_part(noisy: Tensor, clean: Tensor, keep: Tensor) -> _Embedded:
        if not isinstance(student, LeadTokenStudent):
            out = student(noisy, keep)
            nothing = out.mean_bd.new_zeros(len(noisy))
            return _Embedded(out.mean_bd, out.log_var_bd, out.segment_log_var_brt, nothing)
        patches = student.patches(noisy, keep)
        with torch.no_grad():
            error_blt = (patches.shape_bltw - student.stem(clean)).square().mean(3)
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
        beta, distance = config.bottleneck_weight, DISTANCES[config.distance]
        self.echo_matching = MatchingLoss(bottleneck_weight=beta, distance=distance)
        self.text_matching = MatchingLoss(bottleneck_weight=beta, distance=distance)
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
                equal_items(studies),
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
                equal_items(texts),
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
