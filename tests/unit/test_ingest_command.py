from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.ingest_miniatures import (
    counts_of,
    ecg_mv,
    write_csv,
    write_ptbxl,
    write_wfdb,
)
from tests.unit.test_ingest_echo import write_echo
from training.__main__ import main
from training.ingest import ShardStore

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def command(tmp_path: Path, out: str) -> list[str]:
    return [
        *("ingest", "--kind", "ptbxl", "--source", str(tmp_path / "data")),
        *("--out", str(tmp_path / out), "--records-per-shard", "3"),
    ]


def test_two_tasks_at_once_and_the_merge_give_the_bytes_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ptbxl(tmp_path / "data", 20)
    assert main(command(tmp_path, "whole")) == 0
    assert "holds 20 recordings in 7 shards, 7 of them made now." in capsys.readouterr().out
    tasks = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "training", *command(tmp_path, "array")),
                *("--shard", f"{i}/2"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    said = [task.communicate(timeout=120)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0]
    assert "it made 4 shards" in said[0]
    assert "it made 3 shards" in said[1]
    assert not (tmp_path / "array/index.parquet").exists()
    assert main([*command(tmp_path, "array"), "--verify"]) == 0
    output = capsys.readouterr().out
    assert "0 of them made now" in output
    assert "Every byte is as it was written." in output
    assert contents(tmp_path / "array") == contents(tmp_path / "whole")


def test_a_folder_with_its_own_table(tmp_path: Path) -> None:
    rows = []
    for i in range(4):
        write_wfdb(
            tmp_path / f"data/r{i}",
            counts_of(ecg_mv(i, 1000, 100.0), 1000),
            ["I", "II", "III", "aVR", "aVL", "aVF", *(f"V{k}" for k in range(1, 7))],
            fs=100,
            gain=1000.0,
        )
        rows.append((f"r{i}", f"p{i}", f"{30 + i},5", "f", "sinus rhythm"))
    header = ("file", "who", "lvef_pct", "x", "text")
    write_csv(tmp_path / "data/t.csv", header, rows, delimiter=";")
    arguments = [
        *("ingest", "--kind", "folder", "--source", str(tmp_path / "data")),
        *("--out", str(tmp_path / "out"), "--table", "t.csv", "--delimiter", ";"),
        *("--columns", "path=file", "patient=who", "report=text"),
        *("--labels", "lvef_pct", "--decimal-comma", "--max-fs", "100"),
    ]
    assert main(arguments) == 0
    store = ShardStore(tmp_path / "out")
    assert store.shape == (12, 1000)
    assert store.index["label_lvef_pct"].to_pylist() == [30.5, 31.5, 32.5, 33.5]
    assert store.index["report"].to_pylist() == ["sinus rhythm"] * 4


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--kind", "folder"], "The kind 'folder' needs --table"),
        (["--kind", "folder", "--table", "t.csv", "--columns", "who=x"], "'who=x' does not say"),
        (["--table", "t.csv"], "belong to the source 'folder'"),
        (["--source", "nowhere"], "The table ptbxl_database.csv is not in nowhere."),
        (["--workers", "0"], "must be at least 1"),
    ],
)
def test_a_wrong_command_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    write_ptbxl(tmp_path / "data", 2)
    assert main([*command(tmp_path, "out"), *more]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ptbxl(tmp_path / "data", 2)
    (tmp_path / "out").write_text("a file")
    assert main(command(tmp_path, "out")) == 1
    assert "settings.json cannot be written" in capsys.readouterr().err


def test_a_full_disk_is_noticed_by_each_task_of_an_array(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ptbxl(tmp_path / "data", 20)
    # Task 0 of 2 makes four shards of three, three, three and two recordings.
    usage = shutil.disk_usage(tmp_path)._replace(free=11 * 120_000 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert main([*command(tmp_path, "out"), "--shard", "0/2"]) == 1
    assert "MB free" in capsys.readouterr().err
    usage = usage._replace(free=11 * 120_000)
    assert main([*command(tmp_path, "out"), "--shard", "0/2"]) == 0


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2", "0/0"])
def test_a_wrong_share_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    with pytest.raises(SystemExit):
        main([*command(tmp_path, "out"), f"--shard={text}"])
    assert "--shard" in capsys.readouterr().err


def test_echo_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_echo(tmp_path / "data")
    arguments = ["ingest-echo", "--source", str(tmp_path / "data")]
    assert main([*arguments, "--list-measurements"]) == 0
    assert "         1  lv_edv" in capsys.readouterr().out
    assert main(arguments) == 1
    assert "--out is missing" in capsys.readouterr().err
    arguments += ["--out", str(tmp_path / "out"), "--measure", "lv_edv=lvedv_ml:ml"]
    assert main(arguments) == 0
    assert "holds 5 echoes" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "out/echo.parquet")
    assert table["label_lvedv_ml"].to_pylist()[0] == 120.0
    assert main([*arguments[:-1], "lv_edv"]) == 1
    assert "Write NAME=KEY:UNIT" in capsys.readouterr().err
