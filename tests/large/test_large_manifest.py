"""The manifest of a large model's bundle is read strictly."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.errors import BundleError
from rsccli.models.large.chat import Chat
from rsccli.models.large.manifest import LargeManifest, LargeTokens, parse_large

PATH = Path("some/where/rsccli.json")
GOOD: dict[str, Any] = {
    "format": "rsccli-bundle/1",
    "family": "qwen2-vl",
    "name": "qwen2b",
    "version": "0.1.0",
    "source": {"id": "Qwen/Qwen2-VL-2B-Instruct", "revision": "0" * 40},
    "axes": 3,
    "tokens": {
        "ends": [151645, 151643],
        "pad": 151643,
        "image": 151655,
        "max_new_tokens": 256,
        "repetition_penalty": 1.05,
    },
    "decoder": {"layers": 28, "heads": 2, "head_dim": 128, "width": 1536, "vocab": 151936, "dtype": "fp16"},
    "chat": {"head": "<u>", "image": "<p>", "tail": "<a>", "bare": True, "lead": "\n", "edge": "|"},
    "prompt": "naive",
    "vision": {"image_token": 151655, "merge": 2, "anything": [1, {"more": None}]},
    "dtype": "fp16",
    "opset": 20,
    "licence": "Apache-2.0",
    "training_data": "See its card.",
    "parity": {"pairs": 3},
    "limits": ["Its words are its own."],
    "files": {"encoder.onnx": {"sha256": "a" * 64, "bytes": 7}, "decoder.onnx": {"sha256": "b" * 64, "bytes": 5}},
}
REQUIRED = (
    "format family name version source source/id source/revision axes tokens tokens/ends tokens/pad tokens/image "
    "tokens/max_new_tokens decoder decoder/layers decoder/heads decoder/head_dim decoder/width decoder/vocab chat "
    "chat/head chat/image chat/tail chat/bare prompt vision dtype opset licence training_data parity limits files"
).split()
OPTIONAL = ("chat/lead", "chat/edge", "decoder/dtype", "tokens/repetition_penalty")


def parse(document: object) -> LargeManifest:
    return parse_large(json.dumps(document), PATH)


def part_of(document: dict[str, Any], field: str) -> tuple[dict[str, Any], str]:
    """The object that holds a field, given as a path, and the field's name in it."""
    *above, last = field.split("/")
    for name in above:
        document = document[name]
    return document, last


def changed(field: str, value: object) -> dict[str, Any]:
    """A copy of the good manifest with one field set."""
    document = copy.deepcopy(GOOD)
    part, last = part_of(document, field)
    part[last] = value
    return document


def test_every_field_arrives() -> None:
    manifest = parse(GOOD)
    assert (manifest.family, manifest.name, manifest.version) == ("qwen2-vl", "qwen2b", "0.1.0")
    assert asdict(manifest.source) == GOOD["source"] and manifest.axes == 3
    assert manifest.tokens == LargeTokens((151645, 151643), 151643, 151655, 256, 1.05)
    assert asdict(manifest.decoder) == GOOD["decoder"]
    assert manifest.chat == Chat("<u>", "<p>", "<a>", True, "\n", "|")
    assert (manifest.prompt, manifest.vision, manifest.parity) == ("naive", GOOD["vision"], GOOD["parity"])
    assert (manifest.dtype, manifest.opset, manifest.licence) == ("fp16", 20, "Apache-2.0")
    assert [entry.name for entry in manifest.files] == ["encoder.onnx", "decoder.onnx"] and manifest.size_bytes == 12


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named_with_the_file(field: str) -> None:
    document = copy.deepcopy(GOOD)
    part, last = part_of(document, field)
    del part[last]
    with pytest.raises(BundleError) as caught:
        parse(document)
    assert str(PATH) in str(caught.value) and f"'{field.replace('/', '.')}'" in str(caught.value)


@pytest.mark.parametrize("section", ["", "source/", "tokens/", "decoder/", "chat/", "files/encoder.onnx/"])
def test_an_unknown_field_is_named_with_the_file(section: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse(changed(f"{section}colour", "rgb"))
    assert str(PATH) in str(caught.value) and f"'{section.replace('/', '.')}colour'" in str(caught.value)


def test_parts_that_are_free_in_form() -> None:
    assert parse(changed("vision/colour", "rgb")).vision["colour"] == "rgb"
    assert parse(changed("parity/colour", "rgb")).parity["colour"] == "rgb"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "rsccli-bundle/2"),
        ("name", None),
        ("axes", 2),
        ("axes", 0),
        ("axes", True),
        ("axes", "3"),
        ("tokens", []),
        ("tokens/ends", []),
        ("tokens/ends", 151645),
        ("tokens/ends", [151645, -1]),
        ("tokens/ends", [151645, "151643"]),
        ("tokens/ends", [True]),
        ("tokens/ends", [151936]),
        ("tokens/pad", 151936),
        ("tokens/pad", -1),
        ("tokens/pad", None),
        ("tokens/image", 1.0),
        ("tokens/max_new_tokens", 0),
        ("tokens/repetition_penalty", 0),
        ("tokens/repetition_penalty", "1"),
        ("tokens/repetition_penalty", float("nan")),
        ("decoder/layers", 0),
        ("decoder/dtype", "fp8"),
        ("chat", "<u>"),
        ("chat/head", None),
        ("chat/bare", "true"),
        ("chat/bare", 1),
        ("chat/lead", 3),
        ("chat/edge", ["|"]),
        ("prompt", 1),
        ("prompt", "prompt.txt"),
        ("vision", [1]),
        ("vision", None),
        ("parity", None),
        ("opset", "20"),
        ("limits", "none"),
        ("limits", [None]),
        ("files/encoder.onnx", {"sha256": "A" * 64, "bytes": 7}),
        ("files/encoder.onnx", {"sha256": "a" * 64, "bytes": -7}),
        ("files/encoder.onnx", 7),
    ],
)
def test_a_wrong_field_is_named_with_the_file(field: str, value: object) -> None:
    with pytest.raises(BundleError) as caught:
        parse(changed(field, value))
    assert str(PATH) in str(caught.value) and field.rsplit("/", 1)[-1] in str(caught.value)


def test_optional_fields() -> None:
    """Absent and null are read alike."""
    document = copy.deepcopy(GOOD)
    for field in OPTIONAL:
        part, last = part_of(document, field)
        del part[last]
    bare = parse(document)
    assert (bare.chat.lead, bare.chat.edge, bare.decoder.dtype) == ("", "", "fp32")
    assert bare.tokens.repetition_penalty == 1.0
    for field in OPTIONAL:
        part, last = part_of(document, field)
        part[last] = None
    assert parse(document) == bare


def test_one_axis_is_a_model_without_places_in_an_image() -> None:
    assert parse(changed("axes", 1)).axes == 1


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/passwd", "a/b", "a\\b", "..", "", "rsccli.json"])
def test_file_names_cannot_leave_the_folder(name: str) -> None:
    document = copy.deepcopy(GOOD)
    document["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    with pytest.raises(BundleError, match="plain file name"):
        parse(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00", '"text"'])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r"rsccli\.json"):
        parse_large(text, PATH)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from([*REQUIRED, *OPTIONAL]), value=JSON_VALUES)
def test_whatever_stands_in_a_field_it_is_parsed_or_refused(field: str, value: object) -> None:
    """No value, however odd, ends in another kind of error."""
    try:
        parse(changed(field, value))
    except BundleError as error:
        assert str(PATH) in str(error)
