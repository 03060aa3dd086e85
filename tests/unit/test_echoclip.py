"""EchoCLIP's adapter, on a model of the same interface that needs no open_clip."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model_core.errors import EchoingError
from model_core.teachers import EchoClip, load_echoclip

DIM, WORDS = 6, 5


class TinyClip(nn.Module):
    """What open_clip's CLIP offers, in small: towers whose outputs are not of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Linear(3, DIM)
        self.text = nn.EmbeddingBag(128, DIM, mode="mean")
        self.logit_scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def encode_image(self, image: Tensor) -> Tensor:
        return self.visual(image.mean((2, 3)))

    def encode_text(self, text: Tensor) -> Tensor:
        return self.text(text)


def tokenise(texts: list[str]) -> Tensor:
    return torch.tensor([[ord(letter) for letter in text.ljust(WORDS)[:WORDS]] for text in texts])


@pytest.fixture
def open_clip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for the package; lists the models that were asked for."""
    asked: list[str] = []
    module = ModuleType("open_clip")

    def create_model(name: str, **options: object) -> TinyClip:
        assert options["pretrained"] is None
        assert options["pretrained_image"] is False
        asked.append(name)
        return TinyClip()

    module.create_model = create_model  # pyright: ignore[reportAttributeAccessIssue]
    module.get_tokenizer = lambda _: tokenise  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "open_clip", module)
    return asked


def state(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return TinyClip().state_dict()


def load(path: Path) -> EchoClip:
    return load_echoclip(path, licence_accepted=True)


def test_embeds_with_the_weights_of_the_file(open_clip: list[str], tmp_path: Path) -> None:
    weights = state()
    torch.save(weights, tmp_path / "w.bin")
    teacher = load(tmp_path / "w.bin")
    assert open_clip == ["convnext_base"]
    frames = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    expected = frames.mean((2, 3)) @ weights["visual.weight"].numpy().T
    expected += weights["visual.bias"].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(teacher.frames(frames), expected, atol=1e-6)
    table = weights["text.weight"].numpy()
    rows = np.stack([table[[ord(c) for c in text]].mean(0) for text in ("LVEF ", "55 % ")])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(teacher.text(["LVEF", "55 %"]), rows, atol=1e-6)
    assert teacher.inverse_temperature == pytest.approx(20.0)
    assert not teacher.text(["x"]).requires_grad


def test_many_texts_are_embedded_like_few(open_clip: list[str], tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.pt")
    teacher = load(tmp_path / "w.pt")
    texts = [str(number) for number in range(600)]
    alone = torch.cat([teacher.text([text]) for text in texts])
    torch.testing.assert_close(teacher.text(texts), alone)


@pytest.mark.parametrize("form", ["checkpoint", "bfloat16", "constants"])
def test_weights_are_found_in_every_form(open_clip: list[str], tmp_path: Path, form: str) -> None:
    weights = state()
    stored: dict[str, object] = dict(weights)
    if form == "checkpoint":
        stored = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()}}
    elif form == "bfloat16":
        stored = {name: value.bfloat16() for name, value in weights.items()}
    else:
        stored["attn_mask"] = torch.zeros(2, 2)
    torch.save(weights, tmp_path / "plain.pt")
    torch.save(stored, tmp_path / "form.pt")
    found, plain = load(tmp_path / "form.pt"), load(tmp_path / "plain.pt")
    torch.testing.assert_close(found.text(["a"]), plain.text(["a"]), atol=1e-2, rtol=0)
    assert found.name != plain.name, "the name tells weight files apart"


def test_nothing_is_read_unless_the_terms_are_accepted(tmp_path: Path) -> None:
    with pytest.raises(EchoingError, match="not accepted") as failure:
        load_echoclip(tmp_path / "missing.pt", licence_accepted=False)
    assert failure.value.code == "licence_not_accepted"


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_weight_file_does_not_run(open_clip: list[str], tmp_path: Path) -> None:
    torch.save({"visual.weight": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(EchoingError, match="without running code"):
        load(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"visual.bias": None}, "lacks 1 tensors of convnext_base, such as visual.bias"),
        ({"extra": torch.zeros(1)}, "adds 1 tensors"),
        ({"visual.bias": torch.zeros(DIM + 1)}, "misshapes 1 tensors"),
    ],
)
def test_weights_of_another_model_are_refused(
    open_clip: list[str], tmp_path: Path, change: dict[str, Tensor | None], words: str
) -> None:
    weights = {k: v for k, v in {**state(), **change}.items() if v is not None}
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(EchoingError, match=words):
        load(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"", b"not a weight file", b"PK\x03\x04" + bytes(40)])
def test_damaged_files_give_a_sentence(
    open_clip: list[str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(EchoingError, match="not a weight file"):
        load(tmp_path / "w.pt")
    with pytest.raises(EchoingError, match="cannot be read: No such file"):
        load(tmp_path / "absent.pt")


def test_without_open_clip_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(EchoingError, match="which is not installed") as failure:
        load(tmp_path / "w.pt")
    assert "echoing-ecg[train,echoclip]" in failure.value.hint


def test_an_open_clip_that_does_not_load_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "open_clip.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    with pytest.raises(EchoingError, match=r"cannot be loaded \(operator torchvision::nms"):
        load(tmp_path / "w.pt")
