"""Recordings of more than ten seconds: move in them, ask the model about any ten seconds."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QAction

from echoing_gui.graphics.overview import curve_area
from echoing_gui.state import AppState, Layout, Stage
from echoing_gui.view_models.overview import overview_view
from echoing_gui.view_models.results import recording_view, result_view
from echoing_gui.view_models.sheet import build_sheet
from echoing_gui.view_models.texts import span_text
from model_core.errors import ReadError
from model_core.types import LeadGrade, LeadQuality
from tests.gui_factory import FLAT_LEAD, recording, said_of, spike_signal
from tests.test_gui_gate import ARMS
from tests.test_gui_window import has_result, label_texts

HOUR_S = 3600.0


@pytest.fixture
def hour(qtbot, program, fake):
    """An hour at 100 Hz, a beat a second, that began at ten to midnight."""
    signal = np.tile(spike_signal(1.0, 100.0, at_s=(0.5,)), 3600)
    fake.files["hour.ecg"] = recording(
        "hour.ecg", signal, fs=100.0, acquired_at="2026-02-01T23:50:00"
    )
    program.controller.open_file(Path("hour.ecg"))
    qtbot.waitUntil(lambda: program.controller.state.long is not None)
    return program


def page_is(program, start_s):
    state = program.controller.state
    return state.page_start_s == pytest.approx(start_s, abs=0.01) and state.page_is_read


def press(qtbot, program, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(program.window.overview.bar, key, modifier)


def test_comparing_a_long_recording_is_grey_and_says_why_under_the_mouse(qtbot, hour):
    compare = hour.window.findChild(QAction, "compare")
    assert not compare.isEnabled()
    assert said_of(compare) == "This is a long recording, which cannot be compared."
    hour.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(compare.isEnabled)
    assert said_of(compare) == ""


def test_a_long_recording_waits_for_the_user_to_choose(qtbot, hour):
    state = hour.controller.state
    assert state.prediction is None
    assert state.job.stage is Stage.IDLE
    assert hour.window.overview.isVisible()
    assert any("This is a long recording." in text for text in label_texts(hour))
    hour.window.show_page("recording")
    assert "Duration: 1 h 0 min" in " ".join(label_texts(hour))
    hour.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    assert "Estimate of 23:50:00 to 23:50:10." in label_texts(hour)


def test_keys_move_by_seconds_pages_minutes_and_to_the_ends(qtbot, hour):
    hour.window.overview.bar.setFocus()
    shift = Qt.KeyboardModifier.ShiftModifier
    for key, modifier, start_s in (
        (Qt.Key.Key_PageDown, None, 10), (Qt.Key.Key_PageDown, shift, 70),
        (Qt.Key.Key_PageUp, None, 60), (Qt.Key.Key_Right, None, 61), (Qt.Key.Key_Left, None, 60),
        (Qt.Key.Key_PageUp, shift, 0), (Qt.Key.Key_PageUp, None, 0),
        (Qt.Key.Key_End, None, HOUR_S - 10), (Qt.Key.Key_PageDown, None, HOUR_S - 10),
        (Qt.Key.Key_Home, None, 0),
    ):  # fmt: skip
        press(qtbot, hour, key, modifier or Qt.KeyboardModifier.NoModifier)
        qtbot.waitUntil(lambda start_s=start_s: page_is(hour, start_s))
    sheet = hour.window.traces.view.sheet
    assert sheet.window_s == (0, 10)


def test_a_click_and_a_drag_choose_a_place(qtbot, hour):
    bar = hour.window.overview.bar
    area = curve_area(QRectF(bar.rect()), bar._font())
    middle = QPoint(round(area.left() + area.width() / 2), round(area.center().y()))
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=middle)
    second_a_pixel = HOUR_S / area.width()
    state = hour.controller.state
    assert state.page_start_s == pytest.approx(HOUR_S / 2 - 5, abs=second_a_pixel)
    qtbot.waitUntil(lambda: hour.controller.state.page_is_read)
    start_s, end_s = hour.window.traces.view.sheet.window_s
    assert (start_s, end_s - start_s) == (pytest.approx(state.page_start_s, abs=0.01), 10)
    qtbot.mousePress(bar, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(bar, QPoint(bar.width() + 50, 5))
    qtbot.mouseRelease(bar, Qt.MouseButton.LeftButton)


def test_the_estimate_names_its_part_and_says_when_another_is_on_screen(qtbot, hour):
    hour.controller.go_to(1200)
    qtbot.waitUntil(lambda: page_is(hour, 1200))
    hour.window.overview._button.click()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    assert hour.controller.state.prediction.window_s == (1200, 1210)
    assert hour.window.traces.view.sheet.strips
    assert "Estimate of 00:10:00 to 00:10:10 (day 2)." in label_texts(hour)
    hour.controller.go_to(0)
    qtbot.waitUntil(lambda: page_is(hour, 0))
    assert (
        "Estimate of 00:10:00 to 00:10:10 (day 2), not of the ten seconds chosen now "
        "(23:50:00 to 23:50:10)."
    ) in label_texts(hour)
    known = [np.isfinite(strip.variance) for strip in hour.window.traces.view.sheet.strips]
    assert not np.concatenate(known).any()
    assert "The model saw 00:10:00" in hour.window.overview.bar.accessibleDescription()


def test_the_overview_is_completed_and_holds_the_heart_rate(qtbot, hour):
    qtbot.waitUntil(lambda: hour.controller.state.overview is not None)
    qtbot.waitUntil(lambda: hour.controller.state.overview.complete, timeout=20_000)
    overview = hour.controller.state.overview
    np.testing.assert_allclose(overview.rate_per_min, 60, atol=1)
    np.testing.assert_allclose(overview.high_mv, 1, atol=0.01)


def test_a_page_that_cannot_be_read_keeps_the_one_on_screen(qtbot, hour, fake):
    qtbot.waitUntil(lambda: hour.controller.state.overview is not None)
    del fake.files["hour.ecg"]
    hour.controller.go_to(600)
    qtbot.waitUntil(lambda: hour.controller.state.message is not None)
    assert hour.controller.state.message.text == "The file is gone."
    assert page_is(hour, 0)


def test_a_page_asked_for_before_does_not_come_after_another(qtbot, hour, monkeypatch):
    late = threading.Event()
    read = hour.controller._services.read_part

    def slow(of, start_s, duration_s):
        late.wait(10)
        return read(of, start_s, duration_s)

    services = dataclasses.replace(hour.controller._services, read_part=slow)
    monkeypatch.setattr(hour.controller, "_services", services)
    hour.controller.go_to(600)
    # Nothing is confirmed of a page that is not there.
    hour.controller.confirm("electrode_placement")
    assert hour.controller.state.confirmed == frozenset()
    hour.controller.go_to(0)
    late.set()
    qtbot.wait(300)
    assert page_is(hour, 0)
    assert hour.controller.state.recording.start_s == 0


def test_going_back_restores_the_page_asked_for(qtbot, hour, fake, monkeypatch):
    """Another file is opened while a page is read, and cannot be read, or is given up."""
    late, first = threading.Event(), threading.Event()
    read = hour.controller._services.read_part

    def slow_at_first(of, start_s, duration_s):
        if not first.is_set():
            first.set()
            late.wait(10)
            raise ReadError("The process was ended.", hint="", code="reader_died")
        return read(of, start_s, duration_s)

    services = dataclasses.replace(hour.controller._services, read_part=slow_at_first)
    monkeypatch.setattr(hour.controller, "_services", services)
    hour.controller.go_to(600)
    qtbot.waitUntil(first.is_set)
    hour.controller.open_file(Path("broken.hea"))
    late.set()
    qtbot.waitUntil(lambda: page_is(hour, 600))
    assert hour.controller.state.message.text.startswith("broken.hea was not opened.")
    first.clear()
    late.clear()
    fake.read_hold["slow.hea"] = threading.Event()
    hour.controller.open_file(Path("slow.hea"))
    hour.controller.go_to(1200)
    qtbot.waitUntil(first.is_set)
    hour.controller.stop()
    late.set()
    fake.read_hold["slow.hea"].set()
    qtbot.waitUntil(lambda: page_is(hour, 1200))
    assert hour.controller.state.message is None
    assert hour.controller.state.job.stage is Stage.IDLE


def test_going_back_restores_the_estimate_or_what_was_under_way(qtbot, hour, fake):
    hour.controller.go_to(600)
    qtbot.waitUntil(lambda: page_is(hour, 600))
    fake.hold["hour.ecg"] = threading.Event()
    hour.controller.predict_here()
    hour.controller.open_file(Path("broken.hea"))
    fake.hold.pop("hour.ecg").set()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    found = hour.controller.state.prediction
    assert found.window_s == (600, 610)
    hour.controller.go_to(1200)
    qtbot.waitUntil(lambda: page_is(hour, 1200))
    hour.controller.open_file(Path("broken.hea"))
    qtbot.waitUntil(lambda: hour.controller.state.job.stage is Stage.IDLE)
    assert hour.controller.state.prediction is found
    assert page_is(hour, 1200)


@pytest.mark.parametrize(
    ("duration_s", "began", "texts"),
    [
        (20.0, "", ["0", "2 s", "4 s"]),
        (600.0, "", ["0", "1 min", "2 min"]),
        (100.0, "", ["0", "10 s", "20 s"]),
        (18_000.0, "", ["0", "30 min", "1 h", "1 h 30 min"]),
        (18_000.0, "2026-02-01T13:10:00", ["13:30", "14:00"]),
        (100.0, "2026-02-01T13:10:55", ["13:11:00", "13:11:10"]),
    ],
)
def test_times_of_the_overview_have_their_unit(duration_s, began, texts):
    ecg = recording("a.dcm", np.zeros((12, round(duration_s * 10))), fs=10.0, acquired_at=began)
    view = overview_view(AppState(recording=ecg))
    assert view is not None
    assert [text for _, text in view.ticks][: len(texts)] == texts


def marks(state):
    sheet = build_sheet(state)
    assert sheet is not None
    return {piece.lead for piece in sheet.pieces if piece.quality is not None}


def test_what_was_found_in_other_seconds_is_not_shown_here(qtbot, hour, fake):
    fake.reasons["hour.ecg"] = (FLAT_LEAD,)
    hour.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    assert "No estimate of 23:50:00 to 23:50:10." in label_texts(hour)
    spoken = hour.window.overview.bar.accessibleDescription()
    assert "23:50:00 to 23:50:10 was checked, without an estimate." in spoken
    assert "model saw" not in spoken
    seen = hour.controller.state
    quality = (LeadQuality("V2", LeadGrade.UNUSABLE, "The line is flat in lead V2."),)
    seen = dataclasses.replace(
        seen, prediction=dataclasses.replace(seen.prediction, lead_quality=quality)
    )
    assert marks(seen) == {"V2"}
    assert recording_view(seen).quality == (FLAT_LEAD.message,)
    moved = dataclasses.replace(seen, page_start_s=600.0)
    assert marks(moved) == set()
    assert recording_view(moved).quality == ("The ten seconds chosen now have not been looked at.",)


def test_what_is_confirmed_of_electrodes_holds_for_the_seconds_it_was_asked_of(qtbot, hour, fake):
    fake.reasons["hour.ecg"] = (ARMS,)
    hour.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    asked = hour.controller.state
    assert result_view(asked).question is not None
    assert result_view(dataclasses.replace(asked, page_start_s=600.0)).question is None
    hour.controller.confirm("electrode_placement")
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    assert hour.controller.state.prediction.estimates
    hour.controller.go_to(600)
    qtbot.waitUntil(lambda: page_is(hour, 600))
    hour.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(hour, "hour.ecg"))
    assert not hour.controller.state.prediction.estimates
    assert hour.controller.state.confirmed == frozenset()


def test_a_day_without_a_time_is_no_midnight():
    ecg = recording("a.dcm", spike_signal(90.0), acquired_at="2026-02-01")
    assert span_text(AppState(recording=ecg), 10, 20) == "0:00:10 to 0:00:20"


def test_closing_while_it_is_surveyed_leaves_nothing_running(hour):
    assert hour.controller.state.overview is None or not hour.controller.state.overview.complete
    hour.window.close()


def test_half_a_minute_is_estimated_at_once_and_again_elsewhere(qtbot, program, fake):
    fake.files["half.hea"] = recording("half.hea", spike_signal(30.0, at_s=(1.0, 15.0)))
    program.controller.open_file(Path("half.hea"))
    qtbot.waitUntil(lambda: has_result(program, "half.hea"))
    assert program.controller.state.prediction.window_s == (0, 10)
    assert "Estimate of 0.0 to 10.0 s." in label_texts(program)
    program.controller.go_to(12.5)
    assert program.window.traces.view.sheet.window_s == (12.5, 22.5)
    program.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(program, "half.hea"))
    assert program.controller.state.prediction.window_s == (12.5, 22.5)
    fake.reasons["half.hea"] = (FLAT_LEAD,)
    program.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(program, "half.hea"))
    assert not [text for text in label_texts(program) if text.startswith("Estimate of")]


def test_rows_scroll_to_the_ten_seconds_chosen(qtbot, program, fake):
    fake.files["half.hea"] = recording("half.hea", spike_signal(30.0))
    program.controller.open_file(Path("half.hea"))
    qtbot.waitUntil(lambda: has_result(program, "half.hea"))
    program.window.optionsRequested.emit(
        program.controller.state.options.__class__(layout=Layout.ROWS)
    )
    program.controller.go_to(10)
    view = program.window.traces.view
    assert view.sheet.window_s == (0, 30)
    # The fixture's screen has 4 pixels a millimetre: 10 s of 25 mm.
    assert view.horizontalScrollBar().value() == 1000


def test_ten_seconds_have_no_overview(qtbot, program):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    assert not program.window.overview.isVisible()
    assert program.controller.state.overview is None
    assert not [text for text in label_texts(program) if text.startswith("Estimate of")]
