"""A box for sentences: how far each is from the ECG on screen, zero-shot."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.features.bench import sentences
from echoing_gui.features.bench.ask_panel import TextGrid, label, show_text
from echoing_gui.features.bench.view import bench_of, can_prompt
from echoing_gui.i18n import tr
from echoing_gui.state import AppState
from echoing_gui.state_bench import Prompted
from echoing_gui.state_package import PackageFacts, SentenceSide
from echoing_gui.view_models.package_words import known


class SentenceBox(QPlainTextEdit):
    """Sentences, one a line; `asked` when Enter is pressed, Shift+Enter begins another line."""

    asked = Signal()

    def __init__(self, name: str, hint: str, n_lines: int) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setPlaceholderText(hint)
        self.setTabChangesFocus(True)
        frame = 2 * (self.frameWidth() + round(self.document().documentMargin()))
        self.setFixedHeight(n_lines * self.fontMetrics().lineSpacing() + frame)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ask on Enter."""
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.asked.emit()
            return
        super().keyPressEvent(event)

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences."""
        return sentences.lines_of(self.toPlainText())


class PromptPanel(QWidget):
    """Compares sentences with the ECG, where the model package has a text side.

    `askRequested` carries the text side's key, the sentences and those against; `sweepRequested`
    the key of the text side and that of a sweep.
    """

    askRequested = Signal(str, tuple, tuple)
    sweepRequested = Signal(str, str)
    copyRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        title = label("panelTitle")
        title.setText(tr("Sentences (zero-shot)"))
        self._none = label("muted")
        self._sides: tuple[SentenceSide, ...] = ()
        self._side = QComboBox()
        self._side.setAccessibleName(tr("What the sentences are about"))
        self._side.currentIndexChanged.connect(self._on_side)
        self._ready = QComboBox()
        self._ready.setAccessibleName(tr("Ready sentences"))
        self._ready.activated.connect(self._on_ready)
        self._knows, self._words = label("muted"), label("muted")
        enter = tr("One sentence a line; Enter asks, Shift+Enter begins another line")
        self.positive = SentenceBox(tr("Sentences to compare with the ECG"), enter, 3)
        against = tr("Against it, if you like: the opposite")
        self.negative = SentenceBox(tr("Sentences against"), against, 2)
        for box in (self.positive, self.negative):
            box.asked.connect(self.ask)
            box.textChanged.connect(lambda: self._ready.setCurrentIndex(0))
        self._ask = QPushButton(tr("Compare sentences"))
        self._ask.setToolTip(tr("Ask how far each sentence is from this ECG."))
        self._ask.clicked.connect(self.ask)
        self._copy = QPushButton(tr("Copy sentences"))
        self._copy.setToolTip(tr("Copy sentences, numbers and caveats; nothing of the recording."))
        self._copy.clicked.connect(self.copyRequested)
        self._status, self._trouble = label("muted"), label("refusal")
        self._banner = label("caution")
        self._banner.setText(
            tr(
                "Zero-shot, not calibrated, research use only: not a result. It is shown here "
                "only, never exported and kept nowhere."
            )
        )
        self._concluded = label("stretch")
        self._grid = TextGrid(first_stretch=2)
        self._unsaid = label("caution")
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self._ask, self._copy):
            buttons.addWidget(button)
        buttons.addStretch()
        self._box = QWidget()
        inner = QVBoxLayout(self._box)
        inner.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self._side, self._knows, self._ready, self.positive, self.negative,
        ):  # fmt: skip
            inner.addWidget(widget)
        inner.addLayout(buttons)
        for widget in (
            self._status, self._trouble, self._banner, self._concluded, self._grid, self._unsaid,
            self._words,
        ):  # fmt: skip
            inner.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (title, self._none, self._box):
            layout.addWidget(widget)
        self._show_sides(())

    def ask(self) -> None:
        """Ask for what is typed; nothing happens without a sentence."""
        side, positive, negative = self._chosen_side(), self.positive.lines, self.negative.lines
        if side is None or not self._ask.isEnabled() or not positive:
            return
        if len(positive) + len(negative) > sentences.MOST_SENTENCES:
            most = tr("At most {n} sentences at once.", n=sentences.MOST_SENTENCES)
            show_text(self._trouble, most)
            return
        self.askRequested.emit(side.key, positive, negative)

    def copy_text(self, state: AppState) -> str:
        """Give what is shown as text; empty if nothing is."""
        found, side = self._found(state)
        if found is None or side is None or state.prediction is None:
            return ""
        return sentences.copied(found, side, state.prediction.package)

    def show_state(self, old: AppState, new: AppState) -> None:
        """Show what can be asked, and the answers of the ECG on screen."""
        if old.facts is not new.facts or not self._sides:
            self._show_sides(_sides_of(new.facts))
        bench = bench_of(new)
        self._ask.setEnabled(can_prompt(new) and not bench.prompting)
        self._ready.setEnabled(can_prompt(new) and not bench.prompting)
        show_text(self._status, _status_text(new))
        show_text(self._trouble, bench.prompt_trouble)
        show_text(self._none, "" if self._sides else _none_text(new))
        found, side = self._found(new)
        there = found is not None and side is not None
        for widget in (self._banner, self._copy):
            widget.setVisible(there)
        self._grid.setVisible(there and found is not None and found.sweep is None)
        if found is None or side is None:
            show_text(self._concluded, "")
            show_text(self._unsaid, "")
            return
        show_text(self._concluded, "\n".join(sentences.conclusions(found, side)))
        show_text(self._unsaid, "\n".join(sentences.troubles(found, side)))
        if found.sweep is None:
            self._grid.show_texts(sentences.headings(side), sentences.rows(found, side))

    def _found(self, state: AppState) -> tuple[Prompted | None, SentenceSide | None]:
        found = bench_of(state).prompted
        if found is None or state.facts is None:
            return None, None
        return found, state.facts.sentence_side(found.side)

    def _chosen_side(self) -> SentenceSide | None:
        at = self._side.currentIndex()
        return self._sides[at] if 0 <= at < len(self._sides) else None

    def _show_sides(self, sides: tuple[SentenceSide, ...]) -> None:
        self._sides = sides
        self._box.setVisible(bool(sides))
        with QSignalBlocker(self._side):
            self._side.clear()
            self._side.addItems([tr(known(side.label)) for side in sides])
        self._side.setVisible(len(sides) > 1)
        self._on_side()

    def _on_side(self) -> None:
        side = self._chosen_side()
        self._ready.clear()
        if side is None:
            return
        for chosen, text in sentences.ready_sets(side):
            self._ready.addItem(text, chosen)
        show_text(self._knows, tr(known(side.knows)))
        show_text(self._words, sentences.words_text(side))

    def _on_ready(self) -> None:
        side, chosen = self._chosen_side(), self._ready.currentData()
        if side is None or not isinstance(chosen, str):
            return
        sweep, pair = sentences.sweep_of(chosen), sentences.pair_of(chosen)
        if sweep:
            self.sweepRequested.emit(side.key, sweep)
        elif pair:
            for box, texts in (
                (self.positive, side.pairs[pair].positive),
                (self.negative, side.pairs[pair].negative),
            ):
                with QSignalBlocker(box):
                    box.setPlainText("\n".join(texts))
            self.ask()


def _sides_of(facts: PackageFacts | None) -> tuple[SentenceSide, ...]:
    return facts.sentences if facts is not None else ()


def _none_text(state: AppState) -> str:
    """Say why no sentence can be compared."""
    if state.package is not None:
        return tr(
            "The model package in use holds no network for text, so no sentence can be "
            "compared with this ECG."
        )
    if state.package_failed is not None:
        return tr(
            "No model package is in use, so there is nothing to ask. Install or choose one with "
            "Model packages… in the menu Model."
        )
    return tr("The model package is not loaded yet.")


def _status_text(state: AppState) -> str:
    if bench_of(state).prompting:
        return tr("Comparing the sentences with this ECG…")
    if state.covered:
        return tr("The estimate is covered. Reveal it to ask the model.")
    if not can_prompt(state):
        return tr("There is no result on screen, so there is nothing to ask about.")
    return ""
