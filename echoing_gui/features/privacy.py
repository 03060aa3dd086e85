"""The privacy screen: F9 hides who the ECG is of."""

from __future__ import annotations

from dataclasses import replace

from echoing_gui.actions import Action
from echoing_gui.desk import Desk

ACTIONS = (
    Action(
        "privacy", "&View", "&Privacy screen", ("F9",),
        "Hide names, identifiers, dates, free text and file names on the screen.",
        checked=lambda state: state.options.private,
        change=lambda options: replace(options, private=not options.private),
        group="privacy",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Offer the screen."""
    desk.window.add_actions(ACTIONS, {})
