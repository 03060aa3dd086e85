"""Preferences: each choice is taken, remembered, and can be undone."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialogButtonBox, QToolButton

from echoing_gui.features.preferences import PreferencesDialog
from echoing_gui.i18n import tr
from echoing_gui.settings import Settings, load_settings, save_settings
from echoing_gui.state import DisplayOptions, Layout, LeadOrder, ThemeChoice
from echoing_gui.wiring import speak
from tests.gui_factory import make_program

CHANGED = DisplayOptions(
    layout=Layout.SIX,
    order=LeadOrder.CABRERA,
    rhythm_lead="aVF",
    speed_mm_s=50.0,
    gain_mm_mv=5.0,
    half_precordials=True,
    show_variance=False,
    variance_underlay=True,
    show_dots=True,
    private=True,
    private_after_min=30,
    high_pass_hz=0.05,
    low_pass_hz=100.0,
    notch=True,
    mains_hz=60.0,
    theme=ThemeChoice.DARK,
    language="en",
    read_first=True,
)


@pytest.fixture
def dialog(qtbot, program):
    qtbot.keyClick(program.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    yield program.window.findChild(PreferencesDialog)
    for still_open in program.window.findChildren(PreferencesDialog):
        still_open.close()
    speak("en")


def fill(dialog, options):
    for name, field in dialog._fields.items():
        value = getattr(options, name)
        if isinstance(field, QCheckBox):
            field.setChecked(value)
        else:
            [row] = [row for row in range(field.count()) if field.itemData(row) == value]
            field.setCurrentIndex(row)


def test_every_remembered_option_has_a_row(dialog, tmp_path):
    path = tmp_path / "all.json"
    save_settings(path, Settings(CHANGED))
    written = {*json.loads(path.read_text(encoding="utf-8"))}
    assert set(dialog._fields) == written
    assert {field.name for field in fields(DisplayOptions)} - written == {"zoom"}


def test_what_is_chosen_is_drawn_and_remembered(qtbot, program, fake, tmp_path, dialog):
    fill(dialog, CHANGED)
    dialog.accept()
    assert program.controller.state.options == CHANGED
    assert load_settings(tmp_path / "settings.json").options == CHANGED
    again = make_program(fake, tmp_path)
    assert again.controller.state.options == CHANGED
    shown = [button.text() for button in again.window.findChildren(QToolButton)]
    for text in (
        "6x2, Cabrera", "50 mm/s", "5 mm/mV, V leads half", "0.05–100 Hz, notch 60 Hz"
    ):  # fmt: skip
        assert text in shown
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_cancelled_choices_change_nothing(program, dialog):
    before = program.controller.state.options
    fill(dialog, CHANGED)
    dialog.reject()
    assert program.controller.state.options == before


def test_only_what_was_changed_is_taken(program, dialog):
    """A key pressed beside the open dialog is not undone by its old values."""
    program.controller.set_options(replace(program.controller.state.options, speed_mm_s=100.0))
    fill(dialog, DisplayOptions(gain_mm_mv=20.0))
    dialog.accept()
    options = program.controller.state.options
    assert (options.speed_mm_s, options.gain_mm_mv) == (100.0, 20.0)


def test_defaults_can_be_restored(program, dialog):
    fill(dialog, CHANGED)
    buttons = dialog.findChild(QDialogButtonBox)
    buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).click()
    dialog.accept()
    assert program.controller.state.options == DisplayOptions()


def test_every_field_has_a_name_for_those_who_hear_it(dialog):
    QAccessible.setActive(True)
    for field in (*dialog.findChildren(QComboBox), *dialog.findChildren(QCheckBox)):
        assert QAccessible.queryAccessibleInterface(field).text(QAccessible.Text.Name)


def test_a_language_is_taken_at_the_next_start(qtbot, program, fake, tmp_path, monkeypatch):
    (tmp_path / "de").mkdir()
    catalogue = '{"Preferences": "Einstellungen"}'
    (tmp_path / "de" / "window.json").write_text(catalogue, encoding="utf-8")
    monkeypatch.setattr("echoing_gui.i18n.asset", lambda *parts: tmp_path.joinpath(*parts[1:]))
    program.controller.set_options(DisplayOptions(language="de"))
    assert tr("Preferences") == "Preferences"
    again = make_program(fake, tmp_path)
    assert tr("Preferences") == "Einstellungen"
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()
    speak("en")


@pytest.mark.parametrize(
    ("system", "title"), [("de-AT", "&Datei"), ("en-GB", "&File"), ("fr-FR", "&File")]
)
def test_the_systems_language_is_taken_unless_another_was_chosen(
    qapp, tmp_path, monkeypatch, system, title
):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "any.json").write_text('{"&File": "&Datei"}', encoding="utf-8")
    monkeypatch.setattr("echoing_gui.i18n.asset", lambda *parts: tmp_path.joinpath(*parts[1:]))
    monkeypatch.setattr(QLocale, "uiLanguages", lambda _locale: [system])
    speak(DisplayOptions().language)
    assert tr("&File") == title
    button = "Abbrechen" if system == "de-AT" else "Cancel"
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    assert box.buttons()[0].text().replace("&", "") == button
    assert QKeySequence("Ctrl+O").toString(QKeySequence.SequenceFormat.NativeText) == (
        "Strg+O" if system == "de-AT" else "Ctrl+O"
    )
    box.deleteLater()
    speak("en")
