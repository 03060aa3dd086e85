"""Installs, lists, chooses and removes model packages."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.errors import to_message
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.packages import FOREIGN, Entry
from model_core.errors import EchoingError

ACTIONS = (
    Action(
        "model_packages", "M&odel", "Model &packages…", ("Ctrl+Shift+K",),
        "Install, choose and remove model packages.", group="about",
    ),
)  # fmt: skip
_INSTALL, _VERIFY = "install", "verify"


def install(desk: Desk) -> None:
    """Offer the dialog."""
    desk.window.add_actions(ACTIONS, {"model_packages": lambda: PackagesDialog(desk).open()})


class PackagesDialog(QDialog):
    """The model packages of this computer.

    Parameters
    ----------
    desk
        Gives the packages, and takes the choice.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Model packages"))
        self._desk = desk
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        self.finished.connect(lambda _code: self._jobs.close())
        desk.window.closing.connect(self._jobs.close)
        self._table = QTreeWidget()
        self._table.setHeaderLabels(
            [tr("Name"), tr("Version"), tr("Made on"), tr("Origin"), "SHA-256"]
        )
        self._table.setRootIsDecorated(False)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setAccessibleName(tr("Model packages"))
        self._table.itemSelectionChanged.connect(self._on_selection)
        self._said = QLabel(wordWrap=True)
        self._said.setTextFormat(Qt.TextFormat.PlainText)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        role = QDialogButtonBox.ButtonRole.ActionRole
        self._use = buttons.addButton(tr("&Use this one"), role)
        self._remove = buttons.addButton(tr("&Remove"), role)
        self._verify = buttons.addButton(tr("&Verify"), role)
        self._from_file = buttons.addButton(tr("&Install from a file…"), role)
        self._from_folder = buttons.addButton(tr("Install from a &folder…"), role)
        for button, answer in (
            (self._use, self._on_use),
            (self._remove, self._on_remove),
            (self._verify, self._on_verify),
            (self._from_file, partial(self._ask, QFileDialog.FileMode.ExistingFile)),
            (self._from_folder, partial(self._ask, QFileDialog.FileMode.Directory)),
        ):
            button.clicked.connect(answer)
        layout = QVBoxLayout(self)
        layout.addWidget(self._table)
        layout.addWidget(self._said)
        layout.addWidget(buttons)
        self.resize(1020, 380)
        self._fill()
        self._say(
            tr(
                "Before a package is installed, every file of it is checked against its manifest, "
                "its network is looked through and its self-test is run."
            )
        )

    def install_from(self, source: Path) -> None:
        """Check a package and install it, in a worker.

        Parameters
        ----------
        source
            Its folder or zip file.
        """
        self._say(tr("Checking the model package…"))
        self._jobs.submit(_INSTALL, lambda _token: self._desk.packages.install(source))

    def _fill(self) -> None:
        chosen = self._desk.packages.chosen
        self._table.clear()
        for entry in self._desk.packages.entries():
            origin = tr("comes with the program") if entry.is_default else tr("installed")
            if entry.key == chosen:
                origin = tr("{origin}, in use", origin=origin)
            item = QTreeWidgetItem(
                [entry.name, entry.version, entry.created, origin, entry.package_id]
            )
            item.setData(0, Qt.ItemDataRole.UserRole, entry)
            self._table.addTopLevelItem(item)
            if entry.key == chosen:
                self._table.setCurrentItem(item)
        for column in range(self._table.columnCount()):
            self._table.resizeColumnToContents(column)
        self._on_selection()

    def _selected(self) -> Entry | None:
        item = self._table.currentItem()
        return item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None

    def _on_selection(self) -> None:
        entry, chosen = self._selected(), self._desk.packages.chosen
        self._use.setEnabled(entry is not None and entry.key != chosen)
        self._remove.setEnabled(entry is not None and not entry.is_default)

    def _ask(self, mode: QFileDialog.FileMode) -> None:
        dialog = file_dialog(self, tr("Install a model package"))
        dialog.setFileMode(mode)
        if mode is QFileDialog.FileMode.ExistingFile:
            dialog.setNameFilters([tr("Model packages (*.zip)"), tr("All files (*)")])
        dialog.fileSelected.connect(lambda name: self.install_from(Path(name)))
        dialog.open()

    def _on_verify(self) -> None:
        entry = self._selected()
        if entry is not None:
            self._say(tr("Checking the model package…"))
            self._jobs.submit(_VERIFY, lambda _token: self._verified(entry))

    def _verified(self, entry: Entry) -> Entry:
        self._desk.packages.verify(entry.key)
        return entry

    def _on_finished(self, report: JobReport) -> None:
        if report.lane == _INSTALL:
            self._on_installed(report)
        elif report.error is not None:
            self._complain(tr("The model package failed the check."), report.error)
        else:
            entry: Entry = report.value
            self._say(
                tr(
                    "{name} {version} is as its manifest says, and its self-test gives the stored "
                    "numbers on this computer.",
                    name=entry.name,
                    version=entry.version,
                )
            )

    def _on_installed(self, report: JobReport) -> None:
        if report.error is not None:
            self._complain(tr("The model package was not installed."), report.error)
            return
        entry: Entry = report.value
        self._desk.audit.record("package_installed", package=entry.package_id)
        self._fill()
        text = tr("Installed: {name} {version}.", name=entry.name, version=entry.version)
        self._say(f"{text} {tr(FOREIGN)}")

    def _on_use(self) -> None:
        entry = self._selected()
        if entry is None:
            return
        try:
            self._desk.packages.choose(entry.key)
        except OSError as error:
            self._complain(tr("The choice could not be stored."), error)
            return
        self._change_to(entry)
        self._say(
            tr("In use from now on: {name} {version}.", name=entry.name, version=entry.version)
        )

    def _on_remove(self) -> None:
        entry = self._selected()
        if entry is None:
            return
        was_chosen = entry.key == self._desk.packages.chosen
        try:
            self._desk.packages.remove(entry.key)
        except EchoingError as error:
            self._complain("", error)
            return
        self._desk.audit.record("package_removed", package=entry.package_id)
        if was_chosen:
            self._change_to(self._desk.packages.entries()[0])
        self._fill()
        self._say(tr("Removed: {name} {version}.", name=entry.name, version=entry.version))

    def _change_to(self, entry: Entry) -> None:
        self._desk.audit.record("package_changed", package=entry.package_id)
        self._desk.controller.change_package()
        self._fill()

    def _complain(self, what: str, error: Exception) -> None:
        message = to_message(error)
        self._say(f"{what} {message.text} {message.hint}".strip())

    def _say(self, text: str) -> None:
        self._said.setText(text)
        self._said.setAccessibleName(text)
