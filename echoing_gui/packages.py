"""The model packages of this computer: the one that comes with the program, and installed ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echoing_gui.files import atomic_write
from echoing_gui.i18n import tr
from echoing_gui.state_package import Figure, PackageFacts, SentenceSide
from echoing_gui.view_models.package_words import known
from echoing_gui.view_models.results import FOREIGN
from model_core.errors import PackageError
from model_core.tokens import Splitting
from model_core.wording import say, system_words

if TYPE_CHECKING:
    from model_core.runtime.package import ModelPackage, TextPart

DEFAULT = "default"
_MANIFEST_NAME = "manifest.json"
_CHOICE_NAME = "package.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model package that can be used.

    Attributes
    ----------
    key
        Names it here: `DEFAULT`, or the SHA-256 of its manifest.
    name, version, created
        As its manifest says; empty if that cannot be read.
    package_id
        SHA-256 of its manifest.
    folder
        Where it lies.
    """

    key: str
    name: str
    version: str
    created: str
    package_id: str
    folder: Path

    @property
    def is_default(self) -> bool:
        """Whether it came with the program."""
        return self.key == DEFAULT


class PackageLibrary:
    """Installs, lists, chooses and removes model packages.

    Parameters
    ----------
    default
        Folder of the package that comes with the program.
    installed
        Folder for others, one folder each; made with the first.
    settings
        Folder in which the choice is remembered.
    """

    def __init__(self, default: Path, installed: Path, settings: Path) -> None:
        self._default = default
        self._installed = installed
        self._choice = settings / _CHOICE_NAME

    def entries(self) -> tuple[Entry, ...]:
        """List the package of the program, then the installed ones by name."""
        found = [
            _entry(folder.name, folder)
            for folder in (self._installed.iterdir() if self._installed.is_dir() else ())
            # One with a point in front is the rest of an installation that was killed.
            if not folder.name.startswith(".") and (folder / _MANIFEST_NAME).is_file()
        ]
        found.sort(key=lambda entry: (entry.name, entry.version, entry.key))
        return (_entry(DEFAULT, self._default), *found)

    @property
    def chosen(self) -> str:
        """Key of the package to use; it may be gone by now."""
        try:
            key = json.loads(self._choice.read_text(encoding="utf-8"))["package"]
        except (OSError, ValueError, KeyError, TypeError):
            return DEFAULT
        return key if isinstance(key, str) else DEFAULT

    def choose(self, key: str) -> None:
        """Remember which package to use.

        Raises
        ------
        OSError
            If that cannot be written; the choice before then holds.
        """
        atomic_write(self._choice, json.dumps({"package": key}).encode())

    def load(self, key: str) -> ModelPackage:
        """Read and check a package; one from elsewhere says so in its caveat.

        Raises
        ------
        PackageError
            If anything of it is missing, changed or not understood.
        """
        return load_marked(self.folder(key), self._default)

    def install(self, source: Path) -> Entry:
        """Check a package whole, its self-test included, and copy it to the installed ones.

        Parameters
        ----------
        source
            Folder or zip file.

        Raises
        ------
        PackageError
            If it is refused, or cannot be copied; nothing is then installed.
        """
        from model_core.runtime.package import load_package, package_contents

        key = _checked(source)
        target = self._installed / key
        try:
            self._installed.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=self._installed, prefix=".new-"))
            try:
                for name, content in package_contents(source).items():
                    (fresh / name).write_bytes(content)
                # What lies there now is what was checked, not what the source has become.
                if load_package(fresh).identity.package_id != key:
                    raise PackageError(
                        say("The model package changed while it was installed."),
                        hint=say("Install it again."),
                        code="package_changed",
                    )
                shutil.rmtree(target, ignore_errors=True)
                fresh.rename(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            raise PackageError(
                say("The model package could not be stored: {why}.", why=system_words(error)),
                hint=say("Free some disk space, then install it again."),
                code="package_not_stored",
            ) from error
        return _entry(key, target)

    def verify(self, key: str) -> None:
        """Check a package as `install` does.

        Raises
        ------
        PackageError
            If anything of it was changed since, or it gives other numbers here.
        """
        if _checked(self.folder(key)) != key and key != DEFAULT:
            raise PackageError(
                say("The manifest of the model package was changed."),
                hint=say("Remove it and install it again."),
                code="package_changed",
            )

    def remove(self, key: str) -> None:
        """Delete an installed package; if it was chosen, the default is chosen.

        Raises
        ------
        PackageError
            If it is the one that comes with the program, or cannot be deleted.
        """
        if key == DEFAULT:
            raise PackageError(
                say("The model package that comes with the program cannot be removed."),
                hint=say("Choose another one to use instead."),
                code="package_is_default",
            )
        try:
            if self.chosen == key:
                self.choose(DEFAULT)
            shutil.rmtree(self.folder(key))
        except OSError as error:
            raise PackageError(
                say("The model package could not be removed: {why}.", why=system_words(error)),
                hint=say("Close other programs that use it, then try again."),
                code="package_not_removed",
            ) from error

    def folder(self, key: str) -> Path:
        """Folder of a package.

        Raises
        ------
        PackageError
            If there is none of that key.
        """
        if key == DEFAULT:
            return self._default
        for entry in self.entries():
            if entry.key == key:
                return entry.folder
        raise PackageError(
            say("The model package is no longer there."),
            hint=say("Install it again."),
            code="package_not_found",
        )


def _checked(source: Path) -> str:
    """Check files, network, self-test and text sides of a package; gives its manifest's hash."""
    from model_core.runtime.package import load_package
    from model_core.runtime.predictor import Predictor
    from model_core.runtime.text import TextEncoder

    package = load_package(source)
    Predictor(package).self_test()
    for part in package.texts:
        TextEncoder(part)  # which compares its golden sentence
    return package.identity.package_id


def load_marked(path: Path, default: Path) -> ModelPackage:
    """Load a package; unless it is the default one, its caveat says where it does not come from.

    Raises
    ------
    PackageError
        As `load_package`.
    """
    from model_core.runtime.package import load_package

    package = load_package(path)
    if path == default or package.identity.package_id == _manifest_hash(default):
        return package
    caveat = f"{package.identity.caveat} {FOREIGN}".strip()
    return dataclasses.replace(
        package, identity=dataclasses.replace(package.identity, caveat=caveat)
    )


def package_facts(package: ModelPackage) -> PackageFacts:
    """Gather what the window can tell of a package."""
    manifest = package.manifest
    spec, origin = manifest.input, manifest.provenance
    files = [(f"SHA-256 {name}", digest) for name, digest in sorted(manifest.files.items())]
    low_hz, high_hz = spec.band_hz
    return PackageFacts(
        card=package.model_card,
        intended_use=known(manifest.intended_use),
        limits=tuple(map(known, manifest.limits)),
        figures=tuple(
            Figure(each.name, each.value, each.low, each.high, each.unit, each.dataset)
            for each in manifest.metrics
        ),
        versions=(
            (tr("Model package"), f"{manifest.name} {manifest.version}"),
            (tr("Made on"), manifest.created),
            (tr("Network"), manifest.architecture),
            (tr("Recipe"), tr("{name}, seed {seed}", name=origin.recipe, seed=origin.seed)),
            (tr("Made with program version"), origin.code_version),
            (tr("Training settings, SHA-256"), origin.config_sha256),
            *((tr("Data {name}, SHA-256", name=k), v) for k, v in origin.data_sha256.items()),
            (tr("Manifest, SHA-256"), package.identity.package_id),
            *files,
            (tr("Licence"), manifest.licence),
        ),
        preparation=(
            (tr("Leads"), ", ".join(spec.lead_names)),
            (tr("Length"), f"{spec.duration_s:g} s"),
            (tr("Resampled to"), f"{spec.fs:g} Hz"),
            (
                tr("Filter"),
                tr(
                    "band-pass {low:g} to {high:g} Hz, order {order}; the trace is drawn without",
                    low=low_hz,
                    high=high_hz,
                    order=spec.filter_order,
                ),
            ),
            (tr("Scaled"), tr("each lead by the mean and spread of the training data")),
        ),
        validation=manifest.validation,
        sentences=tuple(_sentence_side(part) for part in package.texts),
    )


def _sentence_side(part: TextPart) -> SentenceSide:
    side, tokenizer = part.side, part.tokenizer
    words = tokenizer.vocabulary[2:] if tokenizer.splitting is Splitting.WORDS else ()
    numbers = [int(word) for word in words if word.isdigit()]
    return SentenceSide(
        side.key,
        side.label,
        side.knows,
        side.negative_scale > 0,
        part.prompts.sweeps,
        part.prompts.pairs,
        tuple(word for word in words if not word.isdigit()),
        (min(numbers), max(numbers)) if numbers else None,
        side.max_tokens,
    )


def _entry(key: str, folder: Path) -> Entry:
    from model_core.runtime.manifest import Manifest

    try:
        text = (folder / _MANIFEST_NAME).read_text(encoding="utf-8")
        manifest = Manifest.from_json(text)
    except (OSError, UnicodeDecodeError, PackageError):
        return Entry(key, tr("Package that cannot be read"), "", "", key, folder)
    names = (manifest.name, manifest.version, manifest.created)
    return Entry(key, *names, _manifest_hash(folder), folder)


def _manifest_hash(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / _MANIFEST_NAME).read_bytes()).hexdigest()
    except OSError:
        return ""
