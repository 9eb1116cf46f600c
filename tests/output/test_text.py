"""Texts that are no UTF-8, or hold what a format cannot, stop no run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from made_run import make_facts, make_results

from rsccli.output.features import build_features
from rsccli.output.readers import read_outputs
from rsccli.output.report import FORMS, render_report
from rsccli.output.summary import summarise
from rsccli.output.text import json_bytes, storable
from rsccli.output.writers import write_features

NO_UTF8 = b"caf\xe9.tif".decode("utf-8", "surrogateescape")


def test_ordinary_text_is_untouched() -> None:
    for text in ("a house", "é 房子 🏠", "two\nlines\tand a tab", ""):
        assert storable(text) == text


def test_what_cannot_be_stored_is_marked() -> None:
    assert storable(NO_UTF8) == "caf\ufffd.tif"
    assert storable("a\x00b\x1b[31m") == "a\ufffdb\ufffd[31m"


def test_json_of_text_that_is_no_utf8() -> None:
    facts = replace(make_facts(), warnings=(NO_UTF8,))
    assert orjson.loads(json_bytes({"a": [NO_UTF8, 1, None], "b": facts.registration}))["a"][0] == "caf\ufffd.tif"
    assert json_bytes({"a": 1}, indent=True) == b'{\n  "a": 1\n}\n'
    with pytest.raises(TypeError):
        json_bytes({"a": object()})


@pytest.mark.parametrize("suffix", [".geojson", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".parquet", ".csv"])
def test_a_file_name_and_a_caption_that_are_no_utf8(tmp_path: Path, suffix: str) -> None:
    facts = make_facts()
    facts = replace(facts, pre=replace(facts.pre, path=NO_UTF8, name=NO_UTF8))
    results = [
        (replace(r, caption=f"{NO_UTF8}\x00", reason=NO_UTF8, keywords=(NO_UTF8,)), tile)
        for r, tile in make_results(4, facts)
    ]
    features = list(build_features(results, facts))
    path = tmp_path / f"out{suffix}"
    write_features(path, features, facts)
    found, back = read_outputs(path)
    assert [f.caption for f in sorted(back, key=lambda f: f.id)] == ["caf\ufffd.tif\ufffd"] * 4
    assert found is None or found.pre.path == "caf\ufffd.tif"
    for form in FORMS:
        assert b"caf" in render_report(form, summarise(features, facts), facts)
