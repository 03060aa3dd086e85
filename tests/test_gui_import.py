"""A table of samples is asked about, previewed, opened, and remembered by its make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget

from echoing_gui.import_dialog import ImportDialog
from echoing_gui.settings import load_settings
from echoing_gui.state import Stage
from model_core.leads import STANDARD_LEADS
from tests.gui_factory import recording, spike_signal
from tests.test_gui_accessibility import focusable


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve leads of microvolts, a column of times before them."""
    signal = spike_signal(at_s=(1.0, 2.0)) * 1000
    rows = np.column_stack([np.arange(signal.shape[1]) / 500, signal.T])
    head = ",".join(["time (s)", *(f"lead_{n}" for n in range(12))])
    np.savetxt(tmp_path / "table.csv", rows, "%.3f", ",", header=head, comments="")
    return tmp_path / "table.csv"


@pytest.fixture
def asked(qtbot, program, table):
    """The dialog, as it opens for the table."""
    return ask(qtbot, program, table)


def ask(qtbot, program, path: Path) -> ImportDialog:
    program.controller.open_file(path)
    qtbot.waitUntil(lambda: bool(program.window.findChildren(ImportDialog)))
    return program.window.findChildren(ImportDialog)[-1]


def field(dialog: ImportDialog, name: str) -> Any:
    (found,) = (w for w in dialog.findChildren(QWidget) if w.accessibleName() == name)
    return found


def test_the_preview_shows_nothing_of_the_recording_that_is_open(qtbot, program, fake, table):
    fake.files["long.ecg"] = recording("long.ecg", spike_signal(90.0), fs=500.0)
    program.controller.open_file(Path("long.ecg"))
    qtbot.waitUntil(lambda: program.controller.state.long is not None)
    program.controller.go_to(60)
    dialog = ask(qtbot, program, table)
    assert dialog._state.long is None
    assert dialog._state.page_start_s == 0
    assert dialog._state.screen == program.window.state.screen
    dialog.reject()


def test_nothing_is_opened_before_everything_is_stated(qtbot, program, asked):
    assert program.controller.state.recording is None
    assert program.controller.state.job.stage is Stage.READING
    assert not asked._open.isEnabled()
    # The file says the rate by its times; unit by size is a guess and says so; leads are unknown.
    assert field(asked, "Sampling rate").value() == 500.0
    assert asked._why["rate"].text() == "from the column 'time (s)'"
    assert asked._why["unit"].text().endswith("check it")
    assert "Name the leads" in asked._verdict.text()
    qtbot.keyClick(asked, Qt.Key.Key_Return)
    assert program.controller.state.recording is None
    assert asked.isVisible()
    asked.reject()


def test_keys_alone_bring_a_table_to_the_screen_and_it_is_remembered(
    qtbot, program, asked, table, tmp_path
):
    field(asked, "Unit of the numbers").setFocus()
    qtbot.keyClicks(field(asked, "Unit of the numbers"), "u")
    names = field(asked, "Lead names")
    names.setFocus()
    qtbot.keyClicks(names, "-, " + ", ".join(STANDARD_LEADS))
    qtbot.waitUntil(asked._open.isEnabled)
    assert "10.0 s of 12 leads at 500 Hz, at most 1 mV" in asked._verdict.text()
    assert asked._view.sheet.pieces
    qtbot.keyClick(names, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    recording = program.controller.state.recording
    assert recording.lead_names == STANDARD_LEADS
    np.testing.assert_allclose(recording.signal_mv, spike_signal(at_s=(1.0, 2.0)), atol=1e-6)
    assert recording.metadata.report.rate_source == "as stated by the user"

    # Another file of this make: everything is filled in, and still asked.
    other = tmp_path / "other.csv"
    other.write_text(table.read_text())
    again = ask(qtbot, program, other)
    assert again.form().lead_names == "-, " + ", ".join(STANDARD_LEADS)
    assert again._why["leads"].text() == "as you stated it for a file of the same make"
    qtbot.waitUntil(again._open.isEnabled)
    qtbot.keyClick(again, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: program.controller.state.recording.source_name == "other.csv")
    (stated,) = load_settings(tmp_path / "settings.json").tables.values()
    assert stated["lead_names"] == ["", *STANDARD_LEADS]
    assert set(stated) == {
        *("fs_hz", "unit", "lead_names", "leads_in", "skip_rows"),
        *("delimiter", "decimal_comma", "variable"),
    }


def test_what_does_not_fit_is_said_in_words(qtbot, program, asked):
    field(asked, "Lead names").setText("I, II")
    qtbot.waitUntil(lambda: "13 columns, and 2 are named" in asked._verdict.text())
    assert not asked._open.isEnabled()
    field(asked, "Lead names").setText("-, " + ", ".join(STANDARD_LEADS))
    field(asked, "Lines above the numbers").setValue(0)
    qtbot.waitUntil(lambda: asked._verdict.text().startswith("table.csv cannot be read"))
    field(asked, "Lines above the numbers").setValue(1)
    field(asked, "Unit of the numbers").setCurrentText("V")
    qtbot.waitUntil(asked._open.isEnabled)
    assert "No heart makes that: check the unit." in asked._verdict.text()
    asked.reject()


def test_turning_back_shows_what_was_there(qtbot, program, table):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    before = program.controller.state.prediction
    dialog = ask(qtbot, program, table)
    assert program.controller.state.prediction is None
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert program.controller.state.recording.source_name == "a.hea"
    assert program.controller.state.prediction is before
    assert program.controller.state.job.stage is Stage.IDLE


def test_a_file_without_numbers_is_told_in_the_window(qtbot, program, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear colleague,\nthank you for\nthis patient.\n")
    program.controller.open_file(tmp_path / "letter.txt")
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    assert "no lines of numbers" in program.controller.state.message.text
    assert program.controller.state.job.stage is Stage.IDLE


def test_every_field_has_a_name_and_a_letter(asked):
    QAccessible.setActive(True)
    widgets = focusable(asked)
    assert len(widgets) >= 9
    for widget in widgets:
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface.text(QAccessible.Text.Name), widget
    texts = [w.text() for kind in (QLabel, QAbstractButton) for w in asked.findChildren(kind)]
    letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert len(letters) == len(set(letters)) >= 7
    asked.reject()
