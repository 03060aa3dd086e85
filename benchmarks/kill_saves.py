"""What is left when the program is killed while it saves.

``python benchmarks/kill_saves.py [KILLS]`` runs, again and again, a process that saves settings,
recent files, a session, results of a work list, lines of the audit log and exports without a pause,
kills it at a random moment (SIGKILL), and looks at what is on the disk: every file whole, nothing
lost that had been reported as saved, the audit log in order. Prints a Markdown table; exit code 1
if anything is not as it must be. Linux and macOS.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from echoing_gui.audit import AuditLog, verify
from echoing_gui.estimating import Estimated
from echoing_gui.exports import Item, write_bytes, write_csv, write_npz
from echoing_gui.features.measuring.session import Session, from_json, to_json
from echoing_gui.features.work_list.store import ResultStore
from echoing_gui.files import UNFINISHED, atomic_write, sweep
from echoing_gui.recent import Recent, load_recent, save_recent
from echoing_gui.settings import Settings, save_settings
from echoing_gui.state_marks import Marks, Note

KILLS = 200
_LATEST_S = 0.4
_PACKAGE = "ab" * 32
_PICTURE_BYTES = 300_000


@dataclass
class Found:
    """What the kills did.

    Attributes
    ----------
    saved
        Saves that were reported, by kind.
    torn, lost
        Files that were not whole, and saves that had been reported and were gone; by kind.
    cut_lines
        Lines of the audit log that were cut short, and said to be.
    left, left_after_sweep
        Unfinished files on the disk after all kills, and after the next start.
    """

    saved: dict[str, int] = field(default_factory=dict[str, int])
    torn: dict[str, int] = field(default_factory=dict[str, int])
    lost: dict[str, int] = field(default_factory=dict[str, int])
    cut_lines: int = 0
    left: int = 0
    left_after_sweep: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was torn, lost or left."""
        return not (any(self.torn.values()) or any(self.lost.values()) or self.left_after_sweep)


def _report(number: int) -> dict[str, object]:
    package = {"id": _PACKAGE, "name": "", "version": "", "caveat": ""}
    return {
        "n": number, "sha256": "", "window_sha256": "", "state": "reported", "package": package,
        "embedding_variance": 1.0, "research_use": "",
        "segment_variance": {
            "variance": np.full((12, 20), float(number)).tolist(), "lead_names": ["I"] * 12,
            "edges_s": list(range(21)),
        },
    }  # fmt: skip


def _picture(number: int) -> bytes:
    return number.to_bytes(4, "big") * (_PICTURE_BYTES // 4)


def _savers(folder: Path) -> dict[str, Callable[[int], None]]:
    """Everything that is saved, by the program's own writers; each takes a running number."""
    store = ResultStore(folder / "results.sqlite3", _PACKAGE)
    log = AuditLog(folder / "audit.jsonl")

    def session(number: int) -> None:
        marks = Marks((), (Note("I", 0.0, 1.0, str(number)),) * 50)
        atomic_write(folder / "session.json", to_json(Session(_PACKAGE, "a.hea", marks)))

    def result(number: int) -> None:
        vector = np.full(256, number, np.float32)
        store.put(folder / f"{number}.hea", Estimated(f"{number:064x}", _report(number), vector))

    return {
        "settings": lambda n: save_settings(
            folder / "settings.json", Settings(tables={str(k): {"n": n} for k in range(100)})
        ),
        "recent files": lambda n: save_recent(
            folder, Recent(remember=True, paths=(Path(str(n)),) * 10)
        ),
        "session": session,
        "work list": result,
        "audit log": lambda n: log.record("opened", recording=_PACKAGE, number=n),
        "export, CSV": lambda n: write_csv(
            folder / "a.csv", ({"n": n, "k": k} for k in range(2000))
        ),
        "export, NPZ": lambda n: write_npz(folder / "a.npz", [Item(n, _report(n), "ECG-1")]),
        "export, picture": lambda n: write_bytes(folder / "a.png", _picture(n)),
    }


def _readers(folder: Path) -> dict[str, Callable[[], int]]:
    """Read the number of the last save of each kind; any exception means that it is not whole."""

    def settings() -> int:
        tables = json.loads((folder / "settings.json").read_text())["tables"]
        (number,) = {entry["n"] for entry in tables.values()}
        assert len(tables) == 100
        return number

    def recent() -> int:
        paths = load_recent(folder).paths
        assert len(paths) == 10
        return int(paths[0].name)

    def session() -> int:
        notes = from_json((folder / "session.json").read_bytes()).marks.notes
        assert len(notes) == 50
        return int(notes[0].text)

    def results() -> int:
        """Find the last result before which none is missing."""
        with sqlite3.connect(folder / "results.sqlite3") as database:
            (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
            assert verdict == "ok"
        store = ResultStore(folder / "results.sqlite3", _PACKAGE)
        number = 0
        while True:
            kept = store.get(f"{number + 1:064x}")
            if kept is None:
                store.close()
                return number
            assert kept.report["n"] == number + 1
            number += 1

    def log() -> int:
        verdict = verify(folder / "audit.jsonl")
        assert not verdict.fault
        lines = (folder / "audit.jsonl").read_bytes().splitlines()
        whole = [line for n, line in enumerate(lines, start=1) if n not in verdict.torn]
        return max(json.loads(line)["number"] for line in whole)

    def table() -> int:
        with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2000
        (number,) = {row["n"] for row in rows}
        return int(number)

    def arrays() -> int:
        with np.load(folder / "a.npz", allow_pickle=False) as found:
            assert found["segment_variance"].shape == (1, 12, 20)
            return int(found["item"][0])

    def picture() -> int:
        content = (folder / "a.png").read_bytes()
        number = int.from_bytes(content[:4], "big")
        assert content == _picture(number)
        return number

    return {
        "settings": settings, "recent files": recent, "session": session, "work list": results,
        "audit log": log, "export, CSV": table, "export, NPZ": arrays, "export, picture": picture,
    }  # fmt: skip


def _save_for_ever(folder: Path, first: int, told: int) -> None:
    savers = _savers(folder)
    kinds = list(savers)
    number = first
    while True:
        for index, kind in enumerate(kinds):
            savers[kind](number)
            os.write(told, f"{index} {number}\n".encode())
        number += 1


def kill_and_look(folder: Path, kills: int, seed: int = 0) -> Found:
    """Kill a saving process again and again, and look each time at what it left.

    Parameters
    ----------
    folder
        To save in; empty.
    kills
        How often.
    seed
        Of the moments.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, no secret
    context = multiprocessing.get_context("fork")
    kinds = list(_savers(folder))
    found = Found(dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0))
    last: dict[str, int] = {}
    number = 1
    for _ in range(kills):
        told, tell = os.pipe()
        process = context.Process(target=_save_for_ever, args=(folder, number, tell))
        process.start()
        os.close(tell)
        # From its first save on: at any moment of any save.
        said = os.read(told, 64)
        time.sleep(rng.uniform(0.0, _LATEST_S))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while block := os.read(told, 65536):
            said += block
        os.close(told)
        for line in said.decode().splitlines():
            index, at = map(int, line.split())
            last[kinds[index]] = at
            found.saved[kinds[index]] += 1
        for kind, read in _readers(folder).items():
            if kind not in last:
                continue
            try:
                there = read()
            except Exception as error:  # noqa: BLE001 - whatever it is, the file is not whole
                print(f"{kind}: {error!r}", file=sys.stderr)
                found.torn[kind] += 1
                continue
            found.lost[kind] += there < last[kind]
        # Each kind's numbers go on without a gap.
        number = max(last.values())
    found.cut_lines = len(verify(folder / "audit.jsonl").torn)
    found.left = len(list(folder.glob(f".*{UNFINISHED}")))
    sweep(folder, older_than_s=0.0)
    found.left_after_sweep = len(list(folder.glob(f".*{UNFINISHED}")))
    return found


def main(kills: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_look(Path(folder), kills)
    print(f"{kills} kills\n")
    print("| what | saved | not whole | lost |")
    print("|---|---|---|---|")
    for kind, saved in found.saved.items():
        print(f"| {kind} | {saved:,} | {found.torn[kind]} | {found.lost[kind]} |")
    print(f"\nLines of the audit log cut short and said to be: {found.cut_lines}.")
    print(f"Unfinished files left: {found.left}; after the next start: {found.left_after_sweep}.")
    return 0 if found.is_good else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))
