from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from training.ingest.statements import (
    PHRASES,
    groups_of_labels,
    labels_of_report,
    labels_of_statements,
    stated_about,
    text_of_report,
    text_of_statements,
)
from training.simulation.findings import SCP_CODES, findings_from_ptbxl


def test_rhythm_comes_first_and_unknown_codes_are_not_spelled() -> None:
    assert text_of_statements(["IMI", "XYZ", "SR"]) == (
        "Sinus rhythm, inferior myocardial infarction."
    )
    assert text_of_statements(None) == text_of_statements(["XYZ"]) == ""


def test_every_code_that_labels_use_has_a_phrase_of_its_own() -> None:
    assert len(PHRASES) == 71  # as many as PTB-XL has
    assert len(set(PHRASES.values())) == 71
    assert set().union(*SCP_CODES.values()) <= PHRASES.keys()


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("SINUS RHYTHM; ; Left axis deviation. ;", "Sinus rhythm, left axis deviation."),
        ("Atrial  fibrillation ***; *** Abnormal ECG", "Atrial fibrillation, abnormal ecg."),
        ("Sinus rhythm; sinus rhythm", "Sinus rhythm."),
        ("Sinus rhythm\nPVC(s)", "Sinus rhythm, pvc(s)."),
        ("Sinus rhythm; Compared to ECG of 1/1/2150, no change; Unconfirmed", "Sinus rhythm."),
        ("", ""),
        (None, ""),
    ],
)
def test_machine_reports_are_tidied(report: str | None, text: str) -> None:
    assert text_of_report(report) == text


@pytest.mark.parametrize(
    ("line", "stated"),
    [
        ("Left bundle branch block", {"lbbb"}),
        ("Incomplete left bundle branch block", {"ivcd"}),
        ("Incomplete right bundle branch block", set()),
        ("RBBB with left anterior fascicular block", {"rbbb", "lafb"}),
        ("IV conduction defect", {"ivcd"}),
        ("Ventricular pacing", {"paced"}),
        ("Atrial fibrillation with rapid ventricular response", {"af"}),
        ("Inferior infarct - age undetermined", {"mi_inferior"}),
        ("Inferior/lateral ST-T changes are probably due to ischemia", set()),
        ("Anteroseptal infarct - old", {"mi_anterior"}),
        ("Anterolateral infarct, acute", {"mi_anterior", "mi_lateral"}),
        ("Left ventricular hypertrophy with secondary repolarization", {"lvh"}),
        ("1st degree A-V block", {"av_block"}),
        ("Low QRS voltages in limb leads", {"low_voltage"}),
        ("Sinus tachycardia", {"tachycardia"}),
        ("Ventricular premature complex", {"pvc"}),
        ("Normal ECG", {"normal"}),
        ("Otherwise normal ECG", set()),
        ("Normal ECG except for rate", set()),
        ("No evidence of inferior infarct", set()),
    ],
)
def test_labels_of_machine_reports(line: str, stated: set[str]) -> None:
    found = labels_of_report(f"Sinus rhythm; {line}")
    assert {name for name, value in found.items() if value == 1.0} == stated


def test_a_hedge_makes_a_label_unknown_unless_another_line_is_sure() -> None:
    hedged = labels_of_report("Sinus rhythm; Possible inferior infarct - age undetermined")
    assert np.isnan(hedged["mi_inferior"])
    assert hedged["lbbb"] == 0.0
    sure = labels_of_report("Possible inferior infarct; Inferior infarct, old")
    assert sure["mi_inferior"] == 1.0
    # Nothing is known where nothing is said, nor of what such reports never name.
    assert all(np.isnan(value) for value in labels_of_report("").values())
    assert np.isnan(hedged["q_waves"])


def test_groups_are_not_known_where_a_label_that_decides_is_not() -> None:
    one, no, none = 1.0, 0.0, np.nan
    labels = {
        "paced": np.array([no, no, none, none]),
        "af": np.array([one, no, one, no]),
        **{name: np.array([no, no, no, none]) for name in ("rbbb", "ivcd", "lafb")},
        "lbbb": np.array([one, no, none, no]),
    }
    groups = groups_of_labels(labels)
    assert groups["rhythm"] == [
        *("atrial fibrillation", "sinus or other", "atrial fibrillation", "not known"),
    ]
    assert groups["block"] == ["left bundle branch block", "none", "not known", "not known"]


def test_patients_without_age_or_sex_are_not_put_into_a_group() -> None:
    index = pa.table(
        {
            "statements": pa.array([["SR"], None], pa.list_(pa.string())),
            "report": ["sinusrhythmus", ""],
            "sex": pa.array(["male", None]),
            "age_y": pa.array([66.0, None]),
            "unit": ["mV", "z"],
            "synthesised": [False, False],
        }
    )
    found = stated_about(index)
    assert found.texts == ["Sinus rhythm.", ""]
    assert found.groups["sex"] == ["men", "not known"]
    assert found.groups["age"] == ["65 to 79", "not known"]
    assert found.groups["block"] == ["none", "not known"]
    assert found.groups["signal"] == ["as recorded", "standardised by its publishers"]
    np.testing.assert_array_equal(found.labels["male"], [1, np.nan])
    np.testing.assert_array_equal(found.labels["older_than_65"], [1, np.nan])


@pytest.mark.needs_shared
def test_labels_agree_with_those_of_the_simulation(shared: Path) -> None:
    with (shared / "data/ptbxl/ptbxl_database.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scp_codes"].strip()]
    expected = findings_from_ptbxl([{**row, "pacemaker": ""} for row in rows])
    from training.ingest.adapters.ptbxl import _statements
    from training.ingest.tables import TextTable

    column = pa.array([row["scp_codes"] for row in rows])
    table = TextTable("t", {"scp_codes": column}, np.arange(len(rows)))
    codes, _ = _statements(table)
    found = [labels_of_statements(entry) for entry in codes.to_pylist()]
    for name in SCP_CODES:
        stated = np.array([one[name] for one in found])
        np.testing.assert_array_equal(stated == 1, getattr(expected, name), err_msg=name)
