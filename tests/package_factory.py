"""Small model packages and ECGs made for tests: no training, every number known."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec, prepare
from model_core.prompts import Pair, Prompts, Sweep, prompts_json
from model_core.runtime.manifest import (
    FindingOutput,
    Manifest,
    MeasureOutput,
    Metric,
    Provenance,
    SegmentOutput,
    TextSide,
    Validation,
)
from model_core.runtime.package import OUTPUT_NAMES
from model_core.types import Recording, RecordingMetadata

N_SEGMENTS = 20
# Raw lower end, median and upper end: LVEF in %, then logarithms of LVEDV and LVESV in ml.
QUANTILES = (
    (50.0, 58.0, 66.0),
    (math.log(90.0), math.log(110.0), math.log(140.0)),
    (math.log(35.0), math.log(46.0), math.log(60.0)),
)


def synthetic_ecg(
    fs: float = 500.0, duration_s: float = 10.0, lead_names: Sequence[str] = STANDARD_LEADS
) -> Recording:
    """An ECG at 72 beats a minute that fulfils the limb lead relations.

    R wave of lead II: 1.0 mV. Every standard lead differs from every other.
    """
    time_s = np.arange(round(fs * duration_s)) / fs
    to_beat_s = (time_s + 0.4) % (60 / 72) - 0.4

    def wave(centre_s: float, width_s: float) -> NDArray[np.float64]:
        return np.exp(-0.5 * ((to_beat_s - centre_s) / width_s) ** 2)

    p, r, s, t = wave(-0.16, 0.02), wave(0.0, 0.012), wave(0.03, 0.012), wave(0.25, 0.04)
    one = 0.10 * p + 0.7 * r - 0.1 * s + 0.20 * t
    two = 0.15 * p + 1.0 * r - 0.2 * s + 0.30 * t
    leads = {
        "I": one,
        "II": two,
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    for number in range(1, 7):
        leads[f"V{number}"] = 0.05 * p + 0.25 * number * r - (1.4 - 0.2 * number) * s + 0.3 * t
    return Recording(
        recording_id="synthetic",
        signal_mv=np.stack([leads[name] for name in lead_names]).astype(np.float32),
        fs=fs,
        lead_names=tuple(lead_names),
        source_name="synthetic.hea",
        metadata=RecordingMetadata(age_y=60.0),
    )


def graph(
    quantiles: Sequence[Sequence[float]] = QUANTILES,
    finding_logit: float = -2.0,
    n_slow_steps: int = 0,
    domain: str = "",
) -> onnx.ModelProto:
    """A network whose quantiles and logit are constants, whatever the ECG.

    Its segment variance is the mean square of the input in each lead and segment. With
    `n_slow_steps` it multiplies large matrices on the way, some 50 ms each.
    """
    constants = {
        "shape_tiles": np.array([0, 12, N_SEGMENTS, -1], dtype=np.int64),
        "shape_quantiles": np.array([-1, len(quantiles), 3], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "axis_3": np.array([3], dtype=np.int64),
        "small": np.array(1e-6, dtype=np.float32),
        "zeros_q": np.zeros((12, 3 * len(quantiles)), dtype=np.float32),
        "zeros_f": np.zeros((12, 1), dtype=np.float32),
        "bias_q": np.array(quantiles, dtype=np.float32).reshape(-1),
        "bias_f": np.array([finding_logit], dtype=np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Mul", ["ecg", "ecg"], ["square"]),
        node("ReduceMean", ["square", "axis_2"], ["power"], keepdims=0),
        node("Sqrt", ["power"], ["mean_raw"], domain=domain),
        node("Add", ["power", "small"], ["power_positive"]),
        node("Log", ["power_positive"], ["log_var"]),
        node("Reshape", ["square", "shape_tiles"], ["tiles"]),
        node("ReduceMean", ["tiles", "axis_3"], ["tile_power"], keepdims=0),
        node("Add", ["tile_power", "small"], ["tile_power_positive"]),
        node("Log", ["tile_power_positive"], ["segment_log_var"]),
        node("MatMul", ["mean_raw", "zeros_q"], ["no_q"]),
        node("Add", ["no_q", "bias_q"], ["flat_q"]),
        node("Reshape", ["flat_q", "shape_quantiles"], ["quantiles"]),
        node("MatMul", ["mean_raw", "zeros_f"], ["no_f"]),
        node("Add", ["no_f", "bias_f"], ["finding_logits"]),
        node("Transpose", ["ecg"], ["columns"], perm=[0, 2, 1]),
        node("MatMul", ["columns", "ecg"], ["slow_0"]),
    ]
    for step in range(n_slow_steps):
        nodes += [
            node("MatMul", [f"slow_{step}", f"slow_{step}"], [f"product_{step}"]),
            node("Tanh", [f"product_{step}"], [f"slow_{step + 1}"]),
        ]
    nodes += [
        node("ReduceMax", [f"slow_{n_slow_steps}", "axis_2"], ["slow_max"], keepdims=0),
        node("ReduceMax", ["slow_max"], ["slow_number"], keepdims=0),
        node("Min", ["slow_number", "small"], ["slow_small"]),
        node("Add", ["mean_raw", "slow_small"], ["mean"]),
    ]
    shapes: dict[str, list[Any]] = {
        "mean": ["batch", 12],
        "log_var": ["batch", 12],
        "segment_log_var": ["batch", 12, N_SEGMENTS],
        "quantiles": ["batch", len(quantiles), 3],
        "finding_logits": ["batch", 1],
    }
    opsets = [helper.make_opsetid("", 18)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "student",
            [helper.make_tensor_value_info("ecg", TensorProto.FLOAT, ["batch", 12, 1000])],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=opsets,
    )
    model.ir_version = 10
    return model


def manifest(**changes: Any) -> Manifest:
    """A valid manifest without files."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "name": "test student",
        "version": "1.2",
        "created": "2025-01-01T00:00:00Z",
        "architecture": "test",
        "demonstration": True,
        "caveat": "Demonstration model: made for tests.",
        "input": PreprocessSpec(),
        "measures": (
            MeasureOutput("lvef", 0.9, 2.0, log_space=False, n_calibration=100, core_share=0.5),
            MeasureOutput("lvedv", 0.9, 0.1, log_space=True, n_calibration=100),
            MeasureOutput("lvesv", 0.9, 0.1, log_space=True, n_calibration=100),
        ),
        "findings": (FindingOutput("lvef_below_40", 1.5, 0.5, n_calibration=100),),
        "segments": SegmentOutput(STANDARD_LEADS, N_SEGMENTS, (0.001, 1.0)),
        "cohort": "none",
        "metrics": (Metric("LVEF mean absolute error", 9.0, 8.0, 10.0, "%", "none"),),
        "intended_use": "tests",
        "limits": ("says the same of every ECG",),
        "licence": "Apache-2.0",
        "provenance": Provenance("none", "0" * 64, "0.0", {"none": "0" * 64}, 1),
        "files": {},
        "validation": (
            Validation("lvef", (10.0, 45.0, 80.0), (3, 7), 8, (0.9, 0.8, 1.0), (0.5, 0.3, 0.7)),
        ),
    }
    return Manifest(**(values | changes))


def contents(model: onnx.ModelProto | None = None, **changes: Any) -> dict[str, bytes]:
    """Files of a valid model package, by name; its golden outputs come from ONNX Runtime."""
    serialised = (model or graph()).SerializeToString()
    golden = synthetic_ecg()
    ecg = prepare(golden, PreprocessSpec())
    session: Any = onnxruntime.InferenceSession(serialised, providers=["CPUExecutionProvider"])
    outputs = dict(zip(OUTPUT_NAMES, session.run(list(OUTPUT_NAMES), {"ecg": ecg}), strict=True))
    files = {
        "student.onnx": serialised,
        "golden.npz": npz(
            recording_signal_mv=golden.signal_mv, recording_fs=np.float64(golden.fs), **outputs
        ),
        "MODEL_CARD.md": b"# Test student\n",
    }
    return files | {"manifest.json": manifest_for(files, **changes)}


WORDS = ("<pad>", "<unknown>", "function", "is", "normal", "poor", "lvef", *map(str, range(101)))
TEXT_SIDE = TextSide("echo", "Echo report", "Made for tests.", "words", 5, 4.0, 3.0)
TEXT_PROMPTS = Prompts(
    {"lvef": Sweep("lvef", "%", 10, 80, 1, ("LVEF is {value}.",), "own")},
    {"poor": Pair("poor", ("Function is poor.",), ("Function is normal.",), "own")},
)


def word_table() -> NDArray[np.float32]:
    """What stands for each word in the space of the student, (words, 12)."""
    table = np.random.default_rng(5).normal(scale=0.2, size=(len(WORDS), 12))
    # Numbers lie along a line, so that near values are near sentences.
    table[7:] = np.linspace(-1, 1, 101)[:, None]
    return table.astype(np.float32)


def text_graph() -> onnx.ModelProto:
    """A text encoder: the mean of its words' rows, and a log variance of -4 throughout."""
    node = helper.make_node
    constants = {
        "table": word_table(),
        "axis_1": np.array([1], dtype=np.int64),
        "zero": np.array(0, dtype=np.float32),
        "four": np.array(-4, dtype=np.float32),
    }
    nodes = [
        node("Gather", ["table", "token_ids"], ["rows"]),
        node("ReduceMean", ["rows", "axis_1"], ["mean"], keepdims=0),
        node("Mul", ["mean", "zero"], ["zeros"]),
        node("Add", ["zeros", "four"], ["log_var"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "text",
            [helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "tokens"])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 12])
                for name in ("mean", "log_var")
            ],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    model.ir_version = 10
    return model


def text_contents(side: TextSide = TEXT_SIDE, **changes: bytes) -> dict[str, bytes]:
    """Files of a valid model package with a text side, by name, or with some of them changed."""
    files = {name: data for name, data in contents().items() if name != "manifest.json"}
    first = [WORDS.index(word) for word in ("lvef", "is", "10")]
    golden = dict(np.load(io.BytesIO(files["golden.npz"])))
    golden["text_echo_mean"] = word_table()[first].mean(0, keepdims=True)
    golden["text_echo_log_var"] = np.full((1, 12), -4, dtype=np.float32)
    files |= {
        "golden.npz": npz(**golden),
        side.graph_name: text_graph().SerializeToString(),
        side.vocabulary_name: ("\n".join(WORDS) + "\n").encode(),
        side.prompts_name: prompts_json(TEXT_PROMPTS).encode(),
    }
    files |= {name.replace("_dot_", "."): data for name, data in changes.items()}
    return files | {"manifest.json": manifest_for(files, texts=(side,))}


def manifest_for(files: dict[str, bytes], **changes: Any) -> bytes:
    """Manifest naming `files` with their true hashes."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return dataclasses.replace(manifest(**changes), files=hashes).to_json().encode()


def npz(**arrays: Any) -> bytes:
    """Arrays as an npz file in memory."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def write_package(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write the files of a model package, by default a valid one, into a new folder."""
    folder.mkdir(parents=True)
    for name, data in (contents() if files is None else files).items():
        (folder / name).write_bytes(data)
    return folder
