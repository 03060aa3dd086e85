"""An evaluation as one HTML file: no script, nothing from the network, for screen and print."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from training.checkpoint import write_atomic
from training.evaluation.report_data import HIGH_HALF, LOW_HALF, Report
from training.report import figures, svg
from training.report.markdown import difference, versus
from training.report.text import (
    FINDING_COLUMNS,
    MEASURE_COLUMNS,
    NAMES,
    UNCERTAINTY_COLUMNS,
    about,
    p_value,
    prevalence,
    target_value,
    with_interval,
)

# Okabe and Ito's colours, told apart by the colour-blind; the yellow is replaced.
LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#444444", "#7b3294"]
DARK = ["#56b4e9", "#ff8c42", "#2fd0a0", "#e8a0c8", "#8fd3ff", "#e0c030", "#bbbbbb", "#c49be0"]
_HEADING = re.compile(r'<section id="([^"]+)"><h2>(.*?)(?: <small|</h2>)')
# As `with_interval` writes it: value, interval, unit and what follows.
_INTERVAL = re.compile(r"(\S+) \(([^()]+ to [^()]+)\)(.*)")
HOW_TO_READ = (
    "AUPRC is to be read against the prevalence, which a score without knowledge reaches.",
    "Thresholds for balanced accuracy, sensitivity and specificity were chosen on calibration "
    "patients, never on these.",
    "The halves are split at the median of the model's uncertainty. The ten-bin correlation is "
    "Pearson's, of a bin's error (ideal 1) or accuracy (ideal −1) with its number.",
    "AURC is the mean error over all shares kept, most certain first; the excess is what an "
    "uncertainty that knew the errors would save; AUGRC divides by everyone instead of those kept.",
    "Within a band of the outcome itself, coverage falls short at the ends by nature: those whose "
    "outcome is far from what their ECG tells are missed. Bands of the estimate have no such bias.",
    "The interval score rewards narrow intervals and punishes misses; lower is better.",
)


def write_html(report: Report, path: Path, extra: Sequence[tuple[str, str]] = ()) -> None:
    """Write a report as a page of its own.

    Parameters
    ----------
    report
        What was found.
    path
        File to write.
    extra
        Further sections as title and HTML; made by the program, never by a user.
    """
    page = html(report, extra)
    write_atomic(path, lambda file: file.write(page.encode()))


def html(report: Report, extra: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page as text; parameters as in `write_html`."""
    key = svg.key(list(enumerate(report.estimators)))
    dataset = f"<p>{escape(report.dataset)}</p>" if report.dataset else ""
    sections = [_finding(report, f) for f in report.findings]
    sections += [_measure(report, m) for m in report.measures]
    sections += [_damage(report), _targets(report)]
    sections += [_section(escape(title), body) for title, body in extra]
    links = "".join(
        f'<a href="#{name}">{title}</a>' for name, title in _HEADING.findall("".join(sections))
    )
    reading = "".join(f"<li>{escape(line)}</li>" for line in HOW_TO_READ)
    notes = "".join(f"<li>{escape(line)}</li>" for line in report.notes)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{style()}</style></head><body><main>"
        f"<h1>{escape(report.title)}</h1>{dataset}<p>{escape(about(report))}</p>"
        f'<nav>{links}</nav><p class="keys">{key}</p>{"".join(sections)}'
        f"<section><h2>How to read this</h2><ul>{reading}{notes}</ul></section>"
        "</main></body></html>\n"
    )


def style() -> str:
    """Style sheet of page and figures."""
    light = ";".join(f"--c{i}:{c}" for i, c in enumerate(LIGHT))
    dark = ";".join(f"--c{i}:{c}" for i, c in enumerate(DARK))
    inks = "".join(
        f".line.c{i},.bar.c{i}{{stroke:var(--c{i})}}.band.c{i},.mark.c{i}{{fill:var(--c{i})}}"
        for i in range(8)
    )
    return (
        ":root{color-scheme:light dark;"
        f"--ink:#1b1b1b;--paper:#fff;--grid:#ddd;--soft:#666;{light}}}"
        "@media (prefers-color-scheme:dark){"
        f":root{{--ink:#e6e6e6;--paper:#161616;--grid:#383838;--soft:#a5a5a5;{dark}}}}}"
        f"@media print{{:root{{--ink:#000;--paper:#fff;--grid:#ddd;--soft:#555;{light}}}"
        "section,figure,tr{break-inside:avoid}}"
        "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0}"
        "main{max-width:1180px;margin:0 auto;padding:1.5rem}"
        "h2{border-bottom:1px solid var(--grid);padding-bottom:.2rem;margin-top:2.2rem}"
        ".scroll{overflow-x:auto}table{border-collapse:collapse;margin:.8rem 0;font-size:13px}"
        "th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid var(--grid);"
        "font-variant-numeric:tabular-nums;white-space:nowrap}"
        "thead th{white-space:normal;vertical-align:bottom}td small{display:block;"
        "color:var(--soft)}"
        # The names stay in sight when a table is wider than the window.
        "th:first-child,td:first-child{text-align:left;white-space:normal;min-width:8rem;"
        "position:sticky;left:0;background:var(--paper);background-clip:padding-box}"
        "nav{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}a{color:var(--c0)}"
        ".figures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;max-width:100%}"
        "figcaption{font-size:13px;font-weight:600}svg{max-width:100%;height:auto}"
        "svg text{font:11px system-ui,sans-serif;fill:var(--ink)}"
        ".grid{stroke:var(--grid)}.reference{stroke:var(--soft);stroke-dasharray:3 3}"
        ".line{fill:none;stroke-width:1.8}.bar{stroke-width:1.6}.band{opacity:.18;stroke:none}"
        ".key{display:inline-flex;align-items:center;gap:.4rem;margin-right:1.2rem}"
        f".soft{{color:var(--soft)}}{inks}"
    )


# --- sections ---


def _section(title: str, body: str, beside: str = "") -> str:
    """Section with a heading to link to; `title` escaped, `beside` and `body` HTML."""
    anchor = re.sub(r"\W+", "-", title).strip("-").lower()
    return f'<section id="{anchor}"><h2>{title}{beside}</h2>{body}</section>'


def _damage(report: Report) -> str:
    """Return the section of total variance over levels of damage."""
    found = [c for c in report.curves if c.kind == "response"]
    plots = [(f"Mean total variance over {c.target}", figures.response(c)) for c in found]
    return _section("Total variance under damage", _figures(plots)) if found else ""


def _targets(report: Report) -> str:
    """Return the table of what was wanted and whether it is met."""
    if not report.targets:
        return ""
    verdicts = {True: "met", False: "not met", None: "no verdict"}
    rows = [
        [t.name, target_value(t), t.wanted, verdicts[t.met], "" if t.n is None else f"{t.n:,}"]
        for t in report.targets
    ]
    table = _table(["What", "Value", "Wanted", "", "n"], rows)
    return _section("Targets", table)


def _finding(report: Report, key: str) -> str:
    label, cases = escape(report.labels[key]), escape(prevalence(report, key))
    plots = [("ROC", figures.roc(report, key))] if figures.curves_of(report, key, "roc") else []
    if any(number == 0 for number, _ in figures.curves_of(report, key, "calibration")):
        plots.append(("Calibration of the model", figures.calibration(report, key)))
    plots += _uncertainty_plots(report, key, "Share wrong", "Share right")
    plots += [
        (f"Few shots, {NAMES[q]}", figures.few_shot(report, key, q))
        for q in ("auroc", "balanced_accuracy")
        if figures.few_shot_curves(report, key, q)
    ]
    body = _estimators(report, key, FINDING_COLUMNS, "auroc")
    body += _figures(plots) + _uncertainty(report, key, ("auroc", "balanced_accuracy"))
    body += _groups(report, key, ("auroc", "auprc", "balanced_accuracy"), "auroc")
    return _section(label, body, f' <small class="soft">{cases}</small>')


def _measure(report: Report, key: str) -> str:
    unit = next((f.unit for f in report.figures if f.target == key and f.unit), "")
    error = f"Mean absolute error ({unit})" if unit else "Mean absolute error"
    plots = _uncertainty_plots(report, key, error, error)
    mean = with_interval(report.find("", key, "mean"))
    body = f"<p>Mean among the subjects: {escape(mean)}.</p>"
    body += _estimators(report, key, MEASURE_COLUMNS, "mae")
    body += _figures(plots) + _uncertainty(report, key, ("mae",))
    by = "coverage" if report.find(report.estimators[0], key, "coverage") else "mae"
    body += _groups(report, key, ("mae", "coverage", "width"), by)
    return _section(escape(report.labels[key]), body)


def _estimators(report: Report, key: str, columns: Sequence[str], compared: str) -> str:
    shown = [c for c in columns if any(report.find(e, key, c) for e in report.estimators)]
    header = ["", *(NAMES[c] for c in shown), f"{NAMES[compared]}: model minus this"]
    rows = []
    for estimator in report.estimators:
        found = [report.find(estimator, key, c) for c in shown]
        if any(found):
            cells = [with_interval(f) for f in found]
            rows.append([estimator, *cells, versus(report, estimator, key, compared)])
    return _table(header, rows)


def _uncertainty_plots(report: Report, key: str, loss: str, in_bins: str) -> list[tuple[str, str]]:
    plots = []
    if figures.curves_of(report, key, "risk_coverage"):
        plots.append(("Risk over coverage", figures.risk_coverage(report, key, loss)))
    if any(number == 0 for number, _ in figures.curves_of(report, key, "uncertainty_bins")):
        plots.append(("Ten bins of uncertainty", figures.uncertainty_bins(report, key, in_bins)))
    return plots


def _uncertainty(report: Report, key: str, quantities: Sequence[str]) -> str:
    """Return the table of halves, trend and risk over coverage of each estimator."""
    rows, header = [], ["Uncertainty"]
    shown = [q for q in quantities if report.find(report.estimators[0], key, q, LOW_HALF)]
    for q in shown:
        header += [f"{NAMES[q]}, low half", "high half", "low minus high"]
    header += ["Ten-bin correlation", *(NAMES[c] for c in UNCERTAINTY_COLUMNS)]
    for e in report.estimators:
        if not any(report.find(e, key, q, LOW_HALF) for q in shown):
            continue
        row = [e]
        for q in shown:
            row += [with_interval(report.find(e, key, q, half)) for half in (LOW_HALF, HIGH_HALF)]
            names = (f"{e}, low uncertainty", f"{e}, high uncertainty")
            d = difference(report, *names, key, q)
            row.append("–" if d is None else f"{with_interval(d)}, {p_value(d.p)}")
        trend = report.find(e, key, "error_trend") or report.find(e, key, "accuracy_trend")
        row.append(with_interval(trend))
        row += [with_interval(report.find(e, key, c)) for c in UNCERTAINTY_COLUMNS]
        rows.append(row)
    return _table(header, rows) if rows else ""


def _groups(report: Report, key: str, columns: Sequence[str], drawn: str) -> str:
    """Return the table and forest plot of the model's figures by group."""
    model = report.estimators[0]
    found = figures.group_figures(report, key, drawn)
    if len(found) < 2:
        return ""
    shown = [c for c in columns if report.find(model, key, c)]
    cases = found[0].cases is not None
    header = ["Group", "n", *(["Cases"] if cases else []), *(NAMES[c] for c in shown)]
    rows = []
    for f in found:
        sizes = [f"{f.n:,}", *([f"{f.cases:.0f}"] if f.cases is not None else [])]
        cells = [with_interval(report.find(model, key, c, f.group)) for c in shown]
        if not math.isfinite(f.value):
            cells[0] = "too few for a verdict" if f.group else cells[0]
        rows.append([f.group or "everyone", *sizes, *cells])
    plots = [(f"{NAMES[drawn]} by group", figures.groups(report, key, drawn))]
    drawable = sum(math.isfinite(f.value) for f in found) > 1
    return _table(header, rows) + (_figures(plots) if drawable else "")


def _figures(plots: Sequence[tuple[str, str]]) -> str:
    inner = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{plot}</figure>" for title, plot in plots
    )
    return f'<div class="figures">{inner}</div>' if plots else ""


def _cell(text: str) -> str:
    """Content of a cell; an interval goes below its value, so that tables stay narrow."""
    found = _INTERVAL.fullmatch(text)
    if not found:
        return escape(text)
    value, interval, rest = map(escape, found.groups())
    return f"{value}{rest}<small>{interval}</small>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
