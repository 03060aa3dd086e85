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
NEEDS_SHARED = "needs the data folder ../shared beside the checkout"
# Reasons for which a test may be skipped in continuous integration; any other skip fails the run.
LISTED_SKIPS = () if SHARED.is_dir() else (NEEDS_SHARED,)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by one marker, what needs the data folder beside the checkout."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=NEEDS_SHARED)
    for item in items:
        if item.get_closest_marker("needs_shared"):
            item.add_marker(skip)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run under ``CI=true`` that skipped a test for a reason that is not listed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    # A skip's long form is (file, line, "Skipped: reason").
    reasons = [str(report.longrepr[-1]) for report in reporter.stats.get("skipped", [])]
    unlisted = {
        reason for reason in reasons if reason.removeprefix("Skipped: ") not in LISTED_SKIPS
    }
    if unlisted and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\nUnlisted skips: {'; '.join(sorted(unlisted))}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def shared() -> Path:
    """Folder of real recordings and reference outputs, beside the checkout."""
    return SHARED
