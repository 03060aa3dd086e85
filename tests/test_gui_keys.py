"""Keys of the user's own: said where they collide, kept, listed by F1, and given back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolButton, QTreeWidget, QWidget

from echoing_gui.dialogs import KeysDialog
from echoing_gui.features.keys import KeysEditor
from echoing_gui.i18n import languages
from echoing_gui.key_map import collide, holder, keys_in_force, load_keys
from echoing_gui.settings import Settings, save_settings
from echoing_gui.state import DisplayOptions
from echoing_gui.window_parts import SidePages
from echoing_gui.wiring import speak
from tests.gui_factory import FakeServices, make_program, recording, spike_signal
from tests.test_translation import texts


def editor(program) -> KeysEditor:
    program.window.trigger("change_keys")
    return program.window.findChild(KeysEditor)


def give(dialog: KeysEditor, action: str, keys: str) -> str:
    dialog.choose(action)
    dialog.edit.setKeySequence(QKeySequence(keys))
    dialog.set_button.click()
    return dialog.said.text()


def listed(program) -> dict[str, str]:
    program.window.trigger("shortcuts")
    dialog = program.window.findChild(KeysDialog)
    table = dialog.findChild(QTreeWidget)
    items = [table.topLevelItem(row) for row in range(table.topLevelItemCount())]
    dialog.close()
    return {item.text(1): item.text(0) for item in items}


def test_a_key_is_changed_kept_and_listed(qtbot, program, tmp_path):
    dialog = editor(program)
    assert give(dialog, "privacy", "Ctrl+Alt+H") == ""
    dialog.accept()
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    assert not program.controller.state.options.private
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(program.window, Qt.Key.Key_H, modifiers)
    assert program.controller.state.options.private
    assert json.loads((tmp_path / "keys.json").read_text()) == {"privacy": ["Ctrl+Alt+H"]}
    tip = next(each.tip for each in program.window.actions_table if each.key == "privacy")
    assert listed(program)[str(tip)] == "Ctrl+Alt+H"
    assert "Ctrl+Alt+H" in program.window._qactions["privacy"].toolTip()
    again = make_program(FakeServices(), tmp_path)
    assert again.window._qactions["privacy"].shortcut() == QKeySequence("Ctrl+Alt+H")
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_a_key_that_is_taken_is_said_and_changes_nothing(program):
    dialog = editor(program)
    assert "is taken by “Export”" in give(dialog, "privacy", "Ctrl+S")
    assert "is taken by" in give(dialog, "privacy", "F7")  # which begins those of the filters
    assert "used by the window itself" in give(dialog, "privacy", "U")
    dialog.accept()
    assert program.window._qactions["privacy"].shortcut() == QKeySequence("F9")


def test_a_key_that_was_given_up_can_be_taken_and_all_come_back(program, tmp_path):
    dialog = editor(program)
    dialog.choose("full_screen")
    dialog.clear_button.click()
    assert give(dialog, "privacy", "F11") == ""
    dialog.accept()
    actions = program.window._qactions
    assert actions["full_screen"].shortcuts() == []
    assert actions["privacy"].shortcuts() == [QKeySequence("F11")]
    dialog = editor(program)
    dialog.reset_all_button.click()
    dialog.accept()
    assert actions["full_screen"].shortcuts() == [QKeySequence("F11")]
    assert actions["privacy"].shortcuts() == [QKeySequence("F9")]
    assert json.loads((tmp_path / "keys.json").read_text()) == {}


def test_cancelling_changes_nothing(program, tmp_path):
    dialog = editor(program)
    give(dialog, "privacy", "Ctrl+Alt+H")
    dialog.reject()
    assert program.window._qactions["privacy"].shortcut() == QKeySequence("F9")
    assert not (tmp_path / "keys.json").exists()


def test_no_action_loses_its_keys_without_a_choice_and_chosen_ones_belong_to_one(program):
    table = program.window.actions_table
    assert keys_in_force(table, {}) == {each.key: each.shortcuts for each in table}
    # As when a later version gives an action the key that the user gave to another.
    found = keys_in_force(table, {"privacy": ("Ctrl+O",)})
    assert found["privacy"] == ("Ctrl+O",)
    assert found["open"] == ()
    everyone = [key for keys in found.values() for key in keys]
    assert len(everyone) == len(set(everyone))


@pytest.mark.parametrize("content", ["", "[]", '{"open": 1}', '{"open": [1, "F2"]}', "{"])
def test_a_damaged_file_of_keys_leaves_what_makes_sense(tmp_path, content):
    (tmp_path / "keys.json").write_text(content)
    expected = {"open": ("F2",)} if "F2" in content else {}
    assert load_keys(tmp_path) == expected


def test_sequences_that_begin_one_another_collide():
    assert collide("F7", "F7, 1")
    assert not collide("F7, 1", "F7, 2")
    assert holder("F7", "x", {"filter": ("F7, 0",), "x": ("F7",)}) == "filter"
    assert holder("F6", "x", {"filter": ("F7, 0",)}) is None


def words_of(program) -> str:
    """Everything that the window's own widgets say, the tips of its actions left out."""
    found = []
    for widget in program.window.findChildren(QWidget):
        if isinstance(widget, QToolButton) and widget.defaultAction() is not None:
            continue
        found += [widget.toolTip(), widget.text() if hasattr(widget, "text") else ""]
    return "\n".join(found)


# Actions whose keys texts name, and such a text with a place for the key.
NAMED = {
    "open": "&Open ECG…   {}",
    "guide": "&Guided first reading   {}",
    "calibrate": "Calibrate this screen ({})",
    "stop": "Close this message ({})",
    "reveal": "Show the estimate and the strips ({})",
    "about_result": "figures ({})",
    "caliper_time": "Press {} over the ECG for an interval",
    "caliper_amplitude": "{} for a height",
    "caliper_both": "{} for both",
    "note_editing": "Switch editing on ({}) to make",
}


def test_texts_name_the_key_in_force(program):
    own = {each.key: each.shortcuts[0] for each in program.window.actions_table}
    for action, text in NAMED.items():
        assert text.format(own[action]) in words_of(program)
    others = {action: (f"Ctrl+Alt+Shift+F{n}",) for n, action in enumerate(NAMED, start=1)}
    program.window.set_keys(others)
    for action, text in NAMED.items():
        assert text.format(others[action][0]) in words_of(program)
        assert text.format(own[action]) not in words_of(program)
    program.window.set_keys(dict.fromkeys(NAMED, ()))
    without = words_of(program)
    assert "Choose a caliper in the menu Measure." in without
    for text in ("&Open ECG…", "Calibrate this screen", "Close this message", "editing on to make"):
        assert text in without
    assert "()" not in without


def test_what_is_asked_for_later_names_the_key_in_force(qtbot, fake, program):
    fake.files["half.hea"] = recording("half.hea", spike_signal(30.0))
    program.window.set_keys({"privacy": ("Ctrl+Alt+H",), "predict": ("Ctrl+Alt+R",)})
    program.window.trigger("preferences")
    assert "Hide names, dates and file names (Ctrl+Alt+H)" in words_of(program).replace("&", "")
    program.controller.open_file(Path("half.hea"))
    qtbot.waitUntil(lambda: program.controller.state.has_pages)
    assert "marked in the overview (Ctrl+Alt+R)" in words_of(program)


def letters(texts: Iterable[str]) -> list[str]:
    """The letter to press of each text, lower case; none is an empty one."""
    found = (re.search("&([^&])", text.replace("&&", "")) for text in texts)
    return [match[1].lower() if match else "" for match in found]


@pytest.mark.parametrize("code", languages())
def test_each_letter_of_a_menu_belongs_to_one_entry(fake, tmp_path, code):
    save_settings(tmp_path / "settings.json", Settings(options=DisplayOptions(language=code)))
    program = make_program(fake, tmp_path)
    bar = program.window.menuBar()
    menus = {menu.title(): [each.text() for each in menu.actions()] for menu in menus_of(bar)}
    assert len(menus) == 11
    for title, entries in menus.items():
        pressed = [letter for letter in letters(entries) if letter]
        assert len(pressed) == len(set(pressed)), (title, sorted(pressed))
    # Entries of the bar's own menus can all be reached so.
    for action in bar.actions():
        (menu,) = menus_among([action])
        entries = [each.text() for each in menu.actions() if not each.isSeparator()]
        assert all(letters(entries)), action.text()
    tabs = program.window.findChild(SidePages)
    assert tabs is not None
    beside = [tabs.tabText(number) for number in range(tabs.count())]
    pressed = letters([*(each.text() for each in bar.actions()), *beside])
    assert len(pressed) == len(set(pressed)), sorted(pressed)
    program.window.close()
    program.window.deleteLater()
    program.controller.deleteLater()
    speak("en")


def menus_among(actions: list[QAction]) -> list[QMenu]:
    """The menus that some of these open."""
    return [menu for action in actions if isinstance(menu := action.menu(), QMenu)]


def menus_of(bar: QMenuBar) -> list[QMenu]:
    """The menus of the bar and those within them."""
    found = menus_among(bar.actions())
    for menu in found:
        found += menus_among(menu.actions())
    return found


def test_no_text_names_a_key_that_can_be_changed():
    """Enter and the arrow keys, and keys of the mouse, belong to the parts of the window."""
    key = re.compile(r"\b(?:Ctrl|Alt|Shift)\+\w|\bF\d{1,2}\b|\((?:[A-Z]|Esc|Del)\)")
    allowed = {"One sentence a line; Enter asks, Shift+Enter begins another line"}
    assert {text for text in texts() if key.search(text)} == allowed
