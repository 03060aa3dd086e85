"""Parts of the window that know nothing of it: message bar, tabs beside the ECG, screen facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QScreen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.i18n import tr
from echoing_gui.settings import screen_key
from echoing_gui.state import Level, ScreenFacts, UserMessage

_PLAUSIBLE_DPI = (60.0, 350.0)


class MessageBar(QFrame):
    """One message, with what to do, until it is closed."""

    closeRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = QLabel(wordWrap=True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._close = QPushButton(tr("&Close"))
        self._close.setAccessibleName(tr("Close the message"))
        self._close.clicked.connect(self.closeRequested)
        layout = QHBoxLayout(self)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._close)
        self.hide()

    def show_message(self, message: UserMessage | None, key: str) -> None:
        """Show a message, or none, and by which key it is closed (see `texts.key_of`)."""
        self._close.setToolTip(tr("Close this message{key}", key=key))
        if message is not None:
            self._text.setText(f"{message.text} {message.hint}".strip())
            is_error = message.level is Level.ERROR
            theme.rename(self, "messageError" if is_error else "messageInfo")
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


class SidePages(QTabWidget):
    """Tabs beside the ECG, each a column of panels that scrolls."""

    def __init__(self) -> None:
        super().__init__()
        self.setDocumentMode(True)
        # Along the edge there is room for all of them.
        self.setTabPosition(QTabWidget.TabPosition.East)
        # In a low window all are there still, with shorter names.
        self.setUsesScrollButtons(False)
        self.setElideMode(Qt.TextElideMode.ElideRight)
        self.setAccessibleName(tr("Result and recording"))

    def add_page(self, key: str, title: str, panels: Sequence[QWidget]) -> None:
        """Add a tab; see `MainWindow.add_page`."""
        rows = _Column()
        rows.setObjectName("sideContent")
        stacked = QVBoxLayout(rows)
        stacked.setContentsMargins(12, 8, 12, 12)
        stacked.setSpacing(12)
        for panel in panels:
            stacked.addWidget(panel)
        stacked.addStretch()
        scroll = QScrollArea()
        scroll.setObjectName(key)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setAccessibleName(title.replace("&", ""))
        scroll.setWidget(rows)
        self.setTabToolTip(self.addTab(scroll, title), title.replace("&", ""))

    def show_page(self, key: str, panel: QWidget | None = None) -> None:
        """Bring a tab to the front, with one of its panels at the top as far as it scrolls."""
        page = self.findChild(QScrollArea, key)
        if page is None:
            return
        self.setCurrentWidget(page)
        if panel is not None:
            content = page.widget()
            layout = content.layout() if content is not None else None
            if layout is not None:
                layout.activate()
            page.verticalScrollBar().setValue(panel.y())


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


def without_companions(paths: Sequence[Path]) -> list[Path]:
    """Leave out the files of samples whose header is among the files, too.

    Examples
    --------
    >>> [path.name for path in without_companions([Path("a.dat"), Path("a.hea"), Path("b.mat")])]
    ['a.hea', 'b.mat']
    """
    headers = {path.with_suffix("") for path in paths if path.suffix.lower() == ".hea"}
    return [
        path
        for path in paths
        if path.suffix.lower() == ".hea" or path.with_suffix("") not in headers
    ]
