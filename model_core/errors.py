"""Errors that carry a sentence for the user, and cancellation of running work."""

from __future__ import annotations

import threading
from collections.abc import Callable


class EchoingError(Exception):
    """An expected failure, told in plain words.

    Parameters
    ----------
    message
        What happened, as one sentence; a `Sentence` can be translated where it is shown, which
        `str` of the error, always English, can not.
    hint
        What the user can do about it, as one sentence; may be empty.
    code
        Stable identifier for scripts and logs, lower case with underscores.

    Examples
    --------
    >>> error = EchoingError("The file is empty.", hint="Export it again.", code="empty_file")
    >>> str(error), error.hint, error.code
    ('The file is empty.', 'Export it again.', 'empty_file')
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class ReadError(EchoingError):
    """A file could not be read as an ECG recording."""


class PreprocessError(EchoingError):
    """A recording cannot be brought into the form that a model package asks for."""


class PackageError(EchoingError):
    """A model package is damaged, incomplete or not meant for this program."""


class InferenceError(EchoingError):
    """The model ran and failed, or gave numbers that cannot be true."""


class ExportError(EchoingError):
    """A recording or a result cannot be written in the form asked for."""


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The work was cancelled; nothing is shown for it."""


class CancelToken:
    """Tells running work, across threads, that its result is no longer wanted.

    Examples
    --------
    >>> token = CancelToken()
    >>> token.on_cancel(lambda: print("stopped"))
    >>> token.cancel()
    stopped
    >>> token.cancelled
    True
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; calls each registered callback once."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` at cancellation, or at once if that has happened already."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self._event.is_set():
            raise Cancelled
