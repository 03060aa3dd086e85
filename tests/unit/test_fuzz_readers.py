"""Damaged files: every parser gives a recording or one of our errors, in time and memory."""

from __future__ import annotations

import pytest

from benchmarks.fuzz_readers import PARSERS, fuzz

SAMPLES_ONLY = ("DICOM", "SCP", "aECG", "Sierra", "Mortara")
N_MUTATIONS = 60


@pytest.mark.parametrize(
    "parser",
    [
        pytest.param(name, marks=pytest.mark.needs_shared if name in SAMPLES_ONLY else ())
        for name in PARSERS
    ],
)
def test_damaged_files_end_in_a_recording_or_in_words(parser: str) -> None:
    outcome = fuzz(parser, N_MUTATIONS, most_s=0, seed=4)
    assert outcome.tried == N_MUTATIONS
    assert outcome.faults == []
    assert outcome.read < N_MUTATIONS
