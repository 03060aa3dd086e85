"""Linear scores whose coefficients were fitted to data: kept in learned.json, run on numpy.

`benchmarks/fit_input_gate.py` fits them, on the tuning halves of the data sets only.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.quality.features import Features
from model_core.quality.form import JOINTS

_FloatArray = NDArray[np.float64]

COEFFICIENTS = Path(__file__).with_name("learned.json")
# Features farther from their mean than so many standard deviations count as that far.
CLIP_SD = 4.0
# Of the twelve leads in order of size: the least, the third, the middle, the tenth, the largest.
ORDER_STATISTICS = (0, 2, 5, 9, 11)


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """A weighted sum of standardised features; above `limit` it speaks against the recording.

    With weights of their squares, what is unlike an ECG in either direction counts.
    """

    mean: _FloatArray
    scale: _FloatArray
    weights: _FloatArray
    squares: _FloatArray
    bias: float
    limit: float

    def __call__(self, features: _FloatArray) -> float:
        """Score of one vector of features."""
        standard = np.clip((features - self.mean) / self.scale, -CLIP_SD, CLIP_SD)
        return float(standard @ self.weights + standard**2 @ self.squares + self.bias)

    def exceeded(self, features: _FloatArray) -> bool:
        """Whether the score lies above the limit."""
        return self(features) > self.limit


@functools.cache
def learned_scores() -> dict[str, LinearScore]:
    """Scores by name: ``not_an_ecg``, ``poor_quality``, ``slow``, ``fast``, and the exchanges."""
    stored: dict[str, Any] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return {
        name: LinearScore(
            mean=np.array(stored["standardisers"][each["standardiser"]]["mean"]),
            scale=np.array(stored["standardisers"][each["standardiser"]]["scale"]),
            weights=np.array(each["weights"]),
            squares=np.array(each.get("squares", [0.0] * len(each["weights"]))),
            bias=each["bias"],
            limit=each["limit"],
        )
        for name, each in stored["scores"].items()
    }


def recording_vector(features: Features) -> _FloatArray:
    """Features of twelve leads and of all together as one vector."""
    by_lead: Sequence[_FloatArray] = [
        np.sort(values)[list(ORDER_STATISTICS)] for values in features.lead.values()
    ]
    return np.concatenate([*by_lead, list(features.whole.values())])


def shape_vector(features: Features) -> _FloatArray:
    """`recording_vector` and the form of the beats."""
    return np.concatenate([recording_vector(features), features.form])


def pace_vector(features: Features) -> _FloatArray:
    """`shape_vector` without what is measured from sample to sample, whatever their rate.

    Rate of the heart, widths and spectrum of its waves: in a heart, healthy or sick, they do not
    all change together, as they do where time is stretched.
    """
    return np.delete(shape_vector(features), JOINTS)
