"""The one training loop."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_core.errors import EchoingError
from training import engine
from training.checkpoint import load_checkpoint, require_space, save_checkpoint
from training.config import FitConfig
from training.curves import LOG_SUFFIX, StepLog
from training.progress import Progress

History = list[dict[str, float]]

# Share of the steps that may be left out because their loss or gradient is no number.
SKIPPED_SHARE = 1e-4


class Task(nn.Module):
    """Networks and loss of one training; what is frozen stays outside its parameters.

    `training.engine` says how `step_loss` makes use of several processes and of bfloat16.
    """

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of one step, and figures to watch.

        Parameters
        ----------
        rng
            Source of all randomness of the step outside torch; the same in every process.
        batch
            Items to draw, over all processes.
        done
            Share of the training that is over, 0 to 1.
        """
        raise NotImplementedError

    def forward(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Call `step_loss`, through the engine's wrapper; a loss is taken in full precision."""
        with engine.full_precision():
            return self.step_loss(rng, batch, done)

    def watch(self) -> dict[str, float]:
        """Figures on held-out data, after each epoch, in the main process alone."""
        return {}


def fit(task: Task, config: FitConfig, *, name: str, seed: int, checkpoint: Path) -> History:
    """Train, epoch by epoch; an interrupted training goes on where its last epoch ended.

    All randomness of an epoch comes from the seed and the epoch's number, so that an interrupted
    and an uninterrupted training give the same weights, bit for bit on a CPU. Beside the
    checkpoints stands a log with a row a step (`training.curves`).

    Parameters
    ----------
    task
        What is trained.
    config
        Length and speed.
    name
        For the progress line.
    seed
        Of this training.
    checkpoint
        Name of the series of checkpoints; the newest and the one before are kept.

    Returns
    -------
    list of dict
        One entry an epoch: mean of each figure.

    Raises
    ------
    EchoingError
        If more than one step in 10,000 gives no finite loss and gradient, if the checkpoint
        belongs to other settings, or if the disk is full.
    """
    engine.start()
    state = load_checkpoint(checkpoint)
    settings = _settings(task, config, name, seed)
    if state is not None:
        _require_same(json.loads(state["settings"]), settings, checkpoint)
        task.load_state_dict(state["task"])
    elif engine.is_main():
        require_space(checkpoint.parent, _space(task), f"the training of the {name}")
    wrapped = engine.wrap(task)
    trainable = [p for p in task.parameters() if p.requires_grad]
    optimiser = _optimiser(trainable, config)
    history: History = []
    skipped = 0
    if state is not None:
        optimiser.load_state_dict(state["optimiser"])
        history, skipped = state["history"], state["skipped"]
    done = min(len(history) * config.steps_per_epoch, config.steps)
    progress = Progress(name, config.steps, done, shown=engine.is_main())
    with ExitStack() as stack:
        stack.enter_context(engine.synchronised_batch_norm(task))
        log = None
        if engine.is_main():
            log = stack.enter_context(closing(StepLog(checkpoint.with_suffix(LOG_SUFFIX), done)))
        started = time.monotonic() - (log.seconds if log else 0.0)
        for epoch in range(len(history), config.n_epochs):
            engine.seed(seed * 1000 + epoch)
            rng = np.random.default_rng([seed, epoch])
            task.train()
            sums: dict[str, float] = {}
            row: dict[str, float] = {}
            counted = 0
            first = epoch * config.steps_per_epoch
            for step in range(first, min(first + config.steps_per_epoch, config.steps)):
                if log and row:
                    log.write(row)
                rate = _learning_rate(config, step)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                optimiser.zero_grad()
                loss, figures = wrapped(rng, config.batch, step / config.steps)
                engine.backward(loss)
                norm = float(torch.nn.utils.clip_grad_norm_(trainable, 1.0))
                value = engine.mean(loss.detach())
                # Both are the same in every process, and so is the decision.
                if math.isfinite(value) and math.isfinite(norm):
                    optimiser.step()
                    counted += 1
                    for key, figure in {"loss": value, **figures}.items():
                        sums[key] = sums.get(key, 0.0) + figure
                else:
                    skipped += 1
                    _require_few(skipped, task, config, name, step)
                progress.step(note=f"(loss {value:.3f})")
                row = {
                    "step": step,
                    "epoch": epoch,
                    "loss": value,
                    **figures,
                    "gradient_norm": norm,
                    "learning_rate": rate,
                    "seconds": time.monotonic() - started,
                }
            task.eval()
            means = {key: total / counted for key, total in sums.items()}
            with torch.no_grad():
                watched = engine.on_main(task.watch)
            history.append({**means, **watched})
            if log:
                log.write({**row, **watched})
                log.sync()
                values = {
                    "settings": json.dumps(settings),
                    "task": task.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "history": history,
                    "skipped": skipped,
                }
                save_checkpoint(checkpoint, len(history), values)
    task.eval().cpu()
    return history


def _optimiser(trainable: list[nn.Parameter], config: FitConfig) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = [
        # Scales, shifts and biases are not pulled towards zero.
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _learning_rate(config: FitConfig, step: int) -> float:
    warm_up = max(1, round(0.03 * config.steps))
    cosine = 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
    return config.learning_rate * (min(1.0, (step + 1) / warm_up) * cosine)


def _require_few(skipped: int, task: Task, config: FitConfig, name: str, step: int) -> None:
    """Go on after a step without finite loss, or stop."""
    spoilt = any(b.is_floating_point() and not b.isfinite().all() for b in task.buffers())
    if skipped > SKIPPED_SHARE * config.steps or spoilt:
        raise EchoingError(
            f"The training of the {name} diverged at step {step}: "
            "its loss or gradient is no longer a number.",
            hint="Lower the learning rate, or look for records with values that are not finite.",
            code="training_diverged",
        )
    if engine.is_main():
        print(f"{name}: step {step} is left out, its loss is no number.", file=sys.stderr)


def _settings(task: Task, config: FitConfig, name: str, seed: int) -> dict[str, Any]:
    shapes = [[key, list(value.shape)] for key, value in task.state_dict().items()]
    digest = hashlib.sha256(json.dumps(shapes).encode()).hexdigest()
    settings = {"training": name, "seed": seed, **dataclasses.asdict(config), "network": digest}
    return json.loads(json.dumps(settings))


def _require_same(there: dict[str, Any], here: dict[str, Any], checkpoint: Path) -> None:
    for key in here | there:
        old, new = there.get(key), here.get(key)
        if old != new:
            what = "of another network" if key == "network" else f"{key} {old} there, {new} here"
            raise EchoingError(
                f"The checkpoint {checkpoint} belongs to other settings: {what}.",
                hint="Remove the checkpoint, or choose another folder for the run.",
                code="other_settings",
            )


def _space(task: Task) -> int:
    """Bytes of three checkpoints, with AdamW's two moments, and of the log."""
    n = sum(p.nbytes * (3 if p.requires_grad else 1) for p in task.parameters())
    return 3 * (n + sum(b.nbytes for b in task.buffers())) + 20_000_000
