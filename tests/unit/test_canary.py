"""Labels that change hands between patients: whatever is learnt from them is a leak."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_core.leads import STANDARD_LEADS
from tests.unit.ingest_miniatures import counts_of, write_csv, write_wfdb
from training import real_cohort
from training.cohort import Cohort, Split
from training.config import FitConfig
from training.fit import Task, fit
from training.ingest import IngestConfig, TableColumns, ingest, shuffle_by_patient
from training.real_cohort import Archives, build_cohort, plan_cohort

N_PATIENTS, N_RECORDS = 200, 4
LOW_LVEF = 40.0
FIT = FitConfig(steps=150, steps_per_epoch=150, batch=64, learning_rate=3e-3)


def beat_mv(severity: float, rng: np.random.Generator) -> np.ndarray:
    """(8, 100) at 100 Hz, leads I, II, V1 to V6: the patient's own, but for the T wave."""
    t = np.arange(100) / 100
    k = np.arange(1, 31)[:, None]
    beat = rng.normal(0, 0.03, (8, 30)) @ np.cos(2 * np.pi * k * t)
    beat += rng.normal(0, 0.03, (8, 30)) @ np.sin(2 * np.pi * k * t)
    beat += np.exp(-((t - 0.4) ** 2) / (2 * 0.012**2))
    return beat + (0.3 + 0.25 * severity) * np.exp(-((t - 0.7) ** 2) / (2 * 0.05**2))


def recording_mv(beat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(12, 1000): ten equal beats with noise."""
    free = np.tile(beat, 10) + 0.01 * rng.standard_normal((8, 1000))
    one, two = free[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.concatenate([np.stack(limb), free[2:]])


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cohort]:
    """One store split by patient; one where each recording passes for a patient of its own."""
    root = tmp_path_factory.mktemp("canary")
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for patient in range(N_PATIENTS):
        severity = rng.standard_normal()
        beat = beat_mv(severity, rng)
        for record in range(N_RECORDS):
            name = f"r{patient:03d}_{record}"
            counts = counts_of(recording_mv(beat, rng), 1000.0)
            write_wfdb(root / "data" / name, counts, STANDARD_LEADS, fs=100, gain=1000.0)
            split = ["train", "train", "validation", "test"][patient % 4]
            by_record = ["train", "train", "validation", "test"][record]
            rows.append((name, f"p{patient}", split, by_record, LOW_LVEF - 10 * severity))
    header = ("path", "patient_id", "split", "split_by_record", "lvef_pct")
    write_csv(root / "data/t.csv", header, rows)
    found: dict[str, Cohort] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_cohort, "N_NOISE", 4)
        for name, patient, split in (
            ("by_patient", "patient_id", "split"),
            ("by_record", "path", "split_by_record"),
        ):
            columns = TableColumns(
                table="t.csv", patient=patient, split=split, labels=("lvef_pct",)
            )
            store = root / name
            ingest(
                IngestConfig(
                    source="folder", root=root / "data", out=store, columns=columns, max_fs=100.0
                )
            )
            plan = plan_cohort(Archives(stores=[store]))
            found[name] = build_cohort(plan, root / f"run_{name}", workers=1)
    assert all(cohort.n_records == N_PATIENTS * N_RECORDS for cohort in found.values())
    return found


class LowLvef(Task):
    """Logistic regression of LVEF < 40 % on the mean beat."""

    def __init__(self, cohort: Cohort) -> None:
        super().__init__()
        beats = np.asarray(cohort.ecg_mv, np.float32).reshape(-1, 12, 10, 100).mean(2)
        self._beats = torch.from_numpy(beats.reshape(len(beats), -1) / beats.std())
        low = cohort.measures["lvef"][cohort.first_study] < LOW_LVEF
        self._low = torch.from_numpy(low.astype(np.float32))
        self._rows = cohort.records(Split.TRAIN)
        self.linear = nn.Linear(self._beats.shape[1], 1)

    def logits(self, rows: np.ndarray) -> Tensor:
        return self.linear(self._beats[rows])[:, 0]

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        del done
        rows = rng.choice(self._rows, batch)
        loss = functional.binary_cross_entropy_with_logits(self.logits(rows), self._low[rows])
        return loss, {}


def auroc_of_fit(cohort: Cohort, folder: Path) -> float:
    torch.manual_seed(0)
    task = LowLvef(cohort)
    fit(task, FIT, name="canary", seed=1, checkpoint=folder / "checkpoint.pt")
    rows = cohort.records(Split.TEST)
    with torch.no_grad():
        score = task.logits(rows).numpy()
    low = cohort.measures["lvef"][cohort.first_study[rows]] < LOW_LVEF
    order = score[low][:, None] - score[~low][None]
    return float((order > 0).mean() + 0.5 * (order == 0).mean())


def shuffled(cohort: Cohort, seed: int) -> Cohort:
    """LVEF changes hands between true patients, whatever passes for a patient."""
    true_patient = np.repeat(np.arange(N_PATIENTS), N_RECORDS)
    given = cohort.measures["lvef"][cohort.first_study]
    lvef = np.empty_like(cohort.measures["lvef"])
    lvef[cohort.first_study] = shuffle_by_patient(given, true_patient, seed)
    return dataclasses.replace(cohort, measures={"lvef": lvef})


def test_shuffled_labels_teach_nothing_if_and_only_if_patients_stay_together(
    cohorts: dict[str, Cohort], tmp_path: Path
) -> None:
    # What is there to learn is learnt.
    assert auroc_of_fit(cohorts["by_patient"], tmp_path / "true") > 0.8
    found = {
        name: [
            auroc_of_fit(shuffled(cohort, seed), tmp_path / f"{name}{seed}") for seed in range(6)
        ]
        for name, cohort in cohorts.items()
    }
    # 50 test patients: the standard error of one AUROC is about 0.083, of the mean of six 0.034.
    assert abs(np.mean(found["by_patient"]) - 0.5) < 0.1, found
    assert min(found["by_record"]) > 0.8, found
