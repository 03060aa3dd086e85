"""What model packages made by this project say of themselves, so that it can be translated.

A package's words come with it, in English; those of other makers are shown as they are written.
"""

from __future__ import annotations

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
_KNOWN = {str(sentence): sentence for sentence in _WORDS}


def known(text: str) -> str:
    """Give a package's text as a sentence that can be translated, if this project wrote it."""
    return _KNOWN.get(text, text)
