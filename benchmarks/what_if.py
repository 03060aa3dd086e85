"""How long it takes to ask the model with parts of an ECG hidden, and how its maps agree.

python -m benchmarks.what_if

Prints the figures of docs/user-guide/bench.md: one what-if, an occlusion map and networks with
shuffled weights, with the default package on the demonstration ECG, after the model is loaded.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEventLoop, QTimer

from benchmarks.performance import machine
from echoing_gui import wiring
from echoing_gui.resources import default_package_path, demo_recording_path
from model_core.io import read_recording
from model_core.runtime.inquiry import Inquiry
from model_core.runtime.package import load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.randomise import randomised
from model_core.what_if import spearman

N_RUNS = 50
LIMIT_MS = 100
# Those of the window.
SEEDS = (1, 2, 3)


def times_ms(run: Callable[[], object], n_runs: int) -> list[float]:
    """Time of each run, ms."""
    found: list[float] = []
    for _ in range(n_runs):
        start = time.perf_counter()
        run()
        found.append(1000 * (time.perf_counter() - start))
    return found


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let the window work until something is so."""
    while not is_so():
        loop = QEventLoop()
        QTimer.singleShot(0, loop.quit)
        loop.exec()


def window_ms(n_runs: int) -> tuple[list[float], list[float]]:
    """From the key to the numbers in the state, ms: by the clock, and of this program's CPU."""
    wiring.make_application()
    program = wiring.build(wiring.default_services(), Path(tempfile.mkdtemp()))
    window, controller = program.window, program.controller
    window.resize(1920, 1080)
    window.show()
    controller.load_package()
    controller.open_demo()
    wait_until(lambda: controller.state.prediction is not None)
    window.trigger("bench")
    wait_until(lambda: controller.state.bench.whole is not None)
    window.trigger("next_uncertain")
    clock_ms: list[float] = []
    cpu_ms: list[float] = []
    for _ in range(n_runs):
        start, cpu = time.perf_counter(), time.process_time()
        window.trigger("hide_leads")
        wait_until(lambda: controller.state.bench.what_if is not None)
        clock_ms.append(1000 * (time.perf_counter() - start))
        cpu_ms.append(1000 * (time.process_time() - cpu))
        window.trigger("hide_nothing")
    window.close()
    return clock_ms, cpu_ms


def main() -> None:
    package = load_package(default_package_path())
    predictor = Predictor(package)
    recording = read_recording(demo_recording_path())
    inquiry = Inquiry(predictor, recording)
    rng = np.random.default_rng(0)
    shape = len(inquiry.lead_names), len(inquiry.edges_s) - 1

    def what_if() -> None:
        inquiry.answer(rng.random(shape) < rng.uniform(0.05, 0.5))

    def shuffled() -> None:
        Inquiry(Predictor(randomised(package, 1)), recording).answer()

    what_if()
    clock_ms, cpu_ms = window_ms(20)
    rows = {
        "Preparing the ECG, once": times_ms(lambda: Inquiry(predictor, recording), 5),
        f"One what-if ({N_RUNS} runs)": times_ms(what_if, N_RUNS),
        "The same in the window, from key to numbers (20 runs)": clock_ms,
        "- of that, CPU time of the program": cpu_ms,
        f"Occlusion map, {shape[0] * shape[1]} runs": times_ms(
            lambda: list(inquiry.occlusion()), 1
        ),
        "One network with shuffled weights": times_ms(shuffled, 3),
    }
    print(machine())
    print(f"Load average {os.getloadavg()[0]:.1f}")
    print("\n| what | median, ms | slowest, ms |\n|---|---|---|")
    for name, found in rows.items():
        print(f"| {name} | {statistics.median(found):.0f} | {max(found):.0f} |")
    median = statistics.median(rows[f"One what-if ({N_RUNS} runs)"])
    verdict = "within" if median <= LIMIT_MS else "ABOVE"
    print(f"\nOne what-if is {verdict} the {LIMIT_MS} ms that it may take.")
    *_, occlusion = inquiry.occlusion()
    own = occlusion.whole.segment_variance
    print("\n| rank correlation | Spearman |\n|---|---|")
    for key in occlusion.values:
        found = spearman(-own, np.abs(occlusion.change(key)))
        print(f"| certainty of a segment, change of {key} without it | {found:.2f} |")
    for seed in SEEDS:
        other = Inquiry(Predictor(randomised(package, seed)), recording).answer()
        found = spearman(own, other.segment_variance)
        print(f"| segment variance before and after shuffling, seed {seed} | {found:.2f} |")


if __name__ == "__main__":
    main()
