"""The result of an evaluation as plain data: one row a figure; written as JSON and read again."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from model_core.errors import EchoingError
from training.checkpoint import write_atomic

EVERYONE = ""
LOW_HALF, HIGH_HALF = "uncertainty: low half", "uncertainty: high half"


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % confidence interval over patients.

    Attributes
    ----------
    estimator
        Whose; empty for a property of the subjects, as prevalence.
    target
        Key of the measure or finding.
    quantity
        What was measured: ``auroc``, ``mae`` ...
    group
        Of whom, ``name: label``; empty for everyone.
    value, low, high
        NaN where undefined, or where there are too few subjects for a verdict.
    n
        Rows that count.
    cases
        How many of them are positive, drawn outcomes as fractions; None for measures.
    unit
        Of the value.
    """

    estimator: str
    target: str
    quantity: str
    group: str
    value: float
    low: float
    high: float
    n: int
    cases: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Difference:
    """Paired difference of a figure between two estimators, or between the halves of one."""

    first: str
    second: str
    target: str
    quantity: str
    value: float
    low: float
    high: float
    p: float
    unit: str = ""


@dataclass(frozen=True)
class Curve:
    """Points to draw; ``low`` and ``high`` may be empty."""

    estimator: str
    target: str
    kind: str
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """One thing that is wanted: its figure, what it should be, and whether it is.

    ``met`` is None where there is no verdict; ``n`` is None where the size is told elsewhere.
    """

    name: str
    value: float
    low: float
    high: float
    wanted: str
    met: bool | None
    n: int | None = None


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation found.

    Attributes
    ----------
    title, dataset
        For the reader.
    estimators
        Names in order; the first is the model that the others are compared with.
    labels
        Of targets, as shown.
    findings, measures
        Keys of the targets.
    n_rows, n_patients, n_draws
        Size of the test set; draws are 1 for measured outcomes.
    level
        Nominal coverage of the intervals.
    least
        Fewer rows than this give no figure of a group.
    """

    title: str
    dataset: str
    estimators: list[str]
    labels: dict[str, str]
    findings: list[str]
    measures: list[str]
    n_rows: int
    n_patients: int
    n_draws: int
    n_bootstrap: int
    seed: int
    level: float
    least: int
    figures: list[Figure] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(
        self, estimator: str, target: str, quantity: str, group: str = EVERYONE
    ) -> Figure | None:
        """Return one figure, or None if there is none."""
        wanted = (estimator, target, quantity, group)
        for figure in self.figures:
            if (figure.estimator, figure.target, figure.quantity, figure.group) == wanted:
                return figure
        return None


def write_json(report: Report, path: Path) -> None:
    """Write a report; NaN becomes null."""
    text = json.dumps(_without_nan(dataclasses.asdict(report)), indent=1, allow_nan=False)
    write_atomic(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Report:
    """Read what `write_json` wrote.

    Raises
    ------
    EchoingError
        If the file is no such report.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["figures"] = [_read(Figure, row) for row in values["figures"]]
        values["differences"] = [_read(Difference, row) for row in values["differences"]]
        values["targets"] = [_read(Target, row) for row in values["targets"]]
        values["curves"] = [_read(Curve, row) for row in values["curves"]]
        return Report(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EchoingError(
            f"{path.name} is not an evaluation report.", code="bad_report"
        ) from error


Row = TypeVar("Row", Figure, Difference, Curve, Target)


def _read(kind: type[Row], row: dict[str, Any]) -> Row:
    """Make one row; null is NaN where a number belongs."""
    values = dict(row)
    for name in {"value", "low", "high", "p", "x", "y"} & set(row):
        value = row[name]
        values[name] = [_nan(v) for v in value] if isinstance(value, list) else _nan(value)
    return kind(**values)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _without_nan(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
