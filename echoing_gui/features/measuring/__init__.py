"""Measure and note on the ECG, in the recording's own seconds and millivolts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QGuiApplication

from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.features.measuring.actions import ACTIONS
from echoing_gui.features.measuring.caliper_list import CaliperList, as_text
from echoing_gui.features.measuring.choices import load_choices, save_choices
from echoing_gui.features.measuring.marker import Marker
from echoing_gui.features.measuring.measured import work_out
from echoing_gui.features.measuring.notes import NotesPanel
from echoing_gui.features.measuring.panel import MeasurementsPanel
from echoing_gui.features.measuring.recovery import offer_recovery
from echoing_gui.features.measuring.saving import (
    TABLE,
    CloseGuard,
    ask_how,
    ask_where,
    save,
)
from echoing_gui.features.measuring.session import SessionKeeper
from echoing_gui.features.measuring.tool import MeasuringTool
from echoing_gui.i18n import tr
from echoing_gui.identity import Identity, pseudonyms
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.log import log
from echoing_gui.state import AppState
from echoing_gui.state_marks import CaliperKind
from echoing_gui.view_models.in_force import export_facts
from model_core.errors import EchoingError

_MEASURE = "measure"


def install(desk: Desk) -> None:
    """Add calipers, measurements, notes and their recovery to the desk."""
    window, view = desk.window, desk.window.traces.view
    marker = Marker(desk.controller, window)
    choices = desk.folder / "measuring.json"
    marker.change(**load_choices(choices))
    tool = MeasuringTool(view, marker)
    view.add_tool(tool)
    view.add_overlay(tool.paint)
    calipers, measurements = CaliperList(), MeasurementsPanel()
    notes = NotesPanel()
    window.add_page("measurements", tr("Measureme&nts"), calipers, measurements)
    window.add_page("notes", tr("No&tes"), notes)
    jobs = JobRunner(window)
    keeper = SessionKeeper(desk.controller, marker, desk.folder / "sessions", window)

    def say(text: str) -> None:
        window.statusBar().showMessage(text)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(view, text))

    def on_state(old: AppState, new: AppState) -> None:
        if old.measuring is not new.measuring:
            view.refresh_overlays()
            if old.measuring.recording_id != new.measuring.recording_id:
                tool.drop()
        before, now = old.measuring, new.measuring
        if (before.formula, before.snap) != (now.formula, now.snap):
            save_choices(choices, now)
        recording = new.recording
        if recording is not None and recording is not old.recording:
            jobs.submit(_MEASURE, lambda _token: work_out(recording))

    def on_measured(report: JobReport) -> None:
        if report.error is not None:
            log.warning("nothing was measured: %s", type(report.error).__name__)
        marker.change(measured=report.value)

    def march() -> None:
        now = marker.now
        if now.caliper is not None and now.chosen is not None:
            marched = replace(now.caliper, marching=not now.caliper.marching)
            marker.replace_caliper(now.chosen, marched, now.end, tr("march out"))

    def choose(index: int) -> None:
        marker.choose(index)
        caliper = marker.now.caliper
        if caliper is not None:
            view.show_time(min(caliper.times_s), caliper.lead)

    def copy() -> None:
        QGuiApplication.clipboard().setText(as_text(marker.now.marks.calipers))
        say(tr("Values copied."))

    def next_end() -> None:
        view.setFocus()
        if not marker.choose_next(1):
            marker.choose_next(1)

    def note_new() -> None:
        note = tool.note_here()
        if note is not None:
            marker.add_note(note)

    def show_note(index: int) -> None:
        window.show_page("notes")
        notes.edit(index)

    def ask() -> None:
        ask_how(window, lambda identity: ask_where(window, lambda path: save_to(path, identity)))

    def save_to(path: Path, identity: Identity) -> None:
        try:
            pseudonym = pseudonyms(identity, desk.folder)(marker.now.recording_id)
            said = save(keeper, path, pseudonym)
        except EchoingError as error:
            desk.controller.change(message=to_message(error))
        else:
            facts = export_facts(desk.controller.state, TABLE.key, identity, pseudonym)
            desk.audit.record("exported", **facts)
            say(said)

    def close() -> None:
        jobs.close()
        keeper.close()

    answers: dict[str, Callable[[], object]] = {
        **{f"caliper_{kind.value}": partial(tool.create, kind) for kind in CaliperKind},
        "caliper_march": march,
        "caliper_snap": lambda: marker.change(snap=not marker.now.snap),
        "caliper_next": next_end,
        "caliper_copy": copy,
        "caliper_delete": marker.delete_caliper,
        "calipers_clear": marker.clear_calipers,
        "measurements": lambda: window.show_page("measurements"),
        "waves": lambda: marker.change(show_waves=not marker.now.show_waves),
        "notes": lambda: window.show_page("notes"),
        "note_editing": lambda: marker.change(editing=not marker.now.editing),
        "note_new": note_new,
        "notes_save": ask,
        "undo": marker.undo,
        "redo": marker.redo,
    }
    window.add_actions(ACTIONS, answers)
    marker.spoken.connect(say)
    calipers.chosen.connect(choose)
    calipers.copyRequested.connect(copy)
    calipers.deleteRequested.connect(marker.delete_caliper)
    measurements.formulaChosen.connect(lambda formula: marker.change(formula=formula))
    jobs.finished.connect(on_measured)
    notes.editingChosen.connect(lambda editing: marker.change(editing=editing))
    notes.newRequested.connect(note_new)
    notes.changed.connect(marker.replace_note)
    notes.deleteRequested.connect(marker.delete_note)
    notes.chosen.connect(lambda note: view.show_time(note.start_s, note.lead or None))
    marker.noted.connect(show_note)
    window.add_close_guard(CloseGuard(keeper, window, ask).may_close)
    window.painted.connect(lambda: offer_recovery(keeper, window))
    window.closing.connect(close)
    desk.controller.state_changed.connect(on_state)
