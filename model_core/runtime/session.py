"""Opening a network of a model package with ONNX Runtime."""

from __future__ import annotations

import os
from typing import Any, cast

from model_core.errors import Cancelled, CancelToken, InferenceError, PackageError
from model_core.wording import say


def open_session(graph: bytes, n_threads: int | None = None) -> Any:  # noqa: ANN401 - untyped
    """Make an ``InferenceSession`` on the processor, which takes part of a second.

    Parameters
    ----------
    graph
        A serialised ONNX model.
    n_threads
        Threads of a run; by default one core is left to the window.

    Raises
    ------
    PackageError
        If ONNX Runtime cannot load the network.
    """
    # Read at import: from 1.29 on ONNX Runtime otherwise writes a device id and an event
    # queue to the home folder and sends them.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as untyped  # pyright: ignore[reportMissingTypeStubs]

    onnxruntime = cast("Any", untyped)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads or max(1, (os.cpu_count() or 1) - 1)
    options.inter_op_num_threads = 1
    # Spinning threads cost others more than they gain here: 74 ms a run under load against 39.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises bare kinds of its own
        raise PackageError(
            say("The network of the model package cannot be loaded."),
            hint=say("Install the model package again."),
            code="bad_graph",
        ) from error


def check_names(session: Any, inputs: list[str], outputs: tuple[str, ...]) -> None:  # noqa: ANN401
    """Refuse a network with other inputs, or without some outputs.

    Raises
    ------
    PackageError
        If it is such a network.
    """
    found = {node.name for node in session.get_outputs()}
    if [node.name for node in session.get_inputs()] != inputs or not found.issuperset(outputs):
        raise PackageError(
            say("The network of the model package has other inputs or outputs than agreed."),
            hint=say("Install a model package made for this version of the program."),
            code="bad_graph",
        )


def run(
    session: Any,  # noqa: ANN401
    outputs: tuple[str, ...],
    inputs: dict[str, Any],
    cancel: CancelToken,
) -> list[Any]:
    """Run a network until it is done or cancelled.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    InferenceError
        If the network itself fails.
    """
    import onnxruntime as untyped  # pyright: ignore[reportMissingTypeStubs]

    # One that was terminated stays so.
    run_options = cast("Any", untyped).RunOptions()
    cancel.on_cancel(lambda: setattr(run_options, "terminate", True))
    try:
        return session.run(list(outputs), inputs, run_options)
    except Exception as error:  # ONNX Runtime raises bare kinds of its own
        if cancel.cancelled:
            raise Cancelled from error
        raise InferenceError(
            say("The model failed while it was running."),
            hint=say("Try again; if it happens again, install the model package again."),
            code="run_failed",
        ) from error
