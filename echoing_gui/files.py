"""Files that appear only when they are complete: what was there before stays until then."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# Of files that are being written; nothing else ends so.
UNFINISHED = ".echoing-part"
# After this long without a change, the program that wrote it was killed.
_ABANDONED_AFTER_S = 60.0


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place to write to, which takes the place of `path` when the block ends well.

    Only the user may read it. On any error, and on a full disk, it is removed and `path` is as it
    was. What a killed program left in the folder is removed too.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    sweep(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; makes its folder. Raises as `replacing`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def sweep(folder: Path, older_than_s: float = _ABANDONED_AFTER_S) -> None:
    """Remove the unfinished files that a killed program left in a folder.

    Parameters
    ----------
    folder
        Not those below it.
    older_than_s
        Younger ones may be another program's that is still writing.
    """
    until = time.time() - older_than_s
    with contextlib.suppress(OSError):
        for left in folder.glob(f".*{UNFINISHED}"):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime <= until:
                    left.unlink()
