"""Calipers on the ECG: they read what the file holds, at every scale, and each step can go back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from pytestqt.qtbot import QtBot

from echoing_gui.features.measuring.calipers import march_times_s, read
from echoing_gui.features.measuring.drawing import placed
from echoing_gui.graphics.pointer import pointed, to_px
from echoing_gui.state import DisplayOptions, Layout
from echoing_gui.state_marks import Caliper, CaliperKind, Marks
from tests.gui_factory import recording, spike_signal
from tests.test_gui_overlays import opened, pixels, place


@pytest.fixture
def beats(qtbot: QtBot, program, fake):
    """A program with triangles of 1 mV at 1.0, 1.8 and 2.6 s open in it; its view."""
    fake.files["beats.hea"] = recording("beats.hea", spike_signal(at_s=(1.0, 1.8, 2.6)))
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS))
    view = opened(qtbot, program, "beats.hea")
    view.setFocus()
    return view


def calipers(program):
    return program.controller.state.measuring.marks.calipers


def ask(program, key: str) -> None:
    program.window._qactions[key].trigger()


def drag(qtbot, view, start: QPoint, end: QPoint) -> None:
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(view.viewport(), end)
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=end)


def bar_place(view, end: int) -> QPoint:
    """Where the end of the only time caliper can be taken hold of."""
    caliper = view._state.measuring.marks.calipers[0]
    return placed(caliper, 0, view.sheet, view.camera(1.0))[0].ends[end].toPoint()


def test_a_caliper_is_made_and_set_by_keys_alone(qtbot, program, beats):
    ask(program, "caliper_time")
    assert len(calipers(program)) == 1
    before = calipers(program)[0]
    qtbot.keyClick(beats, Qt.Key.Key_Right)
    qtbot.keyClick(beats, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    after = calipers(program)[0]
    assert after.times_s[1] - before.times_s[1] == pytest.approx(11 / 500)
    assert after.times_s[0] == before.times_s[0]
    qtbot.keyClick(beats, Qt.Key.Key_Backtab)
    qtbot.keyClick(beats, Qt.Key.Key_Left)
    assert calipers(program)[0].times_s[0] == pytest.approx(before.times_s[0] - 1 / 500)
    lead = calipers(program)[0].lead
    qtbot.keyClick(beats, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    assert calipers(program)[0].lead != lead
    ask(program, "caliper_delete")
    assert not calipers(program)


def test_tab_goes_through_all_ends_and_then_on(qtbot, program, beats):
    ask(program, "caliper_time")
    ask(program, "caliper_amplitude")
    seen = []
    for _ in range(4):
        now = program.controller.state.measuring
        seen.append((now.chosen, now.end))
        qtbot.keyClick(beats, Qt.Key.Key_Backtab)
    assert seen == [(1, 1), (1, 0), (0, 1), (0, 0)]
    assert program.controller.state.measuring.chosen is None
    assert not beats.hasFocus()
    ask(program, "caliper_next")
    assert beats.hasFocus()
    assert program.controller.state.measuring.chosen == 0


@pytest.mark.parametrize("seed", range(12))
def test_readings_are_those_of_the_samples_at_any_scale(qtbot, program, fake, seed):
    rng = np.random.default_rng(seed)
    fs = float(rng.choice([250.0, 500.0, 1000.0]))
    signal = np.cumsum(rng.normal(0, 0.01, (12, int(10 * fs))), axis=1).astype(np.float32)
    fake.files["walk.hea"] = recording("walk.hea", signal, fs)
    options = DisplayOptions(
        layout=Layout.ROWS if seed % 2 else Layout.GRID,
        speed_mm_s=float(rng.choice([12.5, 25.0, 50.0])),
        gain_mm_mv=float(rng.choice([5.0, 10.0, 20.0])),
        zoom=float(rng.choice([0.67, 1.0, 1.5, 3.0])),
    )
    program.controller.set_options(options)
    view = opened(qtbot, program, "walk.hea")
    ask(program, "caliper_snap")  # off: the pointer itself is what is measured
    ask(program, "caliper_both")
    found = calipers(program)[0]
    piece = placed(found, 0, view.sheet, view.camera(1.0))[0].piece
    wanted_s = sorted(rng.uniform(piece.start_s + 0.05, piece.end_s - 0.05, 2))
    row = signal[list(fake.files["walk.hea"].lead_names).index(found.lead)]
    wanted_mv = [float(row[round(t * fs)]) for t in wanted_s]
    (tool,) = view._standing_tools
    for ratio in (1.0, float(rng.choice([1.25, 2.0, 3.0]))):
        camera = view.camera(ratio)
        for end in (0, 1):
            held = calipers(program)[0]
            for act, time_s, value_mv in (
                (tool.press, held.times_s[end], held.values_mv[end]),
                (tool.release, wanted_s[end], wanted_mv[end]),
            ):
                at = to_px(view.sheet, camera, piece, time_s, value_mv)
                act(pointed(view.sheet, camera, at.x(), at.y(), Qt.KeyboardModifier.NoModifier))
        found = read(calipers(program)[0])
        true_ms = 1000 * (wanted_s[1] - wanted_s[0])
        assert found.ms is not None
        assert found.ms == pytest.approx(true_ms, abs=1000 / fs + 1e-6)
        assert found.ms * fs / 1000 == pytest.approx(round(found.ms * fs / 1000), abs=1e-6)
        assert found.mv == pytest.approx(abs(wanted_mv[1] - wanted_mv[0]), abs=1e-3)


def test_snapping_reads_the_peaks_exactly_with_a_trembling_hand(qtbot, program, beats):
    ask(program, "caliper_both")
    rng = np.random.default_rng(3)
    for end, (time_s, value_mv) in enumerate(((1.0, 1.0), (1.8, 1.0))):
        caliper = calipers(program)[0]
        start = place(beats, caliper.lead, caliper.times_s[end], caliper.values_mv[end])
        tremble = QPoint(*rng.integers(-1, 2, 2).tolist())
        drag(qtbot, beats, start, place(beats, caliper.lead, time_s, value_mv) + tremble)
    found = calipers(program)[0]
    assert found.times_s == pytest.approx((1.0, 1.8))
    assert read(found).ms == 800.0
    assert found.values_mv == (1.0, 1.0)


def test_calipers_stay_on_their_beats_through_every_change_of_scale(qtbot, program, beats):
    ask(program, "caliper_time")
    for end, time_s in enumerate((1.0, 1.8)):
        target = bar_place(beats, end)
        x = place(beats, calipers(program)[0].lead, time_s).x()
        drag(qtbot, beats, target, QPoint(x, target.y()))
    set_on = calipers(program)
    assert read(set_on[0]).per_minute == 75.0
    for options in (
        DisplayOptions(layout=Layout.GRID),
        DisplayOptions(layout=Layout.ROWS, speed_mm_s=50.0, gain_mm_mv=20.0, zoom=2.0),
    ):
        program.controller.set_options(options)
        assert calipers(program) == set_on
        for end, time_s in enumerate((1.0, 1.8)):
            lead = set_on[0].lead if options.layout is Layout.ROWS else beats_lead(beats)
            assert bar_place(beats, end).x() == pytest.approx(place(beats, lead, time_s).x(), abs=1)


def beats_lead(view) -> str:
    caliper = view._state.measuring.marks.calipers[0]
    return placed(caliper, 0, view.sheet, view.camera(1.0))[0].piece.lead


def test_another_recording_has_no_calipers_and_nothing_to_undo(qtbot, program, beats):
    ask(program, "caliper_time")
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.recording.source_name == "a.hea")
    assert not calipers(program)
    assert not program.controller.state.measuring.can_undo


def test_every_step_can_be_undone_and_done_again(qtbot, program, beats):
    steps = [calipers(program)]
    for key in ("caliper_time", "caliper_march", "caliper_both", "calipers_clear"):
        ask(program, key)
        steps.append(calipers(program))
    for n in range(len(steps) - 2, -1, -1):
        ask(program, "undo")
        assert calipers(program) == steps[n]
    assert not program.controller.state.measuring.can_undo
    for wanted in steps[1:]:
        ask(program, "redo")
        assert calipers(program) == wanted
    assert not program.controller.state.measuring.can_redo


def test_nudges_in_a_row_are_undone_as_one(qtbot, program, beats):
    ask(program, "caliper_time")
    made = calipers(program)
    for _ in range(5):
        qtbot.keyClick(beats, Qt.Key.Key_Right)
    ask(program, "undo")
    assert calipers(program) == made


def test_marching_repeats_the_interval_over_the_row(program, beats):
    caliper = Caliper(CaliperKind.TIME, "II", (1.8, 1.0), (0.0, 0.0), marching=True)
    assert march_times_s(caliper, 0.0, 4.2) == pytest.approx([0.2, 2.6, 3.4, 4.2])


def test_copied_values_are_those_of_the_calipers(program, beats):
    ask(program, "caliper_both")
    ask(program, "caliper_copy")
    lines = QGuiApplication.clipboard().text().splitlines()
    found = read(calipers(program)[0])
    assert lines[0].split("\t") == ["Lead", "From (s)", "ms", "per min", "mV"]
    cells = lines[1].split("\t")
    assert float(cells[2]) == pytest.approx(found.ms, abs=0.5)
    assert float(cells[4]) == pytest.approx(found.mv, abs=5e-4)


def test_calipers_leave_the_recording_as_it_was(program, beats):
    before = pixels(beats)
    ask(program, "caliper_both")
    during = pixels(beats)
    assert (during != before).any()
    ask(program, "undo")
    np.testing.assert_array_equal(pixels(beats), before)


@pytest.mark.parametrize("layout", list(Layout))
def test_nothing_outside_the_marks_own_pixels_is_touched(program, beats, layout):
    program.controller.set_options(DisplayOptions(layout=layout))
    before = pixels(beats.viewport())
    for key in ("caliper_both", "caliper_time", "caliper_march"):
        ask(program, key)
    ask(program, "waves")
    view = beats.viewport()
    alone = QImage(view.size(), QImage.Format.Format_ARGB32_Premultiplied)
    alone.fill(Qt.GlobalColor.transparent)
    camera = beats.camera(1.0)
    painter = QPainter(alone)
    painter.setClipRect(camera.area)
    (tool,) = beats._standing_tools
    tool.paint(painter, beats.sheet, camera)
    painter.end()
    memory = np.frombuffer(alone.constBits(), np.uint8).reshape(view.height(), view.width(), 4)
    own = memory[..., 3] > 0
    changed = (pixels(view) != before).any(axis=2)
    assert changed.any()
    rows, columns = np.nonzero(changed & ~own)
    assert not rows.size, (len(rows), rows[:5], columns[:5], rows.max(), columns.max())


def test_calipers_follow_values_that_the_user_says_are_microvolts(qtbot, program, beats):
    before = Caliper(CaliperKind.BOTH, "II", (0.9, 1.0), (0.0, 1.0))
    measuring = replace(program.controller.state.measuring, marks=Marks((before,)))
    program.controller.change(measuring=measuring)
    program.controller.confirm("microvolts")
    qtbot.waitUntil(lambda: calipers(program)[0] != before)
    assert calipers(program)[0].values_mv == pytest.approx([v / 1000 for v in before.values_mv])
    assert calipers(program)[0].times_s == before.times_s
    assert not program.controller.state.measuring.can_undo


def test_calipers_stay_in_place_while_a_long_recording_is_paged(qtbot, program, fake):
    fake.files["long.hea"] = recording("long.hea", spike_signal(120.0, at_s=(1.0, 31.0)))
    program.controller.open_file(Path("long.hea"))
    measuring = lambda: program.controller.state.measuring  # noqa: E731
    qtbot.waitUntil(lambda: measuring().measured is not None)
    ask(program, "caliper_time")
    made = calipers(program)
    program.controller.go_to(30.0)
    qtbot.waitUntil(lambda: measuring().measured.start_s == 30.0)
    assert calipers(program) == made
    program.controller.go_to(0.0)
    qtbot.waitUntil(lambda: measuring().measured.start_s == 0.0)
    assert calipers(program) == made
