"""COCO caption JSON (Chen et al. 2015): references and results.

References: ``{"images": [{"id": 7, "file_name": "7.png"}], "annotations": [{"image_id": 7, "caption": "..."}]}``.
Results: ``[{"image_id": 7, "caption": "..."}]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records.clean import clean_captions
from rsccli.evaluation.records.fields import flag_of, id_text, split_name
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.evaluation.records.source import as_objects
from rsccli.output.text import json_bytes


def read_coco(content: Mapping[str, Any], path: Path, column: str | None, problems: list[str]) -> list[CaptionRecord]:
    """One record per image of a file of references; an image without annotations has no captions.

    Raises:
        UsageProblem: a column other than ``caption``. InputError: an annotation or image without an id.
    """
    if column not in (None, "caption"):
        raise UsageProblem(f"{path}: captions of a COCO file are in caption, not in {column!r}")
    images: dict[str, Mapping[str, Any]] = {}
    for number, image in enumerate(as_objects(content.get("images"), path), start=1):
        key = _id(image, "id", f"{path}, image {number}")
        if key in images:
            problems.append(f"image {number}: an id that another image has (id {key})")
        images.setdefault(key, image)
    captions: dict[str, list[str]] = {key: [] for key in images}
    for number, annotation in enumerate(as_objects(content["annotations"], path), start=1):
        key = _id(annotation, "image_id", f"{path}, annotation {number}")
        if images and key not in images:
            problems.append(f"annotation {number}: its image is not listed (image_id {key})")

        def note(what: str, place: str = f"annotation {number}") -> None:
            problems.append(f"{place}: {what}")

        captions.setdefault(key, []).extend(clean_captions(annotation.get("caption"), "caption", note))
    for key, texts in captions.items():
        if not texts:
            problems.append(f"image {key}: no caption")
    return [_record(key, tuple(texts), images.get(key, {}), path) for key, texts in captions.items()]


def _id(member: Mapping[str, Any], name: str, where: str) -> str:
    found = id_text(member.get(name))
    if found is None:
        raise InputError(f"{where}: no {name}: nothing says which pair it is")
    return found


def _record(key: str, captions: tuple[str, ...], image: Mapping[str, Any], path: Path) -> CaptionRecord:
    # A pair of change captioning has one file name in two folders, unless the image says otherwise.
    name = id_text(image.get("file_name"))
    return CaptionRecord(
        key=key,
        captions=captions,
        pre=id_text(image.get("pre")) or name,
        post=id_text(image.get("post")) or name,
        changed=flag_of(image.get("changed")),
        split=split_name(id_text(image.get("split"))),
        where=f"{path}:{key}",
    )


def coco_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """A file of references; records of one key are put together. Model and regime have no place in it."""
    images: dict[str, dict[str, object]] = {}
    annotations: list[dict[str, object]] = []
    for record in records:
        image = images.setdefault(record.key, {"id": _number(record.key)})
        if record.pre is not None and record.pre == record.post:
            image["file_name"] = record.pre
        for name in ("pre", "post", "changed", "split"):
            value = getattr(record, name)
            if value is not None and not (name in ("pre", "post") and "file_name" in image):
                image.setdefault(name, value)
        for caption in record.captions:
            annotations.append({"id": len(annotations) + 1, "image_id": _number(record.key), "caption": caption})
    # COCO's own reader of results takes "info" for granted.
    content = {"info": {"description": "rsccli"}, "images": list(images.values()), "annotations": annotations}
    return json_bytes(content, indent=True)


def coco_results_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """A list of results, one per caption, and one with an empty caption for a record without any."""
    results = [
        {"image_id": _number(record.key), "caption": caption}
        for record in records
        for caption in record.captions or ("",)
    ]
    return json_bytes(results, indent=True)


def _number(key: str) -> int | str:
    """COCO's ids are numbers; other names stay text, which its tools take, too."""
    plain = key.isascii() and key.isdigit() and str(int(key)) == key and len(key) < 16
    return int(key) if plain else key
