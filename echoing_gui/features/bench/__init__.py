"""The researcher's bench: look into the model behind the result, segment by segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QGuiApplication

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.features.bench.ask_panel import AskPanel
from echoing_gui.features.bench.asker import Asker
from echoing_gui.features.bench.compare_panel import ComparePanel
from echoing_gui.features.bench.maps_panel import MapsPanel
from echoing_gui.features.bench.outlines import cell_rects, outline_painter
from echoing_gui.features.bench.prompt_panel import PromptPanel
from echoing_gui.features.bench.segments_panel import SegmentsPanel
from echoing_gui.features.bench.sentences import spoken
from echoing_gui.features.bench.view import (
    bench_of,
    can_ask,
    cell_text,
    map_of,
    next_uncertain,
    pieces_of,
)
from echoing_gui.i18n import tr
from echoing_gui.state import ZOOMS, AppState
from echoing_gui.state_bench import Cell
from echoing_gui.view_models.sheet import WHOLE_ROW, number_text
from echoing_gui.view_models.texts import key_of


def _has_map(state: AppState) -> bool:
    return map_of(state) is not None


def _has_choice(state: AppState) -> bool:
    return can_ask(state) and bool(bench_of(state).chosen)


def _hides(state: AppState) -> bool:
    return bool(bench_of(state).hidden)


ACTIONS = (
    Action(
        "next_uncertain", "&Go", "Next &uncertain segment", ("N",),
        "Outline the next segment in the upper tenth of the model package's scale.",
        enabled=_has_map, group="segments",
    ),
    Action(
        "previous_uncertain", "&Go", "Pre&vious uncertain segment", ("Shift+N",),
        "Outline the previous segment in the upper tenth of the model package's scale.",
        enabled=_has_map, group="segments",
    ),
    Action(
        "zoom_segments", "&Go", "&Zoom to the selected segments", ("Z",),
        "Enlarge the ECG where the selected segments are; it is then not to scale.",
        enabled=lambda state: _has_map(state) and bool(bench_of(state).chosen), group="segments",
    ),
    Action(
        "segments", "M&odel", "&Segments", ("Ctrl+Shift+S",),
        "Show the table of segments beside the ECG.", group="bench",
    ),
    Action(
        "bench", "M&odel", "&Bench", ("Ctrl+Shift+B",),
        "Show what the model can be asked, its maps and a comparison with another model.",
        group="bench",
    ),
    Action(
        "hide_segments", "M&odel", "&Hide segments from the model", ("H",),
        "Ask what the model says without the selected segments; again to show them.",
        enabled=_has_choice, group="ask",
    ),
    Action(
        "hide_leads", "M&odel", "Hide &leads from the model", ("Shift+H",),
        "Ask what the model says without the leads of the selected segments.",
        enabled=_has_choice, group="ask",
    ),
    Action(
        "hide_beat", "M&odel", "Hide bea&t from the model", ("Ctrl+H",),
        "Ask what the model says without the beat at the outlined segment, in all leads.",
        enabled=_has_choice, group="ask",
    ),
    Action(
        "hide_nothing", "M&odel", "Hide &nothing", ("Ctrl+Shift+H",),
        "Show everything to the model again.", enabled=_hides, group="ask",
    ),
    Action(
        "occlude", "M&odel", "&Occlusion map", ("Shift+O",),
        "Hide one segment after the other and map how far the answer changes.",
        enabled=can_ask, group="maps",
    ),
    Action(
        "shuffle", "M&odel", "Map with shuffled &weights", ("Shift+W",),
        "See whether the segment variance shows anything that was learnt.",
        enabled=can_ask, group="maps",
    ),
    Action(
        "compare_packages", "M&odel", "&Compare with another package…", ("Ctrl+Shift+M",),
        "Ask another model package about the same ten seconds.",
        enabled=lambda state: state.prediction is not None and state.page_is_seen, group="maps",
    ),
    Action(
        "ask_sentences", "M&odel", "Co&mpare with sentences", ("Ctrl+Shift+T",),
        "Type sentences and see how far each is from this ECG, zero-shot.", group="maps",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Add the bench to the desk."""
    window, controller = desk.window, desk.controller
    view = window.traces.view
    asker = Asker(controller, window)
    segments, ask, maps, compare = SegmentsPanel(), AskPanel(), MapsPanel(), ComparePanel()
    prompts = PromptPanel()
    window.add_page("segments", tr("S&egments"), segments)
    window.add_page("bench", tr("&Bench"), ask, maps, compare, prompts)
    view.add_overlay(outline_painter(lambda: controller.state))

    def say(text: str) -> None:
        window.statusBar().showMessage(text)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(view, text))

    def show(cell: Cell) -> None:
        """Scroll a segment into sight, or say why that is not possible."""
        cells, sheet = map_of(controller.state), view.sheet
        if cells is None or sheet is None:
            return
        if not pieces_of(sheet, cell, cells.edges_s):
            where = cell_text(cell, cells.edges_s)
            key = key_of(controller.state, "rows")
            text = tr(
                "{where} is not drawn in this layout; 12x1{key} shows it.", where=where, key=key
            )
            say(text)
            return
        middle_s = float(cells.edges_s[cell.segment : cell.segment + 2].mean())
        view.show_time(middle_s, None if cell.lead == WHOLE_ROW else cell.lead)

    def choose_one(cell: Cell) -> None:
        asker.choose(frozenset((cell,)), cell)
        show(cell)

    def choose(chosen: frozenset[Cell], current: Cell | None) -> None:
        asker.choose(chosen, current)
        if current is not None:
            show(current)

    def box_of_chosen() -> tuple[QRectF, QRectF] | None:
        """Give the place of the selected segments and that of the ECG, device pixels."""
        cells, sheet = map_of(controller.state), view.sheet
        if cells is None or sheet is None:
            return None
        camera, box = view.camera(view.viewport().devicePixelRatioF()), QRectF()
        for cell in asker.bench.chosen:
            for rect in cell_rects(sheet, camera, cell, cells.edges_s):
                box = box.united(rect)
        return None if box.isEmpty() else (box, camera.area)

    def zoom() -> None:
        """Show the selected segments as large as they fit, in the middle."""
        found, options = box_of_chosen(), controller.state.options
        if found is None:
            for cell in sorted(asker.bench.chosen)[:1]:
                show(cell)  # which says why not
            return
        box, area = found
        fits = options.zoom * min(area.width() / box.width(), area.height() / box.height())
        largest = max((each for each in ZOOMS if each <= 0.9 * fits), default=ZOOMS[0])
        controller.set_options(replace(options, zoom=largest))
        found = box_of_chosen()
        if found is None:
            return
        off, ratio = found[0].center() - found[1].center(), view.viewport().devicePixelRatioF()
        bars = view.horizontalScrollBar(), view.verticalScrollBar()
        for bar, by in zip(bars, (off.x(), off.y()), strict=True):
            bar.setValue(bar.value() + round(by / ratio))
        key = key_of(controller.state, "zoom_reset")
        percent = 100 * largest
        say(tr("Zoom {percent:.0f} %, not to scale. Back to scale{key}.", percent=percent, key=key))

    def on_click(lead: str, time_s: float) -> None:
        cells = map_of(controller.state)
        if cells is None or not cells.edges_s[0] <= time_s < cells.edges_s[-1]:
            return
        number = int(cells.edges_s.searchsorted(time_s, side="right")) - 1
        cell = Cell(WHOLE_ROW if cells.lead_names == (WHOLE_ROW,) else lead, number)
        if cell.lead not in cells.lead_names:
            return
        bench = asker.bench
        if QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            asker.choose(bench.chosen ^ {cell}, cell if cell not in bench.chosen else None)
        else:
            asker.choose(frozenset((cell,)), cell)

    def go(step: int) -> None:
        cells, sheet = map_of(controller.state), view.sheet
        if cells is None or sheet is None:
            return
        cell, text = next_uncertain(
            cells, sheet, asker.bench.current, step, key_of(controller.state, "rows")
        )
        if cell is not None:
            choose_one(cell)
        say(text)

    def on_state(old: AppState, new: AppState) -> None:
        before, after = bench_of(old), bench_of(new)
        outlined = ("current", "chosen", "hidden")
        if any(getattr(before, name) != getattr(after, name) for name in outlined):
            view.refresh_overlays()
        if after.what_if is not None and after.what_if is not before.what_if:
            variance = number_text(after.what_if.embedding_variance)
            say(tr("What-if, not a result: embedding variance {value}.", value=variance))
        elif after.what_if is None and before.what_if is not None:
            window.statusBar().clearMessage()
        if after.prompted is not None and after.prompted is not before.prompted and new.facts:
            side = new.facts.sentence_side(after.prompted.side)
            if side is not None:
                say(spoken(after.prompted, side))

    def asked(what: Callable[[], None]) -> Callable[[], None]:
        """Do it where its outcome is seen."""

        def answer() -> None:
            window.show_page("bench")
            what()

        return answer

    def copied(text: str, n_rows: int) -> None:
        QGuiApplication.clipboard().setText(text)
        one = tr("1 row copied as CSV.")
        say(one if n_rows == 1 else tr("{n} rows copied as CSV.", n=n_rows))

    def copy_sentences() -> None:
        text = prompts.copy_text(controller.state)
        if text:
            QGuiApplication.clipboard().setText(text)
            say(tr("Sentences copied, with what they do not say."))

    def go_to_sentences() -> None:
        window.show_page("bench", prompts)
        prompts.positive.setFocus()

    answers: dict[str, Callable[[], object]] = {
        "next_uncertain": lambda: go(1),
        "previous_uncertain": lambda: go(-1),
        "zoom_segments": zoom,
        "segments": lambda: window.show_page("segments"),
        "bench": lambda: window.show_page("bench"),
        "hide_segments": asked(asker.hide_chosen),
        "hide_leads": asked(asker.hide_leads),
        "hide_beat": asked(asker.hide_beat),
        "hide_nothing": asker.clear,
        "occlude": asked(asker.occlude),
        "shuffle": asked(asker.shuffle),
        "compare_packages": asked(compare.ask_for_folder),
        "ask_sentences": go_to_sentences,
    }
    window.add_actions(ACTIONS, answers)
    view.clicked.connect(on_click)
    segments.chosen.connect(choose)
    segments.copied.connect(copied)
    segments.table.activated.connect(zoom)
    maps.chosen.connect(choose_one)
    ask.segmentRequested.connect(asker.hide_chosen)
    ask.leadRequested.connect(asker.hide_leads)
    ask.beatRequested.connect(asker.hide_beat)
    ask.clearRequested.connect(asker.clear)
    maps.occludeRequested.connect(asker.occlude)
    maps.stopRequested.connect(asker.stop_occluding)
    maps.quantityRequested.connect(asker.set_quantity)
    maps.shuffleRequested.connect(asker.shuffle)
    prompts.askRequested.connect(asker.ask_sentences)
    prompts.sweepRequested.connect(asker.read_sweep)
    prompts.copyRequested.connect(copy_sentences)
    compare.compareRequested.connect(lambda name: asker.compare(Path(name)))
    for panel in (segments, ask):
        panel.seen.connect(asker.look)
    controller.state_changed.connect(on_state)
    window.closing.connect(asker.close)
