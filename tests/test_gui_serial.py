"""Serial comparison: one scale, the right patient, differences that are really there."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage

from echoing_gui.features import serial
from echoing_gui.features.serial import SerialView, compare, measured
from echoing_gui.state import Layout, ThemeChoice
from echoing_gui.view_models.comparison import (
    Patients,
    interval_rows,
    match_patients,
    measure_rows,
)
from echoing_gui.view_models.sheet import build_sheet
from model_core.display_filters import DisplayFilter, filter_for_display
from model_core.types import Recording
from tests.drawn_ecg import DrawnBeat, draw_ecg
from tests.gui_factory import FLAT_LEAD, prediction, recording


def ecg(name: str, rate: float = 60.0, t_mv: float = 0.35, **metadata: Any) -> Recording:
    times_s = np.arange(0.5, 9.6, 60 / rate)
    drawn = draw_ecg(times_s, 10.0, 500.0, DrawnBeat(t_mv=t_mv))
    return recording(name, drawn.astype(np.float32), **metadata)


ROE: dict[str, Any] = {
    "patient": (("Name", "Roe^Jane"), ("Identifier", "4711"), ("Date of birth", "1950-01-02"))
}


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (ROE, ROE, Patients.SAME),
        (ROE, {"patient": (("Identifier", "4712"),)}, Patients.DIFFERENT),
        (ROE, {"patient": (("Name", "jane roe"), ("Date of birth", "1950-01-02"))}, Patients.SAME),
        (ROE, {"patient": (("Name", "Roe Jane"),)}, Patients.UNKNOWN),
        (ROE, {"patient": (("Date of birth", "1951-01-02"),)}, Patients.DIFFERENT),
        ({"sex": "male"}, {"sex": "female"}, Patients.DIFFERENT),
        ({}, {}, Patients.UNKNOWN),
    ],
)
def test_whether_it_is_the_same_patient(one, two, expected):
    match = match_patients(recording("a", **one), recording("b", **two))
    assert match.patients is expected
    assert "Roe" not in match.reason
    assert "4711" not in match.reason


def test_differences_are_those_of_the_ecgs():
    slow, fast = (measured(ecg(name, rate), None) for name, rate in (("a", 60.0), ("b", 90.0)))
    rows = {row.label: row for row in interval_rows(slow.measurements, fast.measurements)}
    assert rows["Heart rate"].difference == "+30 /min"
    assert rows["QRS"].difference in ("0 ms", "+1 ms", "−1 ms", "+2 ms", "−2 ms")


def test_axes_differ_the_short_way_round():
    base = measured(ecg("a"), None).measurements
    rows = interval_rows(
        replace(base, qrs_axis_deg=170.0, t_axis_deg=math.nan),
        replace(base, qrs_axis_deg=-170.0, t_axis_deg=10.0),
    )
    by_label = {row.label: row for row in rows}
    assert by_label["QRS axis"].difference == "+20 °"
    assert by_label["T axis"].earlier == "–"
    assert by_label["T axis"].difference == ""


def test_overlapping_intervals_show_no_difference_whatever_the_values():
    of = recording()
    (row, *_) = measure_rows(prediction(of, lvef=45.0), prediction(of, lvef=60.0))
    assert row.difference == "+15 points"
    assert row.note == "The intervals overlap: that proves no change."
    withheld = measure_rows(prediction(of, FLAT_LEAD), prediction(of))
    assert withheld[0].label == "LVEF (90 % interval)"
    assert withheld[0].earlier == "no result"
    assert withheld[0].difference == ""
    assert [row.note for row in withheld] == ["A chest lead is flat.", "", ""]
    neither = measure_rows(prediction(of, FLAT_LEAD), prediction(of, FLAT_LEAD))
    assert {(row.earlier, row.now, row.difference) for row in neither} == {
        ("no result", "no result", "")
    }
    assert neither[0].note == "A chest lead is flat."


def test_the_earlier_one_stands_first_whichever_was_opened():
    old = measured(ecg("old", acquired_at="2020-01-01T10:00:00"), None)
    new = measured(ecg("new", acquired_at="2021-01-01T10:00:00"), None)
    for found in (compare(old, new), compare(new, old)):
        assert found.ordered
        assert found.first is old
    unknown = compare(measured(ecg("this"), None), old)
    assert not unknown.ordered
    assert unknown.first is old


@pytest.fixture
def pair(qtbot, program, fake):
    """This ECG on screen, and another one of the same patient to compare with."""
    fake.files["now.hea"] = ecg("now", 90.0, acquired_at="2021-01-01T10:00:00", **ROE)
    fake.files["old.hea"] = ecg("old", 60.0, -0.35, acquired_at="2020-01-01T10:00:00", **ROE)
    other: dict[str, Any] = {"patient": (("Identifier", "99"),)}
    fake.files["other.hea"] = ecg("other", 70.0, **other)
    program.controller.open_file(Path("now.hea"))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    return program


def compared(qtbot, program, name: str) -> SerialView:
    feature = program.window.findChild(serial.Serial)
    feature.compare_with(Path(name))
    qtbot.waitUntil(lambda: program.window.shown_view == "serial")
    return program.window.findChild(SerialView)


def cells(view: SerialView) -> list[str]:
    items = [view.table.topLevelItem(n) for n in range(view.table.topLevelItemCount())]
    return [item.text(column) for item in items if item is not None for column in range(5)]


def test_both_ecgs_stand_side_by_side_in_one_scale(qtbot, pair):
    view = compared(qtbot, pair, "old.hea")
    assert [each.sheet and each.sheet.speed_mm_s for each in view.views] == [25.0, 25.0]
    assert "old.hea" not in view.names[1].text()
    assert "Earlier: old" in view.names[0].text()
    pair.window._qactions["gain_20"].trigger()
    assert [each.sheet and each.sheet.pieces[0].gain_mm_mv for each in view.views] == [20.0, 20.0]
    assert "+30 /min" in cells(view)
    assert "Research use only" in view._caveat.text()
    log = (pair.controller._settings_path.parent / "audit.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["event"] == "compared"


def _between_tints(sheet):
    """Paper from each strip to where the tint of the next row begins, mm."""
    rows = sorted({(s.y_mm, s.tint_top_mm) for s in sheet.strips if s.tint_top_mm is not None})
    assert rows
    return [top - above for (above, _), (_, top) in itertools.pairwise(rows)]


@pytest.mark.parametrize("layout", list(Layout))
def test_each_lead_stands_beside_itself(qtbot, pair, fake, layout):
    tall = 3 * fake.files["old.hea"].signal_mv
    fake.files["old.hea"] = replace(fake.files["old.hea"], signal_mv=tall)
    options = replace(pair.controller.state.options, layout=layout, variance_underlay=True)
    pair.controller.set_options(options)
    view = compared(qtbot, pair, "old.hea")
    sheets = [each.sheet for each in view.views if each.sheet]
    assert len(sheets) == 2
    places = [{(p.lead, p.baseline_mm) for p in sheet.pieces} for sheet in sheets]
    assert places[0] == places[1]
    assert sheets[0].height_mm == sheets[1].height_mm
    for ecg_view, sheet in zip(view.views, sheets, strict=True):
        alone = build_sheet(ecg_view._state)
        assert alone is not None
        baselines = sorted({p.baseline_mm for p in sheet.pieces})
        assert {p.baseline_mm for p in sheet.pulses} == set(baselines)
        assert {y_mm for _, y_mm in sheet.separators} <= set(baselines)
        # Traces, strips and names keep their distance from their baseline, and so the scale.
        for moved, before in zip(sheet.pieces, alone.pieces, strict=True):
            for name in ("top_mm", "bottom_mm", "label_bottom_mm"):
                off = getattr(moved, name) - moved.baseline_mm
                assert off == pytest.approx(getattr(before, name) - before.baseline_mm)
            assert moved.gain_mm_mv == before.gain_mm_mv
        for strip, before in zip(sheet.strips, alone.strips, strict=True):
            piece = next(p for p in sheet.pieces if p.x_mm == strip.x_mm and p.lead == strip.lead
                         and p.top_mm < strip.y_mm < p.bottom_mm)  # fmt: skip
            first = next(p for p in alone.pieces if p.x_mm == before.x_mm and p.lead == before.lead
                         and p.top_mm < before.y_mm < p.bottom_mm)  # fmt: skip
            assert strip.y_mm - piece.baseline_mm == pytest.approx(before.y_mm - first.baseline_mm)
        # Nor does a row that is moved down leave paper without its tint between the rows.
        gaps = [_between_tints(each) for each in (sheet, alone)]
        assert gaps[0] == pytest.approx(gaps[1])


def test_two_patients_are_not_compared_until_that_is_asked_for(qtbot, pair):
    view = compared(qtbot, pair, "other.hea")
    assert "different patients" in view._match.text()
    assert not view._body.isVisible()
    assert cells(view) == []
    assert all(each.sheet is None for each in view.views)
    view._override.click()
    assert view._body.isVisible()
    assert cells(view)
    log = (pair.controller._settings_path.parent / "audit.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["event"] == "compared_despite_patients"


def test_median_beats_lie_on_one_another_in_two_colours(qtbot, pair):
    view = compared(qtbot, pair, "old.hea")
    view._beats_on.click()
    image = view._beats.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    memory = np.frombuffer(image.constBits(), np.uint8)
    pixels = memory.reshape(image.height(), image.width(), 4)[..., 2::-1].astype(int)
    earlier, later = (
        np.abs(pixels - np.asarray(colour)).sum(axis=2) < 60
        for colour in ((0xB6, 0x5A, 0x00), (0x10, 0x14, 0x18))
    )
    assert earlier.sum() > 100
    assert later.sum() > 100


def test_beats_are_laid_out_once_for_a_width_and_a_scale(qtbot, pair, monkeypatch):
    rooms: list[float] = []
    lay_out = serial.beat_sheets

    def counted(beats, options, room_mm):
        rooms.append(room_mm)
        return lay_out(beats, options, room_mm)

    view = compared(qtbot, pair, "old.hea")
    view._beats_on.click()
    beats = view._beats
    before = beats.grab().toImage()
    height = beats.minimumHeight()
    monkeypatch.setattr(serial, "beat_sheets", counted)
    for _ in range(5):
        assert beats.grab().toImage() == before
        beats.sizeHint()
        beats.resize(beats.width(), beats.height() + 1)
    assert rooms == []
    pair.window.resize(pair.window.width() - 200, pair.window.height())
    qtbot.waitUntil(lambda: len(rooms) > 0)
    qtbot.wait(50)
    assert len(rooms) == len(set(rooms))
    rooms.clear()
    pair.window._qactions["gain_20"].trigger()
    assert len(rooms) == 1
    assert beats.grab().toImage() != before
    assert beats.minimumHeight() > height


def test_both_ecgs_are_drawn_through_the_display_filter(qtbot, pair):
    view = compared(qtbot, pair, "old.hea")

    def drawn() -> list[Recording | None]:
        return [each._state.drawn for each in view.views]

    as_recorded = [each.signal_mv for each in drawn() if each]
    pair.window.trigger("low_pass_40")
    qtbot.waitUntil(lambda: all(each._state.filtered for each in view.views))
    for each, before, ecg_view in zip(drawn(), as_recorded, view.views, strict=True):
        assert each is not None
        wanted = filter_for_display(before, each.fs, DisplayFilter(low_pass_hz=40.0))
        np.testing.assert_array_equal(each.signal_mv, wanted)
        assert ecg_view.band_texts().filter == "low-pass 40 Hz (display only)"
    # With names hidden, the same samples and no other texts.
    pair.window.trigger("privacy")
    assert [each and each.source_name for each in drawn()] != ["old", "now"]
    assert [view.band_texts().filter for view in view.views] == 2 * [
        "low-pass 40 Hz (display only)"
    ]
    # Median beats are never filtered, and say so.
    assert "No filter" in view._beats_caption.text()
    pair.window.trigger("filter_off")
    np.testing.assert_array_equal([each.signal_mv for each in drawn() if each], as_recorded)


def test_a_filter_chosen_before_is_in_the_comparison(qtbot, pair):
    pair.window.trigger("high_pass_0.5")
    view = compared(qtbot, pair, "old.hea")
    qtbot.waitUntil(lambda: all(each._state.filtered for each in view.views))
    assert {each.band_texts().filter for each in view.views} == {"high-pass 0.5 Hz (display only)"}


@pytest.mark.parametrize("theme", list(ThemeChoice))
def test_the_names_of_both_colours_can_be_seen_in_all_colours(qtbot, pair, theme):
    """The squares that name the colours stand out against what is behind them, as 3:1 or more."""
    pair.controller.set_options(replace(pair.controller.state.options, theme=theme))
    view = compared(qtbot, pair, "old.hea")
    view._beats_on.click()
    image = view._beats_caption.grab().toImage()
    behind = image.pixelColor(2, 2)
    for colour in (serial.EARLIER_COLOUR, serial.LATER_COLOUR):
        one, other = sorted((luminance(QColor(colour)), luminance(behind)))
        assert (other + 0.05) / (one + 0.05) > 3


def luminance(colour: QColor) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def test_another_ecg_ends_the_comparison(qtbot, pair):
    view = compared(qtbot, pair, "old.hea")
    pair.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: pair.window.shown_view == "reading")
    assert cells(view) == []


def test_a_file_that_cannot_be_read_is_told_and_nothing_is_lost(qtbot, pair):
    feature = pair.window.findChild(serial.Serial)
    feature.compare_with(Path("missing.hea"))
    qtbot.waitUntil(lambda: pair.controller.state.message is not None)
    assert pair.controller.state.message.text.startswith("The other ECG was not opened.")
    assert pair.controller.state.prediction is not None


def test_what_another_model_package_said_is_not_compared(qtbot, pair):
    view = compared(qtbot, pair, "old.hea")
    assert any("LVEF" in cell for cell in cells(view))
    pair.controller.change_package()
    qtbot.waitUntil(lambda: pair.window.shown_view == "reading")
    assert cells(view) == []
    assert view.comparison is None


def test_what_stands_behind_the_numbers_is_one_click_away(qtbot, pair, monkeypatch):
    view = compared(qtbot, pair, "old.hea")
    asked: list[str] = []
    monkeypatch.setattr(pair.window, "trigger", asked.append)
    view.aboutRequested.emit()
    assert asked == ["about_result"]
    pair.controller.change(facts=None)
    assert not view._about.isEnabled()
