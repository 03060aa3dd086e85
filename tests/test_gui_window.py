"""The window as a user meets it: open, wait, read, stop, go wrong, go on."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QFocusEvent
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QToolButton,
    QTreeWidget,
    QWidget,
)

from echoing_gui.calibration_dialog import CHECK_MM, CalibrationDialog, _Bar
from echoing_gui.dialogs import AboutDialog, KeysDialog
from echoing_gui.errors import ErrorDialog
from echoing_gui.state import DisplayOptions, Layout, LeadOrder, ScreenFacts, Stage
from echoing_gui.window_parts import screen_facts
from model_core.errors import PackageError
from tests.conftest import settle
from tests.gui_factory import FLAT_LEAD, IDENTITY, NOISY_LEAD, make_program, recording, spike_signal


def open_and_wait(qtbot, program, name="a.hea"):
    program.controller.open_file(Path(name))
    qtbot.waitUntil(lambda: has_result(program, name))


def has_result(program, name):
    state = program.controller.state
    return (
        state.job.stage is Stage.IDLE
        and state.prediction is not None
        and state.recording.source_name == name
    )


def visible_texts(widget):
    """Everything a reader or a screen reader can find in visible widgets, by widget."""
    found = {}
    for child in [widget, *widget.findChildren(QWidget)]:
        if child.isVisible():
            text = child.text() if isinstance(child, QLabel) else ""
            found[child] = f"{text} {child.accessibleName()} {child.accessibleDescription()}"
    return found


def hidden_texts(widget):
    return [
        f"{child.text() if isinstance(child, QLabel) else ''} {child.accessibleName()}"
        for child in widget.findChildren(QWidget)
        if not child.isVisible()
    ]


def label_texts(program):
    return [label.text() for label in program.window.findChildren(QLabel) if label.isVisible()]


def test_result_is_shown_with_interval_model_and_caveat(qtbot, program):
    open_and_wait(qtbot, program)
    texts = " | ".join(label_texts(program))
    for expected in (
        "55 %", "90 % interval 43–66 %", "120 ml", "90 % interval 85–170 ml", "12 %",
        "Test package 3.1.4", IDENTITY.caveat, "a.hea",
    ):  # fmt: skip
        assert expected in texts


def test_caveat_is_visible_before_and_with_every_result_and_outside_the_scroll_area(
    qtbot, program, fake
):
    fake.reasons["b.hea"] = (FLAT_LEAD,)
    header = program.window.measures.header
    program.window.show_view()
    for name in (None, "a.hea", "b.hea"):
        if name:
            open_and_wait(qtbot, program, name)
        banners = [
            label for label in header.findChildren(QLabel) if IDENTITY.caveat in label.text()
        ]
        assert len(banners) == 1
        assert banners[0].isVisible()
        assert "Not a medical device" in banners[0].text()


def test_not_reportable_leaves_no_digit_of_a_result(qtbot, program, fake):
    open_and_wait(qtbot, program, "a.hea")
    fake.reasons["b.hea"] = (FLAT_LEAD,)
    open_and_wait(qtbot, program, "b.hea")
    panel = program.window.measures
    texts = visible_texts(panel) | visible_texts(panel.header)
    assert any(FLAT_LEAD.message in text for text in texts.values())
    assert any("Not reportable" in text for text in texts.values())
    with_digits = [text for text in texts.values() if any(c.isdigit() for c in text)]
    assert all("Model package" in text for text in with_digits), with_digits
    # Names of measures are fixed; nothing of the result before may wait in a hidden widget.
    assert not [text for text in hidden_texts(panel) if any(c.isdigit() for c in text)]
    assert not program.window.traces.view.sheet.strips


def test_cautions_stand_with_the_estimate(qtbot, program, fake):
    fake.reasons["a.hea"] = (NOISY_LEAD,)
    open_and_wait(qtbot, program)
    (chip,) = program.window.measures.findChildren(QToolButton, "chip")
    qtbot.waitUntil(chip.isVisible)
    assert chip.text() == "Noise in V3"
    assert NOISY_LEAD.message in chip.accessibleName()
    QApplication.sendEvent(chip, QFocusEvent(QEvent.Type.FocusIn))
    assert NOISY_LEAD.message in label_texts(program)
    assert "55 %" in label_texts(program)


def test_opening_another_file_clears_the_result_first_and_cancels_the_job(qtbot, program, fake):
    open_and_wait(qtbot, program, "a.hea")
    fake.hold["b.hea"] = threading.Event()
    program.controller.open_file(Path("b.hea"))
    assert program.controller.state.prediction is None
    assert not [text for text in label_texts(program) if "55 %" in text]
    # Not only asked for: a job that has not begun is dropped without a word.
    qtbot.waitUntil(lambda: fake.held == ["b.hea"], timeout=30_000)
    assert program.controller.state.job.stage is Stage.PREDICTING
    open_and_wait(qtbot, program, "a.hea")
    qtbot.waitUntil(lambda: fake.cancelled == ["b.hea"], timeout=30_000)
    assert program.controller.state.recording.source_name == "a.hea"


def test_a_late_file_is_dropped(qtbot, program, fake):
    fake.read_hold["b.hea"] = threading.Event()
    program.controller.open_file(Path("b.hea"))
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))
    shown = []
    program.controller.state_changed.connect(lambda _old, new: shown.append(new))
    fake.read_hold["b.hea"].set()
    qtbot.wait(100)
    # Measurements of a.hea may still come.
    assert all(
        new.recording.source_name == "a.hea" and has_result(program, "a.hea") for new in shown
    )
    assert program.controller.state.recording.source_name == "a.hea"


def test_an_error_keeps_the_last_good_recording_with_its_own_result(qtbot, program):
    open_and_wait(qtbot, program, "a.hea")
    before = program.controller.state
    program.controller.open_file(Path("broken.hea"))
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    state = program.controller.state
    assert state.recording is before.recording
    assert state.prediction is before.prediction
    texts = " ".join(label_texts(program))
    assert "broken.hea was not opened. The file is damaged. Export it again." in texts
    assert program.window.traces.view.band_texts().source == "a.hea"
    program.window.messageCloseRequested.emit()
    assert "damaged" not in " ".join(label_texts(program))


def test_an_error_on_the_first_file_leaves_the_start_page(qtbot, program):
    program.controller.open_file(Path("broken.hea"))
    qtbot.waitUntil(lambda: program.controller.state.message is not None)
    assert program.controller.state.recording is None
    assert not program.window.traces.view.isVisible()


def test_escape_stops_a_prediction_and_ctrl_r_runs_it_again(qtbot, program, fake):
    fake.hold["a.hea"] = threading.Event()
    program.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: program.controller.state.job.stage is Stage.PREDICTING)
    assert "Predicting" in label_texts(program)
    qtbot.keyClick(program.window, Qt.Key.Key_Escape)
    assert program.controller.state.job.stage is Stage.IDLE
    assert program.controller.state.prediction is None
    fake.hold.clear()
    qtbot.keyClick(program.window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: has_result(program, "a.hea"))


def test_an_unexpected_error_withdraws_the_result_and_offers_details(qtbot, program, fake):
    open_and_wait(qtbot, program, "a.hea")
    fake.broken = RuntimeError("the moon is in the wrong house")
    program.controller.open_file(Path("b.hea"))
    qtbot.waitUntil(lambda: program.window.findChild(ErrorDialog) is not None)
    assert program.controller.state.prediction is None
    dialog = program.window.findChild(ErrorDialog)
    told = dialog.findChild(QPlainTextEdit).toPlainText()
    assert "RuntimeError" in told
    # What an error says may name a file.
    assert "wrong house" not in told
    dialog.close()


def test_the_recording_page_says_what_will_stand_there(program):
    program.window.show_view()
    program.window.show_page("recording")
    assert any(text.startswith("No ECG is open.") for text in label_texts(program))


def test_without_a_model_package_the_ecg_is_still_shown(qtbot, fake, tmp_path):
    fake.package_error = PackageError("The model package is damaged.", hint="Install it again.")
    made = make_program(fake, tmp_path)
    made.window.show()
    made.controller.load_package()
    qtbot.waitUntil(lambda: made.controller.state.package_failed is not None)
    made.controller.open_file(Path("a.hea"))
    qtbot.waitUntil(lambda: made.controller.state.recording is not None)
    assert made.window.traces.view.isVisible()
    assert "No model package" in label_texts(made)
    assert any("Model packages… in the menu Model" in text for text in label_texts(made))
    made.window.show_page("bench")
    assert any("No model package is in use" in text for text in label_texts(made))
    assert not any("holds no network for text" in text for text in label_texts(made))
    made.window.close()
    made.window.deleteLater()
    made.controller.deleteLater()


def drop(window, urls):
    data = QMimeData()
    data.setUrls(urls)
    place = (
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    enter = QDragEnterEvent(QPoint(50, 50), *place)
    QApplication.sendEvent(window, enter)
    if enter.isAccepted():
        QApplication.sendEvent(window, QDropEvent(QPointF(50, 50), *place))
    return enter.isAccepted()


def test_a_dropped_file_is_opened(qtbot, program, tmp_path):
    assert drop(program.window, [QUrl.fromLocalFile(str(tmp_path / "b.hea"))])
    qtbot.waitUntil(lambda: has_result(program, "b.hea"))


def test_addresses_are_not_accepted(program):
    assert not drop(program.window, [QUrl("https://example.org/b.hea")])
    mixed = [QUrl.fromLocalFile("/a.hea"), QUrl("https://example.org/b.hea")]
    assert not drop(program.window, mixed)


def test_a_dropped_header_with_its_samples_is_one_ecg(qtbot, program, tmp_path):
    files = [tmp_path / "b.dat", tmp_path / "b.hea"]
    assert drop(program.window, [QUrl.fromLocalFile(str(path)) for path in files])
    qtbot.waitUntil(lambda: has_result(program, "b.hea"))


@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_folder_or_several_files_are_offered_as_a_work_list(
    qtbot, program, tmp_path, whole_folder
):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    files = [folder / f"e{n}.hea" for n in range(3)]
    for path in files:
        path.write_text("ecg 12 500 5000")
    dropped = [folder] if whole_folder else files
    assert drop(program.window, [QUrl.fromLocalFile(str(path)) for path in dropped])

    def work_list():
        return program.controller.state.work_list

    assert work_list() is None  # nothing happens unasked
    box = program.window.findChild(QMessageBox)
    assert str(folder) not in box.text()
    box.defaultButton().click()
    qtbot.waitUntil(lambda: work_list() is not None and not work_list().listing)
    assert sorted(row.path for row in work_list().rows) == files
    table = tmp_path / "work_list" / "dropped.csv"
    assert table.exists() is not whole_folder
    program.window.trigger("close_list")
    assert not table.exists()


def test_folders_and_files_together_are_told_not_to_make_a_list(program, tmp_path):
    (tmp_path / "ecgs").mkdir()
    dropped = [tmp_path / "ecgs", tmp_path / "a.hea", tmp_path / "b.hea"]
    assert drop(program.window, [QUrl.fromLocalFile(str(path)) for path in dropped])
    assert "make no work list" in program.controller.state.message.text
    assert program.controller.state.message.hint


def test_the_file_dialog_opens_what_was_chosen(qtbot, program, tmp_path):
    (tmp_path / "b.hea").touch()
    qtbot.keyClick(program.window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    dialog = program.window.findChild(QFileDialog)
    assert "*.hea" in dialog.nameFilters()[0]
    dialog.fileSelected.emit(str(tmp_path / "b.hea"))
    dialog.close()
    qtbot.waitUntil(lambda: has_result(program, "b.hea"))


def test_the_demonstration_is_labelled_as_simulated(qtbot, program):
    qtbot.keyClick(program.window, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: has_result(program, "demo.hea"))
    assert program.window.traces.view.band_texts().simulated == "SIMULATED ECG"
    open_and_wait(qtbot, program, "a.hea")
    assert not program.window.traces.view.band_texts().simulated


def test_the_title_never_names_the_file(qtbot, program):
    open_and_wait(qtbot, program)
    assert program.window.windowTitle() == "EchoingECG"


@pytest.mark.parametrize(
    ("key", "modifier", "read", "expected"),
    [
        (Qt.Key.Key_2, "Control", lambda o: o.layout, Layout.ROWS),
        (Qt.Key.Key_1, "Control", lambda o: o.layout, Layout.GRID),
        (Qt.Key.Key_1, "Alt", lambda o: o.speed_mm_s, 12.5),
        (Qt.Key.Key_3, "Alt", lambda o: o.speed_mm_s, 50.0),
        (Qt.Key.Key_4, "Alt", lambda o: o.speed_mm_s, 100.0),
        (Qt.Key.Key_5, "Alt", lambda o: o.gain_mm_mv, 2.5),
        (Qt.Key.Key_8, "Alt", lambda o: o.gain_mm_mv, 20.0),
        (Qt.Key.Key_9, "Alt", lambda o: o.half_precordials, True),
        (Qt.Key.Key_3, "Control", lambda o: o.layout, Layout.GRID_3),
        (Qt.Key.Key_4, "Control", lambda o: o.layout, Layout.SIX),
        (Qt.Key.Key_5, "Control", lambda o: o.layout, Layout.FOUR),
        (Qt.Key.Key_6, "Control", lambda o: o.order, LeadOrder.CABRERA),
        (Qt.Key.Key_8, "Control", lambda o: o.rhythm_lead, "V1"),
        (Qt.Key.Key_Plus, "Control", lambda o: o.zoom, 1.25),
        (Qt.Key.Key_Minus, "Control", lambda o: o.zoom, 0.8),
        (Qt.Key.Key_U, "Shift", lambda o: o.show_variance, False),
    ],
)
def test_keys_change_how_the_ecg_is_drawn(qtbot, program, key, modifier, read, expected):
    qtbot.keyClick(program.window, key, Qt.KeyboardModifier[f"{modifier}Modifier"])
    assert read(program.controller.state.options) == expected


def test_choosing_what_is_chosen_keeps_its_tick(qtbot, program):
    action = program.window._qactions["speed_25"]
    action.trigger()
    assert action.isChecked()
    assert program.controller.state.options.speed_mm_s == 25.0


def test_zoom_raises_the_warning_and_ctrl_0_takes_it_away(qtbot, program):
    open_and_wait(qtbot, program)
    view = program.window.traces.view
    assert view.band_texts().not_to_scale == ""
    qtbot.keyClick(program.window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    assert view.band_texts().not_to_scale == "NOT TO SCALE: zoom 125 %"
    assert program.window._scale.text() == "NOT TO SCALE: zoom 125 %"
    qtbot.keyClick(program.window, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert view.band_texts().not_to_scale == ""


def test_holding_u_hides_the_strips_while_it_is_down(qtbot, program):
    open_and_wait(qtbot, program)
    view = program.window.traces.view
    assert len(view.sheet.strips) == 13
    qtbot.keyPress(program.window, Qt.Key.Key_U)
    assert not view.sheet.strips
    qtbot.keyRelease(program.window, Qt.Key.Key_U)
    assert len(view.sheet.strips) == 13


def test_hovering_tells_lead_time_and_variance(qtbot, program):
    open_and_wait(qtbot, program)
    view = program.window.traces.view
    strip = next(s for s in view.sheet.strips if s.lead == "aVL")
    camera = view.camera(1.0)
    at_s = 3.1
    place = QPointF(
        camera.x_px + 4 * (strip.x_mm + (at_s - 2.5) * 25), camera.y_px + 4 * (strip.y_mm + 1)
    )
    said = []
    view.hovered.connect(said.append)
    qtbot.mouseMove(view.viewport(), place.toPoint())
    text = view.text_at(place)
    # Lead aVL is the fifth row of the map, 3.0 to 3.2 s its sixteenth segment.
    value = 0.1 + 1.9 * (4 * 50 + 15) / 599
    assert text.startswith("Lead aVL, 3.1")
    assert f"segment 3.00–3.20 s, variance {value:.2f}" in text
    qtbot.waitUntil(lambda: bool(said))
    assert said[-1].startswith("Lead aVL, 3.")


def test_dragging_and_keys_pan_a_long_recording(qtbot, program, fake):
    fake.files["long.hea"] = recording("long.hea", spike_signal(30.0))
    program.controller.set_options(DisplayOptions(layout=Layout.ROWS))
    open_and_wait(qtbot, program, "long.hea")
    view = program.window.traces.view
    bar = view.horizontalScrollBar()
    # 30 s at 25 mm/s and 4 px/mm are 3000 px, beside pulse and margins.
    assert 3000 < bar.maximum() + view.viewport().width() < 3000 + 4 * 40
    middle = view.viewport().rect().center()
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(view.viewport(), middle - QPoint(120, 0))
    qtbot.waitUntil(lambda: bar.value() == 120)
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert bar.value() == 160
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert bar.value() == bar.maximum()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert bar.value() == 0


def test_calibration_is_kept_for_the_screen(qtbot, program, fake, tmp_path):
    program.window._answers["calibrate"]()
    dialog = program.window.findChild(CalibrationDialog)
    dialog._length.setValue(428)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    # The second step shows a ruler of the length that was measured.
    ruler = next(bar for bar in dialog.findChildren(_Bar) if bar.isVisible())
    assert ruler.accessibleName() == f"Ruler of {CHECK_MM} mm"
    pixels = ruler.grab().toImage()
    dark = [x for x in range(pixels.width()) if pixels.pixelColor(x, 6).lightness() < 128]
    assert dark[-1] - dark[0] == pytest.approx(CHECK_MM * 428 / 85.60, abs=1)
    assert len(dark) == CHECK_MM + 1
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert program.controller.state.screen.device_px_per_mm == pytest.approx(428 / 85.60)
    again = make_program(fake, tmp_path)
    again.window.show()
    assert again.controller.state.screen.device_px_per_mm == pytest.approx(5.0)
    assert "To scale" in again.window._scale.text()
    again.window.close()
    again.window.deleteLater()
    again.controller.deleteLater()


def test_on_another_screen_the_scale_is_taken_anew(qtbot, program):
    controller = program.controller
    here = screen_facts(program.window.screen(), 1.0)
    other = ScreenFacts("DEL U2720Q 1 3840x2160", "U2720Q", 6.4)
    controller.set_screen(other)
    assert program.window._scale.text() == "NOT TO SCALE: screen not calibrated"
    assert controller.state.screen.device_px_per_mm == 6.4
    controller.calibrate(6.5)
    assert program.window._scale.text().startswith("To scale: U2720Q, calibrated ")
    controller.set_screen(here)
    assert controller.state.screen.device_px_per_mm == 4.0
    controller.set_screen(other)
    assert controller.state.screen.device_px_per_mm == 6.5
    # The same screen at another resolution has other pixels.
    controller.set_screen(replace(other, key="DEL U2720Q 1 1920x1080"))
    assert "not calibrated" in program.window._scale.text()


def test_an_uncalibrated_screen_says_so_in_the_picture_and_the_status_bar(qtbot, fake, tmp_path):
    made = make_program(fake, tmp_path)
    made.window.show()
    expected = "NOT TO SCALE: screen not calibrated"
    assert made.window.traces.view.band_texts().not_to_scale == expected
    assert made.window._scale.text() == expected
    made.window.close()
    made.window.deleteLater()
    made.controller.deleteLater()


def test_f1_lists_every_key_and_about_names_the_package(qtbot, program):
    qtbot.keyClick(program.window, Qt.Key.Key_F1)
    keys = program.window.findChild(KeysDialog)
    listed = keys.findChild(QTreeWidget)
    texts = {listed.topLevelItem(row).text(0) for row in range(listed.topLevelItemCount())}
    assert {"Ctrl+O", "Ctrl+0", "Hold U"} <= texts
    keys.close()
    qtbot.keyClick(program.window, Qt.Key.Key_F1, Qt.KeyboardModifier.ShiftModifier)
    about = program.window.findChild(AboutDialog)
    text = about.findChild(QLabel).text()
    assert IDENTITY.package_id in text
    assert IDENTITY.caveat in text
    about.close()


def test_opening_twenty_files_leaves_no_object_behind(qtbot, program, fake):
    def count():
        settle()
        gc.collect()
        return len(program.window.findChildren(QObject))

    for name in ("a.hea", "b.hea"):
        open_and_wait(qtbot, program, name)
    before = count()
    for number in range(20):
        open_and_wait(qtbot, program, ("a.hea", "b.hea")[number % 2])
    assert count() == before
