"""Recently opened files: remembered only when the user asks for it, in a file of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from echoing_gui.files import atomic_write

FILE_NAME = "recent.json"
_MOST = 10


@dataclass(frozen=True, slots=True)
class Recent:
    """What is remembered; nothing, unless `remember`."""

    remember: bool = False
    paths: tuple[Path, ...] = ()


def load_recent(folder: Path) -> Recent:
    """Read what is remembered; nothing if the file is missing or makes no sense."""
    try:
        found: Any = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Recent()
    if not isinstance(found, dict):
        return Recent()
    paths: Any = cast("dict[str, Any]", found).get("paths")
    if not isinstance(paths, list):
        return Recent()
    texts = [item for item in cast("list[Any]", paths) if isinstance(item, str)]
    return Recent(remember=True, paths=tuple(Path(text) for text in texts[:_MOST]))


def save_recent(folder: Path, recent: Recent) -> None:
    """Write what is remembered, or remove the file when nothing is to be.

    Raises
    ------
    OSError
        If that is not possible.
    """
    path = folder / FILE_NAME
    if not recent.remember:
        path.unlink(missing_ok=True)
        return
    content = json.dumps({"paths": [str(path) for path in recent.paths]}, indent=1)
    atomic_write(path, content.encode())


def with_path(recent: Recent, path: Path) -> Recent:
    """Put a file at the head of the list, if files are remembered at all."""
    if not recent.remember:
        return recent
    others = tuple(each for each in recent.paths if each != path)
    return replace(recent, paths=(path, *others)[:_MOST])
