"""The segment variance map beside what it might mean: occlusion, and shuffled weights."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.features.bench.ask_panel import label, show_text
from echoing_gui.features.bench.map_widget import MapWidget
from echoing_gui.features.bench.view import (
    agreement_text,
    bench_of,
    can_ask,
    map_of,
    quantity_label,
    shuffled_text,
)
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_bench import Bench
from echoing_gui.view_models.sheet import WHOLE_ROW
from model_core.measures import MEASURES
from model_core.types import SegmentVariance
from model_core.what_if import EMBEDDING, OcclusionMap, spearman

# Fixed ends of the scale of an occlusion map: per cent of the embedding variance, or by unit.
_EMBEDDING_SCALE = (0.1, 10.0)
_UNIT_SCALES = {"%": (0.03, 3.0), "ml": (0.1, 10.0)}


class MapsPanel(QWidget):
    """Three maps under each other, each with what can be asked of it; `chosen` carries a cell."""

    occludeRequested = Signal()
    stopRequested = Signal()
    quantityRequested = Signal(str)
    shuffleRequested = Signal()
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._native = MapWidget(tr("Segment variance"))
        self._occlusion = MapWidget(tr("Occlusion map"))
        self._shuffled = MapWidget(tr("Segment variance with shuffled weights"))
        for each in (self._native, self._occlusion, self._shuffled):
            each.chosen.connect(self.chosen)
        self._quantity = QComboBox()
        self._quantity.setAccessibleName(tr("What the occlusion map shows"))
        self._quantity.currentIndexChanged.connect(self._on_quantity)
        self._occlude = QPushButton(tr("Map occl&usion"))
        self._occlude.setToolTip(
            tr("Hide one segment after the other and map how far the answer changes.")
        )
        self._occlude.clicked.connect(self.occludeRequested)
        self._stop = QPushButton(tr("Stop"))
        self._stop.clicked.connect(self.stopRequested)
        self._progress = QProgressBar()
        self._progress.setAccessibleName(tr("Progress of the occlusion map"))
        self._agreement = label("muted")
        self._shuffle = QPushButton(tr("Shuff&le the weights"))
        self._shuffle.setToolTip(
            tr("Put the network's weights in another order, from fixed seeds, and map again.")
        )
        self._shuffle.clicked.connect(self.shuffleRequested)
        self._likeness = label("muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(_title(tr("Segment variance, from the model itself")))
        layout.addWidget(self._native)
        layout.addWidget(_title(tr("Occlusion: how far the answer changes without a segment")))
        row = QHBoxLayout()
        for widget in (self._occlude, self._stop, self._progress):
            row.addWidget(widget)
        row.addStretch()
        layout.addLayout(row)
        layout.addWidget(self._quantity)
        layout.addWidget(self._occlusion)
        layout.addWidget(self._agreement)
        layout.addWidget(_title(tr("Segment variance after shuffling the weights")))
        layout.addWidget(self._shuffle, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._shuffled)
        layout.addWidget(self._likeness)

    def show_state(self, _old: AppState, new: AppState) -> None:
        """Show the maps of the result on screen."""
        bench, cells = bench_of(new), map_of(new)
        asked = can_ask(new)
        self._occlude.setVisible(not bench.occluding)
        self._occlude.setEnabled(asked)
        self._stop.setVisible(bench.occluding)
        self._progress.setVisible(bench.occluding)
        self._progress.setValue(round(100 * bench.occlusion.share_done) if bench.occlusion else 0)
        self._shuffle.setEnabled(asked and not bench.shuffling)
        self._native.setVisible(cells is not None)
        if cells is not None:
            self._native.show_map(
                cells.variance, _names(cells), cells.edges_s, cells.scale, "", bench.current
            )
        self._show_occlusion(bench, cells)
        self._show_shuffled(bench, cells)

    def _show_occlusion(self, bench: Bench, cells: SegmentVariance | None) -> None:
        found = bench.occlusion
        there = found is not None and cells is not None
        self._occlusion.setVisible(there)
        self._quantity.setVisible(there)
        if found is None or cells is None:
            self._agreement.hide()
            return
        with QSignalBlocker(self._quantity):
            if self._quantity.count() != len(found.values):
                self._quantity.clear()
                for key in found.values:
                    self._quantity.addItem(quantity_label(key), key)
            self._quantity.setCurrentIndex(max(self._quantity.findData(bench.quantity), 0))
        quantity = str(self._quantity.currentData())
        unit = "%" if quantity == EMBEDDING else MEASURES[quantity].unit
        scale = _EMBEDDING_SCALE if quantity == EMBEDDING else _UNIT_SCALES[unit]
        change = found.change(quantity)
        self._occlusion.show_map(
            change, found.lead_names, found.edges_s, scale, unit, bench.current
        )
        show_text(self._agreement, _agreement(found, change, cells))

    def _show_shuffled(self, bench: Bench, cells: SegmentVariance | None) -> None:
        found = bench.shuffled
        there = found is not None and cells is not None
        self._shuffled.setVisible(there)
        if bench.shuffling:
            show_text(self._likeness, tr("Shuffling the weights and mapping again…"))
            return
        if found is None or cells is None:
            self._likeness.hide()
            return
        self._shuffled.show_map(
            found.variance[0], _names(cells), cells.edges_s, cells.scale, "", bench.current
        )
        likeness = [spearman(cells.variance, each) for each in found.variance]
        seeds = ", ".join(str(seed) for seed in found.seeds)
        text = tr("The map shown is that of seed {first}.", first=found.seeds[0])
        text += " " + tr(
            "Against the map above, seeds {seeds}: {likeness}",
            seeds=seeds,
            likeness=shuffled_text(likeness),
        )
        show_text(self._likeness, text)

    def _on_quantity(self, index: int) -> None:
        if index >= 0:
            self.quantityRequested.emit(self._quantity.itemData(index))


def _names(cells: SegmentVariance) -> tuple[str, ...]:
    return (tr("all"),) if cells.lead_names == (WHOLE_ROW,) else cells.lead_names


def _agreement(found: OcclusionMap, change: np.ndarray, cells: SegmentVariance) -> str:
    """Say how the two maps agree, once the second is complete."""
    if found.share_done < 1:
        return tr("{share} % of the cells were asked about.", share=f"{100 * found.share_done:.0f}")
    if change.shape != cells.variance.shape:
        return tr(
            "This model package does not tell leads apart: its own map is one row, and occlusion "
            "hides whole leads. The two cannot be compared."
        )
    correlation = spearman(-cells.variance, np.abs(change))
    text = tr("Certainty of a segment against the size of the change without it.")
    return f"{text} {agreement_text(correlation)}"


def _title(text: str) -> QWidget:
    made = label("panelTitle")
    made.setText(text)
    return made
