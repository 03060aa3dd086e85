"""Checks the audit log on demand."""

from __future__ import annotations

from echoing_gui.actions import Action
from echoing_gui.audit import Verdict, sentences, verify
from echoing_gui.desk import Desk
from echoing_gui.dialogs import AboutDialog
from echoing_gui.i18n import tr
from echoing_gui.jobs import JobReport, JobRunner

ACTIONS = (
    Action(
        "verify_audit", "&Help", "&Verify the audit log", ("Ctrl+Shift+V",),
        "Check that no line of the audit log was changed, added or taken out.",
    ),
)  # fmt: skip


def install(desk: Desk) -> None:
    """Offer the check."""
    jobs = JobRunner(desk.controller)
    path = desk.audit.path

    def show(report: JobReport) -> None:
        if isinstance(report.value, Verdict):
            text = tuple(tr(each) for each in sentences(report.value))
        else:
            text = (tr("The audit log cannot be read: {why}.", why=report.error),)
        AboutDialog([*text, str(path)], desk.window, tr("Audit log")).open()

    jobs.finished.connect(show)
    desk.window.closing.connect(jobs.close)
    check = {"verify_audit": lambda: jobs.submit("verify", lambda _token: verify(path))}
    desk.window.add_actions(ACTIONS, check)
