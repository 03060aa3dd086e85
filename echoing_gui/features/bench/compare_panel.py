"""Two model packages on one ECG."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from echoing_gui.features.bench.ask_panel import TextGrid, label, show_text
from echoing_gui.features.bench.map_widget import MapWidget
from echoing_gui.features.bench.view import bench_of, map_of, other_lines
from echoing_gui.file_dialogs import file_dialog
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from model_core.types import Prediction, ResultState, SegmentVariance
from model_core.what_if import spearman


class ComparePanel(QWidget):
    """Measures, intervals, variances and maps of two packages side by side.

    `compareRequested` carries the folder of the other package.
    """

    compareRequested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        title = label("panelTitle")
        title.setText(tr("Compare with another model package"))
        self._choose = QPushButton(tr("Choose a pac&kage folder…"))
        self._choose.setToolTip(tr("Ask another model package about the same ten seconds."))
        self._choose.clicked.connect(self.ask_for_folder)
        self._status = label("muted")
        self._grid = TextGrid()
        self._reasons = label("caution")
        self._own = MapWidget(tr("Segment variance of the package in use"))
        self._other = MapWidget(tr("Segment variance of the other package"))
        self._likeness = label("muted")
        self._own_name, self._other_name = label("muted"), label("muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            title, self._choose, self._status, self._grid, self._reasons, self._own_name, self._own,
            self._other_name, self._other, self._likeness,
        ):  # fmt: skip
            layout.addWidget(widget)

    def ask_for_folder(self) -> None:
        """Let the user choose the folder of a package."""
        dialog = file_dialog(self, tr("Model package to compare with"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.compareRequested)
        dialog.open()

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Show what both packages say of the recording on screen."""
        bench, own = bench_of(new), new.prediction
        self._choose.setEnabled(own is not None and new.page_is_seen and not bench.comparing)
        show_text(self._status, tr("Asking the other package…") if bench.comparing else "")
        found = bench.other
        there = found is not None and own is not None
        for widget in (self._grid, self._own_name, self._other_name):
            widget.setVisible(there)
        if found is None or own is None:
            for widget in (self._reasons, self._own, self._other, self._likeness):
                widget.hide()
            return
        headings = ("", tr("In use"), tr("Compared"))
        self._grid.show_texts(headings, _rows(own, found.prediction))
        withheld = found.prediction.state is ResultState.NOT_REPORTABLE
        said = " ".join(tr(reason.message) for reason in found.prediction.reasons)
        if withheld:
            said = tr("The other package gives no estimate: {reasons}", reasons=said)
        caveat = tr("Other package: {caveat}", caveat=tr(found.identity.caveat))
        show_text(self._reasons, f"{said} {caveat}".strip())
        for where, which, package in (
            (self._own_name, tr("In use"), own.package),
            (self._other_name, tr("Compared"), found.identity),
        ):
            where.setText(f"{which}: {package.name} {package.version}")
            where.setToolTip(f"SHA-256 {package.package_id}")
        first, second = map_of(new), found.prediction.segment_variance
        for widget, cells in ((self._own, first), (self._other, second)):
            widget.setVisible(cells is not None)
            if cells is not None:
                widget.show_map(
                    cells.variance, cells.lead_names, cells.edges_s, cells.scale, "", bench.current
                )
        show_text(self._likeness, _likeness(first, second))


def _rows(own: Prediction, other: Prediction) -> list[tuple[str, ...]]:
    first, second = other_lines(own), other_lines(other)
    missing = tr("not given")
    labels = dict.fromkeys((*first, *second))
    rows = [(name, first.get(name, missing), second.get(name, missing)) for name in labels]
    packages = (own.package, other.package)
    return [
        (tr("Package"), *(package.name for package in packages)),
        (tr("Version"), *(package.version for package in packages)),
        ("SHA-256", *(package.package_id[:12] for package in packages)),
        *rows,
    ]


def _likeness(first: SegmentVariance | None, second: SegmentVariance | None) -> str:
    if first is None or second is None:
        return ""
    if first.lead_names != second.lead_names or first.variance.shape != second.variance.shape:
        return tr("The maps have other rows or segments, so they are not compared cell by cell.")
    value = f"{spearman(first.variance, second.variance):+.2f}".replace("-", "−")
    return tr(
        "Spearman {value} between the two maps; each has the scale of its own package.",
        value=value,
    )
