"""The training commands, end to end on a miniature PTB-XL."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from model_core.domain import distance, domain_features
from model_core.errors import EchoingError
from model_core.measures import MEASURES
from model_core.nn import LeadTokenStudent, MeasureHeads
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.manifest import Manifest
from model_core.runtime.package import load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.text import TextEncoder
from model_core.types import Recording
from tests.ptbxl_miniature import FOLDS, write_miniature
from training import assess, estimates, stages
from training.__main__ import main
from training.alignment import forward_with_gate
from training.augment import augment, inject_burst
from training.batches import Batches, fit_standardiser
from training.checkpoint import load_tensors
from training.cohort import Cohort, Split, load_cohort
from training.config import AugmentConfig, CohortConfig, FitConfig, config_hash
from training.dower import LEAD_VECTORS
from training.evaluation.report_data import HIGH_HALF, LOW_HALF, read_json
from training.recipes import RECIPES, debug
from training.run import STAGES, Run, load_teacher, new_text_encoder
from training.simulated_cohort import PTBXL, UNREAD, VIRTUAL, build_cohort, read_ptbxl_table


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_miniature(folder / "ptbxl")
    return folder


def _run(data: Path, folder: Path) -> Run:
    return Run(
        config=debug(),
        data=data,
        folder=folder / "runs",
        out=folder / "package",
        page=folder / "page.md",
        workers=1,
    )


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = _run(data, tmp_path_factory.mktemp("first"))
    stages.reproduce(run)
    return run


@pytest.fixture(scope="module")
def cohort(finished: Run) -> Cohort:
    return load_cohort(finished.folder / "cohort")


def _manifest(run: Run) -> Manifest:
    return Manifest.from_json((run.out / "manifest.json").read_text(encoding="utf-8"))


def test_the_package_loads_and_passes_its_self_test(finished: Run) -> None:
    package = load_package(finished.out)
    assert Predictor(package).self_test() < 1e-4
    assert package.manifest.caveat == (
        "Demonstration model: trained on simulated echo outcomes. Research use only."
    )
    assert package.manifest.measures[0].n_calibration == 20
    assert package.manifest.segments.scale[0] < package.manifest.segments.scale[1]


def test_sentences_in_the_program_are_those_of_the_run(finished: Run, cohort: Cohort) -> None:
    """Text to embedding by ONNX Runtime and our splitting, against teacher and loss in torch."""
    package = load_package(finished.out)
    echo, ecg = (TextEncoder(part) for part in package.texts)
    assert [part.side.key for part in package.texts] == ["echo", "ecg"]
    sentences = ["LVEF measures 55 percent.", "The left ventricle is severely enlarged.", "LVEF"]
    mean, log_var = echo.encode(sentences)
    expected = load_teacher(finished).text(sentences).numpy()
    np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(log_var, np.log(1e-8), rtol=1e-6)
    state = load_tensors(finished.folder / "finetune/alignment.pt")
    encoder = new_text_encoder(finished, cohort, mean.shape[1])
    encoder.load_state_dict(
        {k.removeprefix("text_encoder."): v for k, v in state.items() if "text_encoder." in k}
    )
    statements = ["Atrial fibrillation.", "Sinus rhythm, normal ECG."]
    with torch.no_grad():
        wanted = encoder.eval()(statements)
    for found, values in zip(ecg.encode(statements), wanted, strict=True):
        np.testing.assert_allclose(found, values.numpy(), rtol=0, atol=1e-5)
    assert echo.part.side.shift == float(state["echo_matching.shift"])
    assert ecg.part.side.negative_scale == float(state["text_matching.negative_scale"])


def test_the_package_knows_its_training_ecgs_from_noise(finished: Run, cohort: Cohort) -> None:
    package = load_package(finished.out)
    assert package.domain is not None
    # The third source, PTB-XL records without statements, holds a single ECG here.
    assert len(package.domain.mean) == 2
    spec = package.manifest.input
    scale = np.array(spec.scale_mv)[:, None]
    trained = cohort.ecg_mv[cohort.records(Split.TRAIN)].astype(np.float64) / scale
    noise = np.random.default_rng(0).normal(size=(20, 12, 1000))
    far = [
        np.median([distance(domain_features(ecg, spec.fs), package.domain) for ecg in ecgs])
        for ecgs in (trained, noise)
    ]
    assert far[0] < 1.5 < far[1]


def test_every_promised_figure_is_in_the_manifest(finished: Run) -> None:
    names = {metric.name for metric in _manifest(finished).metrics}
    estimators = (
        estimates.ORACLE,
        estimates.SCRATCH,
        estimates.PROBE,
        estimates.PROBE_MEAN,
        estimates.PROBE_INFONCE,
        estimates.PROBE_RANDOM,
        estimates.TABULAR,
        estimates.CONSTANT,
        estimates.ZERO_SHOT,
    )
    for who in ("", *(f" ({name})" for name in estimators)):
        for measure in ("LVEF", "LVEDV", "LVESV"):
            assert f"{measure} mean absolute error{who}" in names
    for measure in ("LVEF", "LVEDV", "LVESV"):
        assert f"{measure} coverage of the interval" in names
    assert any("burst of 1 s in one lead" in name for name in names)
    assert any("levels of added noise" in name for name in names)
    assert any("levels of lost leads" in name for name in names)
    assert any("random weights" in name for name in names)


def test_the_manifest_tells_where_estimates_lie_and_what_the_intervals_held(finished: Run) -> None:
    manifest = _manifest(finished)
    metrics = {metric.name: metric.value for metric in manifest.metrics}
    assert [found.key for found in manifest.validation] == ["lvef", "lvedv", "lvesv"]
    for found, measure in zip(manifest.validation, manifest.measures, strict=True):
        assert sum(found.counts) == measure.n_calibration
        # The evaluation measures the same coverage in its own way.
        name = f"{MEASURES[found.key].label} coverage of the interval"
        assert found.held[0] == pytest.approx(metrics[name], abs=1e-6)
        assert 0 < measure.core_share <= 1
        assert found.core_held[0] <= found.held[0]


def test_page_card_and_report_hold_the_figures(finished: Run) -> None:
    page = finished.page.read_text(encoding="utf-8") if finished.page else ""
    card = (finished.out / "MODEL_CARD.md").read_text(encoding="utf-8")
    report = read_json(finished.folder / "evaluate/report.json")
    figure = report.find(estimates.MODEL, "lvef", "mae")
    assert figure is not None
    html = (finished.folder / "evaluate/report.html").read_text(encoding="utf-8")
    for text in (page, card, html):
        assert f"{figure.value:.2f}" in text or f"{figure.value:.1f}" in text
        assert estimates.SCRATCH in text
    assert "### Targets" in card
    # As the paper does, also of what is read without fine-tuning.
    for estimator in (estimates.MODEL, estimates.ZERO_SHOT, estimates.PROBE):
        for group in (LOW_HALF, HIGH_HALF):
            assert report.find(estimator, "lvef", "mae", group) is not None
        assert report.find(estimator, "lvef", "error_trend") is not None
        assert report.find(estimator, "lvef", "aurc") is not None
    assert report.find(estimates.PROBE_MEAN, "lvef", "aurc") is None
    # Every finding has a few-shot curve; few enough are there for k = 1 and 2 alone.
    kinds = {curve.kind for curve in report.curves}
    assert "response" in kinds


def test_few_shots_by_command(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fewshot", "--runs", str(finished.folder), "--recipe", "debug"]
    assert main([*arguments, "--shots", "1", "2", "--draws", "3"]) == 0
    rows = (finished.folder / "fewshot.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "finding,figure,shots,value,low,high"
    assert any(row.startswith("lvef_below_50,") for row in rows)
    assert capsys.readouterr().out.splitlines() == rows
    assert main(["fewshot", "--runs", str(finished.folder), "--recipe", "quick"]) == 1
    assert "no distilled student of the recipe quick" in capsys.readouterr().err


def test_a_foreign_model_is_compared_by_its_embeddings(
    finished: Run, cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [i for i, s in zip(cohort.record_ids, cohort.source, strict=True) if s == 0]
    features = np.random.default_rng(0).normal(size=(len(ids), 4))
    table = pa.table({"record_id": ids, "embedding": list(features)})
    pq.write_table(table, tmp_path / "other.parquet")
    run = dataclasses.replace(finished, embeddings={"Other model": tmp_path / "other.parquet"})
    assess.evaluate(run, tmp_path)
    report = read_json(tmp_path / "report.json")
    assert "Other model" in report.estimators
    assert report.find("Other model", "lvef", "mae") is not None
    assert any(
        c.estimator == "Other model" and c.kind == "few_shot_auroc" and len(c.x) > 0
        for c in report.curves
    )
    arguments = ["evaluate", "--recipe", "debug", "--embeddings", "Other=nowhere.parquet"]
    assert main(arguments) == 1
    assert "names no file" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_model(data: Path, finished: Run, tmp_path: Path) -> None:
    second = _run(data, tmp_path)
    stages.reproduce(second)
    assert _manifest(second).metrics == _manifest(finished).metrics
    assert _manifest(second).measures == _manifest(finished).measures
    first_weights = (finished.out / "student.onnx").read_bytes()
    assert (second.out / "student.onnx").read_bytes() == first_weights


def test_finished_stages_are_skipped_and_a_lost_one_is_made_again(
    data: Path, finished: Run, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder, tmp_path / "runs")
    run = _run(data, tmp_path)
    assert not any(stages.run_stage(run, name) for name in STAGES[:-1])
    shutil.rmtree(run.folder / "finetune")
    shutil.rmtree(run.folder / "calibrate")
    with pytest.raises(EchoingError, match="'finetune' first"):
        stages.run_stage(run, "calibrate")
    assert stages.run_stage(run, "finetune")
    assert stages.run_stage(run, "calibrate")
    found = (run.folder / "calibrate/calibration.json").read_bytes()
    assert found == (finished.folder / "calibrate/calibration.json").read_bytes()


def test_other_settings_do_not_reuse_a_stage(data: Path, finished: Run) -> None:
    config = finished.config
    other = dataclasses.replace(finished, config=dataclasses.replace(config, seed=config.seed + 1))
    with pytest.raises(EchoingError, match="'cohort' first"):
        stages.run_stage(other, "teacher")


# --- the cohort ---


def test_splits_follow_the_folds_and_share_no_patient(cohort: Cohort) -> None:
    real = cohort.source == cohort.source_names.index(PTBXL)
    folds = np.array(FOLDS)
    expected = np.select([folds == 9, folds == 10], [Split.CALIBRATION, Split.TEST], Split.TRAIN)
    assert (cohort.split[real] == expected).all()
    for split in Split:
        own = set(cohort.patient[cohort.split == split])
        assert not own & set(cohort.patient[cohort.split != split])


def test_records_without_statements_have_no_outcome(cohort: Cohort) -> None:
    assert (cohort.source == cohort.source_names.index(PTBXL)).sum() == 64
    unread = cohort.records(Split.TRAIN, UNREAD)
    assert len(unread) == 1
    assert cohort.n_studies[unread[0]] == 0
    assert cohort.ecg_text[unread[0]] == ""


def test_of_records_without_statements_age_and_sex_are_known_and_the_ecg_is_measured(
    cohort: Cohort,
) -> None:
    row = cohort.records(Split.TRAIN, UNREAD)[0]
    assert cohort.ecg_labels["male"][row] in (0, 1)
    assert cohort.ecg_labels["older_than_65"][row] == (cohort.ecg_values["age_y"][row] > 65)
    assert np.isnan(cohort.ecg_labels["af"][row])
    virtual = cohort.records(Split.TRAIN, VIRTUAL)
    assert 0.9 < np.isfinite(cohort.ecg_values["qrs_ms"][virtual]).mean() <= 1
    assert 60 < np.nanmedian(cohort.ecg_values["qrs_ms"][virtual]) < 140


def test_one_record_a_patient(cohort: Cohort) -> None:
    all_rows = cohort.records(Split.TRAIN, PTBXL)
    rows = cohort.one_record_per_patient(Split.TRAIN, PTBXL)
    assert len(all_rows) == 28
    assert len(rows) == 27  # one patient has two
    assert len(set(cohort.patient[rows])) == 27


def test_several_outcomes_are_drawn_for_a_patient_that_is_not_trained_on(cohort: Cohort) -> None:
    rows = cohort.one_record_per_patient(Split.TEST, PTBXL)
    lvef = cohort.outcomes("lvef", rows)
    assert lvef.shape == (16, 20)
    assert (lvef.std(axis=1) > 0).all()
    edv, esv = cohort.outcomes("lvedv", rows), cohort.outcomes("lvesv", rows)
    assert np.allclose(lvef, 100 * (edv - esv) / edv, atol=0.01)


def test_test_patients_have_no_clip_to_train_on(cohort: Cohort) -> None:
    unseen = np.flatnonzero(np.isin(cohort.split, (Split.CALIBRATION, Split.TEST)))
    for row in unseen:
        studies = slice(cohort.first_study[row], cohort.first_study[row] + cohort.n_studies[row])
        assert (cohort.clip_row[studies] == -1).all()


def test_stored_ecgs_are_what_prepare_gives(cohort: Cohort) -> None:
    """Filtering, resampling and standardising here must equal the run time's."""
    standardise = fit_standardiser(cohort, PTBXL)
    spec = PreprocessSpec(
        mean_mv=tuple(float(v) for v in standardise.mean_mv),
        scale_mv=tuple(float(v) for v in standardise.scale_mv),
    )
    rng = np.random.default_rng(0)
    signal_mv = rng.normal(size=(12, 2500)).astype(np.float32)
    recording = Recording("ab", signal_mv, 250.0, spec.lead_names, "x")
    neutral = prepare(recording, PreprocessSpec())
    assert np.allclose(standardise(neutral).numpy(), prepare(recording, spec), atol=1e-5)


def test_number_of_processes_changes_nothing(data: Path, tmp_path: Path) -> None:
    config = CohortConfig(n_virtual=6, n_held_out=2, train_draws=2, train_clips=1, n_frames=4)
    config = dataclasses.replace(config, frame_size=32, chunk=4, n_noise=2)
    for workers in (1, 2):
        build_cohort(data, tmp_path / str(workers), config, 1, workers)
    for name in ("ecg_mv.npy", "clips.npy", "texts.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


# --- one sentence before hours are lost ---


def test_missing_data_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "p"), "--runs", str(tmp_path)]
    assert main(["run", "--recipe", "debug", *arguments]) == 1
    error = capsys.readouterr().err
    assert "there is no ptbxl_database.csv" in error
    assert "Traceback" not in error


def _edited_table(data: Path, folder: Path, old: str, new: str) -> Path:
    target = folder / "ptbxl"
    shutil.copytree(data / "ptbxl", target)
    table = target / "ptbxl_database.csv"
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")
    return target


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scp_codes", "codes", "lacks the column scp_codes"),
        (",9,records", ",8,records", "folds 1 to 8, 9 and 10"),
        ("00005_lr", "77777_lr", "the first is records100/00000/77777_lr"),
    ],
)
def test_faults_of_the_table_are_named(
    data: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(EchoingError, match=message):
        read_ptbxl_table(_edited_table(data, tmp_path, old, new))


def test_a_patient_in_two_splits_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "ptbxl", tmp_path / "ptbxl")
    table = tmp_path / "ptbxl/ptbxl_database.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    fields = lines[-2].split(",")  # the last patient of fold 10 becomes one of fold 1
    fields[1] = "2.0"
    lines[-2] = ",".join(fields)
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(EchoingError, match="two splits"):
        build_cohort(tmp_path, tmp_path / "cohort", debug().cohort, 1, 1)


def test_impossible_settings_are_named() -> None:
    with pytest.raises(EchoingError, match="steps_per_epoch"):
        FitConfig(steps=2, steps_per_epoch=3, batch=4, learning_rate=1e-3)
    with pytest.raises(EchoingError, match="multiple of 16"):
        CohortConfig(n_virtual=1, n_held_out=1, train_draws=1, train_clips=1, frame_size=30)


def test_recipes_differ_and_hash_by_value() -> None:
    hashes = {name: config_hash(recipe()) for name, recipe in RECIPES.items()}
    assert len(set(hashes.values())) == len(RECIPES)
    assert config_hash(debug()) == hashes["debug"]


# --- augmentation and the gate ---


def test_augmentation_adds_noise_only_where_it_may() -> None:
    rng = np.random.default_rng(0)
    ecg = rng.normal(size=(40, 12, 1000)).astype(np.float32)
    noise = rng.normal(size=(4, 12, 1000)).astype(np.float32)
    config = AugmentConfig(
        noise_share=0.0, burst_share=0.0, drop_share=0.5, gain_jitter=0.0, turn_deg=0.0
    )
    made = augment(ecg, noise, config, rng)
    dropped = ~made.keep
    assert np.array_equal(made.clean_mv[made.keep], made.noisy_mv[made.keep])
    assert (made.clean_mv[dropped] != 0).any()
    assert 0 < dropped.any(axis=1).mean() < 1
    assert dropped.sum(axis=1).max() <= 6
    assert (made.noisy_mv[dropped] == 0).all()
    spread = np.abs(made.noisy_mv[made.keep]).std(axis=1)
    assert (spread > 0).all()


def test_a_turned_heart_keeps_einthoven_and_the_dipole_size() -> None:
    rng = np.random.default_rng(0)
    dipole = rng.normal(size=(30, 3, 1000)).astype(np.float32)
    own = LEAD_VECTORS.astype(np.float32) @ dipole
    i, ii = own[:, 0], own[:, 1]
    limbs = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    ecg = np.concatenate([np.stack(limbs, 1), own[:, 2:]], 1)
    still = AugmentConfig(
        noise_share=0, burst_share=0, drop_share=0, max_shift_s=0, gain_jitter=0, pace_jitter=0
    )
    turned = augment(ecg, ecg[:2], still, rng).clean_mv
    assert np.allclose(turned[:, 2], turned[:, 1] - turned[:, 0], atol=1e-5)
    assert np.allclose(turned[:, 3:6].sum(1), 0, atol=1e-5)
    found = np.linalg.pinv(LEAD_VECTORS) @ turned[:, [0, 1, 6, 7, 8, 9, 10, 11]]
    length = np.linalg.norm(found, axis=1) / np.linalg.norm(dipole, axis=1)
    assert np.allclose(length, 1, atol=0.15)
    cosine = (
        (found * dipole).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(dipole, axis=1)
    )
    angle_deg = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    assert 5 < angle_deg.mean() < 15


def test_the_pace_of_time_changes_the_heart_rate() -> None:
    beats = np.zeros((50, 12, 1000), np.float32)
    beats[:, :, ::50] = 1.0
    config = AugmentConfig(
        noise_share=0, burst_share=0, drop_share=0, gain_jitter=0, turn_deg=0, pace_jitter=0.1
    )
    made = augment(beats, beats[:2], config, np.random.default_rng(0)).clean_mv
    peaks = [np.flatnonzero(row > 0.3 * row.max()) for row in made[:, 0]]
    spacing = np.array([np.median(np.diff(p)[np.diff(p) > 5]) for p in peaks])
    assert 35 < spacing.min() < 49
    assert 51 < spacing.max() < 70


def test_augmentation_by_its_seed_alone() -> None:
    ecg = np.random.default_rng(0).normal(size=(8, 12, 1000)).astype(np.float32)
    noise = ecg[:3]
    made = [augment(ecg, noise, AugmentConfig(), np.random.default_rng(5)) for _ in range(2)]
    assert np.array_equal(made[0].noisy_mv, made[1].noisy_mv)
    assert not np.array_equal(made[0].clean_mv, made[0].noisy_mv)


def test_injected_burst_is_where_it_says() -> None:
    ecg = np.zeros((20, 12, 1000), np.float32)
    noisy, lead, first = inject_burst(ecg, np.random.default_rng(0), rms_mv=0.3)
    for item in range(20):
        part = noisy[item, lead[item], first[item] : first[item] + 100]
        assert part.std() == pytest.approx(0.3, rel=0.1)
        assert np.count_nonzero(noisy[item]) <= 100


def test_the_gate_loss_moves_nothing_after_the_patches(cohort: Cohort) -> None:
    batches = Batches(cohort, fit_standardiser(cohort, PTBXL), debug().augment, {})
    student = LeadTokenStudent(patch_width=16, width=16, n_blocks=1)
    ecgs = batches.ecgs(np.arange(8), np.random.default_rng(0))
    forward_with_gate(student, ecgs)[1].backward()
    moved = {n for n, p in student.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("gate.") for name in moved)
    assert all(name.startswith(("gate.", "stem.")) for name in moved)


def test_history_shows_pseudo_positives(finished: Run) -> None:
    history = json.loads((finished.folder / "distill/history.json").read_text(encoding="utf-8"))
    assert len(history) == finished.config.distill.fit.n_epochs
    assert all("echo_mean_loss" in epoch and "text_mean_loss" in epoch for epoch in history)
    assert "echo_pseudo_positives_per_anchor" in history[-1]


def test_moved_medians_take_their_intervals_along() -> None:
    torch.manual_seed(0)
    heads = MeasureHeads(8, [57.0, 4.6], [9.0, 0.3], 1).eval()
    mean, log_var = torch.randn(5, 8), torch.randn(5, 8)
    before = heads(mean, log_var)
    offset, slope = torch.tensor([-20.0, 0.5]), torch.tensor([1.3, 0.9])
    heads.move_medians(offset, slope)
    after = heads(mean, log_var)
    wanted = offset + slope * before.quantiles_bm3[..., 1]
    torch.testing.assert_close(after.quantiles_bm3[..., 1], wanted)
    torch.testing.assert_close(
        after.quantiles_bm3.diff(dim=2), before.quantiles_bm3.diff(dim=2), atol=1e-4, rtol=1e-5
    )
    torch.testing.assert_close(after.finding_logits_bf, before.finding_logits_bf)
