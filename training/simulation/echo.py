"""Apical four-chamber echo clips drawn from echo measures.

The left ventricle is a body of revolution: LVEDV and LVESV fix its length and radius, so that
area, length and their change over the beat carry the measures, as in the method of discs (Lang
et al., JASE 2015;28:1). The picture has a depth scale at its right edge (a tick a centimetre, a
long one every five); depth changes from clip to clip, as in a laboratory, so that size must be
read against the scale. Speckle is the envelope of filtered complex noise in beam coordinates
(Wagner et al., IEEE Trans Sonics Ultrason 1983;30:156).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulation.measures import EchoMeasures

FloatArray = NDArray[np.float32]

SECTOR_HALF_ANGLE = np.deg2rad(42)
DEPTHS_CM = np.array([14.0, 16.0, 18.0, 20.0, 22.0])
PROBE_TO_APEX_CM = 1.8
END_SYSTOLE_PHASE = 0.375

# Half-width of the cavity over its largest, from the apex (0) to the mitral annulus (1).
_PROFILE_AT = np.linspace(0, 1, 65, dtype=np.float32)
_PROFILE = np.where(
    _PROFILE_AT < 0.6,
    np.sqrt(np.clip(1 - (1 - _PROFILE_AT / 0.6) ** 2, 0, 1)),
    1 - 0.18 * (np.clip(_PROFILE_AT - 0.6, 0, 1) / 0.4) ** 1.5,
).astype(np.float32)
_FILLING = float(np.trapezoid(_PROFILE**2, _PROFILE_AT))
_AREA_FILLING = float(np.trapezoid(_PROFILE, _PROFILE_AT))


@dataclass(frozen=True)
class Cavity:
    """Left ventricular cavity over time, arrays of shape (n, frames)."""

    length_cm: FloatArray
    radius_cm: FloatArray

    @property
    def area_cm2(self) -> FloatArray:
        """Area of the cavity in the four-chamber plane."""
        return np.float32(2 * _AREA_FILLING) * self.length_cm * self.radius_cm

    @property
    def volume_ml(self) -> FloatArray:
        """Volume of the body of revolution."""
        return np.float32(np.pi * _FILLING) * self.length_cm * self.radius_cm**2


def cavity(echo: EchoMeasures, phase: NDArray[np.floating]) -> Cavity:
    """Return the noise-free cavity at each phase of the beat.

    Parameters
    ----------
    echo
        Measures of n patients.
    phase
        (frames,) position in the beat in 0-1: 0 end-diastole, 0.375 end-systole.
    """
    edv = echo.lvedv_ml[:, None]
    volume = edv - (edv - echo.lvesv_ml[:, None]) * _ejected_share(np.asarray(phase, np.float32))
    # 8.6 cm at 106 ml; large ventricles grow rounder; systole shortens the axis less than it
    # narrows the cavity.
    length = 8.6 * (edv / 106) ** 0.27 * (volume / edv) ** 0.25
    radius = np.sqrt(volume / (np.pi * _FILLING * length))
    return Cavity(length.astype(np.float32), radius.astype(np.float32))


def _ejected_share(phase: FloatArray) -> FloatArray:
    """Share of the stroke volume that is out of the ventricle: ejection, early filling, kick."""
    phase = phase % 1
    ejection = 0.5 - 0.5 * np.cos(np.pi * np.clip(phase / END_SYSTOLE_PHASE, 0, 1))
    diastole = np.clip((phase - END_SYSTOLE_PHASE) / (1 - END_SYSTOLE_PHASE), 0, 1)
    early = 1 - np.exp(-((diastole / 0.28) ** 2))
    kick = np.clip((diastole - 0.75) / 0.25, 0, 1) ** 1.5
    filled = 0.8 * early + 0.2 * kick
    return (ejection * (1 - filled)).astype(np.float32)


def render_clips(
    echo: EchoMeasures, rng: np.random.Generator, n_frames: int = 8, size: int = 96
) -> NDArray[np.uint8]:
    """Draw one clip of each patient.

    Parameters
    ----------
    echo
        Measures of n patients.
    rng
        Source of randomness: view, gain, speckle, dropout.
    n_frames
        Frames spread evenly over one beat, the first at end-diastole.
    size
        Width and height, pixels.

    Returns
    -------
    (n, n_frames, size, size) uint8
        Grey pictures.
    """
    sector = _Sector(size)
    speckle = _speckle_texture(rng)
    jitter = rng.uniform(0, 0.3 / n_frames, len(echo))
    clips = np.zeros((len(echo), n_frames, size, size), np.uint8)
    for i in range(len(echo)):
        phase = (np.arange(n_frames) / n_frames + jitter[i]).astype(np.float32)
        _render_one(clips[i], echo.take(slice(i, i + 1)), phase, sector, speckle, rng)
    return clips


class _Sector:
    """Pixels inside the ultrasound sector and where they lie."""

    def __init__(self, size: int) -> None:
        row, column = np.mgrid[0:size, 0:size].astype(np.float32)
        x, y = column - (size - 1) / 2, row - 2.0
        radius, angle = np.hypot(x, y), np.arctan2(x, y)
        self.size = size
        self.reach_px = size - 4.0
        inside = (np.abs(angle) < SECTOR_HALF_ANGLE) & (radius < self.reach_px) & (radius > 2)
        self.index = np.flatnonzero(inside)
        self.x_px, self.y_px, self.angle, self.radius_px = (
            a.ravel()[self.index] for a in (x, y, angle, radius)
        )
        self.beam = ((self.angle + 1) * 90).astype(np.int64)
        self.gate = (self.radius_px * (128 / size)).astype(np.int64)


def _speckle_texture(rng: np.random.Generator, size: int = 512) -> FloatArray:
    """Speckle over beam and range, mean 1; wider across the beams than along them."""
    frequency = np.fft.fftfreq(size).astype(np.float32)
    low_pass = np.exp(-0.5 * (2 * np.pi * 3.2 * frequency[:, None]) ** 2)
    low_pass = low_pass * np.exp(-0.5 * (2 * np.pi * 1.3 * frequency[None]) ** 2)
    noise = rng.standard_normal((2, size, size))
    envelope = np.abs(np.fft.ifft2(np.fft.fft2(noise[0] + 1j * noise[1]) * low_pass))
    return (envelope / envelope.mean()).astype(np.float32)


def _soft(distance: NDArray[np.floating], slope: float) -> FloatArray:
    """Step from 0 to 1 around distance 0, one pixel wide when slope is pixels a centimetre."""
    return np.clip(0.5 + distance * slope, 0, 1).astype(np.float32, copy=False)


def _render_one(
    out: NDArray[np.uint8],
    echo: EchoMeasures,
    phase: FloatArray,
    sector: _Sector,
    speckle: FloatArray,
    rng: np.random.Generator,
) -> None:
    cav = cavity(echo, phase)
    wall_cm = float(echo.wall_mm[0]) / 10
    needed = PROBE_TO_APEX_CM + float(cav.length_cm[0, 0]) + 3.5
    fitting = np.flatnonzero(needed <= DEPTHS_CM)
    first = int(fitting[0]) if len(fitting) else len(DEPTHS_CM) - 1
    depth_cm = DEPTHS_CM[min(first + int(rng.random() < 0.35), len(DEPTHS_CM) - 1)]
    px_per_cm = sector.reach_px / depth_cm

    # View: tilt and shift of the heart in the sector, slight foreshortening.
    tilt = np.deg2rad(rng.normal(8, 4))
    x = sector.x_px / px_per_cm - rng.normal(0.4, 0.3)
    y = sector.y_px / px_per_cm - PROBE_TO_APEX_CM - rng.normal(0, 0.2)
    across = (x * np.cos(tilt) - y * np.sin(tilt)).astype(np.float32)[None]
    along = (x * np.sin(tilt) + y * np.cos(tilt)).astype(np.float32)[None]
    length = cav.length_cm[0][:, None] * np.float32(1 - abs(rng.normal(0, 0.02)))
    radius = cav.radius_cm[0][:, None]

    blood, tissue, outer = _left_ventricle(across, along, length, radius, wall_cm, px_per_cm)
    blood, tissue = _right_heart_and_atria(
        blood, tissue, outer, across, along, length, phase, echo, px_per_cm, rng
    )
    tissue = np.maximum(tissue, _mitral_leaflets(across, along, length, radius, phase, px_per_cm))
    brightness = (0.16 + 0.44 * tissue) * (1 - 0.95 * blood)
    image = brightness * _acoustics(sector, len(phase), speckle, rng)
    gamma, gain = rng.uniform(0.5, 0.65), rng.uniform(150, 205)
    grey = np.clip(image * rng.uniform(0.9, 1.3), 0, 1.5) ** gamma * gain
    flat = out.reshape(len(phase), -1)
    flat[:, sector.index] = np.clip(grey, 0, 255).astype(np.uint8)
    _depth_scale(out, sector, depth_cm, px_per_cm)


def _left_ventricle(
    across: FloatArray,
    along: FloatArray,
    length: FloatArray,
    radius: FloatArray,
    wall_cm: float,
    px_per_cm: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Blood, wall tissue (0-1) and outer half-width (cm), each (frames, pixels)."""
    # The wall keeps its cross-section: it thickens as the cavity narrows and shortens.
    ring = (radius[:1] + wall_cm) ** 2 - radius[:1] ** 2
    wall = np.sqrt(radius**2 + ring * length[:1] / length) - radius
    half_width = radius * np.interp(np.clip(along / length, 0, 1), _PROFILE_AT, _PROFILE)
    outer_at = np.clip((along + wall) / (length + wall), 0, 1)
    outer = (radius * np.interp(outer_at, _PROFILE_AT, _PROFILE) + wall).astype(np.float32)
    side = np.abs(across)
    before_annulus = _soft(length - along, px_per_cm)
    inside = _soft((half_width - side).astype(np.float32), px_per_cm)
    blood = inside * _soft(along, px_per_cm) * before_annulus
    tissue = _soft(outer - side, px_per_cm) * _soft(along + wall, px_per_cm) * before_annulus
    return blood, tissue, outer


def _right_heart_and_atria(
    blood: FloatArray,
    tissue: FloatArray,
    outer: FloatArray,
    across: FloatArray,
    along: FloatArray,
    length: FloatArray,
    phase: FloatArray,
    echo: EchoMeasures,
    px_per_cm: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    systole = np.sin(np.pi * np.clip(phase / 0.75, 0, 1)).astype(np.float32)[:, None]
    right_size = float(rng.normal(1.0, 0.1))
    # Right ventricle: a crescent on the septal side.
    top = 0.3 * length[:1]
    s = np.clip((along - top) / (length - top), 0, 1)
    width = 2.9 * right_size * np.sqrt(s) * (1 - 0.16 * systole)
    beside = -across - outer
    span = _soft(along - top, px_per_cm) * _soft(length - along, px_per_cm)
    right = _soft(beside, px_per_cm) * _soft(width - beside, px_per_cm) * span
    free_wall = _soft(beside, px_per_cm) * _soft(width + 0.4 - beside, px_per_cm) * span
    # Left atrium: an ellipsoid of the given volume, largest at end-systole.
    diameter = (6 * float(echo.la_volume_ml[0]) / np.pi) ** (1 / 3)
    left_diameter = diameter * (0.93 + 0.07 * systole)
    left = _ellipse(across - 0.2, along - length - 0.5 * left_diameter, left_diameter)
    right_diameter = 3.9 * right_size
    centre = -3.2 - 0.9 * right_size
    right_atrium = _ellipse(across - centre, along - length - 0.5 * right_diameter, right_diameter)
    slope = 1.3 * px_per_cm
    for form in (left, right_atrium):
        blood = np.maximum(blood, _soft(1 - form, slope))
        tissue = np.maximum(tissue, 0.75 * _soft(1.35 - form, slope))
    return np.maximum(blood, right), np.maximum(tissue, free_wall)


def _ellipse(
    x: NDArray[np.floating], y: NDArray[np.floating], diameter: FloatArray | float
) -> NDArray[np.floating]:
    """Return 1 on the outline of an ellipse 0.95 as wide and 1.1 as high as ``diameter``."""
    return (2 * x / (0.95 * diameter)) ** 2 + (2 * y / (1.1 * diameter)) ** 2


def _mitral_leaflets(
    across: FloatArray,
    along: FloatArray,
    length: FloatArray,
    radius: FloatArray,
    phase: FloatArray,
    px_per_cm: float,
) -> FloatArray:
    filling = ((phase % 1 > 0.42) & (phase % 1 < 0.75)) | (phase % 1 > 0.88)
    opened = filling.astype(np.float32)[:, None]
    share = np.abs(across) / np.maximum(radius, 0.5)
    line = along - length + opened * 0.8 * (1 - share)
    leaflet = np.exp(-((line * np.float32(px_per_cm) / 1.1) ** 2)) * (share < 0.85)
    return leaflet * np.where(opened > 0, share > 0.4, True)


def _acoustics(
    sector: _Sector, frames: int, speckle: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Speckle, gain over depth, weak edges and one shadow, (frames, pixels)."""

    def texture() -> FloatArray:
        a, r = rng.integers(0, len(speckle), 2)
        return speckle[(sector.beam + a) % len(speckle), (sector.gate + r) % len(speckle)]

    still = texture()
    grain = np.stack([0.75 * still + 0.25 * texture() for _ in range(frames)])
    gain = 1 + rng.normal(0, 0.1) * (sector.radius_px / sector.reach_px - 0.5)
    edge = (sector.angle / SECTOR_HALF_ANGLE) ** 4
    gain = gain * np.exp(-edge * rng.uniform(0.1, 0.9))
    shadow = np.exp(-(((sector.angle - rng.uniform(-0.6, 0.6)) / 0.06) ** 2))
    gain = gain * (1 - rng.uniform(0, 0.4) * shadow)
    return grain * gain.astype(np.float32)


def _depth_scale(
    out: NDArray[np.uint8], sector: _Sector, depth_cm: float, px_per_cm: float
) -> None:
    for cm in range(1, int(depth_cm) + 1):
        row = round(2 + cm * px_per_cm)
        if row < sector.size:
            width = 6 if cm % 5 == 0 else 2
            out[:, row, sector.size - width :] = 230
