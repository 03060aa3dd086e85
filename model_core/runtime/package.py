"""Reading a model package: nothing of it is used before everything of it was checked."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.domain import TrainingDomain, n_features, read_domain
from model_core.errors import EchoingError, PackageError
from model_core.prompts import Prompts, read_prompts
from model_core.runtime.graph_check import graph_fault
from model_core.runtime.manifest import Manifest, TextSide
from model_core.tokens import Splitting, Tokenizer
from model_core.types import PackageIdentity
from model_core.wording import say, system_words

MANIFEST_NAME = "manifest.json"
GRAPH_NAME = "student.onnx"
GOLDEN_NAME = "golden.npz"
CARD_NAME = "MODEL_CARD.md"
# Optional: what the training data look like.
DOMAIN_NAME = "domain.npz"
OUTPUT_NAMES = ("mean", "log_var", "segment_log_var", "quantiles", "finding_logits")
# Optional input of the graph: (rows, segments), false where one is missing.
KEEP_NAME = "keep"

MAX_FILES = 64
MAX_BYTES = 2**30
MAX_COMPRESSION = 100

_FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True, eq=False)
class TextPart:
    """What a package holds of one of its text sides.

    Attributes
    ----------
    side
        Of the manifest.
    graph
        The text encoder, as an ONNX model.
    tokenizer
        Turns sentences into its numbers.
    prompts
        Sentences that it was made for; at least one.
    golden
        Mean and log variance of the first of them, (1, embedding) each.
    """

    side: TextSide
    graph: bytes
    tokenizer: Tokenizer
    prompts: Prompts
    golden: tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ModelPackage:
    """A model package whose every byte was checked against its manifest.

    Attributes
    ----------
    manifest
        Everything but the weights.
    identity
        What a prediction says of the package that it came from.
    graph
        The student, as an ONNX model.
    golden
        Arrays of the self-test: ``recording_signal_mv`` (leads, samples; mV), ``recording_fs``
        (Hz) and the network's outputs for it, by name.
    model_card
        Markdown.
    domain
        What the training data look like; None in packages that do not say.
    texts
        What compares sentences with an ECG; none in many packages.
    """

    manifest: Manifest
    identity: PackageIdentity
    graph: bytes
    golden: dict[str, NDArray[Any]]
    model_card: str
    domain: TrainingDomain | None = None
    texts: tuple[TextPart, ...] = ()


def load_package(path: Path) -> ModelPackage:
    """Read a model package and check it.

    Parameters
    ----------
    path
        Its folder, or a zip file with its files at the top level.

    Returns
    -------
    ModelPackage
        The package; only `Predictor.self_test` remains to be run.

    Raises
    ------
    PackageError
        If anything is missing, added, changed, too large or not understood.
    """
    return _checked(package_contents(path))


def package_contents(path: Path) -> dict[str, bytes]:
    """Read the files of a model package by name, within the limits, unchecked.

    Raises
    ------
    PackageError
        If it cannot be opened, or breaks a limit.
    """
    try:
        return _folder_contents(path) if path.is_dir() else _zip_contents(path.open("rb"))
    except OSError as error:
        raise PackageError(
            say(
                "The model package {file} cannot be opened: {why}.",
                file=path.name,
                why=system_words(error),
            ),
            hint=say("Install the model package again."),
            code="package_not_found",
        ) from error


def _fault(what: str, code: str) -> PackageError:
    return PackageError(what, hint=say("Install the model package again."), code=code)


def _checked(contents: dict[str, bytes]) -> ModelPackage:
    if MANIFEST_NAME not in contents:
        raise _fault(say("The model package has no manifest.json."), "file_missing")
    manifest_bytes = contents[MANIFEST_NAME]
    try:
        manifest = Manifest.from_json(manifest_bytes.decode("utf-8"))
    except UnicodeDecodeError:
        raise _fault(say("The manifest is not UTF-8 text."), "bad_manifest") from None
    text_names = {
        name
        for side in manifest.texts
        for name in (side.graph_name, side.vocabulary_name, side.prompts_name)
    }
    wanted = {GRAPH_NAME, GOLDEN_NAME, CARD_NAME} | text_names | set(manifest.files)
    for name in sorted(wanted):
        if name not in contents or name not in manifest.files:
            raise _fault(
                say("{name} is missing from the model package.", name=name), "file_missing"
            )
        digest = hashlib.sha256(contents[name]).hexdigest()
        if digest != manifest.files[name]:
            raise _fault(
                say("{name} of the model package was changed or damaged.", name=name),
                "hash_mismatch",
            )
    for name in sorted(set(contents) - wanted - {MANIFEST_NAME}):
        raise _fault(say("{name} does not belong to the model package.", name=name), "file_unknown")
    for name in (GRAPH_NAME, *(side.graph_name for side in manifest.texts)):
        if fault := graph_fault(contents[name]):
            raise _fault(
                say("The network of the model package is refused: {fault}.", fault=fault),
                "bad_graph",
            )
    golden = _golden(contents[GOLDEN_NAME])
    return ModelPackage(
        manifest=manifest,
        identity=PackageIdentity(
            package_id=hashlib.sha256(manifest_bytes).hexdigest(),
            name=manifest.name,
            version=manifest.version,
            caveat=manifest.caveat,
        ),
        graph=contents[GRAPH_NAME],
        golden=golden,
        model_card=contents[CARD_NAME].decode("utf-8", errors="replace"),
        domain=(
            _domain(contents[DOMAIN_NAME], len(manifest.input.lead_names))
            if DOMAIN_NAME in contents
            else None
        ),
        texts=tuple(_text_part(side, contents, golden) for side in manifest.texts),
    )


def _folder_contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.iterdir())
    _check_names([path.name for path in paths])
    total = 0
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise _fault(
                say("{file} in the model package is not a plain file.", file=path.name),
                "file_unknown",
            )
        total += path.stat().st_size
    if total > MAX_BYTES:
        raise _fault(say("The model package is larger than 1 GB."), "too_large")
    return {path.name: path.read_bytes() for path in paths}


def _zip_contents(file: io.BufferedIOBase) -> dict[str, bytes]:
    """Files of a zip archive, all at its top level and within the limits."""
    try:
        with file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_names([entry.filename for entry in entries])
            for entry in entries:
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise _fault(
                        say("{file} is a link, not a file.", file=entry.filename), "file_unknown"
                    )
                if entry.file_size > MAX_COMPRESSION * max(entry.compress_size, 1):
                    raise _fault(
                        say("{file} is compressed too much.", file=entry.filename), "too_large"
                    )
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise _fault(say("The model package is larger than 1 GB."), "too_large")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression of another program.
        raise _fault(say("The model package is not an intact zip file."), "bad_zip") from error


def _check_names(names: list[str]) -> None:
    if len(names) > MAX_FILES:
        raise _fault(
            say("The model package holds more than {most} files.", most=MAX_FILES), "too_large"
        )
    for name in names:
        if not _FILE_NAME.fullmatch(name) or [n.lower() for n in names].count(name.lower()) > 1:
            raise _fault(
                say("{name!r} is not a name that a model package may hold.", name=name),
                "file_unknown",
            )


def _golden(data: bytes) -> dict[str, NDArray[Any]]:
    arrays = _arrays(data, GOLDEN_NAME)
    needed = {"recording_signal_mv", "recording_fs", *OUTPUT_NAMES}
    if not needed <= set(arrays):
        absent = ", ".join(sorted(needed - set(arrays)))
        raise _fault(
            say("golden.npz of the model package lacks {names}.", names=absent), "bad_golden"
        )
    return arrays


def _text_part(
    side: TextSide, contents: dict[str, bytes], golden: dict[str, NDArray[Any]]
) -> TextPart:
    missing = [name for name in side.golden_names if name not in golden]
    if missing:
        raise _fault(
            say("golden.npz of the model package lacks {names}.", names=missing[0]), "bad_golden"
        )
    try:
        words = contents[side.vocabulary_name].decode("utf-8").removesuffix("\n").split("\n")
        tokenizer = Tokenizer(words, Splitting(side.splitting), side.max_tokens)
    except ValueError as error:
        raise _fault(
            say("{file} of the model package cannot be used.", file=side.vocabulary_name),
            "bad_text_side",
        ) from error
    try:
        prompts = read_prompts(contents[side.prompts_name], side.prompts_name)
    except EchoingError as error:
        raise _fault(error.message, "bad_text_side") from error
    longest = max((len(tokenizer(text).numbers) for text in prompts.texts), default=0)
    if not 0 < longest <= side.max_tokens:
        raise _fault(
            say(
                "{file} of the model package holds no sentence, or too long ones.",
                file=side.prompts_name,
            ),
            "bad_text_side",
        )
    mean, log_var = (golden[name] for name in side.golden_names)
    return TextPart(side, contents[side.graph_name], tokenizer, prompts, (mean, log_var))


def _domain(data: bytes, n_leads: int) -> TrainingDomain:
    try:
        domain = read_domain(_arrays(data, DOMAIN_NAME))
        if domain.mean.shape[1] != n_features(n_leads):
            raise ValueError("other features")  # noqa: TRY301 - told below like the others
    except (KeyError, TypeError, ValueError) as error:
        raise _fault(
            say("domain.npz of the model package cannot be used."), "bad_domain"
        ) from error
    return domain


def _arrays(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file; as a zip archive it has to keep to the same limits."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        for entry, content in _zip_contents(io.BytesIO(data)).items():
            array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            arrays[entry.removesuffix(".npy")] = array
    except (ValueError, EOFError, MemoryError, PackageError) as error:
        code = f"bad_{Path(name).stem}"
        raise _fault(say("{name} of the model package cannot be read.", name=name), code) from error
    return arrays
