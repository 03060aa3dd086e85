"""The import report beside the trace: folded to one line, opened to all of it, copied as text."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.view_models.import_report import ReportView, import_report_view, report_text


class ImportReportPanel(QWidget):
    """How the file on screen was read."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = ReportView()
        self._fold = QToolButton()
        self._fold.setText(tr("Import report"))
        self._fold.setCheckable(True)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setObjectName("fold")
        self._fold.setToolTip(tr("Show or hide how the file was read"))
        self._fold.toggled.connect(self._on_fold)
        self._copy = QPushButton(tr("Copy report"))
        self._copy.setToolTip(tr("Copy the report as text; it names no patient"))
        self._copy.clicked.connect(self._on_copy)
        self._summary = QLabel(wordWrap=True)
        self._summary.setObjectName("muted")
        self._summary.setTextFormat(Qt.TextFormat.PlainText)
        self._rows = QLabel(wordWrap=True)
        self._rows.setTextFormat(Qt.TextFormat.RichText)
        for label in (self._summary, self._rows):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        head = QHBoxLayout()
        head.addWidget(self._fold)
        head.addStretch()
        head.addWidget(self._copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._summary)
        layout.addWidget(self._rows)
        self._on_fold()
        self.hide()

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show the report of the recording on screen; whether it is open stays as it was."""
        of = new.long or new.recording
        if of is (old.long or old.recording):
            return
        self._view = import_report_view(of)
        self._summary.setText(self._view.summary)
        rows = [*self._view.rows]
        if self._view.statements:
            rows.append((tr("Statements in the file"), "\n".join(self._view.statements)))
        self._rows.setText("".join(_paragraph(label, text) for label, text in rows))
        self._rows.setAccessibleName(report_text(self._view))
        self.setVisible(bool(self._view.rows))

    def _on_fold(self) -> None:
        is_open = self._fold.isChecked()
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self._fold.setArrowType(arrow)
        self._rows.setVisible(is_open)
        self._copy.setVisible(is_open)
        self._summary.setVisible(not is_open)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(report_text(self._view))


def _paragraph(label: str, text: str) -> str:
    lines = html.escape(text).replace("\n", "<br>")
    # The weight that the program's font has: a bold one would be made up.
    title = f"<span style='font-weight: 600'>{html.escape(label)}</span>"
    return f"<p style='margin: 0 0 5px 0'>{title}<br>{lines}</p>"
