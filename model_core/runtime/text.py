"""Sentences in the space of an ECG's embedding, by the text side of a model package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import CancelToken, PackageError
from model_core.runtime.package import TextPart
from model_core.runtime.session import check_names, open_session, run
from model_core.tokens import Tokens, by_length
from model_core.wording import say

TEXT_OUTPUTS = ("mean", "log_var")
TEXT_TOLERANCE = 1e-3
_INPUT = "token_ids"
_AT_ONCE = 32


class TextEncoder:
    """Runs one text side of a model package.

    Making one loads the network and compares its golden sentence. It may be used from several
    threads.

    Parameters
    ----------
    part
        From `load_package`.

    Raises
    ------
    PackageError
        If the network cannot be loaded, or gives other numbers here than where it was made.
    """

    def __init__(self, part: TextPart) -> None:
        self.part = part
        self._session: Any = open_session(part.graph)
        check_names(self._session, [_INPUT], TEXT_OUTPUTS)
        self.self_test()

    def self_test(self) -> float:
        """Encode the golden sentence and compare with the stored numbers.

        Returns
        -------
        float
            Largest absolute difference.

        Raises
        ------
        PackageError
            If it is above 1e-3.
        """
        found = self.encode(self.part.prompts.texts[:1])
        difference = max(
            float(np.abs(part - golden).max()) if part.shape == golden.shape else np.inf
            for part, golden in zip(found, self.part.golden, strict=True)
        )
        if not difference <= TEXT_TOLERANCE:
            raise PackageError(
                say(
                    "The text side of the model package gives other numbers on this computer than "
                    "where it was made."
                ),
                hint=say("What it says of sentences cannot be trusted here; please report it."),
                code="self_test_failed",
            )
        return difference

    def tokens(self, text: str) -> Tokens:
        """Split a sentence; what it says can be encoded if nothing of it is unknown."""
        return self.part.tokenizer(text)

    def encode(
        self, texts: Sequence[str], cancel: CancelToken | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the Gaussian of each sentence, words that are not known included.

        Parameters
        ----------
        texts
            At least one sentence.
        cancel
            Stops a run under way.

        Returns
        -------
        mean, log_var
            (texts, embedding) each.

        Raises
        ------
        ValueError
            If a sentence is longer than the encoder takes.
        Cancelled
            If `cancel` was set.
        InferenceError
            If the network itself fails.
        """
        cancel = cancel or CancelToken()
        rows = [self.tokens(text).numbers for text in texts]
        if max(len(row) for row in rows) > self.part.side.max_tokens:
            raise ValueError("a sentence is too long")
        order: list[int] = []
        found: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for same in by_length(rows, _AT_ONCE):
            inputs = {_INPUT: np.array([rows[at] for at in same], dtype=np.int64)}
            cancel.raise_if_cancelled()
            found += zip(*run(self._session, TEXT_OUTPUTS, inputs, cancel), strict=True)
            order += same
        back = np.argsort(order)
        mean, log_var = (np.stack([pair[part] for pair in found])[back] for part in (0, 1))
        return mean.astype(np.float64), log_var.astype(np.float64)
