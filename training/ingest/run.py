"""From a data set to shards: shard by shard, by several processes or several machines."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from model_core.errors import EchoingError, ReadError
from model_core.leads import STANDARD_LEADS
from training.ingest.adapters import adapter_of
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing, rejected_table
from training.ingest.processes import run_jobs
from training.ingest.screen import quality_codes
from training.ingest.shards import (
    INPUT_KEY,
    STORED_FIELDS,
    ShardWriter,
    atomic,
    file_sha256,
    is_finished,
    json_text,
    part_path,
    rejected_path,
    shard_path,
    write_table,
    write_text,
)
from training.ingest.splits import check_disjoint
from training.ingest.tables import Fault
from training.ingest.waveform import MISSING, Waveform
from training.progress import Progress

_LARGE_BLOCK_BYTES = 2**24
_NEEDED = ("path", "array_row", "start_s")


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What an ingest came to.

    Attributes
    ----------
    n_records
        Recordings in the index.
    n_rejected
        Recordings left out.
    n_shards, n_made
        Shards in all; made now, the others were there.
    """

    n_records: int
    n_rejected: int
    n_shards: int
    n_made: int


def list_records(config: IngestConfig) -> Listing:
    """List the recordings of the source and prove that no patient is in two splits."""
    listing = adapter_of(config).list_records(config)
    if not len(listing.records):
        raise EchoingError(
            f"No usable recording is listed in {config.root}"
            + (f": {listing.rejected['message'][0]}" if len(listing.rejected) else "."),
            code="empty_source",
        )
    check_disjoint(
        listing.records["patient_id"].combine_chunks(), listing.records["split"].combine_chunks()
    )
    return listing


def n_shards(config: IngestConfig, listing: Listing) -> int:
    """Count the shards."""
    return -(-len(listing.records) // config.records_per_shard)


def ingest(config: IngestConfig) -> IngestSummary:
    """Make what is missing of the shards, then the index; the same input gives the same bytes.

    May be killed at any time: finished shards are kept and the next call goes on. Bad recordings
    are listed in ``rejected.parquet`` and never stop it.

    Raises
    ------
    EchoingError
        If the source's tables cannot be used, `out` holds shards made with other settings, or the
        disk is too small.
    """
    listing = list_records(config)
    _claim(config)
    total = n_shards(config, listing)
    todo = _todo(config, listing, range(total))
    _check_room(config, listing, todo)
    progress = Progress("shards", total, total - len(todo))
    for _ in _process(config, listing, todo):
        progress.step()
    return assemble(config, listing, n_made=len(todo))


def ingest_shard(config: IngestConfig, shard: int) -> bool:
    """Make one shard, unless it is there: the unit of work of an array job.

    Returns
    -------
    bool
        Whether it had to be made.
    """
    listing = list_records(config)
    _claim(config)
    if not 0 <= shard < n_shards(config, listing):
        raise EchoingError(
            f"There is no shard {shard}: there are {n_shards(config, listing)}, from 0 on.",
            code="no_shard",
        )
    return _make(config, shard, _slice(config, listing, shard))


def ingest_share(config: IngestConfig, share: int, of: int) -> int:
    """Make every `of`-th shard, from `share` on: one task of an array job with `of` tasks.

    After the last task one call of `ingest` writes the index.

    Returns
    -------
    int
        Shards that had to be made.
    """
    if not 0 <= share < of:
        raise EchoingError(f"Share {share} is not one of 0 to {of - 1}.", code="bad_config")
    listing = list_records(config)
    _claim(config)
    todo = _todo(config, listing, range(share, n_shards(config, listing), of))
    _check_room(config, listing, todo)
    progress = Progress("shards", len(todo))
    for _ in _process(config, listing, todo):
        progress.step()
    return len(todo)


def assemble(config: IngestConfig, listing: Listing, n_made: int = 0) -> IngestSummary:
    """Write index, rejected table and manifest from finished shards."""
    total = n_shards(config, listing)
    parts, rejected = [], [listing.rejected]
    for i in range(total):
        parts.append(pyarrow.parquet.read_table(part_path(config.out, i)).replace_schema_metadata())
        rejected.append(pyarrow.parquet.read_table(rejected_path(config.out, i)))
    index, left_out = pa.concat_tables(parts), pa.concat_tables(rejected)
    for path in (config.out / "shards").iterdir():  # of an earlier, longer listing
        if path.name[:5].isdigit() and int(path.name[:5]) >= total:
            path.unlink()
    for path in config.out.glob("settings.json.*.tmp"):  # of a task that was killed
        path.unlink(missing_ok=True)
    write_table(config.out / "index.parquet", index)
    write_table(config.out / "rejected.parquet", left_out)
    records_out = left_out.filter(pa.array(np.asarray(left_out["column"]) == ""))
    patients = index["patient_id"].combine_chunks().dictionary_encode()
    splits = np.asarray(index["split"])
    manifest = {
        "settings": json.loads(config.settings_json()),
        "tables": {path.name: file_sha256(path) for path in listing.tables if path.is_file()},
        "n_shards": total,
        "n_records": len(index),
        "records": dict(Counter(splits.tolist())),
        "patients": {
            name: len(np.unique(np.asarray(patients.indices)[splits == name]))
            for name in sorted(set(splits.tolist()))
        },
        "rejected": dict(Counter(records_out["code"].to_pylist())),
        "n_same_waveform": len(index) - len(set(index["sha256"].to_pylist())),
        "sha256": {
            name: file_sha256(config.out / name) for name in ("index.parquet", "rejected.parquet")
        },
    }
    write_text(config.out / "manifest.json", json_text(manifest))
    return IngestSummary(len(index), len(records_out), total, n_made)


def _claim(config: IngestConfig) -> None:
    """Say in `out` what it holds, and refuse to mix."""
    path, settings = config.out / "settings.json", config.settings_json()
    if not path.is_file():
        write_text(path, settings, tidy=False)  # other tasks of an array job do so too
    if path.read_text(encoding="utf-8") != settings:
        raise EchoingError(
            f"{config.out} holds shards that were made with other settings.",
            hint="Choose another folder, or delete this one.",
            code="other_settings",
        )


def _slice(config: IngestConfig, listing: Listing, shard: int) -> pa.Table:
    return listing.records.slice(shard * config.records_per_shard, config.records_per_shard)


def _input_sha256(config: IngestConfig, listing: Listing, shard: int) -> str:
    return _rows_sha256(config, _slice(config, listing, shard))


def _todo(config: IngestConfig, listing: Listing, shards: Iterable[int]) -> list[int]:
    """Shards that are not there yet."""
    return [i for i in shards if not is_finished(config.out, i, _input_sha256(config, listing, i))]


def _rows_sha256(config: IngestConfig, rows: pa.Table) -> str:
    text = config.settings_json() + json.dumps(rows.to_pydict(), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _row_shape(config: IngestConfig) -> tuple[int, int]:
    max_fs = config.max_fs or adapter_of(config).MAX_FS
    return len(config.lead_names), round(max_fs * config.duration_s)


def _check_room(config: IngestConfig, listing: Listing, todo: list[int]) -> None:
    n_leads, n_samples = _row_shape(config)
    n_records = sum(len(_slice(config, listing, i)) for i in todo)
    needed, free = 2 * n_records * n_leads * n_samples, shutil.disk_usage(config.out).free
    if needed > free:
        raise EchoingError(
            f"The shards need {needed / 1e6:,.0f} MB; {config.out} has {free / 1e6:,.0f} MB free.",
            hint="Give a folder on a larger disk.",
            code="disk_full",
        )


def _process(config: IngestConfig, listing: Listing, todo: list[int]) -> Iterator[bool]:
    jobs = [(config, i, _slice(config, listing, i)) for i in todo]
    return run_jobs(_make_job, jobs, config.workers)


def _make_job(job: tuple[IngestConfig, int, pa.Table]) -> bool:
    return _make(*job)


def _make(config: IngestConfig, shard: int, rows: pa.Table) -> bool:
    """Make one shard from its rows of the listing, unless it is there."""
    input_sha256 = _rows_sha256(config, rows)
    if is_finished(config.out, shard, input_sha256):
        return False
    part_path(config.out, shard).unlink(missing_ok=True)
    adapter = adapter_of(config)
    n_leads, n_samples = _row_shape(config)
    # Freeing one large block raises the limits of glibc under which freed memory goes back to the
    # kernel: a recording's arrays would be faulted in anew each time.
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)
    kept: list[int] = []
    stored: dict[str, list[Any]] = {name: [] for name in STORED_FIELDS}
    faults: list[Fault] = []
    wanted = rows.select(_NEEDED).to_pylist()
    with atomic(shard_path(config.out, shard)) as file:
        writer = ShardWriter(file, n_leads, n_samples)
        for i, row in enumerate(wanted):
            try:
                waveform = adapter.load(config, row)
                counts = _fit(waveform, n_samples, row["path"])
                codes = quality_codes(waveform)
            except (EchoingError, OSError, ValueError) as error:
                code = error.code if isinstance(error, EchoingError) else "unreadable"
                faults.append(Fault(i, "", code, str(error)))
                continue
            kept.append(i)
            values: dict[str, Any] = {
                "shard": shard,
                "row": writer.n_rows,
                "fs": waveform.fs,
                "n_samples": waveform.counts.shape[1],
                "unit": waveform.unit,
                "gain": waveform.gain,
                "lead_names": (
                    None if waveform.lead_names == STANDARD_LEADS else list(waveform.lead_names)
                ),
                "synthesised": waveform.synthesised,
                # A sound recording lacks none.
                "n_missing": 0 if codes == [] else np.count_nonzero(waveform.counts == MISSING),
                "quality": codes,
                "sha256": writer.append(counts),
            }
            for name, value in values.items():
                stored[name].append(value)
        writer.finish()
    write_table(rejected_path(config.out, shard), rejected_table(rows.combine_chunks(), faults))
    part = rows.take(pa.array(kept, pa.int64()))
    for name, kind in STORED_FIELDS.items():
        part = part.append_column(name, pa.array(stored[name], kind))
    write_table(
        part_path(config.out, shard), part.replace_schema_metadata({INPUT_KEY: input_sha256})
    )
    return True


def _fit(waveform: Waveform, n_samples: int, path: str) -> NDArray[np.int16]:
    """Fill a row of the shard; a recording sampled more slowly leaves the end empty."""
    length = waveform.counts.shape[1]
    if length > n_samples:
        raise ReadError(
            f"{path} is sampled at {waveform.fs:g} Hz, more than the shards are made for.",
            hint="Ingest with a higher max_fs.",
            code="rate_too_high",
        )
    if length == n_samples:
        return waveform.counts
    row = np.full((len(waveform.counts), n_samples), MISSING, np.int16)
    row[:, :length] = waveform.counts
    return row
