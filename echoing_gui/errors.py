"""Failures as messages: expected ones in the message bar, unexpected ones with details to copy."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    Qt,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.i18n import tr
from echoing_gui.log import log
from echoing_gui.state import Level, UserMessage
from model_core.errors import EchoingError
from model_core.wording import plain

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def to_message(error: Exception) -> UserMessage:
    """Turn a failure into sentences for the message bar.

    Examples
    --------
    >>> to_message(EchoingError("The file is empty.", hint="Export it again.")).hint
    'Export it again.'
    """
    if isinstance(error, EchoingError):
        # A name of a file in it may turn the text around, or hold lines of its own.
        return UserMessage(plain(tr(error.message), 2000), tr(error.hint), Level.ERROR)
    return UserMessage(
        tr("Something went wrong inside the program; the result was withdrawn."),
        tr("Open the file again. If it happens again, report it with the details."),
        Level.ERROR,
    )


def details(error: BaseException) -> str:
    """Write the technical story of an error: where and of which kind.

    Without the values of any variable, and without messages, which may name a file.
    """
    parts: list[str] = []
    told: BaseException | None = error
    while told is not None:
        why = f": {told.strerror}" if isinstance(told, OSError) and told.strerror else ""
        where = "".join(traceback.format_tb(told.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{where}{type(told).__name__}{why}\n")
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    return "\nwhich followed from:\n\n".join(parts)


class Unexpected(QObject):
    """Carries errors that nobody caught, from any thread, to the GUI thread."""

    happened = Signal(object)

    def install(self) -> None:
        """Take over the hooks for uncaught errors and for Qt's own messages."""
        sys.excepthook = self._on_error
        threading.excepthook = self._on_thread_error
        qInstallMessageHandler(_log_qt_message)

    def remove(self) -> None:
        """Give the hooks back."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        qInstallMessageHandler(None)

    def _on_error(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("uncaught error\n%s", details(error.with_traceback(trace)))
        self.happened.emit(error)

    def _on_thread_error(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._on_error(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _log_qt_message(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
    log.log(_QT_LEVELS.get(kind, logging.WARNING), "Qt: %s", text)


class ErrorDialog(QDialog):
    """Says that something unexpected happened, with details to copy.

    Parameters
    ----------
    error
        What happened.
    parent
        The window.
    """

    def __init__(self, error: BaseException, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Unexpected error"))
        self._details = details(error)
        text = QLabel(
            tr(
                "Something went wrong inside the program. The program goes on; the result was "
                "withdrawn.\n\nThe details below name no patient. Copy them into a report."
            ),
            wordWrap=True,
        )
        shown = QPlainTextEdit(self._details, readOnly=True)
        shown.setAccessibleName(tr("Details of the error"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("&Copy details"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self._copy)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(shown)
        layout.addWidget(buttons)
        self.resize(640, 400)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
