"""The audit log: what was done with which recording and model, each line bound to the one before.

One JSON object a line, only ever added to. `before` is the SHA-256 of the line before, so that a
line cannot be changed, taken out or put in unseen; what cannot be seen is that lines are missing
at the end. A line that was cut short when the program was ended stays; the next one holds the
SHA-256 of what is left of it, too, as `torn`. There are no names in it: recordings and model
packages stand there by their hashes.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from echoing_gui.i18n import tr
from echoing_gui.log import config_folder, log, name_program
from echoing_gui.resources import program_version

FILE_NAME = "audit.jsonl"
START = "0" * 64
_LONGEST_WAIT_S = 0.5
_BETWEEN_TRIES_S = 0.005
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
    torn
        Numbers of lines, from 1, that were cut short because the program was ended, as far as the
        line behind them vouches for what is left, or nothing is behind them.
    """

    n_lines: int
    fault: str
    last: str
    torn: tuple[int, ...] = ()


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
        from filelock import FileLock, Timeout

        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Not QLockFile, which waits for the disk: half a second in the window's thread when others
        # write.
        lock = FileLock(f"{self.path}.lock", _LONGEST_WAIT_S, poll_interval=_BETWEEN_TRIES_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise TimeoutError(None, "another program holds the log") from error
        try:
            # Without a buffer, which would keep what there was no room for and write it later.
            with self.path.open("a+b", buffering=0) as file:
                last, torn, ended = _tail(file)
                if torn:
                    entry["torn"] = _sha256(torn)
                entry["before"] = _sha256(last) if last else START
                line = json.dumps(entry).encode() + b"\n"
                _append(file, line if ended else b"\n" + line)
        finally:
            lock.release()


def _append(file: Any, content: bytes) -> None:  # noqa: ANN401 - a binary file
    """Add all of it or, on a full disk, nothing."""
    end = file.seek(0, os.SEEK_END)
    if file.write(content) < len(content):
        file.truncate(end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _tail(file: Any) -> tuple[bytes, bytes, bool]:  # noqa: ANN401 - a binary file
    """Last whole line, what is left behind it of lines cut short, and whether that has an end."""
    end, size = file.seek(0, os.SEEK_END), 4096
    while True:
        start = max(0, end - size)
        file.seek(start)
        block = file.read(end - start)
        ended = not block or block.endswith(b"\n")
        # The first of these may have begun before the block.
        lines = block.rstrip(b"\n").split(b"\n")[1 if start else 0 :]
        for n in range(len(lines) - 1, -1, -1):
            if _entry(lines[n]) is not None:
                return lines[n], b"\n".join(lines[n + 1 :]), ended
        if start == 0:
            return b"", b"\n".join(lines), ended
        size *= 2


def verify(path: Path) -> Verdict:
    """Check that every line is bound to the one before, and whole unless a program was ended.

    Raises
    ------
    OSError
        If the file is there but cannot be read.
    """
    before, n_lines, number = START, 0, 0
    torn: list[int] = []
    left: list[bytes] = []  # of lines cut short, until a whole one vouches for them
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                entry = _entry(line)
                if entry is None:
                    left.append(line)
                    continue
                vouched = entry.get("torn")
                if left and vouched != _sha256(b"".join(left).rstrip(b"\n")):
                    return Verdict(n_lines, _damaged(number - len(left)), before, tuple(torn))
                if entry["before"] != before or (vouched and not left):
                    return Verdict(n_lines, _not_bound(number), before, tuple(torn))
                torn += range(number - len(left), number)
                left.clear()
                before, n_lines = _sha256(line.rstrip(b"\n")), n_lines + 1
    except FileNotFoundError:
        pass
    first = number - len(left) + 1
    if left and left[-1].endswith(b"\n"):  # a line cut short has no end
        return Verdict(n_lines, _damaged(first), before, tuple(torn))
    return Verdict(n_lines, "", before, (*torn, *range(first, number + 1)))


def _entry(line: bytes) -> dict[str, Any] | None:
    """Read a line; None if it is not whole."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", entry) if isinstance(entry, dict) and "before" in entry else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _damaged(number: int) -> str:
    return tr("Line {number} is damaged: it is not what the program writes.", number=number)


def _not_bound(number: int) -> str:
    return tr(
        "Line {number} does not follow the line before it: a line was changed, taken out or "
        "put in there.",
        number=number,
    )


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
    cut = (
        tr(
            "Line {number} was cut short when the program was ended: what it said is lost.",
            number=number,
        )
        for number in verdict.torn
    )
    return (
        tr("The audit log is in order: {n} lines, each bound to the one before.", n=verdict.n_lines)
        if verdict.n_lines > 1
        else tr("The audit log is in order: it has one line."),
        tr(
            "Its last line has the SHA-256 {sha256}. Keep this elsewhere: only so can it be seen "
            "later that no lines were cut off at the end.",
            sha256=verdict.last,
        ),
        *cut,
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
