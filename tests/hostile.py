"""What a file must not be able to do to the program, as functions for the process that reads."""

from __future__ import annotations

import ctypes
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from model_core.errors import ReadError
from model_core.io import TableLayout, open_recording
from model_core.long_recording import LongRecording
from model_core.types import Recording
from model_core.wording import say


def packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def hang() -> None:
    time.sleep(60)


def crash() -> None:
    ctypes.string_at(0)


def crash_on_a_name(path: Path, layout: TableLayout | None) -> Recording | LongRecording:
    if path.stem == "crash":
        crash()
    return open_recording(path, layout)


def take_memory() -> int:
    return len(bytearray(3_000_000_000))


def fail() -> None:
    raise ZeroDivisionError("a name of a patient")


def refuse() -> None:
    raise ReadError(say("Said {where}.", where=say("there")), hint="Do this.", code="a_code")


def connect() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def count(most: int) -> Iterator[int]:
    yield from range(most)
