"""A STAC item with the Machine Learning Model extension (MLM 1.4), so that catalogues can list a bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rsccli.models.bundle import DECODER

VERSION = "1.1.0"
MLM = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
BANDS = ("red", "green", "blue")
# The format knows no bfloat16.
_TYPES = {"fp32": "float32", "fp16": "float16", "bf16": "other", "int8": "int8"}


def item(content: Mapping[str, Any], parameters: int) -> dict[str, Any]:
    """The item of a bundle; it has no geometry, as the model belongs to no place.

    Args:
        content: the manifest with its files. parameters: numbers in the weights.
    """
    files: Mapping[str, Mapping[str, Any]] = content.get("files", {})
    float_dtype = "fp32" if content["dtype"] == "int8" else content["dtype"]
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [MLM, FILE],
        "id": content["name"],
        "geometry": None,
        "properties": {
            "datetime": None,
            # A model has no date of acquisition; the format wants a span, and this one says "any time".
            "start_datetime": "1970-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "bands": [{"name": name} for name in BANDS],
            "mlm:name": _name(content["name"]),
            "mlm:architecture": content["family"],
            "mlm:tasks": ["image-captioning"],
            "mlm:framework": "ONNX",
            "rsccli:opset": content["opset"],
            "mlm:total_parameters": parameters,
            "mlm:memory_size": sum(each["bytes"] for each in files.values()),
            "mlm:pretrained": True,
            "mlm:pretrained_source": f"{content['source']['id']} {content['source']['revision']}",
            "mlm:accelerator": None,
            "mlm:input": [_input()],
            "mlm:output": [_output(content)],
            "license": "other",
            "rsccli:licence": content["licence"],
        },
        "links": [],
        "assets": {
            name: _asset(name, each, content["dtype"] if name == DECODER else float_dtype)
            for name, each in files.items()
        },
    }


def _name(name: str) -> str:
    """A name as the extension wants it: three characters or more of a few kinds, a letter first."""
    plain = re.sub(r"[^a-zA-Z0-9_. -]+", "-", name).strip("_. -")
    return plain if re.fullmatch(r"[a-zA-Z].+[a-zA-Z0-9]", plain) else f"model-{plain}".rstrip("_. -")


def _input() -> dict[str, Any]:
    return {
        "name": "pre and post, red, green, blue of one place at two dates",
        "bands": list(BANDS),
        "input": {
            "shape": [-1, 2, 3, -1, -1],
            "dim_order": ["batch", "time", "bands", "height", "width"],
            "data_type": "uint8",
        },
        "value_scaling": None,
        "resize_type": None,
    }


def _output(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "caption tokens",
        "tasks": ["image-captioning"],
        "result": {
            "shape": [-1, content["tokens"]["max_new_tokens"]],
            "dim_order": ["batch", "token"],
            "data_type": "int64",
        },
    }


def _asset(name: str, entry: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    model = name.endswith(".onnx")
    asset: dict[str, Any] = {
        "href": f"./{name}",
        "title": name,
        "type": "application/octet-stream; framework=onnx" if model else _media(name),
        "roles": ["mlm:model", "mlm:weights"] if model else ["mlm:weights"] if name.endswith(".data") else ["metadata"],
        "file:size": entry["bytes"],
        # A multihash of sha2-256: code 0x12, length 0x20.
        "file:checksum": f"1220{entry['sha256']}",
    }
    if model:
        asset["mlm:artifact_type"] = "onnx"
        asset["data_type"] = _TYPES[dtype]
    return asset


def _media(name: str) -> str:
    return "application/json" if name.endswith(".json") else "application/octet-stream"
