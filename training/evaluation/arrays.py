"""What evaluation takes: subjects with outcomes, and what an estimator said about them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.measures import FINDINGS, MEASURES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """A yes / no statement about a measure: it holds where the measure is below a limit.

    Attributes
    ----------
    key
        As in `Estimates.probabilities`.
    label
        As shown.
    measure
        Key of the measure.
    below
        Limit in the measure's unit.
    """

    key: str
    label: str
    measure: str
    below: float


LVEF_FINDINGS = tuple(
    Finding(f"lvef_below_{limit}", f"LVEF < {limit} %", "lvef", float(limit))
    for limit in (30, 40, 50)
)


def known_findings() -> tuple[Finding, ...]:
    """LVEF below 30, 40 and 50 %, and every further finding that the program knows."""
    have = {finding.key for finding in LVEF_FINDINGS}
    more = (f for f in FINDINGS.values() if f.key not in have)
    return LVEF_FINDINGS + tuple(Finding(f.key, f.label, f.measure_key, f.below) for f in more)


@dataclass(frozen=True)
class Subjects:
    """Who is tested, one row an ECG.

    Attributes
    ----------
    patient
        (n,), the patient of each row. Rows of one patient are resampled together.
    outcomes
        By measure, (n, draws) in its unit; NaN where it was not measured. Draws is 1 for measured
        outcomes, more for simulated ones; the draws of a row share its weight.
    groups
        By name (``sex``, ``rhythm`` ...), (n,) labels; empty for unknown.
    bands
        By name (``LVEF band``), the measure and the inner edges that cut it. Each draw falls in the
        band of its own outcome.
    """

    patient: NDArray[Any]
    outcomes: Mapping[str, Array]
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    bands: Mapping[str, tuple[str, tuple[float, ...]]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.patient)


@dataclass(frozen=True)
class Estimates:
    """What one estimator says about each subject.

    Attributes
    ----------
    name
        As shown; unique.
    values
        By measure, (n,) in its unit.
    intervals
        By measure, (n, 2), low and high end.
    probabilities
        By finding, (n,); larger means more likely. Any score will do for the ranks; calibration
        and the Brier score are left out where values lie outside 0 to 1.
    thresholds
        By finding: called present from here on. Chosen on calibration patients (`best_threshold`);
        without one there is no balanced accuracy.
    uncertainty
        (n,), larger is less certain, or None.
    level
        Nominal coverage of the intervals.
    """

    name: str
    values: Mapping[str, Array] = field(default_factory=dict)
    intervals: Mapping[str, Array] = field(default_factory=dict)
    probabilities: Mapping[str, Array] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    uncertainty: Array | None = None
    level: float = 0.9


def check(subjects: Subjects, estimates: list[Estimates]) -> None:
    """Make sure that all arrays speak of the same subjects.

    Raises
    ------
    EchoingError
        With a sentence that names the array that does not fit.
    """
    names = [e.name for e in estimates]
    if len(set(names)) < len(names):
        raise EchoingError("Two estimators have the same name.", code="bad_estimates")
    arrays: dict[str, Any] = {f"outcome {k}": v for k, v in subjects.outcomes.items()}
    arrays |= {f"group {k}": v for k, v in subjects.groups.items()}
    for e in estimates:
        for part in ("values", "intervals", "probabilities"):
            arrays |= {f"{part} {k} of {e.name}": v for k, v in getattr(e, part).items()}
        if e.uncertainty is not None:
            arrays[f"uncertainty of {e.name}"] = e.uncertainty
    for name, values in arrays.items():
        if len(values) != subjects.n:
            raise EchoingError(
                f"The {name} has {len(values)} rows where there are {subjects.n} subjects.",
                code="bad_estimates",
            )
    for name, values in arrays.items():
        if not name.startswith(("outcome", "group")) and not np.isfinite(values).all():
            raise EchoingError(f"The {name} has missing values.", code="bad_estimates")


# Label and unit of measures that are evaluated but not predicted by the program.
_FURTHER = {
    "wall": ("Wall thickness", "mm"),
    "la_volume": ("Left atrial volume", "ml"),
}


def label_of(measure: str) -> str:
    """Name of a measure as shown; made from its key if the program does not know it."""
    if measure in MEASURES:
        return MEASURES[measure].label
    return _FURTHER[measure][0] if measure in _FURTHER else measure.replace("_", " ").capitalize()


def unit_of(measure: str) -> str:
    """Return the unit of a measure; empty if it is not known."""
    if measure in MEASURES:
        return MEASURES[measure].unit
    return _FURTHER.get(measure, ("", ""))[1]


def in_order(label: str) -> tuple[bool, float, str]:
    """Key that sorts names of bands by their edges, and other names by letter.

    Examples
    --------
    >>> sorted(["80 and more", "none", "below 50", "50 to 79"], key=in_order)
    ['below 50', 'none', '50 to 79', '80 and more']
    """
    number = re.match(r"\d+", label)
    return not label.startswith("below "), float(number[0]) if number else 0.0, label


def band_label(edges: Sequence[float], number: int, unit: str) -> str:
    """Name a band between rising edges; number 0 is below the first.

    Examples
    --------
    >>> [band_label((40, 50), number, "%") for number in range(3)]
    ['below 40 %', '40 to below 50 %', '50 % or more']
    """
    if number == 0:
        return f"below {edges[0]:g} {unit}".strip()
    if number == len(edges):
        return f"{edges[-1]:g} {unit} or more".replace("  ", " ")
    return f"{edges[number - 1]:g} to below {edges[number]:g} {unit}".strip()


def band_labels(values: Array, edges: Sequence[float], unit: str) -> NDArray[np.str_]:
    """Band of each value, (n,), as a group of `Subjects`: of what a model estimates, or of age."""
    return np.array([band_label(edges, number, unit) for number in np.digitize(values, edges)])
