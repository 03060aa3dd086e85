"""Readings by prompts: the numbers, and the commands `embed-echo` and `zeroshot` around them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.prompts import Pair, Prompts, Sweep
from model_core.teachers import ImageTextTeacher, build_vocabulary
from model_core.zero_shot import sampled_distance
from tests.echo_factory import sample_echo
from tests.ptbxl_miniature import write_miniature
from tests.unit.test_echo_video_embed import write_avi
from training import stages
from training.__main__ import main
from training.checkpoint import load_tensors, save_json, save_tensors
from training.commands.zeroshot import errors, read_labels, separation
from training.echo_video import beat_frames, echo_files, load_teacher_folder, read_embeddings
from training.recipes import RECIPES
from training.run import Run
from training.simulation import render_clips
from training.zeroshot import (
    EmbeddedPair,
    EmbeddedSweep,
    embed_prompts,
    own_prompts,
    prompt_gaussians,
    read_all,
    read_pair,
    read_sweep,
    read_sweep_distance,
)

NOTHING_CHOSEN = np.zeros(3, np.bool_)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def arc(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """A space in which a value from 0 to 100 is an angle from 0 to 90 degrees."""
    angle = np.asarray(values) / 100 * np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_every_reading_finds_the_value_that_the_frames_show() -> None:
    values = np.arange(0, 101, 2.0)
    sweep = EmbeddedSweep(values, np.stack([arc(values + 1), arc(values - 1)]))
    truth = np.array([30.0, 44.0, 70.0])
    frames = [arc(np.array([v - 3, v, v + 3])[: 3 - row]) for row, v in enumerate(truth)]
    shown = np.array([30.0, 42.5, 67.0])
    found = read_sweep(sweep, frames, inverse_temperature=400.0)
    np.testing.assert_allclose(found["rank"], shown, atol=2)
    np.testing.assert_allclose(found["soft"], shown, atol=1)
    mean, log_var = arc(truth), np.full((3, 2), -6.0)
    np.testing.assert_allclose(read_sweep_distance(sweep, mean, log_var), truth, atol=2)


@pytest.mark.needs_shared
def test_rank_equals_echoclips_figures(shared: Path) -> None:
    fixture = np.load(shared / "parity" / "echoclip_zero_shot.npz")
    values, flat = fixture["values"], fixture["prompts"]
    n_templates = int((values == values[0]).sum())
    per_template = len(values) // n_templates
    np.testing.assert_array_equal(values, np.tile(values[:per_template], n_templates))
    sweep = EmbeddedSweep(values[:per_template], flat.reshape(n_templates, per_template, -1))
    frames = list(fixture["frames"])
    np.testing.assert_allclose(
        read_sweep(sweep, frames, 1.0)["rank"], fixture["regression"], rtol=1e-6
    )
    mean = np.stack([study.mean(0) for study in frames])
    pair = EmbeddedPair(flat[:4], flat[4:8])
    scores = read_pair(pair, frames, mean, np.zeros_like(mean))
    np.testing.assert_allclose(scores["for"], fixture["binary"], rtol=0, atol=1e-6)


def test_prompts_that_say_the_same_are_one_gaussian() -> None:
    embeddings = unit(np.random.default_rng(0).normal(size=(3, 4, 5)))
    mean, log_var = prompt_gaussians(embeddings)
    for value in range(4):
        rows = embeddings[:, value]
        np.testing.assert_allclose(mean[value], unit(rows.mean(0)))
        expected = np.log(((rows - rows.mean(0)) ** 2).mean(0) + 1e-8)
        np.testing.assert_allclose(log_var[value], expected)


def test_scores_of_a_finding() -> None:
    pair = EmbeddedPair(arc(np.array([10.0, 20.0])), arc(np.array([90.0])))
    frames = [arc(np.array([12.0, 18.0])), arc(np.array([85.0]))]
    mean, log_var = arc(np.array([15.0, 85.0])), np.full((2, 2), -7.0)
    scores = read_pair(pair, frames, mean, log_var)
    angle = np.deg2rad(0.9)
    expected = np.cos(angle * np.array([[2, 8], [8, 2]])).mean()
    assert scores["for"][0] == pytest.approx(expected)
    against = np.cos(angle * np.array([78, 72])).mean()
    assert scores["margin"][0] == pytest.approx(expected - against)
    assert scores["distance"][0] > 0 > scores["distance"][1]
    sides = [prompt_gaussians(side) for side in (pair.positive, pair.negative)]
    far = [sampled_distance(mean[0], log_var[0], m[None], s[None])[0] for m, s in sides]
    assert scores["distance"][0] == pytest.approx(far[1] - far[0])


def test_prompts_are_embedded_template_by_template() -> None:
    prompts = Prompts(
        {"x": Sweep("x", "ml", 0, 100, 20, ("a {value}", "b {value}"), "own")},
        {"y": Pair("y", ("b 20",), ("a 100", "a 0"), "own")},
    )

    def encode(texts: list[str]) -> NDArray[np.floating]:
        return arc(np.array([float(t.split()[1]) + (t[0] == "b") for t in texts]))

    found = embed_prompts(prompts, encode)
    np.testing.assert_allclose(found.sweeps["x"].embeddings[1], arc(np.arange(1, 102, 20.0)))
    np.testing.assert_allclose(found.pairs["y"].positive, arc(np.array([21.0])))
    readings = read_all(found, [arc(np.array([40.0]))], arc(np.array([40.0])), np.zeros((1, 2)), 9)
    assert set(readings["x"]) == {"rank", "soft", "distance"}
    assert set(readings["y"]) == {"for", "margin", "distance"}


def test_own_prompts_are_sentences_of_its_vocabulary() -> None:
    prompts = own_prompts()
    assert "LVEF measures 10 percent." in prompts.sweeps["lvef"].texts
    assert prompts.pairs["lvef_below_40"].positive == (
        "Systolic function of the left ventricle is severely reduced.",
        "Systolic function of the left ventricle is moderately reduced.",
    )


def test_the_reading_is_chosen_on_some_studies_and_reported_on_others() -> None:
    truth = np.array([10.0, 20.0, 30.0, 40.0, np.nan])
    choose = np.array([True, True, False, False, False])
    readings = {
        "rank": np.array([10.0, 20.0, 20.0, 20.0, 0.0]),
        "soft": np.array([12.0, 22.0, 31.0, 41.0, 0.0]),
    }
    found = errors(readings, truth, choose)
    assert (found["n"], found["chosen"], found["n_to_choose"]) == (2, "rank", 2)
    assert found["readings"]["rank"] == {"mae": 15.0, "bias": -15.0, "r": None}
    assert found["readings"]["soft"]["mae"] == 1.0
    assert found["predict_mean_mae"] == 5.0
    assert "chosen" not in errors(readings, truth, choose & False)
    assert errors(readings, truth * np.nan, choose) == {}


def test_separation_needs_both_classes() -> None:
    truth = np.array([1.0, 0.0, 0.0])
    scores = {"good": np.array([3.0, 1.0, 2.0]), "half": np.array([1.5, 1.0, 2.0])}
    found = separation(scores, truth, NOTHING_CHOSEN)
    assert found["auroc"] == {"good": 1.0, "half": 0.5}
    assert found["prevalence"] == pytest.approx(1 / 3)
    assert separation(scores, np.zeros(3), NOTHING_CHOSEN) == {}


def test_labels_are_found_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "echo_id,label_lvef_pct,lvesv,split,lv_dilated\n"
        "90000002,25,,train,1\n90000001,61.5,40,test,0\n90000001,3,3,test,0\n"
    )
    prompts = own_prompts()
    truth, choose = read_labels(path, ("s90000001", "s90000002", "s90000003"), prompts)
    np.testing.assert_array_equal(truth["lvef"], [61.5, 25, np.nan])
    np.testing.assert_array_equal(truth["lvesv"], [40, np.nan, np.nan])
    np.testing.assert_array_equal(truth["lvef_below_30"], [0, 1, np.nan])
    np.testing.assert_array_equal(truth["lv_dilated"], [0, 1, np.nan])
    np.testing.assert_array_equal(choose, [False, True, False])
    assert "lvedv" not in truth


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("who,lvef\n1,2\n", "names the studies"),
        ("study,lvef\n7,2\n", "No embedded study, such as s1"),
        ("study,weight\n1,2\n", "no measure that prompts read"),
        ("study,lvef\n1,about 50\n", "more than numbers"),
        ("", "cannot be read"),
    ],
)
def test_labels_that_do_not_fit_give_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(EchoingError, match=words):
        read_labels(tmp_path / "labels.csv", ("s1",), own_prompts())


# --- our own teacher on files ---


def moving(n_frames: int, beat: int) -> NDArray[np.uint8]:
    """A disc that grows and shrinks, with fresh noise in every frame."""
    rng = np.random.default_rng(beat)
    radius = 18 + 6 * np.cos(2 * np.pi * np.arange(n_frames) / beat)
    row, column = np.mgrid[:64, :64] - 31.5
    inside = np.hypot(row, column) < radius[:, None, None]
    noisy = np.where(inside, 150, 40) + rng.normal(0, 12, (n_frames, 64, 64))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("n_frames", "beat"), [(60, 22), (45, 30), (100, 18)])
def test_the_four_phases_span_one_beat(n_frames: int, beat: int) -> None:
    chosen = beat_frames(moving(n_frames, beat), np.arange(n_frames) / 30)
    steps = np.diff(chosen, axis=1)
    np.testing.assert_allclose(chosen[:, 3] - chosen[:, 0], 0.75 * beat, atol=1)
    assert np.ptp(steps) <= 1
    np.testing.assert_array_equal(chosen[:, 0], np.arange(len(chosen)))
    assert chosen.max() == n_frames - 1


@pytest.mark.parametrize("times", [None, np.arange(12) / 30])
def test_a_clip_without_a_whole_beat_is_taken_for_one(times: NDArray[np.float64] | None) -> None:
    chosen = beat_frames(moving(12, 24), times)
    np.testing.assert_array_equal(chosen[0], [0, 3, 6, 9])
    np.testing.assert_array_equal(np.sort(chosen[:, 2]), np.arange(12))


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with a teacher of odd sizes, untrained."""
    torch.manual_seed(0)
    texts = [text for sweep in own_prompts().sweeps.values() for text in sweep.texts]
    vocabulary = list(build_vocabulary(texts, range(10)))
    teacher = ImageTextTeacher(
        vocabulary, frame_size=48, embedding_dim=12, channels=(4, 6), text_width=16, text_blocks=3
    )
    folder = tmp_path_factory.mktemp("run")
    save_tensors(folder / "teacher/weights.pt", teacher.state_dict())
    save_json(folder / "teacher/vocabulary.json", vocabulary)
    save_json(folder / "teacher/history.json", [{"inverse_temperature": 11.0}])
    return folder


def test_teacher_of_a_run_is_read_with_the_sizes_of_its_weights(teacher_run: Path) -> None:
    teacher = load_teacher_folder(teacher_run / "teacher")
    assert (teacher.spec.size, teacher.inverse_temperature) == (48, 11.0)
    grey = np.random.default_rng(0).integers(0, 255, (9, 48, 48)).astype(np.uint8)
    whole = teacher.embed_clip(grey[:8], None)
    torch.testing.assert_close(whole, teacher.teacher.frames(torch.from_numpy(grey[None, :8]))[0])
    with pytest.raises(EchoingError, match="no trained teacher"):
        load_teacher_folder(teacher_run)


@pytest.fixture(scope="module")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six studies named as in MIMIC-IV-ECHO, a still and a broken file."""
    root = tmp_path_factory.mktemp("echo")
    measures = sample_echo(6, 1)
    clips = render_clips(measures, np.random.default_rng(2), 12, 120)
    rows = [["study_id", "split", "lvef_pct"]]
    for number, clip in enumerate(clips):
        study = 90000000 + number
        folder = root / "files" / "p10" / f"s{study}"
        folder.mkdir(parents=True)
        write_avi(folder / f"{study}_0001.avi", clip)
        rows.append([str(study), "train" if number < 3 else "test", str(measures.lvef_pct[number])])
    last = root / "files/p10/s90000005"
    write_avi(last / "still.avi", clips[0][:1])
    (last / "broken.dcm").write_bytes(b"nothing")
    (last / "notes.txt").write_bytes(b"nothing")
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def embed(echoes: Path, out: Path, run: Path, *more: str) -> int:
    arguments = ["embed-echo", "--echo", str(echoes), "--out", str(out)]
    return main([*arguments, "--teacher", "own", "--run", str(run), *more])


def test_commands_from_files_to_errors(
    echoes: Path, teacher_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(echoes, tmp_path / "whole", teacher_run) == 0
    said = capsys.readouterr().out
    assert "6 clips" in said
    assert "1 still" in said
    assert "1 unknown_format" in said
    for task in range(2):
        assert embed(echoes, tmp_path / "parts", teacher_run, "--shard", f"{task}/2") == 0
        if task == 0:
            with pytest.raises(EchoingError, match="1 of 2 tasks have not ended"):
                read_embeddings(tmp_path / "parts")
    whole, parts = read_embeddings(tmp_path / "whole"), read_embeddings(tmp_path / "parts")
    order = [parts.studies.index(study) for study in whole.studies]
    assert sorted(parts.studies) == list(whole.studies)
    np.testing.assert_array_equal(parts.mean[order], whole.mean)

    read = ["zeroshot", "--echo", str(tmp_path / "parts"), "--labels", str(echoes / "labels.csv")]
    teacher = ["--teacher", "own", "--run", str(teacher_run)]
    capsys.readouterr()
    assert main([*read, "--out", str(tmp_path / "out"), *teacher]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    found = summary["measures"]["lvef"]
    assert (summary["n"], found["n"], found["n_to_choose"]) == (6, 3, 3)
    with (tmp_path / "out" / "zeroshot.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tested = [row for row in rows if int(row["study"].removeprefix("s")) >= 90000003]
    for name, figures in found["readings"].items():
        wrong = [abs(float(row[f"lvef_{name}"]) - float(row["lvef_label"])) for row in tested]
        assert figures["mae"] == pytest.approx(np.mean(wrong), rel=1e-5)
    assert "lvef, mean absolute error, %, n 3" in capsys.readouterr().out


def test_embeddings_of_another_teacher_are_refused(
    echoes: Path, teacher_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(echoes, tmp_path / "a", teacher_run) == 0
    state = load_tensors(teacher_run / "teacher/weights.pt")
    state["text.norm.weight"] += 1
    for name in ("vocabulary.json", "history.json"):
        (tmp_path / "run/teacher").mkdir(parents=True, exist_ok=True)
        (tmp_path / "run/teacher" / name).write_bytes((teacher_run / "teacher" / name).read_bytes())
    save_tensors(tmp_path / "run/teacher/weights.pt", state)
    arguments = ["zeroshot", "--echo", str(tmp_path / "a"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--teacher", "own", "--run", str(tmp_path / "run")]) == 1
    assert "are of another teacher" in capsys.readouterr().err
    assert embed(echoes, tmp_path / "a", tmp_path / "run") == 1
    assert "another teacher" in capsys.readouterr().err


def test_two_studies_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0001.dcm").write_bytes(b"")
    with pytest.raises(EchoingError, match="Two studies would be named 0001"):
        echo_files(tmp_path)
    assert sorted(echo_files(tmp_path, "folder").values()) == ["a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(EchoingError, match="no echo"):
        echo_files(tmp_path / "empty")


def test_echoclip_asks_for_its_terms_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    arguments = ["embed-echo", "--echo", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--teacher", "echoclip", "--weights", str(tmp_path / "w.pt")]) == 1
    said = capsys.readouterr().err
    assert "Cedars-Sinai" in said
    assert "were not accepted; nothing was read" in said
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--teacher", "echoclip"]) == 1
    assert "--teacher echoclip needs --weights FILE." in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "accepted"), [("yes", True), ("y", False), ("no", False)])
def test_terms_can_be_accepted_by_hand(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    accepted: bool,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    arguments = ["embed-echo", "--echo", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--teacher", "echoclip", "--weights", str(tmp_path / "w.pt")]) == 1
    said = capsys.readouterr().err
    assert ("none does not exist" in said) == accepted


def test_ecgs_of_a_run_are_read_by_prompts(tmp_path: Path) -> None:
    write_miniature(tmp_path / "data/ptbxl")
    config = RECIPES["debug"]()
    run = Run(config, tmp_path / "data", tmp_path / "run", tmp_path / "out", None, workers=1)
    save_json(run.folder / "recipe.json", "debug")
    for stage in ("cohort", "teacher", "distill"):
        stages.run_stage(run, stage)
    arguments = ["zeroshot", "--ecg", str(run.folder), "--out", str(tmp_path / "read")]
    own = ["--teacher", "own", "--run", str(run.folder), "--format", "parquet"]
    assert main([*arguments, *own]) == 0
    summary = json.loads((tmp_path / "read" / "summary.json").read_text())
    assert summary["measures"]["lvef"]["n"] > 0
    assert summary["measures"]["lvesv"]["chosen"] in {"rank", "soft", "distance"}
    assert (tmp_path / "read" / "zeroshot.parquet").exists()
