"""Layouts as data: which lead stands in which row and column, and at which gain it is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from echoing_gui.state import DisplayOptions, Layout, LeadOrder
from model_core.leads import CHEST_LEADS, STANDARD_LEADS

# Drawn upside down: -aVR looks from between I and II, where Cabrera's circle has a gap.
INVERTED = "-"
_CHEST_LEAD = re.compile(r"V\d")


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How a layout arranges twelve leads.

    Attributes
    ----------
    n_rows, n_columns
        Each column shows an equal, consecutive part of the same ten seconds; a single column
        shows the whole recording.
    down
        Whether the order of leads runs down the columns, or along the rows.
    rhythm
        Leads of the strips below; None stands for the one that the user chooses.
    least_spacing_mm, spacing_step_mm
        Between baselines. They lie on lines of the paper: heavy ones where there is room, fine
        ones where twelve rows must fit.
    """

    n_rows: int
    n_columns: int
    down: bool = True
    rhythm: tuple[str | None, ...] = ()
    least_spacing_mm: float = 25.0
    spacing_step_mm: float = 5.0


ARRANGEMENTS = {
    Layout.GRID: Arrangement(3, 4, rhythm=(None,)),
    Layout.GRID_3: Arrangement(3, 4, rhythm=("II", "V1", "V5"), least_spacing_mm=20.0),
    Layout.SIX: Arrangement(6, 2, least_spacing_mm=20.0),
    Layout.FOUR: Arrangement(4, 3, down=False),
    Layout.ROWS: Arrangement(12, 1, least_spacing_mm=12.0, spacing_step_mm=1.0),
}
LEAD_ORDERS = {
    LeadOrder.STANDARD: STANDARD_LEADS,
    LeadOrder.CABRERA: ("aVL", "I", INVERTED + "aVR", "II", "aVF", "III", *CHEST_LEADS),
}


def lead_rows(options: DisplayOptions, recorded: Iterable[str]) -> list[list[str]]:
    """Names of the leads in each row, from left to right; rhythm strips last.

    Parameters
    ----------
    options
        Layout, order and rhythm lead.
    recorded
        Leads of the recording. A single column shows these and no others; columns keep the
        place of a lead that is missing.

    Examples
    --------
    >>> lead_rows(DisplayOptions(order=LeadOrder.CABRERA), STANDARD_LEADS)[2]
    ['-aVR', 'III', 'V3', 'V6']
    """
    arrangement, order = ARRANGEMENTS[options.layout], LEAD_ORDERS[options.order]
    if arrangement.n_columns == 1:
        recorded = list(recorded)
        leads = [name for name in order if lead_of(name) in recorded]
        return [[name] for name in (*leads, *(n for n in recorded if n not in STANDARD_LEADS))]
    n_rows, n_columns = arrangement.n_rows, arrangement.n_columns
    if arrangement.down:
        rows = [list(order[row::n_rows]) for row in range(n_rows)]
    else:
        rows = [list(order[row * n_columns : (row + 1) * n_columns]) for row in range(n_rows)]
    drawn = {lead_of(name): name for name in order}
    return rows + [[drawn[lead or options.rhythm_lead]] for lead in arrangement.rhythm]


def lead_of(name: str) -> str:
    """Lead of the recording that is drawn under a name.

    Examples
    --------
    >>> lead_of("-aVR"), lead_of("V1")
    ('aVR', 'V1')
    """
    return name.removeprefix(INVERTED)


def sign_of(name: str) -> float:
    """-1 for the name of a lead that is drawn upside down, else 1."""
    return -1.0 if name.startswith(INVERTED) else 1.0


def is_chest_lead(lead: str) -> bool:
    """Whether half gain for the chest leads applies to a lead.

    Examples
    --------
    >>> is_chest_lead("V3R"), is_chest_lead("aVR"), is_chest_lead("vx")
    (True, False, False)
    """
    return _CHEST_LEAD.match(lead) is not None


def gain_of(lead: str, options: DisplayOptions) -> float:
    """Display gain of a lead, mm/mV."""
    halved = options.half_precordials and is_chest_lead(lead)
    return options.gain_mm_mv / 2 if halved else options.gain_mm_mv
