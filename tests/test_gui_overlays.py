"""Overlays and tools on the ECG: drawn above it without touching it, answered before it pans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from echoing_gui.graphics import paper
from echoing_gui.graphics.pointer import from_px, to_px
from echoing_gui.state import DisplayOptions, Layout
from tests.gui_factory import recording, spike_signal


def opened(qtbot: QtBot, program, name="a.hea"):
    program.controller.open_file(Path(name))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    return program.window.traces.view


def pixels(widget) -> np.ndarray:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    memory = np.frombuffer(image.constBits(), np.uint8)
    return memory.reshape(image.height(), image.width(), 4)[..., :3].copy()


def place(view, lead: str, time_s: float, value_mv: float = 0.0) -> QPoint:
    piece = next(p for p in view.sheet.pieces if p.lead == lead and p.start_s <= time_s < p.end_s)
    return to_px(view.sheet, view.camera(1.0), piece, time_s, value_mv).toPoint()


class FakeTool:
    def __init__(self, *, takes: bool) -> None:
        self.takes, self.seen = takes, []

    def press(self, at):
        self.seen.append(("press", at.piece.lead, round(at.time_s, 2)))
        return self.takes

    def move(self, at, *, held):
        self.seen.append(("move", at.piece.lead, held))
        return self.takes

    def release(self, at):
        self.seen.append(("release", at.piece.lead))

    def key(self, event):
        self.seen.append(("key", event.key()))
        return self.takes


def test_an_overlay_changes_no_pixel_but_its_own(qtbot, program):
    view = opened(qtbot, program)
    before = pixels(view)
    np.testing.assert_array_equal(pixels(view), before)  # the kept picture is the one painted
    shown: list[QPointF] = []

    def paint(painter, sheet, camera):
        if shown:
            painter.fillRect(shown[0].x(), shown[0].y(), 30, 20, QColor("#00ff00"))

    view.add_overlay(paint)
    shown.append(QPointF(place(view, "II", 1.0)))
    view.refresh_overlays()
    after = pixels(view)
    changed = (after != before).any(axis=2)
    rows, columns = np.nonzero(changed)
    x, y = shown[0].toPoint().toTuple()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (y, y + 19, x, x + 29)
    shown.clear()
    view.refresh_overlays()
    np.testing.assert_array_equal(pixels(view), before)


def test_refreshing_overlays_paints_no_trace_anew(qtbot, program, monkeypatch):
    view = opened(qtbot, program)
    view.add_overlay(lambda *_given: None)
    pixels(view), pixels(view)
    painted = []
    real = paper.paint_sheet
    monkeypatch.setattr(paper, "paint_sheet", lambda *given: (painted.append(1), real(*given)))
    view.refresh_overlays()
    pixels(view)
    assert not painted
    program.controller.set_options(DisplayOptions(speed_mm_s=50.0))
    pixels(view)
    assert painted  # another sheet is another picture


def test_a_tool_answers_first_and_what_it_leaves_moves_the_ecg(qtbot, program, fake):
    fake.files["long.hea"] = recording("long.hea", spike_signal(30.0))
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS))
    view = opened(qtbot, program, "long.hea")
    at = place(view, "II", 2.0)
    for takes in (True, False):
        tool = FakeTool(takes=takes)
        view.set_tool(tool)
        qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
        qtbot.mouseMove(view.viewport(), at - QPoint(40, 0))
        qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=at - QPoint(40, 0))
        qtbot.keyClick(view, Qt.Key.Key_Tab)
        kinds = [entry[0] for entry in tool.seen]
        assert tool.seen[0] == ("press", "II", pytest.approx(2.0, abs=0.01))
        assert tool.seen[-1] == ("key", Qt.Key.Key_Tab)
        assert ("release" in kinds) is takes
        assert view.hasFocus() is takes  # a Tab that the tool leaves goes on
        assert view.horizontalScrollBar().value() == (0 if takes else 40)
        view.setFocus()
    view.set_tool(None)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.horizontalScrollBar().value() == 80


def test_a_click_tells_lead_and_time_and_a_drag_does_not(qtbot, program):
    view = opened(qtbot, program)
    clicked = []
    view.clicked.connect(lambda lead, time_s: clicked.append((lead, time_s)))
    at = place(view, "V2", 5.5)
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert clicked == [("V2", pytest.approx(5.5, abs=0.006))]
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseMove(view.viewport(), at + QPoint(30, 0))
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=at + QPoint(30, 0))
    assert len(clicked) == 1


def test_a_moment_is_scrolled_into_sight(qtbot, program, fake):
    fake.files["long.hea"] = recording("long.hea", spike_signal(30.0))
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS, speed_mm_s=50.0))
    view = opened(qtbot, program, "long.hea")
    for time_s, lead in ((22.0, "V6"), (0.5, "I")):
        assert view.show_time(time_s, lead)
        assert view.viewport().rect().contains(place(view, lead, time_s))
    moved = view.horizontalScrollBar().value()
    assert view.show_time(0.6, "I")
    assert view.horizontalScrollBar().value() == moved  # what is in sight stays where it is
    assert not view.show_time(31.0)


def test_places_lead_to_pixels_and_back(qtbot, program):
    view = opened(qtbot, program)
    camera, piece = view.camera(2.0), view.sheet.pieces[5]
    at = to_px(view.sheet, camera, piece, 3.1234, -0.567)
    assert from_px(view.sheet, camera, piece, at.x(), at.y()) == pytest.approx((3.1234, -0.567))
