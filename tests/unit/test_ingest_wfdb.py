from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from model_core.errors import ReadError
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from tests.unit.ingest_miniatures import MIMIC_LEADS, counts_of, ecg_mv, write_wfdb
from training.ingest.waveform import MISSING, quantise, read_waveform
from training.ingest.wfdb_fast import read_counts


def by_wfdb(path: Path) -> np.ndarray:
    """Leads x samples, mV, as the reference package reads them."""
    record: Any = wfdb.rdrecord(str(path.with_suffix("")))
    return record.p_signal.T


def physical(path: Path) -> np.ndarray:
    counts = read_counts(path)
    assert counts is not None
    mv = (counts.values - np.array(counts.baseline)[:, None]) / np.array(counts.gain)[:, None]
    return np.where(counts.values == MISSING, np.nan, mv)


@pytest.mark.parametrize("fmt", ["16", "212"])
@pytest.mark.parametrize("n_leads", [1, 3, 12])
@pytest.mark.parametrize("n_samples", [600, 601])
def test_equals_wfdb_sample_for_sample(
    tmp_path: Path, fmt: str, n_leads: int, n_samples: int
) -> None:
    largest = 2**15 if fmt == "16" else 2**11
    counts = np.random.default_rng(1).integers(-largest, largest, (n_leads, n_samples))
    counts[0, 5] = -largest  # no sample
    names = STANDARD_LEADS[:n_leads]
    write_wfdb(tmp_path / "r", counts, names, gain=200.0, baseline=-7, fmt=fmt)
    np.testing.assert_array_equal(physical(tmp_path / "r.hea"), by_wfdb(tmp_path / "r"))


@pytest.mark.needs_shared
@pytest.mark.filterwarnings("default")
def test_equals_wfdb_on_real_records(shared: Path) -> None:
    headers = sorted((shared / "data/ptbxl/records500").rglob("*.hea"))[::10]
    headers += sorted((shared / "data/ptbxl/records100").rglob("*.hea"))[::60]
    assert len(headers) > 50
    for header in headers:
        np.testing.assert_array_equal(physical(header), by_wfdb(header))


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_part_of_a_record_is_that_part(tmp_path: Path, fmt: str) -> None:
    counts = np.random.default_rng(2).integers(-2000, 2000, (3, 5000))
    write_wfdb(tmp_path / "r", counts, ("X", "Y", "Z"), fmt=fmt)
    part = read_counts(tmp_path / "r", 3.0, 4.0)
    assert part is not None
    np.testing.assert_array_equal(part.values, counts[:, 1500:3500])
    assert read_counts(tmp_path / "r", 7.0, 4.0) is None


def test_doubtful_records_are_left_to_the_careful_reader(tmp_path: Path) -> None:
    counts = counts_of(ecg_mv(3), 1000.0)
    for name, change in {
        "checksum": lambda text: text.replace(" 0 V6", "1 0 V6"),
        "no_gain": lambda text: text.replace("1000.0(0)/mV", "0(0)/mV"),
        "folder": lambda text: text.replace("folder.dat", "../folder.dat"),
        "signals": lambda text: text.replace(" 12 500", " 13 500"),
        "length": lambda text: text.replace(" 5000\n", " 5001\n"),
        "rate": lambda text: text.replace(" 500 5000", " 5 5000"),
        "unit": lambda text: text.replace("/mV", "/mmHg"),
    }.items():
        write_wfdb(tmp_path / name, counts, STANDARD_LEADS, gain=1000.0)
        header = tmp_path / f"{name}.hea"
        assert read_counts(header) is not None
        header.write_text(change(header.read_text()))
        assert read_counts(header) is None, name
        with pytest.raises(ReadError):
            read_recording(header)
    assert read_counts(tmp_path / "absent") is None


def test_leads_are_taken_by_name(tmp_path: Path) -> None:
    signal_mv = ecg_mv(4)
    order = [STANDARD_LEADS.index(name) for name in MIMIC_LEADS]
    write_wfdb(tmp_path / "m", counts_of(signal_mv[order], 200.0), MIMIC_LEADS)
    waveform = read_waveform(tmp_path / "m", STANDARD_LEADS, 0.0, 10.0)
    np.testing.assert_array_equal(waveform.counts, counts_of(signal_mv, 200.0))
    with pytest.raises(ReadError, match="lacks lead X"):
        read_waveform(tmp_path / "m", ("X",), 0.0, 10.0)
    with pytest.raises(ReadError, match="lasts 10 s; 11 s from second 0 on"):
        read_waveform(tmp_path / "m", STANDARD_LEADS, 0.0, 11.0)


@pytest.mark.parametrize("baseline", [-300, 30_000])
def test_baseline_is_subtracted_even_beyond_16_bits(tmp_path: Path, baseline: int) -> None:
    counts = np.random.default_rng(5).integers(-3000, 3000, (12, 5000))
    counts[3, 7] = MISSING
    write_wfdb(tmp_path / "b", counts, STANDARD_LEADS, gain=1000.0, baseline=baseline)
    waveform = read_waveform(tmp_path / "b", STANDARD_LEADS, 0.0, 10.0)
    stored = np.where(waveform.counts == MISSING, np.nan, waveform.counts / waveform.gain[:, None])
    np.testing.assert_allclose(stored, by_wfdb(tmp_path / "b"), atol=0.0006)


def test_rounding_is_half_a_count_at_most() -> None:
    values = np.random.default_rng(6).normal(0, [[1.0], [30.0]], (2, 5000))
    values[0, 3] = np.nan
    counts, gain = quantise(values)
    error = np.where(counts == MISSING, np.nan, counts / gain[:, None].astype(float)) - values
    assert np.isnan(error).sum() == 1
    assert (np.nanmax(np.abs(error), axis=1) <= 0.5001 / gain).all()
    assert gain[0] == 1000.0
