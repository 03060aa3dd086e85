"""Offers what a program that ended unexpectedly left behind."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from echoing_gui.features.measuring.session import SessionKeeper
from echoing_gui.file_dialogs import cover_names
from echoing_gui.i18n import tr


def offer_recovery(keeper: SessionKeeper, window: QWidget) -> None:
    """Ask whether to open the recording again that was marked last; nothing left, nothing asked."""
    left = keeper.left()
    if not left:
        return
    session, others = left[0], len(left) - 1
    marks = session.marks
    box = QMessageBox(window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(tr("Recover calipers and notes"))
    n_calipers, n_notes = len(marks.calipers), len(marks.notes)
    box.setText(
        tr(
            "The program ended unexpectedly while {name} was open with {calipers} and {notes}. "
            "Open it again, with these put back?",
            name=Path(session.path).name,
            calipers=tr("1 caliper") if n_calipers == 1 else tr("{n} calipers", n=n_calipers),
            notes=tr("1 note") if n_notes == 1 else tr("{n} notes", n=n_notes),
        )
    )
    details = [tr("The estimate is computed anew.")]
    if others == 1:
        details.append(tr("1 more is offered at the next start."))
    elif others:
        details.append(tr("{n} more are offered at the next start.", n=others))
    box.setInformativeText(" ".join(details))
    reopen = box.addButton(tr("&Open again"), QMessageBox.ButtonRole.AcceptRole)
    discard = box.addButton(tr("&Discard"), QMessageBox.ButtonRole.DestructiveRole)
    box.addButton(tr("&Not now"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(reopen)
    reopen.clicked.connect(lambda: keeper.reopen(session))
    discard.clicked.connect(lambda: keeper.discard(session))
    cover_names(box)  # the question names the file
    box.open()
