"""What leaves the program as data: JSON, CSV, Parquet and NPZ of one recording or of many. No Qt.

With a pseudonym in the item, an allow-list of entries without names and hashes of files, patients,
free text and dates; see `echoing_gui.identity`. A withheld result is empty with its code beside it,
never a number.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from echoing_gui.files import replacing
from echoing_gui.reports import Report
from model_core.errors import EchoingError
from model_core.measures import FINDINGS, MEASURES
from model_core.wording import joined, say, system_words

Cell = str | int | float | None
Row = dict[str, Cell]

UNIT_WORDS = {"%": "pct", "ml": "ml"}
# Spreadsheets run a cell that begins with one of these, the full-width forms too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_KEPT = (
    "schema_version", "program", "state", "reasons", "window_s", "measures", "findings",
    "confirmed", "lead_quality", "embedding_variance", "segment_variance", "package",
    "research_use",
)  # fmt: skip
_KEPT_OF_RECORDING = ("format", "fs_hz", "duration_s", "lead_names", "simulated")


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One recording to export.

    Attributes
    ----------
    number
        Place in the work list, from 1.
    report
        As in docs/json-output.md.
    pseudonym
        Takes the place of whatever tells whose ECG it is; empty to keep that.
    embedding_mean
        Mean of the recording's embedding, (dimensions,), dimensionless; None without one.
    labels
        From the table of files: numbers by measure, and ``split``.
    patient
        The patient as the table of files names it.
    """

    number: int
    report: Report
    pseudonym: str = ""
    embedding_mean: NDArray[np.float32] | None = None
    labels: Mapping[str, Cell] = field(default_factory=dict[str, Cell])
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A form in which results are exported.

    Attributes
    ----------
    key
        In the audit log.
    label
        As offered.
    suffix
        Of the file.
    """

    key: str
    label: str
    suffix: str


KINDS = (
    Kind("measures_csv", say("Measures, one row an ECG (CSV)"), ".csv"),
    Kind("measures_parquet", say("Measures, one row an ECG (Parquet)"), ".parquet"),
    Kind("segments_csv", say("Segments, one row a lead and segment (CSV)"), ".csv"),
    Kind("segments_parquet", say("Segments, one row a lead and segment (Parquet)"), ".parquet"),
    Kind("results_json", say("Everything, one JSON object a line (JSON)"), ".jsonl"),
    Kind("maps_npz", say("Maps of segment variance and embeddings (NumPy NPZ)"), ".npz"),
)


def write_items(kind: Kind, path: Path, items: Iterable[Item]) -> None:
    """Write recordings in one of the forms.

    Parameters
    ----------
    kind
        One of `KINDS`.
    path
        The file; what was there stays if the new one cannot be written whole.
    items
        In this order; all with a pseudonym, or none.

    Raises
    ------
    EchoingError
        If it cannot be written.
    """
    content, _, form = kind.key.partition("_")
    if form == "json":
        write_json(path, items)
        return
    if form == "npz":
        write_npz(path, items)
        return
    rows = (
        (measures_row(item) for item in items)
        if content == "measures"
        else (row for item in items for row in segment_rows(item))
    )
    if form == "csv":
        write_csv(path, rows)
    else:
        write_parquet(path, rows)


def json_entry(item: Item) -> Report:
    """Entry of the JSON export: the report, its number and its labels.

    With a pseudonym it is without file, hash, patient, free text and import report.
    """
    report = item.report
    if not item.pseudonym:
        patient = {"patient": item.patient} if item.patient else {}
        return {**report, "item": item.number, "labels": dict(item.labels), **patient}
    recording, error = report["recording"], report["error"]
    return {
        **{key: report[key] for key in _KEPT},
        "file": None,
        "sha256": None,
        "window_sha256": None,
        "pseudonym": item.pseudonym,
        "recording": recording
        and {
            **{key: recording[key] for key in _KEPT_OF_RECORDING},
            "notes": [],
            "import": None,
            "machine_measurements": [],
        },
        # What was wrong is told with the file's name in it.
        "error": error
        and {
            "code": error["code"],
            "message": "This recording has no result; the code says why.",
            "hint": "",
        },
        "item": item.number,
        "labels": dict(item.labels),
    }


def measures_row(item: Item) -> Row:
    """Row of the table of measures: one recording.

    Examples
    --------
    >>> blank = dict.fromkeys(("sha256", "window_sha256", "recording", "window_s", "error",
    ...     "embedding_variance"))
    >>> report = blank | {"state": "not_reportable", "measures": [], "findings": [],
    ...     "reasons": [{"code": "flat_lead"}], "lead_quality": [], "research_use": "",
    ...     "program": {"version": "1"}, "package": {"name": "", "version": "", "id": "",
    ...     "caveat": ""}}
    >>> row = measures_row(Item(1, report, "ECG-1"))
    >>> row["pseudonym"], row["lvef_pct"], row["reasons"]
    ('ECG-1', None, 'flat_lead')
    """
    report = item.report
    recording = report["recording"] or {}
    window_s = report["window_s"] or (None, None)
    row: Row = {"item": item.number}
    if not item.pseudonym:
        row |= {"file": report["file"], "patient": item.patient or None}
    row |= {
        "state": report["state"],
        "reasons": " ".join(dict.fromkeys(each["code"] for each in report["reasons"])) or None,
        "error": report["error"] and report["error"]["code"],
    }
    found = {each["key"]: each for each in report["measures"]}
    for key, measure in MEASURES.items():
        unit = UNIT_WORDS[measure.unit]
        value = found.get(key)
        interval = value["interval"] if value else {}
        row |= {
            f"{key}_{unit}": value and value["value"],
            f"{key}_low_{unit}": interval.get("low"),
            f"{key}_high_{unit}": interval.get("high"),
            f"{key}_interval_level": interval.get("level"),
        }
    probability = {each["key"]: each["probability"] for each in report["findings"]}
    row |= {f"{key}_probability": probability.get(key) for key in FINDINGS}
    grades = [each["grade"] for each in report["lead_quality"]]
    row |= {
        "embedding_variance": report["embedding_variance"],
        "leads_noisy": grades.count("noisy") if grades else None,
        "leads_unusable": grades.count("unusable") if grades else None,
        "fs_hz": recording.get("fs_hz"),
        "duration_s": recording.get("duration_s"),
        "window_start_s": window_s[0],
        "window_end_s": window_s[1],
        "simulated": int(recording["simulated"]) if recording else None,
        **{f"label_{key}": value for key, value in item.labels.items()},
    }
    return row | _origin(item)


def segment_rows(item: Item) -> Iterator[Row]:
    """Rows of the table of segments: one lead and segment each; none where nothing was computed."""
    cells = item.report["segment_variance"]
    if cells is None:
        return
    origin = _origin(item)
    values = np.array(cells["variance"], dtype=np.float64)
    known = np.sort(values[np.isfinite(values)])
    for lead, row in zip(cells["lead_names"], values, strict=True):
        for start_s, end_s, value in zip(
            cells["edges_s"][:-1], cells["edges_s"][1:], row.tolist(), strict=True
        ):
            there = math.isfinite(value)
            share = 100 * np.searchsorted(known, value, "right") / len(known) if there else None
            yield {
                "item": item.number,
                "lead": lead,
                "start_s": start_s,
                "end_s": end_s,
                "variance": value if there else None,
                "percentile": share and round(float(share), 2),
                **origin,
            }


def write_json(path: Path, items: Iterable[Item]) -> None:
    """Write one JSON object a line for each recording; see docs/json-output.md.

    Raises
    ------
    EchoingError
        If the file cannot be written; the one that was there before stays.
    """
    with _new_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for item in items:
            entry = json_entry(item)
            file.write(_text(json.dumps(entry, ensure_ascii=False, allow_nan=False)) + "\n")


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV: UTF-8, commas, points in numbers, nothing that a spreadsheet would run.

    Raises
    ------
    EchoingError
        As `write_json`.
    """
    with (
        _new_file(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        _write_rows(file, rows)


def csv_text(rows: Iterable[Row]) -> str:
    """Give rows as the text that `write_csv` writes."""
    text = io.StringIO()
    _write_rows(text, rows)
    return text.getvalue()


def write_parquet(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet (Zstandard); an empty cell is null.

    Raises
    ------
    EchoingError
        As `write_json`.
    """
    import fastparquet
    import pandas as pd

    columns: dict[str, list[Cell]] = {}
    for row in rows:
        for name, cell in row.items():
            columns.setdefault(name, []).append(cell)
    typed = {name: _typed(cells) for name, cells in columns.items()}
    texts = {name: "utf8" for name, cells in typed.items() if cells.dtype.kind == "O"}
    # Else pandas makes strings of its own of them, which fastparquet does not know.
    frame = pd.DataFrame(
        {name: pd.Series(cells, dtype=cells.dtype) for name, cells in typed.items()}
    )
    with _new_file(path) as unfinished:
        fastparquet.write(  # pyright: ignore[reportUnknownMemberType]
            str(unfinished),
            frame,
            compression="ZSTD",
            object_encoding=texts,  # pyright: ignore[reportArgumentType] - by column is allowed
            write_index=False,
        )


def write_npz(path: Path, items: Iterable[Item]) -> None:
    """Write embeddings and segment variances as NumPy arrays, rows in the order of the items.

    ``item`` (n,), ``pseudonym`` (n,) or ``sha256`` (n,), ``state`` (n,), ``embedding_mean``
    (n, dimensions), ``embedding_variance`` (n,), ``segment_variance`` (n, leads, segments) and
    ``segment_edges_s`` (n, segments + 1); NaN where nothing was computed. ``lead_names``,
    ``package_name``,
    ``package_version``, ``package_sha256``, ``caveat`` and ``research_use`` hold for all.

    Raises
    ------
    EchoingError
        As `write_json`; also if the recordings come from several model packages, or none has a map.
    """
    listed = list(items)
    reports = [item.report for item in listed]
    cells = [report["segment_variance"] for report in reports]
    first = next((each for each in cells if each is not None), None)
    if first is None or len({report["package"]["id"] for report in reports}) != 1:
        raise EchoingError(
            say("There are no maps to export, or they are of several model packages."),
            hint=say("Estimate at least one recording with the model package in use, then export."),
            code="no_maps",
        )
    vectors = [item.embedding_mean for item in listed]
    dimensions = next((len(vector) for vector in vectors if vector is not None), 0)
    shape = np.shape(first["variance"])
    package = reports[0]["package"]
    arrays: dict[str, NDArray[Any]] = {
        "item": np.array([item.number for item in listed]),
        **_names(listed),
        "state": np.array([report["state"] for report in reports]),
        "embedding_mean": _stack(vectors, (dimensions,)),
        "embedding_variance": _stack([report["embedding_variance"] for report in reports], ()),
        "segment_variance": _stack([each and each["variance"] for each in cells], shape),
        "segment_edges_s": _stack(
            [each and each["edges_s"] for each in cells], (shape[1] + 1,), np.float64
        ),
        "lead_names": np.array(first["lead_names"]),
        "package_name": np.array(package["name"]),
        "package_version": np.array(package["version"]),
        "package_sha256": np.array(package["id"]),
        "caveat": np.array(package["caveat"]),
        "research_use": np.array(reports[0]["research_use"]),
    }
    with _new_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a picture or another file as a whole; raises as `write_json`."""
    with _new_file(path) as unfinished:
        unfinished.write_bytes(content)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Do as `replacing`, with a sentence for the user instead of an `OSError`."""
    try:
        with replacing(path) as unfinished:
            yield unfinished
    except OSError as error:
        said = [say("Nothing was exported: {why}.", why=system_words(error))]
        if path.exists():
            said.append(say("The file of that name is as it was before."))
        raise EchoingError(
            joined(said),
            hint=say("Free some disk space or choose another folder, then export again."),
            code="not_written",
        ) from error


def _names(items: list[Item]) -> dict[str, NDArray[Any]]:
    """Pseudonyms, or hashes where whose ECG it is may be told."""
    if any(item.pseudonym for item in items):
        return {"pseudonym": np.array([item.pseudonym for item in items])}
    reports = [item.report for item in items]
    hashes = [report["sha256"] or report["window_sha256"] or "" for report in reports]
    return {"sha256": np.array(hashes)}


def _origin(item: Item) -> Row:
    """Where a row comes from, and what must be said beside its numbers."""
    report = item.report
    package = report["package"]
    name: Row = {"pseudonym": item.pseudonym}
    if not item.pseudonym:
        name = {
            "recording_sha256": report["sha256"],
            "window_sha256": report["window_sha256"],
        }
    return {
        **name,
        "package_name": package["name"],
        "package_version": package["version"],
        "package_sha256": package["id"],
        "program_version": report["program"]["version"],
        "caveat": package["caveat"],
        "research_use": report["research_use"],
    }


def _text(text: str) -> str:
    """Replace bytes of a file name that are no text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _write_rows(file: TextIO, rows: Iterable[Row]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    header: list[str] = []
    for row in rows:
        if not header:
            header = list(row)
            writer.writerow(header)
        writer.writerow([_csv_cell(row[name]) for name in header])


def _csv_cell(cell: Cell) -> str:
    """Write a cell so that it means the same everywhere and runs nowhere.

    Examples
    --------
    >>> _csv_cell("=1+1"), _csv_cell(-0.5), _csv_cell(None)
    ("'=1+1", '-0.5', '')
    """
    if cell is None:
        return ""
    if isinstance(cell, str):
        text = _text(cell)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return repr(cell)


def _typed(cells: list[Cell]) -> NDArray[Any]:
    """Column of one type: numbers as float64 or int64, else texts."""
    there = [cell for cell in cells if cell is not None]
    if there and all(isinstance(cell, int) for cell in cells):
        return np.array(cells, dtype=np.int64)
    if all(isinstance(cell, int | float) for cell in there):
        return np.array([math.nan if cell is None else cell for cell in cells], dtype=np.float64)
    return np.array([None if cell is None else _text(str(cell)) for cell in cells], dtype=object)


def _stack(
    values: list[Any], shape: tuple[int, ...], kind: type[np.floating[Any]] = np.float32
) -> NDArray[Any]:
    """One array of values of a shape; NaN where there is none."""
    blank = np.full(shape, np.nan, dtype=kind)
    return np.stack([blank if value is None else np.array(value, dtype=kind) for value in values])
