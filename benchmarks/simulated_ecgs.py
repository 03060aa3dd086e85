"""Compare virtual ECGs with PTB-XL and draw examples, for docs/simulated-cohort.md.

``python benchmarks/simulated_ecgs.py DATA OUT``, DATA being the folder with ``ptbxl``. Folds 1 to 8
of PTB-XL and virtual patients are measured by one program (`model_core.measurements`) at 100 Hz.
Prints medians with 10th and 90th percentiles by diagnosis as a table; writes
``distributions.svg`` and one PNG a diagnosis into OUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.delineation import delineate
from model_core.dsp import resample
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.measurements import measure
from training.simulated_cohort import SIMULATED_FS, read_ptbxl_table
from training.simulation import (
    EcgFindings,
    Patients,
    findings_from_ptbxl,
    findings_of_patients,
    sample_patients,
    simulate_ecg,
)

SEED = 5
N_DRAWN, N_EACH = 4000, 60
FS = 100.0
QUANTILES = (0.5, 0.1, 0.9)
INTERVALS = {
    "QRS, ms": "qrs_ms",
    "PR, ms": "pr_ms",
    "QTc (Fridericia), ms": "qtc_fridericia_ms",
    "RR, SD in ms": "rr_sd_ms",
    "QRS axis, degrees": "qrs_axis_deg",
}
VOLTAGES = {
    "P II, mV": ("p_mv", "II"),
    "R I, mV": ("r_mv", "I"),
    "R V5, mV": ("r_mv", "V5"),
    "R V3, mV": ("r_mv", "V3"),
    "Q III, mV": ("q_mv", "III"),
    "ST V2, mV": ("st60_mv", "V2"),
    "T I, mV": ("t_mv", "I"),
    "T V5, mV": ("t_mv", "V5"),
}
_Features = dict[str, NDArray[np.float64]]
_Groups = dict[str, NDArray[np.bool_]]


def groups_of(f: EcgFindings) -> _Groups:
    """Return which ECGs have each diagnosis that is shown."""
    return {
        "normal": f.normal,
        "left bundle branch block": f.lbbb,
        "right bundle branch block": f.rbbb,
        "anterior infarction": f.mi_anterior,
        "inferior infarction": f.mi_inferior,
        "left ventricular hypertrophy": f.lvh,
        "atrial fibrillation": f.af,
        "paced": f.paced,
    }


def features(signals_mv: NDArray[np.floating]) -> _Features:
    """Measure ECGs at FS, (n, 12, samples) mV; NaN where nothing could be measured."""
    rows: list[list[float]] = []
    for signal in signals_mv:
        found = measure(delineate(signal, FS, STANDARD_LEADS), signal)
        row = [float(getattr(found, name)) for name in INTERVALS.values()]
        for wave, lead in VOLTAGES.values():
            row.append(float(getattr(found, wave)[STANDARD_LEADS.index(lead)]))
        rows.append(row)
    return dict(zip([*INTERVALS, *VOLTAGES], np.array(rows).T, strict=True))


def real(folder: Path) -> tuple[_Features, _Groups]:
    """Measure PTB-XL's folds 1 to 8."""
    rows = [
        row
        for row in read_ptbxl_table(folder)
        if row["scp_codes"].strip() and int(float(row["strat_fold"])) <= 8
    ]
    paths = [folder / (row["filename_lr"] + ".hea") for row in rows]
    signals = np.stack([read_recording(path).signal_mv for path in paths])
    return features(signals), groups_of(findings_from_ptbxl(rows))


def virtual(patients: Patients, rng: np.random.Generator) -> tuple[_Features, _Groups]:
    """Measure up to N_EACH virtual patients of each diagnosis."""
    flags = groups_of(findings_of_patients(patients))
    chosen = np.unique(np.concatenate([np.flatnonzero(f)[:N_EACH] for f in flags.values()]))
    signals = simulate_ecg(patients.take(chosen), rng, SIMULATED_FS).astype(np.float64)
    found = features(resample(signals, Fraction(FS / SIMULATED_FS).limit_denominator(100)))
    return found, {name: flag[chosen] for name, flag in flags.items()}


def table(sides: Mapping[str, tuple[_Features, _Groups]]) -> str:
    """Return the Markdown table: a row a quantity, two columns a diagnosis."""
    names = list(next(iter(sides.values()))[1])
    lines = ["| | " + " | ".join(["", *names]) + " |", "|---" * (len(names) + 2) + "|"]
    for quantity in (*INTERVALS, *VOLTAGES):
        digits = 2 if quantity in VOLTAGES else 0
        for side, (found, groups) in sides.items():
            cells = []
            for name in names:
                values = found[quantity][groups[name]]
                values = values[np.isfinite(values)]
                if len(values) < 5:
                    cells.append("-")
                    continue
                middle, low, high = (f"{v:.{digits}f}" for v in np.quantile(values, QUANTILES))
                cells.append(f"{middle} ({low} to {high})")
            lines.append(f"| {quantity} | {side} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_distributions(sides: Mapping[str, tuple[_Features, _Groups]], path: Path) -> None:
    """Draw 10th to 90th percentile, quartiles and median by diagnosis, side by side."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    quantities = [*INTERVALS, *VOLTAGES]
    names = list(next(iter(sides.values()))[1])
    figure = Figure(figsize=(12, 11), layout="constrained")
    axes = figure.subplots(4, 4).ravel()
    for axis, quantity in zip(axes, quantities, strict=False):
        for shift, (colour, (found, groups)) in zip(
            (0.18, -0.18), zip(("tab:blue", "tab:orange"), sides.values(), strict=True), strict=True
        ):
            for row, name in enumerate(names):
                values = found[quantity][groups[name]]
                values = values[np.isfinite(values)]
                if len(values) < 5:
                    continue
                ends = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
                y = -row + shift
                axis.plot(ends[[0, 4]], [y, y], color=colour, lw=1)
                axis.plot(ends[[1, 3]], [y, y], color=colour, lw=5, solid_capstyle="butt")
                axis.plot(ends[2], y, "|", color="black", ms=7)
        axis.set_title(quantity, fontsize=10)
        axis.set_yticks([-row for row in range(len(names))], names, fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
    for axis in axes[len(quantities) :]:
        axis.axis("off")
    for colour, side in zip(("tab:blue", "tab:orange"), sides, strict=True):
        axes[-1].plot([], [], color=colour, lw=5, label=side)
    axes[-1].legend(loc="center", frameon=False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "distributions"}):
        figure.savefig(path, metadata={"Date": None}, facecolor="white")


def draw_example(signal_mv: NDArray[np.floating], title: str, path: Path) -> None:
    """Draw one ECG, four columns of 2.5 s and lead II below, 25 mm/s and 10 mm/mV."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.2, 4.65), dpi=75, layout="constrained")
    axis = figure.subplots()
    step = int(2.5 * SIMULATED_FS)
    time_s = np.arange(4 * step) / SIMULATED_FS
    for number, lead in enumerate(STANDARD_LEADS):
        column, row = divmod(number, 3)
        part = slice(column * step, (column + 1) * step)
        axis.plot(time_s[part], signal_mv[number, part] - 2.5 * row, "k", lw=0.7)
        axis.text(column * 2.5 + 0.05, 0.9 - 2.5 * row, lead, fontsize=8)
    axis.plot(time_s, signal_mv[1, : 4 * step] - 7.5, "k", lw=0.7)
    axis.text(0.05, -6.6, "II", fontsize=8)
    axis.set(xlim=(0, 10), ylim=(-8.9, 1.6), aspect=0.4, title=title)
    axis.set_xticks(np.arange(0, 10.1, 0.2), minor=False)
    axis.set_yticks(np.arange(-8.5, 1.6, 0.5))
    axis.grid(color="#f0b8b8", lw=0.5)
    axis.tick_params(labelbottom=False, labelleft=False, length=0)
    figure.savefig(path)


def draw_examples(patients: Patients, rng: np.random.Generator, folder: Path) -> None:
    """Draw the first virtual patient who has one diagnosis and nothing else."""
    findings = findings_of_patients(patients)
    flags = [getattr(findings, f.name) for f in fields(EcgFindings) if f.name != "male"]
    stated = np.sum([flag for flag in flags if flag.dtype == bool], axis=0)
    for name, flag in groups_of(findings).items():
        first = np.flatnonzero(flag & (stated == 1))[:1]
        signal = simulate_ecg(patients.take(first), rng, SIMULATED_FS)[0]
        years, sex = findings.age_y[first[0]], "man" if findings.male[first[0]] else "woman"
        title = f"Virtual patient, {sex} of {years:.0f} years: {name}"
        draw_example(signal, title, folder / f"{name.replace(' ', '-')}.png")


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder with ptbxl")
    parser.add_argument("out", type=Path, help="where the figures go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    patients = sample_patients(N_DRAWN, rng)
    draw_examples(patients, rng, options.out)
    sides = {"PTB-XL": real(options.data / "ptbxl"), "virtual": virtual(patients, rng)}
    draw_distributions(sides, options.out / "distributions.svg")
    print(table(sides))


if __name__ == "__main__":
    main()
