"""Whether Ray makes the same store as one process: ``python -m benchmarks.ingest_ray``.

Writes simulated WFDB records to a temporary folder, ingests them in this process and again by
`ingest_share` as Ray tasks on a cluster started for it, and compares every file, byte for byte.
Needs `pip install ray`, which the project itself does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.ingest import write_records
from training.ingest import IngestConfig, TableColumns, ingest, ingest_share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=4)
    options = parser.parse_args()
    import ray  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_records(folder / "data", options.records)
        alone = IngestConfig(
            source="folder",
            root=folder / "data",
            out=folder / "alone",
            columns=TableColumns(table="table.csv"),
            records_per_shard=max(1, options.records // (2 * options.tasks)),
        )
        ingest(alone)
        start = time.perf_counter()
        ray.init(include_dashboard=False, configure_logging=False)
        started = time.perf_counter()
        made = ingest_by_ray(ray, dataclasses.replace(alone, out=folder / "ray"), options.tasks)
        ended = time.perf_counter()
        ray.shutdown()
        there = {name: files(folder / name) for name in ("alone", "ray")}
    equal = there["alone"] == there["ray"]
    print(
        f"Ray {importlib.metadata.version('ray')}: {options.records} records, {options.tasks} "
        f"tasks made {made} shards; {len(there['ray'])} files, "
        + ("each equal to that of one process" if equal else "NOT equal to those of one process")
        + f"; {started - start:.1f} s to start the cluster, {ended - started:.1f} s to ingest."
    )
    return 0 if equal else 1


def ingest_by_ray(ray: Any, config: IngestConfig, tasks: int) -> list[int]:  # noqa: ANN401
    """Ingest by tasks on a cluster; gives the number of shards that each task made."""
    work = ray.remote(ingest_share)
    made = ray.get([work.remote(config, i, tasks) for i in range(tasks)])
    ingest(config)  # every shard is there: writes the index
    return made


def files(folder: Path) -> dict[str, bytes]:
    """Content of every file by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
