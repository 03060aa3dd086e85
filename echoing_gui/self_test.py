"""Proof that an installation works: package, demonstration ECG, prediction, picture; no screen."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QColor, QImage

from echoing_gui import resources, theme
from echoing_gui.errors import Unexpected
from echoing_gui.features.exporting.records import REPORT_PDF, record_bytes
from echoing_gui.log import log
from echoing_gui.state import AppState, Stage
from echoing_gui.view_models.report import PAPERS
from echoing_gui.view_models.results import result_view
from echoing_gui.wiring import Program, build, default_services, make_application
from model_core.errors import EchoingError
from model_core.types import ResultState

TIMEOUT_MS = 60_000
_LEAST_TRACE_PIXELS = 2000


class SelfTestError(Exception):
    """A step of the self-test failed; the message says which way."""


def self_test(picture: Path | None) -> int:
    """Run the self-test and print one line a step.

    Parameters
    ----------
    picture
        Where to keep the picture of the window (PNG), if at all.

    Returns
    -------
    int
        0, or 1 if a step failed.
    """
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    try:
        for line in _steps(picture):
            _say(f"ok    {line}")
    except (SelfTestError, EchoingError, OSError) as error:
        _say(f"FAILED  {error}")
        return 1
    return 0


def _steps(picture: Path | None) -> Iterator[str]:
    yield f"version {resources.program_version()}"
    from model_core.runtime.package import load_package
    from model_core.runtime.predictor import Predictor
    from model_core.runtime.text import TextEncoder

    predictor = Predictor(load_package(resources.default_package_path()))
    difference = predictor.self_test()
    identity = predictor.package.identity
    package = f"{identity.name} {identity.version}"
    yield f"model package {package}: golden numbers within {difference:.1e}"
    for part in predictor.package.texts:
        difference = TextEncoder(part).self_test()
        yield f"its text side {part.side.key}: golden sentence within {difference:.1e}"

    log.addHandler(logging.NullHandler())
    unexpected = Unexpected()
    errors: list[BaseException] = []
    unexpected.happened.connect(errors.append)
    unexpected.install()
    app = make_application()
    with tempfile.TemporaryDirectory() as folder:
        program = build(default_services(), Path(folder))
        program.window.show()
        try:
            state = _open_demonstration(program)
            view = result_view(state)
            values = ", ".join(f"{row.value_text} ({row.interval_text})" for row in view.measures)
            yield f"demonstration ECG: {values}"
            yield f"report: {len(record_bytes(state, REPORT_PDF, PAPERS[0], ''))} bytes of PDF"
            yield f"window painted: {_check_picture(program, picture)} trace pixels"
        finally:
            program.window.close()
            app.sendPostedEvents()
            unexpected.remove()
    if errors:
        raise SelfTestError(f"unexpected error: {errors[0]!r}")


def _open_demonstration(program: Program) -> AppState:
    """Open the demonstration ECG as a user would, and wait for its result."""
    controller = program.controller
    loop = QEventLoop()

    def on_state(_old: AppState, new: AppState) -> None:
        failed = new.message is not None and new.job.stage is Stage.IDLE
        if new.prediction is not None or failed:
            loop.quit()

    controller.state_changed.connect(on_state)
    controller.load_package()
    controller.open_demo()
    QTimer.singleShot(TIMEOUT_MS, loop.quit)
    loop.exec()
    controller.state_changed.disconnect(on_state)
    state = controller.state
    if state.prediction is None:
        reason = state.message.text if state.message else "no result in time"
        raise SelfTestError(f"demonstration ECG: {reason}")
    if state.prediction.state is ResultState.NOT_REPORTABLE:
        reasons = " ".join(reason.message for reason in state.prediction.reasons)
        raise SelfTestError(f"demonstration ECG not reportable: {reasons}")
    return state


def _check_picture(program: Program, picture: Path | None) -> int:
    """Paint the window into a picture and count the pixels of the traces."""
    image = program.window.grab().toImage()
    if picture is not None and not image.save(str(picture)):
        raise SelfTestError(f"the picture could not be written to {picture.name}")
    view = program.window.traces.view
    ecg = view.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    dark = QColor(theme.TRACE).lightness() + 60
    n_dark = sum(
        ecg.pixelColor(x, y).lightness() < dark
        for x in range(0, ecg.width(), 2)
        for y in range(0, ecg.height(), 2)
    )
    if n_dark < _LEAST_TRACE_PIXELS:
        raise SelfTestError(f"the picture is empty: {n_dark} dark pixels")
    return n_dark


def _say(line: str) -> None:
    # A program without a console has no output.
    if sys.stdout is not None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
