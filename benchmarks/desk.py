"""How long the window is held up, and what it keeps, when files are opened one after another.

``python benchmarks/desk.py`` opens the demonstrations in turn in the real window, off screen, with
the real readers and model, and prints a Markdown table: the growth of resident memory over fifty
files after a warm-up, and for each kind of act the longest time in which the window answered
nothing: by the clock, how much of that its thread waited for a processor (other programs' doing) or
for anything else (locks, files), and the most processor time that it took at once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from PySide6.QtCore import QEventLoop, QTimer

from echoing_gui.resources import asset
from echoing_gui.wiring import Program, build, default_services, make_application

WARM_UP, FILES = 10, 50
BEAT_MS = 5
TIMEOUT_MS = 60_000


def resident_mb() -> float:
    """Resident memory of this process, MB; readers run in another one."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class HoldUp:
    """A pause between two beats, or the moment of one; ms.

    Attributes
    ----------
    clock_ms
        By the clock.
    busy_ms
        Processor time of the window's thread.
    queued_ms
        What that thread waited for a processor, having work to do.
    """

    clock_ms: float = 0.0
    busy_ms: float = 0.0
    queued_ms: float = 0.0

    @classmethod
    def now(cls) -> HoldUp:
        """Read the clocks of this thread."""
        queued_ns = int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1])
        return cls(1e3 * time.perf_counter(), 1e3 * time.thread_time(), queued_ns / 1e6)

    def since(self, earlier: HoldUp) -> HoldUp:
        """Pause from one moment to another, less the time between two beats."""
        return HoldUp(
            max(0.0, self.clock_ms - earlier.clock_ms - BEAT_MS),
            self.busy_ms - earlier.busy_ms,
            self.queued_ms - earlier.queued_ms,
        )

    @property
    def waited_ms(self) -> float:
        """What it waited for anything but a processor, such as a lock or a file."""
        return max(0.0, self.clock_ms - self.busy_ms - self.queued_ms)


by_clock, by_work = attrgetter("clock_ms"), attrgetter("busy_ms")


class Heart:
    """Beats while the window answers; keeps the longest pause and that of the most work."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._last = HoldUp.now()
        self.longest, self.busiest = HoldUp(), HoldUp()

    def _beat(self) -> None:
        now = HoldUp.now()
        pause, self._last = now.since(self._last), now
        self.longest = max(self.longest, pause, key=by_clock)
        self.busiest = max(self.busiest, pause, key=by_work)


def wait_until(ready: Callable[[], bool]) -> None:
    """Let the window run until something holds."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if ready() else None)
    timer.start(2)
    QTimer.singleShot(TIMEOUT_MS, loop.quit)
    loop.exec()
    assert ready(), "not in time"


def settle(duration_ms: int = 150) -> None:
    """Let what was started by an act end."""
    loop = QEventLoop()
    QTimer.singleShot(duration_ms, loop.quit)
    loop.exec()


def open_next(program: Program, path: Path) -> None:
    """Open a file and wait for its result."""
    before = program.controller.state.prediction
    program.controller.open_file(path)
    wait_until(
        lambda: (
            program.controller.state.prediction is not None
            and program.controller.state.prediction is not before
        )
    )


def main() -> None:
    before_load = os.getloadavg()[0]
    app = make_application()
    demos = sorted(asset("demo").glob("*.hea"))
    with tempfile.TemporaryDirectory() as folder:
        program = build(default_services(), Path(folder))
        program.window.resize(1920, 1080)
        program.window.show()
        program.controller.load_package()
        heart = Heart()
        longest: dict[str, HoldUp] = {}
        busiest: dict[str, HoldUp] = {}

        def timed(name: str, act: Callable[[], object]) -> None:
            heart.reset()
            act()
            settle()
            longest[name] = max(heart.longest, longest.get(name, HoldUp()), key=by_clock)
            busiest[name] = max(heart.busiest, busiest.get(name, HoldUp()), key=by_work)

        for n in range(WARM_UP):
            open_next(program, demos[n % len(demos)])
        before_mb = resident_mb()
        for n in range(FILES):
            path = demos[n % len(demos)]
            timed("open and predict", lambda path=path: open_next(program, path))
        growth_mb = resident_mb() - before_mb
        window = program.window
        for name, keys in (
            ("another layout", ("rows", "grid")),
            ("another speed", ("speed_50", "speed_25")),
            ("measurements", ("measurements",)),
            ("segments", ("segments", "next_uncertain")),
            ("a segment hidden from the model", ("bench", "hide_segments", "hide_nothing")),
            ("dark and light colours", ("theme_dark", "theme_light")),
        ):
            for key in keys:
                timed(name, lambda key=key: window.trigger(key))
        program.window.close()
        app.sendPostedEvents()
    print(
        "| act | longest hold-up, ms | of it waiting for a processor | waiting otherwise "
        "| most processor time at once, ms |"
    )
    print("|---|---|---|---|---|")
    for name, pause in longest.items():
        print(
            f"| {name} | {pause.clock_ms:.0f} | {pause.queued_ms:.0f} | {pause.waited_ms:.0f} "
            f"| {busiest[name].busy_ms:.0f} |"
        )
    print(f"\nLoad average: {before_load:.1f} when begun, {os.getloadavg()[0]:.1f} when done.")
    print(f"Memory after {FILES} more files: {growth_mb:+.1f} MB (of {before_mb:.0f} MB)")


if __name__ == "__main__":
    main()
