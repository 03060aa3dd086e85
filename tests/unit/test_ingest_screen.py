from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_core.leads import STANDARD_LEADS
from model_core.quality import assess_samples
from model_core.types import Recording
from tests.unit.ingest_miniatures import counts_of, ecg_mv
from training.ingest.screen import clearly_sound, quality_codes
from training.ingest.waveform import MISSING, Waveform, read_waveform


def gate(waveform: Waveform) -> list[str]:
    mv = np.where(waveform.counts == MISSING, np.nan, waveform.counts / waveform.gain[:, None])
    recording = Recording("", mv.astype(np.float32), waveform.fs, STANDARD_LEADS, "")
    return [reason.code for reason in assess_samples(recording).reasons]


def spoiled(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random fault of a random size, so that some lie on either side of every limit."""
    counts = counts.astype(float)
    lead, size = rng.integers(12), rng.uniform(0, 1)
    start = rng.integers(4000)
    match rng.integers(7):
        case 0:
            counts[lead] *= size**6
        case 1:
            counts[lead, start : start + int(1000 * size)] = counts[lead, start]
        case 2:
            counts *= 10 ** (4 * size - 2)
        case 3:
            top = np.quantile(counts[lead], 1 - 0.06 * size)
            counts[lead] = np.minimum(counts[lead], top)
        case 4:
            counts[rng.integers(6)] *= 1 + 0.3 * (size - 0.5)
        case 5:
            counts[lead, start] = MISSING
        case _:
            counts += 20_000 * (size - 0.5)
    return counts.clip(MISSING, 32767).astype(np.int16)


def compare(waveforms: list[Waveform]) -> tuple[int, int]:
    """Numbers of recordings that the bounds prove sound, and that the gate finds sound."""
    n_proved, n_sound = 0, 0
    for waveform in waveforms:
        expected = gate(waveform)
        proved = clearly_sound(waveform)
        assert not (proved and expected), expected
        assert quality_codes(waveform) == expected
        n_proved, n_sound = n_proved + proved, n_sound + (not expected)
    return n_proved, n_sound


def test_never_calls_sound_what_the_gate_refuses() -> None:
    rng = np.random.default_rng(0)
    gain = np.full(12, 1000.0, np.float32)
    waveforms = [
        Waveform(spoiled(counts_of(ecg_mv(seed), 1000.0), rng), gain, 500.0) for seed in range(400)
    ]
    n_proved, n_sound = compare(waveforms)
    assert 50 < n_proved <= n_sound < 350


@pytest.mark.needs_shared
def test_is_right_and_decisive_on_real_ecgs(shared: Path) -> None:
    headers = sorted((shared / "data/ptbxl/records500").rglob("*.hea"))[::4]
    waveforms = [read_waveform(path, STANDARD_LEADS, 0.0, 10.0) for path in headers]
    n_proved, n_sound = compare(waveforms)
    assert n_proved >= 0.9 * n_sound > 90
    rng = np.random.default_rng(1)
    compare([Waveform(spoiled(w.counts, rng), w.gain, w.fs) for w in waveforms])


def test_is_silent_where_the_gate_cannot_judge() -> None:
    counts, gain = counts_of(ecg_mv(1), 1000.0), np.full(12, 1000.0, np.float32)
    assert quality_codes(Waveform(counts, gain, 500.0, unit="z")) is None
    assert quality_codes(Waveform(counts[:3], gain[:3], 500.0, ("X", "Y", "Z"))) is None
