"""Embeddings of other models, read from a Parquet file.

Columns: ``record_id`` (text or whole numbers) and either ``embedding`` (a list of numbers, the same
length in each row) or numbered columns ``e0``, ``e1`` ... Rows may come in any order, and there may
be more than are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError

if TYPE_CHECKING:
    import pyarrow as pa


def read_embeddings_parquet(path: Path, record_ids: Sequence[str]) -> NDArray[np.float64]:
    """Embeddings of some records, (n, d), in their order.

    Parameters
    ----------
    path
        Parquet file, see above.
    record_ids
        Names of the records; numbers in the file are compared as text.

    Raises
    ------
    EchoingError
        If the file or a column is missing, a record is missing or there twice, or a value is not
        a finite number.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_embeddings_parquet(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise EchoingError(f"{path.name} cannot be read.", code="bad_embeddings") from error
    names = table.column_names
    ids = [str(value) for value in table["record_id"].to_pylist()]
    place = {name: number for number, name in enumerate(ids)}
    if len(place) < len(ids):
        raise EchoingError(f"{path.name} holds a record twice.", code="bad_embeddings")
    missing = [name for name in map(str, record_ids) if name not in place]
    if missing:
        raise EchoingError(
            f"{path.name} lacks {len(missing)} of {len(record_ids)} records, "
            f"the first is {missing[0]}.",
            code="missing_data",
        )
    rows = [place[name] for name in map(str, record_ids)]
    values = _values(path, table, names)[rows]
    if not np.isfinite(values).all():
        raise EchoingError(f"{path.name} holds values that are not numbers.", code="bad_embeddings")
    return values


def check_embeddings_parquet(path: Path) -> None:
    """Refuse a file without the columns that `read_embeddings_parquet` needs; reads no row.

    Raises
    ------
    EchoingError
        If the file is missing, is no Parquet file or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise EchoingError(f"There is no file {path}.", code="missing_data")
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise EchoingError(f"{path.name} is not a Parquet file.", code="bad_embeddings") from error
    if "record_id" not in names:
        raise EchoingError(
            f"{path.name} has no column record_id.",
            hint=f"Its columns are: {', '.join(names[:8])}.",
            code="bad_embeddings",
        )
    if "embedding" not in names:
        _numbered(path, names)


def _values(path: Path, table: pa.Table, names: list[str]) -> NDArray[np.float64]:
    if "embedding" in names:
        lists = table["embedding"].to_pylist()
        if len({0 if one is None else len(one) for one in lists}) != 1:
            raise EchoingError(
                f"The embeddings in {path.name} differ in length.", code="bad_embeddings"
            )
        return np.array(lists, dtype=np.float64)
    columns = [table[name].to_numpy() for name in _numbered(path, names)]
    return np.stack(columns, axis=1).astype(np.float64)


def _numbered(path: Path, names: list[str]) -> list[str]:
    """Columns e0, e1 ... in order."""
    numbered = sorted(
        (int(name[1:]), name) for name in names if name[0] == "e" and name[1:].isdigit()
    )
    if not numbered or [number for number, _ in numbered] != list(range(len(numbered))):
        raise EchoingError(
            f"{path.name} has neither a column embedding nor columns e0, e1 ...",
            code="bad_embeddings",
        )
    return [name for _, name in numbered]
