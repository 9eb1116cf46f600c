"""Pairs with references for the benchmark's tests: drawn ones, so that what a captioner of roofs says is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from probe_pairs import ground, with_roof

from rsccli.types import U8

BUILT, GONE, SAME = (
    "a large building has been built",
    "a building has been demolished",
    "the scene is the same as before",
)
SAID = {"built": BUILT, "gone": GONE, "same": SAME}


def save(path: Path, image: U8) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.moveaxis(image, 0, 2)[..., ::-1])
    return path


def dates(kind: str, seed: int) -> tuple[U8, U8]:
    """Both dates of a pair: ``built``, ``gone`` or ``same``."""
    plain = ground(seed)
    roof = with_roof(plain)
    return (roof if kind == "gone" else plain), (roof if kind == "built" else plain)


def records(folder: Path, kinds: Sequence[str], **extra: Any) -> list[dict[str, Any]]:
    """Pictures in ``folder``, and a record for each pair whose references say what a captioner of roofs says."""
    told = []
    for number, kind in enumerate(kinds):
        for date, image in zip(("pre", "post"), dates(kind, number), strict=True):
            save(folder / f"{number}_{date}.png", image)
        told.append(
            {
                "id": f"pair{number}",
                "pre": f"{number}_pre.png",
                "post": f"{number}_post.png",
                "captions": [SAID[kind], f"{SAID[kind]} here"],
                "gsd_m": 0.5,
                **extra,
            }
        )
    return told


def write_list(path: Path, kinds: Sequence[str] = ("built", "gone", "same"), **extra: Any) -> Path:
    """A JSON list of drawn pairs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records(path.parent, kinds, **extra)), encoding="utf-8")
    return path


def write_levir(folder: Path, splits: dict[str, Sequence[str]]) -> Path:
    """A folder in LEVIR-CC's layout."""
    images = []
    for split, kinds in splits.items():
        for number, kind in enumerate(kinds):
            name = f"{split}_{number:06d}.png"
            for side, image in zip("AB", dates(kind, number), strict=True):
                save(folder / "images" / split / side / name, image)
            sentences = [{"raw": f" {SAID[kind]} .", "tokens": SAID[kind].split()}] * 5
            images.append(
                {
                    "filepath": split,
                    "filename": name,
                    "split": split,
                    "changeflag": int(kind != "same"),
                    "sentences": sentences,
                }
            )
    (folder / "LevirCCcaptions.json").write_text(json.dumps({"images": images}), encoding="utf-8")
    return folder
