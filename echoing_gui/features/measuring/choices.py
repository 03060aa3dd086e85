"""How the user likes to measure, kept between sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from echoing_gui.files import atomic_write
from echoing_gui.log import log
from echoing_gui.state_marks import FORMULAS, Measuring


def load_choices(path: Path) -> dict[str, Any]:
    """Read what was chosen, as fields of `Measuring`; what makes no sense is left out."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        formula, snap = found.get("formula"), found.get("snap")
    except (OSError, ValueError, AttributeError):
        return {}
    chosen: dict[str, Any] = {}
    if formula in FORMULAS:
        chosen["formula"] = formula
    if isinstance(snap, bool):
        chosen["snap"] = snap
    return chosen


def save_choices(path: Path, measuring: Measuring) -> None:
    """Write what was chosen; on a full disk it holds until the program closes."""
    content = json.dumps({"formula": measuring.formula, "snap": measuring.snap}, indent=1)
    try:
        atomic_write(path, content.encode())
    except OSError as error:
        log.warning("choices of measuring not saved: %s", error.strerror)
