"""Who the ECG is of: never in logs, titles, settings or announcements; off the screen on F9."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pypdfium2 import PdfDocument
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAction
from PySide6.QtPrintSupport import QPrinter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QFileDialog, QPushButton, QWidget

from echoing_gui import main_window
from echoing_gui.errors import Unexpected, details
from echoing_gui.exports import KINDS
from echoing_gui.features.exporting import Exporter
from echoing_gui.features.exporting.pictures import PICTURES
from echoing_gui.features.exporting.records import RECORDS
from echoing_gui.features.privacy import IdleWatch
from echoing_gui.features.start import StartPage
from echoing_gui.identity import Identity, pseudonyms
from echoing_gui.log import log, start_log
from echoing_gui.state import AppState, DisplayOptions, Filtered, Stage
from echoing_gui.state_work_list import ListRow, WorkList
from echoing_gui.view_models.privacy import PrivacyScreen
from echoing_gui.view_models.report import PAPERS
from model_core.display_filters import DisplayFilter
from model_core.types import Annotation, ImportReport, Statement
from tests.gui_factory import recording

NAME, MRN, DATE, PLACE = "Canaria-Zwilling", "MRN7734219", "1931-02-17", "Kanarienklinik"
FILE = f"{NAME}_{MRN}.hea"
CANARIES = (NAME, MRN, DATE, "1931", PLACE)


def canary(name: str = FILE):
    return recording(
        name,
        acquired_at=f"{DATE}T09:30:00",
        age_y=61.0,
        sex="female",
        comments=(f"Patient {NAME}", f"born {DATE}"),
        notes=(f"The samples of {NAME}_{MRN}.dat were read.",),
        patient=(("Name", NAME), ("Patient ID", MRN), ("Date of birth", DATE)),
        acquisition=(("Institution", PLACE),),
        statements=(Statement(f"{NAME}: sinus rhythm", "machine"),),
        annotations=(Annotation(1.0, f"{NAME} coughs"),),
        report=ImportReport("Test", repairs=(f"{NAME}_{MRN}.dat was too short.",)),
    )


@pytest.fixture
def announced(monkeypatch) -> list[str]:
    """What screen readers are told."""
    said: list[str] = []

    class Announced(QAccessibleAnnouncementEvent):
        def __init__(self, about, text: str) -> None:
            said.append(text)
            super().__init__(about, text)

    monkeypatch.setattr(main_window, "QAccessibleAnnouncementEvent", Announced)
    return said


@pytest.fixture
def log_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "propagate", log.propagate)
    handlers: list[logging.Handler] = []
    monkeypatch.setattr(log, "handlers", handlers)
    start_log(tmp_path / "state")
    yield tmp_path
    for handler in handlers:
        handler.close()


def open_canary(qtbot, program, fake):
    fake.files[FILE] = canary()
    program.controller.open_file(Path("/data") / PLACE / FILE)
    qtbot.waitUntil(
        lambda: (
            program.controller.state.prediction is not None
            and program.controller.state.job.stage is Stage.IDLE
        )
    )


def on_screen(program) -> str:
    """All texts that visible widgets, their tooltips and accessibility hold."""
    QAccessible.setActive(True)
    said = [program.window.windowTitle()]
    for widget in program.window.findChildren(QWidget):
        for name in ("text", "toolTip", "toPlainText", "title"):
            read = getattr(widget, name, None)
            if callable(read):
                said.append(str(read()))
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is not None:
            kinds = (QAccessible.Text.Name, QAccessible.Text.Description, QAccessible.Text.Value)
            said += [interface.text(kind) for kind in kinds]
    return "\n".join(said)


def hits(text: str) -> list[str]:
    return [each for each in CANARIES if each.lower() in text.lower()]


def test_f9_takes_every_name_and_date_off_the_screen_and_brings_them_back(qtbot, program, fake):
    open_canary(qtbot, program, fake)
    program.window.show_page("recording")
    # The same search finds them while the screen is off.
    assert {NAME, MRN, DATE} <= set(hits(on_screen(program)))
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    assert hits(on_screen(program)) == []
    assert "61 years" in on_screen(program)
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    assert NAME in hits(on_screen(program))


def test_what_is_drawn_on_the_paper_is_hidden_too(qtbot, program, fake):
    open_canary(qtbot, program, fake)
    view = program.window.traces.view
    with_name = view.grab().toImage()
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    assert view.grab().toImage() != with_name
    assert program.window.state.recording.source_name == "name hidden"
    # Exports and the audit log go by the state of the controller, which keeps what was read.
    assert program.controller.state.recording.source_name == FILE


def test_the_screen_stays_on_for_the_next_file_and_the_next_start(qtbot, program, fake, tmp_path):
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    open_canary(qtbot, program, fake)
    program.controller.open_file(Path(f"{NAME}.broken"))
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    assert hits(on_screen(program)) == []
    assert '"private": true' in (tmp_path / "settings.json").read_text()


def test_nothing_that_is_written_or_announced_names_the_patient(
    qtbot, program, fake, announced, log_folder
):
    titles = []
    open_canary(qtbot, program, fake)
    titles.append(program.window.windowTitle())
    # A file that cannot be read, one whose prediction fails, and something nobody foresaw.
    program.controller.open_file(Path("/data") / PLACE / f"{NAME}.broken")
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    fake.broken = OSError(2, "No such file or directory", f"/data/{PLACE}/{FILE}")
    errors = []
    program.controller.unexpected.disconnect()
    program.controller.unexpected.connect(errors.append)
    program.controller.predict_here()
    qtbot.waitUntil(lambda: bool(errors))
    titles.append(program.window.windowTitle())
    program.controller.set_options(replace(program.controller.state.options, zoom=2.0))
    Unexpected()._on_error(type(errors[0]), errors[0], errors[0].__traceback__)
    program.window.close()
    program.window._geometry.sync()
    assert len(announced) > 3
    assert hits("\n".join((*announced, *titles, details(errors[0])))) == []
    written = [path for path in log_folder.rglob("*") if path.is_file()]
    assert {"audit.jsonl", "settings.json", "echoing.log", "window.ini"} <= {
        path.name for path in written
    }
    assert "uncaught error" in (log_folder / "state" / "echoing.log").read_text()
    found = {path: hits(path.read_text(errors="replace") + path.name) for path in written}
    assert not any(found.values()), found


def seen_in(dialog) -> str:
    """What somebody who looks at a dialog may read in it: texts, and cells of lists."""
    said = [dialog.windowTitle()]
    for widget in dialog.findChildren(QWidget):
        if not widget.isVisible():
            continue
        for name in ("text", "currentText", "toPlainText"):
            read = getattr(widget, name, None)
            if callable(read):
                said.append(str(read()))
        if isinstance(widget, QAbstractItemView):
            model, root = widget.model(), widget.rootIndex()
            said += [str(model.index(row, 0, root).data()) for row in range(model.rowCount(root))]
    return "\n".join(said)


def test_f9_covers_dialogs_that_choose_files(qtbot, program, tmp_path):
    (tmp_path / FILE).write_text("")
    program.window._folder = str(tmp_path)
    program.window.trigger("open")
    dialog = program.window.findChild(QFileDialog)
    qtbot.waitUntil(lambda: NAME in hits(seen_in(dialog)))
    qtbot.keyClick(dialog, Qt.Key.Key_F9)
    assert program.controller.state.options.private
    assert hits(seen_in(dialog)) == []
    assert "privacy screen is on" in seen_in(dialog)
    # Names are shown in this dialog alone, and the same key hides them again.
    button = next(b for b in dialog.findChildren(QPushButton) if "names" in b.text())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert NAME in hits(seen_in(dialog))
    assert program.controller.state.options.private
    qtbot.keyClick(dialog, Qt.Key.Key_F9)
    assert hits(seen_in(dialog)) == []
    qtbot.keyClick(dialog, Qt.Key.Key_F9)
    assert not program.controller.state.options.private
    assert NAME in hits(seen_in(dialog))
    dialog.close()


@pytest.fixture
def idle(program) -> IdleWatch:
    """A second instead of minutes."""
    watch = program.window.findChild(IdleWatch)
    assert watch.timer.isActive()
    assert watch.timer.interval() == 600_000
    watch.timer.start(1000)
    return watch


def is_private(program) -> bool:
    return program.controller.state.options.private


def test_names_hide_after_a_while_without_key_or_mouse_until_f9(qtbot, program, fake, idle):
    open_canary(qtbot, program, fake)
    handle = program.window.windowHandle()
    qtbot.waitUntil(lambda: is_private(program))
    assert hits(on_screen(program)) == []
    assert program.window.findChild(QAction, "privacy").isChecked()
    QTest.keyClick(handle, Qt.Key.Key_F9)
    assert not is_private(program)
    assert NAME in hits(on_screen(program))
    # As long as something is done it stays so; the key began the time anew, too.
    for number in range(15):
        qtbot.wait(100)
        if number % 2:
            QTest.keyClick(handle, Qt.Key.Key_Shift)
        else:
            QTest.mouseMove(handle, QPoint(100 + number, 100))
        assert not is_private(program)
    qtbot.waitUntil(lambda: is_private(program))


def test_never_means_never(qtbot, program, idle):
    options = program.controller.state.options
    program.controller.set_options(replace(options, private_after_min=0))
    QTest.keyClick(program.window.windowHandle(), Qt.Key.Key_Shift)
    assert not idle.timer.isActive()
    program.controller.set_options(replace(options, private_after_min=5))
    assert idle.timer.isActive()
    assert idle.timer.interval() == 300_000


def test_idle_covers_dialogs_those_that_were_uncovered_too(qtbot, program, tmp_path, idle):
    (tmp_path / FILE).write_text("")
    program.window._folder = str(tmp_path)
    program.window.trigger("open")
    dialog = program.window.findChild(QFileDialog)
    qtbot.waitUntil(lambda: is_private(program))
    assert hits(seen_in(dialog)) == []
    (show,) = [b for b in dialog.findChildren(QPushButton) if "Show names" in b.text()]
    show.click()
    qtbot.waitUntil(lambda: NAME in hits(seen_in(dialog)))
    QTest.mouseMove(dialog.windowHandle(), QPoint(5, 5))  # which begins the time anew
    assert idle.timer.isActive()
    qtbot.waitUntil(lambda: hits(seen_in(dialog)) == [])
    # It is covered once, so that it comes back whole.
    idle.timer.timeout.emit()
    qtbot.keyClick(dialog, Qt.Key.Key_F9)
    assert NAME in hits(seen_in(dialog))
    dialog.close()


def test_a_dialog_opens_covered_behind_the_privacy_screen(qtbot, program, tmp_path):
    (tmp_path / FILE).write_text("")
    program.window._folder = str(tmp_path)
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    program.window.trigger("open")
    dialog = program.window.findChild(QFileDialog)
    qtbot.wait(200)  # the folder is listed meanwhile
    assert hits(seen_in(dialog)) == []
    dialog.close()


def test_qt_does_not_remember_which_folders_were_seen(qtbot, program, tmp_path, monkeypatch):
    kept = tmp_path / "config"
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(kept))
    (tmp_path / NAME).mkdir()
    program.window._folder = str(tmp_path / NAME)
    program.window.trigger("open")
    dialog = program.window.findChild(QFileDialog)
    gone: list[bool] = []
    dialog.destroyed.connect(lambda: gone.append(True))
    qtbot.wait(100)
    dialog.close()
    qtbot.waitUntil(lambda: bool(gone))
    QSettings(QSettings.Scope.UserScope, "QtProject").sync()
    written = [path for path in kept.rglob("*") if path.is_file()]
    assert written  # else this would look in the wrong place
    assert hits("".join(path.read_text() for path in written)) == []


def test_recent_files_are_hidden_however_they_come_to_the_list(qtbot, program, fake):
    page = program.window.findChild(StartPage)
    page._remember.click()
    open_canary(qtbot, program, fake)
    program.window.trigger("start_page")
    assert NAME in hits(seen_in(page))
    qtbot.keyClick(program.window, Qt.Key.Key_F9)
    assert hits(seen_in(page)) == []
    again = f"again_{FILE}"
    fake.files[again] = canary(again)
    program.controller.open_file(Path("/data") / PLACE / again)
    qtbot.waitUntil(lambda: program.controller.state.recording.source_name == again)
    program.window.trigger("start_page")
    assert hits(seen_in(page)) == []


@pytest.mark.parametrize("identity", [Identity.HIDDEN, Identity.LINKABLE])
def test_no_export_and_no_print_names_the_patient(qtbot, program, fake, log_folder, identity):
    open_canary(qtbot, program, fake)
    controller, exporter = program.controller, program.window.findChild(Exporter)
    hash_of_file = controller.state.recording.recording_id
    out = log_folder / "out"
    out.mkdir()

    def wait() -> None:
        qtbot.waitUntil(lambda: controller.state.message is not None, timeout=20000)
        said = controller.state.message.text
        assert "exported" in said or "sent to the printer" in said
        assert hits(said) == []
        controller.close_message()

    for number, kind in enumerate((*RECORDS, *PICTURES, *KINDS)):
        name = pseudonyms(identity, log_folder)(hash_of_file)
        path = out / f"{number}{kind.suffix}"
        exporter.write(controller.state, kind, PAPERS[0], identity, name, path)
        wait()
    printer = QPrinter()
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(out / "print.pdf"))
    exporter.print_on(printer, controller.state, identity, "ECG-1")
    wait()
    lists = [path for path in out.iterdir() if hits(told_by(path)) or hash_of_file in told_by(path)]
    assert not lists
    log_text = (log_folder / "audit.jsonl").read_text()
    assert log_text.count('"event": "exported"') == len(list(out.iterdir()))
    assert hits(log_text) == []


def told_by(path: Path) -> str:
    """Everything that an export says, taken out of what it is packed in."""
    content = path.read_bytes()
    told = content.decode("latin-1")
    if path.suffix == ".pdf":
        told += "".join(page.get_textpage().get_text_range() for page in PdfDocument(content))
    elif path.suffix == ".parquet":
        told += str(pd.read_parquet(path).to_dict())
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            told += str({name: arrays[name].tolist() for name in arrays.files})
    elif path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        told += str(dataset)
        report = dataset.get("EncapsulatedDocument")
        if report:
            told += "".join(page.get_textpage().get_text_range() for page in PdfDocument(report))
    return told


def test_the_story_of_an_error_tells_where_and_which_kind_but_no_file(tmp_path):
    text = ""
    try:
        try:
            (tmp_path / FILE).read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read {FILE}") from error
    except ValueError as error:
        text = details(error)
    assert hits(text) == []
    assert "ValueError" in text
    assert "FileNotFoundError: No such file or directory" in text
    assert "test_gui_privacy.py" in text


def test_a_work_list_shows_numbers_in_place_of_files_and_patients():
    rows = (
        ListRow(
            1, Path(f"/data/{PLACE}/{FILE}"), FILE, patient=MRN, sentences=(f"{FILE} is gone.",)
        ),
        ListRow(2, Path(FILE), f"{PLACE}/{FILE}", patient=MRN),
    )
    state = AppState(
        options=DisplayOptions(private=True), work_list=WorkList(Path(f"/data/{PLACE}"), rows)
    )
    screen = PrivacyScreen()
    shown = screen.applied(state).work_list
    assert shown is not None
    told = [(row.name, row.patient, *row.sentences) for row in shown.rows]
    assert hits(f"{told} {shown.source}") == []
    assert shown.rows[0].name == "File 1"
    # What is opened from a row is still the file.
    assert shown.rows[0].path == rows[0].path
    # An unchanged list stays the same object: tables are not filled anew for each state.
    assert screen.applied(replace(state, variance_held=True)).work_list is shown


def test_traces_stay_filtered_behind_the_screen():
    shown = canary()
    filtered = Filtered(shown, DisplayFilter(low_pass_hz=40.0), replace(shown))
    options = DisplayOptions(private=True, low_pass_hz=40.0)
    state = AppState(recording=shown, filtered=filtered, options=options)
    assert state.applied_filter.low_pass_hz == 40.0
    screened = PrivacyScreen().applied(state)
    assert screened.applied_filter.low_pass_hz == 40.0
    assert screened.drawn
    assert hits(screened.drawn.source_name) == []
