"""Echo files: pictures as stored, reasons for what is left out, and no harm from hostile files."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from training.echo_video import BadFileError, EchoFileError, NotAClipError, ReadLimits, read_clip

ULTRASOUND_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
ECG_WAVEFORM = "1.2.840.10008.5.1.4.1.1.9.1.1"
T, H, W = 4, 40, 48

Pictures = NDArray[np.uint8]
Write = Callable[..., Path]


@pytest.fixture
def pictures() -> Pictures:
    return np.random.default_rng(1).integers(0, 256, (T, H, W, 3), np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a multi-frame ultrasound file; keywords are data elements."""

    def write(pixels: bytes, syntax: UID = ExplicitVRLittleEndian, **elements: object) -> Path:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = syntax
        meta.MediaStorageSOPClassUID = UID(ULTRASOUND_MULTIFRAME)
        meta.MediaStorageSOPInstanceUID = UID("1.2.3")
        dataset = FileDataset(
            "",
            {},
            file_meta=meta,
            preamble=bytes(128),
            is_implicit_VR=syntax == ImplicitVRLittleEndian,
            is_little_endian=syntax != ExplicitVRBigEndian,
        )
        defaults = {
            "SOPClassUID": ULTRASOUND_MULTIFRAME,
            "SOPInstanceUID": "1.2.3",
            "Modality": "US",
            "NumberOfFrames": T,
            "Rows": H,
            "Columns": W,
            "SamplesPerPixel": 3,
            "PlanarConfiguration": 0,
            "PhotometricInterpretation": "RGB",
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
        }
        for name, value in {**defaults, **elements}.items():
            if value is not None:
                setattr(dataset, name, value)
        if pixels:
            dataset.PixelData = pixels
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
        path = tmp_path / "clip.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def region(left: int, top: int, right: int, bottom: int, spatial_format: int = 1) -> list[Dataset]:
    item = Dataset()
    item.RegionSpatialFormat = spatial_format
    item.RegionLocationMinX0, item.RegionLocationMaxX1 = left, right
    item.RegionLocationMinY0, item.RegionLocationMaxY1 = top, bottom
    return [item]


def jpeg_frames(pictures: Pictures, size: tuple[int, int] | None = None) -> list[bytes]:
    frames = []
    for picture in pictures:
        image = Image.fromarray(picture)
        buffer = io.BytesIO()
        (image.resize(size) if size else image).save(buffer, "JPEG", quality=90)
        frames.append(buffer.getvalue())
    return frames


def write_video(path: Path, pictures: Pictures, codec: str, pixels: str, rate_hz: int = 25) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], pixels
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def reason(path: Path, kind: type[EchoFileError], limits: ReadLimits | None = None) -> str:
    with pytest.raises(kind) as caught:
        read_clip(path, limits=limits or ReadLimits())
    assert type(caught.value) is kind
    return caught.value.code


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_rgb_comes_back_as_written(
    write: Write, pictures: Pictures, syntax: UID
) -> None:
    clip = read_clip(write(pictures.tobytes(), syntax))
    np.testing.assert_array_equal(clip.frames, pictures)
    assert clip.times_s is None
    assert not clip.cropped


def test_big_endian_rgb_comes_back_as_written(write: Write, pictures: Pictures) -> None:
    clip = read_clip(write(pictures.tobytes(), ExplicitVRBigEndian))
    np.testing.assert_array_equal(clip.frames, pictures)


def test_run_length_encoding_comes_back_as_written(
    write: Write, pictures: Pictures, tmp_path: Path
) -> None:
    import pydicom

    dataset = pydicom.dcmread(write(pictures.tobytes()))
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "rle.dcm")
    np.testing.assert_array_equal(read_clip(tmp_path / "rle.dcm").frames, pictures)


def test_ybr_full_agrees_with_pillow(write: Write, pictures: Pictures) -> None:
    stored = np.stack([np.array(Image.fromarray(p).convert("YCbCr")) for p in pictures])
    expected = np.stack([np.array(Image.fromarray(s, "YCbCr").convert("RGB")) for s in stored])
    clip = read_clip(write(stored.tobytes(), PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(clip.frames.astype(int), expected.astype(int), atol=1)


def test_uncompressed_ybr_full_422_shares_chroma_between_neighbours(
    write: Write, pictures: Pictures
) -> None:
    # Stored as Y Y Cb Cr; pairs of equal colour lose nothing.
    paired = np.repeat(pictures[:, :, ::2], 2, axis=2)
    ybr = np.stack([np.array(Image.fromarray(p).convert("YCbCr")) for p in paired])
    stored = np.stack([ybr[:, :, ::2, 0], ybr[:, :, 1::2, 0], ybr[:, :, ::2, 1], ybr[:, :, ::2, 2]])
    path = write(np.moveaxis(stored, 0, -1).tobytes(), PhotometricInterpretation="YBR_FULL_422")
    expected = np.stack([np.array(Image.fromarray(s, "YCbCr").convert("RGB")) for s in ybr])
    np.testing.assert_allclose(read_clip(path).frames.astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("colour", ["RGB", "YBR_FULL_422"])
def test_jpeg_agrees_with_pillow(write: Write, colour: str) -> None:
    ramp = np.linspace(0, 255, W).astype(np.uint8)
    pictures = np.zeros((T, H, W, 3), np.uint8)
    pictures[..., 0], pictures[..., 1], pictures[..., 2] = ramp, ramp[::-1], 90
    frames = jpeg_frames(pictures)
    if colour == "RGB":
        # As some scanners do: three plain components, and no marker that says so.
        frames = []
        for picture in pictures:
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG", quality=95, keep_rgb=True)
            frames.append(buffer.getvalue())
    path = write(encapsulate(frames), JPEGBaseline8Bit, PhotometricInterpretation=colour)
    expected = np.stack([np.array(Image.open(io.BytesIO(frame))) for frame in frames])
    np.testing.assert_allclose(read_clip(path).frames.astype(int), expected.astype(int), atol=3)


def test_lossless_jpeg_2000_comes_back_as_written(write: Write, pictures: Pictures) -> None:
    frames = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG2000", no_jp2=True, mct=1)
        frames.append(buffer.getvalue())
    path = write(encapsulate(frames), JPEG2000Lossless, PhotometricInterpretation="YBR_RCT")
    np.testing.assert_array_equal(read_clip(path).frames, pictures)


def test_palette_and_grey_become_rgb(write: Write) -> None:
    index = np.random.default_rng(2).integers(0, 256, (T, H, W), np.uint8)
    grey = read_clip(
        write(index.tobytes(), SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")
    )
    np.testing.assert_array_equal(grey.frames, np.repeat(index[..., None], 3, -1))

    table = np.random.default_rng(3).integers(0, 65536, (3, 256)).astype("<u2")
    elements: dict[str, object] = {}
    for name, values in zip(("Red", "Green", "Blue"), table, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"{name}PaletteColorLookupTableData"] = values.tobytes()
    path = write(
        index.tobytes(),
        SamplesPerPixel=1,
        PhotometricInterpretation="PALETTE COLOR",
        PlanarConfiguration=None,
        **elements,
    )
    expected = np.moveaxis((table >> 8).astype(np.uint8)[:, index], 0, -1)
    np.testing.assert_array_equal(read_clip(path).frames, expected)


def test_first_region_is_cut_out_with_both_its_bounds(write: Write, pictures: Pictures) -> None:
    regions = region(3, 5, 30, 33) + region(0, 34, W - 1, H - 1)
    clip = read_clip(write(pictures.tobytes(), SequenceOfUltrasoundRegions=regions))
    np.testing.assert_array_equal(clip.frames, pictures[:, 5:34, 3:31])
    assert clip.cropped


def test_region_beyond_the_picture_is_unused_and_said(write: Write, pictures: Pictures) -> None:
    clip = read_clip(
        write(pictures.tobytes(), SequenceOfUltrasoundRegions=region(10, 10, W + 5, H - 1))
    )
    assert clip.frames.shape == pictures.shape
    assert not clip.cropped
    assert "does not fit" in clip.note


@pytest.mark.parametrize(
    ("elements", "expected_s"),
    [
        ({"FrameTime": "40"}, [0, 0.04, 0.08, 0.12]),
        ({"FrameTimeVector": [0, 10, 20, 30]}, [0, 0.01, 0.03, 0.06]),
        ({"CineRate": "50"}, [0, 0.02, 0.04, 0.06]),
        ({"FrameTime": "-3"}, None),
    ],
)
def test_frame_times(
    write: Write,
    pictures: Pictures,
    elements: dict[str, object],
    expected_s: list[float] | None,
) -> None:
    times_s = read_clip(write(pictures.tobytes(), **elements)).times_s
    if expected_s is None:
        assert times_s is None
    else:
        assert times_s is not None
        np.testing.assert_allclose(times_s, expected_s)


def test_stride_and_largest_number_keep_frames_evenly_spread(write: Write) -> None:
    frames = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((H, W, 3), np.uint8)
    path = write(frames.tobytes(), NumberOfFrames=20, FrameTime="10")
    clip = read_clip(path, stride=2, max_frames=4)
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 6, 12, 18]
    assert clip.times_s is not None
    np.testing.assert_allclose(clip.times_s, [0, 0.06, 0.12, 0.18])


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"NumberOfFrames": 1}, "still"),
        ({"NumberOfFrames": None}, "still"),
        ({"SOPClassUID": ECG_WAVEFORM, "Modality": "ECG"}, "not_ultrasound"),
        ({"SequenceOfUltrasoundRegions": region(0, 0, 39, 39, spatial_format=3)}, "not_2d"),
    ],
)
def test_sound_files_of_another_kind_are_skipped(
    write: Write, pictures: Pictures, elements: dict[str, object], code: str
) -> None:
    assert reason(write(pictures.tobytes(), **elements), NotAClipError) == code


def test_a_report_without_pictures_is_skipped(write: Write) -> None:
    assert reason(write(b""), NotAClipError) == "no_pictures"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"NumberOfFrames": 5}, "too_short"),
        ({"NumberOfFrames": 2_000_000_000}, "too_large"),
        ({"Rows": 65535, "Columns": 65535}, "too_large"),
        ({"Rows": 0}, "too_short"),
        ({"BitsAllocated": 16}, "colour"),
        ({"PhotometricInterpretation": "CMYK"}, "colour"),
        ({"SamplesPerPixel": 1}, "colour"),
        ({"NumberOfFrames": -4}, "still"),
    ],
)
def test_declarations_are_held_against_the_file(
    write: Write, pictures: Pictures, elements: dict[str, object], code: str
) -> None:
    kind = NotAClipError if code == "still" else BadFileError
    assert reason(write(pictures.tobytes(), **elements), kind) == code


def test_frame_larger_inside_than_declared_is_never_decoded(
    write: Write, pictures: Pictures
) -> None:
    frames = [*jpeg_frames(pictures[:-1]), *jpeg_frames(pictures[-1:], size=(4000, 4000))]
    path = write(encapsulate(frames), JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422")
    assert reason(path, BadFileError) == "damaged"


def test_compressed_file_declaring_too_much_is_refused(write: Write, pictures: Pictures) -> None:
    path = write(
        encapsulate(jpeg_frames(pictures)),
        JPEGBaseline8Bit,
        PhotometricInterpretation="YBR_FULL_422",
        NumberOfFrames=4000,
    )
    assert reason(path, BadFileError) == "too_short"


def test_fewer_frames_inside_than_declared_is_damage(write: Write, pictures: Pictures) -> None:
    path = write(
        encapsulate(jpeg_frames(pictures)),
        JPEGBaseline8Bit,
        PhotometricInterpretation="YBR_FULL_422",
        NumberOfFrames=6,
    )
    assert reason(path, BadFileError) == "damaged"


def test_unknown_transfer_syntax_is_named(write: Write, pictures: Pictures) -> None:
    path = write(encapsulate([b"\0\0"] * T), JPEGLSLossless)
    with pytest.raises(BadFileError, match=r"1\.2\.840\.10008\.1\.2\.4\.80"):
        read_clip(path)


def test_deflate_bomb_is_refused_within_memory(write: Write, tmp_path: Path) -> None:
    import zlib

    path = write(bytes(T * H * W * 3), DeflatedExplicitVRLittleEndian)
    head = path.read_bytes()
    start = 132 + 12 + int.from_bytes(head[140:144], "little")
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"".join(deflater.compress(bytes(1 << 24)) for _ in range(64)) + deflater.flush()
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(head[:start] + body)
    assert len(body) < 1_100_000  # a gigabyte of zeros
    cut_off = tmp_path / "cut_off.dcm"
    cut_off.write_bytes(head[:-40])
    assert reason(cut_off, BadFileError) == "bad_deflate"
    tracemalloc.start()
    try:
        assert reason(bomb, BadFileError) == "bad_deflate"
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()


def test_mutated_files_only_ever_give_a_reason(
    write: Write, pictures: Pictures, tmp_path: Path
) -> None:
    sound = write(
        encapsulate(jpeg_frames(pictures)),
        JPEGBaseline8Bit,
        PhotometricInterpretation="YBR_FULL_422",
        SequenceOfUltrasoundRegions=region(0, 0, 39, 39),
        FrameTime="33.3",
    ).read_bytes()
    video = write_video(tmp_path / "clip.avi", pictures, "mjpeg", "yuvj420p").read_bytes()
    rng = np.random.default_rng(4)
    reasons: list[str] = []
    for number in range(400):
        data = bytearray(sound if number % 2 else video)
        for _ in range(int(rng.integers(1, 12))):
            data[rng.integers(len(data))] = rng.integers(256)
        path = tmp_path / "mutated"
        path.write_bytes(data[: rng.integers(len(data))] if number % 5 == 0 else data)
        try:
            read_clip(path)
        except EchoFileError as error:
            reasons.append(error.code)
    assert len(reasons) > 100
    assert all(reasons)


def test_files_that_are_no_pictures_at_all(tmp_path: Path) -> None:
    playlist = tmp_path / "clip.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/segment.ts\n")
    assert reason(playlist, BadFileError) == "unknown_format"
    assert reason(tmp_path / "absent.dcm", BadFileError) == "unreadable"
    empty = tmp_path / "empty.dcm"
    empty.touch()
    assert reason(empty, BadFileError) == "unknown_format"
    hollow = tmp_path / "hollow.mp4"
    hollow.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    assert reason(hollow, BadFileError) == "damaged"
    assert reason(playlist, BadFileError, ReadLimits(file_bytes=10)) == "too_large"


def test_lossless_avi_comes_back_as_written(tmp_path: Path, pictures: Pictures) -> None:
    path = write_video(tmp_path / "clip.avi", pictures, "ffv1", "bgr0")
    clip = read_clip(path)
    np.testing.assert_array_equal(clip.frames, pictures)
    assert clip.times_s is not None
    np.testing.assert_allclose(clip.times_s, np.arange(T) / 25, atol=1e-6)


def test_mp4_frames_times_and_selection(tmp_path: Path) -> None:
    level = np.arange(30, dtype=np.uint8) * 7 + 20
    pictures = level[:, None, None, None] * np.ones((64, 64, 3), np.uint8)
    path = write_video(tmp_path / "clip.mp4", pictures, "libx264", "yuv420p", rate_hz=50)
    clip = read_clip(path, stride=2, max_frames=8)
    assert clip.frames.shape == (8, 64, 64, 3)
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2, 3)), level[::4], atol=3)
    assert clip.times_s is not None
    np.testing.assert_allclose(clip.times_s, np.arange(8) * 4 / 50, atol=1e-6)


def test_single_frame_video_is_a_still_and_a_large_one_is_refused(
    tmp_path: Path, pictures: Pictures
) -> None:
    still = write_video(tmp_path / "still.avi", pictures[:1], "ffv1", "bgr0")
    assert reason(still, NotAClipError) == "still"
    clip = write_video(tmp_path / "clip.avi", pictures, "ffv1", "bgr0")
    assert reason(clip, BadFileError, ReadLimits(frame_pixels=H * W - 1)) == "too_large"
    assert reason(clip, BadFileError, ReadLimits(clip_bytes=T * H * W * 3 - 1)) == "too_large"


def test_mpeg4_inside_dicom(write: Write, tmp_path: Path) -> None:
    level = np.arange(10, dtype=np.uint8) * 20 + 20
    pictures = level[:, None, None, None] * np.ones((64, 64, 3), np.uint8)
    video = write_video(tmp_path / "clip.mp4", pictures, "libx264", "yuv420p")
    path = write(
        encapsulate([video.read_bytes()]),
        MPEG4HP41,
        NumberOfFrames=10,
        Rows=64,
        Columns=64,
        PhotometricInterpretation="YBR_PARTIAL_420",
    )
    np.testing.assert_allclose(read_clip(path).frames.mean(axis=(1, 2, 3)), level, atol=3)


@pytest.mark.needs_shared
def test_real_apical_clip(shared: Path) -> None:
    clip = read_clip(shared / "data" / "echo" / "a4c_30frames.dcm")
    assert clip.frames.shape == (30, 240, 320, 3)
    # Its region is stated for a picture of 640 x 480: cutting there would lose the heart.
    assert not clip.cropped
    assert clip.note
    assert clip.times_s is not None
    np.testing.assert_allclose(clip.times_s[-1], 29 / 30, atol=1e-3)
