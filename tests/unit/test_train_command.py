"""`echoing-train` says in a sentence what it lacks, before anything is spent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
