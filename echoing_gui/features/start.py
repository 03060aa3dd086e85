"""Start page with demonstrations and recent files, and the guided first reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.graphics.buttons import TextButton
from echoing_gui.i18n import tr
from echoing_gui.recent import Recent, load_recent, save_recent, with_path
from echoing_gui.resources import asset
from echoing_gui.state import AppState, Stage
from echoing_gui.view_models.results import RESEARCH_ONLY
from echoing_gui.view_models.start import DEMONSTRATIONS, STEPS
from echoing_gui.view_models.wrapping import breakable
from model_core.wording import system_words

VIEW = "start"
GUIDE = "guide"

ACTIONS = (
    Action(
        "start_page", "&File", "Start pa&ge", ("Ctrl+Home",),
        "Show demonstrations and recent files.", group="",
    ),
    Action(
        "read_on", "&File", "&Back to the ECG", ("Ctrl+End",), "Show the ECG that is open.",
        enabled=lambda state: state.recording is not None, group="",
    ),
    Action(
        "guide", "&Help", "&Guided first reading", ("Ctrl+F1",),
        "Go through a first reading step by step.", group="",
    ),
)  # fmt: skip


class StartPage(QWidget):
    """What to open."""

    openRequested = Signal()
    pathRequested = Signal(object)
    guideRequested = Signal()
    rememberChanged = Signal(bool)
    forgetRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._title = QLabel(wordWrap=True)
        self._title.setObjectName("headline")
        text = QLabel(
            tr(
                "Drop an ECG file here, or choose one. It is read from this computer and never "
                "leaves it. The program draws the ECG true to scale and estimates what an "
                "echocardiogram would probably measure, with 90 % intervals."
            ),
            wordWrap=True,
        )
        text.setObjectName("muted")
        self._open = QPushButton()
        self._open.clicked.connect(self.openRequested)
        self._guide = QPushButton()
        self._guide.clicked.connect(self.guideRequested)
        self.setFocusProxy(self._open)
        buttons = QHBoxLayout()
        buttons.addWidget(self._open)
        buttons.addWidget(self._guide)
        buttons.addStretch()
        self._demos = self._make_demos()
        self._private = False
        self._recent = QVBoxLayout()
        self._recent.setSpacing(6)
        self._remember = QCheckBox(tr("&Remember recent files on this computer"))
        self._remember.toggled.connect(self.rememberChanged)
        self._forget = QPushButton(tr("&Forget them"))
        self._forget.clicked.connect(self.forgetRequested)
        keeping = QHBoxLayout()
        keeping.addWidget(self._remember)
        keeping.addWidget(self._forget)
        keeping.addStretch()
        research = QLabel(tr(RESEARCH_ONLY), wordWrap=True)
        research.setObjectName("banner")

        content = QWidget()
        content.setMaximumWidth(self.fontMetrics().averageCharWidth() * 130)
        column = QVBoxLayout(content)
        column.setSpacing(12)
        column.addWidget(self._title)
        column.addWidget(text)
        column.addLayout(buttons)
        column.addSpacing(8)
        column.addWidget(_heading(tr("Demonstrations (simulated ECGs)")))
        column.addWidget(self._demos)
        column.addSpacing(8)
        column.addWidget(_heading(tr("Recent files")))
        column.addLayout(self._recent)
        column.addLayout(keeping)
        column.addStretch()
        column.addWidget(research)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setAccessibleName(tr("Start page"))
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.addStretch(1)
        row.addWidget(content, 8)
        row.addStretch(1)
        scroll.setWidget(middle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Say what is being read."""
        reading = new.job.stage is Stage.READING
        name = new.job.source_name
        title = tr("Reading {name}", name=name) if reading else tr("Open a 12-lead ECG")
        self._title.setText(breakable(title))
        for button, text, action in (
            (self._open, tr("&Open ECG…"), "open"),
            (self._guide, tr("&Guided first reading"), "guide"),
        ):
            button.setText(f"{text}   {new.keys.get(action, '')}".rstrip())
        self._open.setEnabled(not reading)
        self._demos.setEnabled(not reading)
        self._private = new.options.private
        self._hide_names()

    def _hide_names(self) -> None:
        for index in range(self._recent.count()):
            item = self._recent.itemAt(index)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setVisible(not self._private)

    def show_recent(self, recent: Recent) -> None:
        """List recent files, or say that none are remembered."""
        while (item := self._recent.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for path in recent.paths:
            button = TextButton(path.name, str(path.parent))
            button.clicked.connect(lambda _checked, path=path: self.pathRequested.emit(path))
            self._recent.addWidget(button)
        if not recent.paths:
            none = QLabel(
                tr("None yet.") if recent.remember else tr("Recent files are not remembered.")
            )
            none.setObjectName("muted")
            self._recent.addWidget(none)
        self._hide_names()
        blocked = self._remember.blockSignals(True)
        self._remember.setChecked(recent.remember)
        self._remember.blockSignals(blocked)
        self._forget.setEnabled(bool(recent.paths))

    def _make_demos(self) -> QWidget:
        box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        for n, demo in enumerate(DEMONSTRATIONS):
            button = TextButton(tr(demo.title), tr(demo.text))
            path = asset("demo", demo.file)
            button.clicked.connect(lambda _checked, path=path: self.pathRequested.emit(path))
            grid.addWidget(button, n // 2, n % 2)
        return box


class GuidePanel(QWidget):
    """One step of the guided first reading at a time."""

    actionRequested = Signal(str)
    pathRequested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._count = QLabel()
        self._count.setObjectName("muted")
        self._title = _heading("")
        self._text = QLabel(wordWrap=True)
        self._do = QPushButton()
        self._do.clicked.connect(self._on_do)
        self._back = QPushButton(tr("&Back"))
        self._back.clicked.connect(lambda: self.go_to(self._number - 1))
        self._next = QPushButton(tr("&Next"))
        self._next.clicked.connect(lambda: self.go_to(self._number + 1))
        buttons = QHBoxLayout()
        buttons.addWidget(self._back)
        buttons.addWidget(self._next)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for label in (self._count, self._title, self._text):
            layout.addWidget(label)
        layout.addWidget(self._do)
        layout.addLayout(buttons)
        self.go_to(0)

    def go_to(self, number: int) -> None:
        """Show a step, as far as there is one."""
        self._number = min(max(number, 0), len(STEPS) - 1)
        step = STEPS[self._number]
        count = tr("Step {number} of {count}", number=self._number + 1, count=len(STEPS))
        self._count.setText(count)
        self._title.setText(tr(step.title))
        self._text.setText(tr(step.text))
        self._do.setText(tr(step.button))
        self._do.setVisible(bool(step.button))
        self._back.setEnabled(self._number > 0)
        self._next.setEnabled(self._number < len(STEPS) - 1)

    def _on_do(self) -> None:
        step = STEPS[self._number]
        if step.demonstration:
            self.pathRequested.emit(asset("demo", step.demonstration))
        else:
            self.actionRequested.emit(step.action)


class _Start(QObject):
    """Keeps the list of recent files and shows the start page when there is nothing to read."""

    def __init__(self, desk: Desk, page: StartPage, guide: GuidePanel) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._page = page
        self._recent = load_recent(desk.folder)
        page.openRequested.connect(lambda: desk.window.trigger("open"))
        page.pathRequested.connect(desk.controller.open_file)
        page.guideRequested.connect(self.start_guide)
        page.rememberChanged.connect(lambda remember: self._take(Recent(remember=remember)))
        page.forgetRequested.connect(lambda: self._take(replace(self._recent, paths=())))
        guide.actionRequested.connect(desk.window.trigger)
        guide.pathRequested.connect(desk.controller.open_file)
        self._guide = guide
        desk.controller.state_changed.connect(self._on_state)
        page.show_recent(self._recent)

    def start_guide(self) -> None:
        """Begin the guided first reading beside the ECG."""
        self._guide.go_to(0)
        self._desk.window.show_view()
        self._desk.window.show_page(GUIDE)

    def _on_state(self, old: AppState, new: AppState) -> None:
        if new.recording is None or new.recording is old.recording:
            return
        if old.recording is None or self._desk.window.shown_view == VIEW:
            self._desk.window.show_view()
        opened = self._desk.controller.shown_path
        if asset("demo") not in opened.parents:
            self._take(with_path(self._recent, opened))

    def _take(self, recent: Recent) -> None:
        if recent == self._recent:
            return
        self._recent = recent
        self._page.show_recent(recent)
        try:
            save_recent(self._desk.folder, recent)
        except OSError as error:
            self._desk.controller.tell(
                tr("The list of recent files could not be written: {why}.", why=system_words(error))
            )


def _heading(text: str) -> QLabel:
    label = QLabel(text, wordWrap=True)
    label.setObjectName("stretch")
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def install(desk: Desk) -> None:
    """Add the start page and the guide to the window, and begin with the page."""
    page, guide = StartPage(), GuidePanel()
    desk.window.add_view(VIEW, page)
    desk.window.add_page(GUIDE, tr("Gui&de"), guide)
    start = _Start(desk, page, guide)
    answers: dict[str, Callable[[], object]] = {
        "start_page": lambda: desk.window.show_view(VIEW),
        "read_on": desk.window.show_view,
        "guide": start.start_guide,
    }
    desk.window.add_actions(ACTIONS, answers)
    desk.window.show_view(VIEW)
    page.setFocus()
