"""Shared fixtures."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# The window speaks the system's language.
os.environ["LC_ALL"] = "C.UTF-8"

# Before Qt: on Windows the DLLs of ONNX Runtime fail to load after Qt's (pytest-qt loads Qt).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # noqa: F401
import pytest

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from echoing_gui.wiring import Program
    from tests.gui_factory import FakeServices


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


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings and reference outputs, beside the checkout."""
    return SHARED


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    """Keep whatever the tests write out of the user's folders."""
    from PySide6.QtCore import QStandardPaths
    from PySide6.QtWidgets import QApplication

    QStandardPaths.setTestModeEnabled(True)
    return QApplication


@pytest.fixture(autouse=True)
def no_gui_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test of the window that leaves widgets, workers or running timers behind."""
    if not {"qapp", "qtbot"} & set(request.fixturenames):
        yield
        return
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from echoing_gui import wiring

    app = wiring.make_application()
    before = set(map(id, QApplication.topLevelWidgets()))
    yield
    settle()
    left = [w for w in QApplication.topLevelWidgets() if id(w) not in before and not w.parent()]
    assert not left, f"widgets left behind: {left}"
    workers = [t for t in threading.enumerate() if t.name.startswith("echoing")]
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers), "a worker still runs"
    timers = [t for t in app.findChildren(QTimer) if t.isActive()]
    assert not timers, f"timers left running: {timers}"


def settle() -> None:
    """Let queued events and deferred deletions happen."""
    from PySide6.QtCore import QEvent, QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication

    loop = QEventLoop()
    QTimer.singleShot(0, loop.quit)
    loop.exec()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def fake() -> FakeServices:
    """Services that know the recordings a.hea, b.hea and demo.hea."""
    from tests.gui_factory import FakeServices, recording

    names = ("a.hea", "b.hea", "demo.hea")
    return FakeServices({n: recording(n, simulated=n == "demo.hea") for n in names})


@pytest.fixture
def program(qtbot: QtBot, fake: FakeServices, tmp_path: Path) -> Iterator[Program]:
    """A window on the screen with its package loaded and its screen calibrated to 4 px/mm."""
    from tests.gui_factory import make_program

    made = make_program(fake, tmp_path)
    made.window.resize(1600, 900)
    made.window.show()
    made.controller.calibrate(4.0)
    made.controller.load_package()
    qtbot.waitUntil(
        lambda: (
            made.controller.state.package is not None
            or made.controller.state.package_failed is not None
        )
    )
    yield made
    made.window.close()
    made.window.deleteLater()
    made.controller.deleteLater()
