"""Reading and estimating of many files, in processes of their own, with the reading's limits."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from echoing_gui.file_lists import Listed, list_files
from echoing_gui.reading import ReadingProcess
from echoing_gui.reports import (
    Report,
    blank_report,
    package_report,
    prediction_report,
    recording_report,
    window_hash,
)
from model_core.errors import PackageError
from model_core.runtime.predictor import Predictor
from model_core.types import FloatArray
from model_core.wording import say

# Longer than for reading alone: the network is loaded with the first file, and anew with a new
# process.
MOST_S = 20.0
# Of address space, of which ONNX Runtime takes much and fills little.
MOST_BYTES = 2_500_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """What is known of a file.

    Attributes
    ----------
    recording_id
        Of what was read.
    report
        As in docs/json-output.md, without the file's name; None if the recording is the one that
        was known, so that nothing was estimated.
    embedding_mean
        Mean of its embedding, (dimensions,); None where the model did not run.
    """

    recording_id: str
    report: Report | None
    embedding_mean: FloatArray | None = None


class FileWorker(Protocol):
    """Works on one file after another; not for several threads at once."""

    def files(self, source: Path) -> Iterator[Listed]:
        """List the files of a folder or table; raises `ReadError`."""
        ...

    def estimate(self, path: Path, known: str) -> Estimated:
        """Read a file and estimate, unless it is the recording `known`; raises `EchoingError`."""
        ...

    def close(self) -> None:
        """End at once what is under way."""
        ...


class ProcessWorker:
    """Works in a process of its own.

    Parameters
    ----------
    package
        Folder or zip file of the model package.
    package_id
        SHA-256 that it had when it was checked.
    """

    def __init__(self, package: Path, package_id: str) -> None:
        self._package = package
        self._package_id = package_id
        self._process = ReadingProcess(MOST_S, MOST_BYTES)

    def files(self, source: Path) -> Iterator[Listed]:
        """List the files of a folder or table."""
        return self._process.steps(list_files, source)

    def estimate(self, path: Path, known: str) -> Estimated:
        """Read a file and estimate, unless it is the recording `known`."""
        return self._process.call(estimate_file, path, self._package, self._package_id, known)

    def close(self) -> None:
        """End the process."""
        self._process.close()


def estimate_file(path: Path, package: Path, package_id: str, known: str) -> Estimated:
    """Read a file and estimate from its first ten seconds.

    Raises
    ------
    EchoingError
        If the file cannot be read, or the network fails.
    """
    from model_core.io import open_recording, read_part
    from model_core.long_recording import LongRecording

    found = open_recording(path)
    if found.recording_id == known:
        return Estimated(known, None)
    predictor = _predictor(package, package_id)
    report = blank_report(None, package_report(predictor.package))
    report["recording"] = recording_report(found)
    if isinstance(found, LongRecording):
        seen = read_part(found, 0.0, predictor.package.manifest.input.duration_s)
        report["window_sha256"] = window_hash(seen)
    else:
        seen = found
        report["sha256"] = found.recording_id
    prediction = predictor.predict(seen)
    return Estimated(
        found.recording_id, report | prediction_report(prediction), prediction.embedding_mean
    )


@functools.lru_cache(maxsize=1)
def _predictor(package: Path, package_id: str) -> Predictor:
    from echoing_gui.packages import load_marked
    from echoing_gui.resources import default_package_path

    loaded = load_marked(package, default_package_path())
    if loaded.identity.package_id != package_id:
        raise PackageError(
            say("The model package has changed since it was loaded."),
            hint=say("Close the program and open it again."),
            code="changed",
        )
    return Predictor(loaded, n_threads=1)
