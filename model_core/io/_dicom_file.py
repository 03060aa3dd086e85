"""A DICOM file taken apart into elements, without the samples of its waveforms."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from model_core.errors import ReadError
from model_core.io._complete import checked_size
from model_core.wording import say

MAX_INFLATED_BYTES = 256_000_000
# Values beyond this stay in the file; notes of that size would take seconds to be taken apart.
MAX_VALUE_BYTES = 1_000_000

_WAVEFORMS = 0x54000100


class InPlace(bytes):
    """A value that was not read: empty, with the place in the file where it lies."""

    offset: int
    size: int


class _Skipping:
    """The file for pydicom, in which long values are passed over."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = path.stat().st_size
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size < 0:  # all of the rest is asked for only of a deflated data set
            return self._deflated()
        if size <= MAX_VALUE_BYTES:
            return self._file.read(size)
        found = InPlace()
        found.offset = self._file.tell()
        found.size = max(0, min(size, self._size - found.offset))
        self._file.seek(found.size, 1)
        return found

    def _deflated(self) -> bytes:
        """Refuse a data set that would grow beyond the limit; pydicom has none."""
        checked_size(self._path, MAX_INFLATED_BYTES)
        data = self._file.read()
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflater.decompress(data, MAX_INFLATED_BYTES)
        if inflater.unconsumed_tail:
            raise ReadError(
                say(
                    "{file} unpacks to more than {limit_mb:.0f} MB.",
                    file=self._path.name,
                    limit_mb=MAX_INFLATED_BYTES / 1e6,
                ),
                hint=say("It is not an ECG of a size that this program reads."),
                code="too_large",
            )
        return data


def parse(path: Path) -> tuple[Any, list[Any]]:
    """Take a file apart; gives its data set and the items of its waveform sequence.

    Values longer than `MAX_VALUE_BYTES` are `InPlace`.

    Raises
    ------
    ReadError
        If it is damaged, or unpacks to more than is read.
    """
    from pydicom.filereader import read_partial, read_sequence

    damaged = ReadError(
        say("{file} is a damaged DICOM file.", file=path.name),
        hint=say("Export it again."),
        code="damaged",
    )
    previous = -1

    def out_of_order(tag: int, _vr: str | None, _length: int) -> bool:
        # Elements ascend. A tail of zeros would else be read as tens of thousands of elements.
        nonlocal previous
        if tag <= previous:
            raise damaged
        previous = int(tag)
        return False

    with path.open("rb") as opened:
        file = cast("Any", _Skipping(path, opened))
        try:
            dataset: Any = cast("Any", read_partial)(file, out_of_order, force=True)
            element = dataset.get_item(_WAVEFORMS) if _WAVEFORMS in dataset else None
            if element is not None and isinstance(element.value, InPlace):
                file.seek(element.value.offset)
                sequence: Any = read_sequence(
                    file,
                    element.is_implicit_VR,
                    element.is_little_endian,
                    element.value.size,
                    dataset.original_character_set,
                )
            else:
                sequence = dataset.get("WaveformSequence") or []
        except ReadError:
            raise
        except Exception as error:  # pydicom leaks many kinds on damaged files
            raise damaged from error
    return dataset, list(sequence)


def value_of(dataset: Any, tag: int) -> Any:  # noqa: ANN401 - a data set has the elements it has
    """Value of an element as it was read, without any change to it; empty if there is none."""
    value = dataset.get_item(tag).value if tag in dataset else None
    return b"" if value is None else value
