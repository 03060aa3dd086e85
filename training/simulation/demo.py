"""The simulated recording that the program ships, in WFDB format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.simulation.ecg import simulate_clean_ecg
from training.simulation.measures import EchoMeasures
from training.simulation.noise import ELECTRODES, LEADS_FROM_ELECTRODES, electrode_noise
from training.simulation.outcomes import draw_echo
from training.simulation.patients import CONDUCTION, Patients, sample_patients

RECORD_NAME = "demo_simulated_ecg"
LEAD_NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
FS = 500.0
GAIN_PER_MV = 1000  # int16 counts a mV, as in PTB-XL: 1 uV a count
NOISY_ELECTRODE = "V3"
# The loose contact moves for a while, at frequencies that the model's filter lets pass.
MOVES_S = (5.5, 7.0)
MOVES_HZ = (4.0, 30.0)
MOVES_RMS_MV = 0.5


def write_demo_recording(folder: Path, seed: int = 13) -> Path:
    """Write one simulated 12-lead recording and return the path of its header.

    The patient has a mildly reduced LVEF; the electrode of V3 is loose, so that one lead is
    visibly noisier than the others, for a second and a half far noisier.

    Parameters
    ----------
    folder
        Where ``demo_simulated_ecg.hea`` and ``.dat`` go; it is created if missing.
    seed
        Seed of the patient and of the noise; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    patient, echo = _mildly_reduced(sample_patients(4000, rng), rng)
    heart_mv = simulate_clean_ecg(patient, rng, FS)[0]
    noise = electrode_noise(rng, np.array([0.06]), heart_mv.shape[1], FS)[0]
    loose = ELECTRODES.index(NOISY_ELECTRODE)
    noise[loose] += electrode_noise(rng, np.array([0.3]), heart_mv.shape[1], FS)[0, loose]
    first, last = (round(second * FS) for second in MOVES_S)
    noise[loose, first:last] += _movement(last - first, rng)
    counts = np.rint((heart_mv + LEADS_FROM_ELECTRODES @ noise) * GAIN_PER_MV)
    samples = np.clip(counts, -32767, 32767).astype("<i2")
    _rederive_limb_leads(samples)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{RECORD_NAME}.dat").write_bytes(samples.T.tobytes())
    header = folder / f"{RECORD_NAME}.hea"
    header.write_text(_header(samples, patient, echo), encoding="ascii", newline="\n")
    return header


def _movement(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Sum of oscillations within MOVES_HZ that fades in and out, mV."""
    time_s = np.arange(n_samples) / FS
    turns = np.outer(rng.uniform(*MOVES_HZ, 12), time_s) + rng.random((12, 1))
    wave = np.sin(2 * np.pi * turns).sum(axis=0) * np.hanning(n_samples) ** 0.3
    return wave * (MOVES_RMS_MV / wave.std())


def _mildly_reduced(patients: Patients, rng: np.random.Generator) -> tuple[Patients, EchoMeasures]:
    """Pick the first patient in sinus rhythm with an infarct and an LVEF of 42-48 %."""
    echo = draw_echo(patients, rng)
    suits = (echo.lvef_pct > 42) & (echo.lvef_pct < 48)
    suits &= ~patients.af & (patients.conduction == CONDUCTION.index("normal"))
    suits &= (patients.scar_fraction > 0.08) & (patients.pvc_fraction == 0)
    suits &= (patients.voltage_gain > 0.9) & (patients.voltage_gain < 1.3)
    suits &= (patients.mass_gain < 1.2) & ~patients.bigeminy & (patients.right_delay < 0.2)
    first = np.flatnonzero(suits)[:1]
    return patients.take(first), echo.take(first)


def _rederive_limb_leads(samples: np.ndarray) -> None:
    """Make the derived limb leads agree with leads I and II to the count after rounding."""
    i, ii = samples[0].astype(np.int64), samples[1].astype(np.int64)
    samples[2], samples[3] = ii - i, -(i + ii) // 2
    samples[4], samples[5] = i - ii // 2, ii - i // 2


def _header(samples: np.ndarray, patient: Patients, echo: EchoMeasures) -> str:
    lines = [f"{RECORD_NAME} {len(samples)} {FS:g} {samples.shape[1]}"]
    for name, row in zip(LEAD_NAMES, samples, strict=True):
        checksum = int(row.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"{RECORD_NAME}.dat 16 {GAIN_PER_MV}(0)/mV 16 0 {row[0]} {checksum} 0 {name}")
    lines += [
        "# Simulated ECG, written by EchoingECG. It shows no patient.",
        f"# Age: {float(patient.age_y[0]):.0f}",
        f"# Sex: {'M' if patient.male[0] else 'F'}",
        f"# Simulated LVEF: {float(echo.lvef_pct[0]):.0f} percent",
        f"# Lead {NOISY_ELECTRODE} is made noisier than the others on purpose.",
    ]
    return "\n".join(lines) + "\n"
