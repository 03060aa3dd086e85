"""What estimates are worth: figures with intervals, baselines, tests of uncertainty.

`core.evaluate` works on arrays alone and knows nothing of where the ECGs come from.
"""

from training.evaluation.student import (
    Comparison,
    TestSet,
    calibrated,
    compare,
    comparison_metrics,
    finding_metrics,
    fresh_noise,
    interval_metrics,
    test_set,
    uncertainty_metrics,
    zero_shot_metrics,
    zero_shot_values,
)
from training.evaluation.uncertainty import burst_auroc

__all__ = [
    "Comparison",
    "TestSet",
    "burst_auroc",
    "calibrated",
    "compare",
    "comparison_metrics",
    "finding_metrics",
    "fresh_noise",
    "interval_metrics",
    "test_set",
    "uncertainty_metrics",
    "zero_shot_metrics",
    "zero_shot_values",
]
