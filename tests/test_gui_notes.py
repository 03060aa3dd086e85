"""Notes on stretches of the ECG, and what is left of a session after the program was killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QMessageBox, QPushButton, QTableWidget
from pytestqt.qtbot import QtBot

from echoing_gui.export_dialog import ExportDialog
from echoing_gui.features.measuring.session import Session, from_json, to_json
from echoing_gui.identity import Identity
from echoing_gui.resources import demo_recording_path
from echoing_gui.state import DisplayOptions, Layout
from echoing_gui.state_marks import Caliper, CaliperKind, Marks, Note
from tests.gui_factory import FakeServices, make_program, recording, spike_signal
from tests.test_gui_measuring import ask, calipers, drag
from tests.test_gui_overlays import opened, place

ROOT = Path(__file__).parents[1]
MARKS = Marks(
    (Caliper(CaliperKind.TIME, "II", (1.0, 1.8), (0.1, 0.2), marching=True),),
    (Note("V2", 0.5, 0.75, "=1+1\nÄST"), Note("", 1.0, 2.0)),
)


@pytest.fixture
def view(qtbot: QtBot, program, fake):
    fake.files["beats.hea"] = recording("beats.hea", spike_signal(at_s=(1.0, 1.8, 2.6)))
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS))
    return opened(qtbot, program, "beats.hea")


def notes(program):
    return program.controller.state.measuring.marks.notes


def field(program, kind, name):
    (found,) = [w for w in program.window.findChildren(kind) if w.accessibleName() == name]
    return found


def session_files(folder: Path) -> list[Path]:
    return sorted((folder / "sessions").glob("*.json"))


def close_without_saving(program) -> None:
    program.window.close()
    (box,) = [b for b in program.window.findChildren(QMessageBox) if "have not saved" in b.text()]
    (button,) = [b for b in box.buttons() if "without" in b.text()]
    button.click()
    assert not program.window.isVisible()


def wait_for_session(qtbot, folder, has) -> None:
    qtbot.waitUntil(lambda: any(has(f.read_text()) for f in session_files(folder)), timeout=5000)


def test_dragging_makes_notes_only_while_editing(qtbot, program, view):
    start, end = place(view, "V2", 1.2), place(view, "V2", 2.2)
    drag(qtbot, view, start, end)
    assert not notes(program)
    ask(program, "note_editing")
    drag(qtbot, view, start, end)
    (note,) = notes(program)
    assert note.lead == "V2"
    assert (note.start_s, note.end_s) == pytest.approx((1.2, 2.2), abs=0.006)
    text = field(program, QLineEdit, "Note")
    assert text.hasFocus()
    qtbot.keyClicks(text, "ST up")
    assert notes(program)[0].text == "ST up"
    assert field(program, QTableWidget, "Notes").item(0, 3).text() == "ST up"
    ask(program, "undo")
    assert notes(program)[0].text == ""
    ask(program, "undo")
    assert not notes(program)
    ask(program, "redo")
    ask(program, "redo")
    assert notes(program)[0].text == "ST up"
    field(program, QTableWidget, "Notes").selectRow(0)
    field(program, QPushButton, "Delete note").click()
    assert not notes(program)


def test_shift_notes_all_leads_and_keys_alone_suffice(qtbot, program, view):
    ask(program, "note_editing")
    shift = Qt.KeyboardModifier.ShiftModifier
    start, end = place(view, "I", 1.2), place(view, "I", 2.2)
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, shift, start)
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, shift, end)
    assert notes(program)[0].lead == ""
    ask(program, "caliper_time")
    qtbot.keyClick(view, Qt.Key.Key_Return)  # sets the second end if it follows the pointer
    ask(program, "note_new")
    caliper, note = calipers(program)[0], notes(program)[1]
    assert (note.lead, note.start_s, note.end_s) == (caliper.lead, *caliper.times_s)
    close_without_saving(program)


def test_a_session_is_saved_privately_without_names_or_waveform_and_removed_at_the_end(
    qtbot, program, view, tmp_path
):
    ask(program, "caliper_both")
    ask(program, "note_editing")
    ask(program, "note_new")
    wait_for_session(qtbot, tmp_path, lambda text: '"notes": [\n  {' in text)
    (path,) = session_files(tmp_path)
    state = program.controller.state
    assert path.stem == state.recording.recording_id
    session = from_json(path.read_bytes())
    assert session.marks == state.measuring.marks
    assert set(json.loads(path.read_text())) == {
        "format", "recording_id", "path", "calipers", "notes",
    }  # fmt: skip
    assert path.stat().st_size < 1000
    if os.name == "posix":
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    close_without_saving(program)
    assert not list((tmp_path / "sessions").iterdir())


def test_unsaved_notes_are_not_lost_unasked(qtbot, program, view, tmp_path):
    ask(program, "note_editing")
    ask(program, "note_new")
    program.controller.change(
        measuring=replace(program.controller.state.measuring, marks=MARKS)
    )  # its text begins like a formula
    assert not program.window.close()
    assert program.window.isVisible()
    program.window.findChild(QMessageBox).close()
    path = tmp_path / "mine.csv"
    caliper, first, second = saved_rows(program, path, Identity.HIDDEN)
    assert all("Research use only" in row["research_use"] for row in (caliper, first, second))
    assert caliper["interval_ms"] == "800.0"
    assert (first["lead"], first["text"]) == ("V2", "'=1+1\nÄST")
    assert second["lead"] == "all"
    assert program.window.close()


def saved_rows(program, path, identity) -> list[dict[str, str]]:
    """Save through the dialogs; give the rows of the table."""
    ask(program, "notes_save")
    (how,) = [each for each in program.window.findChildren(ExportDialog) if each.isVisible()]
    assert any("Your own words" in label.text() for label in how.findChildren(QLabel))
    how.choose(identity)
    how.accept()
    (chooser,) = [each for each in program.window.findChildren(QFileDialog) if each.isVisible()]
    chooser.fileSelected.emit(str(path))
    chooser.close()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_saved_table_follows_the_rule_of_whose_ecg_it_is(qtbot, program, view, tmp_path):
    state = program.controller.state
    program.controller.change(measuring=replace(state.measuring, marks=MARKS))
    known, name = state.recording.recording_id, "beats"
    path, pseudonyms = tmp_path / "table.csv", []
    for identity in (Identity.HIDDEN, Identity.HIDDEN, Identity.LINKABLE, Identity.LINKABLE):
        rows = saved_rows(program, path, identity)
        assert known not in path.read_text()
        assert name not in path.read_text()
        assert len({row["pseudonym"] for row in rows}) == 1
        pseudonyms.append(rows[0]["pseudonym"])
        last = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])
        assert (last["event"], last["kind"]) == ("exported", "marks_csv")
        assert (last["identity"], last["recording"]) == (identity.value, known)
        assert last["export"] == pseudonyms[-1].lower().replace("-", "_")
    assert len(set(pseudonyms[:3])) == 3
    assert pseudonyms[2] == pseudonyms[3]
    (row, *_) = saved_rows(program, path, Identity.KEPT)
    assert row["recording_id"] == known
    assert "pseudonym" not in row


def test_going_back_to_a_recording_finds_its_marks_again(qtbot, program, view):
    ask(program, "caliper_both")
    made = calipers(program)
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.recording.source_name == "a.hea")
    assert not calipers(program)
    program.controller.open_file(Path("beats.hea"))
    qtbot.waitUntil(lambda: calipers(program) == made)
    assert not program.controller.state.measuring.recovered


def test_a_session_comes_back_as_it_was_saved():
    session = Session("ab" * 32, "/a/b.hea", MARKS)
    assert from_json(to_json(session)) == session


def _broken():
    good = to_json(Session("ab", "/b.hea", MARKS))
    yield b""
    yield b"\xff\xfe"
    yield b"[]"
    yield b"null"
    rng = np.random.default_rng(0)
    for cut in rng.integers(1, len(good) - 1, 20):
        yield good[:cut]
    for old, new in ((b'"time"', b'"tim"'), (b"1.8", b"NaN"), (b'"format": 1', b'"format": 2')):
        yield good.replace(old, new)


@pytest.mark.parametrize("content", list(_broken()))
def test_what_is_no_session_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do, it is not shown
        from_json(content)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_program_offers_its_recording_again(qtbot, tmp_path):
    killed = subprocess.Popen(
        [sys.executable, "-m", "tests.crashing_program", tmp_path, demo_recording_path()],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert killed.stdout
    assert killed.stdout.readline() == "saved\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    (path,) = session_files(tmp_path)
    saved = from_json(path.read_bytes()).marks
    assert saved.calipers
    assert saved.notes

    program = make_program(FakeServices(), tmp_path)
    qtbot.addWidget(program.window)
    program.window.show()
    program.controller.load_package()
    qtbot.waitUntil(lambda: program.window.findChild(QMessageBox) is not None, timeout=20_000)
    box = program.window.findChild(QMessageBox)
    assert box
    assert demo_recording_path().name in box.text()
    (button,) = [b for b in box.buttons() if "Open again" in b.text()]
    button.click()
    state = lambda: program.controller.state  # noqa: E731
    qtbot.waitUntil(
        lambda: state().measuring.recovered and state().prediction is not None, timeout=20_000
    )
    assert state().measuring.marks == saved
    prediction = state().prediction
    assert prediction
    assert prediction.recording_id == path.stem  # computed anew: none was kept
    close_without_saving(program)
    assert not list((tmp_path / "sessions").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_no_moment_of_killing_leaves_a_torn_session(tmp_path):
    writer = (
        "import sys; from pathlib import Path; from echoing_gui.files import atomic_write\n"
        "from tests.test_gui_notes import MARKS, Session, to_json, Marks\n"
        "n = 0; print('go', flush=True)\n"
        "while True:\n"
        "    n += 1\n"
        "    marks = Marks(MARKS.calipers * (n % 200), MARKS.notes)\n"
        "    atomic_write(Path(sys.argv[1]), to_json(Session('ab', '/b.hea', marks)))\n"
    )
    path = tmp_path / "ab.json"
    for wait_s in (0.05, 0.083, 0.171):
        process = subprocess.Popen(
            [sys.executable, "-c", writer, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.readline() == "go\n"
        while not path.exists():
            time.sleep(0.01)
        time.sleep(wait_s)
        process.kill()
        process.wait()
        process.stdout.close()
        assert from_json(path.read_bytes()).recording_id == "ab"


def test_a_damaged_session_is_kept_aside_and_told_of(qtbot, tmp_path):
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / f"{'ab' * 32}.json").write_bytes(b'{"format": 1')
    program = make_program(FakeServices(), tmp_path)
    qtbot.addWidget(program.window)
    program.window.show()
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    message = program.controller.state.message
    assert message
    assert "could not be read" in message.text
    assert (folder / f"{'ab' * 32}.damaged").read_bytes() == b'{"format": 1'
    assert program.window.findChild(QMessageBox) is None
    program.window.close()


def test_sessions_of_another_running_program_are_left_alone(qtbot, program, view, tmp_path):
    ask(program, "caliper_both")
    wait_for_session(qtbot, tmp_path, lambda text: "calipers" in text)
    script = (
        "import sys; from pathlib import Path; from PySide6.QtCore import QLockFile\n"
        "lock = QLockFile(sys.argv[1]); lock.setStaleLockTime(0); print(lock.tryLock(0))\n"
    )
    lock = session_files(tmp_path)[0].with_suffix(".lock")
    found = subprocess.run(
        [sys.executable, "-c", script, lock], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
