"""What to ingest, from where and into what; everything that decides the bytes is here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from model_core.errors import EchoingError
from model_core.leads import STANDARD_LEADS

# Raised whenever the same input would give other bytes: old shards are then refused.
FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumns:
    """Which column of a user's own table says what; an empty name means there is none.

    Attributes
    ----------
    table
        File name inside the data folder.
    path
        File of the recording, relative to the data folder.
    patient
        Patient; recordings of one patient are never split.
    study, time, split, age, sex, report
        Study; date and time; ``train``, ``validation`` or ``test``; years; ``female``/``male``;
        text of the report.
    labels
        Columns of numbers to learn. A unit belongs in the name: ``lvef_pct``, ``lvedv_ml``.
    lead_names
        Leads to store, in this order; a recording that lacks one is rejected.
    delimiter, encoding
        Of the table.
    decimal_comma
        Whether numbers are written 31,2.
    """

    table: str
    path: str = "path"
    patient: str = "patient_id"
    study: str = ""
    time: str = ""
    split: str = ""
    age: str = ""
    sex: str = ""
    report: str = ""
    labels: tuple[str, ...] = ()
    lead_names: tuple[str, ...] = STANDARD_LEADS
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal_comma: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """One ingest.

    Attributes
    ----------
    source
        Name of an adapter.
    root
        Folder of the data set, in its official layout.
    out
        Folder for shards and index.
    columns
        Of a user's own table; for the source ``folder`` only.
    max_fs
        Recordings sampled faster are rejected, Hz; None for the highest of the source. With
        `duration_s` it sets the length of a shard's rows.
    duration_s
        Part of each recording that is stored, s.
    records_per_shard
        Recordings listed for one shard.
    split_seed
        Of the split by patient, where the source has none of its own.
    workers
        Processes.
    """

    source: str
    root: Path
    out: Path
    columns: TableColumns | None = None
    max_fs: float | None = None
    duration_s: float = 10.0
    records_per_shard: int = 4096
    split_seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if self.records_per_shard < 1 or self.workers < 1:
            raise EchoingError(
                "Records per shard and workers must be at least 1.", code="bad_config"
            )
        if not self.duration_s > 0 or (self.max_fs is not None and not self.max_fs > 0):
            raise EchoingError("Duration and rate must be positive.", code="bad_config")
        if (self.source == "folder") != (self.columns is not None):
            raise EchoingError(
                "The columns of a table belong to the source 'folder', and only to it.",
                code="bad_config",
            )

    @property
    def lead_names(self) -> tuple[str, ...]:
        """Rows of each stored recording."""
        return self.columns.lead_names if self.columns else STANDARD_LEADS

    def settings_json(self) -> str:
        """Canonical JSON of what decides the bytes of the shards; no paths."""
        settings = {
            "format": FORMAT_VERSION,
            "source": self.source,
            "lead_names": self.lead_names,
            "max_fs": self.max_fs,
            "duration_s": self.duration_s,
            "records_per_shard": self.records_per_shard,
            "split_seed": self.split_seed,
        }
        return json.dumps(settings, sort_keys=True, indent=1) + "\n"
