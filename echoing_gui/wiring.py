"""Puts window, controller and services together."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLibraryInfo, QLocale, QSettings, QTranslator
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from echoing_gui import audit, resources, theme
from echoing_gui.controller import Controller
from echoing_gui.desk import Desk
from echoing_gui.errors import Unexpected
from echoing_gui.features import FEATURES
from echoing_gui.files import sweep
from echoing_gui.i18n import ENGLISH, SYSTEM, languages, tr, use_language
from echoing_gui.log import config_folder, name_program, start_log, state_folder
from echoing_gui.main_window import MainWindow
from echoing_gui.memory import return_freed_memory
from echoing_gui.packages import DEFAULT, PackageLibrary, package_facts
from echoing_gui.reading import ReadingProcess
from echoing_gui.services import Model, Services
from echoing_gui.state import AppState, Stage
from model_core.errors import CancelToken, PackageError
from model_core.long_recording import LongRecording, Overview
from model_core.types import Prediction, Recording

if TYPE_CHECKING:
    from echoing_gui.estimating import FileWorker
    from model_core.io import TableLayout, TableProposal


@dataclass(frozen=True, slots=True)
class Program:
    """The running parts; whoever holds this keeps them alive."""

    window: MainWindow
    controller: Controller


def make_application() -> QApplication:
    """Make the Qt application with the program's name, style and font."""
    return_freed_memory()
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication([])
    name_program()
    # Spin boxes, too, have the decimal point in every language.
    QLocale.setDefault(QLocale.c())
    app.setStyle(theme.STYLE)
    theme.load_fonts()
    app.setFont(theme.plain(QFont(theme.FONT_FAMILY, app.font().pointSize())))
    return app


def speak(chosen: str) -> None:
    """Take a language for the program's words and Qt's own; to be called before any window is made.

    Parameters
    ----------
    chosen
        A code of `languages`, or `SYSTEM`: the system's, if the program has it, else English.
    """
    if chosen == SYSTEM:
        preferred = QLocale.system().uiLanguages()[:1]
        chosen = preferred[0].partition("-")[0] if preferred else ENGLISH
    if chosen not in languages():
        chosen = ENGLISH
    use_language(chosen)
    app = QApplication.instance()
    if app is None:
        return
    for earlier in app.findChildren(QTranslator):
        app.removeTranslator(earlier)
        earlier.deleteLater()
    translator = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    # Buttons of dialogs, names of keys; Qt brings no file for English, its own language.
    if translator.load(f"qtbase_{chosen}", folder):
        app.installTranslator(translator)


def default_services(packages: PackageLibrary | None = None) -> Services:
    """Readers, in a process of their own, and a model package.

    Parameters
    ----------
    packages
        Where the user's choice of a package is; without, the program's own is used.
    """
    packages = packages or packages_beside(Path(os.devnull))
    reader = ReadingProcess()

    def read(path: Path) -> Recording | LongRecording:
        from model_core.io import open_recording

        return reader.call(open_recording, path)

    def read_part(of: LongRecording, start_s: float, duration_s: float) -> Recording:
        from model_core import io

        return reader.call(io.read_part, of, start_s, duration_s)

    def propose(path: Path) -> TableProposal:
        from model_core.io import propose_layout

        return reader.call(propose_layout, path)

    def read_table(path: Path, layout: TableLayout, first_s: float | None) -> Recording:
        from model_core import io

        return reader.call(io.read_table, path, layout, first_s)

    return Services(
        read=read,
        read_part=read_part,
        survey=survey_elsewhere,
        load_model=partial(load_chosen_model, packages),
        demo_path=resources.demo_recording_path(),
        propose=propose,
        read_table=read_table,
        warm_up=reader.warm_up,
        close=reader.close,
        start_file_worker=start_file_worker,
    )


def start_file_worker(model: Model) -> FileWorker:
    """Make what reads and estimates many files, in a process of its own."""
    from echoing_gui.estimating import ProcessWorker

    return ProcessWorker(
        model.source or resources.default_package_path(), model.identity.package_id
    )


def survey_elsewhere(of: Recording | LongRecording) -> Iterator[Overview]:
    """Survey a recording; what has to be read for it is read by another process than pages are."""
    from model_core.io import survey_recording

    if isinstance(of, Recording):
        yield from survey_recording(of)
        return
    reader = ReadingProcess()
    try:
        yield from reader.steps(survey_recording, of)
    finally:
        reader.close()


def load_chosen_model(packages: PackageLibrary) -> Model:
    """Load, check and try the model package that the user chose, or else the program's own.

    Raises
    ------
    PackageError
        If that one is damaged, or gives other numbers here than where it was made.
    """
    key = packages.chosen
    try:
        return _load_model(packages, key)
    except PackageError as error:
        if key == DEFAULT:
            raise
        notice = tr(
            "The model package that you chose cannot be used: {why} The one that comes with the "
            "program is used instead.",
            why=error.message,
        )
        return replace(_load_model(packages, DEFAULT), notice=notice)


def _load_model(packages: PackageLibrary, key: str) -> Model:
    from echoing_gui.reports import package_report
    from model_core.runtime.predictor import Predictor

    package = packages.load(key)
    predictor = Predictor(package)
    predictor.self_test()

    def predict(recording: Recording, cancel: CancelToken, confirmed: frozenset[str]) -> Prediction:
        return predictor.predict(recording, cancel, confirmed=confirmed)

    return Model(
        package.identity,
        predict,
        packages.folder(key),
        package_report(package),
        predictor,
        package_facts(package),
    )


def packages_beside(folder: Path) -> PackageLibrary:
    """Model packages installed below a folder, the choice remembered in it."""
    return PackageLibrary(resources.default_package_path(), folder / "packages", folder)


def build(services: Services, folder: Path, packages: PackageLibrary | None = None) -> Program:
    """Make window and controller and connect them.

    Parameters
    ----------
    services
        Readers and model.
    folder
        Where settings and the window's place are kept.
    packages
        The one that `services` loads from; by default below `folder`.
    """
    sweep(folder)
    log = audit.AuditLog(folder / audit.FILE_NAME)
    controller = Controller(services, folder / "settings.json", log)
    log.on_failure = controller.tell
    speak(controller.state.options.language)
    geometry = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
    window = MainWindow(geometry)
    window.openRequested.connect(controller.open_file)
    window.demoRequested.connect(controller.open_demo)
    window.predictRequested.connect(controller.predict_here)
    window.pageRequested.connect(controller.go_to)
    window.confirmRequested.connect(controller.confirm)
    window.previewHeld.connect(controller.hold_preview)
    window.stopRequested.connect(controller.stop)
    window.messageCloseRequested.connect(controller.close_message)
    window.optionsRequested.connect(controller.set_options)
    window.varianceHeld.connect(controller.hold_variance)
    window.screenChanged.connect(controller.set_screen)
    window.calibrated.connect(controller.calibrate)
    window.closing.connect(controller.close)
    window.keysChanged.connect(lambda keys: controller.change(keys=keys))
    controller.state_changed.connect(window.show_state)
    controller.unexpected.connect(window.show_error)
    controller.table_found.connect(
        lambda path, proposal, remembered: _ask_for_layout(
            window, controller, path, proposal, remembered
        )
    )
    for install in FEATURES:
        beside = packages or packages_beside(folder)
        install(Desk(window, controller, folder, log, services, beside))
    controller.change(keys=window.shown_keys)
    # Before it is shown: then each widget is styled once.
    theme.apply_theme(controller.state.options.theme)
    return Program(window, controller)


def _ask_for_layout(
    window: MainWindow,
    controller: Controller,
    path: Path,
    proposal: TableProposal,
    remembered: TableLayout | None,
) -> None:
    """Ask what a table does not say; the dialog goes when it is answered."""
    from echoing_gui.import_dialog import PREVIEW_S, ImportDialog

    dialog = ImportDialog(path.name, proposal, remembered, window.state, window)
    dialog.previewRequested.connect(
        lambda layout: controller.preview_table(path, layout, PREVIEW_S)
    )
    controller.table_previewed.connect(dialog.show_preview)
    dialog.stated.connect(lambda layout: controller.open_table(path, layout, proposal.fingerprint))
    dialog.rejected.connect(controller.stop)
    dialog.open()


def run(path: Path | None, startup_report: Path | None) -> int:
    """Open the window and stay until it is closed.

    Parameters
    ----------
    path
        ECG to open at once.
    startup_report
        File for the times of start; the program then quits after the first result.

    Returns
    -------
    int
        Exit code of the event loop.
    """
    started_s = time.monotonic()
    app = make_application()
    start_log(state_folder())
    packages = PackageLibrary(
        resources.default_package_path(), state_folder() / "packages", config_folder()
    )
    program = build(default_services(packages), config_folder(), packages)
    window, controller = program.window, program.controller
    unexpected = Unexpected()
    unexpected.happened.connect(controller.withdraw)
    unexpected.install()
    # The window first: loading the package and reading the file would delay its painting.
    window.painted.connect(controller.load_package)
    if path is not None:
        window.painted.connect(lambda: controller.open_file(path))
    else:
        window.painted.connect(controller.warm_up)
    if startup_report is not None:
        _report_start(program, startup_report, started_s)
    window.show()
    code = app.exec()
    unexpected.remove()
    return code


def _report_start(program: Program, report: Path, started_s: float) -> None:
    """Write the moments of start on the system's monotonic clock, s, then quit."""
    moments = {"started_s": started_s}

    def on_painted() -> None:
        moments["window_painted_s"] = time.monotonic()

    def on_state(_old: AppState, new: AppState) -> None:
        finished = new.prediction is not None or (
            new.message is not None and new.job.stage is Stage.IDLE
        )
        if finished and "finished_s" not in moments:
            moments["finished_s"] = time.monotonic()
            moments["has_result"] = new.prediction is not None
            report.write_text(json.dumps(moments), encoding="utf-8")
            program.window.close()

    program.window.painted.connect(on_painted)
    program.controller.state_changed.connect(on_state)
