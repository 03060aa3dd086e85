"""The published text encoder: BERT and the same probabilistic head as the ECG encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertModel

from model_core.nn.published import (
    NORM_FLOOR,
    GaussianEmbedding,
    GaussianHead,
    HeadGeometry,
    build_from,
    head_geometry,
    shape_of,
)

# Every published BERT, from BERT-tiny (128 wide, 2 heads) to BERT-large (1024, 16), has heads of
# this width (Devlin et al. 2019; Turc et al. 2019); the weights themselves do not tell.
_ATTENTION_HEAD_DIM = 64
_MIN_ATTENTION_HEADS = 2
RELEASED_TEXT_HEAD = HeadGeometry(token_dim=768)


@dataclass(frozen=True, slots=True)
class TextGeometry:
    """Widths and depths of the text encoder; the defaults are those of the released weights.

    Attributes
    ----------
    vocabulary, max_tokens, token_types
        Sizes of the three embedding tables.
    n_layers, n_heads
        Transformer layers, and attention heads in each.
    feed_forward
        Width of the feed-forward layers.
    head
        Of the probabilistic head; its token width is BERT's.
    """

    vocabulary: int = 28996
    max_tokens: int = 512
    token_types: int = 2
    n_layers: int = 12
    n_heads: int = 12
    feed_forward: int = 3072
    head: HeadGeometry = RELEASED_TEXT_HEAD


class PublishedTextEncoder(nn.Module):
    """Tokenised text to Gaussian.

    Parameters
    ----------
    geometry
        Widths and depths.
    """

    def __init__(self, geometry: TextGeometry) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=geometry.vocabulary,
            hidden_size=geometry.head.token_dim,
            num_hidden_layers=geometry.n_layers,
            num_attention_heads=geometry.n_heads,
            intermediate_size=geometry.feed_forward,
            max_position_embeddings=geometry.max_tokens,
            type_vocab_size=geometry.token_types,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = GaussianHead(geometry.head)

    def forward(self, token_ids: Tensor, mask: Tensor) -> GaussianEmbedding:
        """Encode token ids (batch, tokens), int64; `mask`, same shape, is 0 for padding.

        Returns
        -------
        GaussianEmbedding
            One Gaussian a text.
        """
        tokens = self.bert(input_ids=token_ids, attention_mask=mask).last_hidden_state
        return self.head(tokens, mask.bool())


class PublishedTextGraph(nn.Module):
    """The text encoder as the network of a model package's text side.

    All sentences of a batch are equally long, so nothing is masked. The weights of the ranks
    depend on nothing but that length, so they are looked up.
    """

    mean_weights: Tensor
    log_var_weights: Tensor

    def __init__(self, encoder: PublishedTextEncoder) -> None:
        super().__init__()
        self.bert = encoder.bert
        self.head = encoder.head
        longest = encoder.bert.config.max_position_embeddings
        for name, branch in (("mean", encoder.head.mean), ("log_var", encoder.head.log_var)):
            table = torch.zeros(longest + 1, longest)
            with torch.no_grad():
                for length in range(1, longest + 1):
                    table[length, :length] = branch.pool.rank_weights(length)
            self.register_buffer(f"{name}_weights", table)

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Encode token ids (batch, tokens), int64: means of unit length, and log variances."""
        tokens = self.bert(input_ids=token_ids).last_hidden_state
        length = tokens.shape[1]
        mean, log_var = (
            # A product with a vector would be shorter, but ONNX Runtime fuses it wrongly.
            (branch.project(tokens).sort(dim=1, descending=True).values * weights).sum(1)
            for branch, weights in (
                (self.head.mean, self.mean_weights[length, :length, None]),
                (self.head.log_var, self.log_var_weights[length, :length, None]),
            )
        )
        return functional.normalize(mean, dim=-1, eps=NORM_FLOOR), log_var


def text_geometry(state: Mapping[str, Tensor]) -> TextGeometry:
    """Read the text encoder's widths and depths off the shapes of its parameters.

    Parameters
    ----------
    state
        Parameters of a `PublishedTextEncoder` by name.

    Raises
    ------
    EchoingError
        If a parameter that tells them is missing.
    """
    vocabulary, width = shape_of(state, "bert.embeddings.word_embeddings.weight", 2)
    layer = re.compile(r"bert\.encoder\.layer\.\d+\.intermediate\.dense\.weight$")
    return TextGeometry(
        vocabulary=vocabulary,
        max_tokens=shape_of(state, "bert.embeddings.position_embeddings.weight", 2)[0],
        token_types=shape_of(state, "bert.embeddings.token_type_embeddings.weight", 2)[0],
        n_layers=sum(bool(layer.match(name)) for name in state),
        n_heads=max(_MIN_ATTENTION_HEADS, width // _ATTENTION_HEAD_DIM),
        feed_forward=shape_of(state, "bert.encoder.layer.0.intermediate.dense.weight", 2)[0],
        head=head_geometry(state),
    )


def published_text_encoder(state: Mapping[str, Tensor]) -> PublishedTextEncoder:
    """Build the text encoder that `state` holds the parameters of, in evaluation mode.

    Parameters
    ----------
    state
        Parameters by our names.

    Raises
    ------
    EchoingError
        If names or shapes are not those of this network.
    """
    geometry = text_geometry(state)
    return build_from(lambda: PublishedTextEncoder(geometry), state)
