"""The student network: pooling, missing leads, heads, registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_core.errors import EchoingError
from model_core.nn import (
    LeadTokenStudent,
    MeasureHeads,
    create_student,
    list_students,
    product_of_experts,
    segment_log_variance,
)
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def student() -> LeadTokenStudent:
    torch.manual_seed(0)
    made = create_student("lead_token", patch_width=32, width=32, n_blocks=1, embedding_dim=16)
    assert isinstance(made, LeadTokenStudent)
    return made.eval()


@pytest.fixture(scope="module")
def ecg() -> torch.Tensor:
    return torch.randn(3, 12, 1000, generator=torch.Generator().manual_seed(1))


def test_product_of_two_gaussians_is_the_textbook_one() -> None:
    # N(0, 1) N(3, 1/2): precision 1 + 2, mean (0 * 1 + 3 * 2) / 3.
    mean, log_var = product_of_experts(
        torch.tensor([[[0.0], [3.0]]]), torch.log(torch.tensor([[[1.0], [0.5]]]))
    )
    assert mean.item() == pytest.approx(2.0)
    assert log_var.exp().item() == pytest.approx(1 / 3)


def test_product_is_the_normalised_product_of_densities() -> None:
    grid = np.linspace(-10, 10, 20001)
    means, variances = np.array([-0.7, 1.9]), np.array([2.3, 0.4])
    density = np.exp(-np.square(grid[:, None] - means) / (2 * variances)).prod(1)
    density /= density.sum()
    expected_mean = (grid * density).sum()
    expected_variance = (np.square(grid - expected_mean) * density).sum()
    mean, log_var = product_of_experts(
        torch.from_numpy(means)[None, :, None], torch.from_numpy(np.log(variances))[None, :, None]
    )
    assert mean.item() == pytest.approx(expected_mean, rel=1e-6)
    assert log_var.exp().item() == pytest.approx(expected_variance, rel=1e-6)


def test_an_expert_with_infinite_variance_says_nothing() -> None:
    mean, log_var = product_of_experts(
        torch.tensor([[[1.0], [99.0]]]), torch.tensor([[[0.3], [torch.inf]]])
    )
    assert (mean.item(), log_var.item()) == pytest.approx((1.0, 0.3))


def test_segment_variance_is_the_mean_over_dimensions() -> None:
    variance = torch.rand(2, 5, 8) + 0.1
    found = segment_log_variance(variance.log()).exp()
    assert torch.allclose(found, variance.mean(2))


def test_shapes_and_unit_mean(student: LeadTokenStudent, ecg: torch.Tensor) -> None:
    out = student(ecg)
    assert out.mean_bd.shape == out.log_var_bd.shape == (3, 16)
    assert out.segment_log_var_brt.shape == (3, 12, 20)
    assert torch.allclose(out.mean_bd.norm(dim=1), torch.ones(3), atol=1e-5)


def test_default_student_is_small_and_starts_at_a_sensible_variance(ecg: torch.Tensor) -> None:
    full = create_student("lead_token")
    assert sum(p.numel() for p in full.parameters()) < 1.5e6
    summed = full(ecg).log_var_bd.exp().sum(1)
    assert ((summed > 0.2) & (summed < 5)).all()


def test_a_missing_lead_contributes_nothing(student: LeadTokenStudent, ecg: torch.Tensor) -> None:
    keep = torch.ones(3, 12, dtype=torch.bool)
    keep[:, 6] = False
    other = ecg.clone()
    other[:, 6] = 50 * torch.randn(3, 1000)
    first, second = student(ecg, keep), student(other, keep)
    assert torch.allclose(first.mean_bd, second.mean_bd, atol=1e-6)
    assert torch.allclose(first.log_var_bd, second.log_var_bd, atol=1e-6)
    assert torch.isinf(first.segment_log_var_brt[:, 6]).all()
    assert torch.isfinite(first.segment_log_var_brt[:, :6]).all()


def test_fewer_leads_mean_more_variance(student: LeadTokenStudent, ecg: torch.Tensor) -> None:
    keep = torch.ones(3, 12, dtype=torch.bool)
    keep[:, 4:] = False
    assert (student(ecg, keep).log_var_bd.mean(1) > student(ecg).log_var_bd.mean(1)).all()


def test_gradients_reach_the_variance_head_and_stay_finite(
    student: LeadTokenStudent, ecg: torch.Tensor
) -> None:
    keep = torch.ones(3, 12, dtype=torch.bool)
    keep[0, :5] = False
    student.zero_grad()
    out = student(ecg, keep)
    (out.log_var_bd.sum() + (out.mean_bd * torch.arange(16.0)).sum()).backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert student.log_var.weight.grad is not None
    assert student.log_var.weight.grad.abs().sum() > 0
    gate = dict(student.gate.named_parameters())["layers.0.weight"]
    assert gate.grad is not None
    assert gate.grad.abs().sum() > 0
    student.zero_grad()


def test_a_patch_says_nothing_of_distant_segments(
    student: LeadTokenStudent, ecg: torch.Tensor
) -> None:
    changed = ecg.clone()
    changed[:, 3, 500:550] += 5.0  # lead 3, segment 10
    before, after = student.patches(ecg, None), student.patches(changed, None)
    moved = (before.gate_blt - after.gate_blt).abs() > 1e-7
    allowed = torch.zeros(12, 20, dtype=torch.bool)
    allowed[3, 9:12] = True
    assert moved[:, 3, 10].all()
    assert not (moved & ~allowed).any()


def test_the_size_of_large_waves_can_be_told(student: LeadTokenStudent) -> None:
    wave = torch.zeros(1, 12, 1000)
    wave[..., 25::50] = 50.0
    with torch.no_grad():
        large, small = (student.patches(size * wave, None).features_bltw for size in (2, 1))
        change = large - small
    # Layer normalisation, which brings each patch to a size of 1, would leave next to nothing.
    assert change.square().mean().sqrt() > 0.15


def test_quantiles_never_cross() -> None:
    torch.manual_seed(2)
    heads = MeasureHeads(16, [60.0, 4.6], [10.0, 0.4], 1)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.normal_(std=3.0)
    out = heads(torch.randn(500, 16), torch.randn(500, 16))
    assert (out.quantiles_bm3.diff(dim=2) >= 0).all()
    assert out.finding_logits_bf.shape == (500, 1)


def test_unknown_student_is_named_with_the_known_ones() -> None:
    assert "lead_token" in list_students()
    with pytest.raises(EchoingError, match="lead_token"):
        create_student("nobody")


def test_the_published_student_starts_where_pcmepp_can_learn() -> None:
    torch.manual_seed(0)
    made = create_student("published", embedding_dim=512, width=2, third_stage_blocks=1)
    out = made(torch.randn(4, 12, 1000))
    assert out.mean_bd.shape == (4, 512)
    assert out.segment_log_var_brt.shape == (4, 1, 63)
    # A pair can only match while both variances sum to less than shift over scale, which is 1.
    summed = out.log_var_bd.exp().sum(1)
    assert (summed > 0.1).all()
    assert (summed < 0.5).all()
    assert len(made.edges_s) == made.n_segments + 1


def test_the_paper_recipe_takes_the_published_student() -> None:
    config = RECIPES["paper"]()
    assert config.distill.student == "published"
    assert config.distill.single_source
    assert config.distill.fit.learning_rate == 3e-5
    assert config.distill.fit.weight_decay == 0.01
