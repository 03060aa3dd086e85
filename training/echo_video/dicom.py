"""Multi-frame ultrasound DICOM: limits first, then the pictures as RGB, cut to their region."""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

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
from training.echo_video.video import read_video

if TYPE_CHECKING:
    from pydicom import FileDataset

_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNCOMPRESSED = (_IMPLICIT, "1.2.840.10008.1.2.1", _BIG_ENDIAN, _DEFLATED)
_JPEG = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
)
_RLE = "1.2.840.10008.1.2.5"
# MPEG-2, MPEG-4 and HEVC; some with the suffix .1 for a stream in several fragments.
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))

# (retired) Ultrasound and Ultrasound Multi-frame Image Storage.
_ULTRASOUND = (
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.6.1",
)
_SAMPLES = {
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
}
_FORMAT_2D = 1
_SMALLEST_REGION_PX = 16


def read_dicom(data: bytes, *, stride: int, max_frames: int | None, limits: ReadLimits) -> Clip:
    """Decode a multi-frame ultrasound file.

    Parameters
    ----------
    data
        The whole file.
    stride, max_frames
        As in `frame_step`.
    limits
        Checked against what the file declares, before anything is decoded.

    Raises
    ------
    EchoFileError
        For stills, other kinds of file, and files that contradict themselves. pydicom's own
        errors on damaged files pass through.
    """
    with warnings.catch_warnings():
        # What pydicom warns of is checked here, or does not touch the pictures.
        warnings.simplefilter("ignore")
        dataset = _parse(data, limits)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        n_frames = _check_kind(dataset)
        if syntax.removesuffix(".1") in _VIDEO:
            clip = _decode_stream(dataset, stride, max_frames, limits)
        else:
            step = frame_step(n_frames, stride, max_frames)
            indices = range(0, n_frames, step)
            _check_pixels(dataset, syntax, n_frames, indices, limits)
            times_s = _frame_times_s(dataset, n_frames)
            clip = Clip(_decode(dataset, indices), None if times_s is None else times_s[indices])
        return _crop_to_region(clip, dataset)


def _parse(data: bytes, limits: ReadLimits) -> FileDataset:
    """Parse the file; a deflated one is inflated here and not by pydicom, which sets no bound."""
    from pydicom import FileDataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset, read_preamble

    file = io.BytesIO(data)
    read_preamble(file, force=False)
    meta = FileMetaDataset(
        read_dataset(
            file,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, _vr, _length: tag.group != 2,
        )
    )
    syntax = str(meta.TransferSyntaxUID)
    if syntax == _DEFLATED:
        file = io.BytesIO(_inflate(file.read(), limits))
    implicit, little = syntax == _IMPLICIT, syntax != _BIG_ENDIAN
    dataset = read_dataset(file, is_implicit_VR=implicit, is_little_endian=little)
    return FileDataset(
        file, dataset, file_meta=meta, is_implicit_VR=implicit, is_little_endian=little
    )


def _inflate(deflated: bytes, limits: ReadLimits) -> bytes:
    left = min(limits.inflated_bytes, limits.inflation * len(deflated))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    for start in range(0, len(deflated), 1 << 16):
        parts.append(inflater.decompress(deflated[start : start + (1 << 16)], left + 1))
        left -= len(parts[-1])
        if left < 0:
            break
    if left < 0 or not inflater.eof:
        raise BadFileError(
            "The deflated file is cut off or inflates beyond the limit.", code="bad_deflate"
        )
    return b"".join(parts)


def _check_kind(dataset: FileDataset) -> int:
    """Return the declared number of frames of an ultrasound clip, refusing anything else."""
    if dataset.get("SOPClassUID") not in _ULTRASOUND and dataset.get("Modality") != "US":
        raise NotAClipError("The file is not an ultrasound picture.", code="not_ultrasound")
    if "PixelData" not in dataset:
        raise NotAClipError("The file holds no pictures.", code="no_pictures")
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if n_frames < 2:
        raise NotAClipError("The file holds a single frame.", code="still")
    regions = dataset.get("SequenceOfUltrasoundRegions")
    if regions and regions[0].get("RegionSpatialFormat", _FORMAT_2D) != _FORMAT_2D:
        raise NotAClipError(
            "The file shows M-mode, spectral Doppler or graphics, not a sector.", code="not_2d"
        )
    return n_frames


def _check_pixels(
    dataset: FileDataset, syntax: str, n_frames: int, indices: range, limits: ReadLimits
) -> None:
    """Hold what is declared against the pixel data, before any of it is decoded."""
    if syntax not in (*_UNCOMPRESSED, *_JPEG, _RLE):
        raise BadFileError(
            f"No decoder for the transfer syntax {syntax[:64]!r}.", code="transfer_syntax"
        )
    colour, samples = str(dataset.PhotometricInterpretation), int(dataset.SamplesPerPixel)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if int(dataset.BitsAllocated) != 8 or samples != _SAMPLES.get(colour):
        raise BadFileError(
            f"Pictures of {samples} samples a pixel in {colour[:32]!r} of "
            f"{dataset.BitsAllocated} bits are not supported.",
            code="colour",
        )
    check_size(len(indices), rows, columns, limits)
    stored, pixels = len(dataset.PixelData), n_frames * rows * columns
    if syntax in _UNCOMPRESSED:
        # Two neighbours share their chroma.
        expected = pixels * 2 if colour == "YBR_FULL_422" else pixels * samples
        fits = stored >= expected
    else:
        fits = pixels * samples <= limits.compression * stored
    if rows * columns == 0 or not fits:
        raise BadFileError(
            f"The file declares {n_frames} frames of {rows} x {columns} pixels but is too short.",
            code="too_short",
        )
    if syntax in _JPEG:
        _check_jpeg_sizes(dataset.PixelData, n_frames, indices, (columns, rows))


def _check_jpeg_sizes(
    stored: bytes, n_frames: int, indices: range, declared: tuple[int, int]
) -> None:
    """Refuse a frame whose own header gives another size: the decoder would believe it."""
    from PIL import Image
    from pydicom.encaps import generate_frames

    for number, frame in enumerate(generate_frames(stored, number_of_frames=n_frames)):
        if number not in indices:
            continue
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            if image.size != declared:
                raise BadFileError(
                    "A frame is not of the size that the file declares.", code="damaged"
                )


def _decode(dataset: FileDataset, indices: range) -> Frames:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import iter_pixels, pixel_array

    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        decoded = iter_pixels(dataset, indices=indices)
    else:
        # One by one: pydicom 3.0.2's iterator forgets after the first frame that uncompressed
        # YBR_FULL_422 is stored in two thirds, and takes the next from the wrong place.
        decoded = (pixel_array(dataset, index=index) for index in indices)
    palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
    frames = np.empty((len(indices), dataset.Rows, dataset.Columns, 3), np.uint8)
    for target, picture in zip(frames, decoded, strict=True):
        if palette:
            coloured = apply_color_lut(picture, dataset)
            picture = coloured if coloured.dtype == np.uint8 else coloured >> 8
        target[:] = picture if picture.ndim == 3 else picture[..., None]
    return frames


def _decode_stream(
    dataset: FileDataset, stride: int, max_frames: int | None, limits: ReadLimits
) -> Clip:
    from pydicom.encaps import get_frame

    # The whole stream stands as one frame, whatever number of frames it holds.
    stream = io.BytesIO(get_frame(dataset.PixelData, 0, number_of_frames=1))
    return read_video(stream, stride=stride, max_frames=max_frames, limits=limits)


def _frame_times_s(dataset: FileDataset, n_frames: int) -> NDArray[np.float64] | None:
    """Time of every frame, from Frame Time Vector, Frame Time or a rate; None if none is sound."""
    vector = dataset.get("FrameTimeVector")
    if vector is not None and np.size(vector) == n_frames:
        steps_s = np.array(vector, np.float64) / 1000
        steps_s[0] = 0
    else:
        rate_hz = float(dataset.get("CineRate") or dataset.get("RecommendedDisplayFrameRate") or 0)
        step_s = float(dataset.get("FrameTime") or 0) / 1000 or (1 / rate_hz if rate_hz else 0.0)
        steps_s = np.full(n_frames, step_s)
        steps_s[0] = 0
    sound = np.isfinite(steps_s).all() and (steps_s[1:] > 0).all()
    return np.cumsum(steps_s) if sound else None


def _crop_to_region(clip: Clip, dataset: FileDataset) -> Clip:
    """Cut to the first ultrasound region, (0018,6011)."""
    regions = dataset.get("SequenceOfUltrasoundRegions")
    if not regions:
        return clip
    left, right, top, bottom = (
        int(regions[0].get(f"RegionLocation{name}", -1))
        for name in ("MinX0", "MaxX1", "MinY0", "MaxY1")
    )
    rows, columns = clip.frames.shape[1:3]
    # Some writers give the size where the last row or column is meant.
    inside = min(left, top) >= 0 and right <= columns and bottom <= rows
    if not inside or min(right - left, bottom - top) < _SMALLEST_REGION_PX:
        return replace(
            clip, note="The ultrasound region of the file does not fit its picture; it is unused."
        )
    # The bounds are the first and last pixel; a copy lets go of the rest.
    frames = clip.frames[:, top : bottom + 1, left : right + 1].copy()
    return replace(clip, frames=frames, cropped=True)
