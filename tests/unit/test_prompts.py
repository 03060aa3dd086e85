import json
from pathlib import Path

import pytest

from model_core.errors import EchoingError
from model_core.measures import FINDINGS, MEASURES
from model_core.prompts import PROMPTS_PATH, load_prompts


def test_every_measure_and_finding_of_the_program_has_prompts():
    prompts = load_prompts()
    assert MEASURES.keys() <= prompts.sweeps.keys()
    assert FINDINGS.keys() <= prompts.pairs.keys()
    for key, measure in MEASURES.items():
        sweep = prompts.sweeps[key]
        assert sweep.unit == measure.unit
        assert measure.plausible[0] <= sweep.low < sweep.high <= measure.plausible[1]


def test_each_sentence_states_its_value_and_stands_once():
    for sweep in load_prompts().sweeps.values():
        assert len(sweep.texts) == len(sweep.values) == len(set(sweep.texts))
        assert sweep.values[0] == sweep.low
        assert sweep.values[-1] == pytest.approx(sweep.high)
        for text, value in zip(sweep.texts, sweep.values, strict=True):
            assert f"{value:g}" in text


def test_pairs_do_not_contradict_themselves():
    for pair in load_prompts().pairs.values():
        assert not set(pair.positive) & set(pair.negative)


def test_odd_tables_are_refused_with_one_sentence(tmp_path: Path):
    good = json.loads(PROMPTS_PATH.read_text())
    sweep, pair = good["sweeps"][0], good["pairs"][0]
    odd = {
        "version": {**good, "schema_version": 2},
        "list": [],
        "no pairs": {name: good[name] for name in ("schema_version", "sweeps")},
        "twice": {**good, "sweeps": [sweep, sweep]},
        "no place": {**good, "sweeps": [{**sweep, "templates": ["LVEF"]}]},
        "text for list": {**good, "pairs": [{**pair, "positive": "yes"}]},
        "number for text": {**good, "pairs": [{**pair, "positive": [1]}]},
        "endless": {**good, "sweeps": [{**sweep, "step": 1e-9}]},
        "backwards": {**good, "sweeps": [{**sweep, "low": 90}]},
        "unknown entry": {**good, "pairs": [{**pair, "more": 1}]},
        "other basis": {**good, "pairs": [{**pair, "basis": "guess"}]},
        "a number": {**good, "pairs": [3]},
    }
    path = tmp_path / "odd.json"
    for table in odd.values():
        path.write_text(json.dumps(table))
        with pytest.raises(EchoingError, match=r"odd\.json is not a table of prompts"):
            load_prompts(path)
    path.write_text("{")
    with pytest.raises(EchoingError, match="not a table"):
        load_prompts(path)
    with pytest.raises(EchoingError, match="cannot be read"):
        load_prompts(tmp_path / "none.json")
