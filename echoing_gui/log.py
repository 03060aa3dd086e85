"""The log file: what went wrong; never a patient's name or a file's."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from echoing_gui.resources import TITLE, program_version

log = logging.getLogger("echoing")


def name_program() -> None:
    """Tell Qt the names that its folders are called by."""
    from PySide6.QtCore import QCoreApplication

    QCoreApplication.setOrganizationName(TITLE)
    QCoreApplication.setApplicationName(TITLE)
    QCoreApplication.setApplicationVersion(program_version())


def state_folder() -> Path:
    """Folder of the log."""
    from PySide6.QtCore import QStandardPaths

    place = QStandardPaths.StandardLocation.AppLocalDataLocation
    return Path(QStandardPaths.writableLocation(place))


def config_folder() -> Path:
    """Folder of the user's settings and of the audit log."""
    from PySide6.QtCore import QStandardPaths

    place = QStandardPaths.StandardLocation.AppConfigLocation
    return Path(QStandardPaths.writableLocation(place))


def start_log(folder: Path) -> None:
    """Log to a file of bounded size; without a place to write, to nowhere."""
    log.setLevel(logging.INFO)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.handlers.RotatingFileHandler(
            folder / "echoing.log", maxBytes=500_000, backupCount=1, encoding="utf-8"
        )
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
