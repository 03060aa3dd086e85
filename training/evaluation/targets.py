"""What is wanted of a model, each with its figure and whether it is met."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from training.evaluation.metrics import Estimated
from training.evaluation.report_data import (
    EVERYONE,
    Curve,
    Figure,
    Report,
    Target,
)
from training.evaluation.uncertainty import Response

# Fewer in either group give no verdict.
LEAST_GROUP = 10


def target(
    name: str,
    value: float,
    wanted: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    low: float = math.nan,
    high: float = math.nan,
    n: int | None = None,
) -> Target:
    """Judge one figure by its value; one that is not a number is not judged.

    Parameters
    ----------
    name, wanted
        For the reader: what it is, what it should be.
    value, low, high
        Figure and its interval.
    at_least, at_most
        Limits of the value.
    n
        How many it rests on.
    """
    met = at_least <= value <= at_most if math.isfinite(value) else None
    return Target(name, value, low, high, wanted, met, n)


def response_targets(what: str, response: Response, at_least: float = 0.8) -> list[Target]:
    """Rank correlations of total variance with a damage, over levels and within ECGs."""
    within = response.within
    limit = f"at least {at_least:g}"
    return [
        target(
            f"Total variance over levels of {what}, rank correlation of the means",
            response.over_levels,
            limit,
            at_least=at_least,
            n=len(response.levels),
        ),
        target(
            f"Total variance over levels of {what}, mean rank correlation within an ECG",
            within.value,
            limit,
            at_least=at_least,
            low=within.low,
            high=within.high,
        ),
    ]


def response_curve(what: str, response: Response) -> Curve:
    """Mean total variance over levels, to draw."""
    return Curve(
        "",
        what,
        "response",
        list(response.levels),
        [m.value for m in response.means],
        [m.low for m in response.means],
        [m.high for m in response.means],
    )


def map_targets(burst: Estimated, similarity: Estimated) -> list[Target]:
    """Whether the map finds a burst, and whether it is gone with random weights."""
    return [
        target(
            "AUROC of segment variance for a burst of 1 s in one lead, over cells",
            burst.value,
            "at least 0.90",
            at_least=0.9,
            low=burst.low,
            high=burst.high,
        ),
        target(
            "Rank correlation of the map with those of random weights, size",
            similarity.value,
            "0.2 or less",
            at_most=0.2,
            low=similarity.low,
            high=similarity.high,
        ),
    ]


def ranking_target(
    what: str, auroc: float, low: float, high: float, sizes: tuple[int, int]
) -> Target:
    """Whether cases of another source rank below normal ECGs, by AUROC of the estimated LVEF."""
    few = f"; n = {min(sizes)} is too few for a verdict" if min(sizes) < LEAST_GROUP else ""
    found = target(
        f"{what}: estimated LVEF below normal ECGs, AUROC ({sizes[0]} against {sizes[1]})",
        auroc,
        "above 0.5" + few,
        at_least=0.5,
        low=low,
        high=high,
        n=sum(sizes),
    )
    return dataclasses.replace(found, met=None) if few else found


def default_targets(
    report: Report,
    oracle: str | None = None,
    *,
    finding: str = "lvef_below_40",
    measure: str = "lvef",
    not_judged: tuple[str, ...] = (),
) -> list[Target]:
    """Targets of the default model that a report can tell.

    Parameters
    ----------
    report
        With the model as its first estimator.
    oracle
        Name of the estimator that knows the simulation, if there is one; all others are baselines.
    finding, measure
        Of which the targets speak.
    not_judged
        Beginnings of the names of groups whose coverage is told and not judged.
    """
    model = report.estimators[0]
    found: list[Target] = []
    if oracle is not None:
        found += _against_oracle(report, model, oracle, finding, measure)
    for other in report.estimators[1:]:
        if other != oracle:
            found += _against_baseline(report, model, other, finding, measure)
    for key in report.measures:
        found += _coverage(report, model, key, not_judged)
    for d in report.differences:
        halves = f"{model}, low uncertainty", f"{model}, high uncertainty"
        if (d.first, d.second, d.target, d.quantity) == (*halves, measure, "mae"):
            name = f"{report.labels[measure]} mean absolute error, low-uncertainty minus high half"
            found.append(target(name, d.value, "below 0", at_most=-1e-12, low=d.low, high=d.high))
    return found


def _against_oracle(
    report: Report, model: str, oracle: str, finding: str, measure: str
) -> list[Target]:
    found = []
    ours, best = (report.find(e, finding, "auroc") for e in (model, oracle))
    if ours is not None and best is not None:
        name = f"{report.labels[finding]} AUROC, minus that of {oracle}"
        wanted = "−0.04 or more"
        found.append(target(name, ours.value - best.value, wanted, at_least=-0.04))
    ours, best = (report.find(e, measure, "mae") for e in (model, oracle))
    if ours is not None and best is not None:
        name = f"{report.labels[measure]} mean absolute error, as a share of that of {oracle}"
        found.append(target(name, ours.value / best.value, "1.08 or less", at_most=1.08))
    return found


def _against_baseline(
    report: Report, model: str, other: str, finding: str, measure: str
) -> list[Target]:
    found = []
    for key, quantity, sign in ((finding, "auroc", 1), (measure, "mae", -1)):
        for d in report.differences:
            if (d.first, d.second, d.target, d.quantity) == (model, other, key, quantity):
                words = {"auroc": "AUROC", "mae": "mean absolute error"}[quantity]
                name = f"{report.labels[key]} {words}, minus that of {other}"
                found.append(
                    target(
                        name,
                        d.value,
                        "above 0" if sign > 0 else "below 0",
                        at_least=1e-12 if sign > 0 else -math.inf,
                        at_most=math.inf if sign > 0 else -1e-12,
                        low=d.low,
                        high=d.high,
                    )
                )
    return found


def _coverage(report: Report, model: str, key: str, not_judged: tuple[str, ...]) -> list[Target]:
    figures = [
        f
        for f in report.figures
        if (f.estimator, f.target, f.quantity) == (model, key, "coverage")
        # A band of the outcome itself falls short at its ends by nature.
        and not f.group.startswith(("uncertainty:", *not_judged))
    ]
    return [_covered(report, f) for f in figures]


def _covered(report: Report, figure: Figure) -> Target:
    group = figure.group or "everyone"
    name = f"{report.labels[figure.target]} coverage of the intervals, {group} (%)"
    nominal = 100 * report.level
    low, high = (nominal - 2, nominal + 2) if figure.group == EVERYONE else (nominal - 5, math.inf)
    wanted = f"{low:g} to {high:g}" if figure.group == EVERYONE else f"at least {low:g}"
    if not math.isfinite(figure.value):
        wanted += f"; n = {figure.n} is too few for a verdict"
    return target(
        name,
        100 * figure.value,
        wanted,
        at_least=low,
        at_most=high,
        low=100 * figure.low,
        high=100 * figure.high,
        n=figure.n,
    )


def with_targets(report: Report, targets: Sequence[Target], curves: Sequence[Curve] = ()) -> Report:
    """Return the report with targets and curves added."""
    return dataclasses.replace(
        report, targets=[*report.targets, *targets], curves=[*report.curves, *curves]
    )
