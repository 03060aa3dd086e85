"""What the fields of the import dialog mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echoing_gui.settings import Settings, load_settings, save_settings, with_table
from echoing_gui.view_models.table_form import (
    first_rows,
    form_of,
    layout_of,
    read_text,
    reasons,
    size_text,
)
from model_core.io import TableLayout, TableProposal, layout_from_dict, layout_to_dict
from tests.gui_factory import recording

PROPOSAL = TableProposal(
    fs=500.0,
    fs_reason="written in the file",
    unit=None,
    unit_reason="",
    lead_names=("", "I"),
    leads_reason="written in the file",
    leads_in="columns",
    n_leads=2,
    n_samples=5000,
    preview=("t;I", "0,00;0,25", "0,01;0,50"),
    kind="text table",
    fingerprint="ab",
    skip_rows=1,
    delimiter=";",
    decimal_comma=True,
)


def test_what_is_not_known_is_left_open_and_asked_for_one_by_one():
    form = form_of(PROPOSAL, None)
    assert (form.rate_hz, form.unit, form.lead_names) == (500.0, "", "-, I")
    assert layout_of(form) == (None, "Choose the unit of the numbers.")
    assert "sampling rate" in layout_of(replace(form, rate_hz=0.0))[1]
    assert "Name the leads" in layout_of(replace(form, unit="mV", lead_names="-, -"))[1]
    layout, problem = layout_of(replace(form, unit="mV"))
    assert problem == ""
    assert layout == TableLayout(500.0, "mV", ("", "I"), "columns", 1, ";", True)


def test_what_was_stated_before_comes_first_and_says_so():
    before = TableLayout(250.0, "uV", ("I", "II"), "rows", 0, ",")
    form = form_of(PROPOSAL, before)
    assert layout_of(form) == (before, "")
    assert set(reasons(PROPOSAL, before, form).values()) == {
        "as you stated it for a file of the same make"
    }
    told = reasons(PROPOSAL, None, replace(form_of(PROPOSAL, None), rate_hz=400.0))
    assert told == {"rate": "", "unit": "", "leads": "written in the file"}


def test_first_rows_are_cut_as_stated():
    form = form_of(PROPOSAL, None)
    shown = first_rows(PROPOSAL, form)
    assert shown.cells == (("t", "I"), ("0,00", "0,25"), ("0,01", "0,50"))
    assert (shown.n_skipped, shown.columns) == (1, ("left out", "I"))
    assert first_rows(PROPOSAL, replace(form, delimiter=",")).cells[1] == ("0", "00;0", "25")
    turned = first_rows(PROPOSAL, replace(form, leads_in="rows"))
    assert turned.rows[:3] == ("", "left out", "I")


def test_size_is_told_as_it_lies_in_the_file():
    assert size_text(PROPOSAL) == "Text of 5000 rows and 2 columns"
    one = replace(PROPOSAL, n_leads=1)
    assert size_text(one) == "Text of 5000 rows, one number in each"
    assert size_text(replace(PROPOSAL, leads_in="rows")) == "Text of 2 rows and 5000 columns"


@pytest.mark.parametrize(("scale", "doubted"), [(1.0, False), (1000.0, True), (1e-3, True)])
def test_what_no_heart_makes_is_said(scale, doubted):
    read = recording(signal_mv=np.array([[0.0, 1.5 * scale, np.nan]]), leads=("I",))
    text = read_text(read, 5000)
    assert "10.0 s of 1 lead at 500 Hz" in text
    assert ("No heart makes that" in text) is doubted


def test_layouts_are_remembered_by_make_and_the_oldest_forgotten(tmp_path):
    settings = Settings()
    for number in range(120):
        layout = layout_to_dict(TableLayout(100.0 + number, "mV", ("I",)))
        settings = with_table(settings, f"make {number}", layout)
    save_settings(tmp_path / "settings.json", settings)
    read = load_settings(tmp_path / "settings.json")
    assert len(read.tables) == 100
    assert layout_from_dict(read.tables["make 119"]).fs == 219.0
    assert "make 0" not in read.tables
    (tmp_path / "settings.json").write_text('{"tables": {"a": 1, "b": {"unit": "mV"}}}')
    assert load_settings(tmp_path / "settings.json").tables == {"b": {"unit": "mV"}}
