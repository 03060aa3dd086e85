"""Installing, choosing and removing model packages; what is refused, and what foreign ones say."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from echoing_gui.packages import DEFAULT, FOREIGN, PackageLibrary, load_marked, package_facts
from echoing_gui.resources import default_package_path
from echoing_gui.view_models.package_words import known
from echoing_gui.wiring import load_chosen_model
from model_core.errors import PackageError
from model_core.runtime.package import load_package
from model_core.wording import Sentence
from tests.package_factory import contents, graph, manifest_for, write_package


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("own") / "default")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = contents(name="Other student", version="7")
    return write_package(tmp_path_factory.mktemp("other") / "other", files)


@pytest.fixture
def library(own: Path, tmp_path: Path) -> PackageLibrary:
    return PackageLibrary(own, tmp_path / "packages", tmp_path / "settings")


def test_a_package_is_installed_from_a_folder_listed_chosen_and_removed(
    library: PackageLibrary, other: Path, tmp_path: Path
) -> None:
    assert [entry.is_default for entry in library.entries()] == [True]
    entry = library.install(other)
    assert [each.name for each in library.entries()] == ["test student", "Other student"]
    library.choose(entry.key)
    # As remembered: another program would take the same.
    again = PackageLibrary(library.folder(DEFAULT), tmp_path / "packages", tmp_path / "settings")
    assert again.chosen == entry.key
    library.remove(entry.key)
    assert library.chosen == DEFAULT
    assert len(library.entries()) == 1
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_zip_file_gives_the_same_package_as_its_folder(
    library: PackageLibrary, other: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in other.iterdir():
            file.write(path, path.name)
    assert library.install(archive) == library.install(other)
    assert len(library.entries()) == 2


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "operator", "golden"])
def test_what_is_not_intact_is_refused_and_leaves_nothing(
    library: PackageLibrary, tmp_path: Path, damage: str
) -> None:
    files = contents()
    if damage == "operator":
        files["student.onnx"] = graph(domain="com.microsoft").SerializeToString()
    elif damage == "golden":
        files["golden.npz"] = contents(graph(quantiles=((1.0, 2.0, 3.0),) * 3))["golden.npz"]
    if damage in ("operator", "golden"):
        del files["manifest.json"]
        # Hashes are right: what is wrong is what they are of.
        files["manifest.json"] = manifest_for(files)
    source = write_package(tmp_path / "source", files)
    if damage == "changed":
        card = source / "MODEL_CARD.md"
        card.write_bytes(card.read_bytes() + b"better")
    elif damage == "missing":
        (source / "golden.npz").unlink()
    elif damage == "added":
        (source / "run.py").write_text("")
    with pytest.raises(PackageError):
        library.install(source)
    assert len(library.entries()) == 1
    packages = tmp_path / "packages"
    assert not packages.exists() or list(packages.iterdir()) == []


def test_the_default_cannot_be_removed(library: PackageLibrary) -> None:
    with pytest.raises(PackageError, match="cannot be removed"):
        library.remove(DEFAULT)
    assert library.folder(DEFAULT).is_dir()


def test_every_result_of_a_foreign_package_says_so(
    library: PackageLibrary, other: Path, own: Path
) -> None:
    assert FOREIGN not in load_marked(own, own).identity.caveat
    assert load_marked(other, own).identity.caveat.endswith(FOREIGN)
    key = library.install(other).key
    assert library.load(key).identity.caveat.endswith(FOREIGN)
    # A copy of the program's own package is the program's own.
    assert FOREIGN not in library.load(library.install(own).key).identity.caveat


def test_a_chosen_package_that_broke_gives_way_to_the_default_and_says_so(
    library: PackageLibrary, other: Path
) -> None:
    key = library.install(other).key
    library.choose(key)
    assert load_chosen_model(library).identity.name == "Other student"
    card = library.folder(key) / "MODEL_CARD.md"
    card.write_bytes(b"# Changed\n")
    model = load_chosen_model(library)
    assert model.identity.name == "test student"
    assert "MODEL_CARD.md of the model package was changed or damaged." in model.notice
    assert "The one that comes with the program is used instead." in model.notice
    library.remove(key)
    assert not load_chosen_model(library).notice


def test_a_chosen_package_that_is_gone_is_told_too(library: PackageLibrary) -> None:
    library.choose("ab" * 32)
    assert "no longer there" in load_chosen_model(library).notice


def test_what_stands_behind_a_result_is_gathered(own: Path) -> None:
    package = load_marked(own, own)
    facts = package_facts(package)
    assert facts.card == package.model_card
    versions = dict(facts.versions)
    assert versions["Manifest, SHA-256"] == package.identity.package_id
    assert versions["SHA-256 student.onnx"] == package.manifest.files["student.onnx"]
    found = facts.validation_of("lvef")
    assert found is not None
    assert found.n_test == 8
    assert facts.validation_of("lvedv") is None


def test_what_the_programs_own_package_says_can_be_translated():
    manifest = load_package(default_package_path()).manifest
    for text in (manifest.caveat, manifest.intended_use, *manifest.limits):
        assert isinstance(known(text), Sentence), text
    assert known("Another maker's caveat.") == "Another maker's caveat."
