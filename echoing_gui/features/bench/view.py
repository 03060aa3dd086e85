"""What the bench shows, as pure functions of the state: rows, sentences, places; no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from echoing_gui.exports import Row
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_bench import Bench, Cell
from echoing_gui.view_models.results import RESEARCH_ONLY, finding_row, probability_text
from echoing_gui.view_models.sheet import WHOLE_ROW, Sheet, TracePiece, number_text
from model_core.measures import FINDINGS, MEASURES
from model_core.types import (
    LeadGrade,
    MeasureEstimate,
    PackageIdentity,
    Prediction,
    ResultState,
    SegmentVariance,
)
from model_core.what_if import EMBEDDING, Answer, Masking
from model_core.wording import say

# The upper tenth of the segments of the package's calibration ECGs.
UNCERTAIN_PERCENTILE = 90.0
# The package's scale runs between these percentiles.
_SCALE_PERCENTILES = (0.05, 0.99)
GRADES = {
    LeadGrade.GOOD: say("good"),
    LeadGrade.NOISY: say("noisy"),
    LeadGrade.UNUSABLE: say("unusable"),
}


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment of one lead in the table.

    Attributes
    ----------
    cell
        Which one.
    start_s, end_s
        Seconds of the recording.
    variance
        Dimensionless; NaN where not computed.
    percentile
        About where it lies among the package's calibration ECGs, 0 to 100; NaN as above.
    quality
        Grade of the lead in an English word; empty where it was not graded.
    covers
        What is wrong with its samples, and waves that reach into it, in English.
    """

    cell: Cell
    start_s: float
    end_s: float
    variance: float
    percentile: float
    quality: str
    covers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskRow:
    """A quantity before and after something is hidden, as texts."""

    label: str
    whole: str
    what_if: str
    change: str


def bench_of(state: AppState) -> Bench:
    """Give the bench of the prediction on screen; an empty one if it is about another."""
    bench = state.bench
    return bench if bench.prediction is state.prediction else Bench(prediction=state.prediction)


def map_of(state: AppState) -> SegmentVariance | None:
    """Segment variance of the result on screen; None where there is none."""
    return state.prediction.segment_variance if state.prediction is not None else None


def can_ask(state: AppState) -> bool:
    """Whether there is a result, and so something that the model may be asked about."""
    prediction = state.prediction
    return (
        prediction is not None
        and prediction.state is not ResultState.NOT_REPORTABLE
        and state.page_is_seen
        and map_of(state) is not None
    )


def can_prompt(state: AppState) -> bool:
    """Whether the model saw the ECG, and so sentences may be compared with it.

    A package without calibration withholds every measure and still has an embedding.
    """
    prediction = state.prediction
    return prediction is not None and prediction.embedding_mean is not None and state.page_is_seen


def percentile(variance: float, scale: tuple[float, float]) -> float:
    """About which percentile of the package's calibration ECGs a segment variance is.

    A package tells its 5th and 99th percentile. Between and beyond, the logarithm of the variance
    is taken to be normally distributed, so the number is approximate.

    Examples
    --------
    >>> [round(percentile(v, (0.1, 10.0)), 1) for v in (0.1, 10.0, 0.8)]
    [5.0, 99.0, 55.9]
    """
    if not (math.isfinite(variance) and variance > 0):
        return math.nan
    low_z, high_z = (NormalDist().inv_cdf(p) for p in _SCALE_PERCENTILES)
    low, high = (math.log(end) for end in scale)
    spread = (high - low) / (high_z - low_z)
    return 100 * NormalDist(low - low_z * spread, spread).cdf(math.log(variance))


def percentile_text(value: float) -> str:
    """Write an approximate percentile.

    Examples
    --------
    >>> [percentile_text(v) for v in (0.2, 45.4, 99.7, float("nan"))]
    ['below 1', '45', 'above 99', '']
    """
    if not math.isfinite(value):
        return ""
    if value < 1:
        return tr("below 1")
    return tr("above 99") if value > 99 else f"{value:.0f}"


def segment_rows(state: AppState) -> tuple[SegmentRow, ...]:
    """Rows of the table of segments, lead by lead."""
    cells = map_of(state)
    if cells is None or state.prediction is None:
        return ()
    covered = bench_of(state).covered
    grades = {each.lead: each.grade for each in state.prediction.lead_quality}
    edges = cells.edges_s.tolist()
    rows: list[SegmentRow] = []
    for lead, variances in zip(cells.lead_names, cells.variance.tolist(), strict=True):
        for number, variance in enumerate(variances):
            cell = Cell(lead, number)
            parts = (covered.faults.get(cell, ""), covered.waves[number]) if covered else ()
            rows.append(
                SegmentRow(
                    cell,
                    edges[number],
                    edges[number + 1],
                    variance,
                    percentile(variance, cells.scale),
                    GRADES[grades[lead]] if lead in grades else "",
                    tuple(part for part in parts if part),
                )
            )
    return tuple(rows)


def export_rows(rows: Iterable[SegmentRow], package: PackageIdentity) -> list[Row]:
    """Rows of the table as they are copied, in English, with what must be said beside them."""
    return [
        {
            "lead": row.cell.lead,
            "from_s": round(row.start_s, 3),
            "to_s": round(row.end_s, 3),
            "variance": _number(row.variance),
            "percentile_approx": _number(row.percentile),
            "quality": row.quality,
            "covers": "; ".join(row.covers),
            "package_name": package.name,
            "package_version": package.version,
            "package_sha256": package.package_id,
            "caveat": package.caveat,
            "research_use": RESEARCH_ONLY,
        }
        for row in rows
    ]


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def cell_text(cell: Cell, edges_s: NDArray[np.float64]) -> str:
    """Name a segment: lead and time."""
    lead = tr("All leads") if cell.lead == WHOLE_ROW else cell.lead
    start_s, end_s = edges_s[cell.segment : cell.segment + 2].tolist()
    return f"{lead} {start_s:.2f}–{end_s:.2f} s"


def hidden_text(
    hidden: frozenset[Cell], leads: tuple[str, ...], edges_s: NDArray[np.float64]
) -> str:
    """Name what is hidden: whole leads and whole stretches of time first.

    Examples
    --------
    >>> cells = {Cell("I", 0), Cell("I", 1), Cell("II", 0), Cell("III", 1)}
    >>> hidden_text(frozenset(cells), ("I", "II", "III"), np.array([0.0, 1.0, 2.0]))
    'lead I; II 0.00–1.00 s; III 1.00–2.00 s'
    """
    n_segments = len(edges_s) - 1
    rest = set(hidden)
    parts: list[str] = []
    for lead in leads:
        row = {Cell(lead, number) for number in range(n_segments)}
        if row <= hidden:
            parts.append(tr("lead {name}", name=lead))
            rest -= row
    whole = [n for n in range(n_segments) if all(Cell(lead, n) in hidden for lead in leads)]
    if len(parts) < len(leads):
        for first, last in _runs(whole):
            span = f"{edges_s[first]:.2f}–{edges_s[last + 1]:.2f}"
            parts.append(tr("all leads {span} s", span=span))
            rest -= {Cell(lead, n) for lead in leads for n in range(first, last + 1)}
    for lead in leads:
        for first, last in _runs(sorted(cell.segment for cell in rest if cell.lead == lead)):
            parts.append(f"{lead} {edges_s[first]:.2f}–{edges_s[last + 1]:.2f} s")
    return "; ".join(parts)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def masking_text(masking: Masking) -> str:
    """Say how parts are hidden, and what that means."""
    if masking is Masking.MISSING:
        return tr(
            "Hidden parts are declared missing: their variance is infinite, and the model builds "
            "nothing on them. Segments are the smallest parts that can be hidden."
        )
    return tr(
        "This model package cannot be told what is missing. Hidden parts are replaced by a flat "
        "line at the mean of the training ECGs (about 0 mV after the model's filter), which the "
        "model may take for a clean signal."
    )


def ask_rows(whole: Answer, what_if: Answer | None) -> tuple[AskRow, ...]:
    """Put what the model says with and without the hidden parts side by side."""
    after = what_if or whole
    rows: list[AskRow] = []
    changed = {each.key: each for each in after.estimates}
    for each in whole.estimates:
        other = changed.get(each.key)
        unit = MEASURES[each.key].unit
        shown = tr("not given") if other is None else _estimate_text(other)
        difference = "" if other is None or what_if is None else _signed(other.value - each.value)
        rows.append(
            AskRow(
                MEASURES[each.key].label,
                _estimate_text(each),
                shown if what_if is not None else "",
                _with_unit(difference, unit) if difference else "",
            )
        )
    findings = {each.key: each for each in after.findings}
    for each in whole.findings:
        other = findings.get(each.key)
        shown = tr("not given") if other is None else probability_text(other.probability)
        points = None if other is None else 100 * (other.probability - each.probability)
        rows.append(
            AskRow(
                finding_label(each.key),
                finding_row(each).text,
                shown if what_if is not None else "",
                _with_unit(_signed(points), "%")
                if points is not None and what_if is not None
                else "",
            )
        )
    share = 100 * (after.embedding_variance / whole.embedding_variance - 1)
    rows.append(
        AskRow(
            tr("Embedding variance"),
            number_text(whole.embedding_variance),
            number_text(after.embedding_variance) if what_if is not None else "",
            f"{_signed(share)} %" if what_if is not None else "",
        )
    )
    return tuple(rows)


def _with_unit(difference: str, unit: str) -> str:
    """Write a difference; one of percentages is in points."""
    return tr("{n} points", n=difference) if unit == "%" else f"{difference} {unit}"


def finding_label(key: str) -> str:
    """Name a finding's probability in a narrow table."""
    return f"P({FINDINGS[key].label})"


def _estimate_text(estimate: MeasureEstimate) -> str:
    measure, interval = MEASURES[estimate.key], estimate.interval
    low, high = measure.text(interval.low), measure.text(interval.high)
    return f"{measure.text(estimate.value)} {measure.unit} ({low}–{high})"


def _signed(value: float) -> str:
    """Write a difference with its sign, finer the smaller it is.

    Examples
    --------
    >>> _signed(-1.234), _signed(12.3), _signed(0.0)
    ('−1.2', '+12', '0')
    """
    text = f"{abs(value):.0f}" if abs(value) >= 10 else f"{abs(value):.1f}"
    if float(text) == 0:
        return "0"
    return f"{'−' if value < 0 else '+'}{text}"


def uncertain_cells(cells: SegmentVariance) -> list[Cell]:
    """Segments beyond `UNCERTAIN_PERCENTILE`, in order of time, then of leads."""
    return [
        Cell(lead, number)
        for number in range(cells.variance.shape[1])
        for lead, row in zip(cells.lead_names, cells.variance, strict=True)
        if percentile(float(row[number]), cells.scale) >= UNCERTAIN_PERCENTILE
    ]


def pieces_of(sheet: Sheet, cell: Cell, edges_s: NDArray[np.float64]) -> list[TracePiece]:
    """Traces on the sheet that show the middle of a segment."""
    middle_s = float(edges_s[cell.segment : cell.segment + 2].mean())
    return [
        piece
        for piece in sheet.pieces
        if (cell.lead in (WHOLE_ROW, piece.lead))
        and piece.start_s <= middle_s < piece.end_s
        and piece.values_mv.size
    ]


def next_uncertain(
    cells: SegmentVariance, sheet: Sheet, current: Cell | None, step: int, rows_key: str = ""
) -> tuple[Cell | None, str]:
    """Find the next (`step` 1) or previous (-1) uncertain segment that the sheet shows.

    Parameters
    ----------
    cells, sheet, current, step
        The map, what is drawn of it, where to begin, and which way.
    rows_key
        Key of the layout that shows all leads throughout, see `texts.key_of`.

    Returns
    -------
    tuple
        The segment, None without any; and a sentence for the reader.
    """
    everywhere = uncertain_cells(cells)
    shown = [cell for cell in everywhere if pieces_of(sheet, cell, cells.edges_s)]
    outside = len(everywhere) - len(shown)
    more = ""
    if outside == 1:
        more = " " + tr(
            "1 more is drawn in 12x1{key} only.",
            key=rows_key,
        )
    elif outside:
        more = " " + tr(
            "{n} more are drawn in 12x1{key} only.",
            n=outside,
            key=rows_key,
        )
    if not shown:
        text = tr("No segment on this sheet is in the upper tenth of the package's scale.")
        return None, text + more
    order = {cell: n for n, cell in enumerate(everywhere)}
    keys = [order[cell] for cell in shown]
    if current in order:
        at = order[current]
    elif current is None:
        at = -1 if step > 0 else len(everywhere)
    else:
        before = [n for cell, n in order.items() if _place(cells, cell) < _place(cells, current)]
        at = len(before) - 0.5
    later = [n for n in keys if (n > at if step > 0 else n < at)]
    chosen = (min(later) if step > 0 else max(later)) if later else keys[0 if step > 0 else -1]
    cell = everywhere[chosen]
    row = cells.variance[cells.lead_names.index(cell.lead)]
    text = tr(
        "Uncertain segment {n} of {count}: {where}, variance {variance}, about percentile "
        "{percentile} of the package's scale.",
        n=keys.index(chosen) + 1,
        count=len(shown),
        where=cell_text(cell, cells.edges_s),
        variance=number_text(float(row[cell.segment])),
        percentile=percentile_text(percentile(float(row[cell.segment]), cells.scale)),
    )
    return cell, text + more


def _place(cells: SegmentVariance, cell: Cell) -> tuple[int, int]:
    return cell.segment, cells.lead_names.index(cell.lead)


def beat_cells(
    beats_s: NDArray[np.float64],
    time_s: float,
    leads: tuple[str, ...],
    edges_s: NDArray[np.float64],
) -> frozenset[Cell]:
    """Segments of all leads that the beat nearest to a time reaches into; none without beats."""
    if not len(beats_s):
        return frozenset()
    start_s, end_s = beats_s[np.abs(beats_s.mean(1) - time_s).argmin()]
    numbers = np.flatnonzero((edges_s[:-1] < end_s) & (edges_s[1:] > start_s))
    return frozenset(Cell(lead, int(number)) for lead in leads for number in numbers)


def agreement_text(correlation: float) -> str:
    """Say what the rank correlation of the two maps means."""
    if not math.isfinite(correlation):
        return tr("The agreement cannot be told: one of the maps is the same everywhere.")
    number = f"Spearman {correlation:+.2f}".replace("-", "−")
    if correlation >= 0.7:
        meaning = tr(
            "strong agreement: what the map calls certain is what the answer changes without."
        )
    elif correlation >= 0.4:
        meaning = tr(
            "moderate agreement: segments that the map calls certain matter more to the answer, "
            "with many exceptions."
        )
    elif correlation >= 0.2:
        meaning = tr("weak agreement: the map tells little of what the answer rests on.")
    elif correlation > -0.2:
        meaning = tr("no agreement: do not read the map as what the answer rests on.")
    else:
        meaning = tr("the maps contradict each other: hiding uncertain segments changes it more.")
    return f"{number}: {meaning}"


def shuffled_text(correlations: list[float]) -> str:
    """Say what the likeness of the maps before and after shuffling means."""
    listed = ", ".join(f"{each:+.2f}".replace("-", "−") for each in correlations)
    known = [abs(each) for each in correlations if math.isfinite(each)]
    if not known:
        return tr("A map of shuffled weights is the same everywhere: nothing to compare.")
    if max(known) <= 0.2:
        meaning = tr("the map is lost with what was learnt, as it should be.")
    elif np.mean(known) <= 0.2:
        meaning = tr("the map is mostly lost with what was learnt; part of it stays.")
    else:
        meaning = tr(
            "part of the map stays without anything learnt: it comes from the signal and the "
            "network's structure."
        )
    return f"Spearman {listed}: {meaning}"


def quantity_label(quantity: str) -> str:
    """Name what an occlusion map is about, with its unit."""
    if quantity == EMBEDDING:
        return tr("Change of the embedding variance, %")
    measure = MEASURES[quantity]
    return tr("Change of {measure}, {unit}", measure=measure.label, unit=measure.unit)


def other_lines(prediction: Prediction) -> dict[str, str]:
    """Each quantity of a prediction as text, by label, for the comparison of two models."""
    lines: dict[str, str] = {}
    for estimate in prediction.estimates:
        lines[MEASURES[estimate.key].label] = _estimate_text(estimate)
    for finding in prediction.findings:
        lines[finding_label(finding.key)] = probability_text(finding.probability)
    if prediction.embedding_variance is not None:
        lines[tr("Embedding variance")] = number_text(prediction.embedding_variance)
    return lines
