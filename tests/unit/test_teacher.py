"""The image-text teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_core.teachers import (
    FrozenTeacher,
    ImageTextTeacher,
    build_vocabulary,
    study_distribution,
)
from model_core.tokens import split_words


@pytest.fixture(scope="module")
def teacher() -> ImageTextTeacher:
    torch.manual_seed(0)
    vocabulary = build_vocabulary(["LVEF measures 55 percent."], range(101))
    return ImageTextTeacher(
        vocabulary, frame_size=32, embedding_dim=16, channels=(4, 8), text_width=16, text_blocks=1
    ).eval()


@pytest.fixture
def clips() -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (3, 8, 32, 32))
    return torch.from_numpy(values.astype(np.uint8))


def test_embeddings_are_unit_vectors(teacher: ImageTextTeacher, clips: torch.Tensor) -> None:
    frames = teacher.encode_frames(clips)
    texts = teacher.encode_text(["LVEF measures 30 percent.", "never seen words", ""])
    assert frames.shape == (3, 8, 16)
    assert texts.shape == (3, 16)
    assert torch.allclose(frames.norm(dim=2), torch.ones(3, 8), atol=1e-5)
    assert torch.allclose(texts.norm(dim=1), torch.ones(3), atol=1e-5)


def test_padding_does_not_change_a_text(teacher: ImageTextTeacher) -> None:
    short = "LVEF measures 30 percent."
    alone = teacher.encode_text([short])
    beside = teacher.encode_text([short, " ".join(["percent"] * 30)])
    assert torch.allclose(alone[0], beside[0], atol=1e-5)


def test_a_snippet_goes_round_the_beat(teacher: ImageTextTeacher, clips: torch.Tensor) -> None:
    frames = teacher.encode_frames(clips)
    turned = teacher.encode_frames(clips.roll(-3, dims=1))
    assert torch.allclose(frames.roll(-3, dims=1), turned, atol=1e-5)


def test_study_is_mean_and_population_variance_of_frames() -> None:
    frames = torch.nn.functional.normalize(torch.randn(2, 5, 4), dim=2)
    mean, log_var = study_distribution(frames)
    direction = frames.numpy().mean(1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    assert np.allclose(mean.numpy(), direction, atol=1e-6)
    assert np.allclose(log_var.numpy(), np.log(frames.numpy().var(1) + 1e-8), atol=1e-4)


def test_identical_frames_have_the_floor_as_variance() -> None:
    frames = torch.tensor([[[0.6, 0.8], [0.6, 0.8]]])
    _, log_var = study_distribution(frames)
    assert log_var.flatten().tolist() == pytest.approx([np.log(1e-8)] * 2, abs=1e-3)


def test_frozen_teacher_stays_frozen(teacher: ImageTextTeacher, clips: torch.Tensor) -> None:
    frozen = FrozenTeacher(teacher).train()
    assert not any(module.training for module in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    assert not frozen.frames(clips).requires_grad


def test_words() -> None:
    assert split_words("LVEDV: 120 ml (95%)") == ["lvedv", "120", "ml", "95", "%"]
