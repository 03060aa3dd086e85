"""Fit the linear scores of the input gate to the tuning halves: model_core/quality/learned.json.

    python benchmarks/fit_input_gate.py --data ../shared/data

Ridge-penalised logistic regressions; penalty and limits by five-fold cross-validation within the
tuning halves. The held-out halves are for benchmarks/input_gate.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.gate_data import TUNING, Case, cases
from benchmarks.not_ecg import FROM_ECG, FS, KINDS, from_ecg, made
from model_core.leads import STANDARD_LEADS
from model_core.quality.features import measure_features
from model_core.quality.learned import CLIP_SD, COEFFICIENTS, recording_vector
from model_core.quality.placement import EXCHANGES, exchanged, placement_vector

PENALTIES = (1.0, 3.0, 10.0, 30.0)
N_FOLDS = 5
EACH_KIND = 40
# Share of the tuning ECGs that may be refused as no ECG.
REFUSED = 0.002
# Share that may be asked about an exchange: more for the commonest, that of the arms.
ASKED, ASKED_ARMS = 0.001, 0.008
# Exchanges of which fewer are found are not looked for: they would cost questions for nothing.
WORTH_ASKING = 0.25

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def regression(z: FloatArray, y: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """Weights and bias of a logistic regression on standardised features, by Newton's method."""
    design = np.c_[z, np.ones(len(z))]
    ridge = np.diag([penalty] * z.shape[1] + [0.0])
    b = np.zeros(design.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(design @ b, -30, 30)))
        weight = p * (1 - p) + 1e-6
        hessian = (design * weight[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian, design.T @ (p - y) + ridge @ b)
        b -= step
        if np.abs(step).max() < 1e-8:
            break
    return b[:-1], float(b[-1])


def cross_validated(z: FloatArray, y: FloatArray, penalty: float, groups: IntArray) -> FloatArray:
    """Score of each case by a regression that did not see its fold."""
    fold = groups % N_FOLDS
    scores = np.zeros(len(y))
    for k in range(N_FOLDS):
        w, b = regression(z[fold != k], y[fold != k], penalty)
        scores[fold == k] = z[fold == k] @ w + b
    return scores


def best_penalty(z: FloatArray, y: FloatArray, groups: IntArray) -> tuple[float, FloatArray]:
    """Penalty with the best cross-validated accuracy, and its scores."""
    tried = {p: cross_validated(z, y, p, groups) for p in PENALTIES}
    best = max(tried, key=lambda p: ((tried[p] > 0) == y).mean())
    print(f"  penalty {best:g}, accuracy {((tried[best] > 0) == y).mean():.4f}")
    return best, tried[best]


def standardiser(x: FloatArray) -> dict[str, list[float]]:
    return {"mean": x.mean(axis=0).tolist(), "scale": (x.std(axis=0) + 1e-9).tolist()}


def standardised(x: FloatArray, by: dict[str, list[float]]) -> FloatArray:
    return np.clip((x - np.array(by["mean"])) / np.array(by["scale"]), -CLIP_SD, CLIP_SD)


def score(which: str, w: FloatArray, b: float, limit: float) -> dict[str, Any]:
    return {"standardiser": which, "weights": w.tolist(), "bias": b, "limit": limit}


def rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=COEFFICIENTS)
    options = parser.parse_args()

    ecgs: list[Case] = []
    vectors: list[FloatArray] = []
    beats: list[tuple[FloatArray, float]] = []
    for case in cases(options.data):
        if case.half == TUNING:
            found = measure_features(case.signal_mv, case.fs, STANDARD_LEADS)
            ecgs.append(case)
            vectors.append(recording_vector(found))
            beats.append((found.beat_mv, found.beat_rate))
    x = np.array(vectors)
    patients = {name: k for k, name in enumerate(sorted({c.source[:3] + c.patient for c in ecgs}))}
    order = np.random.default_rng(0).permutation(len(patients))
    group = order[[patients[case.source[:3] + case.patient] for case in ecgs]]
    poor = np.array([case.label == "II" for case in ecgs])
    cinc = np.array([case.source == "CinC 2011" for case in ecgs])
    print(f"{len(ecgs)} ECGs, {cinc.sum()} of CinC 2011, {poor.sum()} of them poor")

    print("poor_quality")
    quality = standardiser(x[cinc])
    z, y = standardised(x[cinc], quality), poor[cinc].astype(float)
    penalty, _ = best_penalty(z, y, group[cinc])
    scores = {"poor_quality": score("quality", *regression(z, y, penalty), 0.0)}

    print("not_an_ecg")
    rng = np.random.default_rng(1)
    good = [case.signal_mv.astype(np.float64) for case in ecgs if case.source == "LUDB"]
    others = [
        made(kind, rng, TUNING, algebra=k % 4 != 0) for kind in KINDS for k in range(EACH_KIND)
    ]
    # Exchanged limb leads are found by their relations, in front of this score.
    others += [
        from_ecg(kind, good[rng.integers(len(good))], rng, TUNING)
        for kind in FROM_ECG
        if kind != "shuffled_leads"
        for _ in range(EACH_KIND)
    ]
    n = np.array([recording_vector(measure_features(o, FS, STANDARD_LEADS)) for o in others])
    both, y = np.concatenate([x, n]), np.r_[np.zeros(len(x)), np.ones(len(n))]
    shape = standardiser(both)
    z = standardised(both, shape)
    penalty, held = best_penalty(z, y, np.r_[group, rng.integers(0, N_FOLDS, len(n))])
    limit = max(0.0, float(np.quantile(held[y == 0], 1 - REFUSED, method="higher")))
    print(f"  missed {(held[y == 1] <= limit).mean():.4f} of {len(n)}, limit {limit:.2f}")
    scores["not_an_ecg"] = score("shape", *regression(z, y, penalty), limit)

    print("placement")
    usable = [beat for beat, is_poor in zip(beats, poor, strict=True) if not is_poor]
    group = group[~poor]
    right = np.array([placement_vector(*beat) for beat in usable])
    placement = standardiser(right)
    z0 = standardised(right, placement)
    y = np.r_[np.zeros(len(z0)), np.ones(len(z0))]
    questions = np.zeros(len(z0), dtype=np.bool_)
    for name in EXCHANGES:
        wrong = np.array([placement_vector(exchanged(b, name), rate) for b, rate in usable])
        z = np.concatenate([z0, standardised(wrong, placement)])
        penalty, held = best_penalty(z, y, np.r_[group, group])
        allowed = ASKED_ARMS if name == "RA-LA" else ASKED
        limit = float(np.quantile(held[: len(z0)], 1 - allowed, method="higher"))
        found = (held[len(z0) :] > limit).mean()
        looked_for = found >= WORTH_ASKING
        print(f"  {name}: found {found:.3f}{'' if looked_for else ', not looked for'}")
        if looked_for:
            questions |= held[: len(z0)] > limit
            scores[name] = score("placement", *regression(z, y, penalty), limit)
    print(f"  asked about {questions.mean():.4f} of the ECGs")

    stored = {
        "standardisers": {"quality": quality, "shape": shape, "placement": placement},
        "scores": scores,
    }
    text = json.dumps(rounded(stored), separators=(",", ":")).replace('},"', '},\n"')
    options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
