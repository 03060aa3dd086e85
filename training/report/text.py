"""Words and numbers of reports."""

from __future__ import annotations

import math

from training.evaluation.report_data import Difference, Figure, Report, Target

NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "brier": "Brier score",
    "mean_probability": "Mean probability",
    "mae": "Mean absolute error",
    "bias": "Bias",
    "coverage": "Coverage",
    "width": "Interval width",
    "interval_score": "Interval score",
    "accuracy_trend": "Ten-bin correlation",
    "error_trend": "Ten-bin correlation",
    "aurc": "AURC",
    "excess_aurc": "Excess AURC",
    "augrc": "AUGRC",
    "rank_correlation": "Rank correlation",
}
SHARES = {"coverage", "sensitivity", "specificity", "balanced_accuracy", "prevalence"}
FINDING_COLUMNS = ("auroc", "auprc", "balanced_accuracy", "sensitivity", "specificity", "brier")
MEASURE_COLUMNS = ("mae", "bias", "coverage", "width", "interval_score")
UNCERTAINTY_COLUMNS = ("rank_correlation", "aurc", "excess_aurc", "augrc")


def number(value: float, figure: Figure | Difference) -> str:
    """Value with the digits that suit its quantity; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    if figure.quantity in SHARES:
        return f"{100 * value:.1f}"
    text = f"{value:.1f}" if figure.unit else f"{value:.3f}"
    return text.replace("-", "−")


def shown_unit(figure: Figure | Difference) -> str:
    """Return the unit behind a number; shares are shown in per cent, differences in points."""
    share = "points" if isinstance(figure, Difference) else "%"
    unit = share if figure.quantity in SHARES else figure.unit
    return f" {unit}" if unit else ""


def with_interval(figure: Figure | Difference | None) -> str:
    """Value and interval as ``7.1 (6.6 to 7.6) %``; a dash where there is no figure."""
    if figure is None or not math.isfinite(figure.value):
        return "–"
    value = number(figure.value, figure)
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return value + shown_unit(figure)
    ends = f"{number(figure.low, figure)} to {number(figure.high, figure)}"
    return f"{value} ({ends}){shown_unit(figure)}"


def target_value(target: Target) -> str:
    """Value and interval of a target, as plain numbers."""
    if not math.isfinite(target.value):
        return "–"

    def plain(value: float) -> str:
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
        return text.replace("-", "−")

    if not (math.isfinite(target.low) and math.isfinite(target.high)):
        return plain(target.value)
    return f"{plain(target.value)} ({plain(target.low)} to {plain(target.high)})"


def p_value(p: float) -> str:
    """P as printed in papers."""
    return "p < 0.01" if p < 0.01 else f"p = {p:.2f}"


def prevalence(report: Report, finding: str) -> str:
    """Prevalence among the subjects with its size, as a phrase."""
    figure = report.find("", finding, "prevalence")
    if figure is None or figure.cases is None:
        return "prevalence unknown"
    of_draws = " (mean of the draws)" if report.n_draws > 1 else ""
    return (
        f"prevalence {100 * figure.value:.1f} %, {figure.cases:.0f} of {figure.n:,} ECGs{of_draws}"
    )


def about(report: Report) -> str:
    """Who was tested and how intervals were made."""
    draws = (
        f" Each ECG has {report.n_draws} simulated outcomes, which share its weight."
        if report.n_draws > 1
        else ""
    )
    return (
        f"{report.n_rows:,} ECGs of {report.n_patients:,} patients.{draws} Intervals are 95 % "
        f"confidence intervals from {report.n_bootstrap:,} resamples of patients (seed "
        f"{report.seed}); differences are paired."
    )
