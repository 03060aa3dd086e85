"""Recordings that stay in their file: what the file says first, samples when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import Stored, check_kind, check_shape, complete
from model_core.leads import canonical_lead_names
from model_core.long_recording import LongRecording
from model_core.types import Annotation, FloatArray, ImportReport, Recording, RecordingMetadata
from model_core.wording import joined, plain, say

ENDS_BYTES = 4096
NOT_VERIFIED = say(
    "Only parts of this long recording are read: gaps, marks and checksums of samples are not "
    "looked at elsewhere, and its identity is made of the size, the first and the last 4,096 bytes "
    "of each file instead of all bytes."
)


@dataclass(frozen=True, slots=True)
class Samples:
    """A stretch of some leads, and what was found in it.

    Attributes
    ----------
    signal_mv
        Leads x samples, mV; NaN where the file has no sample.
    repairs
        As in `ImportReport`.
    annotations
        Marks of the stretch, in seconds of the recording.
    integrity
        As in `ImportReport`; empty if it can only be told of the whole recording.
    """

    signal_mv: NDArray[Any]
    repairs: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    integrity: str = ""


@dataclass(frozen=True, slots=True)
class InFile:
    """What a file holds, before any sample is read.

    Attributes
    ----------
    read
        Reads from the first sample to the one before the last, of the leads with these numbers.
    n_samples
        Of each lead.
    fs
        Sampling frequency, Hz.
    lead_names
        As in the file.
    report, metadata
        What the file tells without its samples.
    paths, source
        Every file that belongs to it, and the one whose name is shown.
    seekable
        Whether a part can be read without what comes before it.
    """

    read: Callable[[int, int, Sequence[int]], Samples]
    n_samples: int
    fs: float
    lead_names: tuple[str, ...]
    report: ImportReport
    metadata: RecordingMetadata
    paths: tuple[Path, ...]
    source: Path
    seekable: bool = True

    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""
        return self.n_samples / self.fs


def whole(in_file: InFile) -> Recording:
    """Read all of it; raises `ReadError` if that is too much to hold."""
    check_shape(in_file.source, len(in_file.lead_names), in_file.n_samples, in_file.fs)
    found = in_file.read(0, in_file.n_samples, range(len(in_file.lead_names)))
    return complete(_stored(in_file, found, found.integrity), in_file.paths, in_file.source)


def outline(in_file: InFile, path: Path) -> LongRecording:
    """Say what it is, leaving the samples where they are; `path` opens it again."""
    check_kind(in_file.source, len(in_file.lead_names), in_file.n_samples, in_file.fs)
    beginning = _part(in_file, 0, 2)
    metadata = replace(beginning.metadata, annotations=())
    if metadata.report is not None:
        metadata = replace(metadata, report=replace(metadata.report, gaps=(), n_gaps=0))
    return LongRecording(
        recording_id=beginning.recording_id,
        path=path,
        fs=in_file.fs,
        n_samples=in_file.n_samples,
        lead_names=beginning.lead_names,
        source_name=plain(in_file.source.name),
        metadata=metadata,
    )


def part(in_file: InFile, start_s: float, duration_s: float) -> Recording:
    """Read a part; it ends with the recording if that ends before."""
    first = min(max(round(start_s * in_file.fs), 0), in_file.n_samples - 2)
    # Rounding up, as the model does: a part is never shorter than what it is to be read for.
    last = first + max(int(np.ceil(duration_s * in_file.fs - 1e-6)), 2)
    return _part(in_file, first, min(last, in_file.n_samples))


def lead_reader(in_file: InFile, lead: str) -> Callable[[int, int], FloatArray]:
    """Get a function that reads one stored lead between two samples, mV.

    Raises
    ------
    ReadError
        If the file does not store that lead.
    """
    names = canonical_lead_names(in_file.lead_names)
    if lead not in names:
        raise ReadError(
            say("{file} does not store lead {lead}.", file=in_file.source.name, lead=lead),
            code="no_signal",
        )
    row = names.index(lead)

    def read(first: int, last: int) -> FloatArray:
        return in_file.read(first, last, [row]).signal_mv[0]

    return read


def _part(in_file: InFile, first: int, last: int) -> Recording:
    found = in_file.read(first, last, range(len(in_file.lead_names)))
    return complete(
        _stored(
            in_file,
            found,
            joined([found.integrity, NOT_VERIFIED]),
        ),
        in_file.paths,
        in_file.source,
        start_s=first / in_file.fs,
        recording_id=_identity_by_ends(in_file.paths),
        whole_s=in_file.duration_s,
    )


def _stored(in_file: InFile, found: Samples, integrity: str) -> Stored:
    return Stored(
        signal_mv=found.signal_mv,
        fs=in_file.fs,
        lead_names=in_file.lead_names,
        report=replace(
            in_file.report,
            integrity=integrity,
            repairs=(*in_file.report.repairs, *found.repairs),
        ),
        metadata=replace(in_file.metadata, annotations=found.annotations),
    )


def _identity_by_ends(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            digest.update(file.read(ENDS_BYTES))
            file.seek(max(0, size - ENDS_BYTES))
            digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()
