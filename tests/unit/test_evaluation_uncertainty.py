"""Tests of uncertainty, on networks whose uncertainty is known, and Parquet of embeddings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from model_core.errors import EchoingError
from training.evaluation.embeddings import read_embeddings_parquet
from training.evaluation.uncertainty import (
    lead_loss_response,
    map_similarity,
    noise_response,
    respond,
    row_correlations,
)

LEVELS = (0.0, 0.2, 0.5, 1.0)


@pytest.fixture
def ecg() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 12, 50))


def test_a_network_that_hears_noise_is_credited(ecg: np.ndarray) -> None:
    noise = 5 * np.random.default_rng(1).normal(size=ecg.shape)
    hears = noise_response(lambda x: x.var(axis=(1, 2)), ecg, noise, LEVELS, 50)
    deaf = noise_response(lambda x: np.ones(len(x)), ecg, noise, LEVELS, 50)
    inverse = noise_response(lambda x: 1 / x.var(axis=(1, 2)), ecg, noise, LEVELS, 50)
    assert (hears.over_levels, hears.share_rising) == (pytest.approx(1), 1)
    assert hears.within.value == pytest.approx(1)
    assert (deaf.over_levels, deaf.within.value, deaf.share_rising) == (0, 0, 0)
    assert inverse.over_levels == pytest.approx(-1)


def test_lost_leads_stay_lost_and_are_as_many_as_asked(ecg: np.ndarray) -> None:
    seen: list[np.ndarray] = []

    def count_flat(x: np.ndarray) -> np.ndarray:
        seen.append((x == 0).all(axis=2))
        return seen[-1].sum(1).astype(float)

    found = lead_loss_response(count_flat, ecg, (0, 1, 4, 11), 50)
    assert [m.value for m in found.means] == [0, 1, 4, 11]
    for before, after in pairwise(seen):
        assert (after | ~before).all()
    assert len({tuple(row) for row in seen[1]}) > 1, "not the same lead in every ECG"
    assert found.over_levels == pytest.approx(1)


def test_correlation_within_and_over_levels_differ() -> None:
    # Most ECGs fall, one rises so far that the means rise.
    table = np.array([[3.0, 2.0, 1.0]] * 4 + [[0.0, 50.0, 100.0]])
    found = respond(table, (0, 1, 2), 50)
    assert found.over_levels == pytest.approx(1)
    assert found.within.value == pytest.approx(-0.6)
    assert found.share_rising == pytest.approx(0.2)


def test_row_correlations_are_scipys() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 5, (6, 30)), rng.normal(size=(6, 30))
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert row_correlations(a, b) == pytest.approx(expected)


def test_a_map_of_the_input_survives_random_weights_and_another_does_not() -> None:
    rng = np.random.default_rng(3)
    trained = rng.normal(size=(40, 12, 20))
    same = map_similarity(trained, [3 * trained + 1, -trained], 50)
    other = map_similarity(trained, list(rng.normal(size=(3, *trained.shape))), 50)
    assert same.value == pytest.approx(1), "a mirrored map is not gone"
    assert other.value < 0.05, "40 ECGs of 240 cells: a standard error of 0.01"


def _write(path: Path, columns: dict[str, object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_embeddings_come_in_the_order_asked_for(tmp_path: Path) -> None:
    lists = _write(
        tmp_path / "a.parquet",
        {"record_id": [7, 3, 5], "embedding": [[7.0, 70.0], [3.0, 30.0], [5.0, 50.0]]},
    )
    numbered = _write(
        tmp_path / "b.parquet",
        {"record_id": ["7", "3", "5"], "e1": [70.0, 30.0, 50.0], "e0": [7.0, 3.0, 5.0]},
    )
    for path in (lists, numbered):
        assert read_embeddings_parquet(path, ["5", "7"]).tolist() == [[5, 50], [7, 70]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["a"], "e0": [1.0]}, "no column record_id"),
        ({"record_id": ["a"], "e0": [1.0]}, "lacks 1 of 2 records, the first is b"),
        ({"record_id": ["a", "b", "b"], "e0": [1.0, 2.0, 3.0]}, "a record twice"),
        ({"record_id": ["a", "b"], "e0": [1.0, np.nan]}, "values that are not numbers"),
        ({"record_id": ["a", "b"], "e1": [1.0, 2.0]}, "neither a column embedding nor"),
        ({"record_id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}, "differ in length"),
    ],
)
def test_wrong_embeddings_are_told_in_a_sentence(
    tmp_path: Path, columns: dict[str, object], words: str
) -> None:
    path = _write(tmp_path / "x.parquet", columns)
    with pytest.raises(EchoingError, match=words):
        read_embeddings_parquet(path, ["a", "b"])


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(EchoingError, match=r"x\.parquet is not a Parquet file"):
        read_embeddings_parquet(path, ["a"])
    with pytest.raises(EchoingError, match="There is no file"):
        read_embeddings_parquet(tmp_path / "y.parquet", ["a"])
