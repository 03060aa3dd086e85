"""Jobs: results in the GUI thread, one current job a lane, nothing after cancellation."""

from __future__ import annotations

import threading

import pytest

from echoing_gui.jobs import JobRunner


@pytest.fixture
def runner(qapp):
    made = JobRunner()
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def reports(runner):
    seen = []
    runner.finished.connect(seen.append)
    return seen


def test_work_runs_elsewhere_and_is_reported_here(qtbot, runner):
    threads = []
    runner.finished.connect(lambda report: threads.append((report.value, threading.get_ident())))
    runner.submit("a", lambda _token: threading.get_ident())
    qtbot.waitUntil(lambda: bool(threads))
    worker, receiver = threads[0]
    assert receiver == threading.get_ident() != worker


def test_errors_are_reported(qtbot, runner, reports):
    def fail(_token):
        raise ValueError("no")

    runner.submit("a", fail)
    qtbot.waitUntil(lambda: bool(reports))
    assert isinstance(reports[0].error, ValueError)


def test_a_newer_job_silences_the_older_one_even_if_it_ignores_its_token(qtbot, runner, reports):
    gate = threading.Event()
    runner.submit("a", lambda _token: gate.wait(10) and "old")
    runner.submit("a", lambda _token: "new")
    qtbot.waitUntil(lambda: bool(reports))
    gate.set()
    qtbot.wait(50)
    assert [report.value for report in reports] == ["new"]


def test_a_result_already_queued_is_dropped_after_cancellation(qtbot, runner, reports):
    done = threading.Event()
    runner.submit("a", lambda _token: "late")
    runner._pool.submit(done.set)
    # The work has ended and its report waits in Qt's queue, since no event was handled yet.
    assert done.wait(10)
    runner.cancel("a")
    qtbot.wait(50)
    assert not reports


def test_a_result_already_queued_is_dropped_for_a_newer_job(qtbot, runner, reports):
    done, gate = threading.Event(), threading.Event()
    runner.submit("a", lambda _token: "late")
    runner._pool.submit(done.set)
    assert done.wait(10)
    runner.submit("a", lambda _token: gate.wait(10) and "new")
    qtbot.wait(50)
    assert not reports
    gate.set()
    qtbot.waitUntil(lambda: bool(reports))
    assert reports[0].value == "new"


def test_lanes_do_not_disturb_each_other(qtbot, runner, reports):
    gate = threading.Event()
    runner.submit("a", lambda _token: gate.wait(10) and "a")
    runner.submit("b", lambda _token: "b")
    qtbot.waitUntil(lambda: len(reports) == 1)
    gate.set()
    qtbot.waitUntil(lambda: len(reports) == 2)
    assert [report.value for report in reports] == ["b", "a"]


def test_cancelling_tells_the_work(qtbot, runner, reports):
    started, told = threading.Event(), threading.Event()

    def work(token):
        token.on_cancel(told.set)
        started.set()
        told.wait(10)
        token.raise_if_cancelled()

    runner.submit("a", work)
    assert started.wait(10)
    runner.cancel("a")
    assert told.wait(10)
    qtbot.wait(50)
    assert not reports


def test_closing_ends_what_runs(qapp):
    runner = JobRunner()
    started, told = threading.Event(), threading.Event()

    def work(token):
        token.on_cancel(told.set)
        started.set()
        told.wait(10)

    runner.submit("a", work)
    assert started.wait(10)
    runner.close()
    assert told.is_set()
    runner.deleteLater()
