"""What lies in each segment: waves that the delineation marks, and samples that say little."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from echoing_gui.state_bench import Cell, Covered
from model_core.delineation import delineate, fill_gaps
from model_core.delineation.signals import moving_mean
from model_core.quality.leads import FAST_MV
from model_core.types import Recording, SegmentVariance
from model_core.wording import say

# What reaches less far into a segment is not said to lie in it.
_LEAST_S = 0.02
_FLAT_MV = 0.005
# As the quality of a lead is judged, but in the quieter half of a segment alone.
_FAST_S, _BETWEEN_S = 0.02, 0.1


def look_at(recording: Recording, cells: SegmentVariance) -> Covered:
    """Delineate the ten seconds of a segment variance map and look at its samples.

    Parameters
    ----------
    recording
        The whole of it; the map tells which seconds.
    cells
        The map.
    """
    edges_s = cells.edges_s
    page = recording.part(float(edges_s[0]), float(edges_s[-1] - edges_s[0]))
    marks = delineate(page.signal_mv, page.fs, page.lead_names)
    seconds = {
        name: page.start_s + getattr(marks, name) / page.fs
        for name in ("p_onset", "p_end", "qrs_onset", "qrs_end", "t_peak", "t_end", "r_peak")
    }
    # A QRS that the recording cuts off still reaches to its peak.
    seconds["qrs_onset"] = np.fmin(seconds["qrs_onset"], seconds["r_peak"])
    seconds["qrs_end"] = np.fmax(seconds["qrs_end"], seconds["r_peak"])
    # The start of T is not marked: as far before its peak as its end is after it.
    t_start = np.fmax(2 * seconds["t_peak"] - seconds["t_end"], seconds["qrs_end"])
    spans = {
        "P": (seconds["p_onset"], seconds["p_end"]),
        "QRS": (seconds["qrs_onset"], seconds["qrs_end"]),
        "T": (t_start, seconds["t_end"]),
    }
    waves = tuple(
        ", ".join(name for name, span in spans.items() if _reaches_into(*span, *ends))
        for ends in zip(edges_s[:-1].tolist(), edges_s[1:].tolist(), strict=True)
    )
    starts = np.fmin(seconds["p_onset"], seconds["qrs_onset"])
    ends = np.fmax(seconds["t_end"], seconds["qrs_end"])
    return Covered(waves, _faults(page, edges_s), np.stack([starts, ends], axis=1))


def _reaches_into(
    starts: NDArray[np.float64], ends: NDArray[np.float64], low: float, high: float
) -> bool:
    # NaN, of a wave that was not found, stays NaN and reaches nowhere.
    overlap = np.minimum(ends, high) - np.maximum(starts, low)
    return bool((overlap >= _LEAST_S).any())


def _faults(page: Recording, edges_s: NDArray[np.float64]) -> dict[Cell, str]:
    faults: dict[Cell, str] = {}
    filled, gap = fill_gaps(page.signal_mv.astype(np.float64))
    fast = np.abs(filled - moving_mean(filled, max(round(_FAST_S * page.fs), 2)))
    fast = moving_mean(fast, round(_BETWEEN_S * page.fs))
    for row, lead in enumerate(page.lead_names):
        for number, (low, high) in enumerate(itertools.pairwise(edges_s)):
            part = slice(*(round((second - page.start_s) * page.fs) for second in (low, high)))
            if not filled[row, part].size:
                continue
            if gap[row, part].any():
                faults[Cell(lead, number)] = say("artefact: no samples")
            elif np.ptp(filled[row, part]) < _FLAT_MV:
                faults[Cell(lead, number)] = say("artefact: flat line")
            elif np.median(fast[row, part]) > FAST_MV:
                faults[Cell(lead, number)] = say("artefact: noise")
    return faults
