"""Conformal intervals and Platt scaling, against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from model_core.calibration import (
    apply_core,
    apply_platt,
    apply_widening,
    conformal_quantile,
    fit_core,
    fit_platt,
    fit_widening,
)
from model_core.errors import EchoingError


@pytest.mark.parametrize("n", [9, 10, 19, 99, 100, 237])
def test_threshold_is_the_right_order_statistic(n: int) -> None:
    scores = np.random.default_rng(n).normal(size=n)
    rank = -(-(n + 1) * 9 // 10)  # ceil((n + 1) 0.9) in whole numbers
    assert conformal_quantile(scores, 0.9) == sorted(scores)[rank - 1]


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(EchoingError, match="8 calibration patients") as caught:
        conformal_quantile(np.zeros(8), 0.9)
    assert "9" in caught.value.hint


def test_repeated_draws_of_a_patient_do_not_count_as_patients() -> None:
    scores = np.random.default_rng(0).normal(size=50)
    assert conformal_quantile(np.tile(scores[:, None], 7), 0.9) == conformal_quantile(scores, 0.9)
    with pytest.raises(EchoingError):
        conformal_quantile(np.zeros((8, 100)), 0.9)


def test_the_core_holds_half_on_average_whatever_the_outer_interval() -> None:
    """Exponential outcomes, lopsided interval: coverage averages k / (n + 1)."""
    rng = np.random.default_rng(5)
    n, low, value, high = 39, 0.2, 0.5, 4.0
    covered: list[float] = []
    for _ in range(2000):
        outcome = rng.exponential(size=n)
        share = fit_core(np.full(n, low), np.full(n, value), np.full(n, high), outcome)
        inner_low, inner_high = apply_core(low, value, high, share)
        covered.append(stats.expon.cdf(inner_high) - stats.expon.cdf(inner_low))
    standard_error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) == pytest.approx(20 / 40, abs=4 * standard_error)


def test_the_core_never_leaves_its_interval() -> None:
    far = np.array([9.0, -9.0, 9.0])
    assert fit_core(np.full(3, -1.0), np.zeros(3), np.ones(3), far) == 1.0


def test_expected_coverage_is_nominal_for_a_wrong_raw_interval() -> None:
    """Standard normal, raw interval far too narrow: coverage averages k / (n + 1) exactly."""
    rng = np.random.default_rng(3)
    n, level = 60, 0.9
    covered = []
    for _ in range(3000):
        widening = fit_widening(np.full(n, -0.1), np.full(n, 0.1), rng.normal(size=n), level)
        covered.append(stats.norm.cdf(0.1 + widening) - stats.norm.cdf(-0.1 - widening))
    expected = np.ceil((n + 1) * level) / (n + 1)
    standard_error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) == pytest.approx(expected, abs=4 * standard_error)


def test_too_wide_an_interval_shrinks_but_keeps_the_median() -> None:
    observed = np.random.default_rng(4).normal(size=2000)
    widening = fit_widening(np.full(2000, -5.0), np.full(2000, 5.0), observed, 0.9)
    assert widening == pytest.approx(stats.norm.ppf(0.95) - 5, abs=0.1)
    low, value, high = apply_widening(np.array([[-5.0, 0.2, 5.0], [0.1, 0.2, 0.3]]), widening)
    assert (low <= value).all()
    assert (value <= high).all()
    assert value.tolist() == [0.2, 0.2]
    assert low[0] == pytest.approx(-5 - widening)


def test_platt_equals_a_general_optimiser() -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(size=400) * 2
    labels = rng.random(400) < 1 / (1 + np.exp(-(0.6 * logits - 1.1)))
    n_positive, n_negative = labels.sum(), (~labels).sum()
    target = np.where(labels, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(weights: np.ndarray) -> float:
        z = weights[0] * logits + weights[1]
        return float((np.logaddexp(0, z) - target * z).sum())

    expected = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9})
    assert fit_platt(logits, labels) == pytest.approx(tuple(expected.x), abs=1e-4)


def test_platt_recovers_the_true_curve_from_draws() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(size=3000) * 2
    p = 1 / (1 + np.exp(-(0.5 * logits - 2.0)))
    slope, offset = fit_platt(logits, rng.random((3000, 20)) < p[:, None])
    assert (slope, offset) == pytest.approx((0.5, -2.0), abs=0.05)


def test_platt_survives_separated_and_extreme_logits() -> None:
    logits = np.array([-800.0, -700.0, 650.0, 900.0])
    slope, offset = fit_platt(logits, np.array([0, 0, 1, 1]))
    p = apply_platt(logits, slope, offset)
    assert np.isfinite([slope, offset]).all()
    assert (np.diff(p) >= 0).all()
    assert p[0] < 0.5 < p[-1]


def test_platt_refuses_a_single_outcome() -> None:
    with pytest.raises(EchoingError, match="same outcome"):
        fit_platt(np.arange(5.0), np.zeros(5))


def test_probabilities_are_the_sigmoid() -> None:
    assert apply_platt(np.array([0.0, 2.0]), 1.0, 0.0) == pytest.approx([0.5, 1 / (1 + np.exp(-2))])
