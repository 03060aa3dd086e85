from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from model_core.errors import EchoingError
from model_core.leads import STANDARD_LEADS
from tests.unit.ingest_miniatures import counts_of, ecg_mv, write_csv, write_ptbxl, write_wfdb
from training.ingest import (
    IngestConfig,
    ShardStore,
    TableColumns,
    ingest,
    ingest_shard,
    ingest_share,
    verify,
)

ROOT = Path(__file__).parents[2]


def config(tmp_path: Path, out: str = "out", **settings: object) -> IngestConfig:
    values = {"source": "ptbxl", "root": tmp_path / "data", "records_per_shard": 4, **settings}
    return IngestConfig(out=tmp_path / out, **values)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_reads_back_what_the_files_hold(tmp_path: Path) -> None:
    stored = write_ptbxl(tmp_path / "data", 10)
    summary = ingest(config(tmp_path))
    assert (summary.n_records, summary.n_rejected, summary.n_shards) == (10, 0, 3)
    store = ShardStore(tmp_path / "out")
    rows = [7, 0, 3]
    signal_mv = store.read_mv(rows)
    assert signal_mv.dtype == np.float32
    for values, row in zip(signal_mv, rows, strict=True):
        expected = stored[store.index["record_id"][row].as_py()] / 1000.0
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6)
    out = np.empty((1, 12, 5000), np.float32)
    assert store.read_mv([7], out) is out
    np.testing.assert_array_equal(out[0], signal_mv[0])
    # Opened anew, as for a worker of a data loader.
    np.testing.assert_array_equal(copy.copy(store).read_mv(rows), signal_mv)
    assert verify(tmp_path / "out") == []


def test_same_input_gives_the_same_bytes_however_it_is_divided(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 10)
    ingest(config(tmp_path))
    expected = contents(tmp_path / "out")
    assert ingest(config(tmp_path)).n_made == 0
    assert contents(tmp_path / "out") == expected
    ingest(config(tmp_path, "pool", workers=2))
    assert contents(tmp_path / "pool") == expected
    # Two tasks of an array job, a single shard again, and the index at the end.
    assert ingest_share(config(tmp_path, "array"), 1, 2) == 1
    assert ingest_share(config(tmp_path, "array"), 0, 2) == 2
    assert not ingest_shard(config(tmp_path, "array"), 2)
    assert ingest(config(tmp_path, "array")).n_made == 0
    assert contents(tmp_path / "array") == expected


def test_killed_at_any_time_it_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 24)
    ingest(config(tmp_path, "whole"))
    expected = contents(tmp_path / "whole")
    program = (
        "import sys; from pathlib import Path; from training.ingest import *\n"
        "ingest(IngestConfig(source='ptbxl', root=Path(sys.argv[1]), out=Path(sys.argv[2]),"
        " records_per_shard=4))"
    )
    shards = tmp_path / "out" / "shards"
    for n_finished in (1, 3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "data", tmp_path / "out"], cwd=ROOT
        )
        while process.poll() is None and len(list(shards.glob("?????.parquet"))) < n_finished:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = len(list(shards.glob("?????.parquet")))
    assert ingest(config(tmp_path)).n_made == 6 - kept
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("what", ["00001.npy", "00001.parquet", "00001.rejected.parquet"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_torn_shard_is_made_again(tmp_path: Path, what: str, how: str) -> None:
    write_ptbxl(tmp_path / "data", 10)
    ingest(config(tmp_path))
    expected = contents(tmp_path / "out")
    torn = tmp_path / "out" / "shards" / what
    if how == "cut" and "rejected" not in what:
        os.truncate(torn, torn.stat().st_size // 2)
    else:
        torn.unlink()
    (torn.parent / f"{what}.123.tmp").write_bytes(b"half")
    assert ingest(config(tmp_path)).n_made == 1
    assert contents(tmp_path / "out") == expected


def test_a_changed_table_remakes_only_its_shards(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 12)
    ingest(config(tmp_path))
    table = tmp_path / "data" / "ptbxl_database.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines).replace("\n12,6.0,60.0", "\n12,6.0,61.0"))
    assert ingest(config(tmp_path)).n_made == 1
    assert pq.read_table(tmp_path / "out/index.parquet")["age_y"].to_pylist()[-1] == 61.0
    table.write_text("".join(lines[: 1 + 2 * 8]))  # each report spans two lines
    ingest(config(tmp_path))
    assert len(ShardStore(tmp_path / "out")) == 8
    assert not (tmp_path / "out/shards/00002.npy").exists()


def test_a_flipped_bit_is_named(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 6)
    ingest(config(tmp_path))
    shard = tmp_path / "out/shards/00001.npy"
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    (damage,) = verify(tmp_path / "out")
    assert "00001.npy, row 1 (record 6)" in damage
    shard.write_bytes(content[:-100_000])
    with pytest.raises(EchoingError, match=r"00001\.npy"):
        ShardStore(tmp_path / "out")


def test_bad_recordings_are_listed_and_never_fatal(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 6)
    folder = tmp_path / "data/records500/00000"
    (folder / "00002_hr.dat").unlink()
    os.truncate(folder / "00003_hr.dat", 1000)
    (folder / "00004_hr.hea").write_bytes(b"\xff\x00 nonsense")
    write_wfdb(folder / "00005_hr", counts_of(ecg_mv(1, 2500), 1000), STANDARD_LEADS, gain=1000.0)
    summary = ingest(config(tmp_path))
    assert (summary.n_records, summary.n_rejected) == (2, 4)
    rejected = pq.read_table(tmp_path / "out/rejected.parquet").to_pylist()
    reasons = {row["record_id"]: (row["code"], row["message"]) for row in rejected}
    assert reasons["2"][0] == "data_missing"
    assert reasons["3"][0] == "size_mismatch"
    assert reasons["5"] == (
        "too_short",
        "00005_hr lasts 5 s; 10 s from second 0 on are needed.",
    )
    assert all(message.endswith(".") for _, message in reasons.values())
    store = ShardStore(tmp_path / "out")
    assert store.index["record_id"].to_pylist() == ["1", "6"]
    assert store.index["row"].to_pylist() == [0, 0]
    assert verify(tmp_path / "out") == []


def test_slower_recordings_and_gaps_are_nan(tmp_path: Path) -> None:
    counts = counts_of(ecg_mv(1), 1000)
    counts[2, 100] = -(2**15)
    write_wfdb(tmp_path / "data/fast", counts, STANDARD_LEADS, gain=1000.0)
    slow = counts_of(ecg_mv(2, 2500, 250.0), 1000)
    write_wfdb(tmp_path / "data/slow", slow, STANDARD_LEADS, fs=250, gain=1000.0)
    quick = counts_of(ecg_mv(2, 10_000, 1000.0), 1000)
    write_wfdb(tmp_path / "data/quick", quick, STANDARD_LEADS, fs=1000, gain=1000.0)
    rows = [(name, f"p{name}") for name in ("fast", "slow", "quick")]
    write_csv(tmp_path / "data/t.csv", ("path", "patient_id"), rows)
    settings = {"source": "folder", "columns": TableColumns(table="t.csv")}
    assert ingest(config(tmp_path, **settings)).n_rejected == 1
    store = ShardStore(tmp_path / "out")
    assert store.index["fs"].to_pylist() == [500.0, 250.0]
    assert store.index["n_samples"].to_pylist() == [5000, 2500]
    assert store.index["n_missing"].to_pylist() == [1, 0]
    assert store.index["quality"].to_pylist() == [["missing_samples"], []]
    fast, slower = store.read_mv([0, 1])
    assert np.flatnonzero(np.isnan(fast)).tolist() == [2 * 5000 + 100]
    assert np.isnan(slower[:, 2500:]).all()
    np.testing.assert_allclose(slower[:, :2500], slow / 1000, atol=1e-6)
    (reason,) = pq.read_table(tmp_path / "out/rejected.parquet").to_pylist()
    assert "1000 Hz" in reason["message"]
    assert ingest(config(tmp_path, "out2", max_fs=1000.0, **settings)).n_records == 3


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 6)
    ingest(config(tmp_path))
    with pytest.raises(EchoingError, match="other settings"):
        ingest(config(tmp_path, records_per_shard=2))


def test_a_small_disk_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ptbxl(tmp_path / "data", 6)
    usage = shutil.disk_usage(tmp_path)._replace(free=6 * 120_000 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EchoingError, match=r"1 MB free"):
        ingest(config(tmp_path))
    assert not (tmp_path / "out/shards").exists()


def test_an_unfinished_ingest_is_not_read(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 6)
    ingest_shard(config(tmp_path), 0)
    with pytest.raises(EchoingError, match="no finished ingest"):
        ShardStore(tmp_path / "out")


def test_a_leaking_index_is_not_read(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 6)
    ingest(config(tmp_path))
    path = tmp_path / "out/index.parquet"
    index = pq.read_table(path)
    splits = index["split"].to_pylist()
    splits[0] = "test"
    i = index.column_names.index("split")
    pq.write_table(index.set_column(i, "split", [splits]), path)
    with pytest.raises(EchoingError, match="more than one split, for instance 1"):
        ShardStore(tmp_path / "out")
