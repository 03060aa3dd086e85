"""Dialogs that show names of files: covered by the privacy screen, and leaving no trace of names.

They are Qt's own and not the system's, which remembers files among the recent ones and cannot be
covered.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSettings, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.i18n import tr

PRIVACY_KEY = "privacy"
# Qt writes into its own settings, shared by all programs, which folders were seen.
_QT_SETTINGS = "QtProject"
_QT_REMEMBERS = ("FileDialog/history", "FileDialog/lastVisited", "FileDialog/shortcuts")


def file_dialog(parent: QWidget, title: str) -> QFileDialog:
    """Make a dialog to choose a file or a folder in; it goes when it is answered.

    Parameters
    ----------
    parent
        In whose window it opens.
    title
        What is to be chosen.
    """
    dialog = QFileDialog(parent, title)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    settings = QSettings(QSettings.Scope.UserScope, _QT_SETTINGS)
    before = {key: settings.value(key) for key in _QT_REMEMBERS}
    dialog.destroyed.connect(lambda: _forget(before))
    cover_names(dialog)
    return dialog


def cover_names(dialog: QDialog) -> None:
    """Cover a dialog while the privacy screen is on, and let its keys work in there."""
    window: QWidget | None = dialog.parentWidget()
    while window is not None and window.parentWidget() is not None:
        window = window.parentWidget()
    action = window.findChild(QAction, PRIVACY_KEY) if window is not None else None
    if action is not None:
        _Cover(dialog, action)


def _forget(before: dict[str, object]) -> None:
    """Put back what Qt's settings held before a dialog."""
    settings = QSettings(QSettings.Scope.UserScope, _QT_SETTINGS)
    for key, value in before.items():
        if value is None:
            settings.remove(key)
        else:
            settings.setValue(key, value)


class _Cover(QFrame):
    """Takes the place of everything in a dialog.

    Parameters
    ----------
    dialog
        What to cover.
    action
        Switches the privacy screen.
    """

    def __init__(self, dialog: QDialog, action: QAction) -> None:
        super().__init__(dialog)
        self._dialog = dialog
        self._action = action
        self._covered: list[QWidget] = []
        self.setAutoFillBackground(True)
        text = QLabel(
            tr(
                "The privacy screen is on. This dialog shows names of files and folders; they are "
                "hidden until you ask for them."
            ),
            wordWrap=True,
        )
        self._show = QPushButton(tr("Show names in this dialog"))
        self._show.clicked.connect(self._uncover)
        cancel = QPushButton(tr("Cancel"))
        cancel.clicked.connect(dialog.reject)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._show)
        buttons.addWidget(cancel)
        layout = QVBoxLayout(self)
        layout.addStretch()
        layout.addWidget(text)
        layout.addLayout(buttons)
        layout.addStretch()
        # The window's own keys do not reach a dialog before it.
        keys = QAction(dialog)
        keys.setShortcuts(action.shortcuts())
        keys.triggered.connect(self._on_keys)
        dialog.addAction(keys)
        action.toggled.connect(self._on_screen)
        dialog.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Cover before the dialog is seen, and stay as large as it."""
        if event.type() == QEvent.Type.Show and self._action.isChecked() and not self._covered:
            self._cover()
        elif event.type() == QEvent.Type.Resize:
            self.setGeometry(self._dialog.rect())
        return super().eventFilter(watched, event)

    def _on_keys(self) -> None:
        """Hide what shows; only where nothing does, end the privacy screen."""
        if self._action.isChecked() and not self._covered:
            self._cover()
        else:
            self._action.trigger()

    def _on_screen(self, on: bool) -> None:
        if on and self._dialog.isVisible() and not self._covered:
            self._cover()
        elif not on:
            self._uncover()

    def _cover(self) -> None:
        self._covered = [
            child
            for child in self._dialog.findChildren(
                QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly
            )
            if child is not self and not child.isWindow() and not child.isHidden()
        ]
        self._dialog.setMinimumSize(self._dialog.size().expandedTo(self.sizeHint()))
        for child in self._covered:
            child.hide()
        self.setGeometry(self._dialog.rect())
        self.show()
        self.raise_()
        self._show.setFocus()

    def _uncover(self) -> None:
        self.hide()
        for child in self._covered:
            child.show()
        self._covered = []
        self._dialog.setMinimumSize(0, 0)
