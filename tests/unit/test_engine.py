"""Several processes against one: losses, gradients, weights, starts and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.ptbxl_miniature import write_miniature
from training import engine
from training.checkpoint import load_tensors
from training.curves import read_log

ROOT = Path(__file__).parents[2]
SCRIPT = ["-m", "tests.engine_script"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", "{port}"]


def _environment(**more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "TORCH"))}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def _run(folder: Path, *launcher: str, precision: str = "fp32", kill_at: int = -1) -> int:
    folder.mkdir(exist_ok=True)
    done = _python(*launcher, *SCRIPT, str(folder), precision, str(kill_at))
    (folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")
    assert kill_at >= 0 or done.returncode == 0, done.stderr[-3000:]
    return done.returncode


def _torchrun() -> list[str]:
    return [part.format(port=_free_port()) for part in TORCHRUN]


def _results(folder: Path) -> list[dict[str, Any]]:
    return [load_tensors(path) for path in sorted(folder.glob("result*.pt"))]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    _run(folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    _run(folder, *_torchrun())
    return folder


def _error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference, relative to the norm."""
    difference = torch.linalg.vector_norm((found - expected).double())
    return float(difference / torch.linalg.vector_norm(expected.double()).clamp(min=1e-30))


@pytest.mark.parametrize(("kind", "limit"), [("single", 1e-6), ("double", 1e-12)])
def test_two_processes_give_the_loss_and_gradients_of_one(
    one: Path, two: Path, kind: str, limit: float
) -> None:
    (expected,), found = _results(one), _results(two)
    assert [r["world_size"] for r in found] == [2, 2]
    assert len(expected[kind]) == 14  # loss, ten gradients, three buffers
    assert "unused" not in expected[kind]
    errors = {}
    for process in found:
        assert process[kind].keys() == expected[kind].keys()
        for name, value in expected[kind].items():
            errors[name] = max(errors.get(name, 0.0), _error(process[kind][name], value))
    print(kind, {name: f"{error:.1e}" for name, error in errors.items()})
    assert max(errors.values()) <= limit, errors


def test_the_gradients_are_those_of_the_plain_program(
    one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process, through the engine, against the loss computed without it."""
    from tests.engine_script import BATCH, TwoTowers

    # Tests before this one may have started the engine here, in bfloat16 where there is hardware.
    monkeypatch.setattr(engine._Started, "fabric", None)
    task = TwoTowers()
    loss, _ = task.step_loss(np.random.default_rng(0), BATCH, 0.0)
    loss.backward()
    (found,) = _results(one)
    assert torch.equal(found["single"]["loss"], loss.detach())
    for name, parameter in task.named_parameters():
        if parameter.grad is not None:
            assert _error(found["single"][name], parameter.grad) < 1e-6, name


def test_a_training_in_two_processes_follows_that_in_one(one: Path, two: Path) -> None:
    (expected,), found = _results(one), _results(two)
    for name, value in expected["weights"].items():
        assert torch.equal(found[0]["weights"][name], found[1]["weights"][name]), name
        # Adam divides by the gradient's size: where that is tiny, rounding shows.
        assert _error(found[0]["weights"][name], value) < 1e-4, name
    for mine, theirs in zip(found[0]["history"], expected["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert found[0]["history"][-1]["loss"] == found[1]["history"][-1]["loss"]


def test_dropout_differs_between_parts_and_agrees_between_processes(one: Path, two: Path) -> None:
    (expected,), found = _results(one), _results(two)
    for name in ("dropout_within", "dropout_outside"):
        assert torch.equal(found[0][name], found[1][name]), name
    within = found[0]["dropout_within"]
    assert not torch.equal(within[: len(within) // 2], within[len(within) // 2 :])
    assert torch.equal(found[0]["dropout_outside"], expected["dropout_outside"])


def test_only_the_main_process_writes_and_watches(two: Path) -> None:
    names = {path.name for path in two.iterdir()}
    assert {"checkpoint.000003.pt", "checkpoint.log.csv"} <= names
    for process in _results(two):
        assert process["told"] == "by 0"
        assert all(epoch["rank_that_watched"] == 0 for epoch in process["history"])
    assert (two / "stderr.txt").read_text(encoding="utf-8").count("towers: 12/12") == 1


def test_killed_under_torchrun_it_ends_in_the_same_bytes(two: Path, tmp_path: Path) -> None:
    assert _run(tmp_path, *_torchrun(), kill_at=6) != 0
    assert (tmp_path / "checkpoint.000001.pt").exists()
    assert not _results(tmp_path)
    _run(tmp_path, *_torchrun())
    for name, value in _results(two)[0]["weights"].items():
        assert torch.equal(_results(tmp_path)[1]["weights"][name], value), name


def test_started_by_srun_it_is_the_same_training(two: Path, tmp_path: Path) -> None:
    """Two tasks with the variables that srun sets."""
    shared = {
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_JOB_ID": "4711",
        "MASTER_PORT": _free_port(),
    }
    command = [sys.executable, *SCRIPT, str(tmp_path), "fp32", "-1"]
    tasks = [
        subprocess.Popen(
            command,
            env=_environment(**shared, SLURM_PROCID=str(i), SLURM_LOCALID=str(i)),
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    for task in tasks:
        _, error = task.communicate(timeout=200)
        assert task.returncode == 0, error[-3000:]
    found = _results(tmp_path)
    assert [r["world_size"] for r in found] == [2, 2]
    for name, value in _results(two)[0]["weights"].items():
        assert torch.equal(found[0]["weights"][name], value), name


def test_the_stages_in_two_processes_follow_those_in_one(tmp_path: Path) -> None:
    write_miniature(tmp_path / "data" / "ptbxl")
    for name, launcher in (("one", []), ("two", _torchrun())):
        arguments = ["-m", "tests.stages_script", str(tmp_path / "data"), str(tmp_path / name)]
        done = _python(*launcher, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
    for stage in ("teacher", "distill", "finetune"):
        one, two = (
            read_log(tmp_path / name / stage / "checkpoint.log.csv") for name in ("one", "two")
        )
        assert two["loss"][0] == pytest.approx(one["loss"][0], rel=1e-5)
        assert two["gradient_norm"][0] == pytest.approx(one["gradient_norm"][0], rel=1e-4)
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


def test_bfloat16_computes_in_it_and_keeps_weights_in_float32(one: Path, tmp_path: Path) -> None:
    _run(tmp_path, precision="bf16")
    (found,), (expected,) = _results(tmp_path), _results(one)
    half, single = "torch.bfloat16", "torch.float32"
    assert found["types"] == [half, single, single]  # in the network, after it, the loss
    assert expected["types"] == [single] * 3
    weights = [v for v in found["weights"].values() if v.is_floating_point()]
    assert {v.dtype for v in weights} == {torch.float32}
    losses = [r["history"][-1]["loss"] for r in (found, expected)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_in_one_process_the_helpers_hand_back_what_they_get() -> None:
    x = torch.arange(6.0).reshape(3, 2)
    names = ["a", "b", "c"]
    assert engine.local(x) is x
    assert engine.local(names) is names
    assert engine.gather(x) is x
    assert engine.encode(lambda values: (values, values[:, 0]), x)[0] is x
    assert engine.on_main(lambda: 5) == 5
    assert (engine.world_size(), engine.rank(), engine.is_main()) == (1, 0, True)


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_core.errors import EchoingError

    monkeypatch.setattr(engine, "world_size", lambda: 3)
    monkeypatch.setattr(engine, "rank", lambda: 1)
    assert engine.local(list(range(6))) == [2, 3]
    with pytest.raises(EchoingError, match="A batch of 8 cannot be divided among 3 processes"):
        engine.local(list(range(8)))


def test_incomplete_variables_of_slurm_are_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from training import engine; engine.start()"]
    environment = _environment(SLURM_STEP_ID="0", SLURM_NTASKS="2", SLURM_PROCID="0")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "EchoingError: The variables of srun or torchrun are incomplete" in done.stderr
