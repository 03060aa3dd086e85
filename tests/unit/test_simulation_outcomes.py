"""Simulated outcomes: calibration on the real PTB-XL table, directions, consistency."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_core.io import read_recording
from training.simulated_cohort import measured_on
from training.simulation import (
    MEASURED,
    EcgFindings,
    EchoMeasures,
    concatenate,
    draw_outcomes,
    findings_from_ptbxl,
    findings_of_patients,
    oracle,
    sample_patients,
)
from training.simulation.outcomes import disease_probability, draw_with_disease, regressors

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


@pytest.fixture(scope="module")
def ptbxl(shared: Path) -> EcgFindings:
    folder = shared / "data/ptbxl"
    with (folder / "ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["scp_codes"]]
    rows = rows[::2]  # measuring takes its time
    found = [measured_on(read_recording(folder / f"{row['filename_lr']}.hea")) for row in rows]
    return findings_from_ptbxl(rows, dict(zip(MEASURED, np.array(found).T, strict=True)))


@pytest.fixture(scope="module")
def virtual() -> EcgFindings:
    return findings_of_patients(sample_patients(20_000, np.random.default_rng(5)))


@pytest.fixture(scope="module")
def draws(ptbxl: EcgFindings) -> list:
    rng = np.random.default_rng(11)
    return [draw_outcomes(ptbxl, rng) for _ in range(DRAWS)]


@pytest.fixture(scope="module")
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
def test_lvef_is_as_predictable_as_in_published_models(lvef: np.ndarray) -> None:
    # Half of the draws predict the other half, so that no draw predicts itself.
    known, seen = lvef[::2], lvef[1::2]
    explained = 1 - np.mean((seen - known.mean(0)) ** 2) / seen.var()
    assert 0.35 <= explained <= 0.40
    score = np.tile((known < 40).mean(0), len(seen))
    assert 0.85 <= auroc((seen < 40).ravel(), score) <= 0.90


@pytest.mark.needs_shared
def test_oracle_agrees_with_the_draws(ptbxl: EcgFindings, draws: list) -> None:
    best = oracle(ptbxl, seed=3)
    for name in EchoMeasures.__dataclass_fields__:
        values = np.stack([getattr(d, name) for d in draws])
        assert abs((values < best[name]).mean() - 0.5) < 0.01
        error = np.abs(values - best[name]).mean()
        assert error < np.abs(values - np.median(values)).mean()
    below = np.stack([d.lvef_pct < 40 for d in draws])
    assert abs(below.mean() - best["lvef_below_40"].mean()) < 0.005


def test_music_regressions_are_recovered_in_a_heart_failure_clinic(virtual: EcgFindings) -> None:
    """Least squares on simulated patients with myocardial disease, beside the published figures.

    MUSIC 1.0.1 (ODbL), n = 970-988: coefficient and standard error of each regressor.
    """
    published = {
        "lvef": """-0.1197 0.0197 -3.8108 1.2641 6.1259 1.5968 2.2557 1.1086 -0.9633 1.6166 -4.7772
            0.9241 4.1108 0.9352 -0.1188 0.0296 0.0109 0.0118 0.1634 0.0364 -5.9605 0.9143""",
        "lvedd": """0.1218 0.0142 1.315 0.9134 -3.1871 1.1583 0.8587 0.8011 -2.4972 1.1712 1.8631
            0.6683 -0.0428 0.6759 0.0432 0.0213 -0.0179 0.0086 -0.1238 0.0263 5.8577 0.6602""",
        "la": """0.0348 0.0114 -0.1579 0.7316 -0.005 0.9266 7.2599 0.6426 1.244 0.9419 0.0271
            0.5352 -0.0934 0.5403 0.0298 0.0171 0.0043 0.0069 0.0084 0.021 2.1237 0.5288""",
        "septum": """-0.0121 0.0043 0.072 0.2776 1.1764 0.3488 -0.0698 0.2428 0.5386 0.3554 -0.2689
            0.2014 1.4347 0.203 -0.0156 0.0065 0.0094 0.0026 0.0399 0.008 -0.1816 0.1992""",
    }
    rng = np.random.default_rng(6)
    clinic = virtual.take(np.flatnonzero(rng.random(len(virtual)) < disease_probability(virtual)))
    assert len(clinic) > 3000
    clinic = clinic.take(rng.integers(len(clinic), size=200_000))
    lvef, lvedv, wall, la = draw_with_disease(clinic, rng.standard_normal((4, len(clinic))))
    known = regressors(clinic)
    design = np.stack([np.ones(len(clinic)), *known.values()], axis=1)
    observed = {
        "lvef": lvef,
        "lvedd": 50.2 * (lvedv / 106.0) ** (1 / 2.55),
        "la": 41.3 * (la / 59.8) ** 0.5,
        # The thicker of two walls stands in for the septum.
        "septum": wall,
    }
    for name, values in observed.items():
        wanted, error = np.array(published[name].split(), float).reshape(-1, 2).T
        found = np.linalg.lstsq(design, values, rcond=None)[0][1:]
        off = np.abs(found - wanted) / error
        assert (off < 1).all(), dict(zip(known, off.round(2), strict=True))


def test_virtual_patients_are_as_sick_as_the_patients_of_echo_laboratories(
    virtual: EcgFindings,
) -> None:
    """EchoNext-Mini and MIMIC-IV: LVEF <= 45 % in 16-18 %, a wall of 13 mm in 19-22.4 %."""
    draws = [draw_outcomes(virtual, np.random.default_rng(seed)) for seed in range(7, 13)]
    lvef = np.stack([echo.lvef_pct for echo in draws])
    assert 0.155 <= (lvef <= 45).mean() <= 0.185
    assert 0.18 <= np.mean([echo.wall_mm >= 13 for echo in draws]) <= 0.23
    assert 0.01 <= (lvef[:, virtual.normal] <= 35).mean() <= 0.04
    # Two draws of one patient share what the findings explain.
    assert 0.35 <= np.corrcoef(lvef[0], lvef[1])[0, 1] <= 0.40


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


def test_directions_of_the_findings() -> None:
    """LBBB below any other block, large scars below small ones, men below women."""

    def best(**findings: bool) -> dict[str, float]:
        return {k: float(v[0]) for k, v in oracle(one_ecg(**findings), seed=2).items()}

    plain = best()
    low = {
        name: best(**{name: True})["lvef_below_40"]
        for name in ("normal", "lbbb", "rbbb", "ivcd", "mi_anterior", "mi_inferior", "paced")
    }
    assert low["lbbb"] > low["ivcd"] > low["rbbb"] > low["normal"]
    assert low["mi_anterior"] > low["mi_inferior"] > plain["lvef_below_40"]
    assert low["lbbb"] > low["paced"] > low["normal"]
    male = best(male=True)
    assert male["lvedv_ml"] > 1.2 * plain["lvedv_ml"]
    assert male["lvef_pct"] < plain["lvef_pct"]


def test_what_is_measured_counts_and_what_is_missing_is_taken_as_typical() -> None:
    row = ptbxl_row("{'CLBBB': 100.0}")
    typical = findings_from_ptbxl([row])
    measured = {"heart_rate_bpm": [88.0], "qrs_ms": [172.0], "qtc_ms": [np.nan]}
    wide = findings_from_ptbxl([row], {k: np.array(v) for k, v in measured.items()})
    assert wide.qrs_ms[0] == 172
    assert wide.heart_rate_bpm[0] == 88
    assert wide.qtc_ms[0] == typical.qtc_ms[0]
    assert typical.qrs_ms[0] > 140
    assert disease_probability(wide)[0] > disease_probability(typical)[0]


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
