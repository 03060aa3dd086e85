"""The work list: many ECGs estimated, sorted, drawn and exported."""

from __future__ import annotations

from collections.abc import Callable

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.features.work_list.lists import Lists
from echoing_gui.state import AppState
from echoing_gui.view_models.work_list import can_export, covered_text


def _is_open(state: AppState) -> bool:
    return state.work_list is not None


def _has_more(state: AppState) -> bool:
    work = state.work_list
    return work is not None and (work.listing or work.running or work.n_done < len(work.rows))


ACTIONS = (
    Action(
        "open_folder", "&File", "Open a &folder as a work list…", ("Ctrl+Shift+O",),
        "Estimate from all ECGs of a folder and the folders in it.", group="work_list",
    ),
    Action(
        "open_list", "&File", "Open a &table of files as a work list…", ("Ctrl+Alt+O",),
        "Estimate from the ECGs that a CSV or Parquet table names.", group="work_list",
    ),
    Action(
        "last_list", "&File", "Go on with the &last work list", ("Ctrl+Shift+W",),
        "Open the last work list; what was done is not done again.", group="work_list",
    ),
    Action(
        "pause_list", "&File", "Pause or continue the &work list", ("Ctrl+Shift+P",),
        "Pause the work list, or go on with it.", enabled=_has_more, group="work_list",
    ),
    Action(
        "export_list", "&File", "Export the wor&k list…", ("Ctrl+Shift+X",),
        "Write the results of the work list to a file.", enabled=can_export, group="work_list",
        why_not=covered_text,
    ),
    Action(
        "close_list", "&File", "Close the work l&ist", ("Ctrl+Alt+W",),
        "Close the work list; its results are kept for the next time.", enabled=_is_open,
        group="work_list",
    ),
    Action(
        "work_list", "&View", "&Work list or ECG", ("Ctrl+L",),
        "Go from the ECG to the work list, and back.", group="work_list",
    ),
    Action(
        "next_of_list", "&Go", "Ne&xt ECG of the work list", ("Ctrl+Down",),
        "Open the ECG below in the work list.", enabled=_is_open, group="work_list",
    ),
    Action(
        "previous_of_list", "&Go", "P&revious ECG of the work list", ("Ctrl+Up",),
        "Open the ECG above in the work list.", enabled=_is_open, group="work_list",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Add the view and its actions to the window."""
    lists = Lists(desk)
    answers: dict[str, Callable[[], object]] = {
        "open_folder": lists.ask_for_folder,
        "open_list": lists.ask_for_table,
        "last_list": lists.open_last,
        "pause_list": lists.pause_or_continue,
        "export_list": lists.ask_for_export,
        "close_list": lists.close_list,
        "work_list": lists.toggle,
        "next_of_list": lambda: lists.open_neighbour(1),
        "previous_of_list": lambda: lists.open_neighbour(-1),
    }
    desk.window.add_actions(ACTIONS, answers)
