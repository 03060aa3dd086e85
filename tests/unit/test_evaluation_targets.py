"""Verdicts of targets: met, not met, and none where there is too little to go by."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from training.evaluation.arrays import Estimates, Finding, Subjects, band_labels
from training.evaluation.core import evaluate
from training.evaluation.metrics import Estimated
from training.evaluation.report_data import Report, Target
from training.evaluation.targets import (
    default_targets,
    map_targets,
    ranking_target,
    response_curve,
    response_targets,
    target,
    with_targets,
)
from training.evaluation.uncertainty import respond
from training.report.html import html


@pytest.fixture(scope="module")
def report() -> Report:
    """A model near the oracle whose intervals hold for one sex only, and a poor baseline."""
    rng = np.random.default_rng(0)
    n = 800
    centre = rng.normal(48, 10, n)
    women = np.arange(n) % 2 == 1
    outcome = (centre + np.where(women, 9, 3) * rng.normal(size=n))[:, None]
    value = centre + rng.normal(size=n)

    def estimates(name: str, v: np.ndarray, half: float, *, unsure: bool = False) -> Estimates:
        return Estimates(
            name=name,
            values={"lvef": v},
            intervals={"lvef": np.stack([v - half, v + half], 1)},
            probabilities={"lvef_below_40": 1 / (1 + np.exp((v - 40) / 4))},
            uncertainty=women + 1e-3 * rng.random(n) if unsure else None,
        )

    subjects = Subjects(np.arange(n), {"lvef": outcome}, {"sex": np.where(women, "female", "male")})
    return evaluate(
        subjects,
        [
            estimates("Model", value, 8, unsure=True),
            estimates("Oracle", centre, 11),
            estimates("Noise", rng.normal(48, 10, n), 20),
        ],
        findings=[Finding("lvef_below_40", "LVEF < 40 %", "lvef", 40.0)],
        n_bootstrap=100,
    )


def _by_name(targets: list[Target], part: str) -> Target:
    (found,) = [t for t in targets if part in t.name]
    return found


def test_verdicts_of_a_report(report: Report) -> None:
    found = default_targets(report, "Oracle")
    assert _by_name(found, "AUROC, minus that of Oracle").met
    assert _by_name(found, "as a share of that of Oracle").met
    assert _by_name(found, "AUROC, minus that of Noise").met
    assert _by_name(found, "error, minus that of Noise").met
    assert _by_name(found, "low-uncertainty minus high half").met
    assert not _by_name(found, "everyone").met
    assert not _by_name(found, "sex: female").met
    assert _by_name(found, "sex: male").met


def test_a_poor_model_does_not_pass(report: Report) -> None:
    turned = dataclasses.replace(report, estimators=["Noise", "Oracle", "Model"])
    found = default_targets(turned, "Oracle")
    assert not _by_name(found, "AUROC, minus that of Oracle").met
    assert not _by_name(found, "as a share of that of Oracle").met


def test_limits_count_as_met_and_nothing_is_no_verdict() -> None:
    assert target("x", 0.8, "", at_least=0.8).met
    assert target("x", 0.79, "", at_least=0.8).met is False
    assert target("x", math.nan, "", at_least=0.8).met is None


def test_few_cases_of_another_source_are_told_without_verdict() -> None:
    few = ranking_target("LUDB, LBBB", 1.0, 1.0, 1.0, (4, 28))
    assert few.met is None
    assert "n = 4 is too few" in few.wanted
    assert ranking_target("LUDB, infarction", 0.7, 0.6, 0.8, (23, 28)).met
    assert ranking_target("LUDB, infarction", 0.4, 0.3, 0.5, (23, 28)).met is False


def test_maps_and_damage() -> None:
    burst, similarity = map_targets(Estimated(0.95, 0.9, 1.0), Estimated(0.4, 0.3, 0.5))
    assert burst.met
    assert not similarity.met
    rising = respond(np.arange(12.0).reshape(4, 3), (0, 1, 2), 20)
    assert all(t.met for t in response_targets("noise", rising))
    falling = respond(-np.arange(12.0).reshape(4, 3), (0, 1, 2), 20)
    assert not any(t.met for t in response_targets("noise", falling))


def test_the_page_shows_targets_and_damage(report: Report) -> None:
    rising = respond(np.arange(12.0).reshape(4, 3), (0, 1, 2), 20)
    whole = with_targets(
        report,
        [target("First", 0.5, "0.4 or more", at_least=0.4), target("Second", 3, "1", at_most=1)],
        [response_curve("noise", rising)],
    )
    page = html(whole)
    assert "<td>First</td><td>0.500</td><td>0.4 or more</td><td>met</td>" in page
    assert "<td>not met</td>" in page
    assert "Mean total variance over noise" in page
    assert not report.targets, "the report given is unchanged"


def test_bands_of_values() -> None:
    found = band_labels(np.array([39.9, 40.0, 50.0]), (40, 50), "%")
    assert found.tolist() == ["below 40 %", "40 to below 50 %", "50 % or more"]
