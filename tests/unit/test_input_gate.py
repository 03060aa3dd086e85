"""The input gate's checks of time, shape, quality, placement and lead, each by made faults."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.not_ecg import FS
from benchmarks.not_ecg_unseen import FROM_ECG, ROWS, made
from model_core.io import read_recording
from model_core.leads import LIMB_FROM_I_AND_II, STANDARD_LEADS
from model_core.quality import PLACEMENT, RATE, assess
from model_core.quality.features import measure_features
from model_core.quality.learned import (
    CLIP_SD,
    LinearScore,
    learned_scores,
    pace_vector,
    recording_vector,
    shape_vector,
)
from model_core.quality.placement import EXCHANGES, exchanged, placement_vector
from model_core.quality.timing import check_timing, mains_peak_hz, slope_frequency_hz
from model_core.types import LeadGrade, MachineMeasurement, Recording, Severity
from tests.package_factory import synthetic_ecg
from training.simulation import sample_patients, simulate_ecg

ROW = {name: row for row, name in enumerate(STANDARD_LEADS)}


def codes(recording: Recording) -> list[str]:
    return [reason.code for reason in assess(recording).reasons]


def of(signal_mv: NDArray, fs: float = FS) -> Recording:
    return Recording("a", signal_mv.astype(np.float32), fs, STANDARD_LEADS, "a")


# Time -------------------------------------------------------------------------------------------


def test_a_rate_stated_several_times_too_low() -> None:
    ecg = synthetic_ecg(duration_s=5.0)  # 72 beats a minute
    assert codes(dataclasses.replace(ecg, fs=ecg.fs / 5)) == ["rate_contradicted"]


def test_a_rate_stated_several_times_too_high() -> None:
    ecg = synthetic_ecg(duration_s=40.0)
    slow = dataclasses.replace(ecg, signal_mv=ecg.signal_mv[:, ::5], fs=ecg.fs / 5)
    assert codes(slow.part(0, 10)) == []
    assert "rate_contradicted" in codes(dataclasses.replace(slow, fs=4 * slow.fs).part(0, 10))


@pytest.mark.needs_shared
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_rate_stated_as_half_or_twice_the_true_one(shared: Path, factor: float) -> None:
    """Of real ECGs, most, unless the device counted; eight are no figure: docs/input-gate.md."""
    withheld = 0
    for header in sorted((shared / "data/ptbxl/records500").rglob("*.hea"))[:8]:
        ecg = read_recording(header)
        assert not {"rate_contradicted", "sampling_rate"} & set(codes(ecg))
        signal = np.tile(ecg.signal_mv, 2)[:, : round(10 * ecg.fs / factor)]
        wrong = dataclasses.replace(ecg, signal_mv=signal, fs=ecg.fs / factor)
        withheld += bool({"rate_contradicted", "sampling_rate", "not_an_ecg"} & set(codes(wrong)))
        counted = MachineMeasurement("heart_rate", 30.0, "/min")
        metadata = dataclasses.replace(wrong.metadata, measurements=(counted,))
        assert "sampling_rate" not in codes(dataclasses.replace(wrong, metadata=metadata))
        told = {each.code: each.severity for each in assess(wrong, confirmed=[RATE]).reasons}
        assert told.get("sampling_rate", Severity.CAUTION) is Severity.CAUTION
    assert withheld >= 6


def test_how_fast_waves_are() -> None:
    time_s = np.arange(5000) / 500
    leads = np.stack([np.sin(2 * np.pi * hz * time_s) for hz in (12, 12, 12, 70)])
    assert slope_frequency_hz(leads, 500.0) == pytest.approx(12, abs=0.2)
    assert slope_frequency_hz(leads, 1500.0) == pytest.approx(36, abs=0.5)
    # Mains does not count, and where nothing is, nothing is said.
    hum = 0.2 * np.sin(2 * np.pi * 50 * time_s)
    assert slope_frequency_hz(leads + hum, 500.0) == pytest.approx(12, abs=0.2)
    assert np.isnan(slope_frequency_hz(np.zeros((12, 5000)), 500.0))


@pytest.mark.parametrize(("qrs_ms", "found"), [(30, 1), (45, 0), (240, 0), (260, 1)])
def test_qrs_complexes_that_no_heart_has(qrs_ms: float, found: int) -> None:
    ecg = synthetic_ecg()
    features = measure_features(ecg.signal_mv, ecg.fs, ecg.lead_names)
    features = dataclasses.replace(features, whole=features.whole | {"qrs_s": qrs_ms / 1000})
    reasons = check_timing(features, ecg.signal_mv.astype(np.float64), ecg.fs, 10.0, ())
    assert [each.code for each in reasons] == ["rate_contradicted"] * found
    assert all(f"{qrs_ms} ms" in each.message for each in reasons)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("heart_rate", 72.0, []),
        ("heart_rate", 80.0, []),
        ("heart_rate", 144.0, ["rate_contradicted"]),
        ("heart_rate", 36.0, ["rate_contradicted"]),
        ("rr_interval", 833.0, []),
        ("rr_interval", 417.0, ["rate_contradicted"]),
        ("heart_rate", 0.0, []),
    ],
)
def test_the_rate_that_the_device_counted(key: str, value: float, found: list[str]) -> None:
    ecg = synthetic_ecg()
    stated = (MachineMeasurement(key, value, ""),)
    metadata = dataclasses.replace(ecg.metadata, measurements=stated)
    assert codes(dataclasses.replace(ecg, metadata=metadata)) == found


@pytest.mark.parametrize(
    ("hum_hz", "found"),
    [(50.0, False), (60.0, False), (30.0, True), (120.0, True), (33.0, False)],
)
def test_mains_hum_where_no_mains_can_be(hum_hz: float, found: bool) -> None:
    ecg = synthetic_ecg()
    signal = ecg.signal_mv.astype(np.float64)
    time_s = np.arange(ecg.n_samples) / FS
    gains = np.array([0.08, 0.15, *(0.1,) * 10])
    for name, (one, two) in LIMB_FROM_I_AND_II.items():
        gains[ROW[name]] = one * gains[0] + two * gains[1]
    hummed = signal + gains[:, np.newaxis] * np.sin(2 * np.pi * hum_hz * time_s)
    # By this check alone: so much hum on waves so smooth is no ECG for the checks before it.
    reasons = check_timing(measure_features(hummed, FS, STANDARD_LEADS), hummed, FS, 10.0, ())
    assert [each.code for each in reasons] == ["rate_contradicted"] * found
    assert mains_peak_hz(signal, FS) == 0.0


# Shape ------------------------------------------------------------------------------------------


def refused(recording: Recording) -> bool:
    return any(each.severity is Severity.REFUSE for each in assess(recording).reasons)


@pytest.mark.parametrize("kind", [*ROWS, "drawing"])
def test_signals_that_are_no_ecg(kind: str) -> None:
    rng = np.random.default_rng(5)
    signals = [made(kind, rng, None, algebra=k > 0) for k in range(4)]
    assert sum(refused(of(signal, fs)) for signal, fs in signals) >= 3


@pytest.mark.parametrize("kind", FROM_ECG)
def test_ecgs_spoilt_until_they_are_none(kind: str) -> None:
    rng = np.random.default_rng(6)
    ecgs = simulate_ecg(sample_patients(3, rng), rng, fs=FS)
    spoilt = [FROM_ECG[kind](ecg.astype(np.float64), rng) for ecg in ecgs]
    # One in ten ECGs put together from pieces that hold whole beats passes.
    assert sum(refused(of(signal)) for signal in spoilt) >= 3 - (kind == "shuffled_pieces")
    assert [refused(of(ecg)) for ecg in ecgs] == [False] * 3


def test_squares_speak_against_what_is_far_off_on_either_side() -> None:
    score = LinearScore(
        np.array([1.0]), np.array([2.0]), np.array([0.5]), np.array([3.0]), -1.0, limit=0.0
    )
    assert score(np.array([5.0])) == 0.5 * 2 + 3.0 * 4 - 1
    assert score(np.array([-3.0])) == -0.5 * 2 + 3.0 * 4 - 1
    assert score(np.array([1e9])) == 0.5 * CLIP_SD + 3.0 * CLIP_SD**2 - 1
    assert not score.exceeded(np.array([1.0]))


def test_noise_that_hides_the_beats_is_told_as_poor_quality_or_no_ecg() -> None:
    rng = np.random.default_rng(7)
    ecg = synthetic_ecg()
    rows = np.cumsum(rng.normal(0, 0.1, (8, ecg.n_samples)), axis=1)
    rows -= rows.mean(axis=1, keepdims=True)
    one, two = rows[:2]
    noise = np.stack(
        [one, two, *(a * one + b * two for a, b in LIMB_FROM_I_AND_II.values()), *rows[2:]]
    )
    (reason,) = assess(of(ecg.signal_mv + noise)).reasons
    assert reason.code in {"poor_quality", "not_an_ecg"}
    assert reason.severity is Severity.REFUSE


def test_the_scores_take_the_features_that_are_measured() -> None:
    ecg = synthetic_ecg()
    features = measure_features(ecg.signal_mv, ecg.fs, ecg.lead_names)
    vectors = {
        "not_an_ecg": shape_vector(features),
        "poor_quality": recording_vector(features),
        "slow": pace_vector(features),
        "fast": pace_vector(features),
    }
    for name, score in learned_scores().items():
        vector = vectors.get(name, placement_vector(features.beat_mv, features.beat_rate))
        assert score.weights.shape == score.squares.shape == score.mean.shape == vector.shape
        assert np.isfinite(score(vector))


# Placement --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "first", "second"), [("RA-LA", 0, 1), ("RA-LL", 0, 2), ("LA-LL", 1, 2)]
)
def test_exchanged_limb_electrodes_as_by_their_potentials(
    exchange: str, first: int, second: int
) -> None:
    potentials = np.random.default_rng(8).normal(size=(3, 50))  # right arm, left arm, left leg

    def limb_leads(electrodes: NDArray[np.float64]) -> NDArray[np.float64]:
        ra, la, ll = electrodes
        return np.stack(
            [la - ra, ll - ra, ll - la, ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
        )

    chest = np.zeros((6, 50))
    wrongly = potentials.copy()
    wrongly[[first, second]] = potentials[[second, first]]
    found = exchanged(np.concatenate([limb_leads(potentials), chest]), exchange)
    np.testing.assert_allclose(found[:6], limb_leads(wrongly), atol=1e-12)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_exchange_undoes_itself(exchange: str) -> None:
    signal = synthetic_ecg().signal_mv.astype(np.float64)
    other = exchanged(signal, exchange)
    assert np.abs(other - signal).max() > 0.1
    np.testing.assert_allclose(exchanged(other, exchange), signal, atol=1e-6)


def test_exchanged_arms_withhold_the_result_until_confirmed() -> None:
    signal = exchanged(synthetic_ecg().signal_mv.astype(np.float64), "RA-LA")
    (reason,) = assess(of(signal)).reasons
    assert (reason.code, reason.severity) == (PLACEMENT, Severity.CONFIRM)
    assert "right and left arm" in reason.message
    report = assess(of(signal), confirmed=[PLACEMENT])
    assert report.usable
    (reason,) = report.reasons
    assert (reason.code, reason.severity) == (PLACEMENT, Severity.CAUTION)
    assert reason.message.endswith("You confirmed that the electrodes were placed correctly.")


def test_an_inverted_chest_lead_is_named() -> None:
    signal = exchanged(synthetic_ecg().signal_mv.astype(np.float64), "-V5")
    (reason,) = assess(of(signal)).reasons
    assert (reason.code, reason.lead) == (PLACEMENT, "V5")


@pytest.mark.needs_shared
def test_exchanged_arms_are_found_in_real_ecgs(shared: Path) -> None:
    counts = np.load(shared / "data/ludb/ecg500.npz")["x"][::5]
    right = [of(record.T * 1e-3) for record in counts]
    wrong = [of(exchanged(ecg.signal_mv.astype(np.float64), "RA-LA")) for ecg in right]
    assert np.mean([PLACEMENT in codes(ecg) for ecg in right]) <= 0.05
    assert np.mean([PLACEMENT in codes(ecg) for ecg in wrong]) >= 0.85


# Leads ------------------------------------------------------------------------------------------


def test_a_good_ecg_has_twelve_good_leads() -> None:
    leads = assess(synthetic_ecg()).leads
    assert [each.lead for each in leads] == list(STANDARD_LEADS)
    assert {each.grade for each in leads} == {LeadGrade.GOOD}
    assert {each.message for each in leads} == {""}


def test_a_disturbed_lead_is_graded_alone() -> None:
    rng = np.random.default_rng(9)
    signal = synthetic_ecg().signal_mv.astype(np.float64)
    time_s = np.arange(signal.shape[1]) / FS
    signal[ROW["V2"]] += rng.normal(0, 0.25, signal.shape[1])
    signal[ROW["V4"]] += np.sin(2 * np.pi * 0.15 * time_s)
    signal[ROW["V6"]] = 0.2
    graded = {each.lead: each for each in assess(of(signal)).leads}
    assert graded["V2"].grade is LeadGrade.NOISY
    assert "noise" in graded["V2"].message
    assert graded["V4"].grade is LeadGrade.NOISY
    assert "baseline" in graded["V4"].message
    assert graded["V6"].grade is LeadGrade.UNUSABLE
    assert "flat" in graded["V6"].message
    assert all(graded[name].grade is LeadGrade.GOOD for name in ("I", "V1", "V3", "V5"))


def test_an_electrode_that_loses_contact_for_a_moment() -> None:
    signal = synthetic_ecg().signal_mv.astype(np.float64)
    loose = signal.copy()
    loose[ROW["V3"], 2500:2800] += 2 * np.hanning(300)  # 2 mV, for half a second
    graded = {each.lead: each for each in assess(of(loose)).leads}
    assert graded["V3"].grade is LeadGrade.NOISY
    assert graded["V3"].message.startswith("A beat in lead V3 differs from the others by 0.")
    assert {graded[name].grade for name in STANDARD_LEADS if name != "V3"} == {LeadGrade.GOOD}


def test_the_loose_electrode_of_the_demonstration_is_marked() -> None:
    ecg = read_recording(Path(__file__).parents[2] / "assets/demo/demo_simulated_ecg.hea")
    marked = [each.lead for each in assess(ecg).leads if each.grade is not LeadGrade.GOOD]
    assert marked == ["V3"]


def test_fewer_leads_are_looked_at_where_the_model_takes_no_more() -> None:
    ecg = synthetic_ecg(lead_names=("II", "V5"))
    assert assess(ecg, lead_names=("II", "V5")).usable
    assert not assess(ecg).usable
    (reason,) = assess(ecg, lead_names=("I",)).reasons
    assert (reason.code, reason.lead) == ("missing_lead", "I")
    rng = np.random.default_rng(10)
    noise = dataclasses.replace(ecg, signal_mv=rng.normal(0, 1e-4, ecg.signal_mv.shape))
    assert not assess(noise, lead_names=("II", "V5")).usable
