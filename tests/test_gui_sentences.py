"""The prompt box of the bench through the window, with and without a text side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel

from echoing_gui import wiring
from echoing_gui.features.bench.prompt_panel import PromptPanel
from echoing_gui.packages import PackageLibrary
from echoing_gui.resources import default_package_path, demo_recording_path
from model_core.io import read_recording
from model_core.preprocess import prepare
from model_core.runtime.package import load_package
from model_core.runtime.predictor import Predictor
from model_core.runtime.text import TextEncoder
from tests.gui_factory import FLAT_LEAD, FakeServices
from tests.package_factory import contents, write_package
from tests.test_gui_window import has_result

DEMO = "demo_simulated_ecg.hea"
NORMAL = "Systolic function of the left ventricle is normal."
POOR = "Systolic function of the left ventricle is severely reduced."


def built(qtbot, folder, package, demo, fake=None):
    """The demonstration ECG, estimated with a package."""
    library = PackageLibrary(package, folder / "none", folder / "none")
    model = wiring.load_chosen_model(library)
    services = (fake or FakeServices({DEMO: demo})).services()
    services = replace(services, load_model=lambda: model)
    made = wiring.build(services, folder)
    made.window.resize(1700, 950)
    made.window.show()
    made.controller.load_package()
    made.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: has_result(made, DEMO), timeout=30_000)
    return made


def closed(program):
    program.window.close()
    program.window.deleteLater()
    program.controller.deleteLater()


@pytest.fixture(scope="module")
def demo():
    return read_recording(demo_recording_path())


@pytest.fixture(scope="module")
def package():
    return load_package(default_package_path())


@pytest.fixture
def desk(qtbot, demo, tmp_path):
    made = built(qtbot, tmp_path, default_package_path(), demo)
    yield made
    closed(made)


def panel(program):
    found = program.window.findChild(PromptPanel)
    assert found is not None
    return found


def texts(widget):
    return "\n".join(
        each.text() for each in widget.findChildren(QLabel) if each.isVisibleTo(widget)
    )


def go_to_box(qtbot, program):
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(program.window, Qt.Key.Key_T, modifiers)
    box = panel(program).positive
    assert box.isVisible()
    return box


def answered(qtbot, program):
    def there():
        return program.controller.state.bench.prompted is not None

    qtbot.waitUntil(there, timeout=30_000)
    return program.controller.state.bench.prompted


def distances(package, demo, sentences):
    """From networks and formula, past window and bench."""
    predictor = Predictor(package)
    mean, log_var = predictor.embedding(prepare(demo.part(0, 10), package.manifest.input))
    (to, _) = TextEncoder(package.texts[0]).encode(sentences)
    return ((mean - to) ** 2).sum(1) + np.exp(log_var).sum() + 128e-8


def test_by_keyboard_alone_a_sentence_gets_its_distance_and_match(qtbot, desk, demo, package):
    box = go_to_box(qtbot, desk)
    # Letters that are shortcuts elsewhere are typed here.
    qtbot.keyClicks(box, NORMAL)
    qtbot.keyClick(box, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(box, POOR)
    assert box.lines == (NORMAL, POOR)
    assert desk.controller.state.bench.current is None
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert desk.controller.state.bench.prompting
    found = answered(qtbot, desk)
    expected = distances(package, demo, [NORMAL, POOR])
    assert [each.distance for each in found.positive] == pytest.approx(list(expected), abs=1e-5)
    side = package.texts[0].side
    match = 1 / (1 + np.exp(side.negative_scale * expected - side.shift))
    assert [each.match for each in found.positive] == pytest.approx(list(match), rel=1e-4)
    # A layout shows its new labels at the next turn of the loop.
    qtbot.waitUntil(lambda: f"{expected[0]:.3f}" in texts(panel(desk)))
    shown = texts(panel(desk))
    assert "Distance, zero-shot, not calibrated" in shown
    assert "Match, zero-shot, not calibrated" in shown
    assert "research use only: not a result" in shown
    assert "rendered clips of simulated hearts" in shown
    assert "zero-shot, not calibrated" in desk.window.statusBar().currentMessage()


def test_for_and_against_give_a_probability_and_ready_pairs_fill_the_boxes(qtbot, desk):
    go_to_box(qtbot, desk)
    shown = panel(desk)
    shown._ready.setCurrentIndex(shown._ready.findData("pair:lvef_below_40"))
    shown._ready.activated.emit(shown._ready.currentIndex())
    found = answered(qtbot, desk)
    assert len(shown.positive.lines) == len(found.positive) == 2
    assert len(shown.negative.lines) == len(found.negative) == 2
    side = desk.controller.state.facts.sentences[0]
    pair = side.pairs["lvef_below_40"]
    assert tuple(each.text for each in found.negative) == pair.negative
    means = [np.mean([each.distance for each in part]) for part in (found.positive, found.negative)]
    scale = desk.controller.model.predictor.package.texts[0].side.negative_scale
    expected = 1 / (1 + np.exp(-scale * (means[1] - means[0])))
    assert found.probability == pytest.approx(expected)
    assert f"For rather than against: {expected * 100:.0f} % (zero-shot" in texts(shown)


def test_the_sweep_reads_the_median_of_the_nearest_fifth(qtbot, desk, demo, package):
    go_to_box(qtbot, desk)
    shown = panel(desk)
    shown._ready.setCurrentIndex(shown._ready.findData("sweep:lvef"))
    shown._ready.activated.emit(shown._ready.currentIndex())
    sweep = answered(qtbot, desk).sweep
    prompts = package.texts[0].prompts.sweeps["lvef"]
    distance = distances(package, demo, list(prompts.texts))
    nearest = sorted(np.array(prompts.values)[np.argsort(distance)][: len(distance) // 5])
    assert sweep.value == nearest[(len(nearest) - 1) // 2]
    assert (sweep.low, sweep.high) == (nearest[0], nearest[-1])
    said = texts(shown)
    assert f"LVEF: {sweep.value:g} % (zero-shot, not calibrated)" in said
    assert "213 sentences" in said


def test_words_that_are_not_known_are_named_and_give_no_number(qtbot, desk):
    box = go_to_box(qtbot, desk)
    box.setPlainText(
        "The left ventricle is horrible.\nLVEF measures < 40 percent.\n" + "left " * 49
    )
    panel(desk).negative.setPlainText(NORMAL)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    found = answered(qtbot, desk)
    assert [each.distance for each in found.positive] == [None, None, None]
    assert found.negative[0].distance is not None
    assert found.probability is None
    said = texts(panel(desk))
    assert "does not know “horrible”" in said
    assert "does not know “<”" in said
    assert "has 49 words or parts of words, and the encoder takes 48" in said
    assert "For rather than against: no number" in said
    assert "It knows no other words than these: about, are, at" in said


def test_what_is_copied_names_package_and_caveats_and_nothing_of_the_recording(qtbot, desk):
    box = go_to_box(qtbot, desk)
    box.setPlainText(NORMAL)
    panel(desk).ask()
    found = answered(qtbot, desk)
    panel(desk)._copy.click()
    copy = QGuiApplication.clipboard().text()
    assert NORMAL in copy
    assert f"{found.positive[0].distance:.3f}" in copy
    assert desk.controller.state.package.package_id in copy
    assert "Zero-shot, not calibrated. Research use only; not a result." in copy
    assert "demo" not in copy.replace("demonstration", "")


def test_answers_leave_with_their_ecg_and_are_kept_nowhere(qtbot, desk, tmp_path):
    box = go_to_box(qtbot, desk)
    box.setPlainText(NORMAL)
    panel(desk).ask()
    answered(qtbot, desk)
    desk.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: has_result(desk, DEMO), timeout=20_000)
    assert "Distance" not in texts(panel(desk))
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"Systolic" in path.read_bytes()]


def test_the_other_text_side_has_its_own_words_and_sets(qtbot, desk):
    go_to_box(qtbot, desk)
    shown = panel(desk)
    shown._side.setCurrentIndex(1)
    assert "knows their words only" in texts(shown)
    assert shown._ready.findData("sweep:lvef") < 0
    shown.positive.setPlainText("Atrial fibrillation.")
    shown.ask()
    found = answered(qtbot, desk)
    assert found.side == "ecg"
    assert found.positive[0].match is not None


def test_without_text_side_a_sentence_says_so(qtbot, demo, tmp_path):
    package = write_package(tmp_path / "package", contents())
    made = built(qtbot, tmp_path, package, demo)
    made.window.show_page("bench")
    assert "holds no network for text" in texts(panel(made))
    assert not panel(made).positive.isVisible()
    closed(made)


def test_nothing_is_asked_of_an_ecg_that_the_model_did_not_see(qtbot, demo, tmp_path):
    fake = FakeServices({DEMO: demo}, reasons={DEMO: (FLAT_LEAD,)})
    model = wiring.load_chosen_model(
        PackageLibrary(default_package_path(), tmp_path / "none", tmp_path / "none")
    )
    services = replace(fake.services(), load_model=lambda: replace(model, predict=fake._predict))
    made = wiring.build(services, tmp_path)
    made.window.show()
    made.controller.load_package()
    made.controller.open_file(Path(DEMO))
    qtbot.waitUntil(lambda: made.controller.state.prediction is not None, timeout=20_000)
    made.window.show_page("bench")
    shown = panel(made)
    shown.positive.setPlainText(NORMAL)
    shown.ask()
    assert not made.controller.state.bench.prompting
    assert "There is no result on screen" in texts(shown)
    closed(made)


def test_everything_to_use_has_a_name(desk):
    shown = panel(desk)
    for widget in (shown.positive, shown.negative, shown._side, shown._ready):
        assert widget.accessibleName()
