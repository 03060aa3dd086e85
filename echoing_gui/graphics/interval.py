"""Bars of the result panel: a prediction interval on its clinical axis, a probability."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from echoing_gui.theme import Colours
from model_core.measures import Measure


def paint_interval(
    painter: QPainter,
    area: QRectF,
    measure: Measure,
    low: float,
    value: float,
    high: float,
    colours: Colours,
    font: QFont,
) -> None:
    """Paint the interval as a bar, the estimate as a thin mark, on the measure's fixed axis.

    The interval is the larger thing: the eye should take in the range before the point.

    Parameters
    ----------
    painter, area
        Where, in pixels of the user interface.
    measure
        Gives axis and ticks.
    low, value, high
        In the measure's unit; beyond the axis an arrow shows that the bar goes on.
    colours, font
        How.
    """
    metrics = QFontMetricsF(font)
    first, last = measure.axis
    side = metrics.horizontalAdvance(f"{last:.0f}") / 2 + 2
    left, width = area.left() + side, area.width() - 2 * side
    bar_height = metrics.height() * 0.8
    top = area.top() + 4
    axis_y = top + bar_height + 5

    def x(number: float) -> float:
        return left + (min(max(number, first), last) - first) / (last - first) * width

    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.line), 1))
    painter.drawLine(QPointF(left, axis_y), QPointF(left + width, axis_y))
    bar = QRectF(x(low), top, max(x(high) - x(low), 2.0), bar_height)
    painter.fillRect(bar, QColor(colours.interval))
    for beyond, edge, way in ((low < first, bar.left(), -1), (high > last, bar.right(), 1)):
        if beyond:
            middle = bar.center().y()
            tip = [
                QPointF(edge, bar.top()),
                QPointF(edge + way * side, middle),
                QPointF(edge, bar.bottom()),
            ]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.interval))
            painter.drawPolygon(QPolygonF(tip))
    painter.setPen(QPen(QColor(colours.mark), 2))
    painter.drawLine(QPointF(x(value), top - 2), QPointF(x(value), top + bar_height + 2))
    painter.setFont(font)
    for tick in measure.ticks:
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.drawLine(QPointF(x(tick), axis_y), QPointF(x(tick), axis_y + 4))
        painter.setPen(QColor(colours.muted))
        text = f"{tick:.0f}"
        half = metrics.horizontalAdvance(text)
        place = QRectF(x(tick) - half, axis_y + 4, 2 * half, metrics.height())
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)


def interval_height(font: QFont) -> int:
    """Height that `paint_interval` needs, pixels of the user interface."""
    return round(QFontMetricsF(font).height() * 1.8 + 16)


def paint_probability(
    painter: QPainter, area: QRectF, probability: float, colours: Colours
) -> None:
    """Paint a probability as the filled share of a bar from 0 to 100 %."""
    painter.fillRect(area, QColor(colours.window))
    filled = QRectF(area.left(), area.top(), area.width() * probability, area.height())
    painter.fillRect(filled, QColor(colours.interval))
    painter.setPen(QPen(QColor(colours.line), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(area.adjusted(0.5, 0.5, -0.5, -0.5))
