"""The parts of the window: each shows the state and asks through signals; none knows another."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from echoing_gui.panels.import_report import ImportReportPanel
from echoing_gui.panels.measures import MeasuresPanel
from echoing_gui.panels.overview import OverviewPanel
from echoing_gui.panels.recording import RecordingPanel
from echoing_gui.panels.traces import TracesPanel
from echoing_gui.state import AppState

__all__ = [
    "PANELS",
    "ImportReportPanel",
    "MeasuresPanel",
    "OverviewPanel",
    "Panel",
    "RecordingPanel",
    "TracesPanel",
]


@runtime_checkable
class Panel(Protocol):
    """What the window asks of a panel."""

    def show_state(self, old: AppState, new: AppState, /) -> None:
        """Show `new`; `old` is what was shown before."""
        ...


PANELS: tuple[type[Panel], ...] = (
    TracesPanel,
    OverviewPanel,
    MeasuresPanel,
    RecordingPanel,
    ImportReportPanel,
)
