"""The image pairs of an xBD folder, and halves of pairs that have no other half.

Known layouts: ``images/`` and ``labels/`` in the folder itself (one split), or in ``train/``, ``tier1/``, ``tier3/``,
``test/``, ``hold/`` below it, at any depth (``geotiffs/tier1/images``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rsccli.datasets.collection.problem import Problem
from rsccli.errors import InputError

_IMAGE = re.compile(r"^(?P<id>.+)_(?P<date>pre|post)_disaster\.(?P<suffix>png|tif|tiff)$", re.IGNORECASE)
_LABEL = re.compile(r"^(?P<id>.+)_(?P<date>pre|post)_disaster\.json$", re.IGNORECASE)
# GeoTIFFs before PNGs: they tell where they lie.
_SUFFIXES = ("tif", "tiff", "png")
_DEPTH = 4


@dataclass(frozen=True)
class ImagePair:
    """One place at both dates.

    Attributes:
        id: ``EVENT_NUMBER``. event: name of the disaster.
        split: folder, e.g. ``tier3``, or None where there is but one.
        pre, post: images. label: of post. pre_label: of pre, or None.
    """

    id: str
    event: str
    split: str | None
    pre: Path
    post: Path
    label: Path
    pre_label: Path | None

    @property
    def name(self) -> str:
        """Unique in a folder."""
        return f"{self.split}/{self.id}" if self.split else self.id


@dataclass(frozen=True)
class Found:
    """What a folder holds: whole pairs by name, and what is missing."""

    pairs: tuple[ImagePair, ...]
    problems: tuple[Problem, ...]


def find_pairs(folder: Path) -> Found:
    """Look for pairs; no file is opened.

    Raises:
        InputError: it is no folder, or no folder of xBD's layout is in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    pairs: list[ImagePair] = []
    problems: list[Problem] = []
    splits = sorted(_splits(folder))
    if not splits:
        raise InputError(
            f"{folder}: no folder images with *_pre_disaster.png or .tif in it, and none in train, tier1, tier3, test "
            "or hold: give the folder that xBD was unpacked into"
        )
    names: dict[str, ImagePair] = {}
    for split in splits:
        name = None if split == folder else split.name
        found, missing = _pairs_of(split, name, folder)
        problems += missing
        for pair in found:
            if pair.id in names:
                other = names[pair.id].pre.relative_to(folder)
                problems.append(Problem(str(pair.pre.relative_to(folder)), f"its name is that of {other}, too"))
                continue
            names[pair.id] = pair
            pairs.append(pair)
    return Found(tuple(pairs), tuple(problems))


def _splits(folder: Path) -> Iterator[Path]:
    """Folders with a folder ``images`` of xBD's names."""
    for root, folders, _ in os.walk(folder):
        path = Path(root)
        if len(path.relative_to(folder).parts) >= _DEPTH:
            folders.clear()
        if "images" in folders:
            folders.remove("images")
            if any(_IMAGE.match(name) for name in os.listdir(path / "images")):
                yield path
        folders[:] = sorted(each for each in folders if each not in ("labels", "targets", "annotated"))


def _pairs_of(split: Path, name: str | None, folder: Path) -> tuple[list[ImagePair], list[Problem]]:
    images: dict[str, dict[tuple[str, str], Path]] = {}
    others = []
    for path in sorted((split / "images").iterdir()):
        if match := _IMAGE.match(path.name):
            images.setdefault(match["id"], {})[match["date"].lower(), match["suffix"].lower()] = path
        elif not path.name.startswith("."):
            others.append(path)
    labels: dict[str, dict[str, Path]] = {}
    for path in sorted((split / "labels").glob("*.json")):
        if match := _LABEL.match(path.name):
            labels.setdefault(match["id"], {})[match["date"].lower()] = path
    problems = [
        Problem(str(path.relative_to(folder)), "not named as xBD's images are: it was not looked at", left_out=False)
        for path in others
    ]
    if not labels:
        where = (split / "labels").relative_to(folder)
        return [], [
            *problems,
            Problem(str(where), f"no label is there: the {len(images)} pairs beside it are left out"),
        ]
    pairs = []
    for key in sorted({*images, *labels}):
        dates, told = images.get(key, {}), labels.get(key, {})
        suffix = next((each for each in _SUFFIXES if {("pre", each), ("post", each)} <= set(dates)), None)
        if suffix is None:
            there, missing = _halves(dates, told)
            problems.append(Problem(str(there.relative_to(folder)), missing))
        elif "post" not in told:
            problems.append(
                Problem(
                    str(dates["post", suffix].relative_to(folder)),
                    f"its label labels/{key}_post_disaster.json is missing",
                )
            )
        else:
            event = key.rsplit("_", 1)[0]
            pre, post = dates["pre", suffix], dates["post", suffix]
            pairs.append(ImagePair(key, event, name, pre, post, told["post"], told.get("pre")))
    return pairs, problems


def _halves(dates: dict[tuple[str, str], Path], told: dict[str, Path]) -> tuple[Path, str]:
    """What is there of a pair that is not whole, and what is missing."""
    if not dates:
        return next(iter(told.values())), "a label without images"
    there = next(iter(dates.values()))
    if len({date for date, _ in dates}) == 2:
        kinds = " and ".join(sorted(path.suffix for path in dates.values()))
        return there, f"its two dates are of different kinds ({kinds})"
    date = next(iter(dates))[0]
    return there, f"the {'post' if date == 'pre' else 'pre'}-disaster image of this pair is missing"
