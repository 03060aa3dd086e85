"""Small dialogs: measure the screen, list the keys, say what this is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme

# ISO/IEC 7810 ID-1: the width of every bank card.
CARD_MM = 85.60
RULER_MM = 100.0
_LEAST_PX, _MOST_PX = 90, 3400


class _Bar(QWidget):
    """A bar of a given length in device pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._length_px = 0

    def set_length(self, device_px: int) -> None:
        self._length_px = device_px
        self.setAccessibleName(f"Bar of {device_px} pixels")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(self._length_px / self.devicePixelRatioF()) + 2, 90)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        bar = QRectF(0, 0, self._length_px, self.height() * ratio)
        painter.fillRect(bar, QColor(theme.PAPER))
        painter.setPen(QColor(theme.TRACE))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))


class CalibrationDialog(QDialog):
    """Lets the user match a bar on the screen with a bank card or a ruler.

    Parameters
    ----------
    device_px_per_mm
        Where to begin.
    screen_name
        As shown.
    parent
        The window; the dialog appears on its screen.
    """

    calibrated = Signal(float)

    def __init__(self, device_px_per_mm: float, screen_name: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Calibrate this screen")
        self._begin_px_per_mm = device_px_per_mm
        text = QLabel(
            f"Screen: {screen_name or 'this screen'}\n\nHold a bank card or a ruler against the "
            "screen. Change the length with the arrow keys until the bar is exactly as long. "
            "The program remembers it for this screen and this resolution.",
            wordWrap=True,
        )
        self._bar = _Bar()
        self._reference = QComboBox()
        self._reference.addItem(f"Bank card, long side ({CARD_MM:.2f} mm)", CARD_MM)
        self._reference.addItem(f"Ruler ({RULER_MM:.0f} mm)", RULER_MM)
        self._length = QSpinBox()
        self._length.setRange(_LEAST_PX, _MOST_PX)
        self._length.setSuffix(" px")
        form = QFormLayout()
        form.addRow("&Compare with", self._reference)
        form.addRow("&Length of the bar", self._length)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Save | standard.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(self._bar)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self._length.valueChanged.connect(self._bar.set_length)
        self._reference.currentIndexChanged.connect(self._begin)
        self._begin()
        self._length.setFocus()

    def accept(self) -> None:
        """Report what was measured."""
        self.calibrated.emit(self._length.value() / self._reference.currentData())
        super().accept()

    def _begin(self) -> None:
        self._length.setValue(round(self._begin_px_per_mm * self._reference.currentData()))


class KeysDialog(QDialog):
    """Lists every key.

    Parameters
    ----------
    rows
        Keys and what they do.
    parent
        The window.
    """

    def __init__(self, rows: Sequence[tuple[str, str]], parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keys")
        table = QTreeWidget()
        table.setAccessibleName("Keys and what they do")
        table.setHeaderLabels(["Key", "What it does"])
        table.setRootIsDecorated(False)
        table.addTopLevelItems([QTreeWidgetItem([keys, text]) for keys, text in rows])
        table.resizeColumnToContents(0)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(table)
        layout.addWidget(buttons)
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 90, metrics.height() * 32)


class AboutDialog(QDialog):
    """Says something in a few paragraphs, for instance what the program is.

    Parameters
    ----------
    paragraphs
        Sentences, from the outside in.
    parent
        The window.
    title
        Of the dialog.
    """

    def __init__(
        self, paragraphs: Sequence[str], parent: QWidget | None, title: str = "About EchoingECG"
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        text = QLabel("\n\n".join(paragraphs), wordWrap=True)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setMinimumWidth(self.fontMetrics().averageCharWidth() * 60)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(buttons)
