"""Which echo belongs to which ECG."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.errors import EchoingError

SECONDS_PER_DAY = 86_400
_LINK_COLUMNS = ("patient_id", "measured_at")


def nearest_echo(
    ecg_patient: pa.Array,
    ecg_time: pa.Array,
    echo_patient: pa.Array,
    echo_time: pa.Array,
    window_days: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find for each ECG the echo of the same patient that is nearest in time.

    Only differences of times within a patient are used: published dates are shifted by patient.

    Parameters
    ----------
    ecg_patient, echo_patient
        Patients, text.
    ecg_time, echo_time
        Times (``timestamp``), to the second; null where unknown, which pairs with nothing.
    window_days
        Largest distance, days, either way; included.

    Returns
    -------
    echo_row
        Row of the echo, -1 where there is none. Of two at the same distance the earlier, of two
        at the same time the first in the table.
    delta_days
        Echo minus ECG, days; NaN where there is none.
    """
    patients = pa.concat_arrays([ecg_patient, echo_patient]).dictionary_encode()
    code = np.asarray(patients.indices).astype(np.int64)
    time = np.concatenate([_seconds(ecg_time), _seconds(echo_time)])
    known = time != np.iinfo(np.int64).min
    origin = time[known].min() if known.any() else 0
    span = int(time[known].max() - origin) + 1 if known.any() else 1
    # One sorted key for patient and time; patients lie further apart than any two of their times.
    key = code * (2 * span) + np.where(known, time - origin, 0)

    n_ecg = len(ecg_patient)
    rows = np.flatnonzero(known[n_ecg:])
    order = rows[np.argsort(key[n_ecg:][rows], kind="stable")]
    sorted_key, sorted_code = key[n_ecg:][order], code[n_ecg:][order]
    echo_row = np.full(n_ecg, -1, np.int64)
    delta_days = np.full(n_ecg, np.nan)
    if not len(order):
        return echo_row, delta_days

    position = np.searchsorted(sorted_key, key[:n_ecg], side="left")
    later = np.minimum(position, len(order) - 1)
    # Of several echoes at one time the first in the table.
    earlier = np.maximum(position - 1, 0)
    earlier = np.searchsorted(sorted_key, sorted_key[earlier], side="left")
    best = np.full(n_ecg, np.iinfo(np.int64).max)
    for candidate in (earlier, later):
        distance = np.abs(sorted_key[candidate] - key[:n_ecg])
        nearer = (
            known[:n_ecg]
            & (sorted_code[candidate] == code[:n_ecg])
            & (distance <= window_days * SECONDS_PER_DAY)
            & (distance < best)
        )
        best[nearer] = distance[nearer]
        echo_row[nearer] = order[candidate[nearer]]
    paired = echo_row >= 0
    delta_days[paired] = (time[n_ecg:][echo_row[paired]] - time[:n_ecg][paired]) / SECONDS_PER_DAY
    return echo_row, delta_days


def attach_echo(index: pa.Table, echo: pa.Table, window_days: float) -> pa.Table:
    """Index with the nearest echo's identifier, distance and measures; rows without one stay out.

    Parameters
    ----------
    index
        Of the ECGs.
    echo
        Of the echoes (see `mimic_echo.ingest_echo`).
    window_days
        As in `nearest_echo`.

    Returns
    -------
    pa.Table
        Rows of `index` that have an echo, with the columns of `echo` but patient and time, and
        ``echo_delta_days``.

    Raises
    ------
    EchoingError
        If both tables hold a column of the same name.
    """
    added = [name for name in echo.column_names if name not in _LINK_COLUMNS]
    clash = sorted(set(added) & set(index.column_names))
    if clash:
        raise EchoingError(f"ECG and echo table both have a column '{clash[0]}'.", code="clash")
    echo_row, delta_days = nearest_echo(
        index["patient_id"].combine_chunks(),
        index["recorded_at"].combine_chunks(),
        echo["patient_id"].combine_chunks(),
        echo["measured_at"].combine_chunks(),
        window_days,
    )
    rows = np.flatnonzero(echo_row >= 0)
    paired = index.take(rows).append_column("echo_delta_days", pa.array(delta_days[rows]))
    matched = echo.take(echo_row[rows])
    for name in added:
        paired = paired.append_column(name, matched[name])
    return paired


def _seconds(times: pa.Array) -> NDArray[np.int64]:
    """Seconds since 1970; the smallest int64 where null."""
    return times.to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)
