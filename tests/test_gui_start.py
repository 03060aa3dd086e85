"""Start of the program in a process of its own: what is loaded when, and the self-test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = {"scipy", "wfdb", "pandas", "onnxruntime", "matplotlib"}
TRAINING = {"torch", "lightning", "open_clip", "transformers", "onnx"}

# Runs the program on the demonstration ECG and notes what is loaded when the window stands.
WATCHED_RUN = """
import json, sys
from pathlib import Path
from echoing_gui import main_window, wiring, resources
seen = {}
class Watched(main_window.MainWindow):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.painted.connect(self._note)
    def _note(self):
        seen["painted"] = sorted(sys.modules)
wiring.MainWindow = Watched
code = wiring.run(resources.demo_recording_path(), Path(sys.argv[1]))
seen["end"] = sorted(sys.modules)
seen["code"] = code
print(json.dumps(seen))
"""


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"), "QT_QPA_PLATFORM": "offscreen", **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    done = run("-c", WATCHED_RUN, str(home / "start.json"), home=home)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "report": json.loads((home / "start.json").read_text())}


def packages(modules):
    return {name.partition(".")[0] for name in modules}


def test_the_window_stands_before_anything_slow_is_loaded(watched):
    assert "PySide6" in packages(watched["painted"])
    assert not packages(watched["painted"]) & SLOW


def test_reading_and_predicting_loads_nothing_of_training(watched):
    loaded = packages(watched["end"])
    # Files are read by another process: see tests/unit/test_reading.py.
    assert ("onnxruntime" in loaded, "wfdb" in loaded) == (True, False)
    assert not loaded & TRAINING


def test_the_start_report_is_in_order_and_the_program_quits(watched):
    report = watched["report"]
    assert watched["code"] == 0
    assert report["has_result"] is True
    assert report["started_s"] < report["window_painted_s"] < report["finished_s"]


def test_self_test_passes_and_keeps_the_picture(tmp_path):
    picture = tmp_path / "window.png"
    done = run("-m", "echoing_gui", "--self-test", "--picture", str(picture), home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "golden numbers within" in done.stdout
    assert picture.stat().st_size > 50_000


def test_self_test_fails_with_the_reason_when_the_demonstration_is_missing(tmp_path):
    script = (
        "import sys; from pathlib import Path; from echoing_gui import resources;"
        "resources.demo_recording_path = lambda: Path('nowhere.hea');"
        "from echoing_gui.self_test import self_test; sys.exit(self_test(None))"
    )
    done = run("-c", script, home=tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "nowhere.hea was not opened" in done.stdout


def test_version_and_usage_need_no_window(tmp_path):
    assert run("-m", "echoing_gui", "--version", home=tmp_path).stdout.startswith("echoing ")
    assert run("-m", "echoing_gui", "--no-such-option", home=tmp_path).returncode == 2
