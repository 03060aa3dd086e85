"""Log of a training as a table, one row a step, and its curves."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError
from training.checkpoint import write_atomic

LOG_SUFFIX = ".log.csv"


class StepLog:
    """Table with a row a step: ``step``, ``epoch``, figures in order of their first appearance.

    Each row reaches the operating system at once, so that a killed training leaves all its steps.

    Parameters
    ----------
    path
        CSV file.
    first_step
        Rows from this step on are dropped: they come again.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        columns, rows = _read_rows(path)
        # A row that a kill cut off is short, or comes after the last checkpoint.
        kept = [row for row in rows if len(row) == len(columns) and int(row[0]) < first_step]
        self._columns = columns or ["step", "epoch"]
        self._rewrite(kept)
        self.seconds = float(kept[-1][columns.index("seconds")]) if kept else 0.0

    def write(self, row: dict[str, float]) -> None:
        """Append a row; a figure not seen before becomes a new column at the end."""
        new = [key for key in row if key not in self._columns]
        if new:
            self._file.close()
            _, rows = _read_rows(self._path)
            self._columns += new
            self._rewrite([r + [""] * len(new) for r in rows])
        self._writer.writerow([_text(row.get(key)) for key in self._columns])
        self._file.flush()

    def sync(self) -> None:
        """See the rows onto the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rewrite(self, rows: list[list[str]]) -> None:
        lines = [",".join(row) for row in [self._columns, *rows]]
        text = "".join(line + "\n" for line in lines)
        write_atomic(self._path, lambda file: file.write(text.encode()))
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.7g}"


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.exists():
        return [], []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return (rows[0], rows[1:]) if rows else ([], [])


def read_log(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of a log by name; a missing value is NaN."""
    columns, rows = _read_rows(path)
    whole = [[float(cell or "nan") for cell in row] for row in rows if len(row) == len(columns)]
    table = np.array(whole, np.float64).reshape(-1, len(columns))
    return {name: table[:, i] for i, name in enumerate(columns)}


def draw_curves(log: Path) -> Path:
    """Draw every figure of a log over the steps, one panel each, as SVG beside the log.

    Faint: each step; strong: running mean over a fiftieth of the steps; dots: figures on held-out
    data, one an epoch.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    EchoingError
        If the log holds no step.
    """
    from matplotlib.figure import Figure

    table = read_log(log)
    if not len(table.get("step", ())):
        raise EchoingError(f"{log} holds no step.", code="empty_log")
    step = table["step"]
    names = [name for name in table if name not in ("step", "epoch", "seconds")]
    n_columns = min(3, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(4.2 * n_columns, 2.6 * n_rows), layout="constrained")
    width = max(1, len(step) // 50)
    for number, name in enumerate(names):
        axes = figure.add_subplot(n_rows, n_columns, number + 1)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.tick_params(labelsize=8)
        there = np.isfinite(table[name])
        x, y = step[there], table[name][there]
        if len(x) < len(step) // 2:
            axes.plot(x, y, "o-", color="#1f77b4", markersize=3, linewidth=1)
            continue
        axes.plot(x, y, color="#1f77b4", alpha=0.3, linewidth=0.6)
        if len(x) > width:
            smooth = np.convolve(y, np.ones(width) / width, mode="valid")
            axes.plot(x[width - 1 :], smooth, color="#1f77b4", linewidth=1.4)
    figure.supxlabel("step", fontsize=9)
    target = log.with_name(log.name.removesuffix(LOG_SUFFIX) + ".curves.svg")
    write_atomic(target, lambda file: figure.savefig(file, format="svg"))
    return target
