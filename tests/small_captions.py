"""Small files of captions in LEVIR-CC's manner, made here: half of the pairs unchanged, some captions wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

UNCHANGED = (
    "there is no difference",
    "the two scenes seem identical",
    "the scene is the same as before",
    "no change has occurred",
    "almost nothing has changed",
)
_WHAT = ("a house", "some houses", "many houses", "a building", "two buildings", "a road", "a parking lot")
_WHERE = ("along the road", "at the top", "on the bareland", "in the corner", "near the trees", "on the left side")
_HOW = ("is built", "are built", "appears", "appear", "has been constructed", "replaces the trees")


def sentence(draw: random.Random) -> str:
    """A sentence of change."""
    return f"{draw.choice(_WHAT)} {draw.choice(_HOW)} {draw.choice(_WHERE)}"


def references(number: int, seed: int = 0, captions: int = 5) -> dict[str, tuple[str, ...]]:
    """Captions by id; the even pairs changed, the odd ones did not."""
    draw = random.Random(seed)
    return {
        f"p{index}": UNCHANGED[:captions] if index % 2 else tuple(sentence(draw) for _ in range(captions))
        for index in range(number)
    }


def predictions(true: Mapping[str, Sequence[str]], right: float, seed: int = 1) -> dict[str, str]:
    """A caption a pair: a reference with the probability ``right``, else of any other pair."""
    draw = random.Random(seed)
    everything = [caption for captions in true.values() for caption in captions]
    return {
        key: draw.choice(captions) if draw.random() < right else draw.choice(everything)
        for key, captions in true.items()
    }


def write_references(path: Path, true: Mapping[str, Sequence[str]]) -> Path:
    """As a JSON object of captions by id."""
    path.write_text(json.dumps({key: list(captions) for key, captions in true.items()}), encoding="utf-8")
    return path


def write_predictions(path: Path, said: Mapping[str, str]) -> Path:
    """As JSON lines."""
    lines = (json.dumps({"id": key, "caption": caption}) for key, caption in said.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
