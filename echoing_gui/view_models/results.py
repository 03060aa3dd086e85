"""The result panel and the recording panel as rows of ready texts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from echoing_gui.i18n import tr
from echoing_gui.state import PAGE_S, AppState, Stage
from echoing_gui.view_models import doubt
from echoing_gui.view_models.package_words import known
from echoing_gui.view_models.sheet import number_text
from echoing_gui.view_models.texts import (
    acquired_text,
    age_text,
    duration_text,
    sex_text,
    source_line,
    span_text,
)
from model_core.measures import FINDINGS, MEASURES
from model_core.reasons import LeadGrade
from model_core.types import (
    FindingProbability,
    MeasureEstimate,
    PackageIdentity,
    Prediction,
    ResultState,
    Severity,
)
from model_core.validation import Validation
from model_core.wording import joined, say

RESEARCH_SENTENCES = (say("Research use only."), say("Not a medical device."))
RESEARCH_ONLY = joined(RESEARCH_SENTENCES)
FOREIGN = say("This model package does not come from the makers of this program.")


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure: numbers for the bar, texts beside it.

    Attributes
    ----------
    key
        Measure.
    low, value, high
        In the measure's unit.
    value_text, interval_text
        As shown, with unit.
    spoken
        The row in one sentence.
    core
        Ends of the interval that holds half; None if there is none.
    reference
        Range of healthy adults of the patient's sex; None if the sex is not known.
    validation
        Where the estimates of validation patients lie, and what the intervals held.
    dots
        Equally likely values; empty unless asked for.
    notes
        What the numbers are to be held against, a line each.
    held
        What the intervals held of test patients, with its confidence interval; may be empty.
    """

    key: str
    low: float
    value: float
    high: float
    value_text: str
    interval_text: str
    spoken: str
    core: tuple[float, float] | None = None
    reference: tuple[float, float] | None = None
    validation: Validation | None = None
    dots: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding: probability for the bar (0 to 1) and texts."""

    key: str
    probability: float
    text: str
    spoken: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """The whole result panel.

    Attributes
    ----------
    headline
        What there is to see.
    detail
        What it means, in a sentence; may be empty.
    source
        The recording that the result belongs to; may be empty.
    window
        Which part of it the model saw, where there is a choice; empty else.
    measures, findings
        Rows; empty when there is no result or it is not reportable.
    reasons
        Sentences: cautions or refusals.
    chips
        Reasons for doubt of a result that is shown.
    sources
        Where what stands beside the estimates comes from.
    refused
        The result is not reportable.
    covered
        There is a result, and it is kept covered until the reader asks for it.
    question
        Code of a reason that the user may confirm, and what that would state; None if confirming
        would not bring the result.
    preview
        What a button says that shows what the answer would make of the ECG; empty where it would
        change nothing of it.
    variance_line
        How uncertain the model is of the whole recording; empty where it did not run.
    package_line
        Name and version of the model package.
    caveat
        What must be said beside every result.
    """

    headline: str
    detail: str = ""
    source: str = ""
    window: str = ""
    measures: tuple[MeasureRow, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    reasons: tuple[str, ...] = ()
    chips: tuple[doubt.Chip, ...] = ()
    sources: str = ""
    refused: bool = False
    covered: bool = False
    question: tuple[str, str] | None = None
    preview: str = ""
    variance_line: str = ""
    package_line: str = ""
    caveat: str = RESEARCH_ONLY


def measure_row(
    estimate: MeasureEstimate,
    sex: str = "",
    validation: Validation | None = None,
    *,
    show_dots: bool = False,
) -> MeasureRow:
    """One measure as shown.

    Parameters
    ----------
    estimate
        Of the measure.
    sex
        ``female`` or ``male``, as the file says, or empty.
    validation
        What the model package says of the measure in other patients.
    show_dots
        Whether the reader asked for equally likely values.

    Examples
    --------
    >>> from model_core.types import PredictionInterval
    >>> row = measure_row(MeasureEstimate("lvef", 54.6, PredictionInterval(43.2, 65.8, 0.9)))
    >>> row.value_text, row.interval_text
    ('55 %', '90 % interval 43–66 %')
    """
    measure = MEASURES[estimate.key]
    interval = estimate.interval
    ends = {
        "level": interval.level * 100,
        "low": measure.text(interval.low),
        "high": measure.text(interval.high),
        "unit": measure.unit,
    }
    value_text = f"{measure.text(estimate.value)} {measure.unit}"
    core = doubt.core_text(estimate)
    reference = doubt.reference_text(estimate.key, sex)
    beside = (
        " · ".join(filter(None, (core, reference))),
        doubt.held_text(estimate, validation),
        doubt.standing_text(estimate, validation),
    )
    notes = [text[0].upper() + text[1:] for text in beside if text]
    return MeasureRow(
        key=estimate.key,
        low=interval.low,
        value=estimate.value,
        high=interval.high,
        value_text=value_text,
        interval_text=tr("{level:.0f} % interval {low}–{high} {unit}", **ends),
        spoken=tr(
            "{measure}: {level:.0f} % interval {low} to {high} {unit}, estimate {value}",
            measure=tr(measure.name),
            value=value_text,
            **ends,
        ),
        core=estimate.core and (estimate.core.low, estimate.core.high),
        reference=doubt.reference_range(estimate.key, sex),
        validation=validation,
        dots=doubt.quantile_dots(estimate) if show_dots else (),
        notes=tuple(notes),
        held=doubt.held_in_full(estimate, validation),
    )


def probability_text(probability: float) -> str:
    """Write a probability in whole per cent, never as certainty.

    Examples
    --------
    >>> [probability_text(p) for p in (0.123, 0.002, 0.999)]
    ['12 %', 'less than 1 %', 'more than 99 %']
    """
    if probability < 0.01:
        return tr("less than 1 %")
    if probability > 0.99:
        return tr("more than 99 %")
    return f"{probability * 100:.0f} %"


def finding_row(finding: FindingProbability) -> FindingRow:
    """One finding as shown."""
    text = probability_text(finding.probability)
    of = FINDINGS[finding.key]
    return FindingRow(
        finding.key,
        finding.probability,
        text,
        tr(
            "Probability of {measure} below {limit:g} {unit}: {probability}",
            measure=MEASURES[of.measure_key].label,
            limit=of.below,
            unit=MEASURES[of.measure_key].unit,
            probability=text,
        ),
    )


def variance_line(variance: float) -> str:
    """Write the embedding variance of a recording.

    Examples
    --------
    >>> variance_line(0.00412)
    'Embedding variance 0.0041 (dimensionless): the higher, the less the model can tell.'
    """
    return tr(
        "Embedding variance {variance} (dimensionless): the higher, the less the model can tell.",
        variance=number_text(variance),
    )


def package_line(package: PackageIdentity) -> str:
    """Name and version of a model package."""
    return tr("Model package: {name} {version}", name=package.name, version=package.version)


def full_caveat(package: PackageIdentity | None) -> str:
    """Give the package's own caveat and what holds for all packages, each sentence once."""
    caveat = package.caveat if package else ""
    missing = (
        each for each in RESEARCH_SENTENCES if each.rstrip(".").lower() not in caveat.lower()
    )
    own = caveat.removesuffix(FOREIGN).rstrip()
    parts = (known(own), FOREIGN if own != caveat else "", *missing)
    return " ".join(tr(part) for part in parts if part)


def result_view(state: AppState) -> ResultView:
    """Make the result panel; numbers only beside the recording that they belong to."""
    package = state.package
    base = ResultView(
        tr("No result"),
        package_line=package_line(package) if package else "",
        caveat=full_caveat(package),
    )
    if state.job.stage is Stage.READING:
        return replace(base, headline=tr("Reading"), source=state.job.source_name)
    recording = state.recording
    if recording is None:
        return replace(
            base, detail=tr("Open an ECG to see what an echocardiogram would probably measure.")
        )
    base = replace(base, source=source_line(recording))
    if state.job.stage is Stage.PREDICTING:
        return replace(base, headline=tr("Predicting"))
    if state.covered:
        return replace(
            base,
            headline=tr("Estimate covered"),
            detail=tr("Read the ECG first, then reveal the estimate."),
            covered=True,
        )
    prediction = state.prediction
    if prediction is None:
        if state.package_failed is not None:
            failed = state.package_failed
            where = tr("Install and choose packages with Model packages… in the menu Model.")
            said = " ".join(filter(None, (failed.text, failed.hint, where)))
            return replace(base, headline=tr("No model package"), detail=said)
        if package is None:
            return replace(base, headline=tr("Loading the model package"))
        return replace(base, detail=_ask(long=state.long is not None))
    reasons = tuple(tr(reason.message) for reason in prediction.reasons)
    base = replace(base, window=_window_text(state, prediction))
    if prediction.embedding_variance is not None:
        base = replace(base, variance_line=variance_line(prediction.embedding_variance))
    question = _question(prediction)
    if question is not None:
        in_question = question[0] == "microvolts" and state.page_is_seen
        return replace(
            base,
            headline=tr("Withheld until confirmed"),
            detail=tr("Look at the ECG, then answer:")
            if state.page_is_seen
            else tr("Go back to the ten seconds that it was found in to answer:"),
            reasons=reasons,
            question=question if state.page_is_seen else None,
            preview=tr("Hold to see the ECG divided by 1,000") if in_question else "",
        )
    if prediction.state is ResultState.NOT_REPORTABLE:
        return replace(
            base,
            headline=tr("Not reportable"),
            detail=tr("The model gives no estimate for this recording:"),
            reasons=reasons,
            refused=True,
        )
    cautious = prediction.state is ResultState.REPORTED_WITH_CAUTION
    return replace(
        base,
        headline=tr("Estimate with cautions") if cautious else tr("Estimate"),
        detail=tr("Population association, not a measurement of this patient."),
        measures=tuple(
            measure_row(
                estimate,
                recording.metadata.sex,
                state.facts.validation_of(estimate.key) if state.facts else None,
                show_dots=state.options.show_dots,
            )
            for estimate in prediction.estimates
        ),
        sources=_sources(state, prediction),
        chips=doubt.chips(prediction),
        findings=tuple(finding_row(finding) for finding in prediction.findings),
        reasons=reasons,
    )


def _sources(state: AppState, prediction: Prediction) -> str:
    validated = bool(state.facts and state.facts.validation)
    text = doubt.sources_text(has_histogram=validated)
    if not state.options.show_dots:
        return text
    return f"{doubt.dots_text(prediction.estimates)} {text}"


def _ask(*, long: bool) -> str:
    if long:
        return tr(
            "This is a long recording. Go to ten seconds without disturbance, then choose Estimate "
            "from these 10 seconds. The model was made for resting ECGs, not for Holter recordings."
        )
    return tr("Choose Estimate from these 10 seconds to run the model.")


def _window_text(state: AppState, prediction: Prediction) -> str:
    """Which part the model was asked about, and whether it is the one on screen."""
    if not state.has_pages:
        return ""
    withheld = prediction.state is ResultState.NOT_REPORTABLE
    spans = {
        "seen": span_text(state, *prediction.window_s),
        "chosen": span_text(state, state.page_start_s, state.page_start_s + PAGE_S),
    }
    if state.page_is_seen:
        return (
            tr("No estimate of {seen}.", **spans)
            if withheld
            else tr("Estimate of {seen}.", **spans)
        )
    if withheld:
        return tr("No estimate of {seen}, not of the ten seconds chosen now ({chosen}).", **spans)
    return tr("Estimate of {seen}, not of the ten seconds chosen now ({chosen}).", **spans)


def _question(prediction: Prediction) -> tuple[str, str] | None:
    """Code and statement of the first reason to confirm, if only such reasons are in the way."""
    withheld = [reason for reason in prediction.reasons if reason.severity.withholds]
    if not withheld or any(reason.severity is Severity.REFUSE for reason in withheld):
        return None
    if withheld[0].code == "microvolts":
        statement = tr("I confirm that they are microvolts")
    elif withheld[0].code == "sampling_rate":
        statement = tr("I confirm that the sampling rate is right")
    elif withheld[0].lead:
        statement = tr("I confirm that the lead is the right way round")
    else:
        statement = tr("I confirm that the electrodes were placed correctly")
    return withheld[0].code, statement


@dataclass(frozen=True, slots=True)
class RecordingView:
    """The recording panel: labelled facts, and what the input gate found."""

    facts: tuple[tuple[str, str], ...] = ()
    quality: tuple[str, ...] = ()


def recording_view(state: AppState) -> RecordingView:
    """Make the recording panel; free text of the file is left out: it may name a patient."""
    recording = state.recording
    if recording is None:
        nothing = tr("No ECG is open. Open one to see what its file says and what was checked.")
        return RecordingView(quality=(nothing,))
    prediction = state.prediction
    quality: tuple[str, ...] = ()
    if prediction is not None:
        # A missing calibration says nothing of the recording.
        found = [tr(each.message) for each in prediction.reasons if each.code != "not_calibrated"]
        named = {each.lead for each in prediction.reasons}
        found += [
            tr(each.message)
            for each in prediction.lead_quality
            if each.grade is not LeadGrade.GOOD and each.message and each.lead not in named
        ]
        quality = tuple(found) or (tr("No problem found."),)
        if not state.page_is_seen:
            quality = (tr("The ten seconds chosen now have not been looked at."),)
    return RecordingView(facts=_facts(state), quality=quality)


def _facts(state: AppState) -> tuple[tuple[str, str], ...]:
    recording = state.recording
    if recording is None:
        return ()
    metadata, lacking = recording.metadata, tr("not in the file")
    facts = [
        (tr("File"), recording.source_name),
        (tr("Format"), tr(metadata.format_name)),
        (tr("Recorded"), acquired_text(recording) or lacking),
        (tr("Duration"), duration_text(state.whole_s)),
        (tr("Sampling rate"), f"{recording.fs:g} Hz"),
        (tr("Leads"), f"{recording.n_leads}: {', '.join(recording.lead_names)}"),
        (tr("Age"), age_text(metadata) or lacking),
        (tr("Sex"), sex_text(metadata.sex) or lacking),
        (tr("Origin"), tr("Simulated, not a patient's ECG") if metadata.simulated else ""),
    ]
    return tuple((label, text) for label, text in facts if text)
