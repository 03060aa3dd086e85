"""The made-up readers of benchmarks/reading_limit.py and the counts of reading_curve.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import reading_curve, reading_limit
from training.evaluation.metrics import auroc
from training.simulation import (
    EcgFindings,
    draw_outcomes,
    findings_of_patients,
    oracle,
    sample_patients,
)


@pytest.fixture(scope="module")
def findings() -> EcgFindings:
    return findings_of_patients(sample_patients(150, np.random.default_rng(3)))


@pytest.mark.parametrize("wanted", [0.5, 0.76, 0.937, 0.99])
def test_scores_so_far_apart_have_that_auroc(wanted: float) -> None:
    rng, labels = np.random.default_rng(1), np.arange(200_000) % 2
    scores = rng.standard_normal(labels.size) + labels * reading_limit.separation(wanted)
    assert auroc(labels, scores) == pytest.approx(wanted, abs=0.003)


def test_distribution_of_lvef_is_that_of_the_draws(findings: EcgFindings) -> None:
    rng = np.random.default_rng(2)
    draws = np.stack([draw_outcomes(findings, rng).lvef_pct for _ in range(4000)])
    limits = np.array([30.0, 40.0, 55.0, 70.0])
    found = reading_limit.lvef_cdf(findings, limits)
    seen = (draws[..., None] < limits).mean(0)
    assert np.abs(found - seen).max() < 0.04  # four standard errors of 4000 draws
    assert np.abs(found - seen).mean() < 0.008


def test_posterior_is_bayes_rule() -> None:
    rng = np.random.default_rng(4)
    stated = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    distance, scores = np.array([1.0, 2.5]), rng.normal(size=(5, 2)) * 3
    likelihood = norm.pdf(scores[:, None], stated * distance).prod(2)
    expected = likelihood / likelihood.sum(1, keepdims=True)
    assert reading_limit.posterior(scores, stated, distance) == pytest.approx(expected)


def test_scores_are_shrunk_until_all_together_read_as_wanted() -> None:
    rng = np.random.default_rng(5)
    one_disease = rng.random((300, 1)) < 0.3
    k = len(reading_limit.BY_GROUP)
    # Statements that go together: eighteen scores tell far more than one.
    stated = np.where(rng.random((300, k)) < 0.8, one_disease, rng.random((300, k)) < 0.2) * 1.0
    distance = reading_limit.distances(dict.fromkeys(reading_limit.BY_GROUP, 0.9), stated)
    assert distance[0] < reading_limit.separation(0.9) - 0.1
    assert reading_limit.read_auroc(stated, distance) == pytest.approx(0.9, abs=0.005)


def test_who_sees_every_statement_is_the_best_possible(findings: EcgFindings) -> None:
    few = findings.take(slice(60))
    lvef = np.stack(
        [draw_outcomes(few, np.random.default_rng(i)).lvef_pct for i in range(20)], axis=1
    ).astype(float)
    best = oracle(few, 1)
    share = (lvef < 40).mean(1)
    fold = reading_limit.Fold(
        few,
        lvef,
        reading_limit.auroc(best["lvef_below_40"].astype(float), share),
        float(np.abs(lvef - best["lvef_pct"][:, None]).mean()),
    )
    certain = np.full(len(reading_limit.BY_GROUP), 30.0)
    for readers in (reading_limit.joint, reading_limit.independent):
        gap, ratio = next(iter(readers(fold, few, certain)))
        assert gap == pytest.approx(0, abs=0.01)
        assert ratio == pytest.approx(1, abs=0.01)
    blind = np.array([next(iter(reading_limit.joint(fold, few, 0.0 * certain)))])
    assert blind[0, 0] > 0.05
    assert blind[0, 1] > 1.05


def test_gap_without_an_ecg_is_that_of_the_others() -> None:
    rng = np.random.default_rng(6)
    lvef = rng.normal(45, 10, size=(12, 20))
    best, read = -lvef.mean(1), -lvef.mean(1) + rng.normal(0, 4, 12)
    left = reading_curve.gaps(best, read, (lvef < 40).mean(1), reading_curve.without_each(12))
    others = np.arange(12) != 3
    labels = lvef[others] < 40
    expected = [
        auroc(labels, np.broadcast_to(score[others, None], labels.shape)) for score in (best, read)
    ]
    assert left[3] == pytest.approx(expected[0] - expected[1])


def test_lines_go_on_over_the_logarithm() -> None:
    sizes, ahead = np.array([60.0, 125.0, 474.0]), np.array([2000.0, 17000.0])
    values = np.stack([0.3 - 0.02 * np.log2(sizes), 0.1 + 0.01 * np.log2(sizes)])
    slope, found = reading_curve.continued(sizes, values, ahead)
    assert slope == pytest.approx([-0.02, 0.01])
    assert found == pytest.approx(
        np.stack([0.3 - 0.02 * np.log2(ahead), 0.1 + 0.01 * np.log2(ahead)])
    )
