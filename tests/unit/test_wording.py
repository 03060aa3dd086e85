"""Sentences are English text that another language can be put to where they are shown."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from pathlib import Path

import pytest

from echoing_gui import i18n
from echoing_gui.errors import to_message
from echoing_gui.i18n import tr, use_language
from echoing_gui.reading import ReadingProcess
from model_core import wording
from model_core.errors import EchoingError, ReadError
from model_core.reasons import Reason, Severity
from model_core.wording import joined, listed, say, system_words
from tests import hostile

GERMAN = {
    "Lead {lead} is {state}.": "Ableitung {lead}: {state}.",
    "flat": "Nulllinie",
    "{names} and {last}": "{names} und {last}",
    "Said {where}.": "{where} gesagt.",
    "there": "Dort",
    "{n:,} files": "{n:,} Dateien",
    "The file lasts {duration_s:g} s.": "Die Datei dauert {duration_s:g} s.",
}
SENTENCE = say("Lead {lead} is {state}.", lead="V1", state=say("flat"))


@pytest.fixture
def german(tmp_path, monkeypatch):
    (tmp_path / "de").mkdir()
    halves = (dict(list(GERMAN.items())[:2]), dict(list(GERMAN.items())[2:]))
    for number, half in enumerate(halves):
        path = tmp_path / "de" / f"{number}.json"
        path.write_text(json.dumps(half), encoding="utf-8")
    monkeypatch.setattr(i18n, "asset", lambda *parts: tmp_path.joinpath(*parts[1:]))
    use_language("de")
    yield
    use_language("en")


def test_a_sentence_is_its_english_text():
    assert SENTENCE == "Lead V1 is flat."
    assert hash(SENTENCE) == hash("Lead V1 is flat.")
    assert f"{SENTENCE}" == str(SENTENCE) == "Lead V1 is flat."
    assert json.dumps({"a": SENTENCE}) == '{"a": "Lead V1 is flat."}'
    assert say("100 % of {it}, {n:.1f}", it="{x}", n=0.25) == "100 % of {x}, 0.2"


def test_it_is_translated_with_what_it_is_made_of(german):
    assert tr(SENTENCE) == "Ableitung V1: Nulllinie."
    assert SENTENCE == "Lead V1 is flat."
    assert tr("Lead {lead} is {state}.", lead="Lead {lead} is {state}.", state=say("flat")) == (
        "Ableitung Lead {lead} is {state}.: Nulllinie."
    )
    assert tr(say("The file lasts {duration_s:g} s.", duration_s=2.5)) == "Die Datei dauert 2.5 s."


def test_thousands_cannot_be_taken_for_decimals(german):
    assert tr("{n:,} files", n=12345) == "12\u202f345 Dateien"
    assert tr("{n:,} files", n=345) == "345 Dateien"
    use_language("en")
    assert tr("{n:,} files", n=12345) == "12,345 files"


def test_joined_texts_are_translated_each(german):
    both = joined([SENTENCE, say("flat"), "as in the file"])
    assert both == "Lead V1 is flat. flat as in the file"
    assert tr(both) == "Ableitung V1: Nulllinie. Nulllinie as in the file"
    assert tr(listed(["V1", "V2", "V3"])) == "V1, V2 und V3"
    assert tr(listed([say("flat")])) == "Nulllinie"


def test_what_has_no_translation_stays_english(german):
    assert tr(say("Lead {lead} is off.", lead="II")) == "Lead II is off."
    assert tr("Lead V1 is flat.") == "Lead V1 is flat."
    use_language("tlh")
    assert tr(SENTENCE) == "Lead V1 is flat."


def test_it_survives_copies(german):
    error = ReadError(SENTENCE, hint=say("flat"), code="flat")
    for again in (
        copy.copy(SENTENCE),
        dataclasses.asdict(Reason("flat", Severity.REFUSE, SENTENCE))["message"],
        copy.copy(error).message,
    ):
        assert again == SENTENCE
        assert tr(again) == "Ableitung V1: Nulllinie."


def test_an_error_is_shown_in_the_language_and_logged_in_english(german):
    error = EchoingError(SENTENCE, hint=say("flat"))
    assert str(error) == "Lead V1 is flat."
    assert to_message(error).text == "Ableitung V1: Nulllinie."
    assert to_message(error).hint == "Nulllinie"


def test_what_the_reading_process_says_can_be_translated(german):
    process = ReadingProcess()
    try:
        with pytest.raises(ReadError) as caught:
            process.call(hostile.refuse)
    finally:
        process.close()
    assert str(caught.value) == "Said there."
    assert tr(caught.value.message) == "Dort gesagt."


@pytest.mark.parametrize("code", wording._SYSTEM_WORDS)
def test_words_of_the_system_are_its_own(code):
    # Tests run in the C locale; where an error has no number of its own, its text is taken.
    assert system_words(OSError(code, "Kein Platz")) == os.strerror(code)
    assert system_words(OSError(0, "Something rare")) == "Something rare"
    assert system_words(OSError("no number")) == "unknown fault"


def test_every_language_has_a_folder():
    assert i18n.languages() == ("en", "de")
    assert all(Path(i18n.asset("languages", code)).is_dir() for code in i18n.languages()[1:])
