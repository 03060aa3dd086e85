"""What a reader states and a ruler measures on an ECG, of PTB-XL and of virtual patients."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from training.simulation.heart import conducted_activation
from training.simulation.patients import CONDUCTION, TERRITORY, Patients

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class EcgFindings:
    """What is known of n ECGs; arrays of shape (n,).

    ``st_t`` holds nonspecific ST-T changes, ``ischaemic_st_t`` those read as ischaemia, injury,
    aneurysm or strain. ``normal`` is the statement "normal ECG", not the absence of the others.
    Rate (beats per minute), QRS duration (ms) and QT interval after Bazett (ms) are measured.
    """

    age_y: FloatArray
    heart_rate_bpm: FloatArray
    qrs_ms: FloatArray
    qtc_ms: FloatArray
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

    def flags(self) -> dict[str, BoolArray]:
        """Everything that is true or false, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: values for name, values in found.items() if values.dtype == bool}


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
# So that QRS duration and QT interval of virtual patients agree with what
# `model_core.measurements` finds on their ECGs.
_PULSE_WIDTHS = 2.5
_QT_MORE_MS = 19.0
MEASURED = ("heart_rate_bpm", "qrs_ms", "qtc_ms")
# Where nothing was measured: medians of PTB-XL with that finding.
_TYPICAL_QRS_MS = {"ivcd": 109.0, "rbbb": 147.0, "lbbb": 154.0, "paced": 198.0}
_PLAUSIBLE = {"heart_rate_bpm": (25, 220), "qrs_ms": (60, 230), "qtc_ms": (280, 650)}


def findings_from_ptbxl(
    rows: Sequence[Mapping[str, str]], measured: Mapping[str, NDArray[np.floating]] | None = None
) -> EcgFindings:
    """Read the findings from rows of ``ptbxl_database.csv``.

    Parameters
    ----------
    rows
        One mapping of column name to text per ECG, as ``csv.DictReader`` gives them. Used are
        ``ecg_id``, ``age`` (years; 300 stands for more than 89 and is read as 92), ``sex``
        (0 male, 1 female), ``scp_codes`` and, where present, ``pacemaker``.
    measured
        Values (n,) under the names in MEASURED; where one is NaN, or without this argument, what
        is typical of the statements takes its place.

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
    values = {
        "heart_rate_bpm": np.where(flags["tachycardia"], 112.0, 70.0),
        "qrs_ms": np.full(len(rows), 91.0),
        "qtc_ms": np.full(len(rows), 416.0),
    }
    for name, typical in _TYPICAL_QRS_MS.items():
        values["qrs_ms"][flags[name]] = typical
    for name, found in (measured or {}).items():
        values[name] = np.where(np.isnan(found), values[name], np.clip(found, *_PLAUSIBLE[name]))
    return EcgFindings(
        age_y=np.where(age > 89, np.float32(92), age),
        male=np.array([float(row["sex"]) == 0 for row in rows], bool),
        **{name: found.astype(np.float32) for name, found in values.items()},
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
    rbbb = conduction["rbbb"] | conduction["bifascicular"]
    lafb = conduction["lafb"] | conduction["bifascicular"]
    wide = conduction["lbbb"] | conduction["paced"]
    # A scar without depth leaves no readable Q wave, and wide beats hide it; an acute infarct is
    # read by its ST segment.
    scar = p.scar_territory != TERRITORY.index("none")
    infarct = scar & ((p.scar_fraction * p.scar_depth > 0.03) | (p.scar_st_mv > 0.08)) & ~wide
    # Voltage is what a reader sees of mass.
    lvh = (p.mass_gain * p.voltage_gain > 1.6) & (p.mass_gain > 1.2) & ~wide
    strain = lvh & (p.strain > 1) & (p.mass_gain > 1.4)
    inverted = scar & (p.scar_t_loss > 1) & (p.scar_fraction > 0.05)
    ischaemic = ((p.ischaemia > 0.35) | inverted | strain) & ~wide
    st_t = (p.st_t_severity > 0.35) & ~wide & ~ischaemic
    tachycardia = (p.heart_rate_bpm > 100) & ~p.af
    pvc = p.pvc_fraction > 0.04
    av_block = (p.pr_ms > 200) & ~p.af & ~conduction["paced"]
    low_voltage = p.voltage_gain < 0.55
    abnormal = (wide | rbbb | conduction["ivcd"] | lafb | p.af | infarct) | (
        lvh | st_t | ischaemic | av_block | low_voltage | pvc | tachycardia
    )
    return EcgFindings(
        age_y=p.age_y,
        heart_rate_bpm=p.heart_rate_bpm,
        qrs_ms=_qrs_ms(p),
        qtc_ms=_bazett_ms(p),
        male=p.male,
        normal=~abnormal,
        lbbb=conduction["lbbb"],
        rbbb=rbbb,
        ivcd=conduction["ivcd"],
        lafb=lafb,
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


def _qrs_ms(patients: Patients) -> FloatArray:
    """From where the first segment's pulse rises to where the last one's has passed."""
    beat = conducted_activation(patients)
    first = (beat.time_s - _PULSE_WIDTHS * beat.width_s).min(1)
    last = (beat.time_s + _PULSE_WIDTHS * beat.width_s).max(1)
    return 1000 * (last - first)


def _bazett_ms(patients: Patients) -> FloatArray:
    """Corrected by Bazett's formula, as clinics do; the virtual heart keeps Fridericia's."""
    qtc = patients.qtc_ms + np.float32(_QT_MORE_MS)
    return (qtc * (patients.heart_rate_bpm / 60) ** (1 / 6)).astype(np.float32)
