"""What is stated about an ECG, from SCP-ECG codes or a machine's report: text, labels, groups.

Labels have the names of `training.simulation.EcgFindings`, so that real and simulated ECGs mix.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.ingest.adapters.mimic_ecg import SEPARATOR
from training.simulation.findings import SCP_CODES

FloatArray = NDArray[np.float32]

NOT_KNOWN = "not known"

# SCP-ECG statements in PTB-XL's spelling, in our words; the rhythm is said first.
_RHYTHMS = {
    "SR": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "AFLT": "atrial flutter",
    "STACH": "sinus tachycardia",
    "SBRAD": "sinus bradycardia",
    "SARRH": "sinus arrhythmia",
    "SVARR": "supraventricular arrhythmia",
    "SVTAC": "supraventricular tachycardia",
    "PSVT": "paroxysmal supraventricular tachycardia",
    "PACE": "paced rhythm",
    "BIGU": "bigeminy",
    "TRIGU": "trigeminy",
}
_FINDINGS = {
    "NORM": "normal ECG",
    "CLBBB": "complete left bundle branch block",
    "CRBBB": "complete right bundle branch block",
    "ILBBB": "incomplete left bundle branch block",
    "IRBBB": "incomplete right bundle branch block",
    "IVCD": "unspecific intraventricular conduction delay",
    "LAFB": "left anterior fascicular block",
    "LPFB": "left posterior fascicular block",
    "1AVB": "first degree atrioventricular block",
    "2AVB": "second degree atrioventricular block",
    "3AVB": "third degree atrioventricular block",
    "LPR": "prolonged PR interval",
    "WPW": "preexcitation",
    "AMI": "anterior myocardial infarction",
    "ASMI": "anteroseptal myocardial infarction",
    "ALMI": "anterolateral myocardial infarction",
    "LMI": "lateral myocardial infarction",
    "IMI": "inferior myocardial infarction",
    "ILMI": "inferolateral myocardial infarction",
    "IPMI": "inferoposterior myocardial infarction",
    "IPLMI": "inferoposterolateral myocardial infarction",
    "PMI": "posterior myocardial infarction",
    "QWAVE": "unspecific Q waves",
    "ABQRS": "abnormal QRS",
    "LVH": "left ventricular hypertrophy",
    "RVH": "right ventricular hypertrophy",
    "SEHYP": "septal hypertrophy",
    "VCLVH": "voltage as in left ventricular hypertrophy",
    "LAO/LAE": "left atrial enlargement",
    "RAO/RAE": "right atrial enlargement",
    "HVOLT": "high voltage",
    "LVOLT": "low voltage",
    "PAC": "premature atrial beats",
    "PVC": "premature ventricular beats",
    "PRC(S)": "premature beats",
    "INJAS": "anteroseptal subendocardial injury",
    "INJAL": "anterolateral subendocardial injury",
    "INJIN": "inferior subendocardial injury",
    "INJIL": "inferolateral subendocardial injury",
    "INJLA": "lateral subendocardial injury",
    "ISC_": "ischaemic ST-T changes",
    "ISCAN": "anterior ischaemia",
    "ISCAS": "anteroseptal ischaemia",
    "ISCAL": "anterolateral ischaemia",
    "ISCIN": "inferior ischaemia",
    "ISCIL": "inferolateral ischaemia",
    "ISCLA": "lateral ischaemia",
    "ANEUR": "ST-T changes as in ventricular aneurysm",
    "STD_": "ST depression",
    "STE_": "ST elevation",
    "NST_": "unspecific ST changes",
    "NDT": "undiagnostic T wave changes",
    "NT_": "unspecific T wave changes",
    "TAB_": "abnormal T wave",
    "LOWT": "low T wave",
    "INVT": "inverted T wave",
    "LNGQT": "long QT interval",
    "DIG": "digitalis effect",
    "EL": "changes by electrolytes or drugs",
}
PHRASES = {**_RHYTHMS, **_FINDINGS}
_RANK = {code: rank for rank, code in enumerate(PHRASES)}

# In a machine's report: what makes each label true. A hedged line makes it neither true nor false.
_PATTERNS = {
    "normal": r"^normal ecg$|^within normal limits$",
    "lbbb": r"(?<!incomplete )\b(left bundle[ -]branch block|lbbb)\b",
    "rbbb": r"(?<!incomplete )\b(right bundle[ -]branch block|rbbb)\b",
    "ivcd": r"\b(intraventricular conduction (delay|defect)|iv conduction (delay|defect)|ivcd"
    r"|incomplete (left bundle[ -]branch block|lbbb))\b",
    "lafb": r"\bleft anterior (fascicular block|hemiblock)\b|\blafb\b",
    "paced": r"\b(paced|pacing|pacemaker)\b",
    "af": r"\batrial (fibrillation|flutter)\b",
    "mi_anterior": r"\b(anterior|antero ?-?septal|antero ?-?lateral|septal)\b.*\b(infarct|mi\b)",
    "mi_inferior": r"\b(inferior|infero ?-?\w+)\b.*\b(infarct|mi\b)",
    "mi_lateral": r"\b(\w+o ?-?)?lateral\b.*\b(infarct|mi\b)",
    "lvh": r"\b(left ventricular hypertrophy|lvh)\b",
    "av_block": r"\b(a-?v|atrioventricular) block\b|\bprolonged pr\b|\bpr interval prolong",
    "low_voltage": r"\blow (qrs )?voltage",
    "pvc": r"\b(pvcs?|pvc\(s\)|ventricular (premature|ectopic)|premature ventricular)",
    "tachycardia": r"\btachycardia\b",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
_HEDGE = re.compile(
    r"\b(possible|possibly|probable|probably|consider|cannot (rule out|exclude)|can't exclude"
    r"|borderline|suggests?|may be|questionable|suspect)\b|\?"
)
_NEGATION = re.compile(r"\b(no|not|without)\b")
# Remarks that say nothing about this ECG alone.
_REMARK = re.compile(
    r"^(compared (to|with)|since (the )?(last|previous)|no (significant )?change|unconfirmed"
    r"|confirmed by|edited|summary$|report$|---)"
)


@dataclass(frozen=True, eq=False)
class Stated:
    """What is stated about some ECGs.

    Attributes
    ----------
    texts
        A sentence each, empty where nothing is stated.
    labels
        By name, 1, 0, or NaN where not known.
    groups
        By name, the subgroup in words.
    """

    texts: list[str]
    labels: dict[str, FloatArray]
    groups: dict[str, list[str]]


def stated_about(index: pa.Table) -> Stated:
    """Text, labels and groups of the rows of a store's index."""
    codes, reports = index["statements"].to_pylist(), index["report"].to_pylist()
    # PTB-XL has both; its reports are mostly German.
    coded = index["statements"].null_count < len(index)
    texts = list(map(text_of_statements, codes) if coded else map(text_of_report, reports))
    findings = list(map(labels_of_statements, codes) if coded else map(labels_of_report, reports))
    labels = {name: np.array([one[name] for one in findings], np.float32) for name in SCP_CODES}
    sex, age_y = index["sex"].to_pylist(), index["age_y"].to_numpy()
    signal = np.where(
        index["unit"].to_numpy() != "mV",
        "standardised by its publishers",
        np.where(index["synthesised"].to_numpy(), "computed from three leads", "as recorded"),
    )
    groups = {**groups_of_patients(sex, age_y), **groups_of_labels(labels)}
    return Stated(
        texts, labels | labels_of_patients(sex, age_y), {**groups, "signal": signal.tolist()}
    )


def text_of_statements(codes: Iterable[str] | None) -> str:
    """Sentence that says the SCP-ECG statements of an ECG; empty if there is none.

    Examples
    --------
    >>> text_of_statements(["IMI", "SR"])
    'Sinus rhythm, inferior myocardial infarction.'
    """
    known = sorted(set(codes or ()) & _RANK.keys(), key=_RANK.__getitem__)
    return _sentence([PHRASES[code] for code in known])


def text_of_report(report: str | None) -> str:
    """Sentence that says the lines of a machine's report; empty if there is none.

    Examples
    --------
    >>> text_of_report("SINUS RHYTHM; ; Left axis deviation. ;Compared to ECG of 2180 no change")
    'Sinus rhythm, left axis deviation.'
    """
    return _sentence(list(dict.fromkeys(_lines(report or ""))))


def labels_of_statements(codes: Iterable[str] | None) -> dict[str, float]:
    """Label of each finding: 1 if stated, else 0; NaN if nothing is stated about the ECG."""
    stated = set(codes or ())
    return {
        name: float(not stated.isdisjoint(wanted)) if stated else np.nan
        for name, wanted in SCP_CODES.items()
    }


def labels_of_report(report: str | None) -> dict[str, float]:
    """Label of each finding that reports name: 1 if stated, NaN if hedged or unknown, else 0.

    Examples
    --------
    >>> found = labels_of_report("Sinus rhythm; Possible inferior infarct")
    >>> found["af"], found["mi_inferior"], found["q_waves"]
    (0.0, nan, nan)
    """
    lines = [_labels_of_line(line) for line in _lines(report or "")]
    found = dict.fromkeys(SCP_CODES, np.nan)
    for name in _PATTERNS if lines else ():
        values = [line[name] for line in lines if name in line]
        found[name] = 1.0 if 1.0 in values else np.nan if values else 0.0
    return found


def labels_of_patients(
    sex: Sequence[str | None], age_y: NDArray[np.floating]
) -> dict[str, FloatArray]:
    """Labels ``male`` and ``older_than_65``; NaN where not known."""
    male = [np.nan if word is None else float(word == "male") for word in sex]
    older = np.where(np.isnan(age_y), np.nan, age_y > 65)
    return {"male": np.array(male, np.float32), "older_than_65": older.astype(np.float32)}


def groups_of_patients(
    sex: Sequence[str | None], age_y: NDArray[np.floating]
) -> dict[str, list[str]]:
    """Subgroups by sex and age."""
    words = {"male": "men", "female": "women"}
    bands = np.array(["below 50", "50 to 64", "65 to 79", "80 and more"])
    band = bands[np.searchsorted([50, 65, 80], np.nan_to_num(age_y), side="right")]
    return {
        "sex": [words.get(word or "", NOT_KNOWN) for word in sex],
        "age": np.where(np.isnan(age_y), NOT_KNOWN, band).tolist(),
    }


def groups_of_labels(labels: Mapping[str, NDArray[np.floating]]) -> dict[str, list[str]]:
    """Subgroups by rhythm and block; not known where any label that decides is not."""
    true = {name: values == 1 for name, values in labels.items()}

    def named(parts: Mapping[str, str], otherwise: str) -> list[str]:
        unknown = np.any([np.isnan(labels[name]) for name in parts], axis=0)
        rest = np.where(unknown, NOT_KNOWN, otherwise)
        return np.select([true[name] for name in parts], list(parts.values()), rest).tolist()

    return {
        "rhythm": named({"paced": "paced", "af": "atrial fibrillation"}, "sinus or other"),
        "block": named(
            {
                "lbbb": "left bundle branch block",
                "rbbb": "right bundle branch block",
                "ivcd": "other delay",
                "lafb": "left anterior",
            },
            "none",
        ),
    }


def _lines(report: str) -> list[str]:
    """Lines in lower case, without ornaments, blank ones and remarks."""
    lines = [_tidy(line) for line in re.split(rf"{SEPARATOR.strip()}|\n", report)]
    return [line for line in lines if line]


@functools.lru_cache(maxsize=1 << 16)
def _tidy(line: str) -> str:
    line = " ".join(line.lower().split()).strip(" .,:*-_")
    return "" if _REMARK.match(line) else line


@functools.lru_cache(maxsize=1 << 16)
def _labels_of_line(line: str) -> dict[str, float]:
    value = np.nan if _HEDGE.search(line) else 1.0
    found = {name: value for name, pattern in _COMPILED.items() if pattern.search(line)}
    return {} if _NEGATION.search(line) and value == 1.0 else found


def _sentence(phrases: Sequence[str]) -> str:
    if not phrases:
        return ""
    text = ", ".join(phrases)
    return f"{text[0].upper()}{text[1:]}."
