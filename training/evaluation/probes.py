"""Estimates from features by closed-form or Newton fits: linear probes, constants, few shots.

Features are any array: embeddings of a trained, untrained or foreign network, or measured
intervals and amplitudes. Everything is fitted on training subjects, calibrated on calibration
subjects, and only applied to those tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.evaluation import resampling as rs
from training.evaluation.arrays import Array, Estimates, Finding, Subjects, unit_of
from training.evaluation.calibrate import calibrated_estimates
from training.evaluation.report_data import Curve

PENALTIES = tuple(10.0**e for e in np.arange(-3, 4.5, 0.5))
# Logistic regressions cost more; below and above, the choice makes no difference.
LOGISTIC_PENALTIES = tuple(10.0**e for e in np.arange(-2.5, 1.0, 0.5))
FOLDS = 5
# Newton's method for logistic regression: far more steps than it ever needs.
STEPS = 50


def is_log(measure: str) -> bool:
    """Whether a measure is regressed on its logarithm: volumes, whose spread grows with them."""
    return unit_of(measure) == "ml"


def fit_ridge(x: Array, y: Array, penalties: Sequence[float] = PENALTIES) -> Array:
    """Ridge regression; the penalty by generalised cross-validation.

    Hoerl and Kennard, Technometrics 1970;12:55; Golub, Heath, Wahba, Technometrics 1979;21:215.

    Parameters
    ----------
    x
        (n, d), best standardised.
    y
        (n,).
    penalties
        To choose from, in units of n.

    Returns
    -------
    Array
        (d + 1,), the intercept last.
    """
    n, centre = len(x), x.mean(0)
    u, s, vt = np.linalg.svd(x - centre, full_matrices=False)
    projected = u.T @ (y - y.mean())
    rest = float(((y - y.mean()) ** 2).sum() - (projected**2).sum())
    best, weights = np.inf, np.zeros(x.shape[1])
    for penalty in penalties:
        kept = s**2 / (s**2 + penalty * n)
        error = max(rest, 0.0) + float((((1 - kept) * projected) ** 2).sum())
        # One degree of freedom goes to the intercept.
        score = error / max(n - 1 - float(kept.sum()), 1e-9) ** 2
        if score < best:
            best, weights = score, vt.T @ (s / (s**2 + penalty * n) * projected)
    return np.append(weights, y.mean() - centre @ weights)


def fit_logistic(x: Array, share: Array, penalty: float) -> Array:
    """Logistic regression with a squared penalty, by Newton's method with halved steps.

    Parameters
    ----------
    x
        (n, d), best standardised.
    share
        (n,), 0 to 1: label, or share of a row's drawn outcomes.
    penalty
        Of the squared weights, in units of n; the intercept is free.

    Returns
    -------
    Array
        (d + 1,), the intercept last.
    """
    n, basis = len(x), None
    if x.shape[1] > n:  # the weights lie in the span of the rows
        basis = np.linalg.qr(x.T)[0]
        x = x @ basis
    design = np.c_[x, np.ones(n)]
    cost = np.full(design.shape[1], penalty * n)
    cost[-1] = 1e-9

    def loss(w: Array) -> float:
        z = design @ w
        return float((np.logaddexp(0, z) - share * z).sum() + 0.5 * (cost * w**2).sum())

    weights = np.zeros(design.shape[1])
    now = loss(weights)
    for _ in range(STEPS):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - share) + cost * weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(cost)
        step = np.linalg.solve(hessian, gradient)
        while (then := loss(weights - step)) > now + 1e-12 and np.abs(step).max() > 1e-9:
            step = step / 2
        weights, now = weights - step, min(now, then)
        if np.abs(step).max() < 1e-6:
            break
    return weights if basis is None else np.append(basis @ weights[:-1], weights[-1])


def choose_penalty(x: Array, share: Array, patient: NDArray[np.generic], seed: int = 0) -> float:
    """Penalty of the logistic regression with the least cross-validated loss, folds by patient."""
    _, number = np.unique(patient, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(int(number.max()) + 1)[number] % FOLDS
    losses = []
    for penalty in LOGISTIC_PENALTIES:
        total = 0.0
        for k in range(FOLDS):
            inside = fold != k
            z = apply_linear(fit_logistic(x[inside], share[inside], penalty), x[~inside])
            total += float((np.logaddexp(0, z) - share[~inside] * z).sum())
        losses.append(total)
    return LOGISTIC_PENALTIES[int(np.argmin(losses))]


def apply_linear(weights: Array, x: Array) -> Array:
    """Compute the outputs, (n,), of weights with the intercept last."""
    return x @ weights[:-1] + weights[-1]


def standardiser(x: Array) -> tuple[Array, Array, Array]:
    """Median (for missing values), mean and spread of each feature; constant ones have spread 1."""
    median = np.nanmedian(np.where(np.isnan(x).all(0), 0.0, x), axis=0)
    filled = np.where(np.isnan(x), median, x)
    spread = filled.std(0)
    return median, filled.mean(0), np.where(spread > 1e-12, spread, 1.0)


def standardise(
    x: Array, constants: tuple[Array, Array, Array], missing: NDArray[np.bool_]
) -> Array:
    """Standardised features, missing ones filled, then a column for each that may be missing.

    Parameters
    ----------
    x
        (n, d), NaN for missing.
    constants
        From `standardiser`.
    missing
        (d,), features that were missing in training.
    """
    median, mean, spread = constants
    filled = (np.where(np.isnan(x), median, x) - mean) / spread
    return np.c_[np.clip(filled, -10, 10), np.isnan(x)[:, missing]]


def row_means(outcome: Array) -> Array:
    """Mean of each row's known outcomes, NaN for none."""
    known = ~np.isnan(outcome)
    total = np.where(known, outcome, 0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def row_shares(outcome: Array, below: float) -> Array:
    """Share of each row's known outcomes below a limit, NaN for none."""
    return row_means(np.where(np.isnan(outcome), np.nan, outcome < below))


def linear_probe(
    name: str,
    features: tuple[Array, Array, Array],
    train: Subjects,
    calibration: Subjects,
    findings: Sequence[Finding],
    level: float = 0.9,
) -> Estimates:
    """Ridge regression for measures and logistic regression for findings, calibrated.

    Parameters
    ----------
    name
        Of the estimator.
    features
        (n, d) of the subjects for training, calibration and test; NaN for missing.
    train, calibration
        Whose outcomes are used.
    findings
        Those of which the training subjects hold both outcomes are estimated.
    level
        Of the intervals.
    """
    constants = standardiser(features[0])
    missing = np.isnan(features[0]).sum(0) > 0
    x, x_calibration, x_test = (standardise(f, constants, missing) for f in features)
    spaces: dict[str, tuple[Array, Array]] = {}
    for key, outcome in train.outcomes.items():
        target = row_means(np.log(outcome) if is_log(key) else outcome)
        known = ~np.isnan(target)
        if known.sum() > 1:
            weights = fit_ridge(x[known], target[known])
            spaces[key] = apply_linear(weights, x_calibration), apply_linear(weights, x_test)
    logits: dict[str, tuple[Array, Array]] = {}
    for finding in findings:
        if finding.measure not in train.outcomes:
            continue
        share = row_shares(train.outcomes[finding.measure], finding.below)
        known = ~np.isnan(share)
        if not 0 < share[known].sum() < known.sum():
            continue
        penalty = choose_penalty(x[known], share[known], train.patient[known])
        weights = fit_logistic(x[known], share[known], penalty)
        logits[finding.key] = apply_linear(weights, x_calibration), apply_linear(weights, x_test)
    return calibrated_estimates(
        name,
        calibration,
        {key: tuple(np.repeat(v[:, None], 3, 1) for v in pair) for key, pair in spaces.items()},
        logits,
        findings,
        log_space={key for key in spaces if is_log(key)},
        straighten=set(spaces),
        level=level,
    )


def constant(
    name: str,
    train: Subjects,
    calibration: Subjects,
    n_test: int,
    findings: Sequence[Finding],
    level: float = 0.9,
) -> Estimates:
    """Say the same of everyone: median, central interval and prevalence in training."""
    quantiles = {}
    tail = (1 - level) / 2
    for key, outcome in train.outcomes.items():
        known = outcome[~np.isnan(outcome)]
        if len(known):
            row = np.quantile(known, [tail, 0.5, 1 - tail])
            quantiles[key] = np.tile(row, (calibration.n, 1)), np.tile(row, (n_test, 1))
    found = calibrated_estimates(name, calibration, quantiles, {}, (), log_space=set(), level=level)
    probabilities = {}
    for finding in findings:
        if finding.measure in train.outcomes:
            share = row_shares(train.outcomes[finding.measure], finding.below)
            probabilities[finding.key] = np.full(n_test, float(np.nanmean(share)))
    return Estimates(name, found.values, found.intervals, probabilities, level=level)


def few_shot(
    name: str,
    features: tuple[Array, Array],
    train: Subjects,
    test: Subjects,
    finding: Finding,
    *,
    shots: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    n_draws: int = 100,
    penalty: float = 0.1,
    seed: int = 0,
) -> list[Curve]:
    """Logistic regression on k training subjects of each class, drawn many times.

    A row with several drawn outcomes is given one of them at random. Ends are the 2.5 and 97.5
    percentiles over the draws: they say how much depends on who is labelled. Numbers of shots that
    the training subjects cannot fill are left out. The call is made where the fit says 0.5: its
    classes are even, so that no threshold is chosen.

    Parameters
    ----------
    name
        Of the estimator.
    features
        (n, d) of training and test subjects.
    train, test
        Subjects.
    finding
        What is learnt.
    shots
        Numbers k.
    n_draws, seed
        How often subjects are drawn.
    penalty
        Of `fit_logistic`.
    """
    constants = standardiser(features[0])
    missing = np.isnan(features[0]).sum(0) > 0
    x, x_test = (standardise(f, constants, missing) for f in features)
    outcome = train.outcomes[finding.measure]
    share = row_shares(test.outcomes[finding.measure], finding.below)
    known = ~np.isnan(share)
    positive, negative, x_test = share[known], 1 - share[known], x_test[known]
    rng, whole = np.random.default_rng(seed), np.ones((1, int(known.sum())))
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for k in shots:
        figures = []
        for _ in range(n_draws):
            label = _one_draw(outcome, rng) < finding.below
            there = ~np.isnan(outcome).all(1)
            pools = [np.flatnonzero(there & (label == wanted)) for wanted in (True, False)]
            if min(map(len, pools)) < k:
                break
            rows = np.concatenate([rng.choice(pool, k, replace=False) for pool in pools])
            weights = fit_logistic(x[rows], label[rows].astype(float), penalty)
            score = apply_linear(weights, x_test)
            figures.append(
                (
                    float(rs.auroc(score, positive, negative)(whole)[0]),
                    float(rs.balanced_accuracy(score >= 0, positive, negative)(whole)[0]),
                )
            )
        if len(figures) < n_draws:
            continue
        table = np.array(figures)
        for quantity, values in zip(("auroc", "balanced_accuracy"), table.T, strict=True):
            low, high = np.percentile(values, [2.5, 97.5])
            row = (float(k), float(values.mean()), float(low), float(high))
            found.setdefault(quantity, []).append(row)
    return [
        Curve(name, finding.key, f"few_shot_{quantity}", *map(list, zip(*rows, strict=True)))
        for quantity, rows in found.items()
    ]


def _one_draw(outcome: Array, rng: np.random.Generator) -> Array:
    """One known outcome of each row at random; NaN for none."""
    rank = np.where(np.isnan(outcome), -1.0, rng.random(outcome.shape))
    return outcome[np.arange(len(outcome)), rank.argmax(1)]


def _sigmoid(z: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -z))
