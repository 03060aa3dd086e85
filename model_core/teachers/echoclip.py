"""EchoCLIP as a teacher, through open_clip; the weight file is the user's own.

EchoCLIP (Christensen et al., Nat Med 2024;30:1481-1488) is open_clip's ``convnext_base``: a
ConvNeXt-Base and CLIP's text transformer with one space of 512 dimensions. Nothing of it is part
of this program. Its published preprocessing keeps the order blue, green, red; the frames given
here are grey, for which the order makes no difference.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model_core.errors import EchoingError

ARCHITECTURE = "convnext_base"
# Read as a summary before use; the licence itself is what binds.
LICENCE_TERMS = """\
EchoCLIP is not part of this program. Its code was published under the Academic Software License
of Cedars-Sinai; the weights that you have belong to it. In short:

- Use is for education and academic research, by academic and other non-profit users.
- Neither the software nor anything derived from it may be passed on to others.
- Embeddings made with it, and a model distilled from them, may count as derived: ask your
  institution before you share either. Such a model must not be shipped with this program.
- Publications must acknowledge Matthew Christensen and David Ouyang.
- Commercial use needs another licence, from Cedars-Sinai Technology Transfer.

This summary is no legal advice; read the licence that came with the weights."""

_TEXTS_AT_ONCE = 256
# Some releases of open_clip store these constants, others compute them.
_COMPUTED = ("attn_mask", "position_ids")
_INSTALL = (
    "pip install 'echoing-ecg[train,echoclip]', best in an environment of its own; see "
    "docs/teachers.md."
)


class ClipModel(Protocol):
    """What is used of an open_clip model."""

    logit_scale: Tensor

    def encode_image(self, image: Tensor) -> Tensor:
        """Embed (n, 3, size, size)."""
        ...

    def encode_text(self, text: Tensor) -> Tensor:
        """Embed (n, words) numbers of words."""
        ...


@dataclass(frozen=True, eq=False)
class EchoClip:
    """Both towers, frozen, and the tokeniser.

    Attributes
    ----------
    model, tokenise
        As open_clip makes them.
    name
        What embeddings are labelled with: architecture and SHA-256 of the weights.
    device
        Where the towers are.
    """

    model: ClipModel
    tokenise: Callable[[list[str]], Tensor]
    name: str
    device: str = "cpu"

    @property
    def inverse_temperature(self) -> float:
        """What similarities were multiplied by when EchoCLIP was trained."""
        return float(self.model.logit_scale.detach().exp())

    @torch.no_grad()
    def frames(self, frames_ncyx: NDArray[np.float32] | Tensor) -> Tensor:
        """Embed normalised frames, (n, 3, 224, 224), as unit vectors, (n, 512)."""
        frames = torch.as_tensor(frames_ncyx).to(self.device)
        return functional.normalize(self.model.encode_image(frames).float(), dim=1).cpu()

    @torch.no_grad()
    def text(self, texts: Sequence[str]) -> Tensor:
        """Embed sentences as unit vectors, (B, 512)."""
        parts = [
            self.model.encode_text(
                self.tokenise(list(texts[start : start + _TEXTS_AT_ONCE])).to(self.device)
            )
            for start in range(0, len(texts), _TEXTS_AT_ONCE)
        ]
        return functional.normalize(torch.cat(parts).float(), dim=1).cpu()


def load_echoclip(weights: Path, *, licence_accepted: bool, device: str = "cpu") -> EchoClip:
    """Build EchoCLIP and read its weights, without running code from the file.

    Parameters
    ----------
    weights
        State dictionary as open_clip stores it: ``.bin``, ``.pt`` or ``.safetensors``.
    licence_accepted
        Whether the user was shown `LICENCE_TERMS` and accepted them.
    device
        Where to compute.

    Raises
    ------
    EchoingError
        If the terms were not accepted, before anything is read; if open_clip is missing or
        unusable; if the file cannot be read or holds another model.
    """
    if not licence_accepted:
        raise EchoingError(
            "EchoCLIP's licence terms were not accepted; nothing was read.",
            code="licence_not_accepted",
        )
    open_clip = _open_clip()
    state, digest = _read_state(weights)
    # Random first, never anything from the network; it would warn that they stay random.
    logging.disable(logging.WARNING)
    try:
        model = open_clip.create_model(ARCHITECTURE, pretrained=None, pretrained_image=False)
    finally:
        logging.disable(logging.NOTSET)
    _fill(model, state, weights)
    model.eval().requires_grad_(requires_grad=False)
    return EchoClip(
        cast("ClipModel", model.to(device)),
        open_clip.get_tokenizer(ARCHITECTURE),
        f"EchoCLIP ({ARCHITECTURE}), SHA-256 {digest}",
        device,
    )


def _open_clip() -> Any:  # noqa: ANN401 - the package has no types
    try:
        return importlib.import_module("open_clip")
    except ModuleNotFoundError as error:
        raise EchoingError(
            f"EchoCLIP needs the package {error.name}, which is not installed:",
            hint=_INSTALL,
            code="no_open_clip",
        ) from error
    # A torchvision built for another torch fails in ways of its own.
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise EchoingError(
            f"open_clip is installed but cannot be loaded ({str(error).splitlines()[0][:120]}); "
            "torch and torchvision must be built for one another:",
            hint=_INSTALL,
            code="no_open_clip",
        ) from error


def _read_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors of a weight file as float32, and the file's SHA-256."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if path.suffix == ".safetensors":
            values = importlib.import_module("safetensors.torch").load_file(path)
        else:
            values = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - weights only
    except OSError as error:
        raise EchoingError(
            f"EchoCLIP's weights {path} cannot be read: {error.strerror or error}.",
            code="unreadable_weights",
        ) from error
    # On damaged or hostile bytes the readers raise whatever comes.
    except Exception as error:
        raise EchoingError(
            f"{path} is not a weight file that can be read without running code.",
            hint="Use EchoCLIP's state dictionary (.bin, .pt or .safetensors).",
            code="bad_weights",
        ) from error
    return _tensors(values, path), digest


def _tensors(values: object, path: Path) -> dict[str, Tensor]:
    entries = cast("dict[str, Any]", values) if isinstance(values, dict) else {}
    # A checkpoint of open_clip's training holds more than the weights.
    entries = cast("dict[str, Any]", entries.get("state_dict", entries))
    tensors: dict[str, Tensor] = {
        name.removeprefix("module."): value
        for name, value in entries.items()
        if isinstance(value, Tensor) and not name.endswith(_COMPUTED)
    }
    if not tensors:
        raise EchoingError(f"{path} holds no weights.", code="bad_weights")
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }


def _fill(model: Any, state: dict[str, Tensor], path: Path) -> None:  # noqa: ANN401
    own = cast("dict[str, Tensor]", model.state_dict())
    missing = sorted(own.keys() - state.keys())
    foreign = sorted(state.keys() - own.keys())
    misshapen = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    for what, names in (("lacks", missing), ("adds", foreign), ("misshapes", sorted(misshapen))):
        if names:
            raise EchoingError(
                f"{path} does not hold EchoCLIP's weights: it {what} {len(names)} tensors of "
                f"{ARCHITECTURE}, such as {names[0]}.",
                code="other_weights",
            )
    model.load_state_dict(state)
