"""The audit log: what was written stays, and whoever changes it is found out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from echoing_gui.audit import START, AuditLog, Verdict, main, sentences, verify

RECORDING = "ab" * 32


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    made = AuditLog(tmp_path / "folder" / "audit.jsonl")
    made.record("opened", recording=RECORDING)
    made.record("predicted", recording=RECORDING, package="cd" * 32, state="reported")
    made.record("revealed", recording=RECORDING, seconds=12.5)
    return made


def lines_of(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines()


def test_each_line_holds_the_hash_of_the_one_before(log: AuditLog) -> None:
    before = START
    for line in lines_of(log):
        assert json.loads(line)["before"] == before
        before = hashlib.sha256(line).hexdigest()
    assert verify(log.path) == Verdict(3, "", before)


def test_a_later_program_goes_on_where_the_last_one_stopped(log: AuditLog) -> None:
    AuditLog(log.path).record("opened", recording=RECORDING)
    assert verify(log.path).n_lines == 4
    assert not verify(log.path).fault


@pytest.mark.parametrize("number", [0, 1])
def test_a_changed_line_is_found(log: AuditLog, number: int) -> None:
    lines = lines_of(log)
    lines[number] = lines[number].replace(RECORDING.encode(), b"ee" * 32)
    log.path.write_bytes(b"\n".join(lines) + b"\n")
    found = verify(log.path)
    # The line itself still follows the one before: the next one gives it away.
    assert found.n_lines == number + 1
    assert found.fault.startswith(f"Line {number + 2} ")


@pytest.mark.parametrize("order", [(1, 2), (0, 2), (0, 2, 1), (0, 0, 1, 2)])
def test_lines_taken_out_put_in_or_moved_are_found(log: AuditLog, order: tuple[int, ...]) -> None:
    lines = lines_of(log)
    log.path.write_bytes(b"".join(lines[number] + b"\n" for number in order))
    assert verify(log.path).fault


def test_a_line_cut_short_is_told_and_the_chain_goes_on_behind_it(log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes()[:-20])
    found = verify(log.path)
    assert (found.n_lines, found.fault, found.torn) == (2, "", (3,))
    log.record("opened", recording=RECORDING)
    log.path.write_bytes(log.path.read_bytes() + b'{"time": "20')
    log.record("opened", recording=RECORDING)
    assert [json.loads(lines_of(log)[n])["event"] for n in (3, 5)] == ["opened", "opened"]
    found = verify(log.path)
    assert (found.n_lines, found.fault, found.torn) == (4, "", (3, 5))
    assert "Line 5 was cut short" in sentences(found)[-1]


def test_a_line_cut_short_hides_no_change(log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes()[:-20])
    log.record("opened", recording=RECORDING)
    lines = lines_of(log)
    for kept in ((0, 2, 3), (0, 1, 3), (1, 2, 3), (0, 1, 2, 2, 3)):
        log.path.write_bytes(b"".join(lines[n] + b"\n" for n in kept))
        assert verify(log.path).fault, kept
    # What is left of it may not be changed either, nor a whole line be made to look torn.
    for n, damaged in ((2, b'{"time": "other'), (1, b'{"time": "20')):
        log.path.write_bytes(
            b"".join(damaged + b"\n" if n == k else line + b"\n" for k, line in enumerate(lines))
        )
        assert verify(log.path).fault


def test_a_log_in_which_nothing_is_whole_is_gone_on_with(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.path.write_bytes(b'{"time": "2026-11-2')
    log.record("opened", recording=RECORDING)
    found = verify(log.path)
    assert (found.n_lines, found.fault, found.torn) == (1, "", (1,))


def test_a_log_of_an_earlier_version_is_still_in_order(tmp_path: Path) -> None:
    path, before = tmp_path / "audit.jsonl", START
    for event in ("opened", "predicted", "exported"):
        line = json.dumps({"event": event, "program": "0.1", "before": before}).encode()
        before = hashlib.sha256(line).hexdigest()
        path.write_bytes((path.read_bytes() if path.exists() else b"") + line + b"\n")
    assert verify(path) == Verdict(3, "", before)
    AuditLog(path).record("opened", recording=RECORDING)
    assert verify(path).n_lines == 4


@pytest.mark.parametrize(
    "text", ["Doe, John", "John.Doe", "DOE", "/home/x", "1975-03-01", "4711-X"]
)
def test_no_text_that_may_name_somebody_goes_in(log: AuditLog, text: str) -> None:
    with pytest.raises(ValueError, match="hashes and codes only"):
        log.record("opened", what=text)
    assert text.encode() not in log.path.read_bytes()


def test_several_programs_write_one_chain(log: AuditLog) -> None:
    code = (
        "import sys; from pathlib import Path; from echoing_gui.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for number in range(30): log.record('opened', number=number)"
    )
    command = [sys.executable, "-c", code, str(log.path)]
    running = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert verify(log.path).n_lines == 63
    assert not verify(log.path).fault


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_and_stops_nothing(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.path.symlink_to("/dev/full")
    told: list[str] = []
    log.on_failure = told.append
    log.record("opened", recording=RECORDING)
    assert told == ["The audit log could not be written; this step is not in it."]


def test_the_command_tells_an_intact_log_from_a_broken_one(
    log: AuditLog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", str(log.path)]) == 0
    assert "in order: 3 lines" in capsys.readouterr().out
    log.path.write_bytes(log.path.read_bytes().replace(b"opened", b"closed", 1))
    assert main(["audit", "verify", str(log.path)]) == 1
    assert "The audit log is broken. Line 2 does not follow" in capsys.readouterr().out
