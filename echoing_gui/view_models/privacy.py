"""The privacy screen: the state without what names a patient or a file, for everything shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from echoing_gui.i18n import tr
from echoing_gui.state import AppState, UserMessage
from echoing_gui.state_work_list import ListRow, WorkList
from model_core.long_recording import LongRecording
from model_core.types import ImportReport, Recording, RecordingMetadata
from model_core.wording import replaced


class PrivacyScreen:
    """Hides names, identifiers, dates, free text and file names of states while it is on.

    What has been hidden once stays the same object, so that panels see what has not changed.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, Any]] = {}

    def applied(self, state: AppState) -> AppState:
        """Give the state to show; itself while the screen is off."""
        if not state.options.private:
            self._last.clear()
            return state
        work, filtered = state.work_list, state.filtered
        recording = self._once("recording", state.recording, hidden)
        if filtered is not None and filtered.source is state.recording:
            filtered = self._once(
                "filtered",
                filtered,
                lambda done: replace(done, source=recording, drawn=hidden(done.drawn)),
            )
        return replace(
            state,
            recording=recording,
            filtered=filtered,
            long=self._once("long", state.long, _long),
            preview=self._once("preview", state.preview, hidden),
            job=replace(state.job, source_name=_name(state.job.source_name)),
            message=state.message and without_name(state.message),
            work_list=self._once("work", work, _work_list),
        )

    def _once(self, key: str, value: Any, hide: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        if value is None:
            return None
        last = self._last.get(key)
        if last is None or last[0] is not value:
            last = self._last[key] = (value, hide(value))
        return last[1]


def without_name(message: UserMessage) -> UserMessage:
    """Take the file's name out of a message.

    Examples
    --------
    >>> without_name(UserMessage("Doe.hea was not opened.", name="Doe.hea")).text
    'The file was not opened.'
    """
    if not message.name:
        return message
    return replace(message, text=replaced(message.text, message.name, tr("The file")), name="")


def _name(source_name: str) -> str:
    return tr("name hidden") if source_name else ""


def hidden(recording: Recording) -> Recording:
    """Give a recording without what names a patient or a file."""
    name = recording.source_name
    return replace(recording, source_name=_name(name), metadata=_metadata(recording.metadata, name))


def _long(long: LongRecording) -> LongRecording:
    name = long.source_name
    return replace(long, source_name=_name(name), metadata=_metadata(long.metadata, name))


def _metadata(metadata: RecordingMetadata, name: str) -> RecordingMetadata:
    hidden = tr("hidden")
    return replace(
        metadata,
        acquired_at=tr("date hidden") if metadata.acquired_at else "",
        comments=(),
        notes=tuple(_without(note, name) for note in metadata.notes),
        patient=tuple((label, hidden) for label, _ in metadata.patient),
        acquisition=tuple((label, hidden) for label, _ in metadata.acquisition),
        statements=(),
        annotations=tuple(replace(each, text=hidden) for each in metadata.annotations),
        report=metadata.report and _report(metadata.report, name),
    )


def _report(report: ImportReport, name: str) -> ImportReport:
    return replace(
        report,
        integrity=_without(report.integrity, name),
        repairs=tuple(_without(repair, name) for repair in report.repairs),
    )


def _without(text: str, name: str) -> str:
    """Take a file's name, and those of files beside it, out of a text."""
    stem = Path(name).stem
    return replaced(text, stem, "…") if stem else text


def _work_list(work: WorkList) -> WorkList:
    return replace(work, source=Path(tr("name hidden")), rows=tuple(map(_row, work.rows)))


def _row(row: ListRow) -> ListRow:
    patient = tr("hidden") if row.patient else ""
    sentences = tuple(_without(sentence, row.name) for sentence in row.sentences)
    return replace(
        row, name=tr("File {number}", number=row.number), patient=patient, sentences=sentences
    )
