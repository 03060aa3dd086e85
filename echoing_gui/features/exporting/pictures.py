"""The ECG on screen as a picture, true to scale, with what must be said burned in."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPaintDevice, QPainter, QPicture

from echoing_gui import theme
from echoing_gui.exports import Kind
from echoing_gui.graphics import bands
from echoing_gui.i18n import tr
from echoing_gui.panels.traces import EcgView
from echoing_gui.resources import TITLE, program_version
from echoing_gui.state import AppState
from echoing_gui.view_models.results import RESEARCH_ONLY
from model_core.wording import say

PNG = Kind("picture_png", say("Picture of the ECG, twice the pixels (PNG)"), ".png")
SVG = Kind("picture_svg", say("Picture of the ECG (SVG)"), ".svg")
PICTURES = (PNG, SVG)
_RATIO = 2
_LINE_PX = 18
_PAD_PX = 8
_MARGIN_MM = 20.0
_LEAST_WIDTH_PX = 900


def burned_in(state: AppState) -> tuple[str, ...]:
    """Make the lines below the ECG in a picture: what it is for, model, caveat, recording."""
    recording = state.recording
    if recording is None:
        raise ValueError("there is no recording")
    lines = [f"{tr(RESEARCH_ONLY)} {TITLE} {program_version()}"]
    package = state.package
    if package is not None:
        lines[0] += f", {package.name} {package.version}, SHA-256 {package.package_id[:16]}"
        lines.append(tr(package.caveat))
    return (*lines, tr("Recording {name}", name=recording.recording_id))


def picture(state: AppState, shown: EcgView, kind: Kind) -> bytes:
    """Paint what an ECG view shows, with lines of text below.

    Parameters
    ----------
    state
        What to show; without names if there are to be none.
    shown
        The view on screen: its size and place are taken.
    kind
        `PNG`, with twice the pixels and the density that makes it true to scale, or `SVG`.

    Returns
    -------
    bytes
        The file's content.
    """
    lines = burned_in(state)
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
