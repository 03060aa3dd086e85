"""``echoing predict``: predictions for people and for scripts, without a window."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from echoing_gui import audit
from echoing_gui.exports import Item, measures_row, write_csv, write_parquet
from echoing_gui.files import replacing
from echoing_gui.log import config_folder, name_program
from echoing_gui.packages import load_marked
from echoing_gui.reading import ReadingProcess
from echoing_gui.reports import (
    Report,
    blank_report,
    error_report,
    package_report,
    prediction_report,
    recording_report,
    window_hash,
)
from echoing_gui.resources import default_package_path
from echoing_gui.table_options import add_table_options, stated_layout
from echoing_gui.view_models.texts import duration_text
from model_core.errors import EchoingError, PackageError
from model_core.io import TableLayout, open_recording, read_part
from model_core.long_recording import LongRecording
from model_core.measures import MEASURES
from model_core.quality import CONFIRMABLE, MICROVOLTS, PLACEMENT, RATE, from_microvolts
from model_core.records import new_study_id
from model_core.runtime.package import ModelPackage
from model_core.runtime.predictor import Predictor
from model_core.types import Prediction, Recording, ResultState

EXIT_REPORTED = 0
EXIT_NO_OUTPUT = 1
EXIT_NOT_UNDERSTOOD = 2
EXIT_NOT_REPORTABLE = 3
EXIT_NOT_READ = 4
EXIT_PACKAGE = 5

_EPILOG = """\
exit codes:
  0  every file gave a result, with or without cautions
  1  the output cannot be written, or nobody takes it
  2  the command was not understood
  3  at least one file is not reportable, and each could be read
  4  at least one file could not be read or worked on
  5  the model package cannot be used

The JSON is described in docs/json-output.md.
"""

_log = logging.getLogger(__name__)


def main(argv: Sequence[str], process: ReadingProcess | None = None) -> int:
    """Run ``echoing predict``.

    Parameters
    ----------
    argv
        Arguments, beginning with ``predict``.
    process
        Reads the files; by default one that lasts as long as the command.

    Returns
    -------
    int
        Exit code; ``echoing predict --help`` lists them.
    """
    options = _parser().parse_args(argv)
    if PLACEMENT in options.confirm and len(options.files) > 1:
        sys.stderr.write(
            f"echoing: With --confirm {PLACEMENT}, give one file: whether electrodes were placed "
            "correctly has to be looked at ECG by ECG.\n"
        )
        return EXIT_NOT_UNDERSTOOD
    try:
        layout = stated_layout(options)
    except EchoingError as error:
        sys.stderr.write(f"echoing: {_sentences(error)}\n")
        return EXIT_NOT_UNDERSTOOD
    if process is not None:
        return _run(options, layout, process)
    process = ReadingProcess()
    # It starts while the package is loaded and tested.
    start = threading.Thread(target=_warm_up, args=(process,))
    start.start()
    try:
        return _run(options, layout, process)
    finally:
        start.join()
        process.close()


def _warm_up(process: ReadingProcess) -> None:
    with contextlib.suppress(EchoingError):  # what is wrong is told with the first file
        process.warm_up()


def _run(options: argparse.Namespace, layout: TableLayout | None, process: ReadingProcess) -> int:
    try:
        own = default_package_path()
        package = load_marked(options.package or own, own)
        predictor = Predictor(package)
        predictor.self_test()
    except PackageError as error:
        sys.stderr.write(f"echoing: {_sentences(error)}\n")
        return EXIT_PACKAGE
    if options.confirm:
        name_program()
    try:
        with _output(options.output) as output:
            code, reports = _predict_files(
                options.files,
                process,
                predictor,
                options.start,
                options.json,
                output,
                layout,
                frozenset(options.confirm),
            )
        rows = [
            measures_row(Item(number, report, "" if options.identified else new_study_id()))
            for number, report in enumerate(reports, start=1)
        ]
        if options.csv is not None:
            write_csv(options.csv, rows)
        if options.parquet is not None:
            write_parquet(options.parquet, rows)
    except EchoingError as error:
        sys.stderr.write(f"echoing: {_sentences(error)}\n")
        return EXIT_NO_OUTPUT
    except BrokenPipeError:
        # Whoever took the output wants no more of it; Python would complain of that at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_OUTPUT
    except OSError as error:
        sys.stderr.write(f"echoing: The output cannot be written: {error.strerror}.\n")
        return EXIT_NO_OUTPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="echoing",
        description="Echo measures with prediction intervals from a 12-lead ECG.",
    )
    predict = parser.add_subparsers(dest="command", required=True).add_parser(
        "predict",
        help="estimate echo measures for ECG files",
        description="Estimate echo measures for ECG files, without opening a window.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an ECG file")
    predict.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    predict.add_argument("--package", type=Path, help="model package: a folder or zip file")
    predict.add_argument(
        "--start",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="first second of the recording that the model sees (default 0)",
    )
    predict.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to this file")
    for kind in ("csv", "parquet"):
        predict.add_argument(
            f"--{kind}",
            type=Path,
            metavar="FILE",
            help=f"also write the measures to this {kind.upper() if kind == 'csv' else 'Parquet'} "
            "file, one row a recording, each under a new random name",
        )
    predict.add_argument(
        "--identified",
        action="store_true",
        help="with names and hashes of files in --csv and --parquet",
    )
    predict.add_argument(
        "--confirm",
        action="append",
        choices=CONFIRMABLE,
        default=[],
        metavar="CODE",
        help="answer yes to a question that the result would be withheld for, which is logged: "
        f"{PLACEMENT} (of one file only), {RATE} or {MICROVOLTS} (of all files given); may be "
        "given again for another",
    )
    add_table_options(predict)
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        value = float(text)
        if 0 <= value < math.inf:
            return value
    raise argparse.ArgumentTypeError("must be a number of seconds, zero or more")


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that appears only when it is complete."""
    if path is None:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8")
        yield sys.stdout
        return
    with (
        replacing(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as file,
    ):
        yield file


def _predict_files(
    files: Sequence[Path],
    process: ReadingProcess,
    predictor: Predictor,
    start_s: float,
    as_json: bool,
    output: TextIO,
    layout: TableLayout | None,
    confirmed: frozenset[str],
) -> tuple[int, list[Report]]:
    code = EXIT_REPORTED
    reports: list[Report] = []
    for path in files:
        report = _report(path, process, predictor, start_s, layout, confirmed)
        reports.append(report)
        if as_json:
            line = json.dumps(report, ensure_ascii=False, allow_nan=False) + "\n"
            # Bytes of a file name that are no text must not stop the output.
            line = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        else:
            line = _text(report)
        output.write(line)
        output.flush()
        if report["state"] == "error":
            code = EXIT_NOT_READ
        elif report["state"] == ResultState.NOT_REPORTABLE.value:
            code = max(code, EXIT_NOT_REPORTABLE)
    if not as_json:
        output.write(_footer(predictor.package))
    return code, reports


def _report(
    path: Path,
    process: ReadingProcess,
    predictor: Predictor,
    start_s: float,
    layout: TableLayout | None,
    confirmed: frozenset[str],
) -> Report:
    """Everything that the JSON of one file says; a bad file never stops the others."""
    report = blank_report(str(path), package_report(predictor.package), confirmed)
    try:
        recording = process.call(open_recording, path, layout)
        report["recording"] = recording_report(recording)
        if isinstance(recording, LongRecording):
            seconds = predictor.package.manifest.input.duration_s
            part = process.call(read_part, recording, start_s, seconds)
            report["window_sha256"] = window_hash(part)
            return report | prediction_report(_predict(predictor, part, 0.0, confirmed))
        report["sha256"] = recording.recording_id
        return report | prediction_report(_predict(predictor, recording, start_s, confirmed))
    except EchoingError as error:
        return report | error_report(error)
    except Exception as error:  # noqa: BLE001 - logged, told, and the next file gets its turn
        _log.exception("unexpected failure on one of the files")
        message = f"The program failed on this file ({type(error).__name__})."
        hint = "Please report this fault."
        return report | error_report(EchoingError(message, hint=hint, code="unexpected"))


def _predict(
    predictor: Predictor, recording: Recording, start_s: float, confirmed: frozenset[str]
) -> Prediction:
    """Predict, taking values for microvolts where that is in question and confirmed."""
    prediction = predictor.predict(recording, start_s=start_s, confirmed=confirmed)
    questions = {each.code for each in prediction.reasons}
    if MICROVOLTS in confirmed & questions:
        taken = from_microvolts(recording)
        prediction = predictor.predict(taken, start_s=start_s, confirmed=confirmed)
        questions |= {each.code for each in prediction.reasons}
    for code in sorted(confirmed & questions):
        log = audit.AuditLog(config_folder() / audit.FILE_NAME)
        log.on_failure = _complain
        log.record("confirmed", what=code, recording=recording.recording_id)
    return prediction


def _complain(sentence: str) -> None:
    sys.stderr.write(f"echoing: {sentence}\n")


def _text(report: Report) -> str:
    """Block of the readable output for one file."""
    lines = [report["file"]]
    if report["recording"]:
        recording = report["recording"]
        simulated = "   SIMULATED ECG" if recording["simulated"] else ""
        n = len(recording["lead_names"])
        leads = "1 lead" if n == 1 else f"{n} leads"
        lasts = duration_text(recording["duration_s"])
        lines.append(f"  {lasts}, {recording['fs_hz']:g} Hz, {leads}{simulated}")
        first_s, end_s = report["window_s"] or (0.0, recording["duration_s"])
        if end_s - first_s < recording["duration_s"] - 0.05:
            lines.append(f"  Only seconds {first_s:g} to {end_s:g} were looked at")
    if report["error"]:
        lines.append(f"  Error: {report['error']['message']} {report['error']['hint']}".rstrip())
    if report["state"] == ResultState.NOT_REPORTABLE.value:
        lines.append("  Not reportable")
    for measure in report["measures"]:
        text, unit, interval = MEASURES[measure["key"]].text, measure["unit"], measure["interval"]
        lines.append(
            f"  {measure['label']:<12}{text(measure['value']):>4} {unit:<4}"
            f"{100 * interval['level']:g} % interval "
            f"{text(interval['low'])} to {text(interval['high'])} {unit}"
        )
    lines += [
        f"  {finding['label']:<12}{100 * finding['probability']:>4.0f} %   probability"
        for finding in report["findings"]
    ]
    if report["embedding_variance"] is not None:
        lines.append(f"  Embedding variance {report['embedding_variance']:.2g} (dimensionless)")
    heads = {"caution": "Caution", "confirm": "To confirm", "refuse": "Reason"}
    lines += [f"  {heads[reason['severity']]}: {reason['message']}" for reason in report["reasons"]]
    # Nothing in a file may move the cursor or turn the writing direction.
    printable = (
        "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
        for line in lines
    )
    return "\n".join(printable) + "\n\n"


def _footer(package: ModelPackage) -> str:
    identity = package.identity
    return f"Model package {identity.name} {identity.version}\n{identity.caveat}\n"


def _sentences(error: EchoingError) -> str:
    return f"{error} {error.hint}".rstrip()
