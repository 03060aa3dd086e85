"""`import-published`: a model package from the files that the authors of EchoingECG released."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import EchoingError

if TYPE_CHECKING:
    from training.commands import Commands


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import-published",
        help="make a model package of the published EchoingECG weights",
        description=(
            "Make a model package of the files that the authors of EchoingECG released. They are "
            "under CC BY-NC-ND 4.0, and so is the package: no commercial use, do not pass it on. "
            "Nothing in the files is run."
        ),
    )
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="echoingecg.pt")
    parser.add_argument("--scaler", type=Path, required=True, metavar="FILE", help="ecg_scaler.pkl")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, metavar="DIR", help="folder with vocab.txt"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PACKAGE", help="folder to make")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="TABLE",
        help="CSV of labelled ECGs: path, patient, and lvef, lvedv or lvesv",
    )
    parser.add_argument(
        "--ecg-root", type=Path, metavar="DIR", help="folder that the table's paths start from"
    )
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="other sentences to read by")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from training.import_published import ReleasedFiles, import_published
    from training.labelled_ecgs import LabelledEcgs

    if (options.calibration is None) != (options.ecg_root is None):
        raise EchoingError("--calibration and --ecg-root go together.", code="bad_option")
    labelled = LabelledEcgs(options.calibration, options.ecg_root) if options.calibration else None
    files = ReleasedFiles(options.weights, options.scaler, options.tokenizer)
    manifest = import_published(files, options.out, labelled, options.prompts)
    print(f"{options.out}: {manifest.name} {manifest.version}. {manifest.cohort}")
    print(manifest.licence)
    return 0
