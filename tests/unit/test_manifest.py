"""The manifest of a model package is read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from model_core.errors import PackageError
from model_core.runtime.manifest import Manifest, Scope
from tests.package_factory import manifest

Change = Callable[[dict[str, Any]], object]
ONE_LEAD = {"lead_names": ["I"], "mean_mv": [0.0], "scale_mv": [1.0]}


def test_round_trip() -> None:
    assert Manifest.from_json(manifest().to_json()) == manifest()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m.update(schema_version=2), "unknown_manifest_version"),
        (lambda m: m.pop("schema_version"), "unknown_manifest_version"),
        (lambda m: m.update(schema_version=True), "bad_manifest"),
        (lambda m: m.update(schema_version=1.0), "bad_manifest"),
        (lambda m: m.pop("caveat"), "bad_manifest"),
        (lambda m: m.update(surplus=1), "bad_manifest"),
        (lambda m: m.update(caveat=5), "bad_manifest"),
        (lambda m: m.update(demonstration="yes"), "bad_manifest"),
        (lambda m: m.update(demonstration=1), "bad_manifest"),
        (lambda m: m.update(limits="none"), "bad_manifest"),
        (lambda m: m.update(limits=[1]), "bad_manifest"),
        (lambda m: m.update(files=[]), "bad_manifest"),
        (lambda m: m.update(files={"a": 1}), "bad_manifest"),
        (lambda m: m.update(measures=[]), "bad_manifest"),
        (lambda m: m["measures"].append(m["measures"][0]), "bad_manifest"),
        (lambda m: m["measures"][0].update(key="gls"), "bad_manifest"),
        (lambda m: m["measures"][0].update(level=1.0), "bad_manifest"),
        (lambda m: m["measures"][0].update(widening=float("nan")), "bad_manifest"),
        (lambda m: m["measures"][0].update(widening=float("inf")), "bad_manifest"),
        (lambda m: m["measures"][0].update(widening="2"), "bad_manifest"),
        (lambda m: m["measures"][0].update(n_calibration=1.5), "bad_manifest"),
        (lambda m: m["findings"][0].update(key="stroke"), "bad_manifest"),
        (lambda m: m["segments"].update(scale=[1.0, 0.1]), "bad_manifest"),
        (lambda m: m["segments"].update(scale=[0.1]), "bad_manifest"),
        (lambda m: m["segments"].update(n_segments=0), "bad_manifest"),
        (lambda m: m["segments"].update(edges_s=[0.0, 10.0]), "bad_manifest"),
        (lambda m: m["segments"].update(edges_s=[-0.5, *range(1, 21)]), "bad_manifest"),
        (lambda m: m["segments"].update(edges_s=[0.0, 2.0, 1.0, *range(3, 21)]), "bad_manifest"),
        (lambda m: m["measures"][0].update(n_calibration=-1), "bad_manifest"),
        (lambda m: m["findings"][0].update(n_calibration=-1), "bad_manifest"),
        (lambda m: m["input"].pop("band_hz"), "bad_manifest"),
        (lambda m: m["input"].update(fs=-100.0), "bad_manifest"),
        (lambda m: m["input"].update(band_hz=[40.0, 0.5]), "bad_manifest"),
        (lambda m: m.update(input=None), "bad_manifest"),
        (lambda m: m["scope"].update(age_y=[90.0, 18.0]), "bad_manifest"),
        (lambda m: m["measures"][0].update(core_share=1.1), "bad_manifest"),
        (lambda m: m["validation"][0].update(edges=[10.0, 80.0]), "bad_manifest"),
        (lambda m: m["validation"][0].update(edges=[10.0, 80.0, 40.0]), "bad_manifest"),
        (lambda m: m["validation"][0].update(counts=[-1, 5]), "bad_manifest"),
        (lambda m: m["validation"][0].update(held=[0.9, 0.8, 1.2]), "bad_manifest"),
        (lambda m: m["validation"][0].update(key="gls"), "bad_manifest"),
        (lambda m: m["scope"].update(sexes=["any"]), "bad_manifest"),
        (lambda m: m["scope"].update(paced="no"), "bad_manifest"),
        (lambda m: (m["input"].update(ONE_LEAD), m.update(metrics=[])), "bad_manifest"),
    ],
)
def test_wrong_manifests(change: Change, code: str) -> None:
    values = json.loads(manifest().to_json())
    change(values)
    with pytest.raises(PackageError) as caught:
        Manifest.from_json(json.dumps(values))
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"text"', "[" * 100_000])
def test_texts_that_are_no_manifest(text: str) -> None:
    with pytest.raises(PackageError):
        Manifest.from_json(text)


def test_segments_without_borders_are_equally_long() -> None:
    values = json.loads(manifest().to_json())
    del values["segments"]["edges_s"]
    assert Manifest.from_json(json.dumps(values)) == manifest()


def test_a_manifest_without_scope_is_for_adults_without_a_pacemaker() -> None:
    values = json.loads(manifest().to_json())
    del values["scope"]
    assert Manifest.from_json(json.dumps(values)).scope == Scope((18.0, 130.0), paced=False)


def test_a_model_for_one_lead_is_read_if_it_was_tested() -> None:
    values = json.loads(manifest().to_json())
    values["input"].update(ONE_LEAD)
    assert Manifest.from_json(json.dumps(values)).input.lead_names == ("I",)


def test_whole_numbers_count_as_numbers() -> None:
    values = json.loads(manifest().to_json())
    values["input"]["fs"] = 100
    assert Manifest.from_json(json.dumps(values)).input.fs == 100.0
