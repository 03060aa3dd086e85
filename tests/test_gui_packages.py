"""Changing the model package in the window: what the old one said goes, the new one is asked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel, QTextBrowser, QTreeWidget

from echoing_gui.packages import FOREIGN, PackageLibrary
from echoing_gui.wiring import build, load_chosen_model
from tests.gui_factory import FakeServices
from tests.package_factory import contents, synthetic_ecg, write_package


@pytest.fixture
def library(tmp_path):
    own = write_package(tmp_path / "own")
    return PackageLibrary(own, tmp_path / "config" / "packages", tmp_path / "config")


@pytest.fixture
def program(qtbot, tmp_path, library):
    """A window with true model packages; its one file is the synthetic ECG."""
    ecg = dataclasses.replace(synthetic_ecg(), recording_id="ab" * 32, source_name="a.hea")
    services = dataclasses.replace(
        FakeServices({"a.hea": ecg}).services(), load_model=lambda: load_chosen_model(library)
    )
    made = build(services, tmp_path / "config", library)
    made.window.show()
    made.controller.load_package()
    made.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: made.controller.state.prediction is not None, timeout=20_000)
    yield made
    made.window.close()
    made.window.deleteLater()
    made.controller.deleteLater()


def button(parent, text: str) -> QAbstractButton:
    (found,) = [each for each in parent.findChildren(QAbstractButton) if each.text() == text]
    return found


def open_dialog(qtbot, program):
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(program.window, Qt.Key.Key_K, modifiers)
    (table,) = [
        each
        for each in program.window.findChildren(QTreeWidget)
        if each.accessibleName() == "Model packages" and each.isVisible()
    ]
    return table.window(), table


def shown(program) -> str:
    return "\n".join(label.text() for label in program.window.findChildren(QLabel))


def package_in_use(program) -> str:
    prediction = program.controller.state.prediction
    return prediction.package.name if prediction else ""


def test_another_package_is_installed_used_and_removed_again(qtbot, program, library, tmp_path):
    other = write_package(tmp_path / "other", contents(name="Other student", version="7"))
    dialog, table = open_dialog(qtbot, program)
    dialog.install_from(other)
    qtbot.waitUntil(lambda: table.topLevelItemCount() == 2, timeout=20_000)
    assert program.controller.state.package.name == "test student"
    table.setCurrentItem(table.topLevelItem(1))
    qtbot.mouseClick(button(dialog, "&Use this one"), Qt.MouseButton.LeftButton)
    # Nothing of the old model is left while the new one is loaded.
    assert program.controller.state.prediction is None
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None, timeout=20_000)
    assert package_in_use(program) == "Other student"
    assert FOREIGN in shown(program)
    qtbot.mouseClick(button(dialog, "&Remove"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None, timeout=20_000)
    assert package_in_use(program) == "test student"
    assert FOREIGN not in "\n".join(
        label.text() for label in program.window.measures.header.findChildren(QLabel)
    )
    table.setCurrentItem(table.topLevelItem(0))
    assert not button(dialog, "&Remove").isEnabled()
    lines = (tmp_path / "config" / "audit.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert [each for each in events if each.startswith("package")] == [
        "package_installed", "package_changed", "package_removed", "package_changed",
    ]  # fmt: skip
    dialog.close()


def test_a_package_is_verified_when_asked_and_a_changed_one_fails(
    qtbot, program, library, tmp_path
):
    key = library.install(
        write_package(tmp_path / "other", contents(name="Other", version="7"))
    ).key
    dialog, table = open_dialog(qtbot, program)
    table.setCurrentItem(table.topLevelItem(1))
    qtbot.mouseClick(button(dialog, "&Verify"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Other 7 is as its manifest says" in shown(program), timeout=20_000)
    (library.folder(key) / "MODEL_CARD.md").write_text("# Changed")
    qtbot.mouseClick(button(dialog, "&Verify"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "failed the check" in shown(program), timeout=20_000)
    assert "MODEL_CARD.md of the model package was changed or damaged." in shown(program)
    dialog.close()


def test_a_damaged_package_is_refused_with_the_reason(qtbot, program, tmp_path):
    broken = write_package(tmp_path / "broken")
    (broken / "MODEL_CARD.md").write_text("# Changed")
    dialog, table = open_dialog(qtbot, program)
    dialog.install_from(broken)
    qtbot.waitUntil(lambda: "was not installed" in shown(program), timeout=20_000)
    assert "MODEL_CARD.md of the model package was changed or damaged." in shown(program)
    assert table.topLevelItemCount() == 1
    dialog.close()


def test_what_stands_behind_a_number_is_one_click_away(qtbot, program):
    about = [
        each
        for each in program.window.measures.findChildren(QAbstractButton)
        if each.accessibleName() == "About this result" and each.isVisible()
    ]
    assert len(about) == 4
    package = program.controller.state.package
    for each in about:
        qtbot.mouseClick(each, Qt.MouseButton.LeftButton)
        pages = program.window.findChildren(QTextBrowser)
        text = "\n".join(page.toPlainText() for page in pages)
        assert "says the same of every ECG" in text
        assert package.package_id in text
        assert program.controller.state.recording.recording_id in text
        assert "0.5 to 40 Hz" in text
        assert "LVEF mean absolute error" in text
        assert "Test student" in text
        dialog = pages[0].window()
        dialog.close()
        qtbot.waitUntil(lambda: not program.window.findChildren(QTextBrowser))
