"""Reading shards back, and proving that they are what was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.types import FloatArray
from training.ingest.shards import file_sha256, shard_path
from training.ingest.splits import check_disjoint
from training.ingest.waveform import MISSING


class ShardStore:
    """Recordings of one ingest, read by memory map.

    Safe to hand to other processes: they open the files anew. The index columns that reading needs
    are arrays, not lists, so that forked workers share them.

    Parameters
    ----------
    folder
        As written by `training.ingest.ingest`.

    Attributes
    ----------
    index
        One row for each recording (see docs/data.md).

    Raises
    ------
    EchoingError
        If the folder is no finished ingest, a shard is missing or of another size, or a patient is
        in two splits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "manifest.json").is_file():
            raise EchoingError(
                f"{self.folder} holds no finished ingest.",
                hint="Run the ingest to its end; it goes on where it stopped.",
                code="not_finished",
            )
        self.index: pa.Table = pyarrow.parquet.read_table(self.folder / "index.parquet")
        check_disjoint(
            self.index["patient_id"].combine_chunks(), self.index["split"].combine_chunks()
        )
        self._shard = self._column("shard")
        self._row = self._column("row")
        self._n_samples = self._column("n_samples")
        self._gappy = self._column("n_missing") > 0
        self._in_mv = np.asarray(self.index["unit"]) == "mV"
        gains = self.index["gain"].combine_chunks()
        n_leads = len(gains[0]) if len(gains) else 0
        per_count = 1.0 / np.asarray(gains.flatten(), np.float64)
        self._per_count = per_count.astype(np.float32).reshape(len(gains), n_leads, 1)
        self._maps = {int(shard): self._map(int(shard)) for shard in np.unique(self._shard)}
        shapes = {samples.shape[1:] for samples in self._maps.values()}
        if len(shapes) > 1:
            raise EchoingError(f"The shards in {self.folder} differ in shape.", code="bad_shard")
        self.shape: tuple[int, int] = next(iter(shapes), (0, 0))

    def __len__(self) -> int:
        return len(self._row)

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardStore, (self.folder,)

    def read_mv(
        self, rows: NDArray[np.integer] | list[int], out: FloatArray | None = None
    ) -> FloatArray:
        """Read recordings in mV.

        Parameters
        ----------
        rows
            Rows of the index, in any order.
        out
            Array to fill, (rows, leads, samples), float32; a new one if None.

        Returns
        -------
        ndarray
            (rows, leads, samples), mV; NaN where there is no sample, and after the end of a
            recording with fewer than the others (``n_samples``).

        Raises
        ------
        EchoingError
            If the data set is not in mV.
        """
        if not self._in_mv[rows].all():
            raise EchoingError(
                f"The recordings in {self.folder} are not in mV: they were standardised before "
                "they were published.",
                hint="Read them with `read`, and mix them with no others.",
                code="not_in_mv",
            )
        return self.read(rows, out)

    def read(
        self, rows: NDArray[np.integer] | list[int], out: FloatArray | None = None
    ) -> FloatArray:
        """Read recordings in their own unit (``unit``); otherwise like `read_mv`."""
        if out is None:
            out = np.empty((len(rows), *self.shape), np.float32)
        length = self.shape[1]
        for values, i in zip(out, rows, strict=True):
            counts = self._maps[int(self._shard[i])][self._row[i]]
            values[...] = counts
            np.multiply(values, self._per_count[i], out=values)
            if self._gappy[i] or self._n_samples[i] < length:
                values[counts == MISSING] = np.nan
        return out

    def _column(self, name: str) -> NDArray[Any]:
        return self.index[name].to_numpy()

    def _map(self, shard: int) -> NDArray[np.int16]:
        path = shard_path(self.folder, shard)
        rows = self._row[self._shard == shard]
        try:
            samples = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise EchoingError(
                f"The shard {path} cannot be read: {error}.", code="bad_shard"
            ) from error
        if samples.dtype != np.dtype("<i2") or samples.ndim != 3 or len(samples) != len(rows):
            raise EchoingError(
                f"The shard {path} holds {samples.dtype} {samples.shape}; the index asks for "
                f"{len(rows)} records of 16 bits.",
                code="bad_shard",
            )
        return np.asarray(samples)


def verify(folder: Path) -> list[str]:
    """Compare every byte of an ingest with the checksums that were written with it.

    Returns
    -------
    list of str
        A sentence for each damage, with shard and row; empty if there is none.

    Raises
    ------
    EchoingError
        As `ShardStore`.
    """
    folder = Path(folder)
    store = ShardStore(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    damages = [
        f"{name} is not the file that was written: its checksum differs."
        for name in ("index.parquet", "rejected.parquet")
        if file_sha256(folder / name) != manifest["sha256"][name]
    ]
    columns = (store.index[name].to_pylist() for name in ("shard", "row", "sha256", "record_id"))
    maps = {
        int(shard): np.load(shard_path(folder, int(shard)), mmap_mode="r", allow_pickle=False)
        for shard in np.unique(store.index["shard"].to_numpy())
    }
    for shard, row, expected, record_id in zip(*columns, strict=True):
        stored = np.ascontiguousarray(maps[shard][row])
        if hashlib.sha256(stored.data.cast("B")).hexdigest() != expected:
            damages.append(
                f"Shard {shard:05d}.npy, row {row} (record {record_id}): the samples are not those "
                "that were written."
            )
    return damages
