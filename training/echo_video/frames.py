"""From a clip to the frames that a teacher takes: cut, square, small, normalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from model_core.errors import EchoingError
from training.echo_video.clip import Clip, Grey
from training.echo_video.sector import clean


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameSpec:
    """What frames a teacher takes.

    Attributes
    ----------
    size
        Pixels along each side.
    mean, std
        Of each colour, subtracted from and divided into values of 0 to 1.
    keep_aspect
        Whether a clip that is not square is filled up with black, rather than stretched.
    stride, max_frames
        Every `stride`-th frame is taken, or fewer so that there are at most `max_frames`.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    keep_aspect: bool = False
    stride: int = 1
    max_frames: int | None = None

    def __post_init__(self) -> None:
        enough = self.max_frames is None or self.max_frames >= 2
        if min(self.size, self.stride, *self.std) <= 0 or not enough:
            raise EchoingError(
                "The settings of the echo frames are wrong: size, stride and std must be positive "
                "and max_frames at least 2.",
                code="bad_config",
            )


# The mean and standard deviation are CLIP's (Radford et al., ICML 2021), which EchoCLIP keeps.
ECHOCLIP_FRAMES = FrameSpec(
    size=224,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)


def prepare_frames(clip: Clip, spec: FrameSpec) -> Grey:
    """Clean the frames of a clip and bring them to their size.

    A clip that its file does not cut to an ultrasound region is cut to the sector found.

    Returns
    -------
    (T, size, size) uint8

    Raises
    ------
    NotAClipError
        If no sector moves, or the clip shows colour Doppler.
    """
    grey, sector = clean(clip.frames)
    if not clip.cropped:
        rows, columns = (np.flatnonzero(sector.any(axis)) for axis in (1, 0))
        grey = grey[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if spec.keep_aspect:
        grey = _fill_up_to_square(grey)
    return resize_area(grey, spec.size)


def normalise(grey: Grey, spec: FrameSpec) -> NDArray[np.float32]:
    """Scale (T, H, W) uint8 to (T, 3, H, W) float32 with the mean and std of `spec`."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (spec.mean, spec.std))
    return (grey[:, None] * np.float32(1 / 255) - mean) / std


def resize_area(grey: Grey, size: int) -> Grey:
    """Resize to a square; each new pixel is the mean of the area it covers in the old picture.

    Parameters
    ----------
    grey
        (T, H, W) uint8.
    size
        New height and width, pixels.
    """
    down, across = (_area_weights(old, size) for old in grey.shape[1:])
    resized = np.empty((len(grey), size, size), np.uint8)
    for target, picture in zip(resized, grey, strict=True):
        target[:] = np.rint((across @ (down @ picture.astype(np.float32)).T).T)
    return resized


def _area_weights(old: int, new: int) -> sparse.csr_array:
    """Share of each old pixel in each new one, (new, old); rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)
    overlap = np.minimum(last, pixel + 1) - np.maximum(first, pixel)
    return sparse.csr_array((np.clip(overlap, 0, None) * (new / old)).astype(np.float32))


def _fill_up_to_square(grey: Grey) -> Grey:
    height, width = grey.shape[1:]
    side = max(height, width)
    above, before = (side - height) // 2, (side - width) // 2
    square = np.zeros((len(grey), side, side), np.uint8)
    square[:, above : above + height, before : before + width] = grey
    return square
