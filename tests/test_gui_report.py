"""The import report beside the trace: what it says, folded and opened by keys, copied as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from echoing_gui.view_models.import_report import import_report_view, report_text
from model_core.io import read_recording
from model_core.long_recording import LongRecording
from model_core.types import (
    Annotation,
    Gap,
    ImportReport,
    MachineMeasurement,
    Recording,
    Statement,
)
from tests.gui_factory import recording

REPORT = ImportReport(
    format_name="GE MUSE XML",
    format_version="9.0",
    rate_source="as stated for the rhythm",
    gain="4.88 uV a count",
    gain_source="as stated in the file",
    unit="uV",
    leads_present=("I", "II", "V1", "X"),
    leads_derived=("III", "aVR", "aVL", "aVF"),
    leads_missing=("V2", "V3", "V4", "V5", "V6"),
    gaps=tuple(Gap("V1", n + 1.0, n + 1.5) for n in range(7)),
    n_gaps=200,
    device_filters=("high-pass 0.05 Hz",),
    integrity="The samples match the checksum in the file.",
    repairs=("Lead aVR is stored upside down, as -aVR: turned.", "A pulse was cut off."),
)


@pytest.fixture
def of() -> Recording:
    return recording(
        report=REPORT,
        measurements=(MachineMeasurement("qtc_bazett", 417.0, "ms"),),
        statements=(Statement("SINUS RHYTHM, seen by Dr <Roe>", "overread"), Statement("NORMAL")),
        annotations=(Annotation(0.4, "QRS"), Annotation(1.2, "QRS"), Annotation(1.3, "T")),
        acquisition=(("Model", "MAC 5"), ("Technician", "Jane")),
    )


def test_the_report_says_everything_that_was_noted(of: Recording) -> None:
    view = import_report_view(of)
    rows = dict(view.rows)
    assert rows == {
        "Format": "GE MUSE XML 9.0",
        "Sampling rate": "500 Hz, as stated for the rhythm",
        "Gain": "4.88 uV a count, as stated in the file",
        "Unit in the file": "uV",
        "Duration": "10.0 s, 5000 samples of each lead",
        "Leads in the file": "I, II, V1, X",
        "Computed from I and II": "III, aVR, aVL, aVF",
        "Missing": "V2, V3, V4, V5, V6",
        "Beside the twelve": "X",
        "Gaps": "V1 1.000 to 1.500 s, V1 2.000 to 2.500 s, V1 3.000 to 3.500 s, "
        "V1 4.000 to 4.500 s, V1 5.000 to 5.500 s and 195 more",
        "Filters of the device": "high-pass 0.05 Hz",
        "Integrity": "The samples match the checksum in the file.",
        "Repaired or left out": "Lead aVR is stored upside down, as -aVR: turned.\n"
        "A pulse was cut off.",
        "Device": "MAC 5",
        "Measured by the device": "QTc (Bazett) 417 ms (from file)",
        "Marks in the file": "3: QRS, T",
    }
    assert view.summary == "GE MUSE XML 9.0, 5 leads missing, 4 leads computed, 200 gaps, 2 notes"
    assert view.statements == (
        "SINUS RHYTHM, seen by Dr <Roe> (overread)",
        "NORMAL (source not stated)",
    )
    assert "Roe" not in report_text(view)
    assert "Jane" not in report_text(view)


def test_a_recording_that_was_not_read_has_no_report() -> None:
    assert import_report_view(recording()).rows == ()
    assert import_report_view(None).rows == ()


def test_a_long_recording_is_reported_whole(of: Recording) -> None:
    long = LongRecording(
        "id", Path("a.ecg"), 500.0, 43_200_000, of.lead_names, "a.ecg", of.metadata
    )
    rows = dict(import_report_view(long).rows)
    assert rows["Duration"] == "24 h 0 min, 43200000 samples of each lead"
    assert rows["Gaps"] == "not sought in the whole of a long recording"


def test_folded_opened_by_keys_and_copied(qtbot, fake, program, of: Recording) -> None:
    panel = program.window.report
    program.window.show_page("recording")
    assert not panel.isVisible()
    fake.files["r.xml"] = of
    program.controller.open_file(Path("r.xml"))
    qtbot.waitUntil(panel.isVisible)
    assert panel._summary.isVisible()
    assert not panel._rows.isVisible()
    panel._fold.setFocus()
    qtbot.keyClick(panel._fold, Qt.Key.Key_Space)
    assert panel._rows.isVisible()
    # Text of files is text: no markup of theirs is drawn.
    assert "Dr &lt;Roe&gt;" in panel._rows.text()
    qtbot.keyClick(panel._copy, Qt.Key.Key_Space)
    assert QGuiApplication.clipboard().text() == report_text(import_report_view(of))
    # It stays open for the next file, with that file's report only.
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: not panel.isVisible())
    assert "MUSE" not in panel._rows.text()


def test_the_report_of_a_file(tmp_path: Path) -> None:
    digital = np.zeros((1000, 1), "<i2")
    digital[:, 0] = np.arange(1000) % 7
    digital[500:600] = -32768
    digital.tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text("r 1 100 1000\nr.dat 16 200/mV 16 0 0 0 0 MLII\n")
    rows = dict(import_report_view(read_recording(tmp_path / "r.hea")).rows)
    assert rows["Gaps"] == "MLII 5.000 to 6.000 s"
    assert rows["Gain"] == "200 per mV, as stated in the file"
    assert "100 samples are marked as invalid" in rows["Repaired or left out"]
