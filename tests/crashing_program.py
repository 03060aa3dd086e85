"""Run by a test in a process of its own, which it kills: a program with a caliper and a note.

Arguments: folder of the settings, ECG to open. Prints a line once the session is on disk, and goes
on changing and saving.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QTimer

from echoing_gui.wiring import make_application
from tests.gui_factory import FakeServices, make_program


def main(folder: Path, ecg: Path) -> None:
    app = make_application()
    program = make_program(FakeServices(), folder)
    controller, window = program.controller, program.window
    window.show()
    controller.load_package()
    controller.open_file(ecg)
    actions = window._qactions
    told = []

    def on() -> None:
        state = controller.state
        if state.recording is None:
            return
        if not state.measuring.marks.calipers:
            actions["caliper_both"].trigger()
            actions["note_editing"].trigger()
            actions["note_new"].trigger()
        actions["caliper_march"].trigger()
        if not told and list(folder.glob("sessions/*.json")):
            told.append(1)
            print("saved", flush=True)

    timer = QTimer(interval=20)
    timer.timeout.connect(on)
    timer.start()
    app.exec()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
