"""Simulated patients, ECGs and noise."""

from dataclasses import fields, replace

import numpy as np
import pytest

from training.simulation import (
    Patients,
    add_noise,
    findings_of_patients,
    sample_patients,
    simulate_clean_ecg,
    simulate_ecg,
)
from training.simulation.patients import CONDUCTION, TERRITORY

FS = 500.0
V1, V2, V3, V5, V6 = 6, 7, 8, 10, 11


@pytest.fixture(scope="module")
def cohort() -> Patients:
    return sample_patients(6000, np.random.default_rng(21))


def pick(cohort: Patients, mask: np.ndarray, n: int = 24) -> Patients:
    plain = ~cohort.af & (cohort.pvc_fraction == 0) & (cohort.pac_fraction == 0)
    index = np.flatnonzero(mask & plain)[:n]
    assert len(index) == n
    return cohort.take(index)


def with_conduction(patients: Patients, name: str) -> Patients:
    code = np.full(len(patients), CONDUCTION.index(name))
    n = len(patients)
    return replace(
        patients,
        conduction=code,
        right_delay=np.full(n, float(name in ("rbbb", "bifascicular")), np.float32),
        left_delay=np.full(n, float(name == "lbbb"), np.float32),
    )


def clean(patients: Patients, seed: int = 2) -> np.ndarray:
    return simulate_clean_ecg(patients, np.random.default_rng(seed), FS)


def r_peaks(ecg: np.ndarray) -> np.ndarray:
    """Samples of the R peaks of one recording: maxima of the summed slope, 250 ms apart."""
    slope = np.abs(np.diff(ecg, axis=1)).sum(axis=0)
    energy = np.convolve(slope, np.ones(40), "same")
    peaks = []
    for at in np.argsort(energy)[::-1]:
        if energy[at] < 0.5 * energy.max():
            break
        if all(abs(at - other) > 0.25 * FS for other in peaks):
            peaks.append(at)
    return np.sort(peaks)


def qrs_ms(ecg: np.ndarray) -> float:
    """Median width of the stretch round each R peak where the leads change fast."""
    slope = np.convolve(np.abs(np.diff(ecg, axis=1)).max(axis=0), np.ones(5) / 5, "same")
    widths = []
    for peak in r_peaks(ecg):
        if 100 < peak < ecg.shape[1] - 150:
            window = slope[peak - 75 : peak + 75]
            fast = np.flatnonzero(window > 0.12 * window.max())
            widths.append((fast[-1] - fast[0]) * 1000 / FS)
    return float(np.median(widths))


def net_qrs(ecg: np.ndarray, lead: int) -> float:
    peaks = [p for p in r_peaks(ecg) if 60 < p < ecg.shape[1] - 60]
    beats = np.stack([ecg[lead, p - 50 : p + 50] for p in peaks])
    beat = np.median(beats - beats[:, :5].mean(axis=1, keepdims=True), axis=0)
    return float(beat.max() + beat.min())


def assert_limb_algebra(ecg: np.ndarray) -> None:
    one, two, three, avr, avl, avf = (ecg[:, i].astype(np.float64) for i in range(6))
    np.testing.assert_allclose(three, two - one, atol=2e-6)
    np.testing.assert_allclose(avr, -(one + two) / 2, atol=2e-6)
    np.testing.assert_allclose(avl, one - two / 2, atol=2e-6)
    np.testing.assert_allclose(avf, two - one / 2, atol=2e-6)


def test_shape_units_and_limb_lead_algebra(cohort: Patients) -> None:
    ecg = simulate_ecg(cohort.take(slice(0, 40)), np.random.default_rng(0))
    assert ecg.shape == (40, 12, 2500)
    assert ecg.dtype == np.float32
    assert np.isfinite(ecg).all()
    assert_limb_algebra(ecg)


def test_sampling_rate_changes_the_grid_not_the_heart(cohort: Patients) -> None:
    patients = pick(cohort, cohort.conduction == 0, 6)
    slow = simulate_clean_ecg(patients, np.random.default_rng(1), 250.0, 8.0)
    fast = simulate_clean_ecg(patients, np.random.default_rng(1), 500.0, 8.0)
    assert slow.shape[2] * 2 == fast.shape[2]
    np.testing.assert_allclose(slow.max(axis=2), fast.max(axis=2), rtol=0.15, atol=0.05)


def test_same_seed_same_bytes(cohort: Patients) -> None:
    again = sample_patients(6000, np.random.default_rng(21))
    for field in fields(Patients):
        assert getattr(again, field.name).tobytes() == getattr(cohort, field.name).tobytes()
    patients = cohort.take(slice(0, 5))
    first, second = (simulate_ecg(patients, np.random.default_rng(7)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != simulate_ecg(patients, np.random.default_rng(8)).tobytes()


def test_normal_amplitudes_lie_in_the_normal_range(cohort: Patients) -> None:
    normal = findings_of_patients(cohort).normal
    ecg = clean(pick(cohort, normal, 60))
    # Medians of 293 NORM recordings of PTB-XL: R V5 1.33, S V2 1.27, R I 0.68, R II 0.88 mV.
    assert 0.9 < np.median(ecg[:, V5].max(axis=1)) < 1.7
    assert 0.6 < np.median(-ecg[:, V2].min(axis=1)) < 1.7
    assert 0.35 < np.median(ecg[:, 0].max(axis=1)) < 0.9
    assert 0.6 < np.median(ecg[:, 1].max(axis=1)) < 1.2
    assert np.mean([net_qrs(beat, V1) < 0 for beat in ecg]) > 0.9
    widths = [qrs_ms(beat) for beat in ecg[:30]]
    assert 70 < np.median(widths) < 110


@pytest.mark.parametrize("block", ["lbbb", "rbbb", "paced", "bifascicular"])
def test_blocks_widen_the_qrs(cohort: Patients, block: str) -> None:
    patients = pick(cohort, findings_of_patients(cohort).normal, 48)
    narrow = np.array([qrs_ms(ecg) for ecg in clean(patients)])
    wide = np.array([qrs_ms(ecg) for ecg in clean(with_conduction(patients, block))])
    assert np.median(wide - narrow) > 20
    assert np.mean(wide > narrow) > 0.9


def test_blocks_have_their_shape(cohort: Patients) -> None:
    patients = pick(cohort, findings_of_patients(cohort).normal)
    left = clean(with_conduction(patients, "lbbb"))
    assert np.mean([net_qrs(ecg, V1) < 0 < net_qrs(ecg, V6) for ecg in left]) > 0.9
    right = clean(with_conduction(patients, "rbbb"))
    normal = clean(patients)
    assert np.median(right[:, V1].max(axis=1)) > 2.5 * np.median(normal[:, V1].max(axis=1))
    for without, name in ((normal, "lafb"), (right, "bifascicular")):
        with_block = clean(with_conduction(patients, name))
        axes = [
            [np.rad2deg(np.arctan2(net_qrs(ecg, 5), net_qrs(ecg, 0))) for ecg in ecgs]
            for ecgs in (without, with_block)
        ]
        assert np.median(axes[1]) < np.median(axes[0]) - 30  # left axis deviation
    assert np.median(with_block[:, V1].max(axis=1)) > 2.5 * np.median(normal[:, V1].max(axis=1))


def test_a_bifascicular_block_is_stated_as_both(cohort: Patients) -> None:
    stated = findings_of_patients(with_conduction(cohort.take(np.arange(5)), "bifascicular"))
    assert stated.rbbb.all()
    assert stated.lafb.all()
    assert not stated.normal.any()


@pytest.mark.parametrize(("territory", "lead"), [("anterior", V3), ("inferior", 5)])
def test_scar_removes_r_waves_over_its_wall(cohort: Patients, territory: str, lead: int) -> None:
    healthy = pick(cohort, findings_of_patients(cohort).normal)
    n = len(healthy)
    healthy = replace(healthy, electrode_shift_cm=np.zeros((n, 6, 3), np.float32))
    infarct = replace(
        healthy,
        scar_territory=np.full(n, TERRITORY.index(territory)),
        scar_fraction=np.full(n, 0.25, np.float32),
        scar_depth=np.full(n, 0.9, np.float32),
        scar_shift_deg=np.zeros((n, 2), np.float32),
    )
    change = [
        net_qrs(b, lead) - net_qrs(a, lead)
        for a, b in zip(clean(healthy), clean(infarct), strict=True)
    ]
    assert np.mean(np.array(change) < -0.1) > 0.9


def test_mass_raises_voltage_and_lowers_lateral_t_waves(cohort: Patients) -> None:
    healthy = pick(cohort, findings_of_patients(cohort).normal)
    ones = np.ones(len(healthy), np.float32)
    thin = clean(replace(healthy, mass_gain=ones))
    thick = clean(replace(healthy, mass_gain=2 * ones))
    assert np.median(thick[:, V5].max(axis=1) / thin[:, V5].max(axis=1)) > 1.3
    t_after = np.array([r_peaks(ecg)[2] + int(0.25 * FS) for ecg in thin])
    t_thin = np.array([e[V6, i - 40 : i + 40].mean() for e, i in zip(thin, t_after, strict=True)])
    t_thick = np.array([e[V6, i - 40 : i + 40].mean() for e, i in zip(thick, t_after, strict=True)])
    assert np.mean(t_thick < t_thin) > 0.9


def test_atrial_fibrillation_is_irregular_and_has_no_p_wave(cohort: Patients) -> None:
    sinus = pick(cohort, findings_of_patients(cohort).normal)
    n = len(sinus)
    fibrillating = replace(sinus, af=np.ones(n, bool), rr_spread=np.full(n, 0.2, np.float32))

    def irregularity(ecg: np.ndarray) -> float:
        rr = np.diff(r_peaks(ecg))
        return float(rr.std() / rr.mean())

    regular = [irregularity(ecg) for ecg in clean(sinus)]
    irregular = [irregularity(ecg) for ecg in clean(fibrillating)]
    assert np.median(regular) < 0.08
    assert np.median(irregular) > 0.12
    assert np.quantile(irregular, 0.1) > np.median(regular)

    def p_height(ecg: np.ndarray, pr_ms: float) -> float:
        before = round((pr_ms - 20) / 1000 * FS)
        beats = [ecg[1, p - before - 30 : p - 30] for p in r_peaks(ecg) if p > 200]
        mean = np.mean(beats, axis=0)  # waves locked to the QRS survive the average
        return float(mean.max() - mean[:5].mean())

    with_p = [p_height(e, pr) for e, pr in zip(clean(sinus), sinus.pr_ms, strict=True)]
    without = [p_height(e, pr) for e, pr in zip(clean(fibrillating), sinus.pr_ms, strict=True)]
    assert np.median(with_p) > 2 * np.median(without)


def test_premature_beats_are_early_and_wide(cohort: Patients) -> None:
    mask = (cohort.pvc_fraction > 0.15) & ~cohort.af & (cohort.conduction == 0)
    ecg = simulate_clean_ecg(cohort.take(np.flatnonzero(mask)[:12]), np.random.default_rng(5), FS)
    shortest = []
    for record in ecg:
        rr = np.diff(r_peaks(record))
        shortest.append(rr.min() / np.median(rr))
    assert np.median(shortest) < 0.8


@pytest.mark.parametrize("fs", [100.0, 250.0, 500.0])
def test_noise_grows_with_level_and_keeps_the_algebra(fs: float) -> None:
    still = np.zeros((16, 12, int(10 * fs)), np.float32)
    rms = []
    for level in (0.0, 0.1, 0.4, 1.0):
        noisy = add_noise(still, np.random.default_rng(1), level, fs)
        assert noisy.dtype == np.float32
        assert_limb_algebra(noisy)
        rms.append(float(np.sqrt((noisy**2).mean())))
    assert rms[0] == 0
    assert rms[1] < rms[2] < rms[3]
    assert 0.005 < rms[1] < 0.1
    assert 0.1 < rms[3] < 1.0
    assert not still.any()


def test_noise_refuses_other_shapes_and_levels() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="shape"):
        add_noise(np.zeros((8, 1000), np.float32), rng, 0.1)
    with pytest.raises(ValueError, match="level"):
        add_noise(np.zeros((12, 1000), np.float32), rng, 1.5)
    one = add_noise(np.zeros((12, 1000), np.float32), rng, 0.2)
    assert one.shape == (12, 1000)


def test_acute_infarct_raises_st_over_its_wall_and_lowers_it_opposite(cohort: Patients) -> None:
    healthy = pick(cohort, findings_of_patients(cohort).normal)
    n = len(healthy)
    acute = replace(
        healthy,
        scar_territory=np.full(n, TERRITORY.index("inferior")),
        scar_fraction=np.full(n, 0.15, np.float32),
        scar_shift_deg=np.zeros((n, 2), np.float32),
        scar_st_mv=np.full(n, 0.3, np.float32),
    )
    before, after = clean(healthy), clean(acute)

    def st_level(ecg: np.ndarray, lead: int) -> float:
        ends = [p + round(0.09 * FS) for p in r_peaks(ecg) if 60 < p < ecg.shape[1] - 100]
        return float(np.median([ecg[lead, e] - ecg[lead, e - round(0.17 * FS)] for e in ends]))

    rise = [st_level(b, 5) - st_level(a, 5) for a, b in zip(before, after, strict=True)]
    reciprocal = [st_level(b, 4) - st_level(a, 4) for a, b in zip(before, after, strict=True)]
    assert np.median(rise) > 0.08  # aVF
    assert np.median(reciprocal) < -0.03  # aVL


def test_premature_atrial_beats_are_early_and_narrow(cohort: Patients) -> None:
    sinus = pick(cohort, findings_of_patients(cohort).normal)
    some = replace(sinus, pac_fraction=np.full(len(sinus), 0.2, np.float32))
    shortest, widths = [], []
    for ecg, regular in zip(clean(some), clean(sinus), strict=True):
        rr = np.diff(r_peaks(ecg))
        shortest.append(rr.min() / np.median(rr))
        widths.append(qrs_ms(ecg) - qrs_ms(regular))
    assert np.median(shortest) < 0.85
    assert abs(np.median(widths)) < 10
