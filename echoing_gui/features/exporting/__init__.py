"""Export of the recording on screen: reports, medical records, data and pictures; and print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QPagedPaintDevice, QPageLayout
from PySide6.QtWidgets import QDialog

from echoing_gui.actions import Action
from echoing_gui.audit import Fact
from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.export_dialog import ExportDialog, ask_where
from echoing_gui.exports import KINDS, Item, Kind, write_bytes, write_items
from echoing_gui.features.exporting.pictures import PICTURES, picture
from echoing_gui.features.exporting.records import (
    ESTIMATES_FHIR,
    ON_PAPER,
    RECORDS,
    REPORT_PDF,
    REPORT_TITLE,
    program_line,
    record_bytes,
)
from echoing_gui.graphics import pages
from echoing_gui.i18n import tr
from echoing_gui.identity import Identity, pseudonyms
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.reports import Report, blank_report, prediction_report, recording_report
from echoing_gui.services import Model
from echoing_gui.state import AppState, Stage, UserMessage
from echoing_gui.view_models.in_force import export_facts
from echoing_gui.view_models.report import Paper, report_state, report_view
from model_core.errors import EchoingError

_LANE = "export"


def _is_open(state: AppState) -> bool:
    return state.recording is not None and state.page_is_read and state.job.stage is Stage.IDLE


ACTIONS = (
    Action(
        "export", "&File", "E&xport…", ("Ctrl+S", "Ctrl+Alt+E"),
        "Write a report, a medical record, the result as data, or a picture of the ECG.",
        enabled=_is_open, group="export",
    ),
    Action(
        "print", "&File", "&Print report…", ("Ctrl+P",),
        "Print ECG and result true to scale.", enabled=_is_open, group="export",
    ),
)  # fmt: skip


def report_of(state: AppState, model: Model) -> Report:
    """Make the report of what is on screen, as in docs/json-output.md.

    Parameters
    ----------
    state
        With a recording and its prediction.
    model
        That the prediction comes from.
    """
    of = state.long or state.recording
    if of is None or state.prediction is None:
        raise ValueError("there is no prediction")
    report = blank_report(of.source_name, dict(model.report), state.confirmed)
    return report | {
        # A long recording is known by its ends only, which is no hash of its bytes.
        "sha256": state.recording.recording_id if state.recording and not state.long else None,
        "recording": recording_report(of),
        **prediction_report(state.prediction),
    }


class Exporter(QObject):
    """Asks, writes in a worker, and tells how it went.

    Parameters
    ----------
    desk
        The program; the key of pseudonyms is kept in its folder.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        desk.window.closing.connect(self._jobs.close)
        self._told: tuple[str, dict[str, Fact]] = ("", {})

    def ask(self) -> None:
        """Ask in which form and where to."""
        has_result = self._desk.controller.state.prediction is not None
        kinds = (*RECORDS, *PICTURES, *KINDS)
        if not has_result:
            kinds = tuple(kind for kind in kinds if kind not in (ESTIMATES_FHIR, *KINDS))
        dialog = ExportDialog(kinds, ON_PAPER, tr("&Export…"), self._desk.window)
        dialog.chosen.connect(self._ask_where)
        dialog.open()

    def ask_to_print(self) -> None:
        """Ask on which paper and printer."""
        dialog = ExportDialog((REPORT_PDF,), ON_PAPER, tr("&Print…"), self._desk.window)
        dialog.chosen.connect(self._ask_printer)
        dialog.open()

    def write(
        self,
        state: AppState,
        kind: Kind,
        paper: Paper,
        identity: Identity,
        pseudonym: str,
        path: Path,
    ) -> None:
        """Write in a worker.

        Parameters
        ----------
        state
            What was on screen when it was asked for.
        kind, paper
            The form.
        identity, pseudonym
            What it tells of whose ECG it is, and the name that stands in for that.
        path
            The file.
        """
        model, prediction = self._desk.controller.model, state.prediction
        work: Callable[[], None]
        if kind in RECORDS:

            def work() -> None:
                write_bytes(path, record_bytes(state, kind, paper, pseudonym))

        elif kind in PICTURES:
            view = self._desk.window.traces.view
            content = picture(report_state(state, pseudonym) if pseudonym else state, view, kind)

            def work() -> None:
                write_bytes(path, content)

        elif model is not None and prediction is not None:
            item = Item(1, report_of(state, model), pseudonym, prediction.embedding_mean)

            def work() -> None:
                write_items(kind, path, [item])

        else:
            return
        told = tr("{name} was exported.", name=path.name)
        self._told = (told, export_facts(state, kind.key, identity, pseudonym))
        self._jobs.submit(_LANE, lambda _token: work())

    def print_on(
        self, printer: QPagedPaintDevice, state: AppState, identity: Identity, pseudonym: str
    ) -> None:
        """Print in a worker: painting a page takes longer than the window may wait."""
        full = printer.pageLayout().fullRect(QPageLayout.Unit.Millimeter)
        sides = sorted((full.width(), full.height()))
        paper = Paper(printer.pageLayout().pageSize().name(), sides[1], sides[0])
        view = report_view(report_state(state, pseudonym), paper, program_line())
        told = tr("The report was sent to the printer.")
        self._told = (told, export_facts(state, "print", identity, pseudonym))
        self._jobs.submit(_LANE, lambda _token: pages.paint_document(printer, view, paper))

    def _pseudonym(self, state: AppState, identity: Identity) -> str | None:
        """Name of the export; None if it cannot be given, which is then told."""
        if state.recording is None:
            return None
        try:
            return pseudonyms(identity, self._desk.folder)(state.recording.recording_id)
        except EchoingError as error:
            self._desk.controller.change(message=to_message(error))
            return None

    def _ask_where(self, kind: Kind, paper: Paper, identity: Identity) -> None:
        state = self._desk.controller.state
        pseudonym = self._pseudonym(state, identity)
        if state.recording is None or pseudonym is None:
            return
        name = pseudonym or Path(state.recording.source_name).stem
        ask_where(
            self._desk.window,
            kind,
            name,
            lambda path: self.write(state, kind, paper, identity, pseudonym, path),
        )

    def _ask_printer(self, _kind: Kind, paper: Paper, identity: Identity) -> None:
        from PySide6.QtPrintSupport import QPrintDialog, QPrinter

        state = self._desk.controller.state
        pseudonym = self._pseudonym(state, identity)
        if pseudonym is None:
            return
        printer = QPrinter()
        printer.setResolution(pages.DPI)
        printer.setPageLayout(pages.page_layout(paper))
        printer.setDocName(tr(REPORT_TITLE))
        dialog = QPrintDialog(printer, self._desk.window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self.print_on(printer, state, identity, pseudonym))
        QDialog.open(dialog)  # its own `open` wants a slot by name

    def _on_finished(self, report: JobReport) -> None:
        text, facts = self._told
        if report.error is None:
            self._desk.audit.record("exported", **facts)
            message = UserMessage(text)
        else:
            message = to_message(report.error)
            if not isinstance(report.error, EchoingError):
                self._desk.controller.unexpected.emit(report.error)
        self._desk.controller.change(message=message)


def install(desk: Desk) -> None:
    """Add exporting and printing to the window."""
    exporter = Exporter(desk)
    answers: dict[str, Callable[[], object]] = {
        "export": exporter.ask,
        "print": exporter.ask_to_print,
    }
    desk.window.add_actions(ACTIONS, answers)
