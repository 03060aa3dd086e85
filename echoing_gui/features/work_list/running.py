"""Going through a work list: several processes estimate, one place keeps what they found. No Qt."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from echoing_gui.estimating import Estimated, FileWorker
from echoing_gui.features.work_list.store import ResultStore
from echoing_gui.file_lists import ListedFile
from echoing_gui.reports import Report
from echoing_gui.state_work_list import ListRow, RowState
from model_core.errors import CancelToken, EchoingError

_SHOWN_EVERY_S = 0.25
# Speed is that of the last so many files.
_SPEED_OF = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows that changed, and how long the rest will take, s (None while that is not known)."""

    rows: tuple[ListRow, ...] = ()
    ends_in_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    row: ListRow
    found: Estimated | None = None
    error: EchoingError | None = None


def rows_of(files: Sequence[ListedFile], first: int) -> tuple[ListRow, ...]:
    """Make waiting rows, numbered from `first`."""
    return tuple(
        ListRow(
            number,
            file.path,
            file.name,
            labels=dict(file.labels),
            patient=file.patient,
            split=file.split,
        )
        for number, file in enumerate(files, start=first)
    )


def estimate_rows(
    rows: Sequence[ListRow],
    open_store: Callable[[], ResultStore],
    start_worker: Callable[[], FileWorker],
    n_workers: int,
    token: CancelToken,
) -> Iterator[Progress]:
    """Estimate from every file that is waiting.

    Parameters
    ----------
    rows
        The list.
    open_store
        Opens the store of results, in this thread.
    start_worker
        Starts a process; each works on one file at a time.
    n_workers
        How many.
    token
        Ends all work at once; what was found is in the store.

    Yields
    ------
    Progress
        A few times a second.

    Raises
    ------
    OSError
        If results cannot be kept: going on would lose them.
    """
    store = open_store()
    try:
        waiting = [row for row in rows if row.state is RowState.WAITING]
        twins: dict[str, list[ListRow]] = {}
        for row in rows:
            if row.recording_id:
                twins.setdefault(row.recording_id, []).append(row)
        changed: list[ListRow] = []
        moments = [time.monotonic()]
        shown_s = moments[0]
        n_left = len(waiting)
        for answer in _answers(waiting, store, start_worker, n_workers, token):
            now_s = time.monotonic()
            if answer is not None:
                changed += _told_apart(_answered(answer, store), twins)
                moments = [*moments[-_SPEED_OF:], now_s]
                n_left -= 1
            if changed and (now_s - shown_s >= _SHOWN_EVERY_S or not n_left):
                shown_s = now_s
                each_s = (moments[-1] - moments[0]) / (len(moments) - 1)
                yield Progress(tuple(changed), each_s * n_left)
                changed = []
    finally:
        store.close()


def _answers(
    waiting: Sequence[ListRow],
    store: ResultStore,
    start_worker: Callable[[], FileWorker],
    n_workers: int,
    token: CancelToken,
) -> Iterator[_Answer | None]:
    """Give each row to the next process that is free; answers come in the order of their end.

    None a few times a second while there is no answer.
    """
    # No longer than needed: whether a result is known is asked as late as possible.
    todo: queue.Queue[tuple[ListRow, str] | None] = queue.Queue(2 * n_workers)
    done: queue.Queue[_Answer | Exception] = queue.Queue()
    ended = threading.Event()
    workers = [start_worker() for _ in range(n_workers)]
    threads = [
        threading.Thread(target=_work, args=(worker, todo, done, ended), name="echoing-list")
        for worker in workers
    ]
    for worker in workers:
        token.on_cancel(worker.close)
    for thread in threads:
        thread.start()
    try:
        given = 0
        n_answered = 0
        while n_answered < len(waiting):
            while given < len(waiting) and given - n_answered < 2 * n_workers:
                row = waiting[given]
                todo.put((row, store.known(row.path)))
                given += 1
            token.raise_if_cancelled()
            try:
                answer = done.get(timeout=_SHOWN_EVERY_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(answer, Exception):
                raise answer
            n_answered += 1
            yield answer
    finally:
        ended.set()
        for worker in workers:
            worker.close()
        for _ in threads:
            todo.put(None)
        for thread in threads:
            thread.join()
        # What was found at the last moment is kept too.
        while not done.empty():
            answer = done.get()
            if isinstance(answer, _Answer) and answer.found is not None:
                with contextlib.suppress(OSError):
                    store.put(answer.row.path, answer.found)


def _work(
    worker: FileWorker,
    todo: queue.Queue[tuple[ListRow, str] | None],
    done: queue.Queue[_Answer | Exception],
    ended: threading.Event,
) -> None:
    while (task := todo.get()) is not None:
        row, known = task
        if ended.is_set():
            continue
        try:
            done.put(_Answer(row, found=worker.estimate(row.path, known)))
        except EchoingError as error:
            done.put(_Answer(row, error=error))
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits for it
            done.put(error)


def _told_apart(row: ListRow, twins: dict[str, list[ListRow]]) -> list[ListRow]:
    """Say of which row this one is a twin; rows that were answered before it may change with it."""
    if not row.recording_id:
        return [row]
    group = twins.setdefault(row.recording_id, [])
    group.append(row)
    first = min(each.number for each in group[:1] + group[-1:])
    if first != row.number:
        group[-1] = replace(row, same_as=first)
        return group[-1:]
    group.sort(key=lambda each: each.number)
    group[:] = [replace(each, same_as=first if each is not row else 0) for each in group]
    return list(group)


def _answered(answer: _Answer, store: ResultStore) -> ListRow:
    """Row with what was found, which is in the store from now on."""
    row, found = answer.row, answer.found
    if found is None:
        error = answer.error or EchoingError("")
        sentences = tuple(filter(None, (error.message, error.hint)))
        return replace(row, state=RowState.ERROR, codes=(error.code,), sentences=sentences)
    store.put(row.path, found)
    report = found.report
    if report is None:
        kept = store.get(found.recording_id)
        if kept is None:  # taken away while this ran
            return row
        report = kept.report
    return replace(with_report(row, report), recording_id=found.recording_id)


def with_report(row: ListRow, report: Report) -> ListRow:
    """Row with what a report says.

    Parameters
    ----------
    row
        The row.
    report
        Of its recording.
    """
    grades = [each["grade"] for each in report["lead_quality"]]
    return replace(
        row,
        state=RowState(report["state"]),
        values={each["key"]: each["value"] for each in report["measures"]},
        lows={each["key"]: each["interval"]["low"] for each in report["measures"]},
        highs={each["key"]: each["interval"]["high"] for each in report["measures"]},
        levels={each["key"]: each["interval"]["level"] for each in report["measures"]},
        probabilities={each["key"]: each["probability"] for each in report["findings"]},
        variance=report["embedding_variance"],
        n_noisy=grades.count("noisy") if grades else None,
        n_unusable=grades.count("unusable") if grades else None,
        window_s=tuple(report["window_s"]),
        duration_s=report["recording"]["duration_s"],
        codes=tuple(dict.fromkeys(each["code"] for each in report["reasons"])),
        sentences=tuple(dict.fromkeys(each["message"] for each in report["reasons"])),
    )


def list_source(
    source: Path, worker: FileWorker, token: CancelToken
) -> Iterator[tuple[tuple[ListRow, ...], int]]:
    """Look for the files of a folder or table.

    Yields
    ------
    tuple
        Rows so far, and how many files are no ECGs.
    """
    token.on_cancel(worker.close)
    rows: tuple[ListRow, ...] = ()
    n_skipped = 0
    try:
        for listed in worker.files(source):
            rows = (*rows, *rows_of(listed.files, len(rows) + 1))
            n_skipped += listed.n_skipped
            yield rows, n_skipped
    finally:
        worker.close()
