"""Names and order of the twelve standard leads."""

from __future__ import annotations

from collections.abc import Sequence

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST_LEADS = ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_LEADS = LIMB_LEADS + CHEST_LEADS

_CANONICAL = {name.upper(): name for name in STANDARD_LEADS}


def canonical_lead_name(name: str) -> str:
    """Return the field's spelling of a standard lead name; other names are only stripped.

    Letter case, surrounding blanks and a leading word ``lead`` do not matter.

    Examples
    --------
    >>> [canonical_lead_name(name) for name in ("AVR", " v1 ", "Lead II", "MLII")]
    ['aVR', 'V1', 'II', 'MLII']
    """
    stripped = name.strip()
    key = stripped.upper()
    if key.startswith("LEAD"):
        key = key.removeprefix("LEAD").strip(" _-")
    return _CANONICAL.get(key, stripped)


def standard_lead_rows(lead_names: Sequence[str]) -> list[int] | None:
    """Rows of the twelve standard leads, in standard order, found by name.

    Parameters
    ----------
    lead_names
        Names in canonical spelling, in the order of the recording's rows.

    Returns
    -------
    list of int or None
        Twelve row numbers, or None if a standard lead is absent or named twice.

    Examples
    --------
    >>> mimic = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
    >>> standard_lead_rows(mimic)[3:6]
    [3, 5, 4]
    >>> standard_lead_rows(("I", "II")) is None
    True
    """
    if any(list(lead_names).count(name) != 1 for name in STANDARD_LEADS):
        return None
    return [list(lead_names).index(name) for name in STANDARD_LEADS]
