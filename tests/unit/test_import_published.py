"""The released files become a package that the program runs, and says what it must of it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_core.errors import EchoingError
from model_core.export import run_onnx
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.nn.published import EcgGeometry, HeadGeometry, PublishedEcgEncoder
from model_core.nn.published_text import PublishedTextEncoder, TextGeometry
from model_core.preprocess import prepare
from model_core.prompts import PROMPTS_PATH, load_prompts
from model_core.runtime.package import ModelPackage, load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.session import open_session
from model_core.runtime.text import TextEncoder
from model_core.types import Recording, ResultState
from model_core.zero_shot import nearest_value, pair_difference, sampled_distance
from tests.package_factory import synthetic_ecg
from training.__main__ import main
from training.labelled_ecgs import read_table
from training.published import embed_texts, load_encoders, read_tokenizer

PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "left", "ventricle", "ejection",
    "fraction", "of", "is", "about", "ml", "%", ".", ":", "normal", "reduced", "diastolic",
    "systolic", "volume", "end", "-",
    *"0123456789", *(f"##{digit}" for digit in range(10)),
]  # fmt: skip


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def arguments(released: Path, pieces: Path, out: Path, **changes: Path) -> list[str]:
    files = {
        "weights": released / "echoingecg_small.pt",
        "scaler": released / "ecg_scaler.pkl",
        "tokenizer": pieces,
        "out": out,
    } | {name.replace("_", "-"): path for name, path in changes.items()}
    return [
        "import-published",
        *(text for name, path in files.items() for text in (f"--{name}", str(path))),
    ]


@pytest.fixture(scope="module")
def package(
    parity: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    folder = tmp_path_factory.mktemp("imported") / "package"
    assert main(arguments(parity, tokenizer, folder)) == 0
    return load_package(folder)


# --- the same numbers as the authors'


@pytest.mark.needs_shared
def test_the_package_gives_the_authors_numbers(package: ModelPackage, parity: Path):
    expected = np.load(parity / "expected.npz")
    found = run_onnx(package.graph, expected["ecg"])
    np.testing.assert_allclose(found["mean"], expected["ecg_mean"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["log_var"], expected["ecg_log_var"], rtol=0, atol=1e-5)
    by_token = np.log(np.exp(expected["token_log_var"].astype(np.float64)).mean(-1))
    np.testing.assert_allclose(found["segment_log_var"][:, 0], by_token, rtol=0, atol=1e-5)


@pytest.mark.needs_shared
@pytest.mark.parametrize("fs", [100, 250, 500, 512, 1000])
def test_a_raw_ecg_is_prepared_as_the_authors_did(package: ModelPackage, parity: Path, fs: int):
    """Their filter, resampling and scaler, then their encoder, against the whole package."""
    fixture, scaler = np.load(parity / "preprocess.npz"), np.load(parity / "expected.npz")
    mean, scale = scaler["scaler_mean"][:, None], scaler["scaler_scale"][:, None]
    prepared = torch.from_numpy(((fixture[f"out_{fs}"] - mean) / scale).astype(np.float32))
    encoder = load_encoders(parity / "echoingecg_small.pt").ecg
    with torch.no_grad():
        expected = encoder(prepared[None])
    raw = Recording("raw", fixture[f"in_{fs}"], float(fs), STANDARD_LEADS, "raw")
    found = run_onnx(package.graph, prepare(raw, package.manifest.input))
    np.testing.assert_allclose(found["mean"], expected.mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["log_var"], expected.log_var, rtol=0, atol=1e-5)
    by_token = expected.token_log_var.exp().mean(-1).log()
    np.testing.assert_allclose(found["segment_log_var"][:, 0], by_token, rtol=0, atol=1e-5)


@pytest.mark.needs_shared
def test_sentences_in_the_program_are_the_authors(
    package: ModelPackage, parity: Path, tokenizer: Path
):
    """Their encoder on their token numbers, and text to embedding against ours in torch."""
    (part,) = package.texts
    expected = np.load(parity / "expected.npz")
    session = open_session(part.graph)
    for ids, mask, mean, log_var in zip(
        *(expected[n] for n in ("text_ids", "attention_mask", "text_mean", "text_log_var")),
        strict=True,
    ):
        found = session.run(["mean", "log_var"], {"token_ids": ids[None, mask > 0]})
        np.testing.assert_allclose(found[0][0], mean, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found[1][0], log_var, rtol=0, atol=1e-5)
    texts = ["The ejection fraction is normal.", "Diastolic volume: 120 ml", "left", "reduced 55%"]
    encoders = load_encoders(parity / "echoingecg_small.pt")
    wanted = embed_texts(texts, encoders.text, read_tokenizer(tokenizer, encoders.text))
    mean, log_var = TextEncoder(part).encode(texts)
    np.testing.assert_allclose(mean, wanted.mean_pd, rtol=0, atol=1e-5)
    np.testing.assert_allclose(log_var, wanted.log_var_pd, rtol=0, atol=1e-5)
    assert part.side.negative_scale == 0


@pytest.mark.needs_shared
def test_measures_are_read_by_distance_to_the_prompts(
    package: ModelPackage, parity: Path, tokenizer: Path
):
    ecg = np.load(parity / "expected.npz")["ecg"]
    found = run_onnx(package.graph, ecg)
    prompts, encoders = load_prompts(), load_encoders(parity / "echoingecg_small.pt")
    words = read_tokenizer(tokenizer, encoders.text)

    def distance(texts: tuple[str, ...]) -> np.ndarray:
        to = embed_texts(texts, encoders.text, words)
        arrays = (found["mean"], found["log_var"], to.mean_pd.numpy(), to.log_var_pd.numpy())
        return sampled_distance(*(values.astype(np.float64) for values in arrays))

    for column, measure in enumerate(package.manifest.measures):
        sweep = prompts.sweeps[measure.key]
        values = np.array(sweep.values)
        expected = nearest_value(distance(sweep.texts), values)
        read = found["quantiles"][:, column]
        assert (read == read[:, :1]).all()
        told = np.exp(read[:, 1]) if measure.log_space else read[:, 1]
        # Rounding may exchange two prompts that all but tie: then the value is a neighbour's.
        assert (np.abs(told - expected) <= sweep.step + 1e-3).all()
        assert (np.abs(told - expected) < 1e-3).mean() >= 0.75
    for column, finding in enumerate(package.manifest.findings):
        pair = prompts.pairs[finding.key]
        expected = pair_difference(distance(pair.positive), distance(pair.negative))
        np.testing.assert_allclose(found["finding_logits"][:, column], expected, atol=1e-5)


# --- what the program shows


@pytest.mark.needs_shared
def test_without_labels_every_measure_is_withheld_and_the_map_shown(package: ModelPackage):
    predictor = Predictor(package)
    assert predictor.self_test() < 1e-5
    prediction = predictor.predict(synthetic_ecg())
    assert prediction.state is ResultState.NOT_REPORTABLE
    assert [reason.code for reason in prediction.reasons] == ["not_calibrated"]
    assert prediction.embedding_variance is not None
    assert prediction.embedding_variance > 0
    cells = prediction.segment_variance
    assert cells is not None
    assert cells.lead_names == ("all",)
    assert cells.variance.shape == (1, 63)
    np.testing.assert_allclose(np.diff(cells.edges_s)[1:], 0.16, atol=1e-5)
    np.testing.assert_allclose(cells.edges_s[[0, 1, -1]], [0, 0.08, 10], atol=1e-6)


@pytest.mark.needs_shared
def test_the_licence_goes_with_the_package(package: ModelPackage):
    assert "CC BY-NC-ND 4.0" in package.manifest.licence
    assert "CC BY-NC-ND 4.0" in package.identity.caveat
    assert package.manifest.licence in package.model_card
    assert len(package.manifest.provenance.data_sha256) == 4


# --- calibration


def write_ecgs(folder: Path, n: int) -> Path:
    """n ECGs of as many patients in WFDB, and their table; LVEF alternates around 30 and 60 %."""
    import wfdb

    rng = np.random.default_rng(3)
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "patient", "lvef", "lvedv"])
        for number in range(n):
            ecg = synthetic_ecg()
            factors = rng.uniform(0.5, 1.5)
            signal = ecg.signal_mv * factors + rng.normal(0, 0.02, (1, ecg.n_samples))
            limb = signal[:2] - signal[:2].mean(1, keepdims=True)
            signal[2:6] = [
                limb[1] - limb[0], -(limb[0] + limb[1]) / 2, limb[0] - limb[1] / 2,
                limb[1] - limb[0] / 2,
            ]  # fmt: skip
            signal[:2] = limb
            wfdb.wrsamp(
                f"ecg{number}", 500, ["mV"] * 12, list(STANDARD_LEADS), signal.T,
                fmt=["16"] * 12, write_dir=str(folder),
            )  # fmt: skip
            lvef = (30 if number % 2 else 60) + rng.normal(0, 3)
            writer.writerow([f"ecg{number}.hea", f"p{number}", f"{lvef:.1f}", ""])
    return table


@pytest.mark.needs_shared
def test_labelled_ecgs_make_measures_reportable(parity: Path, tokenizer: Path, tmp_path: Path):
    table = write_ecgs(tmp_path, 24)
    out = tmp_path / "package"
    told = main(arguments(parity, tokenizer, out, calibration=table, ecg_root=tmp_path))
    assert told == 0
    predictor = Predictor(load_package(out))
    manifest = predictor.package.manifest
    assert [measure.n_calibration for measure in manifest.measures] == [24, 0, 0]
    predictor.self_test()
    covered = 0
    for row in read_table(table):
        prediction = predictor.predict(read_recording(tmp_path / row.path))
        (estimate,) = prediction.estimates
        assert (estimate.key, estimate.interval.level) == ("lvef", 0.9)
        low, high = estimate.interval.low - 1e-3, estimate.interval.high + 1e-3
        covered += low <= row.values["lvef"] <= high
        (reason, *_) = prediction.reasons
        assert reason.code == "not_calibrated"
        assert "LVEDV" in reason.message
        assert "LVEF," not in reason.message
    assert covered >= 23  # ceil(25 x 0.9): up to the patient who sets the threshold


@pytest.mark.needs_shared
def test_too_few_patients_are_refused(parity: Path, tokenizer: Path, tmp_path: Path, capsys):
    table = write_ecgs(tmp_path, 19)
    lines = table.read_text().splitlines()
    lines[-1] = lines[-1].replace(",p18,", ",p17,")  # the same patient again
    table.write_text("\n".join(lines))
    out = tmp_path / "package"
    assert main(arguments(parity, tokenizer, out, calibration=table, ecg_root=tmp_path)) == 1
    assert "18 patients" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,lvef\np,50\n", "no column path"),
        ("path,lvef\na,50\n", "no column patient"),
        ("path,patient,lvf\na,p,50\n", "no column lvef or lvedv or lvesv"),
        ("path,patient,lvef\na,p,0.5\n", "Line 2 of t.csv: LVEF 0.5 is not between 5 and 85 %"),
        ("path,patient,lvef\na,p,50\nb,q,nan\n", "Line 3 of t.csv"),
        ("path,patient,lvef\na,p,good\n", "'good' is no LVEF"),
        ("path,patient,lvef\n,p,50\n", "names no path"),
        ("path,patient,lvef\na\n", "names no path or no patient"),
        ("", "no column path"),
    ],
)
def test_odd_tables_are_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(EchoingError, match=said):
        read_table(path)


# --- files that are missing or odd: one sentence each


def small_release(folder: Path, n_leads: int) -> Path:
    """Weights of a small network, with another number of leads."""
    torch.manual_seed(0)
    head = HeadGeometry(12, 16, 8, 8)
    ecg = PublishedEcgEncoder(EcgGeometry(n_leads, 4, (6, 8, 10, 12), (1,) * 4, head))
    text = PublishedTextEncoder(TextGeometry(60, 64, 2, 1, 2, 16, HeadGeometry(32, 16, 8, 8)))
    state = {f"ecg_encoder.{name}": values for name, values in ecg.state_dict().items()}
    state |= {f"text_encoder.{name}": values for name, values in text.state_dict().items()}
    path = folder / f"leads{n_leads}.pt"
    torch.save(state, path)
    return path


def scaler_of_three(parity: Path, folder: Path) -> Path:
    """The released scaler with means and scales of three leads only."""
    whole = (parity / "ecg_scaler.pkl").read_bytes()
    expected = np.load(parity / "expected.npz")
    twelve, three = b"K\x0c\x85", b"K\x03\x85"  # the number, then: make it a tuple
    parts = whole.split(twelve)
    assert len(parts) == 4  # mean, variance and scale are arrays
    whole = parts[0] + three + parts[1] + twelve + parts[2] + three + parts[3]
    for name in ("scaler_mean", "scaler_scale"):
        whole = whole.replace(expected[name].tobytes(), expected[name][:3].tobytes())
    path = folder / "three.pkl"
    path.write_bytes(whole)
    return path


@pytest.mark.needs_shared
def test_each_odd_file_is_told_in_one_sentence(
    parity: Path, tokenizer: Path, tmp_path: Path, capsys
):
    empty = tmp_path / "empty"
    empty.mkdir()
    large, small = tmp_path / "large", tmp_path / "small"
    for folder, pieces in ((large, [*PIECES, *(f"word{n}" for n in range(200))]), (small, ["a"])):
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(pieces))
    odd_config = tmp_path / "config"
    shutil.copytree(tokenizer, odd_config)
    (odd_config / "tokenizer_config.json").write_text("{")
    other = tmp_path / "other.pt"
    torch.save({"layer.weight": torch.zeros(3)}, other)
    cut = tmp_path / "cut.pt"
    whole = (parity / "echoingecg_small.pt").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    odd: dict[str, tuple[dict[str, Path], str]] = {
        "no weights": ({"weights": tmp_path / "none.pt"}, "none.pt cannot be read"),
        "other weights": ({"weights": other}, "not the published network's"),
        "truncated": ({"weights": cut}, "damaged or holds more than weights"),
        "three leads": ({"weights": small_release(tmp_path, 3)}, "for 3 leads"),
        "no scaler": ({"scaler": tmp_path / "none.pkl"}, "none.pkl cannot be read"),
        "scaler of three leads": (
            {"scaler": scaler_of_three(parity, tmp_path)},
            "three.pkl holds 3 means and scales, but the weights are for 12 leads",
        ),
        "weights as scaler": ({"scaler": cut}, "too large for a scaler"),
        "no folder": ({"tokenizer": tmp_path / "nowhere"}, "no readable vocab.txt"),
        "no vocabulary": ({"tokenizer": empty}, "no readable vocab.txt"),
        "large vocabulary": ({"tokenizer": large}, "word pieces"),
        "no special pieces": ({"tokenizer": small}, "lacks [PAD]"),
        "odd configuration": ({"tokenizer": odd_config}, "is damaged"),
        "one option": ({"ecg_root": tmp_path}, "go together"),
        "no table": (
            {"calibration": tmp_path / "none.csv", "ecg_root": tmp_path},
            "none.csv cannot be read",
        ),
        "no prompts": ({"prompts": other}, "not a table of prompts"),
    }
    out = tmp_path / "package"
    for what, (changes, said) in odd.items():
        assert main(arguments(parity, tokenizer, out, **changes)) == 1, what
        error = capsys.readouterr().err
        assert said in error, what
        assert "Traceback" not in error, what
        assert not out.exists(), what


@pytest.mark.needs_shared
def test_prompts_that_leave_a_measure_out_are_refused(
    parity: Path, tokenizer: Path, tmp_path: Path, capsys
):
    table = json.loads(PROMPTS_PATH.read_text())
    table["sweeps"] = table["sweeps"][:1]
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(table))
    out = tmp_path / "package"
    assert main(arguments(parity, tokenizer, out, prompts=path)) == 1
    assert "no prompts for lvedv, lvesv" in capsys.readouterr().err
    assert not out.exists()
