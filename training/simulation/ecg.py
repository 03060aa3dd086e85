"""Twelve-lead ECGs of virtual patients: a heart of wall segments, each a moving dipole.

The heart is the 17 segments of the left ventricle (Cerqueira et al., Circulation 2002;105:539)
and five of the right. A segment emits a depolarisation pulse along its outward normal when it is
activated (times after Durrer et al., Circulation 1970;41:899) and a broad repolarisation pulse.
Both are Gaussian kernels (McSharry et al., IEEE Trans Biomed Eng 2003;50:289; Sameni et al.,
EURASIP J Adv Signal Process 2007:43407). The area of the two pulses of a segment, its ventricular
gradient, does not depend on the order of activation (Wilson et al., Am Heart J 1934;10:46):
where block, pacing, ectopy or mass make the depolarisation area larger, the T wave turns
against it, which gives the discordant T of blocks and the strain of hypertrophy without rules of
their own. Scar emits nothing, so the opposite wall shows as a Q wave.

Potentials at the electrodes are lead vector times dipole (Dower et al., J Electrocardiol
1980;13:133), for the chest electrodes weighted by the distance to the segment. Leads are
differences of electrode potentials: Einthoven and Goldberger hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulation import heart
from training.simulation.noise import LEADS_FROM_ELECTRODES, device_filtered, electrode_noise
from training.simulation.patients import CONDUCTION, Patients

FloatArray = NDArray[np.float32]

TEMPLATE_START_S = -0.06  # before the first ventricular activation
TEMPLATE_END_S = 0.68
P_START_S = -0.10  # around the centre of the P wave
P_END_S = 0.10


def simulate_ecg(
    patients: Patients,
    rng: np.random.Generator,
    fs: float = 250.0,
    duration_s: float = 10.0,
) -> FloatArray:
    """Simulate one recording of each patient, noise included.

    Parameters
    ----------
    patients
        n virtual patients.
    rng
        Source of randomness; the same state gives the same recordings.
    fs
        Sampling rate, Hz.
    duration_s
        Length, s.

    Returns
    -------
    (n, 12, samples) float32
        Leads I II III aVR aVL aVF V1-V6 in mV.
    """
    heart_mv = simulate_electrodes(patients, rng, fs, duration_s)
    # Most tracings are fair, a few clean, a few bad.
    levels = np.clip(rng.lognormal(np.log(0.12), 0.8, len(patients)), 0, 1)
    noise_mv = electrode_noise(rng, levels, heart_mv.shape[-1], fs)
    recorded = device_filtered(heart_mv + noise_mv, rng, fs)
    return (LEADS_FROM_ELECTRODES @ recorded).astype(np.float32, copy=False)


def simulate_clean_ecg(
    patients: Patients,
    rng: np.random.Generator,
    fs: float = 250.0,
    duration_s: float = 10.0,
) -> FloatArray:
    """Simulate recordings without noise; arguments and result as :func:`simulate_ecg`."""
    return LEADS_FROM_ELECTRODES @ simulate_electrodes(patients, rng, fs, duration_s)


def simulate_electrodes(
    patients: Patients, rng: np.random.Generator, fs: float, duration_s: float
) -> FloatArray:
    """Return the potentials of the heart at RA LA LL V1-V6, (n, 9, samples) float32, mV."""
    n, samples = len(patients), round(fs * duration_s)
    field = heart.lead_field(patients)
    normal_beat = beat_template(patients, field, heart.conducted_activation(patients), fs)
    with_ectopy = np.flatnonzero(patients.pvc_fraction > 0)
    some = patients.take(with_ectopy)
    ectopic_beats = beat_template(some, field[with_ectopy], heart.ectopic_activation(some), fs)
    ectopic_beat = dict(zip(with_ectopy.tolist(), ectopic_beats, strict=True))
    p_wave = _p_wave(patients, fs)
    offset = round(TEMPLATE_START_S * fs)
    p_offset = round(P_START_S * fs)

    margin = normal_beat.shape[-1]
    out = np.zeros((n, 9, samples + 2 * margin), np.float32)
    respiration_hz = rng.uniform(0.15, 0.33, n)
    swing = (rng.uniform(0.0, 0.06, (n, 9)) * rng.choice([-1, 1], (n, 9))).astype(np.float32)
    has_p, pr_s = _atrial_activity(patients, rng)
    for i in range(n):
        onsets_s, ectopic = _beat_times(patients, i, rng, respiration_hz[i], duration_s)
        starts = np.round(onsets_s * fs).astype(int) + margin
        breath = np.sin(2 * np.pi * respiration_hz[i] * onsets_s)
        for start, is_ectopic, depth in zip(starts, ectopic, breath, strict=True):
            beat = ectopic_beat[i] if is_ectopic else normal_beat[i]
            gain = (1 + swing[i] * np.float32(depth))[:, None]
            first = start + offset
            if first < 0 or first + margin > out.shape[-1]:
                continue
            out[i, :, first : first + margin] += beat * gain
            if has_p[i] and not is_ectopic:
                at = start - round(pr_s[i] * fs) + p_offset
                if at >= 0:
                    out[i, :, at : at + p_wave.shape[-1]] += p_wave[i]
            if patients.conduction[i] == CONDUCTION.index("paced") and not is_ectopic:
                out[i, :, start - 1] += heart.PACING_SPIKE_MV
    out = out[:, :, margin : margin + samples]
    fibrillating = np.flatnonzero(patients.af)
    out[fibrillating] += _fibrillation(patients.take(fibrillating), rng, samples, fs)
    return out


def beat_template(
    patients: Patients, field: FloatArray, activation: heart.Activation, fs: float
) -> FloatArray:
    """Return one kind of beat of each patient, (n, 9, samples) float32, mV.

    Sample 0 lies TEMPLATE_START_S from the start of ventricular activation.
    """
    t = np.arange(round(TEMPLATE_START_S * fs), round(TEMPLATE_END_S * fs)) / fs
    t = t.astype(np.float32)
    z = (t - activation.time_s[:, :, None]) / activation.width_s[:, :, None]
    height = 1 / (np.float32(1000 * np.sqrt(2 * np.pi)) * activation.width_s)
    depolarisation = np.exp(-0.5 * z * z) * height[:, :, None]
    repolarisation = heart.repolarisation_pulse(patients, activation.time_s, t)
    # The repolarisation of a segment is its gradient less its depolarisation.
    own = np.einsum("nesk,nsk->nes", field, activation.dipole)
    gradient = np.einsum("nesk,nsk->nes", field, heart.ventricular_gradient(patients))
    outward = np.einsum("nesk,sk->nes", field, heart.NORMALS.astype(np.float32))
    beat = own @ (depolarisation - repolarisation) + gradient @ repolarisation
    return beat + outward @ heart.injury(patients, activation.time_s, t)


def _p_wave(patients: Patients, fs: float) -> FloatArray:
    """P wave of each patient, (n, 9, samples): right atrium first, then left."""
    t = (np.arange(round(P_START_S * fs), round(P_END_S * fs)) / fs).astype(np.float32)
    t = t / patients.p_width_gain[:, None]
    left_gain = patients.left_atrial_gain[:, None]
    late = 0.012 * np.clip(left_gain - 1, -0.5, 1.5)
    right = 0.165 * np.exp(-0.5 * ((t + 0.018) / 0.017) ** 2)
    left = 0.115 * left_gain * np.exp(-0.5 * ((t - 0.022 - late) / 0.019) ** 2)
    gain = patients.p_gain * np.sqrt(patients.voltage_gain)
    waves = np.stack([right, left], axis=1) * gain[:, None, None]
    return (heart.atrial_field(patients) @ waves).astype(np.float32)


def _atrial_activity(
    patients: Patients, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Whether P waves precede the beats, and the time from P centre to QRS onset, s."""
    paced = patients.conduction == CONDUCTION.index("paced")
    dual_chamber = rng.random(len(patients)) < 0.5
    has_p = ~patients.af & (~paced | dual_chamber)
    return has_p, (patients.pr_ms - 50) / np.float32(1000)


def _beat_times(
    patients: Patients, i: int, rng: np.random.Generator, respiration_hz: float, duration_s: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """QRS onsets (s, from before the start to after the end) and which are ectopic."""
    mean_rr = 60 / float(patients.heart_rate_bpm[i])
    count = int((duration_s + 2) / mean_rr * 1.6) + 4
    spread = float(patients.rr_spread[i])
    if patients.conduction[i] == CONDUCTION.index("paced"):
        rr = np.full(count, mean_rr)
    elif patients.flutter[i]:
        # One beat a few flutter waves, a constant or a changing number.
        wave_s = float(1 / _flutter_hz(patients.fibrillation_hz[i : i + 1])[0])
        every = max(round(mean_rr / wave_s), 2)
        changes = rng.integers(-1, 2, count) * (spread > 0.2)
        rr = wave_s * np.maximum(every + changes, 2)
    elif patients.af[i]:
        # Irregularly irregular: independent intervals.
        rr = np.maximum(mean_rr * rng.gamma(1 / spread**2, spread**2, count), 0.30)
    else:
        beat = np.arange(count) * mean_rr
        # Respiratory and 0.1 Hz variation (McSharry 2003).
        phase = rng.uniform(0, 2 * np.pi, 2)
        rr = mean_rr * (
            1
            + 1.2 * spread * np.sin(2 * np.pi * respiration_hz * beat + phase[0])
            + 0.7 * spread * np.sin(2 * np.pi * 0.1 * beat + phase[1])
            + 0.004 * rng.standard_normal(count)
        )
        # Premature atrial beats reset the sinus node: no full pause after them.
        early = rng.random(count) < float(patients.pac_fraction[i])
        rr[early] *= rng.uniform(0.5, 0.85, early.sum())
        rr[1:][early[:-1]] *= 1.1
    onsets = np.cumsum(rr) - mean_rr * (1 + rng.random())
    ectopic = rng.random(count) < float(patients.pvc_fraction[i])
    if patients.bigeminy[i]:
        ectopic = np.arange(count) % 2 == 1
    ectopic[1:] &= ~ectopic[:-1]
    # Premature, followed by a compensatory pause because the next onset stays in place.
    onsets[ectopic] -= rr[ectopic] * rng.uniform(0.22, 0.42)
    keep = onsets < duration_s + 0.3
    return onsets[keep], ectopic[keep]


def _flutter_hz(fibrillation_hz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rate of flutter waves, 4-5.5 Hz, from the range of fibrillation."""
    return 4.0 + 0.375 * (fibrillation_hz - 4.5)


def _fibrillation(
    patients: Patients, rng: np.random.Generator, samples: int, fs: float
) -> FloatArray:
    """Atrial waves of fibrillation and flutter, (n, 9, samples), mV.

    Two atria of their own, drifting rates and sizes; flutter is a regular sawtooth.
    """
    n = len(patients)
    t = np.arange(samples) / fs
    flutter = patients.flutter[:, None, None]
    fibrillation_hz = patients.fibrillation_hz[:, None, None].astype(np.float64)
    rate = np.where(flutter, _flutter_hz(fibrillation_hz), fibrillation_hz)
    rate = rate + ~flutter * rng.uniform(-0.6, 0.6, (n, 2, 1))
    slow = rng.uniform(0.2, 1.2, (n, 2, 2, 1))
    start = rng.uniform(0, 2 * np.pi, (n, 2, 4, 1))
    wobble = ~flutter * 1.1 * np.sin(2 * np.pi * slow[:, :, 0] * t + start[:, :, 0])
    angle = 2 * np.pi * np.cumsum(rate + wobble, axis=2) / fs + start[:, :, 1]
    swell = 1 + ~flutter * 0.6 * np.sin(2 * np.pi * slow[:, :, 1] * t + start[:, :, 2])
    harmonic = np.where(flutter, np.pi / 2, start[:, :, 3])
    wave = swell * (np.sin(angle) + 0.4 * np.sin(2 * angle + harmonic))
    wave *= patients.fibrillation_mv[:, None, None] * np.where(flutter, 1.6, 1.0)
    field = heart.FIBRILLATION_FIELD * rng.lognormal(0, 0.3, (n, 9, 2))
    return (field @ wave).astype(np.float32)
