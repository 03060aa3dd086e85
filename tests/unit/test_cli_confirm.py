"""``echoing predict --confirm``: answers to the questions of the gate, and their log."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from echoing_gui import audit, cli
from model_core.quality.placement import exchanged
from tests.package_factory import synthetic_ecg, write_package
from tests.unit.test_cli import write_record


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("packages") / "valid")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_record(tmp_path / "good.hea", synthetic_ecg().signal_mv)


@pytest.fixture
def arms(tmp_path: Path) -> Path:
    signal = exchanged(synthetic_ecg().signal_mv.astype(np.float64), "RA-LA")
    return write_record(tmp_path / "arms.hea", signal.astype(np.float32))


@pytest.fixture
def log_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command keeps the audit log."""
    monkeypatch.setattr(cli, "config_folder", lambda: tmp_path / "config")
    return tmp_path / "config"


def logged(folder: Path) -> list[tuple[str, str, str]]:
    lines = (folder / audit.FILE_NAME).read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [(entry["event"], entry["what"], entry["recording"]) for entry in entries]


def test_a_confirmation_is_a_caution_and_in_the_log(
    package: Path, arms: Path, log_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(arms), "--json", "--package", str(package)]
    assert cli.main(command) == 3
    (reason,) = json.loads(capsys.readouterr().out)["reasons"]
    assert (reason["code"], reason["severity"]) == ("electrode_placement", "confirm")
    assert not log_folder.exists()
    assert cli.main([*command, "--confirm", "electrode_placement"]) == 0
    report = json.loads(capsys.readouterr().out)
    (reason,) = report["reasons"]
    assert (reason["code"], reason["severity"]) == ("electrode_placement", "caution")
    assert report["confirmed"] == ["electrode_placement"]
    assert logged(log_folder) == [("confirmed", "electrode_placement", report["sha256"])]


def test_what_was_not_asked_is_not_logged(
    package: Path, good: Path, log_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(good), "--json", "--package", str(package)]
    confirmed = ["--confirm", "electrode_placement", "--confirm", "microvolts"]
    assert cli.main([*command, *confirmed]) == 0
    assert json.loads(capsys.readouterr().out)["reasons"] == []
    assert not log_folder.exists()


def test_microvolts_hold_for_all_files_and_are_logged_where_asked_about(
    package: Path,
    good: Path,
    tmp_path: Path,
    log_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = write_record(tmp_path / "large.hea", synthetic_ecg().signal_mv)
    large.write_text(large.read_text().replace("1000/mV", "1/mV"))
    command = ["predict", str(good), str(large), "--json", "--package", str(package)]
    assert cli.main([*command, "--confirm", "microvolts"]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[each["code"] for each in report["reasons"]] for report in reports] == [
        [],
        ["microvolts"],
    ]
    assert logged(log_folder) == [("confirmed", "microvolts", reports[1]["sha256"])]


def test_placement_is_confirmed_of_one_file_at_a_time(
    package: Path, good: Path, arms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(good), str(arms), "--package", str(package)]
    assert cli.main([*command, "--confirm", "electrode_placement"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "give one file" in said.err
