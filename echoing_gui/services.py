"""What the controller has done by others, in workers: readers, and a model package."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echoing_gui.state import ModelInput
from echoing_gui.state_package import PackageFacts
from model_core.errors import CancelToken
from model_core.long_recording import LongRecording, Overview
from model_core.types import PackageIdentity, Prediction, Recording

if TYPE_CHECKING:
    from echoing_gui.estimating import FileWorker
    from model_core.io import TableLayout, TableProposal
    from model_core.runtime.predictor import Predictor

_SURVEY_SHOWN_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Model:
    """A model package ready to run.

    Attributes
    ----------
    identity
        Which one it is.
    predict
        Runs it.
    source
        Folder or zip file that another process can load it from; None in tests.
    report
        What exports say of it, see `echoing_gui.reports.package_report`.
    predictor
        For those who ask it about more than results; None in tests.
    facts
        What the window can tell of it.
    notice
        What the user has to know of how it came to be used; empty for nothing.
    """

    identity: PackageIdentity
    predict: Callable[[Recording, CancelToken, frozenset[str]], Prediction]
    source: Path | None = None
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])
    predictor: Predictor | None = None
    facts: PackageFacts | None = None
    notice: str = ""

    @property
    def input(self) -> ModelInput | None:
        """What it makes of a recording before its network sees it; None where not known."""
        if self.predictor is None:
            return None
        spec = self.predictor.package.manifest.input
        return ModelInput(spec.fs, spec.band_hz)


@dataclass(frozen=True, slots=True)
class Services:
    """What the controller has done by others, in workers.

    Attributes
    ----------
    read
        Reads a file, or says what a long recording is; raises `ReadError`.
    read_part
        Reads a part of a long recording, by first second and length, s; raises `ReadError`.
    survey
        Goes through a recording and gives the overview so far; raises `ReadError`.
    load_model
        Loads and checks the model package; raises `PackageError`.
    demo_path
        The demonstration ECG.
    propose
        Says what a table of samples suggests about itself; raises `ReadError`.
    read_table
        Reads a table as stated, all of it or so many seconds; raises `ReadError`.
    warm_up
        Makes reading ready, so that the first file need not wait.
    close
        Ends all reading at once.
    start_file_worker
        Makes what reads and estimates many files, one after another, with a model.
    """

    read: Callable[[Path], Recording | LongRecording]
    read_part: Callable[[LongRecording, float, float], Recording]
    survey: Callable[[Recording | LongRecording], Iterator[Overview]]
    load_model: Callable[[], Model]
    demo_path: Path
    propose: Callable[[Path], TableProposal]
    read_table: Callable[[Path, TableLayout, float | None], Recording]
    warm_up: Callable[[], None]
    close: Callable[[], None]
    start_file_worker: Callable[[Model], FileWorker]


def now_and_then(overviews: Iterator[Overview]) -> Iterator[Overview]:
    """Let an overview through a few times a second, and the last one."""
    shown_s = 0.0
    for overview in overviews:
        if overview.complete or time.monotonic() - shown_s > _SURVEY_SHOWN_EVERY_S:
            shown_s = time.monotonic()
            yield overview


def as_confirmed(recording: Recording, codes: Collection[str]) -> Recording:
    """Apply what the user confirmed of a file to what was read of it."""
    from model_core.quality import MICROVOLTS, from_microvolts

    return from_microvolts(recording) if MICROVOLTS in codes else recording
