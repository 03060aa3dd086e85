"""One door for echo files: the kind is told by content, and every failure has a reason."""

from __future__ import annotations

import io
from pathlib import Path

from training.echo_video.clip import LIMITS, BadFileError, Clip, EchoFileError, ReadLimits
from training.echo_video.dicom import read_dicom
from training.echo_video.video import read_video


def read_clip(
    path: Path, *, stride: int = 1, max_frames: int | None = None, limits: ReadLimits = LIMITS
) -> Clip:
    """Read an echo clip from a DICOM, AVI or MP4 file.

    Parameters
    ----------
    path
        The file.
    stride, max_frames
        Every `stride`-th frame is taken, or fewer so that there are at most `max_frames`; they
        stay evenly spread.
    limits
        How much the file may ask for.

    Raises
    ------
    NotAClipError
        The file is sound but no moving ultrasound picture.
    BadFileError
        Anything else.
    """
    data = _load(path, limits)
    try:
        return _read(data, stride, max_frames, limits)
    except EchoFileError:
        raise
    # On hostile bytes the libraries raise whatever comes; a batch of 500,000 files goes on.
    except Exception as error:
        raise BadFileError(
            f"The file is damaged ({type(error).__name__}: {str(error)[:200]}).", code="damaged"
        ) from error


def _load(path: Path, limits: ReadLimits) -> bytes:
    try:
        if path.stat().st_size <= limits.file_bytes:
            return path.read_bytes()
    except OSError as error:
        raise BadFileError(
            f"The file cannot be read: {error.strerror}.", code="unreadable"
        ) from error
    raise BadFileError("The file is larger than the limit.", code="too_large")


def _read(data: bytes, stride: int, max_frames: int | None, limits: ReadLimits) -> Clip:
    if data[128:132] == b"DICM":
        return read_dicom(data, stride=stride, max_frames=max_frames, limits=limits)
    if (data[:4] == b"RIFF" and data[8:12] == b"AVI ") or data[4:8] == b"ftyp":
        return read_video(io.BytesIO(data), stride=stride, max_frames=max_frames, limits=limits)
    raise BadFileError("The file is neither DICOM nor AVI nor MP4.", code="unknown_format")
