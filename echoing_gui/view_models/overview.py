"""The overview bar as numbers and texts: the whole recording, the ten seconds chosen and seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from echoing_gui.i18n import tr
from echoing_gui.state import PAGE_S, AppState
from echoing_gui.view_models.texts import duration_text, model_ran, span_text, start_of
from model_core.long_recording import Overview
from model_core.types import FloatArray

RATE_AXIS = (30.0, 190.0)
RATE_LINES = (50, 100, 150)
_LONG_S = 60.0
_MOST_TICKS = 12
_TICK_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, *(3600 * h for h in (0.5, 1, 2, 3, 6, 12, 24)))


@dataclass(frozen=True, slots=True, eq=False)
class OverviewView:
    """What the overview bar shows; places along it are fractions of the recording, 0 to 1.

    Attributes
    ----------
    low, high
        Of each column, of the largest deflection that most columns stay below, -1 to 1; NaN
        where nothing is known yet.
    rate
        Heart rate of each column between the ends of `RATE_AXIS`, 0 to 1; empty where the
        recording is too short for a trend.
    page
        The ten seconds chosen.
    seen
        What the result on screen is of; None without one.
    ticks
        Places and texts of the time axis.
    title
        The ten seconds chosen, in words.
    legend
        What is drawn.
    spoken
        The bar in words.
    """

    low: FloatArray
    high: FloatArray
    rate: FloatArray
    page: tuple[float, float]
    seen: tuple[float, float] | None
    ticks: tuple[tuple[float, str], ...]
    title: str
    legend: str
    spoken: str


def overview_view(state: AppState) -> OverviewView | None:
    """Make the overview bar; None where there is no choice of ten seconds."""
    if not state.has_pages:
        return None
    whole_s, start_s = state.whole_s, state.page_start_s
    low, high, rate = _curves(state.overview, whole_s)
    prediction = state.prediction
    page_text = span_text(state, start_s, start_s + PAGE_S)
    legend: list[str] = []
    if state.overview is not None:
        lead = state.overview.lead
        legend.append(
            tr("Heart rate /min; below, lead {lead}, lowest to highest", lead=lead)
            if rate.size
            else tr("Lead {lead}, lowest to highest", lead=lead)
        )
        if not state.overview.complete:
            legend.append(tr("still reading"))
        if prediction is not None:
            legend.append(
                tr("with a foot: what the model saw")
                if model_ran(prediction)
                else tr("with a foot: what was checked, without an estimate")
            )
    seen = None
    whole = duration_text(whole_s)
    spoken = tr("Ten seconds chosen: {span}, of {whole}.", span=page_text, whole=whole)
    if prediction is not None:
        seen = prediction.window_s[0] / whole_s, prediction.window_s[1] / whole_s
        span = span_text(state, *prediction.window_s)
        spoken += " " + (
            tr("The model saw {span}.", span=span)
            if model_ran(prediction)
            else tr("{span} was checked, without an estimate.", span=span)
        )
    return OverviewView(
        low=low,
        high=high,
        rate=rate,
        page=(start_s / whole_s, (start_s + PAGE_S) / whole_s),
        seen=seen,
        ticks=_ticks(state),
        title=page_text,
        legend="; ".join(legend),
        spoken=spoken,
    )


def start_at(state: AppState, fraction: float) -> float:
    """First second of the ten that lie around a place of the bar, kept within the recording."""
    return min(max(fraction * state.whole_s - PAGE_S / 2, 0.0), state.last_page_s)


def _curves(overview: Overview | None, whole_s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    nothing = np.empty(0, dtype=np.float32)
    if overview is None:
        return nothing, nothing, nothing
    sizes = np.fmax(np.abs(overview.low_mv), np.abs(overview.high_mv))
    known = sizes[np.isfinite(sizes)]
    # One artefact must not press all else flat.
    full_mv = max(1.3 * float(np.percentile(known, 95)), 0.1) if known.size else 1.0
    low, high = (np.clip(values / full_mv, -1, 1) for values in (overview.low_mv, overview.high_mv))
    if whole_s <= _LONG_S:
        return low, high, nothing
    bottom, top = RATE_AXIS
    return low, high, np.clip((overview.rate_per_min - bottom) / (top - bottom), 0, 1)


def _ticks(state: AppState) -> tuple[tuple[float, str], ...]:
    """Round moments: of the day where it is known, else since the start."""
    whole_s = state.whole_s
    step_s = next((s for s in _TICK_STEPS_S if whole_s / s <= _MOST_TICKS), _TICK_STEPS_S[-1])
    started = start_of(state) if whole_s > _LONG_S else None
    midnight_s = 0.0
    if started is not None:
        day = started.replace(hour=0, minute=0, second=0, microsecond=0)
        midnight_s = (started - day).total_seconds()
    first = math.ceil(midnight_s / step_s) * step_s
    ticks: list[tuple[float, str]] = []
    for clock_s in np.arange(first, midnight_s + whole_s + 1e-9, step_s).tolist():
        text = _of_day(clock_s % 86_400, step_s) if started else _since_start(round(clock_s))
        ticks.append(((clock_s - midnight_s) / whole_s, text))
    return tuple(ticks)


def _of_day(second: float, step_s: float) -> str:
    text = str(timedelta(seconds=round(second)))
    return text.removesuffix(":00") if step_s >= 60 else text


def _since_start(second: int) -> str:
    """With units: "0:10" could be ten seconds as well as ten minutes."""
    numbers = (second // 3600, "h"), (second // 60 % 60, "min"), (second % 60, "s")
    return " ".join(f"{number} {unit}" for number, unit in numbers if number) or "0"
