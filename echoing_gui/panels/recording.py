"""The recording: what the file says, and what the input gate found."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.view_models.results import recording_view
from echoing_gui.view_models.wrapping import breakable


class RecordingPanel(QWidget):
    """Facts about the file; nothing that names the patient."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts = _label()
        self._quality = _label()
        self._titles = {
            part: _title(text)
            for part, text in (
                (self._facts, tr("Recording")),
                (self._quality, tr("Input check")),
            )
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part, title in self._titles.items():
            layout.addWidget(title)
            layout.addWidget(part)

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Show the recording of a state."""
        view = recording_view(new)
        for part, lines in (
            (self._facts, [f"{label}: {text}" for label, text in view.facts]),
            (self._quality, list(view.quality)),
        ):
            part.setText(breakable("\n".join(lines)))
            part.setVisible(bool(lines))
            self._titles[part].setVisible(bool(lines and view.facts))


def _label() -> QLabel:
    label = QLabel(wordWrap=True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _title(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("panelTitle")
    return label
