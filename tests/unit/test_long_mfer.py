"""Parts of long MFER recordings against the whole, which ecgdatakit reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from ecgdatakit.models import ECGRecord
from ecgdatakit.parsing.parsers.mfer import MFERParser

from benchmarks.long_recordings import minutes, write_mfer
from model_core.io import open_lead, open_recording, read_part, read_recording
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording
from model_core.types import Recording

FS = 250
N = 2 * 60 * FS


def field(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value


def wave(data: bytes) -> bytes:
    return b"\x1e\x84" + len(data).to_bytes(4, "big") + data


def assert_parts_are_cut_out(path: Path) -> Recording:
    whole, long = read_recording(path), open_recording(path)
    assert isinstance(long, LongRecording)
    assert (long.fs, long.n_samples) == (whole.fs, whole.n_samples)
    assert (long.lead_names, long.metadata.age) == (whole.lead_names, whole.metadata.age)
    for start_s in (0.0, 13.37, 59.5, long.duration_s - 10):
        part, first = read_part(long, start_s, 10.0), round(start_s * whole.fs)
        there = slice(first, first + round(10 * whole.fs))
        np.testing.assert_array_equal(part.signal_mv, whole.signal_mv[:, there])
    row = whole.signal_mv[whole.lead_names.index("II")]
    np.testing.assert_array_equal(open_lead(long, "II")(123, 20_000), row[123:20_000])
    return whole


@pytest.mark.parametrize("block", [1, 100, FS, 15 * FS, 60 * FS])
def test_blocks_of_any_length(tmp_path: Path, block: int) -> None:
    whole = assert_parts_are_cut_out(write_mfer(tmp_path / "a", 2, FS, block))
    assert whole.lead_names == STANDARD_LEADS
    written = np.concatenate(list(minutes(2, FS)), axis=1) * 0.0025
    np.testing.assert_allclose(whole.signal_mv, written, rtol=1e-6)


def test_no_copy_with_a_name_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading may be ended at any moment: a copy would be left, with the patient's name."""
    path = write_mfer(tmp_path / "a", 2, FS)
    seen: list[list[str]] = []
    parse = MFERParser.parse

    def look(self: MFERParser, file_path: Path) -> ECGRecord:
        seen.append([path.name for path in (tmp_path / "temporary").iterdir()])
        return parse(self, file_path)

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(MFERParser, "parse", look)
    long = open_recording(path)
    assert isinstance(long, LongRecording)
    read_part(long, 50.0, 10.0)
    assert len(seen) >= 3
    assert not any(seen)


def test_a_block_larger_than_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mfer(tmp_path / "a", 2, FS, 15 * FS)
    monkeypatch.setattr("model_core.io._mfer_frames._READ_AT_ONCE", 1000)
    assert_parts_are_cut_out(path)


def big_endian(frames: list[bytes], *definitions: bytes, block: int = 250) -> bytes:
    """Two leads of 4-byte samples, 4 uV a count, -1 for none, in frames."""
    head = field(0x40, b"MFR ".ljust(32)) + field(0x08, b"\0\2") + field(0x0B, b"\1\xfd\4")
    head += field(0x0C, b"\0\xfa\4") + field(0x0A, b"\2") + field(0x12, b"\xff" * 4)
    head += field(0x83, bytes([44, 0, 0, 0, 0, 0, 0])) + field(0x05, b"\2")
    head += field(0x04, block.to_bytes(2, "big"))
    head += bytes([0x3F, 0, 3]) + field(0x09, b"\1") + bytes([0x3F, 1, 3]) + field(0x09, b"\2")
    return head + b"".join(definitions) + b"".join(frames) + b"\x80\0"


def blocks(values: np.ndarray, block: int = 250) -> bytes:
    cut = values.reshape(2, -1, block).swapaxes(0, 1)
    return np.ascontiguousarray(cut).astype(">i4").tobytes()


@pytest.fixture
def values() -> np.ndarray:
    found = np.random.default_rng(1).integers(0, 500, (2, N))
    found[1, 100:200] = -1
    return found


def test_frames_of_other_kinds_of_samples(tmp_path: Path, values: np.ndarray) -> None:
    halves = [wave(blocks(values[:, : N // 2])), wave(blocks(values[:, N // 2 :]))]
    pointer = field(0x07, (N // 2).to_bytes(4, "big"))
    (tmp_path / "a.mwf").write_bytes(big_endian([halves[0], pointer, halves[1]]))
    whole = assert_parts_are_cut_out(tmp_path / "a.mwf")
    expected = np.where(values == -1, np.nan, values * 0.004)
    np.testing.assert_allclose(whole.signal_mv[:2], expected, rtol=1e-6)
    assert (whole.fs, str(whole.metadata.age)) == (250.0, "44 years")


def test_frames_that_do_not_follow_one_another_are_read_as_a_whole(
    tmp_path: Path, values: np.ndarray
) -> None:
    halves = [wave(blocks(values[:, : N // 2])), wave(blocks(values[:, N // 2 :]))]
    gap = field(0x07, N.to_bytes(4, "big"))
    other_unit = field(0x0C, b"\0\xfa\5")
    longer_lead = bytes([0x3F, 1, 3]) + field(0x04, b"\5")
    cases = {
        "gap": big_endian([halves[0], gap, halves[1]]),
        "unit": big_endian([halves[0], other_unit, halves[1]]),
        "lead": big_endian(halves, longer_lead),
        "more": big_endian([*halves], field(0x06, b"\2")),
    }
    for name, data in cases.items():
        path = tmp_path / f"{name}.mwf"
        path.write_bytes(data)
        assert isinstance(open_recording(path), Recording), name
