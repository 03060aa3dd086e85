"""Reading a number off a shared space: by ranking prompts, as EchoCLIP does.

Shapes: F frames, P prompts, D embedding dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_regression(
    frames_fd: NDArray[Any], prompts_pd: NDArray[Any], values_p: NDArray[Any], top: float = 0.2
) -> float:
    """Value of a study by ranking prompts that each state one value.

    Every frame ranks all prompts by cosine; the ranked values are averaged over the frames, and
    the median of the top share is the estimate (Christensen et al., Nat Med 2024;30:1481).

    Parameters
    ----------
    frames_fd
        Unit vectors; one row for an ECG.
    prompts_pd
        Unit vectors.
    values_p
        What each prompt states, any unit.
    top
        Share of the ranks that counts.

    Returns
    -------
    float
        In the unit of `values_p`.
    """
    order_fp = np.argsort(-(frames_fd @ prompts_pd.T), axis=1, kind="stable")
    ranked_p = np.asarray(values_p, dtype=np.float64)[order_fp].mean(axis=0)
    return float(np.median(ranked_p[: max(1, int(len(values_p) * top))]))


def mean_similarity(frames_fd: NDArray[Any], prompts_pd: NDArray[Any]) -> float:
    """Mean cosine over frames and prompts: EchoCLIP's uncalibrated score for a finding."""
    return float((frames_fd @ prompts_pd.T).mean())
