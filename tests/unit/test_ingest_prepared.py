from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core.errors import EchoingError
from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec, prepare
from model_core.types import Recording
from tests.unit.ingest_miniatures import counts_of, ecg_mv, write_csv, write_wfdb
from training.ingest import IngestConfig, ShardStore, TableColumns, ingest, prepared
from training.ingest.prepared import Part, Scale, is_prepared, prepare_rows, write_prepared

SPEC = PreprocessSpec()
RATES = (500.0, 250.0, 100.0, 360.0)


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    """Eight recordings of four rates, with drift and noise."""
    rows = []
    for i in range(8):
        fs = RATES[i % 4]
        rng = np.random.default_rng(i)
        signal = ecg_mv(i, round(10 * fs), fs) + 0.02 * rng.standard_normal((12, round(10 * fs)))
        signal[:, :] += np.linspace(0, 0.8, signal.shape[1])
        write_wfdb(tmp_path / f"data/r{i}", counts_of(signal, 1000), STANDARD_LEADS, fs=fs,
                   gain=1000.0)  # fmt: skip
        rows.append((f"r{i}", f"p{i}"))
    write_csv(tmp_path / "data/t.csv", ("path", "patient_id"), rows)
    ingest(
        IngestConfig(
            source="folder",
            root=tmp_path / "data",
            out=tmp_path / "store",
            columns=TableColumns(table="t.csv"),
        )
    )
    return ShardStore(tmp_path / "store")


def expected_mv(store: ShardStore, row: int) -> np.ndarray:
    """What the desktop program makes of the same recording."""
    fs = RATES[row % 4]
    signal = store.read_mv([row])[0][:, : round(10 * fs)]
    return prepare(Recording("", signal, fs, STANDARD_LEADS, ""), SPEC)[0]


def test_equals_what_the_program_does_at_every_rate(store: ShardStore) -> None:
    rows = np.array([5, 0, 7, 2, 1, 3])
    made = prepare_rows(store, rows, SPEC)
    assert made.shape == (6, 12, 1000)
    for values, row in zip(made, rows, strict=True):
        np.testing.assert_allclose(values, expected_mv(store, row), atol=2e-6)


def test_any_number_of_processes_gives_the_same_file(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "CHUNK", 3)
    scale = Scale(np.full(12, 0.1, np.float32), np.full(12, 2.0, np.float32))
    parts = [
        Part(store.folder, np.array([6, 5, 4, 3]), 0),
        Part(store.folder, np.array([0, 1]), 4, scale),
    ]
    for workers in (1, 2):
        write_prepared(tmp_path / f"{workers}.npy", parts, SPEC, plan="a", workers=workers)
    content = (tmp_path / "1.npy").read_bytes()
    assert content == (tmp_path / "2.npy").read_bytes()
    made = np.load(tmp_path / "1.npy")
    assert made.dtype == np.float16
    assert made.shape == (6, 12, 1000)
    np.testing.assert_allclose(made[0], expected_mv(store, 6), rtol=2**-11, atol=1e-6)
    np.testing.assert_allclose(made[5], (expected_mv(store, 1) - 0.1) * 2, rtol=2**-11, atol=1e-5)


def test_goes_on_where_it_was_stopped(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "CHUNK", 2)
    parts = [Part(store.folder, np.arange(8), 0)]
    write_prepared(tmp_path / "whole.npy", parts, SPEC, plan="a", workers=1)
    write, begun = prepared._write, []

    def stopped(job: Any) -> tuple[int, int]:
        begun.append(job.part.first)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return write(job)

    target = tmp_path / "ecg.npy"
    monkeypatch.setattr(prepared, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_prepared(target, parts, SPEC, plan="a", workers=1)
    assert is_prepared(target)
    write_prepared(target, parts, SPEC, plan="a", workers=1)
    assert begun == [0, 2, 4, 4, 6]
    assert target.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    # Nothing is left to do; another plan begins anew.
    write_prepared(target, parts, SPEC, plan="a", workers=1)
    assert len(begun) == 5
    write_prepared(target, parts, SPEC, plan="b", workers=1)
    assert len(begun) == 9


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to reserve space here")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    parts = [Part(store.folder, np.arange(8), 0)]
    with pytest.raises(EchoingError, match=r"ecg\.npy cannot be written: No space left on device"):
        write_prepared(tmp_path / "ecg.npy", parts, SPEC, plan="a", workers=1)
    assert not (tmp_path / "ecg.npy").exists()
