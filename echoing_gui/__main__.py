"""Start of the program: puts window, controller and services together."""

from __future__ import annotations

import os

# Read by ONNX Runtime when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import multiprocessing
import sys

if sys.platform == "win32" and multiprocessing.parent_process() is None:
    # After Qt the DLLs of ONNX Runtime fail to load; elsewhere a worker imports it later.
    import onnxruntime  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from echoing_gui import resources


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments
        Of the command line, without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["predict"]:
        from echoing_gui import cli

        return cli.main(given)
    if given[:1] == ["audit"]:
        from echoing_gui import audit

        return audit.main(given)
    parser = _parser()
    options, more = parser.parse_known_args(given)
    if more:
        parser.error(
            f"not understood: {' '.join(more)}. The window opens one file; 'echoing predict' takes "
            "several."
        )
    if options.self_test:
        from echoing_gui.self_test import self_test

        return self_test(options.picture)
    from echoing_gui.wiring import run

    path = resources.demo_recording_path() if options.demo else options.file
    return run(path, options.startup_report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="echoing",
        description="Draws a 12-lead ECG to scale and estimates echo measures with intervals. "
        "Research use only. Not a medical device.",
        epilog="'echoing predict FILE...' prints predictions without a window; "
        "'echoing audit verify' checks the audit log.",
    )
    parser.add_argument("file", nargs="?", type=Path, help="ECG file to open")
    parser.add_argument("--demo", action="store_true", help="open the demonstration ECG")
    parser.add_argument(
        "--self-test", action="store_true", help="check the installation without a window and quit"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="with --self-test: keep the picture (PNG)"
    )
    parser.add_argument(
        "--startup-report",
        type=Path,
        metavar="FILE",
        help="write when window and first result appeared (JSON) and quit",
    )
    version = f"%(prog)s {resources.program_version()}"
    parser.add_argument("--version", action="version", version=version)
    return parser


if __name__ == "__main__":
    # The process that reads files is this very program, if it is frozen.
    multiprocessing.freeze_support()
    sys.exit(main())
