"""Display filters against scipy's, and what a reader of the trace relies on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from model_core.display_filters import (
    HIGH_PASS_HZ,
    LOW_PASS_HZ,
    MAINS_HZ,
    RAW,
    DisplayFilter,
    filter_for_display,
)
from tests.gui_factory import spike_signal

RATES = [100.0, 128.0, 250.0, 257.0, 500.0, 1000.0, 2000.0]
SINGLE = [
    *(DisplayFilter(high_pass_hz=hz) for hz in HIGH_PASS_HZ[1:]),
    *(DisplayFilter(low_pass_hz=hz) for hz in LOW_PASS_HZ[1:]),
    *(DisplayFilter(notch_hz=hz) for hz in MAINS_HZ),
]


def noise(n_samples, n_leads=2, seed=3):
    """White noise on a drift; mV."""
    rng = np.random.default_rng(seed)
    white = rng.normal(0, 0.2, (n_leads, n_samples))
    return (white + 0.01 * white.cumsum(axis=1)).astype(np.float32)


def scipy_run(x, fs, chosen):
    """The same by scipy: recursive, and the corner found numerically from the -3 dB asked for."""
    if chosen.notch_hz:
        b, a = signal.iirnotch(chosen.notch_hz, 30.0, fs)
        return signal.filtfilt(b, a, x, padtype="odd", padlen=min(len(x) - 1, int(np.ceil(fs))))
    high = chosen.high_pass_hz > 0
    hz, kind = chosen.high_pass_hz + chosen.low_pass_hz, "highpass" if high else "lowpass"
    # Filters of order 2, run twice, whose squared gain at `hz` is 1 / sqrt(2).
    low, top = (hz / 3, hz) if high else (hz, 0.4999 * fs)
    sections = np.zeros((1, 6))
    for _ in range(80):
        corner = (low + top) / 2
        sections = signal.butter(2, corner, kind, fs=fs, output="sos")
        gain = np.abs(signal.sosfreqz(sections, [hz], fs=fs)[1][0]) ** 2
        too_weak = gain > np.sqrt(0.5)
        low, top = (corner, top) if too_weak == high else (low, corner)
    pad_s = 1.5 / hz if high else 0.3
    pad = min(len(x) - 1, int(np.ceil(pad_s * fs)))
    return signal.sosfiltfilt(sections, x, padtype="even" if high else "odd", padlen=pad)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("chosen", SINGLE)
def test_each_filter_equals_scipy(fs, chosen):
    if chosen.at(fs) == RAW:  # no room below half the rate
        np.testing.assert_array_equal(filter_for_display(noise(500), fs, chosen), noise(500))
        return
    x = noise(int(8.1 * fs))
    found = filter_for_display(x, fs, chosen)
    for lead, row in enumerate(x):
        expected = scipy_run(row.astype(np.float64), fs, chosen)
        assert np.abs(found[lead] - expected).max() < 2e-6 * np.abs(row).max()


def gain_at(chosen, hz, fs=2000.0):
    """Amplitude of a sine in the middle of a minute, filtered, as a share of what it was."""
    time_s = np.arange(round(60 * fs)) / fs
    sine = np.sin(2 * np.pi * hz * time_s)[np.newaxis].astype(np.float32)
    middle = slice(round(20 * fs), round(40 * fs))
    filtered = filter_for_display(sine, fs, chosen)[0, middle]
    return np.sqrt(np.mean(filtered**2) / np.mean(sine[0, middle] ** 2))


@pytest.mark.parametrize("chosen", SINGLE)
def test_the_named_corner_is_at_minus_3_db_and_mains_is_gone(chosen):
    if chosen.notch_hz:
        assert gain_at(chosen, chosen.notch_hz) < 0.01
        assert gain_at(chosen, chosen.notch_hz - 10) == pytest.approx(1, abs=0.03)
        assert gain_at(chosen, 10.0) == pytest.approx(1, abs=0.005)
        return
    high = chosen.high_pass_hz
    corner = high or chosen.low_pass_hz
    assert gain_at(chosen, corner) == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert gain_at(chosen, corner * (5 if high else 0.2)) == pytest.approx(1, abs=0.01)
    assert gain_at(chosen, corner * (0.2 if high else 5)) < 0.02


def test_peaks_do_not_move():
    x = spike_signal(at_s=(1.0, 2.0, 7.0))
    everything = DisplayFilter(0.5, 40.0, 50.0)
    for row in filter_for_display(x, 500.0, everything):
        for second in (1.0, 2.0, 7.0):
            near = slice(round((second - 0.1) * 500), round((second + 0.1) * 500))
            assert np.argmax(row[near]) == 50


def test_gaps_stay_and_no_sample_beyond_a_gap_has_a_say():
    x = noise(5000)
    x[0, 1000:1200] = np.nan
    x[0, 3000] = np.nan
    everything = DisplayFilter(0.5, 40.0, 50.0)
    filtered = filter_for_display(x, 500.0, everything)
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(x))
    for first, last in ((0, 1000), (1200, 3000), (3001, 5000)):
        alone = filter_for_display(x[:1, first:last], 500.0, everything)
        np.testing.assert_array_equal(filtered[0, first:last], alone[0])
    np.testing.assert_array_equal(filtered[1], filter_for_display(x[1:], 500.0, everything)[0])


@pytest.mark.parametrize("n_samples", [0, 1, 2, 7, 30])
def test_stretches_shorter_than_any_filter_stay_finite(n_samples):
    x = np.full((1, 40), np.nan, dtype=np.float32)
    x[0, 3 : 3 + n_samples] = 1.0
    filtered = filter_for_display(x, 500.0, DisplayFilter(0.05, 40.0, 60.0))
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(x))
    assert np.abs(np.nan_to_num(filtered)).max() < 1e-6  # a constant has nothing above 0.05 Hz


@pytest.mark.parametrize("at_s", [0.0, 0.01, 9.99])
def test_a_beat_cut_by_the_edge_does_not_tilt_the_baseline(at_s):
    x = spike_signal(at_s=(at_s, 5.0))
    filtered = filter_for_display(x, 500.0, DisplayFilter(high_pass_hz=0.5))
    away = np.abs(np.arange(5000) / 500 - at_s) > 0.1
    away &= np.abs(np.arange(5000) / 500 - 5.0) > 0.1
    assert np.abs(filtered[0, away]).max() < 0.1


def test_a_drift_goes_and_the_beats_stay():
    time_s = np.arange(5000) / 500
    beats = spike_signal(at_s=(1.0, 2.5, 4.0, 5.5, 7.0, 8.5))
    drift = 0.8 * np.sin(2 * np.pi * 0.08 * time_s + 0.7)
    filtered = filter_for_display(
        (beats + drift).astype(np.float32), 500.0, DisplayFilter(high_pass_hz=0.5)
    )
    clean = filter_for_display(beats, 500.0, DisplayFilter(high_pass_hz=0.5))
    error = np.abs(filtered - clean)[0]
    assert error[500:-500].max() < 0.02
    assert error.max() < 0.15


def test_what_is_given_is_not_changed():
    x = noise(3000)
    before = x.tobytes()
    filtered = filter_for_display(x, 500.0, DisplayFilter(0.5, 40.0, 50.0))
    assert x.tobytes() == before
    assert not np.shares_memory(filtered, x)
    np.testing.assert_array_equal(filter_for_display(x, 500.0, RAW), x)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_impossible_frequencies_are_refused(value):
    with pytest.raises(ValueError, match="zero or positive"):
        DisplayFilter(low_pass_hz=value)
