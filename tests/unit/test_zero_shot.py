from pathlib import Path

import numpy as np
import pytest

from model_core.zero_shot import (
    cosine_similarity,
    match_probability,
    nearest_value,
    pair_difference,
    prompt_score,
    sampled_distance,
    soft_sweep_value,
    sweep_value,
)


@pytest.mark.needs_shared
def test_equals_echoclips_figures(shared: Path):
    fixture = np.load(shared / "parity" / "echoclip_zero_shot.npz")
    similarity = cosine_similarity(fixture["frames"], fixture["prompts"])
    np.testing.assert_allclose(
        sweep_value(similarity, fixture["values"]), fixture["regression"], rtol=1e-6
    )
    np.testing.assert_allclose(
        prompt_score(similarity[..., :4]), fixture["binary"], rtol=0, atol=1e-7
    )


def test_sampled_distance_is_the_mean_squared_distance_of_samples():
    rng = np.random.default_rng(0)
    mean, prompt_mean = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    log_var, prompt_log_var = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    draws = mean + np.exp(log_var / 2) * rng.normal(size=(200_000, 3, 5))
    prompt_draws = prompt_mean + np.exp(prompt_log_var / 2) * rng.normal(size=(200_000, 2, 5))
    squared = np.square(draws[:, :, None] - prompt_draws[:, None]).sum(-1)
    error = squared.std(0) / np.sqrt(len(squared))
    found = sampled_distance(mean, log_var, prompt_mean, prompt_log_var)
    assert (np.abs(found - squared.mean(0)) < 5 * error).all()


def test_a_vague_prompt_loses_against_an_equally_near_sharp_one():
    mean, log_var = np.zeros((1, 4)), np.full((1, 4), -5.0)
    prompts = np.stack([np.full(4, 0.1), np.full(4, -0.1)])
    similarity = -sampled_distance(mean, log_var, prompts, np.array([[-6.0] * 4, [-2.0] * 4]))
    assert similarity[0, 0] > similarity[0, 1]


def test_sweep_finds_the_value_that_the_embedding_points_at():
    values = np.arange(101)
    angles = values / 100 * np.pi / 2
    prompts = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    frames = prompts[[30, 60]][:, None]
    by_cosine = sweep_value(cosine_similarity(frames, prompts), values)
    np.testing.assert_allclose(by_cosine, [30, 60], atol=1)
    sharp = np.full_like(prompts, -20.0)
    by_distance = sweep_value(-sampled_distance(frames, sharp[:2, None], prompts, sharp), values)
    np.testing.assert_allclose(by_distance, by_cosine)


def test_sweep_averages_the_frames_ranked_values_not_their_similarities():
    values = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
    frames = np.array([[9.0, 1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    assert sweep_value(frames, values) == (0 + 40) / 2


def test_cosine_does_not_depend_on_length():
    rng = np.random.default_rng(1)
    frames, prompts = rng.normal(size=(2, 3, 8)), rng.normal(size=(4, 8))
    np.testing.assert_allclose(
        cosine_similarity(7 * frames, prompts / 3), cosine_similarity(frames, prompts)
    )


@pytest.mark.parametrize("n_values", [4, 6])
def test_sweep_refuses_values_that_do_not_fit(n_values: int):
    with pytest.raises(ValueError, match="do not fit"):
        sweep_value(np.zeros((1, 1, n_values if n_values < 5 else 5)), np.zeros(n_values))


def test_soft_sweep_is_the_expected_value_under_the_softmax_of_each_frame():
    rng = np.random.default_rng(2)
    similarity, values = rng.normal(size=(3, 4, 7)), rng.uniform(0, 300, 7)
    found = soft_sweep_value(similarity, values, 3.0)
    for study in range(3):
        frames = []
        for frame in range(4):
            odds = [np.exp(3.0 * similarity[study, frame, prompt]) for prompt in range(7)]
            frames.append(sum(odd * value for odd, value in zip(odds, values, strict=True)))
            frames[-1] /= sum(odds)
        np.testing.assert_allclose(found[study], np.mean(frames))


def test_soft_sweep_goes_from_the_mean_of_the_values_to_the_nearest_prompt():
    similarity, values = np.array([[0.2, 0.9, 0.1, 0.3]]), np.array([10.0, 20.0, 60.0, 110.0])
    assert soft_sweep_value(similarity, values, 1e-9) == pytest.approx(50.0)
    assert soft_sweep_value(similarity, values, 1e4) == pytest.approx(20.0)


def test_soft_sweep_refuses_values_that_do_not_fit():
    with pytest.raises(ValueError, match="do not fit"):
        soft_sweep_value(np.zeros((1, 1, 5)), np.zeros(1), 1.0)


def test_value_by_distance_between_distributions_follows_the_closed_form():
    # One dimension, prompts at 0, 1, ... 9: the ECG lies at 6.2, so 6 and 7 are nearest; where
    # prompt 6 is vague by 10, it is as far as one at 6.2 + sqrt(10.04) and 5 takes its place.
    values = 10.0 * np.arange(10)
    prompt_mean, sharp = np.arange(10.0)[:, None], np.full((10, 1), -40.0)
    ecg = np.array([[6.2]]), np.zeros((1, 1))
    assert nearest_value(sampled_distance(*ecg, prompt_mean, sharp), values) == 60
    vague = sharp.copy()
    vague[6] = np.log(10.0)
    assert nearest_value(sampled_distance(*ecg, prompt_mean, vague), values) == 50


def test_match_probability_at_known_distances():
    # -5 d + 5 is 0 at d = 1, log 3 at 1 - log(3) / 5, and d = 0 gives sigmoid(5).
    distance = np.array([1.0, 1 - np.log(3) / 5, 0.0, 1e6])
    expected = [0.5, 0.75, 1 / (1 + np.exp(-5)), 0.0]
    np.testing.assert_allclose(match_probability(distance, 5.0, 5.0), expected, atol=1e-15)


def test_pair_difference_is_the_logit_of_one_of_two_sentences():
    rng = np.random.default_rng(6)
    for_it, against = rng.uniform(0, 2, size=(2, 20, 1))
    odds = np.exp(-3 * for_it) / (np.exp(-3 * for_it) + np.exp(-3 * against))
    found = match_probability(-pair_difference(for_it, against), 3.0, 0.0)
    np.testing.assert_allclose(found, odds[:, 0])
