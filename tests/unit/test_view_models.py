"""Where things lie on the sheet, and what the texts say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echoing_gui.state import (
    AppState,
    DisplayOptions,
    JobStatus,
    Layout,
    ScreenScale,
    Stage,
    UserMessage,
)
from echoing_gui.view_models import texts
from echoing_gui.view_models.hover import hover_text
from echoing_gui.view_models.results import (
    RESEARCH_ONLY,
    probability_text,
    recording_view,
    result_view,
)
from echoing_gui.view_models.sheet import STRIP_MM, build_sheet, lay_out, number_text
from model_core.leads import STANDARD_LEADS
from model_core.types import Age, Prediction, Reason, Severity
from tests.gui_factory import (
    FLAT_LEAD,
    IDENTITY,
    prediction,
    recording,
    spike_signal,
    variance,
)

GRID = DisplayOptions(layout=Layout.GRID)
ROWS = DisplayOptions(layout=Layout.ROWS)


def noisy(duration_s=10.0, fs=500.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.4, (12, round(duration_s * fs))).astype(np.float32)


def test_grid_columns_tile_ten_seconds_without_gap():
    sheet = lay_out(recording(), GRID)
    for row in range(3):
        pieces = sheet.pieces[4 * row : 4 * row + 4]
        assert [p.start_s for p in pieces] == [0.0, 2.5, 5.0, 7.5]
        assert [p.end_s for p in pieces] == [2.5, 5.0, 7.5, 10.0]
        assert np.diff([p.x_mm for p in pieces]).tolist() == [62.5] * 3
        assert len({p.baseline_mm for p in pieces}) == 1
        assert sum(p.values_mv.size for p in pieces) == 5000
    assert [p.lead for p in sheet.pieces] == [
        "I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II",
    ]  # fmt: skip
    assert sheet.pieces[-1].values_mv.size == 5000


def test_rows_hold_the_whole_recording_in_standard_order():
    order = tuple(reversed(STANDARD_LEADS))
    sheet = lay_out(recording(signal_mv=noisy(30.0), leads=order), ROWS)
    assert tuple(p.lead for p in sheet.pieces) == STANDARD_LEADS
    assert all(p.values_mv.size == 15000 for p in sheet.pieces)
    assert 30 * 25 < sheet.width_mm < 30 * 25 + 30


def test_pieces_hold_the_signal_of_their_lead_less_its_median():
    signal = noisy() + np.arange(12, dtype=np.float32)[:, np.newaxis]
    sheet = lay_out(recording(signal_mv=signal), ROWS)
    for row, piece in enumerate(sheet.pieces):
        assert piece.median_mv == pytest.approx(np.median(signal[row]), abs=1e-6)
        np.testing.assert_allclose(
            piece.values_mv + np.float32(piece.median_mv), signal[row], atol=1e-5
        )


def test_the_ten_seconds_chosen_are_the_ones_in_the_grid():
    of = recording(signal_mv=noisy(30.0))
    state = AppState(
        recording=of, page_start_s=12.0, prediction=prediction(of, start_s=12.0), options=GRID
    )
    sheet = build_sheet(state)
    assert sheet is not None
    assert sheet.window_s == (12.0, 22.0)
    assert sheet.pieces[0].start_s == 12.0
    assert texts.window_text(sheet, state) == "seconds 12.0 to 22.0 of 30.0"


def test_absent_leads_leave_their_place_empty_and_others_are_named():
    of = recording(signal_mv=spike_signal(n_leads=3), leads=("II", "V1", "vx"))
    sheet = lay_out(of, GRID)
    filled = {p.lead for p in sheet.pieces if p.values_mv.size}
    assert filled == {"II", "V1"}
    assert sheet.note == "Not in this layout: vx."


def test_without_standard_leads_rows_are_used():
    of = recording(signal_mv=spike_signal(n_leads=2), leads=("vx", "vy"))
    sheet = lay_out(of, GRID)
    assert sheet.layout is Layout.ROWS
    assert [p.lead for p in sheet.pieces] == ["vx", "vy"]


@pytest.mark.parametrize("options", [GRID, ROWS])
@pytest.mark.parametrize("gain", [5.0, 10.0, 20.0])
def test_no_trace_meets_its_neighbour_its_strip_or_its_name(options, gain):
    signal = np.clip(noisy(seed=3) * np.linspace(0.2, 3, 12)[:, np.newaxis], -3.5, 3.5)
    sheet = lay_out(
        recording(signal_mv=signal), replace(options, gain_mm_mv=gain), variance=variance()
    )
    assert all(pulse.baseline_mm - gain > 0 for pulse in sheet.pulses)
    strip_of = {(s.lead, s.x_mm): s for s in sheet.strips}
    floor = 0.0
    for baseline in sorted({p.baseline_mm for p in sheet.pieces}):
        row = [p for p in sheet.pieces if p.baseline_mm == baseline]
        highest = min(baseline - float(p.values_mv.max()) * gain for p in row)
        lowest = max(baseline - float(p.values_mv.min()) * gain for p in row)
        assert highest > floor
        for piece in row:
            strip = strip_of[piece.lead, piece.x_mm]
            assert strip.y_mm > lowest
            floor = strip.y_mm + STRIP_MM
            if sheet.layout is Layout.GRID:
                under_name = piece.values_mv[: round(12 / 25 * 500)]
                assert piece.label_bottom_mm < baseline - float(under_name.max()) * gain
        assert baseline % (5 if sheet.layout is Layout.GRID else 1) == 0
    assert floor < sheet.height_mm


def test_strips_take_no_place_when_they_come_or_go():
    of = recording(signal_mv=noisy())
    with_strips = lay_out(of, GRID, variance=variance())
    without = lay_out(of, GRID)
    assert with_strips.height_mm == without.height_mm
    assert [p.baseline_mm for p in with_strips.pieces] == [p.baseline_mm for p in without.pieces]


def test_grid_strips_hold_their_own_columns_and_the_rhythm_strip_all():
    sheet = lay_out(recording(), GRID, variance=variance())
    full = variance()
    by_place = {(s.lead, float(s.edges_s[0]), float(s.edges_s[-1])): s for s in sheet.strips}
    # 2.5 s cuts the segment from 2.4 to 2.6 s in two.
    strip = by_place["aVL", 2.5, 5.0]
    expected = full.variance[4, 12:25]
    np.testing.assert_array_equal(strip.variance, expected)
    assert strip.edges_s[1] == pytest.approx(2.6)
    np.testing.assert_array_equal(by_place["II", 0.0, 10.0].variance, full.variance[1])


def test_where_the_model_did_not_look_no_variance_is_claimed():
    of = recording(signal_mv=noisy(30.0))
    sheet = lay_out(of, ROWS, variance=variance(start_s=12.0))
    strip = sheet.strips[0]
    centres = (strip.edges_s[1:] + strip.edges_s[:-1]) / 2
    inside = (centres > 12) & (centres < 22)
    assert np.isfinite(strip.variance[inside]).all()
    assert np.isnan(strip.variance[~inside]).all()
    assert (~inside).sum() == 2
    x = strip.x_mm + 5 * 25
    assert "variance not computed" in hover_text(sheet, x, sheet.pieces[0].baseline_mm)


def test_one_map_for_all_leads_is_drawn_once():
    for options in (GRID, ROWS):
        sheet = lay_out(recording(), options, variance=variance(leads=("all",)))
        assert [s.lead for s in sheet.strips] == ["all"]
        assert sheet.strips[0].y_mm + STRIP_MM < sheet.height_mm
        text = hover_text(sheet, sheet.strips[0].x_mm + 1, sheet.strips[0].y_mm + 1)
        assert text.startswith("All leads: segment 0.00–0.20 s, variance ")


def test_hover_tells_the_value_as_recorded_and_gaps():
    signal = noisy() + 2.0
    signal[0, 100:200] = np.nan
    sheet = lay_out(recording(signal_mv=signal), ROWS)
    piece = sheet.pieces[0]
    at_s = 1.001
    text = hover_text(sheet, piece.x_mm + at_s * 25, piece.baseline_mm)
    assert text == f"Lead I, 1.00 s: {signal[0, 500]:.2f} mV"
    assert "no sample" in hover_text(sheet, piece.x_mm + 0.3 * 25, piece.baseline_mm)
    assert hover_text(sheet, 0.0, piece.baseline_mm) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.08, "0.080"), (2.53, "2.5"), (12.3, "12"), (4.9e-4, "0.00049"), (1.2e-5, "1.2e-05")],
)
def test_two_significant_digits(value, text):
    assert number_text(value) == text


def test_caption_says_speed_gain_filter_and_rate():
    state = AppState(recording=recording(fs=250.0, signal_mv=noisy(fs=250.0)), options=GRID)
    assert texts.caption(state) == "25 mm/s   10 mm/mV   no filter (as recorded, 250 Hz)"


def test_scale_texts_name_each_reason():
    calibrated = AppState(screen=ScreenScale(4.0, "2026-09-01", "U2720Q"))
    assert texts.not_to_scale(calibrated) == ""
    assert texts.scale_status(calibrated) == "To scale: U2720Q, calibrated 2026-09-01"
    zoomed = AppState(options=replace(GRID, zoom=2.0))
    assert texts.not_to_scale(zoomed) == "NOT TO SCALE: zoom 200 %, screen not calibrated"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "less than 1 %"), (0.0099, "less than 1 %"), (0.015, "2 %"), (0.994, "more than 99 %")],
)
def test_probabilities_are_never_certain(probability, text):
    assert probability_text(probability) == text


def test_result_texts_follow_the_state():
    of = recording()
    reading = AppState(recording=of, job=JobStatus(Stage.READING, "b.hea"))
    assert (result_view(reading).headline, result_view(reading).source) == ("Reading", "b.hea")
    predicting = AppState(recording=of, package=IDENTITY, job=JobStatus(Stage.PREDICTING, "a.hea"))
    assert result_view(predicting).headline == "Predicting"
    failed = AppState(recording=of, package_failed=UserMessage("It is damaged.", "Mend it."))
    assert result_view(failed).detail == (
        "It is damaged. Mend it. "
        "Install and choose packages with Model packages… in the menu Model."
    )
    refused = AppState(recording=of, package=IDENTITY, prediction=prediction(of, FLAT_LEAD))
    view = result_view(refused)
    assert view.refused
    assert view.reasons == (FLAT_LEAD.message,)
    assert not view.measures
    assert not view.findings


def test_what_is_withheld_still_shows_its_variance_and_map():
    of = recording()
    withheld = Reason("not_calibrated", Severity.REFUSE, "Withheld: not calibrated.")
    shown = Prediction(
        of.recording_id,
        IDENTITY,
        (0.0, 10.0),
        embedding_variance=0.0421,
        segment_variance=variance(leads=("all",)),
        reasons=(withheld,),
    )
    state = AppState(recording=of, package=IDENTITY, prediction=shown)
    view = result_view(state)
    assert view.refused
    assert view.reasons == (withheld.message,)
    assert (view.measures, view.findings) == ((), ())
    assert "0.042" in view.variance_line
    assert recording_view(state).quality == ("No problem found.",)
    sheet = build_sheet(state)
    assert sheet is not None
    assert len(sheet.strips) == 1
    assert "nearly all" in texts.legend_texts(sheet)[0]
    by_lead = lay_out(of, GRID, variance=variance())
    assert "Segment variance" in texts.legend_texts(by_lead)[0]


def test_the_research_sentence_stands_once_with_any_caveat():
    assert result_view(AppState()).caveat == RESEARCH_ONLY
    said = replace(IDENTITY, caveat="Demonstration. Research use only.")
    both = result_view(AppState(package=said)).caveat
    assert both.lower().count("research use only") == 1
    assert "Not a medical device" in both
    assert RESEARCH_ONLY in result_view(AppState(package=IDENTITY)).caveat


def test_a_prediction_cannot_stand_beside_another_recording():
    with pytest.raises(ValueError, match="another recording"):
        AppState(recording=recording("b.hea"), prediction=prediction(recording("a.hea")))


def test_the_recording_panel_names_no_patient():
    of = recording(comments=("Name: Jane Roe",), age_y=61.4, sex="female")
    view = recording_view(AppState(recording=of))
    shown = " ".join(f"{label} {text}" for label, text in view.facts)
    assert "Jane" not in shown
    assert "61 years" in shown


def test_ages_keep_their_unit():
    of = recording(age=Age(3, "months"), age_y=0.25)
    assert ("Age", "3 months") in recording_view(AppState(recording=of)).facts
