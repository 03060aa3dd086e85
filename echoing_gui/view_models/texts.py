"""Texts on and around the ECG sheet."""

from __future__ import annotations

from datetime import datetime, timedelta

from echoing_gui.i18n import tr
from echoing_gui.state import PAGE_S, AppState, DisplayOptions, Layout, LeadOrder, Stage
from echoing_gui.view_models.privacy import without_name
from echoing_gui.view_models.sheet import WHOLE_ROW, Sheet
from model_core.display_filters import RAW, DisplayFilter
from model_core.types import Prediction, Recording, RecordingMetadata, ResultState, Severity


def scale_caption(options: DisplayOptions) -> str:
    """Paper speed and display gain."""
    return f"{options.speed_mm_s:g} mm/s   {gain_text(options)}"


def caption(state: AppState) -> str:
    """Paper speed, display gain and filter, as they stand on the picture.

    Examples
    --------
    >>> caption(AppState())
    '25 mm/s   10 mm/mV'
    """
    text = scale_caption(state.options)
    return "   ".join(part for part in (text, filter_text(state)) if part)


def filter_text(state: AppState) -> str:
    """Name the display filter that is in the traces; empty without a recording."""
    if state.recording is None:
        return ""
    if state.preview is not None:
        return tr("PREVIEW: values divided by 1,000, not confirmed")
    fs, chosen, applied = state.recording.fs, state.options.display_filter, state.applied_filter
    if applied == RAW:
        text = tr("no filter (as recorded, {fs:g} Hz)", fs=fs)
    else:
        text = tr("{names} (display only)", names=_filter_names(applied))
    if chosen == applied:
        return text
    idle = DisplayFilter(
        chosen.high_pass_hz - chosen.at(fs).high_pass_hz,
        chosen.low_pass_hz - chosen.at(fs).low_pass_hz,
        chosen.notch_hz - chosen.at(fs).notch_hz,
    )
    if applied == chosen.at(fs):
        names = _filter_names(idle)
        return tr("{shown}; {names} not possible at {fs:g} Hz", shown=text, names=names, fs=fs)
    return tr("{shown}; filter not ready", shown=text)


def _filter_names(of: DisplayFilter) -> str:
    names = (
        (of.high_pass_hz, tr("high-pass {hz:g} Hz", hz=of.high_pass_hz)),
        (of.low_pass_hz, tr("low-pass {hz:g} Hz", hz=of.low_pass_hz)),
        (of.notch_hz, tr("notch {hz:g} Hz", hz=of.notch_hz)),
    )
    return ", ".join(name for hz, name in names if hz)


def filter_short(of: DisplayFilter) -> str:
    """Name a display filter in few words.

    Examples
    --------
    >>> filter_short(DisplayFilter(0.5, 40.0, 50.0)), filter_short(DisplayFilter())
    ('0.5\u201340 Hz, notch 50 Hz', 'No filter')
    """
    high, low = of.high_pass_hz, of.low_pass_hz
    band = f"{high:g}\u2013{low:g} Hz" if high and low else ""
    band = band or (f"> {high:g} Hz" if high else f"< {low:g} Hz" if low else "")
    notch = tr("notch {hz:g} Hz", hz=of.notch_hz) if of.notch_hz else ""
    return ", ".join(part for part in (band, notch) if part) or tr("No filter")


def filter_band_short(state: AppState) -> str:
    """Name in few words what is in the traces; a preview has no shorter name."""
    if state.recording is None or state.preview is not None:
        return filter_text(state)
    return filter_short(state.applied_filter)


def filter_narrows(applied: DisplayFilter) -> bool:
    """Whether a filter takes more than the recommended 0.05 to 150 Hz leave of a diagnostic ECG.

    Kligfield et al., Circulation 2007;115:1306.

    Examples
    --------
    >>> filter_narrows(DisplayFilter(0.05, 150.0, 50.0)), filter_narrows(DisplayFilter(0.5))
    (False, True)
    """
    return applied.high_pass_hz > 0.05 or 0 < applied.low_pass_hz < 150.0


def filter_stands_out(state: AppState) -> bool:
    """Whether what is drawn is less than a diagnostic ECG, or not the recording at all."""
    return state.preview is not None or filter_narrows(state.applied_filter)


def model_saw(state: AppState) -> tuple[str, str]:
    """Say what the network saw for the result on screen, in full and in short; empty without."""
    seen, prediction = state.model_input, state.prediction
    if seen is None or prediction is None or not model_ran(prediction):
        return "", ""
    band = f"{seen.band_hz[0]:g}\u2013{min(seen.band_hz[1], 0.45 * seen.fs):g} Hz"
    return (
        tr(
            "Model saw: as recorded, through its own band-pass {band}, at {fs:g} Hz",
            band=band,
            fs=seen.fs,
        ),
        tr("Model saw: own {band}, {fs:g} Hz", band=band, fs=seen.fs),
    )


def key_of(state: AppState, action: str) -> str:
    """Give the key in force of an action, to follow what it does; empty without one.

    Examples
    --------
    >>> key_of(AppState(keys={"calibrate": "Ctrl+K"}), "calibrate"), key_of(AppState(), "open")
    (' (Ctrl+K)', '')
    """
    key = state.keys.get(action, "")
    return f" ({key})" if key else ""


def seen_row(prediction: Prediction) -> tuple[str, str]:
    """Say which seconds the result is of; the model need not have seen those that were refused."""
    start_s, end_s = prediction.window_s
    return (
        tr("The model saw") if model_ran(prediction) else tr("Checked, without an estimate"),
        stretch_text(start_s, end_s),
    )


def stretch_text(start_s: float, end_s: float) -> str:
    """Say which part of a recording it is, since its start.

    Examples
    --------
    >>> stretch_text(0.0, 10.0), stretch_text(3605.0, 3615.4)
    ('0.0 to 10.0 s of the recording', '1:00:05 to 1:00:15 of the recording')
    """
    if end_s <= 60:
        return tr("{start:.1f} to {end:.1f} s of the recording", start=start_s, end=end_s)
    start, end = (_since_start(second) for second in (start_s, end_s))
    return tr("{start} to {end} of the recording", start=start, end=end)


def _since_start(second: float) -> str:
    whole = int(second + 1e-6)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def model_ran(prediction: Prediction) -> bool:
    """Whether the model saw the recording; what the input gate refuses it never sees."""
    return prediction.segment_variance is not None


def layout_text(options: DisplayOptions) -> str:
    """Layout, rhythm lead and lead order in few words.

    Examples
    --------
    >>> layout_text(DisplayOptions(order=LeadOrder.CABRERA))
    '3x4+1, II, Cabrera'
    """
    parts = [options.layout.value]
    if options.layout is Layout.GRID:
        parts.append(options.rhythm_lead)
    if options.order is LeadOrder.CABRERA:
        parts.append("Cabrera")
    return ", ".join(parts)


def gain_text(options: DisplayOptions) -> str:
    """Display gain, or both where the chest leads have another one.

    Examples
    --------
    >>> gain_text(DisplayOptions(half_precordials=True))
    'limb leads 10 mm/mV, V leads 5 mm/mV'
    """
    gain = options.gain_mm_mv
    if options.half_precordials:
        return tr("limb leads {gain:g} mm/mV, V leads {half:g} mm/mV", gain=gain, half=gain / 2)
    return f"{gain:g} mm/mV"


def not_to_scale(state: AppState) -> str:
    """Why a millimetre on screen is not a millimetre; empty if it is.

    Examples
    --------
    >>> not_to_scale(AppState())
    'NOT TO SCALE: screen not calibrated'
    """
    reasons: list[str] = []
    if state.options.zoom != 1.0:
        reasons.append(tr("zoom {percent:.0f} %", percent=state.options.zoom * 100))
    if not state.screen.calibrated_on:
        reasons.append(tr("screen not calibrated"))
    return tr("NOT TO SCALE: {why}", why=", ".join(reasons)) if reasons else ""


def scale_status(state: AppState) -> str:
    """State of the scale for the status bar."""
    problem = not_to_scale(state)
    if problem:
        return problem
    name = state.screen.screen_name or tr("this screen")
    return tr("To scale: {screen}, calibrated {date}", screen=name, date=state.screen.calibrated_on)


def source_line(recording: Recording) -> str:
    """File name and acquisition time: which recording this is."""
    when = acquired_text(recording)
    name = recording.source_name
    return tr("{name}   recorded {when}", name=name, when=when) if when else name


def simulated_tag(recording: Recording) -> str:
    """Tag of a recording that is no patient's; empty for others."""
    return tr("SIMULATED ECG") if recording.metadata.simulated else ""


def leads_text(n: int) -> str:
    """Count leads in words."""
    return tr("1 lead") if n == 1 else tr("{n} leads", n=n)


def sex_text(sex: str) -> str:
    """Give the sex that a file states as a word; empty if it states none."""
    return {"female": tr("female"), "male": tr("male")}.get(sex, sex)


def age_text(metadata: RecordingMetadata) -> str:
    """Write the age in the unit of the file: three months are not 0 years; empty without one."""
    n, unit = metadata.age_y and round(metadata.age_y), "years"
    if metadata.age is not None:
        n, unit = metadata.age.value, metadata.age.unit
    if n is None:
        return ""
    one, several = {
        "years": (tr("1 year"), tr("{n:g} years", n=n)),
        "months": (tr("1 month"), tr("{n:g} months", n=n)),
        "weeks": (tr("1 week"), tr("{n:g} weeks", n=n)),
        "days": (tr("1 day"), tr("{n:g} days", n=n)),
        "hours": (tr("1 hour"), tr("{n:g} hours", n=n)),
    }[unit]
    return one if n == 1 else several


def acquired_text(recording: Recording) -> str:
    """Acquisition time without the ISO 8601 separator; empty if the file names none."""
    return recording.metadata.acquired_at.replace("T", " ").removesuffix("+00:00")


def legend_texts(sheet: Sheet | None) -> tuple[str, str]:
    """Say what the colours of the strips mean: in full, and in short where there is little room."""
    if sheet is not None and any(strip.lead == WHOLE_ROW for strip in sheet.strips):
        # The published student's tokens, each of which sees 995 of 1000 samples.
        return (
            tr(
                "Token variance (dimensionless, log scale): where the estimate is unstable, not "
                "where disease is; each token sees all leads and nearly all of the 10 s"
            ),
            tr("token variance, each sees nearly all; not disease"),
        )
    return (
        tr(
            "Segment variance (dimensionless, log scale): where the estimate is unstable, "
            "not where disease is"
        ),
        tr("unstable estimate, not disease"),
    )


def window_text(sheet: Sheet, state: AppState) -> str:
    """Which seconds are on the sheet, if it does not hold the whole recording."""
    start, end = sheet.window_s
    if end - start > state.whole_s - 1e-3:
        return ""
    if state.whole_s > 60:
        span, whole = span_text(state, start, end), duration_text(state.whole_s)
        return tr("{span}, of {whole}", span=span, whole=whole)
    return tr(
        "seconds {start:.1f} to {end:.1f} of {whole:.1f}", start=start, end=end, whole=state.whole_s
    )


def duration_text(duration_s: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> duration_text(10.0), duration_text(754.0), duration_text(86_399.6)
    ('10.0 s', '12 min 34 s', '24 h 0 min')
    >>> duration_text(1805.56), duration_text(59.97), duration_text(3599.7)
    ('30 min 6 s', '1 min 0 s', '1 h 0 min')
    """
    if round(duration_s, 1) < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    minutes = round(duration_s / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def start_of(state: AppState) -> datetime | None:
    """When the recording on screen began, as its file says."""
    if state.recording is None or "T" not in state.recording.metadata.acquired_at:
        return None  # a day without a time would make midnight of the first second
    try:
        return datetime.fromisoformat(state.recording.metadata.acquired_at)
    except ValueError:
        return None


def moment_text(state: AppState, second: float) -> str:
    """Write a moment of a recording: the time of day in a long one, seconds in a short one."""
    if state.whole_s <= 60:
        return f"{second:.1f} s"
    started = start_of(state)
    if started is None:
        return _since_start(second)
    moment = started + timedelta(seconds=second + 1e-6)
    days = (moment.date() - started.date()).days
    time = f"{moment:%H:%M:%S}"
    return tr("{time} (day {n})", time=time, n=days + 1) if days else time


def span_text(state: AppState, start_s: float, end_s: float) -> str:
    """Write a stretch of a recording; the day once, if it is the same."""
    start, end = moment_text(state, start_s), moment_text(state, end_s)
    if start.partition(" (")[2] == end.partition(" (")[2]:
        start = start.partition(" (")[0]
    return tr("{start} to {end}", start=start.removesuffix(" s"), end=end)


def picture_summary(state: AppState) -> str:
    """Put the picture in words, for those who cannot see it."""
    recording = state.recording
    if recording is None:
        return tr("No recording is open.")
    options = state.options
    parts = [
        tr(
            "ECG of {name}, {seconds:.1f} seconds, {leads}, layout {layout}, {speed:g} millimetres "
            "per second, {gain:g} millimetres per millivolt.",
            name=recording.source_name,
            seconds=state.whole_s,
            leads=leads_text(recording.n_leads),
            layout=options.layout.value,
            speed=options.speed_mm_s,
            gain=options.gain_mm_mv,
        )
    ]
    if state.preview is not None:
        parts.append(f"{filter_text(state)}.")
    if options.half_precordials:
        parts.append(tr("The chest leads are drawn at half of that."))
    if options.order is LeadOrder.CABRERA:
        parts.append(tr("The limb leads stand in Cabrera's order, with aVR upside down."))
    if state.has_pages:
        span = span_text(state, state.page_start_s, state.page_start_s + PAGE_S)
        parts.append(tr("Ten seconds chosen: {span}.", span=span))
    if recording.metadata.simulated:
        parts.append(tr("This is a simulated ECG."))
    if state.applied_filter != RAW:
        names = _filter_names(state.applied_filter)
        parts.append(tr("The traces are filtered: {names}.", names=names))
    if not_to_scale(state):
        parts.append(tr("The picture is not to scale."))
    prediction = state.prediction
    if prediction is not None and prediction.segment_variance is not None:
        shown = options.show_variance and not state.variance_held
        parts.append(
            tr("Segment variance is shown.") if shown else tr("Segment variance is hidden.")
        )
    return " ".join(parts)


def announcement(old: AppState, new: AppState) -> str:
    """Put a change in words for a screen reader; empty for nothing."""
    if new.message is not None and new.message != old.message:
        message = without_name(new.message)
        return f"{message.text} {message.hint}".strip()
    if new.prediction is not None and new.prediction is not old.prediction:
        severities = {reason.severity for reason in new.prediction.reasons}
        if Severity.CONFIRM in severities and Severity.REFUSE not in severities:
            return tr("The result is withheld until you answer a question.")
        return {
            ResultState.REPORTED: tr("The estimate is ready."),
            ResultState.REPORTED_WITH_CAUTION: tr("The estimate is ready, with cautions."),
            ResultState.NOT_REPORTABLE: tr("The result is not reportable."),
        }[new.prediction.state]
    if new.covered and not old.covered:
        return tr("An estimate is there; it is covered until you reveal it.")
    if new.job.stage is not old.job.stage and new.job.stage is not Stage.IDLE:
        return tr("Reading") if new.job.stage is Stage.READING else tr("Predicting")
    return ""
