"""Calipers and notes kept on disk while the program runs, for when it ends unexpectedly.

One file a recording, named by its SHA-256, in a folder that only the user may enter: marks and the
path to open the recording again, nothing of its content. A normal end removes them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QLockFile, QObject, QTimer

from echoing_gui.controller import Controller
from echoing_gui.features.measuring.marker import Marker
from echoing_gui.files import atomic_write
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.log import log
from echoing_gui.state import AppState, Level, UserMessage
from echoing_gui.state_marks import Caliper, CaliperKind, Marks, Measuring, Note

FORMAT = 1
SAVED_AFTER_MS = 2000


@dataclass(frozen=True, slots=True)
class Session:
    """What is kept of one recording."""

    recording_id: str
    path: str
    marks: Marks


def to_json(session: Session) -> bytes:
    """Write a session."""
    marks = session.marks
    values = {
        "format": FORMAT,
        "recording_id": session.recording_id,
        "path": session.path,
        "calipers": [
            {
                "kind": each.kind.value,
                "lead": each.lead,
                "times_s": each.times_s,
                "values_mv": each.values_mv,
                "marching": each.marching,
            }
            for each in marks.calipers
        ],
        "notes": [
            {"lead": each.lead, "start_s": each.start_s, "end_s": each.end_s, "text": each.text}
            for each in marks.notes
        ],
    }
    return json.dumps(values, indent=1).encode()


def from_json(content: bytes) -> Session:
    """Read a session.

    Raises
    ------
    ValueError
        If it is not one, or not whole.
    """
    try:
        values: Any = json.loads(content)
        if values["format"] != FORMAT:
            raise ValueError("another format")
        calipers = tuple(
            Caliper(
                CaliperKind(each["kind"]),
                str(each["lead"]),
                _pair(each["times_s"]),
                _pair(each["values_mv"]),
                bool(each["marching"]),
            )
            for each in values["calipers"]
        )
        notes = tuple(
            Note(str(n["lead"]), *_pair((n["start_s"], n["end_s"])), str(n["text"]))
            for n in values["notes"]
        )
        return Session(str(values["recording_id"]), str(values["path"]), Marks(calipers, notes))
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error


def _pair(values: object) -> tuple[float, float]:
    first, second = (float(value) for value in cast("list[float]", values))
    if not (math.isfinite(first) and math.isfinite(second)):
        raise ValueError("not a place")
    return first, second


class SessionKeeper(QObject):
    """Saves the marks of what is on screen a moment after each change, and gives them back.

    Parameters
    ----------
    folder
        Made when there is something to keep.
    """

    def __init__(
        self, controller: Controller, marker: Marker, folder: Path, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._controller, self._marker, self._folder = controller, marker, folder
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_saved)
        self._timer = QTimer(self, singleShot=True, interval=SAVED_AFTER_MS)
        self._timer.timeout.connect(self.save)
        # Of each recording opened since the start: its lock, and its marks when last on screen.
        self._locks: dict[str, QLockFile] = {}
        self._marks: dict[str, Marks] = {}
        # What is being written, and what is to be written after it.
        self._writing: set[str] = set()
        self._next: dict[str, Session] = {}
        self._path = Path()
        self._expected: Session | None = None
        self._told = False
        self._notes_saved: dict[str, tuple[Note, ...]] = {}
        controller.state_changed.connect(self._on_state)

    @property
    def now(self) -> Measuring:
        """The state of measuring."""
        return self._marker.now

    def notes_saved(self) -> None:
        """Take note that the notes on screen are in a file of the user's."""
        self._notes_saved[self.now.recording_id] = self.now.marks.notes

    def n_unsaved_notes(self) -> int:
        """Count the notes of this program's time that are in no file of the user's."""
        marks = {**self._marks, self.now.recording_id: self.now.marks}
        return sum(
            len(each.notes)
            for recording_id, each in marks.items()
            if each.notes != self._notes_saved.get(recording_id, ())
        )

    def save(self) -> None:
        """Save the marks on screen now, in a worker."""
        self._timer.stop()
        now = self._controller.state.measuring
        self._save(now.recording_id, now.marks, self._controller.shown_path)

    def left(self) -> list[Session]:
        """Find what a program that ended unexpectedly left, the newest first.

        Sessions of a running program are its own; a damaged one is set aside, and told of.
        """
        if not self._folder.is_dir():
            return []
        for unfinished in self._folder.glob(".*.json.*"):
            if self._lock(unfinished.name[1:].split(".")[0]):
                unfinished.unlink(missing_ok=True)
        found: list[Session] = []
        paths = self._folder.glob("*.json")
        for path in sorted(paths, key=lambda each: each.stat().st_mtime, reverse=True):
            if self._lock(path.stem):
                session = self._read(path)
                if session is not None:
                    found.append(session)
        return found

    def discard(self, session: Session) -> None:
        """Remove what was left of a recording."""
        self._file(session.recording_id).unlink(missing_ok=True)

    def reopen(self, session: Session) -> None:
        """Open the recording of a session again; its marks follow when it is read."""
        self._expected = session
        self._controller.open_file(Path(session.path))

    def close(self) -> None:
        """End normally: what this program kept is removed."""
        self._timer.stop()
        self._jobs.close()
        for recording_id in self._marks:
            if recording_id in self._locks:
                self._file(recording_id).unlink(missing_ok=True)
        for lock in self._locks.values():
            lock.unlock()
        self._locks.clear()

    def _on_state(self, old: AppState, new: AppState) -> None:
        before, now = old.measuring, new.measuring
        if before.recording_id != now.recording_id:
            if self._timer.isActive():
                self._timer.stop()
                self._save(before.recording_id, before.marks, self._path)
            self._path = self._controller.shown_path
            # After all others have heard of the new recording.
            QTimer.singleShot(0, self, partial(self._give_back, now.recording_id))
        elif before.marks != now.marks and not self._timer.isActive():
            self._timer.start()

    def _give_back(self, recording_id: str) -> None:
        """Put the marks back that a recording had when it was on screen before."""
        expected, self._expected = self._expected, None
        if self._marker.now.recording_id != recording_id or self._marker.now.marks != Marks():
            return
        if expected is not None and expected.recording_id != recording_id:
            self._tell(
                tr("The file has changed since the program ended: its calipers and notes do not "
                   "belong to it any more."),
                tr("They are kept, and offered again at the next start."),
                Level.ERROR,
            )  # fmt: skip
            return
        if recording_id in self._marks:
            self._marker.restore(self._marks[recording_id], recovered=False)
            return
        path = self._file(recording_id)
        if not path.is_file() or not self._lock(recording_id):
            return
        session = self._read(path)
        if session is not None:
            self._marks[recording_id] = session.marks
            self._marker.restore(session.marks, recovered=True)
            self._tell(tr("Calipers and notes of this recording were recovered."), "", Level.INFO)

    def _save(self, recording_id: str, marks: Marks, path: Path) -> None:
        if not recording_id or (marks == Marks() and recording_id not in self._marks):
            return
        self._marks[recording_id] = marks
        self._next[recording_id] = Session(recording_id, str(path.absolute()), marks)
        self._write_next(recording_id)

    def _write_next(self, recording_id: str) -> None:
        """Start writing what waits; one at a time, so that no older one comes last."""
        if recording_id in self._writing or recording_id not in self._next:
            return
        session, file = self._next.pop(recording_id), self._file(recording_id)
        self._writing.add(recording_id)
        is_mine = self._lock(recording_id)

        def write(_token: object) -> None:
            if not is_mine:
                raise BlockingIOError
            if session.marks == Marks():
                file.unlink(missing_ok=True)
            else:
                atomic_write(file, to_json(session))

        self._jobs.submit(recording_id, write)

    def _on_saved(self, report: JobReport) -> None:
        self._writing.discard(report.lane)
        self._write_next(report.lane)
        if report.error is None or self._told:
            return
        self._told = True
        log.warning("a session was not saved: %s", type(report.error).__name__)
        if isinstance(report.error, BlockingIOError):
            self._tell(
                tr("This recording is open in another window of the program."),
                tr("Calipers and notes made here are not saved in case the program crashes."),
                Level.INFO,
            )
        else:
            self._tell(
                tr("Calipers and notes could not be saved in case the program crashes."),
                tr("Free some disk space; the next change is saved again."),
                Level.ERROR,
            )

    def _read(self, path: Path) -> Session | None:
        """Read a session file; a damaged one is set aside and told of."""
        try:
            return from_json(path.read_bytes())
        except (OSError, ValueError):
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            self._tell(
                tr("Calipers and notes of an earlier session could not be read."),
                tr("The damaged file was kept as {path}.", path=aside),
                Level.ERROR,
            )
            return None

    def _lock(self, recording_id: str) -> bool:
        """Whether no other running program holds this recording's session."""
        if recording_id not in self._locks:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = QLockFile(str(self._folder / f"{recording_id}.lock"))
            lock.setStaleLockTime(0)
            if not lock.tryLock(0):
                return False
            self._locks[recording_id] = lock
        return True

    def _file(self, recording_id: str) -> Path:
        return self._folder / f"{recording_id}.json"

    def _tell(self, text: str, hint: str, level: Level) -> None:
        self._controller.change(message=UserMessage(text, hint, level))
