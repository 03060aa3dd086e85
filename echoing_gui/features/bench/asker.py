"""Does what the bench asks for, in workers, and keeps the bench's part of the state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject

from echoing_gui.controller import Controller
from echoing_gui.errors import to_message
from echoing_gui.features.bench.view import beat_cells, bench_of, can_ask, can_prompt, map_of
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner
from echoing_gui.state import PAGE_S, AppState
from echoing_gui.state_bench import Bench, Cell, OtherModel, Prompted, Shuffled
from echoing_gui.view_models.sheet import WHOLE_ROW
from model_core.errors import CancelToken
from model_core.types import Prediction, Recording
from model_core.zero_shot import probability_for

if TYPE_CHECKING:
    from model_core.runtime.inquiry import Inquiry
    from model_core.runtime.package import TextPart
    from model_core.runtime.prompting import Embedding
    from model_core.runtime.text import TextEncoder

_LOOK, _ASK, _OCCLUDE, _SHUFFLE, _COMPARE = "look", "ask", "occlude", "shuffle", "compare"
_PROMPT = "prompt"
_LANES = (_LOOK, _ASK, _OCCLUDE, _SHUFFLE, _COMPARE, _PROMPT)
SEEDS = (1, 2, 3)


class Asker(QObject):
    """Asks the model about the ten seconds that the prediction on screen was made of."""

    def __init__(self, controller: Controller, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._jobs = JobRunner(self)
        self._jobs.finished.connect(self._on_finished)
        self._jobs.progressed.connect(lambda report: self._change(occlusion=report.value))
        self._lock = threading.Lock()
        self._inquiry: tuple[Prediction, Inquiry] | None = None
        self._encoder: TextEncoder | None = None
        # Asked for before it was known where the beats are.
        self._beat_wanted = False
        controller.state_changed.connect(self._on_state)

    @property
    def bench(self) -> Bench:
        """The bench of the prediction on screen."""
        return bench_of(self._controller.state)

    def look(self) -> None:
        """Find out what lies in the segments, and make the model ready to be asked."""
        state = self._controller.state
        cells, recording = map_of(state), state.recording
        if cells is None or recording is None or self.bench.covered is not None:
            return

        def work(_token: CancelToken) -> dict[str, Any]:
            from echoing_gui.features.bench.covered import look_at

            return {"covered": look_at(recording, cells)}

        self._jobs.submit(_LOOK, work)
        if self.bench.whole is None and self._can_run():
            self._ask()

    def choose(self, chosen: frozenset[Cell], current: Cell | None) -> None:
        """Select segments; `current` is outlined."""
        if (chosen, current) != (self.bench.chosen, self.bench.current):
            self._change(chosen=chosen, current=current)

    def hide_chosen(self) -> None:
        """Hide the selected segments from the model, or show them to it if all are hidden."""
        self._toggle(self.bench.chosen)

    def hide_leads(self) -> None:
        """Hide whole leads, those of the selected segments, or show them."""
        count = range(self._n_segments())
        self._toggle(frozenset(Cell(c.lead, n) for c in self.bench.chosen for n in count))

    def hide_beat(self) -> None:
        """Hide the beat at the outlined segment in all leads, or show it."""
        bench, cells = self.bench, map_of(self._controller.state)
        if bench.current is None or cells is None:
            return
        if bench.covered is None:
            self._beat_wanted = True
            self.look()
            return
        if not len(bench.covered.beats_s):
            self._change(trouble=tr("No beat was found here, so none can be hidden."))
            return
        middle_s = float(cells.edges_s[bench.current.segment : bench.current.segment + 2].mean())
        leads = self._leads()
        self._toggle(beat_cells(bench.covered.beats_s, middle_s, leads, cells.edges_s))

    def clear(self) -> None:
        """Hide nothing."""
        self._jobs.cancel(_ASK)
        self._change(hidden=frozenset(), what_if=None, trouble="")

    def set_quantity(self, quantity: str) -> None:
        """Show the occlusion map of another quantity."""
        self._change(quantity=quantity)

    def occlude(self) -> None:
        """Hide one segment after the other and map what that changes."""
        if self._can_run():
            find = self._inquiry_finder()
            self._change(occlusion=None, occluding=True, trouble="")
            self._jobs.submit_steps(_OCCLUDE, lambda token: find().occlusion(token))

    def stop_occluding(self) -> None:
        """End the occlusion map where it stands."""
        self._jobs.cancel(_OCCLUDE)
        self._change(occluding=False)

    def shuffle(self) -> None:
        """Make the map again with shuffled weights, from fixed seeds."""
        model, page = self._controller.model, self._page()
        if not self._can_run() or model is None or model.predictor is None or page is None:
            return
        package = model.predictor.package

        def work(token: CancelToken) -> dict[str, Any]:
            from model_core.runtime.inquiry import Inquiry
            from model_core.runtime.predictor import Predictor
            from model_core.runtime.randomise import randomised

            maps = [
                Inquiry(Predictor(randomised(package, seed)), page).answer(cancel=token)
                for seed in SEEDS
            ]
            shown = Shuffled(SEEDS, np.stack([each.segment_variance for each in maps]))
            return {"shuffled": shown, "shuffling": False}

        self._change(shuffling=True, trouble="")
        self._jobs.submit(_SHUFFLE, work)

    def compare(self, folder: Path) -> None:
        """Ask the model package of a folder about the same ten seconds."""
        page, confirmed = self._page(), self._controller.state.confirmed
        if page is None:
            return

        def work(token: CancelToken) -> dict[str, Any]:
            from model_core.runtime.package import load_package
            from model_core.runtime.predictor import Predictor

            predictor = Predictor(load_package(folder))
            predictor.self_test()
            prediction = predictor.predict(page, token, confirmed=confirmed)
            return {
                "other": OtherModel(predictor.package.identity, prediction),
                "comparing": False,
            }

        self._change(other=None, comparing=True, trouble="")
        self._jobs.submit(_COMPARE, work)

    def ask_sentences(
        self, side: str, positive: tuple[str, ...], negative: tuple[str, ...]
    ) -> None:
        """Compare sentences for something, and against it, with the ECG."""

        def work(encoder: TextEncoder, embedding: Embedding, token: CancelToken) -> Prompted:
            from model_core.runtime.prompting import ask_sentences

            found, against = (
                ask_sentences(encoder, embedding, texts, token) for texts in (positive, negative)
            )
            scale = encoder.part.side.negative_scale
            return Prompted(side, found, against, probability_for(found, against, scale))

        self._prompt(side, work)

    def read_sweep(self, side: str, key: str) -> None:
        """Read a measure by the sentences of the package that state its values."""

        def work(encoder: TextEncoder, embedding: Embedding, token: CancelToken) -> Prompted:
            from model_core.runtime.prompting import read_sweep

            sweep = encoder.part.prompts.sweeps[key]
            return Prompted(side, sweep=read_sweep(encoder, embedding, sweep, token))

        self._prompt(side, work)

    def _prompt(
        self, side: str, ask: Callable[[TextEncoder, Embedding, CancelToken], Prompted]
    ) -> None:
        model, state = self._controller.model, self._controller.state
        if not can_prompt(state) or model is None or model.predictor is None:
            return
        parts = [part for part in model.predictor.package.texts if part.side.key == side]
        if not parts or state.prediction is None or state.prediction.package != model.identity:
            return
        find = self._inquiry_finder()

        def work(token: CancelToken) -> dict[str, Any]:
            embedding = find().embedding(token)
            prompted = ask(self._encoder_of(parts[0]), embedding, token)
            return {"prompted": prompted, "prompting": False}

        self._change(prompted=None, prompting=True, prompt_trouble="")
        self._jobs.submit(_PROMPT, work)

    def _encoder_of(self, part: TextPart) -> TextEncoder:
        """Load a text encoder, in a worker; the last one is kept."""
        from model_core.runtime.text import TextEncoder

        with self._lock:
            if self._encoder is None or self._encoder.part is not part:
                self._encoder = TextEncoder(part)
            return self._encoder

    def close(self) -> None:
        """Cancel all work and wait a bounded time."""
        self._jobs.close()

    def _change(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Bench
        self._controller.change(bench=replace(self.bench, **changes))

    def _can_run(self) -> bool:
        """Whether the model of the prediction on screen is at hand."""
        state, model = self._controller.state, self._controller.model
        return (
            can_ask(state)
            and model is not None
            and model.predictor is not None
            and state.prediction is not None
            and state.prediction.package == model.identity
        )

    def _page(self) -> Recording | None:
        state = self._controller.state
        if state.recording is None or state.prediction is None or not state.page_is_seen:
            return None
        return state.recording.part(state.prediction.window_s[0], PAGE_S)

    def _leads(self) -> tuple[str, ...]:
        """Leads that can be hidden."""
        model, cells = self._controller.model, map_of(self._controller.state)
        if cells is not None and cells.lead_names != (WHOLE_ROW,):
            return cells.lead_names
        predictor = model.predictor if model is not None else None
        return predictor.package.manifest.input.lead_names if predictor is not None else ()

    def _n_segments(self) -> int:
        cells = map_of(self._controller.state)
        return 0 if cells is None else cells.variance.shape[1]

    def _toggle(self, cells: frozenset[Cell]) -> None:
        if not cells or not self._can_run():
            return
        leads = self._leads()
        # Of all leads together: a package of one row is asked about its leads all the same.
        cells = frozenset(
            Cell(lead, cell.segment)
            for cell in cells
            for lead in (leads if cell.lead == WHOLE_ROW else (cell.lead,))
        )
        hidden = self.bench.hidden - cells if cells <= self.bench.hidden else None
        hidden = self.bench.hidden | cells if hidden is None else hidden
        if len(hidden) >= len(leads) * self._n_segments():
            text = tr("Something must be left for the model to see. Clear what is hidden first.")
            self._change(trouble=text)
            return
        if not hidden:
            self.clear()
            return
        self._change(hidden=hidden, trouble="")
        self._ask()

    def _ask(self) -> None:
        """Ask with what is hidden now, and once with nothing hidden."""
        find, bench = self._inquiry_finder(), self.bench
        leads, n_segments = self._leads(), self._n_segments()
        mask = np.zeros((len(leads), n_segments), dtype=np.bool_)
        for cell in bench.hidden:
            mask[leads.index(cell.lead), cell.segment] = True

        def work(token: CancelToken) -> dict[str, Any]:
            inquiry = find()
            whole = bench.whole or inquiry.answer(cancel=token)
            what_if = inquiry.answer(mask, token) if bench.hidden else None
            return {"masking": inquiry.masking, "whole": whole, "what_if": what_if}

        self._jobs.submit(_ASK, work)

    def _inquiry_finder(self) -> Callable[[], Inquiry]:
        """Find the inquiry about the page, in a worker: made once, then kept."""
        prediction, page = self._controller.state.prediction, self._page()
        model = self._controller.model
        predictor = model.predictor if model is not None else None
        if prediction is None or page is None or predictor is None:
            raise ValueError("there is nothing to ask about")

        def find() -> Inquiry:
            from model_core.runtime.inquiry import Inquiry

            with self._lock:
                if self._inquiry is None or self._inquiry[0] is not prediction:
                    self._inquiry = prediction, Inquiry(predictor, page)
                return self._inquiry[1]

        return find

    def _on_state(self, old: AppState, new: AppState) -> None:
        if old.prediction is not new.prediction:
            for lane in _LANES:
                self._jobs.cancel(lane)
            self._beat_wanted = False

    def _on_finished(self, report: JobReport) -> None:
        if report.error is not None and report.lane == _PROMPT:
            found = to_message(report.error)
            trouble = f"{found.text} {found.hint}".strip()
            self._change(prompting=False, prompt_trouble=trouble)
        elif report.error is not None:
            found = to_message(report.error)
            self._change(
                trouble=f"{found.text} {found.hint}".strip(),
                occluding=self.bench.occluding and report.lane != _OCCLUDE,
                shuffling=self.bench.shuffling and report.lane != _SHUFFLE,
                comparing=self.bench.comparing and report.lane != _COMPARE,
            )
        elif report.lane == _OCCLUDE:
            self._change(occlusion=report.value, occluding=False)
        else:
            self._change(**report.value)
            if report.lane == _LOOK and self._beat_wanted:
                self._beat_wanted = False
                self.hide_beat()
