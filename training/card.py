"""The words of the model package: caveat, intended use, limits, model card, page of figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_core.runtime.manifest import Manifest
from training.cohort import Cohort, Split


@dataclass(frozen=True)
class Words:
    """What a model package says about itself."""

    caveat: str
    cohort: str
    intended_use: str
    limits: tuple[str, ...]
    licence: str


SIMULATED_CAVEAT = "Demonstration model: trained on simulated echo outcomes. Research use only."
REAL_CAVEAT = "Research model, not a medical device. Research use only."
INTENDED_USE = (
    "To show, test and teach the program with a 12-lead ECG of an adult at rest. "
    "Not for diagnosis, treatment or triage of any person."
)
SIMULATED_LIMITS = (
    "Every echo outcome it learned from was simulated: it repeats published associations between "
    "ECG findings and echo measures, and says nothing that was measured in a patient.",
    "Its intervals hold for the simulated outcomes of PTB-XL patients; their coverage on real "
    "echocardiograms is unknown.",
    "Low LVEF with a normal ECG, and normal LVEF with an abnormal one, are missed as often as the "
    "simulation says they occur.",
)
REAL_LIMITS = (
    "Its intervals hold for patients like those it was calibrated on; at another site, or with "
    "another ECG machine, their coverage is unknown until it has been measured there.",
)
LIMITS = (
    "Adults at rest only: no children, no exercise ECG, no ECG with fewer than twelve leads.",
    "Segment variance tells where the signal informs the estimate little; it marks no disease.",
)
SIMULATED_LICENCE = (
    "Weights: Apache-2.0. ECGs used in training: PTB-XL, CC BY 4.0, Wagner et al., Sci Data "
    "2020;7:154, doi:10.13026/kfzx-aw45."
)
REAL_LICENCE = (
    "The terms of the data that it was trained on apply: {sources}. Check them before you give "
    "the package to anybody."
)


def words(cohort: Cohort) -> Words:
    """Find the words for a package trained on a cohort."""
    counts = []
    for split, name in (
        (Split.TRAIN, "Training"),
        (Split.CALIBRATION, "Calibration"),
        (Split.TEST, "Test"),
    ):
        parts = [
            f"{len(np.unique(cohort.patient[rows])):,} patients of {source}"
            for source in cohort.source_names
            if len(rows := cohort.records(split, source))
        ]
        counts.append(f"{name}: {', '.join(parts) or 'none'}.")
    sources = ", ".join(cohort.source_names)
    if cohort.simulated_outcomes:
        return Words(
            SIMULATED_CAVEAT,
            " ".join(counts) + " PTB-XL's ECGs are real; every echo outcome is simulated.",
            INTENDED_USE,
            (*SIMULATED_LIMITS, *LIMITS),
            SIMULATED_LICENCE,
        )
    return Words(
        REAL_CAVEAT,
        " ".join(counts),
        "For research on 12-lead ECGs of adults at rest. "
        "Not for diagnosis, treatment or triage of any person.",
        (*REAL_LIMITS, *LIMITS),
        REAL_LICENCE.format(sources=sources),
    )


def model_card(manifest: Manifest, figures: str) -> str:
    """Write the card for people who meet the package without the program.

    Parameters
    ----------
    manifest
        Of the package.
    figures
        Markdown of the evaluation, with headings of level 3.
    """
    limits = "\n".join(f"- {limit}" for limit in manifest.limits)
    return f"""# {manifest.name} {manifest.version}

**{manifest.caveat}**

{manifest.intended_use}

## Cohort

{manifest.cohort}

## Limits

{limits}

## Figures

{figures}
## Origin

Recipe `{manifest.provenance.recipe}`, seed {manifest.provenance.seed}, settings
`{manifest.provenance.config_sha256[:12]}`, code version {manifest.provenance.code_version}.

{manifest.licence}
"""


def report_page(manifest: Manifest, figures: str, n_parameters: int) -> str:
    """Write the page of the documentation that tells how good the default model is.

    Parameters
    ----------
    manifest, figures
        As in `model_card`.
    n_parameters
        Of the network.
    """
    measures = "\n".join(
        f"| {m.key} | {m.level:.2f} | {m.widening:+.3f} {'(log scale)' if m.log_space else ''} "
        f"| {m.n_calibration} |"
        for m in manifest.measures
    )
    return f"""{PAGE_TEXT}
## Figures

Written by `echoing-train export`; not edited by hand. Recipe `{manifest.provenance.recipe}`,
seed {manifest.provenance.seed}, settings `{manifest.provenance.config_sha256[:12]}`;
{n_parameters / 1e6:.2f} million parameters. The draws of a simulated outcome lower the noise of the
simulation, they add no patients. *Best possible* sees the findings and the distributions that the
outcomes were drawn from; nothing can be better on average.

{figures}
## Calibration

| measure | level | widening | patients |
|---|---|---|---|
{measures}

Found on PTB-XL fold 9, whose patients are in no other split.
"""


PAGE_TEXT = """# The default model

<!-- Written by `echoing-train export` from training/card.py: edit the words there. -->

**Demonstration model: trained on simulated echo outcomes. Research use only.**

To make it again:

    echoing-train reproduce-default --data ../shared/data --out assets/models/default

The stages `cohort`, `teacher`, `distill`, `finetune`, `calibrate`, `baselines`, `evaluate` and
`export` can be run alone with the same options; each stores its result in `runs/default` and is
skipped when it is there for the same settings. An interrupted training goes on at its last epoch.
On one machine the seed decides every weight. Another processor rounds otherwise, above all one
without bfloat16, and trains other weights: figures should then lie within the confidence intervals
below.

## How it is made

1. **Cohort.** PTB-XL's 100 Hz records, folds 1-8 for training, and virtual patients
   (`docs/simulated-cohort.md`). No PTB-XL patient has a known echo: for records whose table row
   states findings, outcomes are drawn from distributions conditional on them, many draws for each
   patient, so that the chance of one draw does not count as knowledge. Training records without
   statements have no outcome; they help in step 4. Every ECG is also measured by delineation. Every
   ECG passes `model_core.preprocess`, the run time's own.
2. **Teacher.** Rendered apical clips and report sentences train a small image-text network by
   InfoNCE. As in EchoCLIP, a step sees one image of each clip; here the image is a snippet of four
   phases of one beat, because a single frame shows a volume and not how it changes. Then it is
   frozen. A study is the Gaussian of its snippets: renormalised mean, log of population variance
   plus 1e-8.
3. **Distillation.** First the convolutions of the `lead_token` student alone learn what is stated
   about an ECG and what delineation measures on it, without any echo: they are a part of the work,
   and so see more ECGs in the same time. Then come both losses of EchoingECG, ECG-echo against the
   frozen teacher and ECG-text against what is stated. The whole student learns means at first
   (cosine and InfoNCE): PCME++ from scratch stalls, because nearly every pair counts as a
   pseudo-positive.
   PCME++ follows (sampled distance, learnable shift and scale from 5, information bottleneck 1e-4,
   mixup and cutmix on a quarter of the ECGs, label smoothing 1e-4), at last with pseudo-positives
   (weight 0.1); the warm start's losses stay on with a small weight.
4. **Fine-tuning** of student and heads together: quantiles of the measures, the finding, what is
   stated about the ECG and what delineation measures on it (age, rates, intervals, axes, amplitudes
   of every lead; both through layers that are thrown away), and the distillation's losses with a
   small weight. Age and sex of PTB-XL records without statements are known and count too. A moving
   average of the weights is what comes out; it also answers for ECGs that nobody stated anything
   about, and the student learns to give the same answer under noise.
5. **What variance means is taught, not hoped for.** Noise is added in training, and is known: the
   gate of each patch learns the error that it makes in the patch's shape, and the total
   variance learns the clean ECG's variance plus the square of the distance that noise or lost
   leads move the mean. The total variance also learns the size of the LVEF error. So the figures
   on noise below are those of trained skills; the kind of noise injected there is not among those
   trained with.
6. **Calibration** on fold 9: a line that stretches the medians, which few patients flattened, to
   the outcomes; conformalised quantile regression; Platt scaling; the colour scale. Baselines get
   the same.
7. **Baselines** with the same number of steps: distilled by deterministic InfoNCE on the means from
   the same convolutions; trained from scratch on the measures alone; an untrained student; tabular
   ECG features; the median of the training patients.
8. **Figures** on fold 10, which no setting was chosen by (but see below).

## How to read the figures

- Records of the PTB-XL table without statements are left out, since no outcome can be drawn for
  them. With the subset at hand few patients remain in each fold: confidence intervals are wide.
- Zero-shot reading takes the median of the best fifth of a sweep of prompts. For volumes the sweep
  is far wider than the range where most patients lie, which pulls the estimate upwards. Zero-shot
  figures are reported for the method's sake; the program shows the heads' estimates.
- Total variance of the embedding is not a measure of the estimate's error: see its correlation
  below. The prediction interval is what is calibrated.
- What is lost against the best possible estimate is lost in reading: the largest errors are of
  patients whose stated infarction, block or pacing the network does not see, or takes for a slight
  one. Some 600 real ECGs with statements are few to learn that from. On the training patients and
  on fold 9 the AUROC for LVEF < 40 % lies 0.025 below the best possible one. Three times as many
  steps of fine-tuning bring that to 0.018 in training and to 0.032 on fold 9: they learn the
  training patients by heart. Nor did other shares of real and virtual ECGs or dropout help. Four
  fine-tunings that differ by the order of their batches reach an AUROC of 0.856 to 0.861 on fold 9
  and of 0.779 to 0.785 on fold 10, and the average of their weights, or of their estimates, lies
  between them: that much, and so the difference to the network trained from scratch, is chance. On
  fold 10 five or six wrongly read ECGs weigh more, since eight of the eighty have an LVEF < 40 %.
- What a reader can expect who has to find the statements in the ECG, what 80 patients can tell, and
  what more ECGs with statements would bring, is estimated in `docs/reading-limit.md`: readers as
  good as published networks, which learned from thirty times as many ECGs, would mostly miss the
  target for this AUROC on fold 10, and mostly meet it on fold 9.
- Fold 10 was looked at once to find why it lagged behind fold 9. In the ECG with the largest error
  a chest lead is 80 ms late against the others, which had made its QRS complex 172 ms long, and its
  simulated outcome a failing heart. Such steps are now found and left out in all ECGs of all folds
  (`docs/input-gate.md`). The next one has a block of two fascicles, which no virtual patient had,
  but five of nine right bundle branch blocks in the training folds. Both were mended before this
  network was trained, so that its figures on fold 10 are to that extent not wholly unseen.
- The first and above all the last half second are less certain than the rest in every lead: on one
  side the network sees nothing of them. That is of the place, not of the ECG.
- A network with random weights makes a map that follows the signal's size, upwards or downwards as
  its weights happen to be, so that one draw tells little about whether the trained map is another:
  the size of the rank correlation is averaged over 20 draws.
"""
