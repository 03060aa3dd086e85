"""Whether variance follows noise and lost leads, finds a burst, and comes from training.

The network is a function of signals; nothing here knows how it works inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import Estimated, auroc, bootstrap, ranks

FloatArray: TypeAlias = NDArray[np.floating]
# (n, leads, samples) in mV to the total variance of each embedding, (n,).
TotalVariance: TypeAlias = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Response:
    """How total variance changes over levels of damage.

    Attributes
    ----------
    levels
        (K,).
    means
        Mean total variance at each level, with the interval over ECGs.
    over_levels
        Rank correlation of the K means with the levels.
    within
        Mean rank correlation within each ECG.
    share_rising
        Share of ECGs whose variance at the last level exceeds that at the first.
    """

    levels: tuple[float, ...]
    means: tuple[Estimated, ...]
    over_levels: float
    within: Estimated
    share_rising: float


def noise_response(
    total_variance: TotalVariance,
    ecg_mv: FloatArray,
    noise_mv: FloatArray,
    levels: Sequence[float],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Response:
    """Total variance as noise is added to all leads.

    Parameters
    ----------
    total_variance
        The network.
    ecg_mv
        (n, leads, samples).
    noise_mv
        Same shape, noise at level 1 that training has not seen.
    levels
        Factors of the noise, rising.
    n_bootstrap, seed
        Of the intervals.
    """
    table = [total_variance(ecg_mv + level * noise_mv) for level in levels]
    return respond(np.stack(table, axis=1), levels, n_bootstrap, seed)


def lead_loss_response(
    total_variance: TotalVariance,
    ecg_mv: FloatArray,
    counts: Sequence[int],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Response:
    """Total variance as leads are lost: they become flat, in a random order of their own each ECG.

    Parameters
    ----------
    total_variance, ecg_mv
        As in `noise_response`.
    counts
        Numbers of lost leads, rising; what is lost at one is lost at the next.
    n_bootstrap, seed
        Of the intervals; `seed` of the order too.
    """
    n, n_leads, _ = ecg_mv.shape
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(n_leads), (n, 1)), axis=1)
    table = []
    for count in counts:
        lost = np.zeros((n, n_leads), bool)
        np.put_along_axis(lost, order[:, :count], values=True, axis=1)
        table.append(total_variance(np.where(lost[:, :, None], 0, ecg_mv)))
    return respond(np.stack(table, axis=1), counts, n_bootstrap, seed)


def respond(
    table: FloatArray, levels: Sequence[float], n_bootstrap: int = 1000, seed: int = 0
) -> Response:
    """Summarise total variances, (n, K), at K rising levels."""
    n = len(table)

    def over_ecgs(values: FloatArray) -> Estimated:
        return bootstrap(
            lambda rows: float(values[rows].mean()), n, n_bootstrap, np.random.default_rng(seed)
        )

    within = row_correlations(table, np.tile(np.asarray(levels, float), (n, 1)))
    means = tuple(over_ecgs(column) for column in table.T)
    over = row_correlations(table.mean(0)[None], np.asarray(levels, float)[None])
    return Response(
        levels=tuple(float(level) for level in levels),
        means=means,
        over_levels=float(over[0]),
        within=over_ecgs(within),
        share_rising=float((table[:, -1] > table[:, 0]).mean()),
    )


def row_correlations(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Rank correlation of each row of two (n, K) tables, (n,); 0 where a row is constant."""
    x = np.stack([ranks(row) for row in a])
    y = np.stack([ranks(row) for row in b])
    x -= x.mean(1, keepdims=True)
    y -= y.mean(1, keepdims=True)
    size = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return np.divide((x * y).sum(1), size, out=np.zeros(len(x)), where=size > 0)


def map_similarity(
    trained: FloatArray, randomised: Sequence[FloatArray], n_bootstrap: int = 1000, seed: int = 0
) -> Estimated:
    """Rank correlation between the cells of a map and of random networks' maps, in size.

    A map that hardly changes when the weights are drawn at random shows the input and not what was
    learnt (Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018). A random network's map
    follows the size of the signal upwards or downwards, as its weights happen to be, so that one
    draw tells little: the correlation is averaged over ECGs, its size over several draws.

    Parameters
    ----------
    trained, randomised
        (n, rows, segments), of the trained network and of each of some with random weights.
    n_bootstrap, seed
        Of the interval, over ECGs.
    """
    n = len(trained)
    flat = trained.reshape(n, -1)
    found = np.stack([row_correlations(flat, one.reshape(n, -1)) for one in randomised])
    rng = np.random.default_rng(seed)
    return bootstrap(lambda rows: float(np.abs(found[:, rows].mean(1)).mean()), n, n_bootstrap, rng)


def burst_auroc(
    cells: FloatArray,
    lead: NDArray[np.intp],
    first: NDArray[np.intp],
    n_samples: int,
    n_burst: int = 100,
) -> NDArray[np.float64]:
    """AUROC in each ECG of segment variance for the cells that lie half or more in a burst.

    Parameters
    ----------
    cells
        (n, leads, segments), larger where the network is less certain.
    lead, first
        (n,), the burst's lead and first sample.
    n_samples, n_burst
        Samples of the ECG and of the burst.
    """
    n_items, n_rows, n_segments = cells.shape
    edges = np.linspace(0, n_samples, n_segments + 1)
    last = first + n_burst
    overlap = np.minimum(edges[None, 1:], last[:, None]) - np.maximum(
        edges[None, :-1], first[:, None]
    )
    inside = np.zeros((n_items, n_rows, n_segments), dtype=bool)
    inside[np.arange(n_items), lead] = overlap >= 0.5 * (edges[1] - edges[0])
    return np.array([auroc(inside[i], cells[i]) for i in range(n_items)])
