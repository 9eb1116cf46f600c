"""Captions for the metric tests: written here, drawn by hypothesis, and real ones where the shared data is."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

Cases = tuple[list[str], list[list[str]]]

# Written for these tests, in the manner of change captions.
WRITTEN: Cases = (
    [
        "many houses are built along the road",
        "the scene is the same as before",
        "a building appears and a building appears next to a road",
        "two houses were constructed in the forest",
        "trees",
        "a long sentence about the villas that have been built at the two sides of the new road in the desert",
    ],
    [
        ["several houses have been built beside a road", "a row of villas appears near the road", "houses appear"],
        ["the scene is the same as before", "nothing has changed", "there is no difference"],
        ["a large building and a road appear", "the trees are replaced by a building and a road", "a building appears"],
        ["two homes are built in the woods", "the woods are cut and two houses are built", "houses replace trees"],
        ["the forest is gone", "some trees were removed", "the bareland appears at the top"],
        ["villas line both sides of a road", "a desert road was built", "many villas are built along the roads"],
    ],
)

WORDS = ["a", "the", "house", "houses", "building", "built", "build", "road", "roads", "street", "tree", "forest", "is"]
WORDS += ["are", "appears", "appeared", "two", "2", "lower-right", "villa's", "road,", "constructed", "home"]
sentences = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
sayings = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
pairs = st.lists(st.tuples(sayings, st.lists(sayings, min_size=1, max_size=4)), min_size=1, max_size=6)


def parted(drawn: list[tuple[str, list[str]]]) -> Cases:
    """Pairs as predictions and references."""
    return [prediction for prediction, _ in drawn], [references for _, references in drawn]


def real(shared: Path, count: int = 300, split: str = "val") -> Cases:
    """Real LEVIR-CC sentences: what a person said of one pair against what five said of another, half of the time."""
    captions = list(json.loads((shared / "captions" / "levir_cc_train_val.json").read_text())[split].values())
    chosen = random.Random(5)
    references = [chosen.choice(captions) for _ in range(count)]
    predictions = [chosen.choice(chosen.choice([texts, chosen.choice(captions)])) for texts in references]
    return predictions, [list(texts) for texts in references]


def as_coco(predictions: list[str], references: list[list[str]]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """References and predictions as the scorers of pycocoevalcap take them."""
    return dict(enumerate(references)), {index: [text] for index, text in enumerate(predictions)}


DEBIAN = Path("/usr/share/wordnet")
needs_wordnet = pytest.mark.skipif(not (DEBIAN / "data.noun").is_file(), reason="Debian's wordnet-base is not here")


def nltk_data(folder: Path) -> Path:
    """Debian's files laid out as nltk's data folder; its reader wants one more file, which nothing here reads."""
    corpus = folder / "corpora" / "wordnet"
    corpus.mkdir(parents=True)
    for path in DEBIAN.iterdir():
        shutil.copy(path, corpus / path.name)
    (corpus / "lexnames").write_text("".join(f"{i:02d}\tfile{i}\t1\n" for i in range(45)))
    return folder
