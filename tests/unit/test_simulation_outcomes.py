"""Simulated outcomes: calibration on the real PTB-XL table, directions, consistency."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.simulation import (
    EcgFindings,
    concatenate,
    draw_outcomes,
    findings_from_ptbxl,
    findings_of_patients,
    oracle,
    sample_patients,
)

DRAWS = 60


def ptbxl_row(codes: str, **changes: str) -> dict[str, str]:
    row = {"ecg_id": "1", "age": "60", "sex": "1", "scp_codes": codes, "pacemaker": ""}
    return {**row, **changes}


def auroc(positive: np.ndarray, score: np.ndarray) -> float:
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    _, inverse = np.unique(score, return_inverse=True)
    ranks = (np.bincount(inverse, ranks) / np.bincount(inverse))[inverse]
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


@pytest.fixture
def ptbxl(shared: Path) -> EcgFindings:
    with (shared / "data/ptbxl/ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["scp_codes"]]
    return findings_from_ptbxl(rows)


@pytest.fixture
def draws(ptbxl: EcgFindings) -> list:
    rng = np.random.default_rng(11)
    return [draw_outcomes(ptbxl, rng) for _ in range(DRAWS)]


@pytest.fixture
def lvef(draws: list) -> np.ndarray:
    return np.stack([d.lvef_pct for d in draws])


def test_statements_are_read_with_their_likelihood() -> None:
    findings = findings_from_ptbxl(
        [
            ptbxl_row("{'NORM': 100.0, 'SR': 0.0}", age="300", sex="0"),
            ptbxl_row("{'CLBBB': 100.0, 'AFIB': 0.0, 'ASMI': 15.0}"),
            ptbxl_row("{'ILMI': 50.0}", pacemaker="ja, pacemaker"),
        ]
    )
    assert findings.normal.tolist() == [True, False, False]
    assert findings.lbbb.tolist() == [False, True, False]
    assert findings.af.tolist() == [False, True, False]  # 0 = stated without likelihood
    assert not findings.mi_anterior.any()  # 15 % is too unsure
    assert findings.mi_inferior[2]
    assert findings.mi_lateral[2]
    assert findings.paced[2]
    assert findings.male.tolist() == [True, False, False]
    assert 90 <= findings.age_y[0] <= 100


def test_a_row_without_statements_is_refused() -> None:
    with pytest.raises(ValueError, match="row 517"):
        findings_from_ptbxl([ptbxl_row("", ecg_id="517")])


def test_statements_are_data_not_code() -> None:
    with pytest.raises(ValueError, match="malformed"):
        findings_from_ptbxl([ptbxl_row("__import__('os').getcwd()")])


@pytest.mark.needs_shared
def test_low_lvef_is_as_frequent_as_in_echo_cohorts(ptbxl: EcgFindings, lvef: np.ndarray) -> None:
    assert 0.08 <= (lvef < 40).mean() <= 0.15
    normal = lvef[:, ptbxl.normal]
    assert 0.01 <= (normal <= 35).mean() <= 0.04


@pytest.mark.needs_shared
def test_lvef_is_as_predictable_as_in_published_models(
    ptbxl: EcgFindings, lvef: np.ndarray
) -> None:
    best = oracle(ptbxl)
    explained = 1 - np.mean((lvef - best["lvef_pct"]) ** 2) / lvef.var()
    assert 0.35 <= explained <= 0.40
    score = np.tile(best["p_lvef_below_40"], DRAWS)
    assert 0.85 <= auroc((lvef < 40).ravel(), score) <= 0.90


@pytest.mark.needs_shared
def test_oracle_agrees_with_the_draws(ptbxl: EcgFindings, draws: list) -> None:
    best = oracle(ptbxl)
    for key, tolerance in (("lvef_pct", 0.3), ("lvedv_ml", 0.8), ("lvesv_ml", 0.7)):
        values = np.stack([getattr(d, key) for d in draws])
        assert abs((values - best[key]).mean()) < tolerance
        assert abs((values < best[f"{key}_median"]).mean() - 0.5) < 0.01
        error = np.abs(values - best[f"{key}_median"]).mean()
        assert error < np.abs(values - best[key]).mean()
    below = np.stack([d.lvef_pct < 40 for d in draws])
    assert abs(below.mean() - best["p_lvef_below_40"].mean()) < 0.005


@pytest.mark.needs_shared
def test_normal_ecgs_have_normal_ventricles(ptbxl: EcgFindings, draws: list) -> None:
    # ASE/EACVI 2015, mean: LVEF men 62 women 64 %, LVEDV 106 and 76 ml, LVESV 41 and 28 ml.
    expected = {True: (62, 106, 41), False: (64, 76, 28)}
    for male, (lvef_mean, lvedv_mean, lvesv_mean) in expected.items():
        who = np.flatnonzero(ptbxl.normal & (ptbxl.male == male))
        echo = concatenate([d.take(who) for d in draws])
        assert abs(echo.lvef_pct.mean() - lvef_mean) < 3
        assert abs(echo.lvedv_ml.mean() - lvedv_mean) < 8
        assert abs(np.median(echo.lvesv_ml) - lvesv_mean) < 4


@pytest.mark.needs_shared
def test_lvef_is_lower_with_each_disease(ptbxl: EcgFindings, lvef: np.ndarray) -> None:
    mean = lvef.mean(axis=0)
    for name in ("lbbb", "mi_anterior", "mi_inferior", "af", "st_t", "ischaemic_st_t"):
        having = getattr(ptbxl, name)
        assert mean[having].mean() < mean[~having].mean() - 3, name


def one_ecg(**findings: bool) -> EcgFindings:
    base = findings_from_ptbxl([ptbxl_row("{'SR': 0.0}")])
    return replace(base, **{name: np.array([value]) for name, value in findings.items()})


def test_directions_of_the_music_regressions() -> None:
    # LVEF -3.8 (LBBB) and -4.8 (Q waves) beyond QRS duration; LBBB below any other block.
    lvef = {
        name: float(oracle(one_ecg(**{name: True}))["lvef_pct"][0])
        for name in ("normal", "lbbb", "rbbb", "ivcd", "mi_anterior", "mi_inferior", "paced")
    }
    assert lvef["lbbb"] < lvef["ivcd"] < lvef["rbbb"] < lvef["normal"]
    assert lvef["mi_anterior"] < lvef["mi_inferior"] < lvef["normal"]
    assert lvef["lbbb"] < lvef["paced"] < lvef["normal"]
    # LVEDD +5.9 mm in men, +1.9 mm with Q waves, -3.2 mm with RBBB at equal QRS.
    male = oracle(one_ecg(male=True))["lvedv_ml"][0]
    assert male > oracle(one_ecg())["lvedv_ml"][0] * 1.2
    assert oracle(one_ecg(male=True))["lvef_pct"][0] < oracle(one_ecg())["lvef_pct"][0]
    assert oracle(one_ecg(mi_inferior=True))["lvedv_ml"][0] > oracle(one_ecg())["lvedv_ml"][0]


def test_atrium_and_wall_follow_rhythm_and_hypertrophy() -> None:
    rng = np.random.default_rng(0)
    plain, fibrillating, thick = (
        draw_outcomes(one_ecg(**flags).take(np.zeros(4000, int)), rng)
        for flags in ({}, {"af": True}, {"lvh": True})
    )
    assert fibrillating.la_volume_ml.mean() > 1.3 * plain.la_volume_ml.mean()
    assert thick.wall_mm.mean() > plain.wall_mm.mean() + 1.4  # MUSIC: septum +1.4 mm


def test_volumes_and_fraction_are_consistent_and_low_lvef_dilates() -> None:
    findings = findings_of_patients(sample_patients(3000, np.random.default_rng(3)))
    echo = draw_outcomes(findings, np.random.default_rng(4))
    derived = 100 * (echo.lvedv_ml - echo.lvesv_ml) / echo.lvedv_ml
    np.testing.assert_allclose(derived, echo.lvef_pct, atol=1e-3)
    low = echo.lvef_pct < 35
    assert np.median(echo.lvedv_ml[low]) > 1.3 * np.median(echo.lvedv_ml[echo.lvef_pct > 55])


def test_same_seed_same_outcomes() -> None:
    findings = findings_of_patients(sample_patients(50, np.random.default_rng(3)))
    first = draw_outcomes(findings, np.random.default_rng(9))
    again = draw_outcomes(findings, np.random.default_rng(9))
    other = draw_outcomes(findings, np.random.default_rng(10))
    assert first.lvef_pct.tobytes() == again.lvef_pct.tobytes()
    assert first.lvef_pct.tobytes() != other.lvef_pct.tobytes()
    assert first.lvef_pct.dtype == np.float32
