"""The import report: how a file became the recording on screen, as rows of ready texts."""

from __future__ import annotations

from dataclasses import dataclass

from model_core.long_recording import LongRecording
from model_core.types import Gap, ImportReport, MachineMeasurement, Recording, RecordingMetadata

# Free text of files (statements) may name people: shown, never copied along.
_DEVICE = ("Manufacturer", "Model", "Software", "Device", "Recorder")
_GAPS_SHOWN = 5
NOT_SOUGHT = "not sought in the whole of a long recording"
_MEASURED = {
    "heart_rate": "heart rate",
    "rr_interval": "RR",
    "pr_interval": "PR",
    "qrs_duration": "QRS",
    "qt_interval": "QT",
    "qtc": "QTc",
    "qtc_bazett": "QTc (Bazett)",
    "qtc_fridericia": "QTc (Fridericia)",
    "p_axis": "P axis",
    "qrs_axis": "QRS axis",
    "t_axis": "T axis",
}


@dataclass(frozen=True, slots=True)
class ReportView:
    """The report.

    Attributes
    ----------
    summary
        The whole in a few words: what a glance should tell.
    rows
        Label and text.
    statements
        Lines of interpretation that the file holds, with their source.
    """

    summary: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    statements: tuple[str, ...] = ()


def import_report_view(recording: Recording | LongRecording | None) -> ReportView:
    """Make the report of a recording; empty for one that was not read from a file."""
    if recording is None or recording.metadata.report is None:
        return ReportView()
    metadata, report = recording.metadata, recording.metadata.report
    rows = (
        ("Format", f"{report.format_name} {report.format_version}".strip()),
        ("Sampling rate", _with(f"{recording.fs:.10g} Hz", report.rate_source)),
        ("Gain", _with(report.gain, report.gain_source)),
        ("Unit in the file", report.unit),
        ("Duration", f"{recording.duration_s:.10g} s, {recording.n_samples} samples of each lead"),
        ("Leads in the file", ", ".join(report.leads_present)),
        ("Computed from I and II", ", ".join(report.leads_derived) or "none"),
        ("Missing", ", ".join(report.leads_missing) or "none"),
        ("Beside the twelve", ", ".join(report.leads_extra)),
        ("Gaps", _gaps(report) if isinstance(recording, Recording) else NOT_SOUGHT),
        ("Filters of the device", ", ".join(report.device_filters) or "not stated in the file"),
        ("Integrity", report.integrity),
        ("Repaired or left out", "\n".join(report.repairs) or "nothing"),
        ("Device", ", ".join(text for label, text in metadata.acquisition if label in _DEVICE)),
        ("Measured by the device", _measured(metadata.measurements)),
        ("Marks in the file", _marks(metadata)),
    )
    return ReportView(
        summary=_summary(report),
        rows=tuple((label, text) for label, text in rows if text),
        statements=tuple(
            f"{statement.text} ({statement.source or 'source not stated'})"
            for statement in metadata.statements
        ),
    )


def report_text(view: ReportView) -> str:
    """Write the report as plain text to copy; statements are left out, they may name people."""
    return "\n".join(f"{label}: {text}".replace("\n", "\n  ") for label, text in view.rows)


def _with(text: str, source: str) -> str:
    return f"{text}, {source}" if source else text


def _summary(report: ImportReport) -> str:
    parts = [f"{report.format_name} {report.format_version}".strip()]
    if report.leads_missing:
        parts.append(_counted(len(report.leads_missing), "lead missing", "leads missing"))
    if report.leads_derived:
        parts.append(_counted(len(report.leads_derived), "lead computed", "leads computed"))
    if report.n_gaps:
        parts.append(_counted(report.n_gaps, "gap", "gaps"))
    if report.checksum_failed:
        parts.append("a checksum does not agree")
    if report.repairs:
        parts.append(_counted(len(report.repairs), "note", "notes"))
    return ", ".join(parts)


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _gaps(report: ImportReport) -> str:
    if not report.n_gaps:
        return "none"

    def one(gap: Gap) -> str:
        return f"{gap.lead} {gap.start_s:.3f} to {gap.end_s:.3f} s"

    text = ", ".join(map(one, report.gaps[:_GAPS_SHOWN]))
    more = report.n_gaps - min(_GAPS_SHOWN, len(report.gaps))
    return f"{text} and {more} more" if more else text


def _measured(measurements: tuple[MachineMeasurement, ...]) -> str:
    texts = [f"{_MEASURED.get(m.key, m.key)} {m.value:g} {m.unit}" for m in measurements]
    return f"{', '.join(texts)} (from file)" if texts else ""


def _marks(metadata: RecordingMetadata) -> str:
    kinds = list(dict.fromkeys(mark.text for mark in metadata.annotations))
    if not kinds:
        return ""
    named = ", ".join(kinds[:8]) + (", ..." if len(kinds) > 8 else "")
    return f"{len(metadata.annotations)}: {named}"
