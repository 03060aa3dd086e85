"""Measure on the ECG: calipers that keep to the recording, whatever the layout and the zoom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QGuiApplication

from echoing_gui.desk import Desk
from echoing_gui.features.measuring.actions import ACTIONS
from echoing_gui.features.measuring.caliper_list import CaliperList, as_text
from echoing_gui.features.measuring.marker import Marker
from echoing_gui.features.measuring.tool import MeasuringTool
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_marks import CaliperKind


def install(desk: Desk) -> None:
    """Add calipers to the desk."""
    window, view = desk.window, desk.window.traces.view
    marker = Marker(desk.controller, window)
    tool = MeasuringTool(view, marker)
    view.add_tool(tool)
    view.add_overlay(tool.paint)
    calipers = CaliperList()
    window.add_page("measurements", "Measureme&nts", calipers)

    def say(text: str) -> None:
        window.statusBar().showMessage(text)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(view, text))

    def on_state(old: AppState, new: AppState) -> None:
        if old.measuring is not new.measuring:
            view.refresh_overlays()
            if old.measuring.recording_id != new.measuring.recording_id:
                tool.drop()

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

    answers: dict[str, Callable[[], object]] = {
        **{f"caliper_{kind.value}": partial(tool.create, kind) for kind in CaliperKind},
        "caliper_march": march,
        "caliper_snap": lambda: marker.change(snap=not marker.now.snap),
        "caliper_next": next_end,
        "caliper_copy": copy,
        "caliper_delete": marker.delete_caliper,
        "calipers_clear": marker.clear_calipers,
        "undo": marker.undo,
        "redo": marker.redo,
    }
    window.add_actions(ACTIONS, answers)
    marker.spoken.connect(say)
    calipers.chosen.connect(choose)
    calipers.copyRequested.connect(copy)
    calipers.deleteRequested.connect(marker.delete_caliper)
    desk.controller.state_changed.connect(on_state)
