"""Settings of a training run: typed, frozen, checked, hashed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from model_core.errors import EchoingError


def _check(*, holds: bool, message: str) -> None:
    if not holds:
        raise EchoingError(f"The training settings are wrong: {message}.", code="bad_config")


def _check_shares(shares: dict[str, float]) -> None:
    _check(
        holds=all(share >= 0 for share in shares.values())
        and (not shares or sum(shares.values()) > 0),
        message="shares must not be negative, and one must be positive",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortConfig:
    """Who is trained on.

    Attributes
    ----------
    n_virtual
        Virtual patients for training.
    n_held_out
        Further virtual patients that nothing trains on: to watch training and test the teacher.
    train_draws, calibration_draws, test_draws
        Simulated echo outcomes drawn for each PTB-XL patient of that split.
    train_clips
        How many of a training patient's outcomes are rendered as clips.
    n_frames, frame_size
        Frames a clip, and pixels along each side of a frame.
    n_noise
        Recordings of pure noise, for augmentation.
    chunk
        Patients simulated at a time.
    """

    n_virtual: int
    n_held_out: int
    train_draws: int
    train_clips: int
    calibration_draws: int = 20
    test_draws: int = 20
    n_frames: int = 8
    frame_size: int = 64
    n_noise: int = 600
    chunk: int = 500

    def __post_init__(self) -> None:
        smallest = min(self.n_virtual, self.n_held_out, self.train_clips, self.n_frames)
        _check(holds=smallest >= 1, message="every count of the cohort must be at least 1")
        _check(
            holds=self.train_clips <= self.train_draws,
            message="train_clips must not exceed train_draws",
        )
        _check(holds=self.n_noise >= 2, message="n_noise must be at least 2")
        _check(holds=self.frame_size % 16 == 0, message="frame_size must be a multiple of 16")


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How long and how fast a network is trained.

    Attributes
    ----------
    steps
        Optimiser steps in all.
    steps_per_epoch
        Steps between two checkpoints.
    batch
        Items a step.
    learning_rate
        Peak; warmed up over 3 % of the steps, then lowered along a cosine.
    weight_decay
        Of AdamW, on matrices only.
    """

    steps: int
    steps_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        _check(
            holds=1 <= self.steps_per_epoch <= self.steps,
            message="steps_per_epoch must lie between 1 and steps",
        )
        _check(holds=self.batch >= 2, message="a batch needs at least 2 items")
        _check(holds=self.learning_rate > 0, message="learning_rate must be positive")

    @property
    def n_epochs(self) -> int:
        """Epochs; the last may be shorter."""
        return -(-self.steps // self.steps_per_epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """What is done to an ECG after `prepare`, in training only.

    Attributes
    ----------
    noise_share
        Share of ECGs with noise over all leads.
    burst_share
        Share of ECGs with bursts of noise in single leads.
    drop_share
        Share of ECGs with some leads declared missing.
    max_shift_s
        Largest shift in time, s.
    gain_jitter, pace_jitter
        Standard deviations of the logarithms of the gain and of the pace of time.
    turn_deg
        Standard deviation of the angles by which the heart turns in the chest, degrees.
    """

    noise_share: float = 0.5
    burst_share: float = 0.5
    drop_share: float = 0.2
    max_shift_s: float = 0.5
    gain_jitter: float = 0.1
    pace_jitter: float = 0.05
    turn_deg: float = 8.0

    def __post_init__(self) -> None:
        shares = (self.noise_share, self.burst_share, self.drop_share)
        _check(
            holds=all(0 <= share <= 1 for share in shares),
            message="shares of augmentation must lie between 0 and 1",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig:
    """The small image-text teacher; sizes as in `ImageTextTeacher`."""

    fit: FitConfig
    channels: tuple[int, ...] = (16, 32, 64, 96)
    text_width: int = 128
    text_blocks: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class DistillConfig:
    """Distillation of the teacher into the student.

    Attributes
    ----------
    fit
        Length and speed.
    student
        Registered name.
    settings
        Of that student.
    course_fit
        Length and speed of a training of the convolutions of `lead_token` alone, before (see
        `CourseTask`); None for none.
    shares
        Share of each batch by source name; empty for even shares.
    single_source
        Whether a batch comes from one source at a time, as EchoingECG's do.
    echo_weight, text_weight
        Of the ECG-echo and the ECG-text loss; EchoingECG's are 1 and 1.
    warm_share
        First part of the steps, in which only the mean is distilled (cosine and InfoNCE).
    pseudo_from
        Part of the steps after which pseudo-positives count.
    pseudo_weight, bottleneck_weight
        alpha and beta of PCME++, EchoingECG's values.
    mean_weight
        Weight of cosine and InfoNCE after the warm start.
    mix_share, label_smoothing
        Share of the ECGs that are mixed with another, and smoothing of the matches; PCME++'s are
        0.25 and 1e-4.
    gate_weight
        Weight of the gate's own loss (see `forward_with_gate`).
    distance
        Of PCME++: ``sampled``, or ``wasserstein`` to compare with.
    deterministic
        InfoNCE on the means alone, to compare with.
    """

    fit: FitConfig
    student: str = "lead_token"
    settings: dict[str, float] = field(default_factory=dict)
    course_fit: FitConfig | None = None
    shares: dict[str, float] = field(default_factory=dict)
    single_source: bool = False
    echo_weight: float = 1.0
    text_weight: float = 1.0
    warm_share: float = 0.3
    pseudo_from: float = 0.6
    pseudo_weight: float = 0.1
    bottleneck_weight: float = 1e-4
    mean_weight: float = 0.2
    mix_share: float = 0.25
    label_smoothing: float = 1e-4
    gate_weight: float = 1.0
    distance: Literal["sampled", "wasserstein"] = "sampled"
    deterministic: bool = False

    def __post_init__(self) -> None:
        _check(
            holds=self.distance in ("sampled", "wasserstein"),
            message="distance must be sampled or wasserstein",
        )
        _check(
            holds=0 <= self.warm_share <= self.pseudo_from <= 1,
            message="the warm start must end before pseudo-positives count",
        )
        _check(
            holds=self.course_fit is None or self.student == "lead_token",
            message="only the student lead_token has convolutions that can be trained before",
        )
        _check_shares(self.shares)
        _check(holds=0 <= self.mix_share <= 1, message="mix_share must lie between 0 and 1")
        _check(
            holds=0 <= self.label_smoothing < 0.5, message="label_smoothing must be below one half"
        )
        _check(
            holds=min(self.echo_weight, self.text_weight) >= 0
            and self.echo_weight + self.text_weight > 0,
            message="one of echo_weight and text_weight must be positive",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneConfig:
    """Student and heads together, on measures (see `FinetuneTask`).

    Attributes
    ----------
    fit
        Length and speed.
    hidden
        Width of the heads' hidden layer.
    shares
        As in `DistillConfig`.
    draws
        Studies drawn for each ECG of a batch, where it has several.
    measure_weight
        Of the pinball loss.
    label_weight
        Of the cross-entropy of what is stated about the ECG.
    value_weight
        Of the error in what is measured on the ECG (`Cohort.ecg_values`).
    keep_weight
        Of the distillation's losses.
    variance_weight
        Of the two terms that tie the total variance to noise and to the error.
    self_weight
        Of the moving average's own answers for what nobody measured or stated; 0 leaves ECGs
        without measures out.
    average
        Decay of the moving average of the weights at each step.
    gate_weight
        As in `DistillConfig`.
    """

    fit: FitConfig
    hidden: int = 96
    shares: dict[str, float] = field(default_factory=dict)
    draws: int = 8
    measure_weight: float = 24.0
    label_weight: float = 9.0
    value_weight: float = 10.0
    keep_weight: float = 0.1
    variance_weight: float = 0.2
    self_weight: float = 1.0
    average: float = 0.99
    gate_weight: float = 1.0

    def __post_init__(self) -> None:
        _check_shares(self.shares)
        _check(holds=self.draws >= 1, message="draws must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """Calibration and evaluation.

    Attributes
    ----------
    level
        Nominal coverage of the prediction intervals.
    n_bootstrap
        Resamples of patients for the confidence intervals.
    """

    level: float = 0.9
    n_bootstrap: int = 1000

    def __post_init__(self) -> None:
        _check(holds=0 < self.level < 1, message="level must lie between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that decides what a run gives.

    Attributes
    ----------
    recipe
        Name of the recipe.
    seed
        Of the whole run.
    threads
        Of torch; part of the settings because sums may round differently with another number.
    """

    recipe: str
    cohort: CohortConfig
    augment: AugmentConfig
    teacher: TeacherConfig
    distill: DistillConfig
    finetune: FinetuneConfig
    evaluate: EvaluateConfig
    seed: int = 7
    threads: int = 2


def config_json(config: Any) -> str:  # noqa: ANN401 - any of the dataclasses above
    """Canonical JSON of settings."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, indent=1)


def config_hash(*configs: Any) -> str:  # noqa: ANN401
    """SHA-256 over the canonical JSON of settings."""
    text = "\n".join(config_json(config) for config in configs)
    return hashlib.sha256(text.encode()).hexdigest()
