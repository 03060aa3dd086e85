"""The text side of EchoingECG's ECG-text loss: a statement about an ECG as a Gaussian embedding.

Shapes: B texts, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_core.teachers.image_text import GaussianText, TextTower, word_numbers


class EcgTextEncoder(nn.Module):
    """Trainable encoder from sentences to Gaussians in the space of the teacher.

    Parameters
    ----------
    vocabulary
        From `build_vocabulary`.
    embedding_dim
        D.
    width, n_blocks
        Size of the transformer.
    log_var
        Where the log variances start; see `LeadTokenStudent`'s `pooled_log_var`.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        embedding_dim: int,
        width: int = 96,
        n_blocks: int = 1,
        log_var: float = -5.5,
    ) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self._number_of_word = {word: number for number, word in enumerate(vocabulary)}
        self.tower = TextTower(vocabulary, embedding_dim, width, n_blocks)
        self.log_var = nn.Linear(width, embedding_dim)
        nn.init.normal_(self.log_var.weight, std=0.01)
        nn.init.constant_(self.log_var.bias, log_var)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Means of unit length and log variances, (B, D) each."""
        # Cohorts repeat few texts many times.
        distinct = sorted(set(texts))
        row = torch.tensor([distinct.index(text) for text in texts])
        words = word_numbers(distinct, self._number_of_word, self.tower.max_words)
        mean, log_var = self.graph()(words.to(self.tower.position.device))
        return mean[row], log_var[row]

    def graph(self) -> GaussianText:
        """Give the network without what turns sentences into numbers; it shares the weights."""
        return GaussianText(self.tower, self.log_var)
