"""Geometry and electrophysiology of the simulated heart: segments, lead field, activation.

Axes of the body: x to the left, y to the feet, z to the back (Dower). Lengths in cm, times in s,
pulse areas in mV ms of the dipole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dower import LEAD_VECTORS
from training.simulation.patients import CONDUCTION, PVC_ORIGIN, TERRITORY, Patients

FloatArray = NDArray[np.float32]

# Wilson's terminal at zero.
_LEAD_I, _LEAD_II, _CHEST_VECTORS = LEAD_VECTORS[0], LEAD_VECTORS[1], LEAD_VECTORS[2:]
ELECTRODE_VECTORS = np.vstack(
    [
        -(_LEAD_I + _LEAD_II) / 3,
        (2 * _LEAD_I - _LEAD_II) / 3,
        (2 * _LEAD_II - _LEAD_I) / 3,
        _CHEST_VECTORS,
    ]
).astype(np.float32)
"""(9, 3): potential at RA LA LL V1-V6 of a unit dipole at the centre of the heart."""

# Chest electrodes from the centre of the heart: fourth intercostal space to midaxillary line.
CHEST_ELECTRODES_CM = np.array(
    [
        [-4.5, -2.0, -8.0],
        [0.5, -2.0, -8.5],
        [3.5, -0.5, -8.3],
        [6.5, 1.2, -7.0],
        [9.5, 1.2, -4.0],
        [11.0, 1.2, 0.5],
    ]
)
PROXIMITY_POWER = 0.6

# Times, areas and repolarisation below, the axes in _geometry and the widths of the T wave were
# fitted to the median beat of 241 normal recordings of PTB-XL (CC BY 4.0), starting from Durrer
# 1970 and kept near it by a penalty. Time 0 is the visible start of the QRS.
# name: (polar angle from the apex, azimuth round the long axis, activation ms, area mV ms,
# repolarisation area mV ms). Azimuth 0 septum, 90 inferior, 180 lateral, 270 anterior wall.
LEFT_SEGMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "basal anterior": (95, 270, 63, 5.5, 6.0),
    "basal anteroseptal": (95, 330, 19, 2.0, 9.6),
    "basal inferoseptal": (95, 30, 36, 1.8, 7.2),
    "basal inferior": (95, 90, 60, 6.1, 3.5),
    "basal inferolateral": (95, 150, 66, 9.5, 3.3),
    "basal anterolateral": (95, 210, 56, 8.8, 4.4),
    "mid anterior": (70, 270, 49, 5.4, 7.2),
    "mid anteroseptal": (70, 330, 24, 2.0, 7.8),
    "mid inferoseptal": (70, 30, 19, 1.9, 6.5),
    "mid inferior": (70, 90, 53, 6.7, 5.2),
    "mid inferolateral": (70, 150, 47, 12.5, 4.9),
    "mid anterolateral": (70, 210, 41, 10.1, 5.9),
    "apical anterior": (40, 270, 34, 3.8, 6.3),
    "apical septal": (40, 0, 35, 2.3, 6.1),
    "apical inferior": (40, 90, 41, 5.0, 5.9),
    "apical lateral": (40, 180, 35, 6.5, 6.3),
    "apex": (5, 0, 40, 3.5, 6.2),
}
RIGHT_SEGMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "right apex": (45, 0, 40, 1.5, 1.5),
    "right anterior": (75, 310, 45, 1.7, 2.0),
    "right inferior": (75, 50, 41, 1.7, 1.9),
    "right basal": (100, 30, 62, 1.6, 1.6),
    "outflow tract": (105, 310, 67, 1.5, 1.2),
}
_TABLE = np.array([*LEFT_SEGMENTS.values(), *RIGHT_SEGMENTS.values()])
N_LEFT = len(LEFT_SEGMENTS)
NORMAL_ACTIVATION_MS, NORMAL_AREA, NORMAL_REPOLARISATION = _TABLE[:, 2:].T.copy()
PULSE_SD_MS = 8.5

_NAMES = [*LEFT_SEGMENTS, *RIGHT_SEGMENTS]
_SEPTAL = np.array([("sept" in name) for name in _NAMES])
_RIGHT = np.arange(len(_NAMES)) >= N_LEFT


def _geometry() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outward normals and positions (cm from the heart's centre), (segments, 3) each."""
    apex = np.array([0.831, 0.557, 0.011])
    apex /= np.linalg.norm(apex)
    septum = np.array([-0.056, 0.104, -0.993])
    septum -= apex * (septum @ apex)
    septum /= np.linalg.norm(septum)
    inferior = np.cross(apex, septum)
    polar, azimuth = np.deg2rad(_TABLE[:, 0]), np.deg2rad(_TABLE[:, 1])
    radial = np.cos(azimuth)[:, None] * septum + np.sin(azimuth)[:, None] * inferior
    normals = np.cos(polar)[:, None] * apex + np.sin(polar)[:, None] * radial
    # Ellipsoid of 9 x 5.5 cm mid-wall; the right ventricle wraps 2.5 cm outside the septum.
    positions = 4.5 * np.cos(polar)[:, None] * apex + 2.75 * np.sin(polar)[:, None] * radial
    positions[_RIGHT] += 2.5 * septum
    return normals, positions


NORMALS, POSITIONS_CM = _geometry()

# Right atrium points down, left and forward, left atrium to the left and back; the atria lie
# far from the chest electrodes.
_ATRIAL_DIPOLES = np.array([[0.35, 0.80, -0.50], [0.85, 0.30, 0.50]])
_ATRIAL_WEIGHT = np.array([1, 1, 1, 0.65, 0.65, 0.65, 0.7, 0.7, 0.7])
ATRIAL_FIELD = (ELECTRODE_VECTORS @ _ATRIAL_DIPOLES.T * _ATRIAL_WEIGHT[:, None]).astype(np.float32)
"""(9, 2): potentials of unit right and left atrial dipoles."""
# Fibrillatory waves are largest in V1, then the inferior leads.
FIBRILLATION_FIELD = np.array([-0.5, -0.3, 0.8, 1.6, 0.8, 0.4, 0.25, 0.2, 0.2], np.float32)
PACING_SPIKE_MV = np.array([0.2, 0.05, -0.25, -0.2, -0.3, -0.35, -0.3, -0.3, -0.2], np.float32)


@dataclass(frozen=True)
class Activation:
    """One kind of beat of n patients: when, how long and which way each segment depolarises.

    Attributes
    ----------
    time_s, width_s : (n, segments) float32
        Centre and SD of the depolarisation pulse, from the start of activation.
    dipole : (n, segments, 3) float32
        Time integral of the depolarisation dipole, mV ms, in the axes of an unrotated heart.
    """

    time_s: FloatArray
    width_s: FloatArray
    dipole: FloatArray


def lead_field(patients: Patients) -> FloatArray:
    """Return the potential of a unit dipole of each segment along each axis of the heart.

    Returns
    -------
    (n, 9, segments, 3) float32
        At RA LA LL V1-V6.
    """
    rotation = _rotations(patients)
    positions = POSITIONS_CM @ rotation.transpose(0, 2, 1)
    electrodes = CHEST_ELECTRODES_CM * patients.chest_depth_gain[:, None, None]
    gap = electrodes[:, :, None, :] - positions[:, None, :, :]
    distance = np.sqrt((gap**2).sum(-1))
    centre = np.linalg.norm(CHEST_ELECTRODES_CM, axis=1)[None, :, None]
    proximity = np.ones((len(patients), 9, len(_NAMES)))
    proximity[:, 3:] = np.clip((centre / distance) ** PROXIMITY_POWER, 0.35, 2.5)
    proximity *= patients.voltage_gain[:, None, None]
    field = proximity[..., None] * (ELECTRODE_VECTORS @ rotation)[:, :, None, :]
    return field.astype(np.float32)


def _rotations(patients: Patients) -> NDArray[np.float64]:
    def turn(first: int, second: int, degrees: FloatArray) -> NDArray[np.float64]:
        angle = np.deg2rad(degrees.astype(np.float64))
        matrix = np.tile(np.eye(3), (len(angle), 1, 1))
        matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
        matrix[:, first, second] = -np.sin(angle)
        matrix[:, second, first] = np.sin(angle)
        return matrix

    return (
        turn(0, 1, patients.axis_frontal_deg)
        @ turn(0, 2, patients.axis_horizontal_deg)
        @ turn(1, 2, patients.axis_roll_deg)
    )


# Spread through the myocardium, without the Purkinje system, at 0.6-0.7 m/s along the wall
# (Durrer 1970 for the speed); its fronts are broad and cancel less, so that pulses are longer
# and their area larger. Septum: the front runs with the spread; free wall: half with the spread,
# half outward. Set to the medians of PTB-XL recordings with blocks and pacing.
SPREAD_CM_PER_MS = 0.062
SLOW_WIDTH, SLOW_AREA = 1.7, 2.1
RIGHT_BLOCK_DELAY_MS, RIGHT_BLOCK_WIDTH, RIGHT_BLOCK_AREA = 42.0, 1.5, 7.0
# Anterior fascicle: the anterolateral wall is late and, reached from below, cancels less.
FASCICLE_DELAY_MS, FASCICLE_AREA, OTHER_FASCICLE_AREA = 14.0, 1.5, 0.8

# Breakthrough on the right side of the basal septum.
_LBBB_START_CM = 0.5 * (
    POSITIONS_CM[_NAMES.index("basal anteroseptal")]
    + POSITIONS_CM[_NAMES.index("basal inferoseptal")]
) + 1.0 * (NORMALS[_NAMES.index("mid anteroseptal")] + NORMALS[_NAMES.index("mid inferoseptal")])
_PACING_START_CM = POSITIONS_CM[_NAMES.index("right apex")]
_ECTOPIC_STARTS_CM = {
    "outflow tract": POSITIONS_CM[_NAMES.index("outflow tract")],
    "right apex": POSITIONS_CM[_NAMES.index("right apex")],
    "left lateral": POSITIONS_CM[_NAMES.index("basal inferolateral")],
    "left inferior": POSITIONS_CM[_NAMES.index("mid inferior")],
}
_FASCICLE = np.array(["anterior" in n or "anterolateral" in n for n in _NAMES]) & ~_RIGHT


def conducted_activation(patients: Patients) -> Activation:
    """Return the activation of the conducted (or paced) beat of each patient."""
    n = len(patients)
    time = np.tile(NORMAL_ACTIVATION_MS, (n, 1))
    width = np.full_like(time, PULSE_SD_MS)
    dipole = np.tile(NORMALS * NORMAL_AREA[:, None], (n, 1, 1))

    def having(name: str) -> NDArray[np.bool_]:
        return patients.conduction == CONDUCTION.index(name)

    right_block = np.ix_(having("rbbb"), _RIGHT)
    time[right_block] += RIGHT_BLOCK_DELAY_MS
    width[right_block] *= RIGHT_BLOCK_WIDTH
    _, from_septum = _myocardial_spread(POSITIONS_CM[_NAMES.index("apical septal")])
    dipole[right_block] = from_septum[_RIGHT] * (RIGHT_BLOCK_AREA / SLOW_AREA)
    fascicular = having("lafb")
    time[np.ix_(fascicular, _FASCICLE)] += FASCICLE_DELAY_MS
    dipole[fascicular] *= np.where(
        _FASCICLE, FASCICLE_AREA, np.where(_RIGHT, 1.0, OTHER_FASCICLE_AREA)
    )[:, None]
    # Left block: the right ventricle is on time, the left is reached through the septum.
    left_block = having("lbbb")
    slow_time, slow_dipole = _myocardial_spread(_LBBB_START_CM)
    time[left_block] = np.where(_RIGHT, NORMAL_ACTIVATION_MS, slow_time)
    width[left_block] *= np.where(_RIGHT, 1.0, SLOW_WIDTH)
    dipole[left_block] = np.where(_RIGHT[:, None], NORMALS * NORMAL_AREA[:, None], slow_dipole)
    paced = having("paced")
    time[paced], dipole[paced] = _myocardial_spread(_PACING_START_CM)
    width[paced] *= SLOW_WIDTH
    gain = patients.conduction_time_gain[:, None].astype(np.float64)
    return _with_tissue(patients, time * gain, width * gain, dipole)


def ectopic_activation(patients: Patients) -> Activation:
    """Return the activation of a premature ventricular beat of each patient."""
    spreads = [_myocardial_spread(_ECTOPIC_STARTS_CM[origin]) for origin in PVC_ORIGIN]
    times = np.stack([time for time, _ in spreads])[patients.pvc_origin]
    dipoles = np.stack([dipole for _, dipole in spreads])[patients.pvc_origin]
    width = np.full(times.shape, PULSE_SD_MS * SLOW_WIDTH)
    return _with_tissue(patients, times, width, dipoles)


def _myocardial_spread(
    start_cm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Activation times (ms) and dipoles (mV ms) of a beat that starts at one place."""
    path = POSITIONS_CM - start_cm
    distance = np.linalg.norm(path, axis=1)
    forward = path / np.maximum(distance, 0.5)[:, None]
    direction = np.where(_SEPTAL[:, None], forward, 0.5 * (forward + NORMALS))
    time = 12 + distance / SPREAD_CM_PER_MS
    return time, direction * (NORMAL_AREA * SLOW_AREA)[:, None]


def _with_tissue(
    patients: Patients,
    time_ms: NDArray[np.float64],
    width_ms: NDArray[np.float64],
    dipole: NDArray[np.float64],
) -> Activation:
    """Apply mass and scar: scar emits nothing and delays its surroundings."""
    scar = scar_map(patients)
    mass = np.where(_RIGHT, 1.0, patients.mass_gain[:, None])
    longer = np.maximum(mass, 1) ** 0.15  # a thicker wall takes longer to cross
    single = np.float32
    return Activation(
        time_s=((time_ms + 12 * scar) / 1000).astype(single),
        width_s=(width_ms * longer / 1000).astype(single),
        dipole=(dipole * (mass * (1 - 0.95 * scar))[..., None]).astype(single),
    )


# Centre of the scar of each territory: polar angle and azimuth, degrees.
_SCAR_CENTRES = {"anterior": (48, 318), "inferior": (80, 95), "lateral": (72, 190)}


def scar_map(patients: Patients) -> NDArray[np.float64]:
    """Return how much of each segment is scar, (n, segments) in 0-1."""
    polar, azimuth = np.deg2rad(_TABLE[:, 0]), np.deg2rad(_TABLE[:, 1])
    out = np.zeros((len(patients), len(_NAMES)))
    for name, (centre_polar, centre_azimuth) in _SCAR_CENTRES.items():
        who = np.flatnonzero(patients.scar_territory == TERRITORY.index(name))
        p, a = np.deg2rad(centre_polar), np.deg2rad(centre_azimuth)
        cosine = np.cos(p) * np.cos(polar) + np.sin(p) * np.sin(polar) * np.cos(azimuth - a)
        angle = np.arccos(np.clip(cosine, -1, 1))
        # A cap of the half-open ellipsoid that holds the given fraction of its area.
        fraction = patients.scar_fraction[who].astype(np.float64)
        radius = np.arccos(1 - 1.6 * fraction)[:, None]
        out[who] = np.where(_RIGHT, 0, 1 / (1 + np.exp((angle - radius) / 0.14)))
        out[who] *= np.minimum(fraction / 0.05, 1)[:, None]
    return out


# Weight of the lateral and apical wall, where strain and subendocardial ischaemia show.
_LATERAL = np.clip(NORMALS @ np.array([0.93, 0.0, 0.35]), 0, 1) * ~_RIGHT
T_SD_BEFORE_S, T_SD_AFTER_S = 0.066, 0.036
T_PEAK_BEFORE_END_S = 0.073


def ventricular_gradient(patients: Patients) -> FloatArray:
    """Return the time integral of depolarisation and repolarisation together, mV ms.

    It belongs to the tissue, not to the order of activation (Wilson 1934): mass raises it less
    than it raises the QRS, ischaemia, strain and scar lower it.

    Returns
    -------
    (n, segments, 3) float32
    """
    scar = scar_map(patients)
    mass = np.where(_RIGHT, 1.0, patients.mass_gain[:, None])
    territory = np.where(scar.any(1, keepdims=True), np.minimum(2.5 * scar, 1), _LATERAL)
    strain = 0.7 * np.clip(mass - 1.25, 0, 0.8) * _LATERAL
    loss = strain + 0.35 * patients.st_t_severity[:, None] * _LATERAL
    loss = loss + 0.55 * patients.ischaemia[:, None] * territory
    size = (NORMAL_AREA + NORMAL_REPOLARISATION) * mass**0.4
    size = size * (1 - np.clip(loss, 0, 0.9)) * (1 - 0.55 * scar)
    return (NORMALS * size[..., None]).astype(np.float32)


def repolarisation_pulse(patients: Patients, time_s: FloatArray, t: FloatArray) -> FloatArray:
    """Return the repolarisation pulse of each segment, of unit area in mV ms.

    ``time_s`` (n, segments) is the activation, ``t`` (samples,) the time from its start; the
    result is (n, segments, samples).
    """
    z = t - _repolarisation_peak_s(patients, time_s)[:, :, None]
    sd = np.where(z < 0, np.float32(T_SD_BEFORE_S), np.float32(T_SD_AFTER_S))
    height = 1 / (1253.3 * (T_SD_BEFORE_S + T_SD_AFTER_S))  # 1000 ms times sqrt(pi / 2)
    return np.float32(height) * np.exp(-0.5 * (z / sd) ** 2)


def injury(patients: Patients, time_s: FloatArray, t: FloatArray) -> FloatArray:
    """Return the ST shift of each segment along its outward normal, (n, segments, samples), mV.

    Depression of strain and ischaemia over the lateral wall, elevation over a large scar.
    """
    scar = scar_map(patients)
    ischaemia, severity = patients.ischaemia[:, None], patients.st_t_severity[:, None]
    strain = np.clip(patients.mass_gain[:, None] - 1.25, 0, 0.8)
    level = 0.07 * scar * ischaemia
    level = level - _LATERAL * (0.015 * severity + 0.02 * ischaemia + 0.02 * strain)
    begin = 0.09 * patients.conduction_time_gain[:, None]
    rise = 1 / (1 + np.exp(-(t[None] - begin) / 0.010))
    end = _repolarisation_peak_s(patients, time_s).mean(1, keepdims=True)
    fall = 1 / (1 + np.exp(np.clip((t[None] - end) / 0.020, -50, 50)))
    return (level[:, :, None] * (rise * fall)[:, None]).astype(np.float32)


def _repolarisation_peak_s(patients: Patients, time_s: FloatArray) -> FloatArray:
    rr_s = 60 / patients.heart_rate_bpm
    qt_s = patients.qtc_ms / 1000 * np.cbrt(rr_s)  # Fridericia 1920
    late = time_s - NORMAL_ACTIVATION_MS / 1000
    return ((qt_s - T_PEAK_BEFORE_END_S)[:, None] + 0.35 * late).astype(np.float32)


def qrs_duration_ms(patients: Patients) -> FloatArray:
    """QRS duration, (n,) ms."""
    return np.full(len(patients), 92, np.float32)
