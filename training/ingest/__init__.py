"""Data sets at scale: official layouts to shards of 16-bit counts and one Parquet index.

See docs/data.md.
"""

from __future__ import annotations

from training.ingest.config import IngestConfig, TableColumns
from training.ingest.mimic_echo import EchoMeasure, ingest_echo
from training.ingest.pairing import attach_echo, nearest_echo
from training.ingest.run import IngestSummary, ingest, ingest_shard, ingest_share
from training.ingest.splits import check_disjoint, shuffle_by_patient, split_by_patient
from training.ingest.store import ShardStore, verify

__all__ = [
    "EchoMeasure",
    "IngestConfig",
    "IngestSummary",
    "ShardStore",
    "TableColumns",
    "attach_echo",
    "check_disjoint",
    "ingest",
    "ingest_echo",
    "ingest_shard",
    "ingest_share",
    "nearest_echo",
    "shuffle_by_patient",
    "split_by_patient",
    "verify",
]
