"""What a package's figures are called on screen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from echoing_gui.features.about_result import figure_rows
from echoing_gui.i18n import ENGLISH, use_language
from echoing_gui.resources import default_package_path
from echoing_gui.state_package import Figure


@pytest.fixture
def german() -> Iterator[None]:
    use_language("de")
    yield
    use_language(ENGLISH)


def shipped() -> list[Figure]:
    """Figures of the package that comes with the program."""
    manifest = json.loads((default_package_path() / "manifest.json").read_text(encoding="utf-8"))
    return [
        Figure(each["name"], each["value"], 0.0, 1.0, each.get("unit", ""), each["dataset"])
        for each in manifest["metrics"]
    ]


@pytest.mark.usefixtures("german")
def test_figures_of_the_shipped_package_are_german_in_german() -> None:
    names = [name for name, _, _ in figure_rows(shipped())]
    assert len(names) > 40
    english = ("mean", "coverage", "prevalence", "everyone", "below", "men", "more", "half")
    assert not [name for name in names if set(english) & set(name.replace(",", "").split())]
    assert "LVEF: Überdeckung der Intervalle, Geschlecht: Frauen" in names


def test_an_error_has_the_unit_of_its_measure_and_a_minus_sign() -> None:
    ours = Figure("LVEF mean absolute error, low-uncertainty minus high half", -2.016, -3.3, -0.7,
                  "", "x")  # fmt: skip
    assert figure_rows([ours]) == ((ours.name, "−2.02 %", "−3.30 to −0.700 %"),)
    assert figure_rows([Figure("LVEF < 40 % AUROC", 0.779, 0.7, 0.84, "", "x")])[0][1] == "0.779"
