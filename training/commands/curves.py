"""`curves`: pictures of how the trainings of a run went."""

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
        "curves", help="draw loss, figures and learning rate of each training of a run"
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from training.curves import LOG_SUFFIX, draw_curves

    logs = sorted(options.folder.rglob(f"*{LOG_SUFFIX}"))
    if not logs:
        raise EchoingError(
            f"There is no log of a training in {options.folder}.",
            hint="Give the folder named by --runs.",
            code="no_log",
        )
    for log in logs:
        print(draw_curves(log))
    return 0
