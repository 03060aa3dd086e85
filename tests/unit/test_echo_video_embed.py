"""Studies as distributions over their frames, and a cache that survives being killed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model_core.errors import EchoingError
from tests.echo_factory import sample_echo
from training.echo_video import (
    FrameSpec,
    embed_studies,
    file_stem,
    framewise,
    normalise,
    prepare_frames,
    read_clip,
    read_embeddings,
)
from training.simulation import render_clips

SPEC = FrameSpec(size=32, mean=(0.4, 0.4, 0.4), std=(0.2, 0.2, 0.2))
N_FRAMES = 10

FloatArray = NDArray[np.float32]


class TinyTeacher(nn.Module):
    """Random projection of a frame to the unit sphere; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.randn(3 * 32 * 32, 8, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weights", weights)
        self.calls = 0

    weights: torch.Tensor

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return functional.normalize(frames.flatten(1) @ self.weights, dim=1)

    def __call__(self, frames: FloatArray) -> torch.Tensor:
        self.calls += 1
        return self.forward(torch.from_numpy(frames))


@pytest.fixture(scope="module")
def echo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies: two clips and a bad file; one clip; only a still and something else."""
    folder = tmp_path_factory.mktemp("echo")
    echo = sample_echo(3, 1)
    clips = render_clips(echo, np.random.default_rng(2), N_FRAMES, 120)
    write_avi(folder / "s1" / "1_0001.avi", clips[0])
    write_avi(folder / "s1" / "1_0002.avi", clips[1])
    (folder / "s1" / "1_0003.dcm").write_bytes(b"not a DICOM file")
    write_avi(folder / "s2" / "2_0001.avi", clips[2])
    write_avi(folder / "s3" / "3_0001.avi", clips[2][:1])
    (folder / "s3" / "3_0002.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(64))
    return folder


def write_avi(path: Path, grey: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = grey.shape[2], grey.shape[1], "bgr0"
        for picture in grey:
            rgb = np.repeat(picture[..., None], 3, -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def expected_frames(*paths: Path) -> NDArray[np.float64]:
    weights = TinyTeacher().weights.numpy().astype(np.float64)
    parts = [
        normalise(prepare_frames(read_clip(path), SPEC), SPEC).reshape(N_FRAMES, -1) @ weights
        for path in paths
    ]
    frames = np.concatenate(parts)
    return frames / np.linalg.norm(frames, axis=1, keepdims=True)


def test_study_is_the_distribution_of_all_its_frames(echo_folder: Path, tmp_path: Path) -> None:
    counts = embed_studies(
        files_in(echo_folder), framewise(TinyTeacher(), SPEC), tmp_path, teacher="tiny", spec=SPEC
    )
    cache = read_embeddings(tmp_path)
    assert cache.studies == ("s1", "s2")
    s1, s2 = echo_folder / "s1", echo_folder / "s2"
    truth = (
        expected_frames(s1 / "1_0001.avi", s1 / "1_0002.avi"),
        expected_frames(s2 / "2_0001.avi"),
    )
    for number, frames in enumerate(truth):
        np.testing.assert_allclose(cache.frames[number], frames, atol=1e-5)
        mean = frames.mean(axis=0)
        np.testing.assert_allclose(cache.mean[number], mean / np.linalg.norm(mean), atol=1e-5)
        variance = ((frames - mean) ** 2).mean(axis=0)
        np.testing.assert_allclose(cache.log_var[number], np.log(variance + 1e-8), atol=1e-2)
    assert counts == {"used": 3, "unknown_format": 1, "still": 1, "damaged": 1}


def test_files_left_out_are_listed_with_their_reason(echo_folder: Path, tmp_path: Path) -> None:
    embed_studies(
        files_in(echo_folder), framewise(TinyTeacher(), SPEC), tmp_path, teacher="tiny", spec=SPEC
    )
    with (tmp_path / "unused_files.csv").open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert {name: (row["outcome"], row["reason"]) for name, row in rows.items()} == {
        "1_0003.dcm": ("bad", "unknown_format"),
        "3_0001.avi": ("skipped", "still"),
        "3_0002.mp4": ("bad", "damaged"),
    }
    assert rows["1_0003.dcm"]["study"] == "s1"
    assert all(row["text"].endswith(".") for row in rows.values())


def test_identical_frames_reach_the_floor_of_the_variance(
    echo_folder: Path, tmp_path: Path
) -> None:
    def constant(frames: FloatArray) -> FloatArray:
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(frames), 1))

    embed_studies(
        files_in(echo_folder / "s2"),
        framewise(constant, SPEC),
        tmp_path,
        teacher="constant",
        spec=SPEC,
    )
    cache = read_embeddings(tmp_path)
    np.testing.assert_allclose(cache.mean, [[0.6, 0.8]], atol=1e-6)
    np.testing.assert_allclose(cache.log_var, np.log(1e-8), atol=1e-3)


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("studies_per_shard", [1, 2, 100])
@pytest.mark.parametrize("calls_before_kill", [0, 1, 2])
def test_killed_run_goes_on_and_ends_as_an_unbroken_one(
    echo_folder: Path, tmp_path: Path, calls_before_kill: int, studies_per_shard: int
) -> None:
    teacher = TinyTeacher()

    def killed(frames: FloatArray) -> torch.Tensor:
        if teacher.calls == calls_before_kill:
            raise KilledError
        return teacher(frames)

    def run(out: Path, embed_frames: Callable[[FloatArray], torch.Tensor]) -> dict[str, int]:
        return embed_studies(
            files_in(echo_folder),
            framewise(embed_frames, SPEC),
            out,
            teacher="tiny",
            spec=SPEC,
            studies_per_shard=studies_per_shard,
        )

    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    with pytest.raises(KilledError):
        run(broken, killed)
    second = TinyTeacher()
    counts = run(broken, second)
    # Three clips in all; those of s1, two of them, count as one study.
    finished = 2 if calls_before_kill == 2 else 0
    assert second.calls == 3 - finished

    assert counts == run(unbroken, TinyTeacher())
    assert stored(broken) == stored(unbroken)
    third = TinyTeacher()
    assert run(broken, third) == counts
    assert third.calls == 0


def stored(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in files_in(out)}


def test_kill_while_a_shard_is_written_doubles_nothing(
    echo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = files_in(echo_folder)
    unbroken = tmp_path / "unbroken"
    embed_studies(paths, framewise(TinyTeacher(), SPEC), unbroken, teacher="tiny", spec=SPEC)

    for n_steps in range(6):
        out = tmp_path / str(n_steps)
        left = n_steps
        real_replace, real_unlink = Path.replace, Path.unlink

        def step(out: Path = out) -> None:
            nonlocal left
            if (out / "pending").is_dir() and len(list((out / "pending").glob("*.npz"))) == 3:
                left -= 1
            if left < 0:
                raise KilledError

        def replace(
            self: Path, target: Path, step: object = step, real: object = real_replace
        ) -> Path:
            step()  # pyright: ignore[reportCallIssue]
            return real(self, target)  # pyright: ignore[reportCallIssue]

        def unlink(self: Path, step: object = step, real: object = real_unlink) -> None:
            step()  # pyright: ignore[reportCallIssue]
            real(self)  # pyright: ignore[reportCallIssue]

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            patch.setattr(Path, "unlink", unlink)
            try:
                embed_studies(paths, framewise(TinyTeacher(), SPEC), out, teacher="tiny", spec=SPEC)
            except KilledError:
                killed = True
            else:
                killed = False
        assert killed == (n_steps < 5)
        second = TinyTeacher()
        embed_studies(paths, framewise(second, SPEC), out, teacher="tiny", spec=SPEC)
        assert second.calls == 0
        assert stored(out) == stored(unbroken)


def test_another_teacher_or_other_frames_are_refused(echo_folder: Path, tmp_path: Path) -> None:
    paths = files_in(echo_folder / "s2")
    embed_studies(paths, framewise(TinyTeacher(), SPEC), tmp_path, teacher="tiny", spec=SPEC)
    other = FrameSpec(size=64, mean=SPEC.mean, std=SPEC.std)
    for teacher, spec in (("other", SPEC), ("tiny", other)):
        with pytest.raises(EchoingError, match="another teacher or of other frames"):
            embed_studies(
                paths, framewise(TinyTeacher(), spec), tmp_path, teacher=teacher, spec=spec
            )


@pytest.mark.parametrize("scale", [2.0, float("nan")])
def test_vectors_that_are_not_of_unit_length_are_an_error_of_the_teacher(
    echo_folder: Path, tmp_path: Path, scale: float
) -> None:
    def wrong(frames: FloatArray) -> torch.Tensor:
        return TinyTeacher()(frames) * scale

    with pytest.raises(EchoingError, match="length 1"):
        embed_studies(
            files_in(echo_folder / "s2"),
            framewise(wrong, SPEC),
            tmp_path,
            teacher="wrong",
            spec=SPEC,
        )


def test_each_file_may_be_a_study_and_frames_are_selected(
    echo_folder: Path, tmp_path: Path
) -> None:
    spec = FrameSpec(size=32, mean=SPEC.mean, std=SPEC.std, max_frames=5)
    paths = [echo_folder / "s1" / f"1_000{number}.avi" for number in (1, 2)]
    embed_studies(
        paths,
        framewise(TinyTeacher(), spec),
        tmp_path,
        teacher="tiny",
        spec=spec,
        study_of=file_stem,
    )
    cache = read_embeddings(tmp_path)
    assert cache.studies == ("1_0001", "1_0002")
    assert [len(frames) for frames in cache.frames] == [5, 5]


def test_nothing_usable_is_said(echo_folder: Path, tmp_path: Path) -> None:
    embed_studies(
        files_in(echo_folder / "s3"),
        framewise(TinyTeacher(), SPEC),
        tmp_path,
        teacher="tiny",
        spec=SPEC,
    )
    with pytest.raises(EchoingError, match="no embedded study"):
        read_embeddings(tmp_path)


@pytest.mark.needs_shared
def test_real_clip_is_embedded(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "echo" / "a4c_30frames.dcm"
    counts = embed_studies(
        [path], framewise(TinyTeacher(), SPEC), tmp_path, teacher="tiny", spec=SPEC
    )
    cache = read_embeddings(tmp_path)
    assert counts == {"used": 1}
    assert cache.studies == ("echo",)
    assert cache.frames[0].shape == (30, 8)
    np.testing.assert_allclose(np.linalg.norm(cache.mean, axis=1), 1, atol=1e-5)
