"""Batches of ECGs with what is known about them, and embeddings of whole cohorts.

Shapes: B items, L leads, S samples, D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_core.errors import EchoingError
from model_core.export import PackageModel
from model_core.measures import FINDINGS, MEASURES, Finding
from model_core.nn import Student
from training.augment import Mixing, augment, mix_signals
from training.cohort import Cohort, FloatArray, IntArray, Split
from training.config import AugmentConfig

LOG_SPACE = {"lvef": False, "lvedv": True, "lvesv": True}
EMBED_BATCH = 256


@dataclass(frozen=True)
class Standardiser:
    """Per lead mean and scale, mV, (12,)."""

    mean_mv: FloatArray
    scale_mv: FloatArray

    def __call__(self, ecg_mv: NDArray[np.floating]) -> Tensor:
        """Standardised float32 tensor of (B, 12, samples) in mV, as `prepare` would give."""
        standard = (ecg_mv - self.mean_mv[:, None]) / self.scale_mv[:, None]
        return torch.from_numpy(np.ascontiguousarray(standard, dtype=np.float32))


def fit_standardiser(cohort: Cohort, source: str) -> Standardiser:
    """Mean and standard deviation of each lead over at most 20,000 training ECGs of a source."""
    rows = cohort.records(Split.TRAIN, source)
    rows = rows[:: -(-len(rows) // 20_000)]
    ecg = cohort.ecg_mv[rows].astype(np.float64)
    return Standardiser(ecg.mean((0, 2)).astype(np.float32), ecg.std((0, 2)).astype(np.float32))


@dataclass(frozen=True)
class EcgBatch:
    """Standardised ECGs before and after noise, (B, L, S), and the leads that are there, (B, L)."""

    clean: Tensor
    noisy: Tensor
    keep: Tensor


class Batches:
    """Draws training ECGs, each with one of its studies.

    Parameters
    ----------
    cohort
        Of whom only the split TRAIN is drawn.
    standardise
        Brings signals to the network's input.
    augmentation
        What is done to them before.
    shares
        Share of each batch by source name; empty for even shares of all sources.

    Raises
    ------
    EchoingError
        If a share names no source of the cohort, or a source has no training records.
    """

    def __init__(
        self,
        cohort: Cohort,
        standardise: Standardiser,
        augmentation: AugmentConfig,
        shares: Mapping[str, float],
    ) -> None:
        self.cohort = cohort
        self.standardise = standardise
        self._augmentation = augmentation
        unknown = set(shares) - set(cohort.source_names)
        if unknown:
            raise EchoingError(
                f"The recipe names {', '.join(sorted(unknown))}, which the cohort does not have.",
                hint=f"Its sources are: {', '.join(cohort.source_names)}.",
                code="bad_config",
            )
        self._shares = dict(shares) or dict.fromkeys(cohort.source_names, 1.0)
        self._pools = {
            name: cohort.records(Split.TRAIN, name)
            for name, share in self._shares.items()
            if share > 0
        }

    @property
    def sources(self) -> list[str]:
        """Names of the sources that are drawn from."""
        return list(self._pools)

    def records(
        self, rng: np.random.Generator, batch: int, *, source: str | None, among: NDArray[np.bool_]
    ) -> IntArray:
        """Draw records, (B,): from one source, or from all by share.

        Parameters
        ----------
        rng
            Source of randomness.
        batch
            B.
        source
            Name of the only source, or None.
        among
            (records,), those that may be drawn.

        Raises
        ------
        EchoingError
            If no training record may be drawn.
        """
        pools = {n: p[among[p]] for n, p in self._pools.items() if source in (None, n)}
        pools = {name: pool for name, pool in pools.items() if len(pool)}
        if not pools:
            raise EchoingError(
                "No training record of the cohort holds what this training learns from.",
                code="nothing_to_train_on",
            )
        weights = np.array([self._shares[name] for name in pools])
        borders = np.round(np.cumsum(weights / weights.sum()) * batch).astype(int)
        wanted = np.diff(borders, prepend=0)
        drawn = [
            rng.choice(pool, n, replace=n > len(pool))
            for pool, n in zip(pools.values(), wanted, strict=True)
        ]
        # Mixing pairs the first with the last: shuffled, sources meet.
        return rng.permutation(np.concatenate(drawn))

    def studies(
        self, records: IntArray, rng: np.random.Generator, counts: IntArray | None = None
    ) -> IntArray:
        """Draw one study for each record, (B,); -1 for records without.

        Parameters
        ----------
        records
            (B,).
        rng
            Source of randomness.
        counts
            (records of the cohort,), how many of a record's first studies may be drawn; all of
            them by default.
        """
        n = (self.cohort.n_studies if counts is None else counts)[records]
        offset = np.floor(rng.random(len(records)) * n).astype(int)
        return np.where(n > 0, self.cohort.first_study[records] + offset, -1)

    def ecgs(
        self, records: IntArray, rng: np.random.Generator, mixing: Mixing | None = None
    ) -> EcgBatch:
        """Augmented ECGs of some records."""
        ecg_mv = self.cohort.ecg_mv[records].astype(np.float32)
        made = augment(ecg_mv, self.cohort.noise_mv, self._augmentation, rng)
        clean, noisy, keep = made.clean_mv, made.noisy_mv, made.keep
        if mixing is not None:
            clean, noisy = mix_signals(clean, mixing), mix_signals(noisy, mixing)
            keep = keep | (keep[mixing.partner] & (mixing.share < 1)[:, None])
        return EcgBatch(self.standardise(clean), self.standardise(noisy), torch.from_numpy(keep))


def embedded_studies(cohort: Cohort, known: NDArray[np.bool_]) -> IntArray:
    """How many of each record's first studies have a target, (records,).

    Parameters
    ----------
    cohort
        Whose studies.
    known
        (studies,), whether there is a target.
    """
    offset = np.arange(int(cohort.n_studies.max(initial=0)))
    studies = np.minimum(cohort.first_study[:, None] + offset, max(len(known) - 1, 0))
    there = known[studies] & (offset < cohort.n_studies[:, None])
    return np.cumprod(there, axis=1).sum(1)


@torch.no_grad()
def embed(
    student: Student, standardise: Standardiser, cohort: Cohort, records: NDArray[np.intp]
) -> tuple[Tensor, Tensor]:
    """Mean and log variance, (records, D), of unchanged ECGs."""
    device = next(student.parameters()).device
    parts = [
        student(
            standardise(cohort.ecg_mv[records[start : start + EMBED_BATCH]].astype(np.float32)).to(
                device
            )
        )
        for start in range(0, len(records), EMBED_BATCH)
    ]
    return torch.cat([p.mean_bd for p in parts]).cpu(), torch.cat(
        [p.log_var_bd for p in parts]
    ).cpu()


@dataclass(frozen=True)
class Outputs:
    """What a network gives for some ECGs, as numpy arrays; shapes as in `Manifest`."""

    mean: FloatArray
    log_var: FloatArray
    segment_log_var: FloatArray
    quantiles: FloatArray
    finding_logits: FloatArray


@torch.no_grad()
def run_model(
    model: PackageModel,
    standardise: Standardiser,
    ecg_mv: NDArray[np.floating],
    rows: NDArray[np.intp] | None = None,
) -> Outputs:
    """Compute the outputs for (n, 12, samples) in mV, or for some rows of it."""
    rows = np.arange(len(ecg_mv)) if rows is None else rows
    parts = [
        model(standardise(ecg_mv[rows[start : start + EMBED_BATCH]].astype(np.float32)))
        for start in range(0, len(rows), EMBED_BATCH)
    ]
    return Outputs(*(torch.cat(column).numpy() for column in zip(*parts, strict=True)))


def measure_keys(cohort: Cohort) -> tuple[str, ...]:
    """Keys of `MEASURES` that some study of the cohort holds: what heads are made for."""
    held = cohort.measures
    return tuple(key for key in MEASURES if key in held and not np.isnan(held[key]).all())


def finding_keys(cohort: Cohort) -> dict[str, Finding]:
    """Pick the findings whose measure the cohort holds."""
    keys = measure_keys(cohort)
    return {key: finding for key, finding in FINDINGS.items() if finding.measure_key in keys}


def target_values(cohort: Cohort, studies: IntArray) -> FloatArray:
    """Measures in the heads' output space, (studies, M), in the order of `measure_keys`.

    NaN for study -1 and for what was not measured.
    """
    columns = []
    for key in measure_keys(cohort):
        values = np.where(studies >= 0, cohort.measures[key][studies], np.nan)
        columns.append(np.log(values) if LOG_SPACE[key] else values)
    return np.stack(columns, axis=1).astype(np.float32)
