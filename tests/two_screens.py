"""Move the window between two screens of different density and print what is seen, as JSON.

Run in a process of its own: Qt's offscreen platform learns of its screens when it starts. There, a
screen of twice the logical resolution is one of twice the density, for which windows follow.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SCREENS = (
    {"name": "desk", "x": 0, "width": 1920, "height": 1080, "logicalDpi": 96},
    {"name": "fine", "x": 1920, "width": 3840, "height": 2160, "logicalDpi": 192},
)
COMMON = {"y": 0, "logicalBaseDpi": 96, "dpr": 1}


def main(folder: Path) -> None:
    config = folder / "screens.json"
    config.write_text(json.dumps({"screens": [COMMON | each for each in SCREENS]}))
    os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={config}"

    import numpy as np
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtGui import QColor, QGuiApplication, QImage

    from echoing_gui import theme, wiring
    from tests.gui_factory import FakeServices, make_program, recording, spike_signal

    app = wiring.make_application()
    fake = FakeServices({"a.hea": recording("a.hea", spike_signal(at_s=(1.0, 2.0)))})
    program = make_program(fake, folder)
    window, controller = program.window, program.controller

    def settle() -> None:
        loop = QEventLoop()
        QTimer.singleShot(150, loop.quit)
        loop.exec()

    def seen() -> dict[str, Any]:
        settle()
        view = window.traces.view.viewport()
        image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        size = image.width(), image.height()
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(size[1], -1, 4)[:, : size[0]]
        paper = QColor(theme.GRID_HEAVY)
        heavy = (pixels[..., 2::-1] == (paper.red(), paper.green(), paper.blue())).all(axis=-1)
        # Columns of paper that are heavy lines from top to bottom, but for what lies on them.
        lines = np.flatnonzero(heavy.mean(axis=0) > 0.5)
        # Plateau and foot of the first pulse, below the header.
        ratio, px_per_mm = image.devicePixelRatio(), controller.state.screen.device_px_per_mm
        top, height, width = round(44 * ratio), round(16 * px_per_mm), round(13 * px_per_mm)
        dark = pixels[top : top + height, :width, :3].max(axis=-1) < 128
        flat = np.flatnonzero(dark.sum(axis=1) > 4 * px_per_mm)
        rows, columns = size[1] // 2 * 2, size[0] // 2 * 2
        even, odd = pixels[:rows, 0:columns:2], pixels[:rows, 1:columns:2]
        return {
            "screen": window.screen().name(),
            "ratio": ratio,
            "px_per_mm": px_per_mm,
            "spacings": sorted(set(np.diff(lines).tolist())),
            "n_lines": len(lines),
            "pulse_px": int(flat[-1] - flat[0]),
            "doubled": bool((even == odd).all()),
            "status": window._scale.text(),
        }

    on = [screen.geometry() for screen in QGuiApplication.screens()]
    window.resize(1500, 900)
    window.move(on[0].topLeft())
    window.show()
    settle()
    controller.calibrate(4.0)
    controller.open_file(Path("a.hea"))
    steps = {"desk, calibrated": seen()}
    window.move(on[1].topLeft())
    steps["fine, unknown"] = seen()
    controller.calibrate(9.0)
    steps["fine, calibrated"] = seen()
    window.move(on[0].topLeft())
    steps["desk again"] = seen()
    window.move(on[1].topLeft())
    steps["fine again"] = seen()
    print(json.dumps(steps))
    window.close()
    app.processEvents()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
