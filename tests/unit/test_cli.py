"""``echoing predict``: what it prints, and what it returns to a script."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echoing_gui import cli
from echoing_gui.__main__ import main
from echoing_gui.reading import ReadingProcess
from model_core.leads import STANDARD_LEADS
from model_core.runtime.manifest import FindingOutput, MeasureOutput
from model_core.runtime.predictor import Predictor
from model_core.types import FloatArray, Prediction, Reason, Recording, Severity
from tests import hostile
from tests.package_factory import (
    QUANTILES,
    contents,
    graph,
    manifest_for,
    synthetic_ecg,
    write_package,
)

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str]]


def write_record(
    header: Path, signal_mv: FloatArray, names: Sequence[str] = STANDARD_LEADS
) -> Path:
    digital = np.round(signal_mv * 1000).astype("<i2")
    header.parent.mkdir(parents=True, exist_ok=True)
    header.with_suffix(".dat").write_bytes(np.ascontiguousarray(digital.T).tobytes())
    lines = [f"{header.stem} {len(names)} 500 {digital.shape[1]}"]
    for name, row in zip(names, digital.astype(int), strict=True):
        check = f"16 0 {row[0]} {row.sum() % 65536} 0 {name}"
        lines.append(f"{header.stem}.dat 16 1000/mV {check}")
    header.write_text("\n".join([*lines, "# Age: 60"]))
    return header


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("packages") / "valid")


@pytest.fixture(scope="module")
def process() -> Iterator[ReadingProcess]:
    made = ReadingProcess()
    yield made
    made.close()


@pytest.fixture
def run(package: Path, process: ReadingProcess, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with the test package; gives exit code and standard output."""

    def call(*arguments: Any, package: Path = package) -> tuple[int, str]:
        given = ["predict", *map(str, arguments), "--package", str(package)]
        return cli.main(given, process), capsys.readouterr().out

    return call


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_record(tmp_path / "good.hea", synthetic_ecg().signal_mv)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    signal = synthetic_ecg().signal_mv.copy()
    signal[7] = 0
    return write_record(tmp_path / "flat.hea", signal)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = write_record(tmp_path / "broken.hea", synthetic_ecg().signal_mv)
    path.with_suffix(".dat").write_bytes(b"short")
    return path


def test_json_of_a_reported_file(run: Run, good: Path, package: Path) -> None:
    code, out = run(good, "--json")
    assert code == 0
    assert out.count("\n") == 1
    report = json.loads(out)
    assert report["schema_version"] == 1
    assert report["file"] == str(good)
    assert len(report["sha256"]) == 64
    assert report["state"] == "reported"
    assert report["error"] is None
    assert report["window_s"] == [0.0, 10.0]
    assert report["recording"]["fs_hz"] == 500.0
    assert report["recording"]["lead_names"] == list(STANDARD_LEADS)
    assert report["measures"][0] == {
        "key": "lvef",
        "label": "LVEF",
        "unit": "%",
        "value": 58.0,
        "interval": {"low": 48.0, "high": 68.0, "level": 0.9},
        "core": {"low": 53.0, "high": 63.0, "level": 0.5},
    }
    assert [measure["unit"] for measure in report["measures"]] == ["%", "ml", "ml"]
    assert report["findings"][0]["probability"] == pytest.approx(0.0758582)
    cells = report["segment_variance"]
    assert (len(cells["variance"]), len(cells["variance"][0])) == (12, 20)
    assert len(cells["edges_s"]) == 21
    assert report["package"]["name"] == "test student"
    assert report["package"]["demonstration"] is True
    assert "Demonstration" in report["package"]["caveat"]
    assert set(report["program"]) == {"name", "version"}


def test_json_of_a_refused_file(run: Run, flat: Path) -> None:
    code, out = run(flat, "--json")
    assert code == 3
    report = json.loads(out)
    assert report["state"] == "not_reportable"
    assert report["measures"] == report["findings"] == []
    assert report["segment_variance"] is None
    (reason,) = report["reasons"]
    grades = {each["lead"]: each["grade"] for each in report["lead_quality"]}
    assert grades == {name: "unusable" if name == "V2" else "good" for name in STANDARD_LEADS}
    assert reason == {
        "code": "flat_lead",
        "severity": "refuse",
        "message": "The line is flat in lead V2.",
        "lead": "V2",
    }


def test_what_is_not_calibrated_is_withheld_and_its_variance_given(
    run: Run, good: Path, tmp_path: Path
) -> None:
    changes = {
        "measures": (MeasureOutput("lvef", 0.9, 0.0, log_space=False, n_calibration=0),),
        "findings": (FindingOutput("lvef_below_40", 1.0, 0.0, n_calibration=0),),
        "licence": "CC BY-NC-ND 4.0",
    }
    files = contents(graph(QUANTILES[:1]), **changes)
    package = write_package(tmp_path / "uncalibrated", files)
    code, out = run(good, "--json", package=package)
    report = json.loads(out)
    assert (code, report["state"]) == (3, "not_reportable")
    assert report["measures"] == report["findings"] == []
    assert [reason["code"] for reason in report["reasons"]] == ["not_calibrated"]
    assert report["embedding_variance"] > 0
    assert len(report["segment_variance"]["variance"]) == 12
    assert report["package"]["licence"] == "CC BY-NC-ND 4.0"
    _, text = run(good, package=package)
    assert "Not reportable" in text
    assert "Embedding variance" in text
    assert "58 %" not in text


def test_json_of_a_file_that_cannot_be_read(run: Run, broken: Path) -> None:
    code, out = run(broken, "--json")
    assert code == 4
    report = json.loads(out)
    assert report["state"] == "error"
    assert report["error"]["code"] == "size_mismatch"
    assert report["error"]["message"]
    assert report["error"]["hint"]
    assert report["sha256"] is None
    assert report["measures"] == []


def test_every_report_has_the_same_entries(run: Run, good: Path, flat: Path, broken: Path) -> None:
    _, out = run(good, flat, broken, "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert len({tuple(report) for report in reports}) == 1


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["good"], 0),
        (["good", "flat"], 3),
        (["flat", "good"], 3),
        (["broken", "flat", "good"], 4),
        (["flat", "broken"], 4),
    ],
)
def test_a_bad_file_never_stops_the_others(
    run: Run, request: pytest.FixtureRequest, order: list[str], expected: int
) -> None:
    paths = [request.getfixturevalue(name) for name in order]
    code, out = run(*paths, "--json")
    assert code == expected
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(p) for p in paths]


def test_not_even_an_unexpected_fault_stops_the_others(
    run: Run, good: Path, flat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Predictor.predict

    def fail(self: Predictor, recording: Recording, **named: Any) -> Prediction:
        if recording.source_name == flat.name:
            raise ZeroDivisionError
        return real(self, recording, **named)

    monkeypatch.setattr(Predictor, "predict", fail)
    code, out = run(flat, good, "--json")
    assert code == 4
    first, second = (json.loads(line) for line in out.splitlines())
    assert first["error"]["code"] == "unexpected"
    assert second["state"] == "reported"


def test_cautions_are_reported_with_the_numbers(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Predictor.predict

    def cautious(self: Predictor, *arguments: Any, **named: Any) -> Prediction:
        reason = Reason("noisy", Severity.CAUTION, "Lead V1 is noisy.", "V1")
        return dataclasses.replace(real(self, *arguments, **named), reasons=(reason,))

    monkeypatch.setattr(Predictor, "predict", cautious)
    code, out = run(good, "--json")
    assert (code, json.loads(out)["state"]) == (0, "reported_with_caution")
    _, text = run(good)
    assert "Caution: Lead V1 is noisy." in text


def test_text_for_people(run: Run, good: Path, flat: Path, broken: Path) -> None:
    code, out = run(good, flat, broken)
    assert code == 4
    block, refused, failed, footer = out.split("\n\n")
    assert "58 %" in block
    assert "90 % interval 48 to 68 %" in block
    assert "110 ml" in block
    assert "8 %   probability" in block
    assert "Not reportable" in refused
    assert "The line is flat in lead V2." in refused
    assert "LVEF" not in refused
    assert "Error:" in failed
    assert "test student 1.2" in footer
    assert "Demonstration model" in footer


def test_text_says_that_an_ecg_is_simulated(run: Run, good: Path) -> None:
    good.write_text(good.read_text() + "\n# Simulated ECG\n")
    assert "SIMULATED ECG" in run(good)[1]


def test_start(run: Run, tmp_path: Path) -> None:
    path = write_record(tmp_path / "long.hea", synthetic_ecg(duration_s=15.0).signal_mv)
    assert json.loads(run(path, "--json", "--start", "4.5")[1])["window_s"] == [4.5, 14.5]
    assert json.loads(run(path, "--json", "--start", "6")[1])["state"] == "not_reportable"
    said = run(path, "--start", "4.5")[1]
    assert "15.0 s, 500 Hz" in said
    assert "Only seconds 4.5 to 14.5 were looked at" in said


def test_any_ten_seconds_of_a_long_recording(run: Run, tmp_path: Path) -> None:
    signal = synthetic_ecg(duration_s=75.0).signal_mv
    long = write_record(tmp_path / "long.hea", signal)
    found = json.loads(run(long, "--json", "--start", "50.5")[1])
    assert found["window_s"] == [50.5, 60.5]
    assert [(r["code"], r["severity"]) for r in found["reasons"]] == [("long_recording", "caution")]
    assert "Caution: This is a part of a long recording." in run(long, "--start", "50.5")[1]
    assert found["recording"]["duration_s"] == 75
    assert found["sha256"] is None
    assert len(found["window_sha256"]) == 64
    first = round(50.5 * 500)
    short = write_record(tmp_path / "short.hea", signal[:, first : first + 5000])
    alone = json.loads(run(short, "--json")[1])
    assert found["measures"] == alone["measures"]
    assert found["segment_variance"]["variance"] == alone["segment_variance"]["variance"]
    assert found["segment_variance"]["edges_s"][0] == 50.5
    late = json.loads(run(long, "--json", "--start", "66")[1])
    assert late["reasons"][0]["code"] == "too_short"
    assert "lasts 75.0 s; 10 s are needed from second 66" in late["reasons"][0]["message"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--json"], ["x.hea", "--start", "-1"], ["x.hea", "--start", "nan"], ["x.hea", "--what"]],
)
def test_usage(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predict", "x.hea", "--start", "soon"], "must be a number of seconds"),
        (["a.hea", "b.hea"], "not understood: b.hea. The window opens one file; 'echoing predict'"),
    ],
)
def test_what_was_not_understood_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_a_reader_of_the_output_may_go_away(good: Path, package: Path) -> None:
    """As with `| head`: no complaint, and no exit code of success."""
    command = [sys.executable, "-m", "echoing_gui", "predict", str(good), "--package", str(package)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert started.stderr.read() == ""
    assert started.returncode == cli.EXIT_NO_OUTPUT


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for code in (cli.EXIT_REPORTED, cli.EXIT_NOT_REPORTABLE, cli.EXIT_NOT_READ, cli.EXIT_PACKAGE):
        assert f"\n  {code}  " in out


@pytest.mark.parametrize("fault", ["absent", "changed", "other numbers"])
def test_packages_that_cannot_be_used(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    path = tmp_path / "package"
    if fault == "changed":
        write_package(path)
        (path / "student.onnx").write_bytes(b"")
    elif fault == "other numbers":
        other = contents(graph(finding_logit=1.0))
        mixed = contents() | {"golden.npz": other["golden.npz"]}
        del mixed["manifest.json"]
        write_package(path, mixed | {"manifest.json": manifest_for(mixed)})
    code = cli.main(["predict", str(good), "--json", "--package", str(path)])
    captured = capsys.readouterr()
    assert code == 5
    assert captured.out == ""
    assert captured.err.startswith("echoing: ")


def test_a_file_that_takes_the_reader_down_stops_no_other(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "open_recording", hostile.crash_on_a_name)
    worse = write_record(good.with_name("crash.hea"), synthetic_ecg().signal_mv)
    code, out = run(worse, good, "--json")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (code, first["error"]["code"]) == (4, "reader_died")
    assert second["state"] == "reported"


def test_output_file(run: Run, good: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.jsonl"
    target.write_text("old")
    code, out = run(good, "--json", "-o", target)
    assert (code, out) == (0, "")
    assert json.loads(target.read_text(encoding="utf-8"))["state"] == "reported"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_output_that_cannot_be_written(run: Run, good: Path, tmp_path: Path) -> None:
    code, out = run(good, "--json", "-o", tmp_path / "absent" / "result.jsonl")
    assert (code, out) == (1, "")


def test_an_interrupted_run_keeps_the_old_output(
    run: Run, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result.jsonl"
    target.write_text("old")

    def interrupt(*_: Any, **__: Any) -> Prediction:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(good, "--json", "-o", target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_names_are_told_but_cannot_do_harm(run: Run, tmp_path: Path) -> None:
    name = "Müller \u202e\x1b[31m%s"
    folder = tmp_path / name
    path = write_record(folder / "ecg.hea", synthetic_ecg().signal_mv)
    assert json.loads(run(path, "--json")[1])["file"] == str(path)
    text = run(path)[1]
    assert "Müller" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.skipif(os.name == "nt", reason="file names are text on this system")
def test_names_that_are_no_text(run: Run, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.hea"))
    code, out = run(path, "--json")
    assert code == 4
    assert json.loads(out)["file"].endswith("\N{REPLACEMENT CHARACTER}.hea")
    code, out = run(path)
    assert code == 4
    assert "\N{REPLACEMENT CHARACTER}.hea" in out


def test_a_fresh_process_needs_no_window_system(good: Path, package: Path) -> None:
    """By the installed entry point, in a terminal that knows only ASCII."""
    probe = (
        "import sys; from echoing_gui.__main__ import main; code = main(sys.argv[1:]);"
        "banned = {'PySide6', 'pyqtgraph', 'torch', 'onnx', 'scipy'} & set(sys.modules);"
        "print(sorted(banned), code, file=sys.stderr)"
    )
    named = good.parent / "Jürgen" / "ecg.hea"
    write_record(named, synthetic_ecg().signal_mv)
    result = subprocess.run(
        [sys.executable, "-c", probe, "predict", named, "--json", "--package", package],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert result.stderr.decode().splitlines()[-1] == "[] 0", result.stderr.decode()
    assert json.loads(result.stdout.decode("utf-8"))["file"] == str(named)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    signal = synthetic_ecg().signal_mv * 1000
    np.savetxt(tmp_path / "table.csv", np.round(signal.T), fmt="%d", delimiter=";", header="uV")
    return tmp_path / "table.csv"


LEADS = ",".join(STANDARD_LEADS)


def test_a_table_needs_what_it_does_not_say(run: Run, table: Path) -> None:
    code, out = run(table, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (4, "layout_needed")


def test_a_table_by_options_and_by_a_file_is_the_record(
    run: Run, table: Path, good: Path, tmp_path: Path
) -> None:
    stated = ["--rate", "500", "--unit", "uV", "--leads", LEADS, "--skip-rows", "1"]
    code, by_options = run(table, "--json", *stated, "--delimiter", "semicolon")
    assert code == 0
    layout = {"fs_hz": 500, "unit": "mV", "lead_names": list(STANDARD_LEADS), "delimiter": ";"}
    (tmp_path / "layout.json").write_text(json.dumps(layout))
    code, by_file = run(
        table, "--json", "--layout", tmp_path / "layout.json", "--skip-rows", "1", "--unit", "uV"
    )
    assert code == 0
    assert by_file == by_options
    _, of_record = run(good, "--json")
    report, twin = json.loads(by_file), json.loads(of_record)
    assert report["measures"] == twin["measures"]
    assert report["recording"]["import"]["rate_source"] == "as stated by the user"
    assert twin["recording"]["import"]["leads_present"] == list(STANDARD_LEADS)


@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "500"),
        ("--rate", "500", "--unit", "mmHg", "--leads", "I"),
        ("--layout", "absent.json"),
        ("--layout", "list.json"),
    ],
)
def test_layouts_that_say_too_little(
    package: Path, table: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    (table.parent / "list.json").write_text("[]")
    given = [str(table.parent / o) if o.endswith(".json") else o for o in options]
    assert cli.main(["predict", str(table), *given, "--package", str(package)]) == 2
    assert capsys.readouterr().err.endswith(".\n")
