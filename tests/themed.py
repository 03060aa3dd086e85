"""Show the window in one theme after another and save pictures of all its parts in each.

Run in a process of its own: what was styled once is remembered in places that belong to the whole
process. Prints how often the ECG changed its size while the colours did.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer
from PySide6.QtWidgets import QDialog, QWidget

from echoing_gui.settings import Settings, save_settings
from echoing_gui.state import DisplayOptions, ThemeChoice
from echoing_gui.wiring import Program, make_application
from tests.gui_factory import NOISY_LEAD, FakeServices, make_program, recording

# Actions that show a part of the window of its own.
PARTS = ("start_page", "read_on", "measurements", "segments", "bench")


class Sizes(QObject):
    """Counts the changes of a widget's size."""

    count = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.Resize
        return False


def settle() -> None:
    loop = QEventLoop()
    QTimer.singleShot(100, loop.quit)
    loop.exec()


def save_pictures(program: Program, folder: Path) -> None:
    """Save each part of the window, the menus and a dialog."""
    folder.mkdir()
    window = program.window

    def save(name: str, widget: QObject | None) -> None:
        focused = window.focusWidget()
        if focused is not None:
            focused.clearFocus()
        settle()
        assert isinstance(widget, QWidget)
        assert widget.grab().save(str(folder / f"{name}.png"))

    for n, action in enumerate(window.menuBar().actions()):
        save(f"menu {n}", action.menu())
    for part in PARTS:
        window.trigger(part)
        save(part, window)
    window.trigger("preferences")
    dialog = window.findChild(QDialog)
    assert dialog is not None
    save("dialog", dialog)
    dialog.reject()
    dialog.deleteLater()


def main(folder: Path, themes: list[ThemeChoice]) -> None:
    save_settings(folder / "settings.json", Settings(DisplayOptions(theme=themes[0])))
    app = make_application()
    files = {"a.hea": recording("a.hea")}
    program = make_program(FakeServices(files, {"a.hea": (NOISY_LEAD,)}), folder)
    window, controller = program.window, program.controller
    window.resize(1600, 900)
    window.show()
    controller.load_package()
    settle()
    controller.open_file(Path("a.hea"))
    settle()
    controller.tell("Saved.")
    for part in PARTS:
        window.trigger(part)
        settle()
    sizes = Sizes()
    for n, each in enumerate(themes):
        window.traces.view.installEventFilter(sizes)
        if controller.state.options.theme is not each:
            window.trigger(f"theme_{each.value}")
            settle()
        window.traces.view.removeEventFilter(sizes)
        save_pictures(program, folder / f"{n} {each.value}")
    print(sizes.count)
    window.close()
    app.processEvents()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [ThemeChoice(each) for each in sys.argv[2:]])
