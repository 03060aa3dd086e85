from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import wfdb

from model_core.dsp import bandpass_zero_phase
from model_core.errors import EchoingError
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from tests.unit.ingest_miniatures import (
    MIMIC_LEADS,
    counts_of,
    ecg_mv,
    write_csv,
    write_ptbxl,
    write_wfdb,
)
from training.ingest import IngestConfig, ShardStore, TableColumns, ingest, verify
from training.ingest.adapters.music import twelve_leads

MACHINE_COLUMNS = [
    *("subject_id", "study_id", "cart_id", "ecg_time"),
    *(f"report_{i}" for i in range(18)),
    *("bandwidth", "filtering", "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end"),
    *("t_end", "p_axis", "qrs_axis", "t_axis"),
]


def run(tmp_path: Path, source: str, **settings: Any) -> tuple[ShardStore, dict[str, Any]]:
    """Ingest; gives the store and the rejected rows by record."""
    ingest(IngestConfig(source=source, root=tmp_path / "data", out=tmp_path / "out", **settings))
    assert verify(tmp_path / "out") == []
    rejected = pq.read_table(tmp_path / "out/rejected.parquet").to_pylist()
    return ShardStore(tmp_path / "out"), {str(row["record_id"]): row for row in rejected}


def by_record(store: ShardStore) -> dict[str, dict[str, Any]]:
    return {row["record_id"]: row for row in store.index.to_pylist()}


def test_ptbxl(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 22)
    table = tmp_path / "data/ptbxl_database.csv"
    lines = table.read_text()
    lines = lines.replace("\n3,2.0,60.0,1", "\n3,2.0,sixty,1")
    lines = lines.replace("\n5,3.0", "\n5,")
    lines = lines.replace("\n7,4.0", "\n7,4.0,extra")
    table.write_text(lines)
    store, rejected = run(tmp_path, "ptbxl")
    rows = by_record(store)
    assert rows["1"]["age_y"] == 90.0
    assert (rows["1"]["sex"], rows["2"]["sex"]) == ("female", "male")
    assert rows["1"]["statements"] == ["NORM", "SR"]
    assert rows["1"]["report"] == "sinus, rhythmus\nnormal"
    assert rows["1"]["patient_id"] == rows["2"]["patient_id"] == "1"
    assert str(rows["1"]["recorded_at"]) == "1984-11-09 09:17:34"
    # Folds 2 to 9, 10, 1, 2 for patients 1 to 11.
    assert [rows[str(2 * p)]["split"] for p in (1, 7, 8, 9, 10)] == [
        *("train", "train", "validation", "test", "train"),
    ]
    # A bad age costs the age, a missing patient the record, a bad row the record.
    assert rows["3"]["age_y"] is None
    assert rejected["3"]["column"] == "age_y"
    assert rejected["3"]["message"] == (
        "ptbxl_database.csv, row 3, column 'age': 'sixty' is not a number."
    )
    assert "5" not in rows
    assert rejected["5"]["column"] == ""
    assert "7" not in rows
    assert rejected["None"]["message"] == (
        "ptbxl_database.csv, row 7: it has 12 cells, the header has 11."
    )
    assert rows["8"]["path"] == "records500/00000/00008_hr"


def test_doubtful_statements_of_ptbxl_are_left_out(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 2)
    table = tmp_path / "data/ptbxl_database.csv"
    doubt = "{'IMI': 35.0, 'LVH': 50.0, 'AFIB': 0.0}"
    table.write_text(table.read_text().replace("{'NORM': 100.0, 'SR': 0.0}", doubt, 1))
    store, _ = run(tmp_path, "ptbxl")
    assert store.index["statements"].to_pylist() == [["LVH", "AFIB"], ["NORM", "SR"]]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_ptbxl(tmp_path / "data", 2)
    table = tmp_path / "data/ptbxl_database.csv"
    table.write_text(table.read_text().replace("strat_fold", "fold"))
    with pytest.raises(EchoingError, match=r"ptbxl_database\.csv has no column 'strat_fold'\."):
        run(tmp_path, "ptbxl")
    table.unlink()
    with pytest.raises(EchoingError, match=r"ptbxl_database\.csv is not in"):
        run(tmp_path, "ptbxl")


@pytest.mark.needs_shared
def test_real_ptbxl(tmp_path: Path, shared: Path) -> None:
    out = tmp_path / "out"
    root = shared / "data/ptbxl"
    summary = ingest(
        IngestConfig(source="ptbxl", root=root, out=out, max_fs=100.0, records_per_shard=700)
    )
    n_listed = len(list((root / "records100").rglob("*.hea")))
    assert summary.n_shards == 3
    assert n_listed - 15 <= summary.n_records <= n_listed
    store = ShardStore(out)
    rows = np.arange(0, len(store), 97)
    for row, values in zip(rows, store.read_mv(rows), strict=True):
        path = root / store.index["path"][int(row)].as_py()
        expected = read_recording(path).signal_mv
        np.testing.assert_allclose(values, expected, atol=1e-5)
    sound = sum(not codes for codes in store.index["quality"].to_pylist())
    assert sound >= 0.95 * len(store)


def test_mimic_iv_ecg(tmp_path: Path) -> None:
    root = tmp_path / "data"
    order = [STANDARD_LEADS.index(name) for name in MIMIC_LEADS]
    listed: list[tuple[object, ...]] = []
    signals: dict[str, np.ndarray] = {}
    for i, study in enumerate(("40689238", "44458630", "49036311")):
        path = f"files/p1000/p1000003{i // 2}/s{study}/{study}"
        counts = counts_of(ecg_mv(i), 200.0)
        if i == 1:
            counts[8] = 3  # V3 is flat
        if i == 2:
            counts[4, 10:20] = -(2**15)  # aVL has a gap
        signals[study] = counts
        write_wfdb(root / path, counts[order], MIMIC_LEADS, gain=200.0)
        listed.append((f"1000003{i // 2}", study, study, "2180-07-23 08:44:00", path))
    listed.append(("10000031", "41111111", "41111111", "not known", "files/absent"))
    header = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_csv(root / "record_list.csv", header, listed)
    texts = ["Sinus rhythm", "", "Left axis deviation", *[""] * 15]
    numbers = ("0.005-150 Hz", "60 Hz notch", 659, 40, 128, 170, 258, 518, 29999, -44, 32767)
    write_csv(
        root / "machine_measurements.csv",
        MACHINE_COLUMNS,
        [
            ("10000031", "49036311", "6", "", *texts, *numbers[:2], "x", 65535, *numbers[4:]),
            ("10000030", "40689238", "6", "", *texts, *numbers),
            ("10000099", "1", "6", "", *texts, *numbers),
        ],
    )
    store, rejected = run(tmp_path, "mimic-iv-ecg")
    rows = by_record(store)
    assert list(rows) == ["40689238", "44458630", "49036311"]
    for values, study in zip(store.read_mv([0, 1, 2]), rows, strict=True):
        expected = np.where(signals[study] == -(2**15), np.nan, signals[study] / 200.0)
        np.testing.assert_allclose(values, expected, atol=1e-6)
    assert [row["quality"] for row in rows.values()] == [[], ["flat_lead"], ["missing_samples"]]
    first, second, third = rows.values()
    assert first["report"] == "Sinus rhythm; Left axis deviation"
    assert (first["ecg_rr_ms"], first["ecg_qrs_axis_deg"]) == (659.0, -44.0)
    assert (first["ecg_p_axis_deg"], first["ecg_t_axis_deg"]) == (None, None)
    assert (second["report"], second["ecg_rr_ms"]) == (None, None)
    assert (third["ecg_rr_ms"], third["ecg_p_onset_ms"]) == (None, None)
    assert rejected["49036311"]["message"] == (
        "machine_measurements.csv, row 1, column 'rr_interval': 'x' is not a number."
    )
    assert first["patient_id"] == second["patient_id"]
    assert first["split"] == second["split"]
    assert str(first["recorded_at"]) == "2180-07-23 08:44:00"
    reasons = pq.read_table(tmp_path / "out/rejected.parquet").to_pylist()
    codes = {row["code"] for row in reasons if row["record_id"] == "41111111"}
    assert codes == {"bad_cell", "not_found"}


def test_sex_and_age_of_mimic_come_from_its_table_of_patients(tmp_path: Path) -> None:
    root = tmp_path / "data"
    listed = []
    for i, when in enumerate(("2180-07-23", "2183-01-01", "2180-02-02", "2180-03-03")):
        path = f"files/p1000/p1000003{i}/s{i}/{i}"
        write_wfdb(root / path, counts_of(ecg_mv(i), 200.0), STANDARD_LEADS, gain=200.0)
        listed.append((f"1000003{i}", i, i, f"{when} 08:44:00", path))
    header = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_csv(root / "record_list.csv", header, listed)
    patients = [
        ("10000031", "M", 88, 2180, "2017 - 2019"),
        ("10000030", "F", 52, 2178, "2017 - 2019"),
        ("10000032", "?", "old", 2180, "2017 - 2019"),
    ]
    header = ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group")
    write_csv(root / "hosp/patients.csv", header, patients)
    store, _ = run(tmp_path, "mimic-iv-ecg")
    assert store.index["age_y"].to_pylist() == [54.0, 90.0, None, None]
    assert store.index["sex"].to_pylist() == ["female", "male", None, None]
    reasons = pq.read_table(tmp_path / "out/rejected.parquet")["message"].to_pylist()
    assert reasons == ["patients.csv, row 3, column 'anchor_age': 'old' is not a number."]


ECHONEXT_FLAGS = {
    "lvef_lte_45_flag": "lvef_value",
    "lvwt_gte_13_flag": "ivs_measurement",
    "aortic_stenosis_moderate_or_greater_flag": "aortic_stenosis_value",
    "aortic_regurgitation_moderate_or_greater_flag": "aortic_regurgitation_value",
    "mitral_regurgitation_moderate_or_greater_flag": "mitral_regurgitation_value",
    "tricuspid_regurgitation_moderate_or_greater_flag": "tricuspid_regurgitation_value",
    "pulmonary_regurgitation_moderate_or_greater_flag": "pulmonary_regurgitation_value",
    "rv_systolic_dysfunction_moderate_or_greater_flag": "rv_systolic_function_value",
    "pericardial_effusion_moderate_large_flag": "pericardial_effusion_value",
    "pasp_gte_45_flag": "pasp_value",
    "tr_max_gte_32_flag": "tr_max_velocity_value",
}


def write_echonext(root: Path, n_train_rows: int = 2) -> dict[str, np.ndarray]:
    values = [*ECHONEXT_FLAGS.values(), "lvpw_measurement"]
    header = ["ecg_key", "patient_key", "split", "sex", "age_at_ecg", *values, *ECHONEXT_FLAGS]
    blank: dict[str, object] = dict.fromkeys(header, "")
    # Splits are mixed in the table; the arrays keep its order within each split.
    splits = ("train", "test", "no_split", "val", "train")
    rows: list[dict[str, object]] = []
    for i, split in enumerate(splits):
        row = {**blank, "ecg_key": f"e{i}", "patient_key": f"p{i}", "split": split, "sex": i % 2}
        row |= {"age_at_ecg": 90, **dict.fromkeys(ECHONEXT_FLAGS, 0)}
        rows.append(row)
    rows[0] |= {"lvef_value": "30.0", "lvef_lte_45_flag": 1, "pasp_value": "20"}
    rows[0] |= {"ivs_measurement": "1.0", "aortic_stenosis_value": "none"}
    rows[1] |= {"ivs_measurement": "1.0", "lvpw_measurement": "1.1", "lvef_value": "1250"}
    rows[3] |= {"lvwt_gte_13_flag": 1, "ivs_measurement": "1.5"}
    write_csv(root / "EchoNext_metadata_100k.csv", header, [list(row.values()) for row in rows])
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(0, 2, (n, 1, 2500, 12))
        for name, n in (("train", n_train_rows), ("val", 1), ("test", 1), ("no_split", 1))
    }
    for name, array in arrays.items():
        np.save(root / f"EchoNext_{name}_waveforms.npy", array)
    return arrays


def test_echonext(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    arrays = write_echonext(tmp_path / "data")
    store, rejected = run(tmp_path, "echonext")
    rows = by_record(store)
    assert {name: row["split"] for name, row in rows.items()} == {
        **{"e0": "train", "e1": "test", "e3": "validation", "e4": "train"},
    }
    assert rejected["e2"]["code"] == "no_split"
    expected = {"e0": ("train", 0), "e1": ("test", 0), "e3": ("val", 0), "e4": ("train", 1)}
    for values, name in zip(store.read(list(range(4))), rows, strict=True):
        array, row = expected[name]
        np.testing.assert_allclose(values, arrays[array][row, 0].T, atol=0.0006)
    # Not in mV, and nobody is told otherwise.
    assert {row["unit"] for row in rows.values()} == {"z"}
    assert {row["fs"] for row in rows.values()} == {250.0}
    assert rows["e0"]["quality"] is None
    with pytest.raises(EchoingError, match="not in mV"):
        store.read_mv([0])
    # 0 counts only where it was measured; 1 always.
    assert rows["e0"]["label_lvef_lte_45_flag"] == 1.0
    assert rows["e0"]["label_pasp_gte_45_flag"] == 0.0
    assert rows["e0"]["label_aortic_stenosis_moderate_or_greater_flag"] == 0.0
    assert rows["e0"]["label_mitral_regurgitation_moderate_or_greater_flag"] is None
    assert rows["e4"]["label_lvef_lte_45_flag"] is None
    # The other wall of e0 may be the thick one.
    assert [rows[name]["label_lvwt_gte_13_flag"] for name in rows] == [None, 0.0, 1.0, None]
    assert rows["e0"]["label_lvef_pct"] == 30.0
    # An impossible label costs the label.
    assert rows["e1"]["label_lvef_pct"] is None
    assert rejected["e1"]["code"] == "implausible_label"
    assert (rows["e0"]["sex"], rows["e1"]["sex"]) == ("female", "male")


def test_echonext_with_an_array_of_another_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_echonext(tmp_path / "data", n_train_rows=3)
    with pytest.raises(EchoingError, match=r"EchoNext_train_waveforms\.npy has the shape"):
        run(tmp_path, "echonext")


def test_music(tmp_path: Path) -> None:
    root = tmp_path / "data"
    header = [
        *("Patient ID", "Age", "Gender (male=1)", "LVEF (%)", "QRS duration (ms)"),
        *("Mitral valve insufficiency ", "PR interval (ms)", "Creatinine (µmol/L)", "", ""),
    ]
    write_csv(
        root / "subject-info.csv",
        header,
        [
            ("P0001", "58", "1", "35,5", "132", "3", "999", "1", "", ""),
            ("P0002", ">89", "0", "?", "110", "", "206", "1", "", ""),
            ("P0003", "70", "0", "40", "110", "", "206", "1", "", ""),
        ],
        delimiter=";",
    )
    names = ("Holter_ECG/P0001", "High-resolution_ECG/P0001_H", "High-resolution_ECG/P0002_H")
    names += ("Holter_ECG/P0003", "Holter_ECG/P0004", "High-resolution_ECG/P0003_H")
    (root / "RECORDS").write_text("\n".join(names) + "\n")
    rng = np.random.default_rng(0)
    stored: dict[str, np.ndarray] = {}
    for name in names:
        fs = 200.0 if "Holter" in name else 1000.0
        counts = rng.integers(-1000, 1000, (3, int(45 * fs)))
        counts[:, : int(30 * fs)] = 30_000  # calibration pattern
        stored[name] = counts
        write_wfdb(root / name, counts, ("X", "Y", "Z"), fs=fs, gain=1000.0)
    # As in the real data: a header with X and Y only over three channels of bytes, trailing bytes.
    write_wfdb(root / names[3], stored[names[3]][:2], ("X", "Y"), fs=200, gain=1000.0)
    write_wfdb(root / names[5], stored[names[5]], ("X", "Y", "Z"), fs=1000, tail=b"\0" * 6)
    store, rejected = run(tmp_path, "music")
    rows = by_record(store)
    assert list(rows) == list(names[:3])
    assert [row["fs"] for row in rows.values()] == [200.0, 1000.0, 1000.0]
    assert all(row["synthesised"] for row in rows.values())
    first, _, third = rows.values()
    assert (first["label_lvef_pct"], first["ecg_qrs_ms"], first["ecg_pr_ms"]) == (35.5, 132, None)
    assert first["label_mitral_insufficiency_grade"] == 3
    assert (third["age_y"], third["sex"], third["label_lvef_pct"]) == (90.0, "female", None)
    assert rejected[names[2]]["message"] == (
        "subject-info.csv, row 2, column 'LVEF (%)': '?' is not a number."
    )
    assert {name: rejected[name]["code"] for name in (names[3], names[4], names[5])} == {
        **{names[3]: "bad_leads", names[4]: "no_patient", names[5]: "size_mismatch"},
    }
    xyz_mv = stored[names[1]][:, 30_000:40_000] / 1000.0
    np.testing.assert_allclose(store.read_mv([1])[0], twelve_leads(xyz_mv), atol=0.0006)
    assert np.isnan(store.read_mv([0])[0][:, 2000:]).all()


@pytest.mark.needs_shared
@pytest.mark.filterwarnings("default")
def test_computed_leads_resemble_the_recorded_ones(shared: Path) -> None:
    """PTB's first record holds both the twelve leads and Frank's three."""
    record: Any = wfdb.rdrecord(str(shared / "samples/wfdb/s0010_re"))
    signal_mv = bandpass_zero_phase(record.p_signal.T, 1000.0, (0.7, 40.0), 2)

    def correlation(axes: tuple[int, int, int]) -> list[float]:
        computed = twelve_leads(signal_mv[12:] * np.array(axes)[:, None])
        pairs = zip(computed, signal_mv[:12], strict=True)
        return [float(np.corrcoef(a, b)[0, 1]) for a, b in pairs]

    right = correlation((1, 1, 1))
    # General coefficients cannot fit the infarcted V1-V3 of this patient better.
    assert np.median(right) > 0.8, right
    assert min(right[:6]) > 0.7, right
    assert min(right) > 0.2, right
    for axes in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)):
        assert np.median(correlation(axes)) < np.median(right) - 0.05


@pytest.mark.needs_shared
def test_real_music_table_is_read_without_a_fault(tmp_path: Path, shared: Path) -> None:
    from training.ingest.run import list_records

    config = IngestConfig(source="music", root=shared / "data/music", out=tmp_path)
    listing = list_records(config)
    assert len(listing.records) == 1623
    assert len(set(listing.records["patient_id"].to_pylist())) <= 992
    assert listing.records["label_lvef_pct"].null_count < 50
    kinds = set(listing.rejected["code"].to_pylist())
    assert kinds <= {"bad_cell", "implausible_label"}
    assert len(listing.rejected) < 20, listing.rejected.to_pylist()


def test_any_folder(tmp_path: Path) -> None:
    root = tmp_path / "data"
    # Format 212 goes the fast way, format 24 through the careful reader.
    signal_mv = ecg_mv(1)
    write_wfdb(root / "a/one", counts_of(signal_mv, 200.0), STANDARD_LEADS, gain=200.0, fmt="212")
    record: Any = wfdb
    record.wrsamp(
        "two", 500, ["mV"] * 12, list(STANDARD_LEADS), signal_mv.T, fmt=["24"] * 12,
        adc_gain=[100_000.0] * 12, baseline=[0] * 12, write_dir=str(root / "a"),
    )  # fmt: skip
    columns = ("file", "pat", "when", "ef", "edv", "esv", "fold", "sex")
    rows = [
        ("a/one", "p1", "2020-01-02T03:04:05.5", "55,5", "100", "120", "train", "Female"),
        ("a/two", "p2", "2020-01-02", "", "100", "40", "test", "?"),
        ("a/three", "p3", "", "abc", "1", "", "holdout", ""),
        ("a/one", "p1", "", "", "", "", "train", ""),
        ("a/four", "", "", "", "", "", "train", ""),
    ]
    write_csv(root / "t.csv", columns, rows, delimiter=";")
    named = TableColumns(
        table="t.csv",
        path="file",
        patient="pat",
        time="when",
        split="fold",
        sex="sex",
        labels=("ef", "edv"),
        delimiter=";",
        decimal_comma=True,
    )
    store, _ = run(tmp_path, "folder", columns=named)
    rows_by = by_record(store)
    assert list(rows_by) == ["a/one", "a/two"]
    np.testing.assert_allclose(store.read_mv([0])[0], signal_mv, atol=0.0026)
    np.testing.assert_allclose(store.read_mv([1])[0], signal_mv, atol=0.00052)
    assert rows_by["a/one"]["label_ef"] == 55.5
    assert str(rows_by["a/one"]["recorded_at"]) == "2020-01-02 03:04:05"
    assert (rows_by["a/one"]["sex"], rows_by["a/two"]["sex"]) == ("female", None)
    rejected = pq.read_table(tmp_path / "out/rejected.parquet")
    found = set(zip(*(rejected[name].to_pylist() for name in ("column", "code")), strict=True))
    assert found == {
        ("", "bad_cell"),
        ("", "listed_twice"),
        ("", "missing_name"),
        ("sex", "bad_cell"),
        ("label_ef", "bad_cell"),
    }
    messages = rejected["message"].to_pylist()
    assert (
        "t.csv, row 3, column 'fold': 'holdout' is not one of train, validation, test." in messages
    )


def test_contradicting_volumes_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_wfdb(root / "one", counts_of(ecg_mv(1), 1000.0), STANDARD_LEADS, gain=1000.0)
    write_wfdb(root / "two", counts_of(ecg_mv(2), 1000.0), STANDARD_LEADS, gain=1000.0)
    header = ("path", "patient_id", "lvedv_ml", "lvesv_ml")
    write_csv(root / "t.csv", header, [("one", "a", 100, 120), ("two", "b", 100, 40)])
    named = TableColumns(table="t.csv", labels=("lvedv_ml", "lvesv_ml"))
    store, rejected = run(tmp_path, "folder", columns=named)
    assert store.index["label_lvedv_ml"].to_pylist() == [None, 100.0]
    assert store.index["label_lvesv_ml"].to_pylist() == [None, 40.0]
    assert rejected["one"]["message"] == "LVESV is 120 ml, not below the LVEDV of 100 ml."


def test_other_leads_than_the_twelve(tmp_path: Path) -> None:
    root = tmp_path / "data"
    counts = counts_of(ecg_mv(1), 1000.0)[:2]
    write_wfdb(root / "one", counts, ("I", "MLII"), gain=1000.0)
    write_csv(root / "t.csv", ("path", "patient_id"), [("one", "a")])
    named = TableColumns(table="t.csv", lead_names=("MLII",))
    store, _ = run(tmp_path, "folder", columns=named)
    assert store.index["lead_names"].to_pylist() == [["MLII"]]
    np.testing.assert_allclose(store.read_mv([0])[0], counts[1:] / 1000, atol=1e-6)


def test_unknown_sources_and_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EchoingError, match="no source 'ptb'"):
        run(tmp_path, "ptb")
    with pytest.raises(EchoingError, match="'folder', and only to it"):
        run(tmp_path, "ptbxl", columns=TableColumns(table="t.csv"))
