"""What a reader of the window would stumble over: things cut off, gone stale, or in the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QFileDialog, QLabel, QToolButton, QWidget

from echoing_gui.features.serial import SerialView, compare, measured
from echoing_gui.graphics import paper
from echoing_gui.state import AppState, DisplayOptions, Layout
from echoing_gui.view_models.report import PAPERS, report_view
from echoing_gui.view_models.results import recording_view
from echoing_gui.view_models.sheet import lay_out
from model_core.types import LeadGrade, LeadQuality
from tests.conftest import settle
from tests.gui_factory import NOISY_LEAD, prediction, recording, spike_signal
from tests.test_gui_window import has_result


@pytest.fixture
def narrow(program, fake):
    """A window that shows less than ten seconds and not all rows; an hour and a minute to open."""
    hour = np.tile(spike_signal(1.0, 100.0, at_s=(0.5,)), 3600)
    fake.files["hour.ecg"] = recording("hour.ecg", hour, fs=100.0)
    fake.files["minute.ecg"] = recording("minute.ecg", hour[:, :6000], fs=100.0)
    program.window.resize(1100, 640)
    return program


def test_what_stands_above_the_paper_is_not_cut_off_when_a_scroll_bar_comes(qtbot, narrow):
    """The overview of a longer recording takes room from the rows, which then have to scroll."""
    view = narrow.window.traces.view
    narrow.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(narrow, "a.hea"))
    qtbot.waitUntil(lambda: view.horizontalScrollBar().isVisible())
    narrow.controller.open_file(Path("minute.ecg"))
    qtbot.waitUntil(lambda: view.verticalScrollBar().isVisible())
    qtbot.waitUntil(lambda: view.viewport().width() == view.verticalScrollBar().x())


def test_another_page_of_a_long_recording_is_shown_from_its_start(qtbot, narrow):
    narrow.controller.open_file(Path("hour.ecg"))
    qtbot.waitUntil(lambda: narrow.controller.state.long is not None)
    bar = narrow.window.traces.view.horizontalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    narrow.controller.go_to(600)
    qtbot.waitUntil(lambda: narrow.controller.state.page_is_read)
    assert bar.value() == 0


def test_another_page_of_rows_is_scrolled_to(qtbot, narrow):
    state = narrow.controller.state
    narrow.controller.set_options(replace(state.options, layout=Layout.ROWS))
    narrow.controller.open_file(Path("minute.ecg"))
    qtbot.waitUntil(lambda: has_result(narrow, "minute.ecg"))
    narrow.controller.go_to(20)
    # 25 mm/s at 4 px/mm
    assert narrow.window.traces.view.horizontalScrollBar().value() == 20 * 100


def test_what_was_said_of_one_ecg_is_gone_with_it(qtbot, program):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    program.window.statusBar().showMessage("What-if, not a result")
    program.controller.open_file(Path("b.hea"))
    qtbot.waitUntil(lambda: has_result(program, "b.hea"))
    assert not program.window.statusBar().currentMessage()


def test_another_ecg_can_be_moved_by_the_keys_at_once(qtbot, program):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    program.window.measures.header.setFocus()
    program.controller.open_file(Path("b.hea"))
    qtbot.waitUntil(lambda: has_result(program, "b.hea"))
    assert program.window.focusWidget() is program.window.traces.view


def test_a_comparison_that_waits_for_a_word_is_no_higher_than_its_texts(qtbot):
    """Two sexes are two patients: nothing but the warning is shown until that is confirmed."""
    view = SerialView()
    qtbot.addWidget(view)
    view.resize(1200, 700)
    view.show()
    cases = [measured(recording(f"{sex}.hea", sex=sex), None) for sex in ("female", "male")]
    view.show_state(AppState(), AppState(recording=cases[0].recording))
    view.show_comparison(compare(*cases))
    warnings = [
        label for label in view.findChildren(QLabel) if label.isVisible() and label.wordWrap()
    ]
    assert any("different patients" in label.text() for label in warnings)
    for label in warnings:
        assert label.height() < 3 * label.fontMetrics().height()


def test_a_noisy_lead_is_a_finding_of_the_input_check():
    of = recording("a.hea")
    noisy = LeadQuality("V3", LeadGrade.NOISY, message="Lead V3 is noisy.")
    state = AppState(recording=of, prediction=replace(prediction(of), lead_quality=(noisy,)))
    assert recording_view(state).quality == ("Lead V3 is noisy.",)


def test_a_noisy_lead_is_marked_on_paper_too():
    of = recording("a.hea")
    noisy = LeadQuality("V3", LeadGrade.NOISY, message="Lead V3 is noisy.")
    state = AppState(recording=of, prediction=replace(prediction(of), lead_quality=(noisy,)))
    (page,) = report_view(state, PAPERS[0], "").ecg
    assert {piece.lead for piece in page.sheet.pieces if piece.quality is noisy} == {"V3"}


def test_each_kind_of_file_is_named_once_in_the_dialog(qtbot, program):
    program.window.trigger("open")
    dialog = program.window.findChild(QFileDialog)
    suffixes = dialog.nameFilters()[0].split("(")[1].rstrip(")").split()
    assert "*.xml" in suffixes
    assert len(suffixes) == len(set(suffixes))
    dialog.reject()


def test_every_control_shows_that_it_has_the_focus(qtbot, program):
    """WCAG 2.4.7: something within the control, or on its edge, looks different then."""
    window = program.window
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    for page in ("result", "recording", "measurements", "notes"):
        window.show_page(page)
        settle()
        controls = [
            each
            for each in window.findChildren(QWidget)
            if each.isVisible() and each.isEnabled() and not each.visibleRegion().isEmpty()
            if each.focusPolicy() & Qt.FocusPolicy.TabFocus and each.focusProxy() is None
        ]
        assert len(controls) > 10
        for control in controls:
            # The room around it too: where a frame is drawn by a parent.
            place = QRect(control.mapTo(window, QPoint()), control.size()).adjusted(-2, -2, 2, 2)
            seen = []
            for focused in (True, False):
                control.setFocus(Qt.FocusReason.TabFocusReason)
                if not focused:
                    control.clearFocus()
                settle()
                seen.append(window.grab(place).toImage())
            assert seen[0] != seen[1], (page, control, control.accessibleName())


def test_reasons_for_doubt_come_before_the_measures_and_the_scale_last_under_tab(
    qtbot, program, fake
):
    fake.reasons["a.hea"] = (NOISY_LEAD,)
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    window, order = program.window, []
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.waitUntil(lambda: window.findChild(QToolButton, "chip").isVisible())
    window.traces.setFocus()
    while window.focusWidget() not in order:
        order.append(window.focusWidget())
        window.focusNextPrevChild(True)
    places = [
        next(n for n, each in enumerate(order) if each.objectName() == name)
        for name in ("result", "chip", "fold", "scaleFine")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["I", "Nehb D", "ECG X10", "W" * 16, "LEFT 01 " * 5])
def test_names_beside_rows_lie_whole_in_their_margin(qapp, name):
    drawn = lay_out(recording("a", leads=(name,)), DisplayOptions(layout=Layout.ROWS))
    image = QImage(300, 200, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    paper.paint_sheet(painter, drawn, paper.Camera(4.0, 0, 0, QRectF(image.rect()), 1.0), {})
    painter.end()
    gutter = paper.gutter_px(Layout.ROWS, 4.0, 1.0)
    dark = [
        [image.pixelColor(x, y).lightness() < 100 for x in range(gutter - 1)]
        for y in range(image.height())
    ]
    inked = np.flatnonzero(np.any(dark, axis=0))
    assert inked.size
    assert inked.min() > 0
    assert inked.max() < gutter - 2
