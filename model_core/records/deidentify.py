"""Recordings without who they are of, built from a list of what may stay.

The list follows the Safe Harbor rule of 45 CFR 164.514(b)(2): no names, numbers, dates, places,
devices or free text; ages above 89 in one class. What is not listed here does not leave.
"""

from __future__ import annotations

import secrets

from model_core.types import Age, Recording, RecordingMetadata

OLDEST_Y = 90.0


def new_study_id() -> str:
    """Make a random name for an export: neither derived from the file nor from the patient."""
    return f"ECG-{secrets.token_hex(6)}"


def deidentified(recording: Recording, study_id: str) -> Recording:
    """Take over the signal and what cannot tell who the patient is.

    Parameters
    ----------
    recording
        As read.
    study_id
        Takes the place of file name and hash.

    Returns
    -------
    Recording
        Signal, sampling frequency, leads, sex, age in whole years (90 and above as 90), the
        device's numbers and whether the ECG is simulated. The waveform itself is kept: in
        principle it may tell a person, to somebody who holds another ECG of the same one.
    """
    metadata = recording.metadata
    age_y = metadata.age_y
    kept_y = None if age_y is None else float(min(int(age_y), int(OLDEST_Y)))
    return Recording(
        recording_id=study_id,
        signal_mv=recording.signal_mv,
        fs=recording.fs,
        lead_names=recording.lead_names,
        source_name=study_id,
        metadata=RecordingMetadata(
            format_name=metadata.format_name,
            age_y=kept_y,
            age=None if kept_y is None else Age(kept_y),
            sex=metadata.sex,
            simulated=metadata.simulated,
            measurements=metadata.measurements,
        ),
        start_s=recording.start_s,
    )
