import os
import pickle  # noqa: TID251 - to write hostile files, never to read one
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from model_core.errors import EchoingError
from model_core.export import PackageModel, export_onnx, parity_error
from model_core.nn import MeasureHeads
from model_core.nn.published import (
    RELEASED_ECG,
    EcgGeometry,
    HeadGeometry,
    PublishedEcgEncoder,
    PublishedStudent,
    RankPooling,
    ecg_geometry,
    published_ecg_encoder,
    rank_encoding,
    token_edges_s,
)
from model_core.nn.published_text import PublishedTextEncoder, TextGeometry, text_geometry
from training.published import (
    load_encoders,
    read_scaler,
    read_state_dict,
    translate_names,
)

SMALL = EcgGeometry(12, 4, (6, 8, 10, 12), (1, 2, 1, 1), HeadGeometry(12, 16, 8, 8))


@pytest.fixture
def small_encoder() -> PublishedEcgEncoder:
    torch.manual_seed(0)
    return PublishedEcgEncoder(SMALL).eval()


class Attack:
    """Unpickling this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


# --- parity with the authors' implementation


@pytest.mark.needs_shared
def test_equals_the_authors_encoders(shared: Path):
    expected = np.load(shared / "parity" / "expected.npz")
    encoders = load_encoders(shared / "parity" / "echoingecg_small.pt")
    with torch.no_grad():
        ecg = encoders.ecg(torch.from_numpy(expected["ecg"]))
        text = encoders.text(
            torch.from_numpy(expected["text_ids"]), torch.from_numpy(expected["attention_mask"])
        )
    found = {
        "ecg_mean": ecg.mean,
        "ecg_log_var": ecg.log_var,
        "token_log_var": ecg.token_log_var,
        "text_mean": text.mean,
        "text_log_var": text.log_var,
    }
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.needs_shared
def test_geometry_comes_from_the_weights(shared: Path):
    encoders = load_encoders(shared / "parity" / "echoingecg_small.pt")
    head = HeadGeometry(96, 32, 32, 32)
    assert ecg_geometry(encoders.ecg.state_dict()) == EcgGeometry(
        12, 6, (12, 24, 48, 96), (3, 4, 23, 3), head
    )
    assert text_geometry(encoders.text.state_dict()) == TextGeometry(
        120, 128, 2, 2, 2, 64, HeadGeometry(32, 32, 32, 32)
    )


@pytest.mark.needs_shared
def test_scaler_equals_the_authors(shared: Path):
    expected = np.load(shared / "parity" / "expected.npz")
    scaler = read_scaler(shared / "parity" / "ecg_scaler.pkl")
    assert scaler.mean_mv == tuple(expected["scaler_mean"])
    assert scaler.scale_mv == tuple(expected["scaler_scale"])


def test_released_geometry_has_the_published_number_of_parameters():
    with torch.device("meta"):
        ecg, text = PublishedEcgEncoder(RELEASED_ECG), PublishedTextEncoder(TextGeometry())
    count = {
        "ecg": sum(values.numel() for values in ecg.parameters()),
        "bert": sum(values.numel() for values in text.bert.parameters()),
        "head": sum(values.numel() for values in ecg.head.parameters()),
    }
    assert {name: round(n / 1e6, 1) for name, n in count.items()} == {
        "ecg": 126.6,
        "bert": 107.7,  # 108.3 with BERT's own pooler, which is not used
        "head": 1.6,
    }
    assert text_geometry(text.state_dict()) == TextGeometry()
    assert ecg_geometry(ecg.state_dict()) == RELEASED_ECG


# --- network


def test_one_token_for_every_sixteen_samples(small_encoder: PublishedEcgEncoder):
    with torch.no_grad():
        embedding = small_encoder(torch.randn(2, 12, 1000))
    assert embedding.token_log_var.shape == (2, 63, 16)
    assert embedding.mean.shape == embedding.log_var.shape == (2, 16)
    np.testing.assert_allclose(embedding.mean.norm(dim=1), [1, 1], atol=1e-6)


def test_rank_encoding_follows_the_formula():
    code = rank_encoding(5, 4).numpy()
    for rank in range(5):
        expected = [np.sin(rank), np.cos(rank), np.sin(rank / 100), np.cos(rank / 100)]
        np.testing.assert_allclose(code[rank], expected, atol=1e-6)


def test_pooling_weighs_ranks_not_tokens():
    torch.manual_seed(1)
    pool = RankPooling(8, 8)
    tokens = torch.randn(2, 9, 5)
    shuffled = tokens[:, torch.randperm(9)]
    weights = pool.rank_weights(9)
    assert (weights > 0).all()
    assert float(weights.detach().sum()) == pytest.approx(1)
    by_hand = np.einsum("r,brd->bd", weights.detach().numpy(), -np.sort(-tokens.numpy(), axis=1))
    with torch.no_grad():
        np.testing.assert_allclose(pool(tokens), by_hand, atol=1e-6)
        np.testing.assert_allclose(pool(tokens), pool(shuffled), atol=1e-6)


def test_padding_changes_nothing():
    torch.manual_seed(2)
    pool = RankPooling(8, 8)
    tokens, mask = torch.randn(2, 9, 5), torch.arange(9) < torch.tensor([[9], [4]])
    with torch.no_grad():
        pooled = pool(tokens, mask)
        np.testing.assert_allclose(pooled[0], pool(tokens[:1])[0], atol=1e-6)
        np.testing.assert_allclose(pooled[1], pool(tokens[1:, :4])[0], atol=1e-6)


def test_gradients_reach_the_pooling_through_padding():
    pool = RankPooling(8, 8)
    tokens = torch.randn(2, 6, 3, requires_grad=True)
    pool(tokens, torch.arange(6) < torch.tensor([[6], [2]])).square().sum().backward()
    assert tokens.grad is not None
    assert (tokens.grad[1, 2:] == 0).all()
    for values in (*(each.grad for each in pool.parameters()), tokens.grad):
        assert values is not None
        assert torch.isfinite(values).all()
        assert values.abs().sum() > 0


def test_student_has_one_row_and_the_mean_variance_of_each_token(
    small_encoder: PublishedEcgEncoder,
):
    student, ecg = PublishedStudent(small_encoder).eval(), torch.randn(2, 12, 1000)
    with torch.no_grad():
        output, embedding = student(ecg), small_encoder(ecg)
    assert (student.row_names, student.n_segments, student.embedding_dim) == (("all",), 63, 16)
    np.testing.assert_allclose(
        output.segment_log_var_brt.exp()[:, 0],
        embedding.token_log_var.exp().mean(-1),
        rtol=1e-5,
    )
    assert torch.equal(output.mean_bd, embedding.mean)


def test_student_does_not_read_a_missing_lead():
    torch.manual_seed(3)
    student = PublishedStudent(PublishedEcgEncoder(SMALL)).eval()
    ecg, keep = torch.randn(1, 12, 1000), torch.ones(1, 12, dtype=torch.bool)
    keep[0, 3] = False
    other = ecg.clone()
    other[0, 3] += 5
    with torch.no_grad():
        assert torch.equal(student(ecg, keep).mean_bd, student(other, keep).mean_bd)
        assert not torch.equal(student(ecg).mean_bd, student(other).mean_bd)


def test_onnx_equals_torch(small_encoder: PublishedEcgEncoder):
    torch.manual_seed(4)
    heads = MeasureHeads(16, centres=[0.0], scales=[1.0], n_findings=1)
    model = PackageModel(PublishedStudent(small_encoder), heads).eval()
    graph = export_onnx(model, torch.randn(2, 12, 1000))
    for n_items in (1, 5):
        ecg = np.random.default_rng(n_items).normal(size=(n_items, 12, 1000)).astype(np.float32)
        assert max(parity_error(model, graph, ecg).values()) < 1e-4


# --- weights that are not the published network's


def test_other_weights_are_refused(small_encoder: PublishedEcgEncoder):
    state = small_encoder.state_dict()
    name = "stages.1.1.conv2.weight"
    wrong = {
        "missing": {key: values for key, values in state.items() if key != name},
        "left over": {**state, "more": torch.zeros(1)},
        "another shape": {**state, name: torch.zeros(1, 1, 3)},
        "without geometry": {**state, "stem_conv.weight": torch.zeros(3)},
        "empty": {},
    }
    for what, weights in wrong.items():
        with pytest.raises(EchoingError) as caught:
            published_ecg_encoder(weights)
        assert caught.value.code == "not_published_weights", what


def test_shapes_that_would_fill_the_memory_are_refused(small_encoder: PublishedEcgEncoder):
    state = small_encoder.state_dict()
    huge = {name: torch.zeros(2_000_000, 1, 1) for name in state if "stages.0" in name}
    with pytest.raises(EchoingError) as caught:
        published_ecg_encoder({**state, **huge})
    assert caught.value.code == "not_published_weights"


def test_a_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path):
    path = tmp_path / "weights.pt"
    torch.save({"stem_conv.weight": torch.zeros(1).expand(1 << 40)}, path)
    with pytest.raises(EchoingError, match="claims more"):
        read_state_dict(path)


def test_weights_that_are_not_numbers_are_refused(small_encoder: PublishedEcgEncoder):
    state = small_encoder.state_dict()
    state["stem_conv.weight"][0, 0, 0] = torch.nan
    with pytest.raises(EchoingError, match=r"stem_conv\.weight"):
        published_ecg_encoder(state)


def test_unused_parameters_of_the_text_encoder_are_left_out():
    one = torch.zeros(1)
    state = {
        "text_encoder.backbone.pooler.dense.bias": one,
        "text_encoder.backbone.embeddings.position_ids": one,
        "text_encoder.std_gpool.linear.weight": one,
    }
    assert list(translate_names(state)) == ["text_encoder.head.log_var.pool.score.weight"]


# --- files that would do harm


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_weights_does_not_run(tmp_path: Path, legacy: bool):
    path, folder = tmp_path / "weights.pt", tmp_path / "made"
    hostile = {"w": torch.zeros(1), "x": Attack(folder)}
    torch.save(hostile, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(EchoingError, match="nothing in it was run"):
        read_state_dict(path)
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut"])
def test_damaged_weights_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(EchoingError) as caught:
        read_state_dict(path)
    assert caught.value.code == "unsafe_weights"


def test_truncated_weights_are_refused(tmp_path: Path, small_encoder: PublishedEcgEncoder):
    path = tmp_path / "weights.pt"
    torch.save(small_encoder.state_dict(), path)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(EchoingError):
            read_state_dict(path)


@pytest.mark.parametrize(
    "held",
    [
        [torch.zeros(1)],
        {"a": 1},
        {1: torch.zeros(1)},
        3,
        {"a": torch.zeros(1, device="meta")},
        {"a": torch.zeros(2).to_sparse()},
    ],
)
def test_a_file_without_named_weights_is_refused(tmp_path: Path, held: object):
    path = tmp_path / "weights.pt"
    torch.save(held, path)
    with pytest.raises(EchoingError, match="weights by name"):
        read_state_dict(path)


@pytest.mark.parametrize("read", [read_state_dict, read_scaler])
def test_a_missing_file_is_told(tmp_path: Path, read):
    with pytest.raises(EchoingError, match="cannot be read"):
        read(tmp_path / "none")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_scaler_does_not_run(tmp_path: Path, protocol: int):
    path, folder = tmp_path / "scaler.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps({"mean_": Attack(folder)}, protocol))
    with pytest.raises(EchoingError) as caught:
        read_scaler(path)
    assert caught.value.code == "unsafe_scaler"
    assert not folder.exists()


def test_the_refusal_names_what_a_scaler_asks_for(tmp_path: Path):
    path = tmp_path / "scaler.pkl"
    path.write_bytes(pickle.dumps(Attack(tmp_path / "made"), 4))
    with pytest.raises(EchoingError, match=r"mkdir.*nothing in it was run"):
        read_scaler(path)


def _text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


STANDARD_SCALER = _text("sklearn.preprocessing._data") + _text("StandardScaler") + b"\x93)\x81"


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04" + _text("os") + _text("system") + b"\x93" + _text("true") + b"\x85R.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x04" + _text("numpy") + _text("load") + b"\x93.",
        b"\x80\x04" + _text("numpy") + _text("dtype.__class__") + b"\x93.",
        b"\x80\x04" + STANDARD_SCALER + _text("mean_") + b"\x8e" + b"\xff" * 8 + b"x.",  # BINBYTES8
        b"\x80\x04\x8b\xff\xff\xff\x7f.",  # LONG4 of 2 GB
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # memo slot two thousand million
        b"\x80\x04h\xff.",  # memo slot that was never filled
        b"\x80\x04}\x94h\x00h\x00s.",  # a dictionary as a key of itself
        b"\x80\x04)" + b"\x94h\x00\x86" * 60 + b".",
        b"\x80\x04)" + b"\x85" * 60000 + b".",  # nested deeply
        b"\x80\x04}.",
        b"\x80\x04" + STANDARD_SCALER + b".",
        b"\x80\x04" + STANDARD_SCALER + b"}b.",
        b"\x80\x04" + STANDARD_SCALER + b"}(" + _text("mean_") + b")" + _text("scale_") + b")ub.",
        b"\x80\x04.",
        b"\x80\x04u.",
        b"",
        b"no pickle",
        zlib.compress(b"\x80\x04}."),
        b"\x80\x04N" + b"0" * 70000,
    ],
)
def test_hostile_and_damaged_scalers_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "scaler.pkl"
    path.write_bytes(content)
    with pytest.raises(EchoingError):
        read_scaler(path)


@pytest.mark.needs_shared
def test_a_scaler_cut_anywhere_is_refused(tmp_path: Path, shared: Path):
    whole = (shared / "parity" / "ecg_scaler.pkl").read_bytes()
    path = tmp_path / "scaler.pkl"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(EchoingError):
            read_scaler(path)


@pytest.mark.needs_shared
def test_a_scaler_damaged_anywhere_is_read_or_refused_but_never_more(tmp_path: Path, shared: Path):
    whole = bytearray((shared / "parity" / "ecg_scaler.pkl").read_bytes())
    path, rng = tmp_path / "scaler.pkl", np.random.default_rng(5)
    n_refused = 0
    for _ in range(2000):
        damaged = bytearray(whole)
        for at in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            scaler = read_scaler(path)
        except EchoingError:
            n_refused += 1
        else:
            assert np.isfinite([*scaler.mean_mv, *scaler.scale_mv]).all()
            assert min(scaler.scale_mv) >= 1e-8
    assert n_refused > 500


def _with_scale(shared: Path, path: Path, scale: np.ndarray) -> Path:
    whole = (shared / "parity" / "ecg_scaler.pkl").read_bytes()
    old = np.load(shared / "parity" / "expected.npz")["scaler_scale"].tobytes()
    assert whole.count(old) == 1
    path.write_bytes(whole.replace(old, scale.tobytes()))
    return path


@pytest.mark.needs_shared
def test_a_scale_of_zero_is_lifted(tmp_path: Path, shared: Path):
    scale = np.linspace(0, 0.5, 12)
    scaler = read_scaler(_with_scale(shared, tmp_path / "scaler.pkl", scale))
    assert scaler.scale_mv == (1e-8, *scale[1:])


@pytest.mark.needs_shared
def test_a_scale_that_is_no_number_is_refused(tmp_path: Path, shared: Path):
    scale = np.full(12, np.nan)
    with pytest.raises(EchoingError, match="mean and a scale"):
        read_scaler(_with_scale(shared, tmp_path / "scaler.pkl", scale))


@pytest.mark.needs_shared
@pytest.mark.parametrize("count", [b"K\x0d", b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff"])
def test_a_false_array_length_is_refused(tmp_path: Path, shared: Path, count: bytes):
    whole = (shared / "parity" / "ecg_scaler.pkl").read_bytes()
    one_tuple = b"K\x0c\x85"  # (12,)
    path = tmp_path / "scaler.pkl"
    path.write_bytes(whole.replace(one_tuple, count + b"\x85"))
    with pytest.raises(EchoingError):
        read_scaler(path)


@pytest.mark.needs_shared
def test_a_scaler_is_no_weights_file_and_the_other_way_round(tmp_path: Path, shared: Path):
    weights, scaler = tmp_path / "weights.pt", tmp_path / "scaler.pkl"
    shutil.copy(shared / "parity" / "ecg_scaler.pkl", weights)
    shutil.copy(shared / "parity" / "echoingecg_small.pt", scaler)
    with pytest.raises(EchoingError):
        read_state_dict(weights)
    with pytest.raises(EchoingError):
        read_scaler(scaler)


def test_cells_lie_around_the_samples_that_their_tokens_are_centred_on():
    # With equal weights everywhere a token sees most what lies at the centre of its field.
    with torch.no_grad():
        encoder = PublishedEcgEncoder(EcgGeometry(1, 1, (1,) * 4, (1,) * 4, HeadGeometry(1, 1)))
        for name, values in encoder.named_parameters():
            if "conv" in name or "shortcut.0" in name:
                values.fill_(1.0)
    ecg = torch.zeros(1, 1, 1000).requires_grad_()
    signal = encoder.eval().stages(encoder.stem_norm(encoder.stem_conv(ecg + 1)).relu())
    edges_s = np.array(token_edges_s())
    assert len(edges_s) == signal.shape[2] + 1
    for token in (15, 20, 31, 40, 47):  # away from the ends, where padding leaves one side out
        (weight,) = torch.autograd.grad(signal[0, 0, token], ecg, retain_graph=True)
        samples = np.flatnonzero(weight[0, 0].numpy() == weight.max().item())
        centre_s = samples.mean() / 100
        assert centre_s == pytest.approx(edges_s[token : token + 2].mean(), abs=0.011)
