"""One module for each data set in its official layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from model_core.errors import EchoingError
from training.ingest.adapters import echonext, folder, mimic_ecg, music, ptbxl
from training.ingest.config import IngestConfig
from training.ingest.listing import Listing
from training.ingest.waveform import Waveform

__all__ = ["ADAPTERS", "Adapter", "adapter_of"]


class Adapter(Protocol):
    """What an adapter module offers.

    Attributes
    ----------
    NAME
        As in `IngestConfig.source`.
    MAX_FS
        Highest sampling frequency of the source, Hz.
    """

    NAME: str
    MAX_FS: float

    def list_records(self, config: IngestConfig) -> Listing:
        """List the recordings; raises `EchoingError` if a table cannot be used at all."""
        ...

    def load(self, config: IngestConfig, row: Mapping[str, Any]) -> Waveform:
        """Read one recording of the list; raises `EchoingError` or `OSError` if it is bad."""
        ...


_ALL: tuple[Adapter, ...] = (ptbxl, mimic_ecg, echonext, music, folder)
ADAPTERS = {adapter.NAME: adapter for adapter in _ALL}


def adapter_of(config: IngestConfig) -> Adapter:
    """Adapter that a config names."""
    if config.source not in ADAPTERS:
        raise EchoingError(
            f"There is no source '{config.source}'.",
            hint=f"Known: {', '.join(sorted(ADAPTERS))}.",
            code="unknown_source",
        )
    return ADAPTERS[config.source]
