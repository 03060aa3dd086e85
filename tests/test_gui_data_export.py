"""One recording exported from the window: data by the published schema, pictures true to scale."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication

from echoing_gui import files, theme
from echoing_gui.export_dialog import ExportDialog
from echoing_gui.exports import KINDS
from echoing_gui.features.data_export import PNG, SVG, DataExport
from tests.gui_factory import FLAT_LEAD, IDENTITY, recording
from tests.test_gui_window import has_result

SCHEMA = Path(__file__).parents[1] / "assets/schema/prediction.schema.json"
JSON = next(kind for kind in KINDS if kind.key == "results_json")
NAME = "smith.hea"


@pytest.fixture
def opened(qtbot, program, fake):
    fake.files[NAME] = recording(
        NAME, acquired_at="2026-01-02T03:04:05", patient=(("Name", "Smith"),), comments=("Smith",)
    )
    program.controller.open_file(Path(NAME))
    qtbot.waitUntil(lambda: has_result(program, NAME))
    return program


def export(qtbot, program, kind, path, identified=False):
    program.window.findChild(DataExport).export(kind, path, identified)
    qtbot.waitUntil(lambda: program.controller.state.message is not None, timeout=20000)
    return program.controller.state.message.text


@pytest.mark.parametrize("identified", [False, True])
def test_the_result_as_json_follows_the_schema(qtbot, opened, tmp_path, identified):
    path = tmp_path / "ecg.jsonl"
    assert "was exported" in export(qtbot, opened, JSON, path, identified)
    text = path.read_text(encoding="utf-8")
    entry = json.loads(text)
    jsonschema.validate(entry, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert entry["measures"][0]["value"] == 54.6
    assert entry["measures"][0]["interval"] == {"low": 43.2, "high": 65.8, "level": 0.9}
    assert entry["package"]["id"] == IDENTITY.package_id
    assert entry["package"]["caveat"] == IDENTITY.caveat
    assert entry["sha256"] == opened.controller.state.recording.recording_id
    assert ("smith" in text.lower()) is identified
    assert "2026" not in text


def test_a_refusal_is_exported_without_a_number(qtbot, program, fake, tmp_path):
    fake.reasons["a.hea"] = (FLAT_LEAD,)
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    export(qtbot, program, JSON, tmp_path / "ecg.jsonl")
    entry = json.loads((tmp_path / "ecg.jsonl").read_text(encoding="utf-8"))
    assert entry["state"] == "not_reportable"
    assert (entry["measures"], entry["findings"]) == ([], [])
    assert [reason["code"] for reason in entry["reasons"]] == ["flat_lead"]


def test_a_png_is_true_to_scale_and_says_so_in_itself(qtbot, opened, tmp_path):
    export(qtbot, opened, PNG, tmp_path / "ecg.png")
    image = QImage(str(tmp_path / "ecg.png"))
    # 4 px/mm on the screen, twice that in the picture.
    assert image.dotsPerMeterX() == image.dotsPerMeterY() == 8000
    row = image.height() // 3
    heavy = QColor(theme.GRID_HEAVY).rgb()
    columns = [x for x in range(image.width()) if image.pixel(x, row) == heavy]
    starts = [x for x, before in zip(columns[1:], columns, strict=False) if x - before > 1]
    apart = np.diff(starts)
    # 5 mm; where a trace lies over a line, twice that.
    assert np.count_nonzero(apart == 40) > 20
    assert not (apart % 40).any()


def test_an_svg_has_scale_caveat_and_model_burned_in_and_no_name(qtbot, opened, tmp_path):
    export(qtbot, opened, SVG, tmp_path / "ecg.svg")
    text = (tmp_path / "ecg.svg").read_text(encoding="utf-8")
    for said in (
        "25 mm/s   10 mm/mV", "Research use only.", "Test package 3.1.4", IDENTITY.caveat,
        IDENTITY.package_id[:16], opened.controller.state.recording.recording_id,
    ):  # fmt: skip
        assert said in text.replace("\xa0", " "), said
    assert "smith" not in text.lower()
    assert "2026" not in text
    assert text.count("<polyline") + text.count("<path") > 12
    export(qtbot, opened, SVG, tmp_path / "named.svg", identified=True)
    qtbot.waitUntil((tmp_path / "named.svg").exists)
    assert NAME in (tmp_path / "named.svg").read_text(encoding="utf-8")


def test_exports_are_logged(qtbot, opened, tmp_path):
    export(qtbot, opened, PNG, tmp_path / "ecg.png")
    last = json.loads((tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (last["event"], last["kind"], last["deidentified"]) == ("exported", "picture_png", True)
    assert last["recording"] == opened.controller.state.recording.recording_id
    assert last["package"] == IDENTITY.package_id


def test_a_full_disk_keeps_the_old_picture(qtbot, opened, tmp_path, monkeypatch):
    path = tmp_path / "ecg.png"
    path.write_bytes(b"old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        assert "as it was before" in export(qtbot, opened, PNG, path)
    assert path.read_bytes() == b"old"


def test_a_covered_estimate_cannot_be_exported(qtbot, program, fake):
    controller = program.controller
    controller.set_options(replace(controller.state.options, read_first=True))
    controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: controller.state.covered)
    program.window.findChild(DataExport).ask()
    dialog = program.window.findChild(ExportDialog)
    assert [kind.key for kind in dialog._kinds] == ["picture_png", "picture_svg"]
    dialog.reject()


def test_the_dialog_leaves_names_out_unless_asked(qtbot, opened, tmp_path):
    key, modifiers = (
        Qt.Key.Key_E,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier,
    )
    qtbot.keyClick(opened.window, key, modifiers)
    qtbot.waitUntil(lambda: opened.window.findChild(ExportDialog) is not None)
    dialog = opened.window.findChild(ExportDialog)
    assert not dialog.identified.isChecked()
    dialog.kind.setCurrentIndex(dialog.kind.findText("Everything, one JSON object a line (JSON)"))
    dialog.choose(tmp_path / "ecg.jsonl")
    qtbot.waitUntil((tmp_path / "ecg.jsonl").exists, timeout=20000)
    assert "smith" not in (tmp_path / "ecg.jsonl").read_text(encoding="utf-8").lower()
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
