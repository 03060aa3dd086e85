"""Many ECGs as a work list, through the window: estimated, paused, sorted, drawn, exported."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAccessible, QAction
from PySide6.QtWidgets import QWidget

from echoing_gui import files, wiring
from echoing_gui.exports import KINDS
from echoing_gui.features.work_list.lists import Lists
from echoing_gui.identity import Identity
from echoing_gui.state_work_list import RowState
from echoing_gui.view_models.work_list import progress_text
from tests.gui_factory import FLAT_LEAD, NOISY_LEAD, make_program, recording, said_of
from tests.unit.test_cli import write_record

N = 6


def lists_of(program) -> Lists:
    return program.window.findChild(Lists)


def work_of(program):
    return program.controller.state.work_list


def is_done(program):
    work = work_of(program)
    return (
        work is not None
        and not work.listing
        and not work.running
        and work.n_done == len(work.rows)
        and len(work.rows) > 0
    )


def has_message(program, text):
    message = program.controller.state.message
    return message is not None and text in f"{message.text} {message.hint}"


@pytest.fixture
def folder(tmp_path, fake):
    """Six ECGs in two folders, a text beside them; fakes know what is estimated from each."""
    place = tmp_path / "ecgs"
    for number in range(N):
        name = f"ecg{number}.hea"
        signal = np.tile(np.sin(np.arange(5000) / (9.0 + number)), (12, 1)).astype(np.float32)
        write_record(place / ("b" if number % 2 else "a") / name, signal)
        fake.files[name] = recording(name)
    (place / "README.txt").write_text("These are ECGs of nobody.")
    return place


def run(qtbot, program, source):
    lists_of(program).open_source(source)
    qtbot.waitUntil(lambda: is_done(program), timeout=15000)


def shown(program, key):
    table = lists_of(program).view.table.rows
    number = [column.key for column in table.columns].index(key)
    return [table.index(place, number).data() for place in range(table.rowCount())]


def test_a_folder_becomes_a_list_with_estimates(qtbot, program, folder):
    run(qtbot, program, folder)
    assert program.window.shown_view == "work_list"
    work = work_of(program)
    # Data files and texts are no rows.
    assert [row.name for row in work.rows] == [
        "a/ecg0.hea", "a/ecg2.hea", "a/ecg4.hea", "b/ecg1.hea", "b/ecg3.hea", "b/ecg5.hea",
    ]  # fmt: skip
    assert work.n_skipped == 1
    assert shown(program, "lvef") == ["55"] * N
    assert shown(program, "lvef_width") == ["43\u201366"] * N
    table = lists_of(program).view.table
    titles = [table.rows.headerData(n, Qt.Orientation.Horizontal) for n in range(6)]
    assert "LVEF 90\u00a0% interval" in titles
    assert shown(program, "state") == ["Reported"] * N
    assert progress_text(work) == "6 of 6 done, 1 other file passed over."


def test_refusals_errors_and_cautions_stand_in_their_rows(qtbot, program, folder, fake):
    fake.reasons["ecg0.hea"] = (FLAT_LEAD,)
    fake.reasons["ecg1.hea"] = (NOISY_LEAD,)
    (folder / "b" / "ecg3.dat").write_bytes(b"short")
    del fake.files["ecg3.hea"]
    fake.files["ecg2.hea"] = recording("ecg2.hea", np.zeros((12, 70 * 500), np.float32))
    (folder / "samples.csv").write_text("0.1,0.2\n" * 30)
    run(qtbot, program, folder)
    rows = {row.name: row for row in work_of(program).rows}
    assert rows["a/ecg0.hea"].state is RowState.NOT_REPORTABLE
    assert rows["a/ecg0.hea"].codes == ("flat_lead",)
    assert not rows["a/ecg0.hea"].values
    assert rows["b/ecg1.hea"].state is RowState.CAUTION
    assert rows["b/ecg3.hea"].codes == ("size_mismatch",)
    assert rows["samples.csv"].codes == ("layout_needed",)
    why = dict(zip(shown(program, "name"), shown(program, "why"), strict=True))
    assert why["a/ecg2.hea"] == "Only seconds 0 to 10 of 1 min 10 s were looked at."
    assert "A chest lead is flat." in why["a/ecg0.hea"]
    assert "State rate, unit" in why["samples.csv"]
    table = lists_of(program).view.table.rows
    place = shown(program, "name").index("a/ecg0.hea")
    assert table.index(place, 3).data(Qt.ItemDataRole.ToolTipRole) == "A chest lead is flat."
    # Below the table too, where no scrolling hides it.
    view = lists_of(program).view
    assert view.why.isHidden()
    view.table.choose(np.array([table.row_at(place)]))
    assert view.why.isVisible()
    assert "A chest lead is flat." in view.why.text()
    program.controller.set_options(replace(program.controller.state.options, private=True))
    assert "ecg0" not in view.why.text()
    program.controller.set_options(replace(program.controller.state.options, private=False))
    # Withheld: nothing at all where a number would stand.
    lvef = dict(zip(shown(program, "name"), shown(program, "lvef"), strict=True))
    assert {name for name, text in lvef.items() if not text} == {
        "a/ecg0.hea", "b/ecg3.hea", "samples.csv"
    }  # fmt: skip


def test_pause_keeps_what_is_done_and_continue_does_the_rest(qtbot, program, folder, fake):
    gates = {f"ecg{number}.hea": threading.Event() for number in (1, 3, 5)}
    fake.read_hold.update(gates)
    lists = lists_of(program)
    lists.open_source(folder)
    qtbot.waitUntil(lambda: (work := work_of(program)) is not None and work.n_done == 3)
    lists.pause_or_continue()
    assert not work_of(program).running
    assert "paused" in progress_text(work_of(program))
    qtbot.waitUntil(lambda: not any(t.name == "echoing-list" for t in threading.enumerate()))
    done = list(fake.estimated)
    assert sorted(done) == ["ecg0.hea", "ecg2.hea", "ecg4.hea"]
    for gate in gates.values():
        gate.set()
    lists.pause_or_continue()
    qtbot.waitUntil(lambda: is_done(program))
    assert sorted(fake.estimated) == [f"ecg{number}.hea" for number in range(N)]


def test_after_a_crash_nothing_is_done_twice(qtbot, program, folder, fake, tmp_path):
    """The other program finds only what was on the disk: the first one is not closed."""
    gates = {f"ecg{number}.hea": threading.Event() for number in (3, 5)}
    fake.read_hold.update(gates)
    lists_of(program).open_source(folder)
    qtbot.waitUntil(lambda: getattr(work_of(program), "n_done", 0) == 4)
    done = set(fake.estimated)
    fake.read_hold.clear()
    fake.estimated.clear()
    again = make_program(fake, tmp_path)
    again.window.show()
    again.controller.load_package()
    lists_of(again).open_last()
    qtbot.waitUntil(lambda: is_done(again))
    assert set(fake.estimated).isdisjoint(done)
    assert len(fake.estimated) == N - len(done)
    assert set(shown(again, "lvef")) == {"55"}
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_changed_files_are_estimated_anew(qtbot, program, folder, fake):
    run(qtbot, program, folder)
    fake.estimated.clear()
    fake.files["ecg2.hea"] = recording("other content")
    run(qtbot, program, folder)
    assert fake.estimated == ["ecg2.hea"]


def test_a_file_that_vanishes_is_told_and_stops_no_other(qtbot, program, folder, fake):
    gate = threading.Event()
    fake.read_hold["ecg5.hea"] = gate
    del fake.files["ecg5.hea"]
    lists_of(program).open_source(folder)
    qtbot.waitUntil(lambda: len(getattr(work_of(program), "rows", ())) == N)
    for path in (folder / "b").glob("ecg5.*"):
        path.unlink()
    gate.set()
    qtbot.waitUntil(lambda: is_done(program))
    row = next(row for row in work_of(program).rows if row.name == "b/ecg5.hea")
    assert row.codes == ("header_missing",)
    assert row.sentences[0] == "The header ecg5.hea is not there."
    assert sum(row.state is RowState.REPORTED for row in work_of(program).rows) == N - 1


def test_the_same_recording_twice_is_said_and_counted_once(qtbot, program, folder, fake):
    fake.files["ecg5.hea"] = fake.files["ecg0.hea"]
    run(qtbot, program, folder)
    # Whichever was estimated first: the one further down the list is the twin.
    assert [row.same_as for row in work_of(program).rows] == [0, 0, 0, 0, 0, 1]
    assert "1 holds the same recording as another" in progress_text(work_of(program))
    view = lists_of(program).view
    assert "5 recordings" in view.scatter.note.text()


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    return path


def test_a_table_of_files_with_labels(qtbot, program, folder, fake):
    table = write_table(
        folder / "list.csv",
        [
            ["Filename", "patient_id", "LVEF", "split"],
            *(
                [f"{'b' if n % 2 else 'a'}/ecg{n}", f"p{n}", f"{50 + n},5", "test"]
                for n in range(N)
            ),
            ["a/absent", "p9", "40", "test"],
        ],
    )
    run(qtbot, program, table)
    rows = work_of(program).rows
    assert [row.labels.get("lvef") for row in rows] == [50.5, 51.5, 52.5, 53.5, 54.5, 55.5, 40.0]
    assert rows[2].patient == "p2"
    assert rows[6].codes == ("not_found",)
    assert shown(program, "label_lvef")[0] == "50"
    view = lists_of(program).view
    view.tabs.setCurrentWidget(view.risk)
    # Independent of the code: mean of |54.6 - label|.
    mae = np.mean([abs(54.6 - (50.5 + n)) for n in range(N)])
    assert f"n = {N};" in view.risk.note.text()
    assert f"(dashed) {mae:.2f} %" in view.risk.note.text()


def test_after_a_folder_without_ecgs_the_list_before_is_back(qtbot, program, folder, tmp_path):
    run(qtbot, program, folder)
    view = lists_of(program).view
    view.tabs.setCurrentWidget(view.map)
    qtbot.waitUntil(lambda: view._map[1] is not None)
    rows = work_of(program).rows
    (tmp_path / "empty").mkdir()
    lists_of(program).open_source(tmp_path / "empty")
    assert view._map[1] is None
    qtbot.waitUntil(lambda: has_message(program, "There is no ECG file in empty."))
    assert work_of(program).rows == rows
    assert shown(program, "lvef") == ["55"] * N
    qtbot.waitUntil(lambda: view._map[1] is not None)
    # That one is gone on with another time, too.
    lists_of(program).open_last()
    qtbot.waitUntil(lambda: is_done(program))
    assert work_of(program).source == folder


def test_a_full_disk_pauses_and_loses_nothing(qtbot, program, folder, fake, monkeypatch):
    from echoing_gui.features.work_list.store import ResultStore

    put = ResultStore.put

    def full(self, path, found):
        if path.name == "ecg3.hea":
            raise OSError(28, "No space left on device")
        put(self, path, found)

    monkeypatch.setattr(ResultStore, "put", full)
    lists_of(program).open_source(folder)
    qtbot.waitUntil(lambda: has_message(program, "No space left on device"), timeout=15000)
    assert not work_of(program).running
    monkeypatch.setattr(ResultStore, "put", put)
    fake.estimated.clear()
    lists_of(program).pause_or_continue()
    qtbot.waitUntil(lambda: is_done(program))
    assert all(row.values for row in work_of(program).rows)


def test_sort_filter_and_open_by_keyboard(qtbot, program, folder, fake):
    fake.reasons["ecg4.hea"] = (FLAT_LEAD,)
    run(qtbot, program, folder)
    view = lists_of(program).view
    table = view.table
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert shown(program, "name")[0] == "b/ecg5.hea"
    # What has no value comes last, whichever way.
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        table.sortByColumn(3, order)
        assert shown(program, "name")[-1] == "a/ecg4.hea"
    view.text.setText("flat")
    assert shown(program, "name") == ["a/ecg4.hea"]
    view.text.clear()
    view.column.setCurrentIndex(view.column.findData("lvef"))
    view.low.setText("50")
    assert len(shown(program, "name")) == N - 1
    view.high.setText("51")
    assert shown(program, "name") == []
    view.low.clear()
    view.high.clear()
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    table.setFocus()
    table.selectRow(0)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    assert program.window.shown_view == "reading"
    assert program.controller.state.recording.source_name == "ecg2.hea"
    lists_of(program).open_neighbour(1)
    qtbot.waitUntil(
        lambda: program.controller.state.recording.source_name == "ecg4.hea", timeout=5000
    )
    qtbot.keyClick(program.window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert program.window.shown_view == "work_list"


def test_plots_and_table_are_linked(qtbot, program, folder):
    run(qtbot, program, folder)
    view = lists_of(program).view
    qtbot.waitUntil(lambda: view._map[1] is not None)
    view.tabs.setCurrentWidget(view.map)
    assert f"{N} embeddings" in view.map.note.text()
    assert "% of variance" in view.map.plot.getAxis("bottom").labelText
    box = view.map.plot.getPlotItem().getViewBox()
    box.updateAutoRange()
    place = box.mapViewToScene(QPointF(*view.map._places[2]))
    assert view.map.nearest(place) == view.map._drawn[2]
    view.map.chosen.emit(np.array([int(view.map._drawn[2])]))
    (chosen,) = view.table.selectionModel().selectedRows()
    assert view.table.rows.row_at(chosen.row()) == view.map._drawn[2]
    assert view.map.marked.tolist() == [view.map._drawn[2]]
    view.map.opened.emit(4)
    qtbot.waitUntil(lambda: program.controller.state.recording is not None)
    assert program.controller.state.recording.source_name == "ecg3.hea"


def test_axes_have_names_and_units(qtbot, program, folder):
    run(qtbot, program, folder)
    scatter = lists_of(program).view.scatter
    assert scatter.plot.getAxis("bottom").labelText == "LVEF (%)"
    assert scatter.plot.getAxis("left").labelText == "Embedding variance (dimensionless)"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_the_list_is_exported_and_logged(qtbot, program, folder, fake, tmp_path, kind):
    fake.reasons["ecg4.hea"] = (FLAT_LEAD,)
    run(qtbot, program, folder)
    path = tmp_path / f"out{kind.suffix}"
    lists_of(program).export(kind, path, Identity.HIDDEN)
    qtbot.waitUntil(lambda: has_message(program, "6 recordings were exported"), timeout=30000)
    content = path.read_bytes()
    assert b"ecg4" not in content
    for row in work_of(program).rows:
        assert row.recording_id.encode() not in content
    if kind.key == "measures_csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        assert [row["state"] for row in rows].count("not_reportable") == 1
        assert {row["lvef_pct"] for row in rows} == {"54.6", ""}
        assert {row["package_version"] for row in rows} == {"3.1.4"}
        assert all(row["research_use"] for row in rows)
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "exported"
    assert last["kind"] == f"list_{kind.key}"
    assert (last["recordings"], last["deidentified"], last["identity"]) == (N, True, "hidden")


def test_an_export_that_cannot_be_written_keeps_the_old_file(
    qtbot, program, folder, tmp_path, monkeypatch
):
    run(qtbot, program, folder)
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        lists_of(program).export(KINDS[0], path, Identity.HIDDEN)
        qtbot.waitUntil(lambda: has_message(program, "as it was before"))
    assert path.read_text() == "old"


def test_closing_the_list_forgets_where_it_was(qtbot, program, folder, tmp_path):
    run(qtbot, program, folder)
    remembered = tmp_path / "work_list" / "last.json"
    assert str(folder) in remembered.read_text(encoding="utf-8")
    lists_of(program).close_list()
    assert not remembered.exists()
    assert work_of(program) is None
    lists_of(program).open_last()
    assert has_message(program, "no work list to go on with")
    # What is kept names nobody.
    store = (tmp_path / "work_list" / "results.sqlite3").read_bytes()
    assert b"ecg" not in store
    assert str(folder).encode() not in store


def test_read_first_covers_the_estimates(qtbot, program, folder, tmp_path):
    run(qtbot, program, folder)
    controller, view = program.controller, lists_of(program).view
    controller.set_options(replace(controller.state.options, read_first=True))
    keys = {column.key for column in view.table.rows.columns}
    assert not {"lvef", "lvef_width", "lvef_below_40_probability"} & keys
    assert view.scatter.across.findData("lvef") == -1
    texts = [view.table.rows.index(0, n).data() for n in range(view.table.rows.columnCount())]
    assert not any("55" in text or "43" in text for text in texts)
    export = next(each for each in program.window.findChildren(QAction, "export_list"))
    assert not export.isEnabled()
    assert not view.export.isEnabled()
    for text in (said_of(export), view.said.text(), view.export.toolTip()):
        assert "covered and not exported" in text
    controller.set_options(replace(controller.state.options, read_first=False))
    assert shown(program, "lvef") == ["55"] * N
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    assert (last["event"], last["what"], last["recordings"]) == ("revealed", "work_list", N)
    assert export.isEnabled()
    assert view.export.isEnabled()
    assert "covered" not in said_of(export) + view.said.text() + view.export.toolTip()


def test_research_use_and_model_stand_on_the_view(qtbot, program, folder):
    run(qtbot, program, folder)
    banner = lists_of(program).view.banner.text()
    assert banner.count("Research use only.") == 1
    assert "Test package 3.1.4" in banner
    assert "Demonstration model" in banner


def test_what_stands_behind_the_numbers_is_one_click_away(qtbot, program, folder, monkeypatch):
    run(qtbot, program, folder)
    asked: list[str] = []
    monkeypatch.setattr(program.window, "trigger", asked.append)
    lists_of(program).view.aboutRequested.emit()
    assert asked == ["about_result"]


def test_everything_in_the_view_has_a_name(qtbot, program, folder):
    run(qtbot, program, folder)
    QAccessible.setActive(True)
    view = lists_of(program).view
    for index in range(view.tabs.count()):
        view.tabs.setCurrentIndex(index)
        for widget in view.findChildren(QWidget):
            if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                name = QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
                assert name or widget.focusProxy(), widget


@pytest.mark.needs_shared
def test_three_real_folders_with_the_model_that_comes_along(qtbot, shared, tmp_path):
    """No fakes: files of three makers, each in a folder, read and estimated in processes."""
    for kind in ("mortara_xml", "philips_sierra_xml", "wfdb"):
        source = shared / "samples" / kind
        for path in sorted(source.iterdir())[:4]:
            if path.is_file():
                (tmp_path / "ecgs" / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / "ecgs" / kind)
    program = wiring.build(wiring.default_services(), tmp_path)
    program.window.show()
    program.controller.load_package()
    lists_of(program).open_source(tmp_path / "ecgs")
    qtbot.waitUntil(lambda: is_done(program), timeout=90000)
    work = work_of(program)
    assert work
    rows = work.rows
    assert {row.name.partition("/")[0] for row in rows} == {
        "mortara_xml", "philips_sierra_xml", "wfdb"
    }  # fmt: skip
    for row in rows:
        assert bool(row.values) == (row.state in {RowState.REPORTED, RowState.CAUTION})
        assert row.values or (row.codes and row.sentences)
    assert any(row.values for row in rows)
    program.window.close()
    program.window.deleteLater()
    program.controller.deleteLater()
