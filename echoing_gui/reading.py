"""Files are read in a process of their own: what hangs, crashes or bursts there ends in a sentence.

Nothing heavy is imported here: the process sets its limits before numpy and the decoders load.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, ParamSpec, TypeVar

from model_core.errors import EchoingError, ReadError
from model_core.wording import say

MOST_S = 10.0
MOST_START_S = 60.0
MOST_BYTES = 1_500_000_000
# Whatever a decoder leaves behind goes with the process.
MOST_CALLS = 500

_P = ParamSpec("_P")
_T = TypeVar("_T")
_VALUE, _ERROR, _END = "value", "error", "end"
# Events of sys.audit that no reader has a reason for.
_FORBIDDEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "subprocess.Popen",
    "os.system",
)
_HINT = say("The file is damaged, or not an ECG. Export it again, or export a shorter part of it.")


class ReadingProcess:
    """One process, started when it is first needed, that does one thing after another.

    It may be called from several threads; they wait for one another. Functions and arguments have
    to be such that another process can be sent them.

    Parameters
    ----------
    most_s
        How long it may take for a value, s; then it is ended, and the next call starts another.
    most_bytes
        Address space that it may take (Linux).
    """

    def __init__(self, most_s: float = MOST_S, most_bytes: int = MOST_BYTES) -> None:
        self._most_s = most_s
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._n_calls = 0

    def warm_up(self) -> None:
        """Start the process, so that the first file need not wait for it."""
        self.call(len, "")

    def call(self, function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call a function in the process.

        Raises
        ------
        EchoingError
            What the function raises; a `ReadError` if it takes too long, needs too much memory, or
            takes the process down.
        """
        *_, value = self._steps(function, arguments, named)
        return value

    def steps(
        self, function: Callable[_P, Iterator[_T]], *arguments: _P.args, **named: _P.kwargs
    ) -> Iterator[_T]:
        """Call a generator in the process, and give its values; raises as `call`."""
        return self._steps(function, arguments, named)

    def close(self) -> None:
        """End the process; whoever waits for it gets an error."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ValueError):  # ended at this very moment
                process.kill()

    def _steps(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Iterator[Any]:
        with self._lock:
            finished = False
            try:
                connection = self._ready()
                connection.send((function, arguments, named))
                while True:
                    if not connection.poll(self._most_s):
                        raise ReadError(
                            say(
                                "The file was not read within {seconds:g} s.", seconds=self._most_s
                            ),
                            hint=_HINT,
                            code="too_slow",
                        )
                    kind, value = connection.recv()
                    finished = kind != _VALUE
                    if kind == _ERROR:
                        raise value
                    if kind == _END:
                        return
                    yield _locked(value)
            except (EOFError, OSError) as error:
                raise ReadError(
                    say("The file took down the process that reads it; the program is not harmed."),
                    hint=_HINT,
                    code="reader_died",
                ) from error
            finally:
                # Also when nobody wants the rest.
                if not finished:
                    self._end()

    def _ready(self) -> Connection:
        self._n_calls += 1
        if self._n_calls > MOST_CALLS:
            self._end()
        if self._process is not None and self._connection is not None and self._process.is_alive():
            return self._connection
        self._end()
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._most_bytes), name="echoing-reader", daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = connection
        self._n_calls = 1
        # The start is not the file's time, and takes its own on a busy machine.
        if not connection.poll(MOST_START_S):
            raise ReadError(
                say("The process that reads files could not be started."),
                hint=say("Close other programs, then open the file again."),
                code="reader_died",
            )
        connection.recv()
        return connection

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._connection = None


def _locked(value: Any) -> Any:  # noqa: ANN401 - whatever the function gave
    """Make the checks of our types again, and arrays read-only, which a pipe does not keep."""
    from model_core.types import Recording

    return dataclasses.replace(value) if isinstance(value, Recording) else value


def _serve(connection: Connection, most_bytes: int) -> None:
    """Answer calls until the program is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(most_bytes)
    sys.addaudithook(_refuse)
    _load_decoders()
    connection.send(None)
    while True:
        try:
            function, arguments, named = connection.recv()
        except EOFError:
            return
        try:
            result = function(*arguments, **named)
            for value in result if isinstance(result, Iterator) else (result,):
                connection.send((_VALUE, value))
            connection.send((_END, None))
        except EchoingError as error:
            connection.send((_ERROR, error))
        except MemoryError:
            connection.send((_ERROR, _too_much_memory(most_bytes)))
        except Exception as error:  # noqa: BLE001 - told in the program's process
            text = say("The file could not be read ({kind}).", kind=type(error).__name__)
            connection.send((_ERROR, ReadError(text, hint=_HINT, code="damaged")))


def _too_much_memory(most_bytes: int) -> ReadError:
    return ReadError(
        say("The file needs more than {size:g} GB of memory to be read.", size=most_bytes / 1e9),
        hint=_HINT,
        code="too_large",
    )


def _limit_memory(most_bytes: int) -> None:
    # Each thread of OpenBLAS takes address space, and no reader multiplies matrices.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, hard))


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"reading a file does not need {event}")


def _load_decoders() -> None:
    import wfdb  # noqa: F401 # pyright: ignore[reportMissingTypeStubs]

    import model_core.io  # noqa: F401
