"""What the bench shows, as pure functions."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from echoing_gui.exports import csv_text
from echoing_gui.features.bench import view
from echoing_gui.features.bench.covered import look_at
from echoing_gui.resources import demo_recording_path
from echoing_gui.state import AppState, DisplayOptions, Layout
from echoing_gui.state_bench import Bench, Cell
from echoing_gui.view_models.sheet import lay_out
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.types import (
    MeasureEstimate,
    PredictionInterval,
    Recording,
    SegmentVariance,
)
from model_core.what_if import Answer, Masking
from tests.gui_factory import IDENTITY, prediction, recording, variance

EDGES_S = np.linspace(0, 10, 21)


def test_percentiles_are_those_of_a_lognormal_with_these_ends():
    spread = (math.log(10) - math.log(0.1)) / (stats.norm.ppf(0.99) - stats.norm.ppf(0.05))
    middle = math.log(10) - stats.norm.ppf(0.99) * spread
    for value in (0.01, 0.3, 2.0, 50.0):
        expected = 100 * stats.lognorm.cdf(value, spread, scale=math.exp(middle))
        assert view.percentile(value, (0.1, 10.0)) == pytest.approx(expected, abs=1e-6)
    assert math.isnan(view.percentile(math.nan, (0.1, 10.0)))


def test_rows_name_every_lead_and_segment_once():
    of = recording()
    state = AppState(recording=of, prediction=prediction(of))
    rows = view.segment_rows(state)
    assert len({row.cell for row in rows}) == len(rows) == 12 * 50
    last = rows[-1]
    assert (last.cell, last.start_s, last.end_s) == (Cell("V6", 49), 9.8, 10.0)
    assert last.variance == pytest.approx(2.0)
    assert view.segment_rows(AppState(recording=of)) == ()


def test_a_bench_of_another_prediction_shows_nothing():
    of = recording()
    old = Bench(prediction=prediction(of), hidden=frozenset({Cell("I", 0)}))
    shown = view.bench_of(AppState(recording=of, prediction=prediction(of), bench=old))
    assert shown.hidden == frozenset()


def test_copied_rows_cannot_be_formulas():
    row = view.SegmentRow(Cell("=1+1", 0), 0.0, 0.5, math.nan, math.nan, "+good", ("@P",))
    named = replace(IDENTITY, name="=package")
    table = list(csv.reader(io.StringIO(csv_text(view.export_rows([row], named)))))
    assert table[1][:8] == ["'=1+1", "0.0", "0.5", "", "", "'+good", "'@P", "'=package"]


@pytest.mark.parametrize("layout", [Layout.GRID, Layout.ROWS])
def test_going_through_uncertain_segments_visits_each_on_the_sheet_once_and_returns(layout):
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(0, 1.5, (12, 20)))
    cells = SegmentVariance(values, STANDARD_LEADS, EDGES_S, (0.1, 10.0))
    sheet = lay_out(recording(), DisplayOptions(layout=layout))
    everywhere = view.uncertain_cells(cells)
    shown = [cell for cell in everywhere if view.pieces_of(sheet, cell, EDGES_S)]
    assert 5 < len(everywhere) < 60
    assert (len(shown) < len(everywhere)) is (layout is Layout.GRID)
    for step in (1, -1):
        visited, current = [], None
        for _ in shown:
            current, _text = view.next_uncertain(cells, sheet, current, step)
            visited.append(current)
        assert visited == shown[::step]
        assert view.next_uncertain(cells, sheet, current, step)[0] == visited[0]
    # From a segment that is not uncertain, on to the next one in time.
    calm = next(Cell(lead, 10) for lead in STANDARD_LEADS if Cell(lead, 10) not in everywhere)
    after = view.next_uncertain(cells, sheet, calm, 1)[0]
    assert after is not None
    assert after.segment >= 10


def test_without_uncertain_segments_a_sentence_says_so():
    cells = SegmentVariance(np.full((12, 20), 0.2), STANDARD_LEADS, EDGES_S, (0.1, 10.0))
    cell, text = view.next_uncertain(cells, lay_out(recording(), DisplayOptions()), None, 1)
    assert cell is None
    assert text.startswith("No segment")


def test_a_beat_is_hidden_in_all_leads_where_it_lies():
    beats_s = np.array([[0.1, 0.9], [1.3, 2.1]])
    cells = view.beat_cells(beats_s, 1.6, ("I", "II"), EDGES_S)
    assert cells == {Cell(lead, n) for lead in ("I", "II") for n in (2, 3, 4)}
    assert view.beat_cells(np.zeros((0, 2)), 1.0, ("I",), EDGES_S) == frozenset()


def answer(value: float, low: float, high: float, embedding: float) -> Answer:
    estimate = MeasureEstimate("lvef", value, PredictionInterval(low, high, 0.9))
    return Answer((estimate,), (), embedding, np.ones((12, 20), np.float32))


def test_original_and_what_if_stand_side_by_side():
    whole, hidden = answer(54.0, 43.0, 66.0, 0.002), answer(49.6, 35.0, 64.0, 0.003)
    rows = view.ask_rows(whole, hidden)
    assert (rows[0].whole, rows[0].what_if, rows[0].change) == (
        "54 % (43–66)", "50 % (35–64)", "−4.4 points",
    )  # fmt: skip
    assert (rows[-1].whole, rows[-1].what_if, rows[-1].change) == ("0.0020", "0.0030", "+50 %")
    assert all(row.what_if == row.change == "" for row in view.ask_rows(whole, None))
    gone = Answer((), (), 0.003, np.ones((12, 20), np.float32), "It cannot be.")
    assert view.ask_rows(whole, gone)[0].what_if == "not given"


def test_each_way_of_hiding_is_named():
    assert "infinite" in view.masking_text(Masking.MISSING)
    assert "flat line" in view.masking_text(Masking.FLAT)


@pytest.mark.parametrize(
    ("correlation", "word"),
    [(0.9, "strong"), (0.5, "moderate"), (0.3, "weak"), (0.0, "no agreement"),
     (-0.5, "contradict"), (math.nan, "cannot be told")],
)  # fmt: skip
def test_an_agreement_is_said_in_words(correlation, word):
    assert word in view.agreement_text(correlation)


def test_likeness_after_shuffling_is_said_in_words():
    assert "is lost" in view.shuffled_text([0.1, -0.05])
    assert "mostly" in view.shuffled_text([0.3, 0.01, 0.02])
    assert "stays without anything learnt" in view.shuffled_text([0.6, 0.5])


@pytest.fixture(scope="module")
def demo() -> Recording:
    return read_recording(demo_recording_path())


def test_waves_of_the_demonstration_lie_where_the_simulator_put_its_beats(demo):
    covered = look_at(demo, variance())
    # Where lead II is steepest there is a QRS; 50 segments of 0.2 s.
    steep = np.abs(np.diff(demo.signal_mv[1])).reshape(-1)[:4999]
    peaks = [n for n in range(50) if steep[100 * n : 100 * (n + 1)].max() > 0.5 * steep.max()]
    assert len(peaks) > 8
    assert all("QRS" in covered.waves[n] for n in peaks)
    assert 8 < len(covered.beats_s) < 25
    lengths_s = np.diff(covered.beats_s[1:-1])  # those at the ends are cut
    assert (lengths_s > 0.2).all()
    assert (lengths_s < 1.0).all()
    # A heart rests between T and the next P: not every fifth of a second holds a P wave.
    assert 8 < sum("P" in waves.split(", ") for waves in covered.waves) < 35
    assert 8 < sum("T" in waves.split(", ") for waves in covered.waves) < 45


def test_artefacts_are_found_where_they_were_put(demo):
    rng = np.random.default_rng(0)
    signal = demo.signal_mv.copy()
    covered_before = look_at(demo, variance()).faults
    signal[0, 1000:1100] += rng.normal(0, 0.3, 100)
    signal[1, 2000:2100] = signal[1, 2000]
    signal[2, 3050] = np.nan
    faults = look_at(Recording("x", signal, demo.fs, demo.lead_names, "x"), variance()).faults
    assert faults[Cell("I", 10)] == "artefact: noise"
    assert faults[Cell("II", 20)] == "artefact: flat line"
    assert faults[Cell("III", 30)] == "artefact: no samples"
    # The demonstration has a burst of noise in V3 about second 6; calm leads have none.
    assert any(cell.lead == "V3" and 27 <= cell.segment <= 35 for cell in covered_before)
    assert not [cell for cell in covered_before if cell.lead in ("I", "II", "V5", "V6")]
