"""About this result: model card, limits, figures of subgroups, versions, what the model saw."""

from __future__ import annotations

import html
from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.i18n import tr
from echoing_gui.resources import program_version
from echoing_gui.state import AppState
from echoing_gui.state_package import Figure, PackageFacts
from echoing_gui.view_models.package_words import figure_name, known
from echoing_gui.view_models.results import result_view
from echoing_gui.view_models.texts import seen_row
from model_core.measures import FINDINGS, MEASURES

ACTIONS = (
    Action(
        "about_result", "M&odel", "&About this result…", ("Ctrl+Shift+I",),
        "Model card, limits, figures of subgroups, versions and hashes.",
        enabled=lambda state: state.facts is not None, group="about",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Offer the dialog in the menu and beside every number."""

    def show() -> None:
        state = desk.controller.state
        if state.facts is not None:
            AboutResult(state, state.facts, desk.window).open()

    desk.window.add_actions(ACTIONS, {"about_result": show})
    desk.window.measures.aboutRequested.connect(show)


def figure_rows(figures: Iterable[Figure]) -> tuple[tuple[str, str, str], ...]:
    """Figures of this model, its subgroups included, without those of what it was compared with.

    Returns
    -------
    Name, value and 95 % confidence interval of each, as shown.

    Examples
    --------
    >>> own = Figure("LVEF coverage of the interval", 0.9069, 0.88, 0.93, "", "test")
    >>> other = Figure("LVEF mean absolute error (Zero-shot)", 9.0, 8.0, 10.0, "%", "test")
    >>> figure_rows([own, other])
    (('LVEF coverage of the interval', '90.7 %', '88.0 to 93.0 %'),)
    """
    labels = tuple(each.label for each in (*MEASURES.values(), *FINDINGS.values()))
    rows: list[tuple[str, str, str]] = []
    for each in figures:
        compared = (each.name.endswith(")") and not each.name.endswith("(%)")) or (
            ", minus that of " in each.name
        )
        if each.name.startswith(labels) and not compared:
            in_percent = each.name.endswith(" (%)")
            is_share = not each.unit and ("coverage" in each.name or "prevalence" in each.name)
            factor = 100 if is_share and not in_percent else 1
            unit = " %" if is_share or in_percent else f" {each.unit or _unit_of(each)}".rstrip()
            value, low, high = (_rounded(factor * end) for end in (each.value, each.low, each.high))
            interval = tr("{low} to {high}", low=low, high=f"{high}{unit}")
            rows.append((figure_name(each.name.removesuffix(" (%)")), f"{value}{unit}", interval))
    return tuple(rows)


def _unit_of(figure: Figure) -> str:
    """Give an error the unit of its measure, also where the package leaves it out."""
    if " mean absolute error" not in figure.name:
        return ""
    return next((m.unit for m in MEASURES.values() if figure.name.startswith(m.label)), "")


def _rounded(value: float) -> str:
    """Write three digits, or the whole part, so that a column of them has one look.

    Examples
    --------
    >>> [_rounded(value) for value in (0.65, 7.991, 34.0, 125.2)]
    ['0.650', '7.99', '34.0', '125']
    >>> _rounded(-2.016)
    '−2.02'
    """
    n_whole = len(f"{abs(value):.0f}") if abs(value) >= 1 else 0
    return f"{value:.{max(0, 3 - n_whole)}f}".replace("-", "−")


class AboutResult(QDialog):
    """What stands behind the numbers on screen.

    Parameters
    ----------
    state
        The state that is shown.
    facts
        Of the model package.
    parent
        The window.
    """

    def __init__(self, state: AppState, facts: PackageFacts, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("About this result"))
        self._tabs = QTabWidget()
        view = result_view(state)
        limits = "".join(f"<li>{html.escape(tr(limit))}</li>" for limit in facts.limits)
        self._add(
            tr("&Limits"),
            f"<p>{_strong(view.caveat)}</p><p>{html.escape(tr(facts.intended_use))}</p>"
            f"<ul>{limits}</ul>",
        )
        self._add(tr("&Figures"), _figures_html(facts))
        self._add(
            tr("&Versions and hashes"),
            _table_html((*_about_recording(state), *facts.versions)),
        )
        self._add(tr("&Input preparation"), _table_html((*_seen(state), *facts.preparation)))
        card = QTextBrowser()
        card.setMarkdown(facts.card)
        card.setAccessibleName(tr("Model card"))
        self._tabs.addTab(card, tr("Model &card"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._tabs)
        layout.addWidget(buttons)
        self.resize(860, 640)

    def _add(self, title: str, text: str) -> None:
        page = QTextBrowser()
        page.setHtml(text)
        page.setAccessibleName(title.replace("&", ""))
        self._tabs.addTab(page, title)


def _figures_html(facts: PackageFacts) -> str:
    rows = figure_rows(facts.figures)
    if not rows:
        return f"<p>{html.escape(tr('The model package states no figures.'))}</p>"
    source = next(iter(facts.figures)).dataset
    head = (tr("Figure"), tr("Value"), tr("95 % confidence interval"))
    cells = "".join(
        "<tr>" + "".join(f"<td style='padding: 1px 14px 1px 0'>{html.escape(c)}</td>" for c in row)
        for row in rows
    )
    titles = "".join(f"<td>{_strong(title)}</td>" for title in head)
    return f"<p>{html.escape(tr(known(source)))}</p><table><tr>{titles}</tr>{cells}</table>"


def _strong(text: str) -> str:
    """Make text semi-bold: the program's font has no bolder one, and Qt would make one up."""
    return f"<span style='font-weight: 600'>{html.escape(text)}</span>"


def _table_html(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td style='padding: 2px 14px 2px 0'>{_strong(label)}</td>"
        f"<td style='padding: 2px 0'>{html.escape(text)}</td></tr>"
        for label, text in rows
    )
    return f"<table>{cells}</table>"


def _about_recording(state: AppState) -> tuple[tuple[str, str], ...]:
    rows = [(tr("Program"), program_version())]
    if state.recording is not None:
        rows.append((tr("Recording, SHA-256"), state.recording.recording_id))
    return tuple(rows)


def _seen(state: AppState) -> tuple[tuple[str, str], ...]:
    recording, prediction = state.recording, state.prediction
    if recording is None:
        return ()
    rows = [(tr("Recorded at"), f"{recording.fs:g} Hz")]
    if prediction is not None:
        rows.append(seen_row(prediction))
    return tuple(rows)
