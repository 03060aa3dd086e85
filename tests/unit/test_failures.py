"""Killed programs and full disks: the old file or the new one, never half a one; and a sentence."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.kill_saves import kill_and_look
from echoing_gui.audit import AuditLog, verify
from echoing_gui.errors import to_message
from echoing_gui.estimating import Estimated
from echoing_gui.exports import Item, write_bytes, write_csv, write_json, write_npz, write_parquet
from echoing_gui.features.work_list.store import ResultStore
from echoing_gui.files import UNFINISHED, atomic_write, replacing, sweep
from echoing_gui.identity import KEY_NAME, Identity, pseudonyms
from echoing_gui.recent import Recent, save_recent
from echoing_gui.settings import Settings, save_settings
from model_core.errors import EchoingError

RECORDING, PACKAGE = "ab" * 32, "cd" * 32


def test_a_program_that_is_killed_while_it_saves_leaves_everything_whole(tmp_path: Path) -> None:
    found = kill_and_look(tmp_path, 5)
    assert sum(found.saved.values()) > 20
    assert found.is_good, found


def test_what_a_killed_program_left_is_removed_but_not_what_is_being_written(
    tmp_path: Path,
) -> None:
    with replacing(tmp_path / "a.csv") as unfinished:
        unfinished.write_bytes(b"now")
        left = tmp_path / f".b.csv.x1{UNFINISHED}"
        left.write_bytes(b"half of a patient's")
        an_hour_ago = time.time() - 3600
        os.utime(left, (an_hour_ago, an_hour_ago))
        atomic_write(tmp_path / "c.json", b"{}")
        assert unfinished.exists()
        assert not left.exists()
    sweep(tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "c.json"]


def report() -> dict[str, Any]:
    noise = np.random.default_rng(0).normal(size=(12, 2000))
    return {
        "sha256": RECORDING, "window_sha256": None, "state": "reported", "error": None,
        "reasons": [], "recording": None, "window_s": None, "measures": [], "findings": [],
        "lead_quality": [], "embedding_variance": 1.0, "research_use": "",
        "program": {"version": "1"}, "schema_version": 1, "confirmed": [], "file": None,
        "package": {"id": PACKAGE, "name": "", "version": "", "caveat": ""},
        "segment_variance": {
            "lead_names": ["I"] * 12, "edges_s": list(range(2001)), "variance": noise.tolist(),
        },
    }  # fmt: skip


ROOM_BYTES = 20_000
LARGE = "x" * 200_000


def write_all(folder: Path) -> dict[str, Callable[[], object]]:
    """Every writer, with more than the disk has room for, and the file that it writes."""
    item = Item(1, report(), "ECG-1")
    rows = [{"n": n, "text": LARGE[:100]} for n in range(2000)]
    return {
        "settings.json": lambda: save_settings(
            folder / "settings.json", Settings(tables={"a": {"b": LARGE}})
        ),
        "recent.json": lambda: save_recent(folder, Recent(True, (Path(LARGE),))),
        "a.json": lambda: write_json(folder / "a.json", [item]),
        "a.csv": lambda: write_csv(folder / "a.csv", rows),
        "a.parquet": lambda: write_parquet(
            folder / "a.parquet",
            [{"x": float(x)} for x in np.random.default_rng(0).normal(size=20_000)],
        ),
        "a.npz": lambda: write_npz(folder / "a.npz", [item]),
        "a.png": lambda: write_bytes(folder / "a.png", LARGE.encode()),
    }


def in_little_room(folder: Path, answers: Any) -> None:
    """Run in a process of its own, for which no file may grow beyond a few bytes."""
    told = dict[str, tuple[str, str]]()
    writers = write_all(folder)
    log = AuditLog(folder / "audit.jsonl")
    log.on_failure = lambda sentence: told.__setitem__("audit.jsonl", (sentence, ""))
    store = ResultStore(folder / "results.sqlite3", PACKAGE)
    import fastparquet
    import pandas as pd

    del fastparquet, pd
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))
    for name, write in writers.items():
        try:
            write()
        except (EchoingError, OSError) as error:
            told[name] = (type(error).__name__, str(error))
    for number in range(500):
        log.record("opened", recording=RECORDING, number=number)
    try:
        for number in range(1, 50):
            store.put(Path(str(number)), Estimated(f"{number:064x}", report()))
    except OSError as error:
        told["results.sqlite3"] = (type(error).__name__, str(error))
    answers.put(told)


def test_without_room_every_writer_keeps_the_old_file_and_says_so(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    names = list(write_all(tmp_path))
    for name in names:
        (tmp_path / name).write_bytes(b"old")
    log = AuditLog(tmp_path / "audit.jsonl")
    log.record("opened", recording=RECORDING)
    store = ResultStore(tmp_path / "results.sqlite3", PACKAGE)
    store.put(Path("0"), Estimated(RECORDING, {"kept": True}))
    store.close()
    answers: Any = context.SimpleQueue()
    process = context.Process(target=in_little_room, args=(tmp_path, answers))
    process.start()
    told = answers.get()
    process.join()
    assert set(told) == {*names, "audit.jsonl", "results.sqlite3"}
    for name in names:
        assert (tmp_path / name).read_bytes() == b"old", name
    for name in ("a.json", "a.csv", "a.parquet", "a.npz", "a.png"):
        assert told[name][0] == "EchoingError"
        assert "The file of that name is as it was before." in told[name][1]
    assert list(tmp_path.glob(f".*{UNFINISHED}")) == []
    # What had room is in the log, what had none is not, and no line is cut.
    found = verify(log.path)
    assert found.n_lines > 10
    assert (found.fault, found.torn) == ("", ())
    assert "could not be written" in told["audit.jsonl"][0]
    # Results of before are still there, and it goes on when there is room.
    store = ResultStore(tmp_path / "results.sqlite3", PACKAGE)
    kept = store.get(RECORDING)
    assert kept is not None
    assert kept.report == {"kept": True}
    store.put(Path("9"), Estimated("ef" * 32, {"more": True}))
    store.close()
    log.record("opened", recording=RECORDING)
    assert not verify(log.path).fault


def test_a_key_that_cannot_be_kept_is_told_and_nothing_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("echoing_gui.files.os.fsync", full)
    with pytest.raises(EchoingError) as caught:
        pseudonyms(Identity.LINKABLE, tmp_path)
    message = to_message(caught.value)
    assert message.text == "Nothing was exported: the key of your pseudonyms cannot be kept."
    assert message.hint
    assert not (tmp_path / KEY_NAME).exists()
    assert list(tmp_path.iterdir()) == []
