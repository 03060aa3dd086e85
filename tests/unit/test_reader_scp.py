"""SCP-ECG as the standard (EN 1064) lets it be written: encodings, and beats taken out."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS

CODES: dict[str, int] = dict(
    zip(STANDARD_LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True)
)
N_SAMPLES, FIDUCIALS, BEFORE, AFTER = 2000, (300, 900, 1500), 100, 150
REST, DEFAULT_TABLE = b"\0\1\0", 19999

Ints = NDArray[np.int64]


def huffman(values: Ints) -> bytes:
    """Encode by the default table of the standard (5.5.2)."""
    bits: list[str] = []
    for value in (int(value) for value in values):
        if value == 0:
            bits.append("0")
        elif abs(value) <= 8:
            bits.append("1" * abs(value) + "0" + "01"[value < 0])
        elif -128 <= value < 128:
            bits.append(f"1111111110{value & 0xFF:08b}")
        else:
            bits.append(f"1111111111{value & 0xFFFF:016b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 16)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def plain(values: Ints) -> bytes:
    return values.astype("<i2").tobytes()


def differences(values: Ints, order: int) -> Ints:
    """First values as they are, then first or second differences (5.8.3)."""
    return np.concatenate([values[:order], np.diff(values, order)]) if order else values


def section(number: int, body: bytes, reserved: bytes = bytes(6)) -> bytes:
    body += bytes(len(body) % 2)
    head = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + reserved + body
    return struct.pack("<H", binascii.crc_hqx(head, 0xFFFF)) + head


def leads_of(values: Ints, order: int, pack: Callable[[Ints], bytes], factor: int = 5) -> bytes:
    """Sections 5 and 6: nV a count, interval, kind of differences, lengths, data."""
    data = [pack(differences(row, order)) for row in values]
    data = [part + bytes(len(part) % 2) for part in data]
    head = struct.pack("<HHBB", 1000 * factor, 2000, order, 0)
    return head + b"".join(struct.pack("<H", len(part)) for part in data) + b"".join(data)


def scp(
    path: Path,
    values: Ints,
    order: int,
    pack: Callable[[Ints], bytes],
    beat: Ints | None,
    measured: bytes = b"",
) -> Path:
    """Write a record; with a reference beat, it is taken out of the rhythm where it was found."""
    n_leads, n_samples = values.shape
    flags = (beat is not None) | 0b100 | n_leads << 3
    leads = struct.pack("<BB", n_leads, flags & 0xFF)
    for name in STANDARD_LEADS[:n_leads]:
        leads += struct.pack("<IIB", 1, n_samples, CODES[name])
    parts = {1: struct.pack("<BH", 255, 0), 2: struct.pack("<H", DEFAULT_TABLE), 3: leads}
    if pack is plain:
        del parts[2]
    rest = values
    if beat is not None:
        where = struct.pack("<HHH", 2 * (BEFORE + AFTER), BEFORE + 1, len(FIDUCIALS))
        rest = values.copy()
        for at in FIDUCIALS:
            rest[:, at - BEFORE : at + AFTER] -= beat
            where += struct.pack("<HIII", 0, at - BEFORE + 1, at + 1, at + AFTER)
        for at in FIDUCIALS:
            where += struct.pack("<II", at - 20, at + 30)
        parts |= {4: where, 5: leads_of(beat, order, pack)}
    parts[6] = leads_of(rest, order, pack)
    if measured:
        parts[7] = measured
    sections = {number: section(number, body) for number, body in parts.items()}
    at = 7 + 16 + 10 * 12
    lengths = {number: len(made) for number, made in sections.items()}
    pointers = struct.pack("<HII", 0, 16 + 120, 7)
    for number in range(1, 12):
        size = lengths.get(number, 0)
        pointers += struct.pack("<HII", number, size, at if size else 0)
        at += size
    table = section(0, pointers, b"SCPECG") + b"".join(sections.values())
    record = struct.pack("<I", 6 + len(table)) + table
    path.write_bytes(struct.pack("<H", binascii.crc_hqx(record, 0xFFFF)) + record)
    return path


def rhythm(n_leads: int) -> tuple[Ints, Ints]:
    """Counts of a rhythm of three beats with noise, and the beat in it."""
    rng = np.random.default_rng(5)
    t = np.arange(-BEFORE, AFTER)
    wave = 300 * np.exp(-((t / 8) ** 2)) + 60 * np.exp(-(((t - 90) / 25) ** 2))
    beat = np.rint(np.outer(rng.uniform(-1, 1, n_leads), wave)).astype(np.int64)
    values = rng.integers(-12, 12, (n_leads, N_SAMPLES)).astype(np.int64)
    for at in FIDUCIALS:
        values[:, at - BEFORE : at + AFTER] += beat
    return values, beat


@pytest.mark.parametrize("with_beat", [False, True])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("pack", [plain, huffman])
@pytest.mark.parametrize("n_leads", [8, 12])
def test_every_encoding_gives_the_samples(
    tmp_path: Path, n_leads: int, pack: Callable[[Ints], bytes], order: int, with_beat: bool
) -> None:
    values, beat = rhythm(n_leads)
    path = scp(tmp_path / "a.scp", values, order, pack, beat if with_beat else None)
    recording = read_recording(path)
    rows = [recording.lead_names.index(name) for name in STANDARD_LEADS[:n_leads]]
    assert recording.fs == 500.0
    np.testing.assert_allclose(recording.signal_mv[rows], values * 0.005, rtol=0, atol=1e-5)


def test_leads_by_other_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"I": 70, "II": 71, "III": 72, "aVR": 65, "aVL": 16, "aVF": 20, "V1": 66, "V2": 12}
    for name, number in numbers.items():
        monkeypatch.setitem(CODES, name, number)
    recording = read_recording(scp(tmp_path / "a.scp", rhythm(8)[0], 0, plain, None))
    others = ("Nehb D", "Nehb A", "Nehb J", "X", "CM5", "V8", "V4R")
    assert recording.lead_names == ("aVR", *others)


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (0, "qtc"),
        (1, "qtc_bazett"),
        (2, "qtc_hodges"),
        (3, "qtc_fridericia"),
        (4, "qtc_framingham"),
        (200, "qtc"),
    ],
)
def test_qtc_is_named_by_the_formula_that_the_file_states(
    tmp_path: Path, code: int, key: str
) -> None:
    measured = struct.pack("<BBHHHHHHB", 0, 0, 1000, 0, 0, 60, 0, 431, code)
    path = scp(tmp_path / "a.scp", rhythm(8)[0], 0, plain, None, measured)
    found = {m.key: m.value for m in read_recording(path).metadata.measurements}
    assert {name: value for name, value in found.items() if "qtc" in name} == {key: 431.0}
