"""Measure the input gate on what it was not tuned on; writes the figures into docs/input-gate.md.

    python benchmarks/input_gate.py --data ../shared/data

The held-out halves of the data sets, faults made from them, and signals that are no ECG, made in
other ways than those of the fit and of more kinds.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.gate_data import HELD_OUT, Case, cases
from benchmarks.not_ecg_unseen import FROM_ECG, KINDS, Pictures, made
from model_core.domain import distance, domain_features
from model_core.leads import STANDARD_LEADS
from model_core.preprocess import prepare
from model_core.quality import assess
from model_core.quality.placement import EXCHANGES, exchanged
from model_core.runtime.package import ModelPackage, load_package
from model_core.runtime.predictor import FAR_FROM_TRAINING
from model_core.types import LeadGrade, Recording, Severity

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/input-gate.md"
MARK = "<!-- Below: written by benchmarks/input_gate.py. -->"
EACH_KIND, SEED = 60, 2026
# Good ECGs that an exchange is made in; more for RA-LA, the commonest mistake.
EACH_EXCHANGE, ARMS_EXCHANGED = 60, 300
# Files whose stated rate is wrong: the true rate over the stated one.
RATE_FACTORS = (0.2, 0.5, 2.0, 5.0)
EACH_FACTOR = 50

Signal = NDArray[np.floating]


@dataclass(frozen=True)
class Found:
    """What the gate says of a window: codes of refusals, exchanges asked about, leads marked."""

    refused: list[str]
    asked: list[str]
    marked: int


class Gate:
    """The gate in front of one model package: what it refuses for, and what it asks about."""

    def __init__(self, package: ModelPackage) -> None:
        self.package = package
        self.seconds: list[float] = []

    def __call__(self, signal_mv: Signal, fs: float) -> Found:
        """Look at a window of twelve leads."""
        ecg = Recording("", signal_mv.astype(np.float32), fs, STANDARD_LEADS, "")
        started = time.process_time()
        report = assess(ecg)
        reasons = report.reasons
        self.seconds.append(time.process_time() - started)
        refused = [each.code for each in reasons if each.severity is Severity.REFUSE]
        asked = [
            each.message.partition(" The result")[0]
            for each in reasons
            if each.severity is Severity.CONFIRM
        ]
        if not refused and self.unlike(ecg) > FAR_FROM_TRAINING:
            refused.append("unlike_training_data")
        marked = sum(each.grade is not LeadGrade.GOOD for each in report.leads)
        return Found(refused, [] if refused else asked, marked)

    def unlike(self, ecg: Recording) -> float:
        """Distance from the training data, of the package's threshold; 0 where it has none."""
        domain, spec = self.package.domain, self.package.manifest.input
        if domain is None:
            return 0.0
        return distance(domain_features(prepare(ecg, spec)[0], spec.fs), domain) / domain.threshold


def share(n: int, of: int) -> str:
    """Write a share in per cent with its 95 % interval (Wilson)."""
    z, p = 1.96, n / of
    middle = (p + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * np.sqrt(p * (1 - p) / of + z**2 / (4 * of**2))
    low, high = 100 * max(middle - half, 0), 100 * min(middle + half, 1)
    return f"{100 * p:.1f} % ({low:.1f}-{high:.1f})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def counted(codes: Iterable[str]) -> str:
    return ", ".join(f"{code} {n}" for code, n in Counter(codes).most_common()) or "-"


def on_ecgs(gate: Gate, held_out: list[Case]) -> tuple[str, list[Case]]:
    """Good ECGs by source, and CinC 2011's groups; the good ECGs for the made faults."""
    found = [(case, gate(case.signal_mv, case.fs)) for case in held_out]
    good = [each for each in found if each[0].label != "II"]
    rows = []
    for source in [*dict.fromkeys(case.source for case, *_ in good), "all good ECGs"]:
        part = [each for case, each in good if source in (case.source, "all good ECGs")]
        refused = [each.refused for each in part if each.refused]
        marked = [each.marked for each in part]
        name = f"{source}, acceptable" if source == "CinC 2011" else source
        rows.append(
            (
                name,
                len(part),
                share(len(refused), len(part)),
                share(sum(bool(each.asked) for each in part), len(part)),
                f"{100 * np.mean(marked) / len(STANDARD_LEADS):.1f} %",
                f"{100 * np.mean([n > 0 for n in marked]):.0f} %",
                counted(codes[0] for codes in refused),
            )
        )
    text = "### Good ECGs\n\n" + table(
        (
            *("source", "ECGs", "refused", "asked about"),
            *("leads marked", "ECGs with a mark", "first reason to refuse"),
        ),
        rows,
    )
    arms = sum(bool(each.asked and _names(each.asked[0], "RA-LA")) for _, each in good)
    text += (
        f"\nOf the good ECGs, {share(arms, len(good))} are asked about an exchange of the arms.\n"
    )
    graded = [each for each in found if each[0].source == "CinC 2011"]
    right = sum(bool(each.refused) == (case.label == "II") for case, each in graded)
    poor = [each.refused for case, each in graded if case.label == "II"]
    text += (
        f"\n### CinC 2011 quality groups\n\nAgreement {share(right, len(graded))} of {len(graded)} "
        f"held-out recordings; of the {len(poor)} unacceptable ones "
        f"{share(sum(map(bool, poor)), len(poor))} are refused "
        f"({counted(codes[0] for codes in poor if codes)}).\n"
    )
    return text, [case for case, each in good if not each.refused]


def on_other_signals(gate: Gate, good: list[Case], pictures: Pictures) -> str:
    """Those made, and those made from good ECGs; a question is no refusal, and counted apart."""
    rng = np.random.default_rng(SEED)
    rows, total, questions, n = [], 0, 0, 0
    for kind in (*KINDS, *FROM_ECG):
        found: list[Found] = []
        for k in range(EACH_KIND):
            if kind in FROM_ECG:
                case = good[rng.integers(len(good))]
                signal, fs = FROM_ECG[kind](case.signal_mv.astype(np.float64), rng), case.fs
            else:
                signal, fs = made(kind, rng, pictures, algebra=k % 4 != 0)
            found.append(gate(signal, fs))
        refused = [each.refused for each in found if each.refused]
        asked = sum(bool(each.asked) for each in found)
        total, questions, n = total + len(refused), questions + asked, n + EACH_KIND
        reasons = counted(codes[0] for codes in refused)
        rows.append((kind.replace("_", " "), EACH_KIND, len(refused), asked, reasons))
    rows.append(("all", n, share(total, n), questions, ""))
    return "### Signals that are no ECG\n\n" + table(
        ("kind", "signals", "refused", "asked about", "first reason to refuse"), rows
    )


def on_exchanges(gate: Gate, good: list[Case]) -> str:
    rng = np.random.default_rng(3)
    rows = []
    for name in EXCHANGES:
        n_made = ARMS_EXCHANGED if name == "RA-LA" else EACH_EXCHANGE
        chosen = [good[k] for k in rng.permutation(len(good))[:n_made]]
        asked = named = refused = 0
        for case in chosen:
            found = gate(exchanged(case.signal_mv.astype(np.float64), name), case.fs)
            refused += bool(found.refused)
            asked += bool(found.asked)
            named += bool(found.asked and _names(found.asked[0], name))
        n = len(chosen)
        rows.append((name, n, share(asked + refused, n), share(named, n)))
    return "### Exchanged electrodes and inverted leads, made from good ECGs\n\n" + table(
        ("exchange", "ECGs", "result withheld", "the very exchange named"), rows
    )


def _names(message: str, exchange: str) -> bool:
    parts = {"RA": "right arm", "LA": "left arm", "LL": "left leg"}
    if exchange == "RA-LA":
        return "right and left arm" in message
    words = [parts.get(part, part) for part in exchange.removeprefix("-").split("-")]
    return all(word in message for word in words)


def on_rates(gate: Gate, good: list[Case]) -> str:
    rng = np.random.default_rng(4)
    fast = [case for case in good if case.fs == 500.0]
    rows = []
    for factor in RATE_FACTORS:
        codes: list[str] = []
        for k in rng.permutation(len(fast))[:EACH_FACTOR]:
            x = fast[k].signal_mv
            stated = fast[k].fs / factor
            # Ten seconds by the stated rate: the start of it, or the recording once more.
            n = round(10 * stated)
            x = np.tile(x, -(-n // x.shape[1]))[:, :n]
            found = gate(x, stated)
            codes += found.refused[:1] or ["asked about"] * bool(found.asked)
        n = min(EACH_FACTOR, len(fast))
        rows.append((f"{factor:g}", n, share(len(codes), n), counted(codes)))
    return "### A rate stated wrongly\n\n" + table(
        ("true over stated rate", "ECGs", "result withheld", "first reason"), rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=ROOT / "assets/models/default")
    parser.add_argument("--pictures", type=Path, nargs="+", help="pictures to read as signals")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    package = load_package(options.package)
    gate = Gate(package)
    held_out = [case for case in cases(options.data) if case.half == HELD_OUT]
    shots = sorted((ROOT / "docs/images").rglob("*.png"))
    pictures = Pictures(options.pictures or [*shots, *options.data.rglob("echo/*.dcm")])
    text, good = on_ecgs(gate, held_out)
    parts = [text]
    for part in (
        lambda: on_other_signals(gate, good, pictures),
        lambda: on_exchanges(gate, good),
        lambda: on_rates(gate, good),
    ):
        print(parts[-1], flush=True)
        parts.append(part())
    print(parts[-1])
    domain = "with" if package.domain is not None else "without"
    parts.append(
        f"### Time\n\n{1000 * np.median(gate.seconds):.0f} ms of one core for a recording of 10 s "
        f"(median). Measured on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}; model package "
        f"{package.identity.name} {package.identity.version}, {domain} a training domain.\n"
    )
    figures = "\n".join(parts)
    page = options.page.read_text(encoding="utf-8") if options.page.exists() else ""
    options.page.write_text(f"{page.partition(MARK)[0]}{MARK}\n\n{figures}", encoding="utf-8")


if __name__ == "__main__":
    main()
