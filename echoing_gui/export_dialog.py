"""Asks what to export, on which paper, and whether it may tell whose ECG it is; then where to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.exports import Kind
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.i18n import tr
from echoing_gui.identity import Identity
from echoing_gui.view_models.report import PAPERS


class ExportDialog(QDialog):
    """Asks for form, paper and identity; `chosen` carries them.

    Parameters
    ----------
    kinds
        Forms to choose from; a single one is not asked for.
    on_paper
        Those of them that are pages.
    verb
        What is done, on the title and the button.
    parent
        The window.
    note
        What else there is to know of what is written, as a sentence.
    """

    chosen = Signal(object, object, object)

    def __init__(
        self,
        kinds: Sequence[Kind],
        on_paper: Collection[Kind],
        verb: str,
        parent: QWidget,
        note: str = "",
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(verb.replace("&", "").rstrip("…"))
        self._kinds = kinds
        self._on_paper = on_paper
        self.kind = QComboBox()
        self.kind.addItems([tr(kind.label) for kind in kinds])
        self.paper = QComboBox()
        self.paper.addItems([f"{paper.name} ({tr('landscape')})" for paper in PAPERS])
        form = QFormLayout()
        if len(kinds) > 1:
            form.addRow(tr("&Form"), self.kind)
        if on_paper:
            form.addRow(tr("&Paper"), self.paper)
        self.identity = QButtonGroup(self)
        self._text = QLabel(wordWrap=True)
        self._text.setObjectName("muted")
        width = self.fontMetrics().averageCharWidth() * 62
        self._text.setMinimumWidth(width)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        buttons.button(standard.Ok).setText(verb)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for number, (_, label, _) in enumerate(_identities()):
            button = QRadioButton(label)
            button.setChecked(number == 0)
            self.identity.addButton(button, number)
            layout.addWidget(button)
        layout.addWidget(self._text)
        if note:
            layout.addWidget(QLabel(note, wordWrap=True))
        layout.addWidget(buttons)
        self.kind.currentIndexChanged.connect(self._follow)
        self.identity.idToggled.connect(self._follow)
        self._text.ensurePolished()
        for _, _, text in _identities():  # room for the longest
            self._text.setText(text)
            least = max(self._text.minimumHeight(), self._text.heightForWidth(width))
            self._text.setMinimumHeight(least)
        self._follow()

    def choose(self, identity: Identity) -> None:
        """Take one of the answers to whose ECG it may tell."""
        for number, (each, _, _) in enumerate(_identities()):
            if each is identity:
                self.identity.button(number).setChecked(True)

    def accept(self) -> None:
        """Report what was chosen, and close."""
        paper = PAPERS[self.paper.currentIndex()]
        identity = _identities()[self.identity.checkedId()][0]
        self.chosen.emit(self._kinds[self.kind.currentIndex()], paper, identity)
        super().accept()

    def _follow(self) -> None:
        self.paper.setEnabled(self._kinds[self.kind.currentIndex()] in self._on_paper)
        self._text.setText(_identities()[self.identity.checkedId()][2])


def _identities() -> tuple[tuple[Identity, str, str], ...]:
    """Answers to whose ECG it may tell, and what each means; the first is proposed."""
    left_out = tr(
        "Names, numbers, dates, places, device, free text and the file's name and hash are left "
        "out; age, where it is given, is in years, 90 and above as one."
    )
    limits = tr(
        "This follows the Safe Harbor list; it is no legal assessment. A 12-lead ECG, and the "
        "numbers made from it, may themselves tell a person to somebody who has the same ECG."
    )
    return (
        (
            Identity.HIDDEN,
            tr("&Leave out who the patient is"),
            " ".join((left_out, tr("Each export carries a new random name."), limits)),
        ),
        (
            Identity.LINKABLE,
            tr("Leave it out, with a &pseudonym that links my exports"),
            " ".join(
                (
                    left_out,
                    tr(
                        "The same ECG has the same pseudonym in all your exports. It is made with "
                        "a key that stays in your settings; without the key nobody can make it "
                        "from the file."
                    ),
                    limits,
                )
            ),
        ),
        (
            Identity.KEPT,
            tr("&Keep who the patient is"),
            tr("What this form has room for of patient, file name and hash is written."),
        ),
    )


def ask_where(parent: QWidget, kind: Kind, name: str, then: Callable[[Path], object]) -> None:
    """Ask for the file to write to.

    Parameters
    ----------
    parent
        The window.
    kind
        Gives the ending.
    name
        Of the file, without ending, to begin with.
    then
        Given the file that was chosen.
    """
    dialog = file_dialog(parent, tr("Export"))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(kind.suffix)
    dialog.setNameFilter(f"{tr(kind.label)} (*{kind.suffix})")
    dialog.selectFile(f"{name}{kind.suffix}")
    dialog.fileSelected.connect(lambda chosen: then(Path(chosen)))
    dialog.open()
