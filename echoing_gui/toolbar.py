"""The toolbar: what is asked for most, and buttons for choices that show what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QToolBar, QToolButton, QWidget

from echoing_gui.actions import FILTER_KEYS, GAIN_KEYS, LAYOUT_KEYS, SPEED_KEYS
from echoing_gui.i18n import tr
from echoing_gui.state import AppState, DisplayOptions
from echoing_gui.view_models.texts import filter_short, layout_text
from model_core.wording import say


@dataclass(frozen=True, slots=True)
class DropDown:
    """A button that opens a menu and shows the present choice.

    Attributes
    ----------
    title
        What is chosen by it.
    keys
        Actions in its menu; an empty one is a line between groups.
    text
        The present choice.
    """

    title: str
    keys: tuple[str, ...]
    text: Callable[[DisplayOptions], str]


def _speed_text(options: DisplayOptions) -> str:
    return f"{options.speed_mm_s:g} mm/s"


def _gain_text(options: DisplayOptions) -> str:
    gain = f"{options.gain_mm_mv:g} mm/mV"
    return tr("{gain}, V leads half", gain=gain) if options.half_precordials else gain


def _filter_text(options: DisplayOptions) -> str:
    return filter_short(options.display_filter)


# Single actions are a key and a short text.
_TOOLS: tuple[tuple[tuple[str, str] | DropDown, ...], ...] = (
    (("open", say("Open")), ("demo", say("Demonstration"))),
    (
        DropDown(say("Layout"), LAYOUT_KEYS, layout_text),
        DropDown(say("Speed"), SPEED_KEYS, _speed_text),
        DropDown(say("Gain"), GAIN_KEYS, _gain_text),
        DropDown(say("Filters"), FILTER_KEYS, _filter_text),
    ),
    (("zoom_out", "−"), ("zoom_reset", "100 %"), ("zoom_in", "+")),
    (("variance", say("Variance strips")),),
)


class ToolBar(QToolBar):
    """Buttons for actions of the window.

    Parameters
    ----------
    actions
        By key.
    parent
        The window.
    """

    def __init__(self, actions: Mapping[str, QAction], parent: QWidget) -> None:
        super().__init__(tr("Tools"), parent)
        self.setMovable(False)
        self.toggleViewAction().setEnabled(False)
        # Not `old`: what a feature changes at the start passes by before the window has shown it.
        self._shown: DisplayOptions | None = None
        self._drop_downs: list[tuple[DropDown, QToolButton]] = []
        for number, group in enumerate(_TOOLS):
            if number:
                self.addSeparator()
            for tool in group:
                if isinstance(tool, DropDown):
                    self._add_drop_down(tool, actions)
                else:
                    self._add_action(actions[tool[0]], tool[1])

    def show_state(self, old: AppState, new: AppState) -> None:  # noqa: ARG002 - as all panels
        """Show what is chosen."""
        if new.options == self._shown:
            return
        self._shown = new.options
        for tool, button in self._drop_downs:
            text = tool.text(new.options)
            button.setText(text)
            button.setAccessibleName(f"{tr(tool.title)}: {text}")

    def _add_action(self, action: QAction, text: str) -> None:
        action.setIconText(tr(text))
        self.addAction(action)
        button = self.widgetForAction(action)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(action.text().replace("&", ""))

    def _add_drop_down(self, tool: DropDown, actions: Mapping[str, QAction]) -> None:
        button = QToolButton()
        menu = QMenu(button)
        for key in tool.keys:
            if key:
                menu.addAction(actions[key])
            else:
                menu.addSeparator()
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(tr(tool.title))
        self.addWidget(button)
        self._drop_downs.append((tool, button))
