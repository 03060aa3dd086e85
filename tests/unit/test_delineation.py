"""Delineation against ECGs drawn with known waves, and against cardiologists' marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.delineation import (
    LUDB_HZ,
    TOLERANCE_MS,
    Score,
    ludb_marks,
    ludb_paced,
    score_record,
)
from model_core.delineation import BeatClass, delineate
from model_core.leads import STANDARD_LEADS
from tests.drawn_ecg import DrawnBeat, draw_ecg

RNG = np.random.default_rng(20)
TIMES_S = np.arange(0.8, 9.5, 0.9)


def near(found, true_s, fs, within_s):
    """Whether each found mark lies within a time of the true one."""
    assert len(found) == len(true_s)
    return np.abs(found / fs - true_s) <= within_s


@pytest.mark.parametrize("fs", [100.0, 250.0, 333.3, 500.0, 1000.0])
def test_marks_of_a_drawn_ecg_at_any_rate(fs):
    signal = draw_ecg(TIMES_S, 10.0, fs)
    found = delineate(signal, fs, STANDARD_LEADS)
    assert near(found.r_peak, TIMES_S, fs, 0.012).all()
    beat = DrawnBeat()
    for name, offset_s, within_s in (
        ("p_onset", beat.p_s - beat.p_half_s, 0.02),
        ("p_peak", beat.p_s, 0.015),
        ("p_end", beat.p_s + beat.p_half_s, 0.02),
        # The working band ends at 40 Hz, which spreads a corner over some 10 ms.
        ("qrs_onset", -beat.qrs_half_s, 0.016),
        ("qrs_end", beat.qrs_half_s, 0.016),
        ("t_peak", beat.t_s, 0.015),
        ("t_end", beat.t_s + beat.t_half_s, 0.03),
    ):
        assert near(getattr(found, name), TIMES_S + offset_s, fs, within_s).all(), name
    assert (found.beat_class == BeatClass.NORMAL).all()


def test_wider_qrs_complexes_are_found_wider():
    widths_s = []
    for half_s in (0.04, 0.06, 0.08):
        found = delineate(
            draw_ecg(TIMES_S, 10.0, 500.0, DrawnBeat(qrs_half_s=half_s)), 500.0, STANDARD_LEADS
        )
        widths_s.append(np.median(found.qrs_end - found.qrs_onset) / 500)
    assert np.allclose(widths_s, [0.08, 0.12, 0.16], atol=0.02)
    assert np.allclose(np.diff(widths_s), 0.04, atol=0.008)


def test_noise_baseline_and_a_dead_lead_leave_the_beats():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    seconds = np.arange(signal.shape[1]) / 500
    signal = signal + 0.03 * RNG.normal(size=signal.shape)
    signal += 0.5 * np.sin(2 * np.pi * 0.2 * seconds) + 0.1 * np.sin(2 * np.pi * 50 * seconds)
    signal[3] = 0
    signal[7] = 3 * RNG.normal(size=signal.shape[1])
    found = delineate(signal, 500.0, STANDARD_LEADS)
    assert near(found.r_peak, TIMES_S, 500.0, 0.02).all()


def test_an_irregular_rhythm_without_p_waves_has_none():
    times_s = np.cumsum(RNG.uniform(0.5, 1.1, size=11))
    times_s = times_s[times_s < 9.5]
    signal = draw_ecg(times_s, 10.0, 500.0, DrawnBeat(p_mv=0.0))
    seconds = np.arange(signal.shape[1]) / 500
    waves = np.sin(2 * np.pi * 6.1 * seconds + 3 * np.sin(2 * np.pi * 0.31 * seconds))
    signal = signal + 0.06 * waves * RNG.uniform(0.3, 1, size=(12, 1))
    found = delineate(signal, 500.0, STANDARD_LEADS)
    assert near(found.r_peak, times_s, 500.0, 0.02).all()
    assert np.isnan(found.p_peak).mean() > 0.7


def test_a_beat_of_another_shape_is_ectopic():
    signal = draw_ecg(np.delete(TIMES_S, 4), 10.0, 500.0)
    wide = DrawnBeat(p_mv=0.0, qrs_half_s=0.08, turned=True)
    signal = signal + draw_ecg(TIMES_S[[4]] - 0.2, 10.0, 500.0, wide)
    found = delineate(signal, 500.0, STANDARD_LEADS)
    assert found.beat_class.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_spikes_make_beats_paced_and_are_no_part_of_them():
    beat = DrawnBeat(p_mv=0.0, qrs_half_s=0.08)
    plain = draw_ecg(TIMES_S, 10.0, 500.0, beat)
    spikes = np.rint((TIMES_S - 0.11) * 500).astype(int)
    signal = plain.copy()
    signal[:, spikes] += RNG.choice([-2.0, 2.0], size=(12, 1))
    found = delineate(signal, 500.0, STANDARD_LEADS)
    assert (found.beat_class == BeatClass.PACED).all()
    assert near(found.qrs_onset, TIMES_S - 0.08, 500.0, 0.015).all()
    assert (delineate(plain, 500.0, STANDARD_LEADS).beat_class == BeatClass.NORMAL).all()


def test_two_spikes_one_after_the_other_do_not_hide_each_other():
    signal = draw_ecg(TIMES_S, 10.0, 500.0, DrawnBeat(p_mv=0.0, qrs_half_s=0.08))
    for before_s in (0.136, 0.11):  # both ventricles are paced
        signal[:, np.rint((TIMES_S - before_s) * 500).astype(int)] += 0.6
    found = delineate(signal, 500.0, STANDARD_LEADS)
    assert (found.beat_class == BeatClass.PACED).all()
    assert near(found.qrs_onset, TIMES_S - 0.08, 500.0, 0.02).all()


@pytest.mark.parametrize(("lead", "at_s", "by_ms"), [("V6", 3.3, 52), ("III", 7.0, -30)])
@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_a_lead_that_loses_its_place_in_time_is_named_and_left_out(fs, lead, at_s, by_ms):
    ecg = draw_ecg(TIMES_S, 10.0, fs)
    ecg += RNG.normal(0, 0.01, ecg.shape)
    sound = delineate(ecg, fs, STANDARD_LEADS)
    assert sound.steps == ()
    row, first, by = STANDARD_LEADS.index(lead), round(at_s * fs), round(by_ms * fs / 1000)
    ecg[row, first:] = np.roll(ecg[row], by)[first:]
    found = delineate(ecg, fs, STANDARD_LEADS)
    (step,) = found.steps
    assert step.lead == lead
    assert abs(step.at_s - at_s) < 0.9
    assert abs(step.by_ms - by_ms) < 6
    widths = [np.median(d.qrs_end - d.qrs_onset) / fs for d in (sound, found)]
    assert abs(widths[0] - widths[1]) < 0.008


def test_beats_of_changing_shape_and_sliding_noise_are_no_step_in_time():
    ecg = draw_ecg(TIMES_S, 10.0, 500.0)
    ecg[7] = 0.1 * ecg[7] + RNG.normal(0, 0.05, ecg.shape[1])  # a lead that is mostly noise
    ecg[9, 2500:] *= -1  # turned over
    assert delineate(ecg, 500.0, STANDARD_LEADS).steps == ()


def test_long_recordings_are_worked_in_windows_without_losing_or_doubling_beats():
    times_s = np.arange(0.7, 199.0, 0.83)
    found = delineate(draw_ecg(times_s, 200.0, 250.0), 250.0, STANDARD_LEADS)
    assert near(found.r_peak, times_s, 250.0, 0.015).all()


def test_a_gap_loses_its_own_beats_only():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    signal[:, 2000:3000] = np.nan
    found = delineate(signal, 500.0, STANDARD_LEADS)
    outside = TIMES_S[(TIMES_S < 3.9) | (TIMES_S > 6.1)]
    inside = found.r_peak[(found.r_peak > 2000) & (found.r_peak < 3000)]
    assert not len(inside)
    for time_s in outside:
        assert np.abs(found.r_peak / 500 - time_s).min() < 0.012
    for name in ("p_onset", "qrs_end", "t_end"):
        marks = getattr(found, name)
        assert not ((marks > 2000) & (marks < 3000)).any()


def test_one_lead_is_enough():
    signal = draw_ecg(TIMES_S, 10.0, 360.0)[1:2]
    assert near(delineate(signal, 360.0, ["MLII"]).r_peak, TIMES_S, 360.0, 0.012).all()


@pytest.mark.parametrize("n_samples", [0, 1, 60, 5000])
@pytest.mark.parametrize("value", [0.0, np.nan, 5.0])
def test_nothing_is_found_where_there_is_nothing(n_samples, value):
    assert delineate(np.full((12, n_samples), value), 500.0, STANDARD_LEADS).n_beats == 0


def test_names_and_rates_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="lead names"):
        delineate(np.zeros((2, 500)), 500.0, ["I"])
    with pytest.raises(ValueError, match="positive"):
        delineate(np.zeros((1, 500)), 0.0, ["I"])


@pytest.mark.needs_shared
def test_agrees_with_cardiologists_on_ecgs_it_was_not_tuned_on(shared):
    signals_uv = np.load(shared / "data/ludb/ecg500.npz")["x"]
    paced = ludb_paced()  # docs/measurements.md has their figures
    score = Score()
    for record, marks in ludb_marks().items():
        if record % 2 and record not in paced:
            signal_mv = signals_uv[record - 1].T / 1000
            score_record(score, delineate(signal_mv, LUDB_HZ, STANDARD_LEADS), marks)
    for name, tolerance_ms in TOLERANCE_MS.items():
        assert np.std(score.errors[name]) <= tolerance_ms, name
        assert abs(np.mean(score.errors[name])) <= 8, name
    for wave, at_least in (("P", 0.95), ("QRS", 0.995), ("T", 0.98)):
        hits = score.hits[wave]
        f1 = 2 * hits / (2 * hits + score.misses[wave] + score.extras[wave])
        assert f1 >= at_least, wave


@pytest.mark.needs_shared
def test_finds_the_beats_of_mit_bih_record_100(shared):
    import wfdb

    path = str(shared / "samples/wfdb/100")
    record: Any = wfdb.rdrecord(path)
    notes: Any = wfdb.rdann(path, "atr")
    true = notes.sample[np.isin(notes.symbol, ["N", "A", "V"])]
    peaks = delineate(record.p_signal.T, record.fs, record.sig_name).r_peak
    hits = (np.abs(peaks[:, np.newaxis] - true).min(axis=0) <= 0.15 * record.fs).sum()
    assert 2 * hits / (len(true) + len(peaks)) >= 0.999
