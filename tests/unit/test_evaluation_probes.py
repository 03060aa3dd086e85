"""Probes and calibration, against scipy's optimisers and cohorts whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from model_core.errors import EchoingError
from training.evaluation import metrics
from training.evaluation.arrays import LVEF_FINDINGS, Finding, Subjects
from training.evaluation.calibrate import (
    best_threshold,
    calibrated_estimates,
    fit_line,
    probability_below,
)
from training.evaluation.core import evaluate
from training.evaluation.probes import (
    apply_linear,
    constant,
    few_shot,
    fit_logistic,
    fit_ridge,
    linear_probe,
    row_means,
    row_shares,
)

BELOW_40 = Finding("lvef_below_40", "LVEF < 40 %", "lvef", 40.0)


def _cohort(n: int, seed: int, draws: int = 2) -> tuple[np.ndarray, Subjects]:
    """Features of which one carries LVEF and volume, and outcomes with known spread."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    lvef = 45 + 8 * x[:, :1] + 6 * rng.normal(size=(n, draws))
    lvedv = np.exp(4.8 - 0.2 * x[:, :1] + 0.2 * rng.normal(size=(n, draws)))
    return x, Subjects(np.arange(n), {"lvef": lvef, "lvedv": lvedv})


def test_logistic_regression_is_the_minimum_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(80, 3)), rng.random(80)

    def loss(w: np.ndarray) -> float:
        z = x @ w[:3] + w[3]
        return np.sum(np.logaddexp(0, z) - share * z) + 0.5 * 0.05 * 80 * np.sum(w[:3] ** 2)

    expected = optimize.minimize(loss, np.zeros(4), tol=1e-10).x
    assert fit_logistic(x, share, 0.05) == pytest.approx(expected, abs=1e-4)


def test_separable_classes_do_not_break_logistic_regression() -> None:
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    weights = fit_logistic(x, np.array([0.0, 0.0, 1.0, 1.0]), 1e-3)
    assert np.isfinite(weights).all()
    assert weights[0] > 1


def test_ridge_with_one_penalty_solves_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 5)), rng.normal(size=40)
    centred = x - x.mean(0)
    expected = np.linalg.solve(centred.T @ centred + 0.3 * 40 * np.eye(5), centred.T @ y)
    weights = fit_ridge(x, y, [0.3])
    assert weights[:5] == pytest.approx(expected)
    assert apply_linear(weights, x).mean() == pytest.approx(y.mean())


def test_generalised_cross_validation_shrinks_what_is_noise() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 40))
    noise = fit_ridge(x, rng.normal(size=60))
    signal = fit_ridge(x, x[:, 0] * 3 + 0.1 * rng.normal(size=60))
    assert np.linalg.norm(noise[:40]) < 0.3
    assert signal[0] == pytest.approx(3, abs=0.15)


def test_a_probe_on_the_right_features_comes_near_the_best_possible() -> None:
    (x, train), (xc, calibration), (xt, test) = (
        _cohort(n, s) for n, s in ((800, 1), (400, 2), (800, 3))
    )
    probe = linear_probe("probe", (x, xc, xt), train, calibration, LVEF_FINDINGS)
    blind = constant("constant", train, calibration, test.n, LVEF_FINDINGS)
    report = evaluate(test, [probe, blind], findings=LVEF_FINDINGS, n_bootstrap=100)

    def value(who: str, target: str, quantity: str) -> float:
        figure = report.find(who, target, quantity)
        assert figure is not None
        return figure.value

    best = 6 * np.sqrt(2 / np.pi)  # mean of |N(0, 6^2)|
    assert value("probe", "lvef", "mae") == pytest.approx(best, rel=0.05)
    assert value("constant", "lvef", "mae") == pytest.approx(10 * np.sqrt(2 / np.pi), rel=0.06)
    for key in ("lvef", "lvedv"):
        assert 0.87 < value("probe", key, "coverage") < 0.93
        assert 0.87 < value("constant", key, "coverage") < 0.93
    assert value("constant", "lvef_below_40", "auroc") == 0.5
    oracle = metrics.auroc(test.outcomes["lvef"] < 40, np.repeat(-xt[:, :1], 2, 1))
    assert value("probe", "lvef_below_40", "auroc") == pytest.approx(oracle, abs=0.01)
    assert value("probe", "lvef_below_40", "mean_probability") == pytest.approx(
        value("", "lvef_below_40", "prevalence"), abs=0.04
    )


def test_missing_features_are_filled_and_told() -> None:
    x, train = _cohort(500, 4, draws=1)
    x[:, 1] = np.where(train.outcomes["lvef"][:, 0] < 40, np.nan, x[:, 1])  # missing says it all
    x[:, 2] = np.nan
    probe = linear_probe("probe", (x, x, x), train, train, [BELOW_40])
    score = probe.probabilities["lvef_below_40"]
    assert metrics.auroc(train.outcomes["lvef"][:, 0] < 40, score) > 0.99


def test_few_shots_learn_more_from_more() -> None:
    (x, train), (xt, test) = _cohort(600, 5), _cohort(500, 6)
    curves = few_shot("probe", (x, xt), train, test, BELOW_40, shots=(2, 32, 500), n_draws=40)
    auroc = next(c for c in curves if c.kind == "few_shot_auroc")
    assert auroc.x == [2, 32], "nobody has 500 cases"
    assert auroc.y[1] > auroc.y[0] + 0.05
    assert auroc.high[1] - auroc.low[1] < auroc.high[0] - auroc.low[0]
    rng = np.random.default_rng(7)
    noise = few_shot(
        "noise",
        (rng.normal(size=x.shape), rng.normal(size=xt.shape)),
        train,
        test,
        BELOW_40,
        shots=(16,),
        n_draws=40,
    )
    assert noise[0].y[0] == pytest.approx(0.5, abs=0.03)


def test_threshold_is_the_best_of_all() -> None:
    rng = np.random.default_rng(8)
    score = np.round(rng.normal(size=90), 1)
    outcome = 45 - 6 * score[:, None] + 8 * rng.normal(size=(90, 2))
    positive = row_shares(outcome, 40)
    positive = positive, 1 - positive

    def accuracy(threshold: float) -> float:
        called = score >= threshold
        up, down = (called @ p / p.sum() for p in positive)
        return (up + 1 - down) / 2

    found = best_threshold(score, outcome, 40)
    assert accuracy(found) == max(accuracy(t) for t in np.unique(score))


def test_flat_and_shifted_medians_are_stretched_back() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(57, 9, 400)
    outcome = truth[:, None] + rng.laplace(0, 5, (400, 8))
    flat = 60 + 0.7 * (truth - 57)
    offset, slope = fit_line(flat, outcome)
    np.testing.assert_allclose(offset + slope * flat, truth, atol=1.5)
    assert np.abs(offset + slope * flat - truth).mean() < 0.5
    # Too few to tell a line from chance.
    assert fit_line(flat[:30], outcome[:30]) == (0.0, 1.0)
    assert fit_line(np.full(400, 57.0), outcome) == (0.0, 1.0)


def test_stretched_intervals_cover_and_keep_their_median_inside() -> None:
    (_, calibration), (_, test) = _cohort(300, 9), _cohort(300, 10)
    quantiles = tuple(
        60 + 0.4 * (np.stack([c - 8, c, c + 8], 1) - 55)
        for c in (row_means(s.outcomes["lvef"]) for s in (calibration, test))
    )
    kwargs = {"log_space": set(), "level": 0.9}
    flat, stretched = (
        calibrated_estimates(
            "heads", calibration, {"lvef": quantiles}, {}, (), straighten=keys, **kwargs
        )
        for keys in ((), {"lvef"})
    )
    truth = row_means(test.outcomes["lvef"])
    errors = [np.abs(e.values["lvef"] - truth).mean() for e in (flat, stretched)]
    assert errors[1] < 0.5 * errors[0]
    low, high = stretched.intervals["lvef"].T
    assert ((low <= stretched.values["lvef"]) & (stretched.values["lvef"] <= high)).all()
    inside = (test.outcomes["lvef"] >= low[:, None]) & (test.outcomes["lvef"] <= high[:, None])
    assert 0.84 <= inside.mean() <= 0.96


def test_threshold_needs_both_outcomes() -> None:
    with pytest.raises(EchoingError, match="same outcome"):
        best_threshold(np.arange(4.0), np.full((4, 1), 60.0), 40)


def test_probability_from_an_interval_is_normal_when_it_is_symmetric() -> None:
    half = 1.6448536269514722 * 7
    value = np.array([30.0, 45.0, 60.0])
    found = probability_below(value - half, value, value + half, 40, 0.9)
    assert found == pytest.approx(stats.norm.cdf((40 - value) / 7))


def test_a_finding_without_logits_is_told_from_its_measure() -> None:
    (_, calibration), (_, test) = _cohort(300, 9), _cohort(300, 10)
    centre = [row_means(s.outcomes["lvef"]) for s in (calibration, test)]
    quantiles = tuple(np.stack([c - 8, c, c + 8], 1) for c in centre)
    found = calibrated_estimates(
        "heads", calibration, {"lvef": quantiles}, {}, LVEF_FINDINGS, log_space=set()
    )
    assert set(found.probabilities) == {f.key for f in LVEF_FINDINGS}
    p = found.probabilities["lvef_below_50"]
    order = np.argsort(centre[1])
    assert (np.diff(p[order]) <= 1e-12).all()
    assert p.mean() == pytest.approx((test.outcomes["lvef"] < 50).mean(), abs=0.06)


def test_means_and_shares_ignore_what_is_unknown() -> None:
    outcome = np.array([[30.0, np.nan], [50.0, 30.0], [np.nan, np.nan]])
    assert row_means(outcome) == pytest.approx([30, 40, np.nan], nan_ok=True)
    assert row_shares(outcome, 40) == pytest.approx([1, 0.5, np.nan], nan_ok=True)
