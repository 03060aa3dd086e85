"""`reproduce-default`, `run` and the single stages of a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import EchoingError

if TYPE_CHECKING:
    from training.commands import Commands

STAGES = (
    ("cohort", "read PTB-XL, simulate outcomes, virtual patients, clips and reports"),
    ("teacher", "train the image-text teacher"),
    ("distill", "distil the teacher into the student"),
    ("finetune", "train student and heads on measures"),
    ("calibrate", "calibrate intervals and probabilities on patients kept for it"),
    ("baselines", "train what the model is compared with"),
    ("evaluate", "measure everything on the test patients"),
    ("export", "write the model package"),
)


def register(commands: Commands) -> None:
    """Add the commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder that holds PTB-XL in its subfolder ptbxl, unless the run has a cohort of "
        "archives (default: data)",
    )
    shared.add_argument(
        "--out", type=Path, help="folder for the model package; replaced (default: RUN/package)"
    )
    shared.add_argument("--runs", type=Path, help="folder for the run's own files (RUN)")
    shared.add_argument("--page", type=Path, help="Markdown page to write the figures to")
    shared.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    shared.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="of the networks while they train (default: bf16 if the hardware has it, else fp32)",
    )
    shared.add_argument(
        "--embeddings",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="Parquet of another model's embeddings, for evaluate to compare with; repeatable",
    )
    default = commands.add_parser(
        "reproduce-default",
        parents=[shared],
        help="all stages with the settings of the package that ships with the program",
    )
    default.set_defaults(run=_run, recipe="default")
    recipe = argparse.ArgumentParser(add_help=False)
    recipe.add_argument(
        "--recipe",
        choices=("debug", "quick", "default", "archives", "paper"),
        default="default",
        help="settings",
    )
    whole = commands.add_parser("run", parents=[shared, recipe], help="all stages of a recipe")
    whole.set_defaults(run=_run)
    for name, what in STAGES:
        stage = commands.add_parser(name, parents=[shared, recipe], help=f"one stage: {what}")
        stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from training import engine, stages
    from training.disk import check_writable
    from training.recipes import RECIPES
    from training.run import STAGES as NAMES
    from training.run import Run

    folder = options.runs or Path("runs") / options.recipe
    out, page = options.out or folder / "package", options.page or _default_page(options.command)
    for target in (folder, out.parent, page.parent if page else None):
        if target:
            check_writable(target)
    run = Run(
        config=RECIPES[options.recipe](),
        data=options.data,
        folder=folder,
        out=out,
        page=page,
        workers=options.workers,
        embeddings=_embeddings(options.embeddings),
    )
    engine.start(options.precision)
    if options.command in NAMES:
        if not stages.run_stage(run, options.command):
            engine.say(f"The stage {options.command!r} is done already for these settings.")
    else:
        stages.reproduce(run)
        engine.say(f"The model package is in {run.out}.")
    return 0


def _embeddings(pairs: list[str]) -> dict[str, Path]:
    """Files by name; a wrong one is told before anything is trained."""
    from training.evaluation.embeddings import check_embeddings_parquet

    found: dict[str, Path] = {}
    for pair in pairs:
        name, _, file = pair.partition("=")
        if not name or not Path(file).is_file():
            raise EchoingError(
                f"--embeddings {pair} names no file.",
                hint="Give it as NAME=FILE, for instance ECG-FM=embeddings.parquet.",
                code="missing_data",
            )
        found[name] = Path(file)
        check_embeddings_parquet(found[name])
    return found


def _default_page(command: str) -> Path | None:
    """Find the documentation's page, if this is the default model made in a checkout."""
    page = Path("docs/default-model.md")
    return page if command == "reproduce-default" and page.parent.is_dir() else None
