"""Lead names."""

from __future__ import annotations

import pytest

from model_core.leads import STANDARD_LEADS, canonical_lead_name, standard_lead_rows


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
