"""Two screens of different density: a millimetre is one on either, or the window says it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What is seen after each move of the window."""
    folder = tmp_path_factory.mktemp("screens")
    done = subprocess.run(
        [sys.executable, "-m", "tests.two_screens", str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_window_is_really_on_screens_of_different_density(steps):
    where = {name: (step["screen"], step["ratio"]) for name, step in steps.items()}
    assert where == {
        "desk, calibrated": ("desk", 1.0),
        "fine, unknown": ("fine", 2.0),
        "fine, calibrated": ("fine", 2.0),
        "desk again": ("desk", 1.0),
        "fine again": ("fine", 2.0),
    }


def test_a_screen_that_was_not_measured_is_not_to_scale(steps):
    assert steps["fine, unknown"]["status"].startswith("NOT TO SCALE")


@pytest.mark.parametrize(
    ("step", "screen", "px_per_mm"),
    [
        ("desk, calibrated", "desk", 4),
        ("fine, calibrated", "fine", 9),
        ("desk again", "desk", 4),
        ("fine again", "fine", 9),
    ],
)
def test_each_screen_keeps_its_own_millimetre(steps, step, screen, px_per_mm):
    """Heavy lines are 5 mm apart and the pulse is 10 mm high, in pixels of the screen."""
    seen = steps[step]
    assert seen["status"].startswith(f"To scale: {screen}, calibrated")
    assert seen["spacings"] == [5 * px_per_mm]
    assert seen["n_lines"] > 40
    assert seen["pulse_px"] == pytest.approx(10 * px_per_mm, abs=1)


def test_the_picture_is_drawn_in_the_pixels_of_the_fine_screen_and_not_enlarged(steps):
    assert not steps["fine, calibrated"]["doubled"]
    assert not steps["fine again"]["doubled"]
