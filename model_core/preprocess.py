"""The one preprocessing, for training and for run time; its settings travel with the model."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.dsp import bandpass_zero_phase, resample
from model_core.errors import PreprocessError
from model_core.leads import STANDARD_LEADS
from model_core.types import FloatArray, Recording
from model_core.wording import say


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a recording becomes the network's input.

    Attributes
    ----------
    lead_names
        Rows of the input, in order.
    fs
        Sampling frequency of the input, Hz.
    duration_s
        Length of the input, s.
    band_hz
        Corner frequencies of the band-pass, Hz; the upper one is lowered to 0.45 `fs` if above.
    filter_order
        Order of the Butterworth prototype; run forwards and backwards, so without phase shift.
    mean_mv, scale_mv
        Per lead: subtracted, then divided by, after filtering; mV.
    """

    lead_names: tuple[str, ...] = STANDARD_LEADS
    fs: float = 100.0
    duration_s: float = 10.0
    band_hz: tuple[float, float] = (0.5, 40.0)
    filter_order: int = 4
    mean_mv: tuple[float, ...] = (0.0,) * 12
    scale_mv: tuple[float, ...] = (1.0,) * 12

    def __post_init__(self) -> None:
        n_leads = len(self.lead_names)
        if len(self.mean_mv) != n_leads or len(self.scale_mv) != n_leads:
            raise ValueError("one mean and one scale a lead")
        if not 0 < self.band_hz[0] < self.band_hz[1] or self.fs <= 0 or self.duration_s <= 0:
            raise ValueError("frequencies and duration must be positive and in order")
        if min(self.scale_mv) <= 0 or self.filter_order < 1:
            raise ValueError("scales and filter order must be positive")

    @property
    def n_samples(self) -> int:
        """Samples of the network's input."""
        return round(self.fs * self.duration_s)


def filter_and_resample(
    signal_mv: NDArray[Any], fs: float, spec: PreprocessSpec
) -> NDArray[np.float64]:
    """Band-pass at the recorded rate, then polyphase resampling to the model's rate.

    Parameters
    ----------
    signal_mv
        (..., samples), mV, finite.
    fs
        Sampling frequency of `signal_mv`, Hz.
    spec
        Settings.

    Returns
    -------
    ndarray
        (..., resampled samples), float64, mV.

    Raises
    ------
    PreprocessError
        If the recorded rate is too low for the filter, or no fraction of small whole numbers
        leads from it to the model's rate.
    """
    high = min(spec.band_hz[1], 0.45 * spec.fs)
    if fs <= 2 * high:
        raise PreprocessError(
            say("The sampling rate of {fs:g} Hz is too low for this model package.", fs=fs),
            hint=say("It needs a recording of more than {limit:g} Hz.", limit=2 * high),
            code="rate_too_low",
        )
    filtered = bandpass_zero_phase(signal_mv, fs, (spec.band_hz[0], high), spec.filter_order)
    ratio = Fraction(spec.fs / fs).limit_denominator(5000)
    if abs(float(ratio) * fs / spec.fs - 1) > 1e-6:
        raise PreprocessError(
            say(
                "The sampling rate of {fs:g} Hz cannot be converted to {to_fs:g} Hz.",
                fs=fs,
                to_fs=spec.fs,
            ),
            code="rate_not_convertible",
        )
    return filtered if ratio == 1 else resample(filtered, ratio)


def prepare(recording: Recording, spec: PreprocessSpec, start_s: float = 0.0) -> FloatArray:
    """Turn part of a recording into the network's input.

    Only the chosen part enters the filter, so the same ten seconds give the same input whatever
    the file holds around them.

    Parameters
    ----------
    recording
        The recording, in mV.
    spec
        Settings, from the model package.
    start_s
        First second of the part, from the start of the recording.

    Returns
    -------
    ndarray
        (1, leads, samples), float32, standardised (dimensionless).

    Raises
    ------
    PreprocessError
        If a lead is missing, the recording is too short, or samples are missing.

    Examples
    --------
    >>> recording = Recording("ab", np.zeros((12, 5000)), 500.0, STANDARD_LEADS, "flat.hea")
    >>> prepare(recording, PreprocessSpec()).shape
    (1, 12, 1000)
    """
    names = list(recording.lead_names)
    missing = [name for name in spec.lead_names if names.count(name) != 1]
    if missing:
        raise PreprocessError(
            say("The model package needs lead {leads} once.", leads=", ".join(missing)),
            code="missing_lead",
        )
    rows = [names.index(name) for name in spec.lead_names]
    first = round(start_s * recording.fs)
    # Rounding up: the resampled part must never be shorter than the network's input.
    last = first + int(np.ceil(spec.duration_s * recording.fs - 1e-6))
    if first < 0 or last > recording.n_samples:
        raise PreprocessError(
            say(
                "The recording lasts {duration_s:.1f} s; {needed_s:g} s from second {start_s:g} "
                "are needed.",
                duration_s=recording.duration_s,
                needed_s=spec.duration_s,
                start_s=start_s,
            ),
            code="too_short",
        )
    part = recording.signal_mv[rows, first:last]
    if not np.isfinite(part).all():
        raise PreprocessError(say("Samples are missing in the recording."), code="missing_samples")
    resampled = filter_and_resample(part, recording.fs, spec)[:, : spec.n_samples]
    mean = np.asarray(spec.mean_mv)[:, np.newaxis]
    scale = np.asarray(spec.scale_mv)[:, np.newaxis]
    return ((resampled - mean) / scale).astype(np.float32)[np.newaxis]
