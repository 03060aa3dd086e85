"""`ingest` and `ingest-echo`: data sets in their official layouts to shards and tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.errors import EchoingError
from model_core.leads import STANDARD_LEADS

if TYPE_CHECKING:
    from training.commands import Commands
    from training.ingest import EchoMeasure, IngestConfig, TableColumns

KINDS = ("ptbxl", "mimic-iv-ecg", "echonext", "music", "folder")
_ROLES = ("path", "patient", "study", "time", "split", "age", "sex", "report")


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_ingest(commands)
    _register_echo(commands)


def share(text: str) -> tuple[int, int]:
    """Task and number of tasks, written ``I/N`` with I from 0.

    Examples
    --------
    >>> share("0/2")
    (0, 2)
    """
    task, slash, of = text.partition("/")
    if not (slash and task.isascii() and task.isdigit() and of.isascii() and of.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not I/N, such as 0/8")
    if int(task) >= int(of):
        raise argparse.ArgumentTypeError(f"'{text}': tasks are counted from 0 to {int(of) - 1}")
    return int(task), int(of)


def _register_ingest(commands: Commands) -> None:
    parser = commands.add_parser(
        "ingest",
        help="turn a data set into shards that training reads; goes on where it stopped",
        description="Turn a data set in its official layout into shards and an index. The same "
        "command goes on where an earlier one stopped. See docs/data.md.",
    )
    parser.add_argument("--kind", required=True, choices=KINDS, help="layout of the data set")
    parser.add_argument("--source", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--shard",
        type=share,
        metavar="I/N",
        help="make only the part of task I of N, counted from 0; when all tasks are done, the "
        "same command without --shard writes the index",
    )
    parser.add_argument("--max-fs", type=float, help="highest sampling rate to take, Hz")
    parser.add_argument(
        "--duration", type=float, default=10.0, help="part of each recording, s (default: 10)"
    )
    parser.add_argument("--records-per-shard", type=int, default=4096, help="default: 4096")
    parser.add_argument(
        "--split-seed", type=int, default=0, help="of the split by patient (default: 0)"
    )
    parser.add_argument(
        "--verify", action="store_true", help="afterwards compare every byte with its checksum"
    )
    table = parser.add_argument_group("for --kind folder")
    table.add_argument("--table", help="name of the table inside the folder")
    table.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="ROLE=COLUMN",
        help=f"which column is what; roles: {', '.join(_ROLES)} (default: path=path, "
        "patient=patient_id)",
    )
    table.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of numbers to learn, with their unit: lvef_pct lvedv_ml",
    )
    table.add_argument("--leads", nargs="+", help="leads to store (default: the standard twelve)")
    table.add_argument("--delimiter", default=",", help="between cells (default: comma)")
    table.add_argument("--encoding", default="utf-8", help="of the table (default: utf-8)")
    table.add_argument("--decimal-comma", action="store_true", help="numbers are written 31,2")
    parser.set_defaults(run=_ingest)


def _register_echo(commands: Commands) -> None:
    parser = commands.add_parser(
        "ingest-echo",
        help="turn the lists and measurements of MIMIC-IV-ECHO into one table of echoes",
        description="Write echo.parquet, one row for each echo, from MIMIC-IV-ECHO.",
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of MIMIC-IV-ECHO")
    parser.add_argument("--out", type=Path, help="folder for echo.parquet")
    parser.add_argument(
        "--volumes", type=Path, help="folder of MIMIC-IV-Echo-Ext-LVVOL-A4C, for expert volumes"
    )
    parser.add_argument(
        "--measure",
        nargs="+",
        default=[],
        metavar="NAME=KEY:UNIT",
        help="further measurements to take, for instance lv_edv=lvedv_ml:ml",
    )
    parser.add_argument(
        "--test-types", nargs="+", default=["tte"], help="kinds of echo to take (default: tte)"
    )
    parser.add_argument(
        "--list-measurements",
        action="store_true",
        help="only print the measurements that this copy holds, and how often",
    )
    parser.set_defaults(run=_ingest_echo)


def _ingest(options: argparse.Namespace) -> int:
    from training.ingest import ingest, ingest_share, verify

    config = _config(options)
    if options.shard:
        task, of = options.shard
        made = ingest_share(config, task, of)
        print(f"Task {task} of {of} is done; it made {made} shards in {config.out}.")
        print("When all tasks are done, the same command without --shard writes the index.")
        return 0
    summary = ingest(config)
    print(
        f"{config.out} holds {summary.n_records:,} recordings in {summary.n_shards} shards, "
        f"{summary.n_made} of them made now."
    )
    if summary.n_rejected:
        print(f"{summary.n_rejected:,} were left out; rejected.parquet says why.")
    if options.verify:
        damages = verify(config.out)
        for damage in damages:
            print(damage)
        if damages:
            raise EchoingError(f"{config.out} is damaged.", code="bad_shard")
        print("Every byte is as it was written.")
    return 0


def _config(options: argparse.Namespace) -> IngestConfig:
    from training.ingest import IngestConfig

    return IngestConfig(
        source=options.kind,
        root=options.source,
        out=options.out,
        columns=_columns(options),
        max_fs=options.max_fs,
        duration_s=options.duration,
        records_per_shard=options.records_per_shard,
        split_seed=options.split_seed,
        workers=options.workers,
    )


def _columns(options: argparse.Namespace) -> TableColumns | None:
    from training.ingest import TableColumns

    if not options.table:
        if options.kind == "folder":
            raise EchoingError(
                "The kind 'folder' needs --table, the name of the table inside the folder.",
                code="bad_config",
            )
        return None
    roles: dict[str, str] = {}
    for text in options.columns:
        role, equals, column = text.partition("=")
        if not equals or not column or role not in _ROLES:
            raise EchoingError(
                f"'{text}' does not say which column is what.",
                hint=f"Write ROLE=COLUMN; roles are {', '.join(_ROLES)}.",
                code="bad_config",
            )
        roles[role] = column
    return TableColumns(
        table=options.table,
        labels=tuple(options.labels),
        delimiter=options.delimiter,
        encoding=options.encoding,
        decimal_comma=options.decimal_comma,
        lead_names=tuple(options.leads or STANDARD_LEADS),
        **roles,
    )


def _ingest_echo(options: argparse.Namespace) -> int:
    from training.ingest import ingest_echo
    from training.ingest.mimic_echo import MEASURES, measurement_names

    if options.list_measurements:
        for name, count in measurement_names(options.source).most_common():
            print(f"{count:>10,}  {name}")
        return 0
    if options.out is None:
        raise EchoingError("--out is missing: the folder for echo.parquet.", code="bad_config")
    table = ingest_echo(
        options.source,
        options.out,
        measures=(*MEASURES, *map(_measure, options.measure)),
        test_types=options.test_types,
        volumes=options.volumes,
    )
    print(f"{options.out} holds {len(table):,} echoes.")
    for name in table.column_names:
        if name.startswith("label_"):
            print(f"{len(table) - table[name].null_count:>10,}  {name.removeprefix('label_')}")
    return 0


def _measure(text: str) -> EchoMeasure:
    from training.ingest import EchoMeasure

    name, equals, rest = text.partition("=")
    key, colon, unit = rest.partition(":")
    if not (name and equals and key and colon and unit):
        raise EchoingError(
            f"'{text}' is no measurement.",
            hint="Write NAME=KEY:UNIT, for instance lv_edv=lvedv_ml:ml.",
            code="bad_config",
        )
    return EchoMeasure(name, f"label_{key}", unit)
