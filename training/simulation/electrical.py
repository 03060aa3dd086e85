"""The electrical heart of virtual patients: scar, conduction, rhythm, repolarisation, voltages.

Drawn from age, sex, build, disease and a latent severity, never from an echo measure: the echo
follows from what the ECG shows, for virtual and real ECGs alike. Shares of findings are rounded
from PTB-XL (Wagner et al., Sci Data 2020;7:154); see docs/simulated-cohort.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

PHENOTYPE = ("normal", "hypertensive", "ischaemic", "dilated", "preserved_hf")
CONDUCTION = ("normal", "lbbb", "rbbb", "ivcd", "lafb", "paced", "bifascicular")
# Of right bundle branch blocks, how many have a left anterior fascicular block too: five of nine in
# PTB-XL, folds 1 to 8; fewer here, since nine are few.
BIFASCICULAR_SHARE = 0.4
TERRITORY = ("none", "anterior", "inferior", "lateral")
PVC_ORIGIN = ("outflow tract", "right apex", "left lateral", "left inferior")
N_SEGMENTS = 22
"""Wall segments of the heart: 17 of the left ventricle, 5 of the right."""


@dataclass(frozen=True)
class ElectricalHeart:
    """What the ECG generator reads of n hearts; arrays of shape (n,) unless stated.

    Attributes
    ----------
    scar_territory : int64
        Index into TERRITORY.
    scar_fraction : float32
        Part of the left ventricular wall within the border of the scar, 0-0.5.
    scar_depth : float32
        Part of the wall's thickness that is lost there, 0-1; small is a non-Q infarction.
    scar_shift_deg : float32
        (n, 2): how far the scar lies from the centre of its territory, towards the base and
        round the long axis.
    scar_st_mv : float32
        Injury current of the infarct: 0 in most old ones, large in acute ones and aneurysms.
    scar_t_loss : float32
        Loss of the ventricular gradient in and round the scar; above 1 the T wave inverts.
    ischaemia, st_t_severity : float32
        Ischaemic and unspecific repolarisation change, 0 (none) to about 1.
    st_t_centre : float32
        (n, 3): unit vector from the heart's centre to the wall that changes most.
    mass_gain : float32
        Electrically visible left ventricular mass over normal, about 0.6-2.5.
    strain : float32
        How strongly mass shows as ST depression and T inversion, 0-2.
    conduction : int64
        Index into CONDUCTION; bifascicular is right bundle branch and left anterior fascicle.
    conduction_time_gain : float32
        Duration of ventricular activation over normal.
    right_delay, left_delay : float32
        Degree of a bundle branch block, 1 in a complete one; between 0 and 1 it is incomplete.
    segment_area_gain, segment_delay_ms, segment_gradient_gain : float32
        (n, N_SEGMENTS): how a heart's segments differ from the mean heart's in depolarisation
        (factor), activation time (ms) and ventricular gradient (factor).
    voltage_gain : float32
        Amplitude over normal (habitus, fluid, lung, infiltration).
    axis_frontal_deg, axis_horizontal_deg, axis_roll_deg : float32
        Rotation of the heart in the chest against the mean position, degrees.
    electrode_shift_cm : float32
        (n, 6, 3): how far V1-V6 are from their place, left, down and back.
    chest_depth_gain : float32
        Distance of the chest electrodes from the heart over normal.
    heart_rate_bpm, pr_ms, qtc_ms : float32
        Rate in beats per minute, PR and rate-corrected QT interval in ms.
    t_gain, t_width_gain : float32
        Amplitude and duration of the T wave over normal.
    early_repolarisation_mv : float32
        J point elevation over the apex and the lateral wall.
    rr_spread : float32
        SD of RR over its mean: of atrial fibrillation, or of respiratory sinus arrhythmia.
    af, flutter : bool
        Atrial fibrillation or flutter; flutter.
    fibrillation_mv, fibrillation_hz : float32
        Size of the atrial waves in V1, from invisible to coarse, and their rate.
    p_gain, p_width_gain, left_atrial_gain : float32
        Amplitude and duration of the P wave, and amplitude of its left part, over normal.
    p_axis_deg : float32
        Rotation of the P wave in the frontal plane.
    pvc_fraction, pac_fraction : float32
        Part of the beats that are premature ventricular (0-0.5) and atrial (0-0.4) beats.
    bigeminy : bool
        Premature beats alternate with normal ones.
    pvc_origin : int64
        Index into PVC_ORIGIN.
    """

    scar_territory: IntArray
    scar_fraction: FloatArray
    scar_depth: FloatArray
    scar_shift_deg: FloatArray
    scar_st_mv: FloatArray
    scar_t_loss: FloatArray
    ischaemia: FloatArray
    st_t_severity: FloatArray
    st_t_centre: FloatArray
    mass_gain: FloatArray
    strain: FloatArray
    conduction: IntArray
    conduction_time_gain: FloatArray
    right_delay: FloatArray
    left_delay: FloatArray
    segment_area_gain: FloatArray
    segment_delay_ms: FloatArray
    segment_gradient_gain: FloatArray
    voltage_gain: FloatArray
    axis_frontal_deg: FloatArray
    axis_horizontal_deg: FloatArray
    axis_roll_deg: FloatArray
    electrode_shift_cm: FloatArray
    chest_depth_gain: FloatArray
    heart_rate_bpm: FloatArray
    pr_ms: FloatArray
    qtc_ms: FloatArray
    t_gain: FloatArray
    t_width_gain: FloatArray
    early_repolarisation_mv: FloatArray
    rr_spread: FloatArray
    af: BoolArray
    flutter: BoolArray
    fibrillation_mv: FloatArray
    fibrillation_hz: FloatArray
    p_gain: FloatArray
    p_width_gain: FloatArray
    left_atrial_gain: FloatArray
    p_axis_deg: FloatArray
    pvc_fraction: FloatArray
    pac_fraction: FloatArray
    bigeminy: BoolArray
    pvc_origin: IntArray

    def attributes(self) -> dict[str, Any]:
        """Return the arrays of the electrical heart by name."""
        return {f.name: getattr(self, f.name) for f in fields(ElectricalHeart)}


def sample_electrical(
    age_y: NDArray[np.floating],
    male: BoolArray,
    bmi: NDArray[np.floating],
    phenotype: IntArray,
    severity: NDArray[np.floating],
    rng: np.random.Generator,
) -> ElectricalHeart:
    """Draw the electrical heart of n patients.

    Parameters
    ----------
    age_y, male, bmi
        (n,) age in years, sex and body mass index in kg/m2.
    phenotype
        (n,) index into PHENOTYPE.
    severity
        (n,) how far ventricular disease shows in conduction, rhythm and repolarisation, from 0
        (not at all) to 1.
    rng
        Source of randomness.
    """
    n = len(age_y)
    decades = (np.asarray(age_y, np.float64) - 60) / 10
    severity = np.asarray(severity, np.float64)

    def normal(mean: float = 0.0, sd: float = 1.0, *shape: int) -> NDArray[np.float64]:
        return mean + sd * rng.standard_normal((n, *shape))

    def happens(probability: float | NDArray[np.float64]) -> BoolArray:
        return rng.random(n) < probability

    def choose(logits: NDArray[np.float64]) -> IntArray:
        return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)

    hypertensive, ischaemic, dilated, preserved_hf = (
        phenotype == PHENOTYPE.index(name) for name in PHENOTYPE[1:]
    )

    # Conduction follows disease, fibrosis and age.
    conduction = choose(
        np.stack(
            [
                np.full(n, 3.6),
                -0.3 + 0.25 * decades + 1.0 * dilated + 3.0 * severity,
                0.3 + 0.35 * decades + 0.25 * male,
                0.2 + 0.10 * decades + 1.8 * severity,
                1.1 + 0.30 * decades + 0.54 * severity,
                -0.6 + 0.50 * decades + 1.44 * severity,
            ],
            axis=1,
        )
    )
    lbbb, rbbb, ivcd, paced = (
        conduction == CONDUCTION.index(c) for c in ("lbbb", "rbbb", "ivcd", "paced")
    )
    # From a stream of its own: the other draws stay what they were.
    bifascicular = rbbb & (rng.spawn(1)[0].random(n) < BIFASCICULAR_SHARE)
    conduction = np.where(bifascicular, CONDUCTION.index("bifascicular"), conduction)
    # Incomplete blocks: the right one is common and harmless, the left one counts as a delay.
    right_delay = np.where(happens(0.10), rng.uniform(0.2, 0.55, n), rng.beta(1, 8, n) * 0.3)
    right_delay = np.where(rbbb, rng.uniform(0.9, 1.6, n), right_delay)
    left_delay = np.where(lbbb, rng.uniform(0.8, 1.0, n), 0.0)
    left_delay = np.where(ivcd & happens(0.3), rng.uniform(0.3, 0.6, n), left_delay)

    af = happens(
        1 / (1 + np.exp(2.9 - 0.6 * decades - 0.8 * preserved_hf - 0.54 * severity - 0.25 * male))
    )
    heart_rate = np.where(af, normal(84, 20), np.exp(normal(np.log(74), 0.19))) + 14 * severity
    heart_rate = np.where(paced, np.maximum(heart_rate, 60), heart_rate)
    sinus_arrhythmia = 0.030 * np.exp(normal(0, 0.7) - 0.18 * decades)
    ectopy = happens(0.05 + 0.18 * severity)
    bigeminy = ectopy & happens(0.12)
    pvc = np.clip(rng.gamma(1.3, 0.07, n), 0.02, 0.35)
    premature_atrial = happens(0.07 + 0.02 * np.clip(decades, 0, 3)) & ~af & ~paced
    axis = normal(-2, 10) - 7 * decades - 0.6 * (bmi - 27) - 6 * (phenotype > 0)
    # Infarcts: some acute or recent, most old; few outside known ischaemic disease.
    infarcted = happens(np.where(ischaemic, 0.90, 0.02))
    territory = np.where(infarcted, 1 + choose(np.tile(np.log([0.46, 0.38, 0.16]), (n, 1))), 0)
    stage = choose(np.tile(np.log([0.07, 0.15, 0.78]), (n, 1)))
    scar_fraction = 0.02 + rng.beta(1.4, 3.2, n) * np.array([0.0, 0.70, 0.45, 0.40])[territory]
    aneurysm = happens(0.12) * rng.uniform(0.05, 0.15, n)
    scar_st = np.choose(stage, [rng.uniform(0.08, 0.40, n), rng.uniform(0, 0.10, n), aneurysm])
    scar_t_loss = np.choose(
        stage, [rng.uniform(-0.5, 0.6, n), rng.uniform(0.6, 1.8, n), rng.uniform(-0.2, 1.1, n)]
    )
    mass = np.exp(
        normal(0, 0.16)
        + hypertensive * np.clip(normal(0.22, 0.18), 0, 0.7)
        + 0.10 * preserved_hf
        + 0.15 * severity
        + 0.02 * decades
    )
    shift = normal(0, 0.9, 6, 3) * np.array([1.0, 0.8, 0.3])
    shift += normal(0, 1, 1, 3) * np.array([0.8, 1.6, 0.3])  # the whole row too high or low
    # Drugs, electrolytes, load and ischaemia flatten T waves, mostly of the lateral wall.
    st_t = happens(np.where(phenotype > 0, 0.34, 0.07)) * rng.uniform(0.2, 1.0, n)
    st_t += af * happens(0.6) * rng.uniform(0.2, 0.9, n)
    st_t_centre = np.array([1.0, 0.25, 0.0]) + normal(0, 0.5, 3)
    floats: dict[str, NDArray[np.float64]] = {
        "scar_fraction": np.where(infarcted, scar_fraction, 0),
        "scar_depth": np.where(infarcted, rng.beta(3.5, 1.0, n), 0),
        "scar_shift_deg": normal(0, 1, 2) * np.array([12.0, 18.0]),
        "scar_st_mv": np.where(infarcted, scar_st, 0),
        "scar_t_loss": np.where(infarcted, scar_t_loss, 0),
        "ischaemia": np.where(ischaemic, rng.beta(1.2, 2.0, n), rng.beta(1, 14, n)),
        "st_t_severity": np.clip(st_t + 0.7 * severity + normal(0, 0.04), 0, 1.5),
        "st_t_centre": st_t_centre / np.linalg.norm(st_t_centre, axis=1, keepdims=True),
        "mass_gain": np.clip(mass, 0.6, 2.5),
        "strain": rng.gamma(1.5, 0.55, n).clip(0, 2),
        "conduction_time_gain": np.clip(
            np.exp(normal(-0.11, 0.09) + 0.36 * severity + 0.03 * male)
            * np.where(ivcd & (left_delay == 0), np.exp(normal(0.30, 0.08)), 1),
            0.75,
            1.8,
        ),
        "right_delay": right_delay,
        "left_delay": left_delay,
        "segment_area_gain": np.exp(normal(0, 0.25, N_SEGMENTS)),
        "segment_delay_ms": normal(0, 3.5, N_SEGMENTS),
        "segment_gradient_gain": 1 + normal(0, 0.2, N_SEGMENTS),
        "voltage_gain": np.clip(
            np.exp(normal(0.10, 0.24) - 0.02 * (bmi - 27) - 0.04 * decades - 0.27 * severity)
            * np.where(happens(0.02), 0.6, 1),
            0.25,
            2.4,
        ),
        "axis_frontal_deg": axis,
        "axis_horizontal_deg": normal(0, 18),
        "axis_roll_deg": normal(0, 9),
        "electrode_shift_cm": shift,
        "chest_depth_gain": np.exp(normal(0, 0.07) + 0.006 * (bmi - 27)),
        "heart_rate_bpm": np.clip(heart_rate, 40, 170),
        "pr_ms": np.clip(
            normal(151, 23) + 6 * decades + 12 * lbbb + 13 * severity + 35 * happens(0.025),
            105,
            340,
        ),
        "qtc_ms": np.clip(normal(376, 17) + 9 * ~male + 32 * severity, 310, 520),
        "t_gain": np.exp(normal(-0.05, 0.22) - 0.04 * decades),
        "t_width_gain": np.exp(normal(0, 0.12)),
        "early_repolarisation_mv": np.clip(
            0.02 * male + np.abs(normal(0, 0.015)) + happens(0.05) * rng.uniform(0.02, 0.15, n),
            0,
            1,
        )
        * np.clip(1 - 0.12 * decades, 0.2, 1.6),
        "rr_spread": np.where(af, rng.uniform(0.07, 0.30, n), np.clip(sinus_arrhythmia, 0, 0.18)),
        "fibrillation_mv": np.exp(normal(np.log(0.035), 0.85)).clip(0.002, 0.2),
        "fibrillation_hz": rng.uniform(4.5, 8.5, n),
        "p_gain": np.exp(normal(0, 0.38)) * np.where(happens(0.05), 0.3, 1),
        "p_width_gain": np.exp(normal(0, 0.12) + 0.02 * decades),
        "left_atrial_gain": np.exp(
            normal(0, 0.3) + 0.2 * preserved_hf + 0.1 * hypertensive + 0.3 * severity
        ),
        "p_axis_deg": normal(-22, 13),
        "pvc_fraction": np.where(bigeminy, 0.5, np.where(ectopy, pvc, 0)),
        "pac_fraction": np.where(premature_atrial, rng.beta(1.2, 6, n).clip(0.03, 0.4), 0),
    }
    return ElectricalHeart(
        scar_territory=territory,
        conduction=conduction,
        af=af,
        flutter=af & happens(0.10),
        bigeminy=bigeminy,
        pvc_origin=choose(np.tile(np.log([0.4, 0.2, 0.2, 0.2]), (n, 1))),
        **{name: value.astype(np.float32) for name, value in floats.items()},
    )
