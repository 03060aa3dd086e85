"""Train a small network on virtual ECGs alone and test it on real ones.

``python benchmarks/simulated_to_real.py DATA [--virtual N] [--steps N] [--seed N]``, DATA being the
folder with ``ptbxl``, ``challenge`` and ``ludb``. Beside it stands the same network trained on
PTB-XL folds 1 to 8. Prints the AUROC of each diagnosis with the number of ECGs that have it.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_core.io import read_recording
from model_core.preprocess import filter_and_resample, prepare
from training.evaluation import resampling
from training.external import ExternalSet, prepared, read_challenge, read_ludb
from training.simulated_cohort import NEUTRAL_SPEC, SIMULATED_FS, read_ptbxl_table
from training.simulation import (
    EcgFindings,
    findings_from_ptbxl,
    findings_of_patients,
    sample_patients,
    simulate_ecg,
)

TARGETS = ("LBBB", "RBBB", "infarction", "anterior", "inferior", "AF", "LVH")
BATCH = 64
CHUNK = 250
# Codes of SNOMED CT and CPSC's abbreviations; LUDB in its own words.
CHALLENGE_CODES = {
    "LBBB": {"164909002", "733534002", "LBBB"},
    "RBBB": {"59118001", "713427006", "RBBB"},
    "infarction": {"164865005", "164867002", "57054005", "54329005"},
    "AF": {"164889003", "164890007", "AF"},
    "LVH": {"164873001"},
}
LUDB_LINES = {
    "LBBB": ("complete left bundle branch block",),
    "RBBB": ("complete right bundle branch block",),
    "infarction": ("stemi", "scar formation"),
    "AF": ("atrial fibrillation", "atrial flutter"),
    "LVH": ("left ventricular hypertrophy",),
}


@dataclass(frozen=True)
class Ecgs:
    """Prepared ECGs, (n, 12, samples), and which diagnosis each has, (n,) by name."""

    signal_mv: NDArray[np.float32]
    has: dict[str, NDArray[np.bool_]]

    def take(self, mask: NDArray[np.bool_]) -> Ecgs:
        """Return those at ``mask``."""
        return Ecgs(self.signal_mv[mask], {name: flags[mask] for name, flags in self.has.items()})


def diagnoses(f: EcgFindings) -> dict[str, NDArray[np.bool_]]:
    """Return the diagnoses that the findings state."""
    infarction = f.mi_anterior | f.mi_inferior | f.mi_lateral
    flags = (f.lbbb, f.rbbb, infarction, f.mi_anterior, f.mi_inferior, f.af, f.lvh)
    return dict(zip(TARGETS, flags, strict=True))


def virtual(n: int, seed: int) -> Ecgs:
    """Draw n virtual patients with their ECGs."""
    signals, findings = [], []
    for start in range(0, n, CHUNK):
        rng = np.random.default_rng([seed, start])
        patients = sample_patients(min(CHUNK, n - start), rng)
        ecg = filter_and_resample(
            simulate_ecg(patients, rng, SIMULATED_FS), SIMULATED_FS, NEUTRAL_SPEC
        )
        signals.append(ecg[..., : NEUTRAL_SPEC.n_samples].astype(np.float32))
        findings.append(diagnoses(findings_of_patients(patients)))
    return Ecgs(
        np.concatenate(signals), {k: np.concatenate([f[k] for f in findings]) for k in TARGETS}
    )


def ptbxl(folder: Path) -> tuple[Ecgs, NDArray[np.int64]]:
    """Read the records with statements, and the fold of each."""
    rows = [row for row in read_ptbxl_table(folder) if row["scp_codes"].strip()]
    paths = [folder / (row["filename_lr"] + ".hea") for row in rows]
    signals = np.stack([prepare(read_recording(path), NEUTRAL_SPEC)[0] for path in paths])
    fold = np.array([int(float(row["strat_fold"])) for row in rows])
    return Ecgs(signals.astype(np.float32), diagnoses(findings_from_ptbxl(rows))), fold


def challenge(folder: Path) -> Ecgs:
    """Read the challenges' records but PTB-XL's."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        codes = {row["id"]: set(row["dx_snomed"].split(",")) for row in csv.DictReader(file)}
    found = read_challenge(folder)
    return _external(
        found,
        {k: [bool(codes[i] & wanted) for i in found.ids] for k, wanted in CHALLENGE_CODES.items()},
    )


def ludb(folder: Path) -> Ecgs:
    """Read LUDB."""
    with (folder / "ludb.csv").open(encoding="utf-8", newline="") as file:
        lines = [
            [line.strip().lower() for cell in row.values() for line in cell.splitlines()]
            for row in csv.DictReader(file)
        ]
    flags = {
        k: [any(line.startswith(wanted) for line in row) for row in lines]
        for k, wanted in LUDB_LINES.items()
    }
    return _external(read_ludb(folder), flags)


def _external(found: ExternalSet, flags: dict[str, list[bool]]) -> Ecgs:
    return Ecgs(prepared(found), {name: np.array(values, bool) for name, values in flags.items()})


def network() -> nn.Module:
    """Six convolutions over time, the mean and the largest of each feature, one logit a target."""

    def block(inputs: int, outputs: int, width: int) -> list[nn.Module]:
        convolution = nn.Conv1d(inputs, outputs, width, stride=2, padding=width // 2)
        return [convolution, nn.BatchNorm1d(outputs), nn.ReLU()]

    sizes = ((12, 32, 7), (32, 48, 5), (48, 64, 5), (64, 96, 5), (96, 96, 5), (96, 96, 3))
    body = nn.Sequential(*(layer for size in sizes for layer in block(*size)))

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.drop = body, nn.Dropout(0.3)
            self.head = nn.Linear(192, len(TARGETS))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            features = self.body(x)
            pooled = torch.cat([features.mean(2), features.amax(2)], 1)
            return self.head(self.drop(pooled))

    return Pooled()


def trained(ecgs: Ecgs, steps: int, seed: int) -> nn.Module:
    """Train the network, each ECG cut to nine seconds from a random start and scaled a little."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = network()
    x = torch.from_numpy(ecgs.signal_mv)
    y = torch.from_numpy(np.stack([ecgs.has[k] for k in TARGETS], 1).astype(np.float32))
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    loss_of = nn.BCEWithLogitsLoss()
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(x), BATCH))
        start = int(rng.integers(0, 100))
        scale = torch.from_numpy(rng.lognormal(0, 0.1, (BATCH, 1, 1)).astype(np.float32))
        loss = loss_of(model(x[rows, :, start : start + 900] * scale), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def aurocs(model: nn.Module, ecgs: Ecgs) -> dict[str, float]:
    """AUROC of each diagnosis that the ECGs are labelled for; NaN if all or none have it."""
    with torch.no_grad():
        parts = [model(part) for part in torch.from_numpy(ecgs.signal_mv).split(128)]
    logits = torch.cat(parts).numpy().astype(np.float64)
    found = {}
    for column, name in enumerate(TARGETS):
        case = ecgs.has.get(name, np.zeros(len(logits), bool)).astype(np.float64)
        one = np.ones((1, len(case)))
        mixed = 0 < case.sum() < len(case)
        score = resampling.auroc(logits[:, column], case, 1 - case)(one)[0] if mixed else np.nan
        found[name] = float(score)
    return found


def main() -> None:
    """Train, test and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder with ptbxl, challenge and ludb")
    parser.add_argument("--virtual", type=int, default=6000, help="patients (default 6000)")
    parser.add_argument("--steps", type=int, default=900, help="of training (default 900)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    real, fold = ptbxl(options.data / "ptbxl")
    learnt, held_out = real.take(fold <= 8), real.take(fold > 8)
    sources = {
        "virtual, unseen": virtual(1000, options.seed + 1),
        "PTB-XL folds 1-8": learnt,
        "PTB-XL folds 9-10": held_out,
        "challenge": challenge(options.data / "challenge"),
        "LUDB": ludb(options.data / "ludb"),
    }
    from_virtual = trained(virtual(options.virtual, options.seed), options.steps, options.seed)
    from_real = trained(learnt, options.steps, options.seed)
    print(f"{'AUROC (n with it)':42s}" + "".join(f"{name:>14s}" for name in TARGETS))
    for label, model, names in (
        ("trained on virtual", from_virtual, list(sources)),
        ("trained on PTB-XL 1-8", from_real, list(sources)[2:]),
    ):
        for name in names:
            scores = aurocs(model, sources[name])
            counts = {k: int(v.sum()) for k, v in sources[name].has.items()}
            cells = (f"{scores[k]:.3f} ({counts.get(k, 0)})" for k in TARGETS)
            print(f"{label + ', ' + name:42s}" + "".join(f"{cell:>14s}" for cell in cells))


if __name__ == "__main__":
    main()
