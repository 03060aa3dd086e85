"""Measure how fast ECGs are simulated: ``python benchmarks/simulation.py [--patients N]``.

Counts processor time, summed over threads, so that a rate is that of one core; drawing the patients
and adding noise are included. Prints one line a sampling rate, the median of the rounds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from training.simulation import sample_patients, simulate_ecg

RATES_HZ = (250.0, 500.0)
DURATION_S = 10.0
ROUNDS = 5


def ecgs_per_second(fs: float, n: int, seed: int) -> float:
    """Return how many recordings of ``DURATION_S`` a second of processor time gives."""
    rng = np.random.default_rng(seed)
    start = time.process_time()
    simulate_ecg(sample_patients(n, rng), rng, fs, DURATION_S)
    return n / (time.process_time() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how fast ECGs are simulated.")
    parser.add_argument("--patients", type=int, default=256, help="per round (default 256)")
    n = parser.parse_args().patients
    for fs in RATES_HZ:
        ecgs_per_second(fs, 32, 0)  # first calls import and allocate
        rates = [ecgs_per_second(fs, n, seed) for seed in range(ROUNDS)]
        print(
            f"{fs:.0f} Hz, {DURATION_S:.0f} s: {np.median(rates):.0f} ECG/s a core "
            f"({min(rates):.0f}-{max(rates):.0f} in {ROUNDS} rounds of {n})"
        )


if __name__ == "__main__":
    main()
