"""Miniature copies of the official layouts, written by the tests that read them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS

MIMIC_LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", *STANDARD_LEADS[6:])


def ecg_mv(seed: int, n_samples: int = 5000, fs: float = 500.0) -> NDArray[np.float64]:
    """Twelve leads that obey Einthoven and Goldberger: beats at 1 Hz with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / fs
    beat = np.exp(-(((t % 1.0) - 0.4) ** 2) / (2 * 0.012**2))
    wave = np.exp(-(((t % 1.0) - 0.7) ** 2) / (2 * 0.05**2))
    free = rng.uniform(0.4, 1.2, (8, 1)) * beat + rng.uniform(0.1, 0.3, (8, 1)) * wave
    free += 0.01 * rng.standard_normal((8, n_samples))
    one, two = free[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.concatenate([np.stack(limb), free[2:]])


def write_wfdb(
    path: Path,
    counts: NDArray[np.integer],
    names: Sequence[str],
    *,
    fs: float = 500,
    gain: float = 200.0,
    baseline: int = 0,
    fmt: str = "16",
    tail: bytes = b"",
) -> None:
    """Write header and data by the manual, without the package that the reader is checked with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    interleaved = counts.T.reshape(-1)
    if fmt == "16":
        content = interleaved.astype("<i2").tobytes()
    else:
        packed = bytearray()
        values = [int(v) & 0xFFF for v in interleaved] + [0] * (len(interleaved) % 2)
        for a, b in zip(values[::2], values[1::2], strict=True):
            packed += bytes([a & 0xFF, (a >> 8) | ((b >> 8) << 4), b & 0xFF])
        content = bytes(packed[: (len(interleaved) * 3 + 1) // 2])
    path.with_name(f"{path.name}.dat").write_bytes(content + tail)
    lines = [f"{path.name} {len(names)} {fs:g} {counts.shape[1]}"]
    for name, row in zip(names, counts, strict=True):
        checksum = (int(row.sum()) + 2**15) % 2**16 - 2**15
        lines.append(
            f"{path.name}.dat {fmt} {gain}({baseline})/mV 16 0 {row[0]} {checksum} 0 {name}"
        )
    path.with_name(f"{path.name}.hea").write_text("\n".join(lines) + "\n")


def counts_of(signal_mv: NDArray[np.float64], gain: float) -> NDArray[np.int16]:
    """Counts as a recorder stores them."""
    return np.rint(signal_mv * gain).astype(np.int16)


def write_csv(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ","
) -> None:
    """Write a table as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="latin-1" if delimiter == ";" else "utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])


def write_ptbxl(root: Path, n: int, seed: int = 0) -> dict[str, NDArray[np.int16]]:
    """Write PTB-XL with `n` records of 500 Hz; gives the counts by record."""
    header = ["ecg_id", "patient_id", "age", "sex", "height", "report", "scp_codes", "strat_fold"]
    header += ["recording_date", "filename_lr", "filename_hr"]
    rows: list[tuple[object, ...]] = []
    stored: dict[str, NDArray[np.int16]] = {}
    for i in range(1, n + 1):
        name = f"records500/00000/{i:05d}_hr"
        counts = counts_of(ecg_mv(seed + i), 1000.0)
        # PTB-XL writes AVR, AVL, AVF.
        write_wfdb(root / name, counts, [lead.upper() for lead in STANDARD_LEADS], gain=1000.0)
        stored[str(i)] = counts
        codes = "{'NORM': 100.0, 'SR': 0.0}"
        # Two records a patient, both in the patient's fold.
        patient, fold = (i + 1) // 2, (i + 1) // 2 % 10 + 1
        rows.append((
            i, f"{patient}.0", 300 if i == 1 else 60.0, i % 2, "", "sinus, rhythmus\nnormal",
            codes, fold, "1984-11-09 09:17:34", name.replace("500", "100").replace("_hr", "_lr"),
            name,
        ))  # fmt: skip
    write_csv(root / "ptbxl_database.csv", header, rows)
    return stored
