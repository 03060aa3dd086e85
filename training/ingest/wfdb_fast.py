"""WFDB records of the plain kind, which large archives consist of, some forty times faster.

Plain: one data file, format 16 or 212, gain, unit, baseline, checksum and first value of every
signal stated. Anything else gives None, and the caller turns to `model_core.io`, which reads more
or says in words what is wrong. So this module needs no messages, and may not guess.
Format: header(5) and signal(5), WFDB Applications Guide, https://physionet.org/physiotools/wag/
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.io.wfdb_reader import FS_RANGE_HZ, MAX_HEADER_BYTES, MAX_SIGNALS
from model_core.leads import canonical_lead_name

MISSING = -(2**15)
_MISSING_212 = -(2**11)
_COUNTS_PER_MV = {"mV": 1.0, "uV": 1e3}
_RECORD = re.compile(r"[-\w]+ +(\d+) +(\d+(?:\.\d+)?) +(\d+)(?: .*)?", re.ASCII)
# File, format, gain(baseline)/unit, resolution, zero, first value, checksum, block size, name
_SIGNAL = re.compile(
    r"^([-\w]+\.\w+)[ \t]+(16|212)[ \t]+(\d+\.?\d*)(?:\((-?\d+)\))?/(mV|uV)[ \t]+\d+[ \t]+(-?\d+)"
    r"[ \t]+(-?\d+)[ \t]+(-?\d+)[ \t]+\d+[ \t]+(\S.*)$",
    re.ASCII | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Samples of a record as stored.

    Attributes
    ----------
    values
        Leads x samples, int16; `MISSING` where the file holds no sample.
    gain
        Counts per mV, for each lead.
    baseline
        Count that stands for 0 mV, for each lead.
    fs
        Sampling frequency, Hz.
    lead_names
        In the field's spelling.
    """

    values: NDArray[np.int16]
    gain: tuple[float, ...]
    baseline: tuple[int, ...]
    fs: float
    lead_names: tuple[str, ...]


def read_counts(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> Counts | None:
    """Read a plain WFDB record, or part of one.

    Parameters
    ----------
    path
        The header or the record's name without ending.
    start_s, duration_s
        The part; to the end if `duration_s` is None. Checksums are compared where the whole
        record is read.

    Returns
    -------
    Counts or None
        None if the record is not plain, not sound, or does not hold the part.
    """
    name = str(path).removesuffix(".hea")
    try:
        with open(f"{name}.hea", "rb", buffering=0) as file:  # noqa: PTH123 - four times as fast
            text = file.read(MAX_HEADER_BYTES).decode()
        lines = [line.rstrip() for line in text.splitlines() if line and line[0] != "#"]
        record = _RECORD.fullmatch(lines[0]) if lines else None
        signals: list[tuple[str, ...]] = _SIGNAL.findall("\n".join(lines[1:]))
        if not record or not 0 < len(signals) == len(lines) - 1 == int(record[1]) <= MAX_SIGNALS:
            return None
        n_signals, fs, n_samples = int(record[1]), float(record[2]), int(record[3])
        files, formats, gains, baselines, units, zeros, starts, checksums, names = zip(
            *signals, strict=True
        )
        gain, baseline, lead_names = _leads(gains, baselines, units, zeros, names)
        first = round(start_s * fs)
        last = n_samples if duration_s is None else first + round(duration_s * fs)
        if (
            len(set(files)) != 1
            or len(set(formats)) != 1
            or not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]
            or min(gain) <= 0
            or not 0 <= first < last <= n_samples
        ):
            return None
        folder = name[: name.rfind("/") + 1]
        read = _read_16 if formats[0] == "16" else _read_212
        values = read(folder + files[0], n_signals, n_samples, first, last)
    except (OSError, UnicodeDecodeError):
        return None
    if values is None:
        return None
    if first == 0 and values[:, 0].tolist() != [int(start) for start in starts]:
        return None
    if last - first == n_samples:
        total = np.add.reduce(values, axis=1, dtype=np.int16)  # wraps, as the checksum does
        stated = [(int(checksum) + 2**15) % 2**16 - 2**15 for checksum in checksums]
        if total.tolist() != stated:
            return None
    if formats[0] == "212":
        values[values == _MISSING_212] = MISSING
    return Counts(values, gain, baseline, fs, lead_names)


@functools.lru_cache(maxsize=256)  # an archive repeats a few; a file may hold any text
def _leads(
    gains: tuple[str, ...],
    baselines: tuple[str, ...],
    units: tuple[str, ...],
    zeros: tuple[str, ...],
    names: tuple[str, ...],
) -> tuple[tuple[float, ...], tuple[int, ...], tuple[str, ...]]:
    """Gain (counts per mV), baseline and name of each signal, from the words of the header."""
    return (
        tuple(float(x) / _COUNTS_PER_MV[unit] for x, unit in zip(gains, units, strict=True)),
        tuple(int(x or zero) for x, zero in zip(baselines, zeros, strict=True)),
        tuple(canonical_lead_name(name) for name in names),
    )


def _read_16(
    path: str, n_signals: int, n_samples: int, first: int, last: int
) -> NDArray[np.int16] | None:
    """Two bytes a sample, little-endian, the signals in turn."""
    frame = 2 * n_signals
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        if file.seek(0, 2) != frame * n_samples:
            return None
        file.seek(frame * first)
        content = file.read(frame * (last - first))
    if len(content) != frame * (last - first):
        return None
    stored = np.frombuffer(content, dtype="<i2").reshape(last - first, n_signals)
    return np.ascontiguousarray(stored.T)


def _read_212(
    path: str, n_signals: int, n_samples: int, first: int, last: int
) -> NDArray[np.int16] | None:
    """Three bytes for two samples of 12 bits: low byte, both high nibbles, low byte."""
    n_values = n_signals * n_samples
    with open(path, "rb") as file:  # noqa: PTH123
        content = np.frombuffer(file.read(), dtype=np.uint8)
    if len(content) != (3 * n_values + 1) // 2:
        return None
    content = np.append(content, np.zeros(-len(content) % 3, np.uint8)).reshape(-1, 3)
    low, nibbles, high = content.T.astype(np.int16)
    pairs = np.stack([low | (nibbles & 0x0F) << 8, high | (nibbles & 0xF0) << 4], axis=1)
    signed = (pairs.reshape(-1)[:n_values] ^ 0x800) - 0x800
    return np.ascontiguousarray(signed.reshape(n_samples, n_signals)[first:last].T)
