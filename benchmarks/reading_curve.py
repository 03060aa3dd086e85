"""How the gap to the best possible estimate depends on the ECGs tried, and on those learned from.

    python -m benchmarks.reading_curve ../shared/data runs/default

Three tables of docs/reading-limit.md: the default model's gap without single ECGs; how often a
reader of a given expected gap stays within the target on 80 patients; ridge regressions of LVEF on
the distilled student's embedding, and on what delineation measures, from subsets of the real
training ECGs. The run must have come as far as `baselines`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import reading_limit as limit
from training.batches import embed, finding_keys, measure_keys, run_model
from training.cohort import Cohort, Split
from training.estimates import Parts, parts_of
from training.evaluation import resampling as rs
from training.evaluation.probes import apply_linear, fit_ridge, standardise, standardiser
from training.recipes import default
from training.run import Run, calibrated_model, load_student, the_cohort
from training.simulated_cohort import PTBXL
from training.simulation import EcgFindings

Array = NDArray[np.float64]
SIZES = (0, 60, 125, 250, 474)
AHEAD = (2000, 17000)
N_SUBSETS, N_RESAMPLES, SEED = 20, 1000, 7
# A real ECG's outcome is the mean of many draws, a virtual one's a single draw.
REAL_COUNTS = 8
# Those that the default model errs most about: bundle branch block, and unspecific delay.
WORST = ("172", "527")


def gaps(best: Array, read: Array, share: Array, w: Array) -> Array:
    """Gap in AUROC, (R,), under each row of weights, (R, n); scores rise with the risk."""
    return rs.auroc(best, share, 1 - share)(w) - rs.auroc(read, share, 1 - share)(w)


def without_each(n: int) -> Array:
    """Weights that leave out one ECG a row, (n, n)."""
    return 1.0 - np.eye(n)


def continued(sizes: Array, values: Array, ahead: Array) -> tuple[Array, Array]:
    """Slope per doubling, (R,), of lines through values (R, sizes); and how they go on."""
    slope, offset = np.polyfit(np.log2(sizes), values.T, 1)
    return slope, offset[:, None] + slope[:, None] * np.log2(ahead)


def target(cohort: Cohort, rows: NDArray[np.int64]) -> tuple[Array, Array]:
    """Best possible probability of LVEF < 40 %, and share of the drawn outcomes below, (n,)."""
    lvef = cohort.outcomes("lvef", rows).astype(float)
    return cohort.reference["lvef_below_40"][rows].astype(float), (lvef < 40).mean(1)


def of_model(run: Run, parts: Parts) -> None:
    """Print the default model's gap, its spread, and what single ECGs do to it."""
    cohort = parts.cohort
    model = calibrated_model(run, cohort)
    column = [finding.key for finding in finding_keys(cohort).values()].index("lvef_below_40")
    lvef = measure_keys(cohort).index("lvef")
    print("\n| fold | by | gap | bootstrap SD | leaving one out | without 172 | 527 | both |")
    print("|---|---|---|---|---|---|---|---|")
    both = np.concatenate([parts.calibration, parts.test])
    for fold, rows in (("9", parts.calibration), ("10", parts.test), ("9 and 10", both)):
        out = run_model(model, parts.standardise, cohort.ecg_mv, rows)
        read = {"logit": out.finding_logits[:, column], "median": -out.quantiles[:, lvef, 1]}
        best, share = target(cohort, rows)
        ids = np.array([cohort.record_ids[row] for row in rows])
        for name, score in read.items():
            w = rs.resample(rows, N_RESAMPLES, SEED).counts.astype(float)
            boot, left = (
                gaps(best, score.astype(float), share, v) for v in (w, without_each(len(rows)))
            )
            masks = [~np.isin(ids, some) for some in (WORST[:1], WORST[1:], WORST)]
            some = gaps(best, score.astype(float), share, np.array(masks, float))
            fewer = " | ".join(f"{gap:.3f}" for gap in some) if "10" in fold else "– | – | –"
            print(f"| {fold} | {name} | {boot[0]:.3f} | {boot[1:].std():.3f} ", end="")
            print(f"| {left.min():.3f} to {left.max():.3f} | {fewer} |", flush=True)


def in_samples(everyone: EcgFindings, distance: Array, n: int, draws: int) -> tuple[Array, Array]:
    """Gap over everyone, and in samples of n of them with drawn outcomes; one reader each time."""
    rng, stated = np.random.default_rng(SEED), limit.flags(everyone)
    at = limit.LVEF_PCT[limit.LIMIT :][:1]
    best = limit.lvef_cdf(everyone, at)[:, 0]
    if_stated = limit.crossed(everyone, everyone, at)[..., 0]
    whole, samples = list[float](), list[float]()
    for _ in range(2 * N_SUBSETS):
        scores = stated * distance + rng.standard_normal(stated.shape)
        read = (limit.posterior(scores, stated, distance) * if_stated).sum(1)
        whole.append(limit.auroc(best, best) - limit.auroc(read, best))
        for _ in range(2 * N_SUBSETS):
            some = rng.choice(len(best), n, replace=False)
            share = rng.binomial(draws, best[some]) / draws
            samples.append(limit.auroc(best[some], share) - limit.auroc(read[some], share))
    return np.array(whole), np.array(samples)


def chances(cohort: Cohort, findings: EcgFindings) -> None:
    """Print how often readers stay within the target on samples of 80 patients."""
    rows = [cohort.one_record_per_patient(split, PTBXL) for split in Split]
    everyone = findings.take(np.concatenate(rows))
    print(f"\nOf {len(everyone)} patients\n\n| AUROC | gap | in 80 patients | 5 to 95 % | ≤ 0.04 |")
    print("|---|---|---|---|---|")
    for each in limit.UNIFORM:
        distance = limit.distances(dict.fromkeys(limit.BY_GROUP, each), limit.flags(everyone))
        whole, samples = in_samples(everyone, distance, 80, 20)
        low, high = np.percentile(samples, [5, 95])
        print(
            f"| {each:.2f} | {whole.mean():.3f} | {samples.mean():.3f} ± {samples.std():.3f} ",
            end="",
        )
        within = 100 * (samples <= limit.WANTED_GAP).mean()
        print(f"| {low:.3f} to {high:.3f} | {within:.0f} % |", flush=True)


def ridge_fits(x: Array, y: Array, real: NDArray[np.bool_], n: int) -> list[Array]:
    """Weights for LVEF from all virtual and n real training ECGs, for some draws of these."""
    rng, found = np.random.default_rng(SEED), list[Array]()
    for _ in range(N_SUBSETS if 0 < n < real.sum() else 1):
        some = rng.choice(np.flatnonzero(real), n, replace=False)
        rows = np.concatenate([np.flatnonzero(~real), np.repeat(some, REAL_COUNTS)])
        found.append(fit_ridge(x[rows], y[rows]))
    return found


def curve(name: str, features: list[Array], parts: Parts) -> None:
    """Print the gaps of a reader over the number of real ECGs, and their continuation."""
    cohort, constants = parts.cohort, standardiser(features[0])
    missing = np.isnan(features[0]).sum(0) > 0
    train, *others = (standardise(values, constants, missing) for values in features)
    y = np.nanmean(cohort.outcomes("lvef", parts.train).astype(float), 1)
    real = cohort.source[parts.train] == cohort.source_names.index(PTBXL)
    fits = [ridge_fits(train, y, real, n) for n in SIZES]
    for fold, rows, x in zip((9, 10), parts.rows[1:], others, strict=True):
        best, share = target(cohort, rows)
        w = rs.resample(rows, N_RESAMPLES, SEED).counts.astype(float)
        each = [
            np.array([gaps(best, -apply_linear(f, x), share, w) for f in some]) for some in fits
        ]
        cells = [f"{g[:, 0].mean():.3f} ± {g[:, 0].std():.3f}" for g in each]
        learned = np.stack([g.mean(0) for g in each[1:]], axis=1)
        slope, ahead = continued(np.array(SIZES[1:], float), learned, np.array(AHEAD, float))
        more = np.c_[slope, ahead]
        bounds = np.percentile(more[1:], [2.5, 97.5], axis=0)
        for middle, low, high in zip(more[0], *bounds, strict=True):
            cells.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        print(f"| {name} | {fold} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    data, runs = map(Path, sys.argv[1:])
    run = Run(default(), data, runs, Path(), None)
    cohort = the_cohort(run)
    parts = parts_of(run, cohort)
    of_model(run, parts)
    student = load_student(run)
    pairs = [embed(student, parts.standardise, cohort, rows) for rows in parts.rows]
    embedded = [np.hstack([half.numpy() for half in pair]).astype(float) for pair in pairs]
    tabular = np.load(run.folder / "baselines/tabular.npz")
    measured = [tabular[name] for name in ("train", "calibration", "test")]
    titles = [*map(str, SIZES), "per doubling", *(f"{n}, continued" for n in AHEAD)]
    print(f"\n| reader | fold | {' | '.join(titles)} |\n|{'---|' * (2 + len(titles))}")
    curve("embedding", embedded, parts)
    curve("delineation", measured, parts)
    chances(cohort, limit.ptbxl_findings(data / "ptbxl"))


if __name__ == "__main__":
    main()
