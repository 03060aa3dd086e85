"""Figures of merit, against brute force and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.evaluation.metrics import auroc, bootstrap, spearman
from training.evaluation.uncertainty import burst_auroc


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(80) < 0.3
    scores = rng.integers(0, 6, 80)  # with ties
    differences = scores[labels][:, None] - scores[~labels][None, :]
    expected = (differences > 0).mean() + 0.5 * (differences == 0).mean()
    assert auroc(labels, scores) == pytest.approx(expected)


def test_auroc_of_one_class_is_undefined() -> None:
    assert np.isnan(auroc(np.ones(5), np.arange(5)))


def test_spearman_equals_scipy_with_ties() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, 60), rng.normal(size=60)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_bootstrap_interval_has_the_width_of_theory() -> None:
    values = np.random.default_rng(2).normal(size=400)
    found = bootstrap(lambda i: float(values[i].mean()), 400, 4000, np.random.default_rng(3))
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)


def test_burst_auroc_knows_where_the_burst_is() -> None:
    cells = np.zeros((2, 12, 20), np.float32)
    cells[0, 4, 6:8] = 1.0  # right: the burst lies in samples 300-400 of lead 4
    cells[1, 4, 6:8] = 1.0  # wrong: there it lies in lead 5
    found = burst_auroc(cells, np.array([4, 5]), np.array([300, 300]), 1000)
    assert found[0] == 1.0
    assert found[1] < 0.5
