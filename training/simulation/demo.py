"""The simulated recordings that the program ships, in WFDB format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.simulation.ecg import simulate_clean_ecg
from training.simulation.measures import EchoMeasures
from training.simulation.noise import ELECTRODES, LEADS_FROM_ELECTRODES, electrode_noise
from training.simulation.outcomes import draw_echo
from training.simulation.patients import CONDUCTION, Patients, sample_patients

LEAD_NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
FS = 500.0
GAIN_PER_MV = 1000  # int16 counts a mV, as in PTB-XL: 1 uV a count
NOISY_ELECTRODE = "V3"
# The loose contact moves for a while, at frequencies that the model's filter lets pass.
MOVES_S = (5.5, 7.0)
MOVES_HZ = (4.0, 30.0)
MOVES_RMS_MV = 0.5

_Samples = NDArray[np.int16]
_Suits = Callable[[Patients, EchoMeasures], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration: the first simulated patient whom it suits.

    Attributes
    ----------
    name
        Of the WFDB record.
    remark
        What is special, as its last comment.
    seed
        Of patients and noise; the same seed gives the same bytes.
    suits
        Whom it may be.
    loose_electrode
        Whether the electrode of V3 is loose.
    arms_exchanged
        Whether the arm electrodes are exchanged.
    """

    name: str
    remark: str
    seed: int
    suits: _Suits
    loose_electrode: bool = False
    arms_exchanged: bool = False


def _sinus(patients: Patients) -> NDArray[np.bool_]:
    """Regular rhythm of ordinary voltage without ectopic beats."""
    suits = ~patients.af & (patients.pvc_fraction == 0) & ~patients.bigeminy
    return suits & (patients.voltage_gain > 0.9) & (patients.voltage_gain < 1.3)


def _infarcted(patients: Patients, echo: EchoMeasures) -> NDArray[np.bool_]:
    """Sinus rhythm with an infarct and an LVEF of 42-48 %."""
    suits = (echo.lvef_pct > 42) & (echo.lvef_pct < 48) & _sinus(patients)
    suits &= (patients.conduction == CONDUCTION.index("normal")) & (patients.scar_fraction > 0.08)
    return suits & (patients.mass_gain < 1.2) & (patients.right_delay < 0.2)


def _healthy(patients: Patients, echo: EchoMeasures) -> NDArray[np.bool_]:
    """Sinus rhythm of a heart without disease and an LVEF of 60-66 %."""
    suits = (echo.lvef_pct > 60) & (echo.lvef_pct < 66) & _sinus(patients)
    suits &= (patients.conduction == CONDUCTION.index("normal")) & (patients.scar_fraction < 0.01)
    suits &= (patients.right_delay < 0.1) & (patients.left_delay < 0.1)
    suits &= (patients.ischaemia < 0.1) & (patients.st_t_severity < 0.1)
    suits &= (patients.mass_gain > 0.8) & (patients.mass_gain < 1.15)
    return suits & (patients.heart_rate_bpm > 60) & (patients.heart_rate_bpm < 80)


def _left_block(patients: Patients, echo: EchoMeasures) -> NDArray[np.bool_]:
    """Left bundle branch block and an LVEF of 22-32 %."""
    suits = (echo.lvef_pct > 22) & (echo.lvef_pct < 32) & _sinus(patients)
    return suits & (patients.conduction == CONDUCTION.index("lbbb"))


def _fibrillating(patients: Patients, echo: EchoMeasures) -> NDArray[np.bool_]:
    """Atrial fibrillation and an LVEF of 45-60 %."""
    suits = (echo.lvef_pct > 45) & (echo.lvef_pct < 60) & patients.af & ~patients.flutter
    suits &= (patients.conduction == CONDUCTION.index("normal")) & (patients.pvc_fraction == 0)
    return suits & (patients.heart_rate_bpm > 75) & (patients.heart_rate_bpm < 110)


DEMOS = (
    Demo(
        "demo_simulated_ecg",
        "Lead V3 is made noisier than the others on purpose.",
        13,
        _infarcted,
        loose_electrode=True,
    ),
    Demo("demo_healthy", "A heart without disease.", 21, _healthy),
    Demo("demo_left_bundle_branch_block", "Left bundle branch block.", 22, _left_block),
    Demo("demo_atrial_fibrillation", "Atrial fibrillation.", 23, _fibrillating),
    Demo(
        "demo_arms_exchanged",
        "The arm electrodes are exchanged on purpose.",
        24,
        _healthy,
        arms_exchanged=True,
    ),
)


def write_demo_recording(folder: Path, demo: Demo = DEMOS[0]) -> Path:
    """Write one simulated 12-lead recording and return the path of its header.

    Parameters
    ----------
    folder
        Where header and samples go; it is created if missing.
    demo
        Which one.
    """
    rng = np.random.default_rng(demo.seed)
    patients = sample_patients(4000, rng)
    echoes = draw_echo(patients, rng)
    first = np.flatnonzero(demo.suits(patients, echoes))[:1]
    patient, echo = patients.take(first), echoes.take(first)
    heart_mv = simulate_clean_ecg(patient, rng, FS)[0]
    noise = electrode_noise(rng, np.array([0.06]), heart_mv.shape[1], FS)[0]
    if demo.loose_electrode:
        loose = ELECTRODES.index(NOISY_ELECTRODE)
        noise[loose] += electrode_noise(rng, np.array([0.3]), heart_mv.shape[1], FS)[0, loose]
        start, stop = (round(second * FS) for second in MOVES_S)
        noise[loose, start:stop] += _movement(stop - start, rng)
    counts = np.rint((heart_mv + LEADS_FROM_ELECTRODES @ noise) * GAIN_PER_MV)
    samples = np.clip(counts, -32767, 32767).astype("<i2")
    if demo.arms_exchanged:
        samples[0], samples[1] = -samples[0], samples[1] - samples[0]
    _rederive_limb_leads(samples)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{demo.name}.dat").write_bytes(samples.T.tobytes())
    header = folder / f"{demo.name}.hea"
    text = _header(demo, samples, patient, echo)
    header.write_text(text, encoding="ascii", newline="\n")
    return header


def _movement(n_samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sum of oscillations within MOVES_HZ that fades in and out, mV."""
    time_s = np.arange(n_samples) / FS
    turns = np.outer(rng.uniform(*MOVES_HZ, 12), time_s) + rng.random((12, 1))
    wave = np.sin(2 * np.pi * turns).sum(axis=0) * np.hanning(n_samples) ** 0.3
    return wave * (MOVES_RMS_MV / wave.std())


def _rederive_limb_leads(samples: _Samples) -> None:
    """Make the derived limb leads agree with leads I and II to the count after rounding."""
    i, ii = samples[0].astype(np.int64), samples[1].astype(np.int64)
    samples[2], samples[3] = ii - i, -(i + ii) // 2
    samples[4], samples[5] = i - ii // 2, ii - i // 2


def _header(demo: Demo, samples: _Samples, patient: Patients, echo: EchoMeasures) -> str:
    lines = [f"{demo.name} {len(samples)} {FS:g} {samples.shape[1]}"]
    for name, row in zip(LEAD_NAMES, samples, strict=True):
        checksum = int(row.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"{demo.name}.dat 16 {GAIN_PER_MV}(0)/mV 16 0 {row[0]} {checksum} 0 {name}")
    lines += [
        "# Simulated ECG, written by EchoingECG. It shows no patient.",
        f"# Age: {float(patient.age_y[0]):.0f}",
        f"# Sex: {'M' if patient.male[0] else 'F'}",
        f"# Simulated LVEF: {float(echo.lvef_pct[0]):.0f} percent",
        f"# {demo.remark}",
    ]
    return "\n".join(lines) + "\n"
