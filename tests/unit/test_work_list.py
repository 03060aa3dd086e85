"""The work list without a window: which files, in which order, what plots come to, what is kept."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echoing_gui.estimating import Estimated, ProcessWorker
from echoing_gui.features.work_list import store as store_module
from echoing_gui.features.work_list.running import with_report
from echoing_gui.features.work_list.store import ResultStore
from echoing_gui.file_lists import ListedFile, list_files
from echoing_gui.state_work_list import ListRow, RowState, WorkList
from echoing_gui.view_models.cohort import auroc, embedding_map, risk_coverage
from echoing_gui.view_models.work_list import Filter, columns_of, order_of, shown_rows, why_text
from model_core.errors import EchoingError, ReadError
from model_core.runtime.package import load_package
from model_core.wording import say
from tests.package_factory import synthetic_ecg, write_package
from tests.unit.test_cli import write_record


def files_of(source: Path) -> list[ListedFile]:
    return [file for listed in list_files(source) for file in listed.files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ecg = synthetic_ecg().signal_mv
    for name in ("x/b.hea", "x/a.hea", "c.hea"):
        write_record(tmp_path / "ecgs" / name, ecg)
    return tmp_path / "ecgs"


def test_a_folder_lists_ecgs_by_content_and_nothing_else(folder: Path) -> None:
    (folder / "notes.txt").write_text("Read me: 3 ECGs.")
    (folder / "people.csv").write_text("name,age\nA,3\nB,4\n")
    (folder / "samples.csv").write_text("0.1;0.2;0.3\n" * 40)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (folder / ".hidden.hea").write_text("hidden 12 500 5000")
    (folder / "empty.dcm").write_bytes(b"")
    assert [file.name for file in files_of(folder)] == [
        "c.hea", "samples.csv", "x/a.hea", "x/b.hea"
    ]  # fmt: skip
    assert sum(listed.n_skipped for listed in list_files(folder)) == 5


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", ["dicom", "scp", "edf"])
def test_folders_of_real_files_are_listed(shared: Path, name: str) -> None:
    found = {file.path.suffix.lower() for file in files_of(shared / "samples" / name)}
    assert found & {".dcm", ".scp", ".edf", ""}


@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet"])
def test_tables_name_files_and_labels(folder: Path, kind: str) -> None:
    rows = {
        "File": ["x/a.hea", "x/b", "gone.hea"],
        "subject_id": [11, 12, 13],
        "EF": [55.5, None, 30.0],
        "remark": ["", "Müller", ""],
    }
    table = folder / ("list.parquet" if kind == "parquet" else "list.csv")
    frame = pd.DataFrame(rows)
    if kind == "parquet":
        frame.to_parquet(table, engine="pyarrow")
    elif kind == "csv":
        frame.to_csv(table, index=False)
    else:
        frame.to_csv(table, index=False, sep=";", decimal=",", encoding="latin-1")
    found = files_of(table)
    assert [file.path for file in found] == [
        folder / "x/a.hea", folder / "x/b.hea", folder / "gone.hea"
    ]  # fmt: skip
    assert [dict(file.labels) for file in found] == [{"lvef": 55.5}, {}, {"lvef": 30.0}]
    assert [file.patient for file in found] == ["11", "12", "13"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"id,age\n1,2\n", "no_path_column"),
        ("a.csv", b"path\n", "no_path_column"),
        ("a.csv", b"path\n\n", "no_path_column"),
        ("a.parquet", b"PAR1 nothing PAR1", "damaged"),
        ("absent.csv", None, "not_readable"),
        ("empty", "folder", "no_files"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, name: str, content: object, code: str) -> None:
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        files_of(path)
    assert caught.value.code == code
    assert caught.value.hint


def rows(*values: float | None) -> list[ListRow]:
    return [
        ListRow(
            number, Path(f"{number}.hea"), f"{number}.hea",
            state=RowState.NOT_REPORTABLE if value is None else RowState.REPORTED,
            values={} if value is None else {"lvef": value},
            lows={} if value is None else {"lvef": value - 5},
            highs={} if value is None else {"lvef": value + 5 * number},
            codes=("flat_lead",) if value is None else (),
        )
        for number, value in enumerate(values, start=1)
    ]  # fmt: skip


def test_the_heading_states_the_level_of_the_intervals() -> None:
    """As far as there is one: rows of model packages with other levels state it each."""

    def interval(*levels: float) -> tuple[str, list[str], str]:
        listed = tuple(
            replace(row, levels={"lvef": level})
            for row, level in zip(rows(*[50.0] * len(levels)), levels, strict=True)
        )
        work = WorkList(Path("list"), (*listed, *rows(None)))
        column = next(each for each in columns_of(work) if each.key == "lvef_width")
        return column.title, [column.text(row) for row in work.rows], column.tip

    title, cells, tip = interval(0.9, 0.9)
    assert (title, cells) == ("LVEF 90\u00a0% interval", ["45\u201355", "45\u201360", ""])
    assert tip.startswith("90\u00a0% prediction interval")
    title, cells, tip = interval(0.9, 0.8)
    assert title == "LVEF interval"
    assert cells == ["45\u201355 (90\u00a0%)", "45\u201360 (80\u00a0%)", ""]
    assert "differs" in tip
    assert interval()[0] == "LVEF interval"


def test_order_and_filter() -> None:
    listed = rows(50.0, None, 30.0, 50.0)
    columns = {column.key: column for column in columns_of(None)}
    everything = np.arange(4)
    assert order_of(listed, everything, columns["lvef"], falling=False).tolist() == [2, 0, 3, 1]
    assert order_of(listed, everything, columns["lvef"], falling=True).tolist() == [0, 3, 2, 1]
    widths = order_of(listed, everything, columns["lvef_width"], falling=True).tolist()
    assert widths == [3, 2, 0, 1]
    for wanted, expected in (
        (Filter(text="FLAT"), [1]),
        (Filter(state=RowState.REPORTED), [0, 2, 3]),
        (Filter(column="lvef", low=40), [0, 3]),
        (Filter(column="lvef", low=20, high=40), [2]),
        (Filter(column="lvef"), [0, 1, 2, 3]),
    ):
        assert shown_rows(listed, columns_of(None), wanted).tolist() == expected


def test_risk_coverage_against_its_definition() -> None:
    rng = np.random.default_rng(5)
    error, doubt = rng.random(40), rng.permutation(40).astype(float)
    found = risk_coverage(error, doubt)
    kept = [error[doubt <= limit].mean() for limit in sorted(doubt)]
    np.testing.assert_allclose(found.risk, kept)
    assert found.aurc == pytest.approx(np.mean(kept))
    assert found.mae == pytest.approx(error.mean())
    # Where certainty says nothing, the curve is flat: the order of equal ones must not matter.
    flat = risk_coverage(error, np.ones(40))
    assert flat.aurc == pytest.approx(error.mean())


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(6)
    score, holds = rng.integers(0, 6, 50).astype(float), rng.random(50) < 0.3
    pairs = list(itertools.product(score[holds], score[~holds]))
    expected = np.mean([1.0 if up > down else 0.5 * (up == down) for up, down in pairs])
    assert auroc(score, holds) == pytest.approx(expected)
    assert auroc(score, np.zeros(50, dtype=bool)) is None


def test_the_map_keeps_the_directions_of_most_variance() -> None:
    rng = np.random.default_rng(7)
    plane = rng.normal(size=(200, 2)) * (5.0, 2.0)
    axes = np.linalg.qr(rng.normal(size=(16, 2)))[0]
    vectors = plane @ axes.T + rng.normal(size=(200, 16)) * 1e-3
    found = embedding_map(vectors)
    # Distances in the map are those in the full space, because nearly all lies in the plane.
    full = np.linalg.norm(vectors[:50, None] - vectors[None, :50], axis=-1)
    flat = np.linalg.norm(found.places[:50, None] - found.places[None, :50], axis=-1)
    np.testing.assert_allclose(flat, full, atol=0.02)
    assert sum(found.shares) == pytest.approx(1, abs=1e-4)
    assert found.shares[0] == pytest.approx(25 / 29, abs=0.05)


@pytest.fixture
def result() -> Estimated:
    return Estimated("ab" * 32, {"state": "reported"}, np.arange(4, dtype=np.float32))


def test_the_store_keeps_results_by_recording_package_and_program(
    tmp_path: Path, result: Estimated, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "private" / "results.sqlite3"
    path = tmp_path / "Smith.hea"
    first = ResultStore(place, "p" * 64)
    first.put(path, result)
    # Not closed: as after a crash.
    again = ResultStore(place, "p" * 64)
    assert again.known(path) == result.recording_id
    kept = again.get(result.recording_id)
    assert kept is not None
    assert kept.report == result.report
    np.testing.assert_array_equal(kept.embedding_mean, result.embedding_mean)
    assert again.known(tmp_path / "other.hea") == ""
    assert ResultStore(place, "q" * 64).known(path) == ""
    monkeypatch.setattr(store_module, "program_version", lambda: "99")
    assert ResultStore(place, "p" * 64).known(path) == ""
    assert b"Smith" not in place.read_bytes()
    if os.name == "posix":
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_what_the_store_keeps_can_still_be_translated(tmp_path: Path) -> None:
    message = say("Lead {lead} is {state}.", lead="V1", state=say("off by {mv:g} mV", mv=0.5))
    found = Estimated("r" * 64, {"reasons": [{"message": message}], "window_s": [0.0, 10.0]})
    store = ResultStore(tmp_path / "results.sqlite3", "p" * 64)
    store.put(tmp_path / "a.hea", found)
    kept = store.get("r" * 64)
    assert kept is not None
    assert kept.report == found.report
    again = kept.report["reasons"][0]["message"]
    assert (again.template, again.values["state"].template) == (
        "Lead {lead} is {state}.",
        "off by {mv:g} mV",
    )
    store.close()


def test_a_store_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite3").write_bytes(b"not a database, but long enough " * 10)
    with pytest.raises(OSError, match="not a database"):
        ResultStore(tmp_path / "results.sqlite3", "p")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessWorker]:
    package = write_package(tmp_path_factory.mktemp("packages") / "valid")
    made = ProcessWorker(package, load_package(package).identity.package_id)
    yield made
    made.close()


def test_the_worker_estimates_in_a_process_of_its_own(folder: Path, worker: ProcessWorker) -> None:
    assert [file.name for listed in worker.files(folder) for file in listed.files] == [
        "c.hea", "x/a.hea", "x/b.hea"
    ]  # fmt: skip
    found = worker.estimate(folder / "c.hea", "")
    assert found.report is not None
    assert found.report["measures"][0]["value"] == 58.0
    assert found.report["sha256"] == found.recording_id
    assert found.report["file"] is None
    assert found.embedding_mean is not None
    assert worker.estimate(folder / "c.hea", found.recording_id).report is None


def test_of_a_long_recording_the_first_ten_seconds_are_estimated(
    folder: Path, worker: ProcessWorker
) -> None:
    signal = synthetic_ecg(duration_s=75.0).signal_mv
    found = worker.estimate(write_record(folder / "long.hea", signal), "")
    alone = worker.estimate(write_record(folder / "short.hea", signal[:, :5000]), "")
    assert found.report is not None
    assert alone.report is not None
    assert found.report["measures"] == alone.report["measures"]
    assert found.report["window_s"] == [0, 10]
    assert found.report["recording"]["duration_s"] == 75
    # As `echoing predict` has it.
    assert found.report["sha256"] is None
    assert len(found.report["window_sha256"]) == 64
    assert worker.estimate(folder / "long.hea", found.recording_id).report is None
    row = with_report(rows(50.0)[0], found.report)
    assert row.state is RowState.CAUTION
    assert why_text(row).startswith("Only seconds 0 to 10 of 1 min 15 s were looked at. ")
    assert not why_text(with_report(rows(50.0)[0], alone.report)).startswith("Only")


def test_the_worker_says_what_needs_the_user(folder: Path, worker: ProcessWorker) -> None:
    (folder / "samples.csv").write_text("0.1,0.2\n" * 40)
    (folder / "c.dat").write_bytes(b"short")
    for path, code in (
        (folder / "samples.csv", "layout_needed"),
        (folder / "c.hea", "size_mismatch"), (folder / "gone.hea", "header_missing"),
    ):  # fmt: skip
        with pytest.raises(EchoingError) as caught:
            worker.estimate(path, "")
        assert caught.value.code == code
        assert str(caught.value)
    # It is not harmed.
    assert worker.estimate(folder / "x/a.hea", "").report is not None


def test_a_package_that_changed_is_not_used(folder: Path, tmp_path: Path) -> None:
    worker = ProcessWorker(write_package(tmp_path / "package"), "0" * 64)
    with pytest.raises(EchoingError, match="has changed"):
        worker.estimate(folder / "c.hea", "")
    worker.close()
