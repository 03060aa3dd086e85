"""The lines above and below the paper that belong to the picture: what it shows, in what scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen

from echoing_gui import theme
from echoing_gui.i18n import tr
from echoing_gui.view_models.sheet import number_text

_TEXT_PX = 13.0
_LINE_PX = 22.0
_LEGEND_BAR_PX = 110.0
# Below this the legend would lose words, and with them a "not".
_LEGEND_PX = 560.0


@dataclass(frozen=True, slots=True)
class BandTexts:
    """Texts that stand on every picture.

    Attributes
    ----------
    source
        Which recording this is.
    window
        Which seconds, and what is left out; may be empty.
    simulated
        Tag of a recording that is no patient's; may be empty.
    not_to_scale
        Red tag; empty when one millimetre on screen is one millimetre.
    caption
        Paper speed and gain.
    filter, filter_short
        The display filter that is in the traces: in full, and where there is little room.
    marked
        Whether `filter` stands on amber: a preview, or less than a diagnostic ECG needs.
    model_saw, model_saw_short
        What the network saw for the result: in full, and where there is little room; may be empty.
    scale
        Ends of the colour scale of the strips; None without strips.
    legend, legend_short
        What the colours mean: in full, and where there is little room.
    """

    source: str
    window: str
    simulated: str
    not_to_scale: str
    caption: str
    filter: str
    filter_short: str
    marked: bool
    model_saw: str
    model_saw_short: str
    scale: tuple[float, float] | None
    legend: str
    legend_short: str


def header_height(pixel_ratio: float) -> int:
    """Height of the header in device pixels."""
    return round(2 * _LINE_PX * pixel_ratio)


def footer_height(pixel_ratio: float) -> int:
    """Height of the footer in device pixels."""
    return round(2 * _LINE_PX * pixel_ratio)


def paint_header(painter: QPainter, area: QRectF, texts: BandTexts, pixel_ratio: float) -> None:
    """Paint the recording's name, and the tags that must not be missed."""
    painter.fillRect(area, QColor(theme.PAPER))
    line = _LINE_PX * pixel_ratio
    pad = 8 * pixel_ratio
    upper = QRectF(area.left() + pad, area.top(), area.width() - 2 * pad, line)
    lower = upper.translated(0, line)
    painter.setFont(theme.text_font(_TEXT_PX * pixel_ratio, bold=True))
    room = QRectF(upper)
    if texts.simulated:
        room = _paint_tag(painter, upper, texts.simulated, theme.BLUE_TAG, pixel_ratio)
    _paint_text(painter, room, texts.source, theme.PAPER_TEXT)
    room = QRectF(lower)
    if texts.not_to_scale:
        room = _paint_tag(painter, lower, texts.not_to_scale, theme.RED_TAG, pixel_ratio)
    painter.setFont(theme.text_font(_TEXT_PX * pixel_ratio))
    _paint_text(painter, room, texts.window, theme.PAPER_MUTED)


def paint_footer(painter: QPainter, area: QRectF, texts: BandTexts, pixel_ratio: float) -> None:
    """Paint speed, gain and filter, and the legend of the strips if there are any."""
    painter.fillRect(area, QColor(theme.PAPER))
    line = _LINE_PX * pixel_ratio
    pad = 8 * pixel_ratio
    upper = QRectF(area.left() + pad, area.top(), area.width() - 2 * pad, line)
    painter.setFont(theme.text_font(_TEXT_PX * pixel_ratio, bold=True))
    gap = 14 * pixel_ratio
    width = QFontMetricsF(painter.font()).horizontalAdvance(texts.caption)
    _paint_text(painter, upper, texts.caption, theme.PAPER_TEXT)
    rest = upper.adjusted(width + gap, 0, 0, 0)
    # Cut in the middle, the name of a filter could lose its frequency.
    width = QFontMetricsF(painter.font()).horizontalAdvance(texts.filter)
    fits = width <= rest.width() - 12 * pixel_ratio
    named = texts.filter if fits else texts.filter_short
    if texts.marked:
        rest = _paint_chip(painter, rest, named, pixel_ratio)
    elif named:
        width = QFontMetricsF(painter.font()).horizontalAdvance(named)
        _paint_text(painter, rest, named, theme.PAPER_TEXT)
        rest = rest.adjusted(width, 0, 0, 0)
    lower = upper.translated(0, line)
    lower = _paint_model_saw(painter, rest.adjusted(gap, 0, 0, 0), lower, texts, pixel_ratio)
    if texts.scale is not None:
        _paint_legend(painter, lower, texts, texts.scale, pixel_ratio)


def _paint_text(painter: QPainter, room: QRectF, text: str, colour: str) -> None:
    metrics = QFontMetricsF(painter.font())
    painter.setPen(QColor(colour))
    flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    painter.drawText(
        room, flags, metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
    )


def _paint_chip(painter: QPainter, row: QRectF, text: str, pixel_ratio: float) -> QRectF:
    """Paint a text on amber at the left end of a row; returns what room is left."""
    pad = 6 * pixel_ratio
    metrics = QFontMetricsF(painter.font())
    text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, row.width() - 2 * pad)
    width = metrics.horizontalAdvance(text) + 2 * pad
    chip = QRectF(row.left(), row.top() + pixel_ratio, width, row.height() - 2 * pixel_ratio)
    painter.fillRect(chip, QColor(theme.AMBER))
    painter.setPen(QColor(theme.AMBER_TEXT))
    painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, text)
    return row.adjusted(width, 0, 0, 0)


def _paint_model_saw(
    painter: QPainter, room: QRectF, lower: QRectF, texts: BandTexts, pixel_ratio: float
) -> QRectF:
    """Paint it at the right, in the lower row if need be; returns what is left of that row."""
    painter.setFont(theme.text_font(11.5 * pixel_ratio))
    metrics = QFontMetricsF(painter.font())
    painter.setPen(QColor(theme.PAPER_MUTED))
    flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    for text in (texts.model_saw, texts.model_saw_short):
        if metrics.horizontalAdvance(text) <= room.width():
            painter.drawText(room, flags, text)
            return lower
    taken = metrics.horizontalAdvance(texts.model_saw_short) + 14 * pixel_ratio
    if lower.width() - taken < _LEGEND_PX * pixel_ratio:
        return lower
    painter.drawText(lower, flags, texts.model_saw_short)
    return lower.adjusted(0, 0, -taken, 0)


def _paint_tag(
    painter: QPainter, row: QRectF, text: str, colour: str, pixel_ratio: float
) -> QRectF:
    """Paint a framed tag at the right end of a row; returns what room is left."""
    width = QFontMetricsF(painter.font()).horizontalAdvance(text) + 16 * pixel_ratio
    tag = QRectF(
        row.right() - width, row.top() + 2 * pixel_ratio, width, row.height() - 4 * pixel_ratio
    )
    painter.setPen(QPen(QColor(colour), round(1.5 * pixel_ratio)))
    painter.drawRect(tag)
    painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, text)
    return row.adjusted(0, 0, -width - 8 * pixel_ratio, 0)


def _paint_legend(
    painter: QPainter,
    row: QRectF,
    texts: BandTexts,
    scale: tuple[float, float],
    pixel_ratio: float,
) -> None:
    painter.setFont(theme.text_font(11.5 * pixel_ratio))
    metrics = QFontMetricsF(painter.font())
    gap = 6 * pixel_ratio
    height = 9 * pixel_ratio
    x = row.left()

    def put(text: str) -> None:
        nonlocal x
        painter.setPen(QColor(theme.PAPER_TEXT))
        width = metrics.horizontalAdvance(text)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(x, row.top(), width + 1, row.height()), flags, text)
        x += width + gap

    put(tr("low {variance}", variance=number_text(scale[0])))
    top = row.center().y() - height / 2
    n_steps = round(_LEGEND_BAR_PX * pixel_ratio)
    low, high = math.log(scale[0]), math.log(scale[1])
    for step in range(n_steps):
        value = math.exp(low + (high - low) * (step + 0.5) / n_steps)
        painter.fillRect(
            QRectF(round(x) + step, top, 1, height), QColor(*theme.variance_rgb(value, scale))
        )
    x = round(x) + n_steps + gap
    put(tr("{variance} high", variance=number_text(scale[1])))
    x += gap
    cell = QRectF(x, top, 16 * pixel_ratio, height)
    painter.fillRect(cell, QBrush(QColor(theme.HATCH), Qt.BrushStyle.BDiagPattern))
    x = cell.right() + gap
    put(tr("not computed"))
    x += gap
    room = QRectF(x, row.top(), max(0.0, row.right() - x), row.height())
    # Cut in the middle, the long text could lose its "not".
    fits = metrics.horizontalAdvance(texts.legend) <= room.width()
    text = texts.legend if fits else texts.legend_short
    _paint_text(painter, room, text, theme.PAPER_MUTED)
