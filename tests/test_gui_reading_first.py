"""Read first: while the estimate is covered, nothing of it is anywhere in the program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAction, QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget

from echoing_gui.settings import load_settings
from echoing_gui.state import Stage
from tests.gui_factory import FLAT_LEAD, said_of

# Of the prediction in gui_factory, as numbers and as shown.
OF_THE_RESULT = ("54.6", "55", "43", "66", "65.8", "121", "120", "85", "172", "170", "56", "31",
                 "94", "95", "12 %", "0.123")  # fmt: skip
TEXTS = (
    QAccessible.Text.Name,
    QAccessible.Text.Description,
    QAccessible.Text.Value,
    QAccessible.Text.Help,
)


def everything_said(program) -> str:
    """All that widgets, accessibility, title, status bar and clipboard hold, shown or not."""
    QAccessible.setActive(True)
    said = [program.window.windowTitle(), program.window.statusBar().currentMessage()]
    said.append(QGuiApplication.clipboard().text())
    for widget in (program.window, *program.window.findChildren(QWidget)):
        for name in ("text", "toolTip", "statusTip", "windowTitle", "toPlainText", "whatsThis"):
            read = getattr(widget, name, None)
            if callable(read):
                said.append(str(read()))
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is not None:
            said += [interface.text(kind) for kind in TEXTS]
    return "\n".join(said)


def digits_of_the_result(program) -> list[str]:
    said = everything_said(program)
    return [number for number in OF_THE_RESULT if number in said]


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def is_covered(program) -> bool:
    state = program.controller.state
    return state.covered and state.job.stage is Stage.IDLE


@pytest.fixture(autouse=True)
def empty_clipboard(qapp):
    QGuiApplication.clipboard().clear()


@pytest.fixture
def reading_first(program):
    program.controller.set_options(replace(program.controller.state.options, read_first=True))
    return program


def open_covered(qtbot, program, name="a.hea"):
    program.controller.open_file(Path(name))
    qtbot.waitUntil(lambda: is_covered(program))


def reveal(qtbot, program):
    qtbot.keyClick(program.window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)


def test_no_digit_of_the_result_is_anywhere_until_it_is_revealed(qtbot, reading_first):
    program = reading_first
    before = set(digits_of_the_result(program))
    open_covered(qtbot, program)
    assert set(digits_of_the_result(program)) <= before
    assert "Segment variance" not in program.window.traces.view.accessibleDescription()
    assert "Estimate covered" in everything_said(program)
    reveal(qtbot, program)
    # The same search finds it all now, so it would have found it before.
    assert {"55", "43", "66", "120", "12 %"} <= set(digits_of_the_result(program)) - before
    assert "Segment variance" in program.window.traces.view.accessibleDescription()


def test_revealing_by_the_button_is_taken_down_with_the_time_since_opening(
    qtbot, reading_first, tmp_path
):
    open_covered(qtbot, reading_first)
    (button,) = [
        button
        for button in reading_first.window.findChildren(QPushButton)
        if button.text() == "&Reveal the estimate"
    ]
    qtbot.wait(250)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    last = entries(tmp_path)[-1]
    recording = reading_first.controller.state.recording
    assert (last["event"], last["recording"]) == ("revealed", recording.recording_id)
    assert 0.2 <= last["seconds_since_opening"] < 30
    assert not button.isVisible()


def test_the_next_recording_is_covered_again(qtbot, reading_first):
    open_covered(qtbot, reading_first)
    reveal(qtbot, reading_first)
    open_covered(qtbot, reading_first, "b.hea")
    assert reading_first.controller.state.prediction is None


def test_a_refusal_is_covered_too(qtbot, reading_first, fake):
    fake.reasons["a.hea"] = (FLAT_LEAD,)
    open_covered(qtbot, reading_first)
    assert FLAT_LEAD.message not in everything_said(reading_first)
    reveal(qtbot, reading_first)
    assert FLAT_LEAD.message in everything_said(reading_first)


def test_a_failed_next_file_brings_the_cover_back(qtbot, reading_first):
    open_covered(qtbot, reading_first)
    reading_first.controller.open_file(Path("broken.hea"))
    qtbot.waitUntil(lambda: reading_first.controller.state.message is not None)
    assert is_covered(reading_first)


def test_what_was_seen_already_is_not_covered_by_the_choice(qtbot, program):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    program.controller.set_options(replace(program.controller.state.options, read_first=True))
    assert program.controller.state.prediction is not None


def test_ending_the_mode_reveals_and_the_choice_is_remembered(qtbot, reading_first, tmp_path):
    open_covered(qtbot, reading_first)
    assert load_settings(tmp_path / "settings.json").options.read_first
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(reading_first.window, Qt.Key.Key_E, modifiers)
    assert reading_first.controller.state.prediction is not None
    assert entries(tmp_path)[-1]["event"] == "revealed"
    assert not load_settings(tmp_path / "settings.json").options.read_first


def test_nothing_that_would_tell_the_estimate_is_offered_while_it_is_covered(qtbot, reading_first):
    telling = {"compare", "compare_packages", "occlude", "shuffle", "hide_leads"}
    open_covered(qtbot, reading_first)
    state = reading_first.controller.state
    table = {action.key: action for action in reading_first.window.actions_table}
    assert telling <= set(table)
    assert not [key for key in telling if table[key].enabled(state)]
    compare = reading_first.window.findChild(QAction, "compare")
    assert said_of(compare) == "The estimate is covered. Reveal it to compare this ECG."
    reveal(qtbot, reading_first)
    assert table["compare"].enabled(reading_first.controller.state)
