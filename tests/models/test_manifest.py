from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import VOCAB, manifest_of

from rsccli.errors import BundleError
from rsccli.models.manifest import parse_manifest
from rsccli.models.small.facts import KEYWORDS

PATH = Path("some/where/rsccli.json")


@pytest.fixture(scope="module")
def good(scripted: Path) -> dict[str, Any]:
    return manifest_of(scripted)


def parse(document: object) -> object:
    return parse_manifest(json.dumps(document), PATH)


def changed(document: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    """A copy with one field, given as a dotted path, set."""
    document = copy.deepcopy(document)
    *above, last = field.split(".")
    part = document
    for name in above:
        part = part[name]
    part[last] = value
    return document


def test_every_field_arrives(good: dict[str, Any]) -> None:
    manifest = parse_manifest(json.dumps(good), PATH)
    assert (manifest.name, manifest.family, manifest.version) == ("tiny", "rsccli-small", "0.0.1")
    assert manifest.input.max_side == 128 and manifest.input.gsd_m == (0.3, 10.0)
    assert manifest.tokens.image_tokens == 3 and manifest.decoder.vocab == len(VOCAB)
    assert manifest.thresholds.keywords == (0.6,) * len(KEYWORDS) and manifest.keywords == KEYWORDS
    assert [entry.name for entry in manifest.files] == ["decoder.onnx", "embed.onnx", "encoder.onnx", "tokenizer.json"]
    assert manifest.size_bytes == sum(entry["bytes"] for entry in good["files"].values())
    assert manifest.unchanged_text is None


def required_fields() -> list[str]:
    sections = {
        "source": ("id", "revision"),
        "input": ("bands", "min_side", "max_side", "multiple", "mean", "std"),
        "tokens": ("bos", "eos", "pad", "image_tokens", "max_new_tokens"),
        "decoder": ("layers", "heads", "head_dim", "width", "vocab"),
        "calibration": ("scale", "bias"),
        "thresholds": ("changed", "unchanged", "keywords", "mask"),
    }
    top = "format family name version files keywords prompts dtype opset licence training_data parity limits".split()
    return [*top, *sections, *(f"{section}.{field}" for section, fields in sections.items() for field in fields)]


@pytest.mark.parametrize("field", required_fields())
def test_a_missing_field_is_named_with_the_file(good: dict[str, Any], field: str) -> None:
    document = copy.deepcopy(good)
    *above, last = field.split(".")
    part = document
    for name in above:
        part = part[name]
    del part[last]
    with pytest.raises(BundleError) as caught:
        parse(document)
    assert str(PATH) in str(caught.value) and f"'{field}'" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "rsccli-bundle/2"),
        ("format", 1),
        ("name", None),
        ("opset", "17"),
        ("opset", True),
        ("opset", 17.0),
        ("limits", "none"),
        ("limits", ["a", 1]),
        ("keywords", ["a", "a", "b"]),
        ("input.mean", [0.5, 0.5]),
        ("input.std", [0.5, 0.5, 0.0]),
        ("input.mean", [0.5, 0.5, float("nan")]),
        ("input.mean", [0.5, 0.5, 10**400]),
        ("input.bands", ["red", "green"]),
        ("input.max_side", 250),
        ("input.min_side", 256),
        ("input.multiple", 0),
        ("input.gsd_m", [0.3]),
        ("tokens.eos", -1),
        ("tokens.eos", len(VOCAB)),
        ("calibration.scale", float("inf")),
        ("calibration.bias", "0"),
        ("calibration.vectors", "0"),
        ("calibration.vectors", float("nan")),
        ("calibration.size", "0"),
        ("calibration.size", float("inf")),
        ("calibration.spot", "0"),
        ("calibration.spot", float("nan")),
        ("calibration.keyword_scale", 1.0),
        ("calibration.keyword_scale", [1.0, 1.0]),
        ("calibration.keyword_scale", [*[1.0] * (len(KEYWORDS) - 1), "1"]),
        ("calibration.keyword_bias", [0.0] * (len(KEYWORDS) + 1)),
        ("calibration.keyword_bias", [*[0.0] * (len(KEYWORDS) - 1), float("nan")]),
        ("calibration.keyword_bias", []),
        ("calibration.keyword_size", [0.0]),
        ("calibration.keyword_size", "0"),
        ("calibration.keyword_spot", [0.0]),
        ("thresholds.domain", -1.0),
        ("thresholds.domain", [1.0]),
        ("input.window", 0),
        ("input.window", 64.0),
        ("words", "poet"),
        ("words", 1),
        ("thresholds.changed", 1.5),
        ("thresholds.unchanged", 0.7),
        ("thresholds.keywords", [0.5, 0.5]),
        ("thresholds", []),
        ("decoder.heads", 0),
        ("files.encoder", {"sha256": "0" * 64, "bytes": 1, "mode": 7}),
        ("files.encoder", {"sha256": "XYZ", "bytes": 1}),
        ("files.encoder", {"sha256": "0" * 64, "bytes": -1}),
        ("input.colour", "rgb"),
        ("colour", "rgb"),
    ],
)
def test_a_wrong_field_is_named_with_the_file(good: dict[str, Any], field: str, value: object) -> None:
    with pytest.raises(BundleError) as caught:
        parse(changed(good, field, value))
    assert str(PATH) in str(caught.value)
    assert field.rsplit(".", 1)[-1] in str(caught.value)


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/passwd", "a/b", "a\\b", "..", "", "rsccli.json"])
def test_file_names_cannot_leave_the_folder(good: dict[str, Any], name: str) -> None:
    document = copy.deepcopy(good)
    document["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    with pytest.raises(BundleError, match="plain file name"):
        parse(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00", '"text"'])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r"rsccli\.json"):
        parse_manifest(text, PATH)


def test_optional_fields(good: dict[str, Any]) -> None:
    document = copy.deepcopy(good)
    del document["input"]["gsd_m"]
    document["unchanged_text"] = "Nothing changed."
    document["input"]["window"] = 96
    document["calibration"]["vectors"], document["calibration"]["size"] = -0.5, -1.5
    scales, biases = [1.0 + k for k in range(len(KEYWORDS))], [-0.5 * k for k in range(len(KEYWORDS))]
    document["calibration"] |= {
        "keyword_scale": scales,
        "keyword_bias": biases,
        "keyword_size": biases[::-1],
        "keyword_spot": scales[::-1],
        "spot": 0.5,
    }
    document["thresholds"]["domain"] = 1.25
    document["words"] = "grammar"
    manifest = parse_manifest(json.dumps(document), PATH)
    assert manifest.input.gsd_m is None
    assert manifest.unchanged_text == "Nothing changed."
    assert manifest.input.window == 96 and (manifest.calibration.vectors, manifest.calibration.size) == (-0.5, -1.5)
    assert manifest.calibration.keyword_scale == tuple(scales) and manifest.calibration.keyword_bias == tuple(biases)
    assert manifest.calibration.keyword_spot == tuple(scales[::-1])
    assert (manifest.calibration.keyword_size, manifest.calibration.spot) == (tuple(biases[::-1]), 0.5)
    assert (manifest.thresholds.domain, manifest.words) == (1.25, "grammar")


def test_what_stands_for_optional_fields(good: dict[str, Any]) -> None:
    """A bundle of before these fields were there, and one that writes null, are read alike."""
    good = changed(good, "input.window", None)
    del good["input"]["window"]
    manifest = parse_manifest(json.dumps(good), PATH)
    assert manifest.input.window is manifest.thresholds.domain is None
    assert manifest.calibration.vectors == manifest.calibration.size == 0.0 and manifest.words == "decoder"
    fit = manifest.calibration
    assert fit.keyword_scale == fit.keyword_bias == fit.keyword_size == fit.keyword_spot == () and fit.spot == 0.0
    document = copy.deepcopy(good)
    document["calibration"] |= dict.fromkeys(
        ("size", "spot", "keyword_scale", "keyword_bias", "keyword_size", "keyword_spot")
    )
    document["thresholds"]["domain"] = document["input"]["window"] = document["words"] = None
    assert parse_manifest(json.dumps(document), PATH) == manifest


OPTIONAL = (
    "unchanged_text words input.gsd_m input.window thresholds.domain calibration.vectors "
    "calibration.size calibration.keyword_scale calibration.keyword_bias calibration.keyword_size "
    "calibration.keyword_spot calibration.spot"
).split()
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_field_it_is_parsed_or_refused(good: dict[str, Any], data: st.DataObject) -> None:
    """No value, however odd, ends in another kind of error."""
    field = data.draw(st.sampled_from([*required_fields(), *OPTIONAL]))
    document = changed(good, field, data.draw(JSON_VALUES))
    try:
        parse(document)
    except BundleError as error:
        assert str(PATH) in str(error)


def test_the_manifest_in_the_documentation_is_one(root: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", (root / "docs" / "models.md").read_text(encoding="utf-8"), re.DOTALL)
    text = text.replace("64 hex digits", "0" * 64)
    assert parse_manifest(text, PATH).name == "rsccli-small"
