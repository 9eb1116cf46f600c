"""JSON as LEVIR-CC (Liu et al. 2022) writes it, and Dubai-CC, WHU-CDC, LEVIR-MCI and others after it.

``{"images": [{"filename": "train_000001.png", "filepath": "train", "split": "train", "changeflag": 0, "imgid": 0,
"sentences": [{"raw": " there is no difference .", "tokens": ["there", "is", "no", "difference"]}]}]}``. The images of a
pair have one file name, in the folders ``A`` (before) and ``B`` (after) of their split's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records.clean import clean_captions
from rsccli.evaluation.records.fields import flag_of, id_text, split_name
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.evaluation.records.source import as_objects
from rsccli.output.text import json_bytes


def read_levir(content: Mapping[str, Any], path: Path, column: str | None, problems: list[str]) -> list[CaptionRecord]:
    """One record per image pair; the key is its file name.

    Args:
        column: ``raw`` or ``tokens``; without it ``raw``, and ``tokens`` where a sentence has no ``raw``.

    Raises:
        UsageProblem: another column. InputError: an image is no object or has no name.
    """
    if column not in (None, "raw", "tokens"):
        raise UsageProblem(f"{path}: captions of a LEVIR-CC file are in raw or tokens, not in {column!r}")
    return [
        _record(number, image, path, column, problems)
        for number, image in enumerate(as_objects(content["images"], path), start=1)
    ]


def _record(
    number: int, image: Mapping[str, Any], path: Path, column: str | None, problems: list[str]
) -> CaptionRecord:
    def note(what: str) -> None:
        problems.append(f"image {number}: {what}")

    name = next((text for field in ("filename", "imgid") if (text := id_text(image.get(field)))), None)
    if name is None:
        raise InputError(f"{path}, image {number}: no filename and no imgid: nothing says which pair it is")
    sentences = image.get("sentences")
    if column is not None and isinstance(sentences, list):
        sentences = [_only(sentence, column) for sentence in sentences]
    flag = image.get("changeflag")
    changed = flag_of(flag)
    if flag is not None and changed is None:
        note(f"a change flag that says neither changed nor unchanged (changeflag: {str(flag)[:40]!r})")
    split = id_text(image.get("split"))
    folder = id_text(image.get("filepath")) or split
    prefix = f"{folder}/" if folder else ""
    return CaptionRecord(
        key=name,
        captions=clean_captions(sentences, "sentences", note),
        pre=id_text(image.get("pre")) or f"{prefix}A/{name}",
        post=id_text(image.get("post")) or f"{prefix}B/{name}",
        changed=changed,
        split=split_name(split),
        where=f"{path}:{number}",
    )


def _only(sentence: object, column: str) -> object:
    return {column: sentence.get(column)} if isinstance(sentence, dict) else sentence


def levir_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """The records as ``images``; ``pre`` and ``post`` are added where they do not follow from the file name."""
    images: list[dict[str, object]] = []
    sentence_id = 0
    for number, record in enumerate(records):
        image: dict[str, object] = {
            **({"filepath": record.split, "split": record.split} if record.split else {}),
            "filename": record.key,
            "imgid": number,
            **({} if record.changed is None else {"changeflag": int(record.changed)}),
            "sentids": list(range(sentence_id, sentence_id + len(record.captions))),
            "sentences": [
                {"raw": text, "tokens": _tokens(text), "imgid": number, "sentid": sentence_id + place}
                for place, text in enumerate(record.captions)
            ],
        }
        prefix = f"{record.split}/" if record.split else ""
        for name, value, side in (("pre", record.pre, "A"), ("post", record.post, "B")):
            if value is not None and value != f"{prefix}{side}/{record.key}":
                image[name] = value
        images.append(image)
        sentence_id += len(record.captions)
    return json_bytes({"images": images, "dataset": "rsccli"}, indent=True)


def _tokens(text: str) -> list[str]:
    """Words as the data set's own tokens are: lower case, without full stops and commas of their own."""
    return [word for word in re.sub(r"[.,;:!?]+(?=\s|$)", " ", text.lower()).split() if word]
