"""From trained networks to a model package: a folder with graph, manifest and golden numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_core.domain import TrainingDomain, domain_arrays
from model_core.errors import EchoingError
from model_core.nn import MeasureHeads, Student, ZeroShotHeads
from model_core.prompts import Prompts, prompts_json
from model_core.runtime.manifest import Manifest, TextSide
from model_core.runtime.package import KEEP_NAME, TextPart
from model_core.runtime.text import TEXT_OUTPUTS, TextEncoder
from model_core.tokens import Splitting, Tokenizer, by_length

OUTPUT_NAMES = ("mean", "log_var", "segment_log_var", "quantiles", "finding_logits")
OPSET = 18
PARITY_TOLERANCE = 1e-3
TEXT_PARITY_TOLERANCE = 1e-5
_TEXTS_AT_ONCE = 32
MIN_PARITY_INPUTS = 100
_EXPORT_PREFIX = "output_"


@dataclass(frozen=True, eq=False)
class TextExport:
    """A text side to be written.

    Attributes
    ----------
    side
        What the manifest says of it.
    encoder
        In evaluation mode; from token ids (batch, tokens) to mean and log variance, (batch,
        embedding) each.
    vocabulary
        Words or pieces in the order of their numbers.
    prompts
        Sentences that it was made for.
    """

    side: TextSide
    encoder: nn.Module
    vocabulary: Sequence[str]
    prompts: Prompts


class PackageModel(nn.Module):
    """Student and heads as one network with the outputs that a model package promises."""

    def __init__(self, student: Student, heads: MeasureHeads | ZeroShotHeads) -> None:
        super().__init__()
        self.student = student
        self.heads = heads

    def forward(
        self, ecg: Tensor, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Give the outputs in the order of `OUTPUT_NAMES`; shapes as in `Manifest`.

        `keep` is (leads, segments), the same for the whole batch.
        """
        embedding = self.student(ecg, None if keep is None else keep[None])
        estimates = self.heads(embedding.mean_bd, embedding.log_var_bd)
        return (
            embedding.mean_bd,
            embedding.log_var_bd,
            embedding.segment_log_var_brt,
            estimates.quantiles_bm3,
            estimates.finding_logits_bf,
        )


def export_onnx(model: PackageModel, example_bls: Tensor) -> bytes:
    """Serialise as ONNX with standard operators, a free batch axis and nothing machine-specific.

    Where the student takes single segments, the graph has an optional input ``keep``: an
    initialiser of all true that a caller may override.

    Parameters
    ----------
    model
        In evaluation mode.
    example_bls
        Two or more inputs of the right shape.

    Raises
    ------
    EchoingError
        If the graph uses operators outside the ONNX standard.
    """
    example: tuple[Tensor, ...] = (example_bls,)
    shapes: dict[str, Any] = {"ecg": {0: torch.export.Dim("batch", min=1, max=4096)}}
    if model.student.takes_segments:
        rows, n_segments = len(model.student.row_names), model.student.n_segments
        example += (torch.ones(rows, n_segments, dtype=torch.bool),)
        shapes[KEEP_NAME] = None
    return _onnx_bytes(model, example, shapes, OUTPUT_NAMES)


def export_text_onnx(encoder: nn.Module, max_tokens: int) -> bytes:
    """Serialise a text encoder as `TextSide` has it, as `export_onnx` does a student.

    Parameters
    ----------
    encoder
        In evaluation mode; from token ids (batch, tokens) to mean and log variance.
    max_tokens
        The longest sentence.

    Raises
    ------
    EchoingError
        If the graph uses operators outside the ONNX standard.
    """
    shapes = {
        "token_ids": {
            0: torch.export.Dim("batch", min=1, max=4096),
            1: torch.export.Dim("tokens", min=1, max=max_tokens),
        }
    }
    # Sizes that the exporter cannot take for constants.
    example = torch.full((3, min(7, max_tokens)), 2, dtype=torch.int64)
    return _onnx_bytes(encoder, (example,), shapes, TEXT_OUTPUTS)


def _onnx_bytes(
    model: nn.Module, example: tuple[Tensor, ...], shapes: dict[str, Any], outputs: tuple[str, ...]
) -> bytes:
    """Export; inputs after the first become initialisers that a caller may override."""
    import onnx

    checker, exporter = cast("Any", onnx.checker), cast("Any", torch.onnx)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # The exporter warns of its own internals.
        warnings.simplefilter("ignore")
        program = exporter.export(
            model,
            example,
            input_names=list(shapes),
            output_names=[_EXPORT_PREFIX + name for name in outputs],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise EchoingError("The network cannot be written as ONNX.", code="export_failed")
    graph_model = program.model_proto
    _clean(graph_model, outputs)
    for everything in example[1:]:
        tensor = cast("Any", onnx.numpy_helper).from_array(everything.numpy(), KEEP_NAME)
        graph_model.graph.initializer.append(tensor)
    odd = {node.domain for node in graph_model.graph.node} - {"", "ai.onnx"}
    if odd or graph_model.functions:
        raise EchoingError(
            f"The graph uses operators outside the ONNX standard: {', '.join(sorted(odd))}.",
            code="export_failed",
        )
    checker.check_model(graph_model, full_check=True)
    return graph_model.SerializeToString()


def _clean(graph_model: Any, outputs: tuple[str, ...]) -> None:  # noqa: ANN401 - no types
    """Drop stack traces and file names, and give the outputs their final names."""
    graph = graph_model.graph
    graph_model.doc_string = graph.doc_string = ""
    values = (*graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for holder in (graph_model, graph, *graph.node, *values):
        del holder.metadata_props[:]
    # The exporter names inner values after operators, so "mean" may be taken already.
    names = {name: f"inner_{name}" for name in outputs}
    names.update({_EXPORT_PREFIX + name: name for name in outputs})
    for value in values:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.doc_string = ""
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def run_onnx(onnx_bytes: bytes, ecg_bls: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Run the graph on ONNX Runtime; outputs by name."""
    import onnxruntime as untyped  # pyright: ignore[reportMissingTypeStubs]

    onnxruntime = cast("Any", untyped)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # It warns that an optional input is no constant, which is what it is for.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    outputs = session.run(list(OUTPUT_NAMES), {"ecg": ecg_bls})
    return dict(zip(OUTPUT_NAMES, outputs, strict=True))


def parity_error(
    model: PackageModel, onnx_bytes: bytes, ecg_bls: NDArray[np.float32]
) -> dict[str, float]:
    """Largest absolute difference between torch and ONNX Runtime, for each output."""
    with torch.no_grad():
        expected = model(torch.tensor(ecg_bls))
    found = run_onnx(onnx_bytes, ecg_bls)
    return {
        name: float(np.abs(found[name] - values.numpy()).max())
        for name, values in zip(OUTPUT_NAMES, expected, strict=True)
    }


def write_package(
    folder: Path,
    model: PackageModel,
    manifest: Manifest,
    *,
    model_card: str,
    golden_signal_mv: NDArray[np.float32],
    golden_fs: float,
    golden_input_bls: NDArray[np.float32],
    parity_inputs_bls: NDArray[np.float32],
    domain: TrainingDomain | None = None,
    texts: Sequence[TextExport] = (),
) -> Manifest:
    """Write a model package, replacing the folder only when everything is right.

    Parameters
    ----------
    folder
        Where the package goes; its parent must exist.
    model
        In evaluation mode.
    manifest
        With `files` and `texts` still empty.
    model_card
        Markdown.
    golden_signal_mv, golden_fs, golden_input_bls
        A recording (leads, samples) in mV, its sampling frequency in Hz, and the network's input
        that it prepares to; stored with the outputs for the self-test.
    parity_inputs_bls
        At least 100 inputs on which torch and ONNX Runtime must agree to 1e-3.
    domain
        What the training data look like; None where they are not at hand.
    texts
        Text sides in the space of the student.

    Returns
    -------
    Manifest
        As written, with the hashes of the files.

    Raises
    ------
    EchoingError
        If the export is not faithful.
    """
    if len(parity_inputs_bls) < MIN_PARITY_INPUTS:
        raise EchoingError(
            f"The export is checked on at least {MIN_PARITY_INPUTS} inputs, "
            f"got {len(parity_inputs_bls)}.",
            code="export_failed",
        )
    onnx_bytes = export_onnx(model, torch.tensor(parity_inputs_bls[:2]))
    errors = parity_error(model, onnx_bytes, parity_inputs_bls)
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= PARITY_TOLERANCE:
        raise EchoingError(
            f"The exported graph differs from the network by {errors[worst]:.2g} in {worst}.",
            code="export_not_faithful",
        )
    golden = run_onnx(onnx_bytes, golden_input_bls)
    recorded = {"recording_signal_mv": golden_signal_mv, "recording_fs": np.array(golden_fs)}
    contents = {"student.onnx": onnx_bytes, "MODEL_CARD.md": model_card.encode()}
    for text in texts:
        files, numbers = _text_files(text)
        contents |= files
        golden |= numbers
    contents["golden.npz"] = _npz(recorded | golden)
    if domain is not None:
        contents["domain.npz"] = _npz(domain_arrays(domain))
    files = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    sides = tuple(text.side for text in texts)
    complete = dataclasses.replace(manifest, files=files, texts=sides)
    contents["manifest.json"] = complete.to_json().encode()
    _replace_folder(folder, contents)
    return complete


def _text_files(text: TextExport) -> tuple[dict[str, bytes], dict[str, NDArray[Any]]]:
    """Files of a text side, and its golden numbers; every sentence of its table is compared."""
    side = text.side
    graph = export_text_onnx(text.encoder, side.max_tokens)
    tokenizer = Tokenizer(text.vocabulary, Splitting(side.splitting), side.max_tokens)
    texts = text.prompts.texts
    rows = [tokenizer(each).numbers for each in texts]
    expected: dict[int, tuple[NDArray[Any], ...]] = {}
    with torch.no_grad():
        for same in by_length(rows, _TEXTS_AT_ONCE):
            outputs = text.encoder(torch.tensor([rows[at] for at in same]))
            expected |= zip(
                same, zip(*(part.numpy() for part in outputs), strict=True), strict=True
            )
    golden = expected[0][0][None], expected[0][1][None]
    found = TextEncoder(TextPart(side, graph, tokenizer, text.prompts, golden)).encode(texts)
    for which, name in enumerate(TEXT_OUTPUTS):
        wanted = np.stack([expected[at][which] for at in range(len(texts))])
        error = float(np.abs(found[which] - wanted).max())
        if not error <= TEXT_PARITY_TOLERANCE:
            raise EchoingError(
                f"The exported text encoder differs from the network by {error:.2g} in {name}.",
                code="export_not_faithful",
            )
    files = {
        side.graph_name: graph,
        side.vocabulary_name: ("\n".join(text.vocabulary) + "\n").encode(),
        side.prompts_name: prompts_json(text.prompts).encode(),
    }
    return files, dict(zip(side.golden_names, golden, strict=True))


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _replace_folder(folder: Path, contents: dict[str, bytes]) -> None:
    """Never leave half a package: write beside it, then swap."""
    fresh = folder.with_name(folder.name + ".new")
    old = folder.with_name(folder.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, data in contents.items():
        (fresh / name).write_bytes(data)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
