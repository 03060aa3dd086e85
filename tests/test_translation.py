"""Every text that the program shows has its German, and every German text is shown."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import echoing_gui
from echoing_gui.actions import MENUS, OTHER_KEYS, Action
from echoing_gui.features.preferences import PREFERENCES
from echoing_gui.i18n import languages
from echoing_gui.resources import asset
from model_core.wording import Sentence

ROOT = Path(__file__).parents[1]
# Which catalogue the texts of a file belong in, by the first of these that its path begins with.
AREAS = {
    "model_core": "core",
    "echoing_gui/features": "features",
    "echoing_gui/actions.py": "features",
    "echoing_gui": "window",
}
# Names, units and abbreviations that are the same in German.
SAME = {
    "", "&12x1", "&4x3", "&6x2", "&Matrix", "Demonstration", "Filter", "Format",
    "Manifest, SHA-256", "Name", "Software", "Var.", "Version", "{what} in {lead}",
}  # fmt: skip
FINISHED = ("core", "features", "window")


def literals(node: ast.expr, where: str) -> Iterator[str]:
    """Texts that the first argument of `tr` or `say` may be; f-strings cannot be looked up."""
    if isinstance(node, ast.IfExp):
        yield from literals(node.body, where)
        yield from literals(node.orelse, where)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr | ast.BinOp):
        pytest.fail(f"{where}: a text to translate is a literal with named placeholders")


def in_code() -> Iterator[tuple[str, str, str]]:
    """Every literal given to `tr` or `say`, with its area and place."""
    for path in sorted([*ROOT.glob("echoing_gui/**/*.py"), *ROOT.glob("model_core/**/*.py")]):
        name = path.relative_to(ROOT).as_posix()
        area = next(area for start, area in AREAS.items() if name.startswith(start))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if isinstance(node.func, ast.Name) and node.func.id in ("tr", "say"):
                where = f"{name}:{node.lineno}"
                for text in literals(node.args[0], where):
                    yield area, text, where


def in_tables() -> Iterator[tuple[str, str, str]]:
    """Every text of the tables that are translated where they are shown, with area and place."""
    for menu in MENUS:
        yield "features", menu, "MENUS"
    for keys, what in OTHER_KEYS:
        yield "features", keys, "OTHER_KEYS"
        yield "features", what, "OTHER_KEYS"
    for title, preferences in PREFERENCES:
        yield "features", title, "PREFERENCES"
        for preference in preferences:
            yield "features", preference.label, "PREFERENCES"
    for module in pkgutil.walk_packages(echoing_gui.__path__, "echoing_gui."):
        actions = getattr(importlib.import_module(module.name), "ACTIONS", ())
        for action in actions:
            assert isinstance(action, Action)
            where = f"{module.name}: {action.key}"
            for text in (*action.menu.split("/"), action.text, action.tip):
                yield "features", text.template if isinstance(text, Sentence) else text, where


def texts() -> dict[str, tuple[str, str]]:
    """Area and place of each text to translate; the area is the first that has it."""
    found: dict[str, tuple[str, str]] = {}
    for area, text, where in (*in_code(), *in_tables()):
        if any(letter.isalpha() for letter in text):
            found.setdefault(text, (area, where))
    return found


def catalogues(code: str) -> dict[str, dict[str, str]]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(asset("languages", code).glob("*.json"))
    }


def placeholders(text: str) -> set[tuple[str, str | None, str | None]]:
    return {
        (name, form, conversion)
        for _, name, form, conversion in string.Formatter().parse(text)
        if name is not None
    }


@pytest.mark.parametrize("area", sorted(set(AREAS.values())))
@pytest.mark.parametrize("code", languages()[1:])
def test_nothing_is_missing(code, area):
    there = {key for catalogue in catalogues(code).values() for key in catalogue}
    missing = [
        f"{where}: {text!r}"
        for text, (its_area, where) in texts().items()
        if its_area == area and text not in there
    ]
    print(f"{len(missing)} texts have no translation:", *missing, sep="\n")
    assert not missing or area not in FINISHED


@pytest.mark.parametrize("code", languages()[1:])
def test_nothing_is_left_over(code):
    wanted = texts()
    left = [
        f"{name}: {key!r}"
        for name, catalogue in catalogues(code).items()
        for key in catalogue
        if key not in wanted
    ]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("code", languages()[1:])
def test_translations_fit_their_texts(code):
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for catalogue in catalogues(code).values():
        for key, text in catalogue.items():
            if placeholders(key) != placeholders(text):
                wrong.append(f"placeholders differ: {key!r}")
            if key.count("&") != text.count("&"):
                wrong.append(f"letters to press differ: {key!r}")
            if (text == key) != (key in SAME):
                wrong.append(f"not translated: {key!r}")
            if seen.setdefault(key, text) != text:
                wrong.append(f"two translations: {key!r}")
    assert not wrong, "\n".join(wrong)
