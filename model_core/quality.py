"""The input gate: whether a recording is a 12-lead ECG that a result may be based on.

It stands outside the network and looks at physics: a network gives a plausible number for a flat
line. The limits were set on PTB-XL (1,799 records at 100 Hz, 500 at 500 Hz), LUDB (200) and the
PhysioNet/CinC Challenges 2020 and 2021 (200), see docs/adr/0006-input-gate.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS, standard_lead_rows
from model_core.types import QualityReport, Reason, Recording, Severity

FS_RANGE_HZ = (100.0, 2000.0)
# Amplitude: 99.9th percentile of the distance from the median. Seen: 0.25 to 12.6 mV in the
# largest lead of a recording, 0.11 to 5.4 mV in its middle lead.
LARGEST_LEAD_AT_LEAST_MV = 0.15
MIDDLE_LEAD_AT_MOST_MV = 8.0
ANY_LEAD_AT_MOST_MV = 20.0
# Limb residual over the RMS of the limb leads. Seen: at most 0.019, but for one record whose aVR
# and aVF are wrong (0.125). Two swapped leads give 0.8 and more.
LIMB_RESIDUAL_AT_MOST = 0.05
FLAT_STD_MV = 0.005
# Between the beats of a slow heart, coarse digits repeat one value for up to 0.95 s.
CONSTANT_AT_MOST_S = 1.0
# Seen: 0.012, where a recording starts with a held sample.
RAIL_FRACTION_AT_MOST = 0.02
RAIL_DISTANCE_MV = 0.5

_Signal = NDArray[np.float64]


def assess(
    recording: Recording, *, start_s: float = 0.0, duration_s: float = 10.0
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

    Returns
    -------
    QualityReport
        Every reason found against the recording; none for a sound one. Where a reason leaves
        nothing to look at, the checks after it are left out.
    """
    rows = standard_lead_rows(recording.lead_names)
    if rows is None:
        return QualityReport((_lead_set_reason(recording.lead_names),))
    first = round(start_s * recording.fs)
    last = first + int(np.ceil(duration_s * recording.fs - 1e-6))
    if first < 0 or last > recording.n_samples:
        end_s, from_s = recording.start_s + recording.duration_s, recording.start_s + start_s
        message = f"The recording lasts {end_s:.1f} s; {duration_s:g} s are needed"
        message += f" from second {from_s:g} on." if from_s else "."
        return QualityReport((_refuse("too_short", message),))
    low, high = FS_RANGE_HZ
    if not low <= recording.fs <= high:
        message = f"The sampling rate of {recording.fs:g} Hz is outside {low:g} to {high:g} Hz."
        return QualityReport((_refuse("rate_out_of_range", message),))

    signal_mv = recording.signal_mv[rows, first:last].astype(np.float64)
    missing = ~np.isfinite(signal_mv.sum(axis=1))  # finite only if every sample is
    if missing.any():
        reason = _refuse_leads("missing_samples", missing, lambda s: f"Samples are missing in {s}.")
        return QualityReport((reason,))
    # The limb relations last: a dead or saturated lead breaks them too, and is what to report.
    reasons = [*_flat(signal_mv, recording.fs), *_amplitude(signal_mv), *_railed(signal_mv)]
    return QualityReport(tuple(reasons or _limb_relations(signal_mv[:6])))


def _refuse(code: str, message: str, lead: str | None = None) -> Reason:
    return Reason(code=code, severity=Severity.REFUSE, message=message, lead=lead)


def _refuse_leads(code: str, bad: NDArray[Any], sentence: Callable[[str], str]) -> Reason:
    """One reason for all leads that a check failed in; `bad` has one truth value a lead."""
    names = [name for name, is_bad in zip(STANDARD_LEADS, bad, strict=True) if is_bad]
    if len(names) == 1:
        return _refuse(code, sentence(f"lead {names[0]}"), lead=names[0])
    if len(names) == len(STANDARD_LEADS):
        return _refuse(code, sentence("all leads"))
    return _refuse(code, sentence(f"leads {', '.join(names[:-1])} and {names[-1]}"))


def _lead_set_reason(names: Sequence[str]) -> Reason:
    absent = [name for name in STANDARD_LEADS if name not in names]
    if absent:
        return _refuse(
            "missing_lead",
            f"All twelve standard leads are needed; not in the file: {', '.join(absent)}.",
            lead=absent[0] if len(absent) == 1 else None,
        )
    twice = next(name for name in STANDARD_LEADS if list(names).count(name) > 1)
    return _refuse("duplicate_lead", f"Lead {twice} is in the file more than once.", lead=twice)


def _flat(signal_mv: _Signal, fs: float) -> list[Reason]:
    flat = signal_mv.std(axis=1) < FLAT_STD_MV
    stuck = (_longest_run(signal_mv) / fs > CONSTANT_AT_MOST_S) & ~flat
    reasons: list[Reason] = []
    if flat.any():
        reasons.append(_refuse_leads("flat_lead", flat, lambda s: f"The line is flat in {s}."))
    if stuck.any():
        reasons.append(
            _refuse_leads(
                "signal_dropout",
                stuck,
                lambda s: f"The signal stands still for more than a second in {s}.",
            )
        )
    return reasons


def _longest_run(signal_mv: _Signal) -> NDArray[np.int64]:
    """Length of the longest run of one value, in samples, for each lead."""
    n_leads, n_samples = signal_mv.shape
    changed = np.ones((n_leads, n_samples + 1), dtype=np.bool_)
    changed[:, 1:-1] = signal_mv[:, 1:] != signal_mv[:, :-1]
    return np.array([np.diff(np.flatnonzero(row)).max() for row in changed])


def _amplitude(signal_mv: _Signal) -> list[Reason]:
    distance = np.abs(signal_mv - np.median(signal_mv, axis=1, keepdims=True))
    size_mv = np.quantile(distance, 0.999, axis=1)
    largest, middle = float(size_mv.max()), float(np.median(size_mv))
    if middle > MIDDLE_LEAD_AT_MOST_MV:
        message = f"The signal is too large for an ECG ({middle:.0f} mV)"
        if LARGEST_LEAD_AT_LEAST_MV <= middle / 1000 <= MIDDLE_LEAD_AT_MOST_MV:
            message += ": its values look like microvolts labelled as millivolts"
        return [_refuse("implausible_amplitude", f"{message}.")]
    if 0 < largest < LARGEST_LEAD_AT_LEAST_MV:
        message = f"The signal is too small for an ECG ({largest:.2g} mV)"
        if LARGEST_LEAD_AT_LEAST_MV <= largest * 1000 <= MIDDLE_LEAD_AT_MOST_MV:
            message += ": its values look like volts labelled as millivolts"
        return [_refuse("implausible_amplitude", f"{message}.")]
    huge = size_mv > ANY_LEAD_AT_MOST_MV
    if huge.any():
        reason = _refuse_leads(
            "implausible_amplitude", huge, lambda s: f"The signal is too large for an ECG in {s}."
        )
        return [reason]
    return []


def _railed(signal_mv: _Signal) -> list[Reason]:
    median = np.median(signal_mv, axis=1, keepdims=True)
    railed = np.zeros(len(signal_mv), dtype=bool)
    for rail in (signal_mv.min(axis=1, keepdims=True), signal_mv.max(axis=1, keepdims=True)):
        fraction = (signal_mv == rail).mean(axis=1)
        far = np.abs(rail - median)[:, 0] >= RAIL_DISTANCE_MV
        railed |= (fraction > RAIL_FRACTION_AT_MOST) & far
    if not railed.any():
        return []
    return [
        _refuse_leads(
            "saturated_lead",
            railed,
            lambda s: f"The signal is cut off at the recorder's limit in {s}.",
        )
    ]


def _limb_relations(limb_mv: _Signal) -> list[Reason]:
    """Compare III, aVR, aVL and aVF with what I and II make of them.

    Einthoven: III = II - I. Goldberger: aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
    Blind to one factor on all leads and to swapped electrodes.
    """
    centred = limb_mv - limb_mv.mean(axis=1, keepdims=True)
    one, two = centred[:2]
    expected = np.stack([two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    residual = np.sqrt(((centred[2:] - expected) ** 2).mean(axis=1) / (centred**2).mean())
    if residual.max() <= LIMB_RESIDUAL_AT_MOST:
        return []
    worst = int(residual.argmax())
    message = (
        f"The limb leads contradict one another ({STANDARD_LEADS[2 + worst]} does not follow from "
        "I and II): a lead is mislabelled, altered or scaled differently."
    )
    return [_refuse("inconsistent_limb_leads", message)]
