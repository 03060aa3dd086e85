"""Echo report sentences, prompts for value sweeps and short ECG report texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.simulation.findings import EcgFindings
from training.simulation.measures import EchoMeasures

# Sentences that state a value; {} takes the rounded value.
VALUE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "lvef_pct": (
        "The left ventricular ejection fraction is {} percent.",
        "LVEF measures {} percent.",
        "Ejection fraction of the left ventricle about {} percent.",
    ),
    "lvedv_ml": (
        "The left ventricular end-diastolic volume is {} ml.",
        "LVEDV measures {} ml.",
        "The left ventricle holds about {} ml at end-diastole.",
    ),
    "lvesv_ml": (
        "The left ventricular end-systolic volume is {} ml.",
        "LVESV measures {} ml.",
        "The left ventricle holds about {} ml at end-systole.",
    ),
    "wall_mm": (
        "The left ventricular wall is {} mm thick.",
        "Wall thickness measures {} mm.",
    ),
    "la_volume_ml": (
        "The left atrial volume is {} ml.",
        "The left atrium holds about {} ml.",
    ),
}

# Grades: upper bounds of each class and the sentences of the classes. LVEF after ASE/EACVI 2015
# with one border for both sexes; volumes and walls are not indexed, since the clip shows neither
# sex nor body size.
GRADES: dict[str, tuple[tuple[float, ...], tuple[str, ...]]] = {
    "lvef_pct": (
        (30, 40, 52),
        (
            "Systolic function of the left ventricle is severely reduced.",
            "Systolic function of the left ventricle is moderately reduced.",
            "Systolic function of the left ventricle is mildly reduced.",
            "Systolic function of the left ventricle is normal.",
        ),
    ),
    "lvedv_ml": (
        (130, 170, 210),
        (
            "The left ventricle is not enlarged.",
            "The left ventricle is mildly enlarged.",
            "The left ventricle is moderately enlarged.",
            "The left ventricle is severely enlarged.",
        ),
    ),
    "wall_mm": (
        (10.5, 13.0, 16.0),
        (
            "The walls of the left ventricle are of normal thickness.",
            "The walls of the left ventricle are mildly thickened.",
            "The walls of the left ventricle are moderately thickened.",
            "The walls of the left ventricle are severely thickened.",
        ),
    ),
    "la_volume_ml": (
        (64, 78, 92),
        (
            "The left atrium is of normal size.",
            "The left atrium is mildly enlarged.",
            "The left atrium is moderately enlarged.",
            "The left atrium is severely enlarged.",
        ),
    ),
}
STATED_VALUES = ("lvef_pct", "lvedv_ml", "lvesv_ml")


def report_sentences(echo: EchoMeasures, rng: np.random.Generator) -> list[list[str]]:
    """Write the report of each patient as a list of sentences.

    Every report states LVEF, LVEDV and LVESV, each rounded to a whole number (a third of the
    readers round to fives), and grades function, size, wall and atrium. The order of the
    sentences is random.
    """
    values = {key: getattr(echo, key) for key in (*STATED_VALUES, *GRADES)}
    reports = []
    for i in range(len(echo)):
        step = 5 if rng.random() < 1 / 3 else 1
        sentences = [
            _value_sentence(key, step * round(float(values[key][i]) / step), rng)
            for key in STATED_VALUES
        ]
        sentences += [grade_sentence(key, float(values[key][i])) for key in GRADES]
        reports.append([sentences[k] for k in rng.permutation(len(sentences))])
    return reports


def _value_sentence(key: str, value: int, rng: np.random.Generator) -> str:
    templates = VALUE_TEMPLATES[key]
    return templates[int(rng.integers(len(templates)))].format(value)


def grade_sentence(measure_key: str, value: float) -> str:
    """Return the sentence that grades one value of a measure in GRADES."""
    bounds, sentences = GRADES[measure_key]
    return sentences[int(np.searchsorted(bounds, value, side="right"))]


def prompts(measure_key: str, values: Sequence[float] | NDArray[np.floating]) -> list[list[str]]:
    """Return, for each value of a sweep, all sentences that state it.

    Parameters
    ----------
    measure_key
        A key of VALUE_TEMPLATES (the field names of EchoMeasures).
    values
        Values in the unit of the measure; they are rounded to whole numbers.

    Raises
    ------
    KeyError
        If the measure has no templates.
    """
    templates = VALUE_TEMPLATES[measure_key]
    return [[t.format(round(float(value))) for t in templates] for value in values]


_ECG_PHRASES: tuple[tuple[str, Callable[[EcgFindings], NDArray[np.bool_]]], ...] = (
    ("complete left bundle branch block", lambda f: f.lbbb),
    ("complete right bundle branch block", lambda f: f.rbbb),
    ("unspecific intraventricular conduction delay", lambda f: f.ivcd),
    ("left anterior fascicular block", lambda f: f.lafb),
    ("prolonged atrioventricular conduction", lambda f: f.av_block),
    ("anterior myocardial infarction", lambda f: f.mi_anterior),
    ("inferior myocardial infarction", lambda f: f.mi_inferior),
    ("lateral myocardial infarction", lambda f: f.mi_lateral),
    ("unspecific Q waves", lambda f: f.q_waves),
    ("left ventricular hypertrophy", lambda f: f.lvh),
    ("unspecific ST-T changes", lambda f: f.st_t),
    ("ischaemic ST-T changes", lambda f: f.ischaemic_st_t),
    ("low voltage", lambda f: f.low_voltage),
    ("premature ventricular beats", lambda f: f.pvc),
)

ECG_STATEMENTS = tuple(phrase for phrase, _ in _ECG_PHRASES)


def ecg_sentence(findings: EcgFindings) -> list[str]:
    """Write a short report text for each ECG."""
    columns = [(phrase, select(findings)) for phrase, select in _ECG_PHRASES]
    texts = []
    for i in range(len(findings)):
        if findings.paced[i]:
            rhythm = "Ventricular paced rhythm"
        elif findings.af[i]:
            rhythm = "Atrial fibrillation"
        else:
            rhythm = "Sinus tachycardia" if findings.tachycardia[i] else "Sinus rhythm"
        found = [phrase for phrase, column in columns if column[i]]
        if findings.normal[i] and not found:
            found = ["normal ECG"]
        texts.append(", ".join([rhythm, *found]) + ".")
    return texts
