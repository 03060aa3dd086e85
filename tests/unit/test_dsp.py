"""The filters against scipy's, which are written another way (recursive, section by section)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import signal

from model_core import dsp


def wandering(n_samples: int) -> np.ndarray:
    """Three leads of noise with a drift that dwarfs it, as electrodes give."""
    rng = np.random.default_rng(20)
    return rng.normal(size=(3, n_samples)).cumsum(axis=-1) + 5


@pytest.mark.parametrize("fs", [97.656, 100.0, 250.0, 257.0, 500.0, 1000.0, 4000.0])
@pytest.mark.parametrize(("band_hz", "order"), [((0.5, 40.0), 4), ((0.05, 25.0), 2)])
def test_band_pass_equals_scipy(fs, band_hz, order):
    x = wandering(int(7.3 * fs))
    sections = signal.butter(order, band_hz, btype="bandpass", fs=fs, output="sos")
    expected = signal.sosfiltfilt(sections, x, axis=-1)
    got = dsp.bandpass_zero_phase(x, fs, band_hz, order)
    # Both lose digits where the corner is a hundred-thousandth of the rate; a float32 holds fewer.
    assert np.abs(got - expected).max() < 5e-8 * np.abs(expected).max()


@pytest.mark.parametrize("ratio", [(1, 5), (2, 5), (100, 257), (10, 7), (5, 1), (1, 40)])
@pytest.mark.parametrize("n_samples", [997, 5000])
def test_resampling_equals_scipy(ratio, n_samples):
    x = wandering(n_samples)
    expected = signal.resample_poly(x, *ratio, axis=-1, window=("kaiser", 5.0), padtype="median")
    got = dsp.resample(x, Fraction(*ratio))
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-12 * np.abs(expected).max()


def test_leading_dimensions_are_kept():
    x = wandering(2000).reshape(3, 1, 2000)
    assert np.array_equal(
        dsp.bandpass_zero_phase(x, 500.0, (0.5, 40.0), 4)[:, 0],
        dsp.bandpass_zero_phase(x[:, 0], 500.0, (0.5, 40.0), 4),
    )
    assert np.array_equal(
        dsp.resample(x, Fraction(1, 5))[:, 0], dsp.resample(x[:, 0], Fraction(1, 5))
    )


@pytest.mark.parametrize("band_hz", [(0.0, 40.0), (40.0, 0.5), (0.5, 50.0)])
def test_impossible_corner_frequencies_are_refused(band_hz):
    with pytest.raises(ValueError, match="do not fit"):
        dsp.bandpass_zero_phase(wandering(1000), 100.0, band_hz, 4)


def test_a_signal_shorter_than_the_padding_is_refused():
    with pytest.raises(ValueError, match="samples are needed"):
        dsp.bandpass_zero_phase(wandering(27), 100.0, (0.5, 40.0), 4)
