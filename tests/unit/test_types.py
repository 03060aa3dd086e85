"""The data types keep what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model_core.types import (
    FindingProbability,
    MeasureEstimate,
    PackageIdentity,
    Prediction,
    PredictionInterval,
    QualityReport,
    Reason,
    Recording,
    ResultState,
    SegmentVariance,
    Severity,
)

PACKAGE = PackageIdentity("ab" * 32, "test", "1", "a caveat")
ESTIMATE = MeasureEstimate("lvef", 55.0, PredictionInterval(45.0, 65.0, 0.9))
CAUTION = Reason("noisy", Severity.CAUTION, "Lead V1 is noisy.", "V1")
REFUSAL = Reason("flat_lead", Severity.REFUSE, "The line is flat in lead V1.", "V1")


def test_recording_owns_its_samples() -> None:
    samples = np.ones((2, 100), dtype=np.float32)
    recording = Recording("ab", samples, 100.0, ("I", "II"), "x.hea")
    samples[:] = 7
    assert (recording.signal_mv == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        recording.signal_mv[0, 0] = 0
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        recording.signal_mv[:].setflags(write=True)


@pytest.mark.parametrize(
    ("signal", "fs", "names"),
    [
        (np.zeros((2, 10)), 100.0, ("I",)),
        (np.zeros(10), 100.0, ("I",)),
        (np.zeros((1, 10)), 0.0, ("I",)),
        (np.zeros((1, 10)), -500.0, ("I",)),
        (np.zeros((1, 10)), float("nan"), ("I",)),
        (np.zeros((1, 10)), float("inf"), ("I",)),
    ],
)
def test_recording_refuses_what_does_not_fit(
    signal: Any, fs: float, names: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"rows|dimensions|frequency"):
        Recording("ab", signal, fs, names, "x.hea")


def test_recording_keeps_missing_samples_and_a_broken_rate() -> None:
    recording = Recording("ab", np.array([[0.0, np.nan]]), 976.5625, ("I",), "x.hea")
    assert np.isnan(recording.signal_mv[0, 1])
    assert recording.duration_s == 2 / 976.5625


@pytest.mark.parametrize(
    ("reasons", "usable"), [((), True), ((CAUTION,), True), ((CAUTION, REFUSAL), False)]
)
def test_one_refusal_makes_a_recording_unusable(reasons: Any, usable: bool) -> None:
    assert QualityReport(reasons).usable is usable


@pytest.mark.parametrize(
    ("low", "high", "level"),
    [(2.0, 1.0, 0.9), (float("nan"), 1.0, 0.9), (0.0, float("inf"), 0.9), (0.0, 1.0, 1.0)],
)
def test_not_an_interval(low: float, high: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"interval|level"):
        PredictionInterval(low, high, level)


def test_estimates_and_findings_are_checked() -> None:
    with pytest.raises(ValueError, match="outside its own interval"):
        MeasureEstimate("lvef", 70.0, PredictionInterval(45.0, 65.0, 0.9))
    with pytest.raises(ValueError, match="unknown measure"):
        MeasureEstimate("gls", 50.0, PredictionInterval(45.0, 65.0, 0.9))
    for probability in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            FindingProbability("lvef_below_40", probability)


def test_segment_variance_fits_together() -> None:
    with pytest.raises(ValueError, match="fit together"):
        SegmentVariance(
            np.ones((1, 3), dtype=np.float32),
            ("all",),
            np.arange(3.0),
            (0.1, 1.0),
        )
    with pytest.raises(ValueError, match="scale"):
        SegmentVariance(
            np.ones((1, 2), dtype=np.float32),
            ("all",),
            np.arange(3.0),
            (1.0, 1.0),
        )


def test_the_three_states() -> None:
    def predicted(**parts: Any) -> Prediction:
        return Prediction("ab", PACKAGE, (0.0, 10.0), **parts)

    assert predicted(estimates=(ESTIMATE,)).state is ResultState.REPORTED
    cautious = predicted(estimates=(ESTIMATE,), reasons=(CAUTION,))
    assert cautious.state is ResultState.REPORTED_WITH_CAUTION
    assert predicted(reasons=(REFUSAL,)).state is ResultState.NOT_REPORTABLE
    uncertainty = predicted(embedding_variance=0.1, reasons=(REFUSAL,))
    assert uncertainty.state is ResultState.NOT_REPORTABLE


@pytest.mark.parametrize(
    "parts",
    [
        {"estimates": (ESTIMATE,), "reasons": (REFUSAL,)},
        {"findings": (FindingProbability("lvef_below_40", 0.1),), "reasons": (REFUSAL,)},
        {"embedding_variance": 0.1, "reasons": (CAUTION,)},
        {"reasons": (CAUTION,)},
        {},
    ],
)
def test_there_is_no_fourth_state(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either estimates or a reason"):
        Prediction("ab", PACKAGE, (0.0, 10.0), **parts)
