"""Losses between Gaussian embeddings, and for the heads on them.

Shapes: B, C items of the two modalities, D embedding dimensions, M measures, Q quantile levels.
A Gaussian embedding is its mean and ``log_var``, the natural logarithm of its variance per
dimension (PCME++'s own code calls that field ``std``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Distance = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _squared_distances(a_bd: Tensor, b_cd: Tensor) -> Tensor:
    squares = (a_bd * a_bd).sum(1)[:, None] + (b_cd * b_cd).sum(1)[None, :]
    return squares - 2.0 * a_bd @ b_cd.T


def sampled_distance(
    mean_bd: Tensor, log_var_bd: Tensor, mean_cd: Tensor, log_var_cd: Tensor
) -> Tensor:
    """Closed-form sampled distance (CSD): expected squared distance of two samples, (B, C).

    ``|mean_1 - mean_2|^2 + sum(var_1 + var_2)``; Chun, "Improved probabilistic image-text
    representations", ICLR 2024 (arXiv 2305.18171), equation 1.
    """
    spread = log_var_bd.exp().sum(1)[:, None] + log_var_cd.exp().sum(1)[None, :]
    return _squared_distances(mean_bd, mean_cd) + spread


def wasserstein_distance(
    mean_bd: Tensor, log_var_bd: Tensor, mean_cd: Tensor, log_var_cd: Tensor
) -> Tensor:
    """Squared 2-Wasserstein distance of diagonal Gaussians, (B, C); the ablation of PCME++.

    ``|mean_1 - mean_2|^2 + |sigma_1 - sigma_2|^2``.
    """
    deviations = _squared_distances((log_var_bd / 2).exp(), (log_var_cd / 2).exp())
    return _squared_distances(mean_bd, mean_cd) + deviations


def information_bottleneck(mean_bd: Tensor, log_var_bd: Tensor) -> Tensor:
    """Variational information bottleneck: divergence from a standard normal, mean over B and D."""
    return -0.5 * (1.0 + log_var_bd - mean_bd.square() - log_var_bd.exp()).mean()


def pseudo_matched(logits_bc: Tensor, matched_bc: Tensor) -> Tensor:
    """Take every item at least as near as the true match for a match, row by row.

    Parameters
    ----------
    logits_bc
        Match logits.
    matched_bc
        Known matches, 0 to 1. Rows without any stay as they are.

    Returns
    -------
    Tensor
        (B, C), the relabelled matches (PCME++, section 3.3).
    """
    label_b, match_b = matched_bc.max(dim=1)
    at_match_b1 = logits_bc.gather(1, match_b[:, None])
    label_bc = label_b[:, None].expand_as(matched_bc)
    near_bc = (logits_bc >= at_match_b1) & (label_bc > 0)
    return torch.where(near_bc, label_bc, matched_bc)


class MatchingLoss(nn.Module):
    """PCME++ loss between two sets of Gaussian embeddings.

    ``2 BCE(matched) + alpha (BCE(pseudo, rows) + BCE(pseudo, columns)) + beta (KL_1 + KL_2)`` with
    match logits ``-negative_scale * distance + shift``, both learnable (Chun, ICLR 2024; the
    reference code's defaults for scale and shift, EchoingECG's for alpha and beta). Give
    ``shift`` and ``negative_scale`` no weight decay.

    Parameters
    ----------
    pseudo_weight
        alpha, weight of the pseudo-positive term.
    bottleneck_weight
        beta, weight of the variational information bottleneck.
    distance
        `sampled_distance`, or `wasserstein_distance` for comparison.
    """

    def __init__(
        self,
        *,
        pseudo_weight: float = 0.1,
        bottleneck_weight: float = 1e-4,
        distance: Distance = sampled_distance,
    ) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(5.0))
        self.negative_scale = nn.Parameter(torch.tensor(5.0))
        self.pseudo_weight = pseudo_weight
        self.bottleneck_weight = bottleneck_weight
        self.distance = distance

    def logits(
        self, mean_bd: Tensor, log_var_bd: Tensor, mean_cd: Tensor, log_var_cd: Tensor
    ) -> Tensor:
        """Match logits, (B, C)."""
        distance_bc = self.distance(mean_bd, log_var_bd, mean_cd, log_var_cd)
        return self.shift - self.negative_scale * distance_bc

    def forward(
        self,
        mean_bd: Tensor,
        log_var_bd: Tensor,
        mean_cd: Tensor,
        log_var_cd: Tensor,
        matched_bc: Tensor,
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss, and what to watch: matches and pseudo-positives an anchor.

        Parameters
        ----------
        mean_bd, log_var_bd, mean_cd, log_var_cd
            The two sets of Gaussian embeddings.
        matched_bc
            Known matches, 0 to 1, float.
        """
        bce = functional.binary_cross_entropy_with_logits
        logits_bc = self.logits(mean_bd, log_var_bd, mean_cd, log_var_cd)
        loss = 2.0 * bce(logits_bc, matched_bc)
        rows_bc = pseudo_matched(logits_bc.detach(), matched_bc)
        if self.pseudo_weight > 0:
            columns_cb = pseudo_matched(logits_bc.detach().T, matched_bc.T)
            pseudo = bce(logits_bc, rows_bc) + bce(logits_bc.T, columns_cb)
            loss = loss + self.pseudo_weight * pseudo
        if self.bottleneck_weight > 0:
            bottleneck = information_bottleneck(mean_bd, log_var_bd)
            bottleneck = bottleneck + information_bottleneck(mean_cd, log_var_cd)
            loss = loss + self.bottleneck_weight * bottleneck
        extra = (rows_bc - matched_bc).clamp(min=0).sum(1).mean()
        return loss, {"pseudo_positives_per_anchor": float(extra)}


def smooth_matches(matched_bc: Tensor, smoothing: float) -> Tensor:
    """Label smoothing of known matches: ``(1 - e) m + e (1 - m)`` (PCME++: e = 1e-4)."""
    return matched_bc + smoothing * (1.0 - 2.0 * matched_bc)


def masked_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labels that are known; NaN is unknown."""
    known = ~labels.isnan()
    loss = functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, labels, 0.0), reduction="none"
    )
    return (loss * known).sum() / known.sum().clamp(min=1)


def cosine_loss(mean_bd: Tensor, target_bd: Tensor) -> Tensor:
    """One minus the cosine between rows, mean over B."""
    return (1.0 - functional.cosine_similarity(mean_bd, target_bd, dim=1)).mean()


def info_nce(
    a_bd: Tensor, b_bd: Tensor, log_scale: Tensor, matched_bb: Tensor, *, max_scale: float = 60.0
) -> Tensor:
    """Symmetric InfoNCE over unit vectors; several matches in a row share the target evenly.

    van den Oord et al., arXiv 1807.03748; symmetric form of CLIP (Radford et al., ICML 2021).

    Parameters
    ----------
    a_bd, b_bd
        Unit vectors; row i of one belongs to row i of the other.
    log_scale
        Learnable logarithm of the inverse temperature, limited to `max_scale`.
    matched_bb
        Known matches, 0 or 1; at least one in each row and column.
    """
    logits_bb = a_bd @ b_bd.T * log_scale.exp().clamp(max=max_scale)
    rows_bb = matched_bb / matched_bb.sum(1, keepdim=True)
    columns_bb = matched_bb.T / matched_bb.T.sum(1, keepdim=True)
    rows = functional.cross_entropy(logits_bb, rows_bb)
    return 0.5 * (rows + functional.cross_entropy(logits_bb.T, columns_bb))


def pinball_loss(quantiles_bmq: Tensor, target_bm: Tensor, levels: Sequence[float]) -> Tensor:
    """Mean quantile loss (Koenker and Bassett, Econometrica 1978), in units of the target.

    Parameters
    ----------
    quantiles_bmq
        Predicted quantiles, one for each of `levels`.
    target_bm
        Observed values; NaN where there is none, which counts for nothing.
    levels
        Q levels between 0 and 1.
    """
    level_q = quantiles_bmq.new_tensor(list(levels))
    observed_bm = ~target_bm.isnan()
    error_bmq = torch.where(observed_bm, target_bm, 0.0)[:, :, None] - quantiles_bmq
    loss_bm = torch.maximum(level_q * error_bmq, (level_q - 1.0) * error_bmq).mean(2)
    return (loss_bm * observed_bm).sum() / observed_bm.sum().clamp(min=1)
