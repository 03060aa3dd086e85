from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from model_core.errors import EchoingError
from training.ingest import check_disjoint, shuffle_by_patient, split_by_patient


def auroc(score: np.ndarray, truth: np.ndarray) -> float:
    """Share of pairs in the right order (Mann and Whitney)."""
    order = score[truth][:, None] - score[~truth][None]
    return float((order > 0).mean() + 0.5 * (order == 0).mean())


def ridge_auroc(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> float:
    """AUROC, outside `train`, of ridge regression on 0 and 1."""
    mean = x[train].mean(axis=0)
    a, b = x[train] - mean, y[train] - y[train].mean()
    weights = np.linalg.solve(a.T @ a + np.eye(x.shape[1]), a.T @ b)
    return auroc((x[~train] - mean) @ weights, y[~train] > 0.5)


@pytest.fixture
def cohort() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and patients: 400 patients with 6 records that look alike."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(400), 6)
    own = rng.standard_normal((400, 300))
    features = own[patients] + 0.3 * rng.standard_normal((2400, 300))
    labels = (own[:, :20].sum(axis=1) > 0).astype(float)[patients]
    order = rng.permutation(2400)
    return features[order], labels[order], patients[order]


def test_canary_falls_to_chance_under_a_split_by_patient_and_not_by_record(
    cohort: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, patients = cohort
    names = pa.array([f"p{patient}" for patient in patients])
    by_patient = np.asarray(split_by_patient(names)) == "train"
    by_record = np.random.default_rng(1).random(len(labels)) < 0.8
    assert ridge_auroc(features, labels, by_patient) > 0.8
    sound, leaking = [], []
    for seed in range(8):
        canary = shuffle_by_patient(labels, patients, seed)
        sound.append(ridge_auroc(features, canary, by_patient))
        leaking.append(ridge_auroc(features, canary, by_record))
    # 80 patients: the standard error of one AUROC is about 0.065, of the mean of eight 0.023.
    assert abs(np.mean(sound) - 0.5) < 0.07, sound
    assert min(leaking) > 0.8, leaking


def test_shuffled_labels_stay_with_the_patient_and_keep_their_number() -> None:
    patients = np.array(["a", "b", "a", "c", "c", "d", "a"])
    labels = np.array([1.0, 2.0, 1.0, 3.0, 3.0, 4.0, 1.0])
    shuffled = shuffle_by_patient(labels, patients, seed=3)
    assert sorted({*zip(patients.tolist(), shuffled.tolist(), strict=True)}) == sorted(
        {(patient, float(shuffled[patients == patient][0])) for patient in "abcd"}
    )
    assert sorted({float(shuffled[patients == patient][0]) for patient in "abcd"}) == [1, 2, 3, 4]
    assert (shuffled != labels).any()


def test_split_depends_on_patient_and_seed_only() -> None:
    patients = [f"p{i % 5000}" for i in range(7000)]
    splits = np.asarray(split_by_patient(pa.array(patients)))
    check_disjoint(pa.array(patients), pa.array(splits))
    shares = [(splits[:5000] == name).mean() for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    alone = [split_by_patient(pa.array([patient]))[0].as_py() for patient in patients[:50]]
    assert alone == splits[:50].tolist()
    assert (np.asarray(split_by_patient(pa.array(patients), seed=1)) != splits).any()
    assert len(split_by_patient(pa.array([], pa.string()))) == 0


def test_a_patient_in_two_splits_is_found() -> None:
    patients = pa.array(["a", "b", "a", "c", "b"])
    check_disjoint(patients, pa.array(["train", "test", "train", "train", "test"]))
    with pytest.raises(EchoingError, match="1 patients are in more than one split, for instance b"):
        check_disjoint(patients, pa.array(["train", "test", "train", "train", "train"]))
