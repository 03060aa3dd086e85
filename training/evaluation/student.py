"""What a trained student is worth: on PTB-XL's test fold, beside ceiling and floors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_core.calibration import apply_platt, apply_widening
from model_core.export import PackageModel
from model_core.measures import FINDINGS, MEASURES
from model_core.runtime.manifest import FindingOutput, MeasureOutput, Metric
from model_core.teachers import FrozenTeacher
from model_core.zero_shot import cosine_similarity, sweep_value
from training.augment import FS, inject_burst
from training.batches import LOG_SPACE, Outputs, Standardiser, run_model, target_values
from training.cohort import Cohort, Split
from training.evaluation.metrics import Estimated, auroc, bootstrap, spearman
from training.evaluation.uncertainty import burst_auroc
from training.run import embed_frames
from training.simulated_cohort import MEASURE_FIELDS, noise_bank
from training.simulation import prompts

FloatArray = NDArray[np.float32]
DATASET = "PTB-XL fold 10, simulated echo outcomes"
SWEEPS = {
    "lvef": np.arange(5, 86),
    "lvedv": np.arange(30, 400, 5),
    "lvesv": np.arange(10, 330, 5),
}
NOISE_LEVELS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
BURST_RMS_MV = 0.3
BURST_S = 1.0


@dataclass(frozen=True)
class TestSet:
    """Test records, one a patient, and their outcomes, (patients, draws) for each measure.

    ``reference`` holds the best possible estimates by measure and finding, where these are known.
    """

    records: NDArray[np.int64]
    ecg_mv: FloatArray
    outcomes: dict[str, FloatArray]
    reference: dict[str, FloatArray]

    @property
    def n_patients(self) -> int:
        """Patients."""
        return len(self.ecg_mv)


def test_set(cohort: Cohort) -> TestSet:
    """The first record of each test patient with an outcome."""
    records = cohort.one_record_per_patient(Split.TEST)
    return TestSet(
        records=records,
        ecg_mv=cohort.ecg_mv[records].astype(np.float32),
        outcomes={key: cohort.outcomes(key, records) for key in MEASURES},
        reference={key: values[records] for key, values in cohort.reference.items()},
    )


def calibrated(
    outputs: Outputs, measures: tuple[MeasureOutput, ...]
) -> dict[str, tuple[FloatArray, FloatArray, FloatArray]]:
    """Low end, value and high end of each measure, in its unit."""
    found = {}
    for column, measure in enumerate(measures):
        ends = apply_widening(outputs.quantiles[:, column], measure.widening)
        found[measure.key] = tuple(np.exp(end) if measure.log_space else end for end in ends)
    return found


@dataclass(frozen=True)
class Comparison:
    """One figure of the student beside ceiling and floors.

    Attributes
    ----------
    name, unit
        As in `Metric`.
    figures
        By estimator: ``student``, ``oracle``, ``constant``, ``random_encoder``.
    """

    name: str
    unit: str
    figures: dict[str, Estimated]


def compare(
    test: TestSet,
    student: Outputs,
    random_encoder: Outputs,
    constants: dict[str, float],
    n_bootstrap: int,
    seed: int,
) -> list[Comparison]:
    """AUROC of LVEF < 40 % and mean absolute errors, with patient bootstrap.

    Parameters
    ----------
    test
        Who is tested.
    student, random_encoder
        Outputs for the test ECGs.
    constants
        Median of each measure over the training patients.
    n_bootstrap, seed
        Of the bootstrap; all estimators share the resamples.
    """
    n = test.n_patients
    found: list[Comparison] = []
    for column, finding in enumerate(FINDINGS.values()):
        labels = test.outcomes[finding.measure_key] < finding.below
        scores = {
            "student": student.finding_logits[:, column],
            "oracle": test.reference[finding.key],
            "random_encoder": random_encoder.finding_logits[:, column],
        }
        figures = {
            who: bootstrap(
                lambda i, s=score, y=labels: auroc(y[i], np.repeat(s[i, None], y.shape[1], 1)),
                n,
                n_bootstrap,
                np.random.default_rng(seed),
            )
            for who, score in scores.items()
        }
        figures["constant"] = Estimated(0.5, 0.5, 0.5)
        found.append(Comparison(f"{finding.label} AUROC", "", figures))
    for column, (key, measure) in enumerate(MEASURES.items()):
        values = {
            "student": _medians(student, column, key),
            "oracle": test.reference[key],
            "constant": np.full(n, constants[key]),
            "random_encoder": _medians(random_encoder, column, key),
        }
        figures = {}
        for who, value in values.items():
            error = np.abs(value[:, None] - test.outcomes[key]).mean(1)
            figures[who] = bootstrap(
                lambda i, e=error: float(e[i].mean()), n, n_bootstrap, np.random.default_rng(seed)
            )
        found.append(Comparison(f"{measure.label} mean absolute error", measure.unit, figures))
    return found


def _medians(outputs: Outputs, column: int, key: str) -> FloatArray:
    median = outputs.quantiles[:, column, 1]
    return np.exp(median) if LOG_SPACE[key] else median


def interval_metrics(
    test: TestSet,
    outputs: Outputs,
    measures: tuple[MeasureOutput, ...],
    n_bootstrap: int,
    seed: int,
) -> list[Metric]:
    """Coverage and mean width of the calibrated intervals."""
    found: list[Metric] = []
    for key, (low, _, high) in calibrated(outputs, measures).items():
        label, unit, level = MEASURES[key].label, MEASURES[key].unit, measures[0].level
        inside = (
            (test.outcomes[key] >= low[:, None]) & (test.outcomes[key] <= high[:, None])
        ).mean(1)
        rows = (
            (f"coverage of the {100 * level:.0f} % interval", 100 * inside, "%"),
            (f"mean width of the {100 * level:.0f} % interval", high - low, unit),
        )
        for what, values, its_unit in rows:
            figure = bootstrap(
                lambda i, v=values: float(v[i].mean()),
                test.n_patients,
                n_bootstrap,
                np.random.default_rng(seed),
            )
            found.append(_metric(f"{label} {what}", figure, its_unit))
    return found


def finding_metrics(
    test: TestSet,
    outputs: Outputs,
    findings: tuple[FindingOutput, ...],
    n_bootstrap: int,
    seed: int,
) -> list[Metric]:
    """Brier score of the calibrated probability, and the prevalence it must be read against."""
    found: list[Metric] = []
    for column, finding in enumerate(findings):
        about = FINDINGS[finding.key]
        labels = test.outcomes[about.measure_key] < about.below
        p = apply_platt(outputs.finding_logits[:, column], finding.slope, finding.offset)
        brier = ((p[:, None] - labels) ** 2).mean(1)
        for what, values, unit in (
            ("Brier score", brier, ""),
            ("mean predicted probability", 100 * p, "%"),
            ("prevalence", 100 * labels.mean(1), "%"),
        ):
            figure = bootstrap(
                lambda i, v=values: float(v[i].mean()),
                test.n_patients,
                n_bootstrap,
                np.random.default_rng(seed),
            )
            found.append(_metric(f"{about.label} {what}", figure, unit))
    return found


def uncertainty_metrics(
    test: TestSet,
    model: PackageModel,
    standardise: Standardiser,
    noise_mv: FloatArray,
    n_bootstrap: int,
    seed: int,
) -> list[Metric]:
    """Whether variance follows noise, finds a burst, and goes with the error of the estimate.

    Parameters
    ----------
    noise_mv
        (patients or more, 12, samples), fresh noise at level 1 that training has not seen.
    """
    rng = np.random.default_rng([seed, 10])
    n = test.n_patients
    totals = np.stack(
        [
            np.exp(run_model(model, standardise, test.ecg_mv + level * noise_mv[:n]).log_var).sum(1)
            for level in NOISE_LEVELS
        ],
        axis=1,
    )
    levels = np.broadcast_to(np.array(NOISE_LEVELS), totals.shape)
    noisy, lead, first = inject_burst(test.ecg_mv, rng, rms_mv=BURST_RMS_MV, duration_s=BURST_S)
    cells = run_model(model, standardise, noisy).segment_log_var
    per_patient = burst_auroc(cells, lead, first, test.ecg_mv.shape[2], round(BURST_S * FS))
    clean = run_model(model, standardise, test.ecg_mv)
    total = np.exp(clean.log_var).sum(1)
    errors = np.abs(_medians(clean, 0, "lvef")[:, None] - test.outcomes["lvef"]).mean(1)

    def resampled(figure: object) -> Estimated:
        return bootstrap(figure, n, n_bootstrap, np.random.default_rng(seed))  # pyright: ignore[reportArgumentType]

    return [
        _metric(
            "Spearman of total variance against noise level",
            resampled(lambda i: spearman(totals[i], levels[i])),
            "",
        ),
        _metric(
            "AUROC of segment variance for a 1 s burst in one lead",
            resampled(lambda i: float(per_patient[i].mean())),
            "",
        ),
        _metric(
            "Spearman of total variance against LVEF error",
            resampled(lambda i: spearman(total[i], errors[i])),
            "",
        ),
    ]


def fresh_noise(n: int, seed: int) -> FloatArray:
    """Noise recordings, (n, 12, samples) in mV, prepared as the ECGs are; none was trained on."""
    return noise_bank(n, np.random.default_rng([seed, 11]))


def zero_shot_values(
    teacher: FrozenTeacher, embeddings_nfd: NDArray[np.floating]
) -> dict[str, NDArray[np.floating]]:
    """Measures read off the shared space by ranking prompts, (n,), in each measure's unit.

    Parameters
    ----------
    teacher
        Embeds the prompts.
    embeddings_nfd
        Unit vectors; F frames of an echo, or one of an ECG.
    """
    found = {}
    for key, values in SWEEPS.items():
        texts = prompts(MEASURE_FIELDS[key], values.astype(float))
        templates = len(texts[0])
        flat = [texts[i][j] for j in range(templates) for i in range(len(values))]
        embedded = teacher.text(flat).numpy()
        found[key] = sweep_value(
            cosine_similarity(embeddings_nfd, embedded), np.tile(values, templates)
        )
    return found


def zero_shot_metrics(
    cohort: Cohort,
    teacher: FrozenTeacher,
    test: TestSet,
    student: Outputs,
    n_bootstrap: int,
    seed: int,
) -> list[Metric]:
    """Errors of the teacher on unseen clips, and of the student through the shared space."""
    records = cohort.records(Split.HELD_OUT)
    studies = cohort.first_study[records]
    frames = embed_frames(teacher, cohort, studies).numpy()
    by_teacher = zero_shot_values(teacher, frames)
    truth = target_values(cohort, studies)
    by_student = zero_shot_values(teacher, student.mean[:, None, :])
    found: list[Metric] = []
    for column, (key, measure) in enumerate(MEASURES.items()):
        true = np.exp(truth[:, column]) if LOG_SPACE[key] else truth[:, column]
        rows = (
            ("teacher, zero-shot", np.abs(by_teacher[key] - true), "held-out simulated clips"),
            (
                "student, zero-shot",
                np.abs(by_student[key][:, None] - test.outcomes[key]).mean(1),
                DATASET,
            ),
        )
        for who, errors, dataset in rows:
            figure = bootstrap(
                lambda i, e=errors: float(e[i].mean()),
                len(errors),
                n_bootstrap,
                np.random.default_rng(seed),
            )
            name = f"{measure.label} mean absolute error ({who})"
            found.append(_metric(name, figure, measure.unit, dataset))
    finding = FINDINGS["lvef_below_40"]
    labels = test.outcomes["lvef"] < finding.below
    score = -by_student["lvef"]
    figure = bootstrap(
        lambda i: auroc(labels[i], np.repeat(score[i, None], labels.shape[1], 1)),
        test.n_patients,
        n_bootstrap,
        np.random.default_rng(seed),
    )
    found.append(_metric(f"{finding.label} AUROC (student, zero-shot)", figure, ""))
    return found


def _metric(name: str, figure: Estimated, unit: str, dataset: str = DATASET) -> Metric:
    return Metric(name, figure.value, figure.low, figure.high, unit, dataset)


def comparison_metrics(comparisons: list[Comparison]) -> list[Metric]:
    """Flat list of all comparisons; the student's keep the plain name."""
    suffix = {
        "student": "",
        "oracle": " (oracle, ceiling)",
        "constant": " (constant, floor)",
        "random_encoder": " (random encoder, floor)",
    }
    return [
        _metric(c.name + suffix[who], figure, c.unit)
        for c in comparisons
        for who, figure in c.figures.items()
    ]
