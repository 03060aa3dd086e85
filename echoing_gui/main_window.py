"""The window: menus, toolbar, message bar, panels, status bar; it holds only the state shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QScreen,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSplitter,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.actions import ACTIONS, MENUS, OTHER_KEYS, PAGE_STEPS_S, Action
from echoing_gui.dialogs import AboutDialog, CalibrationDialog, KeysDialog
from echoing_gui.errors import ErrorDialog
from echoing_gui.panels import (
    ImportReportPanel,
    MeasuresPanel,
    OverviewPanel,
    RecordingPanel,
    TracesPanel,
)
from echoing_gui.resources import TITLE, asset, program_version
from echoing_gui.settings import screen_key
from echoing_gui.state import AppState, DisplayOptions, Level, ScreenFacts, Stage, UserMessage
from echoing_gui.view_models import texts
from echoing_gui.view_models.results import RESEARCH_ONLY

_PLAUSIBLE_DPI = (60.0, 350.0)
_TOOLBAR: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("", (("open", "Open"), ("demo", "Demonstration"))),
    ("Layout", (("grid", "3x4"), ("rows", "12x1"))),
    ("mm/s", (("speed_12.5", "12.5"), ("speed_25", "25"), ("speed_50", "50"))),
    ("mm/mV", (("gain_5", "5"), ("gain_10", "10"), ("gain_20", "20"))),
    ("Zoom", (("zoom_out", "−"), ("zoom_reset", "100 %"), ("zoom_in", "+"))),
    ("", (("variance", "Variance strips"),)),
)


class MessageBar(QFrame):
    """One message, with what to do, until it is closed."""

    closeRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = QLabel(wordWrap=True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QPushButton("&Close")
        close.setToolTip("Close this message (Esc)")
        close.setAccessibleName("Close the message")
        close.clicked.connect(self.closeRequested)
        layout = QHBoxLayout(self)
        layout.addWidget(self._text, 1)
        layout.addWidget(close)
        self.hide()

    def show_message(self, message: UserMessage | None) -> None:
        """Show a message, or none."""
        if message is not None:
            self._text.setText(f"{message.text} {message.hint}".strip())
            self.setObjectName("messageError" if message.level is Level.ERROR else "messageInfo")
            self.style().unpolish(self)
            self.style().polish(self)
        else:
            self._text.clear()
        self.setVisible(message is not None)


class _Column(QWidget):
    """A column whose texts wrap: never lower than they need, so that the scroll area scrolls."""

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            layout = self.layout()
            if layout is not None:
                self.setMinimumHeight(max(0, layout.totalHeightForWidth(self.width())))
        return super().event(event)


class MainWindow(QMainWindow):
    """Shows the state and asks through signals.

    Parameters
    ----------
    geometry
        Where the window's place is remembered.
    """

    openRequested = Signal(object)
    demoRequested = Signal()
    predictRequested = Signal()
    pageRequested = Signal(float)
    confirmRequested = Signal(str)
    stopRequested = Signal()
    messageCloseRequested = Signal()
    optionsRequested = Signal(object)
    varianceHeld = Signal(bool)
    screenChanged = Signal(object)
    calibrated = Signal(float)
    painted = Signal()
    closing = Signal()

    def __init__(self, geometry: QSettings) -> None:
        super().__init__()
        self._geometry = geometry
        self._state = AppState()
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
        self._panels = (self.traces, self.overview, self.measures, self.recording, self.report)
        self._message = MessageBar()
        self._answers: dict[str, Callable[[], object]] = {
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
        self._table: dict[str, Action] = {action.key: action for action in ACTIONS}
        self._qactions: dict[str, QAction] = {}
        self._make_actions()
        self._make_toolbar()
        self._place_panels()
        self._scale = QPushButton(flat=True)
        self._scale.setToolTip("Calibrate this screen (Ctrl+K)")
        self._scale.clicked.connect(self._calibrate)
        self.statusBar().addPermanentWidget(self._scale)

        self.measures.confirmRequested.connect(self.confirmRequested)
        self.traces.openRequested.connect(self._ask_for_file)
        self.traces.demoRequested.connect(self.demoRequested)
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
        """Show a state; applies what differs from the one before."""
        self._state = new
        if old.options.theme is not new.options.theme:
            self._apply_theme()
        self._show_all(old, new)
        spoken = texts.announcement(old, new)
        if spoken:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, spoken))

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
        self._apply_theme()
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
        """Remember the window's place; stop all work."""
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
        """Accept one file of this computer."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the file."""
        event.acceptProposedAction()
        self.openRequested.emit(Path(event.mimeData().urls()[0].toLocalFile()))

    def _make_actions(self) -> None:
        group = QActionGroup(self)
        group.setExclusionPolicy(QActionGroup.ExclusionPolicy.None_)
        group.triggered.connect(self._on_action)
        for title in MENUS:
            menu = self.menuBar().addMenu(title)
            last = ""
            for action in (a for a in ACTIONS if a.menu == title):
                if last != action.group:
                    menu.addSeparator()
                last = action.group
                qaction = QAction(action.text, group)
                qaction.setData(action.key)
                qaction.setShortcuts([QKeySequence(keys) for keys in action.shortcuts])
                qaction.setCheckable(action.checked is not None)
                qaction.setToolTip(f"{action.tip} ({_shown(action)})")
                qaction.setStatusTip(action.tip)
                menu.addAction(qaction)
                self._qactions[action.key] = qaction

    def _make_toolbar(self) -> None:
        bar = QToolBar("Tools")
        bar.setMovable(False)
        bar.toggleViewAction().setEnabled(False)
        self.addToolBar(bar)
        for number, (title, buttons) in enumerate(_TOOLBAR):
            if number:
                bar.addSeparator()
            if title:
                bar.addWidget(QLabel(title))
            for key, text in buttons:
                qaction = self._qactions[key]
                qaction.setIconText(text)
                bar.addAction(qaction)
                button = bar.widgetForAction(qaction)
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
                button.setAccessibleName(self._table[key].text.replace("&", ""))

    def _place_panels(self) -> None:
        rows = _Column()
        rows.setObjectName("sideContent")
        stacked = QVBoxLayout(rows)
        stacked.addWidget(self.measures)
        stacked.addSpacing(12)
        stacked.addWidget(self.recording)
        stacked.addSpacing(12)
        stacked.addWidget(self.report)
        stacked.addStretch()
        stacked.setContentsMargins(12, 0, 12, 12)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setAccessibleName("Result and recording")
        scroll.setWidget(rows)
        side = QWidget()
        side.setObjectName("side")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 12, 0, 0)
        self.measures.header.setContentsMargins(12, 0, 12, 0)
        column.addWidget(self.measures.header)
        column.addWidget(scroll, 1)
        side.setMinimumWidth(self.fontMetrics().averageCharWidth() * 44)

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
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._message)
        layout.addWidget(splitter, 1)
        self.setCentralWidget(central)

    def _show_all(self, old: AppState, new: AppState) -> None:
        for panel in self._panels:
            panel.show_state(old, new)
        self._message.show_message(new.message)
        for key, action in self._table.items():
            self._qactions[key].setEnabled(action.enabled(new))
            if action.checked is not None:
                self._qactions[key].setChecked(action.checked(new))
        self._scale.setText(texts.scale_status(new))
        name = "scaleWarning" if texts.not_to_scale(new) else "scaleFine"
        if self._scale.objectName() != name:
            self._scale.setObjectName(name)
            self._scale.style().unpolish(self._scale)
            self._scale.style().polish(self._scale)

    def _on_action(self, qaction: QAction) -> None:
        action = self._table[qaction.data()]
        if action.change is None:
            self._answers[action.key]()
            return
        options: DisplayOptions = action.change(self._state.options)
        if options == self._state.options:
            # Qt has already taken the tick off the choice in force.
            qaction.setChecked(True)
            return
        self.optionsRequested.emit(options)

    def _go_by(self, step_s: float) -> None:
        self.pageRequested.emit(self._state.page_start_s + step_s)

    def _ask_for_file(self) -> None:
        from model_core.io import READERS

        if self._state.job.stage is Stage.READING:
            return
        suffixes = " ".join(f"*{suffix}" for reader in READERS for suffix in reader.SUFFIXES)
        dialog = QFileDialog(self, "Open ECG")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([f"ECG files ({suffixes})", "All files (*)"])
        folder = self._geometry.value("folder")
        if isinstance(folder, str):
            dialog.setDirectory(folder)
        dialog.fileSelected.connect(self._on_file_chosen)
        dialog.open()

    def _on_file_chosen(self, name: str) -> None:
        self._geometry.setValue("folder", str(Path(name).parent))
        self.openRequested.emit(Path(name))

    def _calibrate(self) -> None:
        screen = self._state.screen
        dialog = CalibrationDialog(screen.device_px_per_mm, screen.screen_name, self)
        dialog.calibrated.connect(self.calibrated)
        dialog.open()

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _show_keys(self) -> None:
        rows = [(_shown(action), action.tip) for action in ACTIONS]
        KeysDialog([*rows, *OTHER_KEYS], self).open()

    def _show_about(self) -> None:
        package = self._state.package
        paragraphs = [
            f"EchoingECG {program_version()}",
            "Opens a 12-lead ECG, draws it true to scale and estimates what an echocardiogram "
            "would probably measure, with prediction intervals and a map of where the estimate is "
            "unstable. It works offline and sends nothing.",
            RESEARCH_ONLY,
        ]
        if package is not None:
            paragraphs += [
                f"Model package: {package.name} {package.version}\nSHA-256 {package.package_id}",
                package.caveat,
            ]
        AboutDialog(paragraphs, self).open()

    def _apply_theme(self) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply_colours(app, theme.colours_for(self._state.options.theme))

    def _on_colour_scheme(self) -> None:
        self._apply_theme()
        self._show_all(self._state, self._state)

    def _on_screen(self, screen: QScreen) -> None:
        if screen is not self._watched_screen:
            self._watched_screen = screen
            for signal in (screen.physicalDotsPerInchChanged, screen.geometryChanged):
                signal.connect(self._report_screen, Qt.ConnectionType.UniqueConnection)
        self._report_screen()

    def _report_screen(self) -> None:
        self.screenChanged.emit(screen_facts(self.screen(), self.devicePixelRatioF()))


def screen_facts(screen: QScreen, pixel_ratio: float) -> ScreenFacts:
    """Say which screen this is and how large its pixels probably are.

    Parameters
    ----------
    screen
        The screen.
    pixel_ratio
        Device pixels to one pixel of the user interface.

    Returns
    -------
    ScreenFacts
        The guess is the system's word where that is plausible, else 96 dots an inch.
    """
    size = screen.size()
    key = screen_key(
        screen.name(),
        screen.manufacturer(),
        screen.model(),
        screen.serialNumber(),
        round(size.width() * pixel_ratio),
        round(size.height() * pixel_ratio),
    )
    dpi = screen.physicalDotsPerInch() * pixel_ratio
    square = screen.physicalDotsPerInchX() / max(screen.physicalDotsPerInchY(), 1.0)
    if not (_PLAUSIBLE_DPI[0] <= dpi <= _PLAUSIBLE_DPI[1] and abs(square - 1) < 0.05):
        dpi = 96.0 * pixel_ratio
    return ScreenFacts(key, screen.model() or screen.name(), dpi / 25.4)


def _shown(action: Action) -> str:
    return QKeySequence(action.shortcuts[0]).toString(QKeySequence.SequenceFormat.NativeText)
