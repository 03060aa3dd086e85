"""Read first: the estimate stays covered until the reader has looked at the ECG."""

from __future__ import annotations

from dataclasses import replace

from echoing_gui.actions import Action
from echoing_gui.desk import Desk

ACTIONS = (
    Action(
        "reveal", "M&odel", "&Reveal the estimate", ("Ctrl+E",),
        "Show the estimate that is covered; the audit log takes down when.",
        enabled=lambda state: state.covered, group="reading",
    ),
    Action(
        "read_first", "M&odel", "Read &first, then reveal", ("Ctrl+Shift+E",),
        "Cover the estimate of every recording until you reveal it.",
        checked=lambda state: state.options.read_first,
        change=lambda options: replace(options, read_first=not options.read_first),
        group="reading",
    ),
    Action(
        "show_dots", "M&odel", "Twent&y equally likely values", ("Ctrl+Shift+Q",),
        "Show each estimate as twenty dots, too, one in twenty each.",
        checked=lambda state: state.options.show_dots,
        change=lambda options: replace(options, show_dots=not options.show_dots),
        group="reading",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Offer the cover."""
    desk.window.add_actions(ACTIONS, {"reveal": desk.controller.reveal})
    desk.window.measures.revealRequested.connect(desk.controller.reveal)
