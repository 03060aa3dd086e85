"""Results of work lists, kept by recording and model package: what was done is never done again.

One SQLite file that only the user may read. It holds hashes and reports without names: a file is
known by a keyed hash of its path.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echoing_gui.estimating import Estimated
from echoing_gui.reports import Report
from echoing_gui.resources import program_version
from model_core.types import FloatArray
from model_core.wording import Sentence

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS results (
  recording TEXT NOT NULL, package TEXT NOT NULL, program TEXT NOT NULL,
  report BLOB NOT NULL, embedding BLOB,
  PRIMARY KEY (recording, package, program)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, recording TEXT NOT NULL) WITHOUT ROWID;
"""
_WAIT_S = 10.0
# Marks what a sentence was made of; no report has such an entry.
_TEMPLATE = "template of a sentence"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was estimated of a recording; see `echoing_gui.estimating.Estimated`."""

    report: Report
    embedding_mean: FloatArray | None


class ResultStore:
    """Results on disk; each thread opens a store of its own.

    Parameters
    ----------
    path
        The file; it and its folder are made if need be.
    package_id
        Model package whose results are asked for and put in. Results of another version of this
        program are not taken: it may judge recordings in another way.

    Raises
    ------
    OSError
        If the file cannot be used.
    """

    def __init__(self, path: Path, package_id: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._key = (package_id, program_version())
        with _told():
            self._database = sqlite3.connect(path, timeout=_WAIT_S)
            # Every result is on the disk before the next one is taken.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
            with self._database:
                self._database.execute(
                    "INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT * FROM secret)",
                    (secrets.token_bytes(32),),
                )
            (self._secret,) = self._database.execute("SELECT value FROM secret").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def known(self, path: Path) -> str:
        """SHA-256 of the recording that a file held when last read, if its result is here."""
        with _told():
            row = self._database.execute(
                "SELECT recording FROM files JOIN results USING (recording) "
                "WHERE path = ? AND package = ? AND program = ?",
                (self._hash(path), *self._key),
            ).fetchone()
        return row[0] if row else ""

    def put(self, path: Path, found: Estimated) -> None:
        """Keep what was estimated of a file.

        Raises
        ------
        OSError
            If it cannot be written; what is in the store stays.
        """
        vector = found.embedding_mean
        with _told(), self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?)",
                (self._hash(path), found.recording_id),
            )
            if found.report is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)",
                    (
                        found.recording_id,
                        *self._key,
                        zlib.compress(json.dumps(_packed(found.report)).encode(), 1),
                        None if vector is None else vector.astype("<f4").tobytes(),
                    ),
                )

    def get(self, recording_id: str) -> Result | None:
        """Look up what was estimated of a recording; None if nothing was."""
        row = self._row("report, embedding", recording_id)
        if row is None:
            return None
        report = json.loads(zlib.decompress(row[0]), object_hook=_unpacked)
        return Result(report, _vector(row[1]))

    def embedding(self, recording_id: str) -> FloatArray | None:
        """Look up the embedding of a recording; None if there is none."""
        row = self._row("embedding", recording_id)
        return None if row is None else _vector(row[0])

    def _row(self, columns: str, recording_id: str) -> tuple[Any, ...] | None:
        with _told():
            return self._database.execute(
                f"SELECT {columns} FROM results "  # noqa: S608 - columns are of this module
                "WHERE recording = ? AND package = ? AND program = ?",
                (recording_id, *self._key),
            ).fetchone()

    def _hash(self, path: Path) -> str:
        content = str(path.absolute()).encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, content, hashlib.sha256).hexdigest()


def _packed(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Keep of sentences what they are made of, so that they can be shown in any language."""
    if isinstance(value, Sentence):
        return {_TEMPLATE: value.template, "values": _packed(dict(value.values))}
    if isinstance(value, dict):
        return {key: _packed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(found: dict[str, Any]) -> Any:  # noqa: ANN401 - as `_packed`
    return Sentence(found[_TEMPLATE], found["values"]) if _TEMPLATE in found else found


def _vector(stored: bytes | None) -> FloatArray | None:
    return None if stored is None else np.frombuffer(stored, dtype="<f4")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise what SQLite says as an `OSError`: a full disk, a file that is none of its own."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(None, str(error)) from error
