"""`echoing-train`: makes model packages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from model_core.errors import EchoingError
from training.commands import REGISTER


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 if it failed in an expected way."""
    parser = argparse.ArgumentParser(
        prog="echoing-train", description="Train, evaluate and export a model package."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for register in REGISTER:
        register(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ModuleNotFoundError as error:
        print(
            f"Training needs the package {error.name}, which is not installed: "
            "pip install 'echoing-ecg[train]'.",
            file=sys.stderr,
        )
    except EchoingError as error:
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
    except KeyboardInterrupt:
        print(
            "Stopped. What was finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
