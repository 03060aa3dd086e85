from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.preprocess import PreprocessSpec, filter_and_resample, prepare
from model_core.runtime.package import load_package
from tests.unit.archive_miniatures import write_echonext, write_embeddings, write_mimic
from tests.unit.ingest_miniatures import (
    counts_of,
    ecg_mv,
    write_csv,
    write_ptbxl,
    write_wfdb,
)
from training import estimates, real_cohort
from training.__main__ import main
from training.cohort import Cohort, Split, assert_disjoint, load_cohort, names_of_records
from training.evaluation.report_data import read_json
from training.ingest import IngestConfig, ShardStore, TableColumns, ingest, ingest_echo
from training.run import STAGES

N_PATIENTS = 240


@pytest.fixture(scope="module", autouse=True)
def little_noise() -> Iterator[None]:
    """Noise for augmentation takes most of the time of a miniature."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_cohort, "N_NOISE", 4)
        yield


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of PTB-XL and MIMIC-IV-ECG, echoes of MIMIC-IV-ECHO, half of them embedded."""
    root = tmp_path_factory.mktemp("archives")
    write_ptbxl(root / "data/ptbxl", 22)
    write_mimic(root / "data/mimic", root / "data/echo", N_PATIENTS, fs=100.0)
    ingest(IngestConfig(source="ptbxl", root=root / "data/ptbxl", out=root / "ptbxl"))
    ingest(
        IngestConfig(
            source="mimic-iv-ecg", root=root / "data/mimic", out=root / "mimic", max_fs=100.0
        )
    )
    ingest_echo(root / "data/echo", root / "echo")
    write_embeddings(root / "embedded", [f"s{9000 + i}" for i in range(0, N_PATIENTS, 2)])
    return root


def command(archives: Path, runs: Path) -> list[str]:
    return [
        *("cohort-from-archives", "--store", str(archives / "ptbxl"), str(archives / "mimic")),
        *("--echo", str(archives / "echo"), "--echo-embeddings", str(archives / "embedded")),
        *("--runs", str(runs), "--workers", "1"),
    ]


@pytest.fixture(scope="module")
def run(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("run")
    assert main(command(archives, runs)) == 0
    return runs


@pytest.fixture(scope="module")
def cohort(run: Path) -> Cohort:
    return load_cohort(run / "cohort")


def record_ids(folder: Path) -> list[str]:
    return ShardStore(folder).index["record_id"].to_pylist()


def test_each_ecg_is_the_networks_input_of_its_file(archives: Path, cohort: Cohort) -> None:
    assert cohort.ecg_mv.shape == (22 + 2 * N_PATIENTS, 12, 1000)
    assert cohort.source_names == ["PTB-XL", "MIMIC-IV-ECG"]
    files = [*(archives / "data/ptbxl").rglob("00007_hr.hea")]
    files += (archives / "data/mimic").rglob("4031.hea")
    rows = [6, 22 + record_ids(archives / "mimic").index("4031")]
    for path, row in zip(files, rows, strict=True):
        expected = prepare(read_recording(path), PreprocessSpec())[0]
        np.testing.assert_allclose(cohort.ecg_mv[row], expected, rtol=2**-10, atol=1e-5)


def test_the_near_ecg_of_each_patient_has_the_echo_and_the_far_one_has_none(
    archives: Path, cohort: Cohort
) -> None:
    assert (cohort.n_studies[:22] == 0).all()
    assert cohort.teacher_mean is not None
    assert cohort.teacher_log_var is not None
    embedded = write_embeddings_again(archives)
    for row, record in enumerate(record_ids(archives / "mimic"), start=22):
        i, k = divmod(int(record) - 4000, 2)
        # Day 10 is two days before the echo, day 100 eighty-eight after it.
        assert cohort.n_studies[row] == (1 if k == 0 else 0)
        if k == 0:
            study = cohort.first_study[row]
            assert cohort.measures["lvef"][study] == 20 + i % 50
            expected = embedded.get(f"s{9000 + i}")
            for stored, part in ((cohort.teacher_mean, 0), (cohort.teacher_log_var, 1)):
                if expected is None:
                    assert np.isnan(stored[study]).all()
                else:
                    np.testing.assert_array_equal(stored[study], expected[part])
    assert (cohort.clip_row == -1).all()
    assert not cohort.simulated_outcomes


def write_embeddings_again(archives: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    folder = archives / "embedded/shards"
    names = [entry["study"] for entry in json.loads((folder / "00000.json").read_text())]
    mean, log_var = (np.load(folder / f"00000.{kind}.npy") for kind in ("mean", "log_var"))
    return {name: (mean[i], log_var[i]) for i, name in enumerate(names)}


def test_splits_are_those_of_the_stores_with_some_held_out(archives: Path, cohort: Cohort) -> None:
    assert_disjoint(cohort)
    for folder, first in ((archives / "ptbxl", 0), (archives / "mimic", 22)):
        words = ShardStore(folder).index["split"].to_pylist()
        for row, word in enumerate(words, start=first):
            allowed = {
                "train": {Split.TRAIN, Split.HELD_OUT},
                "validation": {Split.CALIBRATION},
                "test": {Split.TEST},
            }[word]
            assert cohort.split[row] in allowed
    held_out = cohort.records(Split.HELD_OUT)
    assert 0 < len(np.unique(cohort.patient[held_out])) < 0.1 * N_PATIENTS
    assert cohort.n_studies[held_out].any()


def test_text_labels_and_groups_come_from_statements_and_reports(
    archives: Path, cohort: Cohort
) -> None:
    assert cohort.ecg_text[0] == "Sinus rhythm, normal ECG."
    row = 22 + record_ids(archives / "mimic").index("4002")  # of patient 1
    assert cohort.ecg_text[row] == "Sinus rhythm, left bundle branch block."
    assert cohort.groups["block"][row] == "left bundle branch block"
    assert cohort.ecg_labels["lbbb"][[0, row]].tolist() == [0, 1]
    assert cohort.groups["sex"][:2] == ["women", "men"]
    assert cohort.groups["sex"][row] == "not known"
    assert list(cohort.data_sha256) == [
        *("MIMIC-IV-ECG", "PTB-XL", "echo embeddings", "echoes of MIMIC-IV-ECG"),
    ]


def test_made_again_it_is_the_same_and_any_other_window_is_another(
    archives: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = json.loads((run / "cohort/given.json").read_text())
    before = (run / "cohort/ecg_mv.npy").stat().st_mtime_ns
    assert main(command(archives, run)) == 0
    assert json.loads((run / "cohort/given.json").read_text()) == digest
    assert (run / "cohort/ecg_mv.npy").stat().st_mtime_ns == before
    output = capsys.readouterr().out
    assert f"{N_PATIENTS:,} in 3 days" in output
    assert f"{2 * N_PATIENTS:,} in 90 days" in output
    assert main([*command(archives, tmp_path / "wide"), "--pairs-window-days", "90"]) == 0
    wide = load_cohort(tmp_path / "wide/cohort")
    assert (wide.n_studies[22:] == 1).all()
    # Both ECGs of a patient share the echo.
    assert len(wide.clip_row) == N_PATIENTS
    assert json.loads((tmp_path / "wide/cohort/given.json").read_text()) != digest


def test_a_small_disk_is_noticed_before_the_work(
    archives: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=12_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert main(command(archives, tmp_path / "run")) == 1
    assert "The cohort needs 0.0 GB" in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob("*"))
    # What is there already needs no more room.
    assert main(command(archives, run)) == 0


def test_what_cannot_work_ends_with_one_sentence(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = command(archives, tmp_path / "run")

    def said(arguments: list[str]) -> str:
        assert main(arguments) == 1
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        assert not (tmp_path / "run").exists()
        return text

    stores = [*whole[:1], "--store", str(archives / "ptbxl"), "--runs", str(tmp_path / "run")]
    assert "No LVEF, LVEDV or LVESV belongs to any" in said(stores)
    assert "holds no finished ingest" in said([*stores[:2], str(tmp_path), *stores[3:]])
    assert "no echo.parquet" in said([*whole, "--echo", str(tmp_path)])
    assert "does not say which store" in said([*whole, "--echo", f"x={archives / 'echo'}"])
    no_embeddings = [word for word in whole if "embed" not in word]
    text = said([*no_embeddings, "--pairs-window-days", "0"])
    assert "LVEF is left out: it was measured in 0 patients of the train split" in text
    assert "must not be negative" in said([*whole, "--pairs-window-days", "-1"])
    write_embeddings(tmp_path / "others", ["other"])
    text = said([*whole, "--echo-embeddings", str(tmp_path / "others")])
    assert "None of the embedded echoes belongs to an ECG" in text
    assert "'other'" in text


def test_a_simulated_cohort_is_not_overwritten(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort/texts.json").write_text("{}")
    assert main(command(archives, tmp_path)) == 1
    assert "not made from archives" in capsys.readouterr().err
    assert (tmp_path / "cohort/texts.json").read_text() == "{}"


def folder_store(root: Path, rows: list[tuple[object, ...]], labels: tuple[str, ...]) -> Path:
    """Ingest recordings that the rows name by a seed: (path, patient, split, labels...)."""
    for path, *_ in rows:
        signal = ecg_mv(int(str(path)[1:]), 1000, 100.0)
        write_wfdb(
            root / f"data/{path}", counts_of(signal, 1000), STANDARD_LEADS, fs=100, gain=1000.0
        )
    write_csv(root / "data/t.csv", ("path", "patient_id", "split", *labels), rows)
    columns = TableColumns(table="t.csv", split="split", labels=labels)
    ingest(
        IngestConfig(
            source="folder", root=root / "data", out=root / root.name, columns=columns, max_fs=100.0
        )
    )
    return root / root.name


def splits(n: int) -> list[str]:
    return ["train"] * (n - 40) + ["validation"] * 20 + ["test"] * 20


def test_labels_of_the_ecgs_own_table_and_measures_too_rare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[tuple[object, ...]] = []
    for i, split in enumerate(splits(60)):
        edv = "" if i % 30 else 120
        rows.append((f"r{i}", f"p{i}", split, "" if i == 3 else 30 + i % 40, edv, i % 2))
    store = folder_store(tmp_path / "mine", rows, ("lvef_pct", "lvedv_ml", "grade"))
    runs = ["--runs", str(tmp_path / "run"), "--workers", "1"]
    assert main(["cohort-from-archives", "--store", str(store), *runs]) == 0
    assert "LVEDV is left out: it was measured in 1 patients of the calibration" in (
        capsys.readouterr().out
    )
    cohort = load_cohort(tmp_path / "run/cohort")
    assert cohort.source_names == ["mine"]
    assert sorted(cohort.measures) == ["grade", "lvef"]
    lvef = cohort.outcomes("lvef", np.arange(60))[:, 0]
    expected = np.array([np.nan if i == 3 else 30 + i % 40 for i in range(60)])
    np.testing.assert_array_equal(lvef, expected)
    assert set(cohort.ecg_text) == {""}
    # Nothing was embedded: no study has a target of the ECG-echo loss.
    assert cohort.teacher_mean is not None
    assert np.isnan(cohort.teacher_mean).all()


def test_a_store_without_a_sound_ecg_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = folder_store(tmp_path / "mine", [("r1", "p1", "train", 50)], ("lvef_pct",))
    counts = counts_of(ecg_mv(1, 1000, 100.0), 1000)
    counts[7] = 3
    write_wfdb(tmp_path / "mine/data/r1", counts, STANDARD_LEADS, fs=100, gain=1000.0)
    shutil.rmtree(store / "shards")
    columns = TableColumns(table="t.csv", split="split", labels=("lvef_pct",))
    ingest(
        IngestConfig(
            source="folder", root=tmp_path / "mine/data", out=store, columns=columns, max_fs=100.0
        )
    )
    assert main(["cohort-from-archives", "--store", str(store), "--runs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"\nNone of the 1 ECGs in {store} can be used: flat lead (1).\n")


def test_a_patient_in_two_splits_of_two_stores_is_refused(
    tmp_path: Path, archives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mimic(tmp_path / "ecg", tmp_path / "echo", 30, fs=100.0)
    settings = {"source": "mimic-iv-ecg", "root": tmp_path / "ecg", "max_fs": 100.0}
    ingest(IngestConfig(out=tmp_path / "other", split_seed=1, **settings))
    stores = ["--store", str(archives / "mimic"), str(tmp_path / "other")]
    assert main(["cohort-from-archives", *stores, "--runs", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "patients are in more than one split, for instance mimic-iv-ecg:1000" in said


def test_a_copy_of_a_test_recording_does_not_train(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [
        (f"r{i}", f"p{i}", split, 30 + i % 40) for i, split in enumerate(splits(60))
    ]
    one = folder_store(tmp_path / "one", rows, ("lvef_pct",))
    # The same files under other patients: r59 and r25 are for testing and calibration above.
    more: list[tuple[object, ...]] = [
        (f"r{i}", f"q{i}", "train", 50) for i in (59, 25, 2, *range(70, 80))
    ]
    two = folder_store(tmp_path / "two", more, ("lvef_pct",))
    runs = ["--runs", str(tmp_path / "run"), "--workers", "1"]
    assert main(["cohort-from-archives", "--store", str(one), str(two), *runs]) == 0
    cohort = load_cohort(tmp_path / "run/cohort")
    stated = json.loads((tmp_path / "run/cohort/archives.json").read_text())["left_out"]
    assert stated == {"one": {}, "two": {"copy of a recording in another split": 2}}
    assert cohort.n_records == 60 + 11
    kept = {values.tobytes() for values in cohort.ecg_mv[60:]}
    assert not kept & {values.tobytes() for values in cohort.ecg_mv[20:60]}


def test_echonext_is_put_on_the_scale_of_recordings_in_mv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    true_mv = write_echonext(tmp_path / "data", {"train": 120, "val": 20, "test": 5})
    ingest(IngestConfig(source="echonext", root=tmp_path / "data", out=tmp_path / "echonext"))
    arguments = ["cohort-from-archives", "--runs", str(tmp_path / "run"), "--workers", "1"]
    assert main([*arguments, "--store", str(tmp_path / "echonext")]) == 1
    assert "None of the stores is in mV" in capsys.readouterr().err

    rows: list[tuple[object, ...]] = [(f"r{i}", f"p{i}", "train", "") for i in range(120)]
    mine = folder_store(tmp_path / "mine", rows, ("lvef_pct",))
    assert main([*arguments, "--store", str(tmp_path / "echonext"), str(mine)]) == 0
    cohort = load_cohort(tmp_path / "run/cohort")
    # The standardiser is found from the first source: it must be in mV.
    assert cohort.source_names == ["mine", "EchoNext"]
    found = cohort.ecg_mv[120:240].astype(np.float64)
    expected = filter_and_resample(true_mv["train"], 250.0, PreprocessSpec())
    # Lead by lead one factor, found from the spread alone, brings mV back: to the accuracy that
    # the two samples of 120 patients agree in their spread.
    factor = (found * expected).sum((0, 2)) / (expected**2).sum((0, 2))
    np.testing.assert_allclose(factor, 1.0, atol=0.1)
    residual = found - factor[:, None] * expected
    assert residual.std() < 0.01 * expected.std()
    assert set(cohort.groups["signal"][120:]) == {"standardised by its publishers"}
    assert set(cohort.groups["signal"][:120]) == {"as recorded"}
    train = cohort.records(Split.TRAIN, "EchoNext")
    assert len(train) + len(cohort.records(Split.HELD_OUT, "EchoNext")) == 120
    np.testing.assert_array_equal(
        cohort.outcomes("lvef", np.arange(120, 265))[:, 0], [20 + i % 50 for i in range(145)]
    )


def test_all_stages_run_on_it_up_to_a_package(run: Path, cohort: Cohort, tmp_path: Path) -> None:
    arguments = ["--recipe", "debug", "--runs", str(run), "--out", str(tmp_path / "package")]
    assert main(["run", *arguments]) == 0
    # As wide as the embeddings of the echoes.
    assert json.loads((run / "distill/embedding_dim.json").read_text()) == 8
    calibration = json.loads((run / "calibrate/calibration.json").read_text())
    (lvef,) = calibration["measures"]
    rows = cohort.records(Split.CALIBRATION)
    measured = np.unique(cohort.patient[rows[cohort.n_studies[rows] > 0]])
    assert (lvef[0], lvef[-1]) == ("lvef", len(measured))
    assert len(measured) >= 19
    package = load_package(tmp_path / "package")
    assert [m.key for m in package.manifest.measures] == ["lvef"]
    assert not package.manifest.demonstration
    assert "simulated" not in package.manifest.caveat
    assert "The terms of the data" in package.manifest.licence
    report = read_json(run / "evaluate/report.json")
    assert "simulated" not in report.dataset
    assert all("Best possible" not in name for name in report.estimators)
    assert report.find(report.estimators[0], "lvef", "mae") is not None


def test_another_model_is_probed_on_whichever_archive_has_the_echoes(
    run: Path, cohort: Cohort, tmp_path: Path
) -> None:
    """Of the two archives the first, PTB-XL, has no echo at all."""
    features = np.random.default_rng(0).normal(size=(len(cohort.record_ids), 3))
    table = pa.table({"record_id": cohort.record_ids, "embedding": list(features)})
    pq.write_table(table, tmp_path / "other.parquet")
    arguments = ["--recipe", "debug", "--runs", str(run), "--out", str(tmp_path / "package")]
    assert all(main([stage, *arguments]) == 0 for stage in STAGES[:-1])
    other = f"Other model={tmp_path / 'other.parquet'}"
    assert main(["evaluate", *arguments, "--embeddings", other]) == 0
    report = read_json(run / "evaluate/report.json")
    assert report.find("Other model", "lvef", "mae") is not None


def test_records_are_named_as_in_their_stores(archives: Path, cohort: Cohort) -> None:
    stores = [record_ids(archives / name) for name in ("ptbxl", "mimic")]
    assert cohort.record_ids == [str(name) for some in stores for name in some]
    alike = names_of_records({"PTB-XL": ["1", "2"], "mine": ["1"]})
    assert alike == ["PTB-XL/1", "PTB-XL/2", "mine/1"]


def test_probes_are_fitted_on_all_archives_alike(
    cohort: Cohort, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "MOST_TRAINING_RECORDS", 20)
    monkeypatch.setattr(estimates, "load_standardiser", lambda _: None)
    every = cohort.one_record_per_patient(Split.TRAIN)
    chosen = estimates.parts_of(None, cohort).train  # pyright: ignore[reportArgumentType]
    assert len(np.unique(chosen)) == 20
    assert (chosen[0], chosen[-1]) == (every[0], every[-1])
