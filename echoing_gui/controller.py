"""The one place that replaces the state: answers what the user asks and what jobs report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from echoing_gui.audit import AuditLog
from echoing_gui.errors import to_message
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.log import log
from echoing_gui.services import Model, Services, as_confirmed, now_and_then
from echoing_gui.settings import (
    Calibration,
    Settings,
    load_settings,
    save_settings,
    with_calibration,
    with_table,
)
from echoing_gui.state import (
    PAGE_S,
    AppState,
    DisplayOptions,
    JobStatus,
    Level,
    ScreenFacts,
    ScreenScale,
    Stage,
    UserMessage,
)
from echoing_gui.view_models.in_force import in_force
from model_core.errors import CancelToken, EchoingError
from model_core.long_recording import LongRecording
from model_core.types import Prediction, Recording
from model_core.wording import plain

if TYPE_CHECKING:
    from model_core.io import TableLayout, TableProposal

_RECORDING = "recording"
_PACKAGE = "package"
_WARM_UP = "warm up"
_PROPOSAL = "proposal"
_PREVIEW = "preview"
_LAYOUT_NEEDED = "layout_needed"
_PAGE = "page"
_SURVEY = "survey"


@dataclass(frozen=True, slots=True)
class _Opened:
    """A long recording and its first part."""

    long: LongRecording
    page: Recording


class Controller(QObject):
    """Owns the state; `state_changed` carries the one before and the one after.

    `table_found` asks for the layout of a table: path, what it suggests, and what was stated for
    its make before, or None. `table_previewed` carries a layout and the recording that it gives,
    or why it gives none.
    """

    state_changed = Signal(object, object)
    unexpected = Signal(object)
    table_found = Signal(object, object, object)
    table_previewed = Signal(object, object)

    def __init__(
        self,
        services: Services,
        settings_path: Path,
        audit: AuditLog,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._audit = audit
        self._settings_path = settings_path
        self._settings = load_settings(settings_path)
        self._model: Model | None = None
        self._screen: ScreenFacts | None = None
        # What to go back to when the next file cannot be read.
        self._last_prediction: Prediction | None = None
        # Kept out of the state until the reader asks for it.
        self._covered: Prediction | None = None
        self._opened_s = 0.0
        self._ask_again = False
        self._was_predicting = False
        self._path = Path()
        self._shown_path = Path()
        self._previewed: TableLayout | None = None
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        self._jobs.progressed.connect(lambda report: self._set(overview=report.value))
        self._state = AppState(options=self._settings.options)

    @property
    def state(self) -> AppState:
        """The current state."""
        return self._state

    @property
    def services(self) -> Services:
        """Readers and model, for features that read many files."""
        return self._services

    @property
    def model(self) -> Model | None:
        """The model package in use; None before it is loaded."""
        return self._model

    @property
    def shown_path(self) -> Path:
        """Where the recording on screen was read from."""
        return self._shown_path

    def change(self, **changes: object) -> None:
        """Replace fields of the state: for the features, each of which has fields of its own."""
        self._set(**changes)

    def load_package(self) -> None:
        """Load the model package in a worker."""
        load = self._services.load_model
        self._jobs.submit(_PACKAGE, lambda _token: load())

    def change_package(self) -> None:
        """Load the model package chosen now; what the one before said is taken back."""
        state = self._state
        self._ask_again = state.prediction is not None or state.covered
        self._last_prediction = None
        job = state.job
        if job.stage is Stage.PREDICTING:
            self._jobs.cancel(_RECORDING)
            job = JobStatus()
            self._ask_again = True
        self._model = None
        self._set(prediction=None, package=None, facts=None, model_input=None, job=job)
        self.load_package()

    def warm_up(self) -> None:
        """Make reading ready in a worker."""
        warm_up = self._services.warm_up
        self._jobs.submit(_WARM_UP, lambda _token: warm_up())

    def open_file(self, path: Path) -> None:
        """Read a file and predict; what is under way for another one is cancelled."""
        read, read_part = self._services.read, self._services.read_part

        def read_or_outline() -> Recording | _Opened:
            found = read(path)
            if isinstance(found, LongRecording):
                return _Opened(found, read_part(found, 0.0, PAGE_S))
            return found

        self._start_reading(path, read_or_outline)

    def preview_table(self, path: Path, layout: TableLayout, seconds: float) -> None:
        """Read the first seconds of a table; `table_previewed` carries what they are."""
        read = self._services.read_table
        self._previewed = layout
        self._jobs.submit(_PREVIEW, lambda _token: read(path, layout, seconds))

    def open_table(self, path: Path, layout: TableLayout, fingerprint: str) -> None:
        """Read a table as stated, and remember that for tables of its make."""
        from model_core.io import layout_to_dict

        self._save(with_table(self._settings, fingerprint, layout_to_dict(layout)))
        read = self._services.read_table
        self._start_reading(path, lambda: read(path, layout, None))

    def open_demo(self) -> None:
        """Open the demonstration ECG."""
        self.open_file(self._services.demo_path)

    def go_to(self, start_s: float) -> None:
        """Show the ten seconds from `start_s` on, as far as there are ten."""
        start_s = min(max(start_s, 0.0), self._state.last_page_s)
        # A page asked for before would take the place of this one.
        self._jobs.cancel(_PAGE)
        self._set(page_start_s=start_s)
        long, read_part = self._state.long, self._services.read_part
        if long is not None and not self._state.page_is_read:
            confirmed = self._state.confirmed
            self._jobs.submit(
                _PAGE, lambda _token: as_confirmed(read_part(long, start_s, PAGE_S), confirmed)
            )

    def predict_here(self) -> None:
        """Run the model on the ten seconds chosen."""
        from model_core.quality import MICROVOLTS

        if self._state.page_is_read:
            self._last_prediction = None
            if not self._state.page_is_seen:
                # The unit is that of the file; what was said of electrodes answered what was
                # found in other seconds.
                self._set(confirmed=self._state.confirmed & {MICROVOLTS})
            self._start_predicting()

    def confirm(self, code: str) -> None:
        """Take what the user confirms of the recording on screen, log it, and predict again."""
        recording = self._state.recording
        if recording is None or not self._state.page_is_read:
            return
        self._audit.record("confirmed", what=code, **in_force(self._state))
        recording = as_confirmed(recording, {code} - self._state.confirmed)
        self._last_prediction = None
        confirmed = self._state.confirmed | {code}
        self._set(recording=recording, prediction=None, confirmed=confirmed)
        self._start_predicting()

    def hold_preview(self, held: bool) -> None:
        """Draw, while held, what the recording on screen is if its values are microvolts."""
        from model_core.quality import MICROVOLTS

        recording = self._state.recording
        shown = recording if held and self._state.page_is_read else None
        self._set(preview=as_confirmed(shown, {MICROVOLTS}) if shown is not None else None)

    def stop(self) -> None:
        """Stop the job under way; without one, close the message."""
        stage = self._state.job.stage
        if stage is Stage.IDLE:
            self._set(message=None)
            return
        # A page would be read by the very process that is ended now.
        for lane in (_PAGE, _RECORDING, _PROPOSAL, _PREVIEW):
            self._jobs.cancel(lane)
        if stage is Stage.READING:
            self._go_back(None)
            return
        self._set(job=JobStatus())
        if not self._state.page_is_read:
            self.go_to(self._state.page_start_s)

    def close_message(self) -> None:
        """Close the message."""
        self._set(message=None)

    def tell(self, text: str, hint: str = "") -> None:
        """Say in the message bar that something failed."""
        self._set(message=UserMessage(text, hint, Level.ERROR))

    def reveal(self) -> None:
        """Show the result that is covered, and take down how long the reader had the ECG alone."""
        covered = self._covered
        if covered is None:
            return
        self._set(revealed=True, prediction=covered)
        seconds = round(time.monotonic() - self._opened_s, 1)
        self._audit.record("revealed", seconds_since_opening=seconds, **in_force(self._state))

    def set_options(self, options: DisplayOptions) -> None:
        """Draw in another way, and remember it."""
        seen = self._state.prediction is not None
        self._set(options=options, revealed=self._state.revealed or seen)
        if not options.read_first:
            self.reveal()
        self._save(replace(self._settings, options=options))

    def hold_variance(self, held: bool) -> None:
        """Hide the variance strips while a key is held."""
        if held is not self._state.variance_held:
            self._set(variance_held=held)

    def set_screen(self, facts: ScreenFacts) -> None:
        """Take the scale of the screen that the window is on now."""
        self._screen = facts
        found = self._settings.calibrations.get(facts.key)
        self._set(
            screen=ScreenScale(
                device_px_per_mm=found.device_px_per_mm if found else facts.guessed_px_per_mm,
                calibrated_on=found.date if found else "",
                screen_name=facts.name,
            )
        )

    def calibrate(self, device_px_per_mm: float) -> None:
        """Take what the user measured on the screen that the window is on."""
        if self._screen is None:
            return
        today = datetime.now(tz=UTC).astimezone().date().isoformat()
        calibration = Calibration(device_px_per_mm, today)
        self._save(with_calibration(self._settings, self._screen.key, calibration))
        self.set_screen(self._screen)

    def withdraw(self, error: Exception) -> None:
        """Take the result back after something unexpected."""
        self._jobs.cancel(_RECORDING)
        self._last_prediction = None
        self._set(prediction=None, job=JobStatus(), message=to_message(error))
        self.unexpected.emit(error)

    def close(self) -> None:
        """Cancel all work and wait a bounded time."""
        self._services.close()
        self._jobs.close()

    def _set(self, **changes: object) -> None:
        old = self._state
        if "recording" in changes:
            changes.setdefault("preview", None)
        if "prediction" in changes:
            result = changes["prediction"]
            asked_for = changes.get("revealed", old.revealed) or not old.options.read_first
            self._covered = result if isinstance(result, Prediction) and not asked_for else None
            covered = self._covered is not None
            changes |= {"prediction": None if covered else result, "covered": covered}
        self._state = replace(old, **changes)  # type: ignore[arg-type]
        self.state_changed.emit(old, self._state)

    def _save(self, settings: Settings) -> None:
        self._settings = settings
        try:
            save_settings(self._settings_path, self._settings)
        except OSError as error:
            log.warning("settings not saved: %s", error.strerror)
            text = tr("Your settings could not be saved; they hold until the program closes.")
            self.tell(text, tr("Free some disk space."))

    def _start_reading(self, path: Path, read: Callable[[], Recording | _Opened]) -> None:
        self._path = path
        for lane in (_PAGE, _PROPOSAL, _PREVIEW):
            self._jobs.cancel(lane)
        if self._state.job.stage is not Stage.READING:
            self._was_predicting = self._state.job.stage is Stage.PREDICTING
        self._set(prediction=None, job=JobStatus(Stage.READING, plain(path.name)), message=None)
        close = self._services.close

        def work(token: CancelToken) -> Recording | _Opened:
            # Else the next file would wait until this one is read.
            token.on_cancel(close)
            return read()

        self._jobs.submit(_RECORDING, work)

    def _start_predicting(self) -> None:
        recording, model = self._state.recording, self._model
        if recording is None or model is None:
            self._set(job=JobStatus(), prediction=None)
            return
        self._set(job=JobStatus(Stage.PREDICTING, recording.source_name), prediction=None)
        at_s, page = self._state.page_start_s, recording
        page = page if at_s == page.start_s else page.part(at_s, page.duration_s)
        confirmed = self._state.confirmed
        self._jobs.submit(_RECORDING, lambda token: model.predict(page, token, confirmed))

    def _predict_unasked(self) -> None:
        """Predict, unless it is for the user to choose ten seconds of a long recording."""
        if self._state.long is None:
            self._start_predicting()
        else:
            self._set(job=JobStatus())

    def _go_back(self, message: UserMessage | None) -> None:
        """Return to the last good recording, with its own page and result."""
        self._set(job=JobStatus(), prediction=self._last_prediction, message=message)
        if not self._state.page_is_read:
            self.go_to(self._state.page_start_s)
        elif self._last_prediction is None and self._state.recording is not None:
            if self._was_predicting:
                self._start_predicting()
            else:
                self._predict_unasked()

    def _on_finished(self, report: JobReport) -> None:
        if report.lane == _PACKAGE:
            self._on_package(report)
        elif report.lane == _WARM_UP:
            return  # what is wrong is told with the first file
        elif report.lane == _PREVIEW:
            self._on_preview(report)
        elif report.lane in (_PAGE, _SURVEY):
            self._on_page_or_survey(report)
        elif report.error is not None:
            self._on_failure(report.error)
        elif report.lane == _PROPOSAL:
            self._on_proposal(report.value)
        elif isinstance(report.value, Recording):
            self._show_opened(report.value, None)
        elif isinstance(report.value, _Opened):
            self._show_opened(report.value.page, report.value.long)
        else:
            self._on_prediction(report.value)

    def _on_prediction(self, prediction: Prediction) -> None:
        self._last_prediction = prediction
        self._set(prediction=prediction, job=JobStatus())
        facts = in_force(replace(self._state, prediction=prediction))
        self._audit.record("predicted", state=prediction.state.value, **facts)

    def _on_proposal(self, proposal: TableProposal) -> None:
        from model_core.io import layout_from_dict

        stated = self._settings.tables.get(proposal.fingerprint)
        remembered: TableLayout | None = None
        if stated is not None:
            try:
                remembered = layout_from_dict(stated)
            except EchoingError as error:  # settings of another version, or edited by hand
                log.warning("a remembered table layout is not used: %s", error)
        self.table_found.emit(self._path, proposal, remembered)

    def _on_preview(self, report: JobReport) -> None:
        error = report.error
        if error is not None and not isinstance(error, EchoingError):
            self.unexpected.emit(error)
        self.table_previewed.emit(
            self._previewed, report.value if error is None else to_message(error).text
        )

    def _show_opened(self, recording: Recording, long: LongRecording | None) -> None:
        for lane in (_PAGE, _SURVEY):
            self._jobs.cancel(lane)
        self._last_prediction = None
        self._shown_path = self._path
        self._set(
            recording=recording,
            long=long,
            page_start_s=0.0,
            overview=None,
            prediction=None,
            revealed=False,
            confirmed=frozenset(),
            measuring=self._state.measuring.on(recording.recording_id),
        )
        self._opened_s = time.monotonic()
        self._audit.record("opened", **in_force(self._state))
        if self._state.has_pages:
            survey = self._services.survey
            self._jobs.submit_steps(_SURVEY, lambda _token: now_and_then(survey(long or recording)))
        self._predict_unasked()

    def _on_page_or_survey(self, report: JobReport) -> None:
        if report.error is None:
            if report.lane == _PAGE:
                self._set(recording=report.value, page_start_s=report.value.start_s)
            return
        if not isinstance(report.error, EchoingError):
            self.withdraw(report.error)
            return
        changes: dict[str, object] = {"message": to_message(report.error)}
        if report.lane == _PAGE and self._state.recording is not None:
            changes["page_start_s"] = self._state.recording.start_s
        self._set(**changes)

    def _on_package(self, report: JobReport) -> None:
        if report.error is not None:
            message = to_message(report.error)
            self._set(package_failed=message, message=message)
            if not isinstance(report.error, EchoingError):
                self.unexpected.emit(report.error)
            return
        model: Model = report.value
        self._model = model
        self._set(
            package=model.identity, facts=model.facts, model_input=model.input, package_failed=None
        )
        if model.notice:
            self.tell(model.notice)
        if self._state.job.stage is Stage.IDLE and self._state.recording is not None:
            if self._ask_again and self._state.page_is_read:
                self._start_predicting()
            else:
                self._predict_unasked()
        self._ask_again = False

    def _on_failure(self, error: Exception) -> None:
        if not isinstance(error, EchoingError):
            self.withdraw(error)
            return
        if error.code == _LAYOUT_NEEDED and self._state.job.stage is Stage.READING:
            propose, path = self._services.propose, self._path
            self._jobs.submit(_PROPOSAL, lambda _token: propose(path))
            return
        message = to_message(error)
        if self._state.job.stage is Stage.READING:
            name = self._state.job.source_name
            text = tr("{name} was not opened. {why}", name=name, why=message.text)
            self._go_back(replace(message, text=text, name=name))
        else:
            self._set(job=JobStatus(), message=message)
