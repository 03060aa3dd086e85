"""Make the pictures of the README from the running program: ``python packaging/screenshots.py``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEventLoop, QTimer

from echoing_gui.resources import demo_recording_path
from echoing_gui.state import AppState
from echoing_gui.wiring import build, default_services, make_application

PICTURES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1440, 810)
SETTLING_MS = 300
TIMEOUT_MS = 60_000
N_LEADS = 12
FLAT_LEAD = 7


def flattened_demonstration(folder: Path) -> Path:
    """Copy the demonstration ECG with one lead at rest, as a lost electrode leaves it."""
    header = demo_recording_path()
    lines = header.read_text(encoding="utf-8").splitlines()
    samples = np.fromfile(header.with_suffix(".dat"), dtype="<i2").reshape(-1, N_LEADS)
    samples[:, FLAT_LEAD] = 0
    fields = lines[1 + FLAT_LEAD].split()
    # Initial value and checksum of a signal line, header(5).
    fields[5:7] = ["0", "0"]
    lines[1 + FLAT_LEAD] = " ".join(fields)
    (folder / header.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / header.with_suffix(".dat").name).write_bytes(samples.tobytes())
    return folder / header.name


def picture(file: Path, target: Path, settings: Path) -> None:
    """Open a file in the window, wait for its result, and save what the window shows."""
    app = make_application()
    program = build(default_services(), settings)
    loop = QEventLoop()

    def on_state(_old: AppState, new: AppState) -> None:
        if new.prediction is not None:
            # Layouts settle after the state has been shown.
            QTimer.singleShot(SETTLING_MS, loop.quit)

    program.controller.state_changed.connect(on_state)
    program.window.resize(*SIZE)
    program.window.show()
    program.controller.load_package()
    program.controller.open_file(file)
    QTimer.singleShot(TIMEOUT_MS, loop.quit)
    loop.exec()
    if program.controller.state.prediction is None:
        sys.exit(f"No result for {file.name}.")
    program.window.grab().save(str(target), "PNG")
    program.window.close()
    app.sendPostedEvents()


def main() -> None:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings"
        picture(demo_recording_path(), PICTURES / "demo.png", settings)
        damaged = flattened_demonstration(Path(folder))
        picture(damaged, PICTURES / "not-reportable.png", settings)


if __name__ == "__main__":
    main()
