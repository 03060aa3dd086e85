"""From networks to a model package."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from model_core import export
from model_core.errors import EchoingError
from model_core.nn import MeasureHeads, create_student


@pytest.fixture(scope="module")
def model() -> export.PackageModel:
    torch.manual_seed(0)
    student = create_student("lead_token", patch_width=32, width=32, n_blocks=1, embedding_dim=16)
    heads = MeasureHeads(16, [60.0, 4.6, 3.7], [10.0, 0.4, 0.6], 1)
    return export.PackageModel(student, heads).eval()


@pytest.fixture(scope="module")
def graph(model: export.PackageModel) -> bytes:
    return export.export_onnx(model, torch.randn(2, 12, 1000))


@pytest.fixture(scope="module")
def ecg() -> np.ndarray:
    signals = np.random.default_rng(1).normal(size=(100, 12, 1000)).astype(np.float32)
    signals[:10] *= 30  # far outside of what training sees
    signals[10:12] = 0
    return signals


def test_onnx_equals_torch(model: export.PackageModel, graph: bytes, ecg: np.ndarray) -> None:
    errors = export.parity_error(model, graph, ecg)
    assert set(errors) == set(export.OUTPUT_NAMES)
    assert max(errors.values()) <= 1e-3


@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_size(graph: bytes, ecg: np.ndarray, batch: int) -> None:
    shapes = {k: v.shape for k, v in export.run_onnx(graph, ecg[:batch]).items()}
    assert shapes == {
        "mean": (batch, 16),
        "log_var": (batch, 16),
        "segment_log_var": (batch, 12, 20),
        "quantiles": (batch, 3, 3),
        "finding_logits": (batch, 1),
    }


def test_nothing_of_the_training_machine_is_inside(graph: bytes) -> None:
    for trace in (b".py", b"site-packages", b"pkg.torch", b"/home", b"/root"):
        assert trace not in graph


def test_an_unfaithful_graph_is_not_written(
    model: export.PackageModel,
    graph: bytes,
    ecg: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path,
) -> None:
    def other_graph(*_: object) -> bytes:
        return graph

    monkeypatch.setattr(export, "export_onnx", other_graph)
    torch.manual_seed(9)
    changed = export.PackageModel(
        create_student("lead_token", patch_width=32, width=32, n_blocks=1, embedding_dim=16),
        model.heads,
    ).eval()
    with pytest.raises(EchoingError, match="differs from the network"):
        export.write_package(
            tmp_path / "package",
            changed,
            None,  # pyright: ignore[reportArgumentType] - it must fail before
            model_card="",
            golden_signal_mv=np.zeros((12, 5000), np.float32),
            golden_fs=500.0,
            golden_input_bls=ecg[:1],
            parity_inputs_bls=ecg,
        )
    assert not (tmp_path / "package").exists()


def test_too_few_parity_inputs_are_refused(
    model: export.PackageModel, ecg: np.ndarray, tmp_path
) -> None:
    with pytest.raises(EchoingError, match="at least 100"):
        export.write_package(
            tmp_path / "package",
            model,
            None,  # pyright: ignore[reportArgumentType] - it must fail before
            model_card="",
            golden_signal_mv=np.zeros((12, 5000), np.float32),
            golden_fs=500.0,
            golden_input_bls=ecg[:1],
            parity_inputs_bls=ecg[:99],
        )


def run_with(graph: bytes, ecg: np.ndarray, keep: np.ndarray) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["ecg"]  # the other one is optional
    outputs = session.run(list(export.OUTPUT_NAMES), {"ecg": ecg, "keep": keep})
    return {
        str(name): np.asarray(output)
        for name, output in zip(export.OUTPUT_NAMES, outputs, strict=True)
    }


def test_a_missing_segment_enters_nothing_and_has_infinite_variance(
    graph: bytes, ecg: np.ndarray
) -> None:
    keep = np.ones((12, 20), dtype=bool)
    keep[3, 4] = keep[:, 9] = False
    whole = export.run_onnx(graph, ecg[20:22])
    some = run_with(graph, ecg[20:22], keep)
    assert (np.isinf(some["segment_log_var"]) == ~keep).all()
    # What was said of other segments, and all else, stays a number.
    assert all(np.isfinite(v).all() for k, v in some.items() if k != "segment_log_var")
    assert (some["log_var"].mean(1) > whole["log_var"].mean(1)).all()
    same = run_with(graph, ecg[20:22], np.ones_like(keep))
    assert all((same[name] == whole[name]).all() for name in export.OUTPUT_NAMES)


def test_leads_declared_missing_in_the_graph_are_those_of_the_network(
    model: export.PackageModel, graph: bytes, ecg: np.ndarray
) -> None:
    keep = torch.ones(1, 12, dtype=torch.bool)
    keep[0, [2, 7]] = False
    with torch.no_grad():
        embedding = model.student(torch.tensor(ecg[30:32]), keep)
    found = run_with(graph, ecg[30:32], keep[0, :, None].expand(-1, 20).numpy())
    assert np.abs(found["mean"] - embedding.mean_bd.numpy()).max() < 1e-5
    assert np.abs(found["log_var"] - embedding.log_var_bd.numpy()).max() < 1e-4
