"""Gaussian tokens: pooling by precision.

Shapes: B items, N tokens, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def product_of_experts(mean_bnd: Tensor, log_var_bnd: Tensor) -> tuple[Tensor, Tensor]:
    """Product of diagonal Gaussians: each token is an expert on the same embedding.

    The precision is the sum of the precisions, the mean the precision-weighted mean (Hinton,
    Neural Computation 2002;14:1771). An expert with infinite variance contributes nothing.

    Parameters
    ----------
    mean_bnd
        Means.
    log_var_bnd
        Natural logarithms of the variances; ``inf`` for an absent token, at least one finite.

    Returns
    -------
    mean_bd, log_var_bd
        Of the product.
    """
    weight_bnd = torch.softmax(-log_var_bnd, dim=1)
    return (weight_bnd * mean_bnd).sum(1), -torch.logsumexp(-log_var_bnd, dim=1)


def segment_log_variance(log_var_bnd: Tensor) -> Tensor:
    """Natural logarithm of the mean variance over dimensions, (B, N)."""
    return torch.logsumexp(log_var_bnd, dim=2) - math.log(log_var_bnd.shape[2])
