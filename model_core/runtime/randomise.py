"""A model with its weights shuffled, to see whether its map shows anything that was learnt.

Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018. Every tensor of weights keeps its
values and loses their order, so nothing that was learnt is left while all sizes stay what they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from model_core.runtime.graph_check import tensors
from model_core.runtime.package import ModelPackage

_DATA_TYPE, _FLOAT_DATA, _RAW_DATA = 2, 4, 9
_FLOAT32 = 1


def randomised(package: ModelPackage, seed: int) -> ModelPackage:
    """Shuffle the weights of a package in memory; its identity no longer names what it is.

    Parameters
    ----------
    package
        From `load_package`.
    seed
        Of the order; the same seed gives the same network.

    Raises
    ------
    ValueError
        If the graph holds no weights to shuffle.
    """
    graph = bytearray(package.graph)
    rng = np.random.default_rng(seed)
    n_shuffled = 0
    for fields in tensors(memoryview(graph)):
        if dict(fields).get(_DATA_TYPE) != _FLOAT32:
            continue
        for number, value in fields:
            if number in (_FLOAT_DATA, _RAW_DATA) and not isinstance(value, int):
                weights = np.frombuffer(value, dtype="<f4")
                if weights.size > 1:
                    weights[:] = rng.permutation(weights)
                    n_shuffled += 1
    if not n_shuffled:
        raise ValueError("the graph holds no weights")
    return dataclasses.replace(package, graph=bytes(graph))
