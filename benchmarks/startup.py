"""Time from process start to window and to first result, and peak memory.

``python benchmarks/startup.py [dist/echoing]``: the program run from source, and the frozen one if
its folder is given, each on the demonstration ECG, off screen. Prints a Markdown table. Cold runs
need the right to empty the system's file cache (root); without it they are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True, slots=True)
class Run:
    """One start of the program; seconds from the start of the process, and MB (10^6 bytes)."""

    window_s: float
    result_s: float
    peak_mb: float


def empty_file_cache() -> bool:
    """Make the next start a cold one; False where that is not permitted."""
    os.sync()
    try:
        DROP_CACHES.write_text("3\n", encoding="ascii")
    except OSError:
        return False
    return True


def start(program: Sequence[str]) -> Run:
    """Start the program once on the demonstration ECG."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "startup.json"
        environment = {**os.environ, "HOME": folder, "QT_QPA_PLATFORM": "offscreen"}
        begun = time.monotonic()
        process = subprocess.Popen(
            [*program, "--demo", "--startup-report", str(report)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{program[0]} failed")
        moments = json.loads(report.read_text(encoding="utf-8"))
    if not moments["has_result"]:
        sys.exit(f"{program[0]} gave no result")
    # The monotonic clock counts for the whole machine, so its moments compare between processes.
    return Run(
        window_s=moments["window_painted_s"] - begun,
        result_s=moments["finished_s"] - begun,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
    )


def row(name: str, runs: Sequence[Run]) -> str:
    """Medians as a table row."""
    return (
        f"| {name} | {len(runs)} | {statistics.median(run.window_s for run in runs):.2f} "
        f"| {statistics.median(run.result_s for run in runs):.2f} "
        f"| {max(run.peak_mb for run in runs):.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    programs = {"source": [sys.executable, "-m", "echoing_gui"]}
    if arguments.bundle:
        programs["bundle"] = [str((arguments.bundle / "echoing").resolve())]
    print("| program | runs | window painted, s (median) | first result, s (median) | peak, MB |")
    print("|---|---|---|---|---|")
    for name, program in programs.items():
        if empty_file_cache():
            cold = []
            for _ in range(3):
                empty_file_cache()
                cold.append(start(program))
            print(row(f"{name}, cold", cold))
        start(program)
        print(row(f"{name}, warm", [start(program) for _ in range(arguments.runs)]))


if __name__ == "__main__":
    main()
