"""Sentences and ECGs in one space: the text side of a model package."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import pytest

from model_core.errors import Cancelled, CancelToken, PackageError
from model_core.preprocess import PreprocessSpec, prepare
from model_core.runtime.inquiry import Inquiry
from model_core.runtime.package import ModelPackage, load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.prompting import ask_sentences, read_sweep
from model_core.runtime.text import TextEncoder
from model_core.zero_shot import probability_for
from tests.package_factory import (
    TEXT_SIDE,
    WORDS,
    contents,
    npz,
    synthetic_ecg,
    text_contents,
    word_table,
    write_package,
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(write_package(tmp_path_factory.mktemp("text") / "p", text_contents()))


@pytest.fixture(scope="module")
def encoder(package: ModelPackage) -> TextEncoder:
    return TextEncoder(package.texts[0])


def refusal(folder: Path, files: dict[str, bytes]) -> str:
    with pytest.raises(PackageError) as caught:
        load_package(write_package(folder / "package", files))
    return caught.value.code


def test_a_package_without_text_side_still_opens(tmp_path: Path):
    assert load_package(write_package(tmp_path / "package", contents())).texts == ()


def test_what_a_package_says_of_its_text_side(package: ModelPackage):
    (part,) = package.texts
    assert part.side == TEXT_SIDE
    assert part.tokenizer.vocabulary == WORDS
    assert part.prompts.sweeps["lvef"].texts[0] == "LVEF is 10."
    assert part.prompts.pairs["poor"].negative == ("Function is normal.",)


@pytest.mark.parametrize(
    "name", [TEXT_SIDE.graph_name, TEXT_SIDE.vocabulary_name, TEXT_SIDE.prompts_name]
)
def test_every_file_of_a_text_side_is_needed_and_checked(tmp_path: Path, name: str):
    files = text_contents()
    changed = files | {name: files[name] + b" "}
    assert refusal(tmp_path / "changed", changed) == "hash_mismatch"
    del files[name]
    assert refusal(tmp_path / "missing", files) == "file_missing"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text_echo_vocabulary_dot_txt": b"\xff\xfe"}, "bad_text_side"),
        ({"text_echo_vocabulary_dot_txt": b"alone\n"}, "bad_text_side"),
        ({"text_echo_prompts_dot_json": b"[]"}, "bad_text_side"),
        (
            {"text_echo_prompts_dot_json": b'{"schema_version": 1, "sweeps": [], "pairs": []}'},
            "bad_text_side",
        ),
        ({"text_echo_dot_onnx": b"no graph"}, "bad_graph"),
        ({"golden_dot_npz": contents()["golden.npz"]}, "bad_golden"),
    ],
)
def test_text_sides_that_cannot_be_used(tmp_path: Path, changes: dict[str, bytes], code: str):
    assert refusal(tmp_path, text_contents(TEXT_SIDE, **changes)) == code


def test_sentences_of_a_package_have_to_fit_its_encoder(tmp_path: Path):
    short = dataclasses.replace(TEXT_SIDE, max_tokens=2)
    assert refusal(tmp_path, text_contents(short)) == "bad_text_side"


def test_word_pieces_need_their_special_pieces(tmp_path: Path):
    pieces = dataclasses.replace(TEXT_SIDE, splitting="pieces")
    assert refusal(tmp_path, text_contents(pieces)) == "bad_text_side"


@pytest.mark.parametrize(
    "change",
    [
        {"key": "Echo"}, {"key": ""}, {"splitting": "letters"}, {"max_tokens": 0},
        {"negative_scale": -1.0}, {"negative_scale": 0.0},
    ],
)  # fmt: skip
def test_impossible_text_sides(change: dict[str, object]):
    with pytest.raises(ValueError, match=r"text side|split|scale"):
        dataclasses.replace(TEXT_SIDE, **change)  # pyright: ignore[reportArgumentType]


def test_an_encoder_that_gives_other_numbers_is_not_used(tmp_path: Path):
    golden = dict(np.load(io.BytesIO(text_contents()["golden.npz"])))
    golden["text_echo_mean"] = golden["text_echo_mean"] + 0.01
    files = text_contents(golden_dot_npz=npz(**golden))
    package = load_package(write_package(tmp_path / "package", files))
    with pytest.raises(PackageError) as caught:
        TextEncoder(package.texts[0])
    assert caught.value.code == "self_test_failed"


def test_sentences_of_any_length_keep_their_order(encoder: TextEncoder):
    """Against the table of words itself, and each alone."""
    texts = ["LVEF is 30.", "normal", "Function is poor.", "poor", "LVEF", "function is not 5"]
    mean, log_var = encoder.encode(texts)
    for row, text in enumerate(texts):
        numbers = [
            WORDS.index(word) if word in WORDS else 1
            for word in text.lower().replace(".", "").split()
        ]
        np.testing.assert_allclose(mean[row], word_table()[numbers].mean(0), atol=1e-6)
        np.testing.assert_array_equal(mean[row], encoder.encode([text])[0][0])
    assert (log_var == -4).all()
    many = texts * 40
    np.testing.assert_array_equal(encoder.encode(many)[0], np.tile(mean, (40, 1)))


def test_answers_are_the_distances_of_the_method(encoder: TextEncoder, package: ModelPackage):
    recording = synthetic_ecg()
    embedding = Inquiry(Predictor(package), recording).embedding()
    ecg = prepare(recording, PreprocessSpec())
    power = (ecg.astype(np.float64) ** 2).mean(2)[0]
    words = word_table()[[WORDS.index(w) for w in ("function", "is", "poor")]].mean(0)
    # CSD: squared distance of the means, and the sum of all variances.
    expected = ((np.sqrt(power) + 1e-6 - words) ** 2).sum() + (power + 1e-6).sum()
    expected += 12 * math.exp(-4)
    (poor, normal) = ask_sentences(encoder, embedding, ["Function is poor.", "Function is normal."])
    assert poor.distance == pytest.approx(expected, abs=1e-4)
    assert poor.match == pytest.approx(1 / (1 + math.exp(4 * expected - 3)), rel=1e-3)
    assert normal.distance is not None
    odds = math.exp(4 * (normal.distance - expected))
    assert probability_for([poor], [normal], 4.0) == pytest.approx(odds / (1 + odds), rel=1e-3)


def test_a_sentence_that_is_not_understood_whole_gets_no_number(
    encoder: TextEncoder, package: ModelPackage
):
    embedding = Inquiry(Predictor(package), synthetic_ecg()).embedding()
    texts = ["Function is terrible.", "LVEF < 30", "LVEF is 30 30 30 30", "Function is poor."]
    found = ask_sentences(encoder, embedding, texts)
    assert [each.unknown for each in found] == [("terrible",), ("<",), (), ()]
    assert [each.n_tokens for each in found] == [3, 2, 6, 3]
    assert [each.distance is None for each in found] == [True, True, True, False]
    assert [each.match is None for each in found] == [True, True, True, False]
    # A set with a hole in it says nothing.
    assert probability_for(found[2:], found[3:], 4.0) is None
    assert probability_for(found[3:], (), 4.0) is None


def test_without_scale_there_is_a_distance_and_no_probability(tmp_path: Path):
    side = dataclasses.replace(TEXT_SIDE, negative_scale=0.0, shift=0.0)
    package = load_package(write_package(tmp_path / "package", text_contents(side)))
    embedding = Inquiry(Predictor(package), synthetic_ecg()).embedding()
    encoder = TextEncoder(package.texts[0])
    (found,) = ask_sentences(encoder, embedding, ["Function is poor."])
    assert found.distance is not None
    assert found.match is None
    assert probability_for((found,), (found,), 0.0) is None


def test_a_sweep_reads_the_median_of_the_nearest_fifth(encoder: TextEncoder):
    """An ECG that lies at 42 on the line of the numbers, among words that all sentences share."""
    shared = word_table()[[WORDS.index(w) for w in ("lvef", "is")]].sum(0)
    at_42 = np.linspace(-1, 1, 101)[42]
    embedding = (shared + at_42) / 3, np.full(12, -3.0)
    found = read_sweep(
        encoder,
        (embedding[0].astype(np.float64), embedding[1]),
        encoder.part.prompts.sweeps["lvef"],
    )
    # 71 sentences: the nearest 14 are 35 to 48 or 36 to 49; the lower of the middle ones counts.
    assert found.value in (41.0, 42.0)
    assert (found.low, found.high) in {(35.0, 48.0), (36.0, 49.0)}
    assert (found.range_low, found.range_high, found.n_sentences) == (10.0, 80.0, 71)


def test_encoding_can_be_cancelled(encoder: TextEncoder):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        encoder.encode(["poor"], token)
    with pytest.raises(ValueError, match="too long"):
        encoder.encode(["poor " * 6])
