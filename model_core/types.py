"""The values that flow through the program: immutable, with units in their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.leads import STANDARD_LEADS
from model_core.measures import FINDINGS, MEASURES
from model_core.reasons import LeadGrade as LeadGrade
from model_core.reasons import LeadQuality, Reason
from model_core.reasons import QualityReport as QualityReport
from model_core.reasons import Severity as Severity
from model_core.wording import Sentence, say

FloatArray = NDArray[np.float32]


def _own(
    values: NDArray[Any], n_dims: int, what: str, kind: type[np.floating[Any]] = np.float32
) -> NDArray[Any]:
    """Copy and lock: a view could still be changed through its base."""
    array = np.array(values, dtype=kind, order="C", copy=True)
    if array.ndim != n_dims:
        raise ValueError(f"{what} needs {n_dims} dimensions, got shape {array.shape}")
    array.setflags(write=False)
    return array


SEXES = {"female": say("female"), "male": say("male")}
_AGES: dict[str, Callable[[float], Sentence]] = {
    "years": lambda n: say("{n:g} years", n=n),
    "months": lambda n: say("{n:g} months", n=n),
    "weeks": lambda n: say("{n:g} weeks", n=n),
    "days": lambda n: say("{n:g} days", n=n),
    "hours": lambda n: say("{n:g} hours", n=n),
}
DAYS_PER_AGE_UNIT = {"years": 365.25, "months": 30.4375, "weeks": 7.0, "days": 1.0, "hours": 1 / 24}


@dataclass(frozen=True, slots=True)
class Age:
    """An age as the file states it: `value` in `unit`, a key of `DAYS_PER_AGE_UNIT`.

    Examples
    --------
    >>> str(Age(3, "months")), Age(3, "months").years
    ('3 months', 0.25)
    """

    value: float
    unit: str = "years"

    def __post_init__(self) -> None:
        if self.unit not in DAYS_PER_AGE_UNIT or not 0 <= self.years <= 130:
            raise ValueError(f"not an age: {self.value} {self.unit}")

    @property
    def years(self) -> float:
        """The age in years, with fraction."""
        return self.value * DAYS_PER_AGE_UNIT[self.unit] / DAYS_PER_AGE_UNIT["years"]

    def __str__(self) -> str:
        return str(self.text)

    @property
    def text(self) -> Sentence:
        """Number and unit, to be shown."""
        return _AGES[self.unit](self.value)


@dataclass(frozen=True, slots=True)
class MachineMeasurement:
    """A number that the device worked out, as stored in the file.

    Attributes
    ----------
    key
        ``heart_rate``, ``atrial_rate``, ``rr_interval``, ``p_duration``, ``pr_interval``,
        ``qrs_duration``, ``qt_interval``, ``qtc``, ``qtc_bazett``, ``qtc_fridericia``,
        ``qtc_framingham``, ``qtc_hodges``, ``p_axis``, ``qrs_axis`` or ``t_axis``.
    value, unit
        The value in ``/min``, ``ms`` or ``degrees``.
    """

    key: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A line of interpretation; `source` is ``machine``, ``overread``, ``confirmed`` or empty."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mark in time that the file holds, in seconds of the recording."""

    time_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Where a lead has no samples: `start_s` to `end_s`, seconds of the recording."""

    lead: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How a file became a recording: what it states, what is missing, what was changed.

    Attributes
    ----------
    format_name, format_version
        The container; the version is empty where the file states none.
    rate_source, gain, gain_source, unit
        Where sampling rate and gain come from, the gain in words, and the unit of the samples in
        the file.
    leads_present, leads_derived, leads_missing
        Leads stored in the file, computed from I and II, and absent of the twelve.
    gaps, n_gaps
        The first gaps, in order of lead and time, and how many there are in all.
    device_filters
        Filters that the device says it applied, each in words.
    integrity
        One sentence: a checksum that agrees, or that the format holds none.
    checksum_failed
        Whether a checksum in the file does not agree, which is a caution of every result.
    incomplete
        Whether the file holds another number of samples than it states, which is a caution too.
    repairs
        Everything that differs from what the file holds, each as one sentence.
    """

    format_name: str
    format_version: str = ""
    rate_source: str = ""
    gain: str = ""
    gain_source: str = ""
    unit: str = ""
    leads_present: tuple[str, ...] = ()
    leads_derived: tuple[str, ...] = ()
    leads_missing: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    n_gaps: int = 0
    device_filters: tuple[str, ...] = ()
    integrity: str = ""
    checksum_failed: bool = False
    incomplete: bool = False
    repairs: tuple[str, ...] = ()

    @property
    def leads_extra(self) -> tuple[str, ...]:
        """Leads stored in the file beside the twelve."""
        return tuple(name for name in self.leads_present if name not in STANDARD_LEADS)


@dataclass(frozen=True, slots=True)
class RecordingMetadata:
    """What the file says about the recording; None or empty where it says nothing.

    Attributes
    ----------
    format_name
        The file format, with its version where known.
    acquired_at
        Start of the recording as written in the file, ISO 8601.
    age_y
        Age at the recording, years.
    sex
        ``female``, ``male`` or empty.
    comments
        Free text of the file, line by line; may identify the patient, never logged.
    notes
        What the reader has to say: gains, units, integrity, repairs.
    simulated
        The file says that it is not a patient's.
    age
        The age with the unit it is written in.
    patient
        Labelled facts that identify the patient; never logged.
    acquisition
        Labelled facts on device and place.
    measurements, statements, annotations
        What the device or a reader of the ECG worked out; all from the file.
    report
        How the file was read; every recording read from a file has one.
    """

    format_name: str = ""
    acquired_at: str = ""
    age_y: float | None = None
    sex: str = ""
    comments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    simulated: bool = False
    age: Age | None = None
    patient: tuple[tuple[str, str], ...] = ()
    acquisition: tuple[tuple[str, str], ...] = ()
    measurements: tuple[MachineMeasurement, ...] = ()
    statements: tuple[Statement, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    report: ImportReport | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One ECG file's content, as recorded: never filtered, never resampled.

    Attributes
    ----------
    recording_id
        SHA-256 over the file's bytes, lower-case hexadecimal; of a part, see `LongRecording`.
    signal_mv
        Leads x samples, mV, float32, read-only; NaN means that the file has no sample there.
    fs
        Sampling frequency, Hz.
    lead_names
        One name a row, standard leads in the field's spelling.
    source_name
        File name without its folder, as shown to the user.
    metadata
        What else the file says.
    start_s
        Where the first sample lies in the file's recording, s; above 0 only for a part of one.
    whole_s
        Length of the recording that this is a part of, s; None for a whole.

    Raises
    ------
    ValueError
        If shapes, names and sampling frequency do not fit together.

    Examples
    --------
    >>> recording = Recording("ab", np.zeros((2, 500)), 500.0, ("I", "II"), "demo.hea")
    >>> recording.duration_s, recording.n_leads, recording.signal_mv.flags.writeable
    (1.0, 2, False)
    """

    recording_id: str
    signal_mv: FloatArray
    fs: float
    lead_names: tuple[str, ...]
    source_name: str
    metadata: RecordingMetadata = field(default_factory=RecordingMetadata)
    start_s: float = 0.0
    whole_s: float | None = None

    def __post_init__(self) -> None:
        signal = _own(self.signal_mv, 2, "signal_mv")
        object.__setattr__(self, "signal_mv", signal)
        object.__setattr__(self, "lead_names", tuple(self.lead_names))
        if len(self.lead_names) != signal.shape[0]:
            raise ValueError(f"{signal.shape[0]} rows but {len(self.lead_names)} lead names")
        if not (np.isfinite(self.fs) and self.fs > 0):
            raise ValueError(f"sampling frequency must be positive, got {self.fs}")

    @property
    def n_leads(self) -> int:
        """Number of leads."""
        return self.signal_mv.shape[0]

    @property
    def n_samples(self) -> int:
        """Number of samples in each lead."""
        return self.signal_mv.shape[1]

    @property
    def duration_s(self) -> float:
        """Length of the recording, s."""
        return self.n_samples / self.fs

    def part(self, start_s: float, duration_s: float) -> Recording:
        """Cut out a part.

        Parameters
        ----------
        start_s
            First second, counted as `start_s` is; moved to the nearest sample.
        duration_s
            Length, s; the part ends with the recording if that ends before.
        """
        first = min(max(round((start_s - self.start_s) * self.fs), 0), self.n_samples - 1)
        last = first + int(np.ceil(duration_s * self.fs - 1e-6))
        return replace(
            self,
            signal_mv=self.signal_mv[:, first:last],
            start_s=self.start_s + first / self.fs,
            whole_s=self.whole_s or self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class PredictionInterval:
    """Range meant to hold the true value of one patient at a stated level.

    Attributes
    ----------
    low, high
        In the measure's unit.
    level
        Nominal coverage, between 0 and 1.
    """

    low: float
    high: float
    level: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"not an interval: {self.low} to {self.high}")
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {self.level}")


@dataclass(frozen=True, slots=True)
class MeasureEstimate:
    """Value and prediction interval of one echo measure, in the measure's unit.

    `core` is a narrower interval of a lower level within it; None if the model gives none.
    """

    key: str
    value: float
    interval: PredictionInterval
    core: PredictionInterval | None = None

    def __post_init__(self) -> None:
        if self.key not in MEASURES:
            raise ValueError(f"unknown measure {self.key!r}")
        core = self.core or self.interval
        if not self.interval.low <= core.low <= self.value <= core.high <= self.interval.high:
            raise ValueError(f"{self.key}: the value lies outside its own interval")


@dataclass(frozen=True, slots=True)
class FindingProbability:
    """Calibrated probability, 0 to 1, of one finding."""

    key: str
    probability: float

    def __post_init__(self) -> None:
        if self.key not in FINDINGS:
            raise ValueError(f"unknown finding {self.key!r}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"not a probability: {self.probability}")


@dataclass(frozen=True, slots=True, eq=False)
class SegmentVariance:
    """Embedding variance of each lead and time segment.

    Attributes
    ----------
    variance
        Rows x segments, dimensionless, positive: the mean over embedding dimensions of the
        segment's variance. NaN where it was not computed.
    lead_names
        One name a row; a single row named ``all`` where the student does not tell leads apart.
    edges_s
        Segment borders in seconds of the recording, one more than there are segments; float64,
        because a day has 86,400 of them.
    scale
        Lowest and highest variance of the fixed colour scale of this model package.

    Examples
    --------
    >>> cells = SegmentVariance(np.ones((1, 2)), ("all",), np.array([0.0, 5.0, 10.0]), (0.1, 10))
    >>> cells.variance.shape
    (1, 2)
    """

    variance: FloatArray
    lead_names: tuple[str, ...]
    edges_s: NDArray[np.float64]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variance", _own(self.variance, 2, "variance"))
        object.__setattr__(self, "edges_s", _own(self.edges_s, 1, "edges_s", np.float64))
        object.__setattr__(self, "lead_names", tuple(self.lead_names))
        n_rows, n_segments = self.variance.shape
        if len(self.lead_names) != n_rows or len(self.edges_s) != n_segments + 1:
            raise ValueError("variance, lead names and segment borders do not fit together")
        if not 0.0 < self.scale[0] < self.scale[1]:
            raise ValueError(f"not a scale: {self.scale}")


class ResultState(Enum):
    """The three things a result can be; there is no fourth."""

    REPORTED = "reported"
    REPORTED_WITH_CAUTION = "reported_with_caution"
    NOT_REPORTABLE = "not_reportable"


@dataclass(frozen=True, slots=True)
class PackageIdentity:
    """Which model package a result came from, and what must be said beside it.

    Attributes
    ----------
    package_id
        SHA-256 of the manifest, lower-case hexadecimal.
    name, version
        As in the manifest.
    caveat
        Sentence shown wherever a result is shown.
    """

    package_id: str
    name: str
    version: str
    caveat: str


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Everything the model says about one recording, or why it says nothing.

    Attributes
    ----------
    recording_id
        The recording it belongs to; it is shown beside no other.
    package
        The model package it came from.
    window_s
        First and last second of the recording that were looked at: by the model too, unless the
        input gate refused them.
    estimates, findings
        Empty when not reportable.
    embedding_variance
        Of the recording as the model sees it: mean variance over embedding dimensions,
        dimensionless. None if the model did not run.
    embedding_mean
        Mean of that embedding, (dimensions,), dimensionless; None if the model did not run.
    segment_variance
        Where that variance comes from. None if the model did not run.
    reasons
        Cautions, or what the result is withheld for. Uncertainty may be shown then, an estimate
        never.
    lead_quality
        Of the leads in the window; empty where they could not be looked at.

    Raises
    ------
    ValueError
        If a refused prediction carries an estimate, or a reported one carries none.
    """

    recording_id: str
    package: PackageIdentity
    window_s: tuple[float, float]
    estimates: tuple[MeasureEstimate, ...] = ()
    findings: tuple[FindingProbability, ...] = ()
    embedding_variance: float | None = None
    segment_variance: SegmentVariance | None = None
    reasons: tuple[Reason, ...] = ()
    lead_quality: tuple[LeadQuality, ...] = ()
    embedding_mean: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.embedding_mean is not None:
            object.__setattr__(
                self, "embedding_mean", _own(self.embedding_mean, 1, "embedding_mean")
            )
        if (self.state is ResultState.NOT_REPORTABLE) == bool(self.estimates or self.findings):
            raise ValueError("a prediction holds either estimates or a reason to withhold them")

    @property
    def state(self) -> ResultState:
        """Which of the three result states this is."""
        if any(reason.severity.withholds for reason in self.reasons):
            return ResultState.NOT_REPORTABLE
        return ResultState.REPORTED_WITH_CAUTION if self.reasons else ResultState.REPORTED
