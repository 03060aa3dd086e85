"""Light and dark: a window that changed its colours looks as one that was started in them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Folder of pictures, and the changes of the ECG's size, of one window each."""
    started = {}
    for themes in (("light", "dark", "light"), ("dark",)):
        folder = tmp_path_factory.mktemp("themed")
        command = [sys.executable, "-m", "tests.themed", str(folder), *themes]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}
        started[themes] = (
            folder,
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ),
        )
    done = {}
    for themes, (folder, process) in started.items():
        said, wrong = process.communicate(timeout=120)
        assert process.returncode == 0, wrong
        done[themes] = (folder, int(said))
    return done


def pictures(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_changed_colours_are_those_of_a_window_started_in_them(windows):
    changed, _ = windows["light", "dark", "light"]
    started, _ = windows["dark",]
    light, dark = pictures(changed / "0 light"), pictures(changed / "1 dark")
    assert light.keys() == dark.keys()
    assert len(set(light.values())) > 10
    assert not [name for name in light if light[name] == dark[name]]
    shown = pictures(started / "0 dark")
    assert not [name for name in dark if dark[name] != shown[name]]
    back = pictures(changed / "2 light")
    assert not [name for name in light if light[name] != back[name]]


def test_the_ecg_does_not_move_while_the_colours_change(windows):
    _, resized = windows["light", "dark", "light"]
    assert resized == 0
