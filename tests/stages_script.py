"""What the tests run in several processes: the stages with a training; DATA RUN."""

from __future__ import annotations

import sys
from pathlib import Path

from training import engine, stages
from training.recipes import debug
from training.run import STAGES, Run

TRAINED = STAGES[: STAGES.index("calibrate")]


def main() -> None:
    data, folder = map(Path, sys.argv[1:])
    run = Run(config=debug(), data=data, folder=folder, out=folder / "package", page=None)
    engine.start("fp32")
    for name in TRAINED:
        assert stages.run_stage(run, name)
        assert not stages.run_stage(run, name)  # done, for every process


if __name__ == "__main__":
    main()
