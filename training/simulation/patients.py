"""Virtual patients: age, sex, disease and the electrical heart that follows from them.

The ECG generator reads the electrical heart. The echo is drawn from what the ECG shows of it, by
the model that real ECGs get their outcomes from (`training.simulation.outcomes`), so that the
same findings mean the same in both.

Prevalences are rounded values of echo cohorts (EchoNext and MIMIC-IV: LVEF <= 45 % in 16-18 %)
and of ECG collections (PTB-XL); see docs/simulated-cohort.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from training.simulation.electrical import (
    CONDUCTION,
    PHENOTYPE,
    PVC_ORIGIN,
    TERRITORY,
    ElectricalHeart,
    sample_electrical,
)

__all__ = ["CONDUCTION", "PHENOTYPE", "PVC_ORIGIN", "TERRITORY", "Patients", "sample_patients"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Patients(ElectricalHeart):
    """n virtual patients: electrical hearts and whose they are; arrays of shape (n,).

    Attributes
    ----------
    phenotype : int64
        Index into PHENOTYPE.
    """

    age_y: FloatArray
    male: NDArray[np.bool_]
    phenotype: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.age_y)

    def take(self, index: NDArray[np.intp] | list[int] | slice) -> Patients:
        """Return the patients at ``index`` (indices, mask or slice)."""
        return Patients(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def sample_patients(n: int, rng: np.random.Generator) -> Patients:
    """Draw n virtual patients.

    Parameters
    ----------
    n
        Number of patients.
    rng
        Source of randomness; the same state gives the same patients.
    """

    def normal(mean: float = 0.0, sd: float = 1.0) -> NDArray[np.float64]:
        return mean + sd * rng.standard_normal(n)

    def happens(probability: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        return rng.random(n) < probability

    def choose(logits: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)

    # Age and sex as in EchoNext (median 64, IQR 52-75; 50.5 % women).
    male = happens(0.5)
    age = np.clip(np.where(happens(0.83), normal(67, 12.5), normal(43, 13)), 18, 95)
    decades = (age - 60) / 10
    bmi = np.clip(np.exp(normal(np.log(27.0), 0.18)), 16, 50)
    phenotype = choose(
        np.stack(
            [
                1.5 - 0.25 * decades,
                0.5 + 0.25 * decades,
                0.1 + 0.25 * decades + 0.7 * (male - 0.5),
                -0.75 - 0.15 * decades + 0.5 * (male - 0.5),
                -0.5 + 0.45 * decades - 0.5 * (male - 0.5),
            ],
            axis=1,
        )
    )
    # Disease shows in the ECG to a variable degree, and other disorders look the same there.
    dilated = phenotype == PHENOTYPE.index("dilated")
    hypertensive = phenotype == PHENOTYPE.index("hypertensive")
    severity = np.where(dilated, np.clip(normal(0.55, 0.23), 0.05, 1.0), 0)
    severity = severity + happens(0.12 * hypertensive + 0.05) * np.clip(normal(0.5, 0.2), 0.1, 0.9)
    sensitivity = np.clip(rng.beta(1.3, 1.4, n), 0.02, 1.0)
    mimic = happens(0.25) * rng.exponential(0.22, n)
    shown = np.clip(severity * sensitivity + mimic, 0, 1)
    return Patients(
        **sample_electrical(age, male, bmi, phenotype, shown, rng).attributes(),
        age_y=age.astype(np.float32),
        male=male,
        phenotype=phenotype,
    )
