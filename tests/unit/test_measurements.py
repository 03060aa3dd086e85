"""Measurements of ECGs drawn with known intervals, axes and amplitudes."""

from __future__ import annotations

import ast
import csv
from typing import Any

import numpy as np
import pytest

from model_core.delineation import delineate
from model_core.leads import STANDARD_LEADS, canonical_lead_name
from model_core.measurements import (
    AMPLITUDES,
    SCALARS,
    corrected_qt_ms,
    measure,
    row,
)
from tests.drawn_ecg import SHARE, DrawnBeat, draw_ecg

TIMES_S = np.arange(0.8, 9.5, 0.8)
BEAT = DrawnBeat()


def measured(signal, fs=500.0, names=STANDARD_LEADS):
    return measure(delineate(signal, fs, names), signal)


@pytest.mark.parametrize("fs", [100.0, 500.0, 1000.0])
def test_intervals_of_a_drawn_ecg(fs):
    found = measured(draw_ecg(TIMES_S, 10.0, fs), fs)
    assert found.heart_rate_bpm == pytest.approx(75, abs=0.3)
    assert found.rr_ms == pytest.approx(800, abs=3)
    assert found.pr_ms == pytest.approx(210 - 45, abs=20)
    assert found.p_duration_ms == pytest.approx(100, abs=25)
    assert found.qrs_ms == pytest.approx(90, abs=25)
    assert found.qt_ms == pytest.approx(45 + 360, abs=25)
    assert found.regular is True
    assert found.p_present


def test_axes_and_amplitudes_of_a_drawn_ecg():
    found = measured(draw_ecg(TIMES_S, 10.0, 500.0))
    for axis_deg in (found.p_axis_deg, found.qrs_axis_deg, found.t_axis_deg):
        assert axis_deg == pytest.approx(60, abs=3)
    upright = SHARE > 0.1
    assert np.allclose(found.p_mv[upright], BEAT.p_mv * SHARE[upright], rtol=0.15, atol=0.01)
    assert np.allclose(found.t_mv[upright], BEAT.t_mv * SHARE[upright], rtol=0.15, atol=0.01)
    assert found.r_mv[1] == pytest.approx(BEAT.r_mv, rel=0.05)
    # aVR: all negative, so no R but the humps of the flanks, and the deep wave after or before it.
    assert min(found.q_mv[3], found.s_mv[3]) == pytest.approx(-0.75 * BEAT.r_mv, rel=0.05)
    assert np.abs(found.st60_mv).max() < 0.12


def test_the_axis_turns_with_the_limb_leads():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    # Direction 0 degrees: as large in I as it can be, half in II, opposite half in III.
    turned = signal.copy()
    one = signal[1]
    turned[:6] = np.array([1, 0.5, -0.5, -0.75, 0.75, 0])[:, np.newaxis] * one
    assert measured(turned).qrs_axis_deg == pytest.approx(0, abs=3)
    assert measured(-turned).qrs_axis_deg == pytest.approx(180, abs=3) or measured(
        -turned
    ).qrs_axis_deg == pytest.approx(-180, abs=3)


def test_qt_corrections_are_the_published_formulas():
    at_60 = corrected_qt_ms(400, 1000)
    assert all(value == pytest.approx(400) for value in at_60.values())
    fast = corrected_qt_ms(320, 500)
    assert fast["bazett"] == pytest.approx(320 / 0.5**0.5)
    assert fast["fridericia"] == pytest.approx(320 / 0.5 ** (1 / 3))
    assert fast["framingham"] == pytest.approx(320 + 154 * 0.5)
    assert fast["hodges"] == pytest.approx(320 + 1.75 * 60)


def test_an_uneven_rhythm_is_irregular():
    times_s = 0.6 + np.cumsum([0, 0.6, 1.0, 0.7, 1.1, 0.65, 0.9, 1.2, 0.7, 0.8])
    assert measured(draw_ecg(times_s, 10.0, 500.0)).regular is False


def test_the_median_beat_is_the_drawn_beat():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    found = measured(signal + 0.05 * np.random.default_rng(3).normal(size=signal.shape))
    beat = found.median_beat_mv
    alone = draw_ecg([0.45], 1.2, 500.0)
    n = min(beat.shape[1], alone.shape[1])
    assert beat.shape[0] == 12
    assert np.abs(beat[:, :n] - alone[:, :n]).mean() < 0.04
    marks = found.median_beat_marks
    assert marks["p_onset"] < marks["p_end"] < marks["qrs_onset"] < marks["qrs_end"]
    assert marks["qrs_end"] < marks["t_peak"] < marks["t_end"]


def test_a_missing_lead_is_not_measured_and_the_others_are():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    signal[6] = np.nan
    found = measured(signal)
    assert np.isnan(found.r_mv[6])
    assert np.isfinite(np.delete(found.r_mv, 6)).all()
    assert found.heart_rate_bpm == pytest.approx(75, abs=0.3)


def test_limb_leads_i_and_iii_are_enough_for_an_axis():
    signal = draw_ecg(TIMES_S, 10.0, 500.0)
    assert measured(signal[[0, 2]], names=("I", "III")).qrs_axis_deg == pytest.approx(60, abs=3)
    assert np.isnan(measured(signal[[7]], names=("V2",)).qrs_axis_deg)


@pytest.mark.parametrize("n_samples", [0, 30, 5000])
def test_nothing_measurable_is_nan_everywhere(n_samples):
    found = row(measured(np.zeros((12, n_samples))))
    assert len(found) == len(SCALARS) + 2 + 12 * len(AMPLITUDES)
    assert not found.pop("p_present")
    assert np.isnan(list(found.values())).all()


@pytest.mark.needs_shared
def test_statements_and_measurements_of_ptb_xl_go_together(shared):
    import wfdb

    root = shared / "data/ptbxl"
    found = {code: [] for code in ("NORM", "CLBBB", "1AVB", "AFIB", "SBRAD", "STACH", "LAFB")}
    with (root / "ptbxl_database.csv").open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            path = root / line["filename_lr"]
            codes = ast.literal_eval(line["scp_codes"] or "{}")
            chosen = [code for code in found if code in codes and len(found[code]) < 25]
            if not chosen or not path.with_suffix(".hea").exists():
                continue
            record: Any = wfdb.rdrecord(str(path))
            names = [canonical_lead_name(name) for name in record.sig_name]
            values = measured(record.p_signal.T, record.fs, names)
            for code in chosen:
                found[code].append(values)

    def middle(code, name):
        return np.nanmedian([getattr(values, name) for values in found[code]])

    assert 60 <= middle("NORM", "heart_rate_bpm") <= 80
    assert 120 <= middle("NORM", "pr_ms") <= 200
    assert 70 <= middle("NORM", "qrs_ms") <= 110
    assert 350 <= middle("NORM", "qtc_fridericia_ms") <= 440
    assert middle("CLBBB", "qrs_ms") >= 120
    assert middle("1AVB", "pr_ms") > 200
    assert middle("SBRAD", "heart_rate_bpm") < 60
    assert middle("STACH", "heart_rate_bpm") > 100
    assert middle("LAFB", "qrs_axis_deg") < -30
    assert np.mean([values.p_present for values in found["NORM"]]) > 0.9
    assert np.mean([values.p_present for values in found["AFIB"]]) < 0.2
    assert np.mean([values.regular for values in found["AFIB"]]) < 0.3
