"""One line on standard error that says how far, and how much longer."""

from __future__ import annotations

import sys
import time


class Progress:
    """Progress of one piece of work.

    On a terminal the line is rewritten; in a log file it is repeated at most every half minute, and
    comes first when there is something to judge the time by.

    Parameters
    ----------
    what
        Name of the work.
    total
        Steps.
    done
        Steps finished before, by an earlier run.
    shown
        False in processes that should keep silent.
    """

    def __init__(self, what: str, total: int, done: int = 0, *, shown: bool = True) -> None:
        self._what, self._total, self._first, self._done = what, total, done, done
        self._started = self._shown = time.monotonic()
        self._shows = shown
        self._live = sys.stderr.isatty()

    def step(self, n: int = 1, note: str = "") -> None:
        """Say that `n` more steps are done."""
        if not self._shows:
            return
        self._done += n
        now = time.monotonic()
        finished = self._done >= self._total
        if not finished and now - self._shown < (0.5 if self._live else 30.0):
            return
        self._shown = now
        elapsed = now - self._started
        left = elapsed / max(self._done - self._first, 1) * (self._total - self._done)
        line = (
            f"{self._what}: {self._done}/{self._total}, {_clock(elapsed)} gone, "
            f"{_clock(left)} to go {note}"
        )
        end = "\n" if finished or not self._live else ""
        sys.stderr.write(("\r\x1b[K" if self._live else "") + line.rstrip() + end)
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
