"""`fewshot`: how much a few labelled ECGs give on a run's student."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.commands import Commands


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fewshot",
        help="logistic regression on k labelled ECGs of each class, drawn many times",
    )
    parser.add_argument("--runs", type=Path, required=True, metavar="RUN", help="folder of a run")
    parser.add_argument("--recipe", default="default", help="settings of the run")
    parser.add_argument(
        "--shots", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="numbers k"
    )
    parser.add_argument("--draws", type=int, default=100, help="times that ECGs are drawn")
    parser.add_argument("--out", type=Path, help="CSV file (default: RUN/fewshot.csv)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import csv
    import io

    from model_core.errors import EchoingError
    from training.checkpoint import write_atomic
    from training.disk import check_writable
    from training.estimates import few_shot_curves
    from training.recipes import RECIPES
    from training.run import Run, is_done

    if options.recipe not in RECIPES:
        raise EchoingError(f"There is no recipe {options.recipe}.", code="bad_config")
    run = Run(
        config=RECIPES[options.recipe](),
        data=Path("data"),
        folder=options.runs,
        out=options.runs / "package",
        page=None,
    )
    path = options.out or options.runs / "fewshot.csv"
    if not is_done(run, "distill"):
        raise EchoingError(
            f"There is no distilled student of the recipe {options.recipe} in {options.runs}.",
            hint="Run: echoing-train distill, with the same --runs and --recipe.",
            code="missing_stage",
        )
    check_writable(path.parent)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["finding", "figure", "shots", "value", "low", "high"])
    for curve in few_shot_curves(run, options.shots, options.draws):
        for k, value, low, high in zip(curve.x, curve.y, curve.low, curve.high, strict=True):
            table.writerow(
                [curve.target, curve.kind, int(k), *(f"{v:.4f}" for v in (value, low, high))]
            )
    write_atomic(path, lambda file: file.write(text.getvalue().encode()))
    print(text.getvalue(), end="")
    return 0
