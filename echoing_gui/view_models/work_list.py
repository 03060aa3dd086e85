"""The work list as columns, texts and order: what its table and its plots show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_work_list import ListRow, RowState, WorkList
from echoing_gui.view_models.sheet import number_text
from echoing_gui.view_models.texts import duration_text, key_of
from model_core.measures import FINDINGS, MEASURES
from model_core.wording import say

Value = float | str | None

STATE_TEXTS = {
    RowState.WAITING: say("Waiting"),
    RowState.REPORTED: say("Reported"),
    RowState.CAUTION: say("With cautions"),
    RowState.NOT_REPORTABLE: say("Not reportable"),
    RowState.ERROR: say("Not read"),
}
# Not worth telling when it was not looked at.
_A_BIT_S = 0.05
# Sorted so that what needs somebody comes first.
_STATE_ORDER = {
    RowState.ERROR: 0,
    RowState.NOT_REPORTABLE: 1,
    RowState.CAUTION: 2,
    RowState.REPORTED: 3,
    RowState.WAITING: 4,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table, or an axis of a plot.

    Attributes
    ----------
    key
        Identifier.
    title
        Over the column.
    axis
        On an axis, with unit; empty for columns that are no numbers.
    tip
        What it is, as one sentence.
    value
        What it is sorted by; None where there is nothing.
    text
        What stands in the cell.
    sample
        The widest text, for the width of the column.
    """

    key: str
    title: str
    axis: str
    tip: str
    value: Callable[[ListRow], Value]
    text: Callable[[ListRow], str]
    sample: str


def columns_of(work: WorkList | None, *, covered: bool = False) -> tuple[Column, ...]:
    """Make the columns of a work list; labels only where its table has them.

    Parameters
    ----------
    work
        The list.
    covered
        Leave out the estimates: the reader wants to read first.
    """
    measures, findings = ((), ()) if covered else (tuple(MEASURES), tuple(FINDINGS))
    rows = work.rows if work else ()
    labelled = {key for row in rows for key in row.labels}
    return (
        Column("number", "#", "", tr("Place in the list."), lambda row: row.number,
               lambda row: str(row.number), "10000"),
        Column("name", tr("File"), "", tr("File name within the folder."),
               lambda row: row.name.casefold(), lambda row: row.name,
               "records500/00000/00000_hr.hea"),
        Column("state", tr("Result"), "", tr("What came of it."),
               lambda row: _STATE_ORDER[row.state],
               lambda row: tr(STATE_TEXTS[row.state]), tr(STATE_TEXTS[RowState.NOT_REPORTABLE])),
        *(column for key in measures for column in _measure_columns(key, rows)),
        *(_probability_column(key) for key in findings),
        Column("variance", tr("Variance"), tr("Embedding variance (dimensionless)"),
               tr("Embedding variance, dimensionless: how unsure the model is of the whole ECG."),
               lambda row: row.variance,
               lambda row: "" if row.variance is None else number_text(row.variance), "0.00012"),
        Column("quality", tr("Leads"), tr("Leads that are noisy or unusable"),
               tr("How many leads are noisy or unusable."), _bad_leads, _quality_text,
               _bad_leads_text(12, 12)),
        *(_label_column(key) for key in MEASURES if key in labelled),
        Column("why", tr("What to know"), "", tr("Reasons and errors."),
               lambda row: ", ".join(row.codes), why_text, 60 * "x"),
    )  # fmt: skip


def can_export(state: AppState) -> bool:
    """Say whether the list may leave the program: not while its estimates are covered."""
    work = state.work_list
    return work is not None and work.n_done > 0 and not state.options.read_first


def covered_text(state: AppState) -> str:
    """Say that the estimates of the list are covered; empty where they are not."""
    if state.work_list is None or not state.options.read_first:
        return ""
    return tr(
        "Estimates are covered and not exported, because you read first. Switch Read first off"
        "{key} to see and export them.",
        key=key_of(state, "read_first"),
    )


def numeric(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Columns that can be an axis."""
    return tuple(column for column in columns if column.axis)


def values_of(rows: Sequence[ListRow], column: Column) -> NDArray[np.float64]:
    """Values of a column of numbers, NaN where there is none."""
    found = (column.value(row) for row in rows)
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def order_of(
    rows: Sequence[ListRow], shown: NDArray[np.intp], column: Column, *, falling: bool
) -> NDArray[np.intp]:
    """Put rows into order; those without a value come last, whichever way.

    Parameters
    ----------
    rows
        All rows.
    shown
        Indices of those to order.
    column
        To order by; equal values keep the order of the list.
    falling
        Largest first.
    """
    listed = np.sort(shown)
    values = [column.value(rows[index]) for index in listed]
    there = np.array([value is not None for value in values], dtype=bool)
    keys = np.array([value for value in values if value is not None])
    ranks = np.unique(keys, return_inverse=True)[1] if len(keys) else np.empty(0, np.intp)
    order = np.argsort(-ranks if falling else ranks, kind="stable")
    return np.concatenate([listed[there][order], listed[~there]]).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown.

    Attributes
    ----------
    text
        In the file's name or what there is to know, whatever the case.
    state
        None for all.
    column
        Key of the column of numbers that has to lie between `low` and `high`; empty for none.
    low, high
        None for no limit.
    """

    text: str = ""
    state: RowState | None = None
    column: str = ""
    low: float | None = None
    high: float | None = None


def shown_rows(
    rows: Sequence[ListRow], columns: Sequence[Column], wanted: Filter
) -> NDArray[np.intp]:
    """Give the indices of the rows that a filter lets through."""
    keep = np.ones(len(rows), dtype=bool)
    if wanted.state is not None:
        keep &= np.array([row.state is wanted.state for row in rows], dtype=bool)
    text = wanted.text.strip().casefold()
    if text:
        keep &= np.array(
            [
                text in row.name.casefold()
                or text in " ".join((*row.codes, *map(tr, row.sentences))).casefold()
                for row in rows
            ],
            dtype=bool,
        )
    column = next((each for each in numeric(columns) if each.key == wanted.column), None)
    if column is not None and (wanted.low is not None or wanted.high is not None):
        values = values_of(rows, column)
        with np.errstate(invalid="ignore"):
            if wanted.low is not None:
                keep &= values >= wanted.low
            if wanted.high is not None:
                keep &= values <= wanted.high
    return np.flatnonzero(keep)


def progress_text(work: WorkList | None) -> str:
    """How far the work is, and what came of it so far."""
    if work is None:
        return tr("No work list is open. Open a folder of ECG files, or a table that names them.")
    if work.listing:
        return tr("Looking for ECG files: {n:,} found so far.", n=len(work.rows))
    n = len(work.rows)
    parts = [tr("{done:,} of {n:,} done", done=work.n_done, n=n)]
    if work.running and work.ends_in_s is not None:
        parts.append(tr("about {time} left", time=duration_text(max(1.0, round(work.ends_in_s)))))
    elif not work.running and work.n_done < n:
        parts.append(tr("paused"))
    states = [row.state for row in work.rows]
    if RowState.NOT_REPORTABLE in states:
        parts.append(tr("{n:,} not reportable", n=states.count(RowState.NOT_REPORTABLE)))
    if RowState.ERROR in states:
        parts.append(tr("{n:,} not read", n=states.count(RowState.ERROR)))
    same = sum(row.same_as > 0 for row in work.rows)
    if same == 1:
        parts.append(tr("1 holds the same recording as another"))
    elif same:
        parts.append(tr("{n:,} hold the same recording as another", n=same))
    if work.n_skipped == 1:
        parts.append(tr("1 other file passed over"))
    elif work.n_skipped:
        parts.append(tr("{n:,} other files passed over", n=work.n_skipped))
    return ", ".join(parts) + "."


def why_text(row: ListRow) -> str:
    """Say what there is to know of a row, in sentences."""
    sentences = [tr(sentence) for sentence in row.sentences]
    if row.window_s and row.duration_s:
        start_s, end_s = row.window_s
        if end_s - start_s < row.duration_s - _A_BIT_S:
            seen = tr(
                "Only seconds {start:g} to {end:g} of {whole} were looked at.",
                start=start_s,
                end=end_s,
                whole=duration_text(row.duration_s),
            )
            sentences.insert(0, seen)
    if row.same_as:
        sentences.insert(0, tr("The same recording as row {n}.", n=row.same_as))
    return " ".join(sentences)


def _measure_columns(key: str, rows: Sequence[ListRow]) -> tuple[Column, ...]:
    measure = MEASURES[key]
    label, unit, text = measure.label, measure.unit, measure.text

    def value(row: ListRow) -> Value:
        return row.values.get(key)

    def width(row: ListRow) -> Value:
        return row.highs[key] - row.lows[key] if key in row.values else None

    def interval_text(row: ListRow) -> str:
        if key not in row.values:
            return ""
        ends = f"{text(row.lows[key])}\u2013{text(row.highs[key])}"
        return f"{ends} ({_percent(row.levels[key])})" if differing else ends

    def titled(level: str) -> str:
        return tr("{measure} {level} interval", measure=label, level=level)

    levels = {row.levels[key] for row in rows if key in row.levels}
    differing = len(levels) > 1
    stated = {"measure": label, "unit": unit}
    if len(levels) == 1:
        stated["level"] = _percent(*levels)
        title = titled(stated["level"])
        axis = tr("Width of the {measure} {level} interval ({unit})", **stated)
        tip = tr("{level} prediction interval of {measure}, {unit}; sorted by its width.", **stated)
    else:
        title = tr("{measure} interval", **stated)
        axis = tr("Width of the {measure} interval ({unit})", **stated)
        tip = tr("Prediction interval of {measure}, {unit}; sorted by its width.", **stated)
    if differing:
        tip += " " + tr("Its level differs from row to row: compare widths of one level only.")

    return (
        Column(key, f"{label} ({unit})", f"{label} ({unit})",
               tr("Point estimate of {measure}, {unit}.", measure=label, unit=unit),
               value, lambda row: _of(row.values, key, text), "320"),
        # The level may become known, or differ, after the width of the column is set.
        Column(f"{key}_width", title, axis, tip, width, interval_text,
               max("100\u2013320 (90 %)", titled("90 %"), key=len) + "000"),
    )  # fmt: skip


def _percent(level: float) -> str:
    return f"{100 * level:g}\u00a0%"


def _of(values: object, key: str, text: Callable[[float], str]) -> str:
    found = values.get(key) if hasattr(values, "get") else None  # type: ignore[attr-defined]
    return "" if found is None else text(found)


def _probability_column(key: str) -> Column:
    finding = FINDINGS[key]
    return Column(
        f"{key}_probability",
        f"P({finding.label})",
        tr("Probability of {finding}", finding=finding.label),
        tr("Calibrated probability of {finding}.", finding=finding.label),
        lambda row: row.probabilities.get(key),
        lambda row: _probability_text(row.probabilities.get(key)),
        "100 %",
    )


def _label_column(key: str) -> Column:
    measure = MEASURES[key]
    return Column(
        f"label_{key}",
        tr("Echo {measure}", measure=measure.label),
        tr("{measure} in the table ({unit})", measure=measure.label, unit=measure.unit),
        tr(
            "{measure} that the table of files gives, {unit}.",
            measure=measure.label,
            unit=measure.unit,
        ),
        lambda row: row.labels.get(key),
        lambda row: _of(row.labels, key, measure.text),
        "320",
    )


def _bad_leads(row: ListRow) -> Value:
    if row.n_noisy is None or row.n_unusable is None:
        return None
    return float(row.n_noisy + row.n_unusable)


def _quality_text(row: ListRow) -> str:
    if row.n_noisy is None or row.n_unusable is None:
        return ""
    return _bad_leads_text(row.n_noisy, row.n_unusable)


def _bad_leads_text(n_noisy: int, n_unusable: int) -> str:
    noisy = tr("{n} noisy", n=n_noisy) if n_noisy else ""
    unusable = tr("{n} unusable", n=n_unusable) if n_unusable else ""
    return ", ".join(filter(None, (noisy, unusable))) or tr("good")


def _probability_text(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
