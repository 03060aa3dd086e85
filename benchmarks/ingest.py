"""How fast data sets are ingested and read back: ``python benchmarks/ingest.py [--json]``.

Writes simulated WFDB records (12 leads, 10 s, 500 Hz, format 16) to a temporary folder, and
measures on one core, with everything in the page cache: reading them by `wfdb.rdrecord`; by our
own reader; the whole ingest (reading, checks, quality, SHA-256, writing to disk); reading back in
mV, in random order; and preparing for the network (filter, resampling to 100 Hz). Counted is
processor time, which other work on the machine disturbs least; waiting for the disk is not in it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import wfdb

from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec
from training.ingest import IngestConfig, ShardStore, TableColumns, ingest
from training.ingest.prepared import prepare_rows
from training.ingest.wfdb_fast import read_counts
from training.simulation import sample_patients, simulate_ecg

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="the best counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        rates = measure(Path(folder), options.records, options.rounds)
    rates["read_vs_rdrecord"] = rates["read_own"] / rates["read_wfdb"]
    rates["ingest_vs_rdrecord"] = rates["ingest"] / rates["read_wfdb"]
    if options.json:
        print(json.dumps({name: round(rate, 1) for name, rate in rates.items()}))
        return
    for name, rate in rates.items():
        unit = "times" if name.endswith("rdrecord") else "records/s"
        print(f"{name:20} {rate:10,.1f} {unit}")


def measure(folder: Path, n: int, rounds: int) -> dict[str, float]:
    """Measure everything, in records per processor second."""
    paths = write_records(folder / "data", n)
    few = paths[:: max(1, n // 200)]
    rates = {
        "read_wfdb": best(lambda: [wfdb.rdrecord(path) for path in few], len(few), rounds),
        "read_own": best(lambda: [read_counts(Path(path)) for path in paths], n, rounds),
    }
    outs = iter(range(rounds))

    def run() -> None:
        ingest(
            IngestConfig(
                source="folder",
                root=folder / "data",
                out=folder / f"out{next(outs)}",
                columns=TableColumns(table="table.csv"),
            )
        )

    rates["ingest"] = best(run, n, rounds)
    store = ShardStore(folder / "out0")
    order = np.random.default_rng(0).permutation(len(store))
    batches = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
    out = np.empty((BATCH, *store.shape), np.float32)
    rates["read_back"] = best(
        lambda: [store.read_mv(rows, out) for rows in batches], BATCH * len(batches), rounds
    )
    rows = np.arange(min(n, 512))
    rates["prepare"] = best(lambda: prepare_rows(store, rows, PreprocessSpec()), len(rows), rounds)
    return rates


def best(work: Callable[[], object], n: int, rounds: int) -> float:
    """Time work on `n` records; gives records per processor second in the fastest round."""
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return n / min(seconds)


def write_records(root: Path, n: int) -> list[str]:
    """Write records by the reference package; gives their names with path."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    signal_mv = simulate_ecg(sample_patients(200, rng), rng, fs=500.0)
    names = [f"r{i:06d}" for i in range(n)]
    for i, name in enumerate(names):
        scaled = signal_mv[i % len(signal_mv)] * rng.uniform(0.7, 1.3)
        wfdb.wrsamp(
            name,
            500,
            ["mV"] * 12,
            list(STANDARD_LEADS),
            d_signal=np.rint(scaled.T * 1000).astype(np.int16),
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(root),
        )
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "patient_id"), *((name, name) for name in names)])
    return [str(root / name) for name in names]


if __name__ == "__main__":
    main()
