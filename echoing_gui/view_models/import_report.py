"""The import report: how a file became the recording on screen, as rows of ready texts."""

from __future__ import annotations

from dataclasses import dataclass

from echoing_gui.i18n import tr
from echoing_gui.view_models.texts import duration_text
from model_core.long_recording import LongRecording
from model_core.types import Gap, ImportReport, MachineMeasurement, Recording, RecordingMetadata
from model_core.wording import joined

# Free text of files (statements) may name people: shown, never copied along.
_DEVICE = ("Manufacturer", "Model", "Software", "Device", "Recorder")
_GAPS_SHOWN = 5


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
        (tr("Format"), tr(joined([report.format_name, report.format_version]))),
        (tr("Sampling rate"), _with(f"{recording.fs:.10g} Hz", report.rate_source)),
        (tr("Gain"), _with(tr(report.gain), report.gain_source)),
        (tr("Unit in the file"), tr(report.unit)),
        (
            tr("Duration"),
            tr(
                "{duration}, {n} samples of each lead",
                duration=duration_text(recording.duration_s),
                n=recording.n_samples,
            ),
        ),
        (tr("Leads in the file"), ", ".join(report.leads_present)),
        (tr("Computed from I and II"), ", ".join(report.leads_derived) or tr("none")),
        (tr("Missing"), ", ".join(report.leads_missing) or tr("none")),
        (tr("Beside the twelve"), ", ".join(report.leads_extra)),
        (tr("Gaps"), _gaps(report, recording)),
        (
            tr("Filters of the device"),
            ", ".join(map(tr, report.device_filters)) or tr("not stated in the file"),
        ),
        (tr("Integrity"), tr(report.integrity)),
        (tr("Repaired or left out"), "\n".join(map(tr, report.repairs)) or tr("nothing")),
        (tr("Device"), ", ".join(text for label, text in metadata.acquisition if label in _DEVICE)),
        (tr("Measured by the device"), _measured(metadata.measurements)),
        (tr("Marks in the file"), _marks(metadata)),
    )
    return ReportView(
        summary=_summary(report),
        rows=tuple((label, text) for label, text in rows if text),
        statements=tuple(
            f"{statement.text} ({tr(statement.source) or tr('source not stated')})"
            for statement in metadata.statements
        ),
    )


def report_text(view: ReportView) -> str:
    """Write the report as plain text to copy; statements are left out, they may name people."""
    return "\n".join(f"{label}: {text}".replace("\n", "\n  ") for label, text in view.rows)


def _with(text: str, source: str) -> str:
    return f"{text}, {tr(source)}" if source else text


def _summary(report: ImportReport) -> str:
    parts = [tr(joined([report.format_name, report.format_version]))]
    if report.leads_missing:
        n = len(report.leads_missing)
        parts.append(tr("1 lead missing") if n == 1 else tr("{n} leads missing", n=n))
    if report.leads_derived:
        n = len(report.leads_derived)
        parts.append(tr("1 lead computed") if n == 1 else tr("{n} leads computed", n=n))
    if report.n_gaps:
        n = report.n_gaps
        parts.append(tr("1 gap") if n == 1 else tr("{n} gaps", n=n))
    if report.checksum_failed:
        parts.append(tr("a checksum does not agree"))
    if report.incomplete:
        parts.append(tr("it may be incomplete"))
    if report.repairs:
        n = len(report.repairs)
        parts.append(tr("{count} note", count=n) if n == 1 else tr("{count} notes", count=n))
    return ", ".join(parts)


def _gaps(report: ImportReport, recording: Recording | LongRecording) -> str:
    if isinstance(recording, LongRecording):
        return tr("not sought in the whole of a long recording")
    if not report.n_gaps:
        return tr("none")

    def one(gap: Gap) -> str:
        return tr(
            "{lead} {start:.3f} to {end:.3f} s", lead=gap.lead, start=gap.start_s, end=gap.end_s
        )

    text = ", ".join(map(one, report.gaps[:_GAPS_SHOWN]))
    more = report.n_gaps - min(_GAPS_SHOWN, len(report.gaps))
    return tr("{gaps} and {n} more", gaps=text, n=more) if more else text


def _measured(measurements: tuple[MachineMeasurement, ...]) -> str:
    names = {
        "heart_rate": tr("heart rate"),
        "atrial_rate": tr("atrial rate"),
        "rr_interval": "RR",
        "p_duration": tr("P duration"),
        "pr_interval": "PR",
        "qrs_duration": "QRS",
        "qt_interval": "QT",
        "qtc": "QTc",
        "qtc_bazett": "QTc (Bazett)",
        "qtc_fridericia": "QTc (Fridericia)",
        "qtc_framingham": "QTc (Framingham)",
        "qtc_hodges": "QTc (Hodges)",
        "p_axis": tr("P axis"),
        "qrs_axis": tr("QRS axis"),
        "t_axis": tr("T axis"),
    }
    texts = [f"{names.get(m.key, m.key)} {m.value:g} {m.unit}" for m in measurements]
    return tr("{values} (from file)", values=", ".join(texts)) if texts else ""


def _marks(metadata: RecordingMetadata) -> str:
    kinds = list(dict.fromkeys(mark.text for mark in metadata.annotations))
    if not kinds:
        return ""
    named = ", ".join(kinds[:8]) + (", ..." if len(kinds) > 8 else "")
    return f"{len(metadata.annotations)}: {named}"
