"""The input gate refuses what is no sound 12-lead ECG, and nothing else."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.quality import CONFIRMABLE, assess, from_microvolts
from model_core.types import ImportReport, Recording, Severity
from tests.package_factory import synthetic_ecg

Change = Callable[[NDArray[np.float32]], None]
ROW = {name: row for row, name in enumerate(STANDARD_LEADS)}


def changed(change: Change, ecg: Recording | None = None) -> Recording:
    """The sound ECG (with some noise) after `change` worked on its samples in place."""
    ecg = ecg or synthetic_ecg()
    rng = np.random.default_rng(0)
    signal = ecg.signal_mv.copy()
    signal[6:] += rng.normal(0, 0.01, signal[6:].shape)
    change(signal)
    return dataclasses.replace(ecg, signal_mv=signal)


def codes(recording: Recording, **window: Any) -> list[str]:
    return [reason.code for reason in assess(recording, **window).reasons]


@pytest.mark.parametrize("fs", [100.0, 250.0, 499.5, 500.0, 1000.0, 2000.0])
def test_a_sound_ecg_passes(fs: float) -> None:
    assert codes(synthetic_ecg(fs)) == []


def test_lead_order_does_not_matter() -> None:
    assert codes(synthetic_ecg(lead_names=STANDARD_LEADS[::-1])) == []


def test_further_leads_are_not_looked_at() -> None:
    ecg = synthetic_ecg()
    signal = np.concatenate([ecg.signal_mv, np.full((1, ecg.n_samples), np.nan)])
    names = (*ecg.lead_names, "vx")
    assert codes(dataclasses.replace(ecg, signal_mv=signal, lead_names=names)) == []


def test_a_lead_that_shifts_in_time_is_a_caution_that_names_it() -> None:
    ecg = synthetic_ecg()
    late, from_4_3_s = round(0.052 * ecg.fs), round(4.3 * ecg.fs)

    def shift(signal: NDArray[np.float32]) -> None:
        signal[9, from_4_3_s:] = signal[9, from_4_3_s - late : -late].copy()

    reasons = assess(changed(shift), confirmed=CONFIRMABLE).reasons
    (reason,) = (each for each in reasons if each.code == "lead_time_step")
    assert (reason.lead, reason.severity) == ("V4", Severity.CAUTION)
    assert "52 ms later" in reason.message
    late_start = dataclasses.replace(changed(shift), start_s=60.0)
    told = [each.message for each in assess(late_start, confirmed=CONFIRMABLE).reasons]
    assert any(message.startswith("From 64.") for message in told)


@pytest.mark.parametrize("absent", STANDARD_LEADS)
def test_every_lead_is_needed(absent: str) -> None:
    names = [name for name in STANDARD_LEADS if name != absent]
    (reason,) = assess(synthetic_ecg(lead_names=names)).reasons
    assert (reason.code, reason.lead) == ("missing_lead", absent)
    assert absent in reason.message


def test_a_lead_named_twice() -> None:
    ecg = synthetic_ecg()
    doubled = dataclasses.replace(
        ecg,
        signal_mv=np.concatenate([ecg.signal_mv, ecg.signal_mv[:1]]),
        lead_names=(*STANDARD_LEADS, "I"),
    )
    (reason,) = assess(doubled).reasons
    assert (reason.code, reason.lead) == ("duplicate_lead", "I")


@pytest.mark.parametrize("fs", [50.0, 99.9, 2000.1, 4000.0])
def test_rates_outside_the_range(fs: float) -> None:
    assert codes(synthetic_ecg(fs)) == ["rate_out_of_range"]


@pytest.mark.parametrize(
    ("n_samples", "start_s", "found"),
    [
        (5000, 0.0, []),
        (4999, 0.0, ["too_short"]),
        (5000, 0.002, ["too_short"]),
        (5001, 0.002, []),
        (5000, -1.0, ["too_short"]),
    ],
)
def test_length(n_samples: int, start_s: float, found: list[str]) -> None:
    ecg = synthetic_ecg(duration_s=11.0)
    cut = dataclasses.replace(ecg, signal_mv=ecg.signal_mv[:, :n_samples])
    assert codes(cut, start_s=start_s, duration_s=10.0) == found


def test_only_the_window_counts() -> None:
    def damage(signal: NDArray[np.float32]) -> None:
        signal[:, :500] = np.nan

    ecg = changed(damage, synthetic_ecg(duration_s=12.0))
    assert codes(ecg) == ["missing_samples"]
    assert codes(ecg, start_s=0.998) == ["missing_samples"]
    assert codes(ecg, start_s=1.0) == []


def test_one_missing_or_infinite_sample() -> None:
    for value in (np.nan, np.inf, -np.inf):

        def damage(signal: NDArray[np.float32], value: float = value) -> None:
            signal[ROW["V3"], 1234] = value

        (reason,) = assess(changed(damage)).reasons
        assert (reason.code, reason.lead) == ("missing_samples", "V3")


@pytest.mark.parametrize("overlap", [0, 1, 100])
def test_leads_one_after_another_are_told_from_missing_samples(overlap: int) -> None:
    def in_four_groups(signal: NDArray[np.float32]) -> None:
        for group in range(4):
            rows, first = slice(3 * group, 3 * group + 3), 1250 * group
            kept = signal[rows, max(0, first - overlap) : first + 1250].copy()
            signal[rows] = np.nan
            signal[rows, max(0, first - overlap) : first + 1250] = kept
        signal[ROW["II"]] = synthetic_ecg().signal_mv[ROW["II"]]  # the rhythm strip

    def cut_at_both_ends(signal: NDArray[np.float32]) -> None:
        signal[:6, :1000] = np.nan
        signal[6:, 4000:] = np.nan

    (reason,) = assess(changed(in_four_groups)).reasons
    assert reason.code == "missing_samples"
    assert "one after another" in reason.message
    (reason,) = assess(changed(cut_at_both_ends)).reasons
    assert reason.message == "Samples are missing in all leads."


def test_a_part_of_a_long_recording_is_cautioned() -> None:
    whole = synthetic_ecg(duration_s=61.0)
    assert codes(whole.part(20.0, 10.0)) == codes(whole) == ["long_recording"]
    assert codes(synthetic_ecg(duration_s=60.0).part(20.0, 10.0)) == []


def flat(signal: NDArray[np.float32]) -> None:
    signal[ROW["V2"]] = 0.3


def nearly_flat(signal: NDArray[np.float32]) -> None:
    signal[ROW["V2"]] = np.random.default_rng(1).normal(0, 0.004, signal.shape[1])


def dropout(signal: NDArray[np.float32]) -> None:
    signal[ROW["V2"], 2000:2501] = signal[ROW["V2"], 2000]


def saturated(signal: NDArray[np.float32]) -> None:
    signal[ROW["V2"]] += np.sin(np.arange(signal.shape[1]) / 30)
    np.clip(signal[ROW["V2"]], -0.9, 0.9, out=signal[ROW["V2"]])


def huge_lead(signal: NDArray[np.float32]) -> None:
    signal[ROW["V2"]] *= 1000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (flat, "flat_lead"),
        (nearly_flat, "flat_lead"),
        (dropout, "signal_dropout"),
        (saturated, "saturated_lead"),
        (huge_lead, "implausible_amplitude"),
    ],
)
def test_a_bad_lead_is_named(change: Change, code: str) -> None:
    (reason,) = assess(changed(change)).reasons
    assert (reason.code, reason.lead) == (code, "V2")
    assert "V2" in reason.message


def test_several_bad_leads_make_one_sentence() -> None:
    def damage(signal: NDArray[np.float32]) -> None:
        signal[6:9] = 0

    (reason,) = assess(changed(damage)).reasons
    assert reason.lead is None
    assert reason.message == "The line is flat in leads V1, V2 and V3."


def test_a_limb_electrode_off_is_told_as_a_flat_lead() -> None:
    def damage(signal: NDArray[np.float32]) -> None:
        signal[:6] = 0

    assert codes(changed(damage)) == ["flat_lead"]


def test_nothing_at_all() -> None:
    def damage(signal: NDArray[np.float32]) -> None:
        signal[:] = 0

    (reason,) = assess(changed(damage)).reasons
    assert reason.message == "The line is flat in all leads."


def test_a_pause_below_a_second_is_no_dropout() -> None:
    def shorter(signal: NDArray[np.float32]) -> None:
        signal[ROW["V2"], 2000:2480] = signal[ROW["V2"], 2000]

    assert codes(changed(shorter)) == []


@pytest.mark.parametrize(
    ("factor", "code", "words"),
    [
        (1000.0, "microvolts", "microvolts"),
        (0.001, "implausible_amplitude", "volts"),
        (30.0, "implausible_amplitude", "too large"),
    ],
)
def test_wrong_units(factor: float, code: str, words: str) -> None:
    ecg = synthetic_ecg()
    scaled = dataclasses.replace(ecg, signal_mv=ecg.signal_mv * factor)
    reasons = assess(scaled).reasons
    assert code in [reason.code for reason in reasons]
    assert any(words in reason.message for reason in reasons)
    # No confirmation makes a result of numbers a thousandfold too large.
    assert not assess(scaled, confirmed=CONFIRMABLE).usable


def test_values_that_the_user_calls_microvolts() -> None:
    ecg = synthetic_ecg()
    report = ImportReport("test", unit="mV")
    metadata = dataclasses.replace(ecg.metadata, report=report)
    scaled = dataclasses.replace(ecg, signal_mv=ecg.signal_mv * 1000, metadata=metadata)
    taken = from_microvolts(scaled)
    assert assess(taken).usable
    caution = assess(taken).reasons[-1]
    assert (caution.code, caution.severity) == ("microvolts", Severity.CAUTION)
    np.testing.assert_allclose(taken.signal_mv, ecg.signal_mv, rtol=1e-6)
    assert taken.metadata.report is not None
    for told in (taken.metadata.notes, taken.metadata.report.repairs):
        assert "user" in told[-1]
        assert "microvolts" in told[-1]


def swap(one: str, two: str) -> Change:
    def change(signal: NDArray[np.float32]) -> None:
        signal[[ROW[one], ROW[two]]] = signal[[ROW[two], ROW[one]]]

    return change


def copy(source: str, target: str) -> Change:
    def change(signal: NDArray[np.float32]) -> None:
        signal[ROW[target]] = signal[ROW[source]]

    return change


def scale(name: str, factor: float) -> Change:
    def change(signal: NDArray[np.float32]) -> None:
        signal[ROW[name]] *= factor

    return change


@pytest.mark.parametrize(
    "change",
    [
        swap("aVL", "aVF"),
        swap("aVR", "aVF"),
        swap("II", "III"),
        scale("II", -1),
        scale("aVR", -1),
        scale("II", 1.5),
        scale("I", 0.5),
        copy("aVR", "aVF"),
    ],
)
def test_limb_leads_that_contradict_one_another(change: Change) -> None:
    (reason,) = assess(changed(change)).reasons
    assert reason.code == "inconsistent_limb_leads"


def test_offsets_and_coarse_digits_do_not_contradict() -> None:
    def change(signal: NDArray[np.float32]) -> None:
        signal += np.arange(12)[:, np.newaxis] * 0.2
        np.round(signal, 2, out=signal)  # 10 uV a step

    assert codes(changed(change)) == []


def test_refusals_are_sentences() -> None:
    for change in (flat, dropout, saturated, huge_lead, swap("aVL", "aVF")):
        for reason in assess(changed(change)).reasons:
            assert reason.message[0].isupper()
            assert reason.message.endswith(".")
            assert "{" not in reason.message


# Real recordings --------------------------------------------------------------------------------


def npz_recordings(
    shared: Path, name: str, mv_per_count: float, lead_names: tuple[str, ...] = STANDARD_LEADS
) -> list[Recording]:
    counts = np.load(shared / "data" / name / "ecg500.npz")["x"]
    return [
        Recording(f"{name}{row}", counts[row].T * mv_per_count, 500.0, lead_names, name)
        for row in range(len(counts))
    ]


@pytest.mark.needs_shared
def test_good_ecgs_pass(shared: Path) -> None:
    headers = sorted((shared / "data/ptbxl").rglob("*.hea"))[::23]
    ecgs = [read_recording(path) for path in headers]
    ecgs += npz_recordings(shared, "ludb", 1e-3)[::4]
    assert np.mean([assess(ecg).usable for ecg in ecgs]) >= 0.97


@pytest.mark.needs_shared
def test_limb_leads_that_contradict_one_another_in_a_real_file(shared: Path) -> None:
    # aVR and aVF do not follow from I and II, by 12 % of the limb leads.
    (path,) = (shared / "data/ptbxl").rglob("00162_hr.hea")
    assert codes(read_recording(path)) == ["inconsistent_limb_leads"]


@pytest.mark.needs_shared
def test_dead_leads_in_real_files(shared: Path) -> None:
    ecgs = npz_recordings(shared, "challenge", 1e-3)
    # V1 lost for 6.7 s; V2, V4, V6 empty; V1 to V6 empty.
    found = {row: codes(ecgs[row]) for row in (79, 158, 167)}
    assert found == {79: ["signal_dropout"], 158: ["flat_lead"], 167: ["flat_lead"]}


@pytest.mark.needs_shared
def test_quality_groups_are_told_apart(shared: Path) -> None:
    """CinC 2011, graded by people; its rows 5 and 6 are aVF and aVL, in this order."""
    names = (*STANDARD_LEADS[:4], "aVF", "aVL", *STANDARD_LEADS[6:])
    with (shared / "data/cinc2011/index.csv").open(encoding="utf-8") as file:
        groups = [row["quality_group"] for row in csv.DictReader(file)]
    cases = list(zip(groups, npz_recordings(shared, "cinc2011", 4.88e-3, names), strict=True))
    right = [
        any(each.severity is Severity.REFUSE for each in assess(ecg).reasons) is (group == "II.txt")
        for group, ecg in cases[::4]
        if group
    ]
    assert np.mean(right) >= 0.9
