"""The overview bar: heart rate above, extremes of a lead below, time, and two marked stretches."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from echoing_gui.theme import Colours
from echoing_gui.view_models.overview import RATE_AXIS, RATE_LINES, OverviewView
from model_core.types import FloatArray

_RATE_SHARE = 0.55
_LEAST_MARK_PX = 4.0
_HANDLE_PX = 7.0


def axis_height(font: QFont) -> float:
    """Height of the line of times below the curves, pixels."""
    return QFontMetricsF(font).height() + 4


def curve_area(rect: QRectF, font: QFont) -> QRectF:
    """Where the curves lie: their left and right edge are the ends of the recording."""
    side = QFontMetricsF(font).horizontalAdvance("150") + 6
    return rect.adjusted(side, _HANDLE_PX, -side, -axis_height(font))


def paint_overview(
    painter: QPainter, rect: QRectF, view: OverviewView, colours: Colours, font: QFont
) -> None:
    """Paint the bar in pixels of the user interface.

    Parameters
    ----------
    painter, rect
        Where.
    view
        What.
    colours, font
        How.
    """
    area = curve_area(rect, font)
    painter.setFont(font)
    painter.fillRect(area, QColor(colours.base))
    if view.seen is not None:
        painter.fillRect(_stretch(area, view.seen), QColor(colours.caution))
    rates = QRectF(area)
    if view.rate.size:
        rates.setHeight(area.height() * _RATE_SHARE)
        _paint_rates(painter, rates, view.rate, colours)
    else:
        rates.setHeight(0.0)
    _paint_extremes(painter, area.adjusted(0, rates.height(), 0, 0), view, colours)
    painter.setPen(QPen(QColor(colours.line), 1))
    painter.drawRect(area)
    _paint_times(painter, area, view, colours)
    if view.seen is not None:
        _paint_seen(painter, area, view.seen, colours)
    _paint_page(painter, area, view.page, colours)


def _by_pixel(values: FloatArray, width: int) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest known value of each pixel column."""
    if values.size <= width:
        column = np.arange(width) * values.size // width
        return values[column], values[column]
    starts = np.arange(width) * values.size // width
    return np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)


def _paint_rates(painter: QPainter, area: QRectF, rate: FloatArray, colours: Colours) -> None:
    bottom, top = RATE_AXIS
    metrics = QFontMetricsF(painter.font())
    for number in RATE_LINES:
        y = area.bottom() - (number - bottom) / (top - bottom) * area.height()
        painter.setPen(QPen(QColor(colours.line), 1, Qt.PenStyle.DotLine))
        painter.drawLine(QLineF(area.left(), y, area.right(), y))
        painter.setPen(QColor(colours.muted))
        text = str(number)
        painter.drawText(
            QPointF(
                area.left() - metrics.horizontalAdvance(text) - 4, y + metrics.ascent() / 2 - 1
            ),
            text,
        )
    width = max(1, int(area.width()))
    low, high = _by_pixel(rate, width)
    lines: list[QLineF] = []
    before = None
    for x, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if least != least:  # NaN: a gap of the line
            before = None
            continue
        y_low, y_high = (area.bottom() - part * area.height() for part in (least, most))
        if before is not None:
            lines.append(QLineF(area.left() + x - 1, before, area.left() + x, y_low))
        lines.append(QLineF(area.left() + x, y_low, area.left() + x, y_high - 1))
        before = y_high
    painter.setPen(QPen(QColor(colours.accent), 1))
    painter.drawLines(lines)


def _paint_extremes(painter: QPainter, area: QRectF, view: OverviewView, colours: Colours) -> None:
    if not view.low.size:
        return
    width = max(1, int(area.width()))
    low, high = _by_pixel(view.low, width)[0], _by_pixel(view.high, width)[1]
    middle, half = area.center().y(), area.height() / 2 - 2
    lines = [
        QLineF(area.left() + x, middle - least * half, area.left() + x, middle - most * half - 1)
        for x, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
        if least == least and most == most
    ]
    painter.setPen(QPen(QColor(colours.muted), 1))
    painter.drawLines(lines)


def _paint_times(painter: QPainter, area: QRectF, view: OverviewView, colours: Colours) -> None:
    metrics = QFontMetricsF(painter.font())
    taken_to = -1.0
    for place, text in view.ticks:
        x = area.left() + place * area.width()
        painter.setPen(QColor(colours.line))
        painter.drawLine(QLineF(x, area.bottom(), x, area.bottom() + 3))
        half = metrics.horizontalAdvance(text) / 2
        if x - half > taken_to:
            painter.setPen(QColor(colours.muted))
            painter.drawText(QPointF(x - half, area.bottom() + 3 + metrics.ascent()), text)
            taken_to = x + half + 8


def _stretch(area: QRectF, ends: tuple[float, float]) -> QRectF:
    """Give a stretch the width that can be seen, around its true place."""
    left, right = (area.left() + end * area.width() for end in ends)
    wider = max(0.0, _LEAST_MARK_PX - (right - left)) / 2
    return QRectF(left - wider, area.top(), right - left + 2 * wider, area.height())


def _paint_seen(
    painter: QPainter, area: QRectF, ends: tuple[float, float], colours: Colours
) -> None:
    """Frame what the model saw, with a foot: told from the page by form too."""
    stretch = _stretch(area, ends)
    painter.setPen(QPen(QColor(colours.caution_text), 1))
    painter.drawRect(stretch)
    foot = QRectF(stretch.center().x() - 4, area.bottom() - 3, 8, 5)
    painter.fillRect(foot, QColor(colours.caution_text))


def _paint_page(
    painter: QPainter, area: QRectF, ends: tuple[float, float], colours: Colours
) -> None:
    """Frame the ten seconds chosen, with a handle above."""
    stretch = _stretch(area, ends)
    fill = QColor(colours.accent)
    fill.setAlphaF(0.25)
    painter.fillRect(stretch, fill)
    painter.setPen(QPen(QColor(colours.accent), 1))
    painter.drawRect(stretch)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colours.accent))
    x, y = stretch.center().x(), area.top()
    corners = (QPointF(x, y + 1), QPointF(x - 6, y - _HANDLE_PX), QPointF(x + 6, y - _HANDLE_PX))
    painter.drawPolygon(QPolygonF(corners))
    painter.restore()
