"""Everything the user can ask for, as one table: text, keys, when it makes sense."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from echoing_gui.state import (
    GAINS_MM_MV,
    SPEEDS_MM_S,
    ZOOMS,
    AppState,
    DisplayOptions,
    Layout,
    Stage,
    ThemeChoice,
)

OptionsChange = Callable[[DisplayOptions], DisplayOptions]


def _always(_state: AppState) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the user can ask for.

    Attributes
    ----------
    key
        Identifier.
    menu
        Menu that it stands in.
    text
        As in the menu, with the letter to press behind an ampersand.
    shortcuts
        Keys, as Qt names them; the first is the one shown.
    tip
        One sentence.
    enabled
        When it makes sense.
    checked
        Whether it is chosen now; None if it is not a choice.
    change
        New options, for those that only change how things are drawn.
    group
        A line separates groups within a menu.
    """

    key: str
    menu: str
    text: str
    shortcuts: tuple[str, ...]
    tip: str
    enabled: Callable[[AppState], bool] = _always
    checked: Callable[[AppState], bool] | None = None
    change: OptionsChange | None = None
    group: str = ""


MENUS = ("&File", "&View", "&Go", "&Measure", "M&odel", "&Window", "&Help")


def zoomed(options: DisplayOptions, step: int) -> DisplayOptions:
    """Take the next larger (`step` 1) or smaller (-1) zoom, if there is one.

    Examples
    --------
    >>> zoomed(DisplayOptions(), 1).zoom, zoomed(DisplayOptions(zoom=3.0), 1).zoom
    (1.25, 3.0)
    """
    index = ZOOMS.index(options.zoom) + step
    return replace(options, zoom=ZOOMS[min(max(index, 0), len(ZOOMS) - 1)])


def _choice(
    key: str, menu: str, text: str, shortcut: str, tip: str, group: str, **values: object
) -> Action:
    """Make an action that sets display options and shows whether they are set."""

    def change(options: DisplayOptions) -> DisplayOptions:
        return replace(options, **values)  # type: ignore[arg-type]

    def checked(state: AppState) -> bool:
        return all(getattr(state.options, name) == value for name, value in values.items())

    return Action(key, menu, text, (shortcut,), tip, checked=checked, change=change, group=group)


def _has_message_or_job(state: AppState) -> bool:
    return state.message is not None or state.job.stage is not Stage.IDLE


def _can_predict(state: AppState) -> bool:
    return (
        state.recording is not None
        and state.page_is_read
        and state.package is not None
        and state.job.stage is Stage.IDLE
    )


def _has_pages(state: AppState) -> bool:
    return state.has_pages


# How far each of these goes, seconds; what is beyond the recording ends at its end.
PAGE_STEPS_S = {
    "next_page": 10.0,
    "previous_page": -10.0,
    "next_minute": 60.0,
    "previous_minute": -60.0,
    "first_page": -math.inf,
    "last_page": math.inf,
}


ACTIONS: tuple[Action, ...] = (
    Action("open", "&File", "&Open ECG…", ("Ctrl+O",), "Open an ECG file from this computer."),
    Action(
        "demo", "&File", "Open &demonstration ECG", ("Ctrl+D",),
        "Open a simulated ECG that comes with the program.",
    ),
    Action(
        "predict", "&File", "&Estimate from these 10 seconds", ("Ctrl+R",),
        "Run the model on the ten seconds that are shown in the 3x4 layout.",
        enabled=_can_predict,
    ),
    Action(
        "stop", "&File", "&Stop, or close the message", ("Esc",),
        "Stop reading or predicting; with nothing to stop, close the message.",
        enabled=_has_message_or_job,
    ),
    Action("quit", "&File", "&Quit", ("Ctrl+Q",), "Close the program.", group="quit"),
    _choice(
        "grid", "&View", "Layout &3x4 with rhythm strip", "Ctrl+1",
        "Four time-aligned columns of 2.5 s and lead II below.", "layout", layout=Layout.GRID,
    ),
    _choice(
        "rows", "&View", "Layout &12x1", "Ctrl+2",
        "One row a lead, the whole recording.", "layout", layout=Layout.ROWS,
    ),
    *(
        _choice(
            f"speed_{speed:g}", "&View", f"Speed {speed:g} mm/s", f"Alt+{number}",
            f"Draw one second {speed:g} mm wide.", "speed", speed_mm_s=speed,
        )
        for number, speed in enumerate(SPEEDS_MM_S, start=1)
    ),
    *(
        _choice(
            f"gain_{gain:g}", "&View", f"Gain {gain:g} mm/mV", f"Alt+{number}",
            f"Draw one millivolt {gain:g} mm high.", "gain", gain_mm_mv=gain,
        )
        for number, gain in enumerate(GAINS_MM_MV, start=4)
    ),
    Action(
        "zoom_in", "&View", "Zoom &in", ("Ctrl++", "Ctrl+="),
        "Enlarge the picture; it is then not to scale.",
        enabled=lambda state: state.options.zoom < ZOOMS[-1],
        change=lambda options: zoomed(options, 1), group="zoom",
    ),
    Action(
        "zoom_out", "&View", "Zoom &out", ("Ctrl+-",),
        "Shrink the picture; it is then not to scale.",
        enabled=lambda state: state.options.zoom > ZOOMS[0],
        change=lambda options: zoomed(options, -1), group="zoom",
    ),
    Action(
        "zoom_reset", "&View", "&Back to scale", ("Ctrl+0",), "End the zoom.",
        enabled=lambda state: state.options.zoom != 1.0,
        change=lambda options: replace(options, zoom=1.0), group="zoom",
    ),
    Action(
        "variance", "&View", "Segment &variance strips", ("Shift+U",),
        "Show under each lead where the estimate is unstable; hold U to hide them for a moment.",
        checked=lambda state: state.options.show_variance,
        change=lambda options: replace(options, show_variance=not options.show_variance),
        group="variance",
    ),
    *(
        Action(key, "&Go", text, (shortcut,), tip, enabled=_has_pages)
        for key, text, shortcut, tip in (
            ("next_page", "&Next ten seconds", "PgDown", "Show the ten seconds after these."),
            ("previous_page", "&Previous ten seconds", "PgUp", "Show the ten before these."),
            ("next_minute", "A &minute on", "Shift+PgDown", "Go on by a minute."),
            ("previous_minute", "A minute &back", "Shift+PgUp", "Go back by a minute."),
            ("first_page", "&Start of the recording", "Home", "Show the first ten seconds."),
            ("last_page", "&End of the recording", "End", "Show the last ten seconds."),
        )
    ),
    Action(
        "calibrate", "&Window", "&Calibrate this screen…", ("Ctrl+K",),
        "Measure the screen once, so that the ECG is drawn true to scale.",
    ),
    _choice(
        "theme_system", "&Window", "Colours as the &system", "Ctrl+Shift+Y",
        "Take light or dark from the system.", "theme", theme=ThemeChoice.SYSTEM,
    ),
    _choice(
        "theme_light", "&Window", "&Light colours", "Ctrl+Shift+L",
        "Light window.", "theme", theme=ThemeChoice.LIGHT,
    ),
    _choice(
        "theme_dark", "&Window", "&Dark colours", "Ctrl+Shift+D",
        "Dark window; the paper stays light.", "theme", theme=ThemeChoice.DARK,
    ),
    Action("full_screen", "&Window", "&Full screen", ("F11",), "Fill the screen.", group="full"),
    Action("shortcuts", "&Help", "&Keys", ("F1",), "List all keys."),
    Action("about", "&Help", "&About", ("Shift+F1",), "What this program and its model are."),
)  # fmt: skip

# Keys that are not actions: handled by the ECG view and the window.
OTHER_KEYS: tuple[tuple[str, str], ...] = (
    ("Hold U", "Hide the segment variance strips while the key is down"),
    ("Arrow keys", "Move the ECG"),
    ("Page up, Page down", "In a recording of ten seconds: move the ECG up or down by a page"),
    ("Home, End", "In a recording of ten seconds: go to its start or its end"),
    ("Left, Right", "In the overview: move the ten seconds by one second"),
    ("Tab", "Go to the next part of the window"),
)
