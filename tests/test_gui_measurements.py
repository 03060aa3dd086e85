"""Measurements beside those of the file, median beats to scale, wave marks where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QComboBox, QLabel, QTableWidget
from pytestqt.qtbot import QtBot

from echoing_gui.features.measuring.median_beats import MedianBeats
from echoing_gui.graphics.pointer import to_px
from echoing_gui.state import DisplayOptions, Layout
from model_core.types import Annotation, MachineMeasurement
from tests.drawn_ecg import DrawnBeat, draw_ecg
from tests.gui_factory import make_program, recording
from tests.test_gui_measuring import ask
from tests.test_gui_overlays import opened, pixels

BEATS_S = np.arange(0.8, 9.5, 0.8)
STORED = (
    MachineMeasurement("heart_rate", 76.0, "/min"),
    MachineMeasurement("qt_interval", 460.0, "ms"),
    MachineMeasurement("qtc_bazett", 470.0, "ms"),
    MachineMeasurement("qtc", 433.0, "ms"),
    MachineMeasurement("qrs_axis", -170.0, "degrees"),
)


@pytest.fixture
def drawn(qtbot: QtBot, program, fake):
    """A program with a drawn ECG of 75 a minute, its axes at 60 degrees, and values in the file."""
    fake.files["drawn.hea"] = recording(
        "drawn.hea",
        draw_ecg(BEATS_S, 10.0, 500.0).astype(np.float32),
        measurements=STORED,
        annotations=(Annotation(3.2, "VPB"),),
    )
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS))
    view = opened(qtbot, program, "drawn.hea")
    qtbot.waitUntil(lambda: program.controller.state.measuring.measured is not None)
    ask(program, "measurements")
    return view


def table(program) -> dict[str, tuple[str, str]]:
    (found,) = [
        t for t in program.window.findChildren(QTableWidget)
        if t.accessibleName() == "Measurements"
    ]  # fmt: skip
    rows = ([found.item(row, column).text() for column in range(3)] for row in range(8))
    return {name: (computed, stored) for name, computed, stored in rows}


def test_both_sources_are_shown_and_differences_marked(program, drawn):
    rows = table(program)
    computed, stored = rows["Heart rate (/min)"]
    assert float(computed) == pytest.approx(75, abs=1)
    assert stored == "76"  # near enough: no mark
    computed, stored = rows["QT (ms)"]
    assert float(computed) == pytest.approx(405, abs=25)
    assert stored == "≠ 460"
    computed, stored = rows["QRS axis (°)"]
    assert float(computed) == pytest.approx(60, abs=3)
    assert stored == "≠ −170"
    assert rows["PR (ms)"][1] == ""


def test_qtc_is_that_of_the_formula_chosen(program, drawn):
    found = program.controller.state.measuring.measured.measurements
    for formula, name in (("hodges", "Hodges"), ("bazett", "Bazett")):
        (box,) = [
            b for b in program.window.findChildren(QComboBox) if b.findData("fridericia") >= 0
        ]
        box.activated.emit(box.findData(formula))
        computed, stored = table(program)[f"QTc {name} (ms)"]
        assert float(computed) == pytest.approx(getattr(found, f"qtc_{formula}_ms"), abs=0.5)
        # The file's value by another formula is named, not compared.
        assert ("470 Bazett" in stored) is (formula != "bazett")
        assert "433 (formula not stated)" in stored


def test_choices_are_kept_for_the_next_start(program, drawn, fake, tmp_path):
    (box,) = [b for b in program.window.findChildren(QComboBox) if b.findData("fridericia") >= 0]
    box.activated.emit(box.findData("hodges"))
    ask(program, "caliper_snap")
    again = make_program(fake, tmp_path)
    assert again.controller.state.measuring.formula == "hodges"
    assert not again.controller.state.measuring.snap
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_a_new_recording_shows_no_measurement_of_the_one_before(qtbot, program, drawn, fake):
    fake.files["flat.hea"] = recording("flat.hea", np.zeros((12, 5000), np.float32))
    opened(qtbot, program, "flat.hea")
    qtbot.waitUntil(lambda: program.controller.state.measuring.measured is not None)
    assert {computed for computed, _ in table(program).values()} == {"–"}
    texts = [label.text() for label in program.window.findChildren(QLabel)]
    assert any(text.startswith("No beat was found") for text in texts)


def test_median_beats_are_drawn_at_the_scale_of_their_pulse(program, drawn):
    widget = program.window.findChild(MedianBeats)
    sheet = widget.sheet
    assert {piece.lead for piece in sheet.pieces} == set(
        program.controller.state.recording.lead_names
    )
    assert sheet.speed_mm_s == 25.0
    image = pixels(widget)
    dark = image.max(axis=2) < 90
    for pulse in sheet.pulses[:3]:  # 1 mV is 40 pixels, 0.2 s are 20, at 4 pixels a millimetre
        left, foot = round(pulse.x_mm * 4), round(pulse.baseline_mm * 4)
        assert dark[foot - 40, left : left + 20].all()
        assert dark[foot - 40 : foot, left].all()
    two = next(piece for piece in sheet.pieces if piece.lead == "II")
    found = program.controller.state.measuring.measured.measurements
    peak = round((two.baseline_mm - 10 * found.r_mv[found.lead_names.index("II")]) * 4)
    left = round(two.x_mm * 4)
    column = dark[peak - 3 : peak + 4, left + 35 : left + 60]
    assert column.any()
    assert not dark[peak - 12 : peak - 3, left + 35 : left + 60].any()
    titles = [label.text() for label in program.window.findChildren(QLabel)]
    assert "Median beat, not rhythm" in titles


def test_wave_marks_stand_where_waves_begin_and_end_and_name_their_source(program, drawn):
    before = pixels(drawn)
    ask(program, "waves")
    changed = (pixels(drawn) != before).any(axis=2)
    camera = drawn.camera(1.0)
    measured = program.controller.state.measuring.measured
    piece = next(p for p in drawn.sheet.pieces if p.lead == "V6")
    low, high = (round(camera.y(piece.baseline_mm + by)) for by in (-2, 2))
    rows = changed[low:high]
    columns = set(np.flatnonzero(rows.mean(axis=0) > 0.5))
    wanted = set()
    for name in ("p_onset", "p_end", "qrs_onset", "qrs_end", "t_end"):
        for mark in getattr(measured.delineation, name) / 500:
            if np.isfinite(mark):
                wanted.add(round(to_px(drawn.sheet, camera, piece, mark, 0).x()))
    assert columns == wanted
    ask(program, "waves")
    np.testing.assert_array_equal(pixels(drawn), before)


@pytest.mark.parametrize("r_mv", [1.2, -1.2])
def test_names_of_waves_stand_beside_the_trace(qtbot, program, fake, r_mv):
    """What was as dark as a trace is not lightened: neither where QRS points up nor down."""
    beat = DrawnBeat(r_mv=r_mv)
    fake.files["deep.hea"] = recording(
        "deep.hea", draw_ecg(BEATS_S, 10.0, 500.0, beat).astype(np.float32)
    )
    view = opened(qtbot, program, "deep.hea")
    qtbot.waitUntil(lambda: program.controller.state.measuring.measured is not None)
    camera = view.camera(1.0)
    (piece,) = [p for p in view.sheet.pieces if p.lead == "II" and p.end_s - p.start_s > 9]
    low, high = round(camera.y(piece.top_mm)), round(camera.y(piece.bottom_mm))
    dark = pixels(view)[low:high].max(axis=2) < 60
    ask(program, "waves")
    after = pixels(view)[low:high]
    named = (after[..., 1].astype(int) - after[..., 0] > 40).sum()
    assert dark.sum() > 500
    assert named > 200
    assert not (dark & (after.max(axis=2) > 150)).any()
