"""Tabular baseline and external sets: on made ECGs, miniature folders and the real ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from model_core.errors import EchoingError
from model_core.leads import STANDARD_LEADS
from training.evaluation.metrics import auroc
from training.external import (
    INFARCTION,
    LBBB,
    NORMAL,
    prepared,
    rank_below,
    read_challenge,
    read_ludb,
)
from training.tabular import age_and_sex, feature_table, features, voltage_criteria


def _ecg(rate_bpm: float, r_mv: float, s_v1_mv: float, fs: float) -> np.ndarray:
    """Triangular QRS of 80 ms and a low T wave; negative in V1."""
    t = np.arange(round(10 * fs)) / fs
    beats = np.arange(0.5, 9.8, 60 / rate_bpm)
    qrs = np.maximum(1 - np.abs(t[:, None] - beats) / 0.04, 0).sum(1)
    wave = np.exp(-0.5 * ((t[:, None] - beats - 0.28) / 0.05) ** 2).sum(1)
    return np.stack(
        [(-s_v1_mv if name == "V1" else r_mv) * qrs + 0.2 * r_mv * wave for name in STANDARD_LEADS]
    )


@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_rate_and_voltages_are_measured(fs: float) -> None:
    found = features(_ecg(75, 1.5, 1.0, fs), fs)
    assert found["heart_rate_bpm"] == pytest.approx(75, rel=0.01)
    assert found["r_mv_V5"] == pytest.approx(1.5, abs=0.15)
    assert found["sokolow_lyon_mv"] == pytest.approx(2.5, abs=0.25)
    assert found["rr_rmssd_ms"] < 15
    assert not any(name.endswith("_deg") for name in found)


def test_voltage_criteria_take_the_larger_chest_lead() -> None:
    values = {"r_mv_V5": np.nan, "r_mv_V6": 1.2, "s_mv_V1": -0.9, "r_mv_aVL": 0.4, "s_mv_V3": -1.1}
    found = voltage_criteria(values)
    assert found["sokolow_lyon_mv"] == pytest.approx(2.1)
    assert found["cornell_mv"] == pytest.approx(1.5)


def test_a_flat_ecg_gives_a_row_of_nothing_and_the_table_keeps_its_shape() -> None:
    names, table = feature_table(np.stack([_ecg(60, 1, 1, 100.0), np.zeros((12, 1000))]), 100.0)
    assert table.shape == (2, len(names))
    rate = table[:, names.index("heart_rate_bpm")]
    assert rate[0] == pytest.approx(60, rel=0.01)
    assert np.isnan(rate[1])


def test_age_and_sex_are_columns() -> None:
    assert age_and_sex([60, 70], [1, 0]).tolist() == [[60, 1], [70, 0]]


def _folder(path: Path, table: str, rows: list[dict[str, str]]) -> Path:
    path.mkdir()
    with (path / table).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    counts = np.zeros((len(rows), 5000, 12), np.int16)
    counts[:, :, 3] = 250 * np.arange(len(rows))[:, None]
    np.savez(path / "ecg500.npz", x=counts)
    return path


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    codes = ["426783006", "LBBB,426783006", "164865005,427393009", "Normal", "164889003"]
    sources = ["Georgia", "CPSC2018", "PTBDB", "PTB-XL", "Georgia"]
    rows = [
        {"id": f"r{i}", "source": s, "dx_snomed": c}
        for i, (s, c) in enumerate(zip(sources, codes, strict=True))
    ]
    return _folder(tmp_path / "challenge", "index.csv", rows)


def test_challenge_diagnoses_units_and_own_source(challenge: Path) -> None:
    found = read_challenge(challenge)
    assert found.ids.tolist() == ["r0", "r1", "r2", "r4"]
    assert found.diagnoses[NORMAL].tolist() == [True, False, False, False]
    assert found.diagnoses[LBBB].tolist() == [False, True, False, False]
    assert found.diagnoses[INFARCTION].tolist() == [False, False, True, False]
    assert found.ecg_mv.shape == (4, 12, 5000)
    assert found.ecg_mv[:, 3, 0].tolist() == [0.0, 0.25, 0.5, 1.0], "mV, by lead"
    assert prepared(found).shape == (4, 12, 1000)


def test_ludb_normal_is_sinus_rhythm_and_nothing_else(tmp_path: Path) -> None:
    columns = (
        "Conduction abnormalities",
        "Extrasystolies",
        "Hypertrophies",
        "Cardiac pacing",
        "Ischemia",
        "Non-specific repolarization abnormalities",
    )
    stated = [
        {"Rhythms": "Sinus rhythm\n"},
        {"Rhythms": "Sinus rhythm", "Hypertrophies": "Left ventricular hypertrophy"},
        {
            "Rhythms": "Sinus rhythm",
            "Conduction abnormalities": "Complete left bundle branch block\n",
        },
        {
            "Rhythms": "Sinus rhythm",
            "Conduction abnormalities": "Incomplete left bundle branch block",
        },
        {"Rhythms": "Atrial fibrillation"},
        {"Rhythms": "Sinus rhythm", "Ischemia": "Ischemia: apical\nScar formation: septal"},
        {"Rhythms": "Sinus rhythm", "Ischemia": "Ischemia: inferior wall"},
    ]
    rows = [
        {"ID": str(i), "Rhythms": "", **dict.fromkeys(columns, ""), **row}
        for i, row in enumerate(stated)
    ]
    found = read_ludb(_folder(tmp_path / "ludb", "ludb.csv", rows))
    assert np.flatnonzero(found.diagnoses[NORMAL]).tolist() == [0]
    assert np.flatnonzero(found.diagnoses[LBBB]).tolist() == [2]
    assert np.flatnonzero(found.diagnoses[INFARCTION]).tolist() == [5]


def test_a_missing_or_short_file_is_named(challenge: Path, tmp_path: Path) -> None:
    with pytest.raises(EchoingError, match=r"There is no ludb\.csv"):
        read_ludb(challenge)
    np.savez(challenge / "ecg500.npz", x=np.zeros((2, 5000, 12), np.int16))
    with pytest.raises(EchoingError, match="lists 5 records"):
        read_challenge(challenge)


def test_ranks_of_two_groups() -> None:
    rng = np.random.default_rng(0)
    cases = np.arange(300) < 100
    normal = np.arange(300) >= 150
    values = rng.normal(size=300) - 1.0 * cases
    found = rank_below(values, cases, normal, 500)
    assert found is not None
    assert (found.n_cases, found.n_normal) == (100, 150)
    kept = cases | normal
    assert found.auroc == pytest.approx(auroc(cases[kept], -values[kept]))
    assert found.low < 0.76 < found.high, "of normal distributions one deviation apart"
    assert found.low > 0.5
    assert rank_below(values, np.zeros(300, bool), normal) is None


@pytest.mark.needs_shared
def test_the_real_sets_hold_what_they_should(shared: Path) -> None:
    sets = [read_challenge(shared / "data/challenge"), read_ludb(shared / "data/ludb")]
    # Counted in the tables by hand.
    assert [int(found.diagnoses[LBBB].sum()) for found in sets] == [3, 4]
    assert int(sets[0].diagnoses[INFARCTION].sum()) == 18
    for found in sets:
        qrs_range = np.ptp(found.ecg_mv[:, 1], axis=1)
        assert 0.3 < np.median(qrs_range) < 4, "lead II in mV"
        both = found.diagnoses[NORMAL] & (found.diagnoses[LBBB] | found.diagnoses[INFARCTION])
        assert not both.any()
    assert len(sets[1].ids) == 200
    # The bundle branch block shows in the signal: a wide QRS, as measured without the table.
    names, table = feature_table(sets[1].ecg_mv[sets[1].diagnoses[LBBB]], 500.0)
    assert np.nanmedian(table[:, names.index("qrs_ms")]) > 120
