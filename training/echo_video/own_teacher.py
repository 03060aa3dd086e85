"""Our own teacher, from the folder that its training left, on clips of any length.

It was trained on pictures of one beat and sees four phases of it at once, so that the length of a
beat has to be found in a clip first.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_core.errors import EchoingError
from model_core.teachers import FrozenTeacher, ImageTextTeacher
from training.checkpoint import load_json, load_tensors
from training.echo_video.clip import Grey
from training.echo_video.frames import FrameSpec

PHASES = 4
# 40 to 170 beats a minute.
_BEAT_S = (0.35, 1.5)
# Frames a beat apart differ by this share of what frames half a beat apart do, or less.
_RETURN = 0.7
_COARSE_PX = 16


@dataclass(frozen=True, eq=False)
class OwnTeacher:
    """A trained teacher and what frames it takes.

    Attributes
    ----------
    teacher
        Frozen.
    spec
        Frames it takes.
    inverse_temperature
        What similarities were multiplied by when it was trained.
    name
        What embeddings are labelled with.
    """

    teacher: FrozenTeacher
    spec: FrameSpec
    inverse_temperature: float
    name: str

    def embed_clip(self, grey: Grey, times_s: NDArray[np.float64] | None) -> Tensor:
        """Embed a cleaned clip, (T, size, size): a unit vector for each frame that a beat fits."""
        phases = torch.from_numpy(grey[beat_frames(grey, times_s)])
        with torch.no_grad():
            return self.teacher.teacher.encode_snippet(phases, 0)

    def text(self, texts: list[str]) -> Tensor:
        """Embed sentences as unit vectors, (B, D)."""
        return self.teacher.text(texts)


def load_teacher_folder(folder: Path) -> OwnTeacher:
    """Read a teacher from the folder ``teacher`` of a run; its sizes are those of its weights.

    Raises
    ------
    EchoingError
        If the folder holds no trained teacher.
    """
    try:
        state = load_tensors(folder / "weights.pt")
        vocabulary = load_json(folder / "vocabulary.json")
        history = load_json(folder / "history.json")
        digest = hashlib.sha256((folder / "weights.pt").read_bytes()).hexdigest()
    except OSError as error:
        raise EchoingError(
            f"There is no trained teacher in {folder}.",
            hint="Give the folder of a run whose stage 'teacher' is done.",
            code="missing_data",
        ) from error
    teacher, size = _build(state, vocabulary)
    half = (0.5, 0.5, 0.5)
    return OwnTeacher(
        FrozenTeacher(teacher),
        FrameSpec(size=size, mean=half, std=half, keep_aspect=True),
        float(history[-1]["inverse_temperature"]),
        f"own image-text teacher, SHA-256 {digest}",
    )


def _build(state: dict[str, Any], vocabulary: list[str]) -> tuple[ImageTextTeacher, int]:
    convolutions = [state[name] for name in state if name.startswith("image.layers")]
    channels = [int(weight.shape[0]) for weight in convolutions if weight.ndim == 4]
    place = int(state["image.project.0.weight"].shape[1]) // channels[-1]
    size = round(place**0.5) << len(channels)
    blocks = {
        found[1]
        for found in map(re.compile(r"text\.blocks\.layers\.(\d+)\.").match, state)
        if found
    }
    teacher = ImageTextTeacher(
        vocabulary,
        frame_size=size,
        embedding_dim=int(state["image.project.2.weight"].shape[0]),
        channels=channels,
        text_width=int(state["text.word.weight"].shape[1]),
        text_blocks=len(blocks),
    )
    teacher.load_state_dict(state)
    return teacher, size


def beat_frames(grey: Grey, times_s: NDArray[np.float64] | None) -> NDArray[np.intp]:
    """Choose the frames of four phases of a beat, from each frame on: (snippets, 4).

    The length of a beat is the shortest lag, of those that a heart can have, after which the
    picture comes back. Where it does not - the clip is shorter than a beat or shows none - the
    clip is taken for one whole beat, as those of the training are.
    """
    n_frames = len(grey)
    beat = _beat_length(grey, times_s)
    if beat is None:
        return (np.arange(n_frames)[:, None] + np.arange(PHASES) * n_frames // PHASES) % n_frames
    offsets = np.rint(np.arange(PHASES) * beat / PHASES).astype(np.intp)
    return np.arange(n_frames - offsets[-1])[:, None] + offsets


def _beat_length(grey: Grey, times_s: NDArray[np.float64] | None) -> int | None:
    """Frames in a beat, or None."""
    if times_s is None or len(times_s) < 2:
        return None
    step_s = float(np.median(np.diff(times_s)))
    shortest = max(PHASES, int(np.ceil(_BEAT_S[0] / step_s)))
    # A difference needs frames to be averaged over.
    longest = min(int(_BEAT_S[1] / step_s), len(grey) - 3)
    if longest <= shortest:
        return None
    side = grey.shape[1] // _COARSE_PX
    coarse = grey.reshape(len(grey), _COARSE_PX, side, _COARSE_PX, side).mean((2, 4))
    lags = np.arange(1, longest + 1)
    change = np.array([np.square(coarse[lag:] - coarse[:-lag]).mean() for lag in lags])
    tried = change[shortest - 1 :]
    best = int(np.argmin(tried))
    highest = float(change[: shortest + best].max())
    if tried[best] > _RETURN * highest:
        return None
    # Two beats come back as well as one.
    near = np.flatnonzero(tried <= tried[best] + 0.2 * (highest - tried[best]))
    end = int(near[0])
    while end + 1 < len(tried) and tried[end + 1] < tried[end]:
        end += 1
    return shortest + end
