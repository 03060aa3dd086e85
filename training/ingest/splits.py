"""Splits by patient, the proof that they are disjoint, and the canary for leaks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.errors import EchoingError

SPLITS = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)


def split_by_patient(patients: pa.Array, seed: int = 0) -> pa.Array:
    """Split of each row, by a hash of its patient: 80 % train, 10 % validation, 10 % test.

    The hash depends on nothing but seed and patient, so a patient keeps the split when records
    are added, and has the same one in every data set with the same patient numbers.

    Parameters
    ----------
    patients
        Patient of each row, text.
    seed
        Another seed, another split.

    Returns
    -------
    pa.Array
        ``train``, ``validation`` or ``test``.
    """
    encoded = patients.dictionary_encode()
    borders = np.cumsum(SHARES)[:-1]
    draws = [
        int.from_bytes(hashlib.sha256(f"{seed}:{patient}".encode()).digest()[:8], "big") / 2**64
        for patient in encoded.dictionary.to_pylist()
    ]
    names = pa.array([SPLITS[int(i)] for i in np.searchsorted(borders, draws, side="right")])
    return names.take(encoded.indices) if len(names) else pa.array([], pa.string())


def check_disjoint(patients: pa.Array, splits: pa.Array) -> None:
    """Prove that no patient is in two splits.

    Raises
    ------
    EchoingError
        Names how many patients are, and one of them.
    """
    patient = patients.dictionary_encode()
    split = splits.dictionary_encode()
    pairs = np.unique(np.stack([np.asarray(patient.indices), np.asarray(split.indices)]), axis=1)
    twice = pairs[0, 1:][pairs[0, 1:] == pairs[0, :-1]]
    if len(twice):
        example = patient.dictionary[int(twice[0])].as_py()
        raise EchoingError(
            f"{len(np.unique(twice))} patients are in more than one split, for instance {example}.",
            hint="Split by patient; records of one patient must stay together.",
            code="leaking_split",
        )


def shuffle_by_patient(labels: NDArray[Any], patients: NDArray[Any], seed: int = 0) -> NDArray[Any]:
    """Labels given to other patients: a canary, whatever is learnt from them is a leak.

    All rows of a patient get the first label of one other patient, so that labels stay as alike
    within a patient as they were, which is what a leak feeds on.

    Parameters
    ----------
    labels
        (rows, ...).
    patients
        Patient of each row.
    seed
        Of the permutation.

    Returns
    -------
    ndarray
        Like `labels`.
    """
    _, first, patient = np.unique(patients, return_index=True, return_inverse=True)
    donor = np.random.default_rng(seed).permutation(len(first))
    return labels[first[donor[patient]]]
