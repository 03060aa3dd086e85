"""The training loop: resuming, its log, what it does when something goes wrong."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_core.errors import EchoingError
from training import checkpoint as checkpoint_files
from training.__main__ import main
from training.checkpoint import load_checkpoint, load_tensors, save_checkpoint
from training.config import FitConfig
from training.curves import StepLog, draw_curves, read_log
from training.fit import Task, fit

CONFIG = FitConfig(steps=11, steps_per_epoch=3, batch=8, learning_rate=0.05)
KILLS = int(os.environ.get("ECHOING_KILLS", "25"))


class Line(Task):
    """Fits a slope; interrupts itself, or gives no number, when asked."""

    def __init__(self, stop_after: int = 10**9, not_a_number: tuple[int, ...] = ()) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 1)
        self.stop_after, self.not_a_number = stop_after, not_a_number
        self.calls = 0

    def step_loss(
        self, rng: np.random.Generator, batch: int, done: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        self.calls += 1
        if self.calls > self.stop_after:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.normal(size=(batch, 3)).astype(np.float32))
        x = nn.functional.dropout(x, 0.2)  # torch's randomness, too
        loss = (self.layer(x) - x.sum(1, keepdim=True)).square().mean() * (1 + done)
        if self.calls - 1 in self.not_a_number:
            loss = loss * float("nan")
        return loss, {"share": done}

    def watch(self) -> dict[str, float]:
        return {"held_out": float(self.layer.weight.sum())}


def _weights(task: Line) -> bytes:
    return task.layer.weight.detach().numpy().tobytes()


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


@pytest.fixture
def whole(tmp_path: Path) -> Line:
    """An unbroken training, in a folder of its own."""
    task = Line()
    fit(task, CONFIG, name="line", seed=1, checkpoint=tmp_path / "whole" / "checkpoint.pt")
    return task


def _interrupt(series: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(Line(after), CONFIG, name="line", seed=1, checkpoint=series)


def _resume(series: Path) -> Line:
    task = Line()
    fit(task, CONFIG, name="line", seed=1, checkpoint=series)
    return task


# --- killed and resumed ---


@pytest.mark.parametrize("after", [0, 2, 3, 7, 10])
def test_an_interrupted_training_ends_where_an_unbroken_one_does(
    whole: Line, series: Path, after: int
) -> None:
    _interrupt(series, after)
    resumed = _resume(series)
    assert _weights(resumed) == _weights(whole)
    assert resumed.calls == 11 - after // 3 * 3


def test_a_finished_training_is_not_repeated(whole: Line, tmp_path: Path) -> None:
    again = _resume(tmp_path / "whole" / "checkpoint.pt")
    assert again.calls == 0
    assert _weights(again) == _weights(whole)


KILLED = """
import os, signal, sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
import lightning_fabric
from training.config import FitConfig
from training.fit import Task, fit

class Net(Task):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(64, 256), nn.BatchNorm1d(256), nn.GELU(), nn.Dropout(0.1), nn.Linear(256, 64)
        )
    def step_loss(self, rng, batch, done):
        x = torch.from_numpy(rng.normal(size=(batch, 64)).astype(np.float32))
        return (self.net(x) - x.flip(1)).square().mean(), {}

def train(folder):
    torch.set_num_threads(1)
    task = Net()
    config = FitConfig(steps=120, steps_per_epoch=2, batch=16, learning_rate=1e-3)
    fit(task, config, name="net", seed=5, checkpoint=Path(folder) / "checkpoint.pt")
    torch.save(task.state_dict(), Path(folder) / "final.pt")

def child(folder):
    pid = os.fork()
    if pid:
        return pid
    try:
        train(folder)
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)

# A process for each life, forked before torch has started any thread.
root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
started = time.monotonic()
(root / "unbroken").mkdir()
assert os.waitpid(child(root / "unbroken"), 0)[1] == 0
life = time.monotonic() - started
rng = np.random.default_rng(seed)
killed = torn = rounds = 0
while killed < kills:
    folder = root / f"broken{rounds}"
    folder.mkdir()
    rounds += 1
    status = None
    while status != 0:
        pid = child(folder)
        if killed < kills:
            time.sleep(rng.uniform(0, life / 6))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            torn += any(folder.glob("*.new"))
        else:
            assert status == 0
print(f"{killed} kills, {torn} of them during a write, {rounds} trainings")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_any_moment_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    seed = int(np.random.default_rng().integers(10**6))  # told when it fails
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(KILLS), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"
    print(done.stdout)
    assert done.stdout.startswith(f"{KILLS} kills")
    unbroken, *broken = sorted(tmp_path.iterdir(), reverse=True)
    assert unbroken.name == "unbroken"
    weights = (unbroken / "final.pt").read_bytes()
    log = read_log(unbroken / "checkpoint.log.csv")
    assert np.array_equal(log["step"], np.arange(120))
    for folder in broken:
        assert (folder / "final.pt").read_bytes() == weights, seed
        resumed = read_log(folder / "checkpoint.log.csv")
        assert np.array_equal(resumed["step"], np.arange(120))
        assert np.array_equal(resumed["loss"], log["loss"])


# --- checkpoints ---


def test_the_newest_checkpoint_and_the_one_before_stay(whole: Line, tmp_path: Path) -> None:
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == [
        "checkpoint.000003.pt",
        "checkpoint.000003.pt.sha256",
        "checkpoint.000004.pt",
        "checkpoint.000004.pt.sha256",
        "checkpoint.log.csv",
    ]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_digest_is_what_sha256sum_checks(whole: Line, tmp_path: Path) -> None:
    command = ["sha256sum", "--check", "checkpoint.000004.pt.sha256"]
    subprocess.run(command, cwd=tmp_path / "whole", check=True, capture_output=True)


@pytest.mark.parametrize("damage", ["half", "flipped", "empty", "no digest"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    whole: Line, series: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _interrupt(series, 10)
    newest = series.with_name("checkpoint.000003.pt")
    data = newest.read_bytes()
    if damage == "half":
        newest.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        newest.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
    elif damage == "empty":
        newest.write_bytes(b"")
    else:
        newest.with_name(newest.name + ".sha256").unlink()
    resumed = _resume(series)
    assert "checkpoint.000003.pt is damaged" in capsys.readouterr().err
    assert resumed.calls == 11 - 6
    assert _weights(resumed) == _weights(whole)


def test_without_any_sound_checkpoint_it_does_not_start_afresh_unasked(series: Path) -> None:
    _interrupt(series, 10)
    for file in series.parent.glob("*.pt"):
        file.write_bytes(b"torn")
    with pytest.raises(EchoingError, match=r"No checkpoint .* can be read"):
        _resume(series)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.06}, "learning_rate 0.05 there, 0.06 here"),
        ({"batch": 16}, "batch 8 there, 16 here"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(
    series: Path, change: dict[str, float], message: str
) -> None:
    _interrupt(series, 4)
    other = dataclasses.replace(CONFIG, **change)
    with pytest.raises(EchoingError, match=message):
        fit(Line(), other, name="line", seed=1, checkpoint=series)


def test_a_checkpoint_of_another_seed_or_network_is_refused(series: Path) -> None:
    _interrupt(series, 4)
    with pytest.raises(EchoingError, match="seed 1 there, 2 here"):
        fit(Line(), CONFIG, name="line", seed=2, checkpoint=series)
    wide = Line()
    wide.layer = nn.Linear(4, 1)
    with pytest.raises(EchoingError, match="another network"):
        fit(wide, CONFIG, name="line", seed=1, checkpoint=series)


def test_a_checkpoint_is_read_as_data_alone(series: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("code ran",)

    save_checkpoint(series, 1, {"code": Code()})
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_checkpoint(series)


FULL = """
import resource, sys
from pathlib import Path
import torch
from model_core.errors import EchoingError
from training.checkpoint import load_checkpoint, save_checkpoint
series = Path(sys.argv[1])
save_checkpoint(series, 1, {"a": torch.ones(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(series, 2, {"a": torch.ones(100_000)})
except EchoingError as error:
    print(error)
state = load_checkpoint(series)
print(len(state["a"]), *sorted(p.name for p in series.parent.iterdir()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(series: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(series)], capture_output=True, text=True, check=True
    )
    message, after = done.stdout.strip().splitlines()
    assert message.endswith(
        "checkpoint.000002.pt could not be written: file too large. "
        "What was written before is kept."
    )
    assert after == "10 checkpoint.000001.pt checkpoint.000001.pt.sha256"


def test_too_little_space_is_told_before_the_first_step(
    series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(series.parent)._replace(free=15_000_000)
    monkeypatch.setattr(checkpoint_files.shutil, "disk_usage", lambda _: usage)
    task = Line()
    with pytest.raises(EchoingError, match="has 15 MB free; the training of the line needs 20 MB"):
        fit(task, CONFIG, name="line", seed=1, checkpoint=series)
    assert task.calls == 0


# --- numbers that are none ---


def test_divergence_is_told_in_a_sentence(series: Path) -> None:
    with pytest.raises(EchoingError, match="training of the line diverged at step 4"):
        fit(Line(not_a_number=(4,)), CONFIG, name="line", seed=1, checkpoint=series)


def test_one_step_in_ten_thousand_may_be_left_out(
    series: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = FitConfig(steps=10_000, steps_per_epoch=50, batch=2, learning_rate=0.01)
    task = Line(stop_after=100, not_a_number=(60,))
    with pytest.raises(KeyboardInterrupt):
        fit(task, config, name="line", seed=1, checkpoint=series)
    assert "line: step 60 is left out" in capsys.readouterr().err
    assert torch.isfinite(task.layer.weight).all()
    assert np.flatnonzero(np.isnan(read_log(series.with_suffix(".log.csv"))["loss"])).tolist() == [
        60
    ]
    # The second one is one too many, and the first is remembered across the interruption.
    with pytest.raises(EchoingError, match="diverged at step 120"):
        fit(Line(not_a_number=(20,)), config, name="line", seed=1, checkpoint=series)


# --- the log ---


def test_the_log_has_each_step_and_the_figures_of_each_epoch(series: Path) -> None:
    task = Line()
    history = fit(task, CONFIG, name="line", seed=1, checkpoint=series)
    table = read_log(series.with_suffix(".log.csv"))
    assert table["step"].tolist() == list(range(11))
    assert table["epoch"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 2
    assert table["share"] == pytest.approx(np.arange(11) / 11)
    assert table["learning_rate"][0] == pytest.approx(0.05)
    assert (np.diff(table["seconds"]) > 0).all()
    last = [2, 5, 8, 10]
    assert np.flatnonzero(np.isfinite(table["held_out"])).tolist() == last
    for epoch in range(4):
        mean = table["loss"][table["epoch"] == epoch].mean()
        assert history[epoch]["loss"] == pytest.approx(mean, rel=1e-5)
        assert history[epoch]["held_out"] == pytest.approx(table["held_out"][last[epoch]], rel=1e-5)


def test_the_log_of_a_resumed_training_is_that_of_an_unbroken_one(
    whole: Line, series: Path, tmp_path: Path
) -> None:
    _interrupt(series, 7)
    log = series.with_suffix(".log.csv")
    with log.open("a") as file:
        file.write("7,2,0.")  # cut off by a kill
    _resume(series)
    there = read_log(tmp_path / "whole" / "checkpoint.log.csv")
    here = read_log(log)
    assert list(here) == list(there)
    for name in set(here) - {"seconds"}:
        assert np.array_equal(here[name], there[name], equal_nan=True), name
    assert (np.diff(here["seconds"]) > 0).all()


def test_a_figure_that_appears_late_becomes_a_column(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "a.log.csv", 0)
    log.write({"step": 0, "epoch": 0, "loss": 2.0})
    log.write({"step": 1, "epoch": 0, "loss": 1.0, "late": 5.0})
    log.close()
    text = (tmp_path / "a.log.csv").read_text(encoding="utf-8")
    assert text == "step,epoch,loss,late\n0,0,2,\n1,0,1,5\n"


def test_curves_show_every_figure(series: Path) -> None:
    fit(Line(), CONFIG, name="line", seed=1, checkpoint=series)
    picture = draw_curves(series.with_suffix(".log.csv"))
    assert picture.name == "checkpoint.curves.svg"
    text = picture.read_text(encoding="utf-8")
    for title in ("loss", "share", "gradient norm", "learning rate", "held out"):
        assert f"<!-- {title} -->" in text
    assert "<!-- seconds -->" not in text


def test_the_command_draws_each_training_of_a_run(
    series: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("teacher", "distill"):
        fit(Line(), CONFIG, name="line", seed=1, checkpoint=series.parent / stage / "checkpoint.pt")
    capsys.readouterr()
    assert main(["curves", str(series.parent)]) == 0
    pictures = [series.parent / stage / "checkpoint.curves.svg" for stage in ("distill", "teacher")]
    assert capsys.readouterr().out.split() == [str(picture) for picture in pictures]
    assert all(picture.stat().st_size > 1000 for picture in pictures)
    (series.parent / "nothing").mkdir()
    assert main(["curves", str(series.parent / "nothing")]) == 1
    assert "There is no log of a training" in capsys.readouterr().err


def test_weights_of_a_checkpoint_are_those_of_the_task(whole: Line, tmp_path: Path) -> None:
    state = load_tensors(tmp_path / "whole" / "checkpoint.000004.pt")
    assert torch.equal(state["task"]["layer.weight"], whole.layer.weight)
