"""Settings: only what differs is written; whatever is wrong in the file does no harm."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from echoing_gui import files
from echoing_gui.settings import Calibration, Settings, load_settings, save_settings, screen_key
from echoing_gui.state import DisplayOptions, Layout, LeadOrder, ThemeChoice


def test_what_is_saved_comes_back(tmp_path):
    options = DisplayOptions(
        Layout.GRID_3, 100.0, 2.5, 1.0, False, ThemeChoice.DARK, LeadOrder.CABRERA, "V1", True
    )
    saved = Settings(options, {"DEL U2720Q 3840x2160": Calibration(6.43, "2026-09-01")})
    save_settings(tmp_path / "deep" / "settings.json", saved)
    assert load_settings(tmp_path / "deep" / "settings.json") == saved


def test_only_what_differs_is_written_and_never_the_zoom(tmp_path):
    path = tmp_path / "settings.json"
    save_settings(path, Settings(DisplayOptions(speed_mm_s=50.0, zoom=2.0)))
    assert json.loads(path.read_text()) == {"speed_mm_s": 50.0}
    assert load_settings(path).options.zoom == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "\x00",
        '{"layout": "5x5", "speed_mm_s": 1e9, "gain_mm_mv": [10], "theme": {}, "screens": 3}',
        '{"screens": {"a": 1, "b": {"device_px_per_mm": "4", "date": "2026"},'
        ' "c": {"device_px_per_mm": -4, "date": "2026"},'
        ' "d": {"device_px_per_mm": 4, "date": ""}}}',
    ],
)  # fmt: skip
def test_nonsense_takes_the_defaults(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    assert load_settings(path) == Settings()


def test_good_values_survive_beside_bad_ones(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"layout": "12x1", "speed_mm_s": "fast"}')
    assert load_settings(path).options == replace(DisplayOptions(), layout=Layout.ROWS)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    save_settings(path, Settings(DisplayOptions(speed_mm_s=50.0)))
    before = path.read_text()

    def full(*_arguments, **_options):
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_settings(path, Settings(DisplayOptions(speed_mm_s=12.5)))
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.json"]


def test_screens_differ_by_maker_serial_and_resolution():
    keys = {
        screen_key("DP-1", "DEL", "U2720Q", "A", 3840, 2160),
        screen_key("DP-1", "DEL", "U2720Q", "B", 3840, 2160),
        screen_key("DP-1", "DEL", "U2720Q", "A", 1920, 1080),
        screen_key("DP-1", "", "", "", 1920, 1080),
        screen_key("DP-2", "", "", "", 1920, 1080),
    }
    assert len(keys) == 5
    # The same screen at another socket is still the same.
    assert screen_key("DP-1", "DEL", "U", "A", 9, 9) == screen_key("HDMI-1", "DEL", "U", "A", 9, 9)
