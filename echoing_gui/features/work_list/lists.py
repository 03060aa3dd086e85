"""What the user asks of the work list and what its workers report, as one field of the state."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox

from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.features.work_list.view import WorkListView
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.files import atomic_write
from echoing_gui.i18n import tr
from echoing_gui.identity import Identity, pseudonyms
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.state import AppState, Level, UserMessage
from echoing_gui.state_work_list import ListRow, RowState, WorkList
from model_core.errors import CancelToken, EchoingError
from model_core.wording import system_words

if TYPE_CHECKING:
    from echoing_gui.exports import Item, Kind
    from echoing_gui.features.work_list.running import Progress
    from echoing_gui.features.work_list.store import ResultStore
    from echoing_gui.services import Model
    from echoing_gui.view_models.cohort import EmbeddingMap

VIEW = "work_list"
_LIST, _ESTIMATE, _MAP, _EXPORT = "list", "estimate", "map", "export"
_LEAST_IN_MAP = 3
# Each process takes some 170 MB.
_MOST_WORKERS = 4


class Lists(QObject):
    """Owns the field `work_list` of the state.

    Parameters
    ----------
    desk
        The program; results are kept in `work_list` of its folder.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._controller = desk.controller
        self._folder = desk.folder / "work_list"
        self.view = WorkListView()
        self._current = -1
        # What to go back to when the next folder or table holds no ECG.
        self._before: WorkList | None = None
        self._export_facts: dict[str, Any] = {}
        self._jobs = JobRunner(self)
        self._jobs.progressed.connect(self._on_progress)
        self._jobs.finished.connect(self._on_finished)
        desk.window.add_view(VIEW, self.view)
        desk.window.closing.connect(self._jobs.close)
        desk.window.manyDropped.connect(self.offer)
        desk.controller.state_changed.connect(self._on_state)
        self.view.folderRequested.connect(self.ask_for_folder)
        self.view.tableRequested.connect(self.ask_for_table)
        self.view.pauseRequested.connect(self.pause_or_continue)
        self.view.closeRequested.connect(self.close_list)
        self.view.exportRequested.connect(self.ask_for_export)
        self.view.rowOpened.connect(self.open_row)
        self.view.aboutRequested.connect(lambda: desk.window.trigger("about_result"))

    @property
    def work(self) -> WorkList | None:
        """The work list as it is now."""
        return self._controller.state.work_list

    def toggle(self) -> None:
        """Go from the ECG to the work list, or back."""
        window = self._desk.window
        window.show_view("reading" if window.shown_view == VIEW else VIEW)

    def ask_for_folder(self) -> None:
        """Ask which folder."""
        dialog = self._file_dialog(tr("Open a folder as a work list"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.open()

    def ask_for_table(self) -> None:
        """Ask which table of files."""
        from echoing_gui.file_lists import TABLE_SUFFIXES

        dialog = self._file_dialog(tr("Open a table of files as a work list"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        suffixes = " ".join(f"*{suffix}" for suffix in TABLE_SUFFIXES)
        dialog.setNameFilter(tr("Tables of files ({suffixes})", suffixes=suffixes))
        dialog.open()

    def open_last(self) -> None:
        """Open the list that was open when the program ended."""
        try:
            found: Any = json.loads(self._remembered.read_text(encoding="utf-8"))
            source = Path(cast("dict[str, str]", found)["source"])
        except (OSError, ValueError, KeyError, TypeError):
            self._tell(
                tr("There is no work list to go on with."),
                tr("Open a folder of ECGs, or a table that names them."),
                Level.INFO,
            )
            return
        self.open_source(source)

    def offer(self, paths: tuple[Path, ...]) -> None:
        """Offer what was dropped onto the window as a work list: a folder, or files."""
        folders = [path for path in paths if path.is_dir()]
        if folders and len(paths) > 1:
            self._tell(
                tr("Folders and several files together make no work list."),
                tr("Drop one folder, or only files."),
                Level.ERROR,
            )
            return
        box = QMessageBox(self._desk.window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(tr("Work list"))
        box.setText(
            tr("Open the folder that you dropped as a work list?")
            if folders
            else tr("Open the {n} files that you dropped as a work list?", n=len(paths))
        )
        box.setInformativeText(
            tr(
                "An estimate is made from each ECG in it. A work list that is open is closed; its "
                "results are kept."
            )
        )
        agree = box.addButton(tr("&Open"), QMessageBox.ButtonRole.AcceptRole)
        box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(agree)
        agree.clicked.connect(
            lambda: self.open_source(folders[0]) if folders else self._open_files(paths)
        )
        box.open()

    def _open_files(self, paths: tuple[Path, ...]) -> None:
        """Open files through a table of them, which goes with the list."""
        from echoing_gui.file_lists import table_of

        try:
            content = table_of(paths).encode("utf-8", "surrogateescape")
            atomic_write(self._dropped, content)
        except OSError as error:
            self._tell_unsaved(error)
            return
        self.open_source(self._dropped)

    def open_source(self, source: Path) -> None:
        """List the files of a folder or table and estimate from them.

        Parameters
        ----------
        source
            The folder or table.
        """
        self._stop_all()
        self._current = -1
        work = self.work
        if work is None or not work.listing:
            self._before = work and replace(work, running=False, ends_in_s=None)
        # Its points are rows of the list before.
        self.view.set_map(np.empty(0, np.intp), None)
        self._controller.change(work_list=WorkList(source, listing=True), message=None)
        self._desk.window.show_view(VIEW)
        self._start_listing()

    def _remember(self, source: Path) -> None:
        """Keep where a list is that holds ECGs, to go on with it another time."""
        self._before = None
        if source != self._dropped:
            self._dropped.unlink(missing_ok=True)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = json.dumps({"source": str(source.absolute())})
            atomic_write(self._remembered, content.encode("utf-8", "surrogateescape"))
        except OSError as error:
            self._tell_unsaved(error)

    def pause_or_continue(self) -> None:
        """Pause the work, or go on with what is not done."""
        work = self.work
        if work is None:
            return
        if work.listing:
            self.close_list()
        elif work.running:
            self._jobs.cancel(_ESTIMATE)
            self._change(running=False, ends_in_s=None)
            self._make_map()
        else:
            self._start_estimating()

    def close_list(self) -> None:
        """Close the list; what was done stays in the store."""
        self._stop_all()
        for path in (self._remembered, self._dropped):
            path.unlink(missing_ok=True)
        self._controller.change(work_list=None)
        self.view.set_map(np.empty(0, np.intp), None)

    def open_row(self, index: int) -> None:
        """Open the ECG of a row for reading."""
        work = self.work
        if work is None:
            return
        self._current = index
        self._controller.open_file(work.rows[index].path)
        self._desk.window.show_view()

    def open_neighbour(self, step: int) -> None:
        """Open the ECG below (1) or above (-1) in the order of the table."""
        rows = self.view.table.rows
        places = rows.places_of(np.array([self._current], np.intp))
        place = int(places[0]) + step if len(places) else 0
        if 0 <= place < rows.rowCount():
            index = rows.row_at(place)
            self.view.table.choose(np.array([index], np.intp))
            self.open_row(index)

    def ask_for_export(self) -> None:
        """Ask in which form and where to."""
        from echoing_gui.export_dialog import ExportDialog, ask_where
        from echoing_gui.exports import KINDS

        dialog = ExportDialog(KINDS, (), tr("&Export…"), self._desk.window)
        dialog.chosen.connect(
            lambda kind, _paper, identity: ask_where(
                self._desk.window, kind, "work_list", lambda path: self.export(kind, path, identity)
            )
        )
        dialog.open()

    def export(self, kind: Kind, path: Path, identity: Identity) -> None:
        """Write what is done of the list to a file, in a worker."""
        work, model = self.work, self._controller.model
        if work is None or model is None:
            return
        done = [row for row in work.rows if row.state is not RowState.WAITING]
        self._export_facts = {
            "kind": f"list_{kind.key}",
            "deidentified": identity is not Identity.KEPT,
            "identity": identity.value,
            "recordings": len(done),
            "package": work.package_id,
        }
        open_store, folder = self._store_opener(work.package_id), self._desk.folder

        def write(_token: CancelToken) -> tuple[str, int]:
            from echoing_gui.exports import write_items

            store = open_store()
            try:
                named = pseudonyms(identity, folder)
                write_items(kind, path, _items(done, store, model, named))
            finally:
                store.close()
            return path.name, len(done)

        self._jobs.submit(_EXPORT, write)

    @property
    def _remembered(self) -> Path:
        return self._folder / "last.json"

    @property
    def _dropped(self) -> Path:
        return self._folder / "dropped.csv"

    def _file_dialog(self, title: str) -> QFileDialog:
        dialog = file_dialog(self._desk.window, title)
        dialog.fileSelected.connect(lambda name: self.open_source(Path(name)))
        return dialog

    def _change(self, **changes: Any) -> None:  # noqa: ANN401
        work = self.work
        if work is not None:
            self._controller.change(work_list=replace(work, **changes))

    def _stop_all(self) -> None:
        for lane in (_LIST, _ESTIMATE, _MAP):
            self._jobs.cancel(lane)

    def _start_listing(self) -> None:
        """List, once there is a model package to estimate with."""
        work, model = self.work, self._controller.model
        if work is None or model is None:
            return
        start, source = self._controller.services.start_file_worker, work.source

        def steps(token: CancelToken) -> Iterator[Any]:
            from echoing_gui.features.work_list.running import list_source

            return list_source(source, start(model), token)

        self._jobs.submit_steps(_LIST, steps)

    def _start_estimating(self) -> None:
        work, model = self.work, self._controller.model
        if work is None or model is None:
            return
        self._change(running=True, package_id=model.identity.package_id)
        rows = work.rows
        open_store = self._store_opener(model.identity.package_id)
        start = self._controller.services.start_file_worker

        def steps(token: CancelToken) -> Iterator[Progress]:
            from echoing_gui.features.work_list.running import estimate_rows

            n_workers = min(os.cpu_count() or 1, _MOST_WORKERS)
            return estimate_rows(rows, open_store, lambda: start(model), n_workers, token)

        self._jobs.submit_steps(_ESTIMATE, steps)

    def _store_opener(self, package_id: str) -> Any:  # noqa: ANN401
        path = self._folder / "results.sqlite3"

        def open_store() -> ResultStore:
            from echoing_gui.features.work_list.store import ResultStore

            return ResultStore(path, package_id)

        return open_store

    def _make_map(self) -> None:
        work = self.work
        if work is None:
            return
        open_store = self._store_opener(work.package_id)
        rows = work.rows
        self._jobs.submit(_MAP, lambda token: _map_of(rows, open_store(), token))

    def _on_state(self, old: AppState, new: AppState) -> None:
        """Start what waited for the model package; do all anew with another one."""
        if old.options.read_first and not new.options.read_first and new.work_list is not None:
            n = sum(bool(row.values) for row in new.work_list.rows)
            if n:
                self._desk.audit.record("revealed", what="work_list", recordings=n)
        if old.package is new.package or new.work_list is None or new.package is None:
            return
        work = new.work_list
        if work.listing:
            self._start_listing()
        elif work.package_id != new.package.package_id:
            self._stop_all()
            fresh = tuple(
                ListRow(row.number, row.path, row.name, row.labels, row.patient, row.split)
                for row in work.rows
            )
            self._change(rows=fresh, n_done=0)
            self._start_estimating()

    def _on_progress(self, report: JobReport) -> None:
        work = self.work
        if work is None:
            return
        if report.lane == _LIST:
            rows, n_skipped = report.value
            self._change(rows=rows, n_skipped=n_skipped)
        elif report.lane == _ESTIMATE:
            progress: Progress = report.value
            rows = list(work.rows)
            for row in progress.rows:
                rows[row.number - 1] = row
            n_done = sum(row.state is not RowState.WAITING for row in rows)
            self._change(rows=tuple(rows), n_done=n_done, ends_in_s=progress.ends_in_s)

    def _on_finished(self, report: JobReport) -> None:
        if report.lane == _EXPORT:
            self._on_exported(report)
        elif report.error is not None:
            self._on_failure(report)
        elif report.lane == _LIST:
            if self.work is not None:
                self._remember(self.work.source)
            self._change(listing=False)
            self._start_estimating()
        elif report.lane == _ESTIMATE:
            self._change(running=False, ends_in_s=None)
            self._make_map()
        elif report.lane == _MAP:
            self.view.set_map(*report.value)

    def _on_failure(self, report: JobReport) -> None:
        error = report.error
        if report.lane == _LIST:
            before, model = self._before, self._controller.model
            same = before and model and before.package_id == model.identity.package_id
            self._controller.change(work_list=before if same else None)
            self._before = None
            self._make_map()
        self._change(running=False, ends_in_s=None)
        if isinstance(error, OSError):
            self._tell_unsaved(error)
        elif isinstance(error, EchoingError):
            self._controller.change(message=to_message(error))
        elif error is not None:
            self._controller.unexpected.emit(error)

    def _on_exported(self, report: JobReport) -> None:
        if report.error is None:
            name, n = report.value
            self._desk.audit.record("exported", **self._export_facts)
            one = tr("1 recording was exported to {name}.", name=name)
            many = tr("{n:,} recordings were exported to {name}.", n=n, name=name)
            text = one if n == 1 else many
            self._tell(text, "", Level.INFO)
        elif isinstance(report.error, OSError):
            self._tell_unsaved(report.error)
        else:
            self._controller.change(message=to_message(report.error))
            if not isinstance(report.error, EchoingError):
                self._controller.unexpected.emit(report.error)

    def _tell_unsaved(self, error: OSError) -> None:
        self._tell(
            tr(
                "The results of the work list cannot be kept ({reason}), so the work is paused; "
                "what was kept before is not lost.",
                reason=system_words(error),
            ),
            tr("Free some disk space, then continue."),
            Level.ERROR,
        )

    def _tell(self, text: str, hint: str, level: Level) -> None:
        self._controller.change(message=UserMessage(text, hint, level))


def _map_of(
    rows: Iterable[ListRow], store: ResultStore, token: CancelToken
) -> tuple[np.ndarray, EmbeddingMap | None]:
    """Map of the embeddings of a list, each recording once."""
    from echoing_gui.view_models.cohort import embedding_map

    indices: list[int] = []
    vectors: list[np.ndarray] = []
    try:
        for index, row in enumerate(rows):
            token.raise_if_cancelled()
            vector = store.embedding(row.recording_id) if row.recording_id else None
            if vector is not None and not row.same_as:
                indices.append(index)
                vectors.append(vector)
    finally:
        store.close()
    if len(vectors) < _LEAST_IN_MAP:
        return np.empty(0, np.intp), None
    return np.array(indices, np.intp), embedding_map(np.array(vectors, dtype=np.float64))


def _items(
    rows: Iterable[ListRow], store: ResultStore, model: Model, named: Callable[[str], str]
) -> Iterator[Item]:
    """Give what is exported of rows: the stored report, or why there is none."""
    from echoing_gui.exports import Item
    from echoing_gui.reports import blank_report, error_report

    rows = list(rows)
    labelled = sorted({key for row in rows for key in row.labels})
    has_split = any(row.split for row in rows)
    for row in rows:
        kept = store.get(row.recording_id) if row.recording_id else None
        if kept is None:
            message, hint = (*row.sentences, "", "")[:2]
            error = EchoingError(message, hint=hint, code=(*row.codes, "error")[0])
            report = blank_report(row.name, dict(model.report)) | error_report(error)
        else:
            report = kept.report | {"file": row.name}
        labels: dict[str, Any] = {key: row.labels.get(key) for key in labelled}
        if has_split:
            labels["split"] = row.split or None
        vector = None if kept is None else kept.embedding_mean
        yield Item(row.number, report, named(row.recording_id), vector, labels, patient=row.patient)
