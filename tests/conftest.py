"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# Before Qt: on Windows the DLLs of ONNX Runtime fail to load after Qt's (pytest-qt loads Qt).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # noqa: F401
import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by one marker, what needs the data folder beside the checkout."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason="needs the data folder ../shared beside the checkout")
    for item in items:
        if item.get_closest_marker("needs_shared"):
            item.add_marker(skip)


@pytest.fixture
def shared() -> Path:
    """Folder of real recordings and reference outputs, beside the checkout."""
    return SHARED
