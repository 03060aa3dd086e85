"""Nothing drawn on an echo clip reaches the teacher; the ultrasound itself stays as it is."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from tests.echo_factory import sample_echo
from training.echo_video import (
    ECHOCLIP_FRAMES,
    Clip,
    FrameSpec,
    NotAClipError,
    clean,
    normalise,
    prepare_frames,
    read_clip,
    resize_area,
)
from training.simulation import render_clips
from training.simulation.echo import SECTOR_HALF_ANGLE

SIZE, N_FRAMES, MARGIN = 240, 24, 40
GREEN = (0, 255, 0)
YELLOW = (255, 255, 120)

Pictures = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawing:
    """A clip without and with drawings (T, H, W, 3), where they are, and the true sector."""

    bare: Pictures
    drawn_over: Pictures
    drawn: Mask
    sector: Mask


@pytest.fixture(scope="module")
def heart() -> Pictures:
    echo = sample_echo(1, 3)
    clip = render_clips(echo, np.random.default_rng(1), N_FRAMES, SIZE)[0]
    return np.where(true_sector(), clip, 0).astype(np.uint8)


def true_sector() -> Mask:
    """Where `render_clips` draws, from its geometry; its depth scale is left out."""
    row, column = np.mgrid[:SIZE, :SIZE]
    x, y = column - (SIZE - 1) / 2, row - 2.0
    radius = np.hypot(x, y)
    inside = (np.abs(np.arctan2(x, y)) < SECTOR_HALF_ANGLE) & (radius > 2) & (radius < SIZE - 4)
    return inside & (column < SIZE - 8)


def beat(phase: NDArray[np.float64], r_wave: float) -> NDArray[np.float64]:
    def wave(at: float, width: float) -> NDArray[np.float64]:
        return np.exp(-(((phase % 1 - at) / width) ** 2))

    return r_wave * wave(0.3, 0.012) - 0.25 * wave(0.33, 0.015) + 0.25 * wave(0.6, 0.05)


def draw(
    heart: Pictures, colour: tuple[int, int, int] = GREEN, r_wave: float = 1.0, shift: float = 0.0
) -> Drawing:
    """Sweep an ECG with a round cursor over the lower sector; write text along the border."""
    shape = (SIZE + MARGIN, SIZE + 2 * MARGIN)
    bare = np.zeros((N_FRAMES, *shape, 3), np.uint8)
    bare[:, MARGIN // 2 : MARGIN // 2 + SIZE, MARGIN : MARGIN + SIZE] = heart[..., None]
    sector = np.zeros(shape, np.bool_)
    sector[MARGIN // 2 : MARGIN // 2 + SIZE, MARGIN : MARGIN + SIZE] = true_sector()
    drawn_over, drawn = bare.copy(), np.zeros(bare.shape[:3], np.bool_)
    x = np.arange(4, shape[1] - 4)
    y = MARGIN // 2 + SIZE * (0.86 - 0.13 * beat(x / 140 + shift, r_wave))
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    for t in range(N_FRAMES):
        picture, mask = Image.fromarray(drawn_over[t]), Image.new("L", (shape[1], shape[0]))
        end = 8 + (len(x) - 8) * (t + 1) // N_FRAMES
        for canvas, line, text in (
            (ImageDraw.Draw(picture), colour, (220, 220, 220)),
            (ImageDraw.Draw(mask), 255, 255),
        ):
            canvas.line(points[:end], fill=line, width=2)
            canvas.circle(points[end - 1], 3, fill=line)
            canvas.text((2, 2), f"HR {60 + t % 3}  Gen THI", fill=text)
            canvas.text((shape[1] - MARGIN + 4, 90), "MI 0.9", fill=text)
        drawn_over[t], drawn[t] = np.array(picture), np.array(mask) > 0
    return Drawing(bare, drawn_over, drawn, sector)


def compressed(frames: Pictures) -> Pictures:
    out = np.empty_like(frames)
    for target, frame in zip(out, frames, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=90, subsampling="4:2:2")
        target[:] = Image.open(buffer)
    return out


def luma(frames: Pictures) -> NDArray[np.float64]:
    return np.asarray(frames @ np.array([0.299, 0.587, 0.114]), np.float64)


def test_nothing_drawn_is_left_and_the_sector_is_unchanged(heart: Pictures) -> None:
    drawing = draw(heart)
    cleaned, sector = clean(drawing.drawn_over)

    assert (cleaned[:, ~sector] == 0).all()
    beyond = sector & ~ndimage.binary_dilation(drawing.sector, iterations=3)
    assert beyond.sum() < 0.005 * drawing.sector.sum()
    # Text and the line beyond the sector.
    assert not (drawing.drawn & ~drawing.sector & (cleaned > 0))[:, ~beyond].any()

    # Within: drawn pixels are as bright as the heart beneath, not as the line.
    bare = luma(drawing.bare)
    inside = drawing.drawn & drawing.sector & sector
    line = luma(drawing.drawn_over)[inside].mean() - bare[inside].mean()
    assert line > 80
    assert abs(cleaned[inside].mean() - bare[inside].mean()) < 0.05 * line

    # Elsewhere, of the true sector and not only of the one found. Four pixels around a line
    # belong to it.
    near = np.stack([ndimage.binary_dilation(mask, iterations=4) for mask in drawing.drawn])
    unchanged = cleaned == drawing.drawn_over[..., 0]
    assert unchanged[drawing.sector & ~near].mean() > 0.98


@pytest.mark.parametrize("colour", [GREEN, YELLOW, (70, 140, 255), (230, 60, 60)])
def test_compression_does_not_save_the_line(heart: Pictures, colour: tuple[int, int, int]) -> None:
    drawing = draw(heart, colour)
    stored = compressed(drawing.drawn_over)
    cleaned, sector = clean(stored)
    bare = luma(compressed(drawing.bare))
    inside = drawing.drawn & drawing.sector & sector
    line = luma(stored)[inside].mean() - bare[inside].mean()
    assert abs(cleaned[inside].mean() - bare[inside].mean()) < 0.1 * abs(line)
    far = ~np.stack([ndimage.binary_dilation(mask, iterations=9) for mask in drawing.drawn])
    changed = np.abs(cleaned - luma(stored)) > 1
    assert changed[drawing.sector & far].mean() < 0.02


def test_the_height_of_the_r_wave_cannot_be_read_any_more(heart: Pictures) -> None:
    """Where only a tall R wave is drawn, brightness tells its voltage: before, not after."""
    before, after = [], []
    for shift in np.arange(8) / 8:
        low, high = draw(heart, r_wave=0.3, shift=shift), draw(heart, r_wave=1.0, shift=shift)
        where = high.drawn[-1] & ~low.drawn[-1] & high.sector
        assert where.sum() > 20
        before.append((luma(high.drawn_over) - luma(low.drawn_over))[:, where].mean())
        cleaned = [clean(drawing.drawn_over)[0].astype(float) for drawing in (high, low)]
        after.append((cleaned[0] - cleaned[1])[:, where].mean())
    # What is filled in misses the heart beneath to either side; there is no trend to read.
    assert np.mean(before) > 30
    assert abs(np.mean(after)) < 0.1 * np.mean(before)
    assert abs(np.mean(after)) < 2 * np.std(after) / np.sqrt(len(after))


def test_white_letters_over_the_heart_are_taken_out(heart: Pictures) -> None:
    mask = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(mask).text((100, 100), "LV 4.2", fill=255)
    letters = np.array(mask) > 128
    frames = np.repeat(heart[..., None], 3, -1)
    written = np.where(letters[..., None], 235, frames).astype(np.uint8)
    cleaned, _ = clean(written)
    contrast = 235 - frames[:, letters].mean()
    assert contrast > 60
    assert abs(cleaned[:, letters].mean() - frames[:, letters].mean()) < 0.2 * contrast


def test_tinted_picture_is_not_taken_for_a_drawing(heart: Pictures) -> None:
    bronze = (heart[..., None] * np.array([1.0, 0.8, 0.55])).astype(np.uint8)
    assert (np.ptp(bronze, axis=-1) > 40).mean() > 0.02  # colour enough to be drawn
    cleaned, sector = clean(bronze)
    assert (np.abs(cleaned - luma(bronze)) > 1.5)[:, sector].mean() < 0.02
    assert sector.sum() > 0.97 * true_sector().sum()


def test_colour_doppler_and_stills_are_skipped(heart: Pictures) -> None:
    frames = np.repeat(heart[..., None], 3, -1)
    flow = frames.copy()
    flow[5:12, 90:130, 100:130] = (200, 30, 20)
    with pytest.raises(NotAClipError) as caught:
        clean(flow)
    assert caught.value.code == "colour_doppler"
    # A clock runs, the picture does not.
    still = np.repeat(frames[:1], N_FRAMES, axis=0)
    still[::2, 4:12, 4:8] = 255
    with pytest.raises(NotAClipError) as caught:
        clean(still)
    assert caught.value.code == "no_motion"


@pytest.mark.parametrize(("old", "new"), [((30, 45), 15), ((17, 31), 12), ((9, 14), 21)])
def test_resizing_averages_areas(old: tuple[int, int], new: int) -> None:
    # Truth: every pixel cut into new x new equal parts, then averaged in blocks.
    grey = np.random.default_rng(5).integers(0, 256, (2, *old), np.uint8)
    parts = grey.repeat(new, 1).repeat(new, 2).astype(np.float64)
    truth = parts.reshape(2, new, old[0], new, old[1]).mean(axis=(2, 4))
    np.testing.assert_allclose(resize_area(grey, new), truth, atol=0.502)


def test_normalising_uses_the_teachers_numbers() -> None:
    grey = np.array([[[0, 255]]], np.uint8)
    mean, std = np.array(ECHOCLIP_FRAMES.mean), np.array(ECHOCLIP_FRAMES.std)
    scaled = normalise(grey, ECHOCLIP_FRAMES)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, :, 0], np.stack([-mean / std, (1 - mean) / std], 1), 1e-6)


def test_shape_is_stretched_or_filled_up(heart: Pictures) -> None:
    frames = np.repeat(heart[:, :, 40:200, None], 3, -1)
    clip = Clip(frames, cropped=True)
    spec = FrameSpec(size=120, mean=(0, 0, 0), std=(1, 1, 1))
    assert (prepare_frames(clip, spec)[:, 60:100, :5] > 0).any()
    filled = prepare_frames(
        clip, FrameSpec(size=120, mean=(0, 0, 0), std=(1, 1, 1), keep_aspect=True)
    )
    assert filled.shape == (N_FRAMES, 120, 120)
    assert (filled[:, :, :20] == 0).all()
    assert (filled[:, :, 100:] == 0).all()
    assert (filled[:, 60:100, 20:25] > 0).any()


def test_clip_without_a_region_is_cut_to_its_sector(heart: Pictures) -> None:
    drawing = draw(heart)
    spec = FrameSpec(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1))
    cut = prepare_frames(Clip(drawing.drawn_over), spec)
    whole = prepare_frames(Clip(drawing.drawn_over, cropped=True), spec)
    assert all((cut[:, :, column] > 0).any() for column in (2, -3))
    assert not any((whole[:, :, column] > 0).any() for column in (2, -3))


@pytest.mark.needs_shared
def test_real_clip_loses_its_texts_and_nothing_else(shared: Path) -> None:
    frames = read_clip(shared / "data" / "echo" / "a4c_30frames.dcm").frames
    cleaned, sector = clean(frames)
    rows, columns = np.flatnonzero(sector.any(1)), np.flatnonzero(sector.any(0))
    # The region that the file states, for twice as many pixels: 84-595 x 31-414.
    assert abs(columns[0] - 42) <= 3
    assert abs(columns[-1] - 297) <= 3
    assert 15 <= rows[0] <= 25
    assert abs(rows[-1] - 205) <= 5
    # Name, settings, depth scale, bar of buttons.
    for text in ((slice(0, 30), slice(0, 38)), (slice(0, 240), slice(300, 320))):
        assert frames[(slice(None), *text)].max() > 100
        assert cleaned[(slice(None), *text)].max() == 0
    assert cleaned[:, 212:].max() == 0
    difference = np.abs(cleaned - luma(frames))[:, sector]
    assert (difference > 1).mean() < 0.005
