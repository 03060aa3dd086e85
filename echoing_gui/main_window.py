"""The window: menus, toolbar, message bar, panels, status bar; it holds only the state shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QPaintEvent,
    QScreen,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QMainWindow,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.actions import ACTIONS, OTHER_KEYS, PAGE_STEPS_S, Action
from echoing_gui.calibration_dialog import CalibrationDialog
from echoing_gui.dialogs import AboutDialog, KeysDialog
from echoing_gui.errors import ErrorDialog
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.graphics.buttons import come_after
from echoing_gui.i18n import tr
from echoing_gui.key_map import Keys, shown
from echoing_gui.menus import Menus
from echoing_gui.panels import (
    ImportReportPanel,
    MeasuresPanel,
    OverviewPanel,
    Panel,
    RecordingPanel,
    TracesPanel,
)
from echoing_gui.resources import TITLE, asset, program_version
from echoing_gui.state import AppState, DisplayOptions, Stage
from echoing_gui.toolbar import ToolBar
from echoing_gui.view_models import texts
from echoing_gui.view_models.privacy import PrivacyScreen
from echoing_gui.view_models.results import RESEARCH_ONLY, full_caveat, package_line
from echoing_gui.window_parts import MessageBar, SidePages, screen_facts, without_companions


class MainWindow(QMainWindow):
    """Shows the state and asks through signals.

    Parameters
    ----------
    geometry
        Where the window's place is remembered.
    """

    openRequested = Signal(object)
    manyDropped = Signal(object)
    demoRequested = Signal()
    predictRequested = Signal()
    pageRequested = Signal(float)
    confirmRequested = Signal(str)
    previewHeld = Signal(bool)
    stopRequested = Signal()
    messageCloseRequested = Signal()
    optionsRequested = Signal(object)
    varianceHeld = Signal(bool)
    screenChanged = Signal(object)
    calibrated = Signal(float)
    keysChanged = Signal(object)
    painted = Signal()
    closing = Signal()

    def __init__(self, geometry: QSettings) -> None:
        super().__init__()
        self._geometry = geometry
        self._state = AppState()
        self._privacy = PrivacyScreen()
        # For this session only: a folder may be named after a patient.
        self._folder = ""
        self._was_painted = False
        self._watched_screen: QScreen | None = None
        self.setWindowTitle(TITLE)
        self.setWindowIcon(QIcon(str(asset("icons", "echoing.png"))))
        self.setAcceptDrops(True)

        self.traces = TracesPanel()
        self.measures = MeasuresPanel()
        self.recording = RecordingPanel()
        self.report = ImportReportPanel()
        self.overview = OverviewPanel()
        self._panels: list[Panel] = [
            self.traces, self.overview, self.measures, self.recording, self.report,
        ]  # fmt: skip
        self._message = MessageBar()
        answers: dict[str, Callable[[], object]] = {
            "open": self._ask_for_file,
            "demo": self.demoRequested.emit,
            "predict": self.predictRequested.emit,
            "stop": self.stopRequested.emit,
            "quit": self.close,
            "calibrate": self._calibrate,
            "full_screen": self._toggle_full_screen,
            "shortcuts": self._show_keys,
            "about": self._show_about,
            **{key: partial(self._go_by, step_s) for key, step_s in PAGE_STEPS_S.items()},
        }
        self._answers: dict[str, Callable[[], object]] = {}
        self._close_guards: list[Callable[[], bool]] = []
        self._menus = Menus(self.menuBar(), self)
        self._menus.triggered.connect(self._on_action)
        self._qactions = self._menus.qactions
        self.add_actions(ACTIONS, answers)
        toolbar = ToolBar(self._qactions, self)
        self.addToolBar(toolbar)
        self._panels.append(toolbar)
        self._place_panels()
        self._scale = QPushButton(flat=True)
        self._scale.clicked.connect(self._calibrate)
        self.statusBar().addPermanentWidget(self._scale)
        self.statusBar().messageChanged.connect(self._on_said)

        self.measures.confirmRequested.connect(self.confirmRequested)
        self.measures.previewHeld.connect(self.previewHeld)
        self.traces.view.hovered.connect(self.statusBar().showMessage)
        self.overview.pageRequested.connect(self.pageRequested)
        self.overview.predictRequested.connect(self.predictRequested)
        self._message.closeRequested.connect(self.messageCloseRequested)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_colour_scheme)
        self._show_all(AppState(), self._state)
        self.traces.setFocus()
        self.resize(1600, 900)
        saved = self._geometry.value("window")
        if saved is not None:
            self.restoreGeometry(saved)

    @property
    def state(self) -> AppState:
        """The state on screen."""
        return self._state

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show a state, through the privacy screen; applies what differs from the one before."""
        old, new = self._state, self._privacy.applied(new)
        self._state = new
        if old.options.theme is not new.options.theme:
            theme.apply_theme(new.options.theme)
        if old.recording is not new.recording or old.prediction is not new.prediction:
            # What was said of another ECG or result is no longer true.
            self.statusBar().clearMessage()
        self._show_all(old, new)
        spoken = texts.announcement(old, new)
        if spoken:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, spoken))

    @property
    def actions_table(self) -> tuple[Action, ...]:
        """All actions that the window offers."""
        return tuple(self._menus.table.values())

    @property
    def chosen_keys(self) -> Mapping[str, Keys]:
        """The user's own keys, by action."""
        return self._menus.chosen_keys

    @property
    def shown_keys(self) -> dict[str, str]:
        """Keys in force as texts name them, by action."""
        return self._menus.shown_keys

    def add_actions(
        self, actions: Iterable[Action], answers: Mapping[str, Callable[[], object]]
    ) -> None:
        """Offer actions in the menus.

        Parameters
        ----------
        actions
            In the order of the menus; a new group begins behind a line.
        answers
            What to do, by key, for those that do not change display options.
        """
        self._answers.update(answers)
        self._menus.add(actions)

    def set_keys(self, chosen: Mapping[str, Keys]) -> None:
        """Take the user's own keys, by action, in place of those that actions come with."""
        self._menus.set_keys(chosen)
        self.keysChanged.emit(self.shown_keys)

    def trigger(self, key: str) -> None:
        """Do what an action does."""
        self._qactions[key].trigger()

    def add_page(self, key: str, title: str, *panels: QWidget) -> None:
        """Add a tab beside the ECG.

        Parameters
        ----------
        key
            Names the page for `show_page`.
        title
            On the tab, with the letter to press behind an ampersand.
        panels
            From top to bottom; those with `show_state` are shown each state.
        """
        self._pages.add_page(key, title, panels)
        for panel in panels:
            self._show_from_now(panel)

    def show_page(self, key: str, panel: QWidget | None = None) -> None:
        """Bring a tab beside the ECG to the front, scrolled to one of its panels."""
        self._pages.show_page(key, panel)

    def add_view(self, key: str, view: QWidget) -> None:
        """Add a view that can take the place of the ECG and what stands beside it."""
        view.setObjectName(key)
        self._views.addWidget(view)
        self._show_from_now(view)

    def show_view(self, key: str = "reading") -> None:
        """Show a view added by `add_view`; without a key, the ECG."""
        view = self._views.findChild(QWidget, key)
        if view is not None:
            self._views.setCurrentWidget(view)

    @property
    def shown_view(self) -> str:
        """Key of the view that is shown; ``reading`` for the ECG."""
        shown = self._views.currentWidget()
        return shown.objectName() if shown is not None else ""

    def add_close_guard(self, may_close: Callable[[], bool]) -> None:
        """Ask before closing; where `may_close` says no, it tells why, and the window stays."""
        self._close_guards.append(may_close)

    def show_error(self, error: Exception) -> None:
        """Tell of something unexpected, with details to copy."""
        ErrorDialog(error, self).open()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell once that the window stands on the screen."""
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            # After the panels too have painted.
            QTimer.singleShot(0, self, self.painted.emit)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the scale of the screen and notice when the window moves to another one."""
        super().showEvent(event)
        # Pages came after it, but it stands below them all.
        come_after(self.previousInFocusChain(), self._scale)
        handle = self.windowHandle()
        handle.screenChanged.connect(self._on_screen, Qt.ConnectionType.UniqueConnection)
        self._on_screen(handle.screen())

    def event(self, event: QEvent) -> bool:
        """Take the scale anew when the density changes; let go of a held key with the focus."""
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._report_screen()
        elif event.type() == QEvent.Type.WindowDeactivate:
            self.varianceHeld.emit(False)
        return super().event(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the window's place; stop all work; stay open while a guard asks."""
        if not all(may_close() for may_close in self._close_guards):
            event.ignore()
            return
        self._geometry.setValue("window", self.saveGeometry())
        self.closing.emit()
        super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Hide the variance strips while U is down."""
        if event.key() == Qt.Key.Key_U and not event.modifiers():
            if not event.isAutoRepeat():
                self.varianceHeld.emit(True)
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show the variance strips again."""
        if event.key() == Qt.Key.Key_U:
            if not event.isAutoRepeat():
                self.varianceHeld.emit(False)
            return
        super().keyReleaseEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders of this computer."""
        urls = event.mimeData().urls()
        if urls and all(url.isLocalFile() for url in urls):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the file; hand on a folder, or several files."""
        event.acceptProposedAction()
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls()]
        ecgs = without_companions(paths)
        if len(ecgs) == 1 and not ecgs[0].is_dir():
            self.openRequested.emit(ecgs[0])
        else:
            self.manyDropped.emit(tuple(ecgs))

    def _place_panels(self) -> None:
        side = QWidget()
        side.setObjectName("side")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 12, 0, 0)
        self.measures.header.setContentsMargins(12, 0, 12, 0)
        self._pages = SidePages()
        column.addWidget(self.measures.header)
        column.addWidget(self._pages, 1)
        side.setMinimumWidth(self.fontMetrics().averageCharWidth() * 46)
        self.add_page("result", tr("&Result"), self.measures)
        self.add_page("recording", tr("Re&cording"), self.recording, self.report)

        ecg = QWidget()
        pages = QVBoxLayout(ecg)
        pages.setContentsMargins(0, 0, 0, 0)
        pages.setSpacing(0)
        pages.addWidget(self.traces, 1)
        pages.addWidget(self.overview)
        splitter = QSplitter()
        splitter.addWidget(ecg)
        splitter.addWidget(side)
        splitter.setStretchFactor(0, 1)
        splitter.setCollapsible(0, False)
        splitter.setCollapsible(1, False)
        # What pages would like depends on the order in which Qt happens to style them.
        splitter.setSizes([1, side.minimumWidth()])
        self._views = QStackedWidget()
        self.add_view("reading", splitter)
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._message)
        layout.addWidget(self._views, 1)
        self.setCentralWidget(central)

    def _show_from_now(self, panel: QWidget) -> None:
        """Show the state to a panel now and whenever it changes."""
        if isinstance(panel, Panel) and panel not in self._panels:
            self._panels.append(panel)
            panel.show_state(AppState(), self._state)

    def _show_all(self, old: AppState, new: AppState) -> None:
        for panel in self._panels:
            panel.show_state(old, new)
        self._message.show_message(new.message, texts.key_of(new, "stop"))
        self._menus.show_state(old, new)
        self._scale.setText(texts.scale_status(new))
        self._scale.setToolTip(tr("Calibrate this screen{key}", key=texts.key_of(new, "calibrate")))
        theme.rename(self._scale, "scaleWarning" if texts.not_to_scale(new) else "scaleFine")

    def _on_said(self, text: str) -> None:
        """Show under the pointer, too, what may be too long for the window's width."""
        self.statusBar().setToolTip(text)

    def _on_action(self, action: Action) -> None:
        if action.change is None:
            self._answers[action.key]()
            return
        options: DisplayOptions = action.change(self._state.options)
        if options == self._state.options:
            # Qt has already taken the tick off the choice in force.
            self._qactions[action.key].setChecked(True)
            return
        self.optionsRequested.emit(options)

    def _go_by(self, step_s: float) -> None:
        self.pageRequested.emit(self._state.page_start_s + step_s)

    def _ask_for_file(self) -> None:
        from model_core.io import READERS

        if self._state.job.stage is Stage.READING:
            return
        known = dict.fromkeys(suffix for reader in READERS for suffix in reader.SUFFIXES)
        suffixes = " ".join(f"*{suffix}" for suffix in known)
        dialog = file_dialog(self, tr("Open ECG"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([f"{tr('ECG files')} ({suffixes})", f"{tr('All files')} (*)"])
        if self._folder:
            dialog.setDirectory(self._folder)
        dialog.fileSelected.connect(self._on_file_chosen)
        dialog.open()

    def _on_file_chosen(self, name: str) -> None:
        self._folder = str(Path(name).parent)
        self.openRequested.emit(Path(name))

    def _calibrate(self) -> None:
        screen = self._state.screen
        dialog = CalibrationDialog(screen.device_px_per_mm, screen.screen_name, self)
        dialog.calibrated.connect(self.calibrated)
        dialog.open()

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _show_keys(self) -> None:
        keys = self._menus.keys
        rows = [(shown(keys[each.key]), tr(each.tip)) for each in self.actions_table]
        others = [(tr(keys), tr(text)) for keys, text in OTHER_KEYS]
        KeysDialog([*rows, *others], self).open()

    def _show_about(self) -> None:
        package = self._state.package
        paragraphs = [
            f"EchoingECG {program_version()}",
            tr(
                "Opens a 12-lead ECG, draws it true to scale and estimates what an echocardiogram "
                "would probably measure, with prediction intervals and a map of where the estimate "
                "is unstable. It works offline and sends nothing."
            ),
            tr(RESEARCH_ONLY),
        ]
        if package is not None:
            paragraphs += [
                f"{package_line(package)}\nSHA-256 {package.package_id}",
                full_caveat(package),
            ]
        AboutDialog(paragraphs, self).open()

    def _on_colour_scheme(self) -> None:
        theme.apply_theme(self._state.options.theme)
        self._show_all(self._state, self._state)

    def _on_screen(self, screen: QScreen) -> None:
        if screen is not self._watched_screen:
            self._watched_screen = screen
            for signal in (screen.physicalDotsPerInchChanged, screen.geometryChanged):
                signal.connect(self._report_screen, Qt.ConnectionType.UniqueConnection)
        self._report_screen()

    def _report_screen(self) -> None:
        self.screenChanged.emit(screen_facts(self.screen(), self.devicePixelRatioF()))
