"""Geometry and electrophysiology of the simulated heart: segments, lead field, activation.

Axes of the body: x to the left, y to the feet, z to the back (Dower). Lengths in cm, times in s,
pulse areas in mV ms of the dipole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dower import LEAD_VECTORS
from training.simulation.electrical import CONDUCTION, PVC_ORIGIN, TERRITORY, ElectricalHeart

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
# The limbs, V1 and V2 see a little more than Dower's vectors say, V6 less (medians of PTB-XL).
ELECTRODE_GAIN = np.array([1.12, 1.12, 1.12, 1.1, 1.25, 1.1, 1.0, 0.97, 0.95])

# Times, areas and repolarisation below, the axes in _geometry and the widths of the T wave were
# fitted to the median beat of 241 normal recordings of PTB-XL (CC BY 4.0), starting from Durrer
# 1970 and kept near it by a penalty; repolarisation was raised later so that T in I and aVL meets
# the medians. Time 0 is the visible start of the QRS.
# name: (polar angle from the apex, azimuth round the long axis, activation ms, area mV ms,
# repolarisation area mV ms). Azimuth 0 septum, 90 inferior, 180 lateral, 270 anterior wall.
LEFT_SEGMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "basal anterior": (95, 270, 63, 5.5, 6.8),
    "basal anteroseptal": (95, 330, 19, 2.0, 9.4),
    "basal inferoseptal": (95, 30, 36, 1.8, 5.6),
    "basal inferior": (95, 90, 60, 6.1, 1.9),
    "basal inferolateral": (95, 150, 66, 9.5, 2.8),
    "basal anterolateral": (95, 210, 56, 8.8, 5.1),
    "mid anterior": (70, 270, 49, 5.4, 9.9),
    "mid anteroseptal": (70, 330, 24, 2.0, 9.5),
    "mid inferoseptal": (70, 30, 19, 1.9, 7.1),
    "mid inferior": (70, 90, 53, 6.7, 5.7),
    "mid inferolateral": (70, 150, 47, 12.5, 6.4),
    "mid anterolateral": (70, 210, 41, 10.1, 8.5),
    "apical anterior": (40, 270, 34, 3.8, 10.7),
    "apical septal": (40, 0, 35, 2.3, 9.3),
    "apical inferior": (40, 90, 41, 5.0, 8.7),
    "apical lateral": (40, 180, 35, 6.5, 10.3),
    "apex": (5, 0, 40, 3.5, 10.8),
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
_ATRIAL_DIPOLES = np.array([[0.50, 0.70, -0.90], [0.90, 0.35, 0.10]])
_ATRIAL_WEIGHT = np.array([1, 1, 1, 0.65, 0.65, 0.65, 0.7, 0.7, 0.7])
# Fibrillatory waves are largest in V1, then the inferior leads.
_FIBRILLATION_FIELD = np.array(
    [
        [-0.35, -0.25, 0.45, 1.0, 0.5, 0.25, 0.15, 0.1, 0.1],
        [-0.3, 0.1, 0.3, -0.1, 0.1, 0.2, 0.2, 0.2, 0.2],
    ]
).T
FIBRILLATION_FIELD = _FIBRILLATION_FIELD.astype(np.float32)
"""(9, 2): waves of the right atrium, 1 in V1, and of the left."""
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


def lead_field(hearts: ElectricalHeart) -> FloatArray:
    """Return the potential of a unit dipole of each segment along each axis of the heart.

    Returns
    -------
    (n, 9, segments, 3) float32
        At RA LA LL V1-V6.
    """
    rotation = _rotations(hearts)
    positions = POSITIONS_CM @ rotation.transpose(0, 2, 1)
    shift = hearts.electrode_shift_cm.astype(np.float64)
    electrodes = CHEST_ELECTRODES_CM * hearts.chest_depth_gain[:, None, None] + shift
    gap = electrodes[:, :, None, :] - positions[:, None, :, :]
    distance = np.sqrt((gap**2).sum(-1))
    centre = np.linalg.norm(CHEST_ELECTRODES_CM, axis=1)[None, :, None]
    proximity = np.ones((len(shift), 9, len(_NAMES)))
    proximity[:, 3:] = np.clip((centre / distance) ** PROXIMITY_POWER, 0.35, 2.5)
    proximity *= ELECTRODE_GAIN[:, None] * hearts.voltage_gain[:, None, None]
    # A lead vector points to its electrode: it turns as far as the electrode is displaced.
    vectors = np.tile(ELECTRODE_VECTORS.astype(np.float64), (len(shift), 1, 1))
    length = np.linalg.norm(_CHEST_VECTORS, axis=1)[:, None]
    vectors[:, 3:] += length * shift / centre[0]
    field = proximity[..., None] * (vectors @ rotation)[:, :, None, :]
    return field.astype(np.float32)


def atrial_field(hearts: ElectricalHeart) -> FloatArray:
    """Return the potentials of unit right and left atrial dipoles, (n, 9, 2) float32."""
    angle = np.deg2rad(hearts.p_axis_deg.astype(np.float64))
    dipoles = np.tile(_ATRIAL_DIPOLES, (len(angle), 1, 1))
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = _ATRIAL_DIPOLES[:, 0], _ATRIAL_DIPOLES[:, 1]
    dipoles[..., 0], dipoles[..., 1] = cosine * x - sine * y, sine * x + cosine * y
    field = ELECTRODE_VECTORS @ dipoles.transpose(0, 2, 1) * _ATRIAL_WEIGHT[:, None]
    return field.astype(np.float32)


def _rotations(hearts: ElectricalHeart) -> NDArray[np.float64]:
    def turn(first: int, second: int, degrees: FloatArray) -> NDArray[np.float64]:
        angle = np.deg2rad(degrees.astype(np.float64))
        matrix = np.tile(np.eye(3), (len(angle), 1, 1))
        matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
        matrix[:, first, second] = -np.sin(angle)
        matrix[:, second, first] = np.sin(angle)
        return matrix

    return (
        turn(0, 1, hearts.axis_frontal_deg)
        @ turn(0, 2, hearts.axis_horizontal_deg)
        @ turn(1, 2, hearts.axis_roll_deg)
    )


# Spread through the myocardium, without the Purkinje system, at about 0.6 m/s along the wall
# (Durrer 1970 for the speed); its fronts are broad and cancel less, so that pulses are longer
# and their area larger. Septum: the front runs with the spread; free wall: half with the spread,
# half outward. Set to the medians of PTB-XL recordings with blocks and pacing.
SPREAD_CM_PER_MS = 0.055
SLOW_WIDTH, SLOW_AREA = 1.8, 1.7
RIGHT_BLOCK_DELAY_MS, RIGHT_BLOCK_WIDTH, RIGHT_BLOCK_AREA = 42.0, 1.5, 5.0
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


def conducted_activation(hearts: ElectricalHeart) -> Activation:
    """Return the activation of the conducted (or paced) beat of each patient."""
    n = len(hearts.af)
    time = np.tile(NORMAL_ACTIVATION_MS, (n, 1))
    width = np.full_like(time, PULSE_SD_MS)
    dipole = np.tile(NORMALS * NORMAL_AREA[:, None], (n, 1, 1))

    def having(name: str) -> NDArray[np.bool_]:
        return hearts.conduction == CONDUCTION.index(name)

    # The degree of a block interpolates from the Purkinje system to spread through the wall.
    degree = hearts.right_delay[:, None].astype(np.float64)
    time = time + np.where(_RIGHT, RIGHT_BLOCK_DELAY_MS * degree, 0)
    width = width * np.where(_RIGHT, 1 + (RIGHT_BLOCK_WIDTH - 1) * degree, 1)
    _, from_septum = _myocardial_spread(POSITIONS_CM[_NAMES.index("apical septal")])
    late = from_septum * (RIGHT_BLOCK_AREA / SLOW_AREA) - dipole
    dipole = dipole + late * np.where(_RIGHT, np.minimum(degree, 1), 0)[..., None]
    fascicular = having("lafb") | having("bifascicular")
    time[np.ix_(fascicular, _FASCICLE)] += FASCICLE_DELAY_MS
    dipole[fascicular] *= np.where(
        _FASCICLE, FASCICLE_AREA, np.where(_RIGHT, 1.0, OTHER_FASCICLE_AREA)
    )[:, None]
    # Left block: the right ventricle is on time, the left is reached through the septum.
    degree = np.where(_RIGHT, 0, hearts.left_delay[:, None].astype(np.float64))
    slow_time, slow_dipole = _myocardial_spread(_LBBB_START_CM)
    time = time + degree * (slow_time - time)
    width = width * (1 + degree * (SLOW_WIDTH - 1))
    dipole = dipole + degree[..., None] * (slow_dipole - dipole)
    paced = having("paced")
    time[paced], dipole[paced] = _myocardial_spread(_PACING_START_CM)
    width[paced] = PULSE_SD_MS * SLOW_WIDTH
    gain = hearts.conduction_time_gain[:, None].astype(np.float64)
    return _with_tissue(hearts, time * gain, width * gain, dipole)


def ectopic_activation(hearts: ElectricalHeart) -> Activation:
    """Return the activation of a premature ventricular beat of each patient."""
    spreads = [_myocardial_spread(_ECTOPIC_STARTS_CM[origin]) for origin in PVC_ORIGIN]
    times = np.stack([time for time, _ in spreads])[hearts.pvc_origin]
    dipoles = np.stack([dipole for _, dipole in spreads])[hearts.pvc_origin]
    width = np.full(times.shape, PULSE_SD_MS * SLOW_WIDTH)
    return _with_tissue(hearts, times, width, dipoles)


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
    hearts: ElectricalHeart,
    time_ms: NDArray[np.float64],
    width_ms: NDArray[np.float64],
    dipole: NDArray[np.float64],
) -> Activation:
    """Apply mass and scar: scar emits nothing and delays its surroundings."""
    scar = scar_map(hearts) * hearts.scar_depth[:, None]
    # The septum's gain is hidden by the right ventricle's activation at the same time.
    mass = np.where(_RIGHT, 1.0, hearts.mass_gain[:, None] ** np.where(_SEPTAL, 0.4, 1.0))
    longer = np.maximum(mass, 1) ** 0.15  # a thicker wall takes longer to cross
    size = mass * hearts.segment_area_gain * (1 - 0.97 * scar)
    single = np.float32
    return Activation(
        time_s=((time_ms + hearts.segment_delay_ms + 12 * scar) / 1000).astype(single),
        width_s=(width_ms * longer / 1000).astype(single),
        dipole=(dipole * size[..., None]).astype(single),
    )


# Centre of the scar of each territory: polar angle and azimuth, degrees.
_SCAR_CENTRES = {"anterior": (51, 320), "inferior": (80, 95), "lateral": (72, 190)}


def scar_map(hearts: ElectricalHeart) -> NDArray[np.float64]:
    """Return how much of each segment lies within the scar's border, (n, segments) in 0-1."""
    polar, azimuth = np.deg2rad(_TABLE[:, 0]), np.deg2rad(_TABLE[:, 1])
    out = np.zeros((len(hearts.af), len(_NAMES)))
    for name, (centre_polar, centre_azimuth) in _SCAR_CENTRES.items():
        who = np.flatnonzero(hearts.scar_territory == TERRITORY.index(name))
        shift = np.deg2rad(hearts.scar_shift_deg[who].astype(np.float64))
        p = np.deg2rad(centre_polar) + shift[:, :1]
        a = np.deg2rad(centre_azimuth) + shift[:, 1:]
        cosine = np.cos(p) * np.cos(polar) + np.sin(p) * np.sin(polar) * np.cos(azimuth - a)
        angle = np.arccos(np.clip(cosine, -1, 1))
        # A cap of the half-open ellipsoid that holds the given fraction of its area.
        fraction = hearts.scar_fraction[who].astype(np.float64)
        radius = np.arccos(1 - 1.6 * fraction)[:, None]
        out[who] = np.where(_RIGHT, 0, 1 / (1 + np.exp((angle - radius) / 0.14)))
        out[who] *= np.minimum(fraction / 0.04, 1)[:, None]
    return out


# Weight of the lateral and apical wall, where strain and subendocardial ischaemia show.
_LATERAL = np.clip(NORMALS @ np.array([0.93, 0.0, 0.35]), 0, 1) * ~_RIGHT
# The wall under V2-V5, where early repolarisation shows.
_EARLY = np.clip(NORMALS @ np.array([0.75, 0.35, -0.55]), 0, 1) * ~_RIGHT
T_SD_BEFORE_S, T_SD_AFTER_S = 0.066, 0.036
T_PEAK_BEFORE_END_S = 0.073


def ventricular_gradient(hearts: ElectricalHeart) -> FloatArray:
    """Return the time integral of depolarisation and repolarisation together, mV ms.

    It belongs to the tissue, not to the order of activation (Wilson 1934): mass raises it less
    than it raises the QRS, ischaemia, strain and scar lower it.

    Returns
    -------
    (n, segments, 3) float32
    """
    scar = scar_map(hearts)
    mass = np.where(_RIGHT, 1.0, hearts.mass_gain[:, None])
    strain = 1.6 * hearts.strain[:, None] * np.clip(mass - 1.2, 0, 0.8) * _LATERAL
    changed = (0.95 * hearts.st_t_severity + 0.8 * hearts.ischaemia)[:, None]
    loss = strain + changed * _changed_wall(hearts)
    loss = loss + hearts.scar_t_loss[:, None] * np.minimum(1.5 * scar, 1)
    size = NORMAL_AREA * hearts.segment_area_gain
    size = size + NORMAL_REPOLARISATION * hearts.t_gain[:, None] * hearts.segment_gradient_gain
    size = size * mass**0.4 * (1 - np.clip(loss, -0.5, 1.8))
    size = size * (1 - 0.6 * scar * hearts.scar_depth[:, None])
    return (NORMALS * size[..., None]).astype(np.float32)


def _changed_wall(hearts: ElectricalHeart) -> NDArray[np.float64]:
    """Weight of the wall that repolarises abnormally, (n, segments) in 0-1."""
    return np.clip(hearts.st_t_centre @ NORMALS.T.astype(np.float64), 0, 1) * ~_RIGHT


def repolarisation_pulse(hearts: ElectricalHeart, time_s: FloatArray, t: FloatArray) -> FloatArray:
    """Return the repolarisation pulse of each segment, of unit area in mV ms.

    ``time_s`` (n, segments) is the activation, ``t`` (samples,) the time from its start; the
    result is (n, segments, samples).
    """
    z = t - _repolarisation_peak_s(hearts, time_s)[:, :, None]
    wider = hearts.t_width_gain[:, None, None]
    sd = np.where(z < 0, np.float32(T_SD_BEFORE_S), np.float32(T_SD_AFTER_S)) * wider
    height = 1 / (1253.3 * (T_SD_BEFORE_S + T_SD_AFTER_S))  # 1000 ms times sqrt(pi / 2)
    return np.float32(height) / wider * np.exp(-0.5 * (z / sd) ** 2)


def injury(hearts: ElectricalHeart, time_s: FloatArray, t: FloatArray) -> FloatArray:
    """Return the ST shift of each segment along its outward normal, (n, segments, samples), mV.

    Depression of strain and ischaemia, elevation over an acute infarct, an aneurysm and in early
    repolarisation; the opposite leads show the reciprocal shift.
    """
    scar = scar_map(hearts)
    changed = (0.03 * hearts.st_t_severity + 0.03 * hearts.ischaemia)[:, None]
    strain = hearts.strain[:, None] * np.clip(hearts.mass_gain[:, None] - 1.2, 0, 0.8)
    # The currents of many segments add up less than in proportion.
    extent = np.maximum(scar.sum(1, keepdims=True), 1) ** 0.7
    level = hearts.scar_st_mv[:, None] * scar / extent
    level = level - changed * _changed_wall(hearts) - 0.06 * strain * _LATERAL
    level = level + 0.3 * hearts.early_repolarisation_mv[:, None] * _EARLY
    begin = 0.09 * hearts.conduction_time_gain[:, None]
    rise = 1 / (1 + np.exp(-(t[None] - begin) / 0.010))
    end = _repolarisation_peak_s(hearts, time_s).mean(1, keepdims=True)
    fall = 1 / (1 + np.exp(np.clip((t[None] - end) / 0.020, -50, 50)))
    return (level[:, :, None] * (rise * fall)[:, None]).astype(np.float32)


def _repolarisation_peak_s(hearts: ElectricalHeart, time_s: FloatArray) -> FloatArray:
    rr_s = 60 / hearts.heart_rate_bpm
    qt_s = hearts.qtc_ms / 1000 * np.cbrt(rr_s)  # Fridericia 1920
    late = time_s - NORMAL_ACTIVATION_MS / 1000
    return ((qt_s - T_PEAK_BEFORE_END_S * hearts.t_width_gain)[:, None] + 0.35 * late).astype(
        np.float32
    )
