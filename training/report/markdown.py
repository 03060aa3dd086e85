"""An evaluation as a compact page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluation.report_data import Difference, Report
from training.report.text import (
    FINDING_COLUMNS,
    MEASURE_COLUMNS,
    NAMES,
    about,
    p_value,
    prevalence,
    with_interval,
)


def markdown(report: Report, level: int = 2) -> str:
    """Tables of all estimators for each finding and measure.

    Parameters
    ----------
    report
        What was found.
    level
        Of the headings.
    """
    head = "#" * level
    blocks = [about(report)]
    for key in report.findings:
        blocks.append(f"{head} {report.labels[key]} ({prevalence(report, key)})")
        blocks.append(_table(report, key, FINDING_COLUMNS, "auroc"))
    for key in report.measures:
        blocks.append(f"{head} {report.labels[key]}")
        blocks.append(_table(report, key, MEASURE_COLUMNS, "mae"))
    blocks += [f"- {note}" for note in report.notes]
    return "\n\n".join(blocks) + "\n"


def _table(report: Report, key: str, columns: Sequence[str], compared: str) -> str:
    shown = [c for c in columns if any(report.find(e, key, c) for e in report.estimators)]
    header = ["", *(NAMES[c] for c in shown), f"{NAMES[compared]}, model minus this"]
    rows = [header, ["---"] * len(header)]
    for estimator in report.estimators:
        figures = [report.find(estimator, key, c) for c in shown]
        if not any(figures):
            continue
        cells = [with_interval(f) for f in figures]
        rows.append([estimator, *cells, versus(report, estimator, key, compared)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def versus(report: Report, estimator: str, key: str, quantity: str) -> str:
    """Difference of the model from an estimator with p; a dash if it was not compared."""
    found = difference(report, report.estimators[0], estimator, key, quantity)
    return "–" if found is None else f"{with_interval(found)}, {p_value(found.p)}"


def difference(
    report: Report, first: str, second: str, target: str, quantity: str
) -> Difference | None:
    """Return one difference of a report, or None."""
    wanted = (first, second, target, quantity)
    for d in report.differences:
        if (d.first, d.second, d.target, d.quantity) == wanted:
            return d
    return None
