"""Geometry and electrophysiology of the simulated heart: segments, lead field, activation.

Axes of the body: x to the left, y to the feet, z to the back (Dower). Lengths in cm, times in s,
pulse areas in mV ms of the dipole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulation.patients import CONDUCTION, PVC_ORIGIN, TERRITORY, Patients

FloatArray = NDArray[np.float32]

# Lead vectors of Dower et al. 1980 (rows: lead, columns x y z), Wilson's terminal at zero.
_LEAD_I = np.array([0.632, -0.235, 0.059])
_LEAD_II = np.array([0.235, 1.066, -0.132])
_CHEST_VECTORS = np.array(
    [
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
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
PROXIMITY_POWER = 1.0

# name: (polar angle from the apex, azimuth round the long axis, activation ms, area mV ms,
# repolarisation area mV ms). Azimuth 0 septum, 90 inferior, 180 lateral, 270 anterior wall.
LEFT_SEGMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "basal anterior": (95, 270, 48, 4.0, 3.0),
    "basal anteroseptal": (95, 330, 22, 1.5, 3.0),
    "basal inferoseptal": (95, 30, 26, 1.5, 3.0),
    "basal inferior": (95, 90, 55, 4.5, 2.0),
    "basal inferolateral": (95, 150, 64, 5.0, 2.0),
    "basal anterolateral": (95, 210, 56, 4.5, 2.5),
    "mid anterior": (70, 270, 34, 4.0, 4.0),
    "mid anteroseptal": (70, 330, 12, 1.8, 3.5),
    "mid inferoseptal": (70, 30, 10, 1.8, 3.0),
    "mid inferior": (70, 90, 40, 4.5, 3.0),
    "mid inferolateral": (70, 150, 46, 5.0, 3.0),
    "mid anterolateral": (70, 210, 42, 5.0, 3.5),
    "apical anterior": (40, 270, 28, 3.5, 4.0),
    "apical septal": (40, 0, 18, 2.0, 3.5),
    "apical inferior": (40, 90, 30, 3.5, 3.5),
    "apical lateral": (40, 180, 34, 4.0, 4.0),
    "apex": (5, 0, 24, 3.0, 4.0),
}
RIGHT_SEGMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "right apex": (45, 0, 22, 1.2, 0.8),
    "right anterior": (75, 310, 30, 1.4, 1.0),
    "right inferior": (75, 50, 32, 1.4, 1.0),
    "right basal": (100, 30, 50, 1.4, 0.8),
    "outflow tract": (105, 310, 58, 1.2, 0.6),
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
    apex = np.array([0.65, 0.45, -0.60])
    apex /= np.linalg.norm(apex)
    septum = np.array([-0.72, 0.05, -0.70])
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


def lead_field(patients: Patients) -> FloatArray:
    """Return the potential at each electrode of a unit outward dipole of each segment.

    Returns
    -------
    (n, 9, segments) float32
        For RA LA LL V1-V6.
    """
    rotation = _rotations(patients)
    normals = NORMALS @ rotation.transpose(0, 2, 1)
    positions = POSITIONS_CM @ rotation.transpose(0, 2, 1)
    field = ELECTRODE_VECTORS @ normals.transpose(0, 2, 1)
    electrodes = CHEST_ELECTRODES_CM * patients.chest_depth_gain[:, None, None]
    gap = electrodes[:, :, None, :] - positions[:, None, :, :]
    distance = np.sqrt((gap**2).sum(-1))
    centre = np.linalg.norm(CHEST_ELECTRODES_CM, axis=1)[None, :, None]
    field[:, 3:] *= np.clip((centre / distance) ** PROXIMITY_POWER, 0.35, 2.5)
    return (field * patients.voltage_gain[:, None, None]).astype(np.float32)


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


# Myocardial spread without the Purkinje system: about 0.6 m/s along the wall; the fronts of
# wide beats cancel less, so that the pulses are longer and their area larger.
SPREAD_CM_PER_MS = 0.075
SLOW_WIDTH, SLOW_AREA = 1.55, 2.0
_LBBB_START_CM = (
    0.5 * (POSITIONS_CM[_NAMES.index("mid inferoseptal")])
    + 0.5 * (POSITIONS_CM[_NAMES.index("apical septal")])
)
_PACING_START_CM = POSITIONS_CM[_NAMES.index("right apex")]
_ECTOPIC_STARTS = {
    "outflow tract": "outflow tract",
    "right apex": "right apex",
    "left lateral": "basal inferolateral",
    "left inferior": "mid inferior",
}
_ANTERIOR_FASCICLE = np.array([("anterior" in n or "anterolateral" in n) for n in _NAMES]) & ~_RIGHT


def conducted_activation(patients: Patients) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return activation (s), pulse SD (s) and pulse area (mV ms), each (n, segments).

    A negative area is a front that runs from the outside in (the septum in left bundle branch
    block is crossed from right to left).
    """
    n = len(patients)
    time = np.tile(NORMAL_ACTIVATION_MS, (n, 1))
    width = np.full_like(time, PULSE_SD_MS)
    area = np.tile(NORMAL_AREA, (n, 1))

    def having(name: str) -> NDArray[np.bool_]:
        return patients.conduction == CONDUCTION.index(name)

    right_block = np.ix_(having("rbbb"), _RIGHT)
    time[right_block] += 48
    width[right_block] *= 1.5
    area[right_block] *= 2.3
    fascicular = having("lafb")
    time[np.ix_(fascicular, _ANTERIOR_FASCICLE)] += 24
    time[np.ix_(fascicular, ~_ANTERIOR_FASCICLE & ~_RIGHT)] -= 3
    left_block = having("lbbb")
    time[left_block] = np.where(_RIGHT, NORMAL_ACTIVATION_MS - 12, 8 + _spread_ms(_LBBB_START_CM))
    paced = having("paced")
    time[paced] = _spread_ms(_PACING_START_CM)
    slow = left_block | paced
    _make_slow(slow, np.where(paced[:, None], True, ~_RIGHT), width, area)
    area[slow] *= np.where(_SEPTAL, -1, 1)

    gain = patients.conduction_time_gain[:, None]
    time, width = time * gain, width * gain
    return _with_tissue(patients, time, width, area)


def ectopic_activation(patients: Patients) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return activation, pulse SD and area of premature beats; as conducted_activation."""
    starts = np.array([POSITIONS_CM[_NAMES.index(_ECTOPIC_STARTS[o])] for o in PVC_ORIGIN])
    from_right = np.array([_ECTOPIC_STARTS[o] in RIGHT_SEGMENTS for o in PVC_ORIGIN])
    time = np.stack([_spread_ms(start) for start in starts])[patients.pvc_origin]
    width = np.full_like(time, PULSE_SD_MS)
    area = np.tile(NORMAL_AREA, (len(patients), 1))
    everyone = np.ones(len(patients), bool)
    _make_slow(everyone, np.ones((len(patients), len(_NAMES)), bool), width, area)
    area[from_right[patients.pvc_origin]] *= np.where(_SEPTAL, -1, 1)
    return _with_tissue(patients, time, width, area)


def _spread_ms(start_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = np.linalg.norm(POSITIONS_CM - start_cm, axis=1)
    return 10 + distance / SPREAD_CM_PER_MS


def _make_slow(
    who: NDArray[np.bool_],
    where: NDArray[np.bool_],
    width: NDArray[np.float64],
    area: NDArray[np.float64],
) -> None:
    mask = who[:, None] & where
    width[mask] *= SLOW_WIDTH
    area[mask] *= SLOW_AREA


def _with_tissue(
    patients: Patients,
    time_ms: NDArray[np.float64],
    width_ms: NDArray[np.float64],
    area: NDArray[np.float64],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Apply mass and scar: scar emits nothing and delays its surroundings."""
    scar = scar_map(patients)
    left = ~_RIGHT
    mass = np.where(left, patients.mass_gain[:, None], 1.0)
    time = time_ms + 12 * scar
    alive = 1 - 0.95 * scar
    single = np.float32
    return (
        (time / 1000).astype(single),
        (width_ms * np.sqrt(np.maximum(mass, 1) ** 0.3) / 1000).astype(single),
        (area * mass * alive).astype(single),
    )


# Centre of the scar of each territory: polar angle and azimuth, degrees; 0-0.5 of the wall is a
# cap on the segments.
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
        radius = np.arccos(1 - 1.6 * patients.scar_fraction[who])[:, None]
        out[who] = np.where(_RIGHT, 0, 1 / (1 + np.exp((angle - radius) / 0.14)))
        out[who] *= np.minimum(patients.scar_fraction[who] / 0.05, 1)[:, None]
    return out


# Weight of the lateral and apical wall, where strain and subendocardial ischaemia show.
_LATERAL = np.clip(NORMALS @ (np.array([0.85, 0.25, -0.2]) / 0.91), 0, 1) * ~_RIGHT
T_SD_BEFORE_S, T_SD_AFTER_S = 0.048, 0.027
T_PEAK_BEFORE_END_S = 0.082


def repolarisation(
    patients: Patients, activation_s: FloatArray, area: FloatArray, t: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return T wave and ST pulses of the segments, two arrays (n, segments, samples).

    ``t`` (1, 1, samples) is the time from the first activation, s.
    """
    scar = scar_map(patients)
    ischaemia = patients.ischaemia[:, None]
    severity = patients.st_t_severity[:, None]
    mass = np.where(_RIGHT, 1.0, patients.mass_gain[:, None])
    gradient = (NORMAL_AREA + NORMAL_REPOLARISATION) * mass**0.4
    territory = np.where(scar.any(1, keepdims=True), np.minimum(2.5 * scar, 1), _LATERAL)
    loss = 0.35 * severity * _LATERAL + 0.55 * ischaemia * territory
    gradient = gradient * (1 - np.clip(loss, 0, 0.9)) * (1 - 0.55 * scar)
    t_area = (gradient - area)[:, :, None]

    rr = 60 / patients.heart_rate_bpm
    qt_s = patients.qtc_ms / 1000 * np.cbrt(rr)  # Fridericia 1920
    late = activation_s - NORMAL_ACTIVATION_MS / 1000
    peak = (qt_s - T_PEAK_BEFORE_END_S)[:, None] + 0.35 * late
    z = t - peak[:, :, None]
    sd = np.where(z < 0, T_SD_BEFORE_S, T_SD_AFTER_S).astype(np.float32)
    height = t_area / (1253.3 * (T_SD_BEFORE_S + T_SD_AFTER_S))
    t_wave = height * np.exp(-0.5 * (z / sd) ** 2)

    # ST: depression of strain and ischaemia over the lateral wall, elevation over a large scar.
    level = 0.10 * scar * ischaemia - _LATERAL * (0.02 * severity + 0.03 * ischaemia)
    begin = np.float32(0.09) * patients.conduction_time_gain[:, None, None]
    rise = 1 / (1 + np.exp(-(t - begin) / 0.010))
    fall = 1 / (1 + np.exp((t - peak[:, :, None]) / 0.020))
    injury = level[:, :, None] * rise * fall
    return t_wave.astype(np.float32), injury.astype(np.float32)
