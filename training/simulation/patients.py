"""Virtual patients: a latent heart from which both the echo and the ECG follow.

The order of causes: age and sex -> disease -> severity -> electrical heart, and contractility and
chambers. The ECG generator reads the electrical heart alone, which shows disease to a variable
degree, so that a part of the spread of LVEF stays invisible in the ECG.

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
from training.simulation.measures import EchoMeasures, echo_from_lvef_and_lvedv

__all__ = ["CONDUCTION", "PHENOTYPE", "PVC_ORIGIN", "TERRITORY", "Patients", "sample_patients"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Patients(ElectricalHeart):
    """n virtual patients: electrical hearts and whose they are; arrays of shape (n,).

    Attributes
    ----------
    phenotype : int64
        Index into PHENOTYPE.
    bsa_m2 : float32
        Body surface area, m2.
    echo : EchoMeasures
        What an echo laboratory would report.
    """

    age_y: FloatArray
    male: NDArray[np.bool_]
    phenotype: NDArray[np.int64]
    bsa_m2: FloatArray
    echo: EchoMeasures

    def __len__(self) -> int:
        return len(self.age_y)

    def take(self, index: NDArray[np.intp] | list[int] | slice) -> Patients:
        """Return the patients at ``index`` (indices, mask or slice)."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        echo = own.pop("echo").take(index)
        return Patients(**{name: value[index] for name, value in own.items()}, echo=echo)


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
    age = np.clip(np.where(happens(0.8), normal(66, 13), normal(42, 13)), 18, 95)
    decades = (age - 60) / 10
    bmi = np.clip(np.exp(normal(np.log(27.0), 0.18)), 16, 50)
    height_m = np.where(male, normal(1.76, 0.075), normal(1.63, 0.065))
    bsa = np.sqrt(height_m * 100 * bmi * height_m**2 / 3600)  # Mosteller 1987

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
    hypertensive, ischaemic, dilated, preserved_hf = (
        phenotype == PHENOTYPE.index(name) for name in PHENOTYPE[1:]
    )

    # Disease shows in the ECG to a variable degree, and other disorders look the same there.
    dilated_severity = np.where(dilated, np.clip(normal(0.60, 0.25), 0.05, 1.1), 0)
    decompensated = happens(0.12 * hypertensive + 0.05) * np.clip(normal(22, 9), 4, 40)
    lost = 42 * dilated_severity + decompensated
    sensitivity = np.clip(rng.beta(1.3, 1.4, n), 0.02, 1.0)
    mimic = happens(0.25) * rng.exponential(10, n)
    severity = np.clip((lost * sensitivity + mimic) / 45, 0, 1)
    heart = sample_electrical(age, male, bmi, phenotype, severity, rng)

    # Contractility. Hidden causes (toxic, tachycardia, early decompensation) cost function
    # without an ECG sign of their own.
    lvef = normal(63, 5) + 1.5 * ~male - lost
    scar = heart.scar_fraction * heart.scar_depth
    lvef -= 95 * scar + 8 * heart.ischaemia * ischaemic + ischaemic * np.abs(normal(0, 9))
    lbbb, paced = (heart.conduction == CONDUCTION.index(c) for c in ("lbbb", "paced"))
    lvef -= lbbb * np.abs(normal(6, 5)) + paced * np.abs(normal(4, 4))
    lvef -= heart.af * np.abs(normal(2, 2))
    lvef_read = lvef + normal(0, 3.0)  # between readers of biplane LVEF

    # Chambers (ASE/EACVI 2015 indexed volumes; Lang et al., JASE 2015;28:1).
    lost = np.clip(58 - lvef, 0, 45)
    log_lvedv = np.log(bsa * np.where(male, 55, 46)) - 0.035 * decades + normal(0, 0.16)
    log_lvedv += 0.016 * lost + 0.25 * scar + 0.10 * dilated - 0.06 * preserved_hf
    wall = np.where(male, 9.3, 8.5) + 0.2 * decades + normal(0, 0.9)
    wall += hypertensive * np.clip(normal(3.0, 1.5), 0, 8) + preserved_hf * normal(1.8, 1.3)
    log_la = (
        np.log(bsa * 25) + 0.03 * decades + 0.4 * heart.af + 0.15 * preserved_hf + normal(0, 0.22)
    )
    log_la += 0.007 * lost + 0.08 * hypertensive
    log_lvedv_read = log_lvedv + normal(0, 0.07)
    echo = echo_from_lvef_and_lvedv(
        lvef_read, np.exp(log_lvedv_read), wall + normal(0, 0.5), np.exp(log_la)
    )

    return Patients(
        **heart.attributes(),
        age_y=age.astype(np.float32),
        male=male,
        phenotype=phenotype,
        bsa_m2=bsa.astype(np.float32),
        echo=echo,
    )
