"""Virtual patients: a latent heart from which both the echo and the ECG follow.

The order of causes: age and sex -> disease -> scar and contractility -> chambers -> conduction,
rhythm, repolarisation. The ECG generator reads only the electrical part; contractility reaches
it through scar, chamber size and conduction alone, each with its own variability, so that a part
of the spread of LVEF stays invisible in the ECG.

Prevalences are rounded values of echo cohorts (EchoNext and MIMIC-IV: LVEF <= 45 % in 16-18 %)
and of ECG collections (PTB-XL); see docs/simulated-cohort.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from training.simulation.measures import EchoMeasures, echo_from_lvef_and_lvedv

FloatArray = NDArray[np.float32]

PHENOTYPE = ("normal", "hypertensive", "ischaemic", "dilated", "preserved_hf")
CONDUCTION = ("normal", "lbbb", "rbbb", "ivcd", "lafb", "paced")
TERRITORY = ("none", "anterior", "inferior", "lateral")
PVC_ORIGIN = ("outflow tract", "right apex", "left lateral", "left inferior")


@dataclass(frozen=True)
class Patients:
    """n virtual patients; arrays of shape (n,).

    Attributes
    ----------
    phenotype, conduction, scar_territory : int64
        Indices into PHENOTYPE, CONDUCTION and TERRITORY.
    bsa_m2 : float32
        Body surface area, m2.
    scar_fraction : float32
        Part of the left ventricular wall that is scar, 0-0.5.
    ischaemia, st_t_severity : float32
        Ischaemic and unspecific repolarisation change, 0 (none) to about 1.
    mass_gain : float32
        Electrically visible left ventricular mass over normal, about 0.6-2.5.
    conduction_time_gain : float32
        Duration of ventricular activation over normal.
    voltage_gain : float32
        Amplitude over normal (habitus, fluid, lung, infiltration).
    axis_frontal_deg, axis_horizontal_deg, axis_roll_deg : float32
        Rotation of the heart in the chest against the mean position, degrees.
    heart_rate_bpm, pr_ms, qtc_ms : float32
        Rate in beats per minute, PR and rate-corrected QT interval in ms.
    p_gain : float32
        Amplitude of the P wave over normal.
    pvc_fraction : float32
        Part of the beats that are premature ventricular beats, 0-0.35.
    pvc_origin : int64
        Index into PVC_ORIGIN.
    chest_depth_gain : float32
        Distance of the chest electrodes from the heart over normal.
    echo : EchoMeasures
        What an echo laboratory would report.
    """

    age_y: FloatArray
    male: NDArray[np.bool_]
    phenotype: NDArray[np.int64]
    bsa_m2: FloatArray
    scar_territory: NDArray[np.int64]
    scar_fraction: FloatArray
    ischaemia: FloatArray
    st_t_severity: FloatArray
    mass_gain: FloatArray
    conduction: NDArray[np.int64]
    conduction_time_gain: FloatArray
    voltage_gain: FloatArray
    axis_frontal_deg: FloatArray
    axis_horizontal_deg: FloatArray
    axis_roll_deg: FloatArray
    af: NDArray[np.bool_]
    heart_rate_bpm: FloatArray
    pr_ms: FloatArray
    qtc_ms: FloatArray
    p_gain: FloatArray
    pvc_fraction: FloatArray
    pvc_origin: NDArray[np.int64]
    chest_depth_gain: FloatArray
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

    # Scar: anterior infarcts are larger (Selvester: 3 % of the wall a QRS point).
    territory = np.where(ischaemic, 1 + choose(np.tile(np.log([0.48, 0.33, 0.19]), (n, 1))), 0)
    scale = np.array([0.0, 1.2, 0.75, 0.65])[territory]
    scar = np.clip(rng.beta(1.5, 5.0, n) * scale, 0, 0.5)
    ischaemia = np.where(ischaemic, rng.beta(1.2, 2.5, n), rng.beta(1, 14, n))

    # Contractility. Hidden causes (toxic, tachycardia, early decompensation) cost function
    # without an ECG sign of their own.
    lvef = normal(63, 5) + 1.5 * ~male
    lvef -= 62 * scar + 6 * ischaemia * ischaemic + ischaemic * np.abs(normal(0, 9))
    dilated_severity = np.where(dilated, np.clip(normal(0.60, 0.25), 0.05, 1.1), 0)
    lvef -= 42 * dilated_severity
    lvef -= happens(0.10 * hypertensive + 0.05) * np.clip(normal(20, 8), 4, 40)

    # Conduction follows disease, fibrosis and age; the electrical sign of dysfunction varies.
    lost = np.clip(55 - lvef, 0, 40)
    sensitivity = np.clip(rng.beta(1.3, 1.4, n), 0.02, 1.0)
    mimic = happens(0.25) * rng.exponential(10, n)
    electrical = np.clip(lost * sensitivity + mimic, 0, 45)
    conduction = choose(
        np.stack(
            [
                np.full(n, 3.6),
                -0.3 + 0.25 * decades + 0.9 * dilated + 0.060 * electrical,
                0.9 + 0.40 * decades + 0.25 * male,
                0.3 + 0.10 * decades + 0.040 * electrical,
                1.2 + 0.30 * decades + 0.012 * electrical,
                -0.4 + 0.50 * decades + 0.032 * electrical,
            ],
            axis=1,
        )
    )
    lbbb, ivcd, paced = (conduction == CONDUCTION.index(c) for c in ("lbbb", "ivcd", "paced"))
    lvef -= lbbb * np.abs(normal(6, 5)) + paced * np.abs(normal(4, 4))
    af = happens(
        1 / (1 + np.exp(2.7 - 0.6 * decades - 0.8 * preserved_hf - 0.012 * lost - 0.25 * male))
    )
    lvef -= af * np.abs(normal(2, 2))
    lvef_read = lvef + normal(0, 3.0)  # between readers of biplane LVEF

    # Chambers (ASE/EACVI 2015 indexed volumes; Lang et al., JASE 2015;28:1).
    lost = np.clip(58 - lvef, 0, 45)
    log_lvedv = np.log(bsa * np.where(male, 55, 46)) - 0.035 * decades + normal(0, 0.16)
    log_lvedv += 0.016 * lost + 0.25 * scar + 0.10 * dilated - 0.06 * preserved_hf
    wall = np.where(male, 9.3, 8.5) + 0.2 * decades + normal(0, 0.9)
    wall += hypertensive * np.clip(normal(3.0, 1.5), 0, 8) + preserved_hf * normal(1.8, 1.3)
    log_la = np.log(bsa * 25) + 0.03 * decades + 0.4 * af + 0.15 * preserved_hf + normal(0, 0.22)
    log_la += 0.007 * lost + 0.08 * hypertensive
    log_lvedv_read = log_lvedv + normal(0, 0.07)
    echo = echo_from_lvef_and_lvedv(
        lvef_read, np.exp(log_lvedv_read), wall + normal(0, 0.5), np.exp(log_la)
    )

    # What the surface ECG sees of size and disease.
    relative_mass = (wall / 9.0) ** 1.1 * np.exp(0.5 * (log_lvedv - np.log(95)))
    heart_rate = np.where(af, normal(84, 18), normal(71, 12)) + 0.25 * electrical
    single = np.float32
    return Patients(
        age_y=age.astype(single),
        male=male,
        phenotype=phenotype,
        bsa_m2=bsa.astype(single),
        scar_territory=territory,
        scar_fraction=scar.astype(single),
        ischaemia=ischaemia.astype(single),
        st_t_severity=np.clip(
            0.012 * electrical + happens(0.12) * rng.random(n) + normal(0, 0.1), 0, 1.5
        ).astype(single),
        mass_gain=np.clip(relative_mass**0.7 * np.exp(normal(0, 0.17)), 0.6, 2.5).astype(single),
        conduction=conduction,
        conduction_time_gain=np.clip(
            np.exp(normal(0, 0.09) + 0.004 * electrical + 0.03 * male)
            * np.where(ivcd, np.exp(normal(0.30, 0.08)), 1),
            0.75,
            1.8,
        ).astype(single),
        voltage_gain=np.clip(
            np.exp(normal(0.08, 0.22) - 0.02 * (bmi - 27) - 0.05 * decades - 0.006 * electrical),
            0.25,
            2.2,
        ).astype(single),
        axis_frontal_deg=(normal(-6, 16) - 6 * decades - 0.6 * (bmi - 27)).astype(single),
        axis_horizontal_deg=normal(0, 13).astype(single),
        axis_roll_deg=normal(0, 10).astype(single),
        af=af,
        heart_rate_bpm=np.clip(
            np.where(paced, np.maximum(heart_rate, 60), heart_rate), 40, 160
        ).astype(single),
        pr_ms=np.clip(
            normal(160, 22) + 8 * decades + 12 * lbbb + 0.3 * electrical, 110, 320
        ).astype(single),
        qtc_ms=np.clip(normal(412, 17) + 9 * ~male + 0.4 * electrical, 340, 540).astype(single),
        p_gain=np.exp(normal(0, 0.25)).astype(single),
        pvc_fraction=np.where(
            happens(0.05 + 0.004 * electrical), np.clip(rng.gamma(1.3, 0.07, n), 0.02, 0.35), 0
        ).astype(single),
        pvc_origin=choose(np.tile(np.log([0.4, 0.2, 0.2, 0.2]), (n, 1))),
        chest_depth_gain=np.exp(normal(0, 0.07) + 0.006 * (bmi - 27)).astype(single),
        echo=echo,
    )
