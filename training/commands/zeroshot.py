"""`zeroshot`: measures read off embeddings by prompts, with their errors where labels are known."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.commands import teachers

if TYPE_CHECKING:
    import pyarrow as pa

    from model_core.prompts import Prompts
    from training.commands import Commands

Array = NDArray[np.floating]

_NAMES = ("study_id", "echo_id", "study", "record_id")
_SUFFIXES = {"%": "pct", "ml": "ml", "mmHg": "mmhg", "cm": "cm"}
_BELOW = "lvef_below_"


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "zeroshot",
        help="read measures off echo or ECG embeddings by prompts",
        description="Compare embeddings with sentences that state values or findings, in three "
        "ways: the ranking of EchoCLIP, a mean weighted by softmax, and the distance between "
        "distributions. Writes a table of readings and summary.json, with errors where labels are "
        "known. See docs/teachers.md.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--echo", type=Path, metavar="DIR", help="folder made by embed-echo")
    what.add_argument(
        "--ecg", type=Path, metavar="RUN", help="run whose distilled student embeds its test ECGs"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of results")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the table")
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="JSON",
        help="sentences (default: own: those of its training; echoclip: those of this program)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="TABLE",
        help="CSV or Parquet with the studies' names and measures, such as echo.parquet; where its "
        "column 'split' says train, a study only helps to choose the reading",
    )
    teachers.add_options(parser)
    parser.set_defaults(run=_run)


@dataclass(frozen=True, eq=False)
class _Embedded:
    """What prompts are compared with, and what is known of it; `truth` by key, (n,)."""

    names: list[str]
    frames: Sequence[Array]
    mean: Array
    log_var: Array
    truth: dict[str, Array]
    to_choose: NDArray[np.bool_]


def _run(options: argparse.Namespace) -> int:
    teachers.check(options)
    from model_core.prompts import load_prompts
    from training.checkpoint import save_json
    from training.disk import check_writable
    from training.zeroshot import embed_prompts, own_prompts, read_all

    check_writable(options.out)
    own = options.teacher == "own" and options.prompts is None
    prompts = own_prompts() if own else load_prompts(options.prompts)
    teacher = teachers.load(options)
    if options.echo:
        embedded = _echoes(options.echo, options.labels, teacher.name, prompts)
    else:
        embedded = _ecgs(options.ecg, prompts)
    encoded = embed_prompts(prompts, lambda texts: teacher.text(texts).numpy())
    if encoded.dim != embedded.mean.shape[1]:
        raise EchoingError(
            f"The embeddings have {embedded.mean.shape[1]} dimensions, the teacher's prompts "
            f"{encoded.dim}: they are not of one space.",
            code="other_teacher",
        )
    readings = read_all(
        encoded, embedded.frames, embedded.mean, embedded.log_var, teacher.inverse_temperature
    )
    _write(options.out / f"zeroshot.{options.format}", embedded, readings)
    summary = {
        "teacher": teacher.name,
        "n": len(embedded.names),
        "measures": {
            key: errors(readings[key], embedded.truth[key], embedded.to_choose)
            for key in prompts.sweeps.keys() & embedded.truth.keys()
        },
        "findings": {
            key: separation(readings[key], embedded.truth[key], embedded.to_choose)
            for key in prompts.pairs.keys() & embedded.truth.keys()
        },
    }
    save_json(options.out / "summary.json", summary)
    _say(summary, prompts)
    print(f"{options.out} holds the readings of {len(embedded.names):,} studies.")
    return 0


def _echoes(folder: Path, labels: Path | None, teacher: str, prompts: Prompts) -> _Embedded:
    from training.echo_video import read_embeddings, settings_of

    made_with = settings_of(folder)["teacher"]
    if made_with != teacher:
        raise EchoingError(
            f"The embeddings in {folder} are of another teacher ({made_with}).",
            code="other_teacher",
        )
    cache = read_embeddings(folder)
    truth: dict[str, Array] = {}
    to_choose = np.zeros(len(cache.studies), np.bool_)
    if labels is not None:
        truth, to_choose = read_labels(labels, cache.studies, prompts)
    return _Embedded(list(cache.studies), cache.frames, cache.mean, cache.log_var, truth, to_choose)


def _ecgs(folder: Path, prompts: Prompts) -> _Embedded:
    """Embed the ECGs of a run's test patients, and held-out ones to choose readings on."""
    import torch

    from training.batches import embed
    from training.checkpoint import load_json
    from training.cohort import Split
    from training.recipes import RECIPES
    from training.run import Run, load_standardiser, load_student, the_cohort

    recipe = folder / "recipe.json"
    if not recipe.exists() or not (folder / "distill/done.json").exists():
        raise EchoingError(f"There is no distilled student in {folder}.", code="missing_data")
    config = RECIPES[load_json(recipe)]()
    run = Run(config=config, data=folder, folder=folder, out=folder, page=None)
    cohort = the_cohort(run)
    splits = (Split.HELD_OUT, Split.TEST)
    rows = np.concatenate([cohort.one_record_per_patient(split) for split in splits])
    with torch.no_grad():
        mean, log_var = embed(load_student(run), load_standardiser(run), cohort, rows)
    studies = cohort.first_study[rows]
    measures = {
        key: np.asarray(values[studies], np.float64) for key, values in cohort.measures.items()
    }
    return _Embedded(
        [str(row) for row in rows],
        list(mean.numpy()[:, None]),
        mean.numpy(),
        log_var.numpy(),
        {**measures, **_below(measures, prompts)},
        cohort.split[rows] == Split.HELD_OUT,
    )


def _below(measures: Mapping[str, Array], prompts: Prompts) -> dict[str, Array]:
    """Derive the findings that LVEF decides."""
    if "lvef" not in measures:
        return {}
    lvef = measures["lvef"]
    return {
        key: np.where(np.isnan(lvef), np.nan, lvef < float(key.removeprefix(_BELOW)))
        for key in prompts.pairs
        if key.startswith(_BELOW)
    }


def read_labels(
    path: Path, studies: Sequence[str], prompts: Prompts
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Find the measures of some studies in a table.

    Columns may be named as measures are (``lvef``), with their unit (``lvef_pct``) or as
    `ingest-echo` names them (``label_lvef_pct``). A study named twice keeps its first row.

    Returns
    -------
    truth
        By key of a sweep or pair, (n,), NaN where unknown.
    to_choose
        (n,), whether the column ``split`` says train.

    Raises
    ------
    EchoingError
        If the table cannot be read, names no study, or holds none of the studies or measures.
    """
    from training.ingest.studies import study_key

    table = _read_table(path)
    named = next((name for name in _NAMES if name in table.column_names), None)
    if named is None:
        raise EchoingError(
            f"{path} has no column that names the studies: {', '.join(_NAMES)}.",
            code="missing_column",
        )
    row_of: dict[str, int] = {}
    for row, name in enumerate(table[named].to_pylist()):
        row_of.setdefault(study_key(str(name)), row)
    rows = np.array([row_of.get(study_key(study), -1) for study in studies])
    if (rows < 0).all():
        raise EchoingError(
            f"No embedded study, such as {studies[0]}, is in {path}.", code="no_studies"
        )
    measures: dict[str, Array] = {}
    for key, unit in [(s.key, s.unit) for s in prompts.sweeps.values()] + [
        (key, "") for key in prompts.pairs
    ]:
        tried = (key, f"{key}_{_SUFFIXES.get(unit, unit)}")
        column = next(
            (c for n in tried for c in (n, f"label_{n}") if c in table.column_names), None
        )
        if column is not None:
            measures[key] = _numbers(table, column, path, rows)
    measures = {**_below(measures, prompts), **measures}
    if not measures:
        raise EchoingError(f"{path} holds no measure that prompts read.", code="missing_column")
    to_choose = np.zeros(len(studies), np.bool_)
    if "split" in table.column_names:
        train = np.array([name == "train" for name in table["split"].to_pylist()])
        to_choose = np.where(rows >= 0, train[rows], False)
    return measures, to_choose


def _read_table(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        return parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise EchoingError(
            f"The labels {path} cannot be read: {str(error).splitlines()[0]}.", code="bad_table"
        ) from error


def _numbers(table: pa.Table, column: str, path: Path, rows: NDArray[np.int_]) -> Array:
    import pyarrow as pa

    try:
        cells = table[column].cast(pa.float64()).to_pylist()
    except pa.ArrowException as error:
        raise EchoingError(
            f"The column {column} of {path} holds more than numbers.", code="bad_table"
        ) from error
    values = np.array([np.nan if cell is None else cell for cell in cells], np.float64)
    return np.where(rows >= 0, values[rows], np.nan)


def errors(
    readings: Mapping[str, Array], truth: Array, to_choose: NDArray[np.bool_]
) -> dict[str, Any]:
    """Errors of the readings of a measure, and which reading is best.

    The reading is chosen where `to_choose` holds, and every figure is of the other studies, so
    that the choice does not flatter itself.

    Parameters
    ----------
    readings
        (n,) each, in the measure's unit.
    truth
        (n,), NaN where unknown.
    to_choose
        (n,); where it holds nowhere, nothing is chosen.

    Returns
    -------
    dict
        ``n``; ``predict_mean_mae``, the error of the mean of the studies measured; for each
        reading ``mae``, ``bias`` and ``r``; ``chosen`` and ``n_to_choose`` if there were any.
        Empty if there is no truth.
    """
    known = ~np.isnan(truth)
    test, choice = known & ~to_choose, known & to_choose
    if not test.any():
        return {}
    found: dict[str, Any] = {
        "n": int(test.sum()),
        "predict_mean_mae": float(np.abs(truth[test] - truth[test].mean()).mean()),
        "readings": {
            name: _figures(values[test], truth[test]) for name, values in readings.items()
        },
    }
    if choice.any():
        error_of = {
            name: np.abs(values - truth)[choice].mean() for name, values in readings.items()
        }
        found["chosen"] = min(error_of, key=error_of.__getitem__)
        found["n_to_choose"] = int(choice.sum())
    return found


def _figures(values: Array, truth: Array) -> dict[str, float | None]:
    difference = values - truth
    varies = len(truth) > 2 and values.std() > 0 and truth.std() > 0
    return {
        "mae": float(np.abs(difference).mean()),
        "bias": float(difference.mean()),
        "r": float(np.corrcoef(values, truth)[0, 1]) if varies else None,
    }


def separation(
    readings: Mapping[str, Array], truth: Array, to_choose: NDArray[np.bool_]
) -> dict[str, Any]:
    """Area under the ROC curve of each score of a finding where it may be tested.

    Parameters
    ----------
    readings
        (n,) each; higher speaks for the finding.
    truth
        (n,), 1 or 0, NaN where unknown.
    to_choose
        (n,), studies that do not count; as in `errors`.

    Returns
    -------
    dict
        ``n``, ``prevalence``, and the AUROC of each score; empty unless both classes occur.
    """
    from training.evaluation.metrics import auroc

    test = ~np.isnan(truth) & ~to_choose
    positive = truth[test] > 0
    if positive.all() or not positive.any():
        return {}
    return {
        "n": int(test.sum()),
        "prevalence": float(positive.mean()),
        "auroc": {name: auroc(positive, values[test]) for name, values in readings.items()},
    }


def _write(path: Path, embedded: _Embedded, readings: Mapping[str, Mapping[str, Array]]) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    from training.checkpoint import write_atomic

    columns: dict[str, Any] = {"study": embedded.names}
    columns["uncertainty"] = np.exp(embedded.log_var).sum(1)
    for key, found in readings.items():
        columns |= {f"{key}_{name}": values for name, values in found.items()}
        if key in embedded.truth:
            columns[f"{key}_label"] = embedded.truth[key]
    table = pa.table(columns)
    write = parquet.write_table if path.suffix == ".parquet" else csv.write_csv
    write_atomic(path, lambda file: write(table, file))


def _say(summary: dict[str, Any], prompts: Prompts) -> None:
    for key, found in sorted(summary["measures"].items()):
        if found:
            unit = prompts.sweeps[key].unit
            figures = ", ".join(
                f"{name} {values['mae']:.1f}" for name, values in found["readings"].items()
            )
            chosen = f"; chosen: {found['chosen']}" if "chosen" in found else ""
            print(
                f"{key}, mean absolute error, {unit}, n {found['n']:,}: {figures} "
                f"(mean of all {found['predict_mean_mae']:.1f}){chosen}"
            )
    for key, found in sorted(summary["findings"].items()):
        if found:
            figures = ", ".join(f"{name} {value:.3f}" for name, value in found["auroc"].items())
            print(f"{key}, AUROC, n {found['n']:,}, {found['prevalence']:.1%} have it: {figures}")
