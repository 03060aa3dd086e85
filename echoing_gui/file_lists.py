"""Which ECG files a folder holds, or a table names. Runs in the reading process: files are foreign.

Nothing here imports Qt.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_core.errors import ReadError
from model_core.measures import MEASURES
from model_core.wording import say, system_words

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
MOST_FILES = 200_000
_STEP = 200
_SNIFFED_LINES = 20
_MOST_NUMBERS = 0.8
_PARTS = 3
PATH_COLUMNS = (
    "path", "file", "filename", "file_name", "file_path", "filepath", "ecg_path", "record",
    "filename_hr", "filename_lr",
)  # fmt: skip
_PATIENT_COLUMNS = ("patient_id", "patient", "subject_id", "subject", "mrn")
_LABEL_COLUMNS = {
    "lvef": ("lvef", "ef", "lvef_pct", "lvef_percent", "ejection_fraction", "label_lvef"),
    "lvedv": ("lvedv", "edv", "lvedv_ml", "label_lvedv"),
    "lvesv": ("lvesv", "esv", "lvesv_ml", "label_lvesv"),
}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a work list.

    Attributes
    ----------
    path
        Where it is.
    name
        As shown: relative to the folder, or to that of the table.
    labels
        What the table says of the patient's echo, by measure, in its unit.
    patient, split
        As the table names them; empty without.
    """

    path: Path
    name: str
    labels: tuple[tuple[str, float], ...] = ()
    patient: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """Some files of a work list, and how many others were passed over so far."""

    files: tuple[ListedFile, ...]
    n_skipped: int = 0


def list_files(source: Path) -> Iterator[Listed]:
    """List the ECG files of a folder and all folders in it, or those that a table names.

    Parameters
    ----------
    source
        A folder, or a table (CSV with commas, semicolons or tabs, or Parquet) with a column of
        paths, relative to the table's folder or absolute.

    Yields
    ------
    Listed
        Up to 200 files a step, so that whoever waits sees that it goes on.

    Raises
    ------
    ReadError
        If there is nothing to list, or the table does not say where files are.
    """
    found = 0
    steps = _in_folder(source) if source.is_dir() else _in_table(source)
    for listed in steps:
        found += len(listed.files)
        if found > MOST_FILES:
            raise ReadError(
                say(
                    "There are more than {n:,} ECG files in {name}.",
                    n=MOST_FILES,
                    name=source.name,
                ),
                hint=say("Open its folders one at a time."),
                code="too_many_files",
            )
        yield listed
    if not found:
        raise ReadError(
            say("There is no ECG file in {name}.", name=source.name),
            hint=say(
                "Choose a folder that holds ECG files, or a table with a column of their paths."
            ),
            code="no_files",
        )


def _in_folder(folder: Path) -> Iterator[Listed]:
    batch: list[ListedFile] = []
    n_skipped = n_seen = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            n_seen += 1
            if not name.startswith(".") and _is_ecg(path):
                batch.append(ListedFile(path, path.relative_to(folder).as_posix()))
            elif not _is_data_of_a_header(path):
                n_skipped += 1
            if n_seen % _STEP == 0:
                yield Listed(tuple(batch), n_skipped)
                batch, n_skipped = [], 0
    yield Listed(tuple(batch), n_skipped)


def _is_ecg(path: Path) -> bool:
    """Whether a file is one to read; data files of a WFDB record come with its header."""
    from model_core.io import find_reader, table_reader, wfdb_reader

    if not path.is_file():
        return False
    try:
        reader = find_reader(path)
    except ReadError:
        return True  # told in its row
    if reader is wfdb_reader:
        return path.suffix.lower() == ".hea"
    if reader is table_reader and path.suffix.lower() in {".csv", ".txt", ".tsv"}:
        return _is_numbers(path)
    return reader is not None


def _is_data_of_a_header(path: Path) -> bool:
    return path.suffix != ".hea" and path.with_suffix(".hea").is_file()


def _is_numbers(path: Path) -> bool:
    """Whether a text is a table of samples and not something to read."""
    with path.open("rb") as file:
        lines = [file.readline(65_536) for _ in range(_SNIFFED_LINES)]
    words = re.split(rb"[\s,;]+", b" ".join(lines[1:] if lines[1].strip() else lines))
    filled = [word for word in words if word]
    numbers = sum(
        re.fullmatch(rb"[-+]?[\d.]+(e[-+]?\d+)?", word, re.I) is not None for word in filled
    )
    return bool(filled) and numbers >= _MOST_NUMBERS * len(filled)


def _in_table(table: Path) -> Iterator[Listed]:
    rows = _read_parquet(table) if table.suffix.lower() == ".parquet" else _read_csv(table)
    names = list(rows[0]) if rows else []
    known = {name.strip().lower(): name for name in names}
    path_column = _path_column(table.parent, rows, known)
    patient = next((known[name] for name in _PATIENT_COLUMNS if name in known), None)
    split = known.get("split")
    labels = {
        key: known[name]
        for key in MEASURES
        for name in reversed(_LABEL_COLUMNS.get(key, (key,)))
        if name in known
    }
    files: list[ListedFile] = []
    n_skipped = 0
    for row in rows:
        named = _text(row[path_column])
        if not named:
            n_skipped += 1
            continue
        values = {key: _number(row[column]) for key, column in labels.items()}
        files.append(
            ListedFile(
                _resolved(table.parent / named),
                _name(named, table.parent),
                tuple((key, value) for key, value in values.items() if value is not None),
                _text(row[patient]) if patient else "",
                _text(row[split]) if split else "",
            )
        )
    for start in range(0, max(len(files), 1), _STEP):
        yield Listed(tuple(files[start : start + _STEP]), n_skipped if start == 0 else 0)


def table_of(paths: Sequence[Path]) -> str:
    r"""Write files as a table that `list_files` takes.

    Examples
    --------
    >>> table_of([Path("/data/a, b.hea")])
    'path\n"/data/a, b.hea"\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path"])
    writer.writerows([str(path.absolute())] for path in paths)
    return text.getvalue()


def _path_column(folder: Path, rows: Sequence[dict[str, Any]], known: dict[str, str]) -> str:
    """Find the column that names the most files that are there, among those of a known name."""
    sample = rows[:: max(1, len(rows) // _STEP)]
    scores = {
        known[name]: sum(_resolved(folder / _text(row[known[name]])).is_file() for row in sample)
        for name in PATH_COLUMNS
        if name in known
    }
    if not scores:
        raise ReadError(
            say("The table has no column that says where the ECG files are."),
            hint=say(
                "Name the column with their paths path, file or filename; paths may be relative "
                "to the table's folder."
            ),
            code="no_path_column",
        )
    return max(scores, key=lambda name: scores[name])


def _resolved(path: Path) -> Path:
    """Take a WFDB record's name for its header."""
    if path.is_file():
        return path
    header = path.with_name(f"{path.name}.hea")
    return header if header.is_file() else path


def _name(named: str, folder: Path) -> str:
    """Name of a file as shown: relative to the table's folder, or its last parts."""
    path = Path(named)
    if not path.is_absolute():
        return named
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return "/".join(path.parts[-_PARTS:])


def _read_csv(table: Path) -> list[dict[str, Any]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = table.read_text(encoding="latin-1")
    except OSError as error:
        raise ReadError(
            say(
                "The table {name} cannot be opened: {why}.",
                name=table.name,
                why=system_words(error),
            ),
            hint=say("Check that the drive is connected and that you may read the file."),
            code="not_readable",
        ) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return [
            {str(key): value for key, value in row.items()}
            for row in csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
        ]
    except csv.Error as error:
        raise ReadError(
            say("The table {name} is damaged: {why}.", name=table.name, why=str(error)),
            hint=say("Save it again as CSV."),
            code="damaged",
        ) from error


def _read_parquet(table: Path) -> list[dict[str, Any]]:
    import fastparquet

    wanted = {*PATH_COLUMNS, *_PATIENT_COLUMNS, "split", *sum(_LABEL_COLUMNS.values(), ())}
    try:
        # From memory: by its name it would leave the file open.
        file: Any = fastparquet.ParquetFile(io.BytesIO(table.read_bytes()))
        columns = [name for name in file.columns if name.strip().lower() in wanted]
        return file.to_pandas(columns=columns).to_dict("records") if columns else [{}]
    except Exception as error:  # decoders leak every kind of exception on damaged files
        raise ReadError(
            say("The table {name} is damaged, or not a Parquet file.", name=table.name),
            hint=say("Save it again."),
            code="damaged",
        ) from error


def _text(value: object) -> str:
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _number(value: object) -> float | None:
    """Read a label; a decimal comma is one where there is no point."""
    text = _text(value)
    if "." not in text:
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None
