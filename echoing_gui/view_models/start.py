"""What the start page and the guided first reading say."""

from __future__ import annotations

from dataclasses import dataclass

from model_core.wording import say


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A simulated ECG that comes with the program.

    Attributes
    ----------
    file
        Name of its header.
    title, text
        What it is, and what to look at.
    """

    file: str
    title: str
    text: str


DEMONSTRATIONS = (
    Demonstration(
        "demo_simulated_ecg.hea",
        say("Old infarction, one loose electrode"),
        say("A mildly reduced LVEF; the strip under V3 shows where the estimate is unstable."),
    ),
    Demonstration(
        "demo_healthy.hea", say("Healthy heart"), say("A normal ECG and a narrow interval.")
    ),
    Demonstration(
        "demo_left_bundle_branch_block.hea",
        say("Left bundle branch block"),
        say("A low LVEF with a wide interval: the ECG alone cannot tell how low."),
    ),
    Demonstration(
        "demo_atrial_fibrillation.hea",
        say("Atrial fibrillation"),
        say("An irregular rhythm without P waves."),
    ),
    Demonstration(
        "demo_arms_exchanged.hea",
        say("Exchanged arm electrodes"),
        say("The result is withheld until you say how the electrodes lay."),
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the guided first reading.

    Attributes
    ----------
    title, text
        What to do and to look at.
    action
        Key of the action that does it; empty where there is nothing to press.
    demonstration
        File of the demonstration that it opens; empty for none.
    button
        What pressing does.
    """

    title: str
    text: str
    button: str = ""
    action: str = ""
    demonstration: str = ""


STEPS = (
    Step(
        say("Open an ECG"),
        say("Files are read from this computer and go nowhere. Begin with a simulated ECG."),
        say("Open the simulated ECG"),
        demonstration=DEMONSTRATIONS[0].file,
    ),
    Step(
        say("See it in its true size"),
        say(
            "Measure the screen once with a bank card or a ruler. From then on a millimetre of ECG "
            "paper is a millimetre, and the red NOT TO SCALE is gone."
        ),
        say("Calibrate this screen…"),
        "calibrate",
    ),
    Step(
        say("Read the ECG yourself"),
        say(
            "Layout, speed and gain stand above the paper. The trace is drawn as recorded, without "
            "any filter, unless you choose one."
        ),
    ),
    Step(
        say("Read the interval before the number"),
        say(
            "The bar under LVEF is the 90 % interval: nine of ten patients with such an estimate "
            "are meant to lie within it. It is an association seen in many people, not a "
            "measurement of this one."
        ),
    ),
    Step(
        say("See where the model is unsure"),
        say(
            "Dark cells under a lead mark seconds in which the estimate is unstable, here the "
            "loose electrode of V3. They do not mark disease. Hold U to hide them."
        ),
    ),
    Step(
        say("Meet a result that is withheld"),
        say(
            "Here the arm electrodes are exchanged. The program says so and gives no number until "
            "you answer."
        ),
        say("Open the ECG with exchanged electrodes"),
        demonstration=DEMONSTRATIONS[-1].file,
    ),
    Step(
        say("Know what it is not"),
        say(
            "For research only, not a medical device. The model that comes with the program was "
            "trained on simulated echo outcomes."
        ),
        say("About this program and its model"),
        "about",
    ),
)
