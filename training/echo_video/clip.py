"""An echo clip as read from a file, why a file gives none, and how much a file may ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError

# (T, H, W, 3) or (H, W, 3) in RGB, and (T, H, W) or (H, W).
Frames = NDArray[np.uint8]
Grey = NDArray[np.uint8]


class EchoFileError(EchoingError):
    """A file gives no clip; `code` is a stable name of the reason, to be counted."""


class NotAClipError(EchoFileError):
    """The file is sound but holds something else: it is skipped."""


class BadFileError(EchoFileError):
    """The file is damaged, of an unknown kind or asks for too much: it is listed."""


@dataclass(frozen=True, eq=False, slots=True)
class Clip:
    """Moving picture of one file.

    Attributes
    ----------
    frames
        (T, H, W, 3) uint8, RGB.
    times_s
        (T,) time of each frame after the first of the file, s; None if the file does not say.
    cropped
        Whether the frames are cut to the ultrasound region that the file states.
    note
        Sentence about something that was not as it should be, or empty.
    """

    frames: Frames
    times_s: NDArray[np.float64] | None = None
    cropped: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """How much a file may make us read, inflate or decode.

    Attributes
    ----------
    file_bytes
        Length of the file.
    inflated_bytes, inflation
        Length of a deflated DICOM file after inflation, and how many times longer it may get.
    frame_pixels
        Rows x columns of one frame.
    clip_bytes
        All frames taken, as RGB.
    compression
        Decoded over stored bytes. JPEG's shortest code for a uniform 16 x 8 block is one byte
        for 384, so that no JPEG exceeds 384.
    """

    file_bytes: int = 1 << 29
    inflated_bytes: int = 1 << 28
    inflation: int = 200
    frame_pixels: int = 1 << 22
    clip_bytes: int = 1 << 30
    compression: int = 500


LIMITS = ReadLimits()


def frame_step(n_frames: int, stride: int, max_frames: int | None) -> int:
    """Take every how-many-th frame: a multiple of `stride` that gives at most `max_frames`.

    Examples
    --------
    >>> frame_step(100, 1, None), frame_step(100, 2, 25), frame_step(100, 2, 24)
    (1, 4, 6)
    """
    if max_frames is None:
        return stride
    kept = -(-n_frames // stride)
    return stride * -(-kept // max_frames)


def check_size(n_frames: int, rows: int, columns: int, limits: ReadLimits) -> None:
    """Refuse a clip too large to decode, before it is decoded.

    Raises
    ------
    BadFileError
        With code ``too_large``.
    """
    if rows * columns > limits.frame_pixels or n_frames * rows * columns * 3 > limits.clip_bytes:
        raise BadFileError(
            f"The clip is too large: {n_frames} frames of {rows} x {columns} pixels.",
            hint="Take fewer frames (stride, max_frames).",
            code="too_large",
        )
