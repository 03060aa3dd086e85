"""What was in force when something was done, as the audit log takes it down: without names."""

from __future__ import annotations

from echoing_gui.identity import Identity
from echoing_gui.state import AppState


def in_force(state: AppState) -> dict[str, str | float | bool]:
    """Say which recording, model package, display filter and confirmations hold.

    Parameters
    ----------
    state
        At that moment.

    Returns
    -------
    dict
        ``recording`` and ``package``, hashes, where there are any; ``high_pass_hz``,
        ``low_pass_hz``, ``notch_hz`` of the traces as drawn, 0 for none; ``confirmed_CODE`` for
        each question that was answered by yes; ``start_s`` of the ten seconds shown, where the
        recording is longer.
    """
    facts: dict[str, str | float | bool] = {}
    of = state.long or state.recording
    if of is not None:
        facts["recording"] = of.recording_id
    package = state.prediction.package if state.prediction is not None else state.package
    if package is not None:
        facts["package"] = package.package_id
    drawn = state.applied_filter
    facts |= {
        "high_pass_hz": drawn.high_pass_hz,
        "low_pass_hz": drawn.low_pass_hz,
        "notch_hz": drawn.notch_hz,
        **{f"confirmed_{code}": True for code in sorted(state.confirmed)},
    }
    if state.has_pages:
        facts["start_s"] = state.page_start_s
    return facts


def export_facts(
    state: AppState, kind: str, identity: Identity, pseudonym: str
) -> dict[str, str | float | bool]:
    """Say what is taken down of an export.

    Parameters
    ----------
    state
        What was on screen when it was asked for.
    kind
        The form.
    identity, pseudonym
        What it tells of whose ECG it is, and the name that stands in for that; it leads back to
        the recording.
    """
    facts: dict[str, str | float | bool] = {
        "kind": kind,
        "deidentified": identity is not Identity.KEPT,
        "identity": identity.value,
        **in_force(state),
    }
    if pseudonym:
        facts["export"] = pseudonym.lower().replace("-", "_")
    return facts
