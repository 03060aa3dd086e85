"""WFDB records that are refused, each with its reason, and what no name or file may bring about."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core.errors import ReadError
from model_core.io import READERS, read_recording
from tests.reading import refusal
from tests.unit.test_wfdb_reader import as_stored, counts, write_record


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every attempt to reach a network; each fails."""
    attempts: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        attempts.append(arguments)
        raise OSError("network is not allowed")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return attempts


@pytest.mark.parametrize(
    ("gain", "code"),
    [
        ("", "gain_missing"),
        ("0/mV", "gain_missing"),
        ("0", "gain_missing"),
        ("-200/mV", "gain_missing"),
        ("1e999/mV", "gain_missing"),
        ("1000/mmHg", "unknown_unit"),
        ("1000/NU", "unknown_unit"),
    ],
)
def test_amplitude_is_never_guessed(tmp_path: Path, gain: str, code: str) -> None:
    checks = bool(gain)
    assert refusal(write_record(tmp_path, counts(), gain=gain, checks=checks)).code == code


@pytest.mark.parametrize("where", ["checksum", "first value", "sample"])
def test_altered_records(tmp_path: Path, where: str) -> None:
    header = write_record(tmp_path, counts())
    text = header.read_text()
    if where == "sample":
        data = bytearray((tmp_path / "rec.dat").read_bytes())
        data[777] ^= 0x10
        (tmp_path / "rec.dat").write_bytes(data)
    else:
        column = 6 if where == "checksum" else 5
        lines = text.splitlines()
        fields = lines[4].split()
        fields[column] = str(int(fields[column]) + 1)
        lines[4] = " ".join(fields)
        header.write_text("\n".join(lines))
    assert refusal(header).code == "checksum_mismatch"


@pytest.mark.parametrize("n_bytes", [0, 1, 23999, 24001, 48000])
def test_data_of_another_size(tmp_path: Path, n_bytes: int) -> None:
    header = write_record(tmp_path, counts())
    (tmp_path / "rec.dat").write_bytes(bytes(n_bytes))
    assert refusal(header).code == "size_mismatch"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("rec 12 100 99999999999", "size_mismatch"),
        ("rec 12 100", "bad_header"),
        ("rec 12", "bad_header"),
        ("rec 12 0 1000", "bad_rate"),
        ("rec 12 49 1000", "bad_rate"),
        ("rec 12 4001 1000", "bad_rate"),
        ("rec 12 -500 1000", "bad_header"),
        ("rec 12 nan 1000", "bad_header"),
        ("rec 12 5e2 1000", "bad_header"),
        ("rec 12 100 0", "bad_header"),
        ("rec 11 100 1000", "bad_header"),
        ("rec 0 100 1000", "too_large"),
        ("rec 65 100 1000", "too_large"),
        ("rec -12 100 1000", "bad_header"),
        ("../rec 12 100 1000", "bad_header"),
        ("\x00\x01", "bad_header"),
    ],
)
def test_record_lines(tmp_path: Path, line: str, code: str) -> None:
    assert refusal(write_record(tmp_path, counts(), record_line=line)).code == code


@pytest.mark.parametrize(
    ("fmt", "code"),
    [
        ("16x2", "size_mismatch"),
        ("16+24", "size_mismatch"),
        ("516", "size_mismatch"),
        ("17", "unknown_format"),
        ("x", "unknown_format"),
    ],
)
def test_sample_formats(tmp_path: Path, fmt: str, code: str) -> None:
    assert refusal(write_record(tmp_path, counts(), fmt=fmt)).code == code


def test_leads_of_different_rates(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts())
    header.write_text(header.read_text().replace("rec.dat 16 ", "rec.dat 16x2 ", 1))
    assert refusal(header).code == "mixed_rates"


@pytest.mark.parametrize(
    "name",
    [
        "../rec.dat",
        "/etc/passwd",
        "http://host/x.dat",
        r"\\host\share.dat",
        "a::b",
        "~",
        "..",
        "a b",
    ],
)
def test_data_file_names_stay_in_the_folder(
    tmp_path: Path, name: str, no_network: list[Any]
) -> None:
    header = write_record(tmp_path / "inner", counts())
    shutil.copy(tmp_path / "inner" / "rec.dat", tmp_path / "rec.dat")
    header.write_text(header.read_text().replace("rec.dat", name))
    assert refusal(header).code in ("bad_file_name", "unknown_format")
    assert not no_network


@pytest.mark.parametrize("target", ["data", "segment"])
def test_links_out_of_the_folder(tmp_path: Path, target: str) -> None:
    outside = write_record(tmp_path / "outside", counts())
    inside = tmp_path / "inside"
    inside.mkdir()
    if target == "data":
        shutil.copy(outside, inside)
        (inside / "rec.dat").symlink_to(outside.with_name("rec.dat"))
        assert refusal(inside / "rec.hea").code == "outside_folder"
    else:
        (inside / "seg.hea").symlink_to(outside)
        (inside / "rec.hea").write_text("rec/1 12 100 1000\nseg 1000\n")
        assert refusal(inside / "rec.hea").code == "outside_folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts())
    (tmp_path / "rec.dat").unlink()
    os.mkfifo(tmp_path / "rec.dat")
    assert refusal(header).code == "data_missing"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts())
    (tmp_path / "rec.dat").unlink()
    assert refusal(header).code == "data_missing"
    (tmp_path / "alone.dat").write_bytes(b"\0")
    assert refusal(tmp_path / "alone.dat").code == "header_missing"
    assert "Viatom" in refusal(tmp_path / "alone.dat").hint
    assert refusal(tmp_path / "nothing").code == "not_found"
    assert refusal(tmp_path / "nothing.hea").code == "header_missing"


def test_a_data_file_that_its_header_does_not_name(tmp_path: Path) -> None:
    write_record(tmp_path, counts(), data_name="other.dat")
    (tmp_path / "rec.dat").write_bytes(b"something else")
    assert refusal(tmp_path / "rec.dat").code == "not_in_record"


def test_other_files_name_what_is_supported(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    error = refusal(tmp_path / "picture.png")
    assert error.code == "unknown_format"
    for reader in READERS:
        assert reader.FORMAT_NAME in error.hint
    assert refusal(tmp_path).code == "folder"
    assert refusal(Path()).code == "folder"


def test_huge_headers_are_refused_fast(tmp_path: Path) -> None:
    (tmp_path / "rec.hea").write_bytes(b"rec.dat 16 1000/mV\n" * 50_000)
    assert refusal(tmp_path / "rec.hea").code == "too_large"
    (tmp_path / "rec.hea").write_bytes(b"#" * 1_000_001)
    assert refusal(tmp_path / "rec.hea").code == "too_large"
    (tmp_path / "rec.hea").write_bytes(b"\n")
    assert refusal(tmp_path / "rec.hea").code == "bad_header"


def test_faults_of_the_disk_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(tmp_path / f"{'x' * 300}.hea").code == "not_readable"
    header = write_record(tmp_path, counts())

    def pulled_out(*_: Any) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", pulled_out)
    error = refusal(header)
    assert error.code == "not_readable"
    assert "Input/output error" in str(error)


@pytest.mark.parametrize("folder", ["s3:/bucket", "c[1]*?", "with space", "ü %20#", "http:"])
def test_odd_folder_names_are_local(tmp_path: Path, folder: str, no_network: list[Any]) -> None:
    header = write_record(tmp_path / folder, counts())
    assert read_recording(header).n_leads == 12
    assert not no_network


@pytest.mark.parametrize(
    "name",
    [
        "s3://bucket/rec.hea",
        "gs://bucket/rec",
        "az://bucket/rec.hea",
        "azureml://bucket/rec.hea",
        "http://127.0.0.1/rec.hea",
        "file:///etc/passwd",
        "memory://rec.hea",
    ],
)
def test_addresses_are_only_names_that_do_not_exist(name: str, no_network: list[Any]) -> None:
    assert refusal(Path(name)).code in ("not_found", "header_missing")
    assert not no_network


def test_chains_of_addresses_are_refused(tmp_path: Path, no_network: list[Any]) -> None:
    write_record(tmp_path / "a::b", counts())
    assert refusal(tmp_path / "a::b" / "rec.hea").code == "bad_path"
    (tmp_path / "link").symlink_to(tmp_path / "a::b")
    assert refusal(tmp_path / "link" / "rec.hea").code == "bad_path"
    assert not no_network


def test_damaged_files_never_leak_other_errors(tmp_path: Path) -> None:
    header = write_record(tmp_path, counts(12, 100))
    original = header.read_bytes()
    truth = read_recording(header)
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        header.write_bytes(damaged)
        try:
            read = read_recording(header)
        except ReadError:
            continue
        # Samples are protected by their checksums; names, rate and gain are shown to the user.
        assert as_stored(read).shape == truth.signal_mv.shape
