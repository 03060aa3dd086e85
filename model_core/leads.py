"""Names and order of the leads: the twelve standard ones, and what else devices record."""

from __future__ import annotations

import re
from collections.abc import Sequence

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST_LEADS = ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_LEADS = LIMB_LEADS + CHEST_LEADS

# Limb leads that follow from I and II (Einthoven 1912, Goldberger 1942): weights of I and of II
LIMB_FROM_I_AND_II = {
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}

_OTHER_LEADS = (
    *(f"V{number}" for number in (7, 8, 9)),
    *(f"V{number}R" for number in range(1, 10)),
    *("MLI", "MLII", "MLIII"),  # Mason-Likar positions on the trunk: near I to III, not the same
    *("CM2", "CM5", "CC5", "MCL1", "MCL6", "ES", "AS", "AI"),
    *("X", "Y", "Z"),
    *("Nehb D", "Nehb A", "Nehb J"),
)
_CANONICAL = {
    **{name.upper().replace(" ", ""): name for name in STANDARD_LEADS + _OTHER_LEADS},
    **{"DI": "I", "DII": "II", "DIII": "III"},
    **{"LARA": "I", "LLRA": "II", "LLLA": "III"},  # by their electrodes
    **{f"RV{number}": f"V{number}R" for number in range(1, 10)},
    **{"ML1": "MLI", "ML2": "MLII", "ML3": "MLIII"},
    **{f"NEHB{part}": f"Nehb {part}" for part in "DAJ"},
    **{"NEHBDORSAL": "Nehb D", "NEHBANTERIOR": "Nehb A", "NEHBINFERIOR": "Nehb J"},
}
_FRANK = {f"{prefix}{axis}": axis for prefix in ("V", "FRANK") for axis in "XYZ"}
# Not among the names above: in an EEG, C3 and C4 are sites on the head.
_CHEST_BY_C = {
    f"C{number}{side}": f"V{number}{side}" for number in range(1, 10) for side in ("", "R")
}
# Not among the names above either: D1 may be an electrode in the brain.
_LIMB_BY_D = {"D1": "I", "D2": "II", "D3": "III"}
_PREFIX = re.compile(
    r"^(?:(?:ECG|EKG|MDC_ECG)[ _:-]*)?"
    r"(?:(?:LEAD|ABLEITUNG|D[EÉ]RIVATION|DERIVACI[OÓ]N|DERIVA[ÇC][AÃ]O|DERIVAZIONE|EINTHOVEN|"
    r"GOLDBERGER|WILSON)[ _:-]*)?",
    re.IGNORECASE,
)
# A unit in brackets, or the kind of signal, behind the name
_SUFFIX = re.compile(r"\s*[\[(]\s*[nuµμm]?v\s*[\])]$|[ _-]+(?:ECG|EKG)$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[ _.:-]+")
# I-II is a difference of two leads and not lead III.
_TWO_LEADS = re.compile(r"I+[ _.:-]+I+", re.IGNORECASE)


def canonical_lead_name(name: str) -> str:
    """Return the field's spelling of a lead name; names not known are only stripped.

    Letter case, surrounding blanks and quotes, leading words ``lead`` and ``ECG``, a unit in
    brackets behind and separators within do not matter. A minus before or behind is kept: the
    lead is inverted.

    Examples
    --------
    >>> [canonical_lead_name(name) for name in ("AVR", " v1 ", "Lead II", "MLII", "V-4", "-avr")]
    ['aVR', 'V1', 'II', 'MLII', 'V4', '-aVR']
    """
    stripped = name.strip(" \t'\"")
    if stripped.startswith("-") or stripped.endswith("-"):
        positive = canonical_lead_name(stripped.removeprefix("-").removesuffix("-"))
        return f"-{positive}" if positive in STANDARD_LEADS else stripped
    return _CANONICAL.get(_key(stripped), stripped)


def is_known_lead(name: str) -> bool:
    """Whether a name is a lead's, in whatever spelling.

    Examples
    --------
    >>> [is_known_lead(name) for name in ("ECG II", "vx", "MLII", "ABP")]
    [True, True, True, False]
    """
    key = _key(name.strip().removeprefix("-"))
    return key in _CANONICAL or key in _FRANK


def canonical_lead_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the field's spelling of all lead names of one file, other conventions included.

    Frank leads become X, Y and Z; chest leads named C1 to C9 become V1 to V9 if the file holds a
    limb lead too, and D1 to D3 become I to III beside an augmented one.

    Examples
    --------
    >>> canonical_lead_names(["I", "C4", "vx"]), canonical_lead_names(["C3", "C4", "O1"])
    (('I', 'V4', 'X'), ('C3', 'C4', 'O1'))
    """
    spelt = tuple(canonical_lead_name(name) for name in names)
    aliases = _FRANK | (_CHEST_BY_C if set(spelt) & set(LIMB_LEADS) else {})
    aliases |= _LIMB_BY_D if set(spelt) & set(LIMB_LEADS[3:]) else {}
    return tuple(aliases.get(_key(name), name) for name in spelt)


def _key(name: str) -> str:
    inner = _SUFFIX.sub("", _PREFIX.sub("", name))
    return inner if _TWO_LEADS.fullmatch(inner) else _SEPARATORS.sub("", inner).upper()


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
