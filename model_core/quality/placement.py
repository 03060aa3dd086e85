"""Exchanged electrodes and inverted leads, by how the leads' median beats lie to one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_core.leads import CHEST_LEADS, LIMB_FROM_I_AND_II, STANDARD_LEADS
from model_core.quality.features import BEAT_BEFORE_S, Features
from model_core.quality.learned import learned_scores
from model_core.types import Reason, Severity
from model_core.wording import joined, say

_FloatArray = NDArray[np.float64]

# The other four limb leads follow from I and II.
INDEPENDENT_LEADS = ("I", "II", *CHEST_LEADS)
_ROWS = [STANDARD_LEADS.index(name) for name in INDEPENDENT_LEADS]
# Stretches of the beat, s from the R peak.
_BASE_S, _P_S, _QRS_S, _T_S = (-0.09, -0.06), (-0.22, -0.07), (-0.06, 0.07), (0.12, 0.42)

# What the limb leads I and II become, as weights of the true I and II, if two arm or leg electrodes
# are exchanged.
LIMB_EXCHANGES = {
    "RA-LA": ((-1.0, 0.0), (-1.0, 1.0)),
    "RA-LL": ((1.0, -1.0), (0.0, -1.0)),
    "LA-LL": ((0.0, 1.0), (1.0, 0.0)),
}
CHEST_EXCHANGES = ("V1-V2", "V2-V3", "V3-V4", "V4-V5", "V5-V6", "V1-V3")
# Those without a score in learned.json cannot be told from ECGs recorded correctly.
EXCHANGES = (*LIMB_EXCHANGES, *CHEST_EXCHANGES, *(f"-{name}" for name in CHEST_LEADS))

_ELECTRODES = {
    "RA-LA": say("the electrodes of the right and left arm"),
    "RA-LL": say("the electrodes of the right arm and the left leg"),
    "LA-LL": say("the electrodes of the left arm and the left leg"),
}


def exchanged(signal_mv: _FloatArray, exchange: str) -> _FloatArray:
    """Make what the twelve standard leads become by an exchange of electrodes or an inverted lead.

    Parameters
    ----------
    signal_mv
        (12, samples) in standard order.
    exchange
        One of `EXCHANGES`.
    """
    rows: dict[str, _FloatArray] = dict(zip(STANDARD_LEADS, signal_mv, strict=True))
    if exchange in LIMB_EXCHANGES:
        one, two = (a * rows["I"] + b * rows["II"] for a, b in LIMB_EXCHANGES[exchange])
        rows |= {"I": one, "II": two}
        rows |= {name: a * one + b * two for name, (a, b) in LIMB_FROM_I_AND_II.items()}
    elif exchange.startswith("-"):
        rows[exchange[1:]] = -rows[exchange[1:]]
    else:
        first, second = exchange.split("-")
        rows[first], rows[second] = rows[second], rows[first]
    return np.stack([rows[name] for name in STANDARD_LEADS])


def placement_vector(beat_mv: _FloatArray, beat_rate: float) -> _FloatArray:
    """Sizes of the waves in the independent leads, and how alike the leads' waves are.

    Parameters
    ----------
    beat_mv, beat_rate
        Of `Features`, for the twelve standard leads in order.
    """
    r = round(BEAT_BEFORE_S * beat_rate)

    def part(bounds_s: tuple[float, float]) -> _FloatArray:
        first, last = (r + round(second * beat_rate) for second in bounds_s)
        return x[:, first:last]

    x = beat_mv[_ROWS].astype(np.float64)
    x = x - np.median(part(_BASE_S), axis=1, keepdims=True)
    p, qrs, t = part(_P_S), part(_QRS_S), part(_T_S)
    scale = np.sqrt((qrs**2).mean()) + 1e-3
    areas = [wave.mean(axis=1) / scale for wave in (p - p[:, :1], qrs, t)]
    ends = [end / scale for wave in (qrs, t) for end in (wave.max(axis=1), wave.min(axis=1))]
    p = p - p.mean(axis=1, keepdims=True)
    pairs = np.triu_indices(len(x), 1)
    alike: list[_FloatArray] = []
    like_three: list[_FloatArray] = []
    for wave in (qrs, t, p):
        unit = wave / (np.linalg.norm(wave, axis=1, keepdims=True) + 1e-6)
        alike.append((unit @ unit.T)[pairs])
        three = wave[1] - wave[0]
        like_three.append(unit @ (three / (np.linalg.norm(three) + 1e-6)))
    return np.concatenate([*areas, *ends, *alike, *like_three])


def check_placement(features: Features, *, confirmed: bool = False) -> list[Reason]:
    """Find the most likely exchange, if any is likely; only a caution once it is confirmed."""
    scores = learned_scores()
    vector = placement_vector(features.beat_mv, features.beat_rate)
    margin = {
        name: scores[name](vector) - scores[name].limit for name in EXCHANGES if name in scores
    }
    likely = max(margin, key=lambda name: margin[name])
    if margin[likely] <= 0:
        return []
    lead = None
    if likely.startswith("-"):
        lead = likely[1:]
        what = say("Lead {lead} looks upside down.", lead=lead)
    elif likely in _ELECTRODES:
        electrodes = _ELECTRODES[likely]
        what = say("The limb leads look as if {electrodes} were exchanged.", electrodes=electrodes)
    else:
        first, second = likely.split("-")
        what = say(
            "The chest leads look as if {first} and {second} were exchanged.",
            first=first,
            second=second,
        )
    if confirmed:
        then = (
            say("You confirmed that the lead is the right way round.")
            if lead
            else say("You confirmed that the electrodes were placed correctly.")
        )
    else:
        then = (
            say("The result is withheld until you confirm that the lead is the right way round.")
            if lead
            else say(
                "The result is withheld until you confirm that the electrodes were placed "
                "correctly."
            )
        )
    severity = Severity.CAUTION if confirmed else Severity.CONFIRM
    return [Reason("electrode_placement", severity, joined([what, then]), lead)]
