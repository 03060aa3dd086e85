"""Paper and records: the report as PDF or on a printer, the ECG as DICOM, estimates as FHIR."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QPagedPaintDevice, QPageLayout
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.exports import Kind, write_bytes
from echoing_gui.graphics import pages
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.resources import TITLE, program_version
from echoing_gui.state import AppState, Stage, UserMessage
from echoing_gui.view_models.report import PAPERS, Paper, report_state, report_view
from model_core.errors import EchoingError
from model_core.records import dicom_ecg, dicom_report, fhir_bundle, new_study_id

_LANE = "record"
REPORT_TITLE = "ECG report"


REPORT_PDF = Kind("report_pdf", "Report: ECG to scale and result (PDF)", ".pdf")
REPORT_DICOM = Kind("report_dicom", "Report within DICOM (Encapsulated PDF)", ".dcm")
ECG_DICOM = Kind("ecg_dicom", "ECG without result (DICOM waveform)", ".dcm")
ESTIMATES_FHIR = Kind("estimates_fhir", "Estimates (FHIR R4 Observations, JSON)", ".json")
KINDS = (REPORT_PDF, REPORT_DICOM, ECG_DICOM, ESTIMATES_FHIR)
ON_PAPER = (REPORT_PDF, REPORT_DICOM)


def _is_open(state: AppState) -> bool:
    return state.recording is not None and state.page_is_read and state.job.stage is Stage.IDLE


ACTIONS = (
    Action(
        "save_record", "&File", "S&ave report or record…", ("Ctrl+S",),
        "Save the report as PDF, the ECG as DICOM or the estimates as FHIR.",
        enabled=_is_open, group="records",
    ),
    Action(
        "print", "&File", "&Print report…", ("Ctrl+P",),
        "Print ECG and result true to scale.", enabled=_is_open, group="records",
    ),
)  # fmt: skip


def program_line() -> str:
    """Name and version of the program."""
    return f"{TITLE} {program_version()}"


def record_bytes(state: AppState, kind: Kind, paper: Paper, study_id: str) -> bytes:
    """Write a recording in one of the forms.

    Parameters
    ----------
    state
        With a recording.
    kind, paper
        The form.
    study_id
        Name of a de-identified export; empty to keep who the ECG is of.

    Raises
    ------
    ExportError
        If this form has no place for such a recording.
    """
    shown = report_state(state, study_id)
    recording = shown.recording
    if recording is None:
        raise ValueError("there is no recording")
    named = study_id or recording.recording_id[:16]
    if kind is ECG_DICOM:
        return dicom_ecg(recording, is_deidentified=bool(study_id), study_id=named)
    if kind is ESTIMATES_FHIR:
        if shown.prediction is None:
            raise ValueError("there is no prediction")
        bundle = fhir_bundle(recording, shown.prediction, program_line(), named)
        return json.dumps(bundle, ensure_ascii=False, indent=1).encode()
    pdf = pages.pdf_bytes(report_view(shown, paper, program_line()), paper, REPORT_TITLE)
    if kind is REPORT_PDF:
        return pdf
    return dicom_report(
        pdf, recording, title=REPORT_TITLE, study_id=named, is_deidentified=bool(study_id)
    )


class RecordDialog(QDialog):
    """Asks in which form, on which paper, and whether the patient's identity may go along.

    Parameters
    ----------
    kinds
        To choose from; a single one is not asked for.
    verb
        On the button.
    parent
        The window.
    """

    chosen = Signal(object, object, bool)

    def __init__(self, kinds: tuple[Kind, ...], verb: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(verb)
        self._kinds = kinds
        self.kind = QComboBox()
        self.kind.addItems([tr(kind.label) for kind in kinds])
        self.paper = QComboBox()
        self.paper.addItems([f"{paper.name} ({tr('landscape')})" for paper in PAPERS])
        self.deidentify = QCheckBox(tr("Leave out who the patient &is"))
        self.deidentify.setChecked(True)
        self._identity = QLabel(wordWrap=True)
        self._identity.setObjectName("muted")
        self._identity.setMinimumWidth(self.fontMetrics().averageCharWidth() * 58)
        form = QFormLayout()
        if len(kinds) > 1:
            form.addRow(tr("&Form"), self.kind)
        form.addRow(tr("&Paper"), self.paper)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        buttons.button(standard.Ok).setText(verb)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.deidentify)
        layout.addWidget(self._identity)
        layout.addWidget(buttons)
        self.kind.currentIndexChanged.connect(self._follow)
        self.deidentify.toggled.connect(self._follow)
        self._follow()

    def accept(self) -> None:
        """Report what was chosen."""
        kind, paper = self._kinds[self.kind.currentIndex()], PAPERS[self.paper.currentIndex()]
        self.chosen.emit(kind, paper, self.deidentify.isChecked())
        super().accept()

    def _follow(self) -> None:
        self.paper.setEnabled(self._kinds[self.kind.currentIndex()] in ON_PAPER)
        self._identity.setText(
            tr(
                "Names, numbers, dates, places, device and free text are left out; age is given in "
                "years, 90 and above as one. A random name takes the place of the file's. This "
                "follows the Safe Harbor list; it is no legal assessment, and a 12-lead ECG may "
                "itself tell a person."
            )
            if self.deidentify.isChecked()
            else tr("Everything that the file says of the patient is written.")
        )


class _Records(QObject):
    """Asks, writes in a worker, and tells how it went."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        desk.window.closing.connect(self._jobs.close)
        self._told: tuple[str, dict[str, str | bool]] = ("", {})

    def save(self) -> None:
        state = self._desk.controller.state
        kinds = KINDS if state.prediction else KINDS[:-1]  # there are no estimates to write
        dialog = RecordDialog(kinds, tr("Save"), self._desk.window)
        dialog.chosen.connect(self._ask_where)
        dialog.open()

    def print(self) -> None:
        dialog = RecordDialog((REPORT_PDF,), tr("Print"), self._desk.window)
        dialog.chosen.connect(self._ask_printer)
        dialog.open()

    def _ask_where(self, kind: Kind, paper: Paper, hidden: bool) -> None:
        study_id = new_study_id() if hidden else ""
        state = self._desk.controller.state
        recording = state.recording
        if recording is None:
            return
        name = study_id or Path(recording.source_name).stem
        dialog = QFileDialog(self._desk.window, tr("Save"), f"{name}{kind.suffix}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind.suffix)
        dialog.setNameFilter(f"{tr(kind.label)} (*{kind.suffix})")
        dialog.selectFile(f"{name}{kind.suffix}")
        dialog.fileSelected.connect(
            lambda chosen: self.write(state, kind, paper, study_id, Path(chosen))
        )
        dialog.open()

    def write(self, state: AppState, kind: Kind, paper: Paper, study_id: str, path: Path) -> None:
        """Write in a worker what was on screen when it was asked for."""
        recording = state.recording
        if recording is None:
            return
        self._told = (tr("{name} was saved.", name=path.name), _facts(state, kind.key, study_id))

        def work() -> None:
            write_bytes(path, record_bytes(state, kind, paper, study_id))

        self._jobs.submit(_LANE, lambda _token: work())

    def _ask_printer(self, _kind: Kind, paper: Paper, hidden: bool) -> None:
        from PySide6.QtPrintSupport import QPrintDialog, QPrinter

        state = self._desk.controller.state
        study_id = new_study_id() if hidden else ""
        printer = QPrinter()
        printer.setResolution(pages.DPI)
        printer.setPageLayout(pages.page_layout(paper))
        printer.setDocName(REPORT_TITLE)
        dialog = QPrintDialog(printer, self._desk.window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self.print_on(printer, state, study_id))
        QDialog.open(dialog)  # its own `open` wants a slot by name

    def print_on(self, printer: QPagedPaintDevice, state: AppState, study_id: str) -> None:
        """Print in a worker: painting a page takes longer than the window may wait."""
        full = printer.pageLayout().fullRect(QPageLayout.Unit.Millimeter)
        sides = sorted((full.width(), full.height()))
        paper = Paper(printer.pageLayout().pageSize().name(), sides[1], sides[0])
        view = report_view(report_state(state, study_id), paper, program_line())
        self._told = (tr("The report was sent to the printer."), _facts(state, "print", study_id))
        self._jobs.submit(_LANE, lambda _token: pages.paint_document(printer, view, paper))

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


def _facts(state: AppState, kind: str, study_id: str) -> dict[str, str | bool]:
    """Say what the audit log takes down; the name of the export leads back to the recording."""
    facts: dict[str, str | bool] = {"kind": kind, "deidentified": bool(study_id)}
    if state.recording is not None:
        facts["recording"] = state.recording.recording_id
    if state.prediction is not None:
        facts["package"] = state.prediction.package.package_id
    if study_id:
        facts["export"] = study_id.lower().replace("-", "_")
    return facts


def install(desk: Desk) -> None:
    """Add saving and printing to the window."""
    records = _Records(desk)
    answers: dict[str, Callable[[], object]] = {
        "save_record": records.save,
        "print": records.print,
    }
    desk.window.add_actions(ACTIONS, answers)
