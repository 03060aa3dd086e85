"""How long the window is held up, and what it keeps, when files are opened one after another.

``python benchmarks/desk.py`` opens the demonstrations in turn in the real window, off screen, with
the real readers and model, and prints a Markdown table: the growth of resident memory over fifty
files after a warm-up, and for each kind of act the longest time in which the window answered
nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
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


class Heart:
    """Beats while the window answers; the longest pause between two beats is kept.

    By the clock, and by the processor time of the window's own thread, which other work on the
    machine does not lengthen.
    """

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._last = time.perf_counter(), time.thread_time()
        self.longest_ms = self.busiest_ms = 0.0

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.longest_ms = max(self.longest_ms, 1000 * (now[0] - self._last[0]) - BEAT_MS)
        self.busiest_ms = max(self.busiest_ms, 1000 * (now[1] - self._last[1]))
        self._last = now


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
    app = make_application()
    demos = sorted(asset("demo").glob("*.hea"))
    with tempfile.TemporaryDirectory() as folder:
        program = build(default_services(), Path(folder))
        program.window.resize(1920, 1080)
        program.window.show()
        program.controller.load_package()
        heart = Heart()
        longest: dict[str, tuple[float, float]] = {}

        def timed(name: str, act: Callable[[], object]) -> None:
            heart.reset()
            act()
            settle()
            before = longest.get(name, (0.0, 0.0))
            longest[name] = max(before[0], heart.longest_ms), max(before[1], heart.busiest_ms)

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
    print("| act | longest hold-up, ms | processor time in it, ms |")
    print("|---|---|---|")
    for name, (by_clock, busy) in longest.items():
        print(f"| {name} | {by_clock:.0f} | {busy:.0f} |")
    print(f"\nMemory after {FILES} more files: {growth_mb:+.1f} MB (of {before_mb:.0f} MB)")


if __name__ == "__main__":
    main()
