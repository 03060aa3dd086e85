"""From a recording to a prediction: numbers as computed by hand, or a reason."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core.domain import TrainingDomain, domain_features
from model_core.errors import Cancelled, CancelToken, InferenceError, PackageError
from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.manifest import FindingOutput, MeasureOutput, SegmentOutput
from model_core.runtime.package import ModelPackage, load_package
from model_core.runtime.predictor import Predictor
from model_core.types import PredictionInterval, Recording, ResultState, Severity
from tests.package_factory import (
    N_SEGMENTS,
    QUANTILES,
    contents,
    graph,
    synthetic_ecg,
    write_package,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(write_package(tmp_path_factory.mktemp("packages") / "valid"))


@pytest.fixture(scope="module")
def predictor(package: ModelPackage) -> Predictor:
    return Predictor(package)


def predictor_of(folder: Path, **changes: Any) -> Predictor:
    """Predictor of a package with another graph or manifest."""
    model = graph(**changes.pop("graph", {}))
    return Predictor(load_package(write_package(folder / "package", contents(model, **changes))))


def test_values_and_intervals_as_by_hand(predictor: Predictor) -> None:
    prediction = predictor.predict(synthetic_ecg())
    assert prediction.state is ResultState.REPORTED
    assert prediction.recording_id == "synthetic"
    assert prediction.package == predictor.package.identity
    assert prediction.window_s == (0.0, 10.0)
    lvef, lvedv, lvesv = prediction.estimates
    assert (lvef.key, lvedv.key, lvesv.key) == ("lvef", "lvedv", "lvesv")
    # 50, 58, 66 widened by 2 at both ends.
    assert (lvef.interval.low, lvef.value, lvef.interval.high) == (48.0, 58.0, 68.0)
    # 90, 110, 140 ml widened by 0.1 of the logarithm.
    assert lvedv.value == pytest.approx(110.0)
    assert lvedv.interval.low == pytest.approx(90.0 * math.exp(-0.1))
    assert lvedv.interval.high == pytest.approx(140.0 * math.exp(0.1))
    assert lvesv.value == pytest.approx(46.0)
    assert {estimate.interval.level for estimate in prediction.estimates} == {0.9}
    (finding,) = prediction.findings
    assert finding.probability == pytest.approx(1 / (1 + math.exp(-(1.5 * -2.0 + 0.5))))


def test_segment_variance_is_that_of_the_prepared_input(predictor: Predictor) -> None:
    ecg = synthetic_ecg()
    cells = predictor.predict(ecg).segment_variance
    assert cells is not None
    prepared = prepare(ecg, PreprocessSpec())[0].astype(np.float64)
    expected = (prepared.reshape(12, N_SEGMENTS, -1) ** 2).mean(axis=-1) + 1e-6
    np.testing.assert_allclose(cells.variance, expected, rtol=1e-4)
    assert cells.lead_names == STANDARD_LEADS
    np.testing.assert_allclose(cells.edges_s, np.linspace(0, 10, N_SEGMENTS + 1))
    assert cells.scale == (0.001, 1.0)


def test_embedding_variance_is_the_mean_over_dimensions(predictor: Predictor) -> None:
    ecg = synthetic_ecg()
    power = (prepare(ecg, PreprocessSpec())[0].astype(np.float64) ** 2).mean(axis=-1)
    found = predictor.predict(ecg).embedding_variance
    assert found == pytest.approx((power + 1e-6).mean(), rel=1e-5)


UNCALIBRATED = (
    MeasureOutput("lvef", 0.9, 0.0, log_space=False, n_calibration=0),
    MeasureOutput("lvedv", 0.9, 0.0, log_space=True, n_calibration=0),
    MeasureOutput("lvesv", 0.9, 0.0, log_space=True, n_calibration=0),
)


def test_without_calibration_no_estimate_is_given_but_the_variance_is(tmp_path: Path) -> None:
    finding = (FindingOutput("lvef_below_40", 1.0, 0.0, n_calibration=0),)
    # What is never shown cannot be implausible: an LVEF of 500 %.
    constants = {"quantiles": ((500.0, 500.0, 500.0), *QUANTILES[1:])}
    predictor = predictor_of(tmp_path, graph=constants, measures=UNCALIBRATED, findings=finding)
    prediction = predictor.predict(synthetic_ecg())
    assert prediction.state is ResultState.NOT_REPORTABLE
    assert not prediction.estimates
    assert not prediction.findings
    (reason,) = prediction.reasons
    assert (reason.code, reason.severity) == ("not_calibrated", Severity.REFUSE)
    assert reason.message == (
        "Withheld, because this model package is not calibrated for it: "
        "LVEF, LVEDV, LVESV and the probability of LVEF < 40 %."
    )
    assert prediction.embedding_variance is not None
    assert prediction.segment_variance is not None


def test_what_lacks_a_calibration_is_withheld_beside_the_rest(tmp_path: Path) -> None:
    measures = (MeasureOutput("lvef", 0.9, 2.0, log_space=False, n_calibration=30),)
    predictor = predictor_of(tmp_path, measures=(*measures, *UNCALIBRATED[1:]))
    prediction = predictor.predict(synthetic_ecg())
    assert prediction.state is ResultState.REPORTED_WITH_CAUTION
    assert [estimate.key for estimate in prediction.estimates] == ["lvef"]
    assert [finding.key for finding in prediction.findings] == ["lvef_below_40"]
    (reason,) = prediction.reasons
    assert (reason.code, reason.severity) == ("not_calibrated", Severity.CAUTION)
    assert reason.message.endswith(": LVEDV and LVESV.")


def test_the_core_lies_within_the_interval_in_the_space_of_the_output(tmp_path: Path) -> None:
    measures = (
        MeasureOutput("lvef", 0.9, 0.0, log_space=False, n_calibration=30, core_share=0.5),
        MeasureOutput("lvedv", 0.9, 0.0, log_space=True, n_calibration=30, core_share=0.25),
        MeasureOutput("lvesv", 0.9, 0.0, log_space=True, n_calibration=30),
    )
    low, high = math.log(100.0), math.log(160.0)
    quantiles = ((30.0, 40.0, 60.0), (low, math.log(120.0), high), (3.8, 4.2, 4.4))
    predictor = predictor_of(tmp_path, graph={"quantiles": quantiles}, measures=measures)
    lvef, lvedv, lvesv = predictor.predict(synthetic_ecg()).estimates
    assert lvef.core == PredictionInterval(35.0, 50.0, 0.5)
    assert lvedv.core is not None
    # A quarter of the way as factors: 120 to 100 and 120 to 160.
    assert lvedv.core.low == pytest.approx(120 * (100 / 120) ** 0.25, rel=1e-5)
    assert lvedv.core.high == pytest.approx(120 * (160 / 120) ** 0.25, rel=1e-5)
    assert lvesv.core is None


def test_an_input_unlike_the_training_data_is_told_or_refused(
    package: ModelPackage, predictor: Predictor
) -> None:
    ecg = synthetic_ecg()
    at = domain_features(prepare(ecg, PreprocessSpec())[0], 100.0)
    whitening = np.eye(len(at))[np.newaxis]
    states = []
    for away in (0.9, 1.1, 1.6):  # of the threshold
        domain = TrainingDomain(at[np.newaxis] + away * 2.0, whitening, threshold=2.0)
        prediction = Predictor(dataclasses.replace(package, domain=domain)).predict(ecg)
        states.append(prediction.state)
        codes = [reason.code for reason in prediction.reasons]
        assert codes == ([] if away < 1 else ["unlike_training_data"])
    assert states == list(ResultState)


def test_segments_lie_where_the_manifest_says(tmp_path: Path) -> None:
    edges_s = (0.0, *(0.25 + 0.5 * k for k in range(N_SEGMENTS - 1)), 10.0)
    segments = SegmentOutput(STANDARD_LEADS, N_SEGMENTS, (0.001, 1.0), edges_s)
    predictor = predictor_of(tmp_path, segments=segments)
    cells = predictor.predict(synthetic_ecg(duration_s=20.0), start_s=4.0).segment_variance
    assert cells is not None
    np.testing.assert_allclose(cells.edges_s, 4 + np.array(edges_s), rtol=1e-6)


def test_a_later_window(predictor: Predictor) -> None:
    ecg = synthetic_ecg(duration_s=20.0)
    prediction = predictor.predict(ecg, start_s=4.0)
    assert prediction.window_s == (4.0, 14.0)
    cells = prediction.segment_variance
    assert cells is not None
    assert (cells.edges_s[0], cells.edges_s[-1]) == (4.0, 14.0)
    cut = dataclasses.replace(ecg, signal_mv=ecg.signal_mv[:, 2000:7000])
    alone = predictor.predict(cut).segment_variance
    assert alone is not None
    np.testing.assert_array_equal(cells.variance, alone.variance)


def test_the_window_starts_on_a_sample(predictor: Predictor) -> None:
    prediction = predictor.predict(synthetic_ecg(100.0, 20.0), start_s=1.2345)
    assert prediction.window_s == pytest.approx((1.23, 11.23))


def test_repeating_and_threads_change_nothing(package: ModelPackage, predictor: Predictor) -> None:
    first = predictor.predict(synthetic_ecg()).segment_variance
    assert first is not None
    for other in (predictor, Predictor(package, n_threads=1), Predictor(package, n_threads=4)):
        again = other.predict(synthetic_ecg()).segment_variance
        assert again is not None
        np.testing.assert_array_equal(first.variance, again.variance)


def test_intervals_end_at_what_is_plausible(tmp_path: Path) -> None:
    measures = (MeasureOutput("lvef", 0.9, 40.0, log_space=False, n_calibration=100),)
    predictor = predictor_of(tmp_path, graph={"quantiles": QUANTILES[:1]}, measures=measures)
    (lvef,) = predictor.predict(synthetic_ecg()).estimates
    assert (lvef.interval.low, lvef.interval.high) == (10.0, 85.0)


def altered(ecg: Recording, row: int, value: float) -> Recording:
    signal = ecg.signal_mv.copy()
    signal[row] = value
    return dataclasses.replace(ecg, signal_mv=signal)


@pytest.mark.parametrize(
    ("recording", "code"),
    [
        (altered(synthetic_ecg(), 7, 0.0), "flat_lead"),
        (altered(synthetic_ecg(), 7, np.nan), "missing_samples"),
        (synthetic_ecg(duration_s=9.0), "too_short"),
        (synthetic_ecg(lead_names=STANDARD_LEADS[:11]), "missing_lead"),
        (synthetic_ecg(50.0), "rate_out_of_range"),
    ],
)
def test_refused_recordings_carry_no_numbers(
    predictor: Predictor, recording: Recording, code: str
) -> None:
    prediction = predictor.predict(recording)
    assert prediction.state is ResultState.NOT_REPORTABLE
    assert [reason.code for reason in prediction.reasons] == [code]
    assert prediction.estimates == prediction.findings == ()
    assert prediction.segment_variance is None
    assert prediction.recording_id == recording.recording_id
    assert prediction.window_s[1] <= recording.duration_s


def test_what_only_the_preprocessing_refuses(tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, input=PreprocessSpec(fs=100.0, band_hz=(0.5, 44.0)))
    strict = dataclasses.replace(
        predictor.package,
        manifest=dataclasses.replace(
            predictor.package.manifest,
            input=PreprocessSpec(fs=200.0, duration_s=5.0, band_hz=(0.5, 80.0)),
        ),
    )
    prediction = Predictor(strict).predict(synthetic_ecg(150.0))
    assert [reason.code for reason in prediction.reasons] == ["rate_too_low"]


LOG = math.log


@pytest.mark.parametrize(
    "quantiles",
    [
        ((2.0, 4.0, 6.0), *QUANTILES[1:]),
        ((80.0, 86.0, 90.0), *QUANTILES[1:]),
        (QUANTILES[0], (LOG(500), LOG(610), LOG(700)), QUANTILES[2]),
        (QUANTILES[0], (LOG(30), LOG(40), LOG(60)), QUANTILES[2]),
        ((30.0, 40.0, 50.0), *QUANTILES[1:]),
        ((math.nan, 58.0, 66.0), *QUANTILES[1:]),
        ((50.0, math.nan, 66.0), *QUANTILES[1:]),
        ((50.0, math.inf, 66.0), *QUANTILES[1:]),
        (QUANTILES[0], (LOG(90), 1000.0, 2000.0), QUANTILES[2]),
    ],
    ids=[
        "LVEF too low",
        "LVEF too high",
        "LVEDV too high",
        "LVESV above LVEDV",
        "LVEF against volumes",
        "no interval",
        "no value",
        "infinite",
        "overflow",
    ],
)
def test_impossible_outputs_are_withheld(tmp_path: Path, quantiles: Any) -> None:
    predictor = predictor_of(tmp_path, graph={"quantiles": quantiles})
    prediction = predictor.predict(synthetic_ecg())
    assert prediction.state is ResultState.NOT_REPORTABLE
    (reason,) = prediction.reasons
    assert (reason.code, reason.severity) == ("output_implausible", Severity.REFUSE)
    assert not any(character.isdigit() for character in reason.message)


def test_a_finding_without_a_number_is_withheld(tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, graph={"finding_logit": math.nan})
    assert predictor.predict(synthetic_ecg()).state is ResultState.NOT_REPORTABLE


# Self-test --------------------------------------------------------------------------------------


def test_self_test_passes_on_a_sound_package(predictor: Predictor) -> None:
    assert predictor.self_test() <= 1e-3


def spoil(package: ModelPackage, **golden: Any) -> ModelPackage:
    return dataclasses.replace(package, golden=package.golden | golden)


@pytest.mark.parametrize(
    "name", ["mean", "log_var", "segment_log_var", "quantiles", "finding_logits"]
)
@pytest.mark.parametrize("change", ["shift", "NaN", "shape"])
def test_self_test_finds_other_numbers(package: ModelPackage, name: str, change: str) -> None:
    array = package.golden[name].copy()
    if change == "shape":
        array = array[..., :-1]
    else:
        array.reshape(-1)[-1] = np.nan if change == "NaN" else array.reshape(-1)[-1] + 0.01
    with pytest.raises(PackageError) as caught:
        Predictor(spoil(package, **{name: array})).self_test()
    assert caught.value.code == "self_test_failed"


@pytest.mark.parametrize(
    "golden",
    [
        {"recording_signal_mv": np.zeros((12, 100), np.float32)},
        {"recording_signal_mv": np.zeros(5000, np.float32)},
        {"recording_signal_mv": np.array(["text"])},
        {"recording_fs": np.float64(0.0)},
        {"recording_fs": np.zeros(3)},
        {"quantiles": np.array([["a", "b", "c"]])},
    ],
)
def test_self_test_that_cannot_be_run(package: ModelPackage, golden: dict[str, Any]) -> None:
    with pytest.raises(PackageError) as caught:
        Predictor(spoil(package, **golden)).self_test()
    assert caught.value.code == "self_test_failed"


def test_graphs_that_do_not_load(package: ModelPackage) -> None:
    with pytest.raises(PackageError) as caught:
        Predictor(dataclasses.replace(package, graph=package.graph[:300]))
    assert caught.value.code == "bad_graph"


def test_graphs_with_other_outputs(package: ModelPackage) -> None:
    model = graph()
    del model.graph.output[0]
    with pytest.raises(PackageError) as caught:
        Predictor(dataclasses.replace(package, graph=model.SerializeToString()))
    assert caught.value.code == "bad_graph"


def test_graph_and_manifest_of_different_sizes(package: ModelPackage) -> None:
    model = graph(quantiles=QUANTILES[:2])
    predictor = Predictor(dataclasses.replace(package, graph=model.SerializeToString()))
    with pytest.raises(InferenceError) as caught:
        predictor.predict(synthetic_ecg())
    assert caught.value.code == "bad_outputs"
    with pytest.raises(PackageError):
        predictor.self_test()


# Cancelling -------------------------------------------------------------------------------------


def test_cancelled_before_it_begins(predictor: Predictor) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        predictor.predict(synthetic_ecg(), cancel)
    # The next one is not affected.
    assert predictor.predict(synthetic_ecg(), CancelToken()).estimates


def test_a_running_network_is_stopped(package: ModelPackage) -> None:
    # Hundreds of matrix products, tens of seconds together; stopped between two of them.
    slow = dataclasses.replace(package, graph=graph(n_slow_steps=600).SerializeToString())
    predictor = Predictor(slow, n_threads=1)
    cancel = CancelToken()
    begun = time.monotonic()
    timer = threading.Timer(1.0, cancel.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        predictor.predict(synthetic_ecg(), cancel)
    timer.join()
    assert 0.9 < time.monotonic() - begun < 8.0


# Nothing leaves, nothing stays ------------------------------------------------------------------

WATCHED_RUN = """
import os, sys
events = []
def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")):
        events.append((event, repr(arguments)))
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.mkdir", "os.rename"):
        events.append((event, repr(arguments)))
    elif event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            events.append((event, repr(path)))
sys.addaudithook(watch)
from pathlib import Path
from model_core.io import read_recording
from model_core.runtime.package import load_package
from model_core.runtime.predictor import Predictor
recording = read_recording(Path(sys.argv[1]))
predictor = Predictor(load_package(Path(sys.argv[2])))
predictor.self_test()
prediction = predictor.predict(recording)
assert prediction.estimates, prediction.reasons
banned = {"torch", "onnx", "scipy", "PySide6", "matplotlib", "aiohttp", "requests"}
events += [("import", name) for name in banned & set(sys.modules)]
print(events)
"""


def write_synthetic_record(folder: Path) -> Path:
    digital = np.round(synthetic_ecg().signal_mv * 1000).astype("<i2")
    (folder / "ecg.dat").write_bytes(np.ascontiguousarray(digital.T).tobytes())
    lines = [
        f"ecg.dat 16 1000/mV 16 0 {row[0]} {row.sum() % 65536} 0 " for row in digital.astype(int)
    ]
    named = [line + name for line, name in zip(lines, STANDARD_LEADS, strict=True)]
    header = folder / "ecg.hea"
    header.write_text("\n".join(["ecg 12 500 5000", *named]))
    return header


def test_predicting_writes_nothing_and_calls_nobody(tmp_path: Path) -> None:
    """In a fresh process with a fresh home: ONNX Runtime by itself would do both."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    for folder in (home, temporary, tmp_path / "data"):
        folder.mkdir()
    header = write_synthetic_record(tmp_path / "data")
    package = write_package(tmp_path / "package")
    before = sorted(path for path in tmp_path.rglob("*"))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "ORT_DISABLE_TELEMETRY" and not name.startswith("XDG_")
    }
    environment |= {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", WATCHED_RUN, str(header), str(package)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
    assert sorted(path for path in tmp_path.rglob("*")) == before
