"""What the shipped estimates look like in patients who were not trained on, for the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_core.calibration import apply_core, apply_widening, fit_core
from model_core.export import PackageModel
from model_core.measures import MEASURES
from model_core.runtime.manifest import MeasureOutput, Validation
from training.batches import run_model
from training.cohort import Cohort, Split
from training.evaluation.metrics import bootstrap
from training.run import Run, load_standardiser

N_BINS = 14
_Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Tried:
    """One measure in the patients of one split, in the space of the network's output.

    `low`, `value` and `high` are (n,), `observed` is (n, draws) with rows of patients whose outcome
    is not known left out.
    """

    low: _Array
    value: _Array
    high: _Array
    observed: _Array

    def held(self, share: float) -> _Array:
        """Share of each patient's outcomes in the interval, or in the core of that share; (n,)."""
        low, high = apply_core(self.low, self.value, self.high, share)
        return ((self.observed >= low[:, None]) & (self.observed <= high[:, None])).mean(axis=1)


def validate(
    run: Run, cohort: Cohort, model: PackageModel, measures: Sequence[MeasureOutput]
) -> tuple[tuple[MeasureOutput, ...], tuple[Validation, ...]]:
    """Find each measure's core on the calibration split, and try both intervals on the test split.

    Parameters
    ----------
    run, cohort, model
        As exported: medians moved along their lines.
    measures
        As calibrated, in the order of the network's outputs.

    Returns
    -------
    The measures with their cores, and what was found of each.
    """
    calibration = _tried(run, cohort, model, measures, Split.CALIBRATION)
    test = _tried(run, cohort, model, measures, Split.TEST)
    complete: list[MeasureOutput] = []
    found: list[Validation] = []
    for measure, known, new in zip(measures, calibration, test, strict=True):
        share = fit_core(known.low, known.value, known.high, known.observed)
        complete.append(dataclasses.replace(measure, core_share=share))
        first, last = MEASURES[measure.key].axis
        estimates = np.exp(known.value) if measure.log_space else known.value
        counts, edges = np.histogram(
            np.clip(estimates, first, last), bins=N_BINS, range=(first, last)
        )
        found.append(
            Validation(
                measure.key,
                tuple(edges.tolist()),
                tuple(counts.tolist()),
                len(new.observed),
                _over_patients(new.held(1.0), run.config.seed),
                _over_patients(new.held(share), run.config.seed),
            )
        )
    return tuple(complete), tuple(found)


def _tried(
    run: Run, cohort: Cohort, model: PackageModel, measures: Sequence[MeasureOutput], split: Split
) -> list[_Tried]:
    rows = cohort.one_record_per_patient(split)
    outputs = run_model(model, load_standardiser(run), cohort.ecg_mv, rows)
    found: list[_Tried] = []
    for column, measure in enumerate(measures):
        observed = cohort.outcomes(measure.key, rows).astype(np.float64)
        if measure.log_space:
            observed = np.log(observed)
        known = ~np.isnan(observed).any(axis=1)
        ends = apply_widening(outputs.quantiles[known, column], measure.widening)
        found.append(_Tried(*ends, observed[known]))
    return found


def _over_patients(held: _Array, seed: int) -> tuple[float, float, float]:
    """Mean and its 95 % confidence interval over patients."""
    if not len(held):
        return 0.0, 0.0, 0.0
    mean = bootstrap(
        lambda chosen: float(held[chosen].mean()), len(held), 1000, np.random.default_rng(seed)
    )
    return mean.value, mean.low, mean.high
