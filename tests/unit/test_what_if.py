"""Asking a model about an ECG with parts hidden, and a model with shuffled weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from scipy import stats

from echoing_gui.resources import default_package_path, demo_recording_path
from model_core.errors import Cancelled, CancelToken
from model_core.io import read_recording
from model_core.preprocess import prepare
from model_core.runtime.inquiry import Inquiry
from model_core.runtime.manifest import SegmentOutput
from model_core.runtime.package import ModelPackage, load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.randomise import randomised
from model_core.what_if import EMBEDDING, Masking, spearman
from tests.package_factory import N_SEGMENTS, contents, graph, synthetic_ecg, write_package


@pytest.fixture(scope="module")
def default() -> Predictor:
    return Predictor(load_package(default_package_path()))


@pytest.fixture(scope="module")
def demo():
    return read_recording(demo_recording_path())


@pytest.fixture(scope="module")
def simple(tmp_path_factory) -> Predictor:
    """Its embedding variance is the mean over leads of the mean square of the input."""
    return Predictor(load_package(write_package(tmp_path_factory.mktemp("simple") / "package")))


def nothing_hidden() -> np.ndarray:
    return np.zeros((12, N_SEGMENTS), dtype=bool)


def test_with_nothing_hidden_the_answer_is_the_prediction(default, demo):
    answer = Inquiry(default, demo).answer(nothing_hidden())
    prediction = default.predict(demo)
    assert answer.fault == ""
    assert answer.estimates == prediction.estimates
    assert answer.findings == prediction.findings
    assert answer.embedding_variance == prediction.embedding_variance
    assert (answer.segment_variance == prediction.segment_variance.variance).all()


def test_what_is_declared_missing_raises_the_variance_and_gives_no_segments(default, demo):
    inquiry = Inquiry(default, demo)
    if inquiry.masking is not Masking.MISSING:
        pytest.fail("the default package must be able to be told what is missing")
    whole = inquiry.answer()
    for hidden_leads in (slice(6, 12), slice(0, 6)):
        hidden = nothing_hidden()
        hidden[hidden_leads] = True
        answer = inquiry.answer(hidden)
        assert answer.embedding_variance > whole.embedding_variance
        assert (np.isnan(answer.segment_variance) == hidden).all()


def test_what_is_hidden_has_no_influence_whatever_stood_there(default, demo):
    hidden = nothing_hidden()
    hidden[7, 4:6] = True
    changed_mv = demo.signal_mv.copy()
    # Well inside: the band-pass filter before the network spreads what is changed.
    changed_mv[7, 1200:1250] += 0.001
    changed = dataclasses.replace(demo, signal_mv=changed_mv)
    spec = default.package.manifest.input
    inside = prepare(changed, spec)[0] - prepare(demo, spec)[0]
    assert np.abs(inside[7, 200:300]).max() > 1e-4  # or the test would prove nothing
    one, other = (Inquiry(default, each).answer(hidden) for each in (demo, changed))
    assert other.embedding_variance == pytest.approx(one.embedding_variance, rel=1e-3)
    assert other.estimates[0].value == pytest.approx(one.estimates[0].value, abs=0.05)


def test_a_network_that_cannot_be_told_gets_a_flat_line(simple):
    ecg = synthetic_ecg()
    inquiry = Inquiry(simple, ecg)
    assert inquiry.masking is Masking.FLAT
    hidden = nothing_hidden()
    hidden[4, 3] = hidden[5] = True
    flat = prepare(ecg, simple.package.manifest.input)[0].astype(np.float64)
    flat[4, 150:200] = flat[5] = 0
    answer = inquiry.answer(hidden)
    assert answer.embedding_variance == pytest.approx(np.square(flat).mean() + 1e-6, rel=1e-4)
    power = np.square(flat).reshape(12, N_SEGMENTS, 50).mean(2) + 1e-6
    assert answer.segment_variance == pytest.approx(power, rel=1e-3)


def test_everything_hidden_is_no_question(simple):
    with pytest.raises(ValueError, match="left for the model to see"):
        Inquiry(simple, synthetic_ecg()).answer(~nothing_hidden())


def test_occlusion_map_tells_what_each_cell_contributes(simple):
    ecg = synthetic_ecg()
    *before, last = Inquiry(simple, ecg).occlusion()
    shares = [each.share_done for each in (*before, last)]
    assert shares == sorted(set(shares))  # it grows with every report
    assert shares[-1] == 1
    energy = np.square(prepare(ecg, simple.package.manifest.input)[0].astype(np.float64))
    by_cell = energy.reshape(12, N_SEGMENTS, 50).sum(2)
    expected = -100 * by_cell / (energy.sum() + 12e-3)
    assert last.change(EMBEDDING) == pytest.approx(expected, abs=2e-3)
    assert (last.change("lvef") == 0).all()  # this network says the same of every ECG


def test_occlusion_map_can_be_cancelled(simple):
    token = CancelToken()
    steps = Inquiry(simple, synthetic_ecg()).occlusion(token)
    next(steps)
    token.cancel()
    with pytest.raises(Cancelled):
        next(steps)


def test_a_package_of_one_row_is_asked_about_whole_leads(tmp_path):
    model = graph()
    for node in model.graph.node:
        node.output[:] = ["rows" if name == "segment_log_var" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis_1"))
    model.graph.node.append(helper.make_node("ReduceMean", ["rows", "axis_1"], ["segment_log_var"]))
    shape = next(each for each in model.graph.output if each.name == "segment_log_var")
    shape.type.tensor_type.shape.dim[1].dim_value = 1
    files = contents(model, segments=SegmentOutput(("all",), N_SEGMENTS, (0.001, 1.0)))
    inquiry = Inquiry(
        Predictor(load_package(write_package(tmp_path / "package", files))), synthetic_ecg()
    )
    *_, last = inquiry.occlusion()
    assert last.change(EMBEDDING).shape == (12, 1)
    assert last.edges_s.tolist() == [0, 10]


def test_shuffled_weights_are_the_same_numbers_in_another_order():
    package = load_package(default_package_path())
    before, after = (
        {each.name: each for each in onnx.load_from_string(data).graph.initializer}
        for data in (package.graph, randomised(package, 0).graph)
    )
    assert before.keys() == after.keys()
    n_moved = 0
    for name, tensor in before.items():
        old, new = (numpy_helper.to_array(each) for each in (tensor, after[name]))
        if old.dtype != np.float32:
            assert (old == new).all()
        else:
            assert (np.sort(old, axis=None) == np.sort(new, axis=None)).all()
            n_moved += int(old.size > 100 and np.ptp(old) > 0 and (old != new).any())
    assert n_moved > 40


def test_the_map_of_shuffled_weights_is_another_one(default, demo):
    package = default.package
    assert randomised(package, 5).graph == randomised(package, 5).graph
    learnt = Inquiry(default, demo).answer().segment_variance
    shuffled = Inquiry(Predictor(randomised(package, 5)), demo).answer().segment_variance
    # Arends et al. and others ask for a similarity of at most 0.2; one seed may exceed it.
    assert abs(spearman(learnt, shuffled)) < 0.4


def test_a_graph_without_weights_is_not_shuffled(simple):
    model = helper.make_model(helper.make_graph([], "none", [], []))
    package = dataclasses.replace(simple.package, graph=model.SerializeToString())
    assert isinstance(package, ModelPackage)
    with pytest.raises(ValueError, match="no weights"):
        randomised(package, 0)


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlation_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 8, (12, 20)).astype(float)  # with ties
    second = first * rng.normal() + rng.normal(size=first.shape) * 3
    expected = stats.spearmanr(first.ravel(), second.ravel()).statistic
    assert spearman(first, second) == pytest.approx(expected, abs=1e-9)
    second[3, 4:9] = np.nan
    there = np.isfinite(second)
    expected = stats.spearmanr(first[there], second[there]).statistic
    assert spearman(first, second) == pytest.approx(expected, abs=1e-9)


def test_rank_correlation_of_nothing_is_no_number():
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert np.isnan(spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
