"""Level and predictability of the simulated outcomes, of PTB-XL and of virtual patients.

    python -m benchmarks.simulated_outcomes ../shared/data

The rows go into docs/simulated-cohort.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from model_core.io import read_recording
from training.evaluation.metrics import auroc
from training.simulated_cohort import measured_on, read_ptbxl_table
from training.simulation import (
    MEASURED,
    EcgFindings,
    draw_outcomes,
    findings_from_ptbxl,
    findings_of_patients,
    sample_patients,
)

N_VIRTUAL = 8000
N_DRAWS = 400


def ptbxl_findings(folder: Path) -> EcgFindings:
    """Return the findings of all records with statements, intervals measured."""
    rows = [row for row in read_ptbxl_table(folder) if row["scp_codes"].strip()]
    measured = [measured_on(read_recording(folder / f"{row['filename_lr']}.hea")) for row in rows]
    return findings_from_ptbxl(rows, dict(zip(MEASURED, np.array(measured).T, strict=True)))


def report(title: str, findings: EcgFindings) -> None:
    """Print one column of the table."""
    draws = [draw_outcomes(findings, np.random.default_rng([1, i])) for i in range(N_DRAWS)]
    lvef = np.stack([draw.lvef_pct for draw in draws])
    wall = np.stack([draw.wall_mm for draw in draws])
    known, seen = lvef[::2], lvef[1::2]
    explained = 1 - np.mean((seen - known.mean(0)) ** 2) / seen.var()
    score = np.tile((known < 40).mean(0), len(seen))
    print(f"{title}, {len(findings):,} ECGs")
    print(f"  LVEF {lvef.mean():.1f} +- {lvef.std():.1f} %")
    print(
        f"  LVEF <= 35 % behind a normal ECG {100 * (lvef[:, findings.normal] <= 35).mean():.1f} %"
    )
    print(
        f"  LVEF < 40 % {100 * (lvef < 40).mean():.1f} %, <= 45 % {100 * (lvef <= 45).mean():.1f} %"
    )
    print(f"  wall >= 13 mm {100 * (wall >= 13).mean():.1f} %")
    print(f"  explained variance of LVEF {explained:.3f}")
    print(f"  AUROC for LVEF < 40 % {auroc((seen < 40).ravel(), score):.3f}")
    for name in ("age_y", "heart_rate_bpm", "qrs_ms", "qtc_ms"):
        print(f"  median {name} {np.median(getattr(findings, name)):.0f}")
    for name, having in findings.flags().items():
        if having.sum() >= 5:
            of = lvef[:, having]
            print(
                f"  {name}: {100 * having.mean():.1f} % of ECGs, LVEF {of.mean():.0f} %, "
                f"< 40 % in {100 * (of < 40).mean():.0f} %"
            )


def main() -> None:
    """Print both columns."""
    report("PTB-XL", ptbxl_findings(Path(sys.argv[1]) / "ptbxl"))
    patients = sample_patients(N_VIRTUAL, np.random.default_rng(5))
    report("Virtual patients", findings_of_patients(patients))
    sinus = ~patients.af
    print(f"  median PR {np.median(patients.pr_ms[sinus]):.0f} ms")
    print(f"  no PR interval {100 * (~sinus | findings_of_patients(patients).paced).mean():.1f} %")


if __name__ == "__main__":
    main()
