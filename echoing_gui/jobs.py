"""Work off the GUI thread: one current job a lane, late results dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from model_core.errors import Cancelled, CancelToken

# Reading or predicting, loading the package, surveying: none waits for another.
N_WORKERS = 3

Work = Callable[[CancelToken], Any]
Steps = Callable[[CancelToken], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class JobReport:
    """How a job ended.

    Attributes
    ----------
    lane
        Kind of work; a new job cancels the one before it in the same lane.
    number
        Of the job within its lane, rising.
    value
        What the work returned; None if it failed.
    error
        What it raised; None if it did not.
    """

    lane: str
    number: int
    value: Any = None
    error: Exception | None = None


class JobRunner(QObject):
    """Runs work on a thread pool and reports in the GUI thread.

    `finished` carries a `JobReport` for each job that ended and was neither cancelled nor
    followed by another one in its lane; `progressed` one for each step before.
    """

    finished = Signal(object)
    progressed = Signal(object)
    # The only way from a worker into the GUI thread: Qt queues it.
    _ended = Signal(object)
    _stepped = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(N_WORKERS, thread_name_prefix="echoing")
        self._current: dict[str, tuple[int, CancelToken, Future[None]]] = {}
        self._number = 0
        self._closed = False
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)
        self._stepped.connect(self._on_stepped, Qt.ConnectionType.QueuedConnection)

    def submit(self, lane: str, work: Work) -> None:
        """Start work; what runs in the same lane is cancelled.

        Parameters
        ----------
        lane
            Kind of work.
        work
            Called in a worker with the token that tells it to stop.
        """
        self.cancel(lane)
        self._number += 1
        token = CancelToken()
        future = self._pool.submit(self._run, lane, self._number, token, work)
        self._current[lane] = (self._number, token, future)

    def submit_steps(self, lane: str, steps: Steps) -> None:
        """Start work that gives a value at each step; the last one is the result.

        Parameters
        ----------
        lane
            Kind of work.
        steps
            Called in a worker with the token that tells it to stop, which is asked at each step.
        """

        def work(token: CancelToken) -> Any:  # noqa: ANN401 - whatever the steps give
            value = None
            for value in steps(token):
                token.raise_if_cancelled()
                self._stepped.emit(JobReport(lane, number, value=value))
            return value

        number = self._number + 1
        self.submit(lane, work)

    def cancel(self, lane: str) -> None:
        """Cancel what runs in a lane; nothing is reported for it."""
        entry = self._current.pop(lane, None)
        if entry is not None:
            _, token, future = entry
            future.cancel()
            token.cancel()

    def close(self, timeout_s: float = 3.0) -> None:
        """Cancel everything and wait a bounded time for the workers."""
        self._closed = True
        futures = [future for _, _, future in self._current.values()]
        for lane in list(self._current):
            self.cancel(lane)
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(futures, timeout_s)

    def _run(self, lane: str, number: int, token: CancelToken, work: Work) -> None:
        try:
            token.raise_if_cancelled()
            report = JobReport(lane, number, value=work(token))
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - told to the user by the controller
            report = JobReport(lane, number, error=error)
        if not (self._closed or token.cancelled):
            self._ended.emit(report)

    def _on_stepped(self, report: JobReport) -> None:
        current = self._current.get(report.lane)
        if current is not None and current[0] == report.number:
            self.progressed.emit(report)

    def _on_ended(self, report: JobReport) -> None:
        current = self._current.get(report.lane)
        if current is None or current[0] != report.number:
            return
        del self._current[report.lane]
        self.finished.emit(report)
