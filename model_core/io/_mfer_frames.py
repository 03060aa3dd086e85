"""Where the samples of an MFER file (ISO 22077) lie, and copies that hold only some of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_core.io._complete import MAX_LEADS

MAX_FRAMES = 100_000
_READ_AT_ONCE = 1_000_000

_ORDER, _BLOCK, _CHANNELS, _SEQUENCES, _POINTER = 0x01, 0x04, 0x05, 0x06, 0x07
_TYPE, _WAVE, _OF_CHANNEL, _GROUP, _END = 0x0A, 0x1E, 0x3F, 0x67, 0x80
# Waveform, lead, interval, sensitivity, offset, compression, value of no sample
_MEANING = (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x12)
_LAYOUT = (_ORDER, _BLOCK, _CHANNELS, _SEQUENCES, _TYPE, _OF_CHANNEL, _GROUP)
_BYTES_A_SAMPLE = {0: 2, 1: 2, 2: 4, 3: 1, 4: 2, 5: 1, 6: 4, 7: 4, 8: 8}


@dataclass(frozen=True, slots=True)
class _Item:
    """A definition: what it is of, its bytes as a whole, and where its value lies."""

    tag: int
    begin: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Frames:
    """Samples in frames; a frame holds sequences, each with a block of every channel.

    Attributes
    ----------
    head
        Definitions before the first frame, without those of its length.
    big_endian
        Order of the bytes of numbers.
    n_channels, block, sample_bytes
        Channels, samples of a channel in a sequence, and bytes of a sample.
    places
        First sample, number of sequences and first byte of each frame.
    n_samples
        Of each channel.
    """

    head: bytes
    big_endian: bool
    n_channels: int
    block: int
    sample_bytes: int
    places: tuple[tuple[int, int, int], ...]
    n_samples: int

    def cut(self, path: Path, first: int, last: int) -> bytes:
        """Make a file that holds samples from the first to the one before the last."""
        pieces: list[NDArray[np.unsignedinteger]] = []
        with path.open("rb") as file:
            for start, n_sequences, offset in self.places:
                low, high = max(first - start, 0), min(last - start, n_sequences * self.block)
                if low < high:
                    pieces.append(self._samples(file, offset, low, high))
        data = np.concatenate(pieces, axis=1).tobytes()
        length = (last - first).to_bytes(4, "big" if self.big_endian else "little")
        block = bytes([_BLOCK, 4]) + length
        return self.head + block + bytes([_WAVE, 0x84]) + len(data).to_bytes(4, "big") + data

    def _samples(
        self, file: BinaryIO, offset: int, low: int, high: int
    ) -> NDArray[np.unsignedinteger]:
        """Take samples of one frame, channels x samples."""
        dtype = np.dtype(f"u{self.sample_bytes}")
        sequence_bytes = self.n_channels * self.block * self.sample_bytes
        begin, end = low // self.block, -(-high // self.block)
        if sequence_bytes <= _READ_AT_ONCE:
            file.seek(offset + begin * sequence_bytes)
            raw = np.frombuffer(file.read((end - begin) * sequence_bytes), dtype)
            blocks = raw.reshape(end - begin, self.n_channels, self.block).swapaxes(0, 1)
            rows = blocks.reshape(self.n_channels, -1)
            return rows[:, low - begin * self.block : high - begin * self.block]
        rows = np.empty((self.n_channels, high - low), dtype)
        for number in range(begin, end):
            inside = slice(max(low, number * self.block), min(high, (number + 1) * self.block))
            for channel in range(self.n_channels):
                place = offset + number * sequence_bytes
                place += (channel * self.block + inside.start % self.block) * self.sample_bytes
                file.seek(place)
                raw = file.read((inside.stop - inside.start) * self.sample_bytes)
                rows[channel, inside.start - low : inside.stop - low] = np.frombuffer(raw, dtype)
        return rows


def frames_of(path: Path) -> Frames | None:
    """Find the samples; None if they do not lie in frames of one kind, one after another."""
    with path.open("rb") as file:
        return _frames(file, path.stat().st_size)


def most_channels(path: Path) -> int:
    """Largest number of channels that the file states, in whichever order of its bytes is less."""
    most = 0
    with path.open("rb") as file:
        for item in _items(file, 0, path.stat().st_size):
            if item is not None and item.tag == _CHANNELS:
                file.seek(item.value)
                raw = file.read(min(item.end - item.value, 8))
                most = max(most, min(int.from_bytes(raw, "big"), int.from_bytes(raw, "little")))
    return most


def _frames(file: BinaryIO, size: int) -> Frames | None:
    head, places = bytearray(), list[tuple[int, int, int]]()
    big_endian, n_channels, block, sequences, sample_bytes = True, 1, 1, 0, 2
    n_samples = 0

    def value(item: _Item) -> bytes:
        file.seek(item.value)
        return file.read(item.end - item.value)

    def number(item: _Item, default: int) -> int:
        raw = value(item)
        return int.from_bytes(raw, "big" if big_endian else "little") if raw else default

    for item in _items(file, 0, size):
        if item is None:
            return None
        if item.tag == _WAVE:
            sequence_bytes = n_channels * block * sample_bytes
            stated, odd = divmod(item.end - item.value, sequence_bytes)
            if odd or stated == 0 or sequences not in (0, stated) or len(places) == MAX_FRAMES:
                return None
            places.append((n_samples, stated, item.value))
            n_samples += stated * block
            continue
        if item.tag == _POINTER:
            if places and number(item, n_samples) != n_samples:
                return None
            continue
        if places:
            if item.tag in (*_LAYOUT, *_MEANING):
                return None
            continue
        if item.tag == _ORDER:
            big_endian = value(item)[:1] != b"\1"
        elif item.tag == _CHANNELS:
            n_channels = number(item, 1)
        elif item.tag == _BLOCK:
            block = number(item, 1)
        elif item.tag == _SEQUENCES:
            sequences = number(item, 0)
        elif item.tag == _TYPE:
            sample_bytes = _BYTES_A_SAMPLE.get(number(item, 0), 0)
        elif item.tag == _GROUP or (item.tag == _OF_CHANNEL and _lays_out(file, item)):
            return None
        if not 1 <= n_channels <= MAX_LEADS or block < 1 or not sample_bytes:
            return None
        if item.tag not in (_BLOCK, _SEQUENCES):
            file.seek(item.begin)
            head += file.read(item.end - item.begin)
    if not places:
        return None
    return Frames(
        bytes(head), big_endian, n_channels, block, sample_bytes, tuple(places), n_samples
    )


def _lays_out(file: BinaryIO, item: _Item) -> bool:
    """Whether the definitions of a channel say where its samples lie, or cannot be understood."""
    inner = list(_items(file, item.value, item.end))
    return any(each is None or each.tag in (*_LAYOUT, _POINTER, _WAVE) for each in inner)


def _items(file: BinaryIO, begin: int, end: int) -> Iterator[_Item | None]:
    """Go through definitions; None, and no more, where one has no length or reaches too far."""
    while begin < end:
        file.seek(begin)
        start = file.read(min(16, end - begin))
        if start[0] == 0:
            begin += 1
            continue
        if start[0] == _END:
            return
        at = 1
        if start[0] == _OF_CHANNEL:  # its number follows, seven bits a byte
            while at < len(start) - 1 and start[at] & 0x80:
                at += 1
            at += 1
        length = start[at] if at < len(start) else 0x80
        n_bytes = length & 0x7F if length >= 0x80 else 0
        if length == 0x80 or n_bytes > 4 or at + 1 + n_bytes > len(start):
            yield None
            return
        if n_bytes:
            length = int.from_bytes(start[at + 1 : at + 1 + n_bytes], "big")
        value = begin + at + 1 + n_bytes
        if value + length > end:
            yield None
            return
        yield _Item(start[0], begin, value, value + length)
        begin = value + length
