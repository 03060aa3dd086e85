"""AVI and MP4 clips, through PyAV."""

from __future__ import annotations

from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from training.echo_video.clip import (
    BadFileError,
    Clip,
    Frames,
    NotAClipError,
    ReadLimits,
    check_size,
    frame_step,
)

# Playlists and the like would make FFmpeg open other files or addresses.
_FORMATS = "avi,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,h264,hevc"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}


def read_video(file: BinaryIO, *, stride: int, max_frames: int | None, limits: ReadLimits) -> Clip:
    """Decode the first video stream.

    Parameters
    ----------
    file
        Seekable; AVI, MP4 or, from inside a DICOM file, a bare MPEG stream.
    stride, max_frames
        As in `frame_step`.
    limits
        Checked before decoding.

    Raises
    ------
    EchoFileError
        Without a moving picture, or with too large a one.
    """
    n_frames = _count_frames(file)
    if n_frames < 2:
        raise NotAClipError("The video holds a single frame.", code="still")
    step = frame_step(n_frames, stride, max_frames)
    n_kept = -(-n_frames // step)
    frames: Frames | None = None
    times: list[float] = []
    kept = 0
    with _open(file) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        check_size(n_kept, stream.codec_context.height, stream.codec_context.width, limits)
        for number, frame in enumerate(container.decode(stream)):
            if number % step:
                continue
            if frames is None:
                check_size(n_kept, frame.height, frame.width, limits)
                frames = np.empty((n_kept, frame.height, frame.width, 3), np.uint8)
            if kept == n_kept or frames.shape[1:3] != (frame.height, frame.width):
                raise BadFileError("The frames of the video differ in size.", code="damaged")
            frames[kept] = frame.to_ndarray(format="rgb24")
            times.append(np.nan if frame.time is None else frame.time)
            kept += 1
    if frames is None or kept < 2:
        raise BadFileError("The video cannot be decoded.", code="damaged")
    return Clip(frames[:kept], _from_start(np.array(times)))


def _open(file: BinaryIO) -> Any:  # noqa: ANN401 - PyAV's container types depend on the mode
    file.seek(0)
    return av.open(file, mode="r", options=_OPTIONS)


def _count_frames(file: BinaryIO) -> int:
    """Count without decoding: one packet holds one frame."""
    with _open(file) as container:
        if not container.streams.video:
            raise NotAClipError("The file holds no video.", code="no_pictures")
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _from_start(times_s: NDArray[np.float64]) -> NDArray[np.float64] | None:
    return times_s - times_s[0] if np.isfinite(times_s).all() else None
