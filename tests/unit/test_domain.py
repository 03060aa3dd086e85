"""How unlike its training data an input is: known Gaussians, and signals that are no ECG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core.domain import (
    TrainingDomain,
    distance,
    domain_arrays,
    domain_features,
    fit_domain,
    n_features,
    read_domain,
)
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.package import load_package
from model_core.types import Recording
from training.simulation import sample_patients, simulate_ecg

DEFAULT_PACKAGE = Path(__file__).parents[2] / "assets" / "models" / "default"


def inputs(n: int, seed: int, lead_names: Sequence[str] = PreprocessSpec().lead_names) -> NDArray:
    rng = np.random.default_rng(seed)
    ecgs = simulate_ecg(sample_patients(n, rng), rng, fs=250.0)
    spec = PreprocessSpec()
    found = [
        prepare(Recording("a", ecg, 250.0, spec.lead_names, "a"), spec)[0][: len(lead_names)]
        for ecg in ecgs
    ]
    return np.stack(found)


def features(ecgs: NDArray) -> NDArray[np.float64]:
    return np.stack([domain_features(ecg, 100.0) for ecg in ecgs])


@pytest.fixture(scope="module")
def domain() -> TrainingDomain:
    return fit_domain([features(inputs(300, 1))], features(inputs(100, 2)))


def test_the_distance_is_mahalanobis_over_the_root_of_the_dimensions() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3))
    cases = rng.normal(size=(50_000, 3)) @ mixing.T + [5.0, -2.0, 0.0]
    fitted = fit_domain([cases], cases)
    at = np.array([6.0, 0.0, 1.0])
    away = at - cases.mean(axis=0)
    expected = np.sqrt(away @ np.linalg.inv(mixing @ mixing.T) @ away / 3)
    # The ridge of 2 % of the average variance makes small directions a little wider.
    assert distance(at, fitted) == pytest.approx(expected, rel=0.15)
    assert np.mean([distance(case, fitted) > fitted.threshold for case in cases[:5000]]) < 0.02


def test_the_nearest_source_counts() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 100
    both = fit_domain([near, far], near)
    assert distance(np.array([100.0, 100.0]), both) < 1
    assert distance(np.array([50.0, 50.0]), both) > 20


def test_one_per_cent_of_the_validation_cases_lie_beyond(domain: TrainingDomain) -> None:
    beyond = [distance(case, domain) > domain.threshold for case in features(inputs(100, 2))]
    assert sum(beyond) <= 1
    fresh = [distance(case, domain) > domain.threshold for case in features(inputs(200, 3))]
    assert np.mean(fresh) < 0.06


def test_noise_and_permuted_time_lie_beyond_the_shipped_package_s_domain() -> None:
    domain = load_package(DEFAULT_PACKAGE).domain
    assert domain is not None
    rng = np.random.default_rng(4)
    ecg = inputs(1, 5)[0]
    white = rng.normal(size=ecg.shape)
    brown = np.cumsum(white, axis=1)
    brown = (brown - brown.mean(axis=1, keepdims=True)) / brown.std(axis=1, keepdims=True)
    for other in (white, brown, ecg[:, rng.permutation(ecg.shape[1])]):
        assert distance(domain_features(other, 100.0), domain) > domain.threshold


def test_features_are_finite_for_any_input() -> None:
    for n_leads in (1, 2, 8, 12):
        for ecg in (np.zeros((n_leads, 1000)), np.eye(n_leads, 1000)):
            found = domain_features(ecg, 100.0)
            assert found.shape == (n_features(n_leads),)
            assert np.isfinite(found).all()


def test_stored_and_read_it_is_the_same(domain: TrainingDomain) -> None:
    again = read_domain(domain_arrays(domain))
    case = features(inputs(1, 6))[0]
    assert distance(case, again) == distance(case, domain)
    arrays = domain_arrays(domain)
    with pytest.raises(KeyError):
        read_domain({key: arrays[key] for key in ("mean", "threshold")})
    with pytest.raises(ValueError, match="finite"):
        read_domain(arrays | {"threshold": np.array(np.nan)})
    with pytest.raises(ValueError, match="fit together"):
        read_domain(arrays | {"mean": arrays["mean"][:, :5]})
