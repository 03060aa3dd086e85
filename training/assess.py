"""The stage `evaluate`: every figure of a run, on the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training import evaluation
from training.batches import measure_keys, run_model
from training.checkpoint import save_json
from training.cohort import Split
from training.run import (
    Run,
    load_calibration,
    load_model,
    load_standardiser,
    load_teacher,
    the_cohort,
)


def evaluate(run: Run, folder: Path) -> None:
    """Measure everything, one ECG a patient, and store it."""
    cohort = the_cohort(run)
    standardise, model, seed = load_standardiser(run), load_model(run, cohort), run.config.seed
    test = evaluation.test_set(cohort)
    n_bootstrap = run.config.evaluate.n_bootstrap
    outputs = run_model(model, standardise, test.ecg_mv)
    scratch = load_model(run, cohort, "baselines/supervised")
    untrained = run_model(scratch, standardise, test.ecg_mv)
    training = cohort.one_record_per_patient(Split.TRAIN, cohort.source_names[0])
    constants = {
        key: float(np.nanmedian(cohort.outcomes(key, training))) for key in measure_keys(cohort)
    }
    comparisons = evaluation.compare(test, outputs, untrained, constants, n_bootstrap, seed)
    calibration = load_calibration(run)
    noise = evaluation.fresh_noise(test.n_patients, seed)
    metrics = [
        *evaluation.comparison_metrics(comparisons),
        *evaluation.interval_metrics(test, outputs, calibration.measures, n_bootstrap, seed),
        *evaluation.finding_metrics(test, outputs, calibration.findings, n_bootstrap, seed),
        *evaluation.uncertainty_metrics(test, model, standardise, noise, n_bootstrap, seed),
        *evaluation.zero_shot_metrics(cohort, load_teacher(run), test, outputs, n_bootstrap, seed),
    ]
    n_draws = next(iter(test.outcomes.values())).shape[1]
    save_json(
        folder / "summary.json",
        {
            "n_patients": test.n_patients,
            "n_draws": n_draws,
            "metrics": [[m.name, m.value, m.low, m.high, m.unit, m.dataset] for m in metrics],
        },
    )
