"""Small dialogs: list the keys, say what this is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.i18n import tr


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
        self.setWindowTitle(tr("Keys"))
        table = QTreeWidget()
        table.setAccessibleName(tr("Keys and what they do"))
        table.setHeaderLabels([tr("Key"), tr("What it does")])
        table.setRootIsDecorated(False)
        table.addTopLevelItems([QTreeWidgetItem([keys, text]) for keys, text in rows])
        for column in range(2):
            table.resizeColumnToContents(column)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(table)
        layout.addWidget(buttons)
        metrics = self.fontMetrics()
        wide = max(metrics.averageCharWidth() * 90, table.header().length() + metrics.height() * 4)
        self.resize(min(wide, self.screen().availableSize().width()), metrics.height() * 32)


class AboutDialog(QDialog):
    """Says something in a few paragraphs, for instance what the program is.

    Parameters
    ----------
    paragraphs
        Sentences, from the outside in.
    parent
        The window.
    title
        Of the dialog; by default the program's name.
    """

    def __init__(self, paragraphs: Sequence[str], parent: QWidget | None, title: str = "") -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title or tr("About EchoingECG"))
        text = QLabel("\n\n".join(paragraphs), wordWrap=True)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setMinimumWidth(self.fontMetrics().averageCharWidth() * 60)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(buttons)
