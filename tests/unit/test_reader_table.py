"""Tables: nothing is guessed in reading, and what is proposed says why."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io import (
    TableLayout,
    layout_from_dict,
    layout_to_dict,
    propose_layout,
    read_recording,
    read_table,
)
from model_core.leads import STANDARD_LEADS

LEADS = ("I", "II", "V1")
LAYOUT = TableLayout(500.0, "mV", LEADS)


def values(n_samples: int = 1000) -> NDArray[np.float64]:
    """Samples x leads."""
    return np.round(np.random.default_rng(0).normal(0, 0.5, (n_samples, 3)), 3)


def write(path: Path, table: NDArray[Any], head: str = "", delimiter: str = ",") -> Path:
    lines = [delimiter.join(f"{value:.3f}" for value in row) for row in table]
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path, layout: TableLayout) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_table(path, layout)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.npy", "a.mat", "a.tsv"])
def test_without_a_layout_no_table_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"1,2\n3,4\n")
    with pytest.raises(ReadError) as caught:
        read_recording(tmp_path / name)
    assert caught.value.code == "layout_needed"


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1e-3), ("µV", 1e-3), ("V", 1e3)])
def test_columns_unit_and_rate(tmp_path: Path, unit: str, factor: float) -> None:
    path = write(tmp_path / "a.csv", values())
    recording = read_table(path, replace(LAYOUT, unit=unit, fs=976.5625))
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], values().T * factor, rtol=1e-6)
    assert recording.fs == 976.5625
    report = recording.metadata.report
    assert report is not None
    assert (report.rate_source, report.gain_source) == ("as stated by the user",) * 2


def test_rows_text_above_and_columns_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", values().T, "Rhythm signal\n3 X 1000\n", "\t")
    layout = replace(
        LAYOUT, leads_in="rows", skip_rows=2, delimiter="\t", lead_names=("", "II", "")
    )
    recording = read_table(path, layout)
    assert recording.lead_names == ("II",)
    np.testing.assert_allclose(recording.signal_mv[0], values()[:, 1], rtol=1e-6)


def test_times_and_empty_columns_may_be_left_out(tmp_path: Path) -> None:
    rows = values(20)
    lines = [f"2020-01-01 10:00:{n:02d},{a},{b},{c},," for n, (a, b, c) in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    layout = replace(LAYOUT, lead_names=("", *LEADS, "", ""))
    recording = read_table(tmp_path / "a.csv", layout)
    np.testing.assert_allclose(recording.signal_mv[0], rows[:, 0], rtol=1e-6)


def test_decimal_comma(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", values(), delimiter=";")
    path.write_text(path.read_text().replace(".", ","))
    proposal = propose_layout(path)
    assert (proposal.delimiter, proposal.decimal_comma, proposal.n_leads) == (";", True, 3)
    layout = replace(LAYOUT, delimiter=";", decimal_comma=True)
    np.testing.assert_allclose(read_table(path, layout).signal_mv[0], values()[:, 0], rtol=1e-6)
    assert refusal(path, replace(layout, delimiter=",")).code == "bad_layout"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_among_whole_numbers(tmp_path: Path, delimiter: str) -> None:
    """A time in whole ms, and leads that begin flat: most cells have no comma."""
    lines = [delimiter.join(("time [ms]", "I", "II"))]
    lines += [delimiter.join((str(2 * n), "0", "0")) for n in range(5)]
    lines += [delimiter.join((str(2 * n), "-0,25", "1")) for n in range(5, 2000)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = propose_layout(tmp_path / "a.csv")
    assert (found.delimiter, found.decimal_comma, found.skip_rows) == (delimiter, True, 1)
    assert (found.fs, found.n_samples, found.lead_names) == (500.0, 2000, ("", "I", "II"))
    whole = [line.replace("-0,25", "-3") for line in lines]
    (tmp_path / "b.csv").write_text("\n".join(whole))
    found = propose_layout(tmp_path / "b.csv")
    assert (found.delimiter, found.decimal_comma, found.skip_rows) == (delimiter, False, 1)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1_000", "damaged"),
        ("١٢", "damaged"),
        ("0x10", "damaged"),
        ("", "damaged"),
        ("1e400", "not_finite"),
        ("inf", "not_finite"),
        ("1,5", "size_mismatch"),
    ],
)
def test_cells_that_are_no_numbers_are_refused(tmp_path: Path, cell: str, reason: str) -> None:
    path = write(tmp_path / "a.csv", values())
    path.write_text(path.read_text() + f"0.1,{cell},0.3\n", encoding="utf-8")
    assert refusal(path, LAYOUT).code == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unit": "mmHg"}, "unknown_unit"),
        ({"unit": ""}, "unknown_unit"),
        ({"fs": 0.0}, "bad_rate"),
        ({"fs": float("nan")}, "bad_rate"),
        ({"lead_names": ("I", "II")}, "size_mismatch"),
        ({"lead_names": ("I", "II", "V1", "V2")}, "size_mismatch"),
        ({"lead_names": ("", "", "")}, "no_signal"),
        ({"leads_in": "rows"}, "size_mismatch"),
    ],
)
def test_layouts_that_do_not_fit(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = write(tmp_path / "a.csv", values())
    assert refusal(path, replace(LAYOUT, **change)).code == reason
    np.save(tmp_path / "a.npy", values())
    assert refusal(tmp_path / "a.npy", replace(LAYOUT, **change)).code == reason


def test_hostile_lines_and_headers_end_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1" * 3_000_000)
    assert refusal(tmp_path / "a.csv", LAYOUT).code == "damaged"
    (tmp_path / "b.csv").write_text("1" * 1_900_000 + "\n1,2,3\n1,2,3\n1,2,3\n")
    assert propose_layout(tmp_path / "b.csv").skip_rows == 1
    nested = b"(" * 5000
    header = b"\x93NUMPY\1\0" + struct.pack("<H", len(nested)) + nested
    (tmp_path / "c.npy").write_bytes(header + bytes(100))
    assert refusal(tmp_path / "c.npy", LAYOUT).code == "damaged"
    assert refusal(tmp_path / "absent.csv", LAYOUT).code == "not_readable"


def test_npy_is_read_without_running_anything(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values().astype(np.float32))
    recording = read_table(tmp_path / "a.npy", LAYOUT)
    np.testing.assert_allclose(recording.signal_mv[0], values()[:, 0], rtol=1e-6)
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert refusal(tmp_path / "b.npy", LAYOUT).code == "damaged"


@pytest.mark.parametrize("options", [{"format": "4"}, {"format": "5"}, {"do_compression": True}])
@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i2", "<i4", "<u1"])
def test_mat_as_scipy_writes_it(tmp_path: Path, options: dict[str, Any], dtype: str) -> None:
    table = np.arange(3000).reshape(3, 1000).astype(dtype)
    content: dict[str, Any] = {"val": table, "fs": 250.0}
    if options.get("format") != "4":
        content |= {"words": "text", "parts": {"a": 1}}
    scipy.io.savemat(tmp_path / "a.mat", content, **options)
    layout = TableLayout(250.0, "uV", LEADS, leads_in="rows", variable="val")
    recording = read_table(tmp_path / "a.mat", layout)
    rows = [recording.lead_names.index(name) for name in LEADS]
    np.testing.assert_allclose(recording.signal_mv[rows], table * 1e-3, rtol=1e-6)
    proposal = propose_layout(tmp_path / "a.mat")
    assert (proposal.variable, proposal.fs, proposal.leads_in) == ("val", 250.0, "rows")


@pytest.mark.parametrize("compressed", [False, True])
def test_mat_with_a_structure(tmp_path: Path, compressed: bool) -> None:
    table = np.random.default_rng(0).normal(0, 0.5, (12, 1000))
    content = {"ECG": {"sex": "Male", "age": 74.0, "fs": 500.0, "data": table}}
    scipy.io.savemat(tmp_path / "A0001.mat", content, do_compression=compressed)
    proposal = propose_layout(tmp_path / "A0001.mat")
    assert (proposal.variable, proposal.variables) == ("ECG.data", ("ECG.data",))
    assert (proposal.fs, proposal.leads_in) == (500.0, "rows")
    layout = TableLayout(500.0, "mV", STANDARD_LEADS, leads_in="rows", variable="ECG.data")
    np.testing.assert_allclose(
        read_table(tmp_path / "A0001.mat", layout).signal_mv, table, rtol=1e-6
    )


def test_an_array_of_one_recording_is_a_table(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values()[None])
    np.testing.assert_allclose(
        read_table(tmp_path / "a.npy", LAYOUT).signal_mv[0], values()[:, 0], rtol=1e-6
    )
    np.save(tmp_path / "b.npy", np.stack([values()] * 2))
    assert refusal(tmp_path / "b.npy", LAYOUT).code == "no_signal"


def test_rows_may_begin_with_the_name_of_their_lead(tmp_path: Path) -> None:
    rows = [
        f"{name},{','.join(f'{v:.3f}' for v in row)}"
        for name, row in zip(LEADS, values().T, strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    proposal = propose_layout(tmp_path / "a.csv")
    assert (proposal.leads_in, proposal.lead_names) == ("rows", LEADS)
    assert (proposal.n_leads, proposal.n_samples, proposal.fs) == (3, 1000, 100.0)
    recording = read_table(tmp_path / "a.csv", replace(LAYOUT, leads_in="rows"))
    np.testing.assert_allclose(recording.signal_mv[0], values()[:, 0], rtol=1e-6)


def test_only_the_first_seconds_for_a_preview(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", values())
    np.save(tmp_path / "b.npy", values())
    for name in (path, tmp_path / "b.npy"):
        recording = read_table(name, LAYOUT, first_s=0.5)
        np.testing.assert_allclose(recording.signal_mv[0], values()[:250, 0], rtol=1e-6)


def test_a_lead_named_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", values())
    error = refusal(path, replace(LAYOUT, lead_names=("I", "Lead I", "V1")))
    assert error.code == "ambiguous_leads"


# What is stated, in JSON ------------------------------------------------------------------------


def test_a_layout_survives_json() -> None:
    layout = TableLayout(976.5625, "uV", ("", "I"), "rows", 3, ";", True, "ECG.data")
    assert layout_from_dict(json.loads(json.dumps(layout_to_dict(layout)))) == layout


@pytest.mark.parametrize(
    "change",
    [
        {"fs_hz": None},
        {"fs_hz": "500"},
        {"fs_hz": True},
        {"fs_hz": -1},
        {"fs_hz": float("nan")},
        {"unit": "mmHg"},
        {"unit": 3},
        {"lead_names": "I,II"},
        {"lead_names": ["I", 2]},
        {"leads_in": "diagonal"},
        {"skip_rows": -1},
        {"skip_rows": 1.5},
        {"delimiter": "x"},
        {"delimiter": ["x"]},
        {"decimal_comma": "yes"},
        {"variable": 1},
        {"rate": 500},
    ],
)
def test_layouts_that_are_none(change: dict[str, Any]) -> None:
    good = {"fs_hz": 500, "unit": "mV", "lead_names": ["I"]}
    assert layout_from_dict(good) == TableLayout(500.0, "mV", ("I",))
    with pytest.raises(ReadError) as caught:
        layout_from_dict(good | change)
    assert caught.value.code == "bad_layout"
    for key in good:
        with pytest.raises(ReadError, match=key):
            layout_from_dict({k: v for k, v in good.items() if k != key})


def test_a_layout_is_for_tables_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", values())
    recording = read_recording(path, LAYOUT)
    np.testing.assert_allclose(recording.signal_mv[0], values()[:, 0], rtol=1e-6)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(ReadError, match="PDF"):
        read_recording(tmp_path / "a.pdf", LAYOUT)


def test_mat_bombs_and_other_levels(tmp_path: Path) -> None:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    packed = zlib.compress(bytes(300_000_000), 9)
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<2I", 15, len(packed)) + packed)
    assert refusal(tmp_path / "a.mat", LAYOUT).code == "too_large"
    (tmp_path / "b.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(128))
    assert refusal(tmp_path / "b.mat", LAYOUT).code == "unsupported_format"
    for content in (head + b"\1\2\3", b"\xff" * 100, b"\0" * 8):
        (tmp_path / "c.mat").write_bytes(content)
        assert refusal(tmp_path / "c.mat", LAYOUT).code in ("damaged", "no_signal")


# Proposals --------------------------------------------------------------------------------------


def test_what_a_header_says_is_proposed(tmp_path: Path) -> None:
    head = "# recorded at 250 Hz\ntime (s),Lead I (uV),avr (uV),C (uV)\n"
    table = np.column_stack([np.arange(600) / 250, np.arange(1800).reshape(600, 3)])
    proposal = propose_layout(write(tmp_path / "a.csv", table, head))
    assert proposal.lead_names == ("", "I", "aVR", "C")
    assert (proposal.fs, proposal.fs_reason) == (250.0, "written in the file")
    assert (proposal.unit, proposal.unit_reason) == ("uV", "written in the file")
    assert (proposal.skip_rows, proposal.n_leads, proposal.n_samples) == (2, 4, 600)
    assert proposal.preview[1].startswith("time (s)")


def test_rate_from_a_column_of_times(tmp_path: Path) -> None:
    table = np.column_stack([np.arange(600) * 2.0, np.ones((600, 2))])
    proposal = propose_layout(write(tmp_path / "a.csv", table, "time (ms),I,II\n"))
    assert proposal.fs == 500.0
    assert "time (ms)" in proposal.fs_reason


def test_files_of_one_make_have_one_fingerprint(tmp_path: Path) -> None:
    prints = [
        propose_layout(write(tmp_path / f"{n}.csv", values(n), head)).fingerprint
        for n, head in ((500, "I,II,V1\n"), (700, "I,II,V1\n"), (500, "I,II,V2\n"), (500, ""))
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    # Without titles the length tells them apart: a tenth of the rate may be the only difference.
    assert propose_layout(write(tmp_path / "a.csv", values(700))).fingerprint != prints[3]


def test_another_rate_or_unit_in_the_file_makes_another_make(tmp_path: Path) -> None:
    heads = ("# 500 Hz\nI,II,V1\n", "# 250 Hz\nI,II,V1\n", "# 500 Hz, uV\nI,II,V1\n")
    prints = {
        propose_layout(write(tmp_path / f"{n}.csv", values(500), head)).fingerprint
        for n, head in enumerate(heads)
    }
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("line", "fs", "stated_unit"),
    [
        ("25 mm/s, 10 mm/mV", None, False),
        ("Filter 0.05-150 Hz, notch 50 Hz", None, False),
        ("0.05 to 40 Hz", None, False),
        ("500 Hz, resampled to 1000 Hz", None, False),
        ("Sampling rate: 400 Hz", 400.0, False),
        ("Unit: uV", None, True),
    ],
)
def test_speeds_gains_and_filters_are_no_rate_or_unit(
    tmp_path: Path, line: str, fs: float | None, stated_unit: bool
) -> None:
    proposal = propose_layout(write(tmp_path / "a.csv", values(700), f"# {line}\nI,II,V1\n"))
    assert proposal.fs == fs
    assert (proposal.unit_reason == "written in the file") == stated_unit


def test_times_without_a_unit_are_a_guess(tmp_path: Path) -> None:
    table = np.column_stack([np.arange(600) / 500, np.ones((600, 2))])
    proposal = propose_layout(write(tmp_path / "a.csv", table, "Time,I,II\n"))
    assert proposal.fs == 500.0
    assert proposal.fs_reason.endswith("check it")


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("I_mV,II_mV,V1_mV\n", "mV"),
        ("units: microvolts\nI,II,V1\n", "uV"),
        ("I [µV],II [µV],V1 [µV]\n", "uV"),
        ("I (V),II (V),V1 (V)\n", "V"),
    ],
)
def test_units_in_the_words_of_the_file(tmp_path: Path, head: str, unit: str) -> None:
    proposal = propose_layout(write(tmp_path / "a.csv", values(), head))
    assert (proposal.unit, proposal.unit_reason) == (unit, "written in the file")


def test_nothing_is_proposed_without_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", np.full((777, 3), 40.0))
    proposal = propose_layout(path)
    assert (proposal.fs, proposal.unit, proposal.lead_names) == (None, None, ("", "", ""))
    assert (proposal.fs_reason, proposal.unit_reason, proposal.leads_reason) == ("", "", "")


def test_guesses_are_called_guesses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(0, 300, (5000, 12)))
    proposal = propose_layout(tmp_path / "a.npy")
    assert (proposal.fs, proposal.unit, proposal.n_leads) == (500.0, "uV", 12)
    for reason in (proposal.fs_reason, proposal.unit_reason, proposal.leads_reason):
        assert reason.endswith("check it")


def test_the_line_that_names_leads_counts_wherever_it_stands(tmp_path: Path) -> None:
    names = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
    head = ",".join(names) + "\n" + ",".join(["mV"] * 12) + "\n"
    path = write(tmp_path / "a.csv", np.ones((600, 12)), head)
    assert propose_layout(path).lead_names == names


def test_times_say_nothing_of_the_unit(tmp_path: Path) -> None:
    small = np.random.default_rng(0).normal(0, 0.3, (3000, 2))
    table = np.column_stack([np.arange(3000) * 2.0, small])
    proposal = propose_layout(write(tmp_path / "a.csv", table, "time (ms),I,II\n"))
    assert (proposal.fs, proposal.unit) == (500.0, "mV")


@pytest.mark.parametrize(("between", "quote"), [("|", ""), (",", '"'), (";", '"')])
def test_bars_and_quotes(tmp_path: Path, between: str, quote: str) -> None:
    rows = np.random.default_rng(0).normal(0, 0.3, (600, 2))
    lines = ["I" + between + "II"]
    lines += [between.join(f"{quote}{value:.3f}{quote}" for value in row) for row in rows]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    proposal = propose_layout(tmp_path / "a.csv")
    assert (proposal.delimiter, proposal.unit) == (between, "mV")
    layout = TableLayout(500.0, "mV", ("I", "II"), skip_rows=1, delimiter=between)
    recording = read_recording(tmp_path / "a.csv", layout)
    np.testing.assert_allclose(recording.signal_mv[:2], np.round(rows.T, 3), atol=1e-6)


def test_a_mat_file_without_a_matrix_says_so(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"x": "only words"})
    with pytest.raises(ReadError, match="holds no matrix of numbers"):
        propose_layout(tmp_path / "a.mat")


def test_files_without_numbers_propose_nothing(tmp_path: Path) -> None:
    for content in (b"only words\nand more\n", b"\0\1\2" * 50, b"\xff\xfe"):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(ReadError):
            propose_layout(tmp_path / "a.txt")


@pytest.mark.parametrize("title", ["Zeit (ms)", "time [ms]", "Temps (ms)", "Timestamp (ms)"])
def test_times_are_known_in_other_languages(tmp_path: Path, title: str) -> None:
    lines = [f"{2 * n};{np.sin(n / 20):.3f};{np.cos(n / 20):.3f}" for n in range(1500)]
    (tmp_path / "a.csv").write_text("\n".join([f"{title};I;II", *lines]))
    found = propose_layout(tmp_path / "a.csv")
    assert (found.fs, found.unit, found.lead_names) == (500.0, "mV", ("", "I", "II"))


def test_blank_lines_and_empty_columns_are_passed_over(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 12)).round(3)
    text = "\n\n".join(";".join(map(str, row)) + ";;" for row in rows)
    (tmp_path / "a.csv").write_text(text)
    found = propose_layout(tmp_path / "a.csv")
    assert (found.lead_names, found.n_samples) == ((*STANDARD_LEADS, "", ""), 50)


def test_an_array_without_rows_is_one_lead(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(1000) / 500)
    found = propose_layout(tmp_path / "a.npy")
    assert (found.leads_in, found.n_leads, found.n_samples) == ("rows", 1, 1000)
    layout = TableLayout(fs=100, unit="mV", lead_names=("II",), leads_in="rows")
    assert read_table(tmp_path / "a.npy", layout).signal_mv.shape == (1, 1000)


def test_ragged_tables_say_nothing_on_the_terminal(tmp_path: Path) -> None:
    lines = ["1.0;2.0;3.0"] * 20 + ["1.0;2.0"] * 3
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert propose_layout(tmp_path / "a.csv").n_leads == 3
