"""What the audit log says was in force: model, filter, confirmations; names never."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from echoing_gui.audit import AuditLog, verify
from echoing_gui.state import AppState, DisplayOptions, Filtered
from echoing_gui.view_models.in_force import in_force
from model_core.display_filters import DisplayFilter
from tests.gui_factory import IDENTITY, prediction, recording


def test_model_filter_and_confirmations_are_told_and_can_be_logged(tmp_path: Path) -> None:
    of = recording("Roe_Jane.hea", patient=(("Name", "Roe"),))
    chosen = DisplayFilter(0.5, 40.0, 50.0)
    state = AppState(
        recording=of,
        prediction=prediction(of),
        options=DisplayOptions(high_pass_hz=0.5, low_pass_hz=40.0, notch=True),
        filtered=Filtered(of, chosen, of),
        confirmed=frozenset({"microvolts"}),
    )
    facts = in_force(state)
    assert facts == {
        "recording": of.recording_id,
        "package": IDENTITY.package_id,
        "high_pass_hz": 0.5,
        "low_pass_hz": 40.0,
        "notch_hz": 50.0,
        "confirmed_microvolts": True,
    }
    log = AuditLog(tmp_path / "audit.jsonl")
    log.record("exported", **facts)
    assert not verify(log.path).fault
    assert "Roe" not in log.path.read_text()


def test_a_filter_that_is_not_drawn_yet_is_not_in_force() -> None:
    of = recording()
    state = AppState(recording=of, options=DisplayOptions(low_pass_hz=40.0))
    assert in_force(state)["low_pass_hz"] == 0.0
    done = Filtered(of, state.options.display_filter, of)
    assert in_force(replace(state, filtered=done))["low_pass_hz"] == 40.0
