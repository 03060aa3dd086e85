from __future__ import annotations

import gzip
import itertools
import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_core.errors import EchoingError
from tests.unit.ingest_miniatures import write_csv
from training.ingest import EchoMeasure, attach_echo, ingest_echo, nearest_echo
from training.ingest.mimic_echo import list_clips, measurement_names, parse_result


@pytest.mark.parametrize(
    ("text", "value", "qualifier", "low", "high", "unit"),
    [
        ("72 %", 72, "", 72, 72, "%"),
        ("55", 55, "", 55, 55, ""),
        (" 4.5cm ", 4.5, "", 4.5, 4.5, "cm"),
        (".9", 0.9, "", 0.9, 0.9, ""),
        ("-1", -1, "", -1, -1, ""),
        (">2.8", 2.8, ">", 2.8, math.inf, ""),
        ("< 20 %", 20, "<", -math.inf, 20, "%"),
        (">=75", 75, ">=", 75, math.inf, ""),
        ("≤ 10", 10, "<=", -math.inf, 10, ""),
        ("1.5-2.0", 1.75, "range", 1.5, 2.0, ""),
        ("55 - 60 %", 57.5, "range", 55, 60, "%"),
        ("60%-65%", 62.5, "range", 60, 65, "%"),
        ("30 to 35%", 32.5, "range", 30, 35, "%"),
        ("2.4 m/s", 2.4, "", 2.4, 2.4, "m/s"),
    ],
)
def test_results_in_text(
    text: str, value: float, qualifier: str, low: float, high: float, unit: str
) -> None:
    result = parse_result(text)
    assert result is not None
    assert (result.value, result.qualifier, result.unit) == (value, qualifier, unit)
    assert (result.low, result.high) == (low, high)


@pytest.mark.parametrize(
    "text",
    ["", "Trivial", "Small (<1.0cm)", "55/60", "60-55", "1_000", "٥٥", "1e400x y", "5-", "--5"],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse_result(text) is None


STUDY_HEADER = (
    *("subject_id", "study_id", "study_datetime", "note_id", "note_seq", "note_charttime"),
    *("measurement_id", "measurement_datetime"),
)
LONG_HEADER = (
    *("subject_id", "measurement_id", "measurement_datetime", "test_type", "measurement"),
    *("measurement_description", "result", "unit"),
)


def write_echo(root: Path) -> None:
    write_csv(
        root / "echo-study-list.csv",
        STUDY_HEADER,
        [
            ("10", "s1", "2150-01-10 10:00:00", "", "", "", "1", ""),
            ("10", "s2", "2150-03-01 10:00:00", "", "", "", "2", ""),
            ("20", "s3", "2170-01-01 10:00:00", "", "", "", "", ""),
        ],
    )

    def row(measurement: str, name: str, result: str, unit: str = "", **other: str) -> tuple:
        patient = other.get("patient", "10")
        kind = other.get("kind", "tte")
        when = other.get("when", "2150-01-10 09:00:00")
        return (patient, measurement, when, kind, name, "described, at length", result, unit)

    rows = [
        row("1", "lvef", "55-60", "%"),
        row("1", "lvedd", ">6.0", "cm"),
        row("1", "pericardial_effusion", "Trivial"),
        row("1", "tr_velocity", "0", "m/s"),
        row("1", "lv_edv", "120 mL", "mL"),
        row("2", "lvef", "72 %"),
        row("2", "lvef", "40 %"),
        row("2", "lvedd", "48", "mm"),
        row("2", "septal_thickness", "thick", "cm"),
        row("2", "la_vol", "50", "mL", patient="30"),
        row("9", "lvef", "35", "%", patient="40", when="2160-05-05"),
        row("9", "lvedd", "", "cm", patient="40"),
        row("8", "lvef", "150", "%", patient="50", kind="TTE"),
        row("7", "lvef", "20", "%", patient="60", kind="stress"),
    ]
    plain = root / "structured-measurement.csv"
    write_csv(plain, LONG_HEADER, rows)
    plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def test_mimic_iv_echo(tmp_path: Path) -> None:
    write_echo(tmp_path)
    table = ingest_echo(tmp_path, tmp_path / "out")
    rows = {row["echo_id"]: row for row in table.to_pylist()}
    # A measurement without study keeps its own number; the stress echo is left out.
    assert list(rows) == ["s1", "s2", "s3", "m9", "m8"]
    first, second = rows["s1"], rows["s2"]
    assert (first["label_lvef_pct"], first["qualifier_lvef_pct"]) == (57.5, "range")
    assert (first["low_lvef_pct"], first["high_lvef_pct"]) == (55, 60)
    assert (first["label_lvedd_cm"], first["qualifier_lvedd_cm"]) == (6.0, ">")
    assert first["high_lvedd_cm"] == math.inf
    assert str(first["measured_at"]) == "2150-01-10 10:00:00"
    assert second["label_lvef_pct"] == 72.0
    assert second["label_lvedd_cm"] is None
    assert rows["m9"]["label_lvef_pct"] == 35.0
    assert rows["m8"]["label_lvef_pct"] is None
    assert "label_tr_velocity_m_s" not in table.column_names
    rejected = pq.read_table(tmp_path / "out/echo_rejected.parquet")
    start = "structured-measurement.csv.gz, row"
    assert rejected["message"].to_pylist() == [
        f"{start} 7, column 'result': lvef '40 %' contradicts an earlier result of the same echo.",
        f"{start} 8, column 'result': lvedd '48' is in mm, not cm.",
        f"{start} 9, column 'result': septal_thickness 'thick' is not a number.",
        f"{start} 10, column 'result': la_vol '50' is of patient 30, the echo of 10.",
        "Echo m8: label_lvef_pct is 150, which cannot be.",
    ]
    once = (tmp_path / "out/echo.parquet").read_bytes()
    ingest_echo(tmp_path, tmp_path / "out")
    assert (tmp_path / "out/echo.parquet").read_bytes() == once


def test_volumes_of_a_copy_of_the_data_and_of_the_experts(tmp_path: Path) -> None:
    write_echo(tmp_path)
    assert measurement_names(tmp_path)["lv_edv"] == 1
    measure = EchoMeasure("lv_edv", "label_lvedv_ml", "ml")
    table = ingest_echo(tmp_path, tmp_path / "out", measures=(measure,))
    assert table["label_lvedv_ml"].to_pylist()[0] == 120.0
    header = ("study_id", "patient_id", "LVEDV_A4C", "LVESV_A4C", "LVEF_A4C", "LVEDV_BP")
    write_csv(
        tmp_path / "ext/FileList.csv",
        header,
        [("s1", "10", 101, 41, 59.4, 105), ("s2", "10", 140, 90, "x", "")],
    )
    table = ingest_echo(tmp_path, tmp_path / "out", volumes=tmp_path / "ext")
    rows = {row["echo_id"]: row for row in table.to_pylist()}
    # Of both planes where traced; the tracing replaces the report.
    assert (rows["s1"]["label_lvedv_ml"], rows["s1"]["label_lvesv_ml"]) == (105, 41)
    assert (rows["s1"]["label_lvef_pct"], rows["s1"]["qualifier_lvef_pct"]) == (59.4, "")
    assert (rows["s2"]["label_lvedv_ml"], rows["s2"]["label_lvef_pct"]) == (140, 72)


def test_version_without_measurements_and_missing_tables(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "echo-study-list.csv",
        STUDY_HEADER[:6],
        [("10", "s1", "2150-01-10 10:00:00", "", "", "")],
    )
    assert ingest_echo(tmp_path, tmp_path / "out").to_pylist()[0]["echo_id"] == "s1"
    with pytest.raises(EchoingError, match="no structured-measurement"):
        measurement_names(tmp_path)
    write_csv(
        tmp_path / "echo-record-list.csv",
        ("subject_id", "study_id", "acquisition_datetime", "dicom_filepath"),
        [("10", "s1", "2150-01-10 10:00:00", "files/p10/p10/s1/s1_0001.dcm")],
    )
    assert list_clips(tmp_path)["path"].to_pylist() == ["files/p10/p10/s1/s1_0001.dcm"]


def test_nearest_echo_equals_the_plain_search() -> None:
    origin = datetime(2150, 1, 1)  # noqa: DTZ001 - shifted dates have no zone
    for seed, window in itertools.product(range(20), (0.5, 3.0, 30.0)):
        rng = np.random.default_rng(seed)

        def draw(n: int, rng: np.random.Generator = rng) -> tuple[list[str], list[datetime | None]]:
            patients = [f"p{i}" for i in rng.integers(0, 6, n)]
            times = [origin + timedelta(hours=int(h)) for h in rng.integers(0, 400, n)]
            return patients, [None if rng.random() < 0.1 else time for time in times]

        (ecg_p, ecg_t), (echo_p, echo_t) = draw(60), draw(25)
        row, delta = nearest_echo(
            *(pa.array(ecg_p), pa.array(ecg_t, pa.timestamp("ms"))),
            *(pa.array(echo_p), pa.array(echo_t, pa.timestamp("s"))),
            window,
        )
        for i, (patient, time) in enumerate(zip(ecg_p, ecg_t, strict=True)):
            candidates = [
                (abs(when - time), when > time, j)
                for j, (who, when) in enumerate(zip(echo_p, echo_t, strict=True))
                if time and when and who == patient and abs(when - time) <= timedelta(days=window)
            ]
            assert row[i] == (min(candidates)[2] if candidates else -1)
            if candidates:
                expected = (echo_t[row[i]] - time) / timedelta(days=1)  # type: ignore[operator]
                assert delta[i] == pytest.approx(expected)
            else:
                assert np.isnan(delta[i])


def test_nothing_pairs_with_nothing() -> None:
    none, times = pa.array([], pa.string()), pa.array([], pa.timestamp("s"))
    row, _ = nearest_echo(pa.array(["a"]), pa.array([None], pa.timestamp("s")), none, times, 1.0)
    assert row.tolist() == [-1]
    row, _ = nearest_echo(none, times, none, times, 1.0)
    assert len(row) == 0


def test_labels_of_the_nearest_echo_are_attached(tmp_path: Path) -> None:
    write_echo(tmp_path)
    echo = ingest_echo(tmp_path, tmp_path / "out")
    times = ["2150-01-12 10:00:00", "2150-02-27 10:00:00", "2151-01-01 00:00:00", None]
    index = pa.table(
        {
            "record_id": ["e1", "e2", "e3", "e4"],
            "patient_id": ["10", "10", "10", "20"],
            "recorded_at": pa.array(
                [time and datetime.fromisoformat(time) for time in times], pa.timestamp("ms")
            ),
        }
    )
    paired = attach_echo(index, echo, 7.0).to_pylist()
    assert [(row["record_id"], row["echo_id"]) for row in paired] == [("e1", "s1"), ("e2", "s2")]
    assert [row["echo_delta_days"] for row in paired] == [-2.0, 2.0]
    assert [row["label_lvef_pct"] for row in paired] == [57.5, 72.0]
    with pytest.raises(EchoingError, match="'label_lvef_pct'"):
        attach_echo(index.append_column("label_lvef_pct", pa.nulls(4, pa.float64())), echo, 7.0)
