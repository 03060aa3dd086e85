"""Display filters: the traces are filtered in a worker, for the eye only."""

from __future__ import annotations

from PySide6.QtCore import QObject

from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.state import AppState, filtered
from model_core.display_filters import RAW, DisplayFilter
from model_core.types import Recording

_LANE = "filter"


def install(desk: Desk) -> None:
    """Draw through the filter that is chosen, as soon as it is done."""
    _Filters(desk)


class _Filters(QObject):
    """Keeps `AppState.filtered` to the recording on screen and the filter chosen."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._controller = desk.controller
        self._asked: tuple[Recording, DisplayFilter] | None = None
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        desk.window.closing.connect(self._jobs.close)
        desk.controller.state_changed.connect(self._on_state)

    def _on_state(self, _old: AppState, new: AppState) -> None:
        recording, chosen = new.recording, new.options.display_filter
        if recording is None or chosen == RAW:
            self._asked = None
            self._jobs.cancel(_LANE)
            if new.filtered is not None:
                self._controller.change(filtered=None)
        elif self._asked is None or self._asked[0] is not recording or self._asked[1] != chosen:
            self._asked = recording, chosen
            self._jobs.submit(_LANE, lambda _token: filtered(recording, chosen))

    def _on_finished(self, report: JobReport) -> None:
        if report.error is None:
            self._controller.change(filtered=report.value)
        else:
            self._controller.change(message=to_message(report.error))
