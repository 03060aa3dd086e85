"""What the menus offer for measuring and noting."""

from __future__ import annotations

from echoing_gui.actions import Action
from echoing_gui.state import AppState
from echoing_gui.state_marks import CaliperKind, Marks

_MENU = "&Measure"


def _has_recording(state: AppState) -> bool:
    return state.recording is not None


def _has_caliper(state: AppState) -> bool:
    return state.measuring.caliper is not None


def _has_calipers(state: AppState) -> bool:
    return bool(state.measuring.marks.calipers)


def _can_march(state: AppState) -> bool:
    chosen = state.measuring.caliper
    return chosen is not None and chosen.kind is not CaliperKind.AMPLITUDE


ACTIONS: tuple[Action, ...] = (
    Action(
        "caliper_time", _MENU, "&Time caliper", ("C",),
        "Measure an interval; the second end follows the pointer until you click.",
        enabled=_has_recording,
    ),
    Action(
        "caliper_amplitude", _MENU, "&Amplitude caliper", ("Shift+C",),
        "Measure a height in mV.", enabled=_has_recording,
    ),
    Action(
        "caliper_both", _MENU, "Time and am&plitude caliper", ("Ctrl+Shift+C",),
        "Measure an interval and a height at once.", enabled=_has_recording,
    ),
    Action(
        "caliper_march", _MENU, "&March out", ("M",),
        "Repeat the chosen interval before and after it.", enabled=_can_march,
        checked=lambda state: state.measuring.caliper is not None
        and state.measuring.caliper.marching, group="chosen",
    ),
    Action(
        "caliper_snap", _MENU, "&Snap to the trace", ("S",),
        "Let ends of calipers go to peaks, corners and steepest places of the trace.",
        checked=lambda state: state.measuring.snap, group="chosen",
    ),
    Action(
        "caliper_next", _MENU, "&Next caliper", ("K",),
        "Choose the next end of a caliper; arrows then move it by a sample, with Shift by ten.",
        enabled=_has_calipers, group="chosen",
    ),
    Action(
        "caliper_copy", _MENU, "&Copy values", ("Ctrl+Alt+C",),
        "Copy what all calipers read, as a table.", enabled=_has_calipers, group="chosen",
    ),
    Action(
        "caliper_delete", _MENU, "&Delete caliper", ("Del",),
        "Take the chosen caliper away.", enabled=_has_caliper, group="chosen",
    ),
    Action(
        "calipers_clear", _MENU, "Delete a&ll calipers", ("Shift+Del",),
        "Take all calipers away.", enabled=_has_calipers, group="chosen",
    ),
    Action(
        "measurements", _MENU, "M&easurements and median beats", ("Ctrl+M",),
        "Show rate, intervals and axes, computed and from the file.", group="measured",
    ),
    Action(
        "waves", _MENU, "Wave mar&ks", ("W",),
        "Mark on the ECG where waves begin and end, and what the file marks.",
        enabled=_has_recording, checked=lambda state: state.measuring.show_waves,
        group="measured",
    ),
    Action(
        "notes", _MENU, "Sh&ow notes", ("Ctrl+Shift+A",),
        "Show the notes on this recording.", group="notes",
    ),
    Action(
        "note_editing", _MENU, "Ed&it notes", ("A",),
        "Let dragging on the ECG make notes, with Shift on all leads; off, notes stay as they are.",
        enabled=_has_recording, checked=lambda state: state.measuring.editing, group="notes",
    ),
    Action(
        "note_new", _MENU, "Ne&w note", ("Shift+A",),
        "Note something on the chosen caliper's stretch, or in the middle of what is seen.",
        enabled=lambda state: state.recording is not None and state.measuring.editing,
        group="notes",
    ),
    Action(
        "notes_save", _MENU, "Sa&ve calipers and notes…", ("Ctrl+Alt+S",),
        "Save calipers and notes of this ECG as a table.",
        enabled=lambda state: state.measuring.marks != Marks(), group="notes",
    ),
    Action(
        "undo", _MENU, "&Undo", ("Ctrl+Z",),
        "Take the last change of calipers or notes back.",
        enabled=lambda state: state.measuring.can_undo, group="undo",
    ),
    Action(
        "redo", _MENU, "&Redo", ("Ctrl+Y", "Ctrl+Shift+Z"),
        "Make the change again that was taken back last.",
        enabled=lambda state: state.measuring.can_redo, group="undo",
    ),
)  # fmt: skip
