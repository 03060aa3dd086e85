"""MFER (ISO 22077, Nihon Kohden and others), decoded by `ecgdatakit`.

Of a long recording it gets a copy that holds only the part asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, cast

from model_core.errors import ReadError
from model_core.io._complete import (
    FS_RANGE_HZ,
    Stored,
    check_kind,
    checked_size,
    complete,
    mv_per_unit,
    plain,
)
from model_core.io._in_file import InFile, Samples
from model_core.io._kit import age_between, age_of, decode, stored_of
from model_core.io._mfer_frames import frames_of, most_channels
from model_core.types import Recording
from model_core.wording import say

FORMAT_NAME: str = "MFER"
SUFFIXES: tuple[str, ...] = (".mwf", ".mfr", ".mfer")

MAX_BYTES = 16_000_000_000
MAX_WHOLE_BYTES = 64_000_000


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file begins with an MFER preamble; a file without one is known by its name."""
    return head[:1] == b"\x40" and head[2:6] == b"MFR "


def read(path: Path) -> Recording:
    """Read the first waveform of an MFER file; see `model_core.io.read_recording`."""
    return complete(_stored(path), [path], path)


def open_file(path: Path) -> InFile | None:
    """Read what an MFER file says of its samples; None if they can only be read as a whole."""
    checked_size(path, MAX_BYTES)
    frames = frames_of(path)
    if frames is None or frames.n_samples < 2:
        return None

    def cut(first: int, last: int) -> Stored:
        # A file without a name: nothing of the patient is left if this process is ended here.
        with tempfile.TemporaryFile() as file:
            file.write(frames.cut(path, first, last))
            file.seek(0)
            return _stored(path, file)

    def read_samples(first: int, last: int, rows: Sequence[int]) -> Samples:
        found = cut(first, last)
        return Samples(found.signal_mv[list(rows)], integrity=found.report.integrity)

    beginning = cut(0, 2)
    check_kind(path, len(beginning.lead_names), frames.n_samples, beginning.fs)
    return InFile(
        read=read_samples,
        n_samples=frames.n_samples,
        fs=beginning.fs,
        lead_names=tuple(beginning.lead_names),
        report=beginning.report,
        metadata=beginning.metadata,
        paths=(path,),
        source=path,
    )


def _stored(path: Path, part: BinaryIO | None = None) -> Stored:
    """Decode the file, or a part of it that lies in another one."""
    from ecgdatakit.parsing.parsers.mfer import MFERParser

    def parse(path: Path) -> Any:  # noqa: ANN401 - the package's types are its own
        # Its `open` takes a descriptor too, and closes it.
        return MFERParser().parse(path if part is None else cast("Any", os.dup(part.fileno())))

    limit = MAX_WHOLE_BYTES if part is None else MAX_BYTES
    if part is None:
        checked_size(path, limit)
        # The decoder takes memory and time for every channel before it looks for its samples.
        check_kind(path, max(most_channels(path), 1), 2, FS_RANGE_HZ[0])
    record, warned = decode(path, FORMAT_NAME, limit, parse)
    # A monitor records pressures and breaths too, mostly at other rates.
    leads: list[Any] = list(record.leads)
    units = [str(lead.adc_resolution_unit) for lead in leads]
    voltages = [not unit or mv_per_unit(unit) is not None for unit in units]
    left_out = [
        say("{lead} is in {unit}, no ECG: left out.", lead=plain(lead.label, 20), unit=unit)
        for lead, unit, is_voltage in zip(leads, units, voltages, strict=True)
        if not is_voltage
    ]
    stated_rates: list[float] = record.raw_metadata.get("sampling_rates") or []
    rates = list(compress(stated_rates, voltages))
    record.leads = list(compress(leads, voltages))
    fs = float(rates[0]) if rates else float(record.leads[0].sampling_rate) if record.leads else 0.0
    if any(rate != fs for rate in rates):
        raise ReadError(
            say("{file} holds leads at several sampling rates.", file=path.name),
            hint=say("Export it with one rate."),
            code="several_rates",
        )
    stated = record.raw_metadata.get("sampling_rate_stated") is not False
    age = age_between(record.patient.birth_date, record.recording.date)
    return stored_of(
        path,
        record,
        warned,
        format_name=FORMAT_NAME,
        fs=fs,
        rate_source=say("as stated in the file")
        if stated
        else say("by the format's rule, 1000 Hz"),
        age=age or (age_of(record.patient.age, "years") if record.patient.age else None),
        repairs=left_out,
    )
