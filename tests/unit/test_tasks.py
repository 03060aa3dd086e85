"""Cohorts, batches and losses of the trainings, on a cohort made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model_core.errors import EchoingError
from model_core.losses import masked_bce, pinball_loss, smooth_matches
from model_core.nn import LeadTokenStudent, StudentOutput
from model_core.teachers import EcgTextEncoder, build_vocabulary
from training.alignment import Alignment, TeacherGaussians
from training.augment import draw_mixing, mix_rows, mix_signals
from training.batches import (
    Batches,
    Standardiser,
    embedded_studies,
    finding_keys,
    measure_keys,
    target_values,
)
from training.cohort import Cohort, Split, assert_disjoint, load_cohort, save_cohort
from training.config import AugmentConfig, DistillConfig, FinetuneConfig, FitConfig
from training.tasks import (
    CourseTask,
    DistillTask,
    FinetuneTask,
    create_heads,
    displacement,
    error_of_values,
    standard_values,
)

N = 40
DIM = 16
NO_CHANGE = AugmentConfig(
    noise_share=0.0, burst_share=0.0, drop_share=0.0, max_shift_s=0.0, gain_jitter=0.0
)
FIT = FitConfig(steps=2, steps_per_epoch=2, batch=8, learning_rate=1e-3)
STANDARD = Standardiser(np.zeros(12, np.float32), np.ones(12, np.float32))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small to share out
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cohort() -> Cohort:
    """20 records of source a with one study each, 20 of source b with text only."""
    rng = np.random.default_rng(0)
    has_study = np.arange(N) < N // 2
    lvef = rng.uniform(20, 70, N // 2).astype(np.float32)
    lvef[3] = np.nan
    return Cohort(
        ecg_mv=rng.normal(size=(N, 12, 1000)).astype(np.float16),
        patient=np.arange(N),
        split=np.full(N, Split.TRAIN),
        source=np.where(has_study, 0, 1),
        source_names=["a", "b"],
        first_study=np.where(has_study, np.arange(N), 0),
        n_studies=has_study.astype(int),
        measures={"lvef": lvef, "e_over_e_prime": np.ones(N // 2, np.float32)},
        clip_row=np.full(N // 2, -1),
        ecg_text=["" if flag else f"text {i % 3}" for i, flag in enumerate(has_study)],
        noise_mv=np.zeros((2, 12, 1000), np.float32),
        simulated_outcomes=False,
        data_sha256={"a": "00"},
        ecg_labels={"af": np.where(has_study, 1.0, np.nan).astype(np.float32)},
        ecg_values={
            "qrs_ms": np.where(np.arange(N) == 1, np.nan, 80.0 + np.arange(N)).astype(np.float32),
            "pr_ms": np.full(N, np.nan, np.float32),
        },
        groups={"sex": ["men"] * N},
    )


def _gaussians(n: int, known: int) -> TeacherGaussians:
    torch.manual_seed(1)
    mean = torch.nn.functional.normalize(torch.randn(n, DIM), dim=1)
    mean[known:] = torch.nan
    return TeacherGaussians(mean, torch.full((n, DIM), -6.0))


def _config(**changes: object) -> DistillConfig:
    return dataclasses.replace(DistillConfig(fit=FIT), **changes)  # pyright: ignore[reportArgumentType]


def _alignment(cohort: Cohort, config: DistillConfig) -> Alignment:
    torch.manual_seed(2)
    encoder = EcgTextEncoder(build_vocabulary(cohort.ecg_text, range(5)), embedding_dim=DIM)
    return Alignment(cohort, _gaussians(N // 2, 15), encoder, config).eval()


def _student() -> LeadTokenStudent:
    torch.manual_seed(3)
    return LeadTokenStudent(patch_width=16, width=16, n_blocks=1, embedding_dim=DIM)


def _output(n: int) -> StudentOutput:
    torch.manual_seed(4)
    mean = torch.nn.functional.normalize(torch.randn(n, DIM), dim=1).requires_grad_()
    log_var = torch.full((n, DIM), -5.0, requires_grad=True)
    return StudentOutput(mean, log_var, torch.zeros(n, 12, 20))


# --- the cohort ---


def test_a_cohort_is_read_as_it_was_written(cohort: Cohort, tmp_path: Path) -> None:
    save_cohort(tmp_path, cohort)
    again = load_cohort(tmp_path)
    for field in dataclasses.fields(Cohort):
        first, second = getattr(cohort, field.name), getattr(again, field.name)
        if isinstance(first, np.ndarray):
            assert np.array_equal(first, second, equal_nan=True), field.name
        elif isinstance(first, dict) and field.name.startswith(("meas", "ecg_", "ref")):
            assert first.keys() == second.keys()
            assert all(np.array_equal(first[k], second[k], equal_nan=True) for k in first)
        else:
            assert first == second, field.name
    save_cohort(tmp_path, again)  # over itself: the large arrays are where they belong already
    assert np.array_equal(load_cohort(tmp_path).ecg_mv, cohort.ecg_mv)


def test_a_folder_without_cohort_is_named(tmp_path: Path) -> None:
    with pytest.raises(EchoingError, match="no cohort in"):
        load_cohort(tmp_path)


def test_a_patient_in_two_splits_is_found(cohort: Cohort) -> None:
    assert_disjoint(cohort)
    patient, split = cohort.patient.copy(), cohort.split.copy()
    patient[1] = patient[0]
    split[1] = Split.TEST
    with pytest.raises(EchoingError, match="1 patients are in two splits"):
        assert_disjoint(dataclasses.replace(cohort, patient=patient, split=split))


def test_outcomes_of_records_with_unequal_numbers_of_studies(cohort: Cohort) -> None:
    n_studies = cohort.n_studies.copy()
    n_studies[5] = 3
    changed = dataclasses.replace(cohort, n_studies=n_studies)
    found = changed.outcomes("lvef", np.array([4, 5, 30]))
    lvef = cohort.measures["lvef"]
    expected = [[lvef[4], np.nan, np.nan], list(lvef[5:8]), [np.nan] * 3]
    assert np.array_equal(found, np.array(expected, np.float32), equal_nan=True)


def test_heads_are_made_for_what_was_measured(cohort: Cohort) -> None:
    assert measure_keys(cohort) == ("lvef",)
    assert list(finding_keys(cohort)) == ["lvef_below_40"]
    values = target_values(cohort, np.array([2, -1]))
    assert values.shape == (2, 1)
    assert values[0, 0] == cohort.measures["lvef"][2]
    assert np.isnan(values[1, 0])


# --- batches ---


def test_shares_decide_how_many_come_from_each_source(cohort: Cohort) -> None:
    batches = Batches(cohort, STANDARD, NO_CHANGE, {"a": 0.25, "b": 0.75})
    everyone = np.ones(N, bool)
    records = batches.records(np.random.default_rng(0), 16, source=None, among=everyone)
    assert [(cohort.source[records] == s).sum() for s in (0, 1)] == [4, 12]
    only = batches.records(np.random.default_rng(0), 16, source="b", among=everyone)
    assert (cohort.source[only] == 1).all()


def test_faults_of_a_recipe_are_named(cohort: Cohort) -> None:
    with pytest.raises(EchoingError, match="names c, which the cohort does not have"):
        Batches(cohort, STANDARD, NO_CHANGE, {"c": 1.0})
    batches = Batches(cohort, STANDARD, NO_CHANGE, {})
    with pytest.raises(EchoingError, match="No training record"):
        batches.records(np.random.default_rng(0), 4, source=None, among=np.zeros(N, bool))


def test_only_the_first_studies_with_a_target_are_drawn(cohort: Cohort) -> None:
    n_studies = np.where(cohort.n_studies > 0, 2, 0)
    changed = dataclasses.replace(cohort, n_studies=n_studies)
    known = np.zeros(N // 2, bool)
    known[[0, 1, 2, 5]] = True
    counts = embedded_studies(changed, known)
    # Record i has the studies i and i + 1; a gap ends the count.
    assert counts[:6].tolist() == [2, 2, 1, 0, 0, 1]
    assert (counts[N // 2 :] == 0).all()
    batches = Batches(changed, STANDARD, NO_CHANGE, {})
    drawn = batches.studies(np.array([2] * 50 + [3] * 5), np.random.default_rng(0), counts)
    assert set(drawn[:50]) == {2}
    assert set(drawn[50:]) == {-1}


# --- mixing (PCME++'s mixed sample augmentation) ---


def test_mixed_signals_hold_the_stated_share_of_each_item() -> None:
    rng = np.random.default_rng(0)
    mixing = draw_mixing(400, 1000, 0.25, rng)
    mixed = mixing.share < 1
    assert 0.18 < mixed.mean() < 0.32
    assert np.array_equal(mixing.partner, np.arange(400)[::-1])
    # Item i holds the constant i: what is in the mixture can be read off its mean.
    signals = np.broadcast_to(np.arange(400.0, dtype=np.float32)[:, None, None], (400, 2, 1000))
    found = mix_signals(signals.copy(), mixing).mean((1, 2))
    expected = mixing.share * np.arange(400) + (1 - mixing.share) * np.arange(400)[::-1]
    assert np.allclose(found, expected, atol=0.05)
    cut = mixing.span[:, 1] > mixing.span[:, 0]
    assert 0.3 < cut[mixed].mean() < 0.7
    assert not cut[~mixed].any()


def test_targets_are_mixed_like_the_signals() -> None:
    mixing = draw_mixing(6, 1000, 1.0, np.random.default_rng(1))
    matched = mix_rows(np.eye(6, dtype=np.float32), mixing)
    assert np.allclose(matched.sum(1), 1)
    assert np.allclose(np.diagonal(matched), mixing.share)
    assert np.allclose(matched[np.arange(6), mixing.partner], 1 - mixing.share)


def test_smoothed_matches() -> None:
    found = smooth_matches(torch.tensor([[1.0, 0.0, 0.5]]), 0.1)
    assert torch.allclose(found, torch.tensor([[0.9, 0.1, 0.5]]))


def test_what_was_not_measured_counts_for_nothing() -> None:
    quantiles = torch.randn(3, 2, 3, requires_grad=True)
    target = torch.tensor([[1.0, torch.nan], [0.5, 2.0], [torch.nan, torch.nan]])
    loss = pinball_loss(quantiles, target, (0.05, 0.5, 0.95))
    loss.backward()
    gradient = quantiles.grad
    assert gradient is not None
    assert (gradient[target.isnan()] == 0).all()
    rows = ~target.isnan()
    level = torch.tensor([0.05, 0.5, 0.95])
    error = (target[rows][:, None] - quantiles.detach()[rows]).double()
    expected = torch.maximum(level * error, (level - 1) * error).mean()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-6)
    labels = torch.tensor([[1.0], [torch.nan]])
    logits = torch.tensor([[0.3], [9.0]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:1], labels[:1])
    assert torch.isclose(masked_bce(logits, labels), expected)


# --- alignment ---


def test_each_term_counts_the_items_that_have_what_it_needs(cohort: Cohort) -> None:
    config = _config()
    alignment = _alignment(cohort, config)
    records = np.array([0, 1, 18, 20, 21, 22])  # echo, echo, study without target, texts
    studies = np.array([0, 1, 18, -1, -1, -1])
    out = _output(6)
    loss, figures = alignment(out, records, studies, None, 1.0)
    assert "echo_matching_loss" in figures
    assert "text_matching_loss" in figures
    loss.backward()
    assert out.mean_bd.grad is not None
    moved = out.mean_bd.grad.abs().sum(1) > 0
    # The study without target and without text moves by the bottleneck of nobody.
    assert moved.tolist() == [True, True, False, True, True, True]


def test_an_unmixed_batch_is_the_same_with_and_without_mixing(cohort: Cohort) -> None:
    alignment = _alignment(cohort, _config())
    records, studies = np.arange(6), np.arange(6)
    mixing = draw_mixing(6, 1000, 0.0, np.random.default_rng(0))
    plain = alignment(_output(6), records, studies, None, 1.0)[0]
    mixed = alignment(_output(6), records, studies, mixing, 1.0)[0]
    assert torch.equal(plain, mixed)


def test_phases_follow_one_another(cohort: Cohort) -> None:
    alignment = _alignment(cohort, _config(warm_share=0.3, pseudo_from=0.6))
    records = studies = np.arange(6)
    seen = [alignment(_output(6), records, studies, None, done)[1] for done in (0.1, 0.4, 0.9)]
    assert "echo_matching_loss" not in seen[0]
    # Pseudo-positives add to the loss in the last phase only.
    assert seen[2]["echo_matching_loss"] > seen[1]["echo_matching_loss"]


def test_the_distance_is_a_choice(cohort: Cohort) -> None:
    records = np.arange(6)
    losses = []
    for distance in ("sampled", "wasserstein"):
        alignment = _alignment(cohort, _config(distance=distance, mean_weight=0.0))
        losses.append(float(alignment(_output(6), records, records, None, 0.4)[0].detach()))
    assert losses[0] != losses[1]
    with pytest.raises(EchoingError, match="sampled or wasserstein"):
        _config(distance="euclidean")


def test_deterministic_distillation_leaves_the_variance_alone(cohort: Cohort) -> None:
    out = _output(6)
    alignment = _alignment(cohort, _config(deterministic=True))
    alignment(out, np.arange(6), np.arange(6), None, 1.0)[0].backward()
    assert out.log_var_bd.grad is None
    assert out.mean_bd.grad is not None


def test_single_source_batches_hold_one_source(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(single_source=True)
    batches = Batches(cohort, STANDARD, NO_CHANGE, {})
    alignment = _alignment(cohort, config)
    task = DistillTask(_student(), batches, alignment, alignment.teacher, config)
    seen: list[set[int]] = []
    draw = batches.records

    def watched(*arguments: object, **named: object) -> np.ndarray:
        records = draw(*arguments, **named)  # pyright: ignore[reportArgumentType]
        seen.append(set(cohort.source[records]))
        return records

    monkeypatch.setattr(batches, "records", watched)
    rng = np.random.default_rng(0)
    for _ in range(8):
        task.step_loss(rng, 8, 0.9)
    assert all(len(sources) == 1 for sources in seen)
    assert {0} in seen
    assert {1} in seen


def test_the_convolutions_learn_statements_and_values_and_nothing_else_moves(
    cohort: Cohort,
) -> None:
    # Every ECG has a value, and those of source a a statement, told by the sign of a wave.
    rows = np.arange(N)
    ecg = np.zeros((N, 12, 1000), np.float16)
    ecg[:, :, ::100] = np.where(rows % 2, 1.0, -1.0)[:, None, None]
    stated = np.where(rows < N // 2, rows % 2, np.nan).astype(np.float32)
    clear = dataclasses.replace(
        cohort,
        ecg_mv=ecg,
        ecg_labels={"af": stated},
        ecg_values={"qrs_ms": 80.0 + 20.0 * (rows % 2).astype(np.float32)},
    )
    student = _student()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    task = CourseTask(student, Batches(clear, STANDARD, NO_CHANGE, {}))
    optimiser = torch.optim.Adam(task.parameters(), 3e-3)
    rng = np.random.default_rng(0)
    figures: dict[str, float] = {}
    for _ in range(30):
        optimiser.zero_grad()
        loss, figures = task.step_loss(rng, 16, 0.0)
        loss.backward()
        optimiser.step()
    assert figures["label_loss"] < 0.2, "log 2 is what a coin would give"
    assert figures["value_loss"] < 0.1
    after = student.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("course.") for name in moved)


def test_distillation_without_target_is_refused(cohort: Cohort) -> None:
    config = _config(text_weight=0.0)
    blank = TeacherGaussians(torch.full((N // 2, DIM), torch.nan), torch.zeros(N // 2, DIM))
    alignment = _alignment(cohort, config)
    batches = Batches(cohort, STANDARD, NO_CHANGE, {})
    task = DistillTask(_student(), batches, alignment, blank, config)
    with pytest.raises(EchoingError, match="No training record"):
        task.step_loss(np.random.default_rng(0), 8, 0.0)


# --- fine-tuning ---


def _finetune(cohort: Cohort, **changes: float) -> FinetuneTask:
    config = dataclasses.replace(FinetuneConfig(fit=FIT), **changes)  # pyright: ignore[reportArgumentType]
    student = _student()
    heads = create_heads(cohort, DIM, 8)
    batches = Batches(cohort, STANDARD, AugmentConfig(), {})
    return FinetuneTask(student, heads, batches, _alignment(cohort, _config()), config, 0.9)


def test_finetuning_lowers_its_loss_on_what_it_has_seen(cohort: Cohort) -> None:
    task = _finetune(cohort)
    optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
    losses: list[float] = []
    for step in range(30):
        loss, _ = task.step_loss(np.random.default_rng([0, step % 3]), 8, step / 30)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_values_are_learnt_about_their_median_and_only_where_they_are_known(
    cohort: Cohort,
) -> None:
    values = standard_values(cohort)
    assert values.shape == (N, 1)  # nobody's PR interval is known
    assert np.flatnonzero(np.isnan(values)).tolist() == [1]
    assert np.nanmedian(values) == pytest.approx(0, abs=1e-6)
    assert np.nanpercentile(values, 84) == pytest.approx(1, abs=0.05)
    task = _finetune(cohort, value_weight=1.0)
    _, figures = task.step_loss(np.random.default_rng(0), 8, 0.0)
    assert 0 < figures["value_loss"] < 4
    _, figures = _finetune(cohort, value_weight=0.0).step_loss(np.random.default_rng(0), 8, 0.0)
    assert "value_loss" not in figures


def test_a_large_error_in_a_value_counts_once_and_an_unknown_value_never() -> None:
    found = torch.tensor([[0.0, 0.5], [3.0, 7.0]], requires_grad=True)
    known = np.array([[0.0, 0.0], [0.0, np.nan]], np.float32)
    loss = error_of_values(found, known)
    assert float(loss.detach()) == pytest.approx((0.0 + 0.5**2 / 2 + 2.5) / 3)
    loss.backward()
    assert found.grad is not None
    assert found.grad[1, 1] == 0
    assert found.grad[1, 0] == pytest.approx(1 / 3)


def test_the_error_teaches_the_variance_and_not_the_mean(cohort: Cohort) -> None:
    task = _finetune(cohort)
    out = _output(6)
    error = torch.tensor([0.1, 0.2, torch.nan, 2.0, 0.5, 0.3])
    task._error_likelihood(out, error).backward()
    assert out.mean_bd.grad is None
    gradient = out.log_var_bd.grad
    assert gradient is not None
    pull = gradient.sum(1)
    assert pull[2] == 0  # nothing measured
    assert pull[0] > 0 > pull[3]  # small errors lower the variance, large ones raise it


def test_displacement_wants_the_clean_variance_plus_the_square_of_the_shift() -> None:
    clean = _output(8)
    moved: Tensor = clean.mean_bd.detach() + 0.1
    wanted = torch.log(clean.log_var_bd.exp().sum(1) + 0.01 * DIM)
    log_var = (wanted - np.log(DIM))[:, None].expand(-1, DIM).detach()
    right = StudentOutput(moved, log_var, clean.segment_log_var_brt)
    with torch.no_grad():
        assert float(displacement(right, clean)) == pytest.approx(0.0, abs=1e-9)
        too_sure = StudentOutput(moved, log_var - 1, clean.segment_log_var_brt)
        assert float(displacement(too_sure, clean)) == pytest.approx(1.0, rel=1e-4)


def test_the_average_follows_the_weights_and_is_not_trained(cohort: Cohort) -> None:
    task = _finetune(cohort, average=0.5)
    assert not any(p.requires_grad for p in task.averaged.parameters())
    before = [p.clone() for p in task.averaged.parameters()]
    with torch.no_grad():
        for p in task.model.parameters():
            p.add_(1.0)
    for _ in range(60):
        task._average()
    for mean, old, now in zip(
        task.averaged.parameters(), before, task.model.parameters(), strict=True
    ):
        assert torch.allclose(mean, now, atol=1e-4)
        assert not torch.allclose(mean, old, atol=0.5)


def test_ecgs_without_echo_count_only_with_a_mean_teacher(cohort: Cohort) -> None:
    def sources(self_weight: float) -> set[int]:
        task = _finetune(cohort, self_weight=self_weight)
        records = task._batches.records(
            np.random.default_rng(0), 16, source=None, among=task._usable
        )
        return set(cohort.source[records].tolist())

    assert sources(0.0) == {0}
    assert sources(1.0) == {0, 1}
    _, figures = _finetune(cohort).step_loss(np.random.default_rng(0), 8, 0.5)
    assert figures["self_loss"] > 0
    _, figures = _finetune(cohort, self_weight=0.0).step_loss(np.random.default_rng(0), 8, 0.5)
    assert "self_loss" not in figures


def test_findings_of_several_draws_become_a_share(cohort: Cohort) -> None:
    task = _finetune(cohort)
    lvef = np.array([[30.0, 60.0, np.nan], [50.0, 60.0, np.nan]], np.float32)[:, :, None]
    found = task._finding_labels(lvef)[:, 0]
    assert found[:2].tolist() == [0.5, 0.0]
    assert found[2].isnan()
