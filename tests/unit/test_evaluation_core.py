"""Figures of evaluation, against brute force on repeated rows, scipy, and cases known by design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from model_core.errors import EchoingError
from training.evaluation import metrics
from training.evaluation import resampling as rs
from training.evaluation.arrays import Estimates, Finding, Subjects
from training.evaluation.core import evaluate
from training.evaluation.report_data import HIGH_HALF, LOW_HALF, Report, read_json, write_json

BELOW_40 = Finding("lvef_below_40", "LVEF < 40 %", "lvef", 40.0)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels, a second variable, and whole-number weights."""
    rng = np.random.default_rng(0)
    labels = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + labels, 1)
    return scores, labels, rng.normal(size=60) + scores, rng.integers(0, 4, 60)


def test_weighted_auroc_is_that_of_repeated_rows(rows) -> None:
    scores, labels, _, weights = rows
    found = rs.auroc(scores, labels.astype(float), (~labels).astype(float))(weights[None] * 1.0)
    assert found[0] == pytest.approx(
        metrics.auroc(labels.repeat(weights), scores.repeat(weights)), rel=1e-12
    )


def test_auroc_of_drawn_outcomes_pools_the_draws() -> None:
    rng = np.random.default_rng(1)
    draws = rng.random((40, 4)) < rng.random((40, 1))
    scores = rng.normal(size=40) + draws.mean(1)
    positive = draws.mean(1)
    found = rs.auroc(scores, positive, 1 - positive)(np.ones((1, 40)))
    assert found[0] == pytest.approx(metrics.auroc(draws, np.repeat(scores[:, None], 4, 1)))


def test_average_precision_is_the_sum_over_thresholds(rows) -> None:
    scores, labels, _, weights = rows
    score, label = scores.repeat(weights), labels.repeat(weights)
    expected, recall_before = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        called = score >= threshold
        recall = label[called].sum() / label.sum()
        expected += (recall - recall_before) * label[called].mean()
        recall_before = recall
    found = rs.average_precision(scores, labels * 1.0, ~labels * 1.0)(weights[None] * 1.0)
    assert found[0] == pytest.approx(expected, rel=1e-12)


def test_weighted_rank_correlation_is_scipys_of_repeated_rows(rows) -> None:
    scores, _, other, weights = rows
    found = rs.spearman(scores, other, np.ones(60))(weights[None] * 1.0)
    expected = stats.spearmanr(scores.repeat(weights), other.repeat(weights)).statistic
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_risk_over_coverage_by_hand() -> None:
    uncertainty, loss, mass = np.array([3.0, 1.0, 2.0]), np.array([9.0, 0.0, 3.0]), np.ones(3)
    whole = np.ones((1, 3))
    # Accepted in the order 0, 3, 9: mean losses 0, 1.5, 4; summed over three 0, 1, 4.
    assert rs.selective_risk(uncertainty, loss, mass)(whole)[0] == pytest.approx(5.5 / 3)
    assert rs.generalised_risk(uncertainty, loss, mass)(whole)[0] == pytest.approx(5 / 3)
    constant = rs.selective_risk(np.zeros(3), loss, mass)(whole)[0]
    assert constant == pytest.approx(4.0), "without an order it is the mean loss"


def test_trend_is_pearsons_correlation_with_the_bins_number() -> None:
    table = np.random.default_rng(2).normal(size=(2, 10))
    expected = [stats.pearsonr(np.arange(10), row).statistic for row in table]
    assert rs.trend(table) == pytest.approx(expected)


def test_rows_of_one_patient_are_drawn_together() -> None:
    values = np.random.default_rng(3).normal(size=300)
    once = rs.resample(np.arange(300), 2000, seed=1)
    alone = once.replicate(rs.ratio(values, np.ones(300)), np.arange(300))
    twice = rs.resample(np.repeat(np.arange(300), 2), 2000, seed=1)
    both = twice.replicate(rs.ratio(values.repeat(2), np.ones(600)), np.arange(600))
    assert both == pytest.approx(alone), "a copy of each row says nothing new"
    assert alone[1:].std() == pytest.approx(values.std() / np.sqrt(300), rel=0.06)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(200):
        values = rng.normal(size=80)
        found = rs.resample(np.arange(80), 400, seed).replicate(
            rs.ratio(values, np.ones(80)), np.arange(80)
        )
        low, high = rs.interval(found)
        hits += low <= 0 <= high
    # 95 % of 200 with a binomial spread of 3.1; percentile intervals run a little short.
    assert 180 <= hits <= 199


def _cohort(n: int = 600, draws: int = 3, seed: int = 5) -> tuple[Subjects, np.ndarray]:
    rng = np.random.default_rng(seed)
    centre = rng.normal(48, 10, n)
    spread = rng.choice([2.0, 9.0], n)
    outcome = centre[:, None] + spread[:, None] * rng.normal(size=(n, draws))
    subjects = Subjects(
        patient=np.arange(n),
        outcomes={"lvef": outcome},
        groups={"sex": np.where(np.arange(n) % 2, "female", "male")},
        bands={"LVEF band": ("lvef", (40.0, 50.0))},
    )
    return subjects, np.stack([centre, spread])


def _estimates(name: str, state: np.ndarray, error: float = 0.0) -> Estimates:
    centre, spread = state
    value = centre + error * np.random.default_rng(6).normal(size=len(centre))
    half = 1.645 * spread
    p = stats.norm.cdf((40 - value) / spread)
    return Estimates(
        name=name,
        values={"lvef": value},
        intervals={"lvef": np.stack([centre - half, centre + half], 1)},
        probabilities={"lvef_below_40": p},
        thresholds={"lvef_below_40": 0.25},
        uncertainty=spread + 1e-3 * centre,
    )


@pytest.fixture(scope="module")
def report() -> Report:
    """A well-made model and the same with noise added."""
    subjects, state = _cohort()
    estimates = [_estimates("model", state), _estimates("worse", state, 8.0)]
    return evaluate(subjects, estimates, findings=[BELOW_40], n_bootstrap=300)


def _value(report: Report, estimator: str, target: str, quantity: str, group: str = "") -> float:
    figure = report.find(estimator, target, quantity, group)
    assert figure is not None
    return figure.value


def test_figures_equal_their_definitions(report: Report) -> None:
    subjects, state = _cohort()
    model, outcome = _estimates("model", state), subjects.outcomes["lvef"]
    label, p = outcome < 40, model.probabilities["lvef_below_40"][:, None]
    called = np.broadcast_to(p >= 0.25, label.shape)
    error = np.abs(model.values["lvef"][:, None] - outcome)
    low, high = model.intervals["lvef"].T[:, :, None]
    accuracy = (called[label].mean() + (~called)[~label].mean()) / 2
    assert _value(report, "", "lvef_below_40", "prevalence") == pytest.approx(label.mean())
    assert _value(report, "model", "lvef_below_40", "balanced_accuracy") == pytest.approx(accuracy)
    brier = ((p - label) ** 2).mean()
    assert _value(report, "model", "lvef_below_40", "brier") == pytest.approx(brier)
    assert _value(report, "model", "lvef", "mae") == pytest.approx(error.mean())
    inside = (outcome >= low) & (outcome <= high)
    assert _value(report, "model", "lvef", "coverage") == pytest.approx(inside.mean())
    women = np.arange(len(outcome)) % 2 == 1
    assert _value(report, "model", "lvef", "mae", "sex: female") == pytest.approx(
        error[women].mean()
    )
    share_low = label.sum(1)
    expected = (error * label).sum() / share_low.sum()
    assert _value(report, "model", "lvef", "mae", "LVEF band: below 40 %") == pytest.approx(
        expected
    )


def test_uncertainty_that_is_right_is_recognised(report: Report) -> None:
    low = report.find("model", "lvef", "mae", LOW_HALF)
    high = report.find("model", "lvef", "mae", HIGH_HALF)
    assert low is not None
    assert high is not None
    assert low.high < high.low
    assert low.n == high.n == 300
    assert _value(report, "model", "lvef", "error_trend") > 0.7
    assert _value(report, "model", "lvef", "excess_aurc") > 0
    assert _value(report, "model", "lvef", "aurc") < _value(report, "model", "lvef", "mae")
    halves = next(
        d for d in report.differences if d.first == "model, low uncertainty" and d.target == "lvef"
    )
    assert halves.value < 0
    assert halves.p < 0.02


def test_the_better_estimator_is_found_better(report: Report) -> None:
    pairs = {(d.target, d.quantity): d for d in report.differences if d.second == "worse"}
    error = pairs["lvef", "mae"]
    assert error.high < 0
    assert error.p < 0.02
    assert pairs["lvef_below_40", "auroc"].low > 0


def test_equal_estimators_do_not_differ() -> None:
    subjects, state = _cohort(200, 1)
    pair = [_estimates("a", state), _estimates("b", state)]
    found = evaluate(subjects, pair, findings=[BELOW_40], n_bootstrap=50)
    differences = [d for d in found.differences if d.second == "b"]
    assert {d.quantity for d in differences} >= {"auroc", "auprc", "brier", "mae"}
    assert all(d.value == 0 and d.p == 1 for d in differences)


def test_few_subjects_get_a_number_but_no_verdict() -> None:
    subjects, state = _cohort(200, 1)
    rare = np.where(np.arange(200) < 12, "paced", "sinus")
    subjects = Subjects(subjects.patient, subjects.outcomes, {"rhythm": rare})
    report = evaluate(subjects, [_estimates("model", state)], findings=[BELOW_40], n_bootstrap=50)
    figure = report.find("model", "lvef", "coverage", "rhythm: paced")
    assert figure is not None
    assert figure.n == 12
    assert np.isnan([figure.value, figure.low, figure.high]).all()
    assert np.isfinite(_value(report, "model", "lvef", "coverage", "rhythm: sinus"))


def test_what_was_not_measured_does_not_count() -> None:
    subjects, state = _cohort(100, 2)
    outcome = subjects.outcomes["lvef"].copy()
    outcome[:20] = np.nan
    outcome[20:40, 1] = np.nan  # one study instead of two: the patient still counts once
    subjects = Subjects(subjects.patient, {"lvef": outcome})
    report = evaluate(subjects, [_estimates("model", state)], findings=[BELOW_40], n_bootstrap=20)
    figure = report.find("model", "lvef", "mae")
    assert figure is not None
    assert figure.n == 80
    error = np.nanmean(np.abs(state[0][20:, None] - outcome[20:]), axis=1)
    assert figure.value == pytest.approx(error.mean())


def test_a_threshold_is_never_chosen_here() -> None:
    subjects, state = _cohort(100, 1)
    model = _estimates("model", state)
    bare = Estimates("bare", probabilities=model.probabilities)
    report = evaluate(subjects, [bare], findings=[BELOW_40], n_bootstrap=20)
    assert report.find("bare", "lvef_below_40", "auroc") is not None
    assert report.find("bare", "lvef_below_40", "balanced_accuracy") is None


def test_arrays_that_do_not_fit_are_named() -> None:
    subjects, state = _cohort(100, 1)
    short = Estimates("model", values={"lvef": state[0][:99]})
    with pytest.raises(EchoingError, match=r"values lvef of model has 99 rows .* 100 subjects"):
        evaluate(subjects, [short])


def test_a_report_survives_its_file(report: Report, tmp_path: Path) -> None:
    write_json(report, tmp_path / "report.json")
    again = read_json(tmp_path / "report.json")
    assert repr(again) == repr(report)  # NaN does not equal itself


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(EchoingError, match=r"report\.json is not an evaluation report"):
        read_json(path)
