"""Paper and records: millimetres of the PDF, what is written and what never is."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from pypdfium2 import PdfDocument
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtPrintSupport import QPrintDialog, QPrinter
from PySide6.QtWidgets import QFileDialog

from echoing_gui import files
from echoing_gui.export_dialog import ExportDialog
from echoing_gui.features.exporting import Exporter
from echoing_gui.features.exporting.records import RECORDS, record_bytes
from echoing_gui.graphics import pages
from echoing_gui.graphics.paper import Camera, paint_sheet
from echoing_gui.identity import Identity
from echoing_gui.state import AppState, DisplayOptions, Layout
from echoing_gui.view_models.report import PAPERS, report_state, report_view
from echoing_gui.view_models.sheet import lay_out
from model_core.leads import STANDARD_LEADS
from model_core.types import Age, Reason, Severity
from tests.gui_factory import FLAT_LEAD, IDENTITY, prediction, recording, spike_signal

pytestmark = pytest.mark.usefixtures("qapp")

PX_PER_MM = 10
PDF, REPORT_DICOM, ECG_DICOM, FHIR = RECORDS
A4, LETTER = PAPERS


@pytest.fixture
def opened(qtbot, program):
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    return program


def state(*reasons, **options) -> AppState:
    of = recording(
        "roe_jane.xml",
        spike_signal(at_s=(1.0, 2.0, 9.5)),
        patient=(("Name", "Roe Jane"), ("Identifier", "ID-4711")),
        acquired_at="2021-03-04T10:11:12",
        age_y=93.0,
        age=Age(93.0),
        sex="female",
    )
    return AppState(
        recording=of,
        prediction=prediction(of, *reasons),
        package=IDENTITY,
        options=DisplayOptions(**options),
    )


def rendered(pdf: bytes, number: int = 0) -> np.ndarray:
    """Page as RGB at ten pixels to a millimetre."""
    page: Any = PdfDocument(pdf)[number]
    return np.asarray(page.render(scale=PX_PER_MM * 25.4 / 72).to_pil().convert("RGB")).astype(int)


def dark(image: np.ndarray) -> np.ndarray:
    return image.sum(axis=2) < 200


def pdf_text(pdf: bytes) -> str:
    document = PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
@pytest.mark.parametrize("layout", [Layout.GRID, Layout.ROWS])
def test_the_page_has_its_size_and_ten_seconds_at_25_mm_each(paper, layout):
    pdf = record_bytes(state(layout=layout), PDF, paper, "")
    page = PdfDocument(pdf)[0]
    width, height = (side / 72 * 25.4 for side in page.get_size())
    assert width == pytest.approx(paper.width_mm, abs=0.3)
    assert height == pytest.approx(paper.height_mm, abs=0.3)
    view = report_view(report_state(state(layout=layout), ""), paper, "")
    assert view.ecg[0].sheet.window_s == (0.0, 10.0)


def test_printed_millimetres_are_millimetres():
    image = rendered(record_bytes(state(show_variance=False), PDF, A4, ""))
    row = next(
        y for y in range(160, 600) if np.flatnonzero(dark(image)[y]).size > 0
    )  # the tops of the pulse and of the R waves
    view = report_view(report_state(state(show_variance=False), ""), A4, "")
    sheet = view.ecg[0].sheet
    left = (A4.width_mm - sheet.width_mm) / 2
    x_pulse, baseline = sheet.pulses[0].x_mm, sheet.pulses[0].baseline_mm
    top = int((16 + baseline - 10) * PX_PER_MM)
    columns = np.flatnonzero(dark(image)[top - 1 : top + 3].any(axis=0))
    begin = (left + x_pulse) * PX_PER_MM
    pulse = columns[(columns > begin - 20) & (columns < begin + 80)]
    assert row <= top + 3
    assert pulse.min() == pytest.approx(begin, abs=3)
    assert pulse.max() - pulse.min() == pytest.approx(0.2 * 25 * PX_PER_MM, abs=4)
    # The pulse is 10 mm high: 1 mV.
    column = dark(image)[top - 50 : top + 150, round(begin)]
    stroke = np.flatnonzero(column)
    assert stroke.max() - stroke.min() == pytest.approx(10 * PX_PER_MM, abs=4)
    # R waves one second apart in the first column: 25 mm.
    peaks = np.flatnonzero(dark(image)[top + 1, : round((left + 80) * PX_PER_MM)])
    peaks = peaks[peaks > begin + 100]
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > 20) + 1)
    centres = [group.mean() for group in groups]
    assert np.diff(centres)[0] == pytest.approx(25 * PX_PER_MM, abs=3)


def test_the_ruler_is_fifty_millimetres_long():
    image = rendered(record_bytes(state(), PDF, A4, ""))
    y = image.shape[0] - round((18 - 2 - 2 * 5 - 2.5) * PX_PER_MM)
    line = (image[y - 4 : y + 4, : 70 * PX_PER_MM].sum(axis=2) < 500).any(axis=0)
    first = int(np.flatnonzero(line)[0])
    length = int(np.argmin(line[first:]))
    assert length == pytest.approx(50 * PX_PER_MM, abs=3)


def test_the_result_page_says_interval_model_and_caveat():
    text = pdf_text(record_bytes(state(), PDF, A4, ""))
    for expected in (
        "90 % interval 43–66 %",
        "Left ventricular ejection fraction; estimate 55 %",
        "healthy women 54–74 %".capitalize(),
        "Lang et al.",
        "Demonstration model: trained on simulated echo outcomes.",
        "Research use only. Not a medical device.",
        "Test package 3.1.4",
        IDENTITY.package_id,
        "25 mm/s 10 mm/mV",
        "roe_jane.xml",
    ):
        assert expected in text


def test_a_withheld_result_is_printed_without_numbers():
    text = pdf_text(record_bytes(state(FLAT_LEAD), PDF, A4, ""))
    assert "Not reportable" in text
    # What the gate refuses is checked, and never given to the model.
    assert "model saw" not in text.lower()
    assert "Checked, without an estimate 0.0 to 10.0 s of the recording" in " ".join(text.split())
    assert "The model saw" in pdf_text(record_bytes(state(), PDF, A4, ""))
    assert "interval" not in text
    assert "Probability" not in text


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.key)
def test_a_de_identified_record_holds_no_identity(kind):
    content = record_bytes(state(), kind, A4, "ECG-0123")
    found = content.decode("latin-1") + (pdf_text(content) if kind is PDF else "")
    assert "ECG-0123" in found
    # Digits alone may turn up by chance in the random identifiers of DICOM and PDF.
    for secret in ("Roe", "roe_jane", "ID-4711", "2021-03-04", "20210304", "93 years"):
        assert secret not in found


def test_rows_too_high_for_the_paper_go_on_overleaf():
    tall = state(layout=Layout.ROWS, gain_mm_mv=20.0)
    view = report_view(report_state(tall, ""), A4, "")
    leads = [piece.lead for page in view.ecg for piece in page.sheet.pieces]
    assert len(view.ecg) > 1
    assert leads == list(STANDARD_LEADS)
    for page in view.ecg:
        assert page.bottom_mm - page.top_mm <= A4.height_mm - 34


def test_faster_paper_goes_on_overleaf_in_time():
    view = report_view(report_state(state(layout=Layout.ROWS, speed_mm_s=50.0), ""), LETTER, "")
    windows = sorted({page.sheet.window_s for page in view.ecg})
    assert windows[0][0] == 0.0
    assert windows[-1][1] == pytest.approx(10.0)
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(windows))


def test_saving_asks_writes_and_is_taken_down(qtbot, opened, tmp_path: Path):
    window = opened.window
    window._answers["export"]()
    dialog = window.findChild(ExportDialog)
    assert dialog.identity.checkedId() == 0
    assert not dialog.kind.currentText().startswith("FHIR")
    dialog.accept()
    chooser = window.findChild(QFileDialog)
    assert chooser.selectedFiles()[0].endswith(".pdf")
    assert "a.hea" not in chooser.selectedFiles()[0]
    path = tmp_path / "r.pdf"
    chooser.fileSelected.emit(str(path))
    chooser.close()
    qtbot.waitUntil(path.exists)
    qtbot.waitUntil(lambda: opened.controller.state.message is not None)
    assert opened.controller.state.message.text == "r.pdf was exported."
    log = [
        json.loads(line)
        for line in (window_folder(opened) / "audit.jsonl").read_text().splitlines()
    ]
    exported = [line for line in log if line["event"] == "exported"]
    assert exported[0]["kind"] == "report_pdf"
    assert exported[0]["deidentified"] is True


def window_folder(program) -> Path:
    return program.controller._settings_path.parent


def test_a_full_disk_keeps_the_old_file_and_says_so(qtbot, opened, tmp_path: Path, monkeypatch):
    path = tmp_path / "r.pdf"
    path.write_bytes(b"before")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    feature = opened.window.findChild(Exporter)
    feature.write(opened.controller.state, PDF, A4, Identity.KEPT, "", path)
    qtbot.waitUntil(lambda: opened.controller.state.message is not None)
    message = opened.controller.state.message
    assert message.text == (
        "Nothing was exported: No space left on device. The file of that name is as it was before."
    )
    assert message.hint
    assert list(tmp_path.glob(".r.pdf*")) == []
    assert path.read_bytes() == b"before"


def test_printing_asks_for_a_printer(qtbot, opened):
    opened.window._answers["print"]()
    opened.window.findChild(ExportDialog).accept()
    dialog = opened.window.findChild(QPrintDialog)
    assert dialog.isVisible()
    dialog.reject()


def test_printing_paints_the_same_pages(qtbot, opened, tmp_path: Path):
    printer = QPrinter()
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(tmp_path / "p.pdf"))
    printer.setResolution(pages.DPI)
    printer.setPageLayout(pages.page_layout(A4))
    feature = opened.window.findChild(Exporter)
    feature.print_on(printer, opened.controller.state, Identity.KEPT, "")
    qtbot.waitUntil(lambda: opened.controller.state.message is not None)
    printed = pypdfium2.PdfDocument((tmp_path / "p.pdf").read_bytes())
    assert len(printed) == 2
    assert printed[0].get_size()[0] / 72 * 25.4 == pytest.approx(297, abs=0.3)


def test_a_sub_state_keeps_result_and_recording_together():
    derived = report_state(state(), "ECG-1")
    assert derived.prediction
    assert derived.recording
    assert derived.prediction.recording_id == derived.recording.recording_id == "ECG-1"
    with pytest.raises(ValueError, match="no recording"):
        report_state(replace(derived, recording=None, prediction=None), "")


ELECTRODES = Reason("electrodes", Severity.CONFIRM, "The arm electrodes may be exchanged.")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (state(ELECTRODES), "A question about this ECG was not answered"),
        (replace(state(), prediction=None), "No estimate was made of this ECG."),
    ],
    ids=["a question", "no estimate"],
)
def test_paper_asks_nothing_of_its_reader(made, said):
    text = pdf_text(record_bytes(made, PDF, A4, "")).replace("\r\n", " ")
    assert said in text
    assert "answer:" not in text
    assert "Choose Estimate" not in text


class Noting(QPainter):
    """Paints, and notes where which text reaches to, mm of the sheet."""

    def __init__(self, image: QImage) -> None:
        super().__init__(image)
        self.ends_mm: dict[str, float] = {}

    def drawText(self, *args: Any, **named: Any) -> Any:
        place, _flags, text = args
        end = place.left() + self.fontMetrics().horizontalAdvance(text)
        self.ends_mm[text] = end / PX_PER_MM
        return super().drawText(*args, **named)


@pytest.mark.parametrize(
    ("duration_s", "says"),
    [(2.0, "aVR"), (5.0, "aVR: missing"), (10.0, "aVR is not in the file")],
)
def test_what_is_said_of_a_missing_lead_stays_in_its_column(duration_s, says):
    leads = tuple(lead for lead in STANDARD_LEADS if lead != "aVR")
    of = recording("short.hea", spike_signal(duration_s, n_leads=len(leads)), leads=leads)
    sheet = lay_out(of, DisplayOptions(layout=Layout.GRID))
    image = QImage(3000, 1500, QImage.Format.Format_RGB32)
    area = QRectF(0, 0, 3000, 1500)
    painter = Noting(image)
    camera = Camera(px_per_mm=PX_PER_MM, x_px=0, y_px=0, area=area, pixel_ratio=1.0)
    paint_sheet(painter, sheet, camera, {})
    painter.end()
    columns = sorted({piece.x_mm for piece in sheet.pieces})
    (start_mm,) = (piece.x_mm for piece in sheet.pieces if piece.lead == "aVR")
    assert painter.ends_mm[says] < columns[columns.index(start_mm) + 1]
