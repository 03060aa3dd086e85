"""Beats and rhythms that lie in a file of their own beside the recording: WFDB and ISHNE."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from model_core.io._complete import plain
from model_core.types import Annotation
from model_core.wording import say

MAX_BYTES = 20_000_000

_ISHNE_MAGIC = b"ANN  1.0"
_ISHNE_HEADER_BYTES = 522
_ISHNE_MARK = np.dtype([("label", "S1"), ("detail", "S1"), ("interval", "<u2")])

Marks = tuple[tuple[Annotation, ...], tuple[str, ...]]
_NONE: Marks = ((), ())


def wfdb_marks(header: Path, frame_rate: float) -> Marks:
    """Read the reference annotations of a record (``.atr``), and what is to be told about them.

    Parameters
    ----------
    header
        The record's header; a link to a file outside its folder is not followed.
    frame_rate
        Of the record, Hz; the file may state its own.
    """
    path = header.with_suffix(".atr")
    if not _is_there(path):
        return _NONE
    import wfdb  # pyright: ignore[reportMissingTypeStubs]

    try:
        found = cast("Any", wfdb).rdann(str(header.with_suffix("")), "atr")
        times = np.asarray(found.sample) / float(found.fs or frame_rate)
        texts = [
            f"{symbol} {note}" for symbol, note in zip(found.symbol, found.aux_note, strict=True)
        ]
        marks = [Annotation(float(t), plain(x, 80)) for t, x in zip(times, texts, strict=True)]
    except Exception:  # noqa: BLE001 - wfdb leaks many kinds; the samples do not depend on it
        return (), (say("The marks in {file} cannot be read: left out.", file=path.name),)
    return tuple(marks), (say("Marks were read from {file}.", file=path.name),)


def ishne_marks(recording: Path, fs: float) -> Marks:
    """Read the beats of an ISHNE annotation file: labels, each with the interval before it."""
    path = recording.with_suffix(".ann")
    if not _is_there(path):
        return _NONE
    data = path.read_bytes()
    start = int.from_bytes(data[22:26], "little")
    if data[:8] != _ISHNE_MAGIC or not _ISHNE_HEADER_BYTES <= start <= len(data) - 4:
        return (), (say("The marks in {file} cannot be read: left out.", file=path.name),)
    first = int.from_bytes(data[start : start + 4], "little")
    body = data[start + 4 :]
    beats = np.frombuffer(body, _ISHNE_MARK, len(body) // 4)
    samples = first + np.cumsum(beats["interval"].astype(np.int64))
    labels = [
        plain((bytes(beat["label"]) + bytes(beat["detail"]).replace(b"#", b"")).decode("latin-1"))
        for beat in beats
    ]
    marks = [Annotation(float(n / fs), text) for n, text in zip(samples, labels, strict=True)]
    return tuple(marks), (say("Marks were read from {file}.", file=path.name),)


def _is_there(path: Path) -> bool:
    return (
        path.is_file()
        and path.resolve().parent == path.parent.resolve()
        and (0 < path.stat().st_size <= MAX_BYTES)
    )
