"""The researcher's bench through the window, with the default package and the demonstration ECG."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QAccessible, QColor, QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import QLabel, QPushButton

from echoing_gui import theme, wiring
from echoing_gui.features.bench.ask_panel import AskPanel
from echoing_gui.features.bench.asker import Asker
from echoing_gui.features.bench.compare_panel import ComparePanel
from echoing_gui.features.bench.map_widget import MapWidget
from echoing_gui.features.bench.maps_panel import MapsPanel
from echoing_gui.features.bench.outlines import cell_rects
from echoing_gui.features.bench.segments_panel import SegmentsPanel
from echoing_gui.features.bench.view import uncertain_cells
from echoing_gui.graphics import paper
from echoing_gui.packages import PackageLibrary
from echoing_gui.resources import default_package_path, demo_recording_path
from echoing_gui.state import DisplayOptions, Layout
from echoing_gui.state_bench import Cell
from echoing_gui.view_models.results import result_view
from echoing_gui.view_models.sheet import lay_out
from model_core.io import read_recording
from model_core.types import SegmentVariance
from tests.gui_factory import FLAT_LEAD, FakeServices
from tests.package_factory import contents, write_package
from tests.test_gui_window import has_result

DEMO = "demo_simulated_ecg.hea"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("no packages")
    return wiring.load_chosen_model(PackageLibrary(default_package_path(), folder, folder))


@pytest.fixture(scope="module")
def demo():
    return read_recording(demo_recording_path())


@pytest.fixture
def desk(qtbot, model, demo, tmp_path):
    """The demonstration ECG in 12x1 with the result of the default package."""
    services = replace(FakeServices({DEMO: demo}).services(), load_model=lambda: model)
    made = wiring.build(services, tmp_path)
    made.window.resize(1700, 950)
    made.window.show()
    made.controller.calibrate(4.0)
    made.controller.load_package()
    options = made.controller.state.options
    made.controller.set_options(replace(options, layout=Layout.ROWS))
    made.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: has_result(made, DEMO), timeout=20_000)
    yield made
    made.window.close()
    made.window.deleteLater()
    made.controller.deleteLater()


def bench(program):
    return program.controller.state.bench


def press(qtbot, program, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(program.window, key, modifier)


def page(program, kind):
    return program.window.findChild(kind)


def asker_of(program):
    return program.window.findChild(Asker)


def shown_texts(widget):
    return [each.text() for each in widget.findChildren(QLabel) if each.isVisibleTo(widget)]


def button(widget, text):
    found = [b for b in widget.findChildren(QPushButton) if text in b.text().replace("&", "")]
    assert len(found) == 1
    return found[0]


def asked(qtbot, program):
    qtbot.waitUntil(lambda: bench(program).what_if is not None, timeout=20_000)
    return bench(program)


def test_n_outlines_the_next_uncertain_segment_in_sight_and_says_it(qtbot, desk, monkeypatch):
    spoken = []
    real = QAccessible.updateAccessibility
    monkeypatch.setattr(
        QAccessible,
        "updateAccessibility",
        lambda event: (spoken.append(event), real(event)),
    )
    state = desk.controller.state
    everywhere = uncertain_cells(state.prediction.segment_variance)
    assert len(everywhere) > 2
    press(qtbot, desk, Qt.Key.Key_N)
    assert bench(desk).current == everywhere[0]
    press(qtbot, desk, Qt.Key.Key_N)
    assert bench(desk).current == everywhere[1]
    announced = [e.message() for e in spoken if e.type() == QAccessible.Event.Announcement]
    assert any("Uncertain segment 2 of" in text for text in announced)
    view = desk.window.traces.view
    camera = view.camera(view.devicePixelRatioF())
    (place,) = cell_rects(view.sheet, camera, everywhere[1], np.linspace(0, 10, 21))
    assert camera.area.contains(place)
    press(qtbot, desk, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert bench(desk).current == everywhere[0]


def test_table_and_trace_choose_the_same_segment(qtbot, desk):
    desk.window.show_page("segments")
    table = page(desk, SegmentsPanel).table
    model = table.model()
    assert model.rowCount() == 240
    view = desk.window.traces.view
    camera = view.camera(view.devicePixelRatioF())
    (place,) = cell_rects(view.sheet, camera, Cell("II", 4), np.linspace(0, 10, 21))
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert bench(desk).current == Cell("II", 4)
    (row,) = table.selectionModel().selectedRows()
    assert [model.index(row.row(), column).data() for column in range(3)] == ["II", "2.00", "2.50"]
    # And back: a row brings its segment into sight.
    target = next(r for r in range(240) if model.index(r, 0).data() == "V6")
    view.verticalScrollBar().setValue(0)
    table.selectRow(target)
    assert bench(desk).chosen == {Cell("V6", 0)}
    camera = view.camera(view.devicePixelRatioF())
    (place,) = cell_rects(view.sheet, camera, Cell("V6", 0), np.linspace(0, 10, 21))
    assert camera.area.contains(place)


def place_of(desk, cell: Cell) -> QRectF:
    view = desk.window.traces.view
    camera = view.camera(view.devicePixelRatioF())
    (place,) = cell_rects(view.sheet, camera, cell, np.linspace(0, 10, 21))
    return place & camera.area


@pytest.mark.parametrize("by_enter", [False, True])
def test_a_selection_is_zoomed_to_and_ctrl_0_goes_back(qtbot, desk, by_enter):
    desk.window.show_page("segments")
    table = page(desk, SegmentsPanel).table
    row = next(r for r in range(240) if table.model().index(r, 0).data() == "V6")
    table.selectRow(row + 19)  # the last segment of the last lead
    before = place_of(desk, Cell("V6", 19))
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_Return if by_enter else Qt.Key.Key_Z)
    assert desk.controller.state.options.zoom == 3.0
    after = place_of(desk, Cell("V6", 19))
    assert (after.width(), after.height()) == pytest.approx(
        (3 * before.width(), 3 * before.height()), abs=2
    )
    assert "NOT TO SCALE" in desk.window.traces.view.band_texts().not_to_scale
    press(qtbot, desk, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert desk.window.traces.view.band_texts().not_to_scale == ""


def test_a_wide_selection_fits(qtbot, desk):
    desk.window.show_page("segments")
    asker_of(desk).choose(frozenset(Cell("II", n) for n in range(4, 12)), Cell("II", 4))
    press(qtbot, desk, Qt.Key.Key_Z)
    zoom = desk.controller.state.options.zoom
    assert 1.0 < zoom < 3.0
    view = desk.window.traces.view
    area = view.camera(view.devicePixelRatioF()).area
    first, last = place_of(desk, Cell("II", 4)), place_of(desk, Cell("II", 11))
    assert area.left() < first.left() < last.right() < area.right()
    assert first.width() == pytest.approx(last.width(), abs=1)  # neither is cut off


def test_table_sorts_by_number_and_copies_what_is_selected(qtbot, desk):
    desk.window.show_page("segments")
    panel = page(desk, SegmentsPanel)
    model = panel.table.model()
    panel.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    variances = [model.index(row, 3).data() for row in range(240)]
    assert [float(v) for v in variances] == sorted((float(v) for v in variances), reverse=True)
    highest = desk.controller.state.prediction.segment_variance.variance.max()
    panel.table.selectRow(0)
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    (row,) = csv.DictReader(io.StringIO(QGuiApplication.clipboard().text()))
    assert float(row["variance"]) == pytest.approx(highest, rel=1e-3)
    package = desk.controller.state.prediction.package
    assert (row["package_sha256"], row["caveat"]) == (package.package_id, package.caveat)
    assert "Research use only" in row["research_use"]
    panel.table.clearSelection()
    button(panel, "Copy").click()
    assert len(list(csv.reader(io.StringIO(QGuiApplication.clipboard().text())))) == 241


def test_what_covers_a_segment_comes_when_the_table_is_looked_at(qtbot, desk):
    assert bench(desk).covered is None  # nothing is worked out for those who do not look
    desk.window.show_page("segments")
    qtbot.waitUntil(lambda: bench(desk).covered is not None, timeout=20_000)
    model = page(desk, SegmentsPanel).table.model()
    covers = [model.index(row, 6).data() for row in range(240)]
    assert any("QRS" in text for text in covers)
    assert any("artefact" in text for text in covers)


def test_hiding_a_segment_shows_what_if_beside_the_original(qtbot, desk):
    before = result_view(desk.controller.state)
    press(qtbot, desk, Qt.Key.Key_N)
    press(qtbot, desk, Qt.Key.Key_H)
    found = asked(qtbot, desk)
    assert found.hidden == {found.current}
    panel = page(desk, AskPanel)
    texts = shown_texts(panel)
    assert any(text.startswith("What-if, not a result") for text in texts)
    assert any("declared missing" in text for text in texts)
    assert found.whole.embedding_variance == desk.controller.state.prediction.embedding_variance
    assert found.what_if.estimates[0].value != found.whole.estimates[0].value
    # The result stays the result.
    assert result_view(desk.controller.state) == before
    # The same again shows it again.
    press(qtbot, desk, Qt.Key.Key_H)
    assert bench(desk).hidden == frozenset()
    assert bench(desk).what_if is None
    assert not any(text.startswith("What-if, not a result") for text in shown_texts(panel))


def test_lead_and_beat_are_hidden_together_and_cleared_at_once(qtbot, desk):
    desk.window.show_page("bench")
    qtbot.waitUntil(lambda: bench(desk).covered is not None, timeout=20_000)
    press(qtbot, desk, Qt.Key.Key_N)
    lead, number = bench(desk).current.lead, bench(desk).current.segment
    panel = page(desk, AskPanel)
    button(panel, "Hide leads").click()
    assert bench(desk).hidden == {Cell(lead, n) for n in range(20)}
    button(panel, "Hide beat").click()
    hidden = bench(desk).hidden
    other = next(name for name in ("I", "V6") if name != lead)
    beat = {cell.segment for cell in hidden if cell.lead == other}
    assert number in beat
    assert 1 <= len(beat) <= 4
    found = asked(qtbot, desk)
    assert found.what_if.embedding_variance > found.whole.embedding_variance
    assert (np.isnan(found.what_if.segment_variance)).sum() == len(hidden)
    button(panel, "Show all again").click()
    assert bench(desk).hidden == frozenset()
    assert bench(desk).what_if is None


def test_a_beat_can_be_hidden_before_anybody_looked_for_beats(qtbot, desk):
    press(qtbot, desk, Qt.Key.Key_N)
    assert bench(desk).covered is None
    press(qtbot, desk, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    found = asked(qtbot, desk)
    assert {cell.lead for cell in found.hidden} == set(found.prediction.segment_variance.lead_names)
    assert found.trouble == ""


def test_everything_cannot_be_hidden(qtbot, desk):
    desk.window.show_page("segments")
    page(desk, SegmentsPanel).table.selectAll()
    desk.window.show_page("bench")
    button(page(desk, AskPanel), "Hide segments").click()
    assert bench(desk).hidden == frozenset()
    assert any("must be left" in text for text in shown_texts(page(desk, AskPanel)))


def test_occlusion_map_shows_progress_can_be_stopped_and_tells_its_agreement(qtbot, desk):
    desk.window.show_page("bench")
    panel = page(desk, MapsPanel)
    button(panel, "Map occlusion").click()
    qtbot.waitUntil(lambda: bench(desk).occlusion is not None, timeout=20_000)
    button(panel, "Stop").click()
    stopped = bench(desk).occlusion.share_done
    assert 0 < stopped < 1
    assert not bench(desk).occluding
    button(panel, "Map occlusion").click()
    qtbot.waitUntil(
        lambda: bench(desk).occlusion is not None and bench(desk).occlusion.share_done == 1,
        timeout=60_000,
    )
    assert any("Spearman" in text and "agree" in text for text in shown_texts(panel))
    maps = [each for each in panel.findChildren(MapWidget) if each.isVisibleTo(panel)]
    assert len(maps) == 2
    maps[1].setFocus()
    qtbot.keyClick(maps[1], Qt.Key.Key_Right)
    qtbot.keyClick(maps[1], Qt.Key.Key_Right)
    assert bench(desk).current == Cell("I", 1)
    assert "0.50–1.00 s" in maps[1].accessibleDescription()


def test_shuffled_weights_give_another_map(qtbot, desk):
    desk.window.show_page("bench")
    button(page(desk, MapsPanel), "Shuffle").click()
    qtbot.waitUntil(lambda: bench(desk).shuffled is not None, timeout=60_000)
    assert bench(desk).shuffled.variance.shape == (3, 12, 20)
    assert any("seeds 1, 2, 3" in text for text in shown_texts(page(desk, MapsPanel)))


def test_two_packages_side_by_side_with_names_versions_and_hashes(qtbot, desk, tmp_path):
    folder = write_package(tmp_path / "other", contents())
    desk.window.show_page("bench")
    page(desk, ComparePanel).compareRequested.emit(str(folder))
    qtbot.waitUntil(lambda: bench(desk).other is not None, timeout=20_000)
    # Qt shows new labels once it gets round to it.
    qtbot.waitUntil(lambda: "test student" in shown_texts(page(desk, ComparePanel)))
    texts = shown_texts(page(desk, ComparePanel))
    own = desk.controller.state.prediction.package
    other = bench(desk).other.identity
    assert other.name == "test student"
    for package in (own, other):
        assert package.name in texts
        assert package.version in texts
        assert package.package_id[:12] in texts
    assert "58 % (48–68)" in texts  # what the package made for tests says of every ECG
    assert desk.controller.state.prediction.package == own


def test_a_folder_without_a_package_is_told_in_a_sentence(qtbot, desk, tmp_path):
    desk.window.show_page("bench")
    page(desk, ComparePanel).compareRequested.emit(str(tmp_path))
    qtbot.waitUntil(lambda: bench(desk).trouble != "", timeout=20_000)
    assert any("manifest.json" in text for text in shown_texts(page(desk, AskPanel)))
    assert not bench(desk).comparing


def test_another_ecg_takes_nothing_along(qtbot, desk):
    press(qtbot, desk, Qt.Key.Key_N)
    press(qtbot, desk, Qt.Key.Key_H)
    asked(qtbot, desk)
    desk.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: not has_result(desk, DEMO), timeout=20_000)
    qtbot.waitUntil(lambda: has_result(desk, DEMO), timeout=20_000)
    desk.window.show_page("bench")
    assert not any(
        text.startswith("What-if, not a result") for text in shown_texts(page(desk, AskPanel))
    )
    assert not page(desk, AskPanel).findChildren(QPushButton)[0].isEnabled()


def test_a_withheld_result_cannot_be_asked_about(qtbot, program, fake):
    fake.reasons["a.hea"] = (FLAT_LEAD,)
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.prediction is not None)
    program.window.show_page("bench")
    panel = page(program, AskPanel)
    assert any("nothing to ask about" in text for text in shown_texts(panel))
    hiding = [each for each in panel.findChildren(QPushButton) if "Hide" in each.text()]
    assert len(hiding) == 3
    assert not any(each.isEnabled() for each in hiding)


def rendered(sheet, ratio):
    """Pixels of a sheet, (height, width, 3)."""
    image = QImage(round(1100 * ratio), round(550 * ratio), QImage.Format.Format_RGB32)
    area = QRectF(0, 0, image.width(), image.height())
    painter = QPainter(image)
    paper.paint_sheet(painter, sheet, paper.Camera(4.0 * ratio, 0, 0, area, ratio), {})
    painter.end()
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    return raw[:, :, :3].astype(int)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("layout", [Layout.GRID, Layout.ROWS])
def test_variance_never_changes_a_pixel_of_a_trace(qapp, demo, ratio, layout):
    rng = np.random.default_rng(1)
    cells = SegmentVariance(
        np.exp(rng.normal(0, 2, (12, 20))), demo.lead_names, np.linspace(0, 10, 21), (0.1, 10.0)
    )
    options = DisplayOptions(layout=layout)
    tinted = replace(options, variance_underlay=True)
    sheets = {
        "off": lay_out(demo, options),
        "strips": lay_out(demo, options, variance=cells),
        "underlay": lay_out(demo, tinted, variance=cells),
    }
    # Names have another colour than traces; blank ones leave nothing but traces and pulses.
    for key, sheet in sheets.items():
        pieces = tuple(replace(piece, lead=" ") for piece in sheet.pieces)
        sheets[key] = replace(sheet, pieces=pieces)
    bare = {k: replace(sheet, pieces=(), pulses=()) for k, sheet in sheets.items()}
    with_traces = {key: rendered(sheet, ratio) for key, sheet in sheets.items()}
    without = {key: rendered(sheet, ratio) for key, sheet in bare.items()}
    colour = QColor(theme.TRACE)
    ink = np.array([colour.blue(), colour.green(), colour.red()])
    drawn = np.abs(with_traces["off"] - without["off"]).max(2) > 0
    solid = np.abs(with_traces["off"] - ink).max(2) == 0
    assert drawn.sum() > 5000
    assert solid.sum() > 100
    assert (np.abs(without["underlay"] - without["off"]).max(2) > 20).mean() > 0.2
    # Strips lie where no trace is: no pixel of a trace knows of them.
    assert (with_traces["strips"][drawn] == with_traces["off"][drawn]).all()
    # Behind a trace the paper is tinted: where ink covers a pixel it is the same to the last bit,
    # and at the soft edges it covers the tint as much as it covered the paper.
    assert (with_traces["underlay"][solid] == ink).all()
    share = (without["off"] - with_traces["off"]) / np.maximum(without["off"] - ink, 1)
    expected = without["underlay"] + share * (ink - without["underlay"])
    # Up to eight strokes cross in a pixel, and each rounds; a tint above would show by 20 or more.
    assert np.abs(with_traces["underlay"] - expected).max() <= 8


def test_a_trace_stands_out_from_the_darkest_tint():
    for value in np.geomspace(0.05, 20, 30):
        tint = "#{:02x}{:02x}{:02x}".format(*theme.tint_rgb(value, (0.1, 10.0)))
        assert theme.contrast(theme.TRACE, tint) >= 7


def test_underlay_is_asked_for_by_a_key_and_hidden_with_the_strips(qtbot, desk):
    view = desk.window.traces.view
    assert all(strip.tint_top_mm is None for strip in view.sheet.strips)
    press(qtbot, desk, Qt.Key.Key_U, Qt.KeyboardModifier.ControlModifier)
    assert len(view.sheet.strips) == 12
    assert all(strip.tint_top_mm < strip.y_mm for strip in view.sheet.strips)
    qtbot.keyPress(desk.window, Qt.Key.Key_U)
    assert not view.sheet.strips
    qtbot.keyRelease(desk.window, Qt.Key.Key_U)
    assert view.sheet.strips


def test_a_covered_estimate_cannot_be_found_out_by_asking(qtbot, desk):
    options = desk.controller.state.options
    desk.controller.set_options(replace(options, read_first=True))
    desk.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: desk.controller.state.covered, timeout=20_000)
    desk.window.show_page("bench")
    press(qtbot, desk, Qt.Key.Key_N)
    press(qtbot, desk, Qt.Key.Key_H)
    panel = page(desk, AskPanel)
    assert any("covered" in text for text in shown_texts(panel))
    assert not any("LVEF" in text for text in shown_texts(panel))
    assert bench(desk).what_if is None
