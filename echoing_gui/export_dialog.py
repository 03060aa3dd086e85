"""Asks in which form to export, and whether names may go along; then where to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.exports import Kind
from echoing_gui.i18n import tr


class ExportDialog(QDialog):
    """Asks for form, names and file, in this order.

    Parameters
    ----------
    kinds
        Forms to choose from.
    name
        Of the file, without ending, to begin with.
    parent
        The window.
    """

    chosen = Signal(object, object, bool)

    def __init__(self, kinds: Sequence[Kind], name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Export"))
        self._kinds = kinds
        self._name = name
        self.kind = QComboBox()
        self.kind.addItems([tr(kind.label) for kind in kinds])
        self.identified = QCheckBox(tr("With names of &files and patients"))
        text = QLabel(
            tr(
                "Without names, the export holds no file name, patient, date or free text; a hash "
                "of each recording still tells whoever has the file which one it is. Every export "
                "says which model package it comes from, and that it is for research only."
            ),
            wordWrap=True,
        )
        text.setObjectName("muted")
        text.setMinimumWidth(self.fontMetrics().averageCharWidth() * 58)
        form = QFormLayout()
        form.addRow(tr("&Form"), self.kind)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        buttons.button(standard.Ok).setText(tr("&Export…"))
        buttons.accepted.connect(self._ask_where)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.identified)
        layout.addWidget(text)
        layout.addWidget(buttons)

    def choose(self, path: Path) -> None:
        """Report what was chosen, and close."""
        kind = self._kinds[self.kind.currentIndex()]
        self.chosen.emit(kind, path, self.identified.isChecked())
        self.accept()

    def _ask_where(self) -> None:
        kind = self._kinds[self.kind.currentIndex()]
        dialog = QFileDialog(self, tr("Export"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind.suffix)
        dialog.setNameFilter(f"{tr(kind.label)} (*{kind.suffix})")
        dialog.selectFile(f"{self._name}{kind.suffix}")
        dialog.fileSelected.connect(lambda name: self.choose(Path(name)))
        dialog.open()
