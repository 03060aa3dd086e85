"""How the C library holds the program's memory."""

from __future__ import annotations

import ctypes
import sys

# Of malloc.h in the GNU C library.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
LARGE_BYTES = 256 * 1024


def return_freed_memory() -> None:
    """Have signals given back to the system when they are freed (Linux; elsewhere nothing).

    By default every thread of glibc has a heap of its own, and a heap keeps what is freed below
    something in use: a day of opening recordings makes the program larger and larger. With one
    heap for all threads, and large blocks outside it, it stays as it was (`benchmarks/soak.py`).
    To be called before other threads are there.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
