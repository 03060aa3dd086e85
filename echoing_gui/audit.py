"""The audit log: what was done with which recording and model, each line bound to the one before.

One JSON object a line, only ever added to. `before` is the SHA-256 of the line before, so that a
line cannot be changed, taken out or put in unseen; what cannot be seen is that lines are missing
at the end. There are no names in it: recordings and model packages stand there by their hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from echoing_gui.i18n import tr
from echoing_gui.log import config_folder, log, name_program
from echoing_gui.resources import program_version

FILE_NAME = "audit.jsonl"
START = "0" * 64
_LONGEST_WAIT_MS = 200
# What the log may hold in words: hashes, and codes of this program. No name has this form.
_WORD = re.compile(r"[0-9a-f]{64}|[a-z][a-z0-9]*(_[a-z0-9]+)*")

Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the log found.

    Attributes
    ----------
    n_lines
        Lines that are whole and each bound to the one before, from the first on.
    fault
        What is wrong behind them, as a sentence; empty if nothing is.
    last
        SHA-256 of the last of these lines: kept elsewhere, it shows later that no line is missing.
    """

    n_lines: int
    fault: str
    last: str


class AuditLog:
    """Adds lines to the log; several programs may do so at once.

    Parameters
    ----------
    path
        The file; it and its folder are made with the first line.

    Attributes
    ----------
    on_failure
        Told, in a sentence, when a line could not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_failure: Callable[[str], None] = lambda _sentence: None

    def record(self, event: str, **facts: Fact) -> None:
        """Add a line.

        Parameters
        ----------
        event
            What was done, for instance ``opened``, ``exported``.
        facts
            About it: numbers, hashes (SHA-256, hexadecimal), and codes of this program in lower
            case with underscores. `recording` and `package` name what it was done with.

        Raises
        ------
        ValueError
            If a fact is any other text: it might name somebody.
        """
        for text in (event, *(fact for fact in facts.values() if isinstance(fact, str))):
            if not _WORD.fullmatch(text):
                raise ValueError("the audit log takes numbers, hashes and codes only")
        entry: dict[str, Any] = {
            "time": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "event": event,
            "program": program_version(),
            **facts,
        }
        try:
            self._add(entry)
        except OSError as error:
            log.warning("audit log not written: %s", error.strerror)
            self.on_failure(tr("The audit log could not be written; this step is not in it."))

    def _add(self, entry: dict[str, Any]) -> None:
        from PySide6.QtCore import QLockFile

        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = QLockFile(f"{self.path}.lock")
        if not lock.tryLock(_LONGEST_WAIT_MS):
            raise TimeoutError(None, "another program holds the log")
        try:
            with self.path.open("a+b") as file:
                last, whole = _last_line(file)
                before = hashlib.sha256(last).hexdigest() if last else START
                line = json.dumps({**entry, "before": before}).encode() + b"\n"
                file.write(line if whole else b"\n" + line)
        finally:
            lock.unlock()


def _last_line(file: Any) -> tuple[bytes, bool]:  # noqa: ANN401 - a binary file
    """Last line without its end, and whether it has one (a write may have been cut short)."""
    end = file.seek(0, os.SEEK_END)
    block = b""
    while end and b"\n" not in block.rstrip(b"\n"):
        start = max(0, end - 4096)
        file.seek(start)
        block = file.read(end - start) + block
        end = start
    return block.rstrip(b"\n").rpartition(b"\n")[2], not block or block.endswith(b"\n")


def verify(path: Path) -> Verdict:
    """Check that every line is whole and bound to the one before.

    Raises
    ------
    OSError
        If the file is there but cannot be read.
    """
    before, n_lines = START, 0
    try:
        with path.open("rb") as file:
            for line in file:
                fault = _fault(line, before, n_lines + 1)
                if fault:
                    return Verdict(n_lines, fault, before)
                before, n_lines = hashlib.sha256(line.rstrip(b"\n")).hexdigest(), n_lines + 1
    except FileNotFoundError:
        pass
    return Verdict(n_lines, "", before)


def _fault(line: bytes, before: str, number: int) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not line.endswith(b"\n") or not isinstance(entry, dict):
        return tr("Line {number} is damaged: it is not what the program writes.", number=number)
    if entry.get("before") != before:
        return tr(
            "Line {number} does not follow the line before it: a line was changed, taken out or "
            "put in there.",
            number=number,
        )
    return ""


def sentences(verdict: Verdict) -> tuple[str, ...]:
    """Say in sentences what a check found.

    Examples
    --------
    >>> sentences(Verdict(0, "", START))
    ('The audit log is empty: nothing has been taken down yet.',)
    """
    if verdict.fault:
        return (
            tr("The audit log is broken. {fault}", fault=verdict.fault),
            tr("The {n} lines before are in order; do not rely on those after.", n=verdict.n_lines)
            if verdict.n_lines > 1
            else tr("Do not rely on it."),
        )
    if not verdict.n_lines:
        return (tr("The audit log is empty: nothing has been taken down yet."),)
    return (
        tr("The audit log is in order: {n} lines, each bound to the one before.", n=verdict.n_lines)
        if verdict.n_lines > 1
        else tr("The audit log is in order: it has one line."),
        tr(
            "Its last line has the SHA-256 {sha256}. Keep this elsewhere: only so can it be seen "
            "later that no lines were cut off at the end.",
            sha256=verdict.last,
        ),
    )


def main(argv: Sequence[str]) -> int:
    """Run ``echoing audit verify``; 0 if the log is in order, 1 if it is broken or unreadable."""
    parser = argparse.ArgumentParser(prog="echoing")
    command = parser.add_subparsers(required=True).add_parser("audit", help="the audit log")
    verb = command.add_subparsers(required=True)
    check = verb.add_parser("verify", help="check that no line was changed, added or taken out")
    check.add_argument("file", nargs="?", type=Path, help="another log than this user's")
    options = parser.parse_args(argv)
    name_program()
    path = options.file or config_folder() / FILE_NAME
    try:
        verdict = verify(path)
    except OSError as error:
        sys.stderr.write(f"echoing: The audit log cannot be read: {error.strerror}.\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in (str(path), *sentences(verdict))))
    return 1 if verdict.fault else 0
