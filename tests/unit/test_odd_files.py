"""What is no file, or not the same file from one moment to the next, ends in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from echoing_gui.errors import to_message
from model_core.errors import ReadError
from model_core.io import edf_reader, open_recording, read_recording
from tests.reading import refusal
from tests.unit.test_reader_signals import counts, edf

ENDINGS = (".dcm", ".hea", ".dat", ".edf", ".xml", ".scp", ".csv", ".npy", ".ecg", "")


@pytest.mark.parametrize("ending", ENDINGS)
def test_empty_files_are_called_empty(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.touch()
    assert (str(refusal(path)), refusal(path).code) == (f"a{ending} is empty.", "empty_file")


@pytest.mark.parametrize("ending", ENDINGS)
def test_folders_are_called_folders(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.mkdir()
    assert (str(refusal(path)), refusal(path).code) == (f"a{ending} is a folder.", "folder")


def test_a_place_without_a_name_is_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {refusal(Path(name)).code for name in ("", ".", "..")} == {"folder"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_nobody_waits_for_a_pipe_or_reads_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dcm")
    (tmp_path / "b.edf").symlink_to("/dev/zero")
    for name in ("a.dcm", "b.edf"):
        assert "no file" in str(refusal(tmp_path / name))


def test_a_file_that_is_still_being_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edf(tmp_path / "a.edf", counts(1), ("I",))
    data = path.read_bytes()

    def written_meanwhile(*arguments: object) -> object:
        found = records(*arguments)  # pyright: ignore[reportArgumentType]
        path.write_bytes(data[:-1] + b"\1")
        os.utime(path, ns=(1, 1))
        return found

    records = edf_reader._records
    monkeypatch.setattr(edf_reader, "_records", written_meanwhile)
    for read in (read_recording, open_recording):
        with pytest.raises(ReadError, match="changed while it was read"):
            read(path)
        os.utime(path)


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f493 ecg.edf",
        "e" * 246 + ".edf",
        "%s%n{0}{x}.edf",
        "<b>x<b>.edf",
        "-rf.edf",
        "con.edf",
    ],
)
def test_names_of_every_kind_are_read_and_told_as_they_are(tmp_path: Path, name: str) -> None:
    path = edf(tmp_path / name, counts(1), ("I",))
    assert read_recording(path).source_name == name
    path.write_bytes(path.read_bytes()[:-1])
    assert name in str(refusal(path))


@pytest.mark.parametrize("name", ["\u202efde.gnp.edf", "two\nlines\t.edf"])
def test_names_do_not_turn_texts_around(tmp_path: Path, name: str) -> None:
    path = edf(tmp_path / name, counts(1), ("I",))
    shown = {read_recording(path).source_name, open_recording(path).source_name}
    path.write_bytes(path.read_bytes()[:-1])
    shown |= {to_message(refusal(path)).text}
    assert all(text.isprintable() for text in shown)


def test_names_that_no_system_has_and_that_are_too_long(tmp_path: Path) -> None:
    assert refusal(tmp_path / "\ud800.dcm").code == "not_found"
    assert refusal(tmp_path / ("x" * 300 + ".dcm")).code == "not_readable"
    (tmp_path / "loop.dcm").symlink_to(tmp_path / "loop.dcm")
    assert refusal(tmp_path / "loop.dcm").code == "not_found"


def test_a_folder_that_cannot_be_written_to_is_enough(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", counts(1), ("I",))
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert read_recording(path).n_leads == 1
    finally:
        tmp_path.chmod(0o700)
