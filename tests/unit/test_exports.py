"""What is exported: read back by other programs, held against the published schema."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from echoing_gui import cli, files
from echoing_gui.exports import (
    Item,
    json_entry,
    measures_row,
    segment_rows,
    write_csv,
    write_json,
    write_npz,
    write_parquet,
)
from echoing_gui.reading import ReadingProcess
from echoing_gui.reports import Report, blank_report
from model_core.errors import EchoingError
from tests.package_factory import synthetic_ecg, write_package
from tests.unit.test_cli import write_record

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "assets/schema/prediction.schema.json").read_text(encoding="utf-8"))
PATIENT = "Smith"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    return write_package(folder / "package")


@pytest.fixture(scope="module")
def process() -> Iterator[ReadingProcess]:
    made = ReadingProcess()
    yield made
    made.close()


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[Path]:
    """One ECG that is reported, one with a flat lead, one that is damaged."""
    good = synthetic_ecg().signal_mv
    flat = good.copy()
    flat[7] = 0
    found = [
        write_record(folder / f"{PATIENT}_{name}.hea", signal)
        for name, signal in (("good", good), ("flat", flat), ("broken", good))
    ]
    found[2].with_suffix(".dat").write_bytes(b"short")
    return found


@pytest.fixture(scope="module")
def reports(
    folder: Path, package: Path, process: ReadingProcess, paths: list[Path]
) -> list[Report]:
    """Of the same ECGs, as `echoing predict --json` gives them."""
    out = folder / "out.jsonl"
    cli.main(
        ["predict", *map(str, paths), "--json", "--package", str(package), "-o", str(out)], process
    )
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def items(reports: list[Report]) -> list[Item]:
    return made_items(reports, "ECG-{}")


@pytest.fixture(scope="module")
def named_items(reports: list[Report]) -> list[Item]:
    return made_items(reports, "")


def made_items(reports: list[Report], pseudonym: str) -> list[Item]:
    labels = (
        {"lvef": 55.0, "split": "test"},
        {"lvef": 35.0, "split": "test"},
        {"lvef": None, "split": None},
    )
    vectors = (np.arange(8, dtype=np.float32), None, None)
    return [
        Item(number, report, pseudonym.format(number), vector, label, PATIENT)
        for number, (report, vector, label) in enumerate(
            zip(reports, vectors, labels, strict=True), start=1
        )
    ]


def test_what_predict_prints_follows_the_schema(reports: list[Report]) -> None:
    assert [report["state"] for report in reports] == ["reported", "not_reportable", "error"]
    for report in reports:
        jsonschema.validate(report, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "not_reportable"},
        {"error": {"code": "damaged", "message": "", "hint": ""}},
        {"embedding_variance": "high"},
        {"extra": 1},
    ],
)
def test_the_schema_refuses_what_must_not_be(reports: list[Report], change: Report) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(reports[0] | change, SCHEMA)


@pytest.mark.parametrize("fixture", ["items", "named_items"])
def test_json_lines_follow_the_schema(
    tmp_path: Path, fixture: str, request: pytest.FixtureRequest
) -> None:
    items: list[Item] = request.getfixturevalue(fixture)
    path = tmp_path / "list.jsonl"
    write_json(path, items)
    text = path.read_text(encoding="utf-8")
    entries = [json.loads(line) for line in text.splitlines()]
    for entry in entries:
        jsonschema.validate(entry, SCHEMA)
        assert entry["research_use"].startswith("Research use only.")
        assert "Demonstration" in entry["package"]["caveat"]
    assert entries[0]["measures"] == items[0].report["measures"]
    assert entries[1]["labels"] == {"lvef": 35.0, "split": "test"}
    identified = fixture == "named_items"
    assert (PATIENT in text) is identified
    assert (str(items[0].report["sha256"]) in text) is identified
    assert ("pseudonym" in entries[0]) is not identified


@pytest.mark.parametrize("entry", ["file", "sha256", "window_sha256", "patient"])
def test_the_schema_refuses_a_pseudonym_beside_what_tells_who_it_is(
    items: list[Item], entry: str
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json_entry(items[0]) | {entry: "ab" * 32}, SCHEMA)


def test_withheld_results_are_empty_with_their_code(items: list[Item]) -> None:
    good, flat, broken = (measures_row(item) for item in items)
    assert good["lvef_pct"] == 58.0
    assert (good["lvef_low_pct"], good["lvef_high_pct"]) == (48.0, 68.0)
    assert good["lvef_interval_level"] == 0.9
    assert good["lvef_below_40_probability"] == pytest.approx(0.0758582)
    for row in (flat, broken):
        numbers = [name for name in row if name.startswith(("lvef", "lvedv", "lvesv"))]
        assert len(numbers) == 13
        assert all(row[name] is None for name in numbers)
    assert "flat_lead" in str(flat["reasons"]).split()
    assert broken["error"] == "size_mismatch"
    assert (good["label_lvef"], flat["label_lvef"]) == (55.0, 35.0)


def test_csv_and_parquet_hold_the_same_and_name_nobody(tmp_path: Path, items: list[Item]) -> None:
    rows = [measures_row(item) for item in items]
    write_csv(tmp_path / "a.csv", rows)
    write_parquet(tmp_path / "a.parquet", rows)
    texts: Any = {"package_version": str, "program_version": str}
    from_csv = pd.read_csv(tmp_path / "a.csv", dtype=texts)
    from_parquet = pq.read_table(tmp_path / "a.parquet").to_pandas()
    assert list(from_csv.columns) == list(from_parquet.columns) == list(rows[0])
    for name in from_csv:
        left, right = from_csv[name], from_parquet[name]
        assert left.isna().tolist() == right.isna().tolist()
        for one, other in zip(left[left.notna()], right[left.notna()], strict=True):
            assert one == pytest.approx(other) if isinstance(one, float) else one == other
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert PATIENT not in text
    assert PATIENT not in str(from_parquet.to_dict())
    for row in rows:
        assert len(str(row["package_sha256"])) == 64
        assert row["package_name"] == "test student"
        assert "Demonstration" in str(row["caveat"])
    assert [row["pseudonym"] for row in rows] == ["ECG-1", "ECG-2", "ECG-3"]
    assert str(items[0].report["sha256"]) not in text


def test_names_and_hashes_only_where_they_are_asked_for(
    items: list[Item], named_items: list[Item]
) -> None:
    row = measures_row(named_items[0])
    assert str(row["file"]).endswith(f"{PATIENT}_good.hea")
    assert row["patient"] == PATIENT
    assert row["recording_sha256"] == items[0].report["sha256"]
    for hidden in (measures_row(items[0]), next(segment_rows(items[0]))):
        assert not {"file", "patient", "recording_sha256", "window_sha256"} & set(hidden)
        assert items[0].report["sha256"] not in hidden.values()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "－"])
def test_csv_runs_nothing_in_a_spreadsheet(tmp_path: Path, start: str) -> None:
    path = tmp_path / "a.csv"
    write_csv(path, [{"name": f'{start}cmd|" /C calc"!A0', "value": -1.5, "text": "ü, 1"}])
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["name"][0] == "'"
    assert row["name"][1] == start
    # Numbers stay numbers, with a point in every country.
    assert row["value"] == "-1.5"
    assert row["text"] == "ü, 1"


def test_segments(items: list[Item]) -> None:
    rows = list(segment_rows(items[0]))
    cells = items[0].report["segment_variance"]
    assert len(rows) == 12 * 20
    assert rows[21]["lead"] == "II"
    assert rows[21]["variance"] == cells["variance"][1][1]
    assert (rows[21]["start_s"], rows[21]["end_s"]) == (0.5, 1.0)
    values = np.array(cells["variance"])
    expected = 100 * np.mean(values <= values[1][1])
    assert rows[21]["percentile"] == pytest.approx(expected, abs=0.01)
    assert list(segment_rows(items[2])) == []


def test_npz_of_maps_and_embeddings(tmp_path: Path, items: list[Item]) -> None:
    write_npz(tmp_path / "a.npz", items)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["segment_variance"].shape == (3, 12, 20)
        assert np.isnan(found["segment_variance"][1:]).all()
        np.testing.assert_allclose(
            found["segment_variance"][0], items[0].report["segment_variance"]["variance"], rtol=1e-6
        )
        np.testing.assert_array_equal(found["embedding_mean"][0], np.arange(8))
        assert np.isnan(found["embedding_mean"][1]).all()
        assert found["pseudonym"].tolist() == ["ECG-1", "ECG-2", "ECG-3"]
        assert "sha256" not in found.files
        assert found["package_sha256"] == items[0].report["package"]["id"]
        assert "Demonstration" in str(found["caveat"])
        assert str(found["research_use"]).startswith("Research use only.")


def test_npz_with_names_holds_hashes(tmp_path: Path, named_items: list[Item]) -> None:
    write_npz(tmp_path / "a.npz", named_items)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["sha256"][0] == named_items[0].report["sha256"]
        assert "pseudonym" not in found.files


def test_no_maps_no_file(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(EchoingError, match="no maps"):
        write_npz(tmp_path / "a.npz", items[1:])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "npz"])
def test_a_full_disk_keeps_the_old_file_and_says_so(
    tmp_path: Path, items: list[Item], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", full)
    rows = [measures_row(item) for item in items[:2]]
    write: Any = {
        "json": lambda: write_json(path, items),
        "csv": lambda: write_csv(path, rows),
        "parquet": lambda: write_parquet(path, rows),
        "npz": lambda: write_npz(path, items),
    }
    with pytest.raises(EchoingError) as caught:
        write[kind]()
    assert "No space left on device" in str(caught.value)
    assert "as it was before" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(EchoingError, match="Nothing was exported"):
        write_json(tmp_path / "absent" / "a.json", items)


def test_names_that_are_no_text_do_not_stop_the_export(tmp_path: Path, items: list[Item]) -> None:
    report = blank_report("bad\udcff.hea", items[0].report["package"])
    error = {"code": "not_found", "message": "bad\udcff.hea", "hint": ""}
    item = Item(1, report | {"error": error})
    write_json(tmp_path / "a.json", [item])
    write_csv(tmp_path / "a.csv", [measures_row(item)])
    write_parquet(tmp_path / "a.parquet", [measures_row(item)])
    assert "\ufffd" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert "bad" not in json.dumps(json_entry(replace(item, pseudonym="ECG-1")))


def test_predict_writes_tables(
    tmp_path: Path, paths: list[Path], package: Path, process: ReadingProcess
) -> None:
    out, table, parquet = (tmp_path / name for name in ("out.txt", "a.csv", "a.parquet"))
    arguments = ["--package", package, "-o", out, "--csv", table, "--parquet", parquet]
    code = cli.main(["predict", *map(str, [*paths, *arguments])], process)
    assert code == cli.EXIT_NOT_READ
    found = pd.read_csv(table)
    assert found["item"].tolist() == [1, 2, 3]
    assert found["state"].tolist() == ["reported", "not_reportable", "error"]
    assert PATIENT not in table.read_text(encoding="utf-8")
    assert pq.read_table(parquet).num_rows == 3
    cli.main(["predict", str(paths[0]), *map(str, arguments), "--identified"], process)
    assert pd.read_csv(table)["file"].tolist() == [str(paths[0])]
