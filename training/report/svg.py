"""Plots as SVG text: colours come from the page's style sheet, so that they suit light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

_Scale: TypeAlias = Callable[[float], float]

WIDTH, HEIGHT = 380, 290
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 42
ROW = 20
# Colours are told apart by dashes too.
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2 1 2", "3 6")
_N_INKS = 8


@dataclass(frozen=True)
class Series:
    """A line with its band or bars.

    Attributes
    ----------
    label
        For the key.
    x, y
        Points; NaN leaves a gap.
    low, high
        Ends of intervals, or empty.
    band
        Intervals as a shaded band instead of bars.
    marks
        Whether points are marked.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = field(default_factory=list)
    high: Sequence[float] = field(default_factory=list)
    band: bool = False
    marks: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, from where to where; values may stand for powers of two."""

    label: str
    low: float
    high: float
    powers_of_two: bool = False


@dataclass(frozen=True)
class Bar:
    """A row of a forest plot; NaN shows the label alone."""

    label: str
    value: float
    low: float
    high: float


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values within a range, at most `most` + 1.

    Examples
    --------
    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = max(high - low, 1e-12)
    power = 10 ** math.floor(math.log10(span / (most + 1)))
    step = next(f * power for f in (1, 2, 5, 10) if span / (f * power) < most + 1)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def axis_over(label: str, values: Sequence[float], *, include: Sequence[float] = ()) -> Axis:
    """Axis that holds all finite values, with a little air."""
    known = [v for v in (*values, *include) if math.isfinite(v)]
    if not known:
        return Axis(label, 0.0, 1.0)
    low, high = min(known), max(known)
    air = 0.06 * (high - low) or 0.5
    return Axis(label, low - air, high + air)


def lines(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    describe: str,
    diagonal: bool = False,
    colours: Sequence[int] | None = None,
) -> str:
    """Lines on common axes.

    Parameters
    ----------
    series
        What to draw.
    x, y
        Axes.
    describe
        For readers who do not see the plot.
    diagonal
        Draw the line y = x.
    colours
        Number of each series' colour; their order by default.
    """
    numbers = range(len(series)) if colours is None else colours

    def px(value: float) -> float:
        return LEFT + (value - x.low) / (x.high - x.low) * (WIDTH - LEFT - RIGHT)

    def py(value: float) -> float:
        return TOP + (y.high - value) / (y.high - y.low) * (HEIGHT - TOP - BOTTOM)

    parts = [_frame(WIDTH, HEIGHT, describe)]
    for tick in ticks(x.low, x.high):
        parts.append(_line(px(tick), TOP, px(tick), HEIGHT - BOTTOM, "grid"))
        parts.append(_text(px(tick), HEIGHT - BOTTOM + 15, _number(tick, x), "middle"))
    for tick in ticks(y.low, y.high):
        parts.append(_line(LEFT, py(tick), WIDTH - RIGHT, py(tick), "grid"))
        parts.append(_text(LEFT - 6, py(tick) + 4, f"{tick:g}", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x.label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(_text(12, middle, y.label, "middle", turn=True))
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(_line(px(low), py(low), px(high), py(high), "reference"))
    for number, one in zip(numbers, series, strict=True):
        parts += _series(one, number, px, py)
    return "".join(parts) + "</svg>"


def _series(one: Series, number: int, px: _Scale, py: _Scale) -> list[str]:
    ink, dash = _look(number)
    parts = []
    if len(one.low) and one.band:
        known = [i for i, v in enumerate(one.low) if math.isfinite(v)]
        there = [(one.x[i], one.high[i]) for i in known]
        back = [(one.x[i], one.low[i]) for i in reversed(known)]
        outline = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in there + back)
        parts.append(f'<polygon class="band {ink}" points="{outline}"/>')
    elif len(one.low):
        parts += [
            _line(px(a), py(low), px(a), py(high), f"bar {ink}")
            for a, low, high in zip(one.x, one.low, one.high, strict=True)
            if math.isfinite(low) and math.isfinite(high)
        ]
    known = [(a, b) for a, b in zip(one.x, one.y, strict=True) if math.isfinite(b)]
    points = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in known)
    parts.append(f'<polyline class="line {ink}" points="{points}"{dash}/>')
    if one.marks:
        parts += [
            f'<circle class="mark {ink}" cx="{px(a):.1f}" cy="{py(b):.1f}" r="3"/>'
            for a, b in known
        ]
    return parts


def forest(
    bars: Sequence[Bar], x: Axis, *, describe: str, marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Draw one row a group: its value and interval.

    Parameters
    ----------
    bars
        Rows from above.
    x
        Axis of the values.
    describe
        For readers who do not see the plot.
    marks
        Values to mark by a vertical line, each with its label.
    """
    left, width = 270, 2 * WIDTH - 70
    height = TOP + 8 + ROW * len(bars) + BOTTOM

    def px(value: float) -> float:
        inside = min(max(value, x.low), x.high)
        return left + (inside - x.low) / (x.high - x.low) * (width - left - RIGHT)

    parts = [_frame(width, height, describe)]
    for tick in ticks(x.low, x.high):
        parts.append(_line(px(tick), TOP, px(tick), height - BOTTOM, "grid"))
        parts.append(_text(px(tick), height - BOTTOM + 15, f"{tick:g}", "middle"))
    parts.append(_text((left + width - RIGHT) / 2, height - 8, x.label, "middle"))
    for value, label in marks:
        parts.append(_line(px(value), TOP, px(value), height - BOTTOM, "reference"))
        parts.append(_text(px(value), TOP - 2, label, "middle"))
    for number, bar in enumerate(bars):
        middle = TOP + 8 + ROW * (number + 0.5)
        parts.append(_text(left - 8, middle + 4, bar.label, "end"))
        if math.isfinite(bar.low) and math.isfinite(bar.high):
            parts.append(_line(px(bar.low), middle, px(bar.high), middle, "bar c0"))
        if math.isfinite(bar.value):
            parts.append(
                f'<circle class="mark c0" cx="{px(bar.value):.1f}" cy="{middle:.1f}" r="3.5"/>'
            )
    return "".join(parts) + "</svg>"


def key(labels: Sequence[tuple[int, str]]) -> str:
    """Key of a plot: colour, dashes and name of each numbered line."""
    parts = []
    for number, label in labels:
        ink, dash = _look(number)
        parts.append(
            f'<span class="key"><svg width="28" height="10" aria-hidden="true">'
            f'<polyline class="line {ink}" points="0,5 28,5"{dash}/></svg>'
            f"{escape(label)}</span>"
        )
    return "".join(parts)


def _look(number: int) -> tuple[str, str]:
    """Colour class and dashes of a numbered line; where colours come again, dashes differ."""
    dash = DASHES[(number + number // _N_INKS) % len(DASHES)]
    return f"c{number % _N_INKS}", f' stroke-dasharray="{dash}"' if dash else ""


def _number(tick: float, axis: Axis) -> str:
    return f"{2**tick if axis.powers_of_two else tick:g}"


def _frame(width: int, height: int, describe: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(describe, quote=True)}">'
    )


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, *, turn: bool = False) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>{escape(text)}</text>'
