"""`echoing-train` says in a sentence what it lacks, before anything is spent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import main
from training.commands import curves

ROOT = Path(__file__).parents[2]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nsys.exit(main(sys.argv[1:]))", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )


def test_without_torch_it_names_what_to_install(tmp_path: Path) -> None:
    found = run(
        "sys.modules['torch'] = None\nfrom training.__main__ import main",
        "reproduce-default",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    )
    assert found.returncode == 1
    assert found.stderr == (
        "Training needs the package torch, which is not installed: "
        "pip install 'echoing-ecg[train]'.\n"
    )
    assert not (tmp_path / "out").exists()


def test_help_does_not_wait_for_torch() -> None:
    found = run("sys.modules['torch'] = None\nfrom training.__main__ import main", "--help")
    assert found.returncode == 0
    assert "reproduce-default" in found.stdout


@pytest.mark.parametrize("option", ["--out", "--page", "--runs", "--embeddings"])
def test_what_would_fail_after_the_training_is_told_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    file = tmp_path / "file"
    file.write_text("a file, where a folder or a Parquet file is wanted")
    given = {
        "--runs": tmp_path / "runs",
        option: f"X={file}" if option == "--embeddings" else file / "in" / "it",
    }
    arguments = [str(part) for pair in given.items() for part in pair]
    assert main(["run", "--recipe", "debug", "--data", str(tmp_path / "none"), *arguments]) == 1
    said = capsys.readouterr().err
    wanted = "is not a Parquet file" if option == "--embeddings" else "Nothing can be written in"
    assert said.count("\n") == 1
    assert wanted in said


def test_a_stopped_command_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(curves, "_run", stopped)
    assert main(["curves", "runs"]) == 130
    assert "goes on from there" in capsys.readouterr().err
