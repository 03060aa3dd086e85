"""`cohort-from-archives`: ingested ECGs, echoes and embeddings to the cohort of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import EchoingError

if TYPE_CHECKING:
    from training.cohort import Cohort
    from training.commands import Commands


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "cohort-from-archives",
        help="make the cohort of a run from ingested ECGs and the echoes that belong to them",
        description="Choose ECGs, pair them with echoes, and prepare them. Leaves RUN/cohort, "
        "from which the stages distill to export go on. See docs/data.md.",
    )
    parser.add_argument(
        "--store", type=Path, nargs="+", required=True, help="folders made by ingest"
    )
    parser.add_argument(
        "--echo",
        nargs="+",
        default=[],
        metavar="[STORE=]DIR",
        help="folder made by ingest-echo, and the store that it belongs to (default: the only one, "
        "or the only one of MIMIC-IV-ECG)",
    )
    parser.add_argument(
        "--echo-embeddings", type=Path, help="folder of echoes embedded by a frozen teacher"
    )
    parser.add_argument(
        "--pairs-window-days",
        type=float,
        default=30.0,
        help="an echo belongs to an ECG if no more days lie between them (default: 30)",
    )
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from training.disk import check_writable
    from training.real_cohort import Archives, build_cohort, plan_cohort
    from training.run import give_cohort

    if not options.pairs_window_days >= 0 or options.workers < 1:
        raise EchoingError(
            "The window must not be negative, and one worker is needed at least.",
            code="bad_config",
        )
    archives = Archives(
        stores=options.store,
        echo=_echo(options.echo, options.store),
        embeddings=options.echo_embeddings,
        window_days=options.pairs_window_days,
    )
    plan = plan_cohort(archives)
    check_writable(options.runs)
    for source, reasons in plan.left_out.items():
        for reason, count in sorted(reasons.items()):
            print(f"{source}: {count:,} ECGs are left out: {reason}.")
    for source, pairs in plan.pairs.items():
        counts = ", ".join(f"{count:,} in {days} days" for days, count in pairs.items())
        if counts:
            print(f"{source}: ECGs with an echo: {counts}.")
    for note in plan.notes:
        print(note)
    cohort = build_cohort(plan, options.runs / "cohort", workers=options.workers)
    give_cohort(options.runs, cohort)
    for line in _summary(cohort):
        print(line)
    print(f"The cohort is in {options.runs / 'cohort'}.")
    return 0


def _echo(given: list[str], stores: list[Path]) -> dict[Path, Path]:
    """Folder of echoes for each store that has one."""
    from training.real_cohort import kind_of_store

    found: dict[Path, Path] = {}
    for text in given:
        store, equals, folder = text.rpartition("=")
        if equals:
            owners = [path for path in stores if path == Path(store) or path.name == store]
        else:
            mimic = [path for path in stores if kind_of_store(path) == "mimic-iv-ecg"]
            owners = mimic or stores
        if len(owners) != 1:
            raise EchoingError(
                f"--echo {text} does not say which store it belongs to.",
                hint="Write STORE=DIR, with one of the stores.",
                code="bad_config",
            )
        found[owners[0]] = Path(folder)
    return found


def _summary(cohort: Cohort) -> list[str]:
    """Lines that say how many recordings, patients and echoes each split of each source has."""
    import numpy as np

    from training.cohort import Split

    lines: list[str] = []
    for name in cohort.source_names:
        for split in Split:
            rows = cohort.records(split, name)
            paired = rows[cohort.n_studies[rows] > 0]
            n_patients = len(np.unique(cohort.patient[rows]))
            n_text = sum(bool(cohort.ecg_text[row]) for row in rows)
            lines.append(
                f"{name}, {split.name.lower().replace('_', ' ')}: {len(rows):,} ECGs of "
                f"{n_patients:,} patients, {len(paired):,} with an echo, {n_text:,} with text"
            )
    return lines
