"""Display filters in the window: named on the picture, seen by the eye alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage

from echoing_gui import theme
from echoing_gui.features.filters import filtered
from echoing_gui.graphics.pointer import to_px
from echoing_gui.state import DisplayOptions, Layout, ModelInput
from echoing_gui.view_models import texts
from echoing_gui.view_models.report import PAPERS, report_state, report_view
from model_core.display_filters import RAW, DisplayFilter, filter_for_display
from model_core.preprocess import PreprocessSpec, prepare
from tests.gui_factory import make_program, recording, spike_signal
from tests.test_gui_window import has_result, open_and_wait

NARROW = DisplayOptions(
    layout=Layout.ROWS, high_pass_hz=0.5, low_pass_hz=40.0, notch=True, mains_hz=60.0
)


def choose(qtbot, program, options):
    program.controller.set_options(options)
    wanted = options.display_filter.at(program.controller.state.recording.fs)
    qtbot.waitUntil(lambda: program.controller.state.applied_filter == wanted)


def lead_i(program):
    return program.window.traces.view.sheet.pieces[0].values_mv


def test_a_file_is_drawn_as_recorded_unless_a_filter_is_chosen(qtbot, program):
    open_and_wait(qtbot, program)
    state = program.controller.state
    assert state.applied_filter == RAW
    assert program.window.traces.view.band_texts().filter == "no filter (as recorded, 500 Hz)"
    assert not program.window.traces.view.band_texts().marked
    recorded = state.recording.signal_mv[0, :1250]
    np.testing.assert_array_equal(lead_i(program), recorded - np.median(recorded))


def test_keys_filter_the_trace_and_name_the_filter_on_the_picture(qtbot, program):
    open_and_wait(qtbot, program)
    highest = lead_i(program).max()
    for key in (Qt.Key.Key_F7, Qt.Key.Key_7):
        qtbot.keyClick(program.window, key)
    qtbot.waitUntil(lambda: program.controller.state.applied_filter.low_pass_hz == 40.0)
    assert lead_i(program).max() < 0.9 * highest
    shown = program.window.traces.view.band_texts()
    assert shown.filter == "low-pass 40 Hz (display only)"
    assert shown.marked
    assert "filtered: low-pass 40 Hz" in program.window.traces.view.accessibleDescription()
    for key in (Qt.Key.Key_F7, Qt.Key.Key_0):
        qtbot.keyClick(program.window, key)
    assert program.controller.state.applied_filter == RAW
    assert program.controller.state.filtered is None
    assert lead_i(program).max() == highest


def test_the_model_sees_the_same_bytes_with_and_without_filters(qtbot, program, fake):
    seen = []
    predict = fake._predict

    def watching(of, token, confirmed):
        seen.append((of.signal_mv.tobytes(), prepare(of, PreprocessSpec()).tobytes()))
        return predict(of, token, confirmed)

    fake._predict = watching
    program.controller.load_package()
    open_and_wait(qtbot, program)
    qtbot.waitUntil(lambda: bool(seen))
    choose(qtbot, program, NARROW)
    before = len(seen)
    program.controller.predict_here()
    qtbot.waitUntil(lambda: len(seen) > before and has_result(program, "a.hea"))
    as_read = fake.files["a.hea"]
    drawn = program.controller.state.drawn
    assert drawn.signal_mv.tobytes() != as_read.signal_mv.tobytes()
    assert set(seen) == {
        (as_read.signal_mv.tobytes(), prepare(as_read, PreprocessSpec()).tobytes())
    }
    assert program.controller.state.recording.signal_mv.tobytes() == as_read.signal_mv.tobytes()


def test_another_file_is_never_drawn_with_the_samples_of_the_one_before(qtbot, program, fake):
    fake.files["b.hea"] = recording("b.hea", signal_mv=-2 * spike_signal(at_s=(3.0,)))
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    drawn = []
    program.controller.state_changed.connect(
        lambda _old, new: drawn.append((new.recording, new.drawn))
    )
    open_and_wait(qtbot, program, "b.hea")
    qtbot.waitUntil(lambda: program.controller.state.applied_filter != RAW)
    for of, shown in drawn:
        assert shown is of or shown.recording_id == of.recording_id
    b = fake.files["b.hea"]
    expected = filter_for_display(b.signal_mv, 500.0, NARROW.display_filter)
    np.testing.assert_array_equal(program.controller.state.drawn.signal_mv, expected)


def test_amber_is_painted_for_narrow_filters_only(qtbot, program):
    open_and_wait(qtbot, program)

    def amber():
        view = program.window.traces.view.viewport()
        image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
        colour = QColor(theme.AMBER)
        wanted = (colour.blue(), colour.green(), colour.red())
        return int((pixels[-60:, :, :3] == wanted).all(axis=-1).sum())

    counts = {}
    for name, high, low in (
        ("raw", 0.0, 0.0), ("wide", 0.05, 150.0), ("0.5", 0.5, 0.0), ("40", 0.0, 40.0),
    ):  # fmt: skip
        choose(qtbot, program, DisplayOptions(high_pass_hz=high, low_pass_hz=low))
        counts[name] = amber()
    assert counts["raw"] == counts["wide"] == 0
    assert min(counts["0.5"], counts["40"]) > 500


@pytest.mark.parametrize(
    ("fs", "chosen", "text"),
    [
        (500.0, {"high_pass_hz": 0.05, "low_pass_hz": 150.0},
         "high-pass 0.05 Hz, low-pass 150 Hz (display only)"),
        (250.0, {"low_pass_hz": 150.0},
         "no filter (as recorded, 250 Hz); low-pass 150 Hz not possible at 250 Hz"),
        (100.0, {"low_pass_hz": 40.0, "notch": True},
         "low-pass 40 Hz (display only); notch 50 Hz not possible at 100 Hz"),
    ],
)  # fmt: skip
def test_what_a_rate_does_not_allow_is_said(qtbot, program, fake, fs, chosen, text):
    fake.files["a.hea"] = recording(signal_mv=spike_signal(fs=fs), fs=fs)
    open_and_wait(qtbot, program)
    choose(qtbot, program, DisplayOptions(**chosen))
    qtbot.waitUntil(lambda: texts.filter_text(program.controller.state) == text)


def test_hovering_says_that_a_value_is_filtered(qtbot, program):
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    view = program.window.traces.view
    piece, camera = view.sheet.pieces[0], view.camera(1.0)
    text = view.text_at(to_px(view.sheet, camera, piece, piece.start_s + 1.0, 0.0))
    assert " mV (filtered)" in text


def test_filters_are_remembered(qtbot, program, fake, tmp_path):
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    again = make_program(fake, tmp_path)
    assert again.controller.state.options.display_filter == DisplayFilter(0.5, 40.0, 60.0)
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_the_report_is_drawn_and_named_as_on_screen(qtbot, program):
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    for study_id in ("", "study 1"):
        state = report_state(program.controller.state, study_id)
        view = report_view(state, PAPERS[0], "")
        names = "high-pass 0.5 Hz, low-pass 40 Hz, notch 60 Hz (display only)"
        assert view.caption.endswith(names)
        assert view.stands_out == names
        on_paper = view.ecg[0].sheet.pieces[0].values_mv
        np.testing.assert_allclose(on_paper, lead_i(program)[: on_paper.size], atol=1e-6)


def test_what_the_model_saw_is_said_apart(qtbot, program):
    program.controller.change(model_input=ModelInput(100.0, (0.5, 47.0)))
    assert texts.model_saw(program.controller.state) == ("", "")
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    program.controller.change(model_input=ModelInput(100.0, (0.5, 47.0)))
    shown = program.window.traces.view.band_texts()
    # The package's own rate leaves 45 Hz at most.
    assert shown.model_saw == (
        "Model saw: as recorded, through its own band-pass 0.5–45 Hz, at 100 Hz"
    )


def test_gaps_stay_gaps(qtbot, program, fake):
    signal = spike_signal()
    signal[0, 1000:1200] = np.nan
    fake.files["a.hea"] = recording(signal_mv=signal)
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    drawn = program.controller.state.drawn.signal_mv
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(signal))


def test_a_filtered_recording_is_a_copy():
    of = recording()
    done = filtered(of, NARROW.display_filter)
    assert done.source is of
    assert not np.shares_memory(done.drawn.signal_mv, of.signal_mv)
    assert replace(done.drawn, signal_mv=of.signal_mv).recording_id == of.recording_id


def test_calipers_keep_to_the_trace_that_is_drawn(qtbot, program):
    open_and_wait(qtbot, program)
    choose(qtbot, program, NARROW)
    program.window._answers["caliper_both"]()
    [caliper] = program.controller.state.measuring.marks.calipers
    drawn, recorded = program.controller.state.drawn, program.controller.state.recording
    row = drawn.lead_names.index(caliper.lead)
    for time_s, value_mv in zip(caliper.times_s, caliper.values_mv, strict=True):
        at = round(time_s * drawn.fs)
        assert value_mv == pytest.approx(drawn.signal_mv[row, at], abs=1e-6)
        assert value_mv != pytest.approx(recorded.signal_mv[row, at], abs=1e-6)
