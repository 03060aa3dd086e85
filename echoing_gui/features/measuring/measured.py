"""What the program measured beside what the device stored, as rows; and how it is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_marks import Measured, Measuring
from model_core.types import Recording, RecordingMetadata
from model_core.wording import say

FORMULA_NAMES = {
    "bazett": "Bazett",
    "fridericia": "Fridericia",
    "framingham": "Framingham",
    "hodges": "Hodges",
}
# A difference of more than this is marked: per minute, ms, degrees.
DIFFERS_ABOVE = {"/min": 5.0, "ms": 20.0, "°": 15.0}
# Name, value of the program, value of the file, unit.
_ROWS = (
    (say("Heart rate"), "heart_rate_bpm", "heart_rate", "/min"),
    (say("PR"), "pr_ms", "pr_interval", "ms"),
    ("QRS", "qrs_ms", "qrs_duration", "ms"),
    ("QT", "qt_ms", "qt_interval", "ms"),
    ("QTc", "", "", "ms"),
    (say("P axis"), "p_axis_deg", "p_axis", "°"),
    (say("QRS axis"), "qrs_axis_deg", "qrs_axis", "°"),
    (say("T axis"), "t_axis_deg", "t_axis", "°"),
)


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One measurement from both sources.

    Attributes
    ----------
    name
        What is measured, with the unit.
    computed, from_file
        As shown; a dash where the program found none, empty where the file states none.
    differs
        The two differ by more than `DIFFERS_ABOVE`.
    """

    name: str
    computed: str
    from_file: str
    differs: bool


def work_out(recording: Recording) -> Measured:
    """Find the beats of a recording and measure them; takes a fraction of a second."""
    from model_core.delineation import delineate
    from model_core.leads import canonical_lead_name
    from model_core.measurements import measure

    names = tuple(canonical_lead_name(name) for name in recording.lead_names)
    delineation = delineate(recording.signal_mv, recording.fs, names)
    return Measured(recording.start_s, delineation, measure(delineation, recording.signal_mv))


def measured_on(measuring: Measuring, recording: Recording | None) -> Measured | None:
    """Get what was measured on these seconds; None where that is not worked out yet."""
    measured = measuring.measured
    if measured is None or recording is None or measured.start_s != recording.start_s:
        return None
    return measured


def measurement_rows(state: AppState) -> tuple[MeasurementRow, ...]:
    """All measurements of the recording on screen; none without one."""
    recording, now = state.recording, state.measuring
    if recording is None:
        return ()
    stored = _stored(recording.metadata)
    measured = measured_on(now, recording)
    rows: list[MeasurementRow] = []
    for name, of_program, of_file, unit in _ROWS:
        if name == "QTc":
            of_program, of_file = f"qtc_{now.formula}_ms", f"qtc_{now.formula}"
        found = math.nan
        if measured is not None:
            found = float(getattr(measured.measurements, of_program))
        in_file = stored.get(of_file, math.nan)
        text = _text(in_file) if math.isfinite(in_file) else ""
        if name == "QTc":
            text = "\n".join(_other_corrections(stored, now.formula, text))
        label = tr(name) if name != "QTc" else f"QTc {FORMULA_NAMES[now.formula]}"
        rows.append(
            MeasurementRow(
                f"{label} ({unit})",
                _text(found) if math.isfinite(found) else "–",
                text,
                _differ(found, in_file, unit),
            )
        )
    return tuple(rows)


def method_text(state: AppState) -> str:
    """Say how the numbers of the program came about, and which differences are marked."""
    recording = state.recording
    measured = measured_on(state.measuring, recording)
    if recording is None:
        return ""
    if measured is None:
        return tr("Nothing is measured yet.")
    n_beats = measured.measurements.n_beats
    if not n_beats:
        return tr("No beat was found, so nothing could be measured.")
    end_s = recording.start_s + recording.duration_s
    return tr(
        "Computed here on {n} beats from {start:.0f} to {end:.0f} s, all leads together: medians "
        "over the beats of the usual shape; axes from the areas of the median beat. From file: as "
        "the device stored it. ≠ marks a difference of more than 5/min, 20 ms or 15°.",
        n=n_beats,
        start=recording.start_s,
        end=end_s,
    )


def _stored(metadata: RecordingMetadata) -> dict[str, float]:
    stored = {each.key: each.value for each in metadata.measurements}
    if "heart_rate" not in stored and stored.get("rr_interval", 0) > 0:
        stored["heart_rate"] = 60_000 / stored["rr_interval"]
    return stored


def _other_corrections(stored: dict[str, float], formula: str, text: str) -> list[str]:
    """List the QTc values that the file states, those by another formula with its name."""
    lines = [text] if text else []
    lines += [
        f"{_text(stored[f'qtc_{other}'])} {name}"
        for other, name in FORMULA_NAMES.items()
        if other != formula and f"qtc_{other}" in stored
    ]
    if "qtc" in stored:
        lines.append(tr("{value} (formula not stated)", value=_text(stored["qtc"])))
    return lines


def _differ(found: float, in_file: float, unit: str) -> bool:
    gap = abs(found - in_file)
    if unit == "°":
        gap = min(gap % 360, 360 - gap % 360)
    return math.isfinite(gap) and gap > DIFFERS_ABOVE[unit]


def _text(value: float) -> str:
    return f"−{-value:.0f}" if value <= -0.5 else f"{abs(value):.0f}"
