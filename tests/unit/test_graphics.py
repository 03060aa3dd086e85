"""Polylines lose no peak; colours are cividis on a fixed logarithmic scale."""

from __future__ import annotations

import numpy as np
import pytest

from echoing_gui import theme
from echoing_gui.graphics.traces import CHUNK_SAMPLES, piece_polylines, polyline, thin
from echoing_gui.state import DisplayOptions, Layout
from echoing_gui.view_models.sheet import lay_out
from model_core.dsp import finite_runs
from tests.gui_factory import recording, spike_signal

ROWS = DisplayOptions(layout=Layout.ROWS)


def points(lines):
    return np.asarray([(p.x(), p.y()) for line in lines for p in line])


def test_polyline_keeps_every_coordinate():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000))
    np.testing.assert_array_equal(points([polyline(x, y)]), np.stack([x, y], axis=1))


@pytest.mark.parametrize("n_samples", [1, 2, 5, 6, 5000, 5001])
@pytest.mark.parametrize("group", [1, 2, 5, 17])
def test_thinning_keeps_each_groups_extremes_in_order(n_samples, group):
    values = np.random.default_rng(n_samples).normal(size=n_samples).astype(np.float32)
    kept = thin(values, group)
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == n_samples - 1
    for start in range(0, n_samples, group):
        inside = kept[(kept >= start) & (kept < start + group)]
        block = values[start : start + group]
        assert values[inside].max() == block.max()
        assert values[inside].min() == block.min()


@pytest.mark.parametrize("px_per_mm", [2.0, 4.0, 8.0, 40.0])
def test_points_lie_at_their_time_and_voltage(px_per_mm):
    rng = np.random.default_rng(1)
    signal = rng.normal(0, 0.3, (12, 5000)).astype(np.float32)
    sheet = lay_out(recording(signal_mv=signal), ROWS)
    found = points(piece_polylines(sheet.pieces[0], sheet, px_per_mm, 0))
    sample = found[:, 0] / (25 * px_per_mm) * 500
    index = np.round(sample).astype(int)
    np.testing.assert_allclose(sample, index, atol=1e-6)
    expected = -sheet.pieces[0].values_mv[index] * 10 * px_per_mm
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-5, atol=1e-5)


def test_chunks_join():
    signal = spike_signal(40.0)
    sheet = lay_out(recording(signal_mv=signal), ROWS)
    first = points(piece_polylines(sheet.pieces[0], sheet, 4.0, 0))
    second = points(piece_polylines(sheet.pieces[0], sheet, 4.0, 1))
    assert first[-1, 0] == second[0, 0] == pytest.approx(CHUNK_SAMPLES / 500 * 100)


def test_gaps_are_gaps():
    values = np.asarray([np.nan, 1, 2, np.nan, 3, np.nan], dtype=np.float32)
    assert list(finite_runs(values)) == [(1, 3), (4, 5)]
    assert list(finite_runs(values[:0])) == []
    signal = spike_signal()
    signal[0, 1000:2000] = np.nan
    signal[0, 1500] = 0.2
    sheet = lay_out(recording(signal_mv=signal), ROWS)
    lines = piece_polylines(sheet.pieces[0], sheet, 4.0, 0)
    assert len(lines) == 3
    assert points(lines[1:2])[0, 0] == pytest.approx(300)  # the lone sample at 3 s leaves a dot


def test_colours_are_cividis_dark_for_high():
    from matplotlib import colormaps

    low, high = 0.1, 10.0
    for share in np.linspace(0, 1, 41):
        value = float(np.exp(np.log(low) + share * np.log(high / low)))
        expected = np.asarray(colormaps["cividis"](1 - share)[:3]) * 255
        found = np.asarray(theme.variance_rgb(value, (low, high)))
        assert np.abs(found - expected).max() <= 3
    assert theme.variance_rgb(1e-9, (low, high)) == theme.variance_rgb(low, (low, high))
    assert theme.variance_rgb(1e9, (low, high)) == theme.variance_rgb(high, (low, high))


def test_darkness_rises_with_variance_to_any_eye():
    """Lightness falls monotonically also for those without green cones (Machado et al. 2009)."""
    deuteranopia = np.asarray(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    )  # fmt: skip
    colours = (
        np.asarray([theme.variance_rgb(v, (0.1, 10)) for v in np.geomspace(0.1, 10, 64)]) / 255
    )
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for seen in (linear, linear @ deuteranopia.T):
        luminance = seen @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luminance) < 0).all()
