"""The whole state of the window, as data: frozen, replaced whole by the controller, no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from echoing_gui.state_bench import Bench
from echoing_gui.state_marks import Measuring
from echoing_gui.state_package import PackageFacts
from echoing_gui.state_work_list import WorkList
from model_core.display_filters import RAW, DisplayFilter, filter_for_display
from model_core.long_recording import LongRecording, Overview
from model_core.types import PackageIdentity, Prediction, Recording

# What the layouts in columns show and the model sees
PAGE_S = 10.0
_SAME_S = 0.05
SPEEDS_MM_S = (12.5, 25.0, 50.0, 100.0)
PRIVATE_AFTER_MIN = (5, 10, 30, 0)
GAINS_MM_MV = (2.5, 5.0, 10.0, 20.0)
ZOOMS = (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)


class Layout(Enum):
    """How the leads are arranged: rows x columns, and rhythm strips below."""

    GRID = "3x4+1"
    GRID_3 = "3x4+3"
    SIX = "6x2"
    FOUR = "4x3"
    ROWS = "12x1"


class LeadOrder(Enum):
    """In which order the limb leads stand."""

    STANDARD = "standard"
    CABRERA = "cabrera"


class ThemeChoice(Enum):
    """Which colours the window has; the ECG paper stays light in all of them."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Stage(Enum):
    """What the program is doing for the recording."""

    IDLE = "idle"
    READING = "reading"
    PREDICTING = "predicting"


class Level(Enum):
    """How serious a message is."""

    INFO = "info"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How the user wants the recording drawn.

    Attributes
    ----------
    layout
        Arrangement of the leads.
    speed_mm_s
        Paper speed, mm/s.
    gain_mm_mv
        Display gain of the limb leads, and of the chest leads unless halved, mm/mV.
    zoom
        Factor on both; anything but 1 is not to scale.
    show_variance
        Draw the segment variance strips.
    theme
        Colours of the window.
    order
        Order of the limb leads.
    rhythm_lead
        Lead of the single rhythm strip.
    half_precordials
        Draw the chest leads at half the display gain.
    read_first
        Keep the estimate covered until the reader asks for it.
    high_pass_hz, low_pass_hz
        Filters of the traces, Hz; 0 for none.
    notch
        Take `mains_hz` out of the traces.
    mains_hz
        Mains frequency, Hz.
    variance_underlay
        With the strips, tint the paper behind the traces too.
    private
        Hide names, dates and file names.
    private_after_min
        Minutes without key or mouse after which `private` switches on; 0 for never.
    show_dots
        Show each estimate as twenty equally likely values, too.
    language
        Of the window, from the next start on; ISO 639-1, or that of the system.
    """

    layout: Layout = Layout.GRID
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    zoom: float = 1.0
    show_variance: bool = True
    theme: ThemeChoice = ThemeChoice.SYSTEM
    order: LeadOrder = LeadOrder.STANDARD
    rhythm_lead: str = "II"
    half_precordials: bool = False
    read_first: bool = False
    private: bool = False
    private_after_min: int = 10
    show_dots: bool = False
    high_pass_hz: float = 0.0
    low_pass_hz: float = 0.0
    notch: bool = False
    mains_hz: float = 50.0
    variance_underlay: bool = False
    language: str = "system"

    @property
    def display_filter(self) -> DisplayFilter:
        """What is to be taken out of the traces."""
        return DisplayFilter(
            self.high_pass_hz, self.low_pass_hz, self.mains_hz if self.notch else 0.0
        )


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """A recording as it is drawn through a display filter; no model ever sees it.

    Attributes
    ----------
    source
        As recorded.
    chosen
        The filter.
    drawn
        `source` with other samples.
    """

    source: Recording
    chosen: DisplayFilter
    drawn: Recording

    def of(self, recording: Recording) -> Filtered:
        """Take the same samples as those of another copy of the recording."""
        return replace(
            self, source=recording, drawn=replace(recording, signal_mv=self.drawn.signal_mv)
        )


def filtered(recording: Recording, chosen: DisplayFilter) -> Filtered:
    """Filter a copy of a recording's samples."""
    signal_mv = filter_for_display(recording.signal_mv, recording.fs, chosen)
    return Filtered(recording, chosen, replace(recording, signal_mv=signal_mv))


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What a model package makes of a recording before its network sees it.

    Attributes
    ----------
    fs
        Sampling frequency of the network's input, Hz.
    band_hz
        Corner frequencies of its own band-pass, Hz.
    """

    fs: float
    band_hz: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ScreenScale:
    """Physical size of the screen's pixels.

    Attributes
    ----------
    device_px_per_mm
        Device pixels in one millimetre of the screen; a guess unless calibrated.
    calibrated_on
        Date of the user's measurement, ISO 8601; empty without one.
    screen_name
        Name of the screen, as shown.
    """

    device_px_per_mm: float = 96 / 25.4
    calibrated_on: str = ""
    screen_name: str = ""


@dataclass(frozen=True, slots=True)
class ScreenFacts:
    """What the system says about a screen.

    Attributes
    ----------
    key
        Tells this screen, at this resolution, from others.
    name
        As shown.
    guessed_px_per_mm
        Device pixels in one millimetre; systems are often wrong about it.
    """

    key: str
    name: str
    guessed_px_per_mm: float


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Work in progress for one file."""

    stage: Stage = Stage.IDLE
    source_name: str = ""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What happened and what to do about it, in sentences.

    Attributes
    ----------
    text
        What happened.
    hint
        What the user can do; may be empty.
    level
        How serious it is.
    name
        File that `text` names; taken out where no name may stand.
    """

    text: str
    hint: str = ""
    level: Level = Level.INFO
    name: str = ""


@dataclass(frozen=True, slots=True)
class AppState:
    """Everything the window shows follows from this.

    Attributes
    ----------
    recording
        The recording on screen, or the part of a long one that was read last.
    long
        What `recording` is a part of; None if it is a whole.
    page_start_s
        First of the ten seconds that are shown in columns and that the model is asked about,
        seconds of the recording.
    overview
        The whole recording in few columns, as far as it has been looked at; None if it is short.
    preview
        What the answer to a question would make of `recording`: drawn in its place while held.
    prediction
        Result for `recording`, never for another one; for a part of it, which `window_s` names.
        None while it is covered, so that nothing can show it.
    covered
        There is a result that the reader has not asked for yet.
    revealed
        The reader has asked for the result of `recording`.
    package
        The model package in use; None before it is loaded, or if it cannot be.
    model_input
        What the package in use does to a recording first; None where that is not known.
    facts
        What else is known of it.
    package_failed
        Why there is no model package.
    job
        Work in progress.
    options
        How to draw.
    filtered
        `recording` through the filter of `options`; None without a filter or before it is done.
    variance_held
        The user holds the key that hides the segment variance strips.
    screen
        Scale of the screen that the window is on.
    message
        What the message bar says.
    confirmed
        Codes of the reasons that the user has confirmed for `recording`.
    work_list
        Many files and what is known of them; None without one.
    measuring
        Calipers, notes and measurements.
    bench
        What the researcher's bench shows of `prediction`.
    keys
        Keys in force by action, as texts name them; of the actions that have one.

    Raises
    ------
    ValueError
        If the prediction belongs to another recording.
    """

    recording: Recording | None = None
    long: LongRecording | None = None
    page_start_s: float = 0.0
    overview: Overview | None = None
    preview: Recording | None = None
    prediction: Prediction | None = None
    covered: bool = False
    revealed: bool = False
    package: PackageIdentity | None = None
    model_input: ModelInput | None = None
    facts: PackageFacts | None = None
    package_failed: UserMessage | None = None
    job: JobStatus = field(default_factory=JobStatus)
    options: DisplayOptions = field(default_factory=DisplayOptions)
    filtered: Filtered | None = None
    variance_held: bool = False
    screen: ScreenScale = field(default_factory=ScreenScale)
    message: UserMessage | None = None
    confirmed: frozenset[str] = frozenset()
    work_list: WorkList | None = None
    measuring: Measuring = field(default_factory=Measuring)
    bench: Bench = field(default_factory=Bench)
    keys: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if self.prediction is not None and (
            self.recording is None or self.recording.recording_id != self.prediction.recording_id
        ):
            raise ValueError("the prediction belongs to another recording")

    @property
    def drawn(self) -> Recording | None:
        """What is drawn: the recording, through the display filter if that is done."""
        if self.preview is not None or self.applied_filter == RAW or self.filtered is None:
            return self.preview or self.recording
        return self.filtered.drawn

    @property
    def applied_filter(self) -> DisplayFilter:
        """The filter that is in `drawn`."""
        done = self.filtered
        chosen = self.options.display_filter
        if done is None or done.source is not self.recording or done.chosen != chosen:
            return RAW
        return RAW if self.preview is not None else chosen.at(done.source.fs)

    @property
    def whole_s(self) -> float:
        """Length of what is open, s; 0 without a recording."""
        of = self.long or self.recording
        return of.duration_s if of is not None else 0.0

    @property
    def last_page_s(self) -> float:
        """Where the last ten seconds begin, s; 0 if there are no more than ten."""
        return max(0.0, self.whole_s - PAGE_S)

    @property
    def has_pages(self) -> bool:
        """Whether there is a choice of ten seconds."""
        return self.last_page_s > 0.05

    @property
    def page_is_seen(self) -> bool:
        """Whether the prediction is of the ten seconds chosen."""
        seen = self.prediction
        return seen is not None and abs(seen.window_s[0] - self.page_start_s) <= _SAME_S

    @property
    def page_is_read(self) -> bool:
        """Whether the ten seconds chosen are in `recording`."""
        if self.long is None or self.recording is None:
            return True
        return abs(self.recording.start_s - self.page_start_s) < 1 / self.recording.fs
