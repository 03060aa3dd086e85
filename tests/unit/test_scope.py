"""Whom a model was studied on, against what a file says of the patient."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core.leads import STANDARD_LEADS
from model_core.runtime.manifest import Scope
from model_core.runtime.package import load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.scope import check_scope, states_pacing
from model_core.types import Age, Recording, RecordingMetadata, ResultState, Severity, Statement
from tests.package_factory import contents, synthetic_ecg, write_package


def found(scope: Scope, *, paced: bool = False, **metadata: Any) -> list[tuple[str, Severity]]:
    signal = np.zeros((12, 10), np.float32)
    known = RecordingMetadata(**metadata)
    ecg = Recording("a", signal, 500.0, STANDARD_LEADS, "a", known)
    return [(each.code, each.severity) for each in check_scope(ecg, scope, paced=paced)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"age_y": 60.0}, []),
        ({"age_y": 18.0}, []),
        ({"age_y": 17.0}, [("age_not_studied", Severity.REFUSE)]),
        ({"age": Age(3, "months"), "age_y": 60.0}, [("age_not_studied", Severity.REFUSE)]),
        ({}, [("age_unknown", Severity.CAUTION)]),
    ],
)
def test_ages_of_a_model_for_adults(metadata: Any, expected: Any) -> None:
    assert found(Scope(), **metadata) == expected


def test_a_pacemaker_among_the_facts_of_the_patient() -> None:
    facts = (("Name", "A"), ("Pacemaker", "yes"))
    assert found(Scope(), age_y=60.0, patient=facts) == [("paced", Severity.REFUSE)]
    assert found(Scope(), age_y=60.0, patient=(("Pacemaker", "no"),)) == []
    assert found(Scope(paced=True), age_y=60.0, patient=facts) == []


def test_an_adult_beyond_the_ages_studied_is_told() -> None:
    scope = Scope(age_y=(40.0, 90.0))
    assert found(scope, age_y=30.0) == [("age_not_studied", Severity.CAUTION)]
    assert found(scope, age_y=95.0) == [("age_not_studied", Severity.CAUTION)]
    assert found(scope, age_y=10.0) == [("age_not_studied", Severity.REFUSE)]


def test_a_sex_that_was_not_studied() -> None:
    scope = Scope(sexes=("female",))
    assert found(scope, age_y=60.0, sex="male") == [("sex_not_studied", Severity.REFUSE)]
    assert found(scope, age_y=60.0, sex="female") == []
    assert found(scope, age_y=60.0) == []


@pytest.mark.parametrize(
    "text",
    [
        "Ventricular-paced rhythm",
        "Electronic ventricular pacemaker",
        "ATRIAL PACING",
        "AV dual-paced complexes",
        "Pacemaker: yes",
        "Schrittmacherrhythmus",
        "Ritmo de marcapasos",
    ],
)
def test_statements_of_pacing(text: str) -> None:
    assert states_pacing(text)
    statements = (Statement(text, "machine"),)
    assert found(Scope(), age_y=60.0, statements=statements) == [("paced", Severity.REFUSE)]
    assert found(Scope(paced=True), age_y=60.0, statements=statements) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sinus rhythm",
        "No pacemaker",
        "Not paced",
        "non-paced rhythm",
        "Pacemaker: none",
        "no evidence of atrial pacing",
        "kein Schrittmacher",
        "unpaced spaced",
        "Wandering atrial pacemaker",
        "Ectopic atrial pacemaker",
    ],
)
def test_statements_of_no_pacing(text: str) -> None:
    assert not states_pacing(text)


def test_spikes_in_the_signal_refuse_unless_the_model_was_studied_on_them(tmp_path: Path) -> None:
    ecg = synthetic_ecg()
    signal = ecg.signal_mv.copy()
    spikes_s = np.arange(1, 12) * 60 / 72 - 0.05  # in front of the R peaks
    gain = np.array([0.6, 1.2, 0.6, -0.9, 0.0, 0.9, *(1.5,) * 6], dtype=np.float32)
    for at_s in spikes_s:
        first = round(at_s * ecg.fs)
        signal[:, first] += 2 * gain
    spiked = dataclasses.replace(ecg, signal_mv=signal)
    states = []
    for name, scope in (("without", Scope()), ("with", Scope(paced=True))):
        predictor = Predictor(load_package(write_package(tmp_path / name, contents(scope=scope))))
        prediction = predictor.predict(spiked)
        states.append(prediction.state)
        if name == "without":
            assert [reason.code for reason in prediction.reasons] == ["paced"]
    assert states == [ResultState.NOT_REPORTABLE, ResultState.REPORTED]
