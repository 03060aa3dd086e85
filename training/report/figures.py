"""The figures of a report, as SVG."""

from __future__ import annotations

import math

from training.evaluation.report_data import EVERYONE, Curve, Figure, Report
from training.report import svg
from training.report.text import NAMES, SHARES


def curves_of(report: Report, target: str, kind: str) -> list[tuple[int, Curve]]:
    """Curves of a kind with the number of their estimator, which is that of their colour."""
    return [
        (report.estimators.index(c.estimator), c)
        for c in report.curves
        if c.target == target and c.kind == kind
    ]


def roc(report: Report, target: str) -> str:
    """ROC curves of all estimators."""
    found = curves_of(report, target, "roc")
    return svg.lines(
        [svg.Series(c.estimator, c.x, c.y) for _, c in found],
        svg.Axis("1 − specificity", 0, 1),
        svg.Axis("Sensitivity", 0, 1),
        describe=f"ROC curves for {report.labels[target]}",
        diagonal=True,
        colours=[number for number, _ in found],
    )


def calibration(report: Report, target: str) -> str:
    """Observed share over predicted probability of the model."""
    found = [(n, c) for n, c in curves_of(report, target, "calibration") if n == 0]
    highest = max((v for _, c in found for v in (*c.high, *c.x) if math.isfinite(v)), default=1.0)
    top = min(1.0, 1.05 * highest)
    return svg.lines(
        [svg.Series(c.estimator, c.x, c.y, c.low, c.high, marks=True) for _, c in found],
        svg.Axis("Mean predicted probability", 0, top),
        svg.Axis("Observed share", 0, top),
        describe=f"Calibration of the probability of {report.labels[target]}",
        diagonal=True,
        colours=[number for number, _ in found],
    )


def risk_coverage(report: Report, target: str, loss: str) -> str:
    """Loss of the most certain part over that part's share; band for the model alone."""
    found = curves_of(report, target, "risk_coverage")
    ends = [v for n, c in found for v in (*c.y, *(c.low if n == 0 else []))]
    ends += [v for n, c in found if n == 0 for v in c.high]
    series = [
        svg.Series(
            c.estimator, c.x, c.y, c.low if n == 0 else [], c.high if n == 0 else [], band=True
        )
        for n, c in found
    ]
    return svg.lines(
        series,
        svg.Axis("Share of ECGs kept, most certain first", 0, 1),
        svg.axis_over(loss, ends),
        describe=f"Risk over coverage for {report.labels[target]}",
        colours=[number for number, _ in found],
    )


def uncertainty_bins(report: Report, target: str, what: str) -> str:
    """Error or accuracy of the model in ten bins of rising uncertainty."""
    found = [(n, c) for n, c in curves_of(report, target, "uncertainty_bins") if n == 0]
    values = [v for _, c in found for v in (*c.low, *c.high, *c.y)]
    return svg.lines(
        [svg.Series(c.estimator, c.x, c.y, c.low, c.high, marks=True) for _, c in found],
        svg.Axis("Bin of uncertainty, most certain first", 0.5, 10.5),
        svg.axis_over(what, values),
        describe=f"{what} in ten bins of uncertainty for {report.labels[target]}",
    )


def few_shot_curves(report: Report, target: str, quantity: str) -> list[Curve]:
    """Few-shot curves of all features that were tried."""
    kind = f"few_shot_{quantity}"
    return [c for c in report.curves if c.target == target and c.kind == kind]


def few_shot(report: Report, target: str, quantity: str) -> str:
    """Figure over the number of labelled ECGs of each class; band for the first features alone."""
    found = few_shot_curves(report, target, quantity)
    series = [
        svg.Series(
            c.estimator,
            [math.log2(k) for k in c.x],
            c.y,
            c.low if c is found[0] else [],
            c.high if c is found[0] else [],
            band=True,
            marks=True,
        )
        for c in found
    ]
    values = [v for c in found for v in c.y] + [*found[0].low, *found[0].high]
    largest = max(x for one in series for x in one.x)
    return svg.lines(
        series,
        svg.Axis("Labelled ECGs of each class", -0.2, largest + 0.2, powers_of_two=True),
        svg.axis_over(NAMES[quantity], values),
        describe=f"Few shots for {report.labels[target]}: {', '.join(c.estimator for c in found)}",
        colours=[
            report.estimators.index(c.estimator) if c.estimator in report.estimators else i
            for i, c in enumerate(found)
        ],
    )


def response(curve: Curve) -> str:
    """Mean total variance over levels of damage."""
    return svg.lines(
        [svg.Series(curve.target, curve.x, curve.y, curve.low, curve.high, marks=True)],
        svg.axis_over(curve.target.capitalize(), curve.x),
        svg.axis_over("Mean total variance", [*curve.low, *curve.high, *curve.y]),
        describe=f"Mean total variance over {curve.target}",
    )


def group_figures(report: Report, target: str, quantity: str) -> list[Figure]:
    """Figures of the model for everyone and each group; halves by uncertainty left out."""
    model = report.estimators[0]
    return [
        f
        for f in report.figures
        if (f.estimator, f.target, f.quantity) == (model, target, quantity)
        and not f.group.startswith("uncertainty:")
    ]


def groups(report: Report, target: str, quantity: str) -> str:
    """Forest plot of a figure of the model over all groups that are large enough for it."""
    figures = [f for f in group_figures(report, target, quantity) if math.isfinite(f.value)]
    factor = 100.0 if quantity in SHARES else 1.0
    bars = [
        svg.Bar(
            f"{f.group or 'everyone'} (n = {f.n:,})",
            factor * f.value,
            factor * f.low,
            factor * f.high,
        )
        for f in figures
    ]
    unit = "%" if quantity in SHARES else next((f.unit for f in figures), "")
    label = f"{NAMES[quantity]} ({unit})" if unit else NAMES[quantity]
    marks = [(factor * f.value, "") for f in figures if f.group == EVERYONE]
    if quantity == "coverage":
        marks = [(factor * report.level, "nominal")]
    values = [v for b in bars for v in (b.value, b.low, b.high)]
    axis = svg.axis_over(label, values, include=[m for m, _ in marks])
    if quantity in SHARES:
        axis = svg.Axis(label, max(axis.low, 0.0), min(axis.high, 100.0))
    return svg.forest(
        bars, axis, describe=f"{NAMES[quantity]} by group, {report.labels[target]}", marks=marks
    )
