"""Parts of long recordings against the whole: same samples, times, leads and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from benchmarks.long_recordings import RATES, WRITERS, minutes, write_edf, write_ishne, write_wfdb
from model_core.errors import ReadError
from model_core.io import edf_reader, open_lead, open_recording, read_part, read_recording
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording, survey
from model_core.types import Recording
from tests.reading import report_of
from tests.unit.test_reader_signals import edf

FS = 250


def opened(path: Path) -> LongRecording:
    found = open_recording(path)
    assert isinstance(found, LongRecording)
    return found


@pytest.mark.parametrize("kind", WRITERS)
def test_parts_are_cut_out_of_the_whole(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / "day", 3, FS)
    whole = read_recording(path)
    written = np.concatenate(list(minutes(3, FS)), axis=1) * 0.0025
    np.testing.assert_allclose(whole.signal_mv, written, atol=0.002)
    long = opened(path)
    assert long.duration_s == whole.duration_s == 180
    assert long.lead_names == whole.lead_names == STANDARD_LEADS
    assert long.metadata.acquired_at == "2026-02-01T13:00:00"
    for start_s in (0.0, 59.5, 100.0 + 1 / FS, 169.999, 175.0):
        part = read_part(long, start_s, 10.0)
        first = round(start_s * FS)
        assert part.start_s == first / FS
        np.testing.assert_array_equal(part.signal_mv, whole.signal_mv[:, first : first + 10 * FS])
        assert part.recording_id == long.recording_id
    lead = open_lead(long, "V1")
    np.testing.assert_array_equal(lead(123, 20_000), whole.signal_mv[6, 123:20_000])
    with pytest.raises(ReadError):
        open_lead(long, "V9")


def assert_parts_are_cut_out(path: Path, written_mv: NDArray[Any], fs: int = FS) -> None:
    """The whole as it was written, and parts around every multiple of 20 s as in the whole."""
    whole, long = read_recording(path), opened(path)
    np.testing.assert_allclose(whole.signal_mv[: len(written_mv)], written_mv, atol=1e-5)
    assert (long.n_samples, long.lead_names) == (whole.n_samples, whole.lead_names)
    for start_s in (0.0, *(20.0 * n - 5 + 1 / fs for n in range(1, whole.n_samples // (20 * fs)))):
        part, first = read_part(long, start_s, 10.0), round(start_s * fs)
        np.testing.assert_array_equal(part.signal_mv, whole.signal_mv[:, first : first + 10 * fs])
        gaps = {(gap.start_s, gap.end_s) for gap in report_of(part).gaps}
        assert bool(gaps) == bool(np.isnan(part.signal_mv).any())
        assert all(start_s - 1 / fs <= low < high <= start_s + 10 + 1 / fs for low, high in gaps)
    row = open_lead(long, whole.lead_names[1])(321, whole.n_samples - 7)
    np.testing.assert_array_equal(row, whole.signal_mv[1, 321:-7])


def test_wfdb_format_212(tmp_path: Path) -> None:
    # Two samples in three bytes: a part may begin within a pair of them.
    counts = np.concatenate(list(minutes(2, FS)), axis=1)[:3].astype(np.int64)
    wfdb.wrsamp(
        "day",
        FS,
        ["mV"] * 3,
        list(STANDARD_LEADS[:3]),
        d_signal=counts.T,
        fmt=["212"] * 3,
        adc_gain=[400.0] * 3,
        baseline=[0] * 3,
        write_dir=str(tmp_path),
    )
    whole = read_recording(tmp_path / "day.hea").signal_mv[:3]
    np.testing.assert_allclose(whole, counts / 400, atol=1e-5)
    long = opened(tmp_path / "day.hea")
    for first in (0, 1, 2, 3, 12_345, 20_001):
        part = read_part(long, first / FS, 10.0)
        np.testing.assert_array_equal(part.signal_mv[:3], whole[:, first : first + 10 * FS])


def test_wfdb_segments_with_gaps_and_other_leads(tmp_path: Path) -> None:
    counts = np.concatenate(list(minutes(2, FS)), axis=1)[:3, : 101 * FS]
    expected = np.full((3, 101 * FS), np.nan)
    lines, at = ["day/5 3 250 25250", "day_layout 0"], 0
    for number, (name, length_s) in enumerate((("one", 25), ("~", 7), ("two", 39), ("three", 30))):
        here = slice(at * FS, (at + length_s) * FS)
        lines.append(f"{name} {length_s * FS}")
        at += length_s
        rows = [0, 1] if number == 0 else [2, 0, 1]
        if name == "~":
            continue
        expected[rows, here] = counts[rows, here] / 400
        counts[rows, here].T.tofile(tmp_path / f"{name}.dat")
        head = [f"{name} {len(rows)} 250 {length_s * FS}"]
        head += [f"{name}.dat 16 400/mV 16 0 0 0 0 {STANDARD_LEADS[row]}" for row in rows]
        (tmp_path / f"{name}.hea").write_text("\n".join(head) + "\n")
    layout = [f"~ 0 400/mV 16 0 0 0 0 {name}" for name in STANDARD_LEADS[:3]]
    (tmp_path / "day_layout.hea").write_text("\n".join(["day_layout 3 250 0", *layout]) + "\n")
    (tmp_path / "day.hea").write_text("\n".join(lines) + "\n")
    assert_parts_are_cut_out(tmp_path / "day.hea", expected)


def test_bdf_holds_24_bits(tmp_path: Path) -> None:
    counts = np.concatenate(list(minutes(2, FS)), axis=1)[2:4].astype(np.int64) * 5000
    limits = ("-8388608", "8388607", "-8388608", "8388607")
    path = edf(
        tmp_path / "a.bdf",
        counts,
        ("V1", "V2"),
        units=("nV", "nV"),
        per_record=FS,
        kind="24BIT",
        limits=limits,
        bdf=True,
    )
    assert abs(counts).max() > 1e6
    assert_parts_are_cut_out(path, counts * 1e-6)


@pytest.mark.parametrize("most_asked", [4096, 10])
def test_interrupted_edf_has_its_gaps_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_asked: int
) -> None:
    monkeypatch.setattr(edf_reader, "MAX_RECORDS_ASKED", most_asked)
    counts = np.concatenate(list(minutes(2, FS)), axis=1)[2:4, : 90 * FS]
    onsets = np.arange(90) + 3.5 * (np.arange(90) >= 20) + 11 * (np.arange(90) >= 71)
    marks = tuple(b"+%.6g\x14\x14\0+%.6g\x14beat\x14" % (t, t + 0.5) for t in onsets)
    path = edf(tmp_path / "a.edf", counts, ("V1", "V2"), per_record=FS, kind="EDF+D", marks=marks)
    expected = np.full((2, round(104.5 * FS)), np.nan)
    for number, onset in enumerate(onsets):
        there = slice(round(onset * FS), round((onset + 1) * FS))
        expected[:, there] = counts[:, number * FS : (number + 1) * FS] * 1e-4
    assert_parts_are_cut_out(path, expected)
    found = read_part(opened(path), 15.0, 10.0).metadata.annotations
    assert [mark.time_s for mark in found] == [15.5, 16.5, 17.5, 18.5, 19.5, 24.0]


def test_it_says_what_it_did_not_look_at(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path / "day", 2, FS)
    assert "match the checksums" in report_of(read_recording(path)).integrity
    assert "Only parts" in report_of(read_part(opened(path), 0, 10)).integrity
    samples = np.fromfile(path.with_suffix(".dat"), "<i2")
    samples[60_000] += 100
    samples.tofile(path.with_suffix(".dat"))
    with pytest.raises(ReadError, match="do not match the check numbers"):
        read_recording(path)
    assert read_part(opened(path), 0, 10).n_samples == 10 * FS


def test_a_minute_is_read_as_a_whole(tmp_path: Path) -> None:
    assert isinstance(open_recording(write_ishne(tmp_path / "a", 1, FS)), Recording)


def test_a_file_exchanged_under_way_is_noticed(tmp_path: Path) -> None:
    long = opened(write_edf(tmp_path / "a", 2, FS))
    write_edf(tmp_path / "a", 3, FS)
    with pytest.raises(ReadError) as caught:
        read_part(long, 0, 10)
    assert caught.value.code == "changed"
    long.path.unlink()
    with pytest.raises(ReadError) as caught:
        read_part(long, 0, 10)
    assert caught.value.code == "not_found"


def test_the_overview_holds_extremes_gaps_and_heart_rate() -> None:
    lead = np.concatenate(list(minutes(8, FS)), axis=1)[1] * np.float32(0.0025)
    lead[5 * 60 * FS : 6 * 60 * FS] = np.nan
    lead[100 * FS] = 7.0
    seen = list(survey(lambda first, last: lead[first:last], lead.size, FS, "II"))
    assert [overview.complete for overview in seen] == [False] * (len(seen) - 1) + [True]
    assert np.isnan(seen[0].high_mv[-1])
    last = seen[-1]
    second = last.high_mv.size / 480
    assert last.high_mv[int(100 * second)] == pytest.approx(7.0, abs=0.1)
    gap = slice(round(300 * second), round(360 * second))
    assert np.isnan(last.high_mv[gap]).all()
    assert np.isnan(last.rate_per_min[gap]).all()
    assert np.isfinite(np.delete(last.low_mv, np.arange(gap.start, gap.stop))).all()
    for minute in (0, 1, 2, 3, 4, 6, 7):
        middle = round((minute * 60 + 30) * second)
        assert last.rate_per_min[middle] == pytest.approx(RATES[minute % 4], abs=1)
