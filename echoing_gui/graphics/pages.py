"""Pages of the report, in millimetres on any paint device with 0.1 mm to a unit."""

from __future__ import annotations

import math

from PySide6.QtCore import QBuffer, QIODevice, QLineF, QMarginsF, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QPagedPaintDevice,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QPen,
)

from echoing_gui import theme
from echoing_gui.graphics import paper
from echoing_gui.graphics.interval import estimate_height, paint_estimate
from echoing_gui.i18n import tr
from echoing_gui.view_models.report import (
    FOOTER_MM,
    HEADER_MM,
    NAMES_BEFORE_PULSE_MM,
    SIDE_MM,
    EcgPage,
    Paper,
    ReportView,
)
from echoing_gui.view_models.sheet import MARGIN_MM, number_text
from model_core.measures import FINDINGS, MEASURES

# 0.1 mm: the grid falls on whole units, and a cosmetic pen is as fine as print shows.
UNITS_PER_MM = 10
DPI = 254
RULER_MM = 50
_EDGE_MM = 8.0
# Thickness of traces and sizes of text, as screens have them: units to a pixel of theirs.
_UNITS_PER_PX = 3.0
_TEXT_MM = 3.1
# The result page is painted in quarters of a millimetre, with the widgets' own code.
_QUARTERS = 4


def n_pages(view: ReportView) -> int:
    """Count the pages: those of ECG and the one of the result."""
    return len(view.ecg) + 1


def paint_page(painter: QPainter, view: ReportView, page_size: Paper, number: int) -> None:
    """Paint a page.

    Parameters
    ----------
    painter
        With `UNITS_PER_MM` units to a millimetre and its origin at the paper's corner.
    view
        What to paint.
    page_size
        The paper.
    number
        Page, from 0.
    """
    _paint_frame(painter, view, page_size, number)
    if number < len(view.ecg):
        _paint_ecg(painter, view.ecg[number], page_size)
    else:
        _paint_result(painter, view, page_size)


def pdf_bytes(view: ReportView, page_size: Paper, title: str) -> bytes:
    """Write the report as a PDF document of real millimetres.

    Parameters
    ----------
    view
        What to write.
    page_size
        The paper.
    title
        Of the document; no names.
    """
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(title)
    writer.setCreator("EchoingECG")
    writer.setPageLayout(page_layout(page_size))
    writer.setResolution(DPI)
    paint_document(writer, view, page_size)
    return bytes(buffer.data().data())


def paint_document(device: QPagedPaintDevice, view: ReportView, page_size: Paper) -> None:
    """Paint all pages on a PDF writer or a printer."""
    painter = QPainter(device)
    painter.scale(device.logicalDpiX() / DPI, device.logicalDpiY() / DPI)
    for number in range(n_pages(view)):
        if number:
            device.newPage()
        paint_page(painter, view, page_size, number)
    painter.end()


def page_layout(page_size: Paper) -> QPageLayout:
    """Landscape without margins: they are ours, in millimetres."""
    size = QSizeF(page_size.height_mm, page_size.width_mm)
    named = QPageSize(size, QPageSize.Unit.Millimeter, page_size.name)
    layout = QPageLayout(named, QPageLayout.Orientation.Landscape, QMarginsF())
    layout.setMode(QPageLayout.Mode.FullPageMode)
    return layout


def _u(mm: float) -> float:
    return mm * UNITS_PER_MM


def _paint_frame(painter: QPainter, view: ReportView, page_size: Paper, number: int) -> None:
    """Paint what stands on every page: which ECG, what it is not, scale and ruler."""
    width, height = _u(page_size.width_mm), _u(page_size.height_mm)
    edge = _u(_EDGE_MM)
    line = _u(5.0)
    upper = QRectF(edge, _u(4.0), width - 2 * edge, line)
    lower = upper.translated(0, line)
    painter.setFont(theme.text_font(_u(_TEXT_MM), bold=True))
    metrics = QFontMetricsF(painter.font())
    room = upper.width() - metrics.horizontalAdvance(view.warning) - _u(5)
    title = metrics.elidedText(view.title, Qt.TextElideMode.ElideMiddle, room)
    _text(painter, upper, title, bold=True)
    _text(painter, upper, view.warning, bold=True, colour=theme.RED_TAG, right=True)
    window = view.ecg[number].window if number < len(view.ecg) else ""
    _text(painter, lower, "   ".join(filter(None, (view.subtitle, window))))
    if view.simulated:
        _text(painter, lower, view.simulated, bold=True, colour=theme.BLUE_TAG, right=True)
    foot = QRectF(edge, height - _u(FOOTER_MM - 2.0), width - 2 * edge, line)
    count = tr("page {number} of {count}", number=number + 1, count=n_pages(view))
    _text(painter, foot, f"{view.program}   {count}", right=True)
    if number < len(view.ecg):
        if view.stands_out:
            before = view.caption.removesuffix(view.stands_out)
            left, width = (metrics.horizontalAdvance(t) for t in (before, view.stands_out))
            patch = QRectF(foot.left() + left, foot.top(), width, line)
            painter.fillRect(patch.adjusted(-_u(0.7), 0, _u(0.7), 0), QColor(theme.AMBER))
        _text(painter, foot, view.caption, bold=True)
        scale = view.ecg[number].sheet.scale
        if scale is not None:
            _paint_legend(painter, foot.translated(0, line), view.legend, scale)
        _paint_ruler(painter, foot.translated(0, 2 * line))


def _paint_legend(painter: QPainter, row: QRectF, text: str, scale: tuple[float, float]) -> None:
    """Paint the colours of the strips from the lowest to the highest variance."""
    width, height, gap = _u(40), _u(2), _u(2)
    font = theme.text_font(_u(_TEXT_MM))
    low, high = number_text(scale[0]), number_text(scale[1])
    left = row.left() + QFontMetricsF(font).horizontalAdvance(low) + gap
    _text(painter, row, low)
    n_steps = 64
    ends = math.log(scale[0]), math.log(scale[1])
    for step in range(n_steps):
        value = math.exp(ends[0] + (ends[1] - ends[0]) * (step + 0.5) / n_steps)
        x = left + width * step / n_steps
        cell = QRectF(x, row.center().y() - height / 2, width / n_steps + 0.5, height)
        painter.fillRect(cell, QColor(*theme.variance_rgb(value, scale)))
    rest = row.adjusted(left + width + gap - row.left(), 0, 0, 0)
    _text(painter, rest, f"{high}   {text}")


def _paint_ruler(painter: QPainter, row: QRectF) -> None:
    pen = QPen(QColor(theme.PAPER_TEXT), 1.5)
    painter.setPen(pen)
    y = row.center().y()
    end = row.left() + _u(RULER_MM)
    ticks = [row.left() + _u(mm) for mm in range(0, RULER_MM + 1, 10)]
    painter.drawLine(QLineF(row.left(), y, end, y))
    painter.drawLines([QLineF(x, y - _u(1.2), x, y + _u(1.2)) for x in ticks])
    room = QRectF(end + _u(2), row.top(), _u(150), row.height())
    _text(painter, room, tr("{length} mm: print at 100 %, then measure this", length=RULER_MM))


def _paint_ecg(painter: QPainter, page: EcgPage, page_size: Paper) -> None:
    sheet = page.sheet
    top = _u(HEADER_MM)
    height = _u(page.bottom_mm - page.top_mm)
    area = QRectF(0, top, _u(page_size.width_mm), height).adjusted(_u(SIDE_MM), 0, -_u(SIDE_MM), 0)
    # Lead names in a margin of their own take the place of the sheet's blank one.
    gutter = paper.gutter_px(sheet.layout, UNITS_PER_MM, _UNITS_PER_PX)
    left = area.left() + gutter - _u(MARGIN_MM - NAMES_BEFORE_PULSE_MM)
    if not gutter:
        left = _u((page_size.width_mm - sheet.width_mm) / 2)
    camera = paper.Camera(
        px_per_mm=float(UNITS_PER_MM),
        x_px=round(left),
        y_px=round(top - _u(page.top_mm)),
        area=area,
        pixel_ratio=_UNITS_PER_PX,
    )
    paper.paint_sheet(painter, sheet, camera, {})


def _paint_result(painter: QPainter, view: ReportView, page_size: Paper) -> None:
    result = view.result
    scale = UNITS_PER_MM / _QUARTERS
    painter.save()
    painter.scale(scale, scale)
    edge = _EDGE_MM * _QUARTERS
    width = page_size.width_mm * _QUARTERS - 2 * edge
    size = _TEXT_MM * _QUARTERS
    y = HEADER_MM * _QUARTERS + 8

    def put(
        text: str, *, bold: bool = False, larger: float = 1.0, colour: str = "", room: float = width
    ) -> None:
        nonlocal y
        if not text:
            return
        painter.setFont(theme.text_font(size * larger, bold=bold))
        painter.setPen(QColor(colour or theme.PAPER_TEXT))
        place = QRectF(edge, y, room, 4000)
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        flags |= int(Qt.TextFlag.TextWordWrap)
        used = painter.boundingRect(place, flags, text)
        painter.drawText(place, flags, text)
        y += used.height() + 2

    put(result.headline, bold=True, larger=1.5)
    put(result.caveat, bold=True, colour=theme.RED_TAG)
    put(result.detail)
    for reason in result.reasons:
        put(f"• {reason}")
    y += 8
    font = theme.text_font(size)
    name_width = 90 * _QUARTERS
    for row in result.measures:
        measure = MEASURES[row.key]
        height = estimate_height(row, font)
        area = QRectF(edge + name_width, y, width - name_width, height)
        paint_estimate(painter, area, row, theme.LIGHT, font)
        bottom = area.bottom() + 8
        put(f"{measure.label}   {row.interval_text}", bold=True, room=name_width - 8)
        value = row.value_text.replace(" ", "\u00a0")  # a number stays with its unit
        estimate = tr("{measure}; estimate {value}", measure=tr(measure.name), value=value)
        for text in (estimate, *row.notes):
            put(text, room=name_width - 8)
        y = max(y + 6, bottom)
    for row in result.findings:
        label = FINDINGS[row.key].label
        put(tr("Probability of {finding}: {probability}", finding=label, probability=row.text))
    y += 8
    put(result.sources)
    put(result.variance_line)
    y += 6
    label_width = max(
        (QFontMetricsF(font).horizontalAdvance(f"{label}  ") for label, _ in view.facts),
        default=0.0,
    )
    for label, text in view.facts:
        painter.setFont(font)
        painter.setPen(QColor(theme.PAPER_MUTED))
        painter.drawText(QPointF(edge, y + size), label)
        painter.setPen(QColor(theme.PAPER_TEXT))
        painter.drawText(QPointF(edge + label_width, y + size), text)
        y += 1.5 * size
    painter.restore()


def _text(
    painter: QPainter,
    room: QRectF,
    text: str,
    *,
    bold: bool = False,
    colour: str = theme.PAPER_TEXT,
    right: bool = False,
) -> None:
    painter.setFont(theme.text_font(_u(_TEXT_MM), bold=bold))
    painter.setPen(QColor(colour))
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    painter.drawText(room, side | Qt.AlignmentFlag.AlignVCenter, text)
