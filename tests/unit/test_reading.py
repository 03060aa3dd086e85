"""Reading in another process: same recordings; hangs, crashes and bombs end in one sentence."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.long_recordings import write_ishne
from echoing_gui.reading import ReadingProcess
from echoing_gui.resources import demo_recording_path
from model_core.errors import ReadError
from model_core.io import open_recording, read_part, survey_recording
from model_core.long_recording import LongRecording
from model_core.types import Recording
from tests import hostile


@pytest.fixture(scope="module")
def process() -> Iterator[ReadingProcess]:
    made = ReadingProcess()
    yield made
    made.close()


def readers() -> list[int | None]:
    return [p.pid for p in multiprocessing.active_children() if p.name == "echoing-reader"]


def test_a_recording_comes_through_unchanged_and_locked(process: ReadingProcess) -> None:
    path = demo_recording_path()
    here, there = open_recording(path), process.call(open_recording, path)
    assert isinstance(here, Recording)
    assert isinstance(there, Recording)
    np.testing.assert_array_equal(there.signal_mv, here.signal_mv)
    assert not there.signal_mv.flags.writeable
    assert (there.recording_id, there.metadata) == (here.recording_id, here.metadata)


def test_parts_and_overview_of_a_long_recording(process: ReadingProcess, tmp_path) -> None:
    long = process.call(open_recording, write_ishne(tmp_path / "a", 2, 250))
    assert isinstance(long, LongRecording)
    part = process.call(read_part, long, 70.0, 10.0)
    assert (part.start_s, part.duration_s) == (70, 10)
    *_, last = process.steps(survey_recording, long)
    assert last.complete


def test_it_loads_decoders_and_nothing_of_the_window_or_of_training(
    process: ReadingProcess,
) -> None:
    process.warm_up()
    loaded = process.call(hostile.packages)
    assert "wfdb" in loaded
    assert not loaded & {"PySide6", "pyqtgraph", "onnxruntime", "torch", "training"}


def test_refusals_come_through_with_hint_and_code(process: ReadingProcess) -> None:
    with pytest.raises(ReadError) as caught:
        process.call(hostile.refuse)
    assert (str(caught.value), caught.value.hint) == ("Said there.", "Do this.")
    assert caught.value.code == "a_code"


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (hostile.crash, "reader_died"),
        (hostile.fail, "damaged"),
        (hostile.connect, "damaged"),
        (hostile.take_memory, "too_large"),
    ],
)
def test_what_goes_wrong_ends_in_a_sentence_and_the_next_file_is_read(
    process: ReadingProcess, function: Callable[[], object], code: str
) -> None:
    with pytest.raises(ReadError) as caught:
        process.call(function)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")
    assert "patient" not in str(caught.value)
    assert list(process.steps(hostile.count, 3)) == [0, 1, 2]


def test_a_hang_is_ended(process: ReadingProcess) -> None:
    hasty = ReadingProcess(most_s=0.5)
    hasty.call(len, "")
    begun = time.monotonic()
    with pytest.raises(ReadError) as caught:
        hasty.call(hostile.hang)
    assert caught.value.code == "too_slow"
    assert time.monotonic() - begun < 5
    hasty.close()


def test_what_nobody_wants_any_more_is_ended(process: ReadingProcess) -> None:
    assert list(process.steps(hostile.count, 2)) == [0, 1]
    before = readers()
    steps = process.steps(hostile.count, 10**9)
    assert next(steps) == 0
    del steps
    assert not set(readers()) & set(before)
    assert process.call(len, "four") == 4


def test_closing_frees_who_waits() -> None:
    process = ReadingProcess()
    process.call(len, "")
    codes: list[str] = []

    def wait() -> None:
        try:
            process.call(hostile.hang)
        except ReadError as error:
            codes.append(error.code)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    process.close()
    thread.join(5)
    assert codes == ["reader_died"]
