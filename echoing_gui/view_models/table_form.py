"""What the import dialog of a table holds, and what follows from it: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from echoing_gui.i18n import tr
from echoing_gui.view_models.texts import leads_text
from model_core.io import TableLayout, TableProposal
from model_core.leads import STANDARD_LEADS
from model_core.types import Recording

LEFT_OUT = "-"
STANDARD_TEXT = ", ".join(STANDARD_LEADS)
MAX_CELLS = 64
# Beyond what a heart makes in the middle of the leads, mV; see docs/adr/0006
LARGE_MV, SMALL_MV = 8.0, 0.15


@dataclass(frozen=True, slots=True)
class TableForm:
    """The fields of the dialog.

    Attributes
    ----------
    rate_hz
        0 while not stated.
    unit
        Empty while not chosen.
    lead_names
        As written, by commas; a dash leaves a column or row out.
    leads_in, skip_rows, delimiter, decimal_comma, variable
        As in `TableLayout`.
    """

    rate_hz: float
    unit: str
    lead_names: str
    leads_in: Literal["columns", "rows"]
    skip_rows: int
    delimiter: str
    decimal_comma: bool
    variable: str


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of the file, cut into cells.

    Attributes
    ----------
    cells
        Rows of texts.
    n_skipped
        How many of the rows stand above the numbers.
    columns, rows
        What each column or row is taken for; the other one holds numbers.
    """

    cells: tuple[tuple[str, ...], ...]
    n_skipped: int
    columns: tuple[str, ...]
    rows: tuple[str, ...]


def form_of(proposal: TableProposal, remembered: TableLayout | None) -> TableForm:
    """Fill in what was stated for a file of the same make, else what the file suggests."""
    if remembered is not None:
        return TableForm(
            rate_hz=remembered.fs,
            unit=remembered.unit,
            lead_names=written_names(remembered.lead_names),
            leads_in=remembered.leads_in,
            skip_rows=remembered.skip_rows,
            delimiter=remembered.delimiter,
            decimal_comma=remembered.decimal_comma,
            variable=remembered.variable,
        )
    return TableForm(
        rate_hz=proposal.fs or 0.0,
        unit=proposal.unit or "",
        lead_names=written_names(proposal.lead_names) if any(proposal.lead_names) else "",
        leads_in=proposal.leads_in,
        skip_rows=proposal.skip_rows,
        delimiter=proposal.delimiter,
        decimal_comma=proposal.decimal_comma,
        variable=proposal.variable,
    )


def written_names(names: tuple[str, ...]) -> str:
    """Write lead names into one field.

    Examples
    --------
    >>> written_names(("", "I", "II"))
    '-, I, II'
    """
    return ", ".join(name or LEFT_OUT for name in names)


def named(text: str) -> tuple[str, ...]:
    """Take the names out of the field; empty for one to leave out.

    Examples
    --------
    >>> named("-, I, , V1"), named(" ")
    (('', 'I', '', 'V1'), ())
    """
    if not text.strip():
        return ()
    names = (part.strip() for part in text.split(","))
    return tuple("" if name == LEFT_OUT else name for name in names)


def layout_of(form: TableForm) -> tuple[TableLayout | None, str]:
    """Take what the form states, or say in a sentence what is missing."""
    names = named(form.lead_names)
    if not form.rate_hz > 0:
        return None, tr("State the sampling rate: how many samples a second.")
    if not form.unit:
        return None, tr("Choose the unit of the numbers.")
    if not any(names):
        if form.leads_in == "columns":
            return None, tr(
                "Name the leads in the order of the columns, separated by commas; a dash leaves "
                "one out."
            )
        return None, tr(
            "Name the leads in the order of the rows, separated by commas; a dash leaves one out."
        )
    layout = TableLayout(
        fs=form.rate_hz,
        unit=form.unit,
        lead_names=names,
        leads_in=form.leads_in,
        skip_rows=form.skip_rows,
        delimiter=form.delimiter,
        decimal_comma=form.decimal_comma,
        variable=form.variable,
    )
    return layout, ""


def reasons(
    proposal: TableProposal, remembered: TableLayout | None, form: TableForm
) -> dict[str, str]:
    """Say of each field that was filled in advance where that comes from.

    Returns
    -------
    dict
        Texts for ``rate``, ``unit`` and ``leads``; empty once the user wrote something else.
    """
    begun = form_of(proposal, remembered)
    stated = tr("as you stated it for a file of the same make")
    texts = {
        "rate": (form.rate_hz == begun.rate_hz, proposal.fs_reason),
        "unit": (form.unit == begun.unit, proposal.unit_reason),
        "leads": (form.lead_names == begun.lead_names, proposal.leads_reason),
    }
    return {
        key: (tr(reason) if remembered is None else stated) if same else ""
        for key, (same, reason) in texts.items()
    }


def size_text(proposal: TableProposal) -> str:
    """Say how large the table is."""
    across, down = proposal.n_leads, proposal.n_samples
    if proposal.leads_in == "rows":
        across, down = down, across
    size = {"down": down, "across": across}
    if proposal.kind == "NPY":
        return tr("NumPy array of {down} rows and {across} columns", **size)
    if proposal.kind == "MAT":
        return tr("MATLAB matrix of {down} rows and {across} columns", **size)
    if size["across"] == 1:
        return tr("Text of {down} rows, one number in each", down=size["down"])
    return tr("Text of {down} rows and {across} columns", **size)


def first_rows(proposal: TableProposal, form: TableForm) -> FirstRows:
    """Cut the first rows of the file as the form says."""
    is_text = proposal.kind == "text table"
    delimiter = form.delimiter if is_text else " "
    split = None if delimiter == " " else delimiter
    cells = tuple(
        tuple(cell.strip() for cell in line.split(split))[:MAX_CELLS] for line in proposal.preview
    )
    n_skipped = min(form.skip_rows, len(cells)) if is_text else 0
    names = tuple(name or tr("left out") for name in named(form.lead_names))
    width = max(map(len, cells), default=0)
    numbers = tuple(str(number + 1) for number in range(max(width, len(cells))))
    if form.leads_in == "columns":
        return FirstRows(cells, n_skipped, (names + numbers[len(names) :])[:width], numbers)
    above = tuple("" for _ in range(n_skipped))
    return FirstRows(cells, n_skipped, numbers, above + names + numbers[len(names) :])


def read_text(recording: Recording, n_samples: int) -> str:
    """Say what the form makes of the file, so that a wrong rate or unit is seen.

    Parameters
    ----------
    recording
        The first seconds.
    n_samples
        Of the whole file.
    """
    values = np.abs(recording.signal_mv[np.isfinite(recording.signal_mv)])
    largest = float(values.max()) if values.size else math.nan
    duration_s = max(n_samples, recording.n_samples) / recording.fs
    report = recording.metadata.report
    n_leads = recording.n_leads if report is None else len(report.leads_present)
    text = tr(
        "Read so, it is {seconds:.1f} s of {leads} at {fs:g} Hz, at most {largest:.3g} mV.",
        seconds=duration_s,
        leads=leads_text(n_leads),
        fs=recording.fs,
        largest=largest,
    )
    if SMALL_MV <= largest <= LARGE_MV:
        return text
    return f"{text} {tr('No heart makes that: check the unit.')}"
