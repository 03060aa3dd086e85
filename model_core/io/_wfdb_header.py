"""The header of a WFDB record: what it states, judged line by line before any sample is read.

Format: header(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from model_core.errors import ReadError
from model_core.io._complete import mv_per_unit, plain
from model_core.wording import say

MAX_HEADER_BYTES = 1_000_000
MAX_SIGNALS = 64
MAX_SEGMENTS = 1000

# Of records, segments and data files: never of a folder.
PLAIN_NAME = r"[-\w]+(?:\.[-\w]+)*"
# Gain, baseline and unit, for instance 1000.0(0)/mV
_GAIN = re.compile(r"(\d+\.?\d*(?:[eE][-+]?\d+)?)(?:\(-?\d+\))?(?:/(\S+))?")
FLAC_FORMATS = ("508", "516", "524")
# All formats of signal(5): bytes a sample (0 where compressed), bytes that are filled up at the end
# of a file, and the value that stands for "no sample"
FORMATS: dict[str, tuple[float, int, int | None]] = {
    "8": (1.0, 1, None),
    "16": (2.0, 1, -(2**15)),
    "24": (3.0, 1, -(2**23)),
    "32": (4.0, 1, -(2**31)),
    "61": (2.0, 1, -(2**15)),
    "80": (1.0, 1, -(2**7)),
    "160": (2.0, 1, -(2**15)),
    "212": (1.5, 3, -(2**11)),
    "310": (4 / 3, 4, -(2**9)),
    "311": (4 / 3, 4, -(2**9)),
    "508": (0.0, 1, -(2**7)),
    "516": (0.0, 1, -(2**15)),
    "524": (0.0, 1, -(2**23)),
}
_UNIT = re.compile(r"[A-Za-zµμ°%Ω/*^.-]+\d?")
# Format, samples a frame, skew and byte offset, for instance 16x1+24
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN_HINT = say("Have the source of the file state gain and unit, for instance 1000/mV.")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a signal line says, as far as it decides whether the samples may be read.

    `mv_per_count` is None where the signal is no voltage; `name` is empty where none is written.
    `skew` is by how many samples the signal lies later in the file than it was recorded.
    """

    file_name: str
    fmt: str
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float
    unit: str
    mv_per_count: float | None
    name: str


def header_of(path: Path) -> Path:
    """Name the header of a record, from itself, a data file, or the record's name."""
    named, beside = path.with_name(f"{path.name}.hea"), path.with_suffix(".hea")
    # What looks like an ending may be part of a record's name, which may have dots.
    is_name = named.is_file() and not (path.is_file() and beside.is_file())
    return named if is_name else beside


def bad_header(
    header: Path,
    why: str,
    code: str = "bad_header",
    hint: str = say("Export or copy the record again."),
) -> ReadError:
    return ReadError(
        say("The header {header} cannot be used: {why}.", header=header.name, why=why),
        hint=hint,
        code=code,
    )


def header_lines(header: Path) -> tuple[list[str], tuple[str, ...]]:
    """Record, signal and segment lines of a header, and its comments without their mark."""
    with header.open("rb") as file:
        content = file.read(MAX_HEADER_BYTES + 1)
    if len(content) > MAX_HEADER_BYTES:
        raise bad_header(header, say("it is larger than 1 MB"), code="too_large")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    comments = tuple(line.lstrip("# \t") for line in lines if line.startswith("#"))
    lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        raise bad_header(header, say("it holds no record line"))
    if len(lines) > 1 + MAX_SEGMENTS:
        raise bad_header(header, say("it has too many lines"), code="too_large")
    return lines, comments


def record_line(header: Path, line: str) -> tuple[int, float, int]:
    """Get number of signals, frame rate in Hz and number of frames."""
    match = re.fullmatch(
        rf"{PLAIN_NAME}(?:/\d+)?\s+(\d+)\s+(\d+\.?\d*)(?:/\S*)?\s+(\d+)(?:\s.*)?", line
    )
    if not match or int(match[3]) == 0:
        raise bad_header(
            header, say("its first line must state the number of signals, the rate and the length")
        )
    n_signals = int(match[1])
    if not 1 <= n_signals <= MAX_SIGNALS:
        raise bad_header(
            header,
            say("it states {n} signals; 1 to {most} can be read", n=n_signals, most=MAX_SIGNALS),
            "too_large",
        )
    return n_signals, float(match[2]), int(match[3])


def signal_line(header: Path, line: str) -> Signal:
    """Judge one signal line; refused where its gain or its place in the file is in doubt."""
    fields = [*line.split(), "", ""]
    name, layout, gain = fields[0], _FORMAT.fullmatch(fields[1]), _GAIN.fullmatch(fields[2])
    if not re.fullmatch(PLAIN_NAME, name):
        raise bad_header(
            header, say("a data file is not named as a plain file name"), "bad_file_name"
        )
    if not layout or layout[1] not in FORMATS:
        raise bad_header(header, say("the sample format is not supported"), code="unknown_format")
    if not gain or not 0 < float(gain[1]) < math.inf:
        raise bad_header(
            header, say("it does not state the gain of every signal"), "gain_missing", _GAIN_HINT
        )
    if gain[2] and not _UNIT.fullmatch(gain[2]):
        raise bad_header(
            header, say("'{unit}' is not a unit", unit=plain(gain[2], 10)), "unknown_unit"
        )
    # header(5): a signal without a unit is in millivolts. The import notes say so.
    factor = mv_per_unit(gain[2] or "mV")
    written = line.split(maxsplit=8)
    return Signal(
        file_name=name,
        fmt=layout[1],
        samples_per_frame=int(layout[2] or 1),
        skew=int(layout[3] or 0),
        byte_offset=int(layout[4] or 0),
        gain=float(gain[1]),
        unit=gain[2] or "",
        mv_per_count=factor / float(gain[1]) if factor else None,
        name=written[8] if len(written) == 9 else "",
    )
