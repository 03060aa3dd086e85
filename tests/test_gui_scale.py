"""Pixels of the painted ECG, counted: 4.000 px/mm must be 4 px, whatever the screen's density."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage

from echoing_gui import theme
from echoing_gui.panels.traces import EcgView
from echoing_gui.state import AppState, DisplayOptions, Layout, LeadOrder, ScreenScale
from echoing_gui.view_models.sheet import build_sheet
from tests.gui_factory import prediction, recording, spike_signal, variance

WIDTH, HEIGHT = 1400, 900
PX_PER_MM = 4.0
DENSITIES = (1.0, 1.25, 1.5, 2.0, 3.0)
IN_COLUMNS = [layout for layout in Layout if layout is not Layout.ROWS]
X_TRACE_MM = 15  # 5 margin, 5 pulse, 5 until the trace begins
SPIKES_S = (1.0, 2.0, 7.0)


def paint(qtbot, state: AppState, density: float) -> np.ndarray:
    """The view as an array of pixels (rows, columns, RGB), and nothing of it left."""
    view = EcgView()
    qtbot.addWidget(view)
    view.resize(WIDTH, HEIGHT)
    view.show()
    calibrated = ScreenScale(PX_PER_MM * density, "2026-01-01", "test")
    view.show_state(AppState(), replace(state, screen=calibrated))
    size = (round(WIDTH * density), round(HEIGHT * density))
    image = QImage(*size, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(density)
    image.fill(QColor(theme.PAPER))  # scroll bars take room that nothing is painted on
    view.paint(image)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(size[1], -1, 4)
    return pixels[:, : size[0], 2::-1].astype(int)  # a copy: the image goes away


def spikes(layout: Layout, **options: Any) -> AppState:
    of = recording(signal_mv=spike_signal(at_s=SPIKES_S))
    return AppState(recording=of, options=DisplayOptions(layout=layout, **options))


def is_colour(pixels: np.ndarray, colour: str) -> np.ndarray:
    wanted = QColor(colour)
    return (pixels == (wanted.red(), wanted.green(), wanted.blue())).all(axis=-1)


def is_dark(pixels: np.ndarray) -> np.ndarray:
    return pixels.max(axis=-1) < 128


def origin(view_density: float, layout: Layout) -> tuple[int, int]:
    """Device pixels left of and above the sheet: lead names in rows, header."""
    gutter = round(11 * PX_PER_MM * view_density) if layout is Layout.ROWS else 0
    return gutter, round(44 * view_density)


@pytest.mark.parametrize("density", DENSITIES)
def test_a_small_square_is_4_px_and_each_fifth_line_is_heavy(qtbot, density):
    pixels = paint(qtbot, spikes(Layout.GRID), density)
    left, top = origin(density, Layout.GRID)
    step = round(PX_PER_MM * density)
    # A strip of blank paper at the lower right, read along both axes.
    bottom = top + round(180 * PX_PER_MM * density)
    across = pixels[bottom + step // 2 + 1, left:]
    down = pixels[top + round(120 * PX_PER_MM * density) : bottom, left + step // 2 + 1]
    for line in (across, down):
        heavy = np.flatnonzero(is_colour(line, theme.GRID_HEAVY))
        either = np.flatnonzero(
            is_colour(line, theme.GRID_HEAVY) | is_colour(line, theme.GRID_FINE)
        )
        assert heavy.size > 10
        assert set(np.diff(either)) == {step}
        assert set(np.diff(heavy)) == {5 * step}
    assert np.flatnonzero(is_colour(across, theme.GRID_HEAVY))[0] == 0


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(
    ("speed", "gain", "width_px", "height_px"),
    [
        (25.0, 10.0, 20, 40),
        (50.0, 10.0, 40, 40),
        (25.0, 20.0, 20, 80),
        (12.5, 5.0, 10, 20),
        (100.0, 2.5, 80, 10),
    ],
)
def test_the_pulse_is_1_mv_for_200_ms(qtbot, density, speed, gain, width_px, height_px):
    state = spikes(Layout.ROWS, speed_mm_s=speed, gain_mm_mv=gain)
    pixels = paint(qtbot, state, density)
    left, top = origin(density, Layout.ROWS)
    # The first row's pulse: between the sheet's left edge and the first trace.
    before_trace = left + round((5 + 0.2 * speed + 2) * PX_PER_MM * density)
    below = top + round(40 * PX_PER_MM * density)
    dark = is_dark(pixels[top:below, left + 3 : before_trace])
    rows = dark.sum(axis=1)
    plateau = np.flatnonzero(rows >= 0.9 * width_px * density)[0]
    middle = (plateau + round(height_px * density / 2)) % dark.shape[0]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], dark[middle].astype(int)))) == 1)
    assert len(edges) == 2
    assert edges[1] - edges[0] == pytest.approx(width_px * density, abs=0.51)
    # The foot runs on at both sides of the pulse, at the same thickness as the plateau.
    outside = dark[:, : edges[0] - 3]
    foot = np.flatnonzero(outside.any(axis=1))[0]
    assert foot - plateau == pytest.approx(height_px * density, abs=0.51)


@pytest.mark.parametrize("density", DENSITIES)
def test_a_beat_of_1_mv_is_40_px_high_and_1_s_is_100_px(qtbot, density):
    pixels = paint(qtbot, spikes(Layout.ROWS), density)
    left, top = origin(density, Layout.ROWS)
    start = left + round(X_TRACE_MM * PX_PER_MM * density)
    row = is_dark(pixels[top : top + round(17 * PX_PER_MM * density), start:])
    heights = np.where(row.any(axis=0), row.argmax(axis=0), row.shape[0])
    baseline = int(np.median(heights))
    tops = {}
    for second in SPIKES_S:
        expected = second * 100 * density
        window = np.arange(int(expected - 4 * density), int(expected + 4 * density))
        tops[second] = window[heights[window] == heights[window].min()].mean()
        assert baseline - heights[window].min() == pytest.approx(40 * density, abs=1.01)
        assert tops[second] == pytest.approx(expected, abs=1.01)
    assert tops[7.0] - tops[2.0] == pytest.approx(500 * density, abs=1.01)


@pytest.mark.parametrize("layout", IN_COLUMNS)
def test_columns_share_one_clock_with_each_other_and_the_rhythm_strip(qtbot, layout):
    pixels = paint(qtbot, spikes(layout), 1.0)
    _, top = origin(1.0, layout)
    start = X_TRACE_MM * 4
    # Whichever column a moment falls in, it stands where it stands in a strip of ten seconds.
    dark = is_dark(pixels[top : HEIGHT - 44, start + 5 : start + 1000])
    steep = dark.sum(axis=0)
    for second in SPIKES_S:
        at = round(second * 100) - 5
        assert steep[at - 3 : at + 4].max() > 3 * 30


@pytest.mark.parametrize("density", DENSITIES)
def test_at_half_gain_chest_leads_and_their_pulse_are_half_as_high(qtbot, density):
    """Rows of 12 mm or more: V1 is the seventh, its pulse and its beats 20 px high, not 40."""
    state = spikes(Layout.ROWS, half_precordials=True)
    sheet = build_sheet(state)
    assert sheet is not None
    pixels = paint(qtbot, state, density)
    left, top = origin(density, Layout.ROWS)
    for piece, height_px in ((sheet.pieces[5], 40), (sheet.pieces[6], 20)):
        foot = top + round(piece.baseline_mm * PX_PER_MM * density)
        band = is_dark(pixels[foot - round(11 * PX_PER_MM * density) : foot + 3])
        pulse = left + round(7.5 * PX_PER_MM * density)  # half way through its plateau
        beat = left + round((X_TRACE_MM + 25) * PX_PER_MM * density)
        for at in (pulse, beat):
            highest = np.flatnonzero(band[:, at - 1 : at + 2].any(axis=1))[0]
            found = round(11 * PX_PER_MM * density) - highest
            assert found == pytest.approx(height_px * density, abs=2.01), piece.lead


def test_cabrera_draws_avr_upside_down_and_nothing_else(qtbot):
    """One beat of 1 mV in every lead, of which only aVR's points down."""
    standard = spikes(Layout.ROWS, gain_mm_mv=5.0)
    cabrera = spikes(Layout.ROWS, gain_mm_mv=5.0, order=LeadOrder.CABRERA)
    for state in (standard, cabrera):
        sheet = build_sheet(state)
        assert sheet is not None
        pixels = paint(qtbot, state, 1.0)
        left, top = origin(1.0, Layout.ROWS)
        for piece in sheet.pieces:
            foot = top + round(piece.baseline_mm * PX_PER_MM)
            beat = left + (X_TRACE_MM + 25) * 4
            above = is_dark(pixels[foot - 18 : foot - 4, beat - 2 : beat + 3]).sum()
            below = is_dark(pixels[foot + 5 : foot + 19, beat - 2 : beat + 3]).sum()
            down = piece.name == "-aVR"
            assert (above > 10, below > 10) == (not down, down), piece.name
        assert ("-aVR" in [p.name for p in sheet.pieces]) == (state is cabrera)


def test_zoom_scales_paper_and_trace_alike(qtbot):
    pixels = paint(qtbot, spikes(Layout.GRID, zoom=1.5), 1.0)
    _, top = origin(1.0, Layout.GRID)
    across = pixels[top + 4, :]
    lines = np.flatnonzero(is_colour(across, theme.GRID_HEAVY))
    assert set(np.diff(lines)) == {30}


def with_and_without_strips(qtbot, signal, layout, density):
    of = recording(signal_mv=signal)
    plain = AppState(recording=of, options=DisplayOptions(layout=layout))
    with_strips = paint(qtbot, replace(plain, prediction=prediction(of)), density)
    without = paint(qtbot, plain, density)
    assert (with_strips != without).any(axis=-1).sum() > 5000
    return with_strips, without


@pytest.mark.parametrize("density", [1.0, 2.0])
@pytest.mark.parametrize("layout", list(Layout))
def test_strips_change_no_pixel_of_a_trace(qtbot, layout, density):
    signal = spike_signal(at_s=SPIKES_S) * np.linspace(-2, 2, 12)[:, np.newaxis]
    with_strips, without = with_and_without_strips(qtbot, signal, layout, density)
    trace = is_dark(without)
    assert trace.sum() > 5000
    assert (with_strips[trace] == without[trace]).all()


@pytest.mark.parametrize("layout", list(Layout))
def test_a_trace_that_runs_across_a_strip_lies_on_top(qtbot, layout):
    signal = spike_signal(at_s=SPIKES_S)
    signal[0] *= -9.0  # an artefact: deeper than any row makes room for
    with_strips, without = with_and_without_strips(qtbot, signal, layout, 1.0)
    trace = is_dark(without)
    assert (with_strips[trace] != without[trace]).any()
    assert is_dark(with_strips)[trace].all()


def test_strips_lie_under_their_segments_in_their_colours(qtbot):
    of = recording(signal_mv=spike_signal(at_s=()))
    state = AppState(recording=of, prediction=prediction(of))
    state = replace(state, options=DisplayOptions(layout=Layout.ROWS))
    pixels = paint(qtbot, state, 1.0)
    left, top = origin(1.0, Layout.ROWS)
    values = variance().variance[0]
    colours = [theme.variance_rgb(float(v), (0.1, 2.0)) for v in values]
    start = left + X_TRACE_MM * 4
    # Each cell of 0.2 s is 20 px wide and 8 px high; find the first lead's strip by its first cell.
    column = pixels[top:, start + 10]
    rows = np.flatnonzero((column == colours[0]).all(axis=-1))
    assert len(rows) == 8
    strip = pixels[top + rows[3], start : start + 1000]
    expected = np.repeat(np.asarray(colours), 20, axis=0)
    assert (strip == expected).all()


def test_what_was_not_computed_is_hatched_and_has_no_colour_of_the_scale(qtbot):
    of = recording(signal_mv=spike_signal(at_s=()))
    found = variance()
    values = found.variance.copy()
    values[0, :5] = np.nan
    known = prediction(of)
    partly = replace(known, segment_variance=replace(found, variance=values))
    options = DisplayOptions(layout=Layout.ROWS)
    strips = {}
    left, top = origin(1.0, Layout.ROWS)
    start = left + X_TRACE_MM * 4
    for name, result in (("known", known), ("partly", partly), ("none", None)):
        state = AppState(recording=of, prediction=result, options=options)
        strips[name] = paint(qtbot, state, 1.0)[top:, start : start + 200]
    here = (strips["known"] != strips["none"]).any(axis=-1)
    first = np.flatnonzero(here.all(axis=1))[:8]  # the strip of the first lead, 8 px high
    hatched, fifth = strips["partly"][first, :100], strips["partly"][first, 100:]
    lines = is_colour(hatched, theme.HATCH)
    assert 0.05 < lines.mean() < 0.6
    assert (hatched[~lines] == strips["none"][first, :100][~lines]).all()
    assert (fifth == strips["known"][first, 100:]).all()
