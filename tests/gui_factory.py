"""Recordings, predictions and a program with fake services for the tests of the window."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QAction, QHelpEvent
from PySide6.QtWidgets import QMenu, QToolTip

from echoing_gui.estimating import Estimated
from echoing_gui.file_lists import Listed, list_files
from echoing_gui.reports import blank_report, prediction_report, recording_report
from echoing_gui.services import Model, Services
from echoing_gui.wiring import Program, build
from model_core.errors import CancelToken, ReadError
from model_core.io import open_recording, propose_layout, read_table, survey_recording
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording, Overview
from model_core.types import (
    FindingProbability,
    MeasureEstimate,
    PackageIdentity,
    Prediction,
    PredictionInterval,
    Reason,
    Recording,
    RecordingMetadata,
    SegmentVariance,
    Severity,
)

FS = 500.0
WHOLE_AT_MOST_S = 60.0
IDENTITY = PackageIdentity(
    "ab" * 32, "Test package", "3.1.4", "Demonstration model: trained on simulated echo outcomes."
)
PACKAGE_REPORT = {
    "name": IDENTITY.name,
    "version": IDENTITY.version,
    "id": IDENTITY.package_id,
    "demonstration": True,
    "caveat": IDENTITY.caveat,
    "licence": "none",
}
FLAT_LEAD = Reason("flat_lead", Severity.REFUSE, "A chest lead is flat.", "V2")
NOISY_LEAD = Reason("noisy_lead", Severity.CAUTION, "A chest lead is noisy.", "V3")


def spike_signal(
    duration_s: float = 10.0, fs: float = FS, n_leads: int = 12, *, at_s: tuple[float, ...] = (1.0,)
) -> np.ndarray:
    """Zero everywhere but for triangles of 1 mV, 40 ms wide, at given times; leads x samples."""
    time_s = np.arange(round(duration_s * fs)) / fs
    row = np.zeros_like(time_s)
    for peak_s in at_s:
        row = np.maximum(row, 1 - np.abs(time_s - peak_s) / 0.02)
    return np.tile(row, (n_leads, 1)).astype(np.float32)


def recording(
    name: str = "a.hea",
    signal_mv: np.ndarray | None = None,
    fs: float = FS,
    leads: tuple[str, ...] = STANDARD_LEADS,
    **metadata: Any,
) -> Recording:
    """Make a recording; its name is its identity."""
    signal = spike_signal(n_leads=len(leads)) if signal_mv is None else signal_mv
    identity = hashlib.sha256(name.encode()).hexdigest()
    return Recording(identity, signal, fs, leads, name, RecordingMetadata(**metadata))


def left_in_file(of: Recording) -> LongRecording:
    """Say of a recording what is said of one that stays in its file."""
    return LongRecording(
        of.recording_id, Path(of.source_name), of.fs, of.n_samples, of.lead_names, of.source_name,
        of.metadata,
    )  # fmt: skip


def variance(start_s: float = 0.0, leads: tuple[str, ...] = STANDARD_LEADS) -> SegmentVariance:
    """Ten seconds of segments of 0.2 s, each lead and segment with a value of its own."""
    values = np.linspace(0.1, 2.0, len(leads) * 50).reshape(len(leads), 50).astype(np.float32)
    edges_s = np.linspace(start_s, start_s + 10, 51)
    return SegmentVariance(values, leads, edges_s, (0.1, 2.0))


def prediction(
    of: Recording, *reasons: Reason, start_s: float = 0.0, lvef: float = 54.6
) -> Prediction:
    """Make a prediction; a refusal if a reason says so."""
    if any(reason.severity.withholds for reason in reasons):
        return Prediction(of.recording_id, IDENTITY, (start_s, start_s + 10), reasons=reasons)
    return Prediction(
        of.recording_id,
        IDENTITY,
        (start_s, start_s + 10),
        estimates=(
            MeasureEstimate("lvef", lvef, PredictionInterval(43.2, 65.8, 0.9)),
            MeasureEstimate("lvedv", 121.0, PredictionInterval(85.0, 172.0, 0.9)),
            MeasureEstimate("lvesv", 56.0, PredictionInterval(31.0, 94.0, 0.9)),
        ),
        findings=(FindingProbability("lvef_below_40", 0.123),),
        segment_variance=variance(start_s),
        reasons=reasons,
    )


@dataclass
class FakeServices:
    """Reads recordings from a dictionary and predicts what it is told.

    Attributes
    ----------
    files
        Recordings by file name, those above a minute left in their file; other files are read if
        they exist.
    reasons
        Reasons of the next predictions, by file name.
    hold
        Files whose prediction waits until the event is set or the job cancelled.
    read_hold
        The same for reading.
    broken
        Raised instead of predicting.
    package_error
        Raised instead of loading the package.
    held, cancelled
        Files whose prediction has begun to wait, and has been cancelled while it did.
    estimated
        Files of work lists that were estimated from, in that order.
    """

    files: dict[str, Recording] = field(default_factory=dict)
    reasons: dict[str, tuple[Reason, ...]] = field(default_factory=dict)
    hold: dict[str, threading.Event] = field(default_factory=dict)
    read_hold: dict[str, threading.Event] = field(default_factory=dict)
    broken: Exception | None = None
    package_error: Exception | None = None
    held: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    estimated: list[str] = field(default_factory=list)

    def services(self) -> Services:
        return Services(
            self._read,
            self._read_part,
            self._survey,
            self._load,
            Path("demo.hea"),
            propose_layout,
            read_table,
            warm_up=lambda: None,
            close=lambda: None,
            start_file_worker=lambda _model: FakeWorker(self),
        )

    def _read_part(self, of: LongRecording, start_s: float, duration_s: float) -> Recording:
        if of.source_name not in self.files:
            raise ReadError("The file is gone.", hint="Connect the drive.", code="not_found")
        return self.files[of.source_name].part(start_s, duration_s)

    def _survey(self, of: Recording | LongRecording) -> Iterator[Overview]:
        return survey_recording(self.files[of.source_name])

    def _read(self, path: Path) -> Recording | LongRecording:
        if path.name in self.read_hold:
            self.read_hold[path.name].wait(10)
        if path.name not in self.files and path.is_file():
            return open_recording(path)
        if path.name not in self.files:
            raise ReadError("The file is damaged.", hint="Export it again.", code="damaged")
        found = self.files[path.name]
        return found if found.duration_s <= WHOLE_AT_MOST_S else left_in_file(found)

    def _load(self) -> Model:
        if self.package_error is not None:
            raise self.package_error
        return Model(IDENTITY, self._predict, report=PACKAGE_REPORT)

    def _predict(self, of: Recording, token: CancelToken, confirmed: frozenset[str]) -> Prediction:
        if self.broken is not None:
            raise self.broken
        gate = self.hold.get(of.source_name)
        if gate is not None:
            token.on_cancel(gate.set)
            self.held.append(of.source_name)
            gate.wait(10)
            if token.cancelled:
                self.cancelled.append(of.source_name)
            token.raise_if_cancelled()
        reasons = self.reasons.get(of.source_name, ())
        reasons = tuple(each for each in reasons if each.code not in confirmed)
        return prediction(of, *reasons, start_s=of.start_s)


@dataclass
class FakeWorker:
    """Lists files as the program does; reads and estimates as the services that made it."""

    fake: FakeServices
    closed: threading.Event = field(default_factory=threading.Event)

    def files(self, source: Path) -> Iterator[Listed]:
        return list_files(source)

    def estimate(self, path: Path, known: str) -> Estimated:
        gate = self.fake.read_hold.get(path.name)
        while gate is not None and not gate.wait(0.01):
            if self.closed.is_set():
                raise ReadError("The process ended.", code="reader_died")
        of = self.fake.files[path.name] if path.name in self.fake.files else open_recording(path)
        assert isinstance(of, Recording)
        if of.recording_id == known:
            return Estimated(known, None)
        self.fake.estimated.append(path.name)
        found = self.fake._predict(of, CancelToken(), frozenset())
        report = blank_report(None, PACKAGE_REPORT) | {
            "sha256": of.recording_id,
            "recording": recording_report(of),
            **prediction_report(found),
        }
        # Embeddings that differ: by the recording's hash.
        seed = int(of.recording_id[:8], 16)
        report["embedding_variance"] = 0.001 + seed % 1000 / 1e5
        vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
        return Estimated(of.recording_id, report, vector)

    def close(self) -> None:
        self.closed.set()


def make_program(fake: FakeServices, folder: Path) -> Program:
    """Window and controller, connected, not yet shown."""
    return build(fake.services(), folder)


def said_of(action: QAction) -> str:
    """What the pointer is told that rests on an entry of a menu; empty if nothing."""
    (menu,) = [each for each in action.associatedObjects() if isinstance(each, QMenu)]
    menu.resize(menu.sizeHint())
    place = menu.actionGeometry(action).center()
    event = QHelpEvent(QEvent.Type.ToolTip, place, menu.mapToGlobal(place))
    QCoreApplication.sendEvent(menu, event)
    return QToolTip.text() if event.isAccepted() else ""
