"""Open thousands of files one after another: ``python -m benchmarks.soak [--files 10000]``.

The real window, off screen, with its reading process, input gate and model, opens the samples
beside the checkout, files that are written here, and damaged copies of both, in a seeded order. A
table is answered by closing its dialog. Prints a Markdown table of what window and reading process
hold, once every so many files, with the same short recording on screen; the exit code is 1 if
memory grew by more than 20 MB after the warm-up, or if handles, threads, Qt objects or temporary
files were left. Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
from PySide6.QtCore import QEventLoop, QObject, QTimer
from PySide6.QtWidgets import QApplication, QDialog

from benchmarks.fuzz_readers import PARSERS, SAMPLES, mutate, seeds
from echoing_gui.resources import asset
from echoing_gui.state import Stage
from echoing_gui.wiring import Program, build, default_services, make_application

WARM_UP, EARLY = 1000, 100
MOST_GROWTH_MB = 20.0
TIMEOUT_S = 120
# Each starts a process that surveys it, which is what takes the time.
LONG_ONE_IN = 50
# Qt makes some of its objects late; more than these are left by us.
MOST_MORE_OBJECTS = 20


@dataclass(frozen=True)
class Held:
    """What the program holds at a moment; memory in MB; threads beside those of the jobs."""

    resident_mb: float
    own_mb: float
    reader_mb: float
    handles: int
    threads: int
    children: int
    objects: int
    left_files: int


def _status(pid: int | str, file: str) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii").splitlines()
    pairs = (line.split() for line in lines)
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if pair[1:] and pair[1].isdigit()}


def _workers() -> int:
    """Threads of the jobs, which start when they are first needed and stay; at most `N_WORKERS`."""
    return sum(thread.name.startswith("echoing_") for thread in threading.enumerate())


def held(app: QApplication, program: Program, temporary: Path) -> Held:
    """Count what is held now."""
    rollup = _status("self", "smaps_rollup")
    children = multiprocessing.active_children()
    return Held(
        resident_mb=rollup["Rss"] * 1024 / 1e6,
        own_mb=(rollup["Private_Clean"] + rollup["Private_Dirty"]) * 1024 / 1e6,
        reader_mb=sum(_status(child.pid or 0, "status")["VmRSS"] for child in children)
        * 1024
        / 1e6,
        handles=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        threads=_status("self", "status")["Threads"] - _workers(),
        children=len(children),
        objects=len(app.allWidgets()) + len(program.controller.findChildren(QObject)),
        left_files=sum(1 for _ in temporary.rglob("*")),
    )


def good_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Short files, then long ones: of every parser, and all samples."""
    short, long = sorted(asset("demo").glob("*.hea")), list[Path]()
    for parser in PARSERS:
        place = folder / parser
        place.mkdir()
        (long if parser.startswith("parts") else short).extend(seeds(parser, place))
    for path in sorted(SAMPLES.rglob("*")) if SAMPLES.is_dir() else []:
        if path.is_file() and path.suffix not in (".dat", ".md", ".xyz"):
            (long if path.stem in ("100", "s0010_re", "ECG_P28.01") else short).append(path)
    return short, long


def next_file(rng: np.random.Generator, short: list[Path], long: list[Path], place: Path) -> Path:
    """One of the files as it is, or a damaged copy, or what is no file at all."""
    chance = rng.random()
    if chance < 1 / LONG_ONE_IN:
        return long[int(rng.integers(len(long)))]
    path = short[int(rng.integers(len(short)))]
    if chance < 0.5:
        return path
    if chance < 0.52:
        return place if chance < 0.51 else place / "missing.dcm"
    for old in place.iterdir():
        old.unlink()
    for part in path.parent.glob(f"{path.stem}.*"):
        shutil.copyfile(part, place / part.name)
    (place / path.name).write_bytes(mutate(path.read_bytes(), rng))
    return place / path.name


def open_and_wait(app: QApplication, program: Program, path: Path) -> float:
    """Open a file and wait until the window has said all; the time, s."""
    loop, timer, begun = QEventLoop(), QTimer(), time.perf_counter()

    def look() -> None:
        for dialog in app.topLevelWidgets():
            if isinstance(dialog, QDialog) and dialog.isVisible():
                dialog.reject()
        if program.controller.state.job.stage is Stage.IDLE:
            loop.quit()
        elif time.perf_counter() - begun > TIMEOUT_S:
            raise TimeoutError(path)

    timer.timeout.connect(look)
    program.controller.open_file(path)
    timer.start(1)
    loop.exec()
    return time.perf_counter() - begun


def settle(duration_ms: int) -> None:
    """Let what was started end."""
    loop = QEventLoop()
    QTimer.singleShot(duration_ms, loop.quit)
    loop.exec()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="after the warm-up")
    parser.add_argument("--every", type=int, default=1000, help="files between two lines")
    parser.add_argument("--seed", type=int, default=20261126)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    app = make_application()
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home) / name for name in ("settings", "good", "place", "temporary")]
        for folder in folders:
            folder.mkdir()
        settings, good, place, temporary = folders
        short, long = good_files(good)
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        program = build(default_services(), settings)
        program.window.resize(1920, 1080)
        program.window.show()
        program.controller.load_package()
        print(f"{len(short)} short files, {len(long)} long ones, load {os.getloadavg()[0]:.1f}\n")
        print(
            "| files | opened | window, MB | its own, MB | reader, MB | handles | threads | "
            "processes | Qt objects | temporary files | median, ms | 95 % within, ms |"
        )
        print("|" + "---|" * 12)
        lines: list[Held] = []
        n_opened, times = 0, list[float]()
        for number in range(-WARM_UP, options.files + 1):
            if number == EARLY - WARM_UP or (number >= 0 and number % options.every == 0):
                open_and_wait(app, program, short[0])
                settle(2000)  # surveys that were cancelled end
                now = held(app, program, temporary)
                lines += [now] if number >= 0 else []
                spread = np.percentile(times, (50, 95)) * 1000
                print(
                    f"| {number} | {n_opened} | {now.resident_mb:.1f} | {now.own_mb:.1f} | "
                    f"{now.reader_mb:.0f} | {now.handles} | {now.threads} | {now.children} | "
                    f"{now.objects} | {now.left_files} | {spread[0]:.0f} | {spread[1]:.0f} |",
                    flush=True,
                )
                times.clear()
            before = program.controller.state.recording
            times.append(open_and_wait(app, program, next_file(rng, short, long, place)))
            n_opened += program.controller.state.recording is not before
        program.window.close()
    first, last = lines[0], lines[-1]
    growth_mb = last.resident_mb - first.resident_mb
    own_mb = last.own_mb - first.own_mb
    print(f"\nGrowth: {growth_mb:+.1f} MB, of its own {own_mb:+.1f} MB.")
    left = (
        last.handles > first.handles,
        last.threads > first.threads,
        last.objects > first.objects + MOST_MORE_OBJECTS,
        last.left_files > 0,
        growth_mb > MOST_GROWTH_MB,
    )
    return int(any(left))


if __name__ == "__main__":
    sys.exit(main())
