"""Serial comparison: an earlier ECG beside this one or beat over beat, in one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.graphics.paper import Camera, paint_sheet, paint_traces
from echoing_gui.graphics.traces import Cache
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.panels.traces import EcgView
from echoing_gui.state import AppState, Filtered, Stage, filtered
from echoing_gui.view_models import texts
from echoing_gui.view_models.beats import Beats, beat_sheets
from echoing_gui.view_models.comparison import (
    PatientMatch,
    Patients,
    interval_rows,
    level_rows,
    match_patients,
    measure_rows,
    state_of,
)
from echoing_gui.view_models.privacy import hidden
from echoing_gui.view_models.results import full_caveat
from echoing_gui.view_models.sheet import Sheet
from model_core.delineation import delineate
from model_core.display_filters import RAW
from model_core.errors import CancelToken, EchoingError, ReadError
from model_core.long_recording import LongRecording
from model_core.measurements import Measurements, measure
from model_core.types import Prediction, Recording
from model_core.wording import say

_LANE, _FILTER = "earlier", "filter"
VIEW = "serial"
_LONG = say("This is a long recording, which cannot be compared.")
# On paper, told apart by lightness as well as by hue.
EARLIER_COLOUR, LATER_COLOUR = "#b65a00", theme.TRACE
# What names the two colours stands on paper, too, whatever the window's colours.
_ON_PAPER = f"background: {theme.PAPER}; color: {theme.PAPER_TEXT}; padding: 2px 6px;"


def _is_open(state: AppState) -> bool:
    # While the estimate is covered, a comparison would show it.
    idle = state.job.stage is Stage.IDLE and not state.covered
    return state.recording is not None and state.long is None and idle


def _why_not(state: AppState) -> str:
    covered = tr("The estimate is covered. Reveal it to compare this ECG.")
    return covered if state.covered else tr(_LONG) if state.long is not None else ""


ACTIONS = (
    Action(
        "compare", "&File", "&Compare with another ECG…", ("Ctrl+J",),
        "Show an earlier ECG of the same patient beside this one, in the same scale.",
        enabled=_is_open, group="serial", why_not=_why_not,
    ),
    Action(
        "leave_comparison", "&File", "Back fro&m the comparison", ("Ctrl+Shift+J",),
        "Show this ECG alone again.", group="serial",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One of the two ECGs, with what was measured and predicted; None where it could not be."""

    recording: Recording
    measurements: Measurements
    prediction: Prediction | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Both ECGs in order of time, where the files tell it.

    Attributes
    ----------
    first, second
        The earlier and the later one.
    ordered
        Whether the files say which is earlier.
    match
        Whether they are of one patient.
    """

    first: Case
    second: Case
    ordered: bool
    match: PatientMatch


def compare(this: Case, other: Case) -> Comparison:
    """Put two ECGs in order of time, and ask whether they are of one patient."""
    moments = [each.recording.metadata.acquired_at for each in (this, other)]
    ordered = all(moments) and moments[0] != moments[1]
    first, second = (this, other) if ordered and moments[0] < moments[1] else (other, this)
    match = match_patients(first.recording, second.recording)
    return Comparison(first, second, ordered, match)


def measured(recording: Recording, prediction: Prediction | None) -> Case:
    """Measure a recording."""
    found = delineate(recording.signal_mv, recording.fs, recording.lead_names)
    return Case(recording, measure(found, recording.signal_mv), prediction)


class BeatsView(QWidget):
    """Median beats of both ECGs over one another, to the scale of the ECG view."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("Median beats of both ECGs"))
        self._state = AppState()
        self._beats: tuple[Beats, ...] = ()
        # Of the earlier ECG and of the later one, each lead at one place; with lines drawn before.
        self._sheets: tuple[tuple[Sheet, Cache], ...] = ()
        self._laid_out_for = 0

    def show_comparison(self, state: AppState, comparison: Comparison) -> None:
        """Draw what a state's options ask for."""
        self._state = state
        self._beats = tuple(
            Beats(
                dict(zip(found.lead_names, found.median_beat_mv.astype(np.float32), strict=True)),
                case.recording.fs,
            )
            for case in (comparison.first, comparison.second)
            for found in (case.measurements,)
        )
        self._lay_out()

    def sizeHint(self) -> QSize:
        """Room for all leads at the scale of the screen."""
        scale = self._px_per_mm() / self.devicePixelRatioF()
        height_mm = max((sheet.height_mm for sheet, _ in self._sheets), default=0.0)
        return QSize(1, round(height_mm * scale))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take as many columns as there is room for."""
        super().resizeEvent(event)
        if self.width() != self._laid_out_for:
            self._lay_out()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint in device pixels, like the ECG itself."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        area = QRectF(0, 0, round(self.width() * ratio), round(self.height() * ratio))
        camera = Camera(self._px_per_mm(), 0, 0, area, ratio)
        for number, (sheet, cache) in enumerate(self._sheets):
            if number == 0:
                paint_sheet(painter, sheet, camera, cache, EARLIER_COLOUR)
            else:
                paint_traces(painter, sheet, camera, cache, LATER_COLOUR)
        painter.end()

    def _lay_out(self) -> None:
        """Lay out for the width there is; painting and measuring only look at it."""
        self._laid_out_for = self.width()
        room_mm = self.width() * self.devicePixelRatioF() / self._px_per_mm()
        sheets = beat_sheets(self._beats, self._state.options, room_mm)
        self._sheets = tuple((sheet, Cache()) for sheet in sheets)
        self.setMinimumHeight(self.sizeHint().height())
        self.update()

    def _px_per_mm(self) -> float:
        return self._state.screen.device_px_per_mm * self._state.options.zoom


class SerialView(QWidget):
    """Two ECGs in one scale, and a table of what differs."""

    leaveRequested = Signal()
    otherRequested = Signal()
    overridden = Signal()
    aboutRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self._state = AppState()
        self._allowed = False
        self._filtered: tuple[Filtered, ...] = ()
        self._title = QLabel(wordWrap=True)
        self._title.setObjectName("headline")
        self._match = QLabel(wordWrap=True)
        self._match.setObjectName("caution")
        self._caveat = QLabel(wordWrap=True)
        self._caveat.setObjectName("banner")
        self._override = QPushButton(tr("Compare all the same"))
        self._override.clicked.connect(self._on_override)
        self._beats_on = QPushButton(tr("&Median beats over one another"))
        self._beats_on.setCheckable(True)
        self._beats_on.toggled.connect(self._show)
        other = QPushButton(tr("Another &file…"))
        other.clicked.connect(self.otherRequested)
        self._about = QPushButton(tr("Abo&ut these results…"))
        self._about.clicked.connect(self.aboutRequested)
        leave = QPushButton(tr("&Back to this ECG"))
        leave.clicked.connect(self.leaveRequested)
        self.views = (EcgView(), EcgView())
        self.names = (QLabel(), QLabel())
        self._beats = BeatsView()
        scroll = QScrollArea()
        scroll.setAccessibleName(tr("Median beats of both ECGs"))
        scroll.setWidget(self._beats)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._beats_caption = QLabel(wordWrap=True)
        for label in (*self.names, self._beats_caption):
            label.setStyleSheet(_ON_PAPER)
        overlaid = QWidget()
        column = QVBoxLayout(overlaid)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._beats_caption)
        column.addWidget(scroll, 1)
        pair = QSplitter()
        for view, name in zip(self.views, self.names, strict=True):
            column = QWidget()
            layout = QVBoxLayout(column)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(name)
            layout.addWidget(view, 1)
            pair.addWidget(column)
        self.views[0].setAccessibleName(tr("Earlier ECG"))
        self.views[1].setAccessibleName(tr("Later ECG"))
        for axis in ("horizontalScrollBar", "verticalScrollBar"):
            one, two = (getattr(view, axis)() for view in self.views)
            one.valueChanged.connect(two.setValue)
            two.valueChanged.connect(one.setValue)
        self._pictures = QStackedWidget()
        self._pictures.addWidget(pair)
        self._pictures.addWidget(overlaid)
        self.table = QTreeWidget()
        self.table.setRootIsDecorated(False)
        self.table.setAccessibleName(tr("Differences between the two ECGs"))
        self._body = QSplitter(Qt.Orientation.Vertical)
        self._body.addWidget(self._pictures)
        self._body.addWidget(self.table)
        self._body.setStretchFactor(0, 3)
        self._body.setStretchFactor(1, 1)
        self._body.setSizes([600, 300])
        buttons = QHBoxLayout()
        buttons.addWidget(self._title, 1)
        for button in (self._override, self._beats_on, other, self._about, leave):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self._caveat)
        layout.addLayout(buttons)
        layout.addWidget(self._match)
        layout.addWidget(self._body, 1)
        # While the body is hidden, what is above it stays as low as it is.
        layout.addStretch()

    def show_state(self, old: AppState, new: AppState) -> None:
        """Draw in the scale of the window; an ECG that is no longer open is not compared."""
        self._state = new
        case = self._comparison
        shown = new.recording.recording_id if new.recording is not None else ""
        if case is not None and (
            # What another model package said is not on screen any more either.
            old.package is not new.package
            or shown not in (case.first.recording.recording_id, case.second.recording.recording_id)
        ):
            self.show_comparison(None)
        elif self.isVisible() and any(
            getattr(old, name) is not getattr(new, name)
            for name in ("options", "screen", "variance_held")
        ):
            self._show()

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show two ECGs, or none; of two patients only when that is asked for."""
        self._comparison, self._filtered = comparison, ()
        self._allowed = comparison is not None and (
            comparison.match.patients is not Patients.DIFFERENT
        )
        self._show()

    @property
    def comparison(self) -> Comparison | None:
        """What is compared."""
        return self._comparison

    def show_filtered(self, found: tuple[Filtered, ...]) -> None:
        """Draw both through the display filter."""
        self._filtered = found
        self._show()

    def show_beats(self) -> None:
        """Show median beats over one another."""
        self._beats_on.setChecked(True)

    def _on_override(self) -> None:
        self._allowed = True
        self.overridden.emit()
        self._show()

    def _show(self) -> None:
        found, allowed = self._comparison, self._allowed
        self._body.setVisible(found is not None and allowed)
        self._override.setVisible(found is not None and not allowed)
        self._beats_on.setEnabled(found is not None and allowed)
        self._about.setEnabled(self._state.facts is not None)
        self._match.setVisible(found is not None and found.match.patients is not Patients.SAME)
        for view in self.views:
            view.show_state(AppState(), AppState())
        self.table.clear()
        if found is None:
            self._title.setText(tr("No ECG to compare with"))
            return
        cases, through = (found.first, found.second), self._filtered or (None, None)
        if self._state.options.private:
            cases = tuple(replace(case, recording=hidden(case.recording)) for case in cases)
        heads = (tr("Earlier"), tr("Later")) if found.ordered else (tr("Other"), tr("This"))
        self._title.setText(tr("Comparison of two ECGs"))
        self._caveat.setText(full_caveat(self._state.package))
        if not allowed:
            reason = tr(found.match.reason)
            warning = tr("These are probably different patients: {reason}", reason=reason)
            self._match.setText(warning)
            return
        self._match.setText(tr(found.match.reason))
        keys = tuple(
            f'<span style="color:{colour}">■</span> {head}'
            for head, colour in zip(heads, (EARLIER_COLOUR, LATER_COLOUR), strict=True)
        )
        for view, name, key, case, drawn in zip(
            self.views, self.names, keys, cases, through, strict=True
        ):
            name.setText(f"{key}: {escape(texts.source_line(case.recording))}")
            alone = state_of(self._state, case.recording, case.prediction, drawn)
            view.show_state(AppState(), alone)
        one, other = (view.sheet for view in self.views)
        if one is not None and other is not None:
            for view, sheet in zip(self.views, level_rows(one, other), strict=True):
                view.show_sheet(sheet)
        self._beats.show_comparison(self._state, found)
        kind = tr("Median beats, not rhythm, laid on their R peaks")
        scale, unscaled = texts.scale_caption(self._state.options), texts.not_to_scale(self._state)
        # Rich text makes one space of several.
        scale = scale.replace("   ", "\u00a0\u00a0 ")
        tags = [escape(tag) for tag in (kind, scale, tr("No filter"))]
        if unscaled:
            tags.append(f'<b style="color:{theme.RED_TAG}">{escape(unscaled)}</b>')
        self._beats_caption.setText("&nbsp;&nbsp;&nbsp;&nbsp; ".join((*keys, *tags)))
        self._pictures.setCurrentIndex(1 if self._beats_on.isChecked() else 0)
        self._fill_table(found, heads)

    def _fill_table(self, found: Comparison, heads: tuple[str, str]) -> None:
        self.table.setHeaderLabels(["", *heads, tr("Difference"), ""])
        rows = (
            *measure_rows(found.first.prediction, found.second.prediction),
            *interval_rows(found.first.measurements, found.second.measurements),
        )
        for row in rows:
            cells = [row.label, row.earlier, row.now, row.difference, row.note]
            self.table.addTopLevelItem(QTreeWidgetItem(cells))
        mode = QHeaderView.ResizeMode.ResizeToContents
        self.table.header().setSectionResizeMode(mode)


class Serial(QObject):
    """Asks for the other file, reads and measures it in a worker, and shows both."""

    def __init__(self, desk: Desk, view: SerialView) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._view = view
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        desk.window.closing.connect(self._jobs.close)
        view.leaveRequested.connect(self.leave)
        view.otherRequested.connect(self.ask)
        view.overridden.connect(lambda: desk.audit.record("compared_despite_patients"))
        desk.controller.state_changed.connect(self._on_state)

    def ask(self) -> None:
        """Ask for the other file."""
        if not _is_open(self._desk.controller.state):
            return
        dialog = file_dialog(self._desk.window, tr("Compare with another ECG"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self.compare_with(Path(name)))
        dialog.open()

    def compare_with(self, path: Path) -> None:
        """Read, measure and predict the other ECG in a worker."""
        state, model = self._desk.controller.state, self._desk.controller.model
        this, prediction = state.recording, state.prediction
        if this is None:
            return
        read = self._desk.services.read

        def work(token: CancelToken) -> Comparison:
            found = read(path)
            if isinstance(found, LongRecording):
                hint = tr("Choose a recording of at most a minute.")
                raise ReadError(tr(_LONG), hint=hint, code="too_long")
            other = None
            if model is not None and prediction is not None:  # nothing while that is covered
                other = model.predict(found, token, frozenset())
            return compare(measured(this, prediction), measured(found, other))

        self._jobs.submit(_LANE, work)

    def leave(self) -> None:
        """Show this ECG alone."""
        self._desk.window.show_view()

    def _on_finished(self, report: JobReport) -> None:
        if report.lane == _FILTER:
            if report.error is None:
                self._view.show_filtered(report.value)
            else:
                self._desk.controller.change(message=to_message(report.error))
            return
        if report.error is not None:
            message = to_message(report.error)
            text = tr("The other ECG was not opened.")
            self._desk.controller.change(message=replace(message, text=f"{text} {message.text}"))
            if not isinstance(report.error, EchoingError):
                self._desk.controller.unexpected.emit(report.error)
            return
        found: Comparison = report.value
        self._desk.audit.record(
            "compared",
            recording=found.second.recording.recording_id,
            other=found.first.recording.recording_id,
            patients=found.match.patients.value,
        )
        self._view.show_comparison(found)
        self._filter(self._desk.controller.state)
        self._desk.window.show_view(VIEW)

    def _on_state(self, old: AppState, new: AppState) -> None:
        """Go back to the ECG when another one, or another model package, is opened."""
        is_other = new.recording is not old.recording or new.package is not old.package
        if is_other and self._desk.window.shown_view == VIEW:
            self._jobs.cancel(_LANE)
            self.leave()
        elif new.options.display_filter != old.options.display_filter:
            self._filter(new)

    def _filter(self, state: AppState) -> None:
        """Filter both ECGs for the eye, in a worker, if that is chosen."""
        found, chosen = self._view.comparison, state.options.display_filter
        self._jobs.cancel(_FILTER)
        if found is None or chosen == RAW:
            return
        both = tuple(case.recording for case in (found.first, found.second))
        self._jobs.submit(_FILTER, lambda _token: tuple(filtered(each, chosen) for each in both))


def install(desk: Desk) -> None:
    """Add the comparison to the window."""
    view = SerialView()
    desk.window.add_view(VIEW, view)
    serial = Serial(desk, view)
    view.aboutRequested.connect(lambda: desk.window.trigger("about_result"))
    answers: dict[str, Callable[[], object]] = {
        "compare": serial.ask,
        "leave_comparison": serial.leave,
    }
    desk.window.add_actions(ACTIONS, answers)
