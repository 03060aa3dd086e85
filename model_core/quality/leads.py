"""Signal quality lead by lead, in a grade and a sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_core.delineation.signals import moving_mean
from model_core.quality.features import Features
from model_core.quality.samples import LEAD_FAULTS
from model_core.types import LeadGrade, LeadQuality
from model_core.wording import joined, say

# A lead is called noisy beyond what 99 % of the leads of PTB-XL and LUDB (tuning halves) keep to.
# Difference of the beats from their median beat, mV (root mean square over a beat): of the middle
# one of them, and of the worst, where an electrode loses contact for a moment.
RESIDUAL_MV, WORST_RESIDUAL_MV = 0.10, 0.41
# Muscle and mains between the beats: distance from the mean over 20 ms, mV; 99.5 % of their leads.
FAST_MV = 0.03
_FAST_S, _BETWEEN_S = 0.02, 0.1
# Range of the baseline over the window, mV.
WANDER_MV = 1.6
# Below, the beats of a lead do not repeat one another at all (correlation with their median).
ALIKE_AT_LEAST = 0.4


def grade_leads(
    features: Features,
    signal_mv: NDArray[np.float64],
    fs: float,
    lead_names: tuple[str, ...],
    faults: dict[str, NDArray[np.bool_]],
) -> tuple[LeadQuality, ...]:
    """Grade each lead of a window.

    Parameters
    ----------
    features, signal_mv, fs, lead_names
        Of the window: what was measured, (leads, samples) in mV, Hz, one name a row.
    faults
        Of `model_core.quality.samples.lead_faults`.
    """
    residual_mv = np.exp(features.lead["residual"])
    worst_mv = np.exp(features.lead["worst_residual"])
    fast_mv = _fast_mv(signal_mv, fs)
    wander_mv = np.exp(features.lead["wander"])
    found: list[LeadQuality] = []
    for row, name in enumerate(lead_names):
        unusable = [
            LEAD_FAULTS[code](say("in lead {lead}", lead=name))
            for code in faults
            if faults[code][row]
        ]
        if not unusable and features.lead["alike"][row] < ALIKE_AT_LEAST:
            unusable = [say("No beats repeat one another in lead {lead}.", lead=name)]
        noisy = [
            sentence
            for is_so, sentence in (
                (
                    residual_mv[row] > RESIDUAL_MV,
                    say(
                        "The beats in lead {lead} differ by {size_mv:.2f} mV.",
                        lead=name,
                        size_mv=residual_mv[row],
                    ),
                ),
                (
                    residual_mv[row] <= RESIDUAL_MV and worst_mv[row] > WORST_RESIDUAL_MV,
                    say(
                        "A beat in lead {lead} differs from the others by {size_mv:.2f} mV.",
                        lead=name,
                        size_mv=worst_mv[row],
                    ),
                ),
                (
                    fast_mv[row] > FAST_MV,
                    say(
                        "Lead {lead} has muscle or mains noise of {size_mv:.2f} mV.",
                        lead=name,
                        size_mv=fast_mv[row],
                    ),
                ),
                (
                    wander_mv[row] > WANDER_MV,
                    say(
                        "The baseline of lead {lead} wanders by {size_mv:.1f} mV.",
                        lead=name,
                        size_mv=wander_mv[row],
                    ),
                ),
            )
            if is_so
        ]
        if unusable:
            found.append(LeadQuality(name, LeadGrade.UNUSABLE, unusable[0]))
        elif noisy:
            found.append(LeadQuality(name, LeadGrade.NOISY, joined(noisy)))
        else:
            found.append(LeadQuality(name, LeadGrade.GOOD))
    return tuple(found)


def _fast_mv(signal_mv: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Size of what changes within 20 ms, in the quieter half of the time."""
    fast = np.abs(signal_mv - moving_mean(signal_mv, max(round(_FAST_S * fs), 2)))
    return np.median(moving_mean(fast, round(_BETWEEN_S * fs)), axis=1)
