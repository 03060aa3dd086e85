"""Parts of long recordings against the whole: same samples, times, leads and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.long_recordings import RATES, WRITERS, minutes, write_edf, write_ishne, write_wfdb
from model_core.errors import ReadError
from model_core.io import open_lead, open_recording, read_part, read_recording
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording, survey
from model_core.types import Recording
from tests.reading import report_of

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
