"""Options that name a frozen teacher, and the teacher they name; shared by commands."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import EchoingError

if TYPE_CHECKING:
    from model_core.teachers import EchoClip
    from training.echo_video import OwnTeacher


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what names a teacher."""
    group = parser.add_argument_group("teacher")
    group.add_argument(
        "--teacher", choices=("own", "echoclip"), required=True, help="which teacher embeds"
    )
    group.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="RUN",
        help="own: folder of the run that trained it",
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="echoclip: its weights, which are yours to get"
    )
    group.add_argument(
        "--accept-echoclip-licence",
        action="store_true",
        help="echoclip: you have read its licence terms and accept them",
    )
    group.add_argument("--device", default="cpu", help="echoclip: where to compute (default: cpu)")


def check(options: argparse.Namespace) -> None:
    """See that the teacher's own option is given, and that EchoCLIP's licence is accepted.

    Raises
    ------
    EchoingError
        If not; no file has been touched then.
    """
    needed = {"own": options.run_folder, "echoclip": options.weights}
    if needed[options.teacher] is None:
        flag = {"own": "--run RUN", "echoclip": "--weights FILE"}[options.teacher]
        raise EchoingError(f"--teacher {options.teacher} needs {flag}.", code="bad_config")
    if options.teacher == "echoclip":
        _accept_licence(given=options.accept_echoclip_licence)


def _accept_licence(*, given: bool) -> None:
    from model_core.teachers import LICENCE_TERMS

    print(LICENCE_TERMS, file=sys.stderr)
    if given:
        return
    if sys.stdin.isatty() and input("Do you accept these terms? [yes/no] ").strip() == "yes":
        return
    raise EchoingError(
        "EchoCLIP's licence terms were not accepted; nothing was read.",
        hint="Answer yes, or give --accept-echoclip-licence.",
        code="licence_not_accepted",
    )


def load(options: argparse.Namespace) -> EchoClip | OwnTeacher:
    """Load the teacher that was asked for, after `check`."""
    from model_core.teachers import load_echoclip
    from training.echo_video import load_teacher_folder

    if options.teacher == "own":
        return load_teacher_folder(options.run_folder / "teacher")
    return load_echoclip(options.weights, licence_accepted=True, device=options.device)
