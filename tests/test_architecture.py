"""The rules of the house that no type checker sees: who imports whom, and what stays small."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_FOLDERS = ("echoing_gui", "model_core", "training", "packaging", "benchmarks", "tests")
MAX_LINES = 500

# Modules that may be longer than MAX_LINES, each with the reason.
LONG_MODULES: dict[str, str] = {}

# What training is made of, and what the exporter needs: never in the desktop program.
TRAINING_ONLY = (
    "torch",
    "torchvision",
    "lightning",
    "open_clip",
    "transformers",
    "onnx",
    "training",
)

START_AND_LIST_MODULES = """
import json, runpy, sys
sys.argv = ["echoing", "--self-test"]
try:
    runpy.run_module("echoing_gui", run_name="__main__")
    code = 0
except SystemExit as end:
    code = end.code or 0
json.dump({"code": code, "modules": sorted(sys.modules)}, sys.stderr)
"""


def test_import_contracts_hold():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_starting_and_predicting_loads_nothing_of_training(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", START_AND_LIST_MODULES],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    report = json.loads(run.stderr.splitlines()[-1])
    assert report["code"] == 0, run.stdout + run.stderr
    loaded = {name.partition(".")[0] for name in report["modules"]}
    # The run really went through Qt and the network, or the absence of torch means nothing.
    assert {"PySide6", "onnxruntime", "model_core"} <= loaded
    assert loaded.isdisjoint(TRAINING_ONLY)


def test_no_module_is_long_without_a_reason():
    sources = [path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert sources
    long = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    }
    assert long == set(LONG_MODULES)


def test_packaging_folder_does_not_shadow_the_library_of_that_name():
    assert not (ROOT / "packaging" / "__init__.py").exists()
    library = importlib.import_module("packaging.version")
    assert library.__file__ is not None
    assert ROOT / "packaging" not in Path(library.__file__).parents


@pytest.mark.parametrize(
    ("package", "registry"),
    [
        ("model_core.io", "READERS"),
        ("echoing_gui.panels", "PANELS"),
    ],
)
def test_registry_names_every_module_of_its_folder(package, registry):
    module = importlib.import_module(package)
    assert module.__file__ is not None
    folder = Path(module.__file__).parent
    there = {f"{package}.{path.stem}" for path in folder.glob("[!_]*.py")}
    # An entry is a module, or a class or function of one.
    named = {
        entry.__name__ if inspect.ismodule(entry) else entry.__module__
        for entry in getattr(module, registry)
    }
    assert there
    assert named == there


def test_what_the_feature_table_names_is_there():
    """Each test and page that docs/features.md names as a proof exists."""
    text = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    for page in re.findall(r"\]\(([\w./-]+)", text):
        assert (ROOT / "docs" / page).is_file(), page
    file = ""
    for named in re.findall(r"`((?:unit/)?test_\w+(?:\.py)?(?:::test_\w+)?)`", text):
        name = named
        if ".py" in named:
            file, _, name = named.partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source, f"{file}::{name}"
