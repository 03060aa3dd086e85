"""The menus: every action with its keys in force, enabled and ticked as the state has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QHelpEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QToolTip

from echoing_gui.actions import MENUS, Action
from echoing_gui.i18n import tr
from echoing_gui.key_map import Keys, keys_in_force, shown
from echoing_gui.state import AppState


class Menus(QObject):
    """Holds the actions of the window; `triggered` carries the one that the user asks for.

    Parameters
    ----------
    bar
        The window's menu bar; the menus stand in the order of `MENUS`.
    parent
        The window, which the actions belong to.

    Attributes
    ----------
    table, qactions
        What there is to ask for, by key.
    chosen_keys
        The user's own keys, by action.
    """

    triggered = Signal(object)

    def __init__(self, bar: QMenuBar, parent: QObject) -> None:
        super().__init__(parent)
        self.table: dict[str, Action] = {}
        self.qactions: dict[str, QAction] = {}
        self.chosen_keys: dict[str, Keys] = {}
        self._state = AppState()
        self._menus: dict[str, QMenu] = {title: bar.addMenu(tr(title)) for title in MENUS}
        for menu in self._menus.values():
            menu.installEventFilter(self)
        self._group = QActionGroup(self)
        self._group.setExclusionPolicy(QActionGroup.ExclusionPolicy.None_)
        self._group.triggered.connect(
            lambda qaction: self.triggered.emit(self.table[qaction.data()])
        )

    @property
    def keys(self) -> dict[str, Keys]:
        """Keys in force, by action."""
        return keys_in_force(self.table.values(), self.chosen_keys)

    @property
    def shown_keys(self) -> dict[str, str]:
        """The first key of each action that has one, as the system writes it."""
        return {key: shown(keys[:1]) for key, keys in self.keys.items() if keys}

    def add(self, actions: Iterable[Action]) -> None:
        """Offer actions in the order of the menus; a new group begins behind a line."""
        added = list(actions)
        for action in added:
            menu = self._menu(action.menu)
            before = self.table.get(menu.actions()[-1].data()) if menu.actions() else None
            if before is not None and before.group != action.group:
                menu.addSeparator()
            qaction = QAction(tr(action.text), self._group)
            qaction.setData(action.key)
            qaction.setObjectName(action.key)
            qaction.setCheckable(action.checked is not None)
            qaction.setStatusTip(tr(action.tip))
            menu.addAction(qaction)
            self.table[action.key] = action
            self.qactions[action.key] = qaction
        self._give_keys(added)
        for title, menu in self._menus.items():
            menu.menuAction().setVisible(
                any(each.menu.startswith(title) for each in self.table.values())
            )

    def set_keys(self, chosen: Mapping[str, Keys]) -> None:
        """Take the user's own keys, by action, in place of those that actions come with."""
        self.chosen_keys = dict(chosen)
        self._give_keys(self.table.values())

    def why_not(self, key: str) -> str:
        """Say why an action cannot be asked for now; empty if it can, or if that is plain."""
        action = self.table[key]
        if action.why_not is None or action.enabled(self._state):
            return ""
        return action.why_not(self._state)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Say at the pointer why an entry is grey: the status bar is silent about those."""
        if isinstance(event, QHelpEvent) and isinstance(watched, QMenu):
            entry = watched.actionAt(event.pos())
            why = self.why_not(entry.data()) if entry and entry.data() in self.table else ""
            if why:
                QToolTip.showText(event.globalPos(), why, watched)
                return True
        return super().eventFilter(watched, event)

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Enable and tick what the state asks for."""
        self._state = new
        for key, action in self.table.items():
            self.qactions[key].setEnabled(action.enabled(new))
            if action.checked is not None:
                self.qactions[key].setChecked(action.checked(new))

    def _give_keys(self, actions: Iterable[Action]) -> None:
        in_force = self.keys
        for action in actions:
            keys, qaction = in_force[action.key], self.qactions[action.key]
            qaction.setShortcuts([QKeySequence(each) for each in keys])
            tip = tr(action.tip)
            qaction.setToolTip(f"{tip} ({shown(keys[:1])})" if keys else tip)

    def _menu(self, title: str) -> QMenu:
        """Give a menu of the bar, or one within it, which is made when it is first asked for."""
        if title not in self._menus:
            parent, _, name = title.rpartition("/")
            self._menus[title] = self._menu(parent).addMenu(tr(name))
        return self._menus[title]
