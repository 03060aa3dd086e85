"""Keys as the user wants them: which ones are in force, which collide, and where they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from PySide6.QtGui import QKeySequence

from echoing_gui.actions import Action
from echoing_gui.files import atomic_write

FILE_NAME = "keys.json"
# Handled by the ECG view and the window, see `echoing_gui.actions.OTHER_KEYS`.
RESERVED = (
    "U", "Left", "Right", "Up", "Down", "Tab", "Shift+Tab", "Space", "Return", "Enter",
    "Shift+Left", "Shift+Right", "Ctrl+Left", "Ctrl+Right",
)  # fmt: skip

Keys = tuple[str, ...]


def load_keys(folder: Path) -> dict[str, Keys]:
    """Read the user's own keys by action; none if the file is missing or makes no sense."""
    try:
        found: Any = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        action: tuple(each for each in cast("list[Any]", keys) if isinstance(each, str))
        for action, keys in cast("dict[str, Any]", found).items()
        if isinstance(keys, list)
    }


def save_keys(folder: Path, chosen: Mapping[str, Keys]) -> None:
    """Write the user's own keys, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; the old one is then still there.
    """
    content = json.dumps({action: list(keys) for action, keys in chosen.items()}, indent=1)
    atomic_write(folder / FILE_NAME, content.encode())


def keys_in_force(actions: Iterable[Action], chosen: Mapping[str, Keys]) -> dict[str, Keys]:
    """Say which keys each action has.

    Parameters
    ----------
    actions
        With their own keys.
    chosen
        The user's: they take the place of an action's own, and are taken from all others.
    """
    listed = list(actions)
    taken = {each.key: tuple(chosen[each.key]) for each in listed if each.key in chosen}
    return {
        each.key: taken[each.key]
        if each.key in taken
        else tuple(
            key
            for key in each.shortcuts
            if not any(collide(key, other) for keys in taken.values() for other in keys)
        )
        for each in listed
    }


def collide(one: str, other: str) -> bool:
    """Whether two key sequences cannot both be used: equal, or one begins the other.

    Examples
    --------
    >>> collide("F7", "F7, 1"), collide("F7, 1", "F7, 2"), collide("Ctrl+S", "Ctrl+Shift+S")
    (True, False, False)
    """
    first, second = QKeySequence(one), QKeySequence(other)
    if first.isEmpty() or second.isEmpty():
        return False
    none = QKeySequence.SequenceMatch.NoMatch
    return first.matches(second) is not none or second.matches(first) is not none


def holder(keys: str, of: str, in_force: Mapping[str, Sequence[str]]) -> str | None:
    """Find who else has keys: key of an action, empty for the window itself, None for nobody."""
    if any(collide(keys, reserved) for reserved in RESERVED):
        return ""
    for action, others in in_force.items():
        if action != of and any(collide(keys, other) for other in others):
            return action
    return None


def shown(keys: Sequence[str]) -> str:
    """Write keys as the system does; a dash without any."""
    native = QKeySequence.SequenceFormat.NativeText
    return "  ".join(QKeySequence(each).toString(native) for each in keys) or "–"
