"""Keys of the user's own: a list of all actions with an editor for their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.i18n import tr
from echoing_gui.key_map import Keys, holder, keys_in_force, load_keys, save_keys, shown

ACTIONS = (
    Action(
        "change_keys", "&Window", "Change &keys…", ("Ctrl+Alt+K",),
        "Choose which keys do what.", group="preferences",
    ),
)  # fmt: skip


class KeysEditor(QDialog):
    """All actions with their keys, to change one after another.

    Parameters
    ----------
    actions
        In the order of the menus.
    chosen
        The user's own keys so far.
    parent
        The window.
    """

    accepted_keys = Signal(object)

    def __init__(
        self, actions: Sequence[Action], chosen: Mapping[str, Keys], parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keys"))
        self._actions = {each.key: each for each in actions}
        self._chosen = dict(chosen)
        self.table = QTreeWidget()
        self.table.setAccessibleName(tr("Actions and their keys"))
        self.table.setHeaderLabels([tr("Action"), tr("Key")])
        self.table.setRootIsDecorated(False)
        for action in actions:
            item = QTreeWidgetItem([tr(action.text).replace("&", "").rstrip("…"), ""])
            item.setData(0, Qt.ItemDataRole.UserRole, action.key)
            item.setToolTip(0, tr(action.tip))
            self.table.addTopLevelItem(item)
        self.edit = QKeySequenceEdit()
        self.edit.setAccessibleName(tr("New key of the action chosen"))
        self.set_button = QPushButton(tr("&Set"))
        self.clear_button = QPushButton(tr("&No key"))
        self.reset_button = QPushButton(tr("&Its own key again"))
        self.said = QLabel(wordWrap=True)
        self.said.setObjectName("muted")
        row = QHBoxLayout()
        label = QLabel(tr("New &key"))
        label.setBuddy(self.edit)
        row.addWidget(label)
        row.addWidget(self.edit, 1)
        for button in (self.set_button, self.clear_button, self.reset_button):
            button.setAutoDefault(False)
            row.addWidget(button)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel | standard.RestoreDefaults)
        self.reset_all_button = buttons.button(standard.RestoreDefaults)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addLayout(row)
        layout.addWidget(self.said)
        layout.addWidget(buttons)
        self.set_button.clicked.connect(self._set)
        self.clear_button.clicked.connect(lambda: self._take(()))
        self.reset_button.clicked.connect(lambda: self._reset([self.current]))
        self.reset_all_button.clicked.connect(lambda: self._reset(list(self._chosen)))
        self.table.currentItemChanged.connect(self._on_current)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._fill()
        self.choose(actions[0].key)
        self.table.resizeColumnToContents(0)
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 90, metrics.height() * 32)

    @property
    def current(self) -> str:
        """Key of the action chosen."""
        item = self.table.currentItem()
        return item.data(0, Qt.ItemDataRole.UserRole) if item is not None else ""

    def choose(self, action: str) -> None:
        """Choose an action."""
        for row in range(self.table.topLevelItemCount()):
            item = self.table.topLevelItem(row)
            if item is not None and item.data(0, Qt.ItemDataRole.UserRole) == action:
                self.table.setCurrentItem(item)

    def accept(self) -> None:
        """Report the user's own keys."""
        self.accepted_keys.emit(dict(self._chosen))
        super().accept()

    def _in_force(self) -> dict[str, Keys]:
        return keys_in_force(self._actions.values(), self._chosen)

    def _set(self) -> None:
        keys = self.edit.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        if not keys:
            self.said.setText(tr("Press the key in the field first."))
            return
        other = holder(keys, self.current, self._in_force())
        if other == "":
            self.said.setText(
                tr("{key} is used by the window itself. Choose another key.", key=shown((keys,)))
            )
        elif other is not None:
            name = tr(self._actions[other].text).replace("&", "").rstrip("…")
            self.said.setText(
                tr(
                    "{key} is taken by “{action}”. Choose another key, or give that action "
                    "another one or none first.",
                    key=shown((keys,)),
                    action=name,
                )
            )
        else:
            self._take((keys,))

    def _take(self, keys: Keys) -> None:
        self._chosen[self.current] = keys
        if keys == self._actions[self.current].shortcuts:
            del self._chosen[self.current]
        self.said.setText("")
        self._fill()

    def _reset(self, actions: Sequence[str]) -> None:
        """Give actions their own keys again, unless the user gave these to another one."""
        for action in actions:
            self._chosen.pop(action, None)
        self.said.setText("")
        self._fill()

    def _fill(self) -> None:
        in_force = self._in_force()
        for row in range(self.table.topLevelItemCount()):
            item = self.table.topLevelItem(row)
            if item is None:
                continue
            key = item.data(0, Qt.ItemDataRole.UserRole)
            item.setText(1, shown(in_force[key]))
            font = item.font(1)
            font.setBold(key in self._chosen)
            item.setFont(1, font)
        self._on_current()

    def _on_current(self) -> None:
        self.edit.clear()
        self.said.setText("")
        self.reset_button.setEnabled(self.current in self._chosen)


def install(desk: Desk) -> None:
    """Take the user's own keys, and offer to change them."""
    window, controller = desk.window, desk.controller

    def take(chosen: Mapping[str, Keys]) -> None:
        window.set_keys(chosen)
        try:
            save_keys(desk.folder, chosen)
        except OSError:
            controller.tell(
                tr("Your keys could not be saved; they hold until the program closes."),
                tr("Free some disk space."),
            )

    def show() -> None:
        dialog = KeysEditor(window.actions_table, window.chosen_keys, window)
        dialog.accepted_keys.connect(take)
        dialog.open()

    window.add_actions(ACTIONS, {"change_keys": show})
    chosen = load_keys(desk.folder)
    if chosen:
        window.set_keys(chosen)
