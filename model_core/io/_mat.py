"""Numeric arrays of MATLAB files, level 4 and 5 (MathWorks, MAT-File Format)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import checked_size, plain
from model_core.wording import say

MAX_BYTES = 256_000_000
MAX_VARIABLES = 100

_V5 = b"MATLAB 5.0"
_V73 = b"MATLAB 7.3"
_MATRIX, _COMPRESSED = 14, 15
_V5_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC_CLASSES = range(6, 16)
_STRUCTURE = 2
_COMPLEX = 0x08
_V4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """Real numeric matrices of a MAT file by name, those within a structure as ``name.field``."""
    checked_size(path, MAX_BYTES)
    data = path.read_bytes()
    if data.startswith(_V73):
        raise ReadError(
            say("{file} is a MATLAB 7.3 file (HDF5), which is not supported.", file=path.name),
            hint=say("Save it in MATLAB with the option -v7."),
            code="unsupported_format",
        )
    try:
        return dict(_level_5(path, data) if data.startswith(_V5) else _level_4(path, data))
    except (struct.error, ValueError, zlib.error) as error:
        raise ReadError(
            say("{file} is damaged, or no MATLAB file.", file=path.name),
            hint=say("Save it again."),
            code="damaged",
        ) from error


def _damaged() -> NoReturn:
    raise ValueError("not a MAT file")


def _level_4(path: Path, data: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    position = n = 0
    while position < len(data) and n < MAX_VARIABLES:
        # The first number is MOPT in decimal; M is 0 in little-endian and 1 in big-endian files.
        order = "<" if 0 <= struct.unpack_from("<i", data, position)[0] < 100 else ">"
        kind, rows, columns, imaginary, name_bytes = struct.unpack_from(
            f"{order}5i", data, position
        )
        precision, storage = kind // 10 % 10, kind % 10
        if kind // 100 != (0 if order == "<" else 10) or precision >= len(_V4_TYPES):
            _damaged()
        if rows < 0 or columns < 0 or not 0 < name_bytes < 256:
            _damaged()
        position += 20
        name = data[position : position + name_bytes].rstrip(b"\0").decode("latin-1")
        position += name_bytes
        dtype = np.dtype(f"{order}{_V4_TYPES[precision]}")
        size = rows * columns * dtype.itemsize
        if position + size > len(data):
            raise _cut(path)
        if storage == 0 and not imaginary:
            values = np.frombuffer(data, dtype, rows * columns, position)
            yield plain(name, 64), values.reshape((rows, columns), order="F")
        position += size * (2 if imaginary else 1)
        n += 1


def _cut(path: Path) -> ReadError:
    return ReadError(
        say("{file} ends before its samples do: it is incomplete.", file=path.name),
        hint=say("Copy it again."),
        code="size_mismatch",
    )


def _level_5(path: Path, data: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128]) or _damaged()
    position, unpacked, n = 128, 0, 0
    while position + 8 <= len(data) and n < MAX_VARIABLES:
        kind, size = struct.unpack_from(f"{order}2I", data, position)
        position += 8
        if position + size > len(data):
            raise _cut(path)
        body = data[position : position + size]
        position += size
        n += 1
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            body = inflater.decompress(body, MAX_BYTES - unpacked)
            unpacked += len(body)
            if inflater.unconsumed_tail or unpacked >= MAX_BYTES:
                raise ReadError(
                    say(
                        "{file} unpacks to more than {limit_mb:.0f} MB.",
                        file=path.name,
                        limit_mb=MAX_BYTES / 1e6,
                    ),
                    hint=say("Save only the ECG."),
                    code="too_large",
                )
            kind = struct.unpack_from(f"{order}I", body)[0]
            body = body[8:]
        if kind == _MATRIX:
            yield from _matrix(body, order)


def _elements(body: bytes, order: str, at_most: int) -> list[tuple[int, bytes]]:
    """Types and contents of the data elements that follow one another in `body`."""
    parts: list[tuple[int, bytes]] = []
    position = 0
    while position + 8 <= len(body) and len(parts) < at_most:
        kind, size = struct.unpack_from(f"{order}2I", body, position)
        if kind >> 16:  # a small element: type, size and up to 4 bytes of data in 8 bytes
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            position += 8
        else:
            start = position + 8
            position = start + -(-size // 8) * 8
        parts.append((kind, body[start : start + size]))
    return parts


def _matrix(body: bytes, order: str, within: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield a numeric matrix; of a single structure, its fields as ``name.field``."""
    parts = _elements(body, order, MAX_VARIABLES)
    if len(parts) < 4 or len(parts[0][1]) < 8:
        return
    flags = struct.unpack_from(f"{order}I", parts[0][1])[0]
    shape = tuple(int(n) for n in np.frombuffer(parts[1][1], f"{order}i4"))
    name = within or plain(parts[2][1].decode("latin-1"), 64)
    if flags & 0xFF == _STRUCTURE and not within and set(shape) == {1} and len(parts) > 5:
        width = struct.unpack_from(f"{order}I", parts[3][1].ljust(4, b"\0"))[0]
        names = parts[4][1]
        if not 0 < width <= 64:
            _damaged()
        for number, (kind, content) in enumerate(parts[5:]):
            field = names[number * width : (number + 1) * width].split(b"\0")[0]
            if kind == _MATRIX:
                yield from _matrix(content, order, f"{name}.{plain(field.decode('latin-1'), 64)}")
        return
    dtype = _V5_TYPES.get(parts[3][0])
    if flags & 0xFF not in _NUMERIC_CLASSES or flags >> 8 & _COMPLEX or dtype is None:
        return
    values = np.frombuffer(parts[3][1], f"{order}{dtype}")
    if any(n < 0 for n in shape) or len(values) != int(np.prod(shape, dtype=np.int64)):
        _damaged()
    yield name, values.reshape(shape, order="F")
