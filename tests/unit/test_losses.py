"""Losses against the published implementation's outputs and against formulas by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_core.losses import (
    MatchingLoss,
    cosine_loss,
    info_nce,
    pinball_loss,
    pseudo_matched,
    sampled_distance,
    wasserstein_distance,
)

DISTANCES = {"csd": sampled_distance, "wdist": wasserstein_distance}


@pytest.mark.needs_shared
@pytest.mark.parametrize("case", range(5))
def test_loss_and_gradients_equal_the_reference(shared: Path, case: int) -> None:
    with np.load(shared / "parity/pcmepp_loss.npz") as file:
        values = {
            k.removeprefix(f"case{case}_"): file[k] for k in file if k.startswith(f"case{case}_")
        }
    tensors = {k: torch.from_numpy(values[k]) for k in ("mu1", "log_var1", "mu2", "log_var2")}
    tensors["mu1"].requires_grad_()
    tensors["log_var1"].requires_grad_()
    loss_module = MatchingLoss(
        pseudo_weight=float(values["alpha"]),
        bottleneck_weight=float(values["vib"]),
        distance=DISTANCES[str(values["distance"])],
    )
    loss, _ = loss_module(
        tensors["mu1"],
        tensors["log_var1"],
        tensors["mu2"],
        tensors["log_var2"],
        torch.from_numpy(values["matched"]),
    )
    loss.backward()
    found = {
        "loss": loss.detach(),
        "grad_mu1": tensors["mu1"].grad,
        "grad_log_var1": tensors["log_var1"].grad,
        "grad_shift": loss_module.shift.grad,
        "grad_scale": loss_module.negative_scale.grad,
    }
    for name, value in found.items():
        assert value is not None
        expected = np.squeeze(values[name])
        error = np.abs(value.numpy() - expected).max() / np.abs(expected).max()
        assert error < 1e-5, name


def test_sampled_distance_is_the_expected_squared_distance() -> None:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(2, 1, 3))
    log_var = rng.normal(size=(2, 1, 3))
    samples = mean + np.exp(log_var / 2) * rng.normal(size=(2, 400_000, 3))
    expected = np.square(samples[0] - samples[1]).sum(1).mean()
    tensors = [torch.from_numpy(v) for v in (mean[0], log_var[0], mean[1], log_var[1])]
    assert sampled_distance(*tensors).item() == pytest.approx(expected, rel=0.01)


def test_pseudo_positives_are_the_pairs_nearer_than_the_match() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 2.0], [0.0, 0.0, 5.0]])
    expected = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert torch.equal(pseudo_matched(logits, torch.eye(3)), expected)


def test_a_row_without_match_gets_no_pseudo_positives() -> None:
    matched = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert pseudo_matched(torch.tensor([[0.0, -1.0], [5.0, 5.0]]), matched)[1].sum() == 0


def test_watched_figure_counts_pseudo_positives() -> None:
    mean = torch.eye(2)
    swapped = torch.eye(2).flip(0)
    log_var = torch.full((2, 2), -6.0)
    _, figures = MatchingLoss()(mean, log_var, swapped, log_var, torch.eye(2))
    assert figures == {"pseudo_positives_per_anchor": 1.0}


def test_duplicates_are_not_negatives_of_each_other() -> None:
    unit = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
    matched = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    scale = torch.tensor(np.log(50.0))
    # Perfect embeddings: all that is left is the entropy of two equal targets, in 2 of 3 rows.
    assert info_nce(unit, unit, scale, matched).item() == pytest.approx(2 / 3 * np.log(2), abs=1e-4)


def test_cosine_loss_is_zero_for_parallel_and_two_for_opposite() -> None:
    a = torch.tensor([[1.0, 2.0]])
    assert cosine_loss(a, 3 * a).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(a, -a).item() == pytest.approx(2, abs=1e-6)


def test_pinball_loss_is_least_at_the_quantiles() -> None:
    levels = (0.05, 0.5, 0.95)
    sample = torch.from_numpy(np.random.default_rng(1).normal(size=20001))[:, None]
    true = torch.tensor(np.quantile(sample.numpy(), levels))

    def loss(shift: float) -> float:
        moved = (true + shift).expand(len(sample), 1, 3)
        return pinball_loss(moved, sample, levels).item()

    assert loss(0.0) < min(loss(-0.05), loss(0.05))
