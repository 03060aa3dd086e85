"""One recording exported from the window: one rule of identity, data by the schema, pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QFileDialog

from echoing_gui import files, theme
from echoing_gui.export_dialog import ExportDialog
from echoing_gui.exports import KINDS
from echoing_gui.features.exporting import Exporter
from echoing_gui.features.exporting.pictures import PICTURES, PNG, SVG
from echoing_gui.features.exporting.records import RECORDS
from echoing_gui.identity import KEY_NAME, Identity, pseudonyms
from echoing_gui.view_models.report import PAPERS
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


def export(qtbot, program, kind, path, identity=Identity.HIDDEN):
    state = program.controller.state
    name = pseudonyms(identity, path.parent)(state.recording.recording_id)
    program.controller.close_message()
    exporter = program.window.findChild(Exporter)
    exporter.write(state, kind, PAPERS[0], identity, name, path)
    qtbot.waitUntil(lambda: program.controller.state.message is not None, timeout=20000)
    return program.controller.state.message.text


@pytest.mark.parametrize("identity", Identity)
def test_the_result_as_json_follows_the_schema(qtbot, opened, tmp_path, identity):
    path = tmp_path / "ecg.jsonl"
    assert "was exported" in export(qtbot, opened, JSON, path, identity)
    text = path.read_text(encoding="utf-8")
    entry = json.loads(text)
    jsonschema.validate(entry, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert entry["measures"][0]["value"] == 54.6
    assert entry["measures"][0]["interval"] == {"low": 43.2, "high": 65.8, "level": 0.9}
    assert entry["package"]["id"] == IDENTITY.package_id
    assert entry["package"]["caveat"] == IDENTITY.caveat
    kept = identity is Identity.KEPT
    assert (entry["sha256"] == opened.controller.state.recording.recording_id) is kept
    assert ("smith" in text.lower()) is kept
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
        IDENTITY.package_id[:16], "Recording ECG-",
    ):  # fmt: skip
        assert said in text.replace("\xa0", " "), said
    assert "smith" not in text.lower()
    assert "2026" not in text
    assert text.count("<polyline") + text.count("<path") > 12
    export(qtbot, opened, SVG, tmp_path / "named.svg", Identity.KEPT)
    named = (tmp_path / "named.svg").read_text(encoding="utf-8")
    assert NAME in named
    assert opened.controller.state.recording.recording_id in named


@pytest.mark.parametrize("kind", [*RECORDS, *PICTURES, *KINDS], ids=lambda kind: kind.key)
@pytest.mark.parametrize("identity", [Identity.HIDDEN, Identity.LINKABLE])
def test_an_export_under_a_pseudonym_holds_no_identity(qtbot, opened, tmp_path, kind, identity):
    path = tmp_path / f"out{kind.suffix}"
    assert "was exported" in export(qtbot, opened, kind, path, identity)
    content = path.read_bytes().lower()
    state = opened.controller.state
    for secret in ("smith", "2026-01-02", state.recording.recording_id):
        assert secret.encode() not in content


def test_only_linkable_exports_are_linked_and_only_by_one_user(tmp_path):
    one, other, files_hash = tmp_path / "one", tmp_path / "other", "ab" * 32
    hidden = {pseudonyms(Identity.HIDDEN, one)(files_hash) for _ in range(50)}
    assert len(hidden) == 50
    assert not one.exists()
    linked = {pseudonyms(Identity.LINKABLE, one)(files_hash) for _ in range(3)}
    assert len(linked) == 1
    assert linked != {pseudonyms(Identity.LINKABLE, other)(files_hash)}
    assert linked != {pseudonyms(Identity.LINKABLE, one)("cd" * 32)}
    assert (one / KEY_NAME).stat().st_mode & 0o077 == 0
    # What could not be read has nothing to be linked by.
    unread = pseudonyms(Identity.LINKABLE, one)
    assert unread("") != unread("")
    assert pseudonyms(Identity.KEPT, one)(files_hash) == ""


def test_a_damaged_key_is_told_and_never_replaced(qtbot, opened, tmp_path):
    (tmp_path / KEY_NAME).write_bytes(b"short")
    opened.window.findChild(Exporter).ask()
    dialog = opened.window.findChild(ExportDialog)
    dialog.choose(Identity.LINKABLE)
    dialog.accept()
    assert "key of your pseudonyms is damaged" in opened.controller.state.message.text
    assert opened.window.findChild(QFileDialog) is None
    assert (tmp_path / KEY_NAME).read_bytes() == b"short"


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
    program.window.findChild(Exporter).ask()
    dialog = program.window.findChild(ExportDialog)
    assert [kind.key for kind in dialog._kinds] == [
        "report_pdf", "report_dicom", "ecg_dicom", "picture_png", "picture_svg",
    ]  # fmt: skip
    dialog.reject()


def test_the_dialog_leaves_names_out_unless_asked(qtbot, opened, tmp_path):
    key, modifiers = (
        Qt.Key.Key_E,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier,
    )
    qtbot.keyClick(opened.window, key, modifiers)
    qtbot.waitUntil(lambda: opened.window.findChild(ExportDialog) is not None)
    dialog = opened.window.findChild(ExportDialog)
    dialog.kind.setCurrentIndex(dialog.kind.findText("Everything, one JSON object a line (JSON)"))
    dialog.accept()
    chooser = opened.window.findChild(QFileDialog)
    assert Path(chooser.selectedFiles()[0]).name.startswith("ECG-")
    chooser.fileSelected.emit(str(tmp_path / "ecg.jsonl"))
    chooser.close()
    qtbot.waitUntil((tmp_path / "ecg.jsonl").exists, timeout=20000)
    assert "smith" not in (tmp_path / "ecg.jsonl").read_text(encoding="utf-8").lower()
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
