"""The privacy screen: F9, or some time without key or mouse, hides who the ECG is of."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QInputEvent, QWindow

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.file_dialogs import PRIVACY_KEY
from echoing_gui.state import AppState

ACTIONS = (
    Action(
        PRIVACY_KEY, "&View", "&Privacy screen", ("F9",),
        "Hide names, identifiers, dates, free text and file names on the screen.",
        checked=lambda state: state.options.private,
        change=lambda options: replace(options, private=not options.private),
        group="privacy",
    ),
)  # fmt: skip


class IdleWatch(QObject):
    """Switches the screen on when no window of the program had a key or the mouse for a while.

    Attributes
    ----------
    timer
        Runs out then.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self.timer = QTimer(self, singleShot=True)
        self.timer.timeout.connect(self._hide)
        self._set(desk.controller.state.options.private_after_min)
        desk.controller.state_changed.connect(self._on_state)
        desk.window.painted.connect(lambda: self._watch(desk.window.windowHandle()))
        desk.window.closing.connect(self.timer.stop)
        # Dialogs have windows of their own.
        app = QGuiApplication.instance()
        if isinstance(app, QGuiApplication):
            app.focusWindowChanged.connect(self._watch)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Begin anew with each key and movement."""
        if isinstance(event, QInputEvent) and self.timer.interval():
            self.timer.start()
        return super().eventFilter(watched, event)

    def _watch(self, window: QWindow | None) -> None:
        if window is not None:
            window.installEventFilter(self)

    def _on_state(self, old: AppState, new: AppState) -> None:
        if old.options.private_after_min != new.options.private_after_min:
            self._set(new.options.private_after_min)

    def _set(self, minutes: int) -> None:
        self.timer.stop()
        self.timer.setInterval(minutes * 60_000)
        if minutes:
            self.timer.start()

    def _hide(self) -> None:
        options = self._desk.controller.state.options
        if not options.private:
            self._desk.controller.set_options(replace(options, private=True))
            return
        action = self._desk.window.findChild(QAction, PRIVACY_KEY)
        if action is not None:
            action.toggled.emit(True)  # dialogs that were uncovered are covered again


def install(desk: Desk) -> None:
    """Offer the screen, and switch it on where nobody is."""
    desk.window.add_actions(ACTIONS, {})
    IdleWatch(desk)
