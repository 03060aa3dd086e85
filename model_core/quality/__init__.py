"""The input gate: whether a recording is a 12-lead ECG that a result may be based on.

It stands outside the network: a network gives a plausible number for a flat line. First comes what
the samples themselves say, then what the beats say of time, then what was learned from data of
what an ECG, a readable ECG and a correctly placed electrode look like. Limits, where they come
from and how well they do: docs/input-gate.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import BeatClass
from model_core.leads import STANDARD_LEADS
from model_core.quality.features import Features, measure_features
from model_core.quality.leads import grade_leads
from model_core.quality.learned import learned_scores, recording_vector, shape_vector
from model_core.quality.placement import check_placement
from model_core.quality.reasons import refuse, refuse_leads
from model_core.quality.samples import check_samples, lead_faults
from model_core.quality.timing import check_course, check_timing, step_caution
from model_core.types import QualityReport, Reason, Recording, Severity
from model_core.wording import say

__all__ = [
    "CONFIRMABLE",
    "MICROVOLTS",
    "PLACEMENT",
    "RATE",
    "assess",
    "assess_samples",
    "from_microvolts",
]

FS_RANGE_HZ = (100.0, 2000.0)
# Reasons that the user can answer: by `confirmed`, and by `from_microvolts`.
PLACEMENT, RATE, MICROVOLTS = "electrode_placement", "sampling_rate", "microvolts"
CONFIRMABLE = (PLACEMENT, RATE, MICROVOLTS)
FEWEST_BEATS = 2
RESTING_AT_MOST_S = 60.0
_ONE_AFTER_ANOTHER = say(
    "The leads were recorded one after another, each for only a part of the time; all of them are "
    "needed at the same time. Export the ECG with leads recorded together, if the device can."
)
_LONG = say(
    "This is a part of a long recording. The model was studied on resting ECGs, and not on Holter, "
    "exercise or monitoring recordings."
)
_DIVIDED = say("The user stated that the values are microvolts: they were divided by 1,000.")


def assess(
    recording: Recording,
    *,
    start_s: float = 0.0,
    duration_s: float = 10.0,
    lead_names: Sequence[str] = STANDARD_LEADS,
    confirmed: Collection[str] = (),
) -> QualityReport:
    """Check the part of a recording that a model is to see.

    Parameters
    ----------
    recording
        The recording, in mV.
    start_s
        First second of the part, from the start of the recording.
    duration_s
        Length of the part, s.
    lead_names
        Leads that the model takes. The checks that were learned on twelve leads are left out where
        they are fewer.
    confirmed
        What the user has confirmed. With `PLACEMENT` or `RATE`, that reason becomes a caution; a
        recording in microvolts goes through `from_microvolts` first.

    Returns
    -------
    QualityReport
        Every reason found against the recording; none for a sound one. Where a reason leaves
        nothing to look at, the checks after it are left out.
    """
    names = tuple(lead_names)
    part = _part(recording, start_s, duration_s, names)
    if isinstance(part, Reason):
        return QualityReport((part,))
    features = measure_features(part, recording.fs, names)
    faults = lead_faults(part, recording.fs)
    reasons = check_samples(part, names, faults)
    if not reasons:
        reasons = _not_an_ecg(features, names)
    if not reasons:
        stated = recording.metadata.measurements
        reasons = check_timing(features, part, recording.fs, recording.duration_s, stated)
    if not reasons and names == STANDARD_LEADS:
        stated = recording.metadata.measurements
        reasons = _poor_quality(features) or [
            *check_course(features, recording.fs, stated, confirmed=RATE in confirmed),
            *check_placement(features, confirmed=PLACEMENT in confirmed),
        ]
    from_s = recording.start_s + start_s
    reasons += [step_caution(step, from_s) for step in features.delineation.steps]
    report = recording.metadata.report
    if report is not None and (report.checksum_failed or report.incomplete):
        code = "checksum_failed" if report.checksum_failed else "incomplete"
        reasons = [*reasons, Reason(code, Severity.CAUTION, report.integrity)]
    if (recording.whole_s or recording.duration_s) > RESTING_AT_MOST_S:
        reasons = [*reasons, Reason("long_recording", Severity.CAUTION, _LONG)]
    if _DIVIDED in recording.metadata.notes:
        reasons = [*reasons, Reason(MICROVOLTS, Severity.CAUTION, _DIVIDED)]
    return QualityReport(
        tuple(reasons),
        grade_leads(features, part, recording.fs, names, faults),
        paced=bool((features.delineation.beat_class == BeatClass.PACED).any()),
    )


def assess_samples(recording: Recording) -> QualityReport:
    """Only the first checks, which need no beats: of leads, rate and samples.

    They take a twentieth of the time: for archives. The whole recording is looked at.
    """
    part = _part(recording, 0.0, recording.duration_s, STANDARD_LEADS)
    if isinstance(part, Reason):
        return QualityReport((part,))
    faults = lead_faults(part, recording.fs)
    return QualityReport(tuple(check_samples(part, STANDARD_LEADS, faults)))


def _part(
    recording: Recording, start_s: float, duration_s: float, names: tuple[str, ...]
) -> NDArray[np.float64] | Reason:
    """Cut out the samples of the leads, or say why there are none."""
    if reason := _wrong_leads(recording.lead_names, names):
        return reason
    rows = [recording.lead_names.index(name) for name in names]
    first = round(start_s * recording.fs)
    last = first + int(np.ceil(duration_s * recording.fs - 1e-6))
    if first < 0 or last > recording.n_samples:
        end_s, from_s = recording.start_s + recording.duration_s, recording.start_s + start_s
        message = say(
            "The recording lasts {end_s:.1f} s; {duration_s:g} s are needed.",
            end_s=end_s,
            duration_s=duration_s,
        )
        if from_s:
            message = say(
                "The recording lasts {end_s:.1f} s; {duration_s:g} s are needed from second "
                "{from_s:g} on.",
                end_s=end_s,
                duration_s=duration_s,
                from_s=from_s,
            )
        return refuse("too_short", message)
    low, high = FS_RANGE_HZ
    if not low <= recording.fs <= high:
        message = say(
            "The sampling rate of {fs:g} Hz is outside {low:g} to {high:g} Hz.",
            fs=recording.fs,
            low=low,
            high=high,
        )
        return refuse("rate_out_of_range", message)

    signal_mv = recording.signal_mv[rows, first:last].astype(np.float64)
    missing = ~np.isfinite(signal_mv.sum(axis=1))  # finite only if every sample is
    if missing.any():
        if _one_after_another(np.isfinite(signal_mv)):
            return refuse("missing_samples", _ONE_AFTER_ANOTHER)
        return refuse_leads(
            "missing_samples",
            missing,
            names,
            lambda where: say("Samples are missing {where}.", where=where),
        )
    return signal_mv


def _one_after_another(present: NDArray[np.bool_]) -> bool:
    """Whether each lead has one stretch of samples, and never all leads at the same time."""
    n_edges = (present[:, 1:] != present[:, :-1]).sum(axis=1)
    return bool(present.any(axis=1).all() and n_edges.max() <= 2 and not present.all(axis=0).any())


def from_microvolts(recording: Recording) -> Recording:
    """Take the values of a recording labelled as millivolts for microvolts, as the user says.

    Returns
    -------
    Recording
        Values divided by 1,000, and a note that says so, which becomes a caution of each result.
    """
    metadata = dataclasses.replace(recording.metadata, notes=(*recording.metadata.notes, _DIVIDED))
    if metadata.report is not None:
        repairs = (*metadata.report.repairs, _DIVIDED)
        report = dataclasses.replace(metadata.report, unit=say("uV by the user"), repairs=repairs)
        metadata = dataclasses.replace(metadata, report=report)
    return dataclasses.replace(recording, signal_mv=recording.signal_mv / 1000, metadata=metadata)


def _wrong_leads(present: Sequence[str], needed: tuple[str, ...]) -> Reason | None:
    absent = [name for name in needed if name not in present]
    if absent:
        names = ", ".join(absent)
        return refuse(
            "missing_lead",
            say("All twelve standard leads are needed; not in the file: {leads}.", leads=names)
            if needed == STANDARD_LEADS
            else say("More leads are needed; not in the file: {leads}.", leads=names),
            lead=absent[0] if len(absent) == 1 else None,
        )
    twice = next((name for name in needed if list(present).count(name) > 1), None)
    if twice is None:
        return None
    return refuse(
        "duplicate_lead",
        say("Lead {lead} is in the file more than once.", lead=twice),
        lead=twice,
    )


def _not_an_ecg(features: Features, names: tuple[str, ...]) -> list[Reason]:
    if features.delineation.n_beats < FEWEST_BEATS:
        return [
            refuse("not_an_ecg", say("No heartbeats were found: this is not an ECG of a heart."))
        ]
    if names == STANDARD_LEADS and learned_scores()["not_an_ecg"].exceeded(shape_vector(features)):
        message = say(
            "The signal does not look like a 12-lead ECG: it lacks the shape of heartbeats."
        )
        return [refuse("not_an_ecg", message)]
    return []


def _poor_quality(features: Features) -> list[Reason]:
    if not learned_scores()["poor_quality"].exceeded(recording_vector(features)):
        return []
    message = say("The ECG is too disturbed to be read. Check the electrodes and record it again.")
    return [refuse("poor_quality", message)]
