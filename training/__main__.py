"""`echoing-train`: makes model packages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_core.errors import EchoingError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="echoing-train", description="Train, evaluate and export a model package."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data", type=Path, required=True, help="folder that holds PTB-XL in its subfolder ptbxl"
    )
    shared.add_argument(
        "--out", type=Path, required=True, help="folder for the model package; replaced"
    )
    shared.add_argument("--runs", type=Path, help="folder for the run's own files")
    shared.add_argument("--page", type=Path, help="Markdown page to write the figures to")
    shared.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    commands.add_parser(
        "reproduce-default",
        parents=[shared],
        help="all stages with the settings of the package that ships with the program",
    )
    recipe = argparse.ArgumentParser(add_help=False)
    recipe.add_argument(
        "--recipe", choices=("debug", "quick", "default"), default="default", help="settings"
    )
    commands.add_parser("run", parents=[shared, recipe], help="all stages of a recipe")
    for name, what in (
        ("cohort", "read PTB-XL, simulate outcomes, virtual patients, clips and reports"),
        ("teacher", "train the image-text teacher"),
        ("distill", "distil the teacher into the student"),
        ("finetune", "train the heads"),
        ("calibrate", "calibrate intervals and probabilities on fold 9"),
        ("evaluate", "measure everything on fold 10"),
        ("export", "write the model package"),
    ):
        commands.add_parser(name, parents=[shared, recipe], help=f"one stage: {what}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 if it failed in an expected way."""
    options = _parser().parse_args(arguments)
    try:
        # After parsing, so that --help does not wait for torch.
        from training import stages
        from training.recipes import RECIPES
    except ModuleNotFoundError as error:
        print(
            f"Training needs the package {error.name}, which is not installed: "
            "pip install 'echoing-ecg[train]'.",
            file=sys.stderr,
        )
        return 1

    name = "default" if options.command == "reproduce-default" else options.recipe
    run = stages.Run(
        config=RECIPES[name](),
        data=options.data,
        folder=options.runs or Path("runs") / name,
        out=options.out,
        page=options.page or _default_page(options.command),
        workers=options.workers,
    )
    try:
        if options.command in stages.STAGES:
            if not stages.run_stage(run, options.command):
                print(f"The stage {options.command!r} is done already for these settings.")
        else:
            stages.reproduce(run)
            print(f"The model package is in {run.out}.")
    except EchoingError as error:
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


def _default_page(command: str) -> Path | None:
    """Find the documentation's page, if this is the default model made in a checkout."""
    page = Path("docs/default-model.md")
    return page if command == "reproduce-default" and page.parent.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
