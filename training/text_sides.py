"""The text sides of a run's model package: networks that turn sentences into its ECG embedding."""

from __future__ import annotations

from torch import Tensor

from model_core.export import TextExport
from model_core.prompts import Pair, Prompts
from model_core.runtime.manifest import TextSide
from model_core.teachers import GaussianText
from model_core.tokens import Splitting
from training.checkpoint import load_tensors
from training.cohort import Cohort
from training.run import Run, load_teacher, new_text_encoder
from training.simulation.reports import ECG_STATEMENTS
from training.zeroshot import own_prompts

ECHO_KNOWS = (
    "It learnt from rendered clips of simulated hearts and the sentences of their reports, and "
    "knows the words of those sentences only. The match was learnt between ECGs and clips, not "
    "sentences."
)
ECG_KNOWS = (
    "It learnt from short statements about ECGs in fixed phrases, and knows their words only: it "
    "says what is stated of such ECGs, nothing of an echo."
)


def text_sides(run: Run, cohort: Cohort) -> list[TextExport]:
    """Gather what a run learnt of sentences.

    ``echo``: the frozen teacher, where the run has trained its own. ``ecg``: the encoder of the
    ECG-text loss as fine-tuning left it, where there were texts; distillation's no longer fits.
    """
    found: list[TextExport] = []
    state, is_final = _alignment(run)
    if (run.folder / "teacher/weights.pt").exists():
        teacher = load_teacher(run).teacher
        matching = _part(state, "echo_matching.")
        side = _side(run, "echo", ("Echo report", ECHO_KNOWS), teacher.text.max_words, matching)
        graph = GaussianText(teacher.text).eval()
        found.append(TextExport(side, graph, teacher.vocabulary, own_prompts()))
    if is_final and run.config.distill.text_weight > 0 and any(cohort.ecg_text):
        weights, matching = _part(state, "text_encoder."), _part(state, "text_matching.")
        encoder = new_text_encoder(run, cohort, len(weights["log_var.bias"]))
        encoder.load_state_dict(weights)
        words = "ECG statement", ECG_KNOWS
        side = _side(run, "ecg", words, encoder.tower.max_words, matching)
        found.append(TextExport(side, encoder.graph().eval(), encoder.vocabulary, ecg_prompts()))
    return found


def ecg_prompts() -> Prompts:
    """Statements about an ECG, each against that of a normal one, as the cohort words them."""
    rhythm = Pair("atrial_fibrillation", ("Atrial fibrillation.",), ("Sinus rhythm.",), "own")
    pairs = {
        statement.lower().replace(" ", "_"): Pair(
            statement.lower().replace(" ", "_"),
            (f"Sinus rhythm, {statement}.",),
            ("Sinus rhythm, normal ECG.",),
            "own",
        )
        for statement in ECG_STATEMENTS
    }
    return Prompts({}, {rhythm.key: rhythm, **pairs})


def _alignment(run: Run) -> tuple[dict[str, Tensor], bool]:
    """Read the losses as fine-tuning left them, or distillation; whether the former, beside."""
    final = run.folder / "finetune/alignment.pt"
    if final.exists():
        return load_tensors(final), True
    return load_tensors(run.folder / "distill/alignment.pt"), False


def _side(
    run: Run, key: str, words: tuple[str, str], max_tokens: int, matching: dict[str, Tensor]
) -> TextSide:
    # Without PCME++ nothing has taught them.
    learnt = not run.config.distill.deterministic
    scale, shift = (
        float(matching[name]) if learnt else 0.0 for name in ("negative_scale", "shift")
    )
    return TextSide(key, *words, Splitting.WORDS.value, max_tokens, scale, shift)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
