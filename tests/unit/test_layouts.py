"""Layouts: whatever is chosen, time is tiled without a gap and every lead is itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QRectF

from echoing_gui.graphics.paper import Camera
from echoing_gui.graphics.pointer import from_px, to_px
from echoing_gui.graphics.traces import piece_polylines
from echoing_gui.state import (
    GAINS_MM_MV,
    SPEEDS_MM_S,
    AppState,
    DisplayOptions,
    Layout,
    LeadOrder,
)
from echoing_gui.view_models import texts
from echoing_gui.view_models.hover import hover_text
from echoing_gui.view_models.layouts import ARRANGEMENTS
from echoing_gui.view_models.sheet import lay_out
from model_core.leads import CHEST_LEADS, LIMB_LEADS, STANDARD_LEADS
from tests.gui_factory import recording, variance

CHOICES = [
    DisplayOptions(
        layout=layout, order=order, speed_mm_s=speed, gain_mm_mv=gain, half_precordials=half
    )
    for layout in Layout
    for order in LeadOrder
    for speed, gain, half in zip(SPEEDS_MM_S, GAINS_MM_MV, (False, True) * 2, strict=True)
]
WINDOWS = [(10.0, 500.0, 0.0), (10.0, 97.3, 0.0), (9.7, 250.0, 0.0), (31.3, 257.0, 13.37)]


def einthoven(duration_s, fs):
    """Two leads of noise, the other limb leads computed from them, and six of noise; mV."""
    rng = np.random.default_rng(5)
    i, ii, *chest = rng.normal(0, 0.3, (8, round(duration_s * fs)))
    signal = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2, *chest]
    return np.asarray(signal, dtype=np.float32)


@pytest.mark.parametrize(("duration_s", "fs", "start_s"), WINDOWS)
@pytest.mark.parametrize("options", CHOICES)
def test_each_row_tiles_the_window_without_gap_or_overlap(options, duration_s, fs, start_s):
    signal = einthoven(duration_s, fs)
    of = recording(signal_mv=signal, fs=fs)
    sheet = lay_out(of, options, window_start_s=start_s)
    start, end = sheet.window_s
    whole = options.layout is Layout.ROWS
    assert end - start == pytest.approx(of.duration_s if whole else min(10.0, of.duration_s))
    for baseline in {piece.baseline_mm for piece in sheet.pieces}:
        row = [piece for piece in sheet.pieces if piece.baseline_mm == baseline]
        assert (row[0].start_s, row[-1].end_s) == (start, end)
        for before, after in pairwise(row):
            assert before.end_s == after.start_s
            width = (before.end_s - before.start_s) * options.speed_mm_s
            assert after.x_mm - before.x_mm == pytest.approx(width)
        # Laid side by side, the samples of the row are those of the window, each once.
        total = sum(piece.values_mv.size for piece in row)
        assert total == round(end * fs) - round(start * fs)
        for piece in row:
            first = round(piece.start_s * fs)
            sign = -1 if piece.name == "-aVR" else 1
            np.testing.assert_allclose(
                sign * (piece.values_mv + piece.median_mv),
                signal[STANDARD_LEADS.index(piece.lead), first : first + piece.values_mv.size],
                atol=1e-6,
            )


@pytest.mark.parametrize("options", CHOICES)
def test_every_lead_stands_once_and_then_in_the_rhythm_strips(options):
    pieces = lay_out(recording(), options).pieces
    assert sorted(p.lead for p in pieces[:12]) == sorted(STANDARD_LEADS)
    strips = {Layout.GRID: ["II"], Layout.GRID_3: ["II", "V1", "V5"]}
    assert [p.lead for p in pieces[12:]] == strips.get(options.layout, [])


def columns(layout, order):
    """Names from top to bottom, column by column, without the rhythm strips."""
    arrangement = ARRANGEMENTS[layout]
    pieces = lay_out(recording(), DisplayOptions(layout=layout, order=order)).pieces[:12]
    by_place = sorted(pieces, key=lambda p: (p.x_mm, p.baseline_mm))
    names = [piece.name for piece in by_place]
    return [names[k : k + arrangement.n_rows] for k in range(0, len(names), arrangement.n_rows)]


def test_columns_hold_the_groups_of_leads():
    assert columns(Layout.GRID, LeadOrder.STANDARD) == [
        ["I", "II", "III"], ["aVR", "aVL", "aVF"], ["V1", "V2", "V3"], ["V4", "V5", "V6"],
    ]  # fmt: skip
    assert columns(Layout.GRID, LeadOrder.CABRERA)[:2] == [
        ["aVL", "I", "-aVR"], ["II", "aVF", "III"],
    ]  # fmt: skip
    assert columns(Layout.SIX, LeadOrder.STANDARD) == [list(LIMB_LEADS), list(CHEST_LEADS)]
    assert columns(Layout.SIX, LeadOrder.CABRERA)[0] == ["aVL", "I", "-aVR", "II", "aVF", "III"]
    # Groups are rows here: the first column holds the first lead of each.
    assert columns(Layout.FOUR, LeadOrder.STANDARD)[0] == ["I", "aVR", "V1", "V4"]
    assert columns(Layout.ROWS, LeadOrder.CABRERA)[0][2:4] == ["-aVR", "II"]


def test_cabrera_leads_turn_by_thirty_degrees():
    """A dipole in the frontal plane at angle a gives cos(a - angle of the lead) times a constant.

    The augmented leads are 0.87 times as long; -aVR stands at 30 degrees only if it was inverted
    exactly once.
    """
    at = np.deg2rad(np.linspace(0, 360, 5000, endpoint=False))
    i, ii = np.cos(at), np.cos(at - np.deg2rad(60))
    signal = np.asarray([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2, *[i] * 6])
    options = DisplayOptions(layout=Layout.ROWS, order=LeadOrder.CABRERA)
    pieces = lay_out(recording(signal_mv=signal.astype(np.float32)), options).pieces[:6]
    angles = [round(np.rad2deg(at[np.argmax(piece.values_mv)])) for piece in pieces]
    assert angles == [330, 0, 30, 60, 90, 120]


def test_what_is_drawn_upside_down_is_also_said_so():
    signal = np.zeros((12, 5000), dtype=np.float32)
    signal[3, 500] = -0.8
    options = DisplayOptions(layout=Layout.ROWS, order=LeadOrder.CABRERA)
    sheet = lay_out(recording(signal_mv=signal), options)
    piece = next(piece for piece in sheet.pieces if piece.lead == "aVR")
    text = hover_text(sheet, piece.x_mm + 1.001 * 25, piece.baseline_mm)
    assert text == "Lead -aVR, 1.00 s: 0.80 mV"


def test_variance_of_avr_stays_under_it_in_cabrera_order():
    full = variance()
    options = DisplayOptions(layout=Layout.ROWS, order=LeadOrder.CABRERA)
    sheet = lay_out(recording(), options, variance=full)
    piece = next(piece for piece in sheet.pieces if piece.name == "-aVR")
    strip = next(strip for strip in sheet.strips if strip.lead == "aVR")
    assert piece.baseline_mm < strip.y_mm < piece.bottom_mm
    np.testing.assert_array_equal(strip.variance, full.variance[3])


@pytest.mark.parametrize("layout", list(Layout))
def test_half_gain_has_a_true_pulse_beside_every_row_of_its_leads(layout):
    options = DisplayOptions(layout=layout, half_precordials=True)
    sheet = lay_out(recording(), options)
    for baseline in {piece.baseline_mm for piece in sheet.pieces}:
        row = [piece for piece in sheet.pieces if piece.baseline_mm == baseline]
        pulses = [pulse for pulse in sheet.pulses if pulse.baseline_mm == baseline]
        assert [p.gain_mm_mv for p in pulses] == sorted({p.gain_mm_mv for p in row}, reverse=True)
        assert max(p.x_mm + 5 for p in pulses) < row[0].x_mm
        for piece in row:
            assert piece.gain_mm_mv == (5.0 if piece.lead in CHEST_LEADS else 10.0)
    caption = texts.caption(AppState(options=options))
    assert caption == "25 mm/s   limb leads 10 mm/mV, V leads 5 mm/mV"


def test_any_lead_can_be_the_rhythm_strip():
    for lead in STANDARD_LEADS:
        piece = lay_out(recording(), DisplayOptions(rhythm_lead=lead)).pieces[-1]
        assert (piece.lead, piece.end_s - piece.start_s) == (lead, 10.0)
    inverted = DisplayOptions(rhythm_lead="aVR", order=LeadOrder.CABRERA)
    assert lay_out(recording(), inverted).pieces[-1].name == "-aVR"


@pytest.mark.parametrize("lead", ["I", "aVR", "V2"])
def test_a_recorded_value_is_found_where_its_trace_is_drawn(lead):
    """In Cabrera's order and at half gain too, and the pointer reads the recorded value there."""
    signal = np.zeros((12, 5000), dtype=np.float32)
    signal[:, 500] = 0.8
    options = DisplayOptions(
        layout=Layout.ROWS, order=LeadOrder.CABRERA, half_precordials=True, gain_mm_mv=20.0
    )
    sheet = lay_out(recording(signal_mv=signal), options)
    piece = next(piece for piece in sheet.pieces if piece.lead == lead)
    camera = Camera(40.0, 0, 0, QRectF(), 1.0)
    at = to_px(sheet, camera, piece, 1.0, 0.8)
    [line] = piece_polylines(piece, sheet, 40.0, 0)
    drawn = line.at(500)
    assert at.x() == pytest.approx(camera.x(piece.x_mm) + drawn.x())
    assert at.y() == pytest.approx(camera.y(piece.baseline_mm) + drawn.y(), abs=1e-3)
    assert from_px(sheet, camera, piece, at.x(), at.y()) == pytest.approx((1.0, 0.8))
    height_mm = {"I": -16.0, "aVR": 16.0, "V2": -8.0}[lead]
    assert drawn.y() == pytest.approx(40 * height_mm, rel=1e-5)
