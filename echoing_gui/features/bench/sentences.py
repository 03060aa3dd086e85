"""What the bench shows of sentences and an ECG, as pure functions; no Qt."""

from __future__ import annotations

from echoing_gui.i18n import tr
from echoing_gui.state_bench import Prompted
from echoing_gui.state_package import SentenceSide
from echoing_gui.view_models.package_words import known
from echoing_gui.view_models.results import probability_text
from model_core.measures import FINDINGS, MEASURES
from model_core.types import PackageIdentity
from model_core.wording import say
from model_core.zero_shot import SentenceAnswer, SweepAnswer

MOST_SENTENCES = 50
_MOST_WORDS = 120
_OWN, _SWEEP, _PAIR = "", "sweep:", "pair:"
# Ready sentences of the program's own packages.
_LABELS = {
    "lvidd": say("LV diameter in diastole"),
    "pasp": say("Pulmonary artery pressure"),
    "lvef_below_30": say("LVEF below 30 %"),
    "lvef_below_40": say("LVEF below 40 %"),
    "lvef_below_50": say("LVEF below 50 %"),
    "lv_dilated": say("Left ventricle enlarged"),
    "la_dilated": say("Left atrium enlarged"),
    "lvh": say("Left ventricle thickened"),
    "rv_dilated": say("Right ventricle enlarged"),
    "atrial_fibrillation": say("Atrial fibrillation"),
}
UNCALIBRATED = say("zero-shot, not calibrated")


def lines_of(text: str) -> tuple[str, ...]:
    """Sentences of a box, one a line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def set_label(key: str) -> str:
    """Name a set of ready sentences; one that is not known by its key."""
    measure = MEASURES.get(key)
    if measure is not None:
        return tr(measure.label)
    if key in _LABELS:
        return tr(_LABELS[key])
    return tr(FINDINGS[key].label) if key in FINDINGS else key.replace("_", " ")


def ready_sets(side: SentenceSide) -> tuple[tuple[str, str], ...]:
    """List what can be chosen: an id for `sweep_of` and `pair_of`, and a label."""
    return (
        (_OWN, tr("My own sentences")),
        *((_SWEEP + key, tr("Read {what}", what=set_label(key))) for key in side.sweeps),
        *((_PAIR + key, tr("For and against: {what}", what=set_label(key))) for key in side.pairs),
    )


def sweep_of(chosen: str) -> str:
    """Key of the sweep that an id means; empty if it means none."""
    return chosen.removeprefix(_SWEEP) if chosen.startswith(_SWEEP) else ""


def pair_of(chosen: str) -> str:
    """Key of the pair that an id means; empty if it means none."""
    return chosen.removeprefix(_PAIR) if chosen.startswith(_PAIR) else ""


def words_text(side: SentenceSide) -> str:
    """Say which words a text side knows; empty where they are too many to be told."""
    if not 0 < len(side.words) <= _MOST_WORDS:
        return ""
    words = ", ".join(side.words)
    if side.numbers is None:
        return tr("It knows no other words than these: {words}.", words=words)
    low, high = side.numbers
    return tr(
        "It knows no other words than these: {words}; and whole numbers from {low} to {high}.",
        words=words,
        low=low,
        high=high,
    )


def headings(side: SentenceSide) -> tuple[str, ...]:
    """Headings of `rows`; every number stands under the words that qualify it."""
    distance = tr("Distance, zero-shot, not calibrated")
    match = (tr("Match, zero-shot, not calibrated"),) if side.has_match else ()
    return (tr("Sentence"), distance, *match)


def rows(found: Prompted, side: SentenceSide) -> list[tuple[str, ...]]:
    """One row a sentence: the sentence, its distance, and its match where that is known."""

    def row(answer: SentenceAnswer, text: str) -> tuple[str, ...]:
        none = tr("no number")
        distance = none if answer.distance is None else f"{answer.distance:.3f}"
        match = none if answer.match is None else probability_text(answer.match)
        return (text, distance, match) if side.has_match else (text, distance)

    return [
        *(
            row(each, tr("For: {sentence}", sentence=each.text) if found.negative else each.text)
            for each in found.positive
        ),
        *(row(each, tr("Against: {sentence}", sentence=each.text)) for each in found.negative),
    ]


def conclusions(found: Prompted, side: SentenceSide) -> tuple[str, ...]:
    """Conclude from all sentences together; every number with what qualifies it."""
    told: list[str] = []
    if found.sweep is not None:
        told.append(_sweep_text(found.sweep))
    if found.probability is not None:
        told.append(
            tr(
                "For rather than against: {value} ({kind}), if one of both is true.",
                value=probability_text(found.probability),
                kind=UNCALIBRATED,
            )
        )
    elif found.positive and found.negative and side.has_match:
        told.append(tr("For rather than against: no number, for a sentence has none."))
    return tuple(told)


def troubles(found: Prompted, side: SentenceSide) -> tuple[str, ...]:
    """Why sentences got no number, each named."""
    told: list[str] = []
    for answer in (*found.positive, *found.negative):
        if answer.unknown:
            told.append(
                tr(
                    "“{sentence}” gets no number: the encoder does not know {unknown}.",
                    sentence=answer.text,
                    unknown=", ".join(f"“{word}”" for word in answer.unknown),
                )
            )
        elif answer.distance is None:
            told.append(
                tr(
                    "“{sentence}” gets no number: it has {n} words or parts of words, and the "
                    "encoder takes {most}.",
                    sentence=answer.text,
                    n=answer.n_tokens,
                    most=side.max_tokens,
                )
            )
    return tuple(told)


def spoken(found: Prompted, side: SentenceSide) -> str:
    """Tell the outcome in one sentence."""
    if found.sweep is not None:
        return _sweep_text(found.sweep)
    told = conclusions(found, side)
    if told:
        return told[0]
    first = rows(found, side)[0]
    return tr(
        "{sentence} Distance {value} ({kind}).",
        sentence=first[0],
        value=first[1],
        kind=UNCALIBRATED,
    )


def copied(found: Prompted, side: SentenceSide, package: PackageIdentity) -> str:
    """Rows to paste into a table, with package and caveats, and nothing of the recording."""
    lines = [
        f"{package.name} {package.version}, SHA-256 {package.package_id}",
        f"{tr(known(side.label))}: {tr(known(side.knows))}",
        tr("Zero-shot, not calibrated. Research use only; not a result."),
    ]
    if found.sweep is None:
        lines += ["\t".join(row) for row in (headings(side), *rows(found, side))]
    lines += [*conclusions(found, side), *troubles(found, side)]
    return "\n".join(lines) + "\n"


def _sweep_text(sweep: SweepAnswer) -> str:
    return tr(
        "{measure}: {value:g} {unit} ({kind}). This is the median of the nearest fifth of "
        "{n} sentences; that fifth says {low:g} to {high:g} {unit}, and all of them "
        "{first:g} to {last:g} {unit}.",
        measure=set_label(sweep.key),
        value=sweep.value,
        unit=sweep.unit,
        kind=UNCALIBRATED,
        n=sweep.n_sentences,
        low=sweep.low,
        high=sweep.high,
        first=sweep.range_low,
        last=sweep.range_high,
    )
