"""Fit the linear scores of the input gate to the tuning halves: model_core/quality/learned.json.

    python benchmarks/fit_input_gate.py --data ../shared/data

Ridge-penalised logistic regressions; penalty and limits by five-fold cross-validation within the
tuning halves. The held-out halves are for benchmarks/input_gate.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.gate_data import TUNING, Case, cases
from benchmarks.not_ecg import FROM_ECG, FS, KINDS, N, at_rate, made, with_limb_algebra
from model_core.leads import STANDARD_LEADS
from model_core.quality import FEWEST_BEATS
from model_core.quality.features import Features, measure_features
from model_core.quality.learned import (
    CLIP_SD,
    COEFFICIENTS,
    pace_vector,
    recording_vector,
    shape_vector,
)
from model_core.quality.placement import EXCHANGES, exchanged, placement_vector
from model_core.quality.samples import check_samples, lead_faults

PENALTIES = (1.0, 3.0, 10.0, 30.0)
N_FOLDS = 5
EACH_KIND = 45
# So many ECGs of 500 Hz serve at one of these rates once more.
N_OTHER_RATE = 250
OTHER_RATES_HZ = (100.0, 250.0, 1000.0)
# Of so many good tuning ECGs the usual beat serves alone, as a simulator of patients gives it.
N_REPEATED = 300
# ECGs as books draw them.
N_DRAWN = 150
# Largest share of the good tuning ECGs that may be refused as no ECG.
REFUSED = 0.004
# Largest share of them that may be refused for either a too slow or a too fast course.
REFUSED_FOR_PACE = 0.002
# Share that may be asked about an exchange: more for the commonest, that of the arms.
ASKED, ASKED_ARMS = 0.001, 0.008
# Exchanges of which fewer are found are not looked for: they would cost questions for nothing.
WORTH_ASKING = 0.25

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


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


def score(which: str, w: FloatArray, b: float, limit: float, squares: int = 0) -> dict[str, Any]:
    """Score to store; the last weights are those of so many squares."""
    linear, of_squares = np.split(w, [len(w) - squares])
    stored = {"standardiser": which, "weights": linear.tolist(), "bias": b, "limit": limit}
    return stored | ({"squares": of_squares.tolist()} if squares else {})


def with_squares(z: FloatArray) -> FloatArray:
    return np.c_[z, z**2]


def scored(signal_mv: FloatArray, found: Features, fs: float) -> bool:
    """Whether the score of no ECG is asked: checks before it find nothing."""
    faults = lead_faults(signal_mv, fs)
    sound = not check_samples(signal_mv, STANDARD_LEADS, faults)
    return sound and found.delineation.n_beats >= FEWEST_BEATS


def shapes(signals: Iterable[tuple[FloatArray, float]]) -> tuple[FloatArray, BoolArray]:
    """Vectors of signals with their rates, and whether the score of no ECG is asked about each."""
    vectors: list[FloatArray] = []
    asked: list[bool] = []
    for signal, fs in signals:
        rows = signal.astype(np.float32).astype(np.float64)
        found = measure_features(rows, fs, STANDARD_LEADS)
        vectors.append(shape_vector(found))
        asked.append(scored(rows, found, fs))
    return np.array(vectors), np.array(asked)


def repeated(beat_mv: FloatArray, rr_s: float, rng: np.random.Generator) -> FloatArray:
    """One beat again and again for 10 s at `FS`: regular, of few directions, with little noise.

    What no body disturbs is an ECG too; without such ones the score would ask for noise.
    """
    n = max(round(rr_s * FS), 100)
    over = n - beat_mv.shape[1]
    beat = beat_mv[:, :n]
    if over > 0:
        back = np.linspace(0, 1, over + 2)[1:-1]
        beat = np.c_[beat, beat[:, -1:] + back * (beat[:, :1] - beat[:, -1:])]
    u, s, v = np.linalg.svd(beat, full_matrices=False)
    kept = int(rng.integers(1, 5))
    beat = (u[:, :kept] * s[:kept]) @ v[:kept]
    rows = np.roll(np.tile(beat, -(-N // n)), rng.integers(n), axis=1)[:, :N]
    noise = with_limb_algebra(rng.normal(size=rows.shape))
    return rows + 10 ** rng.uniform(-4.0, -2.0) * noise


def drawn(rng: np.random.Generator) -> FloatArray:
    """Five smooth waves a beat, for 10 s at `FS`, as books and programs draw an ECG."""
    rr_s = rng.uniform(0.5, 1.3)
    away_s = (np.arange(N) / FS + rng.uniform(0, rr_s)) % rr_s - 0.4 * rr_s
    centres_s = (-rng.uniform(0.12, 0.19), -0.03, 0.0, 0.03, rng.uniform(0.2, 0.32))
    widths_s = (0.02, *rng.uniform(0.008, 0.015, 3), rng.uniform(0.03, 0.06))
    waves = np.stack(
        [
            np.exp(-0.5 * ((away_s - centre_s) / width_s) ** 2)
            for centre_s, width_s in zip(centres_s, widths_s, strict=True)
        ]
    )
    limb = np.array([[0.1, -0.05, 0.7, -0.1, 0.2], [0.15, -0.1, 1.0, -0.2, 0.3]])
    chest = np.linspace([0.05, 0, 0.25, -1.2, 0.1], [0.05, -0.1, 1.2, -0.1, 0.3], 6)
    sizes = np.concatenate([limb, chest]) * rng.uniform(0.6, 1.4, (8, 5))
    return with_limb_algebra(sizes @ waves)


def no_ecgs(ecgs: list[Case], rng: np.random.Generator) -> Iterator[tuple[FloatArray, float]]:
    """Signals that are no ECG, with their rates; some of them made from the ECGs."""
    for kind in KINDS:
        for k in range(EACH_KIND):
            yield made(kind, rng, algebra=k % 4 != 0)
    for spoil in FROM_ECG.values():
        for _ in range(EACH_KIND):
            case = ecgs[rng.integers(len(ecgs))]
            yield spoil(case.signal_mv.astype(np.float64), rng), case.fs


def rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return value


def misrated(case: Case, factor: float) -> tuple[FloatArray, float]:
    """Ten seconds by a stated rate that the true one is so many times: its start, or it twice."""
    stated = case.fs / factor
    n = round(10 * stated)
    x = case.signal_mv.astype(np.float64)
    return np.tile(x, -(-n // x.shape[1]))[:, :n], stated


def paces(signals: Iterable[tuple[FloatArray, float]]) -> tuple[FloatArray, BoolArray]:
    """Vectors of signals with their rates, and whether the checks before the score find nothing."""
    vectors: list[FloatArray] = []
    asked: list[bool] = []
    for signal, fs in signals:
        found = measure_features(signal, fs, STANDARD_LEADS)
        asked.append(scored(signal, found, fs))
        vectors.append(pace_vector(found))
    return np.array(vectors), np.array(asked)


def fit_pace(good: list[Case], stored: dict[str, Any]) -> None:
    """Fit what tells a stated rate that is half or twice the true one; adds to what is stored."""
    print("pace", flush=True)
    # Those of PTB-XL serve at 100 Hz; at 500 Hz they would be the same ECGs once more.
    good = [case for case in good if case.source != "PTB-XL 500 Hz"]
    patients = {name: k for k, name in enumerate(sorted({c.source[:3] + c.patient for c in good}))}
    order = np.random.default_rng(0).permutation(len(patients))
    groups = order[[patients[case.source[:3] + case.patient] for case in good]]
    at_two_rates = np.array([case.fs == FS for case in good])
    right, sound = paces((case.signal_mv.astype(np.float64), case.fs) for case in good)
    by = standardiser(right[sound])
    stored["standardisers"]["pace"] = by
    for name, factor in (("slow", 2.0), ("fast", 0.5)):
        wrong, heard = paces(misrated(case, factor) for case in good if case.fs == FS)
        z = standardised(np.concatenate([right[sound], wrong[heard]]), by)
        y = np.r_[np.zeros(sound.sum()), np.ones(heard.sum())]
        folds = np.r_[groups[sound], groups[at_two_rates][heard]]
        penalty, held = best_penalty(z, y, folds)
        limit = float(np.quantile(held[y == 0], 1 - REFUSED_FOR_PACE, method="higher"))
        found = (held[y == 1] > limit).mean()
        print(f"  {name}: {(y == 0).sum()} ECGs, {found:.3f} of {heard.sum()} found, {limit:.2f}")
        stored["scores"][name] = score("pace", *regression(z, y, penalty), limit)


def write(stored: dict[str, Any], path: Path) -> None:
    text = json.dumps(rounded(stored), separators=(",", ":")).replace('},"', '},\n"')
    path.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=COEFFICIENTS)
    parser.add_argument(
        "--pace-only", action="store_true", help="leave the other scores as they are"
    )
    options = parser.parse_args()
    if options.pace_only:
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        tuning = [case for case in cases(options.data) if case.half == TUNING]
        fit_pace([case for case in tuning if case.label != "II"], stored)
        write(stored, options.out)
        return

    ecgs: list[Case] = []
    vectors: list[FloatArray] = []
    beats: list[tuple[FloatArray, float]] = []
    shape: list[FloatArray] = []
    is_scored: list[bool] = []
    rr_s: list[float] = []
    for case in cases(options.data):
        if case.half == TUNING:
            rows = case.signal_mv.astype(np.float64)
            found = measure_features(rows, case.fs, STANDARD_LEADS)
            ecgs.append(case)
            vectors.append(recording_vector(found))
            shape.append(shape_vector(found))
            is_scored.append(scored(rows, found, case.fs))
            beats.append((found.beat_mv, found.beat_rate))
            rr_s.append(float(np.exp(found.whole["rr"])))
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
    asked = np.array(is_scored)
    good = asked & ~poor
    real = np.array(shape)[asked]
    # ECGs come at many rates; the data only at two.
    again = rng.permutation([k for k in np.flatnonzero(good) if ecgs[k].fs == FS])[:N_OTHER_RATE]
    rates = rng.choice(OTHER_RATES_HZ, len(again))
    brought = (
        (at_rate(ecgs[k].signal_mv, fs), fs) for k, fs in zip(again, map(float, rates), strict=True)
    )
    moved, heard = shapes(brought)
    alone = rng.choice(np.flatnonzero(good), N_REPEATED, replace=False)
    simulators = [(repeated(beats[k][0], rr_s[k], rng), FS) for k in alone]
    simulated, clean = shapes([*simulators, *((drawn(rng), FS) for _ in range(N_DRAWN))])
    none, doubted = shapes(no_ecgs([ecgs[k] for k in np.flatnonzero(good)], rng))
    moved, again, none = moved[heard], again[heard], none[doubted]
    simulated = simulated[clean]
    print(f"  {len(real)} ECGs, {len(moved)} at another rate, {len(simulated)} made")
    by = standardiser(np.array(shape)[good])
    z = with_squares(standardised(np.concatenate([real, moved, simulated, none]), by))
    y = np.r_[np.zeros(len(z) - len(none)), np.ones(len(none))]
    others = rng.integers(0, N_FOLDS, len(simulated) + len(none))
    folds = np.r_[group[asked], group[again], others]
    penalty, held = best_penalty(z, y, folds)
    beyond = np.quantile(held[: len(real)][good[asked]], 1 - REFUSED, method="higher")
    limit = max(0.0, float(beyond))
    print(f"  {(held[y == 0] > limit).mean():.4f} of the ECGs of all kinds refused")
    print(f"  missed {(held[y == 1] <= limit).mean():.4f} of {len(none)}, limit {limit:.2f}")
    n_shapes = z.shape[1] // 2
    scores["not_an_ecg"] = score("shape", *regression(z, y, penalty), limit, squares=n_shapes)

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
        "standardisers": {"quality": quality, "shape": by, "placement": placement},
        "scores": scores,
    }
    fit_pace([case for case, is_poor in zip(ecgs, poor, strict=True) if not is_poor], stored)
    write(stored, options.out)


if __name__ == "__main__":
    main()
