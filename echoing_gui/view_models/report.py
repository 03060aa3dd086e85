"""The report on paper: which sheet parts and which texts stand on which page."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from echoing_gui.i18n import tr
from echoing_gui.state import PAGE_S, AppState, Layout
from echoing_gui.view_models import texts
from echoing_gui.view_models.results import RESEARCH_ONLY, ResultView, result_view
from echoing_gui.view_models.sheet import MARGIN_MM, PULSE_MV, Sheet, grade_text, lay_out
from model_core.records import deidentified
from model_core.types import Recording

HEADER_MM = 16.0
FOOTER_MM = 18.0
# Nothing is printed nearer to the paper's sides; beside rows, lead names stand in a margin of their
# own, which takes the place of the sheet's blank one but for a little.
SIDE_MM = 3.0
NAMES_MM = 12.0
NAMES_BEFORE_PULSE_MM = 0.5


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet of paper in landscape, mm."""

    name: str
    width_mm: float
    height_mm: float


PAPERS = (Paper("A4", 297.0, 210.0), Paper("Letter", 279.4, 215.9))


@dataclass(frozen=True, slots=True, eq=False)
class EcgPage:
    """A page of ECG.

    Attributes
    ----------
    sheet
        The paper that a part of is shown.
    top_mm, bottom_mm
        The part, from the sheet's upper edge; whole rows.
    """

    sheet: Sheet
    top_mm: float
    bottom_mm: float

    @property
    def window(self) -> str:
        """Which seconds of the recording it shows."""
        return texts.stretch_text(*self.sheet.window_s)


@dataclass(frozen=True, slots=True, eq=False)
class ReportView:
    """Everything on the pages.

    Attributes
    ----------
    title, subtitle
        Above every page: which ECG this is.
    warning
        What must stand on every page.
    simulated
        Tag of an ECG that is no patient's; may be empty.
    caption
        Speed, gain and filter.
    stands_out
        End of the caption that is painted on amber: a filter that changes what can be read.
    legend
        What the colours under the leads mean; empty without any.
    program
        What wrote this.
    ecg
        Pages of ECG.
    result
        The page of the prediction.
    facts
        Labelled facts on that page: package, hashes, recording, signal quality.
    """

    title: str
    subtitle: str
    warning: str
    simulated: str
    caption: str
    stands_out: str
    legend: str
    program: str
    ecg: tuple[EcgPage, ...]
    result: ResultView
    facts: tuple[tuple[str, str], ...]


def report_state(state: AppState, study_id: str) -> AppState:
    """Take a state's ECG and result; without identity if there is a name for the export.

    Parameters
    ----------
    state
        With a recording.
    study_id
        Takes the place of whatever tells who the patient is; empty to keep that.

    Returns
    -------
    AppState
        Of the ten seconds chosen where the recording is long, of the whole where it is not.
    """
    recording, prediction = state.recording, state.prediction
    if recording is None:
        raise ValueError("there is no recording to report on")
    if study_id:
        recording = deidentified(recording, study_id)
        prediction = prediction and replace(prediction, recording_id=study_id)
    filtered = state.filtered and state.filtered.of(recording)
    return replace(
        state, recording=recording, prediction=prediction, filtered=filtered,
        preview=None, long=None, overview=None, message=None,
    )  # fmt: skip


def report_view(state: AppState, paper: Paper, program: str) -> ReportView:
    """Lay out the report on a recording.

    Parameters
    ----------
    state
        As `report_state` gives it.
    paper
        What it is printed on.
    program
        Name and version of the program.
    """
    recording = state.recording
    if recording is None:
        raise ValueError("there is no recording to report on")
    ecg = tuple(_ecg_pages(state, state.drawn or recording, paper))
    return ReportView(
        title=texts.source_line(recording),
        subtitle=_patient_line(recording),
        warning=tr(RESEARCH_ONLY),
        simulated=texts.simulated_tag(recording),
        caption=texts.caption(state),
        stands_out=texts.filter_text(state) if texts.filter_stands_out(state) else "",
        legend=texts.legend_texts(ecg[0].sheet)[0] if ecg[0].sheet.scale else "",
        program=program,
        ecg=ecg,
        result=_result(state),
        facts=_facts(state, recording, program),
    )


def _ecg_pages(state: AppState, recording: Recording, paper: Paper) -> list[EcgPage]:
    options = replace(state.options, zoom=1.0)
    prediction = state.prediction
    variance = prediction.segment_variance if prediction and options.show_variance else None
    quality = prediction.lead_quality if prediction and state.page_is_seen else ()
    whole = lay_out(recording.part(state.page_start_s, PAGE_S), options)
    before_mm = whole.pieces[0].x_mm - MARGIN_MM
    if whole.layout is Layout.ROWS:
        before_mm += NAMES_MM + NAMES_BEFORE_PULSE_MM
    fitting_s = (paper.width_mm - 2 * SIDE_MM - before_mm) / options.speed_mm_s
    page_s = min(PAGE_S, max(1.0, math.floor(fitting_s)))
    first_s, end_s = recording.start_s, recording.start_s + recording.duration_s
    if state.has_pages or recording.duration_s > PAGE_S:
        first_s, end_s = state.page_start_s, min(end_s, state.page_start_s + PAGE_S)
    pages: list[EcgPage] = []
    for n in range(max(1, math.ceil((end_s - first_s) / page_s - 1e-3))):
        part = recording.part(first_s + n * page_s, page_s)
        sheet = lay_out(
            part, options, window_start_s=part.start_s, variance=variance, quality=quality
        )
        pages += row_groups(sheet, paper)
    return pages


def row_groups(sheet: Sheet, paper: Paper) -> list[EcgPage]:
    """Break a sheet between rows where it is too high for the paper."""
    room = paper.height_mm - HEADER_MM - FOOTER_MM
    if sheet.height_mm <= room:
        return [EcgPage(sheet, 0.0, sheet.height_mm)]
    rows = sorted({(piece.baseline_mm, piece.top_mm, piece.bottom_mm) for piece in sheet.pieces})
    n_pages = len(_broken(rows, sheet, room, len(rows)))
    pages: list[EcgPage] = []
    for first, last in _broken(rows, sheet, room, math.ceil(len(rows) / n_pages)):
        top, bottom = _top_of(rows[first], sheet), rows[last][2]
        pages.append(EcgPage(_rows_of(sheet, rows[first][0], bottom), top, bottom))
    return pages


def _broken(
    rows: list[tuple[float, float, float]], sheet: Sheet, room_mm: float, most: int
) -> list[tuple[int, int]]:
    """First and last row of each page, when a page takes at most so many."""
    pages: list[tuple[int, int]] = []
    first = 0
    for n in range(1, len(rows) + 1):
        full = n - first >= most or n == len(rows)
        if full or rows[n][2] - _top_of(rows[first], sheet) > room_mm:
            pages.append((first, n - 1))
            first = n
    return pages


def _top_of(row: tuple[float, float, float], sheet: Sheet) -> float:
    """Upper end of a row with its pulse, which may stand in the room of the row above."""
    baseline, top, _ = row
    gain = max(each.gain_mm_mv for each in sheet.pulses if each.baseline_mm == baseline)
    return max(0.0, min(top, baseline - PULSE_MV * gain - 2.0))


def _rows_of(sheet: Sheet, baseline_mm: float, bottom_mm: float) -> Sheet:
    """Take the rows from one baseline down to a height."""
    first = baseline_mm - 1e-6
    return replace(
        sheet,
        pieces=tuple(each for each in sheet.pieces if first < each.baseline_mm < bottom_mm),
        strips=tuple(each for each in sheet.strips if first < each.y_mm < bottom_mm),
        pulses=tuple(each for each in sheet.pulses if first < each.baseline_mm < bottom_mm),
        separators=tuple(each for each in sheet.separators if first < each[1] < bottom_mm),
    )


def _result(state: AppState) -> ResultView:
    """Give the result as on screen, but for what only the screen can be told."""
    result = result_view(state)
    if state.prediction is None:
        return replace(result, detail=tr("No estimate was made of this ECG."))
    if result.question is None:
        return result
    unanswered = tr("A question about this ECG was not answered, so there is no result.")
    return replace(result, detail=unanswered, question=None)


def _patient_line(recording: Recording) -> str:
    metadata = recording.metadata
    parts = [text for _, text in metadata.patient]
    if metadata.sex:
        parts.append(texts.sex_text(metadata.sex))
    if metadata.age is not None:
        old = metadata.age.unit == "years" and metadata.age.value >= 90
        hidden = old and not metadata.patient
        parts.append(tr("90 years or older") if hidden else texts.age_text(metadata))
    return "   ".join(parts)


def _facts(state: AppState, recording: Recording, program: str) -> tuple[tuple[str, str], ...]:
    prediction = state.prediction
    facts = [(tr("Recording"), recording.recording_id), (tr("Program"), program)]
    if prediction is not None:
        package = prediction.package
        facts += [
            (tr("Model package"), f"{package.name} {package.version}"),
            ("SHA-256", package.package_id),
            texts.seen_row(prediction),
        ]
        marked = [each for each in prediction.lead_quality if each.message]
        quality = ", ".join(f"{each.lead} {grade_text(each.grade)}" for each in marked)
        facts.append((tr("Signal quality"), quality or tr("no lead marked")))
    return tuple(facts)
