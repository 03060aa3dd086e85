"""Measure the delineation on hand-marked ECGs: ``python benchmarks/delineation.py``.

Needs the data folder ``../shared`` beside the checkout. Prints the tables of docs/measurements.md.
"""

from __future__ import annotations

import ast
import csv
import gzip
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from model_core.delineation import Delineation, delineate
from model_core.leads import STANDARD_LEADS, canonical_lead_name
from model_core.measurements import measure, row

SHARED = Path(__file__).parents[2] / "shared"
LUDB = SHARED / "data" / "ludb"
LUDB_HZ = 500.0
MATCH_S = 0.150
# Standard deviations that the CSE working party allows, ms (Eur Heart J 1985;6:815).
TOLERANCE_MS = {
    "P onset": 10.2,
    "P end": 12.7,
    "QRS onset": 6.5,
    "QRS end": 11.6,
    "T end": 30.6,
}
MARK_NAMES = {
    "P onset": "p_onset",
    "P end": "p_end",
    "QRS onset": "qrs_onset",
    "QRS end": "qrs_end",
    "T end": "t_end",
}
PEAKS = {"P": "p_peak", "QRS": "r_peak", "T": "t_peak"}
SYMBOLS = {"p": "P", "N": "QRS", "t": "T"}

# One wave as marked in one lead: onset, peak, end, in samples; NaN where a reader set no mark.
Wave = tuple[float, float, float]


@dataclass
class Score:
    """Errors in ms by mark, for the median of leads and for single leads; counts by wave."""

    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lead_errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    hits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    misses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    extras: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def ludb_marks() -> dict[int, dict[str, list[list[Wave]]]]:
    """Waves by record and kind; each is the list of its marks in the leads."""
    rows: dict[int, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    with gzip.open(LUDB / "delineation.csv.gz", "rt", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            rows[int(line["id"])][line["lead"]].append((int(line["sample"]), line["symbol"]))
    return {
        record: {wave: _grouped(leads.values(), symbol) for symbol, wave in SYMBOLS.items()}
        for record, leads in rows.items()
    }


def ludb_paced() -> set[int]:
    """List the records whose description names a pacemaker."""
    with (LUDB / "ludb.csv").open(encoding="utf-8") as file:
        return {int(line["ID"]) for line in csv.DictReader(file) if line["Cardiac pacing"].strip()}


def _grouped(leads: Iterable[list[tuple[int, str]]], symbol: str) -> list[list[Wave]]:
    """Waves that at least six leads show, their peaks within 120 ms of the earliest."""
    waves: list[Wave] = []
    for marks in leads:
        for k, (sample, what) in enumerate(marks):
            if what == symbol:
                before = marks[k - 1] if k else (0, "")
                after = marks[k + 1] if k + 1 < len(marks) else (0, "")
                onset = before[0] if before[1] == "(" else np.nan
                waves.append((onset, sample, after[0] if after[1] == ")" else np.nan))
    groups: list[list[Wave]] = []
    for wave in sorted(waves, key=lambda w: w[1]):
        if groups and wave[1] - groups[-1][0][1] < 0.12 * LUDB_HZ:
            groups[-1].append(wave)
        else:
            groups.append([wave])
    return [group for group in groups if len(group) >= 6]


def score_record(score: Score, found: Delineation, marks: dict[str, list[list[Wave]]]) -> None:
    """Add one record; only what lies within the stretch that the readers marked counts."""
    reach = MATCH_S * LUDB_HZ
    beats = [np.median([w[1] for w in group]) for group in marks["QRS"]]
    if not beats:
        return
    for wave, peak_name in PEAKS.items():
        true = np.array([np.median([w[1] for w in group]) for group in marks[wave]])
        # The first and the last beat marked need not have their P and T marked.
        first = min([beats[0] - (reach if wave == "QRS" else 0), *(true[:1] - reach)])
        last = max([beats[-1] + (reach if wave == "QRS" else 0), *(true[-1:] + reach)])
        peaks = getattr(found, peak_name)
        there = np.flatnonzero((peaks >= first) & (peaks <= last))
        used: set[int] = set()
        for k, at in enumerate(true):
            distance = np.abs(peaks[there] - at)
            nearest = int(distance.argmin()) if len(there) else -1
            if nearest < 0 or distance[nearest] > reach or nearest in used:
                score.misses[wave] += 1
                continue
            used.add(nearest)
            score.hits[wave] += 1
            _add_errors(score, wave, found, int(there[nearest]), marks[wave][k])
        score.extras[wave] += len(there) - len(used)


def _add_errors(score: Score, wave: str, found: Delineation, beat: int, group: list[Wave]) -> None:
    for name, column in ((f"{wave} onset", 0), (f"{wave} end", 2)):
        if name not in MARK_NAMES:
            continue
        ours = getattr(found, MARK_NAMES[name])[beat]
        theirs = np.array([w[column] for w in group])
        theirs = theirs[np.isfinite(theirs)]
        if np.isfinite(ours) and len(theirs) >= 6:
            to_ms = 1000 / LUDB_HZ
            score.errors[name].append((ours - np.median(theirs)) * to_ms)
            score.lead_errors[name].extend((ours - theirs) * to_ms)


def ludb_tables() -> None:
    """Print marks and waves for both halves of LUDB."""
    signals_uv = np.load(LUDB / "ecg500.npz")["x"].transpose(0, 2, 1)
    paced = ludb_paced()
    marks = ludb_marks()
    found = {k: delineate(signals_uv[k - 1] / 1000, LUDB_HZ, STANDARD_LEADS) for k in marks}
    halves = {
        "even (tuned on)": [k for k in marks if k % 2 == 0],
        "odd (held out)": [k for k in marks if k % 2],
        "odd, no pacemaker": [k for k in marks if k % 2 and k not in paced],
        "all": list(marks),
    }
    print("| records | mark | n | mean ms | SD ms | CSE tolerance | SD, single leads |")
    print("|---|---|---|---|---|---|---|")
    scores: dict[str, Score] = {}
    for title, ids in halves.items():
        score = scores[title] = Score()
        for k in ids:
            score_record(score, found[k], marks[k])
        for name, tolerance in TOLERANCE_MS.items():
            errors, leads = np.array(score.errors[name]), np.array(score.lead_errors[name])
            print(
                f"| {title} | {name} | {len(errors)} | {errors.mean():+.1f} | {errors.std():.1f} "
                f"| {tolerance} | {leads.std():.1f} |"
            )
    print("\n| records | wave | found | missed | extra | sensitivity | PPV | F1 |")
    print("|---|---|---|---|---|---|---|---|")
    for title, score in scores.items():
        for wave in PEAKS:
            hits, misses, extras = score.hits[wave], score.misses[wave], score.extras[wave]
            print(
                f"| {title} | {wave} | {hits} | {misses} | {extras} | {hits / (hits + misses):.4f} "
                f"| {hits / (hits + extras):.4f} | {2 * hits / (2 * hits + misses + extras):.4f} |"
            )


def mit_bih_line() -> None:
    """Print the R-peak score on MIT-BIH record 100, half an hour of two leads."""
    path = str(SHARED / "samples" / "wfdb" / "100")
    record: Any = wfdb.rdrecord(path)
    notes: Any = wfdb.rdann(path, "atr")
    true = notes.sample[np.isin(notes.symbol, list("NLRBAaJSVrFejnE/fQ?"))]
    peaks = delineate(record.p_signal.T, record.fs, record.sig_name).r_peak
    nearest = np.abs(peaks[:, np.newaxis] - true).argmin(axis=0)
    close = np.abs(peaks[nearest] - true) <= MATCH_S * record.fs
    hits = len(np.unique(nearest[close]))
    print(f"\nMIT-BIH 100: {hits} of {len(true)} beats, {len(peaks) - hits} extra.")


def ptbxl_table() -> None:
    """Print measurements by diagnosis: medians, 5th and 95th percentile."""
    root = SHARED / "data" / "ptbxl"
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    spent, n_records = 0.0, 0
    with (root / "ptbxl_database.csv").open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            path = root / line["filename_hr"]
            if not path.with_suffix(".hea").exists() or not line["scp_codes"]:
                continue
            record: Any = wfdb.rdrecord(str(path))
            signal = record.p_signal.T
            names = [canonical_lead_name(name) for name in record.sig_name]
            begun = time.process_time()
            measured = row(measure(delineate(signal, record.fs, names), signal))
            spent += time.process_time() - begun
            n_records += 1
            for code in ast.literal_eval(line["scp_codes"]):
                found[code].append(measured)
    columns = ("heart_rate_bpm", "p_duration_ms", "pr_ms", "qrs_ms", "qtc_fridericia_ms")
    columns += ("qrs_axis_deg",)
    print(f"\nPTB-XL, {n_records} records at 500 Hz; {spent / n_records * 1000:.0f} ms each.\n")
    print(f"| statement | n | P present | {' | '.join(columns)} |")
    print("|---" * (3 + len(columns)) + "|")
    for code in ("NORM", "SBRAD", "STACH", "1AVB", "IRBBB", "CRBBB", "CLBBB", "LAFB", "AFIB"):
        cells = []
        for name in columns:
            values = np.array([r[name] for r in found[code]])
            values = values[np.isfinite(values)]
            low, middle, high = np.percentile(values, (5, 50, 95)) if len(values) else [np.nan] * 3
            cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})")
        present = np.mean([r["p_present"] for r in found[code]])
        print(f"| {code} | {len(found[code])} | {present:.0%} | {' | '.join(cells)} |")


if __name__ == "__main__":
    ludb_tables()
    mit_bih_line()
    ptbxl_table()
