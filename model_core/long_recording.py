"""A recording too long to hold: what it is, while its samples stay in the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_core.types import RecordingMetadata


@dataclass(frozen=True, slots=True)
class LongRecording:
    """What a recording of minutes or days is; parts of it are read as `Recording`.

    Attributes
    ----------
    recording_id
        SHA-256 over the size, the first and the last 4,096 bytes of each of its files: hashing a
        day of ECG would take longer than anybody waits. Its parts have the same.
    path
        Where to read parts from.
    fs
        Sampling frequency, Hz.
    n_samples
        Of each lead.
    lead_names
        As in every part read, standard leads in the field's spelling.
    source_name
        File name without its folder, as shown to the user.
    metadata
        What else the file says; nothing that only its samples tell.
    """

    recording_id: str
    path: Path
    fs: float
    n_samples: int
    lead_names: tuple[str, ...]
    source_name: str
    metadata: RecordingMetadata

    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""
        return self.n_samples / self.fs
