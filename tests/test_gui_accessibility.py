"""The window without a mouse, without sight, and with large letters."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAccessible, QFont
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QScrollBar,
    QToolBar,
    QToolButton,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.actions import ACTIONS
from echoing_gui.state import AppState, ThemeChoice
from echoing_gui.view_models.texts import announcement
from echoing_gui.wiring import make_application
from tests.gui_factory import FLAT_LEAD, NOISY_LEAD, prediction, recording
from tests.test_gui_window import has_result


@pytest.fixture
def opened(qtbot, program, fake):
    fake.reasons["a.hea"] = (NOISY_LEAD,)
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    return program


def focusable(window):
    return [
        widget
        for widget in window.findChildren(QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not widget.focusProxy()
    ]


def test_every_focusable_widget_has_a_name(opened):
    QAccessible.setActive(True)
    widgets = focusable(opened.window)
    assert len(widgets) > 10
    for widget in widgets:
        name = QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
        assert name, widget


def test_every_button_has_a_name(program):
    QAccessible.setActive(True)
    for button in program.window.findChildren(QAbstractButton):
        if button.isVisible():
            interface = QAccessible.queryAccessibleInterface(button)
            assert interface.text(QAccessible.Text.Name), button


def test_short_toolbar_buttons_are_spoken_in_full(program):
    bar = program.window.findChild(QToolBar)
    names = {button.text(): button.accessibleName() for button in bar.findChildren(QToolButton)}
    assert names["3x4+1, II"] == "Layout: 3x4+1, II"
    assert names["25 mm/s"] == "Speed: 25 mm/s"
    assert names["10 mm/mV"] == "Gain: 10 mm/mV"
    assert names["−"] == "Zoom out"


def test_tab_reaches_everything(qtbot, opened):
    window = opened.window
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is not None)
    seen = set()
    for _ in range(60):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget())
    missed = set(focusable(window)) - seen
    assert not missed


def test_every_action_has_keys_of_its_own(opened):
    table = opened.window.actions_table
    assert {action.key for action in ACTIONS} <= {action.key for action in table}
    keys = [key for action in table for key in action.shortcuts]
    assert all(action.shortcuts for action in table)
    assert len(keys) == len(set(keys))


def test_the_picture_is_described_and_the_description_follows(qtbot, opened):
    view = opened.window.traces.view
    assert "a.hea, 10.0 seconds, 12 leads, layout 3x4" in view.accessibleDescription()
    assert "Segment variance is shown" in view.accessibleDescription()
    qtbot.keyClick(opened.window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(opened.window, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert "layout 12x1" in view.accessibleDescription()
    assert "Segment variance is hidden" in view.accessibleDescription()


def test_bars_are_spoken_in_words(opened):
    names = [w.accessibleName() for w in opened.window.measures.findChildren(QWidget)]
    assert "Left ventricular ejection fraction: 90 % interval 43 to 66 %, estimate 55 %" in names
    assert "Probability of LVEF below 40 %: 12 %" in names


@pytest.mark.parametrize("factor", [1.0, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("size", [QSize(1600, 900), QSize(1100, 700)])
def test_no_text_is_clipped_at_larger_letters(qtbot, opened, factor, size):
    app = make_application()
    before = app.font()
    larger = QFont(before)
    larger.setPointSizeF(before.pointSizeF() * factor)
    try:
        app.setFont(larger)
        theme.apply_colours(app, theme.LIGHT)
        opened.window.resize(size)

        def nothing_is_clipped():  # once it is laid out
            clipped = [widget for widget in shown_texts(opened.window) if is_clipped(widget)]
            assert not clipped, [(w.text(), w.size(), w.sizeHint()) for w in clipped]

        qtbot.wait(50)
        qtbot.waitUntil(nothing_is_clipped)
    finally:
        app.setFont(before)
        theme.apply_colours(app, theme.LIGHT)


def shown_texts(window):
    kinds = (QLabel, QAbstractButton)
    return [
        w
        for kind in kinds
        for w in window.findChildren(kind)
        if w.isVisible() and w.text() and not isinstance(w, QScrollBar)
    ]


def is_clipped(widget):
    if isinstance(widget, QLabel) and widget.wordWrap():
        return widget.height() < widget.heightForWidth(widget.width())
    hint = widget.minimumSizeHint()
    return widget.width() < hint.width() or widget.height() < hint.height()


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_drawings_and_edges_stand_out_from_their_background(colours):
    """WCAG 2.1, 1.4.11: 3:1 for what has to be seen and is no text."""
    for shown in (colours.edge, colours.interval, colours.accent):
        for background in (colours.window, colours.base, colours.raised):
            assert theme.contrast(shown, background) >= 3, (shown, background)
    assert theme.contrast(colours.mark, colours.interval) >= 3


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_texts_stand_out_from_their_background(colours):
    pairs = [
        (colours.text, colours.window), (colours.text, colours.base),
        (colours.text, colours.raised),
        (colours.muted, colours.window), (colours.muted, colours.base),
        (colours.muted, colours.raised),
        (colours.on_accent, colours.accent), (colours.caution_text, colours.caution),
        (colours.refusal_text, colours.refusal), (colours.notice_text, colours.notice),
        (theme.PAPER_TEXT, theme.PAPER), (theme.PAPER_MUTED, theme.PAPER),
        (theme.RED_TAG, theme.PAPER), (theme.BLUE_TAG, theme.PAPER),
        (theme.TRACE, theme.GRID_HEAVY),
    ]  # fmt: skip
    for text, background in pairs:
        assert theme.contrast(text, background) >= 4.5, (text, background)


def test_dark_and_light_change_the_window_but_not_the_paper(qtbot, opened):
    def corner(widget, x, y):
        return widget.grab().toImage().pixelColor(x, y).lightness()

    view = opened.window.traces.view.viewport()
    side = opened.window.measures.header
    seen = {}
    for choice, key in ((ThemeChoice.DARK, Qt.Key.Key_D), (ThemeChoice.LIGHT, Qt.Key.Key_L)):
        modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        qtbot.keyClick(opened.window, key, modifiers)
        assert opened.controller.state.options.theme is choice
        seen[choice] = (corner(side, 1, 1), view.grab().toImage())
    assert seen[ThemeChoice.DARK][0] < 80
    assert seen[ThemeChoice.LIGHT][0] > 200
    assert seen[ThemeChoice.DARK][1] == seen[ThemeChoice.LIGHT][1]


def test_a_refusal_is_announced_as_such(opened):
    of = recording()
    old = AppState(recording=of)
    new = AppState(recording=of, prediction=prediction(of, FLAT_LEAD))
    assert announcement(old, new) == "The result is not reportable."
