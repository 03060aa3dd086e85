"""The one training loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_core.errors import EchoingError
from training.checkpoint import load_tensors, save_tensors
from training.config import FitConfig
from training.progress import Progress

History = list[dict[str, float]]


class Task(nn.Module):
    """Networks and loss of one training; what is frozen stays outside its parameters."""

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of one step, and figures to watch.

        Parameters
        ----------
        rng
            Source of all randomness of the step outside torch.
        batch
            Items to draw.
        done
            Share of the training that is over, 0 to 1.
        """
        raise NotImplementedError

    def watch(self) -> dict[str, float]:
        """Figures on held-out data, after each epoch."""
        return {}


def fit(task: Task, config: FitConfig, *, name: str, seed: int, checkpoint: Path) -> History:
    """Train, epoch by epoch; an interrupted training goes on where its last epoch ended.

    All randomness of an epoch comes from the seed and the epoch's number, so that an interrupted
    and an uninterrupted training give the same weights.

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
        File for the state after each epoch.

    Returns
    -------
    list of dict
        One entry an epoch: mean of each figure.

    Raises
    ------
    EchoingError
        If the loss is no longer a number.
    """
    trainable = [p for p in task.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        # Scales, shifts and biases are not pulled towards zero.
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate)
    warm_up = max(1, round(0.03 * config.steps))
    history: History = []
    if checkpoint.exists():
        state = load_tensors(checkpoint)
        task.load_state_dict(state["task"])
        optimiser.load_state_dict(state["optimiser"])
        history = state["history"]
    done = len(history) * config.steps_per_epoch
    progress = Progress(name, config.steps, min(done, config.steps))
    for epoch in range(len(history), config.n_epochs):
        torch.manual_seed(seed * 1000 + epoch)
        rng = np.random.default_rng([seed, epoch])
        task.train()
        sums: dict[str, float] = {}
        n_steps = min(config.steps_per_epoch, config.steps - epoch * config.steps_per_epoch)
        for number in range(n_steps):
            step = epoch * config.steps_per_epoch + number
            share = step / config.steps
            rate = min(1.0, (step + 1) / warm_up) * (0.5 + 0.5 * math.cos(math.pi * share))
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * rate
            loss, figures = task.step_loss(rng, config.batch, share)
            if not torch.isfinite(loss):
                raise EchoingError(
                    f"The training of the {name} diverged at step {step}.",
                    hint="Lower the learning rate.",
                    code="training_diverged",
                )
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimiser.step()
            for key, value in {"loss": float(loss.detach()), **figures}.items():
                sums[key] = sums.get(key, 0.0) + value
            progress.step(note=f"(loss {float(loss.detach()):.3f})")
        task.eval()
        means = {key: value / n_steps for key, value in sums.items()}
        with torch.no_grad():
            history.append({**means, **task.watch()})
        save_tensors(
            checkpoint,
            {
                "task": task.state_dict(),
                "optimiser": optimiser.state_dict(),
                "history": history,
            },
        )
    task.eval()
    return history
