"""Simulated echo outcomes for ECGs of which only the findings are known.

No waveform paired with a real echo measurement is freely redistributable. For a real ECG
(PTB-XL, Wagner et al., Sci Data 2020;7:154) an echo outcome is therefore drawn from a
conditional distribution p(measures | findings, age, sex). Its directions and sizes come from
regressions on the MUSIC study (992 patients with heart failure) and from published tables; its
level is shifted from a heart failure clinic to the mix of patients that a general ECG service
sees. What findings cannot tell stays in as spread.

LVEF is a mixture of two normal distributions, preserved and reduced function. The findings move
the probability of reduced function (logit) and both means; a plain regression would miss the
heavy lower tail. LVEDV is log-normal given LVEF, sex and findings; LVESV follows from both.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from training.simulation.measures import EchoMeasures, echo_from_lvef_and_lvedv
from training.simulation.patients import CONDUCTION, TERRITORY, Patients

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class EcgFindings:
    """What a reader states about n ECGs; arrays of shape (n,).

    ``st_t`` holds nonspecific ST-T changes, ``ischaemic_st_t`` those read as ischaemia, injury,
    aneurysm or strain. ``normal`` is the statement "normal ECG", not the absence of the others.
    """

    age_y: FloatArray
    male: BoolArray
    normal: BoolArray
    lbbb: BoolArray
    rbbb: BoolArray
    ivcd: BoolArray
    lafb: BoolArray
    paced: BoolArray
    af: BoolArray
    mi_anterior: BoolArray
    mi_inferior: BoolArray
    mi_lateral: BoolArray
    q_waves: BoolArray
    lvh: BoolArray
    st_t: BoolArray
    ischaemic_st_t: BoolArray
    av_block: BoolArray
    low_voltage: BoolArray
    pvc: BoolArray
    tachycardia: BoolArray

    def __len__(self) -> int:
        return len(self.age_y)

    def take(self, index: NDArray[np.intp] | Sequence[int] | slice) -> EcgFindings:
        """Return the findings of the ECGs at ``index`` (indices, mask or slice)."""
        return EcgFindings(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


# SCP-ECG statements (PTB-XL spelling) that count as each finding. Incomplete left bundle branch
# block counts as unspecific delay, voltage alone (VCLVH) not as hypertrophy.
SCP_CODES: dict[str, frozenset[str]] = {
    "normal": frozenset({"NORM"}),
    "lbbb": frozenset({"CLBBB"}),
    "rbbb": frozenset({"CRBBB"}),
    "ivcd": frozenset({"IVCD", "ILBBB"}),
    "lafb": frozenset({"LAFB"}),
    "paced": frozenset({"PACE"}),
    "af": frozenset({"AFIB", "AFLT"}),
    "mi_anterior": frozenset({"AMI", "ASMI", "ALMI"}),
    "mi_inferior": frozenset({"IMI", "ILMI", "IPMI", "IPLMI"}),
    "mi_lateral": frozenset({"LMI", "ALMI", "ILMI", "IPLMI", "PMI"}),
    "q_waves": frozenset({"QWAVE"}),
    "lvh": frozenset({"LVH", "SEHYP"}),
    "st_t": frozenset({"NDT", "NST_", "STD_", "DIG", "INVT", "TAB_", "LNGQT", "EL"}),
    "ischaemic_st_t": frozenset(
        {"ISC_", "ISCAL", "ISCAN", "ISCAS", "ISCIL", "ISCIN", "ISCLA", "ANEUR"}
        | {"INJAS", "INJAL", "INJIN", "INJIL", "INJLA"}
    ),
    "av_block": frozenset({"1AVB", "LPR", "2AVB", "3AVB"}),
    "low_voltage": frozenset({"LVOLT"}),
    "pvc": frozenset({"PVC", "BIGU", "TRIGU"}),
    "tachycardia": frozenset({"STACH", "SVTAC", "PSVT"}),
}
MIN_LIKELIHOOD_PCT = 50.0


def findings_from_ptbxl(rows: Sequence[Mapping[str, str]]) -> EcgFindings:
    """Read the findings from rows of ``ptbxl_database.csv``.

    Parameters
    ----------
    rows
        One mapping of column name to text per ECG, as ``csv.DictReader`` gives them. Used are
        ``ecg_id``, ``age`` (years; 300 stands for more than 89 and is read as 92), ``sex``
        (0 male, 1 female), ``scp_codes`` and, where present, ``pacemaker``.

    Notes
    -----
    ``scp_codes`` maps statements to a likelihood in percent. A likelihood of 0 means that none
    was given: the statement counts. Statements below 50 % do not count.

    Raises
    ------
    ValueError
        If a row holds no statements: nothing is known about that ECG.
    """
    stated = [_stated_codes(row) for row in rows]
    age = np.array([float(row["age"]) for row in rows], np.float32)
    flags = {
        name: np.array([not codes.isdisjoint(wanted) for codes in stated], bool)
        for name, wanted in SCP_CODES.items()
    }
    flags["paced"] |= np.array([bool(row.get("pacemaker", "").strip()) for row in rows], bool)
    return EcgFindings(
        age_y=np.where(age > 89, np.float32(92), age),
        male=np.array([float(row["sex"]) == 0 for row in rows], bool),
        **flags,
    )


def _stated_codes(row: Mapping[str, str]) -> set[str]:
    text = row["scp_codes"].strip()
    if not text:
        raise ValueError(f"PTB-XL row {row.get('ecg_id', '?')} holds no statements (scp_codes).")
    likelihoods: dict[str, float] = ast.literal_eval(text)
    return {code for code, pct in likelihoods.items() if pct == 0 or pct >= MIN_LIKELIHOOD_PCT}


def findings_of_patients(patients: Patients) -> EcgFindings:
    """Return what a perfect reader would state about the ECGs of simulated patients."""
    p = patients
    conduction = {name: p.conduction == i for i, name in enumerate(CONDUCTION)}
    wide = conduction["lbbb"] | conduction["paced"]
    # Scars below about a twentieth of the wall leave no readable Q wave; wide beats hide them.
    infarct = (p.scar_fraction > 0.05) & ~wide
    # Voltage is what a reader sees of mass.
    lvh = (p.mass_gain * p.voltage_gain > 1.6) & (p.mass_gain > 1.2) & ~wide
    ischaemic = (p.ischaemia > 0.35) & ~wide
    st_t = (p.st_t_severity > 0.4) & ~wide & ~ischaemic
    tachycardia = (p.heart_rate_bpm > 100) & ~p.af
    pvc = p.pvc_fraction > 0.04
    av_block = (p.pr_ms > 200) & ~p.af & ~conduction["paced"]
    low_voltage = p.voltage_gain < 0.55
    abnormal = (
        wide | conduction["rbbb"] | conduction["ivcd"] | conduction["lafb"] | p.af | infarct
    ) | (lvh | st_t | ischaemic | av_block | low_voltage | pvc | tachycardia)
    return EcgFindings(
        age_y=p.age_y,
        male=p.male,
        normal=~abnormal,
        lbbb=conduction["lbbb"],
        rbbb=conduction["rbbb"],
        ivcd=conduction["ivcd"],
        lafb=conduction["lafb"],
        paced=conduction["paced"],
        af=p.af,
        mi_anterior=infarct & (p.scar_territory == TERRITORY.index("anterior")),
        mi_inferior=infarct & (p.scar_territory == TERRITORY.index("inferior")),
        mi_lateral=infarct & (p.scar_territory == TERRITORY.index("lateral")),
        q_waves=np.zeros(len(p), bool),
        lvh=lvh,
        st_t=st_t,
        ischaemic_st_t=ischaemic,
        av_block=av_block,
        low_voltage=low_voltage,
        pvc=pvc,
        tachycardia=tachycardia,
    )


@dataclass(frozen=True)
class Effect:
    """How one finding moves the outcome distribution.

    Attributes
    ----------
    reduced_logit
        Change of the log odds of reduced systolic function.
    preserved_pct, reduced_pct
        Change of the mean LVEF within preserved and reduced function, percentage points.
    log_lvedv
        Change of log LVEDV at equal LVEF.
    wall_mm
        Change of wall thickness, mm.
    log_la
        Change of log left atrial volume.
    """

    reduced_logit: float = 0.0
    preserved_pct: float = 0.0
    reduced_pct: float = 0.0
    log_lvedv: float = 0.0
    wall_mm: float = 0.0
    log_la: float = 0.0


# Sources. MUSIC = regression on 988 patients of the MUSIC study, unpaced and paced (ODbL): LVEF
# -0.12 / ms QRS, LBBB -3.8, RBBB +6.1, Q -4.8, LVH +4.1, male -6.0; LVEDD mm: QRS +0.12 / ms,
# male +5.9, Q +1.9, RBBB -3.2, AF +0.9; LA mm: AF +7.3; septum mm: LVH +1.4, RBBB +1.2. A block
# adds about 45 ms of QRS, so that LBBB stands for -9 LVEF points and +6.8 mm, RBBB for about +1.
# Diameters become log volumes by 3 * d ln D, damped by a quarter.
# The logits are set so that P(LVEF < 40 %) by finding meets the tables named on each line.
EFFECTS: dict[str, Effect] = {
    # CASS, 4,034 normal ECGs: LVEF <= 35 in 0.6 %; 586 referred: LVEF <= 35 in 3.6 %.
    "normal": Effect(reduced_logit=-0.6, preserved_pct=1.0),
    # MUSIC LBBB 31.6 v 40.3; 300 LBBB: LVEF 36 +- 16 below QRS 170 ms, 24 +- 10 above.
    "lbbb": Effect(2.2, -5.0, -4.0, 0.10, 0.0, 0.06),
    # MUSIC: net of QRS duration about +1 point; Z-Alizadeh 44.4 v 47.7.
    "rbbb": Effect(0.1, -0.5, 1.0, -0.04, 0.4, 0.04),
    # MUSIC QRS slope at +25 ms: -3 points; MUSIC other delay 15.6 % at LVEF <= 25.
    "ivcd": Effect(1.0, -2.0, -1.5, 0.08, 0.2, 0.04),
    # Left axis within LBBB -3.3 points (PMC6196157); MUSIC even across LVEF bands.
    "lafb": Effect(0.3, -0.5, 0.0, 0.02, 0.3, 0.03),
    # MUSIC paced -1.0 point beyond its wide QRS; LVEDD -2.5 mm.
    "paced": Effect(1.6, -3.0, -1.0, 0.02, 0.3, 0.15),
    # MUSIC +2.3 points within heart failure, where AF marks preserved LVEF; LA +7.3 mm.
    "af": Effect(0.8, -2.0, 1.0, 0.03, 0.3, 0.45),
    # MUSIC Q -4.8; Z-Alizadeh Q 37.2 v 47.8; poor R in V1-V3 strongest (PMC7483599).
    "mi_anterior": Effect(1.8, -4.0, -1.5, 0.10, -0.2, 0.06),
    # Same tables; inferior scars are smaller and cost less function.
    "mi_inferior": Effect(1.1, -3.0, 0.0, 0.06, 0.0, 0.04),
    "mi_lateral": Effect(1.0, -2.5, -0.5, 0.07, 0.0, 0.04),
    "q_waves": Effect(0.6, -1.5, 0.0, 0.03),
    # UCI LVH 68.6 v normal 66.7; MUSIC LVH septum +1.4 mm, LV mass index +24 g/m2.
    "lvh": Effect(0.3, 0.5, 2.0, 0.05, 2.2, 0.10),
    # UCI ST-T 62.5 v 66.7; Mayo 61 v 63, 85 % v 95 % normal.
    "st_t": Effect(0.6, -1.5, 0.0, 0.02, 0.4, 0.05),
    # Z-Alizadeh ST elevation 37.9 v 47.7, T inversion 45.6 v 47.9; STEMI 52.4 +- 9.5.
    "ischaemic_st_t": Effect(1.0, -2.5, 0.0, 0.03, 0.6, 0.06),
    # MUSIC PR 183 ms at LVEF <= 25 v 173 above 55.
    "av_block": Effect(0.3, -0.5, 0.0, 0.02, 0.2, 0.08),
    "low_voltage": Effect(0.5, -0.5, 0.0, 0.0, 0.3, 0.0),
    "pvc": Effect(0.6, -1.0, 0.0, 0.04, 0.1, 0.03),
    # MUSIC heart rate -0.12 points / bpm.
    "tachycardia": Effect(0.8, -2.0, 0.0, -0.03, 0.0, 0.0),
    # MUSIC male -6.0 points; UK and US echo registries: low LVEF about twice as frequent in men.
    "male": Effect(reduced_logit=0.6),
}

BASE_REDUCED_LOGIT = -3.3  # woman of 60 y without any statement of note
REDUCED_LOGIT_PER_DECADE = 0.10
# ASE/EACVI 2015 (Lang et al., JASE 2015;28:1): LVEF men 62 +- 5, women 64 +- 5 %.
PRESERVED_LVEF_PCT = {"male": 60.0, "female": 62.0}
PRESERVED_SD_PCT = 5.5
# Patients with reduced LVEF in echo registries centre at 30-35 %; MUSIC SD about 12 over all.
REDUCED_LVEF_PCT = 34.0
REDUCED_SD_PCT = 8.5
READER_SD_PCT = 3.0  # between readers of biplane LVEF
# ASE/EACVI 2015: LVEDV men 62-150 (106 +- 22), women 46-106 (76 +- 15) ml; clinic mean 115 ml at
# LVEF 59 % (PanEcho). MUSIC LVEDD 49 mm above LVEF 55 %, 68 mm below 25 %: +2 % a point.
NORMAL_LVEDV_ML = {"male": 98.0, "female": 72.0}
LOG_LVEDV_SD = 0.19
LOG_LVEDV_PER_LOST_POINT = 0.018
LOST_BELOW_PCT = 58.0
# NORRE and the Korean normal values: volumes fall with age.
LOG_LVEDV_PER_DECADE = -0.035
# ASE/EACVI 2015: wall 6-10 mm (men), 6-9 mm (women); LA 16-34 ml/m2; clinic mean LA 60 ml.
NORMAL_WALL_MM = {"male": 9.4, "female": 8.5}
WALL_SD_MM = 1.3
NORMAL_LA_ML = {"male": 50.0, "female": 43.0}
LOG_LA_SD = 0.25
LVEF_LIMITS_PCT = (8.0, 80.0)


@dataclass(frozen=True)
class OutcomeDistribution:
    """Parameters of p(measures | findings); arrays of shape (n,), float64."""

    p_reduced: NDArray[np.float64]
    preserved_pct: NDArray[np.float64]
    reduced_pct: NDArray[np.float64]
    log_lvedv: NDArray[np.float64]
    wall_mm: NDArray[np.float64]
    log_la: NDArray[np.float64]


def _total(findings: EcgFindings, part: str) -> NDArray[np.float64]:
    total = np.zeros(len(findings))
    for name, effect in EFFECTS.items():
        total += getattr(findings, name) * getattr(effect, part)
    return total


def outcome_distribution(findings: EcgFindings) -> OutcomeDistribution:
    """Return the parameters of the outcome distribution of each ECG."""
    decades = (findings.age_y.astype(np.float64) - 60) / 10

    def by_sex(values: Mapping[str, float]) -> NDArray[np.float64]:
        return np.where(findings.male, values["male"], values["female"])

    logit = BASE_REDUCED_LOGIT + REDUCED_LOGIT_PER_DECADE * decades
    logit = logit + _total(findings, "reduced_logit")
    return OutcomeDistribution(
        p_reduced=1 / (1 + np.exp(-logit)),
        preserved_pct=by_sex(PRESERVED_LVEF_PCT) + _total(findings, "preserved_pct"),
        reduced_pct=REDUCED_LVEF_PCT + _total(findings, "reduced_pct"),
        log_lvedv=np.log(by_sex(NORMAL_LVEDV_ML))
        + LOG_LVEDV_PER_DECADE * decades
        + _total(findings, "log_lvedv"),
        wall_mm=by_sex(NORMAL_WALL_MM) + 0.2 * decades + _total(findings, "wall_mm"),
        log_la=np.log(by_sex(NORMAL_LA_ML)) + 0.03 * decades + _total(findings, "log_la"),
    )


def _log_lvedv_given_lvef(
    log_lvedv: NDArray[np.float64], lvef_pct: NDArray[np.float64]
) -> NDArray[np.float64]:
    lost = np.maximum(LOST_BELOW_PCT - lvef_pct, 0)
    return log_lvedv + LOG_LVEDV_PER_LOST_POINT * lost


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
    d = outcome_distribution(findings)
    n = len(findings)
    reduced = rng.random(n) < d.p_reduced
    mean = np.where(reduced, d.reduced_pct, d.preserved_pct)
    sd = np.hypot(np.where(reduced, REDUCED_SD_PCT, PRESERVED_SD_PCT), READER_SD_PCT)
    lvef = np.clip(mean + sd * rng.standard_normal(n), *LVEF_LIMITS_PCT)
    noise = rng.standard_normal((3, n))
    lvedv = np.exp(_log_lvedv_given_lvef(d.log_lvedv, lvef) + LOG_LVEDV_SD * noise[0])
    lost = np.maximum(LOST_BELOW_PCT - lvef, 0)
    # MUSIC: septum 14.3 mm above LVEF 55 %, 10.5 mm below 25 %; LA 45.4 v 47.5 mm.
    wall = d.wall_mm - 0.02 * lost + WALL_SD_MM * noise[1]
    la = np.exp(d.log_la + 0.007 * lost + LOG_LA_SD * noise[2])
    return echo_from_lvef_and_lvedv(lvef, lvedv, wall, la)


def oracle(findings: EcgFindings) -> dict[str, FloatArray]:
    """Return what a perfect model of :func:`draw_outcomes` would estimate.

    Computed from the distributions by quadrature, not by draws.

    Returns
    -------
    dict
        ``lvef_pct``, ``lvedv_ml``, ``lvesv_ml``: conditional means, (n,) float32, best under
        squared error; the same keys with ``_median``: best under absolute error;
        ``p_lvef_below_40``: probability of LVEF < 40 %.
    """
    d = outcome_distribution(findings)
    edges = np.linspace(*LVEF_LIMITS_PCT, 145)
    grid = (edges[:-1] + edges[1:]) / 2
    parts = []
    for mean, spread in ((d.preserved_pct, PRESERVED_SD_PCT), (d.reduced_pct, REDUCED_SD_PCT)):
        cdf = _normal_cdf((edges - mean[:, None]) / np.hypot(spread, READER_SD_PCT))
        cdf[:, 0], cdf[:, -1] = 0.0, 1.0  # values beyond the limits are moved to the limits
        parts.append(np.diff(cdf, axis=1))
    p = d.p_reduced[:, None]
    weight = (1 - p) * parts[0] + p * parts[1]  # (n, grid)
    log_lvedv = _log_lvedv_given_lvef(d.log_lvedv[:, None], grid)
    log_lvesv = log_lvedv + np.log1p(-grid / 100)
    lift = np.exp(LOG_LVEDV_SD**2 / 2)  # mean of a log-normal over its median
    values = {
        "lvef_pct": weight @ grid,
        "lvedv_ml": (weight * np.exp(log_lvedv)).sum(1) * lift,
        "lvesv_ml": (weight * np.exp(log_lvesv)).sum(1) * lift,
        "lvef_pct_median": _quantile_of_grid(weight, edges),
        "lvedv_ml_median": _median_of_lognormals(weight, log_lvedv),
        "lvesv_ml_median": _median_of_lognormals(weight, log_lvesv),
        "p_lvef_below_40": weight[:, grid < 40].sum(1),
    }
    return {key: value.astype(np.float32) for key, value in values.items()}


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtr

    return ndtr(z)


def _quantile_of_grid(
    weight: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    cdf = np.cumsum(weight, axis=1)
    above = np.argmax(cdf >= 0.5, axis=1)
    rows = np.arange(len(weight))
    below = cdf[rows, above] - weight[rows, above]
    share = (0.5 - below) / weight[rows, above]
    return edges[above] + share * (edges[1] - edges[0])


def _median_of_lognormals(
    weight: NDArray[np.float64], log_centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    low, high = np.full(len(weight), np.log(5.0)), np.full(len(weight), np.log(600.0))
    for _ in range(24):  # bisection to better than 1e-6 in the logarithm
        middle = (low + high) / 2
        cdf = (weight * _normal_cdf((middle[:, None] - log_centre) / LOG_LVEDV_SD)).sum(1)
        low, high = np.where(cdf < 0.5, middle, low), np.where(cdf < 0.5, high, middle)
    return np.exp((low + high) / 2)
