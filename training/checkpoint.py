"""Files of a run: written whole or not at all, read without running code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside the file, then swap: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def save_json(path: Path, values: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write JSON atomically."""
    text = json.dumps(values, indent=1, sort_keys=True) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def load_json(path: Path) -> Any:  # noqa: ANN401
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write tensors, numbers and nested dictionaries of them atomically."""
    write_atomic(path, lambda file: torch.save(values, file))


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote; anything but plain data is refused."""
    return torch.load(path, weights_only=True)  # noqa: TID251 - this is that reading
