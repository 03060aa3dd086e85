"""A model package is used only if every byte of it is as its manifest says."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model_core.domain import domain_arrays, fit_domain, n_features
from model_core.errors import PackageError
from model_core.runtime.graph_check import graph_fault
from model_core.runtime.package import load_package
from tests.package_factory import contents, graph, manifest, manifest_for, npz, write_package


@pytest.fixture(scope="module")
def valid() -> dict[str, bytes]:
    return contents()


def without_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != "manifest.json"}


def resealed(files: dict[str, bytes], **changes: bytes) -> dict[str, bytes]:
    """The package with some files changed and a manifest that says so."""
    renamed = {name.replace("_dot_", "."): data for name, data in changes.items()}
    files = without_manifest(files) | renamed
    return files | {"manifest.json": manifest_for(files)}


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> PackageError:
    with pytest.raises(PackageError) as caught:
        load_package(path)
    assert str(caught.value).endswith(".")
    return caught.value


def test_a_valid_folder(tmp_path: Path, valid: dict[str, bytes]) -> None:
    package = load_package(write_package(tmp_path / "package", valid))
    assert package.manifest.name == "test student"
    assert package.identity.name == "test student"
    assert package.identity.caveat == manifest().caveat
    expected_id = hashlib.sha256(valid["manifest.json"]).hexdigest()
    assert package.identity.package_id == expected_id
    assert package.graph == valid["student.onnx"]
    assert package.golden["recording_signal_mv"].shape == (12, 5000)
    assert package.model_card == "# Test student\n"


def test_a_valid_zip_is_the_same(tmp_path: Path, valid: dict[str, bytes]) -> None:
    from_zip = load_package(zipped(tmp_path / "package.zip", valid))
    from_folder = load_package(write_package(tmp_path / "package", valid))
    assert from_zip.identity == from_folder.identity
    assert from_zip.graph == from_folder.graph


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("student.onnx", "file_missing"),
        ("golden.npz", "file_missing"),
        ("MODEL_CARD.md", "file_missing"),
        ("manifest.json", "file_missing"),
    ],
)
def test_missing_files(
    tmp_path: Path, valid: dict[str, bytes], name: str, code: str, as_zip: bool
) -> None:
    files = {key: data for key, data in valid.items() if key != name}
    path = tmp_path / "package"
    error = refusal(zipped(path, files) if as_zip else write_package(path, files))
    assert error.code == code
    assert name in str(error)


@pytest.mark.parametrize("name", ["student.onnx", "golden.npz", "MODEL_CARD.md"])
def test_one_changed_byte(tmp_path: Path, valid: dict[str, bytes], name: str) -> None:
    data = bytearray(valid[name])
    data[len(data) // 2] ^= 1
    error = refusal(write_package(tmp_path / "package", valid | {name: bytes(data)}))
    assert error.code == "hash_mismatch"
    assert name in str(error)


def test_a_manifest_that_does_not_name_a_needed_file(
    tmp_path: Path, valid: dict[str, bytes]
) -> None:
    listed = {key: data for key, data in valid.items() if key in ("golden.npz", "MODEL_CARD.md")}
    files = valid | {"manifest.json": manifest_for(listed)}
    assert refusal(write_package(tmp_path / "package", files)).code == "file_missing"


@pytest.mark.parametrize("name", ["extra.txt", "student.onnx.data", "code.py", ".hidden"])
def test_files_that_do_not_belong(tmp_path: Path, valid: dict[str, bytes], name: str) -> None:
    path = write_package(tmp_path / "package", valid | {name: b"x"})
    assert refusal(path).code == "file_unknown"


def test_folders_and_links_do_not_belong(tmp_path: Path, valid: dict[str, bytes]) -> None:
    path = write_package(tmp_path / "one", valid)
    (path / "folder").mkdir()
    assert refusal(path).code == "file_unknown"
    path = write_package(tmp_path / "two", valid)
    (path / "student.onnx").rename(tmp_path / "student.onnx")
    (path / "student.onnx").symlink_to(tmp_path / "student.onnx")
    assert refusal(path).code == "file_unknown"


def test_listed_but_absent_file(tmp_path: Path, valid: dict[str, bytes]) -> None:
    files = valid | {"manifest.json": manifest_for(without_manifest(valid) | {"more.txt": b""})}
    assert refusal(write_package(tmp_path / "package", files)).code == "file_missing"


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent").code == "package_not_found"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").code == "file_missing"
    (tmp_path / "file").write_bytes(b"not a zip")
    assert refusal(tmp_path / "file").code == "bad_zip"


def test_manifest_faults_are_passed_on(tmp_path: Path, valid: dict[str, bytes]) -> None:
    for number, data in enumerate((b"\xff\xfe", b"{}", b"")):
        path = write_package(tmp_path / str(number), valid | {"manifest.json": data})
        assert refusal(path).code in ("bad_manifest", "unknown_manifest_version")


# Zip --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "C:evil", "folder/file", "a\\b", "..", "a b", "manifest.JSON"],
)
def test_zip_names(tmp_path: Path, valid: dict[str, bytes], name: str) -> None:
    path = zipped(tmp_path / "package.zip", valid | {name: b"x"})
    assert refusal(path).code == "file_unknown"


def test_zip_with_a_name_twice(tmp_path: Path, valid: dict[str, bytes]) -> None:
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in valid.items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("student.onnx", b"another")
    assert refusal(path).code == "file_unknown"


def test_zip_with_a_link(tmp_path: Path, valid: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "package.zip", without_manifest(valid))
    link = zipfile.ZipInfo("manifest.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert refusal(path).code == "file_unknown"


def test_zip_bomb(tmp_path: Path, valid: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "package.zip", valid | {"zeros.bin": bytes(10_000_000)})
    assert refusal(path).code == "too_large"


def test_zip_with_many_files(tmp_path: Path, valid: dict[str, bytes]) -> None:
    many = {f"file{number}": b"" for number in range(65)}
    assert refusal(zipped(tmp_path / "package.zip", valid | many)).code == "too_large"


def test_zip_damaged_anywhere(tmp_path: Path, valid: dict[str, bytes]) -> None:
    path = zipped(tmp_path / "package.zip", valid)
    original = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            package = load_package(path)
        except PackageError:
            continue
        # Bytes that no reader uses, such as times in the directory, may differ.
        assert package.graph == valid["student.onnx"]


# Golden numbers ---------------------------------------------------------------------------------


def npy(header: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mean.npy", header)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip",
        npz(mean=np.zeros(3)),
        npy(b""),
        npy(
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(118)
        ),
        npy(
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(118)
            + b"cos\nsystem\n(S'true'\ntR."
        ),
    ],
)
def test_golden_that_cannot_be_read(tmp_path: Path, valid: dict[str, bytes], data: bytes) -> None:
    path = write_package(tmp_path / "package", resealed(valid, golden_dot_npz=data))
    assert refusal(path).code == "bad_golden"


# Graph ------------------------------------------------------------------------------------------


def test_a_standard_graph_has_no_fault() -> None:
    assert graph_fault(graph().SerializeToString()) == ""


def test_other_operators() -> None:
    model = graph(domain="com.microsoft")
    assert "com.microsoft" in graph_fault(model.SerializeToString())
    # Named by the node alone: ONNX Runtime adds its own domains unasked.
    del model.opset_import[1]
    assert "com.microsoft" in graph_fault(model.SerializeToString())


def test_other_operators_in_a_branch() -> None:
    model = graph()
    inner = helper.make_graph(
        [helper.make_node("Gelu", ["ecg"], ["out"], domain="com.microsoft")], "inner", [], []
    )
    node = helper.make_node("If", ["flag"], ["out"], then_branch=inner, else_branch=inner)
    model.graph.node.append(node)
    assert "com.microsoft" in graph_fault(model.SerializeToString())


def external(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


@pytest.mark.parametrize("where", ["initializer", "constant", "sparse", "location only"])
def test_weights_in_other_files(where: str) -> None:
    model = graph()
    if where == "initializer":
        external(model.graph.initializer[0])
    elif where == "location only":
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    elif where == "constant":
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
        external(value)
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    else:
        sparse = model.graph.sparse_initializer.add()
        external(sparse.values)
    assert "another file" in graph_fault(model.SerializeToString())


def test_functions_and_training_sections() -> None:
    model = graph()
    model.functions.add().name = "f"
    assert "function" in graph_fault(model.SerializeToString())
    model = graph()
    model.training_info.add()
    assert "training" in graph_fault(model.SerializeToString())


def test_deep_nesting() -> None:
    inner = helper.make_graph([], "inner", [], [])
    for _ in range(30):
        node = helper.make_node("If", ["flag"], ["out"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "outer", [], [])
        del node.attribute[1]
        inner = helper.make_graph([node], "outer", [], [])
    model = helper.make_model(inner)
    assert "deeply" in graph_fault(model.SerializeToString())


def test_damaged_graphs_give_an_answer() -> None:
    original = graph().SerializeToString()
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(original), 200):
        assert isinstance(graph_fault(original[:length]), str)
    for _ in range(500):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        assert isinstance(graph_fault(bytes(damaged)), str)
    assert graph_fault(b"") == "it is not an ONNX model"
    assert graph_fault(b"\xff" * 20) == "it is not an ONNX model"


def test_a_refused_graph_refuses_the_package(tmp_path: Path, valid: dict[str, bytes]) -> None:
    model = graph()
    external(model.graph.initializer[0])
    files = resealed(valid, student_dot_onnx=model.SerializeToString())
    assert refusal(write_package(tmp_path / "package", files)).code == "bad_graph"


def with_domain(
    valid: dict[str, bytes], n: int = n_features(12), **arrays: Any
) -> dict[str, bytes]:
    cases = np.random.default_rng(0).normal(size=(200, n))
    stored: dict[str, Any] = domain_arrays(fit_domain([cases], cases)) | arrays
    files = without_manifest(valid) | {"domain.npz": npz(**stored)}
    return files | {"manifest.json": manifest_for(files)}


def test_the_training_domain_is_optional(tmp_path: Path, valid: dict[str, bytes]) -> None:
    assert load_package(write_package(tmp_path / "without", valid)).domain is None
    found = load_package(write_package(tmp_path / "with", with_domain(valid))).domain
    assert found is not None
    assert found.mean.shape == (1, n_features(12))


def test_a_training_domain_of_other_features(tmp_path: Path, valid: dict[str, bytes]) -> None:
    error = refusal(write_package(tmp_path / "fewer", with_domain(valid, n=5)))
    assert error.code == "bad_domain"
    error = refusal(write_package(tmp_path / "nan", with_domain(valid, threshold=np.nan)))
    assert error.code == "bad_domain"
