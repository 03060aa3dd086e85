"""The data files of a WFDB record: which they are, and the numbers in them.

Format: signal(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._wfdb_header import FLAC_FORMATS, FORMATS, Signal, bad_header
from model_core.wording import say


def data_files(header: Path, signals: list[Signal], n_frames: int) -> tuple[Path, ...]:
    """Paths of the data files, each inside the record's folder and of exactly the size stated."""
    groups = [list(g) for _, g in itertools.groupby(signals, key=lambda signal: signal.file_name)]
    if len(groups) != len({signal.file_name for signal in signals}):
        raise bad_header(header, say("the signals of one data file are not listed together"))
    paths: list[Path] = []
    for group in groups:
        first = group[0]
        path = (header.parent / first.file_name).resolve()
        if path.parent != header.parent:
            raise bad_header(
                header, say("a data file lies outside the folder"), code="outside_folder"
            )
        if not path.is_file():
            raise ReadError(
                say("The data file {file} is not there.", file=first.file_name),
                hint=say("A WFDB record is a header and its data files in one folder: copy all."),
                code="data_missing",
            )
        if len({(signal.fmt, signal.byte_offset) for signal in group}) != 1:
            raise bad_header(header, say("one data file has two sample formats"))
        n_values = n_frames * sum(signal.samples_per_frame for signal in group)
        bytes_a_sample, filled_up_to, _ = FORMATS[first.fmt]
        size = path.stat().st_size
        if first.fmt in FLAC_FORMATS:
            _check_flac(path, first.byte_offset + n_values // len(group))
        else:
            expected = first.byte_offset + math.ceil(n_values * bytes_a_sample - 1e-6)
            if not 0 <= size - expected < filled_up_to:
                raise ReadError(
                    say(
                        "The data file {file} holds {size} bytes, but the header describes "
                        "{expected}: it is incomplete or belongs to another header.",
                        file=first.file_name,
                        size=size,
                        expected=expected,
                    ),
                    hint=say("Copy the record again."),
                    code="size_mismatch",
                )
        paths.append(path)
    return tuple(paths)


def _check_flac(path: Path, n_samples: int) -> None:
    """Refuse a FLAC file that states another length than the record has (RFC 9639, 8.2)."""
    with path.open("rb") as file:
        head = file.read(26)
    stated = int.from_bytes(head[18:26], "big") & (2**36 - 1)
    if head[:4] != b"fLaC" or len(head) < 26 or stated not in (0, n_samples):
        raise ReadError(
            say(
                "The data file {file} is no FLAC file with {n_samples} samples a signal: it is "
                "damaged or belongs to another header.",
                file=path.name,
                n_samples=n_samples,
            ),
            hint=say("Copy the record again."),
            code="size_mismatch",
        )


def call_wfdb(header: Path, function: str, **options: object) -> Any:  # noqa: ANN401 - wfdb has no types
    """Call a function of the `wfdb` package on a record."""
    try:
        # An absolute path never looks like an address to wfdb; see also `wfdb_reader.open_file`.
        return getattr(_wfdb(), function)(str(header.with_suffix("")), **options)
    except Exception as error:  # wfdb leaks at least seven kinds on damaged files
        raise ReadError(
            say("The record {header} is damaged or not a WFDB record.", header=header.name),
            hint=say("Export or copy it again."),
            code="damaged",
        ) from error


@functools.cache
def _wfdb() -> Any:  # noqa: ANN401 - as above
    """Import the package, and let it take record and data file names with dots.

    Which names may be read is decided before it is asked.
    """
    import wfdb  # pyright: ignore[reportMissingTypeStubs]

    # Where a later version has no such patterns, it refuses those names or takes them by itself.
    with contextlib.suppress(ImportError, AttributeError):
        from wfdb.io import _header  # pyright: ignore[reportMissingTypeStubs]

        patterns = cast("Any", _header)
        for name, narrow, wide in (
            ("rx_record", r"(?P<record_name>[-\w]+)", r"(?P<record_name>[-.\w]+)"),
            ("rx_signal", r"(?P<file_name>~?[-\w]*\.?[\w]*)", r"(?P<file_name>~?[-.\w]*)"),
        ):
            pattern = getattr(patterns, name)
            widened = re.compile(pattern.pattern.replace(narrow, wide), pattern.flags)
            setattr(patterns, name, widened)
    return wfdb


def counts(
    header: Path,
    signals: list[Signal],
    paths: tuple[Path, ...],
    frames: tuple[int, int],
    numbers: list[int],
) -> list[NDArray[np.int64]]:
    """Take the samples of the signals with these numbers, from a frame to one before another."""
    if all(signal.fmt == "61" for signal in signals):
        found = _big_endian(signals, paths, *frames)
        return [found[number] for number in numbers]
    record = call_wfdb(
        header,
        "rdrecord",
        sampfrom=frames[0],
        sampto=frames[1],
        channels=numbers,
        physical=False,
        smooth_frames=False,
        ignore_skew=True,
        return_res=32,
    )
    return record.e_d_signal


def _big_endian(
    signals: list[Signal], paths: tuple[Path, ...], begin: int, end: int
) -> list[NDArray[np.int64]]:
    """Take the samples of format 61, at which wfdb 4.3.1 fails, signal by signal."""
    found: list[NDArray[np.int64]] = []
    groups = itertools.groupby(signals, key=lambda signal: signal.file_name)
    for path, (_, group) in zip(paths, groups, strict=True):
        sizes = [signal.samples_per_frame for signal in group]
        offset = next(s.byte_offset for s in signals if s.file_name == path.name)
        size = sum(sizes)
        counts = np.fromfile(path, ">i2", (end - begin) * size, offset=offset + 2 * begin * size)
        frames = counts.astype(np.int64).reshape(-1, size)
        ends = np.cumsum(sizes)
        found += [
            frames[:, last - size : last].ravel() for last, size in zip(ends, sizes, strict=True)
        ]
    return found
