"""The result panel's drawings: intervals, histogram and dots on one axis; a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from echoing_gui.theme import Colours
from echoing_gui.view_models.results import MeasureRow
from model_core.measures import MEASURES, Measure
from model_core.validation import Validation

# Height of the outer interval as a share of its core's.
THIN = 0.4
REFERENCE_HEIGHT = 3.0
MARKER = 6.0
HISTOGRAM_HEIGHT = 26.0
DOTS_HEIGHT = 34.0
# Diameter, px; less where many lie together.
DOT = 9.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the values of a measure lie on screen.

    Attributes
    ----------
    measure
        Gives the fixed ends and the ticks.
    left, width
        Of the axis, pixels of the user interface.
    side
        Room beyond either end, pixels.
    """

    measure: Measure
    left: float
    width: float
    side: float

    def x(self, value: float) -> float:
        """Place of a value, px; values beyond the axis lie at its end."""
        first, last = self.measure.axis
        return self.left + (min(max(value, first), last) - first) / (last - first) * self.width


def axis_in(area: QRectF, measure: Measure, font: QFont) -> Axis:
    """Lay the axis of a measure into an area so that the outer ticks have room."""
    side = QFontMetricsF(font).horizontalAdvance(f"{measure.axis[1]:.0f}") / 2 + 2
    return Axis(measure, area.left() + side, area.width() - 2 * side, side)


def paint_interval(
    painter: QPainter,
    area: QRectF,
    measure: Measure,
    low: float,
    value: float,
    high: float,
    colours: Colours,
    font: QFont,
    *,
    core: tuple[float, float] | None = None,
    reference: tuple[float, float] | None = None,
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
    core
        Narrower interval within, painted thicker; the bar is then thin.
    reference
        Range of healthy adults, painted along the axis.
    """
    metrics = QFontMetricsF(font)
    first, last = measure.axis
    axis = axis_in(area, measure, font)
    bar_height = metrics.height() * 0.8
    top = area.top() + 4
    axis_y = top + bar_height + 5

    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.line), 1))
    painter.drawLine(QPointF(axis.left, axis_y), QPointF(axis.left + axis.width, axis_y))
    thin = bar_height * (THIN if core is not None else 1.0)
    bar = QRectF(
        axis.x(low), top + (bar_height - thin) / 2, max(axis.x(high) - axis.x(low), 2.0), thin
    )
    painter.fillRect(bar, QColor(colours.interval))
    for beyond, edge, way in ((low < first, bar.left(), -1), (high > last, bar.right(), 1)):
        if beyond:
            tip = [
                QPointF(edge, bar.top()),
                QPointF(edge + way * axis.side, bar.center().y()),
                QPointF(edge, bar.bottom()),
            ]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.interval))
            painter.drawPolygon(QPolygonF(tip))
    if core is not None:
        width = max(axis.x(core[1]) - axis.x(core[0]), 2.0)
        painter.fillRect(QRectF(axis.x(core[0]), top, width, bar_height), QColor(colours.interval))
    if reference is not None:
        # Only as far as the axis goes; on it, so that it is not taken for another interval.
        width = axis.x(reference[1]) - axis.x(reference[0])
        band = QRectF(axis.x(reference[0]), axis_y, width, REFERENCE_HEIGHT)
        painter.fillRect(band, QColor(colours.muted))
    painter.setPen(QPen(QColor(colours.mark), 2))
    painter.drawLine(QPointF(axis.x(value), top - 2), QPointF(axis.x(value), top + bar_height + 2))
    painter.setFont(font)
    for tick in measure.ticks:
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.drawLine(QPointF(axis.x(tick), axis_y), QPointF(axis.x(tick), axis_y + 4))
        painter.setPen(QColor(colours.muted))
        text = f"{tick:.0f}"
        half = metrics.horizontalAdvance(text)
        place = QRectF(axis.x(tick) - half, axis_y + 4, 2 * half, metrics.height())
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)


def paint_estimate(
    painter: QPainter, area: QRectF, row: MeasureRow, colours: Colours, font: QFont
) -> None:
    """Paint all there is of an estimate on one axis: histogram, dots, interval with its mark.

    Parameters
    ----------
    painter, area
        Where, in pixels of the user interface; as high as `estimate_height` says.
    row
        What.
    colours, font
        How.
    """
    measure = MEASURES[row.key]
    axis = axis_in(area, measure, font)
    place = QRectF(area)
    if row.validation is not None:
        place.setHeight(HISTOGRAM_HEIGHT)
        paint_histogram(painter, place, axis, row.validation, row.value, colours)
        place.translate(0, HISTOGRAM_HEIGHT)
    if row.dots:
        place.setHeight(DOTS_HEIGHT)
        paint_dots(painter, place, axis, row.dots, colours)
        place.translate(0, DOTS_HEIGHT)
    place.setBottom(area.bottom())
    paint_interval(
        painter, place, measure, row.low, row.value, row.high, colours, font,
        core=row.core, reference=row.reference,
    )  # fmt: skip


def estimate_height(row: MeasureRow | None, font: QFont) -> int:
    """Height that `paint_estimate` needs, pixels of the user interface."""
    height = QFontMetricsF(font).height() * 1.8 + 16
    if row is not None and row.validation is not None:
        height += HISTOGRAM_HEIGHT
    if row is not None and row.dots:
        height += DOTS_HEIGHT
    return round(height)


def paint_histogram(
    painter: QPainter,
    area: QRectF,
    axis: Axis,
    validation: Validation,
    value: float,
    colours: Colours,
) -> None:
    """Paint where the estimates of validation patients lie, and a marker at this patient's.

    Parameters
    ----------
    painter, area
        Where, in pixels of the user interface; the columns stand on its lower edge.
    axis
        The one of the interval below.
    validation
        Gives the histogram.
    value
        This patient's estimate, in the measure's unit.
    colours
        How.
    """
    highest = max(validation.counts)
    room = area.height() - MARKER
    for start, end, count in zip(
        validation.edges, validation.edges[1:], validation.counts, strict=False
    ):
        if not count:
            continue
        height = room * count / highest
        left, right = axis.x(start) + 0.5, axis.x(end) - 0.5
        column = QRectF(left, area.bottom() - height, right - left, height)
        painter.fillRect(column, QColor(colours.edge))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.mark), 1.5))
    x = axis.x(value)
    painter.drawLine(QPointF(x, area.top() + MARKER), QPointF(x, area.bottom()))
    painter.setBrush(QColor(colours.mark))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawPolygon(
        QPolygonF(
            [
                QPointF(x - MARKER / 2, area.top()),
                QPointF(x + MARKER / 2, area.top()),
                QPointF(x, area.top() + MARKER),
            ]
        )
    )


def stack_dots(xs: Sequence[float], diameter: float) -> list[tuple[float, int]]:
    """Stack dots that would touch: place along the axis and storey, from 0.

    Parameters
    ----------
    xs
        Places along the axis in rising order, px.
    diameter
        Of a dot, px.

    Examples
    --------
    >>> stack_dots([0.0, 3.0, 10.0], 5.0)
    [(1.5, 0), (1.5, 1), (10.0, 0)]
    """
    stacks: list[list[float]] = []
    for x in xs:
        if stacks and x - stacks[-1][0] < diameter:
            stacks[-1].append(x)
        else:
            stacks.append([x])
    return [(sum(stack) / len(stack), storey) for stack in stacks for storey in range(len(stack))]


def paint_dots(
    painter: QPainter, area: QRectF, axis: Axis, dots: Sequence[float], colours: Colours
) -> None:
    """Paint equally likely values as dots that stand on the lower edge of an area."""
    xs = [axis.x(dot) for dot in dots]
    highest = max(storey for _, storey in stack_dots(xs, DOT)) + 1
    diameter = min(DOT, area.height() / highest)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.mark), 1))
    painter.setBrush(QColor(colours.interval))
    for x, storey in stack_dots(xs, DOT):
        middle = QPointF(x, area.bottom() - (storey + 0.5) * diameter)
        painter.drawEllipse(middle, diameter / 2 - 0.5, diameter / 2 - 0.5)


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
