"""Export of the recording on screen: its results as data, its ECG as a picture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPaintDevice, QPainter, QPicture

from echoing_gui import theme
from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.export_dialog import ExportDialog
from echoing_gui.exports import KINDS, Item, Kind, write_bytes, write_items
from echoing_gui.graphics import bands
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.panels.traces import EcgView
from echoing_gui.reports import Report, blank_report, prediction_report, recording_report
from echoing_gui.resources import TITLE, program_version
from echoing_gui.services import Model
from echoing_gui.state import AppState, Stage, UserMessage
from echoing_gui.view_models.report import report_state
from echoing_gui.view_models.results import RESEARCH_ONLY
from model_core.errors import EchoingError
from model_core.records import new_study_id

PNG = Kind("picture_png", "Picture of the ECG, twice the pixels (PNG)", ".png")
SVG = Kind("picture_svg", "Picture of the ECG (SVG)", ".svg")
_LANE = "export"
_RATIO = 2
_LINE_PX = 18
_PAD_PX = 8
_MARGIN_MM = 20.0
_LEAST_WIDTH_PX = 900


def _is_open(state: AppState) -> bool:
    return state.recording is not None and state.page_is_read and state.job.stage is Stage.IDLE


ACTIONS = (
    Action(
        "export_recording", "&File", "E&xport data or picture…", ("Ctrl+Alt+E",),
        "Write the result of this recording as data, or its ECG as a picture.",
        enabled=_is_open, group="records",
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


def burned_in(state: AppState, recording_id: str) -> tuple[str, ...]:
    """Make the lines below the ECG in a picture: what it is for, model, caveat, recording."""
    lines = [f"{RESEARCH_ONLY} {TITLE} {program_version()}"]
    package = state.package
    if package is not None:
        lines[0] += f", {package.name} {package.version}, SHA-256 {package.package_id[:16]}"
        lines.append(package.caveat)
    return (*lines, f"Recording SHA-256 {recording_id}")


def picture(state: AppState, lines: tuple[str, ...], shown: EcgView, kind: Kind) -> bytes:
    """Paint what an ECG view shows, with lines of text below.

    Parameters
    ----------
    state
        What to show; without names if there are to be none.
    lines
        From `burned_in`.
    shown
        The view on screen: its size and place are taken.
    kind
        `PNG`, with twice the pixels and the density that makes it true to scale, or `SVG`.

    Returns
    -------
    bytes
        The file's content.
    """
    # The screen's device pixels are not those of the picture.
    ratio = _RATIO if kind is PNG else 1
    finer = ratio / shown.viewport().devicePixelRatioF()
    px_per_mm = state.screen.device_px_per_mm * finer
    screen = replace(state.screen, device_px_per_mm=px_per_mm)
    view = EcgView()
    view.resize(shown.size())
    view.show_state(AppState(), replace(state, screen=screen))
    view.resize(view.size().boundedTo(_needed(view, px_per_mm * state.options.zoom / ratio)))
    view.grab()  # lays it out
    view.horizontalScrollBar().setValue(shown.horizontalScrollBar().value())
    view.verticalScrollBar().setValue(shown.verticalScrollBar().value())
    size = view.viewport().size()
    whole = QSize(size.width(), size.height() + _LINE_PX * len(lines) + _PAD_PX)
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if kind is SVG:
        from PySide6.QtSvg import QSvgGenerator

        ecg = QPicture()
        view.paint(ecg)
        generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
        generator.setOutputDevice(buffer)
        generator.setResolution(ecg.logicalDpiX())  # else the picture would be scaled
        generator.setSize(whole)
        generator.setViewBox(QRect(QPoint(), whole))
        generator.setTitle(tr("ECG"))
        _compose(generator, whole, size.height(), lines, ecg)
    else:
        ecg = QImage(size * ratio, QImage.Format.Format_RGB32)
        ecg.setDevicePixelRatio(ratio)
        view.paint(ecg)
        image = QImage(whole * ratio, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        per_m = round(1000 * px_per_mm * state.options.zoom)
        image.setDotsPerMeterX(per_m)
        image.setDotsPerMeterY(per_m)
        _compose(image, whole, size.height(), lines, ecg)
        image.save(buffer, "PNG")  # pyright: ignore[reportCallIssue, reportArgumentType]
    buffer.close()
    view.deleteLater()
    return bytes(content.data())


def _needed(view: EcgView, px_per_mm: float) -> QSize:
    """Room that the sheet takes with its header and footer: no more paper than ECG."""
    sheet = view.sheet
    if sheet is None:
        return view.size()
    height = sheet.height_mm * px_per_mm + bands.header_height(1) + bands.footer_height(1)
    width = (sheet.width_mm + _MARGIN_MM) * px_per_mm
    return QSize(math.ceil(max(width, _LEAST_WIDTH_PX)), math.ceil(height))


def _compose(
    device: QPaintDevice, whole: QSize, top: int, lines: tuple[str, ...], ecg: QPicture | QImage
) -> None:
    painter = QPainter(device)
    painter.fillRect(QRect(QPoint(), whole), QColor(theme.PAPER))
    if isinstance(ecg, QPicture):
        painter.drawPicture(0, 0, ecg)
    else:
        painter.drawImage(0, 0, ecg)
    painter.setFont(theme.text_font(12.0, bold=True))
    painter.setPen(QColor(theme.PAPER_TEXT))
    for number, line in enumerate(lines):
        row = QRectF(_PAD_PX, top + number * _LINE_PX, whole.width() - 2 * _PAD_PX, _LINE_PX)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, line)
        painter.setFont(theme.text_font(12.0))
    painter.end()


class DataExport(QObject):
    """Asks, writes in a worker, and tells how it went."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._facts: dict[str, Any] = {}
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        desk.window.closing.connect(self._jobs.close)

    def ask(self) -> None:
        """Ask in which form and where to."""
        has_result = self._desk.controller.state.prediction is not None
        kinds = (PNG, SVG, *(KINDS if has_result else ()))
        dialog = ExportDialog(kinds, "ecg", self._desk.window)
        dialog.chosen.connect(self.export)
        dialog.open()

    def export(self, kind: Kind, path: Path, identified: bool) -> None:
        """Write what is on screen now."""
        controller = self._desk.controller
        state, model = controller.state, controller.model
        recording, prediction = state.recording, state.prediction
        if recording is None:
            return
        self._facts = {
            "kind": kind.key,
            "deidentified": not identified,
            "recording": recording.recording_id,
        }
        if state.package is not None:
            self._facts["package"] = state.package.package_id
        if kind in (PNG, SVG):
            named = state if identified else report_state(state, new_study_id())
            lines = burned_in(state, recording.recording_id)
            content = picture(named, lines, self._desk.window.traces.view, kind)
            self._jobs.submit(_LANE, lambda _token: _write(path, content))
        elif model is not None and prediction is not None:
            item = Item(1, report_of(state, model), prediction.embedding_mean)
            self._jobs.submit(_LANE, lambda _token: _write_item(kind, path, item, identified))

    def _on_finished(self, report: JobReport) -> None:
        if report.error is None:
            self._desk.audit.record("exported", **self._facts)
            message = UserMessage(tr("{name} was exported.", name=report.value))
        else:
            message = to_message(report.error)
            if not isinstance(report.error, EchoingError):
                self._desk.controller.unexpected.emit(report.error)
        self._desk.controller.change(message=message)


def _write(path: Path, content: bytes) -> str:
    write_bytes(path, content)
    return path.name


def _write_item(kind: Kind, path: Path, item: Item, identified: bool) -> str:
    write_items(kind, path, [item], identified=identified)
    return path.name


def install(desk: Desk) -> None:
    """Add the export to the window."""
    export = DataExport(desk)
    desk.window.add_actions(ACTIONS, {"export_recording": export.ask})
