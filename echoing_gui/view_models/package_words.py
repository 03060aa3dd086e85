"""What model packages made by this project say of themselves, so that it can be translated.

A package's words come with it, in English; those of other makers are shown as they are written.
"""

from __future__ import annotations

from collections.abc import Callable

from echoing_gui.i18n import tr
from model_core.wording import say

# As training/card.py, training/text_sides.py and training/import_published.py write them.
_WORDS = (
    say("Demonstration model: trained on simulated echo outcomes. Research use only."),
    say("Research model, not a medical device. Research use only."),
    say(
        "Made from the published EchoingECG weights (CC BY-NC-ND 4.0): no commercial use, do not "
        "pass on. Research use only."
    ),
    say(
        "To show, test and teach the program with a 12-lead ECG of an adult at rest. "
        "Not for diagnosis, treatment or triage of any person."
    ),
    say(
        "Every echo outcome it learned from was simulated: it repeats published associations "
        "between ECG findings and echo measures, and says nothing that was measured in a patient."
    ),
    say(
        "Its intervals hold for the simulated outcomes of PTB-XL patients; their coverage on real "
        "echocardiograms is unknown."
    ),
    say(
        "Low LVEF with a normal ECG, and normal LVEF with an abnormal one, are missed as often as "
        "the simulation says they occur."
    ),
    say(
        "Its intervals hold for patients like those it was calibrated on; at another site, or "
        "with another ECG machine, their coverage is unknown until it has been measured there."
    ),
    say("Adults at rest only: no children, no exercise ECG, no ECG with fewer than twelve leads."),
    say(
        "Segment variance tells where the signal informs the estimate little; it marks no disease."
    ),
    say("Echo report"),
    say("ECG statement"),
    say("Report sentence"),
    say(
        "It learnt from rendered clips of simulated hearts and the sentences of their reports, and "
        "knows the words of those sentences only. The match was learnt between ECGs and clips, not "
        "sentences."
    ),
    say(
        "It learnt from short statements about ECGs in fixed phrases, and knows their words only: "
        "it says what is stated of such ECGs, nothing of an echo."
    ),
    say(
        "The text encoder of the published weights: BERT for biomedical text, trained on ECG "
        "reports. Scale and shift of its match were not published, so there is no match "
        "probability."
    ),
)
_GROUPS = (
    say("everyone"), say("age: below 50"), say("age: 50 to 64"), say("age: 65 to 79"),
    say("age: 80 and more"), say("sex: men"), say("sex: women"), say("block: none"),
    say("rhythm: sinus or other"), say("estimated LVEF: below 40 %"),
    say("estimated LVEF: 40 to below 50 %"), say("estimated LVEF: 50 % or more"),
)  # fmt: skip
_DATASETS = (
    say("Test patients of PTB-XL, simulated echo outcomes"),
    say("Test patients of PTB-XL, measured echo outcomes"),
)
_KNOWN = {str(sentence): sentence for sentence in (*_WORDS, *_GROUPS, *_DATASETS)}
# What the name of a figure ends in, or has before a group, and how it is said.
_FIGURES: tuple[tuple[str, Callable[[str, str], str]], ...] = (
    (" prevalence", lambda of, _: tr("{of} prevalence", of=of)),
    (" Brier score", lambda of, _: tr("{of} Brier score", of=of)),
    (
        " mean absolute error, low-uncertainty minus high half",
        lambda of, _: tr("{of} mean absolute error, low-uncertainty minus high half", of=of),
    ),
    (" mean absolute error", lambda of, _: tr("{of} mean absolute error", of=of)),
    (
        " coverage of the intervals, ",
        lambda of, group: tr("{of} coverage of the intervals, {group}", of=of, group=group),
    ),
    (" coverage of the interval", lambda of, _: tr("{of} coverage of the interval", of=of)),
    (" mean width of the interval", lambda of, _: tr("{of} mean width of the interval", of=of)),
)


def known(text: str) -> str:
    """Give a package's text as a sentence that can be translated, if this project wrote it."""
    return _KNOWN.get(text, text)


def figure_name(name: str) -> str:
    """Say in the user's language what a figure of a package is, as far as this project named it.

    Examples
    --------
    >>> figure_name("LVEF coverage of the intervals, sex: men")
    'LVEF coverage of the intervals, sex: men'
    """
    for ending, said in _FIGURES:
        of, found, group = name.partition(ending)
        if found and bool(group) is ending.endswith(" "):
            return said(of, tr(known(group)))
    return name
