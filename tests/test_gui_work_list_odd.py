"""Work lists of odd folders and tables: nothing in them, nothing readable, files of one name."""

from __future__ import annotations

import numpy as np
import pytest

from echoing_gui.view_models.work_list import progress_text
from tests.test_gui_work_list import has_message, is_done, lists_of, run, shown, work_of
from tests.unit.test_cli import write_record


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda place: place.mkdir(), "There is no ECG file in bad."),
        (lambda place: place.write_text("a,b\n1,2\n"), "no column that says where the ECG files"),
        (lambda place: place.write_text(""), "no column that says"),
        (lambda _place: None, "cannot be opened"),
    ],
)
def test_what_is_no_list_is_told_in_a_sentence(qtbot, program, tmp_path, make, says):
    place = tmp_path / "bad"
    make(place)
    lists_of(program).open_source(place)
    qtbot.waitUntil(lambda: has_message(program, says))
    assert work_of(program) is None


def test_a_folder_of_unreadable_files_is_a_list_of_what_is_wrong(qtbot, program, tmp_path):
    place = tmp_path / "damaged"
    place.mkdir()
    (place / "torn.hea").write_text("torn 12 500 5000\n")
    (place / "b.scp").write_bytes(bytes(500))
    run(qtbot, program, place)
    assert shown(program, "state") == ["Not read", "Not read"]
    assert all(shown(program, "why"))
    assert progress_text(work_of(program)) == "2 of 2 done, 2 not read."
    view = lists_of(program).view
    for index in range(view.tabs.count()):
        view.tabs.setCurrentIndex(index)
    assert view.scatter.note.text() == "No recording has both."
    assert view.export.isEnabled()


def test_files_of_one_name_in_two_folders_are_two_rows(qtbot, program, tmp_path):
    for folder, rate in (("one", 9.0), ("two", 11.0)):
        signal = np.tile(np.sin(np.arange(5000) / rate), (12, 1)).astype(np.float32)
        write_record(tmp_path / "ecgs" / folder / "rest.hea", signal)
    run(qtbot, program, tmp_path / "ecgs")
    rows = work_of(program).rows
    assert [row.name for row in rows] == ["one/rest.hea", "two/rest.hea"]
    assert rows[0].recording_id != rows[1].recording_id
    assert [row.same_as for row in rows] == [0, 0]
    # Gone on with, each keeps its own result.
    lists_of(program).open_last()
    qtbot.waitUntil(lambda: is_done(program))
    assert [row.recording_id for row in work_of(program).rows] == [r.recording_id for r in rows]
    lists_of(program).open_row(1)
    qtbot.waitUntil(lambda: program.controller.state.recording is not None)
    assert program.controller.state.recording.recording_id == rows[1].recording_id
