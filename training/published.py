"""Reads the files that the authors of EchoingECG released, as they are, and runs nothing in them.

The weights are a torch state dict, the scaler a scikit-learn StandardScaler written by joblib.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from model_core.errors import EchoingError
from model_core.nn.published import PublishedEcgEncoder, published_ecg_encoder
from model_core.nn.published_text import PublishedTextEncoder, published_text_encoder
from model_core.nn.zero_shot_heads import PromptGaussians
from training.inert_pickle import SCALER, InertObject, read_inert

if TYPE_CHECKING:
    from transformers.models.bert.tokenization_bert import BertTokenizer

_MIN_SCALE = 1e-8
_SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_WEIGHT_TYPES = {torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64}
# Their names to ours, applied in this order.
_RENAMES = (
    (r"^(ecg|text)_encoder\.(?=(std_)?(linear|gpool)\.)", r"\1_encoder.head."),
    (r"\.head\.linear\.", ".head.mean.project."),
    (r"\.head\.std_linear\.", ".head.log_var.project."),
    (r"\.head\.gpool\.", ".head.mean.pool."),
    (r"\.head\.std_gpool\.", ".head.log_var.pool."),
    (r"\.pool\.linear\.", ".pool.score."),
    (r"^text_encoder\.backbone\.", "text_encoder.bert."),
    (r"^ecg_encoder\.conv1\.", "ecg_encoder.stem_conv."),
    (r"^ecg_encoder\.bn1\.", "ecg_encoder.stem_norm."),
    (r"^(ecg_encoder\.layer\d+\.\d+)\.bn(\d)\.", r"\1.norm\2."),
)
_STAGE = re.compile(r"^ecg_encoder\.layer(\d+)\.")
# BERT's own pooler is not used; `position_ids` counts 0, 1, 2 (saved by older transformers).
_UNUSED = re.compile(r"^text_encoder\.backbone\.(pooler\.|embeddings\.position_ids$)")


class PublishedEncoders(NamedTuple):
    """Both encoders of the release, in evaluation mode."""

    ecg: PublishedEcgEncoder
    text: PublishedTextEncoder


class PublishedTokenizer(NamedTuple):
    """Turns sentences into at most `max_tokens` numbers of `pieces`."""

    tokenizer: BertTokenizer
    max_tokens: int
    pieces: tuple[str, ...]
    lower_case: bool


@dataclass(frozen=True, slots=True)
class Standardisation:
    """What to subtract from each lead and divide it by.

    Attributes
    ----------
    mean_mv, scale_mv
        One value a lead, mV; the scale is 1e-8 or more.
    """

    mean_mv: tuple[float, ...]
    scale_mv: tuple[float, ...]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a torch state dict and nothing else; code in the file is refused, not run.

    Parameters
    ----------
    path
        A file written by ``torch.save``.

    Returns
    -------
    dict
        Tensors by name, on the CPU; read from the file as they are used, where its format allows.

    Raises
    ------
    EchoingError
        If the file cannot be read, is damaged, or holds anything but named tensors.
    """
    try:
        state = torch.load(  # noqa: TID251 - the one place that reads foreign weights
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except OSError as error:
        raise EchoingError(
            f"The weights {path.name} cannot be read: {error.strerror or error}.",
            code="unreadable_weights",
        ) from error
    # A damaged or hostile file can fail anywhere in torch's reader, with nearly any error.
    except Exception as error:
        raise EchoingError(
            f"{path.name} is damaged or holds more than weights; nothing in it was run.",
            hint="Download the released file again.",
            code="unsafe_weights",
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and _is_plain(values) for name, values in state.items()
    ):
        raise EchoingError(
            f"{path.name} does not hold weights by name.", code="not_published_weights"
        )
    # Strides of zero would let a small file stand for any amount of memory.
    if sum(values.nbytes for values in state.values()) > path.stat().st_size:
        raise EchoingError(f"{path.name} claims more weights than it holds.", code="unsafe_weights")
    return dict(state)


def translate_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the released parameters our names; parameters without a use are left out.

    Parameters
    ----------
    state
        As the authors wrote it: ``ecg_encoder.*`` and ``text_encoder.*``.

    Returns
    -------
    dict
        The same tensors, ``ecg_encoder.*`` as in `PublishedEcgEncoder` and ``text_encoder.*`` as
        in `PublishedTextEncoder`.
    """
    return {_translate(name): values for name, values in state.items() if not _UNUSED.match(name)}


def load_encoders(path: Path) -> PublishedEncoders:
    """Read the released weights into both encoders; all widths and depths come from the file.

    Raises
    ------
    EchoingError
        If the file is not a state dict of the published network.
    """
    state = translate_names(read_state_dict(path))
    return PublishedEncoders(
        published_ecg_encoder(_part(state, "ecg_encoder.")),
        published_text_encoder(_part(state, "text_encoder.")),
    )


def read_tokenizer(folder: Path, encoder: PublishedTextEncoder) -> PublishedTokenizer:
    """Read the tokenizer of the text encoder: its list of word pieces, and whether case counts.

    Parameters
    ----------
    folder
        Holds ``vocab.txt`` and, optionally, ``tokenizer_config.json``; nothing else is read.
    encoder
        That the tokens are for.

    Raises
    ------
    EchoingError
        If the folder holds no word pieces, or others than the encoder's.
    """
    from transformers.models.bert.tokenization_bert import BertTokenizer

    path, config = folder / "vocab.txt", folder / "tokenizer_config.json"
    try:
        pieces = path.read_text(encoding="utf-8").split("\n")
        settings = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    except OSError as error:
        raise EchoingError(
            f"The tokenizer folder {folder.name} has no readable vocab.txt: "
            f"{error.strerror or error}.",
            hint="Give the folder of dmis-lab/biobert-v1.1.",
            code="unreadable_tokenizer",
        ) from error
    except ValueError as error:
        raise EchoingError(
            f"The tokenizer in {folder.name} is damaged: {error}.", code="bad_tokenizer"
        ) from error
    pieces = [piece.rstrip("\r") for piece in pieces]
    while pieces and not pieces[-1]:
        pieces.pop()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    if missing := [piece for piece in _SPECIAL_PIECES if piece not in vocabulary]:
        raise EchoingError(
            f"vocab.txt in {folder.name} lacks {', '.join(missing)}.", code="bad_tokenizer"
        )
    n_known = encoder.bert.get_input_embeddings().weight.shape[0]
    if len(pieces) > n_known:
        raise EchoingError(
            f"vocab.txt in {folder.name} has {len(pieces)} word pieces, the weights {n_known}.",
            hint="Give the tokenizer of the text encoder that these weights were trained with.",
            code="bad_tokenizer",
        )
    # BioBERT tells upper from lower case; its folder may not say so.
    lower_case = isinstance(settings, dict) and settings.get("do_lower_case") is True
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=lower_case)
    longest = encoder.bert.config.max_position_embeddings
    return PublishedTokenizer(tokenizer, longest, tuple(pieces), lower_case)


def embed_texts(
    texts: Sequence[str], encoder: PublishedTextEncoder, tokenizer: PublishedTokenizer
) -> PromptGaussians:
    """Embed sentences in lower case, as the encoder was trained.

    Returns
    -------
    PromptGaussians
        One Gaussian a sentence.
    """
    batch = tokenizer.tokenizer(
        [text.lower() for text in texts],
        padding=True,
        truncation=True,
        max_length=tokenizer.max_tokens,
        return_tensors="pt",
    )
    with torch.no_grad():
        embedded = encoder(batch["input_ids"], batch["attention_mask"])
    return PromptGaussians(embedded.mean, embedded.log_var)


def read_scaler(path: Path) -> Standardisation:
    """Read mean and scale from the released scaler; code in the file is refused, not run.

    Parameters
    ----------
    path
        A scikit-learn StandardScaler written uncompressed by joblib.

    Raises
    ------
    EchoingError
        If the file cannot be read, holds anything but such a scaler, or its values are no
        standardisation.
    """
    scaler = read_inert(path)
    state = scaler.state if isinstance(scaler, InertObject) and scaler.name == SCALER else None
    if not isinstance(state, dict):
        raise EchoingError(f"{path.name} does not hold a scaler.", code="not_a_scaler")
    mean, scale = state.get("mean_"), state.get("scale_")
    if not (
        isinstance(mean, np.ndarray)
        and isinstance(scale, np.ndarray)
        and mean.shape == scale.shape
        and np.isfinite([mean, scale]).all()
    ):
        raise EchoingError(
            f"{path.name} does not hold a mean and a scale for each lead.", code="not_a_scaler"
        )
    return Standardisation(tuple(mean.tolist()), tuple(np.maximum(scale, _MIN_SCALE).tolist()))


def _is_plain(values: object) -> bool:
    return (
        isinstance(values, Tensor)
        and values.layout is torch.strided
        and values.device.type == "cpu"
        and values.dtype in _WEIGHT_TYPES
    )


def _translate(name: str) -> str:
    for theirs, ours in _RENAMES:
        name = re.sub(theirs, ours, name)
    return _STAGE.sub(lambda match: f"ecg_encoder.stages.{int(match[1]) - 1}.", name)


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
