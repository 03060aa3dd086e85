"""Files of an ingest: shards of counts, the rows of each, and the one index; written atomically.

```
out/settings.json          what decides the bytes
out/shards/00000.npy       int16, (records, leads, samples), C order
out/shards/00000.parquet   its rows of the index; written last, so it marks a finished shard
out/shards/00000.rejected.parquet
out/index.parquet          all rows; out/rejected.parquet: all that was left out, and why
out/manifest.json          counts and SHA-256 of the tables read and of index and rejected
```
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.disk import remedy

INPUT_KEY = b"input_sha256"
_WRITE_BYTES = 2**20
# Columns that follow those of the listing.
STORED_FIELDS: dict[str, pa.DataType] = {
    "shard": pa.int32(),
    "row": pa.int32(),
    "fs": pa.float64(),
    "n_samples": pa.int32(),
    "unit": pa.string(),
    "gain": pa.list_(pa.float32()),
    "lead_names": pa.list_(pa.string()),  # null for the standard twelve
    "synthesised": pa.bool_(),
    "n_missing": pa.int32(),
    "quality": pa.list_(pa.string()),  # codes of the input gate; null where it cannot judge
    "sha256": pa.string(),  # of the row's bytes
}


def shard_path(out: Path, shard: int) -> Path:
    """File of the samples."""
    return out / "shards" / f"{shard:05d}.npy"


def part_path(out: Path, shard: int) -> Path:
    """File of the index rows."""
    return out / "shards" / f"{shard:05d}.parquet"


def rejected_path(out: Path, shard: int) -> Path:
    """File of what was left out of a shard."""
    return out / "shards" / f"{shard:05d}.rejected.parquet"


@contextmanager
def atomic(path: Path, *, tidy: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name whole, or not at all.

    What an earlier process left of the same file is removed, unless told not to `tidy`: where
    several processes may be writing the same file at this moment.
    """
    # Not the process number: tasks on two machines may have the same.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if tidy:
            for left in path.parent.glob(f"{path.name}.*.tmp"):
                left.unlink(missing_ok=True)
        # Large writes: the kernel then works with large pages.
        with temporary.open("wb", buffering=_WRITE_BYTES) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise EchoingError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint=f"What was finished before is kept. {remedy(error)}",
            code="not_written",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically; the same table gives the same bytes."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    with atomic(path) as file:
        file.write(buffer.getbuffer())


def write_text(path: Path, text: str, *, tidy: bool = True) -> None:
    """Write a text file atomically; `tidy` as in `atomic`."""
    with atomic(path, tidy=tidy) as file:
        file.write(text.encode())


class ShardWriter:
    """Writes the samples of one shard, a record at a time.

    Parameters
    ----------
    file
        Open for writing, empty.
    n_leads, n_samples
        Of every row.
    """

    def __init__(self, file: IO[bytes], n_leads: int, n_samples: int) -> None:
        self._file, self._shape, self.n_rows = file, (n_leads, n_samples), 0
        self._write_header()

    def append(self, counts: NDArray[np.int16]) -> str:
        """Write one row; gives the SHA-256 of its bytes."""
        if counts.shape != self._shape or counts.dtype != np.int16:
            raise ValueError(
                f"a row must be int16 {self._shape}, not {counts.dtype} {counts.shape}"
            )
        content = np.ascontiguousarray(counts, "<i2").data.cast("B")
        self._file.write(content)
        self.n_rows += 1
        return hashlib.sha256(content).hexdigest()

    def finish(self) -> None:
        """Put the true number of rows into the header."""
        self._file.seek(0)
        self._write_header()
        self._file.seek(0, os.SEEK_END)

    def _write_header(self) -> None:
        # numpy pads the header, so that its length does not depend on the number of rows.
        shape = (self.n_rows, *self._shape)
        header = {"descr": "<i2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def is_finished(out: Path, shard: int, input_sha256: str) -> bool:
    """Whether a shard is there, whole, and made from just this input."""
    part, samples = part_path(out, shard), shard_path(out, shard)
    if not part.is_file() or not samples.is_file() or not rejected_path(out, shard).is_file():
        return False
    try:
        stored = pyarrow.parquet.read_schema(part).metadata or {}
        n_rows = pyarrow.parquet.read_metadata(part).num_rows
        shape = np.load(samples, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, pa.ArrowInvalid):
        return False
    return stored.get(INPUT_KEY, b"").decode() == input_sha256 and shape[0] == n_rows


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_text(values: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Canonical JSON."""
    return json.dumps(values, indent=1, sort_keys=True) + "\n"
