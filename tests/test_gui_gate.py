"""What the input gate asks and marks in the window: confirmation, microvolts, signal quality."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from echoing_gui.state import AppState, DisplayOptions, Layout, Stage
from echoing_gui.view_models.hover import hover_text
from echoing_gui.view_models.results import result_view
from echoing_gui.view_models.sheet import build_sheet
from echoing_gui.view_models.texts import announcement
from model_core.types import LeadGrade, LeadQuality, Reason, Severity
from tests.gui_factory import FLAT_LEAD, NOISY_LEAD, prediction, recording, spike_signal

ARMS = Reason(
    "electrode_placement",
    Severity.CONFIRM,
    "The limb leads look as if the electrodes of the right and left arm were exchanged. "
    "The result is withheld until you confirm that the electrodes were placed correctly.",
)
MICROVOLTS = Reason(
    "microvolts",
    Severity.CONFIRM,
    "The signal is too large for an ECG (900 mV): its values look like microvolts labelled as "
    "millivolts. The result is withheld until you confirm that they are microvolts.",
)


def state_of(*reasons, **changes):
    ecg = recording()
    return AppState(recording=ecg, prediction=prediction(ecg, *reasons), **changes)


def open_and_wait(qtbot, program, name):
    program.controller.open_file(Path(name))
    wait_for_result(qtbot, program, name)


def wait_for_result(qtbot, program, name):
    def there():
        state = program.controller.state
        shown = state.prediction is not None and state.recording.source_name == name
        return shown and state.job.stage is Stage.IDLE

    qtbot.waitUntil(there)


def has_estimates(program):
    prediction = program.controller.state.prediction
    return prediction is not None and bool(prediction.estimates)


def confirm_button(program):
    return program.window.measures._confirm


def shown(program):
    labels = program.window.measures.findChildren(QLabel)
    return " | ".join(label.text() for label in labels if label.isVisible())


def test_the_result_is_withheld_until_the_user_confirms(qtbot, program, fake, tmp_path):
    fake.reasons["a.hea"] = (ARMS,)
    open_and_wait(qtbot, program, "a.hea")
    assert "54" not in shown(program)
    assert "55 %" not in shown(program)
    assert "right and left arm" in shown(program)
    button = confirm_button(program)
    assert button.isVisible()
    assert button.text() == "I confirm that the electrodes were placed correctly"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: has_estimates(program))
    assert "55 %" in shown(program)
    assert not button.isVisible()
    entries = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    asked = [(each["event"], each["what"]) for each in entries if "what" in each]
    assert asked == [("confirmed", "electrode_placement")]
    assert program.controller.state.confirmed == {"electrode_placement"}


def test_a_confirmation_holds_for_one_recording_only(qtbot, program, fake):
    fake.reasons |= {"a.hea": (ARMS,), "b.hea": (ARMS,)}
    open_and_wait(qtbot, program, "a.hea")
    program.controller.confirm("electrode_placement")
    qtbot.waitUntil(lambda: has_estimates(program))
    open_and_wait(qtbot, program, "b.hea")
    assert program.controller.state.confirmed == frozenset()
    assert not has_estimates(program)


def test_values_become_microvolts_on_the_users_word(qtbot, program, fake):
    fake.reasons["a.hea"] = (MICROVOLTS,)
    open_and_wait(qtbot, program, "a.hea")
    before = program.controller.state.recording.signal_mv
    assert confirm_button(program).text() == "I confirm that they are microvolts"
    qtbot.mouseClick(confirm_button(program), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: has_estimates(program))
    after = program.controller.state.recording
    np.testing.assert_allclose(after.signal_mv, before / 1000)
    assert "microvolts" in after.metadata.notes[-1]


def test_what_the_answer_would_make_of_the_ecg_is_drawn_while_held(qtbot, program, fake):
    fake.files["a.hea"] = recording("a.hea", 1000 * spike_signal())
    fake.reasons["a.hea"] = (MICROVOLTS,)
    open_and_wait(qtbot, program, "a.hea")
    (preview,) = (
        button
        for button in program.window.measures.findChildren(QPushButton)
        if button.text() == "Hold to see the ECG divided by 1,000"
    )
    view = program.window.traces.view

    def peak_mv():
        return max(np.nanmax(piece.values_mv) for piece in view.sheet.pieces)

    assert peak_mv() == pytest.approx(1000, rel=0.01)
    qtbot.mousePress(preview, Qt.MouseButton.LeftButton)
    assert peak_mv() == pytest.approx(1, rel=0.01)
    assert "PREVIEW: values divided by 1,000, not confirmed" in view.band_texts().filter
    assert not has_estimates(program)
    assert program.controller.state.confirmed == frozenset()
    qtbot.mouseRelease(preview, Qt.MouseButton.LeftButton)
    assert peak_mv() == pytest.approx(1000, rel=0.01)
    qtbot.keyPress(preview, Qt.Key.Key_Space)
    assert peak_mv() == pytest.approx(1, rel=0.01)
    # Another recording takes its place.
    open_and_wait(qtbot, program, "b.hea")
    assert program.controller.state.preview is None
    assert not preview.isVisible()
    assert result_view(state_of(ARMS)).preview == ""


def test_nothing_is_asked_where_the_answer_would_bring_no_result():
    assert result_view(state_of(ARMS)).question is not None
    assert result_view(state_of(ARMS, FLAT_LEAD)).question is None
    assert result_view(state_of(ARMS, FLAT_LEAD)).refused
    assert result_view(state_of(NOISY_LEAD)).question is None


@pytest.mark.parametrize("reason", [ARMS, MICROVOLTS])
def test_a_withheld_result_shows_no_number(reason):
    view = result_view(state_of(reason))
    assert view.headline == "Withheld until confirmed"
    assert not view.measures
    assert not view.findings
    assert announcement(AppState(), state_of(reason)).startswith("The result is withheld")


@pytest.mark.parametrize("layout", list(Layout))
def test_signal_quality_stands_at_the_leads(layout):
    ecg = recording()
    quality = (
        LeadQuality("V2", LeadGrade.NOISY, "The beats in lead V2 differ by 0.20 mV."),
        LeadQuality("V5", LeadGrade.GOOD),
    )
    found = dataclasses.replace(prediction(ecg), lead_quality=quality)
    sheet = build_sheet(
        AppState(recording=ecg, prediction=found, options=DisplayOptions(layout=layout))
    )
    assert sheet is not None
    by_lead = {piece.lead: piece for piece in sheet.pieces}
    assert by_lead["V2"].quality == quality[0]
    assert by_lead["V1"].quality is None
    texts = {
        lead: hover_text(sheet, by_lead[lead].x_mm + 1, by_lead[lead].baseline_mm)
        for lead in ("V2", "V5")
    }
    assert "noisy: The beats in lead V2 differ by 0.20 mV" in texts["V2"]
    assert "good" not in texts["V5"]
