"""Whether files can be written, asked before hours of work, and what to do if not."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from model_core.errors import EchoingError


def check_writable(folder: Path) -> None:
    """Make a folder and prove that files can be written there.

    Raises
    ------
    EchoingError
        If they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        reason = error.strerror or str(error)
        raise EchoingError(
            f"Nothing can be written in {folder}: {reason[:1].lower()}{reason[1:]}.",
            hint=remedy(error),
            code="not_written",
        ) from error


def remedy(error: OSError) -> str:
    """Sentence that says what to do when a file could not be written."""
    # NumPy's own error of a full disk has no number.
    if error.errno in (errno.ENOSPC, errno.EDQUOT, None):
        return "Make room on that disk, then start the same command again: it goes on from there."
    return "Give a folder that can be written to."
