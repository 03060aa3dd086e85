"""The one preprocessing: equal to the published one, and to arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_core.errors import PreprocessError
from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec, prepare
from model_core.types import Recording
from tests.package_factory import synthetic_ecg

PUBLISHED = PreprocessSpec()
# Far from the ends, where the 0.5 Hz corner rings for seconds.
LONG = PreprocessSpec(duration_s=40.0)
MIDDLE = slice(1500, 2500)


@pytest.mark.needs_shared
@pytest.mark.parametrize("fs", [100, 250, 500, 512, 1000])
def test_parity_with_the_published_preprocessing(shared: Path, fs: int) -> None:
    arrays = np.load(shared / "parity" / "preprocess.npz")
    recording = Recording("ab", arrays[f"in_{fs}"], float(fs), STANDARD_LEADS, "x")
    expected = arrays[f"out_{fs}"]
    found = prepare(recording, PUBLISHED)[0]
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.abs(found - expected).max() <= 1e-4 * scale


def tone(frequency_hz: float, fs: float = 500.0) -> Recording:
    time_s = np.arange(round(fs * LONG.duration_s)) / fs
    signal = np.tile(np.sin(2 * np.pi * frequency_hz * time_s), (12, 1))
    return Recording("ab", signal.astype(np.float32), fs, STANDARD_LEADS, "x")


@pytest.mark.parametrize("fs", [100.0, 500.0, 1000.0])
@pytest.mark.parametrize("frequency_hz", [3.0, 10.0, 20.0])
def test_the_band_passes_unchanged_and_without_delay(frequency_hz: float, fs: float) -> None:
    found = prepare(tone(frequency_hz, fs), LONG)[0, 0, MIDDLE]
    expected = np.sin(2 * np.pi * frequency_hz * np.arange(4000) / 100)[MIDDLE]
    assert np.abs(found - expected).max() < 5e-3


@pytest.mark.parametrize("frequency_hz", [0.05, 60.0, 100.0, 180.0])
def test_outside_the_band_is_removed_and_nothing_folds_back(frequency_hz: float) -> None:
    assert np.abs(prepare(tone(frequency_hz), LONG)[0, 0, MIDDLE]).max() < 1e-3


def test_leads_are_taken_by_name() -> None:
    ordered = prepare(synthetic_ecg(), PUBLISHED)
    shuffled = prepare(synthetic_ecg(lead_names=STANDARD_LEADS[::-1]), PUBLISHED)
    np.testing.assert_array_equal(ordered, shuffled)


def test_standardisation_comes_last() -> None:
    spec = dataclasses.replace(PUBLISHED, mean_mv=(0.25,) * 12, scale_mv=tuple(range(1, 13)))
    plain = prepare(synthetic_ecg(), PUBLISHED)[0]
    found = prepare(synthetic_ecg(), spec)[0]
    np.testing.assert_allclose(found, (plain - 0.25) / np.arange(1, 13)[:, np.newaxis], atol=1e-6)


def test_only_the_window_enters() -> None:
    ecg = synthetic_ecg(duration_s=20.0)
    signal = ecg.signal_mv.copy()
    signal[:, :2000] = 50.0
    signal[:, 7000:] = -50.0
    altered = dataclasses.replace(ecg, signal_mv=signal)
    np.testing.assert_array_equal(
        prepare(altered, PUBLISHED, start_s=4.0), prepare(ecg, PUBLISHED, start_s=4.0)
    )


@pytest.mark.parametrize("fs", [97.656, 128.0, 257.0, 360.0, 976.5625, 1000.0 / 3])
def test_any_rate_gives_the_same_shape(fs: float) -> None:
    found = prepare(synthetic_ecg(fs, 10.1), PUBLISHED)
    assert found.shape == (1, 12, 1000)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("recording", "start_s", "code"),
    [
        (synthetic_ecg(lead_names=STANDARD_LEADS[:11]), 0.0, "missing_lead"),
        (synthetic_ecg(duration_s=9.9), 0.0, "too_short"),
        (synthetic_ecg(), 0.1, "too_short"),
        (synthetic_ecg(), -0.1, "too_short"),
        (synthetic_ecg(80.0), 0.0, "rate_too_low"),
    ],
)
def test_what_cannot_be_prepared(recording: Recording, start_s: float, code: str) -> None:
    with pytest.raises(PreprocessError) as caught:
        prepare(recording, PUBLISHED, start_s)
    assert caught.value.code == code


def test_missing_samples_are_never_filled_in() -> None:
    signal = synthetic_ecg().signal_mv.copy()
    signal[4, 77] = np.nan
    with pytest.raises(PreprocessError) as caught:
        prepare(dataclasses.replace(synthetic_ecg(), signal_mv=signal), PUBLISHED)
    assert caught.value.code == "missing_samples"


@pytest.mark.parametrize(
    "change",
    [
        {"band_hz": (40.0, 0.5)},
        {"band_hz": (0.0, 40.0)},
        {"fs": 0.0},
        {"duration_s": -1.0},
        {"filter_order": 0},
        {"scale_mv": (0.0,) * 12},
        {"mean_mv": (0.0,) * 11},
    ],
)
def test_settings_are_checked(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|one mean"):
        dataclasses.replace(PUBLISHED, **change)
