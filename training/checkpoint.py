"""Files of a run: written whole or not at all, read without running code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from model_core.errors import EchoingError
from training.disk import remedy

_KEPT = 2
_MB = 1e6


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside the file, then swap: a reader never sees half of it.

    Raises
    ------
    EchoingError
        If the disk is full or cannot be written; what was there stays.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        _write_durably(temporary, write)
        temporary.replace(path)
        _make_names_durable(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error


def _write_durably(path: Path, write: Callable[[BinaryIO], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _make_names_durable(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _not_written(path: Path, error: OSError) -> EchoingError:
    reason = error.strerror or str(error)
    return EchoingError(
        f"{path} could not be written: {reason[:1].lower()}{reason[1:]}. "
        "What was written before is kept.",
        hint=remedy(error),
        code="not_written",
    )


def save_json(path: Path, values: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write JSON atomically."""
    text = json.dumps(values, indent=1, sort_keys=True) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def load_json(path: Path) -> Any:  # noqa: ANN401
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write tensors, numbers and nested dictionaries of them atomically."""
    write_atomic(path, lambda file: _save(values, file))


def _save(values: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(values, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # what torch hides: a full disk
            raise error.__context__ from None
        raise


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote; anything but plain data is refused."""
    return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - that reading


# --- checkpoints of a training ---


def save_checkpoint(path: Path, number: int, values: dict[str, Any]) -> None:
    """Write a numbered checkpoint with its SHA-256 beside it; keep the one before.

    Killed at any moment, the newest complete one stays readable: the digest is there before the
    file takes its name, and older ones are removed last.

    Parameters
    ----------
    path
        Name of the series, such as ``checkpoint.pt``; the files are ``checkpoint.000012.pt``.
    number
        Of this checkpoint; rises.
    values
        As for `save_tensors`.

    Raises
    ------
    EchoingError
        If the disk is full or cannot be written; the checkpoints before stay.
    """
    target = path.with_name(f"{path.stem}.{number:06d}{path.suffix}")
    temporary = target.with_name(target.name + ".new")
    try:
        _write_durably(temporary, lambda file: _save(values, file))
        line = f"{_sha256(temporary)}  {target.name}\n"  # as sha256sum writes and checks it
        write_atomic(_digest_of(target), lambda file: file.write(line.encode()))
        temporary.replace(target)
        _make_names_durable(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _not_written(target, error) from error
    for old in _checkpoints(path)[_KEPT:]:
        old.unlink()
        _digest_of(old).unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read the newest checkpoint of a series that is whole; None if there is none at all.

    Raises
    ------
    EchoingError
        If there are checkpoints, all of them damaged.
    """
    found = _checkpoints(path)
    for file in found:
        digest = _digest_of(file)
        if digest.exists() and digest.read_text(encoding="utf-8").split()[:1] == [_sha256(file)]:
            return load_tensors(file)
        print(f"The checkpoint {file} is damaged; the one before is taken.", file=sys.stderr)
    if found:
        raise EchoingError(
            f"No checkpoint beside {found[0]} can be read: the files are damaged.",
            hint="Delete them to start this training from its beginning.",
            code="damaged_checkpoint",
        )
    return None


def require_space(folder: Path, n_bytes: int, what: str) -> None:
    """Refuse to start what would fill the disk.

    Raises
    ------
    EchoingError
        If less than `n_bytes` are free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise EchoingError(
            f"The disk of {folder} has {free / _MB:.0f} MB free; "
            f"{what} needs {n_bytes / _MB:.0f} MB.",
            hint="Make room on that disk, or choose another folder for the run.",
            code="disk_full",
        )


def _checkpoints(path: Path) -> list[Path]:
    """Complete files of a series, newest first."""
    digits = "[0-9]" * 6
    return sorted(path.parent.glob(f"{path.stem}.{digits}{path.suffix}"), reverse=True)


def _digest_of(file: Path) -> Path:
    return file.with_name(file.name + ".sha256")


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
