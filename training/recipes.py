"""Named settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from training.config import (
    AugmentConfig,
    CohortConfig,
    DistillConfig,
    EvaluateConfig,
    FinetuneConfig,
    FitConfig,
    RunConfig,
    TeacherConfig,
)
from training.simulated_cohort import PTBXL, UNREAD, VIRTUAL

# Real ECGs are few and count most; those that nobody stated anything about count by the mean
# teacher alone.
DISTILL_SHARES = {PTBXL: 0.35, VIRTUAL: 0.65}
FINETUNE_SHARES = {PTBXL: 0.5, UNREAD: 0.25, VIRTUAL: 0.25}


def debug() -> RunConfig:
    """Set up every stage in a minute, for tests; what comes out knows nothing."""
    return RunConfig(
        recipe="debug",
        cohort=CohortConfig(
            n_virtual=96,
            n_held_out=64,
            train_draws=2,
            train_clips=1,
            n_frames=4,
            frame_size=32,
            n_noise=8,
            chunk=80,
        ),
        augment=AugmentConfig(),
        teacher=TeacherConfig(
            fit=FitConfig(steps=4, steps_per_epoch=2, batch=16, learning_rate=1e-3),
            channels=(8, 8),
            text_width=32,
            text_blocks=1,
        ),
        distill=DistillConfig(
            fit=FitConfig(steps=4, steps_per_epoch=2, batch=16, learning_rate=1e-3),
            settings={"patch_width": 32, "width": 32, "n_blocks": 1},
            course_fit=FitConfig(steps=2, steps_per_epoch=2, batch=16, learning_rate=1e-3),
        ),
        finetune=FinetuneConfig(
            fit=FitConfig(steps=4, steps_per_epoch=2, batch=16, learning_rate=1e-3)
        ),
        evaluate=EvaluateConfig(n_bootstrap=50),
        threads=1,
    )


def quick() -> RunConfig:
    """Set up a few minutes: enough to see whether a change helps."""
    return RunConfig(
        recipe="quick",
        cohort=CohortConfig(n_virtual=4000, n_held_out=600, train_draws=50, train_clips=2),
        augment=AugmentConfig(),
        teacher=TeacherConfig(
            fit=FitConfig(steps=300, steps_per_epoch=100, batch=128, learning_rate=1.5e-3)
        ),
        distill=DistillConfig(
            fit=FitConfig(steps=300, steps_per_epoch=100, batch=128, learning_rate=1.5e-3),
            shares=DISTILL_SHARES,
        ),
        finetune=FinetuneConfig(
            fit=FitConfig(steps=300, steps_per_epoch=100, batch=128, learning_rate=1e-3),
            shares=FINETUNE_SHARES,
        ),
        evaluate=EvaluateConfig(),
    )


def default() -> RunConfig:
    """Set up the run behind the model package that ships with the program."""
    return RunConfig(
        recipe="default",
        cohort=CohortConfig(n_virtual=16000, n_held_out=1000, train_draws=200, train_clips=8),
        augment=AugmentConfig(),
        teacher=TeacherConfig(
            fit=FitConfig(steps=1000, steps_per_epoch=200, batch=192, learning_rate=2e-3)
        ),
        distill=DistillConfig(
            fit=FitConfig(steps=500, steps_per_epoch=100, batch=128, learning_rate=1.5e-3),
            settings={"course_dropout": 0.1},
            course_fit=FitConfig(steps=500, steps_per_epoch=100, batch=256, learning_rate=2e-3),
            shares=DISTILL_SHARES,
        ),
        finetune=FinetuneConfig(
            fit=FitConfig(steps=300, steps_per_epoch=100, batch=128, learning_rate=1.5e-3),
            shares=FINETUNE_SHARES,
        ),
        evaluate=EvaluateConfig(),
    )


def archives() -> RunConfig:
    """Set up a run on a cohort from archives: longer, and sources in equal shares.

    Larger batches and a lower rate than in `default`, for hundreds of thousands of ECGs; not tuned
    on any archive.
    """
    base = default()
    return dataclasses.replace(
        base,
        recipe="archives",
        distill=dataclasses.replace(
            base.distill,
            fit=FitConfig(steps=20_000, steps_per_epoch=1000, batch=256, learning_rate=5e-4),
            settings={},
            course_fit=None,
            shares={},
        ),
        finetune=dataclasses.replace(
            base.finetune,
            fit=FitConfig(steps=5000, steps_per_epoch=500, batch=256, learning_rate=3e-4),
            shares={},
        ),
    )


def paper() -> RunConfig:
    """Set up EchoingECG's own settings, as far as they are published, on a cohort from archives.

    Gao, Kim, McIntosh, MICCAI 2025: the published student, batches of one source at a time, both
    losses alike, AdamW at 3e-5. Steps and batch are not published; the warm start is ours, since
    without one nearly every pair counts as a pseudo-positive.
    """
    base = archives()
    rate = {"learning_rate": 3e-5, "weight_decay": 0.01}
    return dataclasses.replace(
        base,
        recipe="paper",
        distill=dataclasses.replace(
            base.distill,
            student="published",
            fit=FitConfig(steps=50_000, steps_per_epoch=1000, batch=128, **rate),
            single_source=True,
            warm_share=0.05,
            pseudo_from=0.05,
            mean_weight=0.0,
            mix_share=0.0,
            label_smoothing=0.0,
        ),
        finetune=dataclasses.replace(
            base.finetune,
            fit=FitConfig(steps=5000, steps_per_epoch=500, batch=128, **rate),
        ),
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe.__name__: recipe for recipe in (debug, quick, default, archives, paper)
}
