"""Echo measures of virtual patients, for tests."""

from __future__ import annotations

import numpy as np

from training.simulation import EchoMeasures, draw_echo, sample_patients


def sample_echo(n: int, seed: int) -> EchoMeasures:
    """Measures of n virtual patients."""
    rng = np.random.default_rng(seed)
    return draw_echo(sample_patients(n, rng), rng)
