"""Measure the screen once, so that a millimetre on it is a millimetre: match, then check."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QScreen, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.i18n import tr

# ISO/IEC 7810 ID-1: the width of every bank card.
CARD_MM = 85.60
RULER_MM = 100.0
CHECK_MM = 50
_LEAST_PX, _MOST_PX = 90, 3400
_HEIGHT = 90
_TICK_MM = {10: 8.0, 5: 5.5, 1: 3.5}


class _Bar(QWidget):
    """A bar of a given length in device pixels; with ticks if it is to be a ruler."""

    def __init__(self) -> None:
        super().__init__()
        self._length_px = 0.0
        self._px_per_mm = 0.0

    def set_length(self, device_px: float) -> None:
        """Be a plain bar."""
        self._show(device_px, 0.0)
        self.setAccessibleName(tr("Bar of {length:.0f} pixels", length=device_px))

    def set_ruler(self, px_per_mm: float) -> None:
        """Be a ruler of `CHECK_MM`."""
        self._show(CHECK_MM * px_per_mm, px_per_mm)
        self.setAccessibleName(tr("Ruler of {length} mm", length=CHECK_MM))

    def _show(self, length_px: float, px_per_mm: float) -> None:
        self._length_px, self._px_per_mm = length_px, px_per_mm
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the bar."""
        return QSize(round(self._length_px / self.devicePixelRatioF()) + 2, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Never less: a bar cut short would be measured short."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint in device pixels."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        # A card covers the bar from edge to edge; a ruler is read from line to line.
        width = round(self._length_px) + (1 if self._px_per_mm else 0)
        bar = QRectF(0, 0, width, self.height() * ratio)
        painter.fillRect(bar, QColor(theme.PAPER))
        painter.setPen(QPen(QColor(theme.TRACE), 1))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        if not self._px_per_mm:
            return
        for mm in range(1, CHECK_MM):
            length = next(size for step, size in _TICK_MM.items() if mm % step == 0)
            x = round(mm * self._px_per_mm) + 0.5
            painter.drawLine(QLineF(x, 0, x, length * self._px_per_mm))
        painter.setFont(theme.text_font(12 * ratio))
        for mm in range(10, CHECK_MM, 10):
            place = QRectF(mm * self._px_per_mm - 100, 9 * self._px_per_mm, 200, 20 * ratio)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, f"{mm}")


class CalibrationDialog(QDialog):
    """Lets the user match a bar with a bank card or a ruler, then check it with a ruler.

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
        self.setWindowTitle(tr("Calibrate this screen"))
        self._begin_px_per_mm = device_px_per_mm
        self._steps = QStackedWidget()
        self._steps.addWidget(self._make_match(screen_name or tr("this screen")))
        self._steps.addWidget(self._make_check())
        self._elsewhere = QLabel(
            tr(
                "This dialog is on another screen than the ECG. Move it back: what is measured "
                "here would be kept for the ECG's screen."
            ),
            wordWrap=True,
        )
        self._elsewhere.setObjectName("refusal")
        self._elsewhere.hide()
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Cancel)
        roles = QDialogButtonBox.ButtonRole
        self._back = buttons.addButton(tr("&Back"), roles.ActionRole)
        self._next = buttons.addButton(tr("&Next: check it"), roles.ActionRole)
        self._save = buttons.addButton(tr("&Save"), roles.AcceptRole)
        self._back.clicked.connect(lambda: self._go_to(0))
        self._next.clicked.connect(lambda: self._go_to(1))
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._steps)
        layout.addWidget(self._elsewhere)
        layout.addWidget(buttons)
        self._begin()
        self._go_to(0)

    @property
    def device_px_per_mm(self) -> float:
        """What the bar says now."""
        return self._length.value() / self._reference.currentData()

    def accept(self) -> None:
        """Report what was measured."""
        self.calibrated.emit(self.device_px_per_mm)
        super().accept()

    def showEvent(self, event: QShowEvent) -> None:
        """Notice when the dialog is moved to another screen."""
        super().showEvent(event)
        handle = self.windowHandle()
        handle.screenChanged.connect(self._on_screen, Qt.ConnectionType.UniqueConnection)

    def _make_match(self, screen_name: str) -> QWidget:
        text = QLabel(
            tr(
                "Step 1 of 2. Screen: {screen}\n\nHold a bank card or a ruler against the screen. "
                "Change the length with the arrow keys until the bar is exactly as long.",
                screen=screen_name,
            ),
            wordWrap=True,
        )
        self._bar = _Bar()
        self._reference = QComboBox()
        self._reference.addItem(
            tr("Bank card, long side ({length:.2f} mm)", length=CARD_MM), CARD_MM
        )
        self._reference.addItem(tr("Ruler ({length:.0f} mm)", length=RULER_MM), RULER_MM)
        self._length = QSpinBox()
        self._length.setRange(_LEAST_PX, _MOST_PX)
        self._length.setSuffix(" px")
        form = QFormLayout()
        form.addRow(tr("&Compare with"), self._reference)
        form.addRow(tr("&Length of the bar"), self._length)
        self._length.valueChanged.connect(self._bar.set_length)
        self._reference.currentIndexChanged.connect(self._begin)
        step = QWidget()
        layout = QVBoxLayout(step)
        layout.addWidget(text)
        layout.addWidget(self._bar)
        layout.addLayout(form)
        return step

    def _make_check(self) -> QWidget:
        text = QLabel(
            tr(
                "Step 2 of 2. Measure this ruler with a real one: it has to be {length} mm long. "
                "If it is not, go back and change the length of the bar.\n\nWhat you save is kept "
                "for this screen at this resolution.",
                length=CHECK_MM,
            ),
            wordWrap=True,
        )
        self._ruler = _Bar()
        step = QWidget()
        layout = QVBoxLayout(step)
        layout.addWidget(text)
        layout.addWidget(self._ruler)
        layout.addStretch()
        return step

    def _go_to(self, step: int) -> None:
        self._ruler.set_ruler(self.device_px_per_mm)
        self._steps.setCurrentIndex(step)
        self._back.setVisible(step == 1)
        self._next.setVisible(step == 0)
        self._save.setVisible(step == 1)
        button: QPushButton = self._save if step else self._next
        button.setDefault(True)
        (button if step else self._length).setFocus()

    def _begin(self) -> None:
        self._length.setValue(round(self._begin_px_per_mm * self._reference.currentData()))

    def _on_screen(self, screen: QScreen) -> None:
        parent = self.parentWidget()
        elsewhere = parent is not None and parent.screen() is not screen
        self._elsewhere.setVisible(elsewhere)
        for button in (self._next, self._save):
            button.setEnabled(not elsewhere)
