"""What the samples themselves say: flat, standing, cut off, too large, contradictory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model_core.leads import LIMB_FROM_I_AND_II, LIMB_LEADS
from model_core.quality.reasons import refuse, refuse_leads
from model_core.types import Reason, Severity
from model_core.wording import say

# Amplitude: 99.9th percentile of the distance from the median. Seen: 0.25 to 12.6 mV in the
# largest lead of a recording, 0.11 to 5.4 mV in its middle lead.
LARGEST_LEAD_AT_LEAST_MV = 0.15
MIDDLE_LEAD_AT_MOST_MV = 8.0
# Chosen on the tuning half of CinC 2011, whose graders accept short excursions of 20 to 40 mV; a
# lead of another unit is beyond 100 mV.
ANY_LEAD_AT_MOST_MV = 40.0
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
_Flags = NDArray[np.bool_]


# Each takes where: "in lead V1".
LEAD_FAULTS: dict[str, Callable[[str], str]] = {
    "flat_lead": lambda where: say("The line is flat {where}.", where=where),
    "signal_dropout": lambda where: say(
        "The signal stands still for more than a second {where}.", where=where
    ),
    "implausible_amplitude": lambda where: say(
        "The signal is too large for an ECG {where}.", where=where
    ),
    "saturated_lead": lambda where: say(
        "The signal is cut off at the recorder's limit {where}.", where=where
    ),
}


def check_samples(
    signal_mv: _Signal, lead_names: tuple[str, ...], faults: dict[str, _Flags]
) -> list[Reason]:
    """Look at a window of finite samples, (leads, samples), mV.

    Parameters
    ----------
    signal_mv, lead_names
        The window.
    faults
        Of `lead_faults`.
    """
    if reason := _wrong_size(signal_mv):
        faults = faults | {"implausible_amplitude": np.zeros(len(lead_names), dtype=np.bool_)}
    reasons = [
        refuse_leads(code, bad, lead_names, LEAD_FAULTS[code])
        for code, bad in faults.items()
        if bad.any()
    ]
    if reason:
        reasons.append(reason)
    # The limb relations last: a dead or saturated lead breaks them too, and is what to report.
    return reasons or _limb_relations(signal_mv, lead_names)


def lead_faults(signal_mv: _Signal, fs: float) -> dict[str, _Flags]:
    """Which leads, (leads,), have which of the `LEAD_FAULTS`."""
    distance = np.abs(signal_mv - np.median(signal_mv, axis=1, keepdims=True))
    flat = signal_mv.std(axis=1) < FLAT_STD_MV
    return {
        "flat_lead": flat,
        "signal_dropout": (_longest_run(signal_mv) / fs > CONSTANT_AT_MOST_S) & ~flat,
        "implausible_amplitude": np.quantile(distance, 0.999, axis=1) > ANY_LEAD_AT_MOST_MV,
        "saturated_lead": _railed(signal_mv),
    }


def _longest_run(signal_mv: _Signal) -> NDArray[np.int64]:
    """Length of the longest run of one value, in samples, for each lead."""
    n_leads, n_samples = signal_mv.shape
    changed = np.ones((n_leads, n_samples + 1), dtype=np.bool_)
    changed[:, 1:-1] = signal_mv[:, 1:] != signal_mv[:, :-1]
    return np.array([np.diff(np.flatnonzero(row)).max() for row in changed])


def _railed(signal_mv: _Signal) -> _Flags:
    median = np.median(signal_mv, axis=1, keepdims=True)
    railed = np.zeros(len(signal_mv), dtype=np.bool_)
    for rail in (signal_mv.min(axis=1, keepdims=True), signal_mv.max(axis=1, keepdims=True)):
        fraction = (signal_mv == rail).mean(axis=1)
        far = np.abs(rail - median)[:, 0] >= RAIL_DISTANCE_MV
        railed |= (fraction > RAIL_FRACTION_AT_MOST) & far
    return railed


def _wrong_size(signal_mv: _Signal) -> Reason | None:
    """Values of another unit, by the sizes of all leads together."""
    distance = np.abs(signal_mv - np.median(signal_mv, axis=1, keepdims=True))
    size_mv = np.quantile(distance, 0.999, axis=1)
    largest, middle = float(size_mv.max()), float(np.median(size_mv))
    if middle > MIDDLE_LEAD_AT_MOST_MV:
        message = say("The signal is too large for an ECG ({size_mv:.0f} mV).", size_mv=middle)
        if LARGEST_LEAD_AT_LEAST_MV <= middle / 1000 <= MIDDLE_LEAD_AT_MOST_MV:
            message = say(
                "The signal is too large for an ECG ({size_mv:.0f} mV): its values look like "
                "microvolts labelled as millivolts. The result is withheld until you confirm that "
                "they are microvolts.",
                size_mv=middle,
            )
            return Reason("microvolts", Severity.CONFIRM, message)
        return refuse("implausible_amplitude", message)
    if 0 < largest < LARGEST_LEAD_AT_LEAST_MV:
        message = say("The signal is too small for an ECG ({size_mv:.2g} mV).", size_mv=largest)
        if LARGEST_LEAD_AT_LEAST_MV <= largest * 1000 <= MIDDLE_LEAD_AT_MOST_MV:
            message = say(
                "The signal is too small for an ECG ({size_mv:.2g} mV): its values look like volts "
                "labelled as millivolts.",
                size_mv=largest,
            )
        return refuse("implausible_amplitude", message)
    return None


def _limb_relations(signal_mv: _Signal, lead_names: tuple[str, ...]) -> list[Reason]:
    """Compare III, aVR, aVL and aVF, those that are there, with what I and II make of them.

    Blind to one factor on all leads and to swapped electrodes.
    """
    centred = dict(zip(lead_names, signal_mv - signal_mv.mean(axis=1, keepdims=True), strict=True))
    derived = [name for name in LIMB_FROM_I_AND_II if name in centred]
    if not derived or not {"I", "II"} <= set(centred):
        return []
    power = np.mean([(centred[name] ** 2).mean() for name in LIMB_LEADS if name in centred])
    residual: dict[str, float] = {}
    for name in derived:
        of_one, of_two = LIMB_FROM_I_AND_II[name]
        off = centred[name] - of_one * centred["I"] - of_two * centred["II"]
        residual[name] = float(np.sqrt((off**2).mean() / power))
    worst = max(derived, key=lambda name: residual[name])
    if residual[worst] <= LIMB_RESIDUAL_AT_MOST:
        return []
    message = say(
        "The limb leads contradict one another ({lead} does not follow from I and II): a lead is "
        "mislabelled, altered or scaled differently.",
        lead=worst,
    )
    return [refuse("inconsistent_limb_leads", message)]
