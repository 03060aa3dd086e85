"""How near to the best possible estimate comes who has to read the statements off the ECG.

    python -m benchmarks.reading_limit ../shared/data runs/default

The best possible estimate knows what cardiologists stated. The readers made up here see each
statement through a score, normal where it is stated and where it is not; age, sex and what
delineation measures are known to them. They know the simulation, and answer with the posterior.
Prints tables of docs/reading-limit.md; the run's stage `cohort` must be there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from benchmarks.simulated_outcomes import ptbxl_findings
from training.cohort import Cohort, Split, load_cohort
from training.evaluation import resampling as rs
from training.simulated_cohort import PTBXL
from training.simulation import MEASURED, EcgFindings, outcomes
from training.simulation.findings import SCP_CODES

Array = NDArray[np.float64]
Figures = tuple[float, float]
N_READERS, N_HYPOTHESES, SEED = 400, 200, 7
WANTED_GAP, WANTED_RATIO = 0.04, 1.08
LVEF_PCT = np.arange(10.0, 81.0, 2.0)
LIMIT = int(np.flatnonzero(LVEF_PCT == 40)[0])
# Macro AUROC of the best network on PTB-XL's fold 10, trained on folds 1 to 8: Strodthoff et al.,
# IEEE J Biomed Health Inform 2021;25:1519, leaderboard of github.com/helme/ecg_ptbxl_benchmarking.
DIAGNOSTIC, FORM, RHYTHM = 0.937, 0.899, 0.957
BY_GROUP: dict[str, float] = (
    dict.fromkeys(SCP_CODES, DIAGNOSTIC)
    | dict.fromkeys(("q_waves", "low_voltage", "pvc"), FORM)
    | dict.fromkeys(("af", "paced", "tachycardia"), RHYTHM)
)
# Single statements on the same fold, of one network for twelve frequent ones (log of the project
# github.com/shlomih/EKG, not reviewed); rhythms as we suppose. The rest as above.
BY_STATEMENT = BY_GROUP | {
    **{"lbbb": 0.997, "rbbb": 0.997, "lafb": 0.989, "pvc": 0.987, "mi_anterior": 0.980},
    **{"av_block": 0.972, "ischaemic_st_t": 0.969, "normal": 0.964, "lvh": 0.955},
    **{"mi_inferior": 0.947, "st_t": 0.936, "af": 0.99, "paced": 0.99, "tachycardia": 0.99},
}
UNIFORM = (0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


def separation(auroc: float) -> float:
    """Distance of the means of two unit normal scores with this AUROC."""
    return 2**0.5 * NormalDist().inv_cdf(auroc)


def lvef_cdf(findings: EcgFindings, lvef_pct: Array) -> Array:
    """P(LVEF < value), (n, values), of what `draw_outcomes` draws, within its limits."""
    sick, nothing = outcomes.disease_probability(findings)[:, None], np.zeros((4, len(findings)))
    mean_sick = outcomes.draw_with_disease(findings, nothing)[0][:, None]
    mean_well = outcomes.draw_without_disease(findings, nothing)[0][:, None]
    spread_well = np.hypot(outcomes.LVEF_SD_PCT, outcomes.READER_SD_PCT)
    below_sick = ndtr((lvef_pct - mean_sick) / outcomes.MUSIC["lvef_pct"].residual_sd)
    return sick * below_sick + (1 - sick) * ndtr((lvef_pct - mean_well) / spread_well)


def flags(findings: EcgFindings) -> Array:
    """Statements as 1 and 0, (n, statements), in the order of BY_GROUP."""
    return np.stack([getattr(findings, name) for name in BY_GROUP], axis=1).astype(float)


def crossed(own: EcgFindings, stated: EcgFindings, lvef_pct: Array) -> Array:
    """P(LVEF < value), (n, m, values), had each of n ECGs the statements of each of m."""
    n, m = len(own), len(stated)
    theirs = own.take(np.repeat(np.arange(n), m))
    known = {name: getattr(theirs, name) for name in (*MEASURED, "age_y", "male")}
    mixed = replace(stated.take(np.tile(np.arange(m), n)), **known)
    return lvef_cdf(mixed, lvef_pct).reshape(n, m, -1)


def posterior(scores: Array, stated: Array, distance: Array) -> Array:
    """Probability, (n, m), of m equally likely sets of statements (m, k), given scores (n, k)."""
    # Scores are unit normal about the distance where a statement is made, about 0 where it is not.
    means = stated * distance
    log = scores @ means.T - 0.5 * (means**2).sum(1)
    likelihood = np.exp(log - log.max(1, keepdims=True))
    return likelihood / likelihood.sum(1, keepdims=True)


def auroc(score: Array, share: Array) -> float:
    """AUROC of a score, (n,), for outcomes of which a share (n,) is positive."""
    return float(rs.auroc(score, share, 1 - share)(np.ones((1, len(score))))[0])


def read_auroc(stated: Array, distance: Array) -> float:
    """Mean over statements of the AUROC of their posterior, the ECGs' own sets being the prior."""
    rng, found = np.random.default_rng(SEED), list[float]()
    for _ in range(20):
        scores = stated * distance + rng.standard_normal(stated.shape)
        believed = posterior(scores, stated, distance)
        found += [auroc(*pair) for pair in zip((believed @ stated).T, stated.T, strict=True)]
    return float(np.mean(found))


def distances(level: Mapping[str, float], stated: Array) -> Array:
    """Distances of the scores, shrunk until all together, which tell more, give the mean AUROC."""
    full = np.array([separation(level[name]) for name in BY_GROUP])
    wanted, low, high = np.mean(list(level.values())), 0.0, 1.0
    for _ in range(9):
        factor = (low + high) / 2
        low, high = (low, factor) if read_auroc(stated, factor * full) > wanted else (factor, high)
    return (low + high) / 2 * full


@dataclass(frozen=True)
class Fold:
    """ECGs that readers are tried on, their outcomes (n, draws), and what the best reader gets."""

    own: EcgFindings
    lvef_pct: Array
    best_auroc: float
    best_mae: float

    def figures(self, cdf: Array) -> Figures:
        """AUROC for LVEF < 40 % below the best, and multiple of the best mean absolute error."""
        middle = np.array([np.interp(0.5, row, LVEF_PCT) for row in cdf])
        mae = np.abs(self.lvef_pct - middle[:, None]).mean()
        found = auroc(cdf[:, LIMIT], (self.lvef_pct < 40).mean(1))
        return self.best_auroc - found, mae / self.best_mae


def fold_of(cohort: Cohort, findings: EcgFindings, split: Split) -> Fold:
    """Return the fold with the outcomes and best estimates that the model is judged by."""
    rows = cohort.one_record_per_patient(split, PTBXL)
    lvef = cohort.outcomes("lvef", rows).astype(float)
    best, below = (cohort.reference[key][rows].astype(float) for key in ("lvef", "lvef_below_40"))
    mae = float(np.abs(lvef - best[:, None]).mean())
    return Fold(findings.take(rows), lvef, auroc(below, (lvef < 40).mean(1)), mae)


def joint(of: Fold, prior: EcgFindings, distance: Array) -> Iterator[Figures]:
    """Figures of readers who take any training ECG's set of statements for possible."""
    rng, own, stated = np.random.default_rng(SEED), flags(of.own), flags(prior)
    cdf = crossed(of.own, prior, LVEF_PCT)
    for _ in range(N_READERS):
        believed = posterior(own * distance + rng.standard_normal(own.shape), stated, distance)
        yield of.figures(np.matmul(believed[:, None], cdf)[:, 0])


def independent(of: Fold, prior: EcgFindings, distance: Array) -> Iterator[Figures]:
    """Figures of readers who know how frequent statements are, not which go together."""
    rng, own = np.random.default_rng(SEED), flags(of.own)
    share = (flags(prior).sum(0) + 0.5) / (len(prior) + 1)
    each = of.own.take(np.repeat(np.arange(len(own)), N_HYPOTHESES))
    for _ in range(N_READERS):
        scores = own * distance + rng.standard_normal(own.shape)
        p = expit(np.log(share / (1 - share)) + scores * distance - 0.5 * distance**2)
        drawn = rng.random((len(own), N_HYPOTHESES, len(share))) < p[:, None]
        columns = dict(zip(BY_GROUP, drawn.reshape(len(each), -1).T, strict=True))
        cdf = lvef_cdf(replace(each, **columns), LVEF_PCT)
        yield of.figures(cdf.reshape(len(own), N_HYPOTHESES, -1).mean(1))


def line(name: str, readers: Iterator[Figures]) -> float:
    """Print a row of the table; the mean gap."""
    gap, ratio = np.array(list(readers)).T
    met = [100 * m.mean() for m in (gap <= WANTED_GAP, ratio <= WANTED_RATIO)]
    print(f"| {name} | {gap.mean():.3f} ± {gap.std():.3f} | {met[0]:.0f} % ", end="")
    print(f"| {ratio.mean():.3f} ± {ratio.std():.3f} | {met[1]:.0f} % |", flush=True)
    return float(gap.mean())


def main() -> None:
    data, runs = map(Path, sys.argv[1:])
    cohort, findings = load_cohort(runs / "cohort"), ptbxl_findings(data / "ptbxl")
    rows = [cohort.one_record_per_patient(split, PTBXL) for split in Split]
    training, everyone = findings.take(rows[Split.TRAIN]), findings.take(np.concatenate(rows))
    stated = flags(everyone)
    even = {each: distances(dict.fromkeys(BY_GROUP, each), stated) for each in UNIFORM}
    for split in (Split.CALIBRATION, Split.TEST):
        of = fold_of(cohort, findings, split)
        print(f"\n{split.name}: {len(of.own)} ECGs, best AUROC {of.best_auroc:.3f}, ", end="")
        print(f"MAE {of.best_mae:.2f}\n\n| AUROC | gap | ≤ 0.04 | MAE ratio | ≤ 1.08 |")
        print("|---|---|---|---|---|")
        for name, level in (("by group", BY_GROUP), ("by statement", BY_STATEMENT)):
            full = np.array([separation(level[key]) for key in BY_GROUP])
            line(f"{name}, joint", joint(of, training, distances(level, stated)))
            line(f"{name}, independent", independent(of, training, full))
            together = f"{name}, each score as good: {read_auroc(stated, full):.3f} together"
            line(together, joint(of, training, full))
        shrunk = distances(BY_GROUP, stated)
        line("by group, joint, prior of all folds", joint(of, everyone, shrunk))
        gaps = [line(f"{each:.2f}", joint(of, training, even[each])) for each in UNIFORM]
        print(f"\nGap {WANTED_GAP} at {np.interp(-WANTED_GAP, np.negative(gaps), UNIFORM):.3f}")


if __name__ == "__main__":
    main()
