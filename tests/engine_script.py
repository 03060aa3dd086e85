"""What the tests of the training engine run in several processes: FOLDER PRECISION STOP_AFTER."""

from __future__ import annotations

import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_core.losses import MatchingLoss, info_nce
from training import engine
from training.config import FitConfig
from training.engine import encode
from training.fit import Task, fit

BATCH, STEPS = 24, 12


class TwoTowers(Task):
    """PCME++ and InfoNCE between a tower with batch normalisation and one that is not split."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.tower = nn.Sequential(
            nn.Conv1d(2, 8, 5, bias=False),
            nn.BatchNorm1d(8),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(128, 32),
        )
        self.other = nn.Linear(6, 32)
        self.matching = MatchingLoss()
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))
        self.unused = nn.Parameter(torch.ones(2))
        self.dtype = dtype
        self.to(dtype)
        self.kill_at = -1
        self.inner_type, self.types = "", [""]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        if round(done * STEPS) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        x = torch.from_numpy(rng.normal(size=(batch, 2, 20))).to(self.dtype)
        y = torch.from_numpy(rng.normal(size=(batch, 6))).to(self.dtype)
        groups = rng.integers(0, batch // 2, batch)
        matched = torch.from_numpy(groups[:, None] == groups[None, :]).to(self.dtype)
        embedded, penalty_b = encode(self._encode, x)
        mean_bd, log_var_bd = embedded.chunk(2, dim=1)
        other_mean, other_log_var = self.other(y).chunk(2, dim=1)
        mean_bd = nn.functional.normalize(mean_bd, dim=1)
        other_mean = nn.functional.normalize(other_mean, dim=1)
        loss, figures = self.matching(
            mean_bd, log_var_bd - 3, other_mean, other_log_var - 3, matched
        )
        loss = loss + info_nce(mean_bd, other_mean, self.log_scale, matched)
        weight_b = torch.from_numpy(rng.random(batch)).to(self.dtype)
        loss = loss + 0.1 * (penalty_b * weight_b).sum() / weight_b.sum()
        self.types = [str(t.dtype) for t in (embedded, loss)]
        return loss, figures

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        embedded = self.tower(x)
        self.inner_type = str(embedded.dtype)
        return embedded, embedded.square().mean(1)

    def watch(self) -> dict[str, float]:
        return {"rank_that_watched": float(engine.rank())}


def gradients(dtype: torch.dtype) -> dict[str, Tensor]:
    """Loss and all gradients of one batch, and batch normalisation's running statistics."""
    task = TwoTowers(dtype)
    wrapped = engine.wrap(task)
    with engine.synchronised_batch_norm(task):
        loss, _ = wrapped(np.random.default_rng(0), BATCH, 0.0)
        engine.backward(loss)
    found = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **found, **dict(task.named_buffers())}


def main() -> None:
    folder, precision, kill_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(1)
    engine.start(precision)  # type: ignore[arg-type]
    result = {}
    if precision == "fp32":
        result = {"single": gradients(torch.float32), "double": gradients(torch.float64)}
    task = TwoTowers()
    if engine.is_main():
        task.kill_at = kill_at
    config = FitConfig(steps=STEPS, steps_per_epoch=4, batch=BATCH, learning_rate=1e-3)
    history = fit(task, config, name="towers", seed=1, checkpoint=folder / "checkpoint.pt")
    engine.seed(3)
    # The draws within leave those outside as they would be.
    within = None
    if engine.world_size() > 1:
        within = encode(nn.functional.dropout, torch.ones(BATCH, 4))
    result |= {
        "weights": task.state_dict(),
        "history": history,
        "world_size": engine.world_size(),
        "types": [task.inner_type, *task.types],
        "dropout_within": within,
        "dropout_outside": nn.functional.dropout(torch.ones(BATCH, 4)),
        "told": engine.on_main(lambda: f"by {engine.rank()}"),
    }
    torch.save(result, folder / f"result{engine.rank()}.pt")


if __name__ == "__main__":
    main()
