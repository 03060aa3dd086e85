"""The ultrasound sector of a clip, and what is drawn over it.

A scanner draws an ECG, text and scales around and over the sector. A student that learns from
ECGs paired with such clips could match the drawn ECG instead of the heart, so that none of it
may reach the teacher. The sector is what moves from frame to frame; everything outside is set
to 0. Inside, saturated colour on the grey picture, and thin bright graphics that never change,
are replaced by the picture beside them, mirrored at their edge so that speckle stays speckle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from training.echo_video.clip import Frames, Grey, NotAClipError

Mask = NDArray[np.bool_]

_NEIGHBOURS = np.ones((3, 3), np.bool_)

# Change over the clip, grey levels: compression moves still, black surroundings by one or two.
# Share of frames that differ from the one before: speckle changes always, the surroundings of a
# sweeping line only while it passes.
_MOTION = 3
_MOTION_SHARE = 0.2
_FRAMES_FOR_MOTION = 64
_SMALLEST_SECTOR_SHARE = 0.02
# The sector is sought at about this many pixels a side; its border is then as smooth as a hull.
_COARSE_PX = 200
# Colour: largest minus smallest of red, green and blue. Compression colours grey by a few levels.
_COLOUR_SURE = 40
_COLOUR_LIKELY = 14
_FLOW_SHARE = 0.01
# Graphics: grey levels above the surroundings, and change over the clip as a share of brightness
# (compression makes still letters flicker beside moving tissue).
_SURE_CONTRAST, _SURE_CHANGE = 60, 0.1
_LIKELY_CONTRAST, _LIKELY_CHANGE = 25, 0.25
_SMALLEST_GRAPHICS_PX = 6
# With less to see, speckle is as thin and as still as a letter.
_FRAMES_FOR_GRAPHICS = 8
_SIDE_FOR_GRAPHICS_PX = 160


def clean(frames: Frames) -> tuple[Grey, Mask]:
    """Set everything outside the sector to 0 and fill what is drawn over it.

    Parameters
    ----------
    frames
        (T, H, W, 3) uint8, RGB.

    Returns
    -------
    grey
        (T, H, W) uint8, cleaned. Without colour, because what compression leaves of a coloured
        line around it is faint colour.
    sector
        (H, W), where the sector is.

    Raises
    ------
    NotAClipError
        With code ``no_motion`` if nothing of the size of a sector moves, with code
        ``colour_doppler`` if flow is shown in colour, from which a drawn ECG cannot be told.
    """
    grey = np.stack([_luma(frame) for frame in frames])
    seen = np.unique(np.linspace(0, len(frames) - 1, _FRAMES_FOR_MOTION).round().astype(int))
    tint = _tint(frames, grey, seen)
    coloured = np.zeros(grey.shape, np.bool_)
    for target, frame, luma in zip(coloured, frames, grey, strict=True):
        target[:] = _coloured(frame, luma, tint)
    sector = _find_sector(grey[seen], np.logical_or.reduce(coloured[seen]))
    _refuse_flow(coloured, sector)
    graphics = _graphics(grey[seen])
    reach = _line_px(sector)
    for luma, colour in zip(grey, coloured, strict=True):
        drawn = _widen(colour | graphics, reach) & sector
        luma[~sector] = 0
        if drawn.any():
            _fill(luma, drawn, sector & ~drawn)
    return grey, sector


def _luma(frame: Frames) -> Grey:
    """Brightness with the weights of ITU-R BT.601, exact for grey."""
    red, green, blue = (frame[..., channel].astype(np.uint16) for channel in range(3))
    return ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)


def _line_px(picture: NDArray[np.generic]) -> int:
    """Half the width that a drawn line may have in a picture of this size."""
    return max(1, round(min(picture.shape[-2:]) / 150))


def _widen(mask: Mask, by_px: int) -> Mask:
    return ndimage.maximum_filter(mask, 2 * by_px + 1)


def _tint(frames: Frames, grey: Grey, seen: NDArray[np.int_]) -> NDArray[np.float32]:
    """Red, green and blue over brightness where the picture moves: 1 unless it is tinted."""
    moving = np.ptp(grey[seen], axis=0) >= _MOTION
    few = seen[:: max(1, len(seen) // 4)]
    bright = moving & (grey[few] > 40)
    if bright.sum() < 100:
        return np.ones(3, np.float32)
    ratio = np.median(frames[few][bright] / grey[few][bright][:, None].astype(np.float32), axis=0)
    return np.where(np.abs(ratio - 1).max() < 0.03, 1, ratio).astype(np.float32)


def _coloured(frame: Frames, luma: Grey, tint: NDArray[np.float32]) -> Mask:
    """Pixels of saturated colour, with the paler ones joined to them."""
    if (tint == 1).all():
        red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
        high = np.maximum(np.maximum(red, green), blue)
        colour = high - np.minimum(np.minimum(red, green), blue)
    else:
        colour = np.ptp(frame - luma[..., None] * tint, axis=-1)
    sure = colour >= _COLOUR_SURE
    if not sure.any():
        return sure
    return _grow(sure, colour >= _COLOUR_LIKELY)


def _grow(sure: Mask, likely: Mask) -> Mask:
    """Likely pixels that are joined to sure ones."""
    return ndimage.binary_propagation(sure, _NEIGHBOURS, likely | sure)


def _find_sector(grey: Grey, coloured: Mask) -> Mask:
    """Return the convex hull of the largest patch that moves."""
    height, width = coloured.shape
    step = max(1, min(height, width) // _COARSE_PX)
    rows, columns = height // step, width // step
    blocks = grey[:, : rows * step, : columns * step].reshape(-1, rows, step, columns, step)
    blocks = blocks.mean(axis=(2, 4), dtype=np.float32)
    change = np.ptp(blocks, axis=0)
    # Strong motion rings further in compressed pictures.
    moving = change >= max(_MOTION, 0.02 * float(np.percentile(change, 99)))
    moving &= (np.abs(np.diff(blocks, axis=0)) >= 1 / step).mean(axis=0) >= _MOTION_SHARE
    near_colour = _widen(coloured, 2 * step)[: rows * step, : columns * step]
    near_colour = near_colour.reshape(rows, step, columns, step).any(axis=(1, 3))
    # Opening takes away moving digits. Coloured lines show nothing of what moves beneath them:
    # they count where they are bridged by what does.
    size = 2 * _line_px(moving) + 1
    moving &= ~near_colour
    moving |= near_colour & _close(moving, 3 * size)
    patches = _close(_open(moving, size), 2 * size)
    labels, n_patches = ndimage.label(patches)
    if n_patches == 0:
        raise _no_motion()
    areas = np.bincount(labels.ravel())[1:]
    largest = labels == 1 + areas.argmax()
    if areas.max() < _SMALLEST_SECTOR_SHARE * largest.size:
        raise _no_motion()
    return _hull(np.argwhere(largest), step, (height, width))


def _open(mask: Mask, size_px: int) -> Mask:
    """Take away what no square of this size fits into."""
    return ndimage.maximum_filter(ndimage.minimum_filter(mask, size_px), size_px)


def _close(mask: Mask, by_px: int) -> Mask:
    """Fill gaps up to twice as wide; the padding keeps the border from being eaten."""
    closed = ndimage.binary_closing(np.pad(mask, by_px), iterations=by_px)
    return closed[by_px:-by_px, by_px:-by_px]


def _no_motion() -> NotAClipError:
    return NotAClipError("Nothing of the size of an ultrasound sector moves.", code="no_motion")


def _hull(cells: NDArray[np.int_], step: int, shape: tuple[int, int]) -> Mask:
    """Pixels within the convex hull of cells of `step` x `step` pixels."""
    corners = np.array([(0, 0), (0, step - 1), (step - 1, 0), (step - 1, step - 1)])
    points = np.unique((cells[:, None] * step + corners).reshape(-1, 2), axis=0)
    inside = np.ones(shape, np.bool_)
    row, column = np.ogrid[: shape[0], : shape[1]]
    for by_row, by_column, offset in spatial.ConvexHull(points).equations:
        inside &= by_row * row + by_column * column + offset <= 1e-6
    return inside


def _refuse_flow(coloured: Mask, sector: Mask) -> None:
    """Refuse clips with patches of colour, as opposed to lines and marks."""
    # Compression spreads the colour of a line by several pixels, whatever the size.
    size = 4 * _line_px(sector) + 5
    least = _FLOW_SHARE * sector.sum()
    for colour in coloured:
        patches = colour & sector
        if patches.sum() >= least and _open(patches, size).sum() >= least:
            raise NotAClipError("The clip shows colour Doppler.", code="colour_doppler")


def _graphics(grey: Grey) -> Mask:
    """Thin bright pixels that hardly change; tissue and its speckle do."""
    lowest = grey.min(axis=0)
    if len(grey) < _FRAMES_FOR_GRAPHICS or min(lowest.shape) < _SIDE_FOR_GRAPHICS_PX:
        return np.zeros(lowest.shape, np.bool_)
    size = 2 * _line_px(lowest) + 1
    contrast = ndimage.white_tophat(lowest, (size, size))
    change = np.ptp(grey, axis=0)
    sure = (contrast > _SURE_CONTRAST) & (change <= _SURE_CHANGE * lowest)
    likely = (contrast > _LIKELY_CONTRAST) & (change <= _LIKELY_CHANGE * lowest)
    labels, _ = ndimage.label(_grow(sure, likely), _NEIGHBOURS)
    return (np.bincount(labels.ravel()) >= _SMALLEST_GRAPHICS_PX)[labels] & (labels > 0)


def _fill(picture: Grey, drawn: Mask, source: Mask) -> None:
    """Replace drawn pixels, in place, by the source mirrored at its nearest pixel."""
    box = tuple(
        slice(max(0, int(where.min()) - 40), int(where.max()) + 41) for where in np.nonzero(drawn)
    )
    if not source[box].any():
        picture[drawn] = 0
        return
    part, drawn, source = picture[box], drawn[box], source[box]
    nearest = ndimage.distance_transform_edt(~source, return_distances=False, return_indices=True)[
        :, drawn
    ]
    at = np.argwhere(drawn).T
    mirrored = np.clip(2 * nearest - at, 0, np.array(part.shape)[:, None] - 1)
    usable = source[tuple(mirrored)]
    part[drawn] = part[tuple(np.where(usable, mirrored, nearest))]
