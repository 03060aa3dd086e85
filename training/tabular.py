"""A baseline without a network: what a cardiologist's ruler measures on an ECG, as a table.

Rates, intervals, axes and amplitudes come from `model_core.measurements`; added are the voltage
criteria of hypertrophy. Age and sex are columns of their own, so that both baselines, with and
without them, can be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import delineate
from model_core.leads import STANDARD_LEADS
from model_core.measurements import measure, row

FloatArray = NDArray[np.float64]
CHUNK = 50


def voltage_criteria(values: dict[str, float]) -> dict[str, float]:
    """Voltages summed over leads, mV; S counts as positive.

    Sokolow and Lyon, Am Heart J 1949;37:161 (S in V1 plus the larger R of V5 and V6); Casale et
    al., J Am Coll Cardiol 1985;6:572 (Cornell: R in aVL plus S in V3).

    Parameters
    ----------
    values
        Of `measurements.row`: ``r_mv_V5`` ...
    """
    largest_r = np.fmax(values["r_mv_V5"], values["r_mv_V6"])
    return {
        "sokolow_lyon_mv": float(largest_r - values["s_mv_V1"]),
        "cornell_mv": values["r_mv_aVL"] - values["s_mv_V3"],
    }


def features(ecg_mv: NDArray[np.floating], fs: float) -> dict[str, float]:
    """Measure one ECG.

    Parameters
    ----------
    ecg_mv
        (12, samples) mV in the order of `STANDARD_LEADS`; NaN where there is no sample.
    fs
        Hz; 100 or more.

    Returns
    -------
    dict
        By name; NaN where something could not be measured. Axes as sine and cosine, since -180 and
        180 degrees are the same.
    """
    signal = np.asarray(ecg_mv, dtype=np.float64)
    values = row(measure(delineate(signal, fs, STANDARD_LEADS), signal))
    found = values | voltage_criteria(values)
    for name in [key for key in found if key.endswith("_deg")]:
        angle = np.radians(found.pop(name))
        found |= {f"{name}_sin": float(np.sin(angle)), f"{name}_cos": float(np.cos(angle))}
    return found


def feature_table(
    ecg_mv: NDArray[np.floating], fs: float, workers: int = 1
) -> tuple[tuple[str, ...], FloatArray]:
    """Names and features, (n, d), of (n, 12, samples) mV.

    Parameters
    ----------
    ecg_mv, fs
        As in `features`.
    workers
        Processes.
    """
    chunks = [ecg_mv[start : start + CHUNK] for start in range(0, len(ecg_mv), CHUNK)]
    work = partial(_measure_all, fs=fs)
    if workers == 1:
        rows = [one for chunk in chunks for one in work(chunk)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            rows = [one for found in pool.map(work, chunks) for one in found]
    names = tuple(rows[0]) if rows else ()
    return names, np.array([[one[name] for name in names] for one in rows])


def _measure_all(ecg_mv: NDArray[np.floating], fs: float) -> list[dict[str, float]]:
    return [features(one, fs) for one in ecg_mv]


def age_and_sex(age_years: Sequence[float], female: Sequence[float]) -> FloatArray:
    """Age in years and sex (1 female, 0 male) as columns, (n, 2); NaN for unknown."""
    return np.stack([np.asarray(age_years, float), np.asarray(female, float)], axis=1)
