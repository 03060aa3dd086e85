"""Nothing that the window shows has escaped translation: it is opened in a made-up language.

In that language every letter of a text bears an accent, and every text is a third longer. What
then still shows plain words was not given to `tr`, or is in no catalogue.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyqtgraph import PlotWidget
from PySide6.QtCore import QAbstractListModel, QBuffer, QModelIndex, QObject, Qt
from PySide6.QtGui import QAction, QPainter, QPdfWriter
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QFileDialog,
    QGroupBox,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from echoing_gui import i18n
from echoing_gui.features.work_list.lists import Lists
from echoing_gui.graphics.pages import paint_document
from echoing_gui.import_dialog import ImportDialog
from echoing_gui.view_models.report import PAPERS, report_view
from echoing_gui.window_parts import SidePages
from model_core.io import READERS
from model_core.quality.samples import LEAD_FAULTS
from model_core.types import LeadGrade, LeadQuality, Reason, Severity
from model_core.wording import say
from tests.conftest import settle
from tests.gui_factory import recording, spike_signal
from tests.test_gui_accessibility import is_clipped, shown_texts
from tests.test_gui_window import has_result
from tests.test_translation import texts
from tests.unit.test_cli import write_record

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ACCENTED = "áƀćđéƒǵĥíĵķĺḿńóṕɋŕśťúṽŵẋýźÁƁĆĐÉƑǴĤÍĴĶĹḾŃÓṔɊŔŚŤÚṼŴẊÝŹ"
# What is the same in every language: units, leads, waves, formulas, keys, formats, a source.
_SAME = re.compile(
    r"\b(mm|mV|ms|Hz|min|ml|px|nV|uV|dB|aVR|aVL|aVF|II|III|QRS|QT|QTc|PR|RR|LVEF|LVEDV|LVESV|Cabrera|"
    r"Bazett|Fridericia|Framingham|Hodges|Letter|English|Deutsch|Spearman|ECG|SHA|WFDB|JSON|CSV|"
    r"PDF|PNG|SVG|DICOM|FHIR|EchoingECG|Ctrl|Shift|Alt|Esc|PgUp|PgDown|Home|End|Del|Ins|Space|"
    r"Return|Backspace|Left|Right|Up|Down|Tab|Enter|F\d+|"
    r"ASE|EACVI|Lang et al|J Am Soc Echocardiogr)\b"
)
# Of the recordings and packages of these tests, file names, and hashes.
_DATA = re.compile(
    rf"{'|'.join(re.escape(reader.FORMAT_NAME) for reader in READERS)}|"
    r"\S*/\S*|\*?\.\w+|\w+\.(hea|dat|ecg|csv|xyz)\b|time \(s\)|ecgs|Test package|"
    r"Demonstration model: trained on simulated echo outcomes\.|EchoingECG demonstration|none|"
    r"[0-9a-f]{10,}…?"
)
# Qt's own words, which come with Qt in the language in use, and a graph's menu that is not offered.
_QT = re.compile(
    r"&?(OK|Cancel|Close|Save|Open|Restore Defaults|Apply|Reset|Scroll Left|Scroll Right)|"
    r"Press shortcut|Export(\.\.\.)?|Plot Options|Transforms|Grid"
)
NOISY = Reason("noisy_lead", Severity.CAUTION, say("Samples are missing in the recording."), "V3")
FLAT = Reason("flat_lead", Severity.REFUSE, LEAD_FAULTS["flat_lead"](say("in all leads")), "V2")
UNIT = Reason(
    "microvolts", Severity.CONFIRM, say("The ECG is too disturbed to be read. Check the electrodes "
    "and record it again."),
)  # fmt: skip


def pseudo(text: str) -> str:
    """Put a text into the made-up language, its placeholders kept."""
    parts = string.Formatter().parse(text)
    accented = str.maketrans(_LETTERS, _ACCENTED)
    made = "".join(
        words.replace("{", "{{").replace("}", "}}").translate(accented)
        + ("" if name is None else f"{{{name}{f'!{how}' if how else ''}{form and f':{form}'}}}")
        for words, name, form, how in parts
    )
    return made + "·" * (len(text) // 3)


@pytest.fixture(scope="module")
def catalogue() -> dict[str, str]:
    return {text: pseudo(text) for text in texts()}


@pytest.fixture
def painted(monkeypatch, catalogue) -> list[str]:
    """The made-up language is in use; gives every text that is painted."""
    monkeypatch.setattr(i18n, "_catalogue", catalogue)
    monkeypatch.setattr("echoing_gui.wiring.speak", lambda _chosen: None)
    drawn: list[str] = []
    plain = QPainter.drawText

    def draw(self: QPainter, *arguments: object) -> object:
        drawn.extend(each for each in arguments if isinstance(each, str))
        return plain(self, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(QPainter, "drawText", draw)
    return drawn


@pytest.fixture
def program(painted, program):
    return program


Look = Callable[[str], None]


@pytest.fixture
def look(painted, program) -> Iterator[Look]:
    """Notes what is not translated wherever it is called, and fails at the end."""
    escaped: dict[str, str] = {}

    def look_now(after: str) -> None:
        program.window.grab()
        settle()
        for place, text in (*shown_everywhere(), *(("painted", each) for each in painted)):
            if plain_words(text):
                escaped.setdefault(text, f"{after}: {place}")
        painted.clear()

    yield look_now
    lines = [f"{where}: {text!r} ({plain_words(text)})" for text, where in escaped.items()]
    assert not lines, f"{len(lines)} texts are not translated:\n" + "\n".join(lines)


def shown_everywhere() -> Iterator[tuple[str, str]]:
    """Every text of every window there is, with what shows it; Qt's file dialog is Qt's own."""
    for top in QApplication.topLevelWidgets():
        yield f"title of {type(top).__name__}", top.windowTitle()
        for part in (top, *top.findChildren(QWidget), *top.findChildren(QAction)):
            if is_foreign(part):
                continue
            shown = (part.text(), part.toolTip()) if isinstance(part, QAction) else texts_of(part)
            for text in shown:
                yield f"{type(part).__name__} {part.objectName()}".strip(), text


def is_foreign(part: QObject | None) -> bool:
    """Whether it belongs to Qt's file dialog, or to the menu of a graph, which is not offered."""
    if part is None:
        return False
    of_graph = isinstance(part, QMenu) and isinstance(part.parent(), PlotWidget)
    return isinstance(part, QFileDialog) or of_graph or is_foreign(part.parent())


def texts_of(widget: QWidget) -> Iterator[str]:
    yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
    yield from (widget.statusTip(), widget.whatsThis())
    if isinstance(widget, QLabel | QAbstractButton):
        yield widget.text()
    if isinstance(widget, QGroupBox):
        yield widget.title()
    if isinstance(widget, QLineEdit | QPlainTextEdit):
        yield widget.placeholderText()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(row) for row in range(widget.count()))
    if isinstance(widget, QTabBar):
        for tab in range(widget.count()):
            yield from (widget.tabText(tab), widget.tabToolTip(tab))
    if isinstance(widget, QAbstractItemView) and widget.model() is not None:
        yield from cells_of(widget)


def cells_of(view: QAbstractItemView) -> Iterator[str]:
    model, top = view.model(), QModelIndex()
    for column in range(1 if isinstance(model, QAbstractListModel) else model.columnCount(top)):
        roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
        shown = [model.headerData(column, Qt.Orientation.Horizontal, role) for role in roles]
        for row in range(min(model.rowCount(top), 20)):
            shown += [model.index(row, column).data(role) for role in roles]
        yield from (each for each in shown if isinstance(each, str))


def plain_words(text: str) -> str:
    if _QT.fullmatch(text):
        return ""
    text = re.sub(r"<[^>]*>", " ", text)
    return " ".join(re.findall(r"[A-Za-z]{2,}", _SAME.sub("", _DATA.sub("", text))))


def opened(qtbot, program, name):
    program.controller.open_file(Path(name))
    qtbot.waitUntil(lambda: has_result(program, name))


def test_every_action_and_its_dialog(qtbot, fake, program, look):
    look("start")
    fake.reasons["a.hea"] = (NOISY,)
    opened(qtbot, program, "a.hea")
    for key, action in program.window._qactions.items():
        if key == "quit" or not action.isEnabled():
            continue
        action.trigger()
        look(key)
        for top in QApplication.topLevelWidgets():
            if top is not program.window and top.isVisible():
                top.close()
    program.window.close()
    for box in program.window.findChildren(QMessageBox):  # asks about notes that were not saved
        for button in box.buttons():
            if box.buttonRole(button) is QMessageBox.ButtonRole.DestructiveRole:
                button.click()


@pytest.mark.parametrize("reason", [FLAT, UNIT, replace(UNIT, code="electrode_placement")])
def test_results_that_are_withheld(qtbot, fake, program, look, reason):
    fake.reasons["b.hea"] = (reason,)
    opened(qtbot, program, "b.hea")
    look(reason.code)


def test_files_that_are_refused_and_tables_that_are_asked_about(
    qtbot, program, look, tmp_path: Path
):
    (tmp_path / "no.xyz").write_text("This is no ECG.")
    program.controller.open_file(tmp_path / "no.xyz")
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    look("no ECG")
    lines = "time (s)," + ",".join("abcdefghijkl") + "\n"
    lines += "".join(f"{n / 500}" + ",100" * 12 + "\n" for n in range(5000))
    (tmp_path / "table.csv").write_text(lines)
    program.controller.open_file(tmp_path / "table.csv")
    qtbot.waitUntil(lambda: bool(program.window.findChildren(ImportDialog)))
    look("table")
    program.window.findChild(ImportDialog).reject()


def test_longer_texts_have_room(qtbot, fake, program, look):
    fake.reasons["a.hea"] = (NOISY,)
    opened(qtbot, program, "a.hea")
    pages = program.window.findChild(SidePages)
    for _again in range(2):
        for tab in range(pages.count()):
            pages.setCurrentIndex(tab)

            def nothing_is_clipped():  # once it is laid out
                clipped = [each for each in shown_texts(program.window) if is_clipped(each)]
                assert not clipped, [(each.text(), each.size()) for each in clipped]

            qtbot.waitUntil(nothing_is_clipped)
        program.controller.predict_here()
        qtbot.waitUntil(lambda: has_result(program, "a.hea"))


def test_a_long_recording(qtbot, fake, program, look):
    fake.files["long.ecg"] = recording("long.ecg", spike_signal(90.0), age_y=54.0, sex="female")
    program.controller.open_file(Path("long.ecg"))
    qtbot.waitUntil(lambda: program.controller.state.page_is_read)
    look("long")
    program.controller.predict_here()
    qtbot.waitUntil(lambda: has_result(program, "long.ecg"))
    look("part")


def test_a_work_list(qtbot, fake, program, look, tmp_path: Path):
    place = tmp_path / "ecgs"
    for number in range(4):
        write_record(place / f"ecg{number}.hea", spike_signal())
        fake.files[f"ecg{number}.hea"] = recording(f"ecg{number}.hea")
    fake.reasons |= {"ecg0.hea": (NOISY,), "ecg1.hea": (FLAT,)}
    del fake.files["ecg2.hea"]
    (place / "ecg2.dat").write_bytes(b"short")
    program.window.findChild(Lists).open_source(place)
    qtbot.waitUntil(
        lambda: (work := program.controller.state.work_list) is not None and work.n_done == 4
    )
    look("work list")


def test_quality_and_the_printed_report(qtbot, program, look):
    opened(qtbot, program, "demo.hea")
    noisy = LeadQuality("V1", LeadGrade.NOISY, say("Samples are missing in the recording."))
    graded = replace(program.controller.state.prediction, lead_quality=(noisy,))
    program.controller.change(prediction=graded)
    look("quality")
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    paint_document(
        QPdfWriter(buffer), report_view(program.controller.state, PAPERS[0], ""), PAPERS[0]
    )
    look("report")
