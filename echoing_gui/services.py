"""What the controller has done by others, in workers: readers, and a model package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echoing_gui.state import ModelInput
from model_core.errors import CancelToken
from model_core.long_recording import LongRecording, Overview
from model_core.types import PackageIdentity, Prediction, Recording

if TYPE_CHECKING:
    from echoing_gui.estimating import FileWorker
    from model_core.io import TableLayout, TableProposal
    from model_core.runtime.predictor import Predictor


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
    """

    identity: PackageIdentity
    predict: Callable[[Recording, CancelToken, frozenset[str]], Prediction]
    source: Path | None = None
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])
    predictor: Predictor | None = None

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
