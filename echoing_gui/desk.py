"""What a feature is given to install itself: the window, the state's owner and a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from echoing_gui.audit import AuditLog
from echoing_gui.controller import Controller, Services
from echoing_gui.main_window import MainWindow
from echoing_gui.packages import PackageLibrary


@dataclass(frozen=True, slots=True)
class Desk:
    """The running program, as features see it.

    Attributes
    ----------
    window
        Takes actions (`add_actions`), tabs beside the ECG (`add_page`) and views (`add_view`).
    controller
        Owns the state; a feature replaces its own fields by `change`.
    folder
        Of the user's settings; a feature keeps what it remembers in files of its own there.
    audit
        Takes down what was done, by `record`.
    services
        What reads files, in a process of its own.
    packages
        Installed model packages.
    """

    window: MainWindow
    controller: Controller
    folder: Path
    audit: AuditLog
    services: Services
    packages: PackageLibrary
