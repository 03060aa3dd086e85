"""Asking a model about one ECG again and again, with parts of it hidden."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model_core.errors import CancelToken
from model_core.preprocess import prepare
from model_core.runtime.predictor import Predictor
from model_core.types import Recording
from model_core.what_if import EMBEDDING, Answer, BoolArray, Masking, OcclusionMap

# Cells between two reports of an occlusion map, some 0.3 s.
_CELLS_A_STEP = 10


class Inquiry:
    """One ECG, prepared once; each answer is then one run of the network.

    It may be used from several threads.

    Parameters
    ----------
    predictor
        The model.
    recording
        The ten seconds that a prediction was made of, from its first sample on.

    Attributes
    ----------
    lead_names, edges_s
        What can be hidden: leads, and segments between edges in seconds of the recording.
    masking
        How it is hidden.

    Raises
    ------
    PreprocessError
        If the recording cannot be prepared for this model.
    """

    def __init__(self, predictor: Predictor, recording: Recording) -> None:
        manifest = predictor.package.manifest
        self._predictor = predictor
        self._ecg = prepare(recording, manifest.input)
        self.lead_names = manifest.input.lead_names
        segments = manifest.segments
        equal = np.linspace(0, manifest.input.duration_s, segments.n_segments + 1)
        edges_s = np.array(segments.edges_s or equal, dtype=np.float64)
        self.edges_s = recording.start_s + edges_s
        self._sample_edges = np.rint(edges_s * manifest.input.fs).astype(int)
        self._by_lead = segments.lead_names == self.lead_names
        takes_keep = predictor.takes_keep and self._by_lead
        self.masking = Masking.MISSING if takes_keep else Masking.FLAT

    def answer(self, hidden: BoolArray | None = None, cancel: CancelToken | None = None) -> Answer:
        """Ask with some cells hidden.

        Parameters
        ----------
        hidden
            (leads, segments), true where hidden; something must be left. None hides nothing.
        cancel
            Stops a run under way.

        Raises
        ------
        ValueError
            If everything is hidden.
        Cancelled, InferenceError
            As `Predictor.answer`.
        """
        if hidden is None or not hidden.any():
            return self._predictor.answer(self._ecg, cancel=cancel)
        if hidden.all():
            raise ValueError("something must be left for the model to see")
        ecg = self._ecg.copy()
        for row, segment in np.argwhere(hidden):
            first, last = self._sample_edges[segment : segment + 2]
            ecg[0, row, first:last] = 0
        keep = ~hidden if self.masking is Masking.MISSING else None
        return self._predictor.answer(ecg, keep, cancel)

    def embedding(
        self, cancel: CancelToken | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and log variance of the ECG's embedding; see `Predictor.embedding`."""
        return self._predictor.embedding(self._ecg, cancel)

    def occlusion(self, cancel: CancelToken | None = None) -> Iterator[OcclusionMap]:
        """Hide one cell after the other; gives the map so far, every few cells, and at the end.

        A package that tells leads apart is asked about each segment of each lead; another one
        about whole leads, because its tokens see nearly the whole recording anyway. One run a
        cell: larger batches take as long a cell, and a mask holds for a whole batch.
        """
        cells = self._cells()
        n_columns = len(cells) // len(self.lead_names)
        edges_s = self.edges_s if n_columns > 1 else self.edges_s[[0, -1]]
        whole = self.answer(cancel=cancel)
        quantities = (EMBEDDING, *(each.key for each in whole.estimates))
        values = {key: np.full(len(cells), np.nan) for key in quantities}
        for number, hidden in enumerate(cells, start=1):
            answer = self.answer(hidden, cancel)
            for key, row in values.items():
                row[number - 1] = answer.value_of(key)
            if number % _CELLS_A_STEP == 0 or number == len(cells):
                shown = {key: row.reshape(-1, n_columns).copy() for key, row in values.items()}
                yield OcclusionMap(self.lead_names, edges_s, whole, shown, self.masking)

    def _cells(self) -> list[BoolArray]:
        shape = len(self.lead_names), len(self.edges_s) - 1
        cells: list[BoolArray] = []
        for row in range(shape[0]):
            for part in range(shape[1]) if self._by_lead else (slice(None),):
                hidden = np.zeros(shape, dtype=np.bool_)
                hidden[row, part] = True
                cells.append(hidden)
        return cells
