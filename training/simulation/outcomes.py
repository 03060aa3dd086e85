"""Simulated echo outcomes of ECGs of which only findings and measurements are known.

No waveform paired with a real echo measurement is freely redistributable. For an ECG, real
(PTB-XL, Wagner et al., Sci Data 2020;7:154) or of a virtual patient, an echo outcome is therefore
drawn from one conditional distribution p(measures | findings, age, sex). It has two parts:

- patients with myocardial disease as in a heart failure clinic. Their measures follow the
  regressions on the MUSIC study (992 patients; ODbL 1.0) as they are, residual spread included;
- all others, whose ventricle is as in echo laboratories' patients without heart failure.

The findings move the odds of myocardial disease. What they cannot tell stays in as spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulation.findings import EcgFindings, findings_of_patients
from training.simulation.measures import EchoMeasures, echo_from_lvef_and_lvedv
from training.simulation.patients import Patients

FloatArray = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """Linear regression of an echo measure on ECG findings, age and sex.

    Attributes
    ----------
    intercept
        In the unit of the measure.
    coefficients
        By the names that :func:`regressors` gives.
    residual_sd
        In the unit of the measure.
    per_lvef_point
        Further change for each point by which LVEF lies above its own regression.
    sd_given_lvef
        What residual spread that leaves.
    """

    intercept: float
    coefficients: Mapping[str, float]
    residual_sd: float
    per_lvef_point: float = 0.0
    sd_given_lvef: float = 0.0

    def mean(self, findings: EcgFindings) -> Array:
        """Return the expected value for each ECG, (n,)."""
        known = regressors(findings)
        return self.intercept + sum(
            (slope * known[name] for name, slope in self.coefficients.items()),
            start=np.zeros(len(findings)),
        )

    def draw(self, findings: EcgFindings, lvef_above: Array, z: Array) -> Array:
        """Draw a value given how far LVEF lies above its regression; ``z`` is standard normal."""
        return self.mean(findings) + self.per_lvef_point * lvef_above + self.sd_given_lvef * z


def regressors(findings: EcgFindings) -> dict[str, Array]:
    """Values that the regressions on MUSIC take, (n,) each."""
    f = findings
    infarct = f.mi_anterior | f.mi_inferior | f.mi_lateral | f.q_waves
    values = {
        "qrs": f.qrs_ms,
        "lbbb": f.lbbb,
        "rbbb": f.rbbb,
        "af": f.af,
        "paced": f.paced,
        "q": infarct,
        "lvh": f.lvh,
        "hr": f.heart_rate_bpm,
        "qtc": f.qtc_ms,
        "age": f.age_y,
        "male": f.male,
    }
    return {name: value.astype(np.float64) for name, value in values.items()}


def _music(intercept: float, slopes: str, *spread: float) -> Regression:
    names = ("qrs", "lbbb", "rbbb", "af", "paced", "q", "lvh", "hr", "qtc", "age", "male")
    values = map(float, slopes.split())
    return Regression(intercept, dict(zip(names, values, strict=True)), *spread)


# Least squares on MUSIC 1.0.1: LVEF 988, LVEDD 984, left atrium 981, wall 972 patients. The wall
# is the thicker of septum and posterior wall. Columns: QRS ms, LBBB, RBBB, AF, paced, Q waves,
# ECG-LVH, heart rate bpm, QTc ms, age y, male.
MUSIC = {
    "lvef_pct": _music(
        49.992,
        "-0.1197 -3.8108 6.1259 2.2557 -0.9633 -4.7772 4.1108 -0.1188 0.0109 0.1634 -5.9605",
        12.61,
    ),
    "lvedd_mm": _music(
        53.746,
        "0.1218 1.315 -3.1871 0.8587 -2.4972 1.8631 -0.0428 0.0432 -0.0179 -0.1238 5.8577",
        *(9.10, -0.386, 7.69),
    ),
    "la_mm": _music(
        33.923,
        "0.0348 -0.1579 -0.005 7.2599 1.244 0.0271 -0.0934 0.0298 0.0043 0.0084 2.1237",
        *(7.27, -0.033, 7.24),
    ),
    "wall_mm": _music(
        7.504,
        "-0.0100 0.0950 1.2078 -0.1217 0.4512 -0.2714 1.4747 -0.0126 0.0087 0.0368 -0.1910",
        *(2.59, 0.082, 2.38),
    ),
}
# Diameter and volume. LVEDD 50.2 mm goes with 106 ml (men, ASE/EACVI 2015; Lang et al., JASE
# 2015;28:1), 45.0 with 80 (76 in women), 68 with some 230 ml as in resynchronisation trials. Left
# atrium: 41.3 mm with 59.8 ml (PanEcho, means of an echo laboratory).
LVEDV_POWER, LVEDV_AT = 2.55, (50.2, 106.0)
LA_POWER, LA_AT = 2.0, (41.3, 59.8)


def lvedv_of_diameter(lvedd_mm: Array) -> Array:
    """Left ventricular volume, ml, that goes with an end-diastolic diameter."""
    return LVEDV_AT[1] * (np.maximum(lvedd_mm, 25.0) / LVEDV_AT[0]) ** LVEDV_POWER


def la_volume_of_diameter(la_mm: Array) -> Array:
    """Left atrial volume, ml, that goes with an anteroposterior diameter."""
    return LA_AT[1] * (np.maximum(la_mm, 18.0) / LA_AT[0]) ** LA_POWER


@dataclass(frozen=True)
class Effect:
    """How one finding moves the outcome distribution.

    Attributes
    ----------
    disease_logit
        Change of the log odds of myocardial disease.
    lvef_pct
        Change of the mean LVEF without myocardial disease, percentage points.
    log_lvedv
        Change of log LVEDV without myocardial disease.
    log_wall
        Change of the log wall thickness without myocardial disease.
    log_la
        Change of log left atrial volume without myocardial disease.
    """

    disease_logit: float = 0.0
    lvef_pct: float = 0.0
    log_lvedv: float = 0.0
    log_wall: float = 0.0
    log_la: float = 0.0


# The log odds are set so that P(LVEF < 40 %) and the mean LVEF by finding follow the tables named
# on each line; within myocardial disease the regressions on MUSIC add to them.
EFFECTS: dict[str, Effect] = {
    # CASS, 4,034 normal ECGs: LVEF <= 35 in 0.6 %; 586 referred: LVEF <= 35 in 3.6 %.
    "normal": Effect(-0.70, 0.8, 0.0, -0.08, -0.04),
    # MUSIC LBBB 31.6 v 40.3; 300 LBBB: LVEF 36 +- 16 below QRS 170 ms, 24 +- 10 above.
    "lbbb": Effect(1.9, -4.0, 0.06, 0.0, 0.06),
    # Z-Alizadeh 44.4 v 47.7; heart failure with preserved LVEF: RBBB in 6-16 %.
    "rbbb": Effect(0.1, -0.5, -0.04, 0.04, 0.04),
    # MUSIC other delay 15.6 % at LVEF <= 25; QRS >= 120 ms in 31 % of the Swedish registry.
    "ivcd": Effect(1.1, -1.5, 0.04, 0.02, 0.04),
    # Left axis within LBBB -3.3 points (PMC6196157); MUSIC even across LVEF bands.
    "lafb": Effect(0.4, -0.5, 0.02, 0.03, 0.03),
    "paced": Effect(1.2, -2.0, 0.0, 0.03, 0.15),
    # Heart failure with preserved LVEF: AF in 12-46 %; MUSIC LA +7.3 mm.
    "af": Effect(1.0, -2.0, 0.03, 0.04, 0.45),
    # Z-Alizadeh Q 37.2 v 47.8; poor R in V1-V3 strongest (PMC7483599).
    "mi_anterior": Effect(1.8, -3.0, 0.05, 0.0, 0.06),
    # Same tables; inferior scars are smaller and cost less function.
    "mi_inferior": Effect(1.2, -2.0, 0.03, 0.0, 0.04),
    "mi_lateral": Effect(1.1, -2.0, 0.04, 0.0, 0.04),
    "q_waves": Effect(0.8, -1.0, 0.02),
    # UCI LVH 68.6 v normal 66.7; Cornell product and LV mass index r 0.26.
    "lvh": Effect(0.6, 0.5, 0.05, 0.20, 0.10),
    # UCI ST-T 62.5 v 66.7; Mayo 61 v 63, 85 % v 95 % normal.
    "st_t": Effect(0.8, -1.0, 0.02, 0.05, 0.05),
    # Z-Alizadeh ST elevation 37.9 v 47.7, T inversion 45.6 v 47.9; STEMI 52.4 +- 9.5.
    "ischaemic_st_t": Effect(1.4, -2.0, 0.03, 0.07, 0.06),
    # MUSIC PR 183 ms at LVEF <= 25 v 173 above 55.
    "av_block": Effect(0.4, -0.5, 0.02, 0.02, 0.08),
    "low_voltage": Effect(0.5, -0.5, 0.0, 0.03, 0.0),
    "pvc": Effect(0.8, -1.0, 0.04, 0.01, 0.03),
    "tachycardia": Effect(0.2, -1.0, -0.03, 0.0, 0.0),
    # UK and US echo registries: low LVEF about twice as frequent in men.
    "male": Effect(0.6, -2.0),
}
BASE_LOGIT = -2.92  # woman of 60 y without any statement, rate 70, QRS 90 ms, QTc 420 ms
LOGIT_PER_DECADE = 0.18
# Oregon and Los Angeles (PMC6264892): rate, QRS and QTc are raised together at LVEF <= 35 %;
# MUSIC LVEF -0.12 points a bpm and a ms of QRS.
LOGIT_PER_10_BPM = 0.18
LOGIT_PER_10_MS_QRS = 0.20
LOGIT_PER_10_MS_QTC = 0.06
# ASE/EACVI 2015: LVEF men 62 +- 5, women 64 +- 5 %; biplane LVEDV men 106 +- 22, women 76 +- 15.
LVEF_PCT, LVEF_SD_PCT = 63.0, 5.5
READER_SD_PCT = 3.0  # between readers of biplane LVEF
LVEDV_ML = {"male": 100.0, "female": 74.0}
LOG_LVEDV_SD = 0.19
LOG_LVEDV_PER_LOST_POINT = 0.018
LOST_BELOW_PCT = 58.0
# NORRE and the Korean normal values: volumes fall with age.
LOG_LVEDV_PER_DECADE = -0.035
# Echo laboratories (PanEcho): septum 10.7, posterior wall 10.3 mm, any hypertrophy in 48 %.
WALL_MM = {"male": 10.8, "female": 9.9}
LOG_WALL_SD = 0.20
LOG_WALL_PER_DECADE = 0.02
LA_ML = {"male": 52.0, "female": 45.0}
LOG_LA_SD = 0.25
LOG_LA_PER_DECADE = 0.03
N_REFERENCE_DRAWS = 2000
THRESHOLDS_PCT = (30, 40, 50)


def disease_probability(findings: EcgFindings) -> Array:
    """Probability of myocardial disease given the findings, (n,)."""
    f = findings
    logit = (
        BASE_LOGIT
        + LOGIT_PER_DECADE * _decades(f)
        + LOGIT_PER_10_BPM * (f.heart_rate_bpm.astype(np.float64) - 70) / 10
        + LOGIT_PER_10_MS_QRS * (f.qrs_ms.astype(np.float64) - 90) / 10
        + LOGIT_PER_10_MS_QTC * (f.qtc_ms.astype(np.float64) - 420) / 10
        + _total(f, "disease_logit")
    )
    return 1 / (1 + np.exp(-logit))


def draw_outcomes(findings: EcgFindings, rng: np.random.Generator) -> EchoMeasures:
    """Draw one echo outcome for each ECG, reader noise included.

    Parameters
    ----------
    findings
        Findings of n ECGs.
    rng
        Source of randomness; the same state gives the same outcomes.

    Returns
    -------
    EchoMeasures
        n simulated outcomes: plausible for the findings, not measured in these patients.
    """
    diseased = rng.random(len(findings)) < disease_probability(findings)
    sick, well = (
        draw(findings, rng.standard_normal((4, len(findings))))
        for draw in (draw_with_disease, draw_without_disease)
    )
    return echo_from_lvef_and_lvedv(
        *(np.where(diseased, ours, theirs) for ours, theirs in zip(sick, well, strict=True))
    )


def draw_echo(patients: Patients, rng: np.random.Generator) -> EchoMeasures:
    """Draw the echo of virtual patients from what a reader finds on their ECGs."""
    return draw_outcomes(findings_of_patients(patients), rng)


def draw_with_disease(findings: EcgFindings, z: Array) -> tuple[Array, Array, Array, Array]:
    """LVEF %, LVEDV ml, wall mm, left atrium ml of a heart failure clinic; ``z`` is (4, n)."""
    above = MUSIC["lvef_pct"].residual_sd * z[0]
    lvef = MUSIC["lvef_pct"].mean(findings) + above
    lvedd, la, wall = (
        MUSIC[name].draw(findings, above, z[i])
        for i, name in enumerate(("lvedd_mm", "la_mm", "wall_mm"), start=1)
    )
    return lvef, lvedv_of_diameter(lvedd), wall, la_volume_of_diameter(la)


def draw_without_disease(findings: EcgFindings, z: Array) -> tuple[Array, Array, Array, Array]:
    """Draw what :func:`draw_with_disease` draws, for patients without myocardial disease."""
    f, decades = findings, _decades(findings)

    def by_sex(values: Mapping[str, float]) -> Array:
        return np.log(np.where(f.male, values["male"], values["female"]))

    lvef = LVEF_PCT + _total(f, "lvef_pct") + np.hypot(LVEF_SD_PCT, READER_SD_PCT) * z[0]
    lost = np.maximum(LOST_BELOW_PCT - lvef, 0)
    log_lvedv = by_sex(LVEDV_ML) + LOG_LVEDV_PER_DECADE * decades + _total(f, "log_lvedv")
    log_lvedv = log_lvedv + LOG_LVEDV_PER_LOST_POINT * lost + LOG_LVEDV_SD * z[1]
    log_la = by_sex(LA_ML) + LOG_LA_PER_DECADE * decades + _total(f, "log_la") + LOG_LA_SD * z[2]
    log_wall = by_sex(WALL_MM) + LOG_WALL_PER_DECADE * decades + _total(f, "log_wall")
    return lvef, np.exp(log_lvedv), np.exp(log_wall + LOG_WALL_SD * z[3]), np.exp(log_la)


def oracle(findings: EcgFindings, seed: int) -> dict[str, FloatArray]:
    """Return what a perfect model of :func:`draw_outcomes` would estimate, found by many draws.

    Parameters
    ----------
    findings
        Findings of n ECGs.
    seed
        Of the draws. The error that they leave in the median of LVEF is below 0.3 points.

    Returns
    -------
    dict
        Medians under the names of `EchoMeasures`, best under absolute error, (n,) float32; the
        probability of an LVEF below 30, 40 and 50 % under ``lvef_below_30`` ...
    """
    draws = [
        draw_outcomes(findings, np.random.default_rng([seed, 5, number]))
        for number in range(N_REFERENCE_DRAWS)
    ]
    found: dict[str, Array] = {}
    for name in EchoMeasures.__dataclass_fields__:
        found[name] = np.median([getattr(draw, name) for draw in draws], axis=0)
    lvef = np.stack([draw.lvef_pct for draw in draws])
    for below in THRESHOLDS_PCT:
        found[f"lvef_below_{below}"] = (lvef < below).mean(0)
    return {name: values.astype(np.float32) for name, values in found.items()}


def _decades(findings: EcgFindings) -> Array:
    return (findings.age_y.astype(np.float64) - 60) / 10


def _total(findings: EcgFindings, part: str) -> Array:
    total = np.zeros(len(findings))
    for name, effect in EFFECTS.items():
        total += getattr(findings, name) * getattr(effect, part)
    return total
