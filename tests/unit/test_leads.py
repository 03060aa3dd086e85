"""Lead names."""

from __future__ import annotations

import pytest

from model_core.leads import (
    STANDARD_LEADS,
    canonical_lead_name,
    canonical_lead_names,
    standard_lead_rows,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("AVR", "aVR"),
        ("avf", "aVF"),
        (" v6 ", "V6"),
        ("Lead II", "II"),
        ("lead_aVL", "aVL"),
        ("LEAD-V3", "V3"),
        ("MLII", "MLII"),
        ("vx", "vx"),
        ("C4", "C4"),
        ("V-3", "V3"),
        ("v3r", "V3R"),
        ("ECG V1", "V1"),
        ("MDC_ECG_LEAD_aVF", "aVF"),
        ("DII", "II"),
        ("nehb-a", "Nehb A"),
        ("-avr", "-aVR"),
        ("aVR-", "-aVR"),
        ("I-II", "I-II"),
        ("I II", "I II"),
        ("V1-V6", "V1-V6"),
        ("V1 (mV)", "V1"),
        ("aVL [uV]", "aVL"),
        ("aVR (inv.)", "aVR (inv.)"),
        ("Lead: V5", "V5"),
        ("II ECG", "II"),
        ("'III'", "III"),
        ("Ableitung aVF", "aVF"),
        ("LA-RA", "I"),
        ("LL-RA", "II"),
        ("rV4", "V4R"),
        ("Nehb D", "Nehb D"),
        ("D2", "D2"),
        ("-x", "-x"),
        ("my lead", "my lead"),
        ("leadless", "leadless"),
        ("", ""),
    ],
)
def test_spelling(written: str, name: str) -> None:
    assert canonical_lead_name(written) == name


def test_rows_follow_names_not_positions() -> None:
    shuffled = STANDARD_LEADS[::-1]
    rows = standard_lead_rows(shuffled)
    assert rows is not None
    assert tuple(shuffled[row] for row in rows) == STANDARD_LEADS


def test_rows_beside_other_leads() -> None:
    assert standard_lead_rows(("vx", *STANDARD_LEADS, "vy")) == list(range(1, 13))


@pytest.mark.parametrize("names", [STANDARD_LEADS[:-1], (*STANDARD_LEADS, "V1"), ()])
def test_no_rows_for_a_missing_or_doubled_lead(names: tuple[str, ...]) -> None:
    assert standard_lead_rows(names) is None


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (["Lead I", "C1", "c-4", "C3R"], ("I", "V1", "V4", "V3R")),
        (["Frank X", "vy", "VZ"], ("X", "Y", "Z")),
        (["C3", "C4", "O1"], ("C3", "C4", "O1")),  # an EEG
        (["MLII", "V5"], ("MLII", "V5")),
    ],
)
def test_names_of_a_file(written: list[str], names: tuple[str, ...]) -> None:
    assert canonical_lead_names(written) == names


def test_conventions_of_other_countries_beside_leads_that_tell_them() -> None:
    assert canonical_lead_names(["D1", "D2", "D3", "aVR", "C1"]) == ("I", "II", "III", "aVR", "V1")
    assert canonical_lead_names(["D1", "D2", "C3"]) == ("D1", "D2", "C3")
    assert canonical_lead_names(["Frank X", "VY", "vz"]) == ("X", "Y", "Z")
