"""The start page: demonstrations, recent files only when asked for, and the guided reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from echoing_gui.features.start import GuidePanel, StartPage
from echoing_gui.graphics.buttons import TextButton
from echoing_gui.recent import Recent, load_recent, save_recent, with_path
from echoing_gui.resources import asset
from echoing_gui.view_models.start import DEMONSTRATIONS, STEPS
from model_core.io import read_recording


def page(program) -> StartPage:
    return program.window.findChild(StartPage)


def links(program) -> dict[str, TextButton]:
    return {button.text(): button for button in page(program).findChildren(TextButton)}


def open_ecg(qtbot, program, name: str) -> None:
    program.controller.open_file(Path(name))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)


def test_the_program_begins_with_the_start_page_and_an_ecg_takes_its_place(qtbot, program):
    assert program.window.shown_view == "start"
    open_ecg(qtbot, program, "a.hea")
    assert program.window.shown_view == "reading"
    program.window.trigger("start_page")
    assert program.window.shown_view == "start"
    program.window.trigger("read_on")
    assert program.window.shown_view == "reading"


@pytest.mark.parametrize("demo", DEMONSTRATIONS, ids=lambda demo: demo.file)
def test_each_demonstration_is_a_simulated_ecg_that_comes_along(demo):
    of = read_recording(asset("demo", demo.file))
    assert of.metadata.simulated
    assert of.n_leads == 12
    assert of.duration_s == 10


def test_a_demonstration_opens_and_is_not_remembered(qtbot, program):
    page(program).rememberChanged.emit(True)
    links(program)[DEMONSTRATIONS[1].title].click()
    qtbot.waitUntil(lambda: program.controller.state.recording is not None, timeout=20_000)
    assert program.controller.state.recording.source_name == "demo_healthy.hea"
    assert load_recent(program.controller._settings_path.parent).paths == ()


def test_files_are_remembered_only_when_that_is_asked_for(qtbot, program):
    folder = program.controller._settings_path.parent
    open_ecg(qtbot, program, "a.hea")
    assert not (folder / "recent.json").exists()
    program.window.trigger("start_page")
    page(program)._remember.click()
    open_ecg(qtbot, program, "b.hea")
    assert json.loads((folder / "recent.json").read_text())["paths"] == ["b.hea"]
    program.window.trigger("start_page")
    assert "b.hea" in links(program)
    page(program)._forget.click()
    assert json.loads((folder / "recent.json").read_text())["paths"] == []
    page(program)._remember.click()
    assert not (folder / "recent.json").exists()


def test_a_recent_file_opens_again(qtbot, program):
    page(program)._remember.click()
    open_ecg(qtbot, program, "a.hea")
    open_ecg(qtbot, program, "b.hea")
    program.window.trigger("start_page")
    links(program)["a.hea"].click()
    qtbot.waitUntil(lambda: program.controller.state.recording.source_name == "a.hea")
    assert program.window.shown_view == "reading"


def test_the_list_is_short_newest_first_and_survives_nonsense(tmp_path):
    recent = Recent(remember=True)
    for n in range(14):
        recent = with_path(recent, Path(f"{n}.hea"))
    recent = with_path(recent, Path("9.hea"))
    assert [path.name for path in recent.paths][:3] == ["9.hea", "13.hea", "12.hea"]
    assert len(recent.paths) == 10
    save_recent(tmp_path, recent)
    assert load_recent(tmp_path) == recent
    (tmp_path / "recent.json").write_text("[1, 2")
    assert load_recent(tmp_path) == Recent()
    assert with_path(Recent(), Path("a")) == Recent()


def test_the_guide_leads_through_every_step(qtbot, program):
    program.window.trigger("guide")
    guide = program.window.findChild(GuidePanel)
    assert program.window.shown_view == "reading"
    assert guide.isVisible()
    for number, step in enumerate(STEPS, start=1):
        assert guide._title.text() == step.title
        assert guide._count.text() == f"Step {number} of {len(STEPS)}"
        assert guide._do.isVisible() == bool(step.action or step.demonstration)
        assert guide._do.text() == step.button
        if step.action:
            assert step.action in {action.key for action in program.window.actions_table}
        guide._next.click()
    guide.go_to(0)
    guide._do.click()
    qtbot.waitUntil(lambda: program.controller.state.recording is not None, timeout=20_000)
    assert program.controller.state.recording.metadata.simulated
    assert guide.isVisible()
