"""Parts of long DICOM recordings against what was written, and against the whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from model_core.io import open_lead, open_recording, read_part, read_recording
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording
from model_core.types import Recording
from tests.reading import refusal, report_of
from tests.unit.test_reader_dicom import channel, code, counts, group, twelve, write

N = 50_000  # 100 s at 500 Hz: 1.2 MB, more than is read at once


def opened(path: Path) -> LongRecording:
    found = open_recording(path)
    assert isinstance(found, LongRecording)
    return found


def assert_parts_are_cut_out(path: Path) -> Recording:
    whole, long = read_recording(path), opened(path)
    assert (long.lead_names, long.n_samples) == (whole.lead_names, whole.n_samples)
    for start_s in (0.0, 31.234, 59.9, long.duration_s - 10):
        part, first = read_part(long, start_s, 10.0), round(start_s * 500)
        np.testing.assert_array_equal(part.signal_mv, whole.signal_mv[:, first : first + 5000])
        assert part.start_s == first / 500
    for name in report_of(whole).leads_present:
        row = whole.signal_mv[whole.lead_names.index(name)]
        np.testing.assert_array_equal(open_lead(long, name)(29_000, 31_000), row[29_000:31_000])
    return whole


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("lengths_stated", [True, False])
def test_samples_stay_in_the_file(tmp_path: Path, syntax: str, lengths_stated: bool) -> None:
    values = counts(12, N)
    values[3, 15_700:15_800] = -32768
    made = twelve(values, WaveformPaddingValue=np.array(-32768, "<i2").tobytes())
    made.is_undefined_length_sequence_item = not lengths_stated
    groups: Any = Sequence([made])
    groups.is_undefined_length = not lengths_stated
    path = write(tmp_path / "a.dcm", groups, syntax)
    whole = assert_parts_are_cut_out(path)
    expected = np.where(values == -32768, np.nan, values * 0.005)
    np.testing.assert_allclose(whole.signal_mv, expected, rtol=1e-6)


def test_groups_lie_where_their_offsets_say(tmp_path: Path) -> None:
    first, second, strip = counts(6, 20_000, 1), counts(6, 20_000, 2), counts(1, 40_000, 3)
    limbs = [channel(name) for name in STANDARD_LEADS[:6]]
    chest = [channel(name) for name in STANDARD_LEADS[6:]]
    path = write(
        tmp_path / "a.dcm",
        [
            group(first, limbs, 1000.0),
            group(second, chest, 41_000.0),
            group(strip, [channel("II")], 1000.0),
        ],
    )
    whole = assert_parts_are_cut_out(path)
    expected = np.full((12, 40_000), np.nan)
    expected[:6, :20_000], expected[6:, 20_000:], expected[1] = first, second, strip[0]
    np.testing.assert_allclose(whole.signal_mv, expected * 0.005, rtol=1e-6)


def test_deflated_samples_have_no_place_and_are_read_as_a_whole(tmp_path: Path) -> None:
    values = counts(12, N)
    found = open_recording(
        write(tmp_path / "a.dcm", [twelve(values)], DeflatedExplicitVRLittleEndian)
    )
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal_mv, values * 0.005, rtol=1e-6)


def mark(position: int) -> Dataset:
    item = Dataset()
    item.ReferencedWaveformChannels = [1, 1]
    item.TemporalRangeType = "POINT"
    item.ReferencedSamplePositions = [position]
    item.ConceptNameCodeSequence = Sequence([code("1", "99TEST", f"Beat {position}")])
    return item


def test_marks_of_a_part_and_too_many_to_be_read(tmp_path: Path) -> None:
    marks = Sequence([mark(position) for position in (1, 20_001, 25_000)])
    path = write(tmp_path / "a.dcm", [twelve(counts(12, N))], WaveformAnnotationSequence=marks)
    found = read_part(opened(path), 40.0, 10.0).metadata.annotations
    assert [(each.time_s, each.text) for each in found] == [
        (40.0, "Beat 20001"),
        (49.998, "Beat 25000"),
    ]
    many = Sequence([mark(position) for position in range(20_001, 32_001)])
    path = write(tmp_path / "b.dcm", [twelve(counts(12, N))], WaveformAnnotationSequence=many)
    part = read_part(opened(path), 40.0, 10.0)
    assert part.metadata.annotations == ()
    told = " ".join(report_of(part).repairs)
    assert re.search(r"Marks and measurements of 1\.\d MB are not looked at\.", told)


def test_a_long_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", [twelve(counts(12, N))])
    path.write_bytes(path.read_bytes()[:-100_000])
    assert refusal(path).code == "size_mismatch"
