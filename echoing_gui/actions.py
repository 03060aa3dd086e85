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
    LeadOrder,
    Stage,
    ThemeChoice,
)
from model_core.display_filters import HIGH_PASS_HZ, LOW_PASS_HZ, RAW
from model_core.wording import say

# Offered by keys and in the toolbar; the preferences offer all twelve.
RHYTHM_LEADS = ("II", "V1", "V5")
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
        Menu that it stands in; a menu within a menu behind a slash.
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
    why_not
        Says why it does not make sense now; empty where that is plain.
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
    why_not: Callable[[AppState], str] | None = None


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

# What the drop-down buttons of the toolbar offer; an empty key is a line.
LAYOUT_KEYS = (
    "grid", "grid_3", "six", "four", "rows", "", "cabrera", "",
    *(f"rhythm_{lead}" for lead in RHYTHM_LEADS),
)  # fmt: skip
SPEED_KEYS = tuple(f"speed_{speed:g}" for speed in SPEEDS_MM_S)
GAIN_KEYS = (*(f"gain_{gain:g}" for gain in GAINS_MM_MV), "", "half_precordials")
FILTER_KEYS = (
    "filter_off", "", *(f"high_pass_{hz:g}" for hz in HIGH_PASS_HZ), "",
    *(f"low_pass_{hz:g}" for hz in LOW_PASS_HZ), "", "notch",
)  # fmt: skip

ACTIONS: tuple[Action, ...] = (
    Action("open", "&File", "&Open ECG…", ("Ctrl+O",), "Open an ECG file from this computer."),
    Action(
        "demo", "&File", "Open &demonstration ECG", ("Ctrl+D",),
        "Open a simulated ECG that comes with the program.",
    ),
    Action(
        "predict", "&File", "&Estimate from these 10 seconds", ("Ctrl+R",),
        "Run the model on the ten seconds that are shown in the layouts in columns.",
        enabled=_can_predict,
    ),
    Action(
        "stop", "&File", "&Stop, or close the message", ("Esc",),
        "Stop reading or predicting; with nothing to stop, close the message.",
        enabled=_has_message_or_job,
    ),
    Action("quit", "&File", "&Quit", ("Ctrl+Q",), "Close the program.", group="quit"),
    *(
        _choice(key, "&View/&Layout", text, shortcut, tip, "layout", layout=layout)
        for key, layout, text, shortcut, tip in (
            ("grid", Layout.GRID, "&3x4 and one rhythm strip", "Ctrl+1",
             "Four time-aligned columns of 2.5 s, and one lead for 10 s below."),
            ("grid_3", Layout.GRID_3, "3x4 and &three rhythm strips", "Ctrl+3",
             "Four time-aligned columns of 2.5 s, and leads II, V1 and V5 for 10 s below."),
            ("six", Layout.SIX, "&6x2", "Ctrl+4", "Limb leads for 5 s, then chest leads for 5 s."),
            ("four", Layout.FOUR, "&4x3", "Ctrl+5",
             "Three time-aligned columns of 3.3 s, a row for each group of leads."),
            ("rows", Layout.ROWS, "&12x1", "Ctrl+2", "One row a lead, the whole recording."),
        )
    ),
    Action(
        "cabrera", "&View/&Layout", "&Cabrera order, with -aVR", ("Ctrl+6",),
        "Limb leads in the order aVL, I, -aVR, II, aVF, III; -aVR is aVR upside down.",
        checked=lambda state: state.options.order is LeadOrder.CABRERA,
        change=lambda options: replace(
            options,
            order=LeadOrder.STANDARD if options.order is LeadOrder.CABRERA else LeadOrder.CABRERA,
        ),
        group="order",
    ),
    *(
        replace(
            _choice(
                f"rhythm_{lead}", "&View/&Layout", say("Rhythm strip of lead {lead}", lead=lead),
                f"Ctrl+{number}", say("Draw lead {lead} below the columns.", lead=lead), "rhythm",
                rhythm_lead=lead,
            ),
            enabled=lambda state: state.options.layout is Layout.GRID,
        )
        for number, lead in enumerate(RHYTHM_LEADS, start=7)
    ),
    *(
        _choice(
            f"speed_{speed:g}", "&View/&Speed", say("Speed {speed:g} mm/s", speed=speed),
            f"Alt+{number}", say("Draw one second {speed:g} mm wide.", speed=speed), "speed",
            speed_mm_s=speed,
        )
        for number, speed in enumerate(SPEEDS_MM_S, start=1)
    ),
    *(
        _choice(
            f"gain_{gain:g}", "&View/&Gain", say("Gain {gain:g} mm/mV", gain=gain),
            f"Alt+{number}", say("Draw one millivolt {gain:g} mm high.", gain=gain), "gain",
            gain_mm_mv=gain,
        )
        for number, gain in enumerate(GAINS_MM_MV, start=len(SPEEDS_MM_S) + 1)
    ),
    Action(
        "half_precordials", "&View/&Gain", "&Chest leads at half the gain", ("Alt+9",),
        "Draw V1 to V6 half as high as the limb leads; the pulses and the caption show both gains.",
        checked=lambda state: state.options.half_precordials,
        change=lambda options: replace(options, half_precordials=not options.half_precordials),
        group="half",
    ),
    Action(
        "filter_off", "&View/&Filters", "As &recorded, no filter", ("F7, 0",),
        "Draw the samples of the file.",
        checked=lambda state: state.options.display_filter == RAW,
        change=lambda options: replace(options, high_pass_hz=0.0, low_pass_hz=0.0, notch=False),
        group="filter",
    ),
    *(
        _choice(
            f"high_pass_{hz:g}", "&View/&Filters", text, f"F7, {number}", tip, "high_pass",
            high_pass_hz=hz,
        )
        for number, hz, text, tip in (
            (1, 0.0, "No high-pass", "Leave the baseline as it is."),
            (2, 0.05, "High-pass 0.05 Hz", "Draw without the slowest drift; ST segments stay."),
            (3, 0.5, "High-pass 0.5 Hz", "Draw a steady baseline; ST segments may look changed."),
        )
    ),
    *(
        _choice(
            f"low_pass_{hz:g}", "&View/&Filters", text, f"F7, {number}", tip, "low_pass",
            low_pass_hz=hz,
        )
        for number, hz, text, tip in (
            (4, 0.0, "No low-pass", "Leave the fast parts as they are."),
            (5, 150.0, "Low-pass 150 Hz", "Draw what a diagnostic ECG of an adult needs."),
            (6, 100.0, "Low-pass 100 Hz", "Draw less noise of muscles; QRS may look smaller."),
            (7, 40.0, "Low-pass 40 Hz",
             "Draw little noise of muscles; QRS, notches and pacing spikes look smaller."),
        )
    ),
    Action(
        "notch", "&View/&Filters", "&Notch at the mains frequency", ("F7, 8",),
        "Draw without mains hum; 50 or 60 Hz is chosen in the preferences.",
        checked=lambda state: state.options.notch,
        change=lambda options: replace(options, notch=not options.notch), group="notch",
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
    Action(
        "underlay", "&View", "&Tint the paper by segment variance", ("Ctrl+U",),
        "With the strips, tint the paper behind the traces in pale colours of the same scale.",
        enabled=lambda state: state.options.show_variance,
        checked=lambda state: state.options.variance_underlay,
        change=lambda options: replace(options, variance_underlay=not options.variance_underlay),
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
    ("Left, Right", "With a caliper chosen: move its end by a sample, with Shift by ten"),
    ("Up, Down", "With a caliper chosen: move its end by 0.01 mV; with Ctrl to another lead"),
    ("Page up, Page down", "In a recording of ten seconds: move the ECG up or down by a page"),
    ("Home, End", "In a recording of ten seconds: go to its start or its end"),
    ("Left, Right", "In the overview: move the ten seconds by one second"),
    ("Tab", "Go to the next part of the window"),
)
