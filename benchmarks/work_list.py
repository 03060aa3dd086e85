"""Measure the work list: ``python -m benchmarks.work_list FOLDER [N]`` prints two tables.

The first N (default 300) ECGs of a folder, estimated through the window with an empty store, then
again with all results kept; and a table of 10,000 rows, sorted, filtered, scrolled and drawn.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

N_ROWS = 10_000
TICK_MS = 10


def cpu_s() -> float:
    """Processor time of this process and of those it has ended, s."""
    multiprocessing.active_children()  # takes leave of those that ended, else they do not count
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def throughput(folder: Path, n: int) -> None:
    """Estimate from the ECGs of a folder twice and print how fast that was."""
    from PySide6.QtCore import QEventLoop, QTimer

    from echoing_gui import wiring
    from echoing_gui.features.work_list.lists import Lists

    wiring.make_application()
    print(
        "| ECGs | what | s | ECG/s | processor s an ECG | longest stop of the window, ms "
        "| its longest work at a time, processor ms |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        chosen = Path(place, "ecgs.csv")
        paths = sorted(folder.rglob("*.hea"))[:n]
        chosen.write_text("path\n" + "".join(f"{path.absolute()}\n" for path in paths))
        for what in ("estimated", "kept results, read again"):
            program = wiring.build(wiring.default_services(), Path(place))
            program.window.resize(1600, 900)
            program.window.show()
            program.controller.load_package()
            lists = program.window.findChild(Lists)
            assert isinstance(lists, Lists)
            moments: dict[str, float] = {}
            gaps_ms, works_ms = [0.0], [0.0]
            last_s, last_work_s = time.monotonic(), time.thread_time()
            loop = QEventLoop()

            def on_tick(
                gaps_ms: list[float] = gaps_ms, works_ms: list[float] = works_ms,
                moments: dict[str, float] = moments,
            ) -> None:  # fmt: skip
                nonlocal last_s, last_work_s
                now_s, work_s = time.monotonic(), time.thread_time()
                if "begun" in moments:
                    gaps_ms.append(1000 * (now_s - last_s) - TICK_MS)
                    works_ms.append(1000 * (work_s - last_work_s))
                last_s, last_work_s = now_s, work_s

            def on_state(
                _old: object, _new: object, moments: dict[str, float] = moments,
                program: wiring.Program = program, loop: QEventLoop = loop,
            ) -> None:  # fmt: skip
                work = program.controller.state.work_list
                if work is not None and work.running and "begun" not in moments:
                    moments["begun"], moments["cpu"] = time.monotonic(), cpu_s()
                if work is not None and work.rows and work.n_done == len(work.rows) and (
                    not work.running and "ended" not in moments
                ):  # fmt: skip
                    moments["ended"] = time.monotonic()
                    loop.quit()

            timer = QTimer()
            timer.setInterval(TICK_MS)
            timer.timeout.connect(on_tick)
            timer.start()
            program.controller.state_changed.connect(on_state)
            lists.open_source(chosen)
            loop.exec()
            timer.stop()
            took_s = moments["ended"] - moments["begun"]
            time.sleep(1)  # until the processes have ended
            each_s = (cpu_s() - moments["cpu"]) / len(paths)
            print(
                f"| {len(paths)} | {what} | {took_s:.1f} | {len(paths) / took_s:.1f} "
                f"| {each_s:.3f} | {max(gaps_ms):.0f} | {max(works_ms):.0f} |"
            )
            program.window.close()


def rows_like_estimates(n: int) -> tuple:
    """Make rows with numbers of a plausible kind."""
    import numpy as np

    from echoing_gui.state_work_list import ListRow, RowState

    rng = np.random.default_rng(1)
    states = (RowState.REPORTED, RowState.CAUTION)
    rows = []
    for number in range(1, n + 1):
        lvef, lvedv, lvesv = rng.normal((58, 120, 55), (9, 30, 20))
        values = {"lvef": lvef, "lvedv": lvedv, "lvesv": lvesv}
        rows.append(
            ListRow(
                number, Path("x"), f"records/{number // 1000:02d}000/{number:05d}_hr.hea",
                labels={"lvef": lvef + rng.normal(0, 7)}, state=states[number % 2],
                recording_id=f"{number:064x}", values=values,
                lows={key: value * 0.7 for key, value in values.items()},
                highs={key: value * 1.3 for key, value in values.items()},
                probabilities={"lvef_below_40": float(rng.random())}, variance=float(rng.random()),
                n_noisy=int(rng.integers(0, 3)), n_unusable=0, codes=("age_unknown",),
                sentences=("The file does not say how old the patient is.",),
            )
        )  # fmt: skip
    return tuple(rows)


def table_times() -> None:
    """Sort, filter, scroll and draw 10,000 rows and print how long each takes."""
    import numpy as np
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QWidget

    from echoing_gui import wiring
    from echoing_gui.features.work_list.lists import Lists
    from echoing_gui.state_work_list import WorkList
    from echoing_gui.view_models.cohort import embedding_map

    wiring.make_application()
    with tempfile.TemporaryDirectory() as place:
        program = wiring.build(wiring.default_services(), Path(place))
        window, controller = program.window, program.controller
        window.resize(1920, 1080)
        window.show()
        lists = window.findChild(Lists)
        assert isinstance(lists, Lists)
        rows = rows_like_estimates(N_ROWS)
        work = WorkList(Path("ecgs"), rows, n_done=N_ROWS)
        window.show_view("work_list")
        controller.change(work_list=work)
        view = lists.view
        vectors = np.random.default_rng(2).normal(size=(N_ROWS, 128))
        found = embedding_map(vectors)
        times: dict[str, list[tuple[float, float]]] = {}

        def timed(what: str, do: Callable[[], object], painted: QWidget | None = None) -> None:
            before_s, before_cpu_s = time.perf_counter(), time.thread_time()
            do()
            if painted is not None:
                painted.grab()
            took = time.perf_counter() - before_s, time.thread_time() - before_cpu_s
            times.setdefault(what, []).append((1000 * took[0], 1000 * took[1]))

        table, bar = view.table, view.table.verticalScrollBar()
        for number in range(len(table.rows.columns)):
            for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
                timed("sort by a column", partial(table.sortByColumn, number, order))
        for text in ("9", "99", "", "hr", ""):
            timed("filter by text", partial(view.text.setText, text))
        for step in range(40):
            timed("scroll and paint", partial(bar.setValue, step * 211), table.viewport())
        for step in range(10):
            changed = replace(work, rows=(*rows[:-1], rows[step]))
            timed("show new results", partial(controller.change, work_list=changed))
        for _ in range(5):
            timed("draw scatter", view.scatter.draw, view.scatter.plot)
        view.tabs.setCurrentWidget(view.map)
        for _ in range(5):
            show = partial(view.set_map, np.arange(N_ROWS), found)
            timed("draw map, coloured", show, view.map.plot)
        print(f"| {N_ROWS:,} rows | times | median, ms | longest, ms | median, processor ms |")
        print("|---|---|---|---|---|")
        for what, each in times.items():
            wall, cpu = zip(*each, strict=True)
            print(
                f"| {what} | {len(each)} | {statistics.median(wall):.1f} | {max(wall):.1f} "
                f"| {statistics.median(cpu):.1f} |"
            )
        window.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("n", type=int, nargs="?", default=300)
    options = parser.parse_args()
    print(f"Load average when begun: {os.getloadavg()[0]:.1f}.\n")
    throughput(options.folder, options.n)
    print()
    table_times()


if __name__ == "__main__":
    main()
