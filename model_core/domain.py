"""How unlike its training data an input of the network is.

Features of shape, rhythm and noise are measured on the network's input. Each source of the
training data is a Gaussian over them; the distance of an input is that to the nearest source.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FloatArray = NDArray[np.float64]

BANDS_HZ = (0.5, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0)
# Lags in which one beat may follow another, s.
_BEAT_LAGS_S = (0.3, 2.0)
_SMOOTH_S = 0.08
_N_DIRECTIONS = 3
# Share of the average variance that is added to every direction, so that few cases suffice.
_RIDGE = 0.02
_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TrainingDomain:
    """What the training data look like.

    Attributes
    ----------
    mean
        (sources, features).
    whitening
        (sources, features, features); the distance is the length of
        ``whitening @ (features - mean)`` over the root of the number of features.
    threshold
        Inputs farther from every source are unlike the training data.
    """

    mean: _FloatArray
    whitening: _FloatArray
    threshold: float

    def __post_init__(self) -> None:
        n_sources, n_features = self.mean.shape
        if self.whitening.shape != (n_sources, n_features, n_features):
            raise ValueError("mean and whitening do not fit together")
        finite = np.isfinite(self.mean).all() and np.isfinite(self.whitening).all()
        if not (finite and np.isfinite(self.threshold) and self.threshold > 0):
            raise ValueError("the training domain holds no finite numbers")


def domain_arrays(domain: TrainingDomain) -> dict[str, NDArray[np.float64]]:
    """Arrays to store; `read_domain` takes them."""
    return {
        "mean": domain.mean,
        "whitening": domain.whitening,
        "threshold": np.array(domain.threshold),
    }


def read_domain(arrays: Mapping[str, NDArray[Any]]) -> TrainingDomain:
    """Make it from stored arrays.

    Raises
    ------
    KeyError, TypeError, ValueError
        If an array is missing or cannot be one of these.
    """
    mean, whitening, threshold = (
        np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "whitening", "threshold")
    )
    if mean.ndim != 2 or whitening.ndim != 3 or threshold.ndim != 0:
        raise ValueError("the training domain has other dimensions than agreed")
    return TrainingDomain(mean, whitening, float(threshold))


def n_features(n_leads: int) -> int:
    """How many features `domain_features` measures on inputs of so many leads."""
    return 3 * n_leads + len(BANDS_HZ) - 1 + min(_N_DIRECTIONS, n_leads)


def domain_features(ecg_ls: NDArray[Any], fs: float) -> _FloatArray:
    """Measure one input.

    Parameters
    ----------
    ecg_ls
        (leads, samples), standardised, finite.
    fs
        Its sampling frequency, Hz.

    Returns
    -------
    ndarray
        (`n_features`,), dimensionless: size and peakedness of each lead, how alike neighbouring
        leads are, shares of the spectrum, how many directions the leads span, how regularly beats
        come.
    """
    x = np.asarray(ecg_ls, dtype=np.float64)
    x = x - x.mean(axis=1, keepdims=True)
    size = x.std(axis=1) + _TINY
    z = x / size[:, np.newaxis]
    peaked = np.log((z**4).mean(axis=1) + _TINY)
    correlation = z @ z.T / x.shape[1]
    alike = np.diagonal(correlation, offset=1)
    spread = np.sort(np.linalg.eigvalsh(correlation))[::-1][:_N_DIRECTIONS] / len(x)
    power = (np.abs(np.fft.rfft(z, axis=1)) ** 2).mean(axis=0)
    f = np.fft.rfftfreq(x.shape[1], 1 / fs)
    total = power[f >= BANDS_HZ[0]].sum() + _TINY
    shares = [
        power[(f >= low) & (f < high)].sum() / total for low, high in itertools.pairwise(BANDS_HZ)
    ]
    return np.concatenate(
        (
            np.log(size),
            peaked,
            np.arctanh(np.clip(alike, -0.99, 0.99)),
            np.log(np.asarray(shares) + 1e-4),
            np.log(spread + 1e-3),
            [_rhythm(z, fs)],
        )
    )


def _rhythm(z: _FloatArray, fs: float) -> float:
    """Highest correlation of the leads' common activity with itself, one beat later."""
    activity = np.sqrt((np.diff(z, axis=1) ** 2).mean(axis=0))
    width = max(round(_SMOOTH_S * fs), 1)
    activity = np.convolve(activity, np.ones(width) / width, mode="same")
    activity -= activity.mean()
    n = len(activity)
    spectrum = np.abs(np.fft.rfft(activity, 2 * n)) ** 2
    overlap = n - np.arange(n)
    auto = np.fft.irfft(spectrum)[:n] / overlap
    first, last = (min(round(lag * fs), n - 1) for lag in _BEAT_LAGS_S)
    return float(auto[first : last + 1].max() / (auto[0] + _TINY))


def distance(features: _FloatArray, domain: TrainingDomain) -> float:
    """How far an input lies from the nearest source; about 1 for a usual training case.

    Raises
    ------
    ValueError
        If the number of features is another one.
    """
    if features.shape != domain.mean.shape[1:]:
        raise ValueError(f"{domain.mean.shape[1]} features expected, got {features.shape}")
    away = np.einsum("sij,sj->si", domain.whitening, features - domain.mean)
    return float(np.sqrt((away**2).mean(axis=1)).min())


def fit_domain(
    sources: Sequence[_FloatArray], validation: _FloatArray, false_refusals: float = 0.01
) -> TrainingDomain:
    """Describe the training data by the features of its cases.

    Parameters
    ----------
    sources
        For each source, (cases, features) of training cases.
    validation
        (cases, features) of cases that were not trained on.
    false_refusals
        Share of the validation cases that may lie beyond the threshold.

    Raises
    ------
    ValueError
        If a source has fewer than two cases, or there is no validation case.
    """
    if not len(validation) or any(len(cases) < 2 for cases in sources):
        raise ValueError("two cases of each source and one to validate on are needed")
    means: list[_FloatArray] = []
    whitenings: list[_FloatArray] = []
    for cases in sources:
        covariance = np.cov(cases, rowvar=False)
        ridge = _RIDGE * float(np.trace(covariance)) / len(covariance) + _TINY
        values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
        means.append(cases.mean(axis=0))
        whitenings.append((vectors / np.sqrt(values)).T)
    open_ended = TrainingDomain(np.stack(means), np.stack(whitenings), 1.0)
    distances = [distance(case, open_ended) for case in validation]
    # The least threshold that keeps the share, not one interpolated below it.
    threshold = float(np.quantile(distances, 1 - false_refusals, method="higher"))
    return TrainingDomain(open_ended.mean, open_ended.whitening, max(threshold, _TINY))
