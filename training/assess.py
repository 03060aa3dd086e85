"""The stage `evaluate`: every figure of a run, on the test split, beside ceiling and baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from model_core.export import PackageModel
from model_core.nn import LeadTokenStudent, Student
from training.augment import FS, inject_burst
from training.batches import (
    Standardiser,
    measure_keys,
    run_model,
)
from training.checkpoint import save_json, write_atomic
from training.cohort import Cohort, FloatArray, IntArray
from training.estimates import (
    BANDS_PCT,
    ESTIMATED_BAND,
    ORACLE,
    TRUE_BAND,
    Parts,
    all_estimates,
    parts_of,
    teacher_notes,
)
from training.evaluation.arrays import (
    band_labels,
    known_findings,
)
from training.evaluation.core import evaluate as measure_all
from training.evaluation.metrics import bootstrap
from training.evaluation.report_data import Curve, Report, Target, write_json
from training.evaluation.targets import (
    default_targets,
    map_targets,
    ranking_target,
    response_curve,
    response_targets,
)
from training.evaluation.uncertainty import (
    burst_auroc,
    lead_loss_response,
    map_similarity,
    noise_response,
)
from training.external import (
    INFARCTION,
    LBBB,
    NORMAL,
    ExternalSet,
    prepared,
    rank_below,
    read_challenge,
    read_ludb,
)
from training.report import markdown, write_html
from training.report.text import target_value
from training.run import (
    Run,
    calibrated_model,
    new_student,
    the_cohort,
)
from training.simulated_cohort import noise_bank

NOISE_LEVELS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
LOST_LEADS = (0, 1, 2, 4, 6)
BURST_RMS_MV = 0.3
BURST_S = 1.0
# Networks with random weights that the map is compared with.
RANDOM_DRAWS = 20


def evaluate(run: Run, folder: Path) -> None:
    """Measure everything, one ECG a patient; write report.json, report.html and summary.json."""
    cohort = the_cohort(run)
    parts = parts_of(run, cohort)
    train, calibration, test = parts.subjects()
    findings = [f for f in known_findings() if f.measure in test.outcomes]
    model = calibrated_model(run, cohort)
    estimates, curves = all_estimates(run, parts, model, findings, (train, calibration, test))
    if "lvef" in estimates[0].values:
        bands = band_labels(estimates[0].values["lvef"], BANDS_PCT, "%")
        test = dataclasses.replace(test, groups={**test.groups, ESTIMATED_BAND: bands})
    config = run.config.evaluate
    kind = "simulated echo outcomes" if cohort.simulated_outcomes else "measured echo outcomes"
    report = measure_all(
        test,
        estimates,
        findings=findings,
        title="Evaluation",
        dataset=f"Test patients of {', '.join(_sources(cohort, parts.test))}, {kind}",
        n_bootstrap=config.n_bootstrap,
        seed=run.config.seed,
        least=10,
    )
    damage_curves, targets = _uncertainty(run, parts, model)
    targets += _other_sources(run, parts, model)
    own = default_targets(
        report, ORACLE if cohort.reference else None, not_judged=(f"{TRUE_BAND}:",)
    )
    report = dataclasses.replace(
        report,
        curves=[*report.curves, *curves, *damage_curves],
        targets=[*own, *targets],
        notes=[*report.notes, *teacher_notes(run, cohort)],
    )
    write_json(report, folder / "report.json")
    write_html(report, folder / "report.html")
    text = markdown(report, level=3) + _targets(report)
    write_atomic(folder / "report.md", lambda file: file.write(text.encode()))
    save_json(folder / "summary.json", _summary(report))


def _targets(report: Report) -> str:
    """Markdown table of what was wanted and what was found."""
    words = {True: "met", False: "not met", None: "no verdict"}
    rows = ["", "### Targets", "", "| | found | wanted | |", "|---|---|---|---|"]
    rows += [
        f"| {t.name} | {target_value(t)} | {t.wanted} | {words[t.met]} |" for t in report.targets
    ]
    return "\n".join(rows) + "\n\n"


def _sources(cohort: Cohort, records: IntArray) -> list[str]:
    return [cohort.source_names[number] for number in np.unique(cohort.source[records])]


# --- what the variance tells ---


def _uncertainty(run: Run, parts: Parts, model: PackageModel) -> tuple[list[Curve], list[Target]]:
    ecg_mv = parts.cohort.ecg_mv[parts.test].astype(np.float32)
    n_bootstrap, seed = run.config.evaluate.n_bootstrap, run.config.seed
    n = len(ecg_mv)

    def total_variance(values_mv: FloatArray) -> FloatArray:
        return np.exp(run_model(model, parts.standardise, values_mv).log_var).sum(1)

    def without_leads(values_mv: FloatArray) -> FloatArray:
        """Total variance with flat leads declared missing, as the input gate declares them."""
        return _total_variance_of_kept(model.student, parts.standardise, values_mv)

    # Noise that training has not seen: another seed.
    noise_mv = noise_bank(n, np.random.default_rng([seed, 11]))
    noise = noise_response(total_variance, ecg_mv, noise_mv, NOISE_LEVELS, n_bootstrap, seed)
    leads = lead_loss_response(without_leads, ecg_mv, LOST_LEADS, n_bootstrap, seed)
    curves = [response_curve("noise level", noise), response_curve("lost leads", leads)]
    targets = [*response_targets("added noise", noise), *response_targets("lost leads", leads)]
    if not isinstance(model.student, LeadTokenStudent):
        return curves, targets  # its map has one row for all leads
    rng = np.random.default_rng([seed, 10])
    noisy, lead, first = inject_burst(ecg_mv, rng, rms_mv=BURST_RMS_MV, duration_s=BURST_S)
    cells = run_model(model, parts.standardise, noisy).segment_log_var
    per_ecg = burst_auroc(cells, lead, first, ecg_mv.shape[2], round(BURST_S * FS))
    burst = bootstrap(
        lambda rows: float(per_ecg[rows].mean()), n, n_bootstrap, np.random.default_rng(seed)
    )
    clean = run_model(model, parts.standardise, ecg_mv).segment_log_var
    of_random = [
        run_model(random.eval(), parts.standardise, ecg_mv).segment_log_var
        for random in _random_models(run, model)
    ]
    similarity = map_similarity(clean, of_random, n_bootstrap, seed)
    return curves, [*targets, *map_targets(burst, similarity)]


def _random_models(run: Run, model: PackageModel) -> Iterator[PackageModel]:
    dim = model.student.embedding_dim
    return (PackageModel(new_student(run, dim, draw), model.heads) for draw in range(RANDOM_DRAWS))


@torch.no_grad()
def _total_variance_of_kept(
    student: Student, standardise: Standardiser, ecg_mv: FloatArray
) -> FloatArray:
    keep = torch.from_numpy((ecg_mv != 0).any(2))
    out = student(standardise(ecg_mv), keep)
    return out.log_var_bd.exp().sum(1).numpy()


def _other_sources(run: Run, parts: Parts, model: PackageModel) -> list[Target]:
    """Whether blocks and infarctions of other sources rank below normal, without any refit."""
    readers: tuple[tuple[str, Callable[[Path], ExternalSet]], ...] = (
        ("challenge", read_challenge),
        ("ludb", read_ludb),
    )
    targets: list[Target] = []
    for name, read in readers:
        if not (run.data / name).is_dir():
            continue
        external = read(run.data / name)
        outputs = run_model(model, parts.standardise, prepared(external))
        lvef = outputs.quantiles[:, measure_keys(parts.cohort).index("lvef"), 1]
        for diagnosis in (LBBB, INFARCTION):
            cases, normal = external.diagnoses[diagnosis], external.diagnoses[NORMAL]
            ranking = rank_below(lvef, cases, normal, run.config.evaluate.n_bootstrap)
            if ranking is not None:
                targets.append(
                    ranking_target(
                        f"{external.name}, {diagnosis}",
                        ranking.auroc,
                        ranking.low,
                        ranking.high,
                        (ranking.n_cases, ranking.n_normal),
                    )
                )
    return targets


# --- for the package ---


def _summary(report: Report) -> dict[str, object]:
    """Figures that go into the manifest: of everyone, of each estimator; and the targets."""
    named = {
        "auroc": "{} AUROC",
        "mae": "{} mean absolute error",
        "coverage": "{} coverage of the interval",
        "width": "{} mean width of the interval",
        "brier": "{} Brier score",
        "prevalence": "{} prevalence",
    }
    metrics: list[list[object]] = []
    for figure in report.figures:
        if figure.group or figure.quantity not in named or np.isnan(figure.value):
            continue
        own = figure.estimator in (report.estimators[0], "")
        suffix = "" if own else f" ({figure.estimator})"
        name = named[figure.quantity].format(report.labels[figure.target]) + suffix
        metrics.append([name, figure.value, figure.low, figure.high, figure.unit, report.dataset])
    for target in report.targets:
        if not np.isnan(target.value):
            low, high = (target.value if np.isnan(v) else v for v in (target.low, target.high))
            metrics.append([target.name, target.value, low, high, "", report.dataset])
    return {"metrics": metrics}
