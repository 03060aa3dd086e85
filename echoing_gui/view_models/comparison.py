"""Two ECGs of one patient: whether they are, and what differs, as rows of ready texts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from echoing_gui.i18n import tr
from echoing_gui.state import AppState, Filtered
from echoing_gui.view_models.sheet import Sheet
from model_core.measurements import Measurements
from model_core.measures import MEASURES
from model_core.types import MeasureEstimate, Prediction, Recording


class Patients(Enum):
    """Whether two recordings are of one patient, as far as their files say."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PatientMatch:
    """The answer, and what it rests on, as a sentence without any name."""

    patients: Patients
    reason: str


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One line of the table.

    Attributes
    ----------
    label
        What is compared.
    earlier, now
        Both values, with unit and interval where there is one; a dash where there is none.
    difference
        Now less earlier, signed; empty if either is missing.
    note
        What to make of it; may be empty.
    """

    label: str
    earlier: str
    now: str
    difference: str
    note: str = ""


def match_patients(earlier: Recording, now: Recording) -> PatientMatch:
    """Compare what two files say of their patients.

    Identifier, date of birth and sex contradict; identifier, or name with date of birth, confirm.
    """
    facts = [dict(each.metadata.patient) for each in (earlier, now)]
    compared = {
        label: tuple(_plain(fact.get(label, "")) for fact in facts)
        for label in ("Identifier", "Date of birth", "Name")
    }
    compared["Sex"] = (earlier.metadata.sex, now.metadata.sex)
    known = {label: pair for label, pair in compared.items() if all(pair)}
    for label, sentence in (
        ("Identifier", tr("Identifier differs between the two files.")),
        ("Date of birth", tr("Date of birth differs between the two files.")),
        ("Sex", tr("Sex differs between the two files.")),
    ):
        if label in known and known[label][0] != known[label][1]:
            return PatientMatch(Patients.DIFFERENT, sentence)
    if "Identifier" in known:
        return PatientMatch(Patients.SAME, tr("Both files state the same identifier."))
    same_name = "Name" in known and known["Name"][0] == known["Name"][1]
    if same_name and "Date of birth" in known:
        return PatientMatch(Patients.SAME, tr("Both files state the same name and date of birth."))
    return PatientMatch(
        Patients.UNKNOWN, tr("The files do not say enough to tell whether it is the same patient.")
    )


def interval_rows(earlier: Measurements, now: Measurements) -> tuple[DifferenceRow, ...]:
    """Compare the measured intervals and axes, worked out alike for both."""
    rows: list[DifferenceRow] = []
    for label, field, unit in (
        (tr("Heart rate"), "heart_rate_bpm", "/min"),
        (tr("PR"), "pr_ms", "ms"),
        ("QRS", "qrs_ms", "ms"),
        ("QT", "qt_ms", "ms"),
        ("QTc (Fridericia)", "qtc_fridericia_ms", "ms"),
        ("QTc (Bazett)", "qtc_bazett_ms", "ms"),
        (tr("P axis"), "p_axis_deg", "°"),
        (tr("QRS axis"), "qrs_axis_deg", "°"),
        (tr("T axis"), "t_axis_deg", "°"),
    ):
        before, after = float(getattr(earlier, field)), float(getattr(now, field))
        change = after - before
        # Differences of axes go the short way round.
        if unit == "°":
            change = (change + 180) % 360 - 180
        rows.append(
            DifferenceRow(label, _text(before, unit), _text(after, unit), _signed(change, unit))
        )
    return tuple(rows)


def measure_rows(earlier: Prediction | None, now: Prediction | None) -> tuple[DifferenceRow, ...]:
    """Compare the estimates: overlapping intervals show no difference, whatever the values.

    Where one ECG has no estimate, the first row says why.
    """
    if earlier is None or now is None:
        return ()
    withheld = next((each for each in (earlier, now) if not each.estimates), None)
    why = ""
    if withheld is not None:
        why = " ".join(tr(each.message) for each in withheld.reasons if each.severity.withholds)
    before = {each.key: each for each in earlier.estimates}
    after = {each.key: each for each in now.estimates}
    rows: list[DifferenceRow] = []
    for key, measure in MEASURES.items():
        old, new = before.get(key), after.get(key)
        either = old or new
        if either is None and (earlier.estimates or now.estimates):
            continue
        difference, note = "", "" if rows else why
        if old is not None and new is not None:
            # Of the values as shown: both columns and their difference have to agree.
            change = float(measure.text(new.value)) - float(measure.text(old.value))
            difference = _signed(change, tr("points") if measure.unit == "%" else measure.unit)
            overlap = (
                old.interval.low <= new.interval.high and new.interval.low <= old.interval.high
            )
            note = (
                tr("The intervals overlap: that proves no change.")
                if overlap
                else tr("The intervals do not overlap.")
            )
        label = measure.label
        if either is not None:
            level = 100 * either.interval.level
            label = tr("{measure} ({level:.0f} % interval)", measure=label, level=level)
        rows.append(DifferenceRow(label, _estimate(old), _estimate(new), difference, note))
    return tuple(rows)


def state_of(
    state: AppState, recording: Recording, prediction: Prediction | None, through: Filtered | None
) -> AppState:
    """Make the state that shows one of the two by itself, drawn as the window draws."""
    return AppState(
        recording=recording,
        prediction=prediction,
        package=state.package,
        options=state.options,
        screen=state.screen,
        variance_held=state.variance_held,
        filtered=through and through.of(recording),
    )


def level_rows(one: Sheet, other: Sheet) -> tuple[Sheet, Sheet]:
    """Put the rows of two sheets at the same heights, so that each lead stands beside itself.

    Sheets of unlike numbers of rows stay as they are.
    """
    sheets = (one, other)
    rows = [sorted({piece.baseline_mm for piece in sheet.pieces}) for sheet in sheets]
    if len(rows[0]) != len(rows[1]):
        return sheets
    steps_mm = [np.diff(each, prepend=0.0) for each in rows]
    level_mm = np.cumsum(np.maximum(*steps_mm)).tolist()
    below_mm = max(sheet.height_mm - each[-1] for sheet, each in zip(sheets, rows, strict=True))
    first, second = (
        _moved(sheet, each, level_mm, level_mm[-1] + below_mm)
        for sheet, each in zip(sheets, rows, strict=True)
    )
    return first, second


def _moved(sheet: Sheet, rows: list[float], level_mm: list[float], height_mm: float) -> Sheet:
    """Move all that belongs to each row to where the row shall stand."""

    def down(y_mm: float) -> float:
        """How far what stands on a baseline, or between it and the next, is moved."""
        row = int(np.searchsorted(rows, y_mm, side="right")) - 1
        return level_mm[row] - rows[row] if row >= 0 else 0.0

    return replace(
        sheet,
        height_mm=height_mm,
        pieces=tuple(
            replace(
                each,
                baseline_mm=each.baseline_mm + by,
                top_mm=each.top_mm + by,
                bottom_mm=each.bottom_mm + by,
                label_bottom_mm=each.label_bottom_mm + by,
            )
            for each in sheet.pieces
            for by in (down(each.baseline_mm),)
        ),
        strips=tuple(
            replace(
                each,
                y_mm=each.y_mm + down(each.y_mm),
                # It begins where the row above ends.
                tint_top_mm=None
                if each.tint_top_mm is None
                else each.tint_top_mm + down(each.tint_top_mm),
            )
            for each in sheet.strips
        ),
        pulses=tuple(
            replace(each, baseline_mm=each.baseline_mm + down(each.baseline_mm))
            for each in sheet.pulses
        ),
        separators=tuple((x_mm, y_mm + down(y_mm)) for x_mm, y_mm in sheet.separators),
    )


def _plain(text: str) -> str:
    """Bring a fact to a form in which spelling does not count: words in order, without marks."""
    return " ".join(sorted(re.findall(r"\w+", text.casefold())))


def _text(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if math.isfinite(value) else "–"


def _signed(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return ""
    rounded = round(value)
    return f"{f'{rounded:+d}'.replace('-', '−')} {unit}" if rounded else f"0 {unit}"


def _estimate(estimate: MeasureEstimate | None) -> str:
    if estimate is None:
        return tr("no result")
    measure, interval = MEASURES[estimate.key], estimate.interval
    low, high = measure.text(interval.low), measure.text(interval.high)
    return f"{measure.text(estimate.value)} {measure.unit} ({low}–{high})"
