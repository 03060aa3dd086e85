"""A push button whose text wraps, and the turn of widgets under the Tab key."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

_MARGINS = (12, 6, 12, 6)


def come_after(before: QWidget | None, widget: QWidget) -> None:
    """Let Tab go to a widget after another one, or after the last before it that takes the focus.

    Parameters
    ----------
    before
        Where the widget's place is.
    widget
        What was made later than what stands behind it.
    """
    while before is not None and before.focusPolicy() is Qt.FocusPolicy.NoFocus:
        before = before.previousInFocusChain()
    if before is not None and before is not widget:
        QWidget.setTabOrder(before, widget)


class TextButton(QPushButton):
    """A button with a text that wraps, and perhaps a second one below it.

    Qt's own buttons make a column as wide as the longest of them.

    Parameters
    ----------
    text
        What it does.
    detail
        What there is to know before; with one, both stand at the left and the first stands out.
    parent
        As of all widgets.
    """

    def __init__(self, text: str = "", detail: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = (QLabel(wordWrap=True), QLabel(wordWrap=True))
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(*_MARGINS)
        self._column.setSpacing(1)
        for line in self._lines:
            line.setTextFormat(Qt.TextFormat.PlainText)
            line.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._column.addWidget(line)
        if detail:
            self._lines[0].setObjectName("stretch")
            self._lines[1].setText(detail)
            self._column.addStretch()  # beside a higher button, both stay together
        else:
            self._lines[0].setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._lines[1].hide()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setText(text)

    def text(self) -> str:
        """Return what it does; Qt itself must not know, or it would write it too."""
        return self._lines[0].text()

    def setText(self, text: str) -> None:
        """Say something else."""
        self._lines[0].setText(text)
        self.setAccessibleName(". ".join(each.text() for each in self._lines if each.text()))

    def sizeHint(self) -> QSize:
        """Room for the texts as they wrap."""
        return self._column.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Room for the longest word."""
        return self._column.minimumSize()
